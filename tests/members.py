"""Fleets in the states that their page shows, for the browser and the screenshots."""

from __future__ import annotations

import time
from typing import Any

from status.fleet import Fleet, Member

OLD, NEW = "3f2a1b4c5d6e7f8091a2b3c4d5e6f708192a3b4c", "9c8b7a6f5e4d3c2b1a0f9e8d7c6b5a4f3e2d1c0b"
PASSING = {"health/databases": "pass", "health/caches": "pass", "shop/payments": "pass"}


def member(pid: int, role: str = "web", host: str = "web-1", **facts: Any) -> Member:
    now = time.time()
    told: dict[str, Any] = {"commit": NEW, "checks": PASSING, "failing": {}, "period": 10.0}
    times = {"started": now - 7500.0, "seen": now - pid % 10, "asked": now - 3.0}
    return Member(**{"host": host, "pid": pid, "role": role, **told, **times, **facts})


def failing(
    pid: int, reason: str = "default: OperationalError", check: str = "health/databases", **facts: Any
) -> Member:
    return member(pid, checks={**PASSING, check: "fail"}, failing={check: reason}, **facts)


def well() -> list[Member]:
    """Two web servers with two processes each, two Celery workers, beat and a loop."""
    return [
        *(member(pid, host=host) for host in ("web-1", "web-2") for pid in (4711, 4712)),
        member(815, "worker", "jobs-1"),
        member(816, "worker", "jobs-2", checks={}, asked=None),
        member(817, "beat", "jobs-1", checks={}, asked=None),
        member(901, "orders", "jobs-2"),
    ]


def fleets() -> dict[str, Fleet]:
    """Return the fleets by the names of their states."""
    some = well()
    lost = [some[0]._replace(lost=True, seen=time.time() - 95), some[4]._replace(lost=True, seen=time.time() - 4000)]
    drift = [one._replace(commit=OLD) if one.host == "web-2" else one for one in some]
    several = [failing(4711), *drift[1:4], some[4]._replace(lost=True, seen=time.time() - 95), *drift[5:]]
    warns = some[0]._replace(checks={**PASSING, "health/disk": "warn"})
    many = [member(pid, host=f"web-{pid % 40}") for pid in range(1000, 3000)]
    many[::150] = [failing(one.pid, host=one.host) for one in many[::150]]
    roles = [member(pid, f"loop-{pid}", "jobs-1") for pid in range(60)]
    return {
        "good": Fleet(tuple(some)),
        "failing": Fleet((failing(4711), *some[1:])),
        "several": Fleet(tuple(several)),
        "lost": Fleet((*lost, *some[1:4], *some[5:])),
        "drift": Fleet(tuple(drift)),
        "warning": Fleet((warns, *some[1:])),
        "down": Fleet((some[0],), 'STATUS_STORE "status" cannot be used (ConnectionError)'),
        "down-failing": Fleet((failing(4711),), 'STATUS_STORE "status" did not answer within 2 s'),
        "alone": Fleet((some[0],)),
        "unknown": Fleet((some[5], some[6])),
        "large": Fleet((*many, *roles)),
    }
