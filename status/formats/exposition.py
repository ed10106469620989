"""What both metrics formats expose: the families and their samples, without the differences in spelling."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from status import __version__
from status.formats.components import Component, components, one_line
from status.report import Report, Result

_STATES = ("pass", "warn", "fail", "running", "info")
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Family:
    """One metric family.

    name: as OpenMetrics has it, that is without the suffix of an info.
    type: as OpenMetrics has it.
    help: one line.
    unit: the suffix of the name, or empty.
    samples: label set -> value. A label set that comes twice keeps the lower value, so that no failure is lost.
    """

    name: str
    type: Literal["gauge", "stateset", "info"]
    help: str
    unit: str = ""
    samples: dict[Labels, float] = field(default_factory=dict)

    @property
    def sample_name(self) -> str:
        return f"{self.name}_info" if self.type == "info" else self.name

    def add(self, value: float, *labels: tuple[str, str]) -> None:
        cleaned = tuple((name, one_line(text)) for name, text in labels)
        self.samples[cleaned] = min(value, self.samples.get(cleaned, value))

    def lines(self) -> Iterator[str]:
        """The samples, one line each."""
        for labels, value in self.samples.items():
            spelled = ",".join(f'{name}="{escape(text)}"' for name, text in labels)
            yield f"{self.sample_name}{{{spelled}}} {_number(value)}"


def families(report: Report, details: bool) -> list[Family]:
    """Every family that has a sample. Durations and our own version are for callers who may see details."""
    pairs = [(result, component) for result in report.results for component in components(result, details)]
    exposed = [_up(report), _check_up(report.results), _states(report.results), _component_up(pairs)]
    if details:
        exposed.append(_durations(report.results))
    exposed.append(_ages(report.results))
    if details:
        exposed.append(_build())
    return [family for family in exposed if family.samples]


def escape(text: str) -> str:
    """A label value or a help text, as both formats escape it. Line ends are gone by then."""
    return text.replace("\\", r"\\").replace('"', r"\"")


def _up(report: Report) -> Family:
    family = Family("django_status_up", "gauge", "1 unless a critical check of the resource fails.")
    for resource in report.resources:
        results = report.of(resource)
        if not results or any(result.judged for result in results):
            family.add(not any(result.state == "fail" for result in results), ("resource", resource))
    return family


def _check_up(results: Iterable[Result]) -> Family:
    family = Family("django_status_check_up", "gauge", "1 if the check passes, 0 if it fails or warns.")
    for result in results:
        if result.judged and not result.running:
            family.add(result.sound, *_labels(result))
    return family


def _states(results: Iterable[Result]) -> Family:
    name = "django_status_check_state"
    family = Family(name, "stateset", "The state of the check; info is never judged.")
    for result in results:
        for state in _STATES:
            family.add(result.state == state, *_labels(result), (name, state))
    return family


def _component_up(pairs: Iterable[tuple[Result, Component]]) -> Family:
    family = Family("django_status_component_up", "gauge", "1 if this part of the check's answer passes.")
    for result, component in pairs:
        if result.judged and component.name is not None:
            family.add(component.state == "pass", *_labels(result), ("component", component.name))
    return family


def _durations(results: Iterable[Result]) -> Family:
    family = Family("django_status_check_duration_seconds", "gauge", "How long the check's last run took.", "seconds")
    for result in results:
        family.add(result.duration, *_labels(result))
    return family


def _ages(results: Iterable[Result]) -> Family:
    family = Family("django_status_check_age_seconds", "gauge", "How old the check's answer is.", "seconds")
    for result in results:
        if not result.running:
            family.add(result.age, *_labels(result))
    return family


def _build() -> Family:
    family = Family("django_status_build", "info", "The version of django-status.")
    family.add(1, ("version", __version__))
    return family


def _labels(result: Result) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("resource", result.resource), ("check", result.name)


def _number(value: float) -> str:
    """Seconds to the microsecond; whole numbers without a fraction."""
    return f"{value:.6f}".rstrip("0").rstrip(".")
