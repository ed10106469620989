"""A call that may hang, made on behalf of a request: bounded in time and in number, and never in the request's way."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from status.containment import close_connections, quietly

T = TypeVar("T")

#: Seconds a caller waits.
PATIENCE = 1.0
#: Calls that may be under way at once in this process; hung ones count.
LIMIT = 8

_places = threading.BoundedSemaphore(LIMIT)


def _forget() -> None:
    """A forked child has none of its parent's calls under way."""
    global _places
    _places = threading.BoundedSemaphore(LIMIT)


os.register_at_fork(after_in_child=_forget)


class Errand(threading.Thread, Generic[T]):
    """One call, on a daemon thread of its own: what hangs is left behind."""

    def __init__(self, function: Callable[[], T], default: T, done: Callable[[], object]) -> None:
        super().__init__(name="status-errand", daemon=True)
        self.function = function
        self.value = default
        self.done = done

    def run(self) -> None:
        try:
            quietly(self._call)
        finally:
            _places.release()
            quietly(self.done)
            close_connections()

    def _call(self) -> None:
        self.value = self.function()


def begin(function: Callable[[], T], default: T, done: Callable[[], object]) -> Errand[T] | None:
    """None where there is no place or no thread left."""
    if not _places.acquire(blocking=False):
        return None
    errand = Errand(function, default, done)
    try:
        errand.start()
    except RuntimeError:  # can't start new thread
        _places.release()
        return None
    return errand


def bounded(function: Callable[[], T], default: T) -> T:
    """What ``function`` answers, or ``default`` where it raises, takes too long, or too many others hang already."""
    done = threading.Event()
    errand = begin(function, default, done.set)
    if errand is None or not done.wait(PATIENCE):
        return default
    return errand.value


async def abounded(function: Callable[[], T], default: T) -> T:
    """The same on an event loop, without blocking it."""
    # Late: a process without an event loop does not pay for asyncio.
    import asyncio

    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        with suppress(RuntimeError):  # the caller is gone, and its loop closed
            loop.call_soon_threadsafe(done.set)

    errand = begin(function, default, wake)
    if errand is None:
        return default
    try:
        await asyncio.wait_for(done.wait(), PATIENCE)
    except asyncio.TimeoutError:
        return default
    return errand.value
