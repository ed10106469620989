"""The last outcomes of each check, for the strips on the pages: in bounded memory, and nowhere in the database.

The engine reports each run to ``history.observe``. Where ``STATUS_STORE`` names a Django cache, or the older
``STATUS_HISTORY_CACHE`` does, the processes share what they saw in a thread that nobody waits for, so a cache that is
down or frozen costs that and nothing else.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

from status.conf import conf
from status.entries import Check
from status.logs import log_once
from status.report import MAX_COMPONENTS, Result
from status.serialization import JSON
from status.threads import PerProcess, Worker, close_old_connections

#: Bars of a strip.
SLOTS = 60
#: Seconds that one bar covers at least, unless the state changes: frequent probes must not push an outage out of sight.
SLOT_SECONDS = 10.0
#: Seconds between two exchanges with the shared cache.
EXCHANGE_EVERY = 5.0
#: Seconds after which an exchange that hangs is left behind, and how many may be under way.
REPLACE_AFTER, MAX_EXCHANGES = 30.0, 3
#: Seconds that the shared cache keeps the outcomes of a check that nobody runs any more.
SHARED_SECONDS = 24 * 3600
#: What an outcome can be; what still runs is none.
STATES = ("info", "pass", "warn", "fail")

Key = tuple[str, str]


class Slot(NamedTuple):
    """Outcomes in a row that were the same.

    start, end: when the first and the last of them came, seconds since the epoch.
    state: ``pass``, ``warn``, ``fail`` or ``info``.
    fastest, slowest: seconds they took; None where none of them was run.
    """

    start: float
    end: float
    state: str
    fastest: float | None
    slowest: float | None


def merge(slots: Iterable[Slot]) -> list[Slot]:
    """Return one strip out of many: in the order of time, equal neighbours joined, at most ``SLOTS`` bars.

    To merge again what is already in it changes nothing, so processes may write over each other in any order.
    """
    strip: list[Slot] = []
    for slot in sorted(slots, key=lambda slot: slot[:3]):  # durations may be missing, and are joined in any order
        _append(strip, slot)
    return strip


def _append(strip: list[Slot], slot: Slot) -> None:
    """Add outcomes to the end of a strip: to its last bar or as a new one. Drop the oldest where there are too many."""
    last = strip[-1] if strip else None
    if last is None or slot.state != last.state or slot.start < last.start:  # the clock was set back
        strip.append(slot)
    elif slot.start < last.start + SLOT_SECONDS:
        took = [seconds for seconds in (*last[3:], *slot[3:]) if seconds is not None]
        fastest, slowest = min(took, default=None), max(took, default=None)
        strip[-1] = Slot(last.start, max(last.end, slot.end), last.state, fastest, slowest)
    elif slot.end > last.end:
        strip.append(slot)
    if len(strip) > SLOTS:
        oldest = strip.pop(0)
        if strip[0].state == oldest.state:  # it goes on in the next bar, and ``since`` stays true
            strip[0] = strip[0]._replace(start=oldest.start)


def since(slots: Iterable[Slot]) -> float | None:
    """Return when the state of the last slot began, seconds since the epoch; None where there is no slot."""
    start: float | None = None
    state: str | None = None
    for slot in slots:
        if start is None or slot.state != state or slot.start < start:  # the clock was set back
            start, state = slot.start, slot.state
    return start


def began_in(slots: Sequence[Slot], state: str) -> float | None:
    """Return when ``state`` began; None where the last slot, if there is one, is of another."""
    return since(slots) if slots and slots[-1].state == state else None


class Memory:
    """What one process remembers, and its exchange with the shared cache.

    lock: held to read or change ``slots``.
    slots: ``(resource, name)`` -> slots, the oldest first.
    passed_at: ``(resource, name)`` -> when the last run began that passed, seconds since the epoch.
    parts: ``(resource, name)`` -> the names in its last answer, for callers who may see details and for the others.
    worker: the thread of the exchanges.
    exchanges, exchanged_at: when those began that are under way, and when the last one did (monotonic).
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.slots: dict[Key, list[Slot]] = {}
        self.passed_at: dict[Key, float] = {}
        self.parts: dict[Key, tuple[list[str], list[str]]] = {}
        self.worker = Worker("status-history")
        self.exchanges: set[float] = set()
        self.exchanged_at = -math.inf


class History:
    """The last outcomes of each check. All methods may be called from any thread, and none waits for a cache."""

    def __init__(self) -> None:
        self._memory = PerProcess(Memory)

    @property
    def slots(self) -> dict[Key, list[Slot]]:
        """Return what this process knows: ``(resource, name)`` -> slots, the oldest first."""
        return self._memory.get().slots

    def observe(self, check: Check, result: Result) -> None:
        """Remember one run; an observer of the engine."""
        now = time.time()
        slot = Slot(now, now, result.state, result.duration, result.duration)
        memory = self._memory.get()
        key = (check.resource, check.name)
        with memory.lock:
            _append(memory.slots.setdefault(key, []), slot)
            if result.state == "pass":
                memory.passed_at[key] = result.started_at
            if result.error is None:
                memory.parts[key] = (_names_in(result.answer), _names_in(result.public_answer))

    def of(self, resource: str, name: str) -> tuple[Slot, ...]:
        """Return the outcomes of one check, the oldest first; none where nobody has asked it yet."""
        memory = self._memory.get()
        with memory.lock:
            return tuple(memory.slots.get((resource, name), ()))

    def passed_at(self, resource: str, name: str) -> float | None:
        """Return when the last run of a check began that passed in this process.

        None where none did yet, or where the clock has been set back since, so that nobody knows.
        """
        passed_at = self._memory.get().passed_at.get((resource, name), math.inf)
        return passed_at if passed_at <= time.time() else None

    def parts(self, resource: str, name: str, details: bool) -> list[str]:
        """Return the names of the components in the last answer of a check; none where there was none yet."""
        known = self._memory.get().parts.get((resource, name), ([], []))
        return known[0 if details else 1]

    def began(self, result: Result) -> float:
        """Return when the state of a result began, seconds since the epoch, as far as this process has seen."""
        # The observers may not have been told of this run yet.
        return began_in(self.of(result.resource, result.name), result.state) or result.started_at

    def share(self, keys: Iterable[Key]) -> None:
        """Begin an exchange with the shared cache if one is configured and it is time. Does not wait for its end."""
        alias, memory, now = shared_alias(), self._memory.get(), time.monotonic()
        with memory.lock:
            hangs = memory.exchanged_at in memory.exchanges
            due = memory.exchanged_at + (REPLACE_AFTER if hangs else EXCHANGE_EVERY)
            if alias is None or now < due or len(memory.exchanges) >= MAX_EXCHANGES:
                return
            if hangs:
                memory.worker.abandon()
                memory.worker = Worker("status-history")
            with suppress(RuntimeError):  # no thread can be had: the next page tries again
                known = {*keys, *memory.slots}
                memory.worker.submit(lambda call: self._exchange(memory, *alias, known, now))
                memory.exchanges.add(now)
                memory.exchanged_at = now

    def close(self) -> None:
        """End the thread of the exchanges, and wait until the last one is over. Tests call it; a server need not."""
        thread = self._memory.get().worker.stop()
        if thread is not None:
            thread.join()

    def _exchange(self, memory: Memory, setting: str, alias: str, keys: set[Key], began: float) -> None:
        """Add what the shared cache knows of these checks to the memory, and write back what it does not know."""
        # Late: formats know the history, and the standalone command starts without Django.
        from status.store import Store, StoreFailed, key_of

        close_old_connections()
        store = Store(setting, alias)
        try:
            names = {key_of("history", *key): key for key in keys}
            shared = store.read(names)
            news: dict[str, JSON] = {}
            latest = latest_possible()
            for name, key in names.items():
                with memory.lock:
                    own = [slot for slot in memory.slots.get(key, ()) if slot.end <= latest]
                    slots = merge([*own, *slots_of(shared.get(name))])
                    if slots:
                        memory.slots[key] = slots
                        news[name] = rows_of(slots)
            if news := {name: rows for name, rows in news.items() if rows != shared.get(name)}:
                store.write(news, SHARED_SECONDS)
        except StoreFailed as error:
            log_once(f"{error}; strips show this process only.")
        finally:
            close_old_connections()
            with memory.lock:
                memory.exchanges.discard(began)


def shared_alias() -> tuple[str, str] | None:
    """Return the setting and the alias of the cache through which the processes share what they saw, if they do."""
    if conf.store is not None:
        return "STATUS_STORE", conf.store
    return None if conf.history_cache is None else ("STATUS_HISTORY_CACHE", conf.history_cache)


def rows_of(slots: Iterable[Slot]) -> JSON:
    """Return the slots as JSON, times to the microsecond."""
    return [[round(field, 6) if isinstance(field, float) else field for field in slot] for slot in slots]


def slots_of(rows: JSON) -> list[Slot]:
    """Return the slots in a value of the store; none where it is of another shape, as another version may write it."""
    latest = latest_possible()
    try:
        return [
            slot
            for slot in (Slot(*row) for row in rows[:SLOTS])  # type: ignore
            if all(map(_is_amount, slot[:2]))
            and (slot[3:] == (None, None) or all(map(_is_amount, slot[3:])))
            and slot.state in STATES
            and slot.start <= slot.end <= latest
        ]
    except (ValueError, TypeError, KeyError, OverflowError):  # KeyError: a slice of a dict
        return []


def latest_possible() -> float:
    """Return the time after which no outcome can be: hosts may disagree, and a clock that was ahead may be set back."""
    return time.time() + 3600


def _names_in(answer: JSON) -> list[str]:
    return list(answer)[:MAX_COMPONENTS] if isinstance(answer, dict) else []


def _is_amount(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


history = History()
