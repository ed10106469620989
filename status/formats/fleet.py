"""The fleet as JSON and as metrics."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from status.fleet import MEMBER_STATES, Fleet
from status.formats.metrics import Family, write_families


def render_fleet_json(fleet: Fleet, details: bool) -> str:
    """Return what ``schemas/fleet.json`` describes."""
    return json.dumps(fleet.document(details), allow_nan=False)


def render_fleet_metrics(fleet: Fleet, details: bool, *, openmetrics: bool) -> str:
    """Return how many members there are by role and state; by commit and check for callers who may see details."""
    complete = Family("django_status_fleet_complete", "gauge", "1 if the store could be read, else 0.")
    members = Family("django_status_fleet_members", "gauge", "Processes by role and state; lost ones are not heard of.")
    commits = Family("django_status_fleet_commit_members", "gauge", "Processes at work by the commit that they run.")
    checks = Family("django_status_fleet_check_members", "gauge", "Processes at work by what they see of a check.")
    complete.add(fleet.error is None, [])
    for role, states in fleet.roles.items():
        for state in MEMBER_STATES:
            members.add(states.get(state, 0), [("role", role), ("state", state)])
    if details:
        for commit, number in fleet.commits.items():
            commits.add(number, [("commit", commit)])
        for check, states in fleet.checks.items():
            resource, _, name = check.partition("/")
            for state, number in states.items():
                checks.add(number, [("resource", resource), ("check", name), ("state", state)])
    return write_families((complete, members, commits, checks), openmetrics=openmetrics)


#: The formats in which the fleet is answered, by the names that they have in ``FORMATS``.
FLEET_FORMATS: Mapping[str, Callable[[Fleet, bool], str]] = MappingProxyType(
    {
        "json": render_fleet_json,
        "openmetrics": partial(render_fleet_metrics, openmetrics=True),
        "prometheus": partial(render_fleet_metrics, openmetrics=False),
    }
)
