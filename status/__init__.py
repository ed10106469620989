"""Named health checks and statistics for Django, answered as JSON, pages and commands."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from status.asking import aask, ask, preload
    from status.heartbeats import heartbeat
    from status.loops import touch
    from status.report import Report, Result
    from status.serving import serve

__version__ = "3.0.0"

__all__ = ["Report", "Result", "aask", "ask", "heartbeat", "preload", "serve", "touch"]

#: Name -> the module that defines it, imported when it is first used: settings files import this package.
_EXPORTS = {
    "ask": "status.asking",
    "aask": "status.asking",
    "heartbeat": "status.heartbeats",
    "preload": "status.asking",
    "Report": "status.report",
    "Result": "status.report",
    "serve": "status.serving",
    "touch": "status.loops",
}


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(import_module(_EXPORTS[name]), name)
    return import_module("status.classic").find(__name__, name)
