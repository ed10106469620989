"""Loops of this process that tell that they go round: a thread that answers says nothing about the one that works."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from status.conf import SHORT_NAME, found, is_short_name, is_timeout, shown
from status.logs import call_safely, log_once
from status.threads import PerProcess

#: Names that one process may have, as each is a component of an answer.
MAX_LOOPS = 100

#: Called with the name of a loop that is new in this process. ``AppConfig.ready()`` adds the fleet.
observers: list[Callable[[str], object]] = []

#: Name -> when it was touched last (monotonic), and within how many seconds it is to come again. A fork has no loops.
_loops: PerProcess[dict[str, tuple[float, float]]] = PerProcess(dict)


def touch(name: str = "loop", every: float | None = 30) -> None:
    """Tell that a loop of this process goes round. ``live`` and ``health`` of this process fail when it is late.

    Costs microseconds, the first call of a process milliseconds. Waits for nothing and raises nothing: a mistake is
    logged, once a minute.

    name: at most 100 characters, without a slash.
    every: seconds within which it comes again; None where the loop has ended, and is expected no more.
    """
    loops = _loops.get()
    if not is_short_name(name):
        log_once(f"touch() should get {SHORT_NAME}.", example=f" It got {shown(name)}.")
    elif every is None:
        loops.pop(name, None)
    elif not is_timeout(every):
        log_once("touch() should get every as a positive number of seconds.", example=f" It got {found(every)}.")
    elif name not in loops and len(loops) >= MAX_LOOPS:
        log_once(f"touch() should get at most {MAX_LOOPS} different names in a process; another one is not watched.")
    else:
        if name not in loops:
            for observer in observers:
                call_safely(observer, name)
        loops[name] = (time.monotonic(), float(every))


def touched() -> Mapping[str, tuple[float, float]]:
    """Return the loops: name -> when each was touched last, and within how many seconds it is to come again."""
    return _loops.get()
