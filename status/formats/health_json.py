"""``application/health+json``, as draft-inadarei-api-health-check-06 has it."""

from __future__ import annotations

import json
from datetime import datetime, timezone

from status.formats.components import Component, components, overall, summary
from status.report import Report, Result
from status.serialization import JSON


def render(report: Report, details: bool) -> str:
    """The report as one object, without a line end.

    ``checks`` is keyed ``provider:component``, or ``provider`` where an answer has no components. Two that would share
    a key, such as one provider's name in two resources, stand in the same array. What only informs has no ``status``.
    """
    document: dict[str, JSON] = {"status": overall(report)}
    if document["status"] != "pass":
        document["output"] = summary(report)
    checks: dict[str, list[JSON]] = {}
    for result in report.results:
        for component in components(result, details):
            checks.setdefault(_key(component), []).append(_entry(component, details))
    document["checks"] = dict(checks)
    return json.dumps(document, allow_nan=False)


def _key(component: Component) -> str:
    """Neither part may hold a colon (section 4); ``componentId`` has the component's name as it is."""
    parts = [component.result.name] if component.name is None else [component.result.name, component.name]
    return ":".join(part.replace(":", "_") for part in parts)


def _entry(component: Component, details: bool) -> JSON:
    result = component.result
    entry: dict[str, JSON] = {"resource": result.resource}
    if component.name is not None:
        entry["componentId"] = component.name
    if component.state != "info":
        entry["status"] = "warn" if component.state == "running" else component.state
    if not result.running and result.error is None:
        entry["observedValue"] = component.value
    if component.output is not None:
        entry["output"] = component.output
    entry.update(_timing(result, details))
    return entry


def _timing(result: Result, details: bool) -> dict[str, JSON]:
    """When the answer was complete, its age in seconds if it is reused, and how many milliseconds it took."""
    timing: dict[str, JSON] = {}
    if result.started_at and not result.running:
        complete = datetime.fromtimestamp(result.started_at + result.duration, timezone.utc)
        timing["time"] = f"{complete.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
    if result.age:
        timing["age"] = round(result.age, 3)
    if details:
        timing["responseTime"] = round(result.duration * 1000, 3)
    return timing
