"""Metrics: OpenMetrics 1.0 (https://prometheus.io/docs/specs/om/open_metrics_spec/), Prometheus' text format 0.0.4 with
the same samples, so that a series goes on when a scraper changes the format.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from status import __version__
from status.history import history
from status.report import Counts, Report, Result, State, components, one_line
from status.serialization import JSON

SeriesKind = Literal["gauge", "counter", "stateset", "info"]
#: name without ``django_status_`` -> type, help; in the order in which they are written. Seconds are the unit of a name
#: that ends with it.
FAMILIES: dict[str, tuple[SeriesKind, str]] = {
    "up": ("gauge", "1 unless a critical check of the resource fails."),
    "check_up": ("gauge", "1 if the check passes, 0 if it fails or warns."),
    "check_state": ("stateset", "The state of the check; info is never judged."),
    "check": ("info", "Whether a failure of the check counts, or only warns."),
    "check_state_since_timestamp_seconds": ("gauge", "When the state began, as far as this process knows."),
    "check_last_success_timestamp_seconds": ("gauge", "When the check passed last, as far as this process knows."),
    "check_runs": ("counter", "How often the check ran, in all processes."),
    "check_failures": ("counter", "How often it failed, also where that only warns, in all processes."),
    "component_up": ("gauge", "1 if this part of the check's answer passes."),
    "check_duration_seconds": ("gauge", "How long the check's last run took."),
    "component_duration_seconds": ("gauge", "How long this part of the check took."),
    "check_age_seconds": ("gauge", "How old the check's answer is."),
    "check_value": ("gauge", "A number that the check tells."),
    "heartbeat_age_seconds": ("gauge", "How long ago the heartbeat was last heard."),
    "build": ("info", "The version of django-status, and of the code that runs."),
    "build_stale": ("gauge", "1 if the checkout has moved on since the process started."),
}
Labels = tuple[tuple[str, str], ...]


@dataclass
class Family:
    """One metric family.

    name, type: as OpenMetrics has them; the name is without the suffix of an info or a counter.
    help: one line.
    samples: label set -> value. A label set that comes twice keeps the lower value, so that no failure is lost.
    """

    name: str
    type: SeriesKind
    help: str
    samples: dict[Labels, float] = field(default_factory=dict)

    def add(self, value: float, labels: Iterable[tuple[str, str]]) -> None:
        printable = tuple((name, one_line(text)) for name, text in labels)
        self.samples[printable] = min(value, self.samples.get(printable, value))


def render_metrics(report: Report, details: bool, *, openmetrics: bool) -> str:
    """Return the metrics of a report; those of durations and of our version are for callers who may see details."""
    found = {name: Family(f"django_status_{name}", *facts) for name, facts in FAMILIES.items()}
    for resource in report.resources:
        results = report.of(resource)
        if not results or any(result.judged for result in results):
            found["up"].add(not any(result.state == "fail" for result in results), [("resource", resource)])
    for result in report.results:
        counts = None if report.counts is None else report.counts.get((result.resource, result.name))
        for name, value, *labels in _samples(result, details, counts):
            found[name].add(value, (("resource", result.resource), ("check", result.name), *labels))
        for heartbeat, seconds in result.ages.items() if details else ():
            found["heartbeat_age_seconds"].add(seconds, [("name", heartbeat)])
    if details:
        code, stale = _code_that_runs(report)
        found["build"].add(1, (("version", __version__), *code))
        if stale is not None:
            found["build_stale"].add(stale, code[:1])
    return write_families(found.values(), openmetrics=openmetrics)


def write_families(families: Iterable[Family], *, openmetrics: bool) -> str:
    """Return the families that have a sample as OpenMetrics, else in Prometheus' text format.

    That knows neither info nor stateset. Seconds are written to the microsecond, other numbers exactly.
    """
    lines: list[str] = []
    for family in (family for family in families if family.samples):
        sample = family.name + {"info": "_info", "counter": "_total"}.get(family.type, "")
        if openmetrics:
            unit = [f"# UNIT {family.name} seconds"] if family.name.endswith("_seconds") else []
            lines += [f"# TYPE {family.name} {family.type}", *unit, f"# HELP {family.name} {family.help}"]
        else:
            kind = "counter" if family.type == "counter" else "gauge"
            lines += [f"# HELP {sample} {family.help}", f"# TYPE {sample} {kind}"]
        for labels, value in family.samples.items():
            # ``one_line`` has removed the line ends, the third character that would need an escape.
            escaped = ((name, text.replace("\\", r"\\").replace('"', r"\"")) for name, text in labels)
            listed = ",".join(f'{name}="{text}"' for name, text in escaped)
            labelled = f"{sample}{{{listed}}}" if listed else sample
            lines.append(f"{labelled} {_written(value, family.name.endswith('_seconds'))}")
    return "".join(f"{line}\n" for line in [*lines, *(["# EOF"] if openmetrics else [])])


def _written(value: float, is_seconds: bool) -> str:
    """Return a number, or True or False as 1 or 0; whole numbers without a fraction."""
    if is_seconds:
        return f"{value:.6f}".rstrip("0").rstrip(".")
    return repr(value + 0).removesuffix(".0")  # 0 makes a number of True, and 0.0 of -0.0


def _samples(result: Result, details: bool, counts: Counts | None) -> Iterator[Any]:
    """Yield ``(family, value, label, ...)`` for one check; the labels that name it are left out."""
    for state in get_args(State):
        yield "check_state", result.state == state, ("django_status_check_state", state)
    if result.judged:
        yield "check", 1, ("critical", str(result.critical).lower())
    began = history.began(result)
    passed = result.started_at if result.state == "pass" else history.passed_at(result.resource, result.name)
    if counts is not None and result.judged:
        yield "check_runs", counts.runs
        yield "check_failures", counts.failures
        passed = max(passed or 0.0, counts.passed_at)
    if began:  # a report of another instance tells no time
        yield "check_state_since_timestamp_seconds", began
    if passed:
        yield "check_last_success_timestamp_seconds", passed
    if details and result.duration is not None:
        yield "check_duration_seconds", result.duration
    for component, seconds in result.durations.items() if details else ():
        yield "component_duration_seconds", seconds, ("component", component)
    if not result.running:
        yield "check_age_seconds", result.age
        if result.judged:
            yield "check_up", result.state == "pass"
    for name, value in _numbers(result.answer_for(details), result.metrics):
        yield "check_value", value, ("value", name)
    for part in components(result, details):
        if part.name is None:
            continue
        if result.judged:
            yield "component_up", part.state == "pass", ("component", part.name)
        for name, value in _numbers(part.value, result.metrics):
            yield "check_value", value, ("component", part.name), ("value", name)
    if result.judged and result.error is not None:  # a series that vanishes alerts nobody
        for name in history.parts(result.resource, result.name, details):
            yield "component_up", False, ("component", name)


def _numbers(values: JSON, names: Iterable[str]) -> Iterator[tuple[str, float]]:
    """Yield what is a number among the entries of these names."""
    for name in names:
        value = values.get(name) if isinstance(values, dict) else None
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            yield name, value


def _code_that_runs(report: Report) -> tuple[Labels, bool | None]:
    """Return commit and tag as labels, and whether another commit is on disk: None where no commit is told."""
    facts = [result.answer for result in report.results if (result.resource, result.name) == ("stats", "code")]
    known = facts[0] if facts and isinstance(facts[0], dict) else {}
    commit = known.get("commit")
    labels = {"commit": commit.get("id") if isinstance(commit, dict) else None, "tag": known.get("tag")}
    told = tuple((name, text) for name, text in labels.items() if isinstance(text, str))
    return told, "checkout" in known if isinstance(labels["commit"], str) else None
