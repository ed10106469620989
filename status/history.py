"""The last outcomes of each provider, for the strips on the pages: in bounded memory, and nowhere in the database.

Fed by the engine's observers. Where ``STATUS_HISTORY_CACHE`` names a Django cache, the processes share what they saw;
that happens in a thread of its own which nobody waits for, so a dead or frozen cache costs the strip and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import threading
import time
from collections.abc import Iterable
from typing import NamedTuple

from status.conf import conf
from status.entries import Check
from status.report import Result

#: Bars of a strip.
SLOTS = 60
#: Seconds that one bar covers at least, unless the state changes: frequent probes must not push an outage out of sight.
SLOT = 10.0
#: Providers remembered at once, far above what anyone configures.
PROVIDERS = 1_000
#: Seconds between two exchanges with the shared cache.
EXCHANGE_EVERY = 5.0
#: Seconds that the shared cache keeps what nobody adds to.
KEPT = 24 * 3600
#: The best first: of two outcomes that cannot both be drawn, the later in this row is.
STATES = ("info", "pass", "warn", "fail")

Key = tuple[str, str]

logger = logging.getLogger("status")


class Slot(NamedTuple):
    """Outcomes in a row that were the same.

    start, end: when the first and the last of them came, seconds since 1970.
    state: ``pass``, ``warn``, ``fail`` or ``info``.
    fastest, slowest: seconds they took.
    """

    start: float
    end: float
    state: str
    fastest: float
    slowest: float


def merge(slots: Iterable[Slot]) -> list[Slot]:
    """One strip out of many: in the order of time, equal neighbours within ``SLOT`` seconds joined, at most ``SLOTS``.

    Merging again what is already in it changes nothing, so processes may write over each other in any order.
    """
    merged: list[Slot] = []
    for slot in sorted(slots):
        last = merged[-1] if merged else None
        if last is not None and slot.state == last.state and slot.start < last.start + SLOT:
            merged[-1] = _join(last, slot)
        elif last is not None and slot.state == last.state and slot.end <= last.end:
            continue
        else:
            merged.append(slot)
    while len(merged) > SLOTS:
        _forget_oldest(merged)
    return merged


def _join(first: Slot, second: Slot) -> Slot:
    return Slot(
        min(first.start, second.start),
        max(first.end, second.end),
        first.state,
        min(first.fastest, second.fastest),
        max(first.slowest, second.slowest),
    )


def _forget_oldest(slots: list[Slot]) -> None:
    """Drop the oldest bar; the next one remembers its beginning if it was the same, so that "since" stays true."""
    oldest = slots.pop(0)
    if slots and slots[0].state == oldest.state:
        slots[0] = slots[0]._replace(start=oldest.start)


def since(slots: Iterable[Slot]) -> float | None:
    """When the state of the last slot began, seconds since 1970, as far as anyone remembers."""
    start: float | None = None
    state: str | None = None
    for slot in slots:
        if slot.state != state:
            start, state = slot.start, slot.state
    return start


class History:
    """What this process remembers. All methods may be called from any thread, and none waits for anything."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        # Also after a fork, where the lock may be held by a thread that the child does not have.
        self.lock = threading.Lock()
        self.slots: dict[Key, list[Slot]] = {}
        self.news: set[Key] = set()
        self.exchange: threading.Thread | None = None
        self.exchanged_at = -math.inf
        self.warned = False

    def observe(self, check: Check, result: Result) -> None:
        """Remember one finished run; an observer of the engine."""
        now = time.time()
        slot = Slot(now, now, result.state, result.duration, result.duration)
        key = (check.resource, check.name)
        with self.lock:
            slots = self.slots.setdefault(key, [])
            if slots and slots[-1].state == slot.state and slots[-1].start <= now < slots[-1].start + SLOT:
                slots[-1] = _join(slots[-1], slot)
            else:
                slots.append(slot)
                if len(slots) > SLOTS:
                    _forget_oldest(slots)
            self.news.add(key)
            while len(self.slots) > PROVIDERS:
                self.slots.pop(next(iter(self.slots)))

    def of(self, resource: str, name: str) -> tuple[Slot, ...]:
        """The outcomes of one provider, the oldest first; none when nobody has asked it yet."""
        with self.lock:
            return tuple(self.slots.get((resource, name), ()))

    def share(self, keys: Iterable[Key]) -> None:
        """Begin an exchange with the shared cache if one is configured and it is time; never waits for it."""
        alias = conf.history_cache
        if alias is None or time.monotonic() < self.exchanged_at + EXCHANGE_EVERY:
            return
        with self.lock:
            if self.exchange is not None and self.exchange.is_alive():
                return
            wanted = set(keys) | self.news
            self.exchange = threading.Thread(
                target=self._exchange, args=(alias, wanted), name="status-history", daemon=True
            )
            self.exchanged_at = time.monotonic()
        try:
            self.exchange.start()
        except RuntimeError:
            # The process may start no more threads: the next page tries again.
            self.exchange = None

    def _exchange(self, alias: str, wanted: set[Key]) -> None:
        try:
            self._swap(alias, wanted)
        except Exception as error:
            log = logger.debug if self.warned else logger.warning
            log(
                'STATUS_HISTORY_CACHE "%s" cannot be used (%s); strips show this process only.',
                alias,
                type(error).__name__,
            )
            self.warned = True
        else:
            self.warned = False

    def _swap(self, alias: str, wanted: set[Key]) -> None:
        # Late: only where a cache is named, and it may import a client library.
        from django.core.cache import caches

        cache = caches[alias]
        names = {key: cache_key(key) for key in wanted}
        try:
            found = cache.get_many(list(names.values()))
            written = {}
            for key, name in names.items():
                shared = decode(found.get(name))
                with self.lock:
                    slots = merge([*self.slots.get(key, ()), *shared])
                    if slots:
                        self.slots[key] = slots
                text = encode(slots)
                if slots and text != found.get(name):
                    written[name] = text
            if written:
                cache.set_many(written, KEPT)
            with self.lock:
                self.news -= wanted
        finally:
            cache.close()


def cache_key(key: Key) -> str:
    """A key that every cache accepts, whatever the provider is called."""
    digest = hashlib.sha256("\0".join(key).encode("utf-8", "replace")).hexdigest()[:32]
    return f"status-history-1-{digest}"


def encode(slots: Iterable[Slot]) -> str:
    return json.dumps(
        [[round(n, 6) if isinstance(n, float) else n for n in slot] for slot in slots], separators=(",", ":")
    )


def decode(text: object) -> list[Slot]:
    """The slots in a text from the cache; none where it is anything else, as others may write there too."""
    try:
        rows = json.loads(text) if isinstance(text, str) else []
        return [slot for slot in (Slot(*row) for row in rows[:SLOTS]) if _is_slot(slot)]
    except (ValueError, TypeError, KeyError, RecursionError):  # KeyError: a slice of a dict, from Python 3.12 on
        return []


def _is_slot(slot: Slot) -> bool:
    start, end, state, fastest, slowest = slot
    numbers = all(type(n) in (int, float) and math.isfinite(n) and n >= 0 for n in (start, end, fastest, slowest))
    return numbers and state in STATES and start <= end <= time.time() + 3600


history = History()
os.register_at_fork(after_in_child=history._forget)
