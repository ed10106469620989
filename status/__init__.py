"""Named health checks and statistics for Django, answered as JSON, pages and commands."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from status.asking import preload

__version__ = "3.0.0"

__all__ = ["preload"]

#: Name -> the module that defines it, imported when it is first used: settings files import this package.
_EXPORTS = {"preload": "status.asking"}


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
