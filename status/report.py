"""Result, Report, Component, and the rule by which an answer is judged."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Literal, NamedTuple

from status.serialization import JSON

#: ``running``: the caller did not wait for the end, so the state is unknown.
State = Literal["pass", "warn", "fail", "running", "info"]
#: The entries of one answer that are reported one by one; further ones are only counted.
MAX_COMPONENTS = 500
#: Components that a summary names.
MAX_NAMED = 5
#: Characters of a name or a sentence that are written. Names may come from anywhere, for example from a Celery worker.
MAX_LENGTH = 200
#: Control characters and Unicode's line ends: they end a line somewhere, or are invisible.
_UNPRINTABLE = r"[\x00-\x1f\x7f-\x9f\u2028\u2029]"


class Result(NamedTuple):
    """The answer of one provider.

    resource, name: what was asked.
    answer: what the classic JSON shows; ``{"ok": False, "error": ...}`` when the provider itself failed.
    public_answer: the part of it that an anonymous caller may see.
    sound: no failure of its own, and neither ``false`` nor ``null`` anywhere in the answer.
    judged: False in resources that only inform (``STATUS_INFORMATIONAL``).
    critical: False where a failure is a warning (option ``critical``).
    error: a safe sentence when the provider itself failed, else None. Never an exception's own text.
    reasons: component -> safe sentence, for components that fail. For callers who may see details.
    warnings: component -> safe sentence, for components that are not well, but no reason to answer 503.
    ages: heartbeat -> seconds since it was last heard.
    duration: seconds the run took, or has taken so far when it is still running; None where nobody told, and where it
        never began.
    durations: component -> seconds, where components are asked side by side.
    started_at: when the run began, seconds since the epoch.
    age: seconds since the answer was complete, 0.0 unless it is reused.
    cut: values left out of the answer to stay within the limits.
    metrics: the names of the numbers in the answer that metrics show.
    impact: whom a failure hurts, in a sentence of the settings or the provider; empty where nobody said.
    running: the caller did not wait for the end of the run.
    since: when its state began, seconds since the epoch, as far as this process has seen. ``status.ask()`` tells it;
        None elsewhere.
    renewing: the caller did not wait for the end of the run, and this is the answer of the one before.
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
    ages: Mapping[str, float] = MappingProxyType({})
    duration: float | None = None
    durations: Mapping[str, float] = MappingProxyType({})
    started_at: float = 0.0
    age: float = 0.0
    cut: int = 0
    metrics: Collection[str] = ()
    impact: str = ""
    running: bool = False
    since: float | None = None
    renewing: bool = False

    @property
    def state(self) -> State:
        """Return whether the provider passes, warns, fails, informs, or still runs."""
        return "running" if self.running else self.state_if(self.sound, bool(self.warnings))

    def state_if(self, sound: bool, warned: bool) -> State:
        """Apply the judging rule to the answer or a part of it. warned: the provider warns of it."""
        if not self.judged:
            return "info"
        if sound:
            return "warn" if warned else "pass"
        return "fail" if self.critical else "warn"

    @property
    def summary(self) -> str:
        """Return in one line why it fails or warns, for callers who may see details; else its state in a word."""
        if self.state not in ("fail", "warn"):
            return {"pass": "passes", "running": "still running", "info": "informs"}[self.state]
        troubled = [part for part in components(self, details=True) if part.state in ("fail", "warn")]
        told = [": ".join(one_line(text) for text in (part.name, part.output) if text) for part in troubled[:MAX_NAMED]]
        if len(troubled) > MAX_NAMED:
            told.append(f"and {len(troubled) - MAX_NAMED} more")
        return ", ".join(filter(None, told)) or "its answer holds false or null"

    @property
    def unnamed(self) -> dict[str, str]:
        """Return the reasons and warnings, where it fails or warns, that name no entry of the answer."""
        if self.state not in ("fail", "warn"):
            return {}
        entries = self.answer if isinstance(self.answer, dict) else {}
        names = [name for name in (*self.reasons, *self.warnings) if name not in entries]
        return {name: self.reasons.get(name) or self.warnings[name] for name in names}

    def answer_for(self, details: bool) -> JSON:
        """Return the answer as a caller may see it; ``details`` is True for an authorized one."""
        return self.answer if details else self.public_answer


class Counts(NamedTuple):
    """What all processes have counted of one check.

    runs, failures: how often it ran, and how often it did not answer well, whether that fails or only warns.
    passed_at: when the last run began that passed, seconds since the epoch; 0 where none did.
    """

    runs: int = 0
    failures: int = 0
    passed_at: float = 0.0


class Report(NamedTuple):
    """The answer to one question: results in the order of the configuration.

    resources: the names of the resources asked for, also those without a provider.
    resource, provider: what the address or the command line named; None where it did not.
    counts: by resource and name what was counted, for the formats that tell it; None where no store sums it up.
    """

    results: tuple[Result, ...]
    resources: tuple[str, ...] = ()
    resource: str | None = None
    provider: str | None = None
    counts: Mapping[tuple[str, str], Counts] | None = None

    @property
    def state(self) -> Literal["pass", "warn", "fail"]:
        """Return ``fail`` when anything critical and judged fails, else ``warn``, else ``pass``."""
        if self.failing:
            return "fail"
        return "warn" if any(result.state == "warn" for result in self.results) else "pass"

    @property
    def failing(self) -> bool:
        """Return whether anything critical and judged fails."""
        return any(result.state == "fail" for result in self.results)

    def of(self, resource: str) -> tuple[Result, ...]:
        """Return the results of one resource."""
        return tuple(result for result in self.results if result.resource == resource)

    def document(self, details: bool) -> JSON:
        """Return the classic document: an answer, provider -> answer, or resource -> provider -> answer."""
        if self.provider is not None:
            return self.results[0].answer_for(details)
        if self.resource is not None:
            return {result.name: result.answer_for(details) for result in self.results}
        return {
            resource: {result.name: result.answer_for(details) for result in self.of(resource)}
            for resource in self.resources
        }


class Component(NamedTuple):
    """One entry of a provider's answer, as a caller may see it.

    name: the entry's key; None where the provider as a whole is meant.
    value: None where the provider failed itself or still runs.
    state: by the same rule as the result's own; ``warn`` where the provider warns of it.
    output: a safe sentence: why it fails or warns, or that it runs; None otherwise, and where it may not be shown.
    """

    result: Result
    name: str | None
    value: JSON
    state: State
    output: str | None = None

    @property
    def duration(self) -> float | None:
        """Return its own seconds where it was asked by itself, else those of the whole run."""
        if self.name is None:
            return self.result.duration
        return self.result.durations.get(self.name, self.result.duration)

    @property
    def address(self) -> str:
        """Return ``resource/provider/component`` in one word: spaces and unprintable characters become ``_``."""
        names = (self.result.resource, self.result.name, self.name)
        return "/".join(re.sub(r"\s", "_", one_line(name)) for name in names if name is not None)


def components(result: Result, details: bool) -> Iterator[Component]:
    """Yield the entries of the answer as a caller may see it; the provider as a whole where there are none.

    The whole also follows the entries where a reason or warning names none of them, and where none of those shown has
    the provider's state: a failure never disappears with the part of an answer that is for authorized callers only, or
    too long.
    """
    if result.running:
        yield Component(result, None, None, "running", "still running")
        return
    answer = result.answer_for(details)
    if result.error is not None:
        public = answer.get("error") if isinstance(answer, dict) else None
        error = result.error if details else public if isinstance(public, str) else None
        yield Component(result, None, None, result.state, error)
        return
    reasons, warnings = (result.reasons, result.warnings) if details else ({}, {})
    entries = list(answer.items()) if isinstance(answer, dict) else []
    hidden = len(entries) - MAX_COMPONENTS
    if hidden > 0:
        entries.sort(key=lambda entry: (is_sound(entry[1]), entry[0] not in result.warnings))
    explained = False
    for name, value in entries[:MAX_COMPONENTS]:
        state = result.state_if(is_sound(value), name in result.warnings)
        explained = explained or state == result.state
        output = reasons.get(name) or warnings.get(name) if state in ("fail", "warn") else None
        yield Component(result, name, value, state, output)
    unnamed = result.unnamed if details else {}
    told = "; ".join(unnamed.values()) or None
    if hidden > 0:
        yield Component(result, None, None, result.state, f"{hidden:,} more not shown")
    if hidden <= 0 and not explained:
        yield Component(result, None, answer, result.state, told)
    elif told:
        sound = result.sound or not unnamed.keys() & result.reasons.keys()
        yield Component(result, None, None, result.state_if(sound, True), told)


def overall(report: Report) -> Literal["pass", "warn", "fail"]:
    """Return the report in one word.

    What still runs makes it ``warn``: it is no pass, and no outage either, so the HTTP status stays.
    """
    if report.state == "pass" and any(result.running for result in report.results):
        return "warn"
    return report.state


def summary(report: Report) -> str:
    """Return the report in half a sentence for everyone: how many checks fail, and which."""
    judged = [result for result in report.results if result.judged]
    parts = []
    for state, word, among in (
        ("fail", "failing", judged),
        ("warn", "warning", judged),
        ("running", "still running", report.results),
    ):
        checks = "check" if len(among) == 1 else "checks"
        names = [one_line(f"{result.resource}/{result.name}") for result in among if result.state == state]
        if names:
            shown = ", ".join([*names[:MAX_NAMED], "..."] if len(names) > MAX_NAMED else names)
            parts.append(f"{len(names)} of {len(among)} {checks} {word}: {shown}")
    if parts or not judged:
        return "; ".join(parts) or "nothing is judged here"
    return "1 check passed" if len(judged) == 1 else f"{len(judged)} checks passed"


def one_line(text: str) -> str:
    """Return text that stays in its line: unprintable characters become ``_``; cut at ``MAX_LENGTH`` characters."""
    printable = re.sub(_UNPRINTABLE, "_", text[: MAX_LENGTH + 1])
    return printable if len(printable) <= MAX_LENGTH else f"{printable[: MAX_LENGTH - 1]}…"


def iso(timestamp: float) -> str:
    """Return seconds since the epoch as a time in UTC: ``2026-11-26T08:00:00Z``."""
    return _iso_of_second(math.floor(timestamp))


@lru_cache(maxsize=1_024)
def _iso_of_second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))


def is_sound(value: JSON) -> bool:
    """Return whether there is neither ``false`` nor ``null`` at any depth.

    Numbers, strings and empty containers never fail.
    """
    if value is None or value is False:
        return False
    if isinstance(value, dict):
        return all(map(is_sound, value.values()))
    if isinstance(value, list):
        return all(map(is_sound, value))
    return True


def failure(reason: str) -> dict[str, JSON]:
    """Return the answer that stands in for that of a provider which failed itself."""
    return {"ok": False, "error": reason}
