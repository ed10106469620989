"""Tell when a check changes its state: in the ``status`` log, and with the signal ``status_changed``.

A change of one check is told at most once a minute, so that one that fails every other time floods nobody. What is
told last is true: a state that lasts is told when the minute is over. Log handlers and receivers may be slow (mail,
chat), so they run in threads of their own, which end when there is nothing left to tell.
"""

from __future__ import annotations

import logging
import math
import sys
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from threading import Condition
from time import monotonic
from typing import NamedTuple

from status.conf import conf
from status.entries import Check
from status.logs import call_safely, logger
from status.registry import registry
from status.report import Result, State
from status.threads import PerProcess, close_connections, start_call


class Told(NamedTuple):
    """The state of a check that was told last, None before the first, and when (monotonic)."""

    state: State | None = None
    at: float = -math.inf


class Teller:
    """Tells the changes of checks one after the other, in a thread that runs while there are any.

    tell: called with the state that was told before, None where the check was never seen before, and the new result.
    """

    #: Seconds between two changes of one check.
    interval = 60.0

    def __init__(self, tell: Callable[[State | None, Result], None]) -> None:
        self.tell = tell
        self._changed = Condition()
        self._told: dict[tuple[str, str], Told] = defaultdict(Told)
        #: The newest results that differ from what was told, in the order in which they came.
        self._untold: dict[tuple[str, str], Result] = {}
        #: Done when the thread has ended, which takes it away under the lock before.
        self._thread: Future[None] | None = None

    def see(self, result: Result) -> None:
        """Notice the state of a check. Passing at first is no change, failing is."""
        key = (result.resource, result.name)
        with self._changed:
            told = self._told[key]
            if result.state == told.state and key not in self._untold:
                return
            if result.state == told.state or (told.state is None and result.state == "pass"):
                self._untold.pop(key, None)
                self._told[key] = told._replace(state=result.state)
            elif conf.synchronous:
                self._told[key] = Told(result.state)
                call_safely(self.tell, told.state, result)
            else:
                self._untold[key] = result
            if self._untold and self._thread is None:
                with suppress(RuntimeError):  # no thread can be had: the next observation tries again
                    self._thread = start_call(self._run, "status-notifications")
            self._changed.notify()

    def _run(self) -> None:
        """Tell each change as soon as it may be told, until there is none."""
        while True:
            with self._changed:
                if not self._untold:
                    self._thread = None
                    return
                key = min(self._untold, key=lambda key: self._told[key].at)
                told = self._told[key]
                left = told.at + self.interval - monotonic()
                if left > 0:
                    self._changed.wait(left)
                    continue
                result = self._untold.pop(key)
                self._told[key] = Told(result.state, monotonic())
            call_safely(self.tell, told.state, result)
            close_connections()


def observe(check: Check, result: Result) -> None:
    """Notice a change of state; an observer of the engine. Waits for no log handler and no receiver."""
    # The first two are no states that change. Who waits for a start is told by the answer.
    if result.state not in ("info", "running") and not registry.is_preset(check.resource):
        for teller in tellers.get():
            teller.see(result)


def _log(old: State | None, result: Result) -> None:
    """Log the change in one line, with the safe sentences of the result; a recovery at the level of the failure."""
    address = f"{result.resource}/{result.name}"
    facts = {"resource": result.resource, "provider": result.name, "state": result.state}
    if result.state == "pass":
        logger.log(logging.ERROR if old == "fail" else logging.WARNING, "%s recovered", address, extra=facts)
    elif result.state == "fail":
        logger.error("%s is failing: %s", address, result.summary, extra=facts)
    elif result.sound:
        logger.warning("%s warns: %s", address, result.summary, extra=facts)
    else:
        logger.warning("%s is failing, which only warns: %s", address, result.summary, extra=facts)


def _send_signal(old: State | None, result: Result) -> None:
    # Whoever has a receiver has imported the module; without one, Django is not even needed.
    signals = sys.modules.get("status.signals")
    if signals is not None:
        signals.status_changed.send_robust(
            Result, resource=result.resource, name=result.name, old=old, new=result.state, result=result
        )


#: One each, so that a receiver that hangs does not keep changes out of the log.
tellers = PerProcess(lambda: (Teller(_log), Teller(_send_signal)))
