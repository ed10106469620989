"""The formats in which a report is written, by name. JSON, the default, is here; each other one has a module."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

from status.formats.health_json import render_health_json
from status.formats.nagios import render_nagios
from status.formats.text import render_text
from status.formats.yaml import render_yaml
from status.report import Report


class Format(NamedTuple):
    """One way to write a report.

    name: as ``?format=`` and ``-f`` spell it.
    content_type: the whole header, with charset and version where the format asks for one.
    render: ``render(report, details) -> str``; ``details`` is True for an authorized reader.
    http: whether an address answers it; the others are for the command line.
    counts: whether it tells what all processes have counted.
    always_ok: HTTP 200 whatever fails, because its readers drop the body of any other response.
    """

    name: str
    content_type: str
    render: Callable[[Report, bool], str]
    http: bool = True
    counts: bool = False
    always_ok: bool = False

    @property
    def media_type(self) -> str:
        """Return the content type without its parameters."""
        return self.content_type.partition(";")[0]


def render_json(report: Report, details: bool) -> str:
    """Return the classic document as ``JsonResponse`` spells it, without a line end.

    Raises ValueError where the report holds what JSON has no word for, such as NaN; the engine lets no such value pass.
    """
    return json.dumps(report.document(details), allow_nan=False)


def write_metrics(report: Report, details: bool, *, openmetrics: bool) -> str:
    """Return metrics, see their module."""
    # Late: most processes are never asked for any.
    from status.formats import metrics

    return metrics.render_metrics(report, details, openmetrics=openmetrics)


_OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
_FORMATS = (
    Format("json", "application/json", render_json),
    Format("health+json", "application/health+json", render_health_json),
    # Before Prometheus' own text format: who asks for text/plain without a version is a person or a script.
    Format("text", "text/plain; charset=utf-8", render_text),
    Format("openmetrics", _OPENMETRICS, partial(write_metrics, openmetrics=True), counts=True, always_ok=True),
    Format("prometheus", _PROMETHEUS, partial(write_metrics, openmetrics=False), counts=True, always_ok=True),
    Format("nagios", "text/plain; charset=utf-8", render_nagios, http=False),
    Format("yaml", "application/yaml", render_yaml, http=False),
)
#: Every format by its name, in the order in which they are offered. The first is the default.
FORMATS: Mapping[str, Format] = MappingProxyType({known.name: known for known in _FORMATS})
