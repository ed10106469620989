"""What the fleet costs on a real Redis: ``python -m tests.benchmarks.fleet [MEMBERS ...]``, else 50 and 2,000.

Members are simulated: each is a reporter of this process with a name of its own, and all of them report in turn. So
what a report and a view cost is measured, and what a server does in a period is counted.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import django
from django.conf import settings
from django.core.cache import caches
from django.http import HttpResponse
from django.test import RequestFactory

from tests import base_settings, services

#: Checks of each member.
CHECKS = 10


def main(sizes: list[int]) -> None:
    with services.redis(private=True) as server:
        cache = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": server.url}
        settings.configure(
            SECRET_KEY=base_settings.SECRET_KEY,
            INSTALLED_APPS=["status"],
            ALLOWED_HOSTS=["testserver"],
            CACHES={"default": cache},
            STATUS_STORE="default",
            STATUS_SHOW_DETAILS="always",
        )
        django.setup()
        with server.client() as client:
            for size in sizes:
                client.flushall()
                print(json.dumps(measure(size, client)))


def measure(size: int, client: Any) -> dict[str, Any]:
    """Return what so many members cost, in seconds, bytes and commands."""
    # Late: they read the settings that ``main`` has made.
    from status.api.fleet import FleetView
    from status.fleet import Reporter, reporters
    from status.store import Store

    store = Store("STATUS_STORE", "default")
    empty = client.info("memory")["used_memory"]
    members = [Reporter() for _ in range(size)]
    for number, member in enumerate(members):
        told = member.member()._replace(
            host=f"host-{number // 8}", pid=number, checks={f"health/check-{one}": "pass" for one in range(CHECKS)}
        )
        member.member = lambda told=told: told._replace(seen=time.time())  # type: ignore[method-assign]
        member.report(store)
    before = client.info("commandstats")
    reports = [cpu_and_wall(lambda member=member: member.report(store)) for member in members]
    after = client.info("commandstats")
    view, request = FleetView.as_view(), RequestFactory().get("/status/api/fleet")
    reporters.get().role = "web"
    round_trip, views, again = [], [], []
    for _ in range(max(10, 2_000 // size)):
        round_trip.append(cpu_and_wall(lambda: caches["default"].get("status"))[1])
        for member in members:  # as they do between two views of a reader
            member.report(store)
        reporters.get().look_every = 0.0
        views.append(cpu_and_wall(lambda: view(request)))
        reporters.get().look_every = Reporter.look_every
        again.append(cpu_and_wall(lambda: view(request))[1])
    answered: HttpResponse = view(request)
    return {
        "members": len(json.loads(answered.content)["members"]) - 1,
        "round trip, ms": round(median(round_trip) * 1000, 2),
        "view, ms": round(median(wall for _, wall in views) * 1000, 2),
        "view, CPU ms": round(median(cpu for cpu, _ in views) * 1000, 2),
        "within a second again, ms": round(median(again) * 1000, 2),
        "answer, kB": round(len(answered.content) / 1000),
        "report, CPU ms": round(median(cpu for cpu, _ in reports) * 1000, 2),
        "report, ms": round(median(wall for _, wall in reports) * 1000, 2),
        "commands of a report": round(difference(after, before) / size, 1),
        "commands/s": round(difference(after, before) / Reporter.period),
        "Redis, kB a member": round((client.info("memory")["used_memory"] - empty) / size / 1000, 1),
    }


def cpu_and_wall(do: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds that ``do`` takes, of the processor in all threads and on the clock."""
    cpu, wall = time.process_time(), time.perf_counter()
    do()
    return time.process_time() - cpu, time.perf_counter() - wall


def difference(after: Any, before: Any) -> int:
    """Return how many commands a server was sent meanwhile, apart from the questions about that."""
    counts = {name: facts["calls"] - before.get(name, {"calls": 0})["calls"] for name, facts in after.items()}
    return sum(calls for name, calls in counts.items() if name != "cmdstat_info")


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [50, 2_000])
