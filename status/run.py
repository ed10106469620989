"""One run of one check: executing it, containing what goes wrong, and what its callers are told."""

from __future__ import annotations

import contextvars
import copy
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from status.conf import conf
from status.entries import Check
from status.providers.base import Answer, Provider, Unavailable, running_until
from status.report import Result, failure
from status.values import JSON, NotPlain, to_plain


@dataclass(frozen=True)
class Outcome:
    """What came of a run; the fields are those of ``Result``."""

    answer: JSON
    public_answer: JSON
    sound: bool
    error: str | None = None
    reasons: Mapping[str, str] = field(default_factory=dict)
    cut: int = 0

    @classmethod
    def failed(cls, reason: str) -> Outcome:
        """The provider itself failed, for a reason that is safe to show."""
        answer = failure(reason)
        return cls(answer, answer, sound=False, error=reason)


class Run:
    """One run, from its start until it returns, which may be never. Shared by all who ask meanwhile."""

    def __init__(self, check: Check, now: float, timeout: float) -> None:
        self.check = check
        self.timeout = timeout
        self.started = now
        self.started_at = time.time()
        self.deadline = now + timeout
        self.finished = 0.0
        self.outcome: Outcome | None = None
        #: Whether the observers know.
        self.noted = False
        self._callbacks: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._done = threading.Lock()
        self._done.acquire()

    @property
    def overdue(self) -> bool:
        return monotonic() >= self.deadline

    @property
    def late(self) -> str:
        """What is said of a run that missed its deadline."""
        return f"timed out after {self.timeout:g} s"

    def finish(self, outcome: Outcome) -> None:
        """Publish the outcome and wake everyone who waits."""
        with self._lock:
            self.finished = monotonic()
            self.outcome = outcome
            callbacks, self._callbacks = self._callbacks, []
        self._done.release()
        for callback in callbacks:
            quietly(callback)  # the event loop behind it may be closed by now

    def wait(self, until: float) -> None:
        """Until the run returns, or until ``until`` on the monotonic clock."""
        if self.outcome is None and self._done.acquire(timeout=max(0.0, until - monotonic())):
            self._done.release()  # for the next one who waits

    def when_done(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called when the run returns, from whatever thread; at once if it has."""
        with self._lock:
            if self.outcome is None:
                self._callbacks.append(callback)
                return
        callback()

    def result(self, asked: float | None = None) -> Result:
        """What a caller is told now. ``asked`` is when the question came: an older answer is a reused one."""
        now = monotonic()
        outcome, check = self.outcome, self.check
        reused = outcome is not None and asked is not None and self.finished < asked
        running = outcome is None and now < self.deadline
        if outcome is None:
            outcome = Outcome(None, None, sound=False) if running else self._overdue(asked)
        return Result(
            resource=check.resource,
            name=check.name,
            answer=outcome.answer,
            public_answer=outcome.public_answer,
            sound=outcome.sound,
            judged=check.judged,
            critical=check.critical,
            error=outcome.error,
            reasons=outcome.reasons,
            duration=(self.finished if self.outcome is not None else now) - self.started,
            started_at=self.started_at,
            age=now - self.finished if reused else 0.0,
            cut=outcome.cut,
            running=running,
        )

    def _overdue(self, asked: float | None) -> Outcome:
        reason = self.late
        if asked is not None and asked >= self.deadline:
            since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.started_at))
            reason = f"{reason}, still running since {since}"
        answer = self.check.late(reason)
        return Outcome.failed(reason) if answer is None else _outcome(self.check, answer)


def execute(run: Run) -> Outcome:
    """Do ``run`` in this thread and answer whatever comes of it. The one place where exceptions become outcomes."""
    check = run.check
    try:
        with running_until(run.deadline):
            # A context of its own: what the provider sets (language, time zone, tracing) ends with the run.
            outcome = _ask(run) if conf.synchronous else contextvars.Context().run(_ask, run)
        check.logged = None
        return outcome
    except Unavailable as error:
        return _failed(check, error, _text_of(error))
    except NotPlain as error:
        return _failed(check, error, f"answered {error}, which JSON cannot hold")
    except BaseException as error:  # sys.exit() in a check must not end the server it runs in
        return _failed(check, error, f"raised {type(error).__name__}")


def _ask(run: Run) -> Outcome:
    check = run.check
    value = check.run()
    if hasattr(value, "__await__"):
        value = _await(value, run)
    return _outcome(check, value)


def _outcome(check: Check, value: Any) -> Outcome:
    reasons: Mapping[str, str] = {}
    if isinstance(value, Answer):
        value, reasons = value.value, value.reasons
    plain = to_plain(value)
    public = plain.value
    if type(check.provider).public is not Provider.public:
        public = to_plain(check.load().public(copy.deepcopy(plain.value))).value
    return Outcome(
        plain.value, public, plain.sound, None, {str(key): str(text) for key, text in reasons.items()}, plain.cut
    )


def _await(awaitable: Any, run: Run) -> Any:
    """The value of an async check, on an event loop of its own; cancelled at the deadline, which frees the thread."""
    # Late: asyncio is slow to import, and most checks are plain functions.
    import asyncio

    async def bounded() -> Any:
        return await asyncio.wait_for(awaitable, max(0.0, run.deadline - monotonic()))

    coroutine = bounded()
    try:
        return _native(asyncio.run)(coroutine)
    except asyncio.TimeoutError as error:
        if run.overdue:
            raise Unavailable(run.late) from error
        raise
    finally:
        # Where the loop could not start, or ended early, nothing is left that Python warns was never awaited.
        coroutine.close()
        getattr(awaitable, "close", bool)()


def _native(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, under gevent on a thread of the operating system.

    There, every greenlet of a thread would see the event loop that one of them runs, and Django would refuse database work
    in all of them.
    """
    gevent = sys.modules.get("gevent")
    if gevent is None or not sys.modules["gevent.monkey"].is_module_patched("threading"):
        return function
    apply = gevent.get_hub().threadpool.apply
    return lambda *args: apply(function, args)


def _text_of(error: Unavailable) -> str:
    try:
        return str(to_plain(str(error)).value)
    except Exception:  # a subclass with a broken __str__
        return f"raised {type(error).__name__}"


def _failed(check: Check, error: BaseException, reason: str) -> Outcome:
    """The outcome, after a line in the log: once, not at every probe, for as long as the same thing goes wrong."""
    if check.logged != reason:
        check.logged = reason
        # Late: most processes never log a failure, and the standalone command starts without logging.
        from status.logs import log_failure

        quietly(log_failure, check.resource, check.name, reason, error)
    return Outcome.failed(reason)


def quietly(function: Callable[..., object], *args: object) -> None:
    """Call what is not ours where a failure of it must not change an answer. What it raises goes to the log."""
    try:
        function(*args)
    except BaseException as error:
        # Late: most processes never get here.
        from status.logs import log_mishap

        log_mishap(function, error)


def renew_connections() -> None:
    """What Django does around a request, for the connections that a check opened in this thread."""
    _each_connection("close_if_unusable_or_obsolete")


def close_connections() -> None:
    _each_connection("close")


def _each_connection(method: str) -> None:
    django_db = sys.modules.get("django.db")
    if django_db is not None and conf.in_django:
        for connection in django_db.connections.all(initialized_only=True):
            quietly(getattr(connection, method))
