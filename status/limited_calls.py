"""Calls of foreign code that may hang, limited in time and in number."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import closing, suppress
from time import monotonic
from typing import Any, TypeVar

from status.threads import PerProcess, await_future, running_future, start_call, wait

T = TypeVar("T")

#: A generator of what to wait for in turn, and how many seconds. It returns what came of it.
Steps = Generator[tuple[Future[Any], float | None], None, T]


def wait_for_each(steps: Steps[T]) -> T:
    """Wait for each of ``steps``, return what they do, and close them whatever is raised into this thread."""
    with closing(steps):
        while True:
            try:
                future, seconds = next(steps)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            wait(future, seconds)


async def await_each(steps: Steps[T]) -> T:
    """Do the same on an event loop, without blocking it, also where the caller is cancelled."""
    with closing(steps):
        while True:
            try:
                future, seconds = next(steps)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            await await_future(future, seconds)


class Permit:
    """A place among limited calls, or in the queue for one.

    taken: done as soon as the call may be made.
    deadline: until when (monotonic) the caller waits for the call.
    """

    def __init__(self, calls: RunningCalls, deadline: float) -> None:
        self.taken = running_future()
        self.deadline = deadline
        self._calls = calls

    @property
    def left(self) -> float:
        """How many seconds the caller still waits."""
        return max(0.0, self.deadline - monotonic())

    def leave(self) -> None:
        """Say that the call has returned, or is not wanted any more. May be said twice."""
        calls = self._calls
        with calls.lock:
            calls.returned = max(calls.returned, calls.running.pop(self, -math.inf))
            if self in calls.queue:
                calls.queue.remove(self)
            while calls.queue and len(calls.running) < calls.limit:
                calls.begin(calls.queue.popleft())

    def resume(self) -> None:
        """Count again, from now on, whether there is a place or not."""
        with self._calls.lock:
            self._calls.running[self] = monotonic()


class RunningCalls:
    """The calls of one process: when those began that run, and who waits for a permit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.lock = threading.Lock()
        self.running: dict[Permit, float] = {}
        self.queue: deque[Permit] = deque()
        #: When the latest call began, and when the latest of those that returned.
        self.begun = self.returned = -math.inf

    def begin(self, permit: Permit) -> None:
        self.running[permit] = self.begun = monotonic()
        permit.taken.set_result(None)


class LimitedCalls:
    """Calls of foreign code that may hang, limited in time and in number.

    Who finds no place waits for one. While calls hang nobody waits: one call each second tries whether they return
    again, and its caller is answered at once as well. Calls that hang keep their places until they return.

    name: of their threads.
    limit: calls under way at once in this process.
    timeout: seconds a caller waits, for a place and for the answer. A call that takes longer hangs.
    """

    retry_after = 1.0

    def __init__(self, name: str, limit: int, timeout: float) -> None:
        self.name, self.limit, self.timeout = name, limit, timeout
        self._calls = PerProcess(lambda: RunningCalls(self.limit))

    def enter(self) -> Permit | None:
        """Return a place, or None where calls hang and another one is not to be tried now."""
        calls, now = self._calls.get(), monotonic()
        with calls.lock:
            # Where a call has returned that began later than those which hang, the trouble is over, and they are lost.
            hang = any(now - begun > self.timeout and begun > calls.returned for begun in calls.running.values())
            full = len(calls.running) >= self.limit
            if hang and (full or now - calls.begun < self.retry_after):
                return None
            permit = Permit(calls, now if hang else now + self.timeout)
            if full:
                calls.queue.append(permit)
            else:
                calls.begin(permit)
        return permit

    def call(self, function: Callable[[], T], default: T) -> T:
        """Return what ``function`` answers, or ``default`` where it raises, hangs, or gets no place or thread."""
        return wait_for_each(self._steps(function, default))

    async def acall(self, function: Callable[[], T], default: T) -> T:
        """Do the same as ``call`` on an event loop, without blocking it."""
        return await await_each(self._steps(function, default))

    def _steps(self, function: Callable[[], T], default: T) -> Steps[T]:
        """Yield what to wait for and how long; return the answer that came in time, else ``default``."""
        permit = self.enter()
        if permit is None:
            return default
        call: Future[T] | None = None
        try:
            yield permit.taken, permit.left
            if permit.taken.done():
                with suppress(RuntimeError):  # the process or the machine has no thread left
                    call = start_call(function, self.name)
        finally:
            if call is None:
                permit.leave()
        if call is None:
            return default
        call.add_done_callback(lambda done: permit.leave())
        yield call, permit.left
        return call.result() if call.done() and call.exception() is None else default
