"""Rows 1 to 4 and 6: requests per second that a server answers to eight clients."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack

from tests.benchmarks import loads, servers
from tests.benchmarks.contest import HEALTH_CHECK, OURS, REFERENCE, WATCHMAN, Measure, Row, Size, Turn

CLIENTS = 8
Start = Callable[[dict[str, str]], AbstractContextManager[str]]

#: Contender -> where it does the work.
PING = {
    REFERENCE: "/bare",
    OURS: "/status/api/health/ping",
    HEALTH_CHECK: "/health_check/ping?format=json",
    WATCHMAN: "/watchman/ping/",
}
SERVICES = {
    REFERENCE: "/by-hand",
    OURS: "/status/api/services",
    HEALTH_CHECK: "/health_check/services?format=json",
    WATCHMAN: "/watchman/",
}
AGED = {REFERENCE: "/by-hand", OURS: "/status/api/aged"}


def behind(
    start: Start, addresses: dict[str, str], *, door: bool = False, services: bool = False
) -> Callable[[Size], AbstractContextManager[dict[str, Turn]]]:
    """The contenders behind one server, where ours may go through the middleware of another one of its kind."""

    @contextlib.contextmanager
    def prepare(size: Size) -> Iterator[dict[str, Turn]]:
        with ExitStack() as stack:
            overrides = servers.postgres_and_redis() if services else {}
            plain = stack.enter_context(start(servers.settings(**overrides)))
            ours = stack.enter_context(start(servers.settings(door=True, **overrides))) if door else plain
            urls = {name: (ours if name == OURS else plain) + path for name, path in addresses.items()}
            for url in urls.values():
                loads.wrk(url, CLIENTS, 1)
            yield {name: _turn(url, size.seconds) for name, url in urls.items()}

    return prepare


def _turn(url: str, seconds: int) -> Turn:
    return lambda: {"rate": loads.wrk(url, CLIENTS, seconds)["rate"]}


def rate(limit: float | None = None) -> tuple[Measure, ...]:
    return (Measure("rate", "requests/s", limit, more=True),)


def _ours(addresses: dict[str, str]) -> dict[str, str]:
    return {name: addresses[name] for name in (REFERENCE, OURS)}


BARE = "a bare view that returns JsonResponse, behind Django's default middleware"
MIDDLEWARE, URLCONF = "through the middleware", "through the urlconf"
BY_HAND = "a view written by hand: SELECT 1, and the cache set and got"
ROWS = [
    Row(
        1, "ping through the urlconf, gunicorn gthread", BARE,
        (*rate(0.93), Measure("rate", "requests/s, of watchman's", 0.95, more=True, reference=WATCHMAN)),
        behind(servers.gunicorn, PING), often=3, anew=3,
    ),
    Row(
        2, "ping through the middleware, gunicorn gthread", BARE, rate(1.25),
        behind(servers.gunicorn, _ours(PING), door=True), often=3, anew=3,
    ),
    Row(3, "ping through the middleware, uvicorn", BARE, rate(1.6), behind(servers.uvicorn, PING, door=True)),
    # As the README sets it up, with the middleware; and without it.
    Row(
        4, f"database and cache: PostgreSQL with CONN_MAX_AGE=60, Redis; gunicorn gthread; {MIDDLEWARE}", BY_HAND,
        rate(1.2), behind(servers.gunicorn, SERVICES, services=True, door=True),
    ),
    Row(4.5, f"as row 4, {URLCONF}", BY_HAND, rate(), behind(servers.gunicorn, _ours(SERVICES), services=True)),
    Row(
        6, f"as row 4, with max_age of 1 s, {MIDDLEWARE}", BY_HAND, rate(2),
        behind(servers.gunicorn, AGED, services=True, door=True),
    ),
    Row(6.5, f"as row 6, {URLCONF}", BY_HAND, rate(), behind(servers.gunicorn, AGED, services=True)),
]  # fmt: skip
