"""Metrics: OpenMetrics 1.0 (https://prometheus.io/docs/specs/om/open_metrics_spec/), Prometheus' text format 0.0.4 with
the same samples, so that a series goes on when a scraper changes the format, and the ``Server-Timing`` header
(https://www.w3.org/TR/server-timing/).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, get_args

from status import __version__
from status.report import Report, State, components, one_line

#: Characters of the whole header; servers and proxies refuse responses with longer ones.
MAX_HEADER = 4096
_NOT_TOKEN = re.compile(r"[^A-Za-z0-9!#$%&'*+.^_`|~-]")


@dataclass
class Family:
    """One metric family.

    name, type: as OpenMetrics has them; the name is without the suffix of an info.
    help: one line.
    unit: the suffix of the name, or empty.
    samples: label set -> value. A label set that comes twice keeps the lower value, so that no failure is lost.
    """

    name: str
    type: Literal["gauge", "stateset", "info"]
    help: str
    unit: str = ""
    samples: dict[tuple[tuple[str, str], ...], float] = field(default_factory=dict)

    def add(self, value: float, *labels: tuple[str, str]) -> None:
        printable = tuple((name, one_line(text)) for name, text in labels)
        self.samples[printable] = min(value, self.samples.get(printable, value))


def render_metrics(report: Report, details: bool, *, openmetrics: bool) -> str:
    """Return the families as OpenMetrics, else in Prometheus' text format, which knows neither info nor stateset.

    Seconds are written to the microsecond, whole numbers without a fraction.
    """
    lines: list[str] = []
    for family in families(report, details):
        sample = f"{family.name}_info" if family.type == "info" else family.name
        if openmetrics:
            unit = [f"# UNIT {family.name} {family.unit}"] if family.unit else []
            lines += [f"# TYPE {family.name} {family.type}", *unit, f"# HELP {family.name} {family.help}"]
        else:
            lines += [f"# HELP {sample} {family.help}", f"# TYPE {sample} gauge"]
        for labels, value in family.samples.items():
            # ``one_line`` has removed the line ends, the third character that would need an escape.
            escaped = ((name, text.replace("\\", r"\\").replace('"', r"\"")) for name, text in labels)
            listed = ",".join(f'{name}="{text}"' for name, text in escaped)
            lines.append(f"{sample}{{{listed}}} {f'{value:.6f}'.rstrip('0').rstrip('.')}")
    return "".join(f"{line}\n" for line in [*lines, *(["# EOF"] if openmetrics else [])])


def families(report: Report, details: bool) -> list[Family]:
    """Return every family that has a sample. Durations and our version are for callers who may see details."""
    up = Family("django_status_up", "gauge", "1 unless a critical check of the resource fails.")
    check_up = Family("django_status_check_up", "gauge", "1 if the check passes, 0 if it fails or warns.")
    states = Family("django_status_check_state", "stateset", "The state of the check; info is never judged.")
    part_up = Family("django_status_component_up", "gauge", "1 if this part of the check's answer passes.")
    took = Family("django_status_check_duration_seconds", "gauge", "How long the check's last run took.", "seconds")
    part_took = Family(
        "django_status_component_duration_seconds", "gauge", "How long this part of the check took.", "seconds"
    )
    ages = Family("django_status_check_age_seconds", "gauge", "How old the check's answer is.", "seconds")
    build = Family("django_status_build", "info", "The version of django-status.")
    for resource in report.resources:
        results = report.of(resource)
        if not results or any(result.judged for result in results):
            up.add(not any(result.state == "fail" for result in results), ("resource", resource))
    for result in report.results:
        labels = ("resource", result.resource), ("check", result.name)
        for state in get_args(State):
            states.add(result.state == state, *labels, (states.name, state))
        if details and result.duration is not None:
            took.add(result.duration, *labels)
        for name, seconds in result.durations.items() if details else ():
            part_took.add(seconds, *labels, ("component", name))
        if not result.running:
            ages.add(result.age, *labels)
            if result.judged:
                check_up.add(result.state == "pass", *labels)
        for component in components(result, details):
            if result.judged and component.name is not None:
                part_up.add(component.state == "pass", *labels, ("component", component.name))
    if details:
        build.add(1, ("version", __version__))
    every = (up, check_up, states, part_up, took, part_took, ages, build)
    return [family for family in every if family.samples]


def server_timing(report: Report) -> str:
    """Return ``databases;dur=3.2, caches;dur=0.9``: the milliseconds of each run. Only for callers who may see details.

    A name is ``resource.provider`` where the report covers more than one resource, with ``_`` for what a header's token
    may not hold. Empty for an empty report. Metrics beyond the length limit are left out.
    """
    metrics: list[str] = []
    room = MAX_HEADER
    for result in report.results:
        if result.duration is None:
            continue
        name = result.name if report.resource is not None else f"{result.resource}.{result.name}"
        reused = ';desc="reused"' if result.age else ""
        metric = f"{_NOT_TOKEN.sub('_', name)};dur={result.duration * 1000:.1f}{reused}"
        room -= len(metric) + 2
        if room < 0:
            break
        metrics.append(metric)
    return ", ".join(metrics)
