"""What an answer is: frozen values that say what was asked, what came, how it is judged, why, how long and when."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from status.serialization import JSON

#: ``running``: asked by a caller who would not wait for it; nobody knows yet.
State = Literal["pass", "warn", "fail", "running", "info"]


class Result(NamedTuple):
    """The answer of one provider.

    resource, name: what was asked.
    answer: what the classic JSON shows; ``{"ok": False, "error": ...}`` when the provider itself failed.
    public_answer: the part of it that a stranger may see.
    sound: no failure of its own, and neither ``false`` nor ``null`` anywhere in the answer.
    judged: False in resources that only inform (``STATUS_INFORMATIONAL``).
    critical: False where a failure is a warning (option ``critical``).
    error: a safe sentence when the provider itself failed, else None. Never an exception's own text.
    reasons: component -> safe sentence, for components that fail. For callers who may see details.
    warnings: component -> safe sentence, for components that are not well, but no reason to answer 503.
    duration: seconds the run took, or has taken so far when it is still running.
    durations: component -> seconds, where components are asked side by side.
    started_at: when the run began, seconds since the epoch.
    age: seconds since the answer was complete, 0.0 unless it is reused.
    cut: values left out of the answer to stay within the limits.
    running: the caller did not wait for the end of the run.
    """

    resource: str
    name: str
    answer: JSON
    public_answer: JSON
    sound: bool
    judged: bool = True
    critical: bool = True
    error: str | None = None
    reasons: Mapping[str, str] = MappingProxyType({})
    warnings: Mapping[str, str] = MappingProxyType({})
    duration: float = 0.0
    durations: Mapping[str, float] = MappingProxyType({})
    started_at: float = 0.0
    age: float = 0.0
    cut: int = 0
    running: bool = False

    @property
    def state(self) -> State:
        """The judging rule: what fails, what only warns, what only informs."""
        if self.running:
            return "running"
        if not self.judged:
            return "info"
        if self.sound:
            return "warn" if self.warnings else "pass"
        return "fail" if self.critical else "warn"

    def answer_for(self, details: bool) -> JSON:
        """The answer as a caller may see it; ``details`` is True for one with authority."""
        return self.answer if details else self.public_answer


class Report(NamedTuple):
    """The answer to one question: results in the order of the configuration.

    resources: the names of the resources asked for, also those without a provider.
    resource, provider: what the address or the command line named; None where it did not.
    """

    results: tuple[Result, ...]
    resources: tuple[str, ...] = ()
    resource: str | None = None
    provider: str | None = None

    @property
    def state(self) -> Literal["pass", "warn", "fail"]:
        """``fail`` when anything critical and judged fails, else ``warn``, else ``pass``."""
        states = {result.state for result in self.results}
        if "fail" in states:
            return "fail"
        return "warn" if "warn" in states else "pass"

    @property
    def failing(self) -> bool:
        return any(result.state == "fail" for result in self.results)

    def of(self, resource: str) -> tuple[Result, ...]:
        return tuple(result for result in self.results if result.resource == resource)

    def document(self, details: bool) -> JSON:
        """The classic document: one answer, or provider -> answer, or resource -> provider -> answer."""
        if self.provider is not None:
            return self.results[0].answer_for(details)
        if self.resource is not None:
            return {result.name: result.answer_for(details) for result in self.results}
        return {
            resource: {result.name: result.answer_for(details) for result in self.of(resource)}
            for resource in self.resources
        }


def is_sound(value: JSON) -> bool:
    """Neither ``false`` nor ``null`` at any depth. Numbers, strings and empty containers never fail."""
    if value is None or value is False:
        return False
    if isinstance(value, dict):
        return all(map(is_sound, value.values()))
    if isinstance(value, list):
        return all(map(is_sound, value))
    return True


def failure(reason: str) -> dict[str, JSON]:
    """The answer that stands in for that of a provider which failed itself."""
    return {"ok": False, "error": reason}
