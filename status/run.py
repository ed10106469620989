"""One run of one check or part, shared by all who ask meanwhile, and what each of them is told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from time import monotonic

from status.containment import quietly
from status.entries import Check
from status.outcome import Outcome, contain, outcome_of
from status.providers.base import Composite, Finding, Part
from status.report import Result


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

    @property
    def overdue(self) -> bool:
        return monotonic() >= self.deadline

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
        with self._lock:
            noted, self._noted = self._noted, True
        return not noted

    def wait(self, until: float) -> None:
        """Until the run returns, or until ``until`` on the monotonic clock."""
        if self.outcome is None and self._done.acquire(timeout=max(0.0, until - monotonic())):
            self._done.release()  # for the next one who waits

    def when_done(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called when the run returns, from whatever thread; at once if it has."""
        with self._lock:
            if self.outcome is None:
                self._callbacks.append(callback)
                return
        callback()

    def reason(self, asked: float) -> str | None:
        """Why there is no answer for one who asked then, as a safe sentence; None where there is one, or may yet be."""
        if self.outcome is not None:
            return self.outcome.error
        if not self.overdue:
            return None
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
    running = any(run.outcome is None and not run.overdue for run in runs)
    outcome = Outcome(None, None, sound=False) if running else _outcome(check, runs, asked)
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
        duration=max([run.duration(now) for run in runs], default=0.0),
        started_at=min([run.started_at for run in runs], default=time.time()),
        age=max([run.age(asked, now) for run in runs], default=0.0),
        cut=outcome.cut,
        running=running,
    )


def _outcome(check: Check, runs: Sequence[Run], asked: float) -> Outcome:
    provider = check.provider
    if isinstance(provider, Composite) and not (runs and runs[0].check is check):
        findings = {run.check.name: run.finding(asked) for run in runs}
        return contain(check, lambda: outcome_of(check, provider.compose(findings)))
    (run,) = runs
    return run.outcome or Outcome.failed(str(run.reason(asked)))
