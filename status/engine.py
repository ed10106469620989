"""Runs checks: within a deadline, one run at a time, side by side, each on its own. Knows no HTTP.

A thread cannot be killed. So every run that may wait gets a daemon thread of its own, and a run that overstays its deadline
is left behind: reported at once, replaced rarely, and forgotten when it ends.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from status.conf import conf
from status.entries import Check
from status.report import Result
from status.run import Outcome, Run, close_connections, execute, quietly, renew_connections

#: Seconds a thread waits for the next run before it closes what it kept and ends.
IDLE_SECONDS = 60.0
#: Seconds after which a run that never returned is given up and another one is tried.
REPLACE_SECONDS = 30.0
#: Runs of one check that may be left behind at a time. With this many, nothing is started until one of them returns.
MAX_RUNS = 3

if TYPE_CHECKING:
    import asyncio

Observer = Callable[[Check, Result], None]


class Lane:
    """Where the runs of one check take place: one at a time, on one warm thread."""

    def __init__(self, check: Check, observe: Observer) -> None:
        self.check = check
        self.observe = observe
        self.lock = threading.Lock()
        #: The run that was started last.
        self.newest: Run | None = None
        #: Runs that have not returned; all but the newest were left behind.
        self.unfinished: list[Run] = []
        #: The last run that returned, for reuse.
        self.last: Run | None = None
        #: A thread with nothing to do.
        self.idle: Worker | None = None

    def ask(self, now: float, timeout: float, max_age: float, inline: Callable[[Check], bool]) -> tuple[Run, bool]:
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
        outcome = execute(run)
        with self.lock:
            self.unfinished.remove(run)
            if self.last is None or run.started >= self.last.started:
                self.last = run  # and not one that was left behind and came in after its successor
            # Before the callers wake: the next one may come at once, and is to find this thread warm.
            if worker is not None and self.idle is None:
                self.idle = worker
            run.finish(outcome)
        self.note(run)

    def note(self, run: Run) -> None:
        """Tell the observers, once for each run, that it returned or missed its deadline."""
        with self.lock:
            noted, run.noted = run.noted, True
        if not noted:
            self.observe(self.check, run.result())


class Worker(threading.Thread):
    """A daemon thread that executes runs of one lane, and ends when there have been none for a while."""

    def __init__(self, lane: Lane, run: Run) -> None:
        super().__init__(name=f"status-{lane.check.resource}-{lane.check.name}", daemon=True)
        self.lane = lane
        self.next: Run | None = run
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
            self.wait()
        self.close()

    def wait(self) -> None:
        """Until there is another run, or until it is time to end."""
        lane = self.lane
        with lane.lock:
            if lane.idle is not self and self.next is None:
                return  # another thread is warm already: this run had been left behind
        if not self.signal.acquire(timeout=IDLE_SECONDS):
            with lane.lock:
                if lane.idle is self:
                    lane.idle = None
                    return
            self.signal.acquire()

    def dismiss(self) -> None:
        """End now instead of after ``IDLE_SECONDS``. Only for the lane's idle worker, under the lane's lock."""
        self.next = None
        self.signal.release()

    def close(self) -> None:
        if self.lane.check.provider is not None:
            quietly(self.lane.check.provider.close)
        close_connections()


class Engine:
    """Runs checks, and knows what runs in this process.

    observers: called with the check and its result once for each run, when it returns or misses its deadline, in whatever
        thread notices. They must return fast.
    """

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        self.observers = list(observers)
        self._forget()

    def _forget(self) -> None:
        """Start anew. After a fork nothing of the parent's runs, threads and locks is of any use."""
        self._lanes: WeakKeyDictionary[Check, Lane] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def run(
        self, checks: Iterable[Check], timeout: float | None = None, patience: float | None = None
    ) -> tuple[Result, ...]:
        """Ask ``checks``, all side by side, and answer their results in the same order.

        timeout: seconds, instead of each check's own deadline.
        patience: seconds this caller waits; what takes longer is answered as running, and goes on.
        """
        now = monotonic()
        runs, mine = self._begin(checks, now, timeout, lambda check: not check.may_block())
        for run in mine:
            self._lane(run.check).work(run)
        give_up = None if patience is None else monotonic() + patience
        for run in runs:
            run.wait(run.deadline if give_up is None else min(run.deadline, give_up))
        return self._results(runs, now)

    async def arun(
        self, checks: Iterable[Check], timeout: float | None = None, patience: float | None = None
    ) -> tuple[Result, ...]:
        """The same for a caller on an event loop, which is never blocked: many callers may wait without a thread each."""
        # Late: a process without an event loop does not pay for asyncio.
        import asyncio

        # Django refuses database work on the loop's own thread, so only what promises to do none runs there.
        now = monotonic()
        runs, mine = self._begin(
            checks, now, timeout, lambda check: check.provider is not None and not check.provider.blocking
        )
        for run in mine:
            self._lane(run.check).work(run)
        loop = asyncio.get_running_loop()
        give_up = None if patience is None else monotonic() + patience
        for run in runs:
            if run.outcome is None:
                done = asyncio.Event()
                run.when_done(partial(_wake, loop, done))
                until = run.deadline if give_up is None else min(run.deadline, give_up)
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(done.wait(), until - monotonic())
        return self._results(runs, now)

    def _begin(
        self, checks: Iterable[Check], now: float, timeout: float | None, inline: Callable[[Check], bool]
    ) -> tuple[list[Run], list[Run]]:
        """A run for each check, and those among them that the caller is to execute."""
        if conf.synchronous:
            runs = [Run(check, now, timeout or check.timeout) for check in checks]
            for run in runs:
                run.finish(execute(run))
                self._observe(run.check, run.result())
            return runs, []
        runs, mine = [], []
        for check in checks:
            run, own = self._lane(check).ask(now, timeout or check.timeout, check.max_age, inline)
            runs.append(run)
            if own:
                mine.append(run)
        return runs, mine

    def _results(self, runs: Sequence[Run], asked: float) -> tuple[Result, ...]:
        for run in runs:
            if run.outcome is None and run.overdue:
                self._lane(run.check).note(run)
        return tuple(run.result(asked) for run in runs)

    def _lane(self, check: Check) -> Lane:
        lane = self._lanes.get(check)
        if lane is None:
            with self._lock:
                lane = self._lanes.setdefault(check, Lane(check, self._observe))
        return lane

    def _observe(self, check: Check, result: Result) -> None:
        for observer in self.observers:
            quietly(observer, check, result)

    @property
    def busy(self) -> bool:
        """Whether a run has not returned. Whoever ends the process had better not wait for it."""
        return any(lane.unfinished for lane in list(self._lanes.values()))

    def close(self) -> None:
        """End the threads that have nothing to do, and wait for them. Tests call it; a server need not."""
        ended = []
        for lane in list(self._lanes.values()):
            with lane.lock:
                worker, lane.idle = lane.idle, None
                if worker is not None:
                    worker.dismiss()
                    ended.append(worker)
        for worker in ended:
            worker.join()


def _wake(loop: asyncio.AbstractEventLoop, done: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the caller is gone, and its loop closed
        loop.call_soon_threadsafe(done.set)


engine = Engine()
os.register_at_fork(after_in_child=engine._forget)
