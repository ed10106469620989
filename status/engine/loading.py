"""Loads the code of checks: one module at a time, on a thread of its own, each within a limit.

Two threads that import the same package for the first time together can break each other's import, and on a slow
machine imports take longer than any check may. So code is loaded before a check's deadline begins to count.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from weakref import WeakKeyDictionary

from status.entries import Check
from status.providers.base import Unavailable
from status.threads import Worker, running_future, start_call, wait

#: What is said of a check where the process or the machine has no thread left.
NO_THREAD = "no thread could be started to run it"


class Loader:
    """Loads checks in the order in which they are first asked for.

    limit: seconds one check may take; one that takes longer goes on beside the others.
    limit_beside: the same while another one goes on so, for which everybody has waited already.
    """

    limit = 10.0
    limit_beside = 1.0

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Not 0, with which ``SimpleQueue.get()`` may wait for ever: after a spurious wake-up its timeout is negative.
        self._worker = Worker("status-loader", idle_seconds=0.1)
        #: The load that was begun last, and the call that does it once it is its turn.
        self._loads: WeakKeyDictionary[Check, Future[None]] = WeakKeyDictionary()
        self._calls: WeakKeyDictionary[Check, Future[None]] = WeakKeyDictionary()

    def load(self, check: Check) -> Future[None]:
        """Begin to load ``check`` unless that is under way. Return a future that is done when it is, or overstays."""
        with self._lock:
            load, call = self._loads.get(check), self._calls.get(check)
            if load is None or (load.done() and (call is None or call.done())):
                load = running_future()
                if str(check.load_error) == NO_THREAD:  # which tells nothing of its code
                    check.load_error = None
                try:
                    self._worker.submit(lambda call: self._load(check, load))
                except RuntimeError:
                    check.load_error = Unavailable(NO_THREAD)
                    load.set_result(None)
                # Last: nobody may wait for what an alarm kept from being submitted.
                self._loads[check] = load
            return load

    def stop(self) -> threading.Thread | None:
        """End the thread after what it loads. Return it where that is nothing."""
        with self._lock:
            thread = self._worker.stop()
            return thread if all(load.done() for load in self._loads.values()) else None

    def _load(self, check: Check, load: Future[None]) -> None:
        hangs = any(not call.done() for call in self._calls.values())
        try:
            call = start_call(check.try_to_load, f"status-load-{check.resource}-{check.name}")
            self._calls[check] = call
            wait(call, self.limit_beside if hangs else self.limit)
        except RuntimeError:
            check.load_error = Unavailable(NO_THREAD)
        finally:
            load.set_result(None)
