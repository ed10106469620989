"""Runs checks: within a deadline, one run at a time, side by side, each on its own. Knows no HTTP.

A thread cannot be killed. So every run that may wait gets a daemon thread of its own, and a run that overstays its
deadline is left behind: reported at once, replaced rarely, and forgotten when it ends.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from status.conf import conf
from status.containment import close_connections, quietly, renew_connections
from status.entries import Check
from status.outcome import Outcome, execute
from status.providers.base import Part
from status.report import Result
from status.run import Run, result_of

#: Seconds a thread waits for the next run before it closes what it kept and ends.
IDLE_SECONDS = 60.0
#: Seconds after which a run that never returned is given up and another one is tried.
REPLACE_SECONDS = 30.0
#: Runs of one check that may be left behind at a time. With this many, nothing is started until one of them returns.
MAX_RUNS = 3

if TYPE_CHECKING:
    import asyncio

Observer = Callable[[Check, Result], None]
#: A check, and its run or those of its parts.
Asked = tuple[Check, list[Run]]


class Lane:
    """Where the runs of one check, or of one part of it, take place: one at a time, on one warm thread.

    owner: marks the lanes of one engine in one process.
    returned: told of each run that returns.
    """

    def __init__(self, check: Check | Part, owner: object, returned: Callable[[Run], None]) -> None:
        self.check = check
        self.owner = owner
        self.returned = returned
        self.lock = threading.Lock()
        #: The run that was started last.
        self.newest: Run | None = None
        #: Runs that have not returned; all but the newest were left behind.
        self.unfinished: list[Run] = []
        #: The last run that returned, for reuse.
        self.last: Run | None = None
        #: A thread with nothing to do.
        self.idle: Worker | None = None

    def ask(self, now: float, timeout: float, max_age: float, inline: Callable[[Any], bool]) -> tuple[Run, bool]:
        """The run that answers a question asked ``now``, and whether the caller is to execute it itself."""
        with self.lock:
            if self.last is not None and max_age and now - self.last.finished <= max_age:
                return self.last, False
            newest = self.newest
            if newest is not None and newest.outcome is None:
                given_up = now >= newest.deadline and now - newest.started >= REPLACE_SECONDS
                if not given_up or len(self.unfinished) >= MAX_RUNS:
                    return newest, False
            run = Run(self.check, now, timeout)
            self.newest = run
            self.unfinished.append(run)
            if inline(self.check):
                return run, True
            try:
                self.hand_over(run)
            except RuntimeError:  # the process or the machine has no thread left
                self.unfinished.remove(run)
                run.finish(Outcome.failed("no thread could be started to run it"))
            return run, False

    def hand_over(self, run: Run) -> None:
        if self.idle is not None:
            worker, self.idle = self.idle, None
            worker.give(run)
        else:
            Worker(self, run).start()

    def work(self, run: Run, worker: Worker | None = None) -> None:
        """Execute ``run`` in this thread and let everyone know who waits for it."""
        outcome = execute(run.check, run.deadline, run.late)
        with self.lock:
            self.unfinished.remove(run)
            if self.last is None or run.started >= self.last.started:
                self.last = run  # and not one that was left behind and came in after its successor
            # Before the callers wake: the next one may come at once, and is to find this thread warm.
            if worker is not None:
                worker.spare = self.idle is not None
                self.idle = self.idle or worker
            run.finish(outcome)
        self.returned(run)


class Worker(threading.Thread):
    """A daemon thread that executes runs of one lane, and ends when there have been none for a while."""

    def __init__(self, lane: Lane, run: Run) -> None:
        super().__init__(name=f"status-{lane.check.resource}-{lane.check.name}", daemon=True)
        self.lane = lane
        self.next: Run | None = run
        #: Another thread is warm already, as the run of this one had been left behind.
        self.spare = False
        self.signal = threading.Lock()
        self.signal.acquire()

    def give(self, run: Run) -> None:
        self.next = run
        self.signal.release()

    def run(self) -> None:
        while (run := self.next) is not None:
            self.next = None
            renew_connections()
            self.lane.work(run, worker=self)
            renew_connections()
            if self.spare:
                break
            self.wait()
        else:
            # Nobody has asked for a while. A spare thread leaves alone what another one still uses.
            if self.lane.check.provider is not None:
                quietly(self.lane.check.provider.close)
        close_connections()

    def wait(self) -> None:
        """Until there is another run, or until it is time to end."""
        if not self.signal.acquire(timeout=IDLE_SECONDS):
            with self.lane.lock:
                if self.lane.idle is self:
                    self.lane.idle = None
                    return
            self.signal.acquire()  # handed over at the last moment

    def dismiss(self) -> bool:
        """End now instead of after ``IDLE_SECONDS``; False where there is something to do."""
        with self.lane.lock:
            if self.lane.idle is not self:
                return False
            self.lane.idle = None
        self.signal.release()
        return True


class Engine:
    """Runs checks, and knows what runs in this process.

    observers: called with the check and its result once for each run, when it returns or misses its deadline, in
        whatever thread notices. They must return fast.
    """

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        self.observers = list(observers)
        self._locks: dict[int, threading.Lock] = {}

    @property
    def _owner(self) -> tuple[Engine, int]:
        """What marks the lanes of this engine and process. To a forked child the runs, threads and locks of its parent
        are of no use. It finds that out by itself, as uWSGI forks without running what is registered for it.
        """
        return self, os.getpid()

    def run(
        self, checks: Iterable[Check], timeout: float | None = None, patience: float | None = None
    ) -> tuple[Result, ...]:
        """Ask ``checks``, all side by side, and answer their results in the same order.

        timeout: seconds, instead of each check's own deadline.
        patience: seconds this caller waits; what takes longer is answered as running, and goes on.
        """
        now = monotonic()
        asked = self._begin(checks, now, timeout, lambda check: not check.may_block())
        give_up = None if patience is None else monotonic() + patience
        for run in _runs(asked):
            run.wait(run.deadline if give_up is None else min(run.deadline, give_up))
        return self._results(asked, now)

    async def arun(
        self, checks: Iterable[Check], timeout: float | None = None, patience: float | None = None
    ) -> tuple[Result, ...]:
        """The same on an event loop, which is never blocked: many callers may wait without a thread each."""
        # Late: a process without an event loop does not pay for asyncio.
        import asyncio

        now = monotonic()
        # Django refuses database work on the loop's own thread, so only what promises to do none runs there.
        asked = self._begin(checks, now, timeout, lambda check: not getattr(check.provider, "blocking", True))
        loop = asyncio.get_running_loop()
        give_up = None if patience is None else monotonic() + patience
        for run in _runs(asked):
            left = (run.deadline if give_up is None else min(run.deadline, give_up)) - monotonic()
            # Who does not wait leaves nothing with a run that may never return.
            if run.outcome is None and left > 0:
                done = asyncio.Event()
                run.when_done(partial(_wake, loop, done))
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(done.wait(), left)
        return self._results(asked, now)

    def _begin(
        self, checks: Iterable[Check], now: float, timeout: float | None, inline: Callable[[Any], bool]
    ) -> list[Asked]:
        """Each check with its runs, one or as many as it has parts. What cannot wait is done already."""
        asked: list[Asked] = []
        mine: list[Run] = []
        synchronous = conf.synchronous
        for check in checks:
            limit, max_age, parts = timeout or check.timeout, check.max_age, check.parts()
            runs = []
            for one in [check] if parts is None else parts:
                if synchronous:
                    run, own = Run(one, now, limit), False
                    run.finish(execute(one, run.deadline, run.late))
                    if one.provider is not None:
                        quietly(one.provider.close)  # no idle thread will come to do it
                else:
                    run, own = self._lane(one).ask(now, limit, max_age, inline)
                runs.append(run)
                if own:
                    mine.append(run)
            asked.append((check, runs))
        for run in mine:
            self._lane(run.check).work(run)
        return asked

    def _results(self, asked: Sequence[Asked], now: float) -> tuple[Result, ...]:
        results = []
        for check, runs in asked:
            result = result_of(check, runs, now)
            if not result.running:
                self._note(check, runs, result)
            results.append(result)
        return tuple(results)

    def _returned(self, run: Run) -> None:
        """Perhaps nobody waits for the run, so the observers are told here. What has parts is told as a whole."""
        if isinstance(run.check, Check):
            self._note(run.check, [run], result_of(run.check, [run], run.started))

    def _note(self, check: Check, runs: Sequence[Run], result: Result) -> None:
        """Tell the observers, once for each run."""
        news = [run.note() for run in runs]
        if any(news):
            for observer in self.observers:
                quietly(observer, check, result)

    def _lane(self, check: Check | Part) -> Lane:
        lane: Lane | None = check.lane
        if lane is not None and lane.owner == self._owner:
            return lane
        with self._locks.setdefault(os.getpid(), threading.Lock()):
            lane = check.lane
            if lane is None or lane.owner != self._owner:
                lane = check.lane = Lane(check, self._owner, self._returned)
        return lane

    @property
    def busy(self) -> bool:
        """Whether a run has not returned. Whoever ends the process had better not wait for it."""
        return any(worker.lane.unfinished for worker in self._workers())

    def _workers(self) -> list[Worker]:
        threads = [thread for thread in threading.enumerate() if isinstance(thread, Worker)]
        return [worker for worker in threads if worker.lane.owner == self._owner]

    def close(self) -> None:
        """End the threads that have nothing to do, and wait for them. Tests call it; a server need not."""
        ended = [worker for worker in self._workers() if worker.dismiss()]
        for worker in ended:
            worker.join()


def _runs(asked: Sequence[Asked]) -> Iterator[Run]:
    for _, runs in asked:
        yield from runs


def _wake(loop: asyncio.AbstractEventLoop, done: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the caller is gone, and its loop closed
        loop.call_soon_threadsafe(done.set)


engine = Engine()
