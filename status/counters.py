"""How often the checks ran and failed in all processes together, for the counters of metrics.

Each process adds what it has counted to one value in the store, with its reports to the fleet, so that the sums outlive
it. One that is killed takes with it what it has counted since its last report.
"""

from __future__ import annotations

import hashlib
import math
import random
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any, TypeVar

from status.conf import conf
from status.entries import Check
from status.history import Key, latest_possible
from status.limited_calls import LimitedCalls
from status.logs import log_once
from status.registry import registry
from status.report import Counts, Result
from status.serialization import JSON
from status.store import OpenStore, Store, StoreFailed, key_of
from status.threads import PerProcess, await_future, call_natively, running_future, settle, start_call, wait

T = TypeVar("T")

#: Where the sums are: name -> runs, failures, and when it passed last.
SUMS = key_of("counts")
#: Checks that are counted. Names that are configured no more stay among them.
MAX_COUNTED = 1_000
#: How often, and after how many seconds again, a process tries to add to the sums that others add to as well.
TRIES, PAUSE = 3, 0.05
#: Readers that wait for the store: many at once are no reason to read more often.
reads = LimitedCalls("status-counters", limit=4, timeout=2.0)


class Tally:
    """What one process has counted and not yet added to the sums, by resource and name."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.counts: dict[Key, Counts] = {}

    def add(self, counts: Mapping[Key, Counts]) -> None:
        with self.lock:
            add(self.counts, counts)

    def take(self) -> dict[Key, Counts]:
        """Return what was counted, and begin anew."""
        with self.lock:
            taken, self.counts = self.counts, {}
        return taken


tallies = PerProcess(Tally)


def observe(check: Check, result: Result) -> None:
    """Count one run; an observer of the engine."""
    if conf.store is None or not result.judged or registry.is_preset(check.resource):
        return
    passed_at = result.started_at if result.state == "pass" else 0.0
    tallies.get().add({(check.resource, check.name): Counts(1, int(not result.sound), passed_at)})


def add_up(store: Store) -> bool:
    """Add what this process has counted to the sums. Return whether that is done; else it is for the next time.

    Raises ``StoreFailed``.
    """
    tally = tallies.get()
    counts = tally.take()
    if not counts:
        return True
    done = False
    try:
        done = call_natively(partial(store.use, partial(_change_sums, counts)))
    finally:
        if not done:
            tally.add(counts)
    return done


def _change_sums(counts: Mapping[Key, Counts], opened: OpenStore) -> bool:
    """Add the counts, unless others do the same all the time. Return whether that is done."""
    for _ in range(TRIES):
        if opened.change(SUMS, partial(_sum, counts)):
            return True
        time.sleep(random.uniform(0, 2 * PAUSE))  # those that end together try at different times
    return False


def _sum(counts: Mapping[Key, Counts], value: JSON) -> JSON:
    """Return the value of the store with these counts added."""
    sums = counts_in(value)
    add(sums, {name_of(*key): one for key, one in counts.items()})
    return {name: list(one) for name, one in list(sums.items())[:MAX_COUNTED]}


def add(sums: dict[T, Counts], counts: Mapping[T, Counts]) -> None:
    """Add the counts to the sums, what is new at the end."""
    for key, one in counts.items():
        known = sums.get(key, Counts())
        passed_at = max(known.passed_at, one.passed_at)
        sums[key] = Counts(known.runs + one.runs, known.failures + one.failures, passed_at)


def counts_in(value: JSON) -> dict[str, Counts]:
    """Return the sums in a value of the store, without what is of another shape, as another version may write it.

    Without times of a clock that was ahead, which would be the last for ever.
    """
    rows: dict[str, Any] = value if isinstance(value, dict) else {}
    sums = {name: Counts(*row) for name, row in rows.items() if _is_row(row)}
    latest = latest_possible()
    return {name: one if one.passed_at <= latest else one._replace(passed_at=0.0) for name, one in sums.items()}


def _is_row(row: Any) -> bool:
    return (
        isinstance(row, list)
        and [type(number) for number in row[:2]] == [int, int]
        and len(row) == 3
        and type(row[2]) in (int, float)
        and all(0 <= number < math.inf for number in row)
    )


def name_of(resource: str, name: str) -> str:
    """Return the name under which a check is counted, which is short whatever the check is called."""
    return hashlib.sha256(f"{resource}/{name}".encode("utf-8", "replace")).hexdigest()[:16]


class Reading:
    """The sums while they are read: beside the checks, so that nobody waits longer for them than for those."""

    def __init__(self, store: Store) -> None:
        self._deadline: float = monotonic() + conf.timeout
        self._future: Future[dict[str, Counts] | None] = running_future()
        read = partial(read_sums, store)
        if conf.synchronous:
            settle(self._future, read)
            return
        with suppress(RuntimeError):  # no thread can be had
            self._future = start_call(partial(reads.call, read, None), "status-counters")

    @classmethod
    def begin(cls) -> Reading | None:
        """Begin to read; None where there is no store."""
        store = Store.configured()
        return None if store is None else cls(store)

    def of(self, results: tuple[Result, ...]) -> dict[Key, Counts] | None:
        """Return the sums of these checks, by resource and name; None where they were not there in time."""
        wait(self._future, self._left)
        return self._of(results)

    async def aof(self, results: tuple[Result, ...]) -> dict[Key, Counts] | None:
        """Do the same as ``of`` on an event loop, without blocking it."""
        await await_future(self._future, self._left)
        return self._of(results)

    @property
    def _left(self) -> float:
        return max(0.0, self._deadline - monotonic())

    def _of(self, results: tuple[Result, ...]) -> dict[Key, Counts] | None:
        sums = self._future.result() if self._future.done() else None
        if sums is None:
            return None
        return {(one.resource, one.name): sums.get(name_of(one.resource, one.name), Counts()) for one in results}


def read_sums(store: Store) -> dict[str, Counts] | None:
    """Return the sums; None where the store cannot be used, which is logged. Waits for the store."""
    try:
        return call_natively(partial(store.use, _read_sums))
    except StoreFailed as error:
        log_once(f"{error}; metrics have no counters meanwhile.")
        return None


def _read_sums(opened: OpenStore) -> dict[str, Counts]:
    return counts_in(opened.read([SUMS]).get(SUMS))
