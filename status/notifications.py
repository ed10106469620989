"""Tell when a check changes its state: in the ``status`` log, and with the signal ``status_changed``.

A change of one check is told at most once a minute, so that one that fails every other time floods nobody. What is
told last is true: a state that lasts is told when the minute is over. Log handlers and receivers may be slow (mail,
chat), so they run in threads of their own, which end when there is nothing left to tell. Processes that share a store
agree there on which of them tells.
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock
from time import monotonic
from typing import NamedTuple

from status.conf import conf
from status.entries import Check
from status.leases import Leases
from status.logs import call_safely, log_change
from status.registry import registry
from status.report import Result, State
from status.threads import PerProcess, close_connections, start_call


class Told(NamedTuple):
    """What is known of a check to be told, here or by another process.

    state: the state that was told last; None before the first.
    marked: whether the store knows of it, if there is one.
    due: when the next change may be told, or asked about again (monotonic).
    confirm_at: when it is time to confirm in the store that this process still sees the same (monotonic).
    """

    state: State | None = None
    marked: bool = True
    due: float = -math.inf
    confirm_at: float = -math.inf


class Teller:
    """Tells the changes of checks one after the other, in a thread that runs while there are any.

    way: the name of what it does, ``log`` or ``signal``; of each, one process tells.
    tell: called with the state that was told before, None where the check was never seen before, and the new result.
    is_heard: whether there is anybody to tell in this process.
    """

    #: Seconds between two changes of one check.
    interval = 60.0

    def __init__(
        self, way: str, tell: Callable[[State | None, Result], None], is_heard: Callable[[], bool] = lambda: True
    ) -> None:
        self.tell = tell
        self.is_heard = is_heard
        self._leases = Leases(way)
        # Not a ``Condition``: an alarm may strike who sees a result, and leave its lock taken.
        self._lock = Lock()
        self._changes: SimpleQueue[None] = SimpleQueue()
        self._told: dict[tuple[str, str], Told] = defaultdict(Told)
        #: The newest results that differ from what was told, or are to be confirmed, in the order in which they came.
        self._untold: dict[tuple[str, str], Result] = {}
        #: Done when the thread has ended, which takes it away under the lock before.
        self._thread: Future[None] | None = None

    def see(self, result: Result) -> None:
        """Notice the state of a check. Passing at first is no change, failing is."""
        key = (result.resource, result.name)
        tells_here = False
        with self._lock:
            told = self._told[key]
            same = result.state == told.state and not self._is_to_confirm(told)
            if same and key not in self._untold:
                return
            if same or (told.state is None and result.state == "pass"):
                self._untold.pop(key, None)
                self._told[key] = told._replace(state=result.state)
            elif conf.synchronous:
                tells_here = True
                self._told[key] = Told(result.state)
            else:
                self._untold[key] = result
            if self._untold and self._thread is None:
                with suppress(RuntimeError):  # no thread can be had: the next observation tries again
                    self._thread = start_call(self._run, "status-notifications")
            if self._thread is not None and self._changes.empty():
                self._changes.put(None)
        if tells_here:  # without the lock: whoever is told may ask a check
            call_safely(self.tell, told.state, result)

    def _is_to_confirm(self, told: Told) -> bool:
        """Return whether it is time to confirm in the store what was told without it, or is still not well."""
        in_question = told.state in ("warn", "fail") or not told.marked
        return in_question and conf.store is not None and monotonic() >= told.confirm_at

    def _run(self) -> None:
        """Tell each change as soon as it may be told, until there is none."""
        while True:
            with self._lock:
                if not self._untold:
                    self._thread = None
                    return
                key = min(self._untold, key=lambda key: self._told[key].due)
                told, result = self._told[key], self._untold[key]
            left = told.due - monotonic()
            if left > 0:
                with suppress(Empty):
                    self._changes.get(timeout=max(left, 0.01))  # see ``Loader`` of the engine
                continue
            self._take_turn(key, told, result)
            close_connections()

    def _take_turn(self, key: tuple[str, str], told: Told, result: Result) -> None:
        """Tell a change, unless another process tells it, or did. It stays untold where that is not known yet."""
        turn = self._leases.ask(key, told.state, result.state, told.marked, self.interval)
        now = monotonic()
        with self._lock:
            if turn.do == "wait":
                self._told[key] = self._told[key]._replace(due=now + self.interval / 12)
                return
            if key not in self._untold or self._untold[key].state != result.state:
                return  # it has changed meanwhile
            result = self._untold.pop(key)
            due = told.due if turn.do == "silent" else now + self.interval
            self._told[key] = Told(result.state, turn.marked, due, now + self.interval)
        if turn.do == "tell":
            call_safely(self.tell, turn.last, result)
            marked = self._leases.mark(key, result.state, self.interval)
            with self._lock:
                self._told[key] = self._told[key]._replace(marked=marked)


def observe(check: Check, result: Result) -> None:
    """Notice a change of state; an observer of the engine. Waits for no log handler and no receiver."""
    # The first two are no states that change. Who waits for a start is told by the answer.
    if result.state not in ("info", "running") and not registry.is_preset(check.resource):
        for teller in tellers.get():
            if teller.is_heard():
                teller.see(result)


def _log(old: State | None, result: Result) -> None:
    log_change(result.resource, result.name, old, result.state, result.summary, result.sound)


def _send_signal(old: State | None, result: Result) -> None:
    sys.modules["status.signals"].status_changed.send_robust(
        Result, resource=result.resource, name=result.name, old=old, new=result.state, result=result
    )


def _has_receivers() -> bool:
    # Whoever has a receiver has imported the module; without one, Django is not even needed.
    signal = getattr(sys.modules.get("status.signals"), "status_changed", None)
    return signal is not None and signal.has_listeners(Result)


#: One each, so that a receiver that hangs does not keep changes out of the log.
tellers = PerProcess(lambda: (Teller("log", _log), Teller("signal", _send_signal, _has_receivers)))
