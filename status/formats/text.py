"""Plain text for people, ``grep`` and monitors that look for a word: one line for each component, the last sums up."""

from __future__ import annotations

import json

from status.report import Component, Report, components, one_line, overall, summary


def render_text(report: Report, details: bool) -> str:
    """Return one line for each component, then ``STATUS PASS``, ``STATUS WARN`` or ``STATUS FAIL`` and why.

    No other line holds these words, whatever a provider answers, so that a monitor may look for them anywhere.
    """
    lines = [
        _component_line(component, details).replace("STATUS ", "status ")
        for result in report.results
        for component in components(result, details)
    ]
    lines.append(f"STATUS {overall(report).upper()} {summary(report)}")
    return "".join(f"{line}\n" for line in lines)


def _component_line(component: Component, details: bool) -> str:
    """Return state and address, the value where it says more than the state does, the reason, and how long it took."""
    value, result = component.value, component.result
    parts = [f"{component.state:<4}", component.address]
    if value is not None and (component.state == "info" or not isinstance(value, bool)):
        parts.append(one_line(json.dumps(value, ensure_ascii=False)))
    if component.output is not None:
        parts.append(one_line(component.output))
    if details:
        parts.append(f"{result.duration * 1000:.1f} ms")
    if result.age:
        parts.append(f"{result.age:.1f} s old")
    return "  ".join(parts)
