"""One run of one check or part, shared by all who ask meanwhile, and what each of them is told."""

from __future__ import annotations

import contextvars
import math
import threading
import time
from collections.abc import Callable, Sequence
from operator import is_
from time import monotonic

from status.conf import conf
from status.containment import quietly
from status.entries import Assumed, Check
from status.outcome import Outcome, awaited, contain, outcome_of
from status.providers.base import Composite, Finding, Part, running_until
from status.report import Result

#: What a caller is told who would not wait.
UNKNOWN = Outcome(None, None, sound=False)


class Run:
    """One run, from its start until it returns, which may be never. Shared by all who ask meanwhile."""

    def __init__(self, check: Check | Part, now: float, timeout: float) -> None:
        self.check = check
        self.timeout = timeout
        self.started = now
        self.started_at = time.time()
        self.deadline = now + timeout
        self.finished = 0.0
        self.outcome: Outcome | None = None
        self._noted = False
        self._callbacks: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._done = threading.Lock()
        self._done.acquire()

    def execute(self) -> Outcome:
        """Ask the check in this thread."""

        def ask() -> Outcome:
            self._learn()
            with running_until(self.deadline):
                return outcome_of(self.check, awaited(self.check.run(), self.deadline, self.late))

        # A context of its own: what the provider sets (language, time zone, tracing) ends with the run.
        return contain(self.check, ask if conf.synchronous else lambda: contextvars.Context().run(ask))

    def _learn(self) -> None:
        """What the class says of the deadline, where it is loaded only now. Raises what loading it raises."""
        if isinstance(self.timeout, Assumed) and isinstance(self.check, Check):
            self.check.load()
            self.timeout = self.check.timeout
            self.deadline = self.started + self.timeout

    @property
    def late(self) -> str:
        """What is said of a run that missed its deadline."""
        return f"timed out after {self.timeout:g} s"

    def finish(self, outcome: Outcome) -> None:
        """Publish the outcome and wake everyone who waits."""
        with self._lock:
            self.finished = monotonic()
            self.outcome = outcome
            callbacks, self._callbacks = self._callbacks, []
        self._done.release()
        for callback in callbacks:
            quietly(callback)  # the event loop behind it may be closed by now

    def note(self) -> bool:
        """True the first time: whoever gets it tells the observers."""
        if self._noted:  # mostly, where an answer is shared or reused
            return False
        with self._lock:
            noted, self._noted = self._noted, True
        return not noted

    def left(self, give_up: float) -> float:
        """Seconds to wait for it: until its deadline, or until ``give_up`` on the monotonic clock; 0 if it is over."""
        return 0.0 if self.outcome is not None else max(0.0, min(self.deadline, give_up) - monotonic())

    def wait(self, seconds: float) -> None:
        """Until the run returns, or so many ``seconds``."""
        if self.outcome is None and self._done.acquire(timeout=seconds):
            self._done.release()  # for the next one who waits

    def when_done(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called when the run returns, from whatever thread; at once if it has."""
        with self._lock:
            if self.outcome is None:
                self._callbacks.append(callback)
                return
        callback()

    def reason(self, asked: float) -> str | None:
        """Why there is no answer for one who asked then, as a safe sentence; None where there is one.

        Of a run that has returned or is overdue: of any other, nobody knows yet.
        """
        if self.outcome is not None:
            return self.outcome.error
        if asked < self.deadline:
            return self.late
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.started_at))
        return f"{self.late}, still running since {since}"

    def duration(self, now: float) -> float:
        """Seconds it took, or has taken so far."""
        return (self.finished if self.outcome is not None else now) - self.started

    def age(self, asked: float, now: float) -> float:
        """Seconds since it was over, for one who asked after that: the answer is a reused one. Else 0."""
        return now - self.finished if self.outcome is not None and self.finished < asked else 0.0

    def finding(self, asked: float) -> Finding:
        reason = self.reason(asked)
        return Finding(reason=reason) if self.outcome is None or reason else Finding(self.outcome.answer)


def result_of(check: Check, runs: Sequence[Run], asked: float) -> Result:
    """What one who asked then is told now.

    runs: the run of the check, or one for each part of which its answer is composed.
    """
    now = monotonic()
    running, duration, age, started_at = False, 0.0, 0.0, math.inf
    for run in runs:
        running = running or (run.outcome is None and now < run.deadline)
        duration = max(duration, run.duration(now))
        age = max(age, run.age(asked, now))
        started_at = min(started_at, run.started_at)
    outcome = UNKNOWN if running else _outcome(check, runs, asked)
    return Result(
        resource=check.resource,
        name=check.name,
        answer=outcome.answer,
        public_answer=outcome.public_answer,
        sound=outcome.sound,
        judged=check.judged,
        critical=check.critical,
        error=outcome.error,
        reasons=outcome.reasons,
        duration=duration,
        started_at=started_at if runs else time.time(),
        age=age,
        cut=outcome.cut,
        running=running,
    )


def _outcome(check: Check, runs: Sequence[Run], asked: float) -> Outcome:
    provider = check.provider
    if isinstance(provider, Composite) and not (runs and runs[0].check is check):
        return _composed(check, provider, runs, asked)
    (run,) = runs
    return run.outcome or Outcome.failed(str(run.reason(asked)))


def _composed(check: Check, provider: Composite, runs: Sequence[Run], asked: float) -> Outcome:
    """Composed anew only when something else came of a part: mostly, all of them are as well as they were."""
    parts = [part for run in runs for part in (run.check, run.outcome)]
    known: tuple[list[object], Outcome] | None = check.composed
    if known is not None and len(known[0]) == len(parts) and all(map(is_, known[0], parts)):
        return known[1]
    findings = {run.check.name: run.finding(asked) for run in runs}
    outcome = contain(check, lambda: outcome_of(check, provider.compose(findings)))
    # What is said of a run under way depends on who asks, and when.
    check.composed = None if None in parts else (parts, outcome)
    return outcome
