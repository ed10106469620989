"""What tests do with a ``Teller`` of changes: wait until it has told everything, and have it forget."""

from __future__ import annotations

from concurrent import futures
from typing import Any


def flush(teller: Any, timeout: float) -> bool:
    """Wait ``timeout`` seconds at most until everything is told. Return whether it is."""
    thread = teller._thread
    if thread is not None:
        futures.wait([thread], timeout)
    return (thread is None or thread.done()) and not teller._untold


def forget(teller: Any) -> None:
    """Have it know no state any more, and leave untold what was not told yet."""
    with teller._lock:
        teller._told.clear()
        teller._untold.clear()
        teller._changes.put(None)
