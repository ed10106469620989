"""Runs async checks: each with an event loop, executors and a thread-sensitive context of its own, on daemon threads.

With asgiref's defaults all async code of a process shares one thread for its database work, and the interpreter waits
at its end for the threads of executors: one check that hangs would hold up all others, and the end of the process.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import partial
from time import monotonic
from typing import Any

from asgiref.sync import SyncToAsync, ThreadSensitiveContext, async_to_sync

from status.conf import conf
from status.providers.base import Unavailable
from status.threads import Call, PerProcess, Worker, call_natively, close_old_connections, settle, start_call

#: Calls in threads that cancelled runs of one check may leave behind before it is not run any more.
MAX_ABANDONED = 3


class DaemonExecutor(ThreadPoolExecutor):
    """Runs each call in a daemon thread of its own. An event loop takes no other class as its default executor."""

    def __init__(self) -> None:
        super().__init__(max_workers=1)  # of which it starts none
        self._calls: list[Future[Any]] = []

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        call = start_call(partial(call_natively, partial(function, *args, **kwargs)), "status-async")
        self._calls = [*self.unfinished(), call]
        return call

    def unfinished(self) -> list[Future[Any]]:
        """Return the calls that have not returned."""
        return [call for call in self._calls if not call.done()]

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave alone what hangs."""


class SerialExecutor(Executor):
    """Runs calls one after the other in one warm daemon thread, which ends with the executor.

    busy: whether a call has begun and not returned. Between two runs of a check, it hangs.
    """

    def __init__(self) -> None:
        self.busy = False
        self._worker = Worker("status-async")
        self._used = False

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._used = True

        def run() -> Any:
            self.busy = True
            try:
                return function(*args, **kwargs)
            finally:
                self.busy = False

        def job(call: Call) -> None:
            if future.set_running_or_notify_cancel():  # and the run that wants it is not over
                settle(future, partial(call, run))

        self._worker.submit(job)
        return future

    def close_old_connections(self) -> None:
        """Close the thread's database connections as Django does around a request, where it has been used."""
        if self._used:
            self._worker.submit(lambda call: call(close_old_connections))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Keep the thread for the next run."""

    def __del__(self) -> None:
        self._worker.stop()


def use_for_database_work(executor: Executor) -> None:
    """Run the thread-sensitive calls of this task, and of those that it creates, on ``executor``.

    ``async with ThreadSensitiveContext()`` keeps the context of a task around this one, and waits for its executor.
    """
    context = ThreadSensitiveContext()
    SyncToAsync.context_to_thread_executor[context] = executor
    SyncToAsync.thread_sensitive_context.set(context)


class _Thread(threading.local):
    """What belongs to the thread of one check: where its database work is done, and its other blocking calls."""

    def __init__(self) -> None:
        self.database = SerialExecutor()
        self.others = DaemonExecutor()
        #: Those of the database work of earlier runs that have not returned.
        self.hanging: list[SerialExecutor] = []

    def abandoned(self) -> int:
        """Return how many calls of earlier runs have not returned, and do without the threads in which they hang."""
        if self.database.busy:
            self.hanging.append(self.database)
            self.database = SerialExecutor()
        self.hanging = [one for one in self.hanging if one.busy]
        return len(self.hanging) + len(self.others.unfinished())


#: For each process, as a forked child has none of its parent's threads.
_thread = PerProcess(_Thread)


def run_awaitable(value: Awaitable[Any], deadline: float, late: str) -> Any:
    """Return what ``value`` answers, awaited until ``deadline`` (monotonic) and then cancelled.

    late: what ``Unavailable`` says when the deadline is missed. It is also raised when earlier runs of the check have
    left too many threads behind.
    """

    async def within_deadline() -> Any:
        try:
            return await asyncio.wait_for(value, max(0.0, deadline - monotonic()))
        except asyncio.TimeoutError as error:
            if monotonic() >= deadline:
                raise Unavailable(late) from error
            raise

    async def isolated() -> Any:
        asyncio.get_running_loop().set_default_executor(thread.others)
        use_for_database_work(thread.database)
        thread.database.close_old_connections()
        try:
            return await within_deadline()
        finally:
            thread.database.close_old_connections()

    if conf.synchronous:
        return async_to_sync(within_deadline)()  # database work in this thread, and in the transaction of the test
    thread = _thread.get()
    coroutine = isolated()
    try:
        if thread.abandoned() >= MAX_ABANDONED:
            raise Unavailable(f"{MAX_ABANDONED} threads of its earlier runs still hang")
        return asyncio.run(coroutine)
    finally:
        # Where the loop could not start, or ended early, Python would warn that nobody awaited these.
        coroutine.close()
        getattr(value, "close", bool)()
