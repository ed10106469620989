"""What a Nagios or Icinga plugin prints and how it ends (https://www.monitoring-plugins.org/doc/guidelines.html)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from status.report import Report, components, one_line, overall, summary

OK, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3
STATUS_WORDS = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
#: Nagios reads 8 KB, NRPE and older ones half of it.
MAX_OUTPUT = 4096


def exit_code(report: Report) -> int:
    """Return 0, 1 or 2; 3 where nothing fails or warns and something still runs, whose state is unknown."""
    if report.state == "pass" and overall(report) != "pass":
        return UNKNOWN
    return {"pass": OK, "warn": WARNING, "fail": CRITICAL}[report.state]


def no_answer(code: int, reason: str) -> str:
    """Return what to print, with that exit code, where no answer came. ``reason`` is a safe sentence."""
    return f"STATUS {STATUS_WORDS[code]} - {_plugin_text(reason)}\n"


def render_nagios(report: Report, details: bool) -> str:
    """Return one line for the dashboard with the durations as performance data, then one for each failing component.

    Never more than 4 KB: lines that have no room are left out, and so is performance data that has none beside them.
    """
    first = f"STATUS {STATUS_WORDS[exit_code(report)]} - {_plugin_text(summary(report))}"
    room = MAX_OUTPUT - len(first.encode()) - 1
    lines: list[str] = []
    for component in (part for result in report.results for part in components(result, details)):
        if component.state in ("fail", "warn", "running"):
            line = _plugin_text(f"{component.state} {component.address} {component.output or ''}".rstrip())
            room -= len(line.encode()) + 1
            if room < 0:
                break
            lines.append(line)
    measured = ""
    for datum in _performance_data(report) if details else ():
        part = f" {datum}" if measured else f" | {datum}"
        room -= len(part.encode())
        if room < 0:
            break
        measured += part
    return "".join(f"{line}\n" for line in [first + measured, *lines])


def _performance_data(report: Report) -> Iterator[str]:
    """Yield ``'label'=value[UOM];warn;crit;min``: the seconds of each check, then those of each component.

    Labels are unique: the name of the check, with its resource where the name is ambiguous, and of the component.
    """
    names = Counter(result.name for result in report.results)
    checks: list[tuple[str, float | None]] = []
    parts: list[tuple[str, float | None]] = []
    for result in report.results:
        label = result.name if names[result.name] == 1 else f"{result.resource}/{result.name}"
        checks.append((label, result.duration))
        parts += [(f"{label}/{name}", seconds) for name, seconds in result.durations.items()]
    seen: set[str] = set()
    for label, duration in [*checks, *parts]:
        label = _plugin_text(label).replace("'", "_").replace("=", "_")
        if duration is not None and label not in seen:
            seen.add(label)
            yield f"'{label}'={duration:.6f}s;;;0"


def _plugin_text(text: str) -> str:
    """Return text for people: a bar would end it and start the performance data."""
    return one_line(text).replace("|", "/")
