"""Plain text for people, ``grep`` and monitors that look for a word: one line for each component, the last sums up."""

from __future__ import annotations

import json
from collections.abc import Iterator

from status.formats.components import Component, components, one_line, overall, summary
from status.report import Report


def render(report: Report, details: bool) -> str:
    """One line for each component, then ``STATUS PASS``, ``STATUS WARN`` or ``STATUS FAIL`` and why.

    No other line holds these words, whatever a provider answers, so that a monitor may look for them anywhere.
    """
    lines = [_line(component, details) for result in report.results for component in components(result, details)]
    lines.append(f"STATUS {overall(report).upper()} {summary(report)}")
    return "".join(f"{line}\n" for line in lines)


def _line(component: Component, details: bool) -> str:
    line = "  ".join([f"{component.state:<4}", component.address, *_remarks(component, details)])
    return line.replace("STATUS ", "status ")


def _remarks(component: Component, details: bool) -> Iterator[str]:
    """The value where it says more than the state does, the reason, and how long it took."""
    value, result = component.value, component.result
    if value is not None and (component.state == "info" or not isinstance(value, bool)):
        yield one_line(json.dumps(value, ensure_ascii=False))
    if component.output is not None:
        yield one_line(component.output)
    if details:
        yield f"{result.duration * 1000:.1f} ms"
    if result.age:
        yield f"{result.age:.1f} s old"
