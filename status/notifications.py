"""Tells once when a check changes its state: in the ``status`` log, and with the ``status_changed`` signal.

Log handlers and receivers may be slow (mail, chat), so they run in threads of their own, which end when nothing is left
to tell.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

from status.conf import conf
from status.engine.worker import close_connections
from status.entries import Check
from status.logs import call_safely
from status.report import Result, State

#: Checks whose state is remembered, far above what anyone configures; beyond it the oldest is forgotten.
REMEMBERED = 10_000
#: Changes that may wait to be told; beyond it the oldest is dropped.
WAITING = 100
#: Components that a log line names.
NAMED = 5


class Change(NamedTuple):
    """A check left the state ``old`` (None: it was never asked before). ``result`` has the new one."""

    old: State | None
    result: Result


class Teller:
    """Tells changes in their order, each on a thread that starts when there is one and ends when there are no more."""

    def __init__(self, tell: Callable[[Change], None]) -> None:
        self.tell = tell
        self.forget()

    def forget(self) -> None:
        """Start anew. After a fork the parent's thread tells what is waiting, and its lock may be held for ever."""
        self.lock = threading.Lock()
        self.waiting: deque[Change] = deque(maxlen=WAITING)
        self.thread: threading.Thread | None = None

    def add(self, change: Change) -> None:
        with self.lock:
            self.waiting.append(change)
        self.wake()

    def wake(self) -> None:
        """See to it that what is waiting gets told; tried again at the next observation where no thread can be had."""
        with self.lock:
            if self.thread is None and self.waiting:
                thread = threading.Thread(target=self.run, name="status-changes", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # the process or the machine has no thread left
                    return
                self.thread = thread

    def run(self) -> None:
        while (change := self.next()) is not None:
            call_safely(self.tell, change)
            close_connections()

    def next(self) -> Change | None:
        with self.lock:
            if self.waiting:
                return self.waiting.popleft()
            self.thread = None
            return None

    def flush(self, until: float) -> bool:
        """Wait until everything is told, or until ``until`` on the monotonic clock; whether it is."""
        while (thread := self.thread) is not None:
            thread.join(max(0.0, until - monotonic()))
            if thread.is_alive():
                return False
        return not self.waiting


def observe(check: Check, result: Result) -> None:
    """An observer of the engine: notice a change of state. Passing when first asked is none, failing is.

    What only informs has no state to change. Never waits: not for a log handler, nor for a receiver.
    """
    state = result.state
    if state in ("info", "running"):
        return
    key = (check.resource, check.name)
    old = _states.get(key)
    if old != state:
        with _lock:
            old, _states[key] = _states.get(key), state
            if len(_states) > REMEMBERED:
                del _states[next(iter(_states))]
        if old != state and (old, state) != (None, "pass"):
            _announce(Change(old, result))
    for teller in _tellers:
        if teller.waiting and teller.thread is None:
            teller.wake()


def flush(timeout: float = 1.0) -> bool:
    """Wait until every change is told, at most ``timeout`` seconds; whether it is. For commands and tests."""
    until = monotonic() + timeout
    return all(teller.flush(until) for teller in _tellers)


def forget() -> None:
    """Know no state any more, and leave untold what was not told yet."""
    _states.clear()
    _after_fork()


def _announce(change: Change) -> None:
    for teller in _tellers:
        if conf.synchronous:
            call_safely(teller.tell, change)
        else:
            teller.add(change)


def _log(change: Change) -> None:
    # Late: the standalone command starts without logging.
    from status.logs import logger

    result = change.result
    address = f"{result.resource}/{result.name}"
    if result.state == "pass":
        logger.info("%s recovered", address)
    elif result.state == "fail":
        logger.error("%s is failing: %s", address, _why(result))
    else:
        logger.warning("%s is failing, which only warns: %s", address, _why(result))


def _why(result: Result) -> str:
    """The safe sentences of the result, in one line whatever its components are called."""
    # Late: a process in which nothing changes loads no formats but the one it prints.
    from status.formats.components import components, one_line

    failing = [part for part in components(result, details=True) if part.state in ("fail", "warn")]
    told = [": ".join(one_line(text) for text in (part.name, part.output) if text) for part in failing[:NAMED]]
    if len(failing) > NAMED:
        told.append(f"and {len(failing) - NAMED} more")
    return ", ".join(filter(None, told)) or "its answer holds false or null"


def _signal(change: Change) -> None:
    # Whoever has a receiver has imported the module; without one, Django is not even needed.
    signals = sys.modules.get("status.signals")
    if signals is not None:
        old, result = change
        signals.status_changed.send_robust(
            Result, resource=result.resource, name=result.name, old=old, new=result.state, result=result
        )


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    for teller in _tellers:
        teller.forget()


_states: dict[tuple[str, str], State] = {}
_lock = threading.Lock()
#: One each, so that a receiver that hangs does not keep changes out of the log.
_tellers = (Teller(_log), Teller(_signal))
os.register_at_fork(after_in_child=_after_fork)
