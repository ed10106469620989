"""Threads and processes: a warm worker for each check, waiting with a timeout, state of a process.

A thread cannot be killed. All threads here are daemon threads, so one that hangs is left behind and does not keep the
process from ending.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from importlib import import_module
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Generic, Protocol, TypeVar

from status.conf import conf
from status.logs import call_safely

T = TypeVar("T")


class Call(Protocol):
    """Calls a function in one certain thread."""

    def __call__(self, function: Callable[..., T], *args: Any) -> T: ...


Job = Callable[[Call], object]


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


def run_at_exit(function: Callable[[], object]) -> None:
    """Call ``function`` when this process ends by itself, also where it is a child of a process pool."""
    pid = os.getpid()

    def run(**kwargs: object) -> None:
        if os.getpid() == pid:  # and not in a fork, which inherits what is to be done
            function()

    atexit.register(run)
    if "multiprocessing.util" in sys.modules:  # whose processes end without ``atexit``
        sys.modules["multiprocessing.util"].Finalize(None, run, exitpriority=10)
    if "celery.signals" in sys.modules:  # whose processes end without either
        sys.modules["celery.signals"].worker_process_shutdown.connect(run, weak=False)


class Worker:
    """Runs jobs one after the other in a daemon thread, which begins with a job and ends after a time without one.

    A job is called with the function ``call(function, *args)`` that ``native_thread`` gives.

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
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def submit(self, job: Job) -> None:
        """Run ``job`` after those submitted before. Raises RuntimeError where no thread can be started."""
        with self._lock:
            # It is not alive where an exception, an alarm's for example, kept it from starting.
            if self._thread is None or not self._thread.is_alive():
                refuse_threads_at_the_end()
                self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
                self._thread.start()
            self._jobs.put(job)

    def stop(self) -> threading.Thread | None:
        """End the thread after the jobs submitted so far. Return it, where there is one.

        Without the lock: the garbage collector may call it in the middle of anything, also of what holds the lock.
        """
        self._jobs.put(None)
        thread = self._thread
        return thread if thread is not None and thread.is_alive() else None

    def abandon(self) -> None:
        """Let the thread end after the job that hangs, and leave alone what its successor uses."""
        self._at_end = None
        self.stop()

    def _run(self) -> None:
        with native_thread() as call:
            while (job := self._next()) is not None:
                call_safely(job, call)
                del job  # a thread that waits holds on to nothing
            if self._at_end is not None:
                call_safely(self._at_end)
        close_connections()

    def _next(self) -> Job | None:
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


def is_patched_by_gevent(module: str) -> bool:
    """Return whether gevent has replaced what is in ``module``, such as threads by greenlets."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched(module))


@contextmanager
def native_thread() -> Iterator[Call]:
    """Give a function ``call(function, *args)`` that runs everything in one thread of the operating system.

    That is this thread, except where gevent has replaced threads by greenlets: a database driver that does not know
    gevent would block all of them, and every greenlet of a thread would see the event loop that one of them runs.
    There it is a thread of its own, begun with the first call. gevent's locks lose those who wait for them in several
    threads, for ever, so call nothing there that may log or wait for a lock.
    """
    if not is_patched_by_gevent("threading"):
        yield call_here
        return
    with ExitStack() as at_end:
        pools: list[Any] = []

        def call(function: Callable[..., T], *args: Any) -> T:
            if not pools:
                pools.append(import_module("gevent.threadpool").ThreadPool(1))
                at_end.callback(pools[0].kill)
                at_end.callback(pools[0].apply, pools[0].apply(_start_timer).close)
                at_end.callback(pools[0].apply, close_connections)
            # A pool would print what is raised, and end the process for a SystemExit.
            future: Future[T] = Future()
            pools[0].apply(settle, (future, partial(function, *args)))
            return future.result()

        yield call


def call_here(function: Callable[..., T], *args: Any) -> T:
    """Return what ``function`` answers, called in this thread."""
    return function(*args)


def call_natively(function: Callable[[], T]) -> T:
    """Return what ``function`` answers, called in a thread of the operating system that ends with it."""
    with native_thread() as call:
        return call(function)


def _start_timer() -> Any:
    """Give this thread's gevent something to wait for: else it takes waiting for another thread for a deadlock."""
    timer = import_module("gevent").get_hub().loop.timer(60.0, 60.0)
    timer.start(bool)
    return timer


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
    """Close this thread's database connections: it ends, or waits for long."""
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


def running_future() -> Future[Any]:
    """Return a future that nobody can cancel."""
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()
    return future


class Latch:
    """Something that happens once, and that others wait for.

    An alarm may strike who waits for it. The locks of ``threading.Event`` and of a ``Future`` are Python code, and
    would stay taken for ever.
    """

    def __init__(self) -> None:
        self._is_open = False
        self._calls: list[Callable[[], object]] = []

    def open(self) -> None:
        """Let everybody go on. May be called again where it was interrupted."""
        self._is_open = True
        with suppress(IndexError):
            while True:
                self._calls.pop()()

    def wait(self, seconds: float) -> None:
        """Wait until it is open, for ``seconds`` at most."""
        gate = threading.Lock()
        gate.acquire()
        self._call(gate.release)
        gate.acquire(timeout=seconds)

    def future(self) -> Future[None]:
        """Return a future that is done when it is open."""
        future: Future[None] = running_future()
        self._call(partial(future.set_result, None))
        return future

    def _call(self, function: Callable[[], object]) -> None:
        self._calls.append(function)
        if self._is_open:
            self.open()


def settle(future: Future[T], function: Callable[[], T]) -> None:
    """Call ``function`` here, and have ``future`` hold what it answers or raises."""
    try:
        future.set_result(function())
    except BaseException as error:
        future.set_exception(error)


def start_call(function: Callable[[], T], name: str) -> Future[T]:
    """Call ``function`` in a daemon thread of its own and return the future of what it answers or raises.

    Raises RuntimeError where no thread can be started.
    """
    future: Future[T] = running_future()

    def call() -> None:
        settle(future, function)
        close_connections()

    refuse_threads_at_the_end()
    threading.Thread(target=call, name=name, daemon=True).start()
    return future


def refuse_threads_at_the_end() -> None:
    """Raise RuntimeError where the interpreter ends. Up to Python 3.11, who starts a thread then waits for ever."""
    if sys.is_finalizing():
        raise RuntimeError("the interpreter ends")


def wait(future: Future[Any], seconds: float | None) -> bool:
    """Wait until ``future`` is done, for ``seconds`` at most; None means for ever. Return whether it is."""
    began = monotonic()
    try:
        future.exception(seconds)
    except FutureTimeout:
        # One that comes too early is an alarm's, and meant for the caller. The clocks may differ by a moment, and this
        # one stands where tests of a project freeze the time.
        if seconds is None or 0 < monotonic() - began < seconds - 0.001:
            raise
    return future.done()


async def await_future(future: Future[Any], seconds: float | None) -> bool:
    """Do the same as ``wait`` on an event loop, without blocking it."""
    # Late: it takes as long to import as all else that the standalone command needs.
    import asyncio

    waiter = asyncio.wrap_future(future)
    try:
        await asyncio.wait([waiter], timeout=seconds)
    finally:
        waiter.cancel()  # a future that is running goes on
    return future.done()
