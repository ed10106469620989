"""Rows 7, 8, 10 to 12 and 19: how long callers wait for checks that take long, hang, or are asked by many at once."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from statistics import median

import psutil

from tests import services
from tests.benchmarks import loads, servers
from tests.benchmarks.contest import HEALTH_CHECK, OURS, REFERENCE, WATCHMAN, Measure, Row, Size, Turn
from tests.benchmarks.project.checks import SLOW

CHECKS = "tests.benchmarks.project.checks"
SLOW_ADDRESSES = {OURS: "/status/api/slow", HEALTH_CHECK: "/health_check/slow?format=json", WATCHMAN: "/watchman/"}
HANGING = {OURS: "/status/api/hanging", HEALTH_CHECK: "/health_check/hanging?format=json", WATCHMAN: "/watchman/"}
DATABASE = {
    REFERENCE: "/database-by-hand",
    OURS: "/status/api/database",
    HEALTH_CHECK: "/health_check/database?format=json",
    WATCHMAN: "/watchman/",
}
#: Seconds, as by default.
DEADLINE = 2.0
PROBES, HERD = 50, 500
CONNECTIONS = 20
#: More threads than connections: whoever takes a connection for each is refused.
THREADS = 64
CLIENTS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"


def slow(probes: int) -> Callable[[Size], AbstractContextManager[dict[str, Turn]]]:
    @contextlib.contextmanager
    def prepare(size: Size) -> Iterator[dict[str, Turn]]:
        checks = [f"{CHECKS}.watchman_slow{number}" for number in range(10)]
        with servers.gunicorn(servers.settings(WATCHMAN_CHECKS=checks)) as url:
            for path in SLOW_ADDRESSES.values():
                loads.at_once(url + path, 4)
            yield {name: turn(url + path) for name, path in SLOW_ADDRESSES.items()}

    def turn(url: str) -> Turn:
        return lambda: {"slowest": max(answer.seconds for answer in answered(loads.at_once(url, probes)))}

    return prepare


def answered(answers: list[loads.Answer]) -> list[loads.Answer]:
    assert {answer.status for answer in answers} == {200}, answers
    return answers


@contextlib.contextmanager
def present(file: Path) -> Iterator[None]:
    """Have a file there for as long as the block lasts."""
    file.touch()
    try:
        yield
    finally:
        file.unlink()


@contextlib.contextmanager
def hanging(size: Size) -> Iterator[dict[str, Turn]]:
    switch = Path(services.directory()) / "hang"
    env = {
        **servers.settings(WATCHMAN_CHECKS=[f"{CHECKS}.watchman_hang"]),
        "BENCHMARK_SWITCH": str(switch),
    }

    yield {name: lambda path=path: during(partial(present, switch), env, path) for name, path in HANGING.items()}  # type: ignore[misc]


@contextlib.contextmanager
def frozen(size: Size) -> Iterator[dict[str, Turn]]:
    with services.postgres(private=True) as postgres:
        database = {"default": postgres.settings(CONN_MAX_AGE=60)}
        env = servers.settings(DATABASES=database, WATCHMAN_CHECKS=["watchman.checks.databases"])
        yield {name: lambda path=path: during(postgres.frozen, env, path) for name, path in DATABASE.items()}  # type: ignore[misc]


def during(fault: Callable[[], AbstractContextManager[None]], env: dict[str, str], path: str) -> dict[str, float]:
    """On a server of its own, as one that hangs is of no use to the next contender."""
    with servers.gunicorn(env) as url:
        page = f"{url}/bare"
        loads.at_once(url + path, 8)
        idle = loads.page_alone(page, 100)
        with fault():
            answers, pages = loads.pages_meanwhile(page, url + path, PROBES)
    there = [answer for answer in answers if answer.status]
    return {
        "answered": len(there),
        "slowest": (max(answer.seconds for answer in answers) - DEADLINE) * 1e3,
        "pages": median(pages) / idle,
    }


@contextlib.contextmanager
def herd(size: Size) -> Iterator[dict[str, Turn]]:
    with services.postgres(private=True, max_connections=CONNECTIONS) as postgres:
        database = {"default": postgres.settings(CONN_MAX_AGE=60)}
        env = servers.settings(DATABASES=database, WATCHMAN_CHECKS=["watchman.checks.databases"])

        def turn(path: str) -> dict[str, float]:
            with servers.gunicorn(env, threads=THREADS) as url, peak(postgres) as most:
                answers = loads.at_once(url + path, HERD)
            return {"good": sum(answer.status == 200 for answer in answers), "connections": most[0]}

        yield {name: lambda path=path: turn(path) for name, path in DATABASE.items()}  # type: ignore[misc]


@contextlib.contextmanager
def peak(postgres: services.Postgres) -> Iterator[list[int]]:
    """The most connections that others have at a time during the block."""
    most, over = [0], threading.Event()
    connection = postgres.connect()

    def watch() -> None:
        while not over.wait(0.002):
            most[0] = max(most[0], connection.execute(CLIENTS).fetchone()[0])

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield most
    finally:
        over.set()
        watching.join()
        connection.close()


@contextlib.contextmanager
def slow_machine(size: Size) -> Iterator[dict[str, Turn]]:
    env = servers.unloaded()

    def turn() -> dict[str, float]:
        server = services.gunicorn(servers.WSGI, "--threads", "4", "--timeout", "300", env=env)
        with server as web, throttled(web):
            answer = loads.first_answer(f"{web.url}/status/api/health")
        return {"right": float(answer.status == 200), "seconds": answer.seconds}

    yield {OURS: turn}


@contextlib.contextmanager
def throttled(web: services.Web) -> Iterator[None]:
    """Give a server and its children a tenth of a CPU during the block, in slices as short as those of a container."""
    over = threading.Event()

    def tell(processes: list[psutil.Process], number: signal.Signals) -> None:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def run() -> None:
        known = web.tree()
        while not over.is_set():
            # At once those that are known, as it takes a while to look for new ones.
            tell(known, signal.SIGSTOP)
            known = web.tree()
            tell(known, signal.SIGSTOP)
            time.sleep(0.9 * SLICE)
            tell(known, signal.SIGCONT)
            time.sleep(0.1 * SLICE)

    running = threading.Thread(target=run)
    running.start()
    try:
        yield
    finally:
        over.set()
        running.join()


#: Seconds between two starts of a throttled process.
SLICE = 0.1
#: Rounds at most: each takes half a minute, most of which the peers hang.
ROUNDS = 3
BOUNDED = (
    Measure("answered", f"answered, of {PROBES} probes at once", PROBES, more=True, reference=None),
    Measure("slowest", "the slowest, after the deadline", 100, unit=" ms", reference=None),
    Measure("pages", "median of other pages, of idle", 1.2, reference=None),
)
ROWS = [
    Row(
        7, "ten checks of 100 ms: latency", "100 ms", (Measure("slowest", "latency", 1.06, reference=SLOW),),
        slow(1), often=3,
    ),
    Row(
        8, "four such probes at once", "100 ms", (Measure("slowest", "the slowest", 1.12, reference=SLOW),),
        slow(4), often=3,
    ),
    Row(10, "a check that hangs, gunicorn with 4 threads", "", BOUNDED, hanging, most=ROUNDS),
    Row(11, "PostgreSQL frozen, gunicorn with 4 threads", "", BOUNDED, frozen, most=ROUNDS),
    Row(
        12, f"{HERD} probes at once, PostgreSQL with {CONNECTIONS} connections, gunicorn with {THREADS} threads", "",
        (
            Measure("good", "answered with 200", HERD, more=True, reference=None),
            Measure("connections", "connections at a time", 1, reference=None),
        ),
        herd,
    ),
    Row(
        19, "the first answer of a process with a tenth of a CPU: PostgreSQL, and Redis by three clients", "",
        (
            Measure("right", "right", 1, more=True, reference=None),
            Measure("seconds", "after it listens", unit=" s", reference=None),
        ),
        slow_machine, most=ROUNDS,
    ),
]  # fmt: skip
