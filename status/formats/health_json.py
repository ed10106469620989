"""``application/health+json``, as draft-inadarei-api-health-check-06 has it."""

from __future__ import annotations

import json
from datetime import datetime, timezone

from status.report import Component, Report, components, overall, summary
from status.serialization import JSON


def render_health_json(report: Report, details: bool) -> str:
    """Return the report as one object, without a line end.

    ``checks`` is keyed ``provider:component``, or ``provider`` where an answer has no components. Two that would share
    a key, such as one provider's name in two resources, stand in the same array. What only informs has no ``status``.
    """
    document: dict[str, JSON] = {"status": overall(report)}
    if document["status"] != "pass":
        document["output"] = summary(report)
    checks: dict[str, list[JSON]] = {}
    for result in report.results:
        for component in components(result, details):
            names = [result.name] if component.name is None else [result.name, component.name]
            # Neither part may hold a colon (section 4); ``componentId`` has the component's name as it is.
            key = ":".join(name.replace(":", "_") for name in names)
            checks.setdefault(key, []).append(_entry(component, details))
    document["checks"] = dict(checks)
    return json.dumps(document, allow_nan=False)


def _entry(component: Component, details: bool) -> JSON:
    """Return the component's object: ``time`` says when the answer was complete, ``age`` is in seconds."""
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
    if result.started_at and result.duration is not None and not result.running:
        complete = datetime.fromtimestamp(result.started_at + result.duration, timezone.utc)
        entry["time"] = complete.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if result.age:
        entry["age"] = round(result.age, 3)
    if details and component.duration is not None:
        entry["responseTime"] = round(component.duration * 1000, 3)  # milliseconds
    return entry
