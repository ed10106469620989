"""One execution of a check, and what came of it: the outcome, and the result that a caller is told."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from inspect import isawaitable
from time import monotonic
from types import MappingProxyType
from typing import Any, NamedTuple

from status.entries import Check
from status.providers.base import Answer, Finding, Part, Unavailable, running_until
from status.report import Result, failure, iso
from status.serialization import JSON, NotPlain, to_plain
from status.threads import Call, Latch, call_here


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
        self.start()
        #: When the oldest execution of the check began that has not returned, seconds since the epoch.
        self.trouble_since = self.started_at
        self.finished = 0.0
        self.begun = False
        #: What came of it; None until it returns.
        self.outcome: Outcome | None = None
        #: Open when it has returned.
        self.returned = Latch()

    def start(self) -> None:
        """Begin to count the time, anew where it has waited for others in the same thread."""
        self.started, self.started_at = monotonic(), time.time()
        self.deadline = self.started + self.timeout

    def finish(self, outcome: Outcome) -> None:
        """Publish the outcome to everyone who waits. May be called again where it was interrupted."""
        self.finished = self.finished or monotonic()
        self.outcome = self.outcome or outcome
        self.returned.open()

    def seconds(self, now: float) -> float | None:
        """Return how long it took, or has taken so far; None where it never began."""
        if not self.begun:
            return None
        return (now if self.outcome is None else self.finished) - self.started


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
        ages=_seconds(answer.ages),
        cut=plain.cut,
    )


def _sentences(by_component: Mapping[Any, Any]) -> Mapping[str, str]:
    """Return component -> sentence as plain text, without secrets and within the limits of an answer."""
    if not by_component:
        return {}
    return to_plain({str(name): str(text) for name, text in by_component.items()}).value  # type: ignore[return-value]


def _seconds(by_component: Mapping[Any, Any]) -> Mapping[str, float]:
    """Return component -> seconds, without secrets in the names."""
    if not by_component:
        return {}
    # Late, as in ``serialization``. One for all names: it reads the settings once.
    from status.redaction import Redactor

    redact = Redactor().redact
    return {redact(str(name)): float(seconds) for name, seconds in by_component.items()}


class Asked(NamedTuple):
    """A check of one question, with what answers it.

    executions: that of the check under None or, where its answer is composed, that of each part under its name.
    asked: when the question was asked (monotonic).
    timeout: seconds that the caller gives it. What takes longer has failed for this caller, and for nobody else.
    """

    check: Check
    executions: Mapping[str | None, Execution]
    asked: float
    timeout: float = math.inf

    def waits(self, give_up: float) -> Iterator[tuple[Latch, float]]:
        """Yield what to wait for, and how many seconds: until a deadline or ``give_up`` (monotonic)."""
        for one in self.executions.values():
            # A deadline may move: see ``Execution.start``.
            while one.outcome is None and (left := min(self._deadline(one), give_up) - monotonic()) > 0:
                yield one.returned, left

    def is_over(self) -> bool:
        """Return whether each execution has returned or missed its own deadline, and not only that of this caller."""
        now = monotonic()
        return all(
            one.outcome is not None or (self._deadline(one) <= now and one.timeout <= self.timeout)
            for one in self.executions.values()
        )

    def result(self) -> Result:
        """Return what the caller is told now."""
        now = monotonic()
        running, age, started_at = False, 0.0, math.inf
        durations: dict[str | None, float] = {}  # of what was run
        for name, one in self.executions.items():
            started_at = min(started_at, one.started_at)
            if (seconds := one.seconds(now)) is not None:
                durations[name] = seconds
            if one.outcome is None:
                running = running or now < self._deadline(one)
            elif one.finished < self.asked:  # it was over before the caller asked: its answer is reused
                age = max(age, now - one.finished)
        outcome = UNKNOWN if running else self._outcome()
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
            durations=_seconds({name: seconds for name, seconds in durations.items() if name is not None}),
            started_at=started_at if self.executions else time.time(),
            age=age,
            cut=outcome.cut,
            metrics=self.check.metrics,
            impact=str(to_plain(self.check.impact).value) if self.check.impact else "",
            running=running,
        )

    def _deadline(self, one: Execution) -> float:
        return min(one.deadline, self.asked + self.timeout)

    def _outcome(self) -> Outcome:
        whole = self.executions.get(None)
        if whole is not None:
            return whole.outcome or Outcome.failed(self._late(whole))
        check, provider = self.check, self.check.provider
        findings = {str(name): self._finding(one) for name, one in self.executions.items()}
        # An alarm is meant for the caller.
        return contain(check, lambda: outcome_of(check, provider.compose(findings)), (Exception, SystemExit))  # type: ignore[union-attr]

    def _finding(self, one: Execution) -> Finding:
        """Return what a part contributes to the composed answer."""
        if one.outcome is None:
            return Finding(reason=self._late(one))
        if one.outcome.error:
            return Finding(reason=one.outcome.error)
        # A copy, as others may get the same answer, and a provider may change what it gets.
        return Finding.of(copy.deepcopy(one.outcome.answer), one.outcome.reasons, one.outcome.warnings)

    def _late(self, one: Execution) -> str:
        """Return why there is no answer yet, as a safe sentence."""
        if self.asked >= one.deadline:
            return f"{timed_out(one.timeout)}, still running since {iso(one.trouble_since)}"
        return timed_out(one.timeout if one.deadline <= self._deadline(one) else self.timeout)
