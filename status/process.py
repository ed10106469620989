"""State that belongs to one process: a forked child begins with its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """One value for each process, made when it is first asked for.

    A child inherits its parent's locks as they happened to be at the fork, and none of its threads. It is noticed by
    its process id, because uWSGI forks without running what ``os.register_at_fork`` registers, and Windows has no such
    function. The parent's value is kept, unused: collecting it could speak on sockets that both processes share.

    make: makes the value. Two threads may call it at once; the value of one of them is kept for both.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._values: dict[int, T] = {}

    def get(self) -> T:
        """Return the value of this process."""
        pid = os.getpid()
        try:
            return self._values[pid]
        except KeyError:
            return self._values.setdefault(pid, self._make())

    def renew(self) -> None:
        """Forget the value of this process. Tests call it."""
        self._values.pop(os.getpid(), None)
