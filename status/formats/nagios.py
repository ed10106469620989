"""What a Nagios or Icinga plugin prints and how it ends (https://www.monitoring-plugins.org/doc/guidelines.html)."""

from __future__ import annotations

from collections.abc import Iterator

from status.formats.components import components, one_line, overall, summary
from status.report import Report, Result

OK, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3
_WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
#: Nagios reads 8 KB, NRPE and older ones half of it.
MAX_BYTES = 4096


def exit_code(report: Report) -> int:
    """0, 1 or 2. Where nothing fails or warns and something still runs, 3: nobody knows yet, which is no "OK"."""
    if report.state == "pass" and overall(report) != "pass":
        return UNKNOWN
    return {"pass": OK, "warn": WARNING, "fail": CRITICAL}[report.state]


def unknown(reason: str) -> str:
    """What to print, with exit code 3, where the question could not be asked. ``reason`` is a safe sentence."""
    return f"STATUS UNKNOWN - {_text(reason)}\n"


def render(report: Report, details: bool) -> str:
    """One line for the dashboard with the durations as performance data, then a line for each component in trouble.

    Never more than 4 KB: performance data and lines that have no room are left out, the first line's text never is.
    """
    first = f"STATUS {_WORDS[exit_code(report)]} - {_text(summary(report))}"
    room = MAX_BYTES - len(first.encode()) - 1
    measured: list[str] = []
    for datum in _performance(report) if details else ():
        room -= len(datum.encode()) + (1 if measured else 3)
        if room < 0:
            break
        measured.append(datum)
    lines = [f"{first} | {' '.join(measured)}" if measured else first]
    for line in _trouble(report, details):
        room -= len(line.encode()) + 1
        if room < 0:
            break
        lines.append(line)
    return "".join(f"{line}\n" for line in lines)


def _performance(report: Report) -> Iterator[str]:
    """``'label'=value[UOM];warn;crit;min``. A label is the name alone where only one resource has it, and unique."""
    names = [result.name for result in report.results]
    seen: set[str] = set()
    for result in report.results:
        label = result.name if names.count(result.name) == 1 else f"{result.resource}/{result.name}"
        label = _text(label).replace("'", "_").replace("=", "_")
        if label not in seen:
            seen.add(label)
            yield f"'{label}'={_seconds(result)}s;;;0"


def _seconds(result: Result) -> str:
    return f"{result.duration:.6f}"


def _trouble(report: Report, details: bool) -> Iterator[str]:
    for result in report.results:
        for component in components(result, details):
            if component.state in ("fail", "warn", "running"):
                yield _text(f"{component.state} {component.address} {component.output or ''}".rstrip())


def _text(text: str) -> str:
    """Text for people: a bar would end it and start the performance data."""
    return one_line(text).replace("|", "/")
