"""One execution of a check: shared by all who ask meanwhile, given up when it hangs; and what comes of it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from copy import copy
from functools import partial
from inspect import isawaitable
from time import monotonic
from types import MappingProxyType
from typing import Any, NamedTuple

from status.entries import Check
from status.providers.base import Answer, Part, Unavailable, call_until
from status.report import failure
from status.serialization import JSON, NotPlain, to_plain
from status.threads import Call, Job, Latch, Worker, call_here


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
        #: The one that had returned last when this one began; None once this one has returned, too.
        self.before: Execution | None = None
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
        self.before = None
        self.returned.open()

    def as_it_was_told(self) -> Execution:
        """Return one with the outcome that those were told who waited: where it overstayed, that it did."""
        if self.finished <= self.deadline:
            return self
        told = copy(self)
        told.outcome = Outcome.failed(timed_out(self.timeout))
        return told

    def seconds(self, now: float) -> float | None:
        """Return how long it took, or has taken so far; None where it never began."""
        if not self.begun:
            return None
        return (now if self.outcome is None else self.finished) - self.started


class SingleFlight:
    """The executions of one check or part: one at a time, shared by all who ask meanwhile.

    An execution that overstays its deadline is abandoned: reported as timed out at once, and replaced when somebody
    asks ``replace_after`` seconds after it began, while fewer than ``limit`` are under way.
    """

    replace_after = 30.0
    limit = 3
    worker: Worker | None = None

    def __init__(self, name: str) -> None:
        self.lock = threading.Lock()
        self.name = name
        self.newest: Execution | None = None
        #: Those that have not returned; all but the newest are abandoned.
        self.unfinished: list[Execution] = []
        #: The one that returned last, for reuse.
        self.last: Execution | None = None
        #: The execution that the worker was given last.
        self.submitted: Execution | None = None
        #: When the execution began of which the observers know.
        self.noted = -math.inf

    def join(self, offered: Execution, asked: float, max_age: float) -> Execution:
        """Return the execution that answers a question asked then: ``offered`` where no other one does.

        The caller then starts it, and ends it in any case.
        """
        with self.lock:
            last = self.last
            if last is not None and max_age and asked - last.finished <= max_age and last.finished <= last.deadline:
                return last
            newest = self.newest
            if newest is not None and newest.outcome is None:
                given_up = asked >= newest.deadline and asked - newest.started >= self.replace_after
                if not given_up or len(self.unfinished) >= self.limit:
                    return newest
            if self.unfinished:
                offered.trouble_since = self.unfinished[0].started_at
            offered.before = last
            self.unfinished.append(offered)
            self.newest = offered
            return offered

    def submit(self, execution: Execution, job: Job, at_end: Callable[[], object]) -> None:
        """Have ``job`` run ``execution`` on the warm worker, or on a new one where that hangs in an abandoned one.

        at_end: what the worker does when it has had nothing to do for a while.

        Raises RuntimeError where no thread can be started.
        """
        with self.lock:
            if self.submitted is not None and self.submitted.outcome is None and self.worker is not None:
                self.worker.abandon()
                self.worker = None
            self.submitted = execution
            if self.worker is None:
                self.worker = Worker(self.name, at_end)
            self.worker.submit(job)

    def begin(self, execution: Execution) -> bool:
        """Return whether the caller is to execute it: nobody has begun or withdrawn it."""
        with self.lock:
            begun, execution.begun = execution.begun, True
        return not begun

    def end(self, execution: Execution, outcome: Outcome, reusable: bool = True) -> None:
        """Publish the outcome of an execution that returned, unless that is done.

        reusable: False for one that was not run.
        """
        with self.lock:
            if execution not in self.unfinished:
                return
            if reusable and (self.last is None or execution.started >= self.last.started):
                self.last = execution  # and not an abandoned one that comes in after its successor
            execution.finish(outcome)
            self.unfinished.remove(execution)

    def is_news(self, executions: Iterable[Execution]) -> bool:
        """Return whether the observers do not know of these, and count them as known from now on.

        Where there is nothing to execute, the answer is always news.
        """
        started = max((one.started for one in executions), default=None)
        if started is None:
            return True
        with self.lock:
            news = started > self.noted
            self.noted = max(started, self.noted)
        return news

    def stop(self) -> threading.Thread | None:
        """End the worker's thread after what it does. Return the thread where it does nothing."""
        with self.lock:
            thread = None if self.worker is None else self.worker.stop()
            return None if self.unfinished else thread

    def __del__(self) -> None:
        if self.worker is not None:
            self.worker.stop()


def timed_out(timeout: float) -> str:
    """Return what is said of a check that missed its deadline."""
    return f"timed out after {timeout:g} s"


def execute(
    check: Check | Part, execution: Execution, contained: Contained = BaseException, call: Call = call_here
) -> Outcome:
    """Run ``check`` and return what came of it, also where it raises what is ``contained``.

    call: runs what needs a thread of the operating system.
    """

    in_time = partial(call_until, execution.deadline, check)

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
        ages=plain_seconds(answer.ages),
        cut=plain.cut,
    )


def _sentences(by_component: Mapping[Any, Any]) -> Mapping[str, str]:
    """Return component -> sentence as plain text, without secrets and within the limits of an answer."""
    if not by_component:
        return {}
    return to_plain({str(name): str(text) for name, text in by_component.items()}).value  # type: ignore[return-value]


def plain_seconds(by_component: Mapping[Any, Any]) -> Mapping[str, float]:
    """Return component -> seconds, without secrets in the names."""
    if not by_component:
        return {}
    # Late, as in ``serialization``. One for all names: it reads the settings once.
    from status.redaction import Redactor

    redact = Redactor().redact
    return {redact(str(name)): float(seconds) for name, seconds in by_component.items()}
