"""Plain text for people, ``grep`` and monitors that look for a word: one line for each component, the last sums up."""

from __future__ import annotations

import json

from status.report import Report, components, one_line, overall, summary


def render_text(report: Report, details: bool) -> str:
    """Return one line for each component, then ``STATUS PASS``, ``STATUS WARN`` or ``STATUS FAIL`` and why.

    No other line holds these words, whatever a provider answers, so that a monitor may look for them anywhere.
    """
    lines = []
    for component in (part for result in report.results for part in components(result, details)):
        value, result = component.value, component.result
        columns = [f"{component.state:<4}", component.address]
        if value is not None and (component.state == "info" or not isinstance(value, bool)):  # the state says the rest
            columns.append(one_line(json.dumps(value, ensure_ascii=False)))
        if component.output is not None:
            columns.append(one_line(component.output))
        if details and component.duration is not None:
            columns.append(f"{component.duration * 1000:.1f} ms")
        if result.age:
            columns.append(f"{result.age:.1f} s old")
        lines.append("  ".join(columns).replace("STATUS ", "status "))
    lines.append(f"STATUS {overall(report).upper()} {summary(report)}")
    return "".join(f"{line}\n" for line in lines)
