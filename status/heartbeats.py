"""Heartbeats: what should run regularly tells so itself, through the store, and is missed when it does not.

A beat is handed to a thread that writes it to the store, so that the job waits for nothing. While the store hangs, only
the newest beat of each name is kept. A process that ends waits for its last one.
"""

from __future__ import annotations

import inspect
import math
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial, wraps
from types import TracebackType
from typing import Any, NamedTuple, TypeVar
from weakref import finalize

from status.conf import conf
from status.exceptions import StatusError
from status.limited_calls import Steps, wait_for_each
from status.logs import log_once
from status.providers.base import Answer, Unavailable
from status.serialization import JSON
from status.store import Store, StoreFailed, key_of
from status.threads import (
    Call,
    PerProcess,
    Worker,
    call_here,
    close_old_connections,
    run_at_exit,
    running_future,
    settle,
    wait,
)

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

#: Seconds that a process which ends waits for its last beat.
END_SECONDS = 2.0
#: Seconds by which the clocks of two hosts may differ.
CLOCKS_DIFFER = 60.0
#: What is kept for each name: its last beat, the last start of a job, and when it was first expected.
BEAT, START, EXPECTED = "beat", "start", "expected"
NO_STORE = 'STATUS_STORE is not set: name a cache that all processes share, for example STATUS_STORE = "status"'


class UnknownHeartbeat(StatusError, LookupError):
    """``STATUS_HEARTBEATS`` has no heartbeat of that name.

    known: the names that it has.
    """

    def __init__(self) -> None:
        self.known = tuple(str(name) for name in conf.heartbeats)
        super().__init__(f"STATUS_HEARTBEATS has no such name. It has: {', '.join(self.known) or 'none'}.")


class Writer:
    """Writes the beats of one process to the store, in a thread of its own.

    hangs_after: seconds after which the log says that the store does not answer.
    replace_after, limit: seconds after which a thread that hangs is left behind, and how many may be.
    slow_after: seconds after which a write that fails has failed slowly.
    retry_after: seconds after such a failure for which nobody waits for another write.
    """

    hangs_after = 5.0
    replace_after = 30.0
    limit = 3
    slow_after = 0.5
    retry_after = 1.0

    def __init__(self) -> None:
        # It can be entered again: the garbage collector may find a beat in the middle of ``submit``.
        self.lock = threading.RLock()
        #: What is to be written next, and the future that is done when it is.
        self.waiting: dict[str, JSON] = {}
        self.written: Future[str | None] = running_future()
        #: The future of the newest beat, whether it waits or is being written.
        self.newest: Future[str | None] | None = None
        self.worker = Worker("status-heartbeats")
        self.scheduled = False
        #: When the newest write began that is under way, and when those did whose threads are left behind (monotonic).
        self.began: float | None = None
        self.left_behind: set[float] = set()
        #: When the write began that somebody has waited for in vain, and when one has failed slowly (monotonic).
        self.in_vain: float | None = None
        self.failed_slowly = -math.inf
        #: Whether the process is ending, and nobody waits any more for what is submitted.
        self.is_ending = False
        run_at_exit(self.end)

    def submit(self, store: Store, values: Mapping[str, JSON]) -> Future[str | None]:
        """Have the values written soon, and return the future of that.

        Raises RuntimeError where no thread can be started.
        """
        with self.lock:
            self.waiting.update(values)
            written = self.newest = self.written
            if conf.synchronous:
                self.write(store, call_here, own_thread=False)
                return written
            hangs = self._leave_behind_what_hangs()
            if not self.scheduled:
                self.scheduled = True
                try:
                    self.worker.submit(partial(self.write, store))
                except BaseException:
                    self.scheduled = False
                    raise
        if hangs:
            log_once(f"{store} does not answer; heartbeats are lost meanwhile.")
        return written

    def _leave_behind_what_hangs(self) -> bool:
        """Return whether the store hangs, and have another thread try where that lasts."""
        if self.began is None or (hanging := time.monotonic() - self.began) < self.hangs_after:
            return False
        if hanging >= self.replace_after and len(self.left_behind) < self.limit:
            self.left_behind.add(self.began)
            self.worker.abandon()
            self.worker, self.scheduled, self.began = Worker("status-heartbeats"), False, None
        return True

    @property
    def is_in_trouble(self) -> bool:
        """Return whether nobody should wait for what is written next.

        Somebody has waited in vain for the write that is under way, or one has failed slowly a moment ago.
        """
        hangs = self.in_vain is not None and self.in_vain == self.began
        return hangs or time.monotonic() - self.failed_slowly < self.retry_after

    def give_up(self) -> None:
        """Say that somebody has waited in vain, so that nobody else waits until the write that is under way returns."""
        self.in_vain = self.began

    def write(self, store: Store, call: Call, own_thread: bool = True) -> None:
        """Write what waits, in the thread of ``call``. Its future holds a sentence where that fails.

        Not the error, which would keep all that has called it: the newest future is kept.

        own_thread: whether the connections of that thread are nobody else's, and may be closed.
        """
        with self.lock:
            values, written, self.waiting, self.written = self.waiting, self.written, {}, running_future()
            began = self.began = time.monotonic()
            self.scheduled = False

        def is_old(told: JSON, found: JSON) -> bool:
            """While the store hung, another thread has written a later beat."""
            return time.monotonic() - began >= self.hangs_after and _is_later(found, told)

        def keep() -> str | None:
            try:
                call(store.keep, values, is_old)
            except StoreFailed as error:
                if time.monotonic() - began >= self.slow_after:
                    self.failed_slowly = time.monotonic()
                log_once(f"{error}; heartbeats are lost meanwhile.", error)
                return str(error)
            self.failed_slowly = -math.inf
            return None

        renew = close_old_connections if own_thread else bool
        call(renew)
        settle(written, keep)
        call(renew)
        with self.lock:
            if self.began == began:
                self.began = None
            self.left_behind.discard(began)

    def end(self) -> None:
        """Wait a moment until the last beat is written. Who beats later waits for that himself."""
        self.is_ending = True
        self.flush(END_SECONDS)

    def flush(self, timeout: float) -> bool:
        """Wait ``timeout`` seconds at most until the newest beat is written. Return whether it is."""
        if self.newest is None or wait(self.newest, timeout):
            return True
        log_once(f"The last heartbeat could not be written within {timeout:g} s.")
        return False


writers = PerProcess(Writer)


def submit(name: str, kind: str = BEAT, **facts: JSON) -> Future[str | None]:
    """Have a beat written, and return its future: done when it is written, or with a sentence that says why not.

    kind: ``BEAT`` or ``START``.
    facts: what else to keep of it: ``at``, ``ok``, ``took``.

    Raises ``UnknownHeartbeat``, ``StoreFailed`` where no store is configured, RuntimeError where no thread can be had.
    """
    if not isinstance(name, str) or name not in conf.heartbeats:
        raise UnknownHeartbeat
    store = Store.configured()
    if store is None:
        raise StoreFailed(NO_STORE)
    return writers.get().submit(store, {key_of(kind, name): record_now(**facts)})


def record_now(**facts: JSON) -> JSON:
    """Return what is kept of a beat, a start or an expectation."""
    return {"at": time.time(), "host": socket.gethostname(), "ok": True, **facts}


def _is_later(one: JSON, other: JSON) -> bool:
    """Return whether the first of two beats is the later one, by the same clock."""
    first, second = Record.of(one), Record.of(other)
    return first is not None and second is not None and first.host == second.host and first.at > second.at


def send(name: str, timeout: float | None = None) -> None:
    """Have a beat written, and wait for that, for ``timeout`` seconds at most, or ``STATUS_TIMEOUT``.

    Raises ``UnknownHeartbeat``, and ``StoreFailed`` where the beat is lost, or not known to be kept in time.
    """
    wait_for_each(sending(name, timeout))


def sending(name: str, timeout: float | None = None) -> Steps[None]:
    """Do the same as ``send``, and yield what to wait for. While the store is known to hang, that is nothing."""
    try:
        written = submit(name)
    except RuntimeError as error:
        raise StoreFailed("no thread can be started that writes to the store") from error
    writer, timeout = writers.get(), timeout or conf.timeout
    if not written.done() and writer.is_in_trouble:
        raise StoreFailed(f"{Store.configured()} does not answer")
    yield written, timeout
    if not written.done():
        writer.give_up()
        raise StoreFailed(f"{Store.configured()} did not answer within {timeout:g} s")
    if reason := written.result():
        raise StoreFailed(reason)


def tell(name: str, kind: str = BEAT, **facts: JSON) -> None:
    """Have a beat written. Raises nothing: what goes wrong is logged, once a minute."""
    try:
        written = submit(name, kind, **facts)
        if writers.get().is_ending:
            wait(written, END_SECONDS)
    except UnknownHeartbeat as error:
        log_once(f"A heartbeat is lost: {error}", example=f" Its name is {str(name)[:40]!a}.")
    except StoreFailed as error:
        log_once(f"A heartbeat is lost: {error}.")
    except Exception as error:
        log_once(f"A heartbeat is lost: {type(error).__name__} was raised.", error)


class heartbeat:
    """Tell that a job has run: ``heartbeat("backup")``, ``with heartbeat("backup"):`` or ``@heartbeat("backup")``.

    The block and the decorated function tell their start, and their success or failure with its duration. An async
    function has run when its coroutine was awaited. Of what a function returns to be awaited or iterated besides,
    nobody tells the end. Costs less than a millisecond, raises nothing into the job, and waits for nothing.

    name: as in ``STATUS_HEARTBEATS``.

    Raises TypeError where a decorator is without a name, or decorates what is no function, or a generator function.
    """

    def __init__(self, name: str) -> None:
        if callable(name) or isinstance(name, (classmethod, property)):  # a bare ``@heartbeat``
            raise TypeError('heartbeat takes a name, which a decorator needs too: @heartbeat("backup")')
        self.name = name
        #: When each of the blocks began that are open, as one object may be entered again.
        self._began: list[float] = []
        # A plain call beats as soon as nobody holds what it returned; a block or a function is about to tell more.
        self._call = finalize(self, tell, name, at=time.time())
        self._call.atexit = False  # one that is kept for its blocks, and never entered here, has not run

    def __enter__(self) -> None:
        self._call.detach()
        self._began.append(time.monotonic())
        tell(self.name, START)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ok = error is None or (isinstance(error, SystemExit) and error.code in (None, 0))
        tell(self.name, ok=ok, took=time.monotonic() - self._began.pop())

    def __call__(self, function: FunctionT) -> FunctionT:
        self._call.detach()
        self._refuse_what_cannot_beat(function)

        @wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            with ExitStack() as block:
                block.enter_context(heartbeat(self.name))
                returned = function(*args, **kwargs)
                if inspect.iscoroutine(returned):
                    return end_with(returned, block.pop_all())
                if inspect.isgenerator(returned) or inspect.isasyncgen(returned) or inspect.isawaitable(returned):
                    block.pop_all()  # it is not told that it has ended
                    kind = type(returned).__name__
                    log_once(f'@heartbeat("{self.name}") cannot tell when a {kind} ends. {self._as_block}')
                return returned

        @wraps(function)
        async def arun(*args: Any, **kwargs: Any) -> Any:
            with heartbeat(self.name):
                return await function(*args, **kwargs)

        return arun if inspect.iscoroutinefunction(function) else run  # type: ignore[return-value]

    def _refuse_what_cannot_beat(self, function: object) -> None:
        """Raise TypeError where there is no name, or no function that has run when it returns or was awaited."""
        if not isinstance(self.name, str):
            raise TypeError(f'@heartbeat should have a name, as @heartbeat("backup"), not {self.name!a}')
        if not callable(function) or isinstance(function, (type, staticmethod)):
            kind = "class" if isinstance(function, type) else type(function).__name__
            hint = " Write it below." if isinstance(function, (classmethod, staticmethod, property)) else ""
            raise TypeError(f'@heartbeat("{self.name}") should decorate a function, not a {kind}.{hint}')
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(f'@heartbeat("{self.name}") should not decorate a generator function. {self._as_block}')

    @property
    def _as_block(self) -> str:
        return f'Write `with heartbeat("{self.name}"):` around what runs.'


async def end_with(coroutine: Coroutine[Any, Any, Any], block: ExitStack) -> Any:
    """Await the coroutine, and end the block as it ends."""
    with block:
        return await coroutine


class Record(NamedTuple):
    """A beat, a start or an expectation that was found in the store.

    at: when, seconds since the epoch by the clock of ``host``.
    ok, took: whether the job went well, and its seconds where it told them.
    """

    at: float
    host: str
    ok: bool
    took: float | None

    @classmethod
    def of(cls, value: JSON) -> Record | None:
        """Return what a value of the store tells; None for one of another shape, as another version may write it."""
        if not isinstance(value, dict) or not isinstance(at := value.get("at"), (int, float)):
            return None
        took = value.get("took")
        took = float(took) if isinstance(took, (int, float)) else None
        return cls(at, str(value.get("host")), value.get("ok") is True, took)

    @property
    def slack(self) -> float:
        """Return the seconds by which this host's clock may differ from the one that told the time."""
        return 0.0 if self.host == socket.gethostname() else CLOCKS_DIFFER


def answer() -> Answer:
    """Return ``{name: bool}`` for every heartbeat: whether it came in time. Waits for the store.

    Raises ``Unavailable`` where there is no store, or none that can be read.
    """
    if not conf.heartbeats:
        return Answer({})
    store = Store.configured()
    if store is None:
        raise Unavailable(NO_STORE)
    periods, problems = conf.heartbeat_periods()
    reasons = {name: f"{problem} {problem.hint}" for name, problem in problems.items()}
    ages: dict[str, float] = {}
    keys = {(kind, name): key_of(kind, name) for name in periods for kind in (BEAT, START, EXPECTED)}
    try:
        found = store.read(keys.values())
        told = {named: Record.of(found.get(key)) for named, key in keys.items()}
        for name, period in periods.items():
            beat, start = told[BEAT, name], told[START, name]
            if beat is not None:
                ages[name] = max(0.0, time.time() - beat.at)
                trouble = trouble_of(beat, period)
            else:
                trouble = trouble_of_silence(store, name, told[EXPECTED, name], period)
            if trouble and start is not None and (beat is None or start.at > beat.at):
                trouble += f"; started {in_words(time.time() - start.at)} ago, and has not ended since"
            if trouble:
                reasons[name] = trouble
    except StoreFailed as error:
        raise Unavailable(str(error)) from error
    return Answer({name: name not in reasons for name in (*periods, *problems)}, reasons, ages=ages)


def trouble_of(beat: Record, period: float) -> str | None:
    """Return why a heartbeat whose last beat this is does not do well; None where it does."""
    age = time.time() - beat.at
    if not beat.ok:
        after = "" if beat.took is None else f" after {in_words(beat.took)}"
        return f"failed {in_words(age)} ago{after}"
    if age < -CLOCKS_DIFFER:
        return f"last heard from {beat.host}, whose clock is {in_words(-age)} ahead"
    if age > period + beat.slack:
        return f"last heard {in_words(age)} ago, expected every {in_words(period)}"
    return None


def trouble_of_silence(store: Store, name: str, expected: Record | None, period: float) -> str | None:
    """Return why a heartbeat that was never heard does not do well; None in the first period that it is expected.

    When it was first expected is kept in the store, so that restarts do not begin anew. Raises ``StoreFailed``.
    """
    if expected is None or expected.at - time.time() > CLOCKS_DIFFER:  # by a clock that was ahead
        store.keep({key_of(EXPECTED, name): record_now()})
        return None
    silent = time.time() - expected.at
    if silent <= period + expected.slack:
        return None
    return f"never heard in {in_words(silent)}, expected every {in_words(period)}"


def in_words(seconds: float) -> str:
    """Return seconds in their two largest units, in English as all reasons are: ``14 min 20 s``."""
    if seconds < 60:
        return f"{round(max(0.0, seconds), 1):g} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    counts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    while not counts[0][0]:
        del counts[0]
    return " ".join(f"{count} {unit}" for count, unit in counts[:2] if count)
