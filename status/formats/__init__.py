"""How a report is written: one module for each format, and the table of them by name.

A format's module is imported when it is first rendered, so that a command that prints JSON loads nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import NamedTuple, cast

from status.report import Report


class Format(NamedTuple):
    """One way to write a report.

    name: as ``?format=`` and ``-f`` spell it.
    content_type: the whole header, with charset and version where the format asks for one.
    module: the name of the module here that has ``render``.
    http: whether an address answers it; the others are for the command line.
    always_ok: HTTP 200 whatever fails, because its readers drop the body of any other answer.
    """

    name: str
    content_type: str
    module: str
    http: bool = True
    always_ok: bool = False

    @property
    def media_type(self) -> str:
        """The content type without its parameters."""
        return self.content_type.partition(";")[0]

    @property
    def render(self) -> Callable[[Report, bool], str]:
        """``render(report, details) -> str``, pure; ``details`` is True for a reader with authority."""
        return cast("Callable[[Report, bool], str]", import_module(f"{__name__}.{self.module}").render)


_ALL = (
    Format("json", "application/json", "json"),
    Format("health+json", "application/health+json", "health_json"),
    # Before Prometheus' own text format: who asks for text/plain, without a version, is a person or a script.
    Format("text", "text/plain; charset=utf-8", "text"),
    Format("openmetrics", "application/openmetrics-text; version=1.0.0; charset=utf-8", "openmetrics", always_ok=True),
    Format("prometheus", "text/plain; version=0.0.4; charset=utf-8", "prometheus", always_ok=True),
    Format("nagios", "text/plain; charset=utf-8", "nagios", http=False),
)

#: Every format by its name, in the order in which they are offered. The first is the default.
FORMATS: Mapping[str, Format] = MappingProxyType({known.name: known for known in _ALL})
JSON = FORMATS["json"]
