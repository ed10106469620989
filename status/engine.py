"""Runs checks: within a deadline, one run at a time, side by side, each on its own. Knows no HTTP."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from status.conf import conf
from status.containment import quietly
from status.entries import Check
from status.lanes import STALL_SECONDS, Lane, Queue, Worker, release
from status.providers.base import Part
from status.report import Result
from status.run import Run, result_of

if TYPE_CHECKING:
    import asyncio

Observer = Callable[[Check, Result], None]
#: A check, and its run or those of its parts.
Asked = tuple[Check, list[Run]]


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
        queue = Queue()
        try:
            asked = self._begin(checks, now, timeout, lambda check: not check.may_block(), queue)
            give_up = math.inf if patience is None else monotonic() + patience
            for run in _runs(asked):
                while left := run.left(give_up):  # again where the deadline has moved
                    asleep = len(queue.asleep)
                    run.wait(min(left, STALL_SECONDS) if asleep else left)
                    if run.outcome is None and len(queue.asleep) == asleep:
                        queue.all()  # those that are awake wait for something
        finally:
            queue.all()  # whatever ended the wait: others may wait for the same runs
        return self._results(asked, now)

    async def arun(
        self, checks: Iterable[Check], timeout: float | None = None, patience: float | None = None
    ) -> tuple[Result, ...]:
        """The same on an event loop, which is never blocked: many callers may wait without a thread each."""
        # Late: a process without an event loop does not pay for asyncio.
        import asyncio

        now = monotonic()
        queue = Queue()
        # Django refuses database work on the loop's own thread, so only what promises to do none runs there.
        try:
            asked = self._begin(
                checks, now, timeout, lambda check: not getattr(check.provider, "blocking", True), queue
            )
        finally:
            queue.all()
        loop = asyncio.get_running_loop()
        give_up = math.inf if patience is None else monotonic() + patience
        for run in _runs(asked):
            # Who does not wait leaves nothing with a run that may never return.
            while left := run.left(give_up):  # as above
                done = asyncio.Event()
                run.when_done(partial(_wake, loop, done))
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(done.wait(), left)
        return self._results(asked, now)

    def _begin(
        self,
        checks: Iterable[Check],
        now: float,
        timeout: float | None,
        inline: Callable[[Any], bool],
        queue: Queue,
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
                    run.finish(run.execute())
                    release(one)  # no idle thread will come to do it
                else:
                    run, own = self._lane(one).ask(now, limit, max_age, inline, queue)
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
