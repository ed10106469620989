"""``docs/formats.rst``, with what the formats really print. ``python -m tests.docs_formats`` writes it anew."""

from __future__ import annotations

import json
import textwrap
from unittest import mock

from status.formats import FORMATS
from status.formats.server_timing import server_timing
from status.history import History
from status.report import Report
from tests.documents import Written
from tests.reports import report, result

PAGE = Written("formats", "tests/docs_formats.py")

ASKED = report(
    result(name="ping", answer={"pong": True}, duration=0.000011),
    result(answer={"default": True, "replica": False}, reasons={"replica": "OperationalError"}, duration=0.0412),
    result(name="caches", answer={"default": True}, duration=0.0009, age=2.5),
    resource="health",
)
#: A part of it: metrics are long.
ONE = report(ASKED.results[1], resource="health", provider="databases")


def section() -> str:
    """Return what stands between the two comments."""
    return TEMPLATE.format(
        json=_block("json", _wrapped(_render("json"))),
        health=_block("json", json.dumps(json.loads(_render("health+json")), indent=2)),
        text=_block("text", _render("text")),
        openmetrics=_block("text", _render("openmetrics", ONE)),
        nagios=_block("text", _render("nagios").replace(" | ", " |\n    ", 1)),
        server_timing=_block("text", f"Server-Timing: {server_timing(ASKED)}"),
        table=_table(),
    )


def _render(name: str, asked: Report = ASKED) -> str:
    with mock.patch("status.formats.metrics.history", History()):  # whatever else this process has seen
        return FORMATS[name].render(asked, True)


def _wrapped(document: str) -> str:
    return document.replace('}, "', '},\n "')


def _block(language: str, text: str) -> str:
    return f".. code-block:: {language}\n\n{textwrap.indent(text.rstrip(), '    ')}"


def _table() -> str:
    rows = [
        (f"``{known.name}``", f"``{known.content_type}``" if known.http else "command line only", AUDIENCE[known.name])
        for known in FORMATS.values()
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([rule, *lines, rule])


AUDIENCE = {
    "json": "scripts and dashboards; the default",
    "health+json": "API gateways and clients of the health check draft",
    "text": "people, ``grep``, monitors that look for a word",
    "openmetrics": "Prometheus and what speaks its format; always HTTP 200",
    "prometheus": "older scrapers; the same samples; always HTTP 200",
    "nagios": "Nagios, Icinga and relatives; exit code 0, 1, 2 or 3",
    "yaml": "scripts that were written for 2.x",
}

TEMPLATE = """\
An address answers in the format of ``?format=``, else in the best one for the ``Accept`` header, else in JSON. The
commands take the same names with ``-f``. An ``Accept`` that names none of them gets JSON; an unknown
``?format=`` is 406 and names what there is.

{table}

The same report, in which one of two databases is down, asked by somebody who may see details. Strangers get neither
reasons nor durations.

``json`` is the classic document, and nothing is ever added to it:

{json}

``health+json`` follows `draft-inadarei-api-health-check-06
<https://datatracker.ietf.org/doc/html/draft-inadarei-api-health-check-06>`_. ``responseTime`` is in milliseconds;
``age``, which tells that an answer was reused, in seconds. What only informs has no ``status``:

{health}

``text`` has one line for each component. The last one says ``STATUS PASS``, ``STATUS WARN`` or ``STATUS FAIL``, and no
other line ever holds these words, so let your monitor look for ``STATUS PASS``:

{text}

``openmetrics`` and ``prometheus`` expose the same samples. The answer is 200 whatever fails, because a scraper throws
away all samples of any other; alert on ``django_status_up == 0``, or on ``django_status_check_up == 0`` for one check.
Resources that only inform are never up or down. With ``STATUS_STORE``, ``django_status_check_runs_total`` and
``..._failures_total`` count in :doc:`all processes <fleet>`. The option ``metrics``, ``{{"n": "gauge"}}``, shows
numbers of its answer, or of its components, as ``django_status_check_value``. For ``/status/api/health/databases``:

{openmetrics}

``nagios`` is for ``manage.py status`` and ``django_status``. Its first line ends with the durations as performance data
(broken in two here), and each component in trouble has a line after it:

{nagios}

Reports in every format carry the durations for the browser's own tools, for callers who may see details:

{server_timing}
"""


if __name__ == "__main__":
    PAGE.write(section())
