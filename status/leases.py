"""Agree with all processes that share a store (``STATUS_STORE``) on which of them tells a change.

Whoever adds a lease to the store tells, and marks the change as told. The others find the mark and say nothing. A lease
is not given back: it ends after a minute, so that a check is told at most once a minute, and that another process tells
when the first one died before its mark. One that died between telling and the mark makes the others tell again.

Processes may disagree. The worst of what they see stands, until a process recovers that saw as bad itself; one that
still sees worse then finds the better mark when it confirms its own state, once a minute, and tells again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from status.conf import conf
from status.limited_calls import LimitedCalls
from status.logs import log_once
from status.report import State
from status.serialization import JSON

if TYPE_CHECKING:
    from status.store import Store

T = TypeVar("T")

#: From good to bad. None is a state that nobody has told.
RANKS = {None: 0, "pass": 0, "warn": 1, "fail": 2}
#: Periods without a confirmation after which a mark ends, for example as all who saw a failure were replaced.
MARK_PERIODS = 3

#: A store that hangs holds up nobody for longer than this, and is left alone until it answers again.
calls = LimitedCalls("status-leases", limit=3, timeout=5.0)


class Turn(NamedTuple):
    """What to do about a change.

    do: ``tell`` it, be ``silent`` as it is told or was no news, or ``wait`` and ask again.
    last: the state that was told last.
    marked: whether the store knows what this process takes for told.
    """

    do: Literal["tell", "silent", "wait"]
    last: State | None
    marked: bool


class Leases:
    """The leases and marks for one way of telling.

    way: its name, ``log`` or ``signal``.
    """

    def __init__(self, way: str) -> None:
        self.way = way

    def ask(self, check: tuple[str, str], told: State | None, new: State, marked: bool, period: float) -> Turn:
        """Return what to do about the state that a check is in now. Waits for the store, for some seconds at most.

        Without a store, and while it is gone, this process decides alone.

        told: the state that this process takes for told; ``new`` may be the same, to be confirmed.
        marked: whether the store knows of it.
        period: seconds that a lease lasts.
        """

        def ask(store: Store, mark: str, lease: str) -> Turn:
            found = store.read([mark, lease])
            # What was told while the store was gone is newer than its mark.
            last = state_of(found.get(mark), told) if marked else told
            if not is_news(told, last, new):
                if last == new and not (marked and store.renew(mark, period * MARK_PERIODS)):
                    store.write({mark: new}, period * MARK_PERIODS)
                return Turn("silent", last, True)
            first = lease not in found and store.win(lease, period)
            # It may have been told between the two.
            unchanged = first and store.read([mark]).get(mark) == found.get(mark)
            return Turn("tell" if unchanged else "wait", last, marked)

        return self._call(ask, check, Turn("silent" if new == told else "tell", told, marked))

    def mark(self, check: tuple[str, str], state: State, period: float) -> bool:
        """Mark a state as told. Return whether the store knows. Waits for it, for some seconds at most."""

        def write(store: Store, mark: str, lease: str) -> bool:
            store.write({mark: state}, period * MARK_PERIODS)
            return True

        return self._call(write, check, False)

    def _call(self, function: Callable[[Store, str, str], T], check: tuple[str, str], default: T) -> T:
        """Return what ``function`` answers, called with the store, the key of the mark, and that of the lease.

        ``default`` where there is no store, or none that answers.
        """
        alias = conf.store
        if alias is None:
            return default
        # Late: the standalone command starts without Django.
        from status.store import Store, StoreFailed, key_of

        def call() -> T:
            try:
                keys = (key_of(kind, self.way, *check) for kind in ("told", "lease"))
                return function(Store("STATUS_STORE", alias), *keys)
            except StoreFailed as error:
                log_once(f"{error}; each process tells its own alerts.", error)
                return default

        return calls.call(call, default)


def is_news(told: State | None, last: State | None, new: State) -> bool:
    """Return whether a change is to be told.

    told: the state that this process takes for told.
    last: the one that was told last, perhaps by another process. Where it is worse than all that this one has seen,
        another process sees worse, and that stands.
    """
    return new != last and max(RANKS[told], RANKS[new]) >= RANKS[last]


def state_of(value: JSON, default: State | None) -> State | None:
    """Return the state in a mark; ``default`` where there is none, or one of another version."""
    for state in ("pass", "warn", "fail"):
        if value == state:
            return state
    return default
