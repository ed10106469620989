"""One execution of a check, and what came of it: the outcome, and the result that a caller is told."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from inspect import isawaitable
from time import monotonic
from types import MappingProxyType
from typing import Any, NamedTuple

from status.entries import Check
from status.providers.base import Answer, Finding, Part, Unavailable, running_until
from status.report import Result, failure, iso
from status.serialization import JSON, NotPlain, to_plain
from status.threads import Call, call_here, running_future


class Outcome(NamedTuple):
    """What came of an execution. The fields are those of ``Result``."""

    answer: JSON
    public_answer: JSON
    sound: bool
    error: str | None = None
    reasons: Mapping[str, str] = MappingProxyType({})
    warnings: Mapping[str, str] = MappingProxyType({})
    ages: Mapping[str, float] = MappingProxyType({})
    cut: int = 0

    @classmethod
    def failed(cls, reason: str) -> Outcome:
        """Return the outcome of a check that itself failed. ``reason`` is safe to show."""
        answer = failure(reason)
        return cls(answer, answer, sound=False, error=reason)


Contained = type[BaseException] | tuple[type[BaseException], ...]
#: For a caller who does not wait for the answer.
UNKNOWN = Outcome(None, None, sound=False)


class Execution:
    """One execution of a check or part, from its start until it returns, which may be never.

    timeout: seconds until it counts as timed out.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.started = monotonic()
        self.started_at = time.time()
        #: When the oldest execution of the check began that has not returned, seconds since the epoch.
        self.trouble_since = self.started_at
        self.deadline = self.started + timeout
        self.finished = 0.0
        self.begun = False
        #: What came of it; None until it returns.
        self.outcome: Outcome | None = None
        #: Done when it returns.
        self.future: Future[None] = running_future()

    def finish(self, outcome: Outcome) -> None:
        """Publish the outcome to everyone who waits. May be called again where it was interrupted."""
        self.finished = self.finished or monotonic()
        self.outcome = self.outcome or outcome
        with suppress(InvalidStateError):
            self.future.set_result(None)

    def left(self, give_up: float) -> float:
        """Return the seconds to wait: until the deadline or ``give_up`` (monotonic); 0 when it has returned."""
        return 0.0 if self.outcome is not None else max(0.0, min(self.deadline, give_up) - monotonic())

    def seconds(self, now: float) -> float | None:
        """Return how long it took, or has taken so far; None where it never began."""
        if not self.begun:
            return None
        return (now if self.outcome is None else self.finished) - self.started

    def reason(self, asked: float) -> str | None:
        """Return why there is no answer for a caller who asked then, as a safe sentence; None where there is one."""
        if self.outcome is not None:
            return self.outcome.error
        late = timed_out(self.timeout)
        return late if asked < self.deadline else f"{late}, still running since {iso(self.trouble_since)}"

    def finding(self, asked: float) -> Finding:
        """Return what a part's execution contributes to the composed answer."""
        reason = self.reason(asked)
        if self.outcome is None or reason:
            return Finding(reason=reason)
        return Finding.of(self.outcome.answer, self.outcome.reasons, self.outcome.warnings)


def timed_out(timeout: float) -> str:
    """Return what is said of a check that missed its deadline."""
    return f"timed out after {timeout:g} s"


def execute(
    check: Check | Part, execution: Execution, contained: Contained = BaseException, call: Call = call_here
) -> Outcome:
    """Run ``check`` and return what came of it, also where it raises what is ``contained``.

    call: runs what needs a thread of the operating system.
    """

    def in_time(function: Callable[..., Any], *args: Any) -> Any:
        with running_until(execution.deadline, check):
            return function(*args)

    def ask() -> Outcome:
        value = call(in_time, check.run) if check.native else in_time(check.run)
        if isawaitable(value):
            # Late: it imports asyncio, which takes as long as all else that the standalone command needs.
            from status.engine.coroutines import run_awaitable

            value = call(in_time, run_awaitable, value, execution.deadline, timed_out(execution.timeout))
        return outcome_of(check, value)

    return contain(check, ask, contained)


def contain(check: Check | Part, ask: Callable[[], Outcome], contained: Contained = BaseException) -> Outcome:
    """Return what comes of ``ask``. The one place where an exception becomes a failed check.

    contained: classes of exceptions for which the check fails; by default all, lest ``sys.exit()`` ends the server.
    """
    try:
        outcome = ask()
    except contained as error:
        reason = _reason_of(error)
        check.failures.failed(reason, error)
        return Outcome.failed(reason)
    check.failures.passed()
    return outcome


def _reason_of(error: BaseException) -> str:
    """Return why a check failed, as a safe sentence."""
    if isinstance(error, NotPlain):
        return f"answered {error}, which JSON cannot hold"
    if isinstance(error, Unavailable):
        with suppress(Exception):  # a subclass with a broken __str__
            return str(to_plain(str(error)).value)
    return f"raised {type(error).__name__}"


def outcome_of(check: Check | Part, value: Any) -> Outcome:
    """Return the outcome of a check that answered ``value``. Raises ``NotPlain``, and what reading the value raises."""
    answer = value if isinstance(value, Answer) else Answer(value)
    plain = to_plain(answer.value)
    public = check.public(plain.value)
    return Outcome(
        answer=plain.value,
        public_answer=plain.value if public is plain.value else to_plain(public).value,
        sound=plain.sound,
        reasons=_sentences(answer.reasons),
        warnings=_sentences(answer.warnings),
        ages={str(name): float(seconds) for name, seconds in answer.ages.items()},
        cut=plain.cut,
    )


def _sentences(by_component: Mapping[Any, Any]) -> Mapping[str, str]:
    """Return component -> sentence as plain text, without secrets and within the limits of an answer."""
    if not by_component:
        return {}
    return to_plain({str(name): str(text) for name, text in by_component.items()}).value  # type: ignore[return-value]


class Asked(NamedTuple):
    """A check of one question, with what answers it.

    executions: that of the check under None or, where its answer is composed, that of each part under its name.
    """

    check: Check
    executions: Mapping[str | None, Execution]

    def result(self, since: float) -> Result:
        """Return what a caller who asked at ``since`` (monotonic) is told now."""
        now = monotonic()
        running, age, started_at = False, 0.0, math.inf
        durations: dict[str | None, float] = {}  # of what was run
        for name, one in self.executions.items():
            started_at = min(started_at, one.started_at)
            if (seconds := one.seconds(now)) is not None:
                durations[name] = seconds
            if one.outcome is None:
                running = running or now < one.deadline
            elif one.finished < since:  # it was over before the caller asked: its answer is reused
                age = max(age, now - one.finished)
        outcome = UNKNOWN if running else self._outcome(since)
        return Result(
            resource=self.check.resource,
            name=self.check.name,
            answer=outcome.answer,
            public_answer=outcome.public_answer,
            sound=outcome.sound,
            judged=self.check.judged,
            critical=self.check.critical,
            error=outcome.error,
            reasons=outcome.reasons,
            warnings=outcome.warnings,
            ages={name: seconds + age for name, seconds in outcome.ages.items()},
            duration=max(durations.values(), default=None),
            durations={name: seconds for name, seconds in durations.items() if name is not None},
            started_at=started_at if self.executions else time.time(),
            age=age,
            cut=outcome.cut,
            metrics=self.check.metrics,
            impact=self.check.impact,
            running=running,
        )

    def _outcome(self, since: float) -> Outcome:
        whole = self.executions.get(None)
        if whole is not None:
            return whole.outcome or Outcome.failed(str(whole.reason(since)))
        check, provider = self.check, self.check.provider
        findings = {str(name): one.finding(since) for name, one in self.executions.items()}
        return contain(check, lambda: outcome_of(check, provider.compose(findings)))  # type: ignore[union-attr]
