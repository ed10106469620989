"""Threads and processes: a warm worker for each check, calls of foreign code with a timeout, state of a process.

A thread cannot be killed. All threads here are daemon threads, so one that hangs is left behind and does not keep the
process from ending.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from status.conf import conf
from status.logs import call_safely

T = TypeVar("T")


class PerProcess(Generic[T]):
    """One value for each process, made when it is first asked for.

    A child inherits its parent's locks as they happened to be at the fork, and none of its threads. It is noticed by
    its process id, because uWSGI forks without running what ``os.register_at_fork`` registers, and Windows has no such
    function. The parent's value is kept, unused: collecting it could speak on sockets that both processes share.

    make: makes the value. Two threads may call it at once; the value of one of them is kept for both.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._values: dict[int, T] = {}

    def get(self) -> T:
        """Return the value of this process."""
        pid = os.getpid()
        try:
            return self._values[pid]
        except KeyError:
            return self._values.setdefault(pid, self._make())

    def renew(self) -> None:
        """Forget the value of this process. Tests call it."""
        self._values.pop(os.getpid(), None)


class Worker:
    """Runs jobs one after the other in a daemon thread, which begins with a job and ends after a time without one.

    at_end: called in the thread before it ends, unless it was abandoned.
    idle_seconds: how long the thread waits for the next job; by default that of the class.
    """

    idle_seconds = 60.0

    def __init__(
        self, name: str, at_end: Callable[[], object] | None = None, idle_seconds: float | None = None
    ) -> None:
        self.name = name
        self._at_end = at_end
        if idle_seconds is not None:
            self.idle_seconds = idle_seconds
        self._jobs: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def submit(self, job: Callable[[], object]) -> None:
        """Run ``job`` after those submitted before. Raises RuntimeError where no thread can be started."""
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=self.name, daemon=True)
                thread.start()
                self._thread = thread
            self._jobs.put(job)

    def stop(self) -> threading.Thread | None:
        """End the thread after the jobs submitted so far. Return it, where there is one."""
        with self._lock:
            self._jobs.put(None)
            return self._thread

    def abandon(self) -> None:
        """Let the thread end after the job that hangs, and leave alone what its successor uses."""
        self._at_end = None
        self.stop()

    def _run(self) -> None:
        while (job := self._next()) is not None:
            call_safely(job)
            del job  # a thread that waits holds on to nothing
        if self._at_end is not None:
            call_safely(self._at_end)
        close_connections()

    def _next(self) -> Callable[[], object] | None:
        """Return the next job, or None when the thread is to end."""
        with suppress(Empty):
            if (job := self._jobs.get(timeout=self.idle_seconds)) is not None:
                return job
        with self._lock:
            # A job may have come in since.
            while not self._jobs.empty():
                if (job := self._jobs.get()) is not None:
                    return job
            self._thread = None
        return None


def close_old_connections() -> None:
    """Close this thread's database connections as Django does before and after a request.

    Under Django's test runner, close them all: an open one would keep a test database from being destroyed.
    """
    if is_testing():
        close_connections()
    else:
        _each_connection(lambda connection: connection.close_if_unusable_or_obsolete())


def is_testing() -> bool:
    """Return whether ``setup_test_environment()`` is in force, by the outbox that it documents."""
    return hasattr(sys.modules.get("django.core.mail"), "outbox")


def close_connections() -> None:
    """Close this thread's database connections: it ends."""
    _each_connection(_close)


def _close(connection: Any) -> None:
    if connection.vendor == "sqlite":
        # SQLite's own ``close()`` keeps databases in memory open, but nobody else uses the connection of this thread.
        sys.modules["django.db.backends.base.base"].BaseDatabaseWrapper.close(connection)
    else:
        connection.close()


def _each_connection(do: Callable[[Any], object]) -> None:
    # Whoever opened a connection has imported the module.
    django_db = sys.modules.get("django.db")
    if django_db is None or not conf.in_django:
        return

    def close_each() -> None:
        for connection in django_db.connections.all(initialized_only=True):
            call_safely(do, connection)

    call_safely(close_each)


def start_call(function: Callable[[], T], name: str) -> Future[T]:
    """Call ``function`` in a daemon thread of its own and return the future of what it answers or raises.

    Raises RuntimeError where no thread can be started.
    """
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()

    def call() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)
        finally:
            close_connections()

    threading.Thread(target=call, name=name, daemon=True).start()
    return future


def wait(future: Future[Any], seconds: float | None) -> bool:
    """Wait until ``future`` is done, for ``seconds`` at most; None means for ever. Return whether it is."""
    with suppress(FutureTimeout):
        future.exception(seconds)
    return future.done()


async def await_future(future: Future[Any], seconds: float | None) -> bool:
    """Do the same as ``wait`` on an event loop, without blocking it."""
    waiter = asyncio.wrap_future(future)
    try:
        await asyncio.wait([waiter], timeout=seconds)
    finally:
        waiter.cancel()  # a future that is running goes on
    return future.done()


class LimitedCalls:
    """Calls of foreign code that may hang, limited in time and in number. Calls that hang count until they return.

    name: of their threads.
    limit: calls under way at once in this process; further ones are not made.
    timeout: seconds a caller waits.
    """

    def __init__(self, name: str, limit: int, timeout: float) -> None:
        self.name, self.limit, self.timeout = name, limit, timeout
        self._places = PerProcess(lambda: threading.BoundedSemaphore(self.limit))

    def call(self, function: Callable[[], T], default: T) -> T:
        """Return what ``function`` answers, or ``default`` where it raises, overstays, or is one too many."""
        future = self._start(function, default)
        return future.result() if future is not None and wait(future, self.timeout) else default

    async def acall(self, function: Callable[[], T], default: T) -> T:
        """Do the same as ``call`` on an event loop, without blocking it."""
        future = self._start(function, default)
        return future.result() if future is not None and await await_future(future, self.timeout) else default

    def _start(self, function: Callable[[], T], default: T) -> Future[T] | None:
        places = self._places.get()
        if not places.acquire(blocking=False):
            return None

        def answer() -> T:
            answers = [default]
            call_safely(lambda: answers.append(function()))
            return answers[-1]

        try:
            future = start_call(answer, self.name)
        except RuntimeError:  # the process or the machine has no thread left
            places.release()
            return None
        future.add_done_callback(lambda done: places.release())
        return future
