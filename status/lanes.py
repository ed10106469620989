"""Lanes: where the runs of one check take place, one at a time, each lane with a thread that is kept warm.

A thread cannot be killed. So every run that may wait gets a daemon thread of its own, and a run that overstays its
deadline is left behind: reported at once, replaced rarely, and forgotten when it ends.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from status.containment import close_connections, quietly, renew_connections
from status.entries import Check
from status.outcome import Outcome
from status.providers.base import Part
from status.run import Run

#: Seconds a thread waits for the next run before it closes what it kept and ends.
IDLE_SECONDS = 60.0
#: Seconds after which a run that never returned is given up and another one is tried.
REPLACE_SECONDS = 30.0
#: Runs of one check that may be left behind at a time. With this many, nothing is started until one of them returns.
MAX_RUNS = 3
#: Warm threads that one question wakes at a time.
AWAKE = 16
#: Seconds without one that returned, after which those still asleep are woken all the same.
STALL_SECONDS = 0.002


class Queue:
    """Wakes the warm threads for one question: so many at first, and another one whenever one has returned.

    A thousand threads that are awake together spend most of their time on Python's lock. Whoever asks calls ``all``
    once those that are awake wait for something, so that no check waits for another one.
    """

    def __init__(self) -> None:
        self.places = AWAKE
        self.asleep: deque[Worker] = deque()

    def add(self, worker: Worker) -> None:
        if self.places > 0:
            self.places -= 1
            worker.signal.release()
        else:
            self.asleep.append(worker)

    def next(self) -> None:
        with suppress(IndexError):
            self.asleep.popleft().signal.release()

    def all(self) -> None:
        while self.asleep:
            self.next()


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

    def ask(
        self, now: float, timeout: float, max_age: float, inline: Callable[[Any], bool], queue: Queue
    ) -> tuple[Run, bool]:
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
                self.hand_over(run, queue)
            except RuntimeError:  # the process or the machine has no thread left
                self.unfinished.remove(run)
                run.finish(Outcome.failed("no thread could be started to run it"))
            return run, False

    def hand_over(self, run: Run, queue: Queue) -> None:
        if self.idle is not None:
            worker, self.idle = self.idle, None
            worker.next, worker.queue = run, queue
            queue.add(worker)
        else:
            Worker(self, run).start()

    def work(self, run: Run, worker: Worker | None = None) -> None:
        """Execute ``run`` in this thread and let everyone know who waits for it."""
        outcome = run.execute()
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


def release(check: Check | Part) -> None:
    """Have the provider close what it keeps between runs, if there is one: a path may lead nowhere."""
    if check.provider is not None:
        quietly(check.provider.close)


class Worker(threading.Thread):
    """A daemon thread that executes runs of one lane, and ends when there have been none for a while."""

    def __init__(self, lane: Lane, run: Run | None) -> None:
        super().__init__(name=f"status-{lane.check.resource}-{lane.check.name}", daemon=True)
        self.lane = lane
        self.next: Run | None = run
        #: That of the question for which it was woken.
        self.queue: Queue | None = None
        #: Another thread is warm already, as the run of this one had been left behind.
        self.spare = False
        self.signal = threading.Lock()
        self.signal.acquire()

    def run(self) -> None:
        while (run := self.next) is not None:
            self.next = None
            renew_connections()
            queue, self.queue = self.queue, None
            self.lane.work(run, worker=self)
            if queue is not None:
                queue.next()
                del queue  # a thread that waits holds on to nothing
            renew_connections()
            if self.spare:
                break
            self.wait()
        else:
            # Nobody has asked for a while. A spare thread leaves alone what another one still uses.
            release(self.lane.check)
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
