"""Rows 5, 9, 13 to 18 and 20: what a process of its own takes."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

from tests import services
from tests.benchmarks import servers
from tests.benchmarks.contest import HEALTH_CHECK, OURS, REFERENCE, WATCHMAN, Measure, Row, Size, Turn
from tests.benchmarks.throughput import BY_HAND, MIDDLEWARE, SERVICES, URLCONF
from tests.repositories import git

COMMITS, TAGS = 20_000, 2_000
COLD_STARTS = 50
WORKERS = [f"{name}@benchmark" for name in "abc"]


def inside(env: dict[str, str], task: str, *arguments: object) -> Turn:
    """A turn in a fresh process."""
    command = [sys.executable, "-m", "tests.benchmarks.inside", task, *map(str, arguments)]

    def turn() -> dict[str, float]:
        values: dict[str, float] = json.loads(output_of(command, env))
        return values

    return turn


def output_of(command: list[str], env: dict[str, str]) -> str:
    done = subprocess.run(command, env=_with_bytecode(env), capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-4000:]}")
    return done.stdout


def _with_bytecode(extra: dict[str, str]) -> dict[str, str]:
    """The environment for a child that starts as installed programs do: compiled already."""
    inherited = ("PYTHONDONTWRITEBYTECODE", "DJANGO_SETTINGS_MODULE")
    return {name: value for name, value in services.environment().items() if name not in inherited} | extra


def requests(door: bool) -> Callable[[Size], AbstractContextManager[dict[str, Turn]]]:
    """One request after the other, where ours may go through the middleware of a project that has it."""

    @contextlib.contextmanager
    def prepare(size: Size) -> Iterator[dict[str, Turn]]:
        file = str(services.directory() / "database")
        with contextlib.closing(sqlite3.connect(file)) as made:
            made.execute("PRAGMA user_version = 1")  # what is missing or empty is not healthy
        database = {"ENGINE": "django.db.backends.sqlite3", "NAME": file, "CONN_MAX_AGE": 60}
        count = 300 if size.quick else 3000
        yield {
            name: inside(
                servers.settings(door=door and name == OURS, DATABASES={"default": database}), "request", path, count
            )
            for name, path in SERVICES.items()
        }

    return prepare


def celery(broker: Callable[[], Any]) -> Callable[[Size], AbstractContextManager[dict[str, Turn]]]:
    @contextlib.contextmanager
    def prepare(size: Size) -> Iterator[dict[str, Turn]]:
        with ExitStack() as stack:
            url = broker().url
            for name in WORKERS:
                stack.enter_context(services.celery_worker(name, url))
            env = {**servers.settings(STATUS_CELERY_WORKERS=WORKERS), "CELERY_TEST_BROKER": url}
            yield {
                REFERENCE: inside(env, "workers", REFERENCE, 20),
                OURS: inside(env, "workers", OURS, 20),
                HEALTH_CHECK: inside(env, "workers", HEALTH_CHECK, 2),
            }

    return prepare


@contextlib.contextmanager
def code(size: Size) -> Iterator[dict[str, Turn]]:
    path = big_repository(Path(services.directory()) / "repository")
    yield {OURS: inside(servers.settings(PROJECT_PATH=str(path)), "code")}


def big_repository(path: Path) -> Path:
    """20,000 commits, 2,000 annotated tags, all of them packed, and none on HEAD."""
    path.mkdir()
    git(path, "init", "--quiet", "--initial-branch=main")
    lines = []
    for number in range(1, COMMITS + 1):
        who = f"Ann Author <ann@example.com> {1_600_000_000 + number} +0000"
        lines += ["commit refs/heads/main", f"mark :{number}", f"committer {who}", "data 4", "Work"]
    for number in range(1, TAGS + 1):
        who = f"Ann Author <ann@example.com> {1_700_000_000 + number} +0000"
        lines += [f"tag v{number}", f"from :{number * (COMMITS // TAGS - 1)}", f"tagger {who}", "data 4", "Done"]
    git(path, "fast-import", "--quiet", stdin="\n".join(lines) + "\n")
    git(path, "pack-refs", "--all")
    return path


def started(added: dict[str, list[str]]) -> Callable[[Size], AbstractContextManager[dict[str, Turn]]]:
    """Contender -> the app that is added, and its middleware."""

    @contextlib.contextmanager
    def prepare(size: Size) -> Iterator[dict[str, Turn]]:
        env = {"DJANGO_SETTINGS_MODULE": "tests.benchmarks.project.bare_settings"}
        turns = {name: inside(env, "start", *arguments) for name, arguments in added.items()}
        for turn in turns.values():
            turn()  # writes the bytecode
        yield turns

    return prepare


@contextlib.contextmanager
def commands(size: Size) -> Iterator[dict[str, Turn]]:
    env, project = _with_bytecode({}), _with_bytecode(servers.settings())
    script = shutil.which("django_status", path=str(Path(sys.executable).parent))
    ours = [script] if script else [sys.executable, "-m", "status"]
    django = [sys.executable, "-m", "django"]
    turns = {
        REFERENCE: wall([sys.executable, "-c", "pass"], env),
        OURS: wall([*ours, "ping"], env),
        HEALTH_CHECK: wall([*django, "health_check", "peer_ping", "--no-http"], project),
        WATCHMAN: wall([*django, "watchman"], project),
    }
    for turn in turns.values():
        turn()  # writes the bytecode
    yield turns


def wall(command: list[str], env: dict[str, str]) -> Turn:
    folder = services.directory()

    def turn() -> dict[str, float]:
        before = time.perf_counter()
        subprocess.run(command, env=env, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=True)
        return {"wall": time.perf_counter() - before}

    return turn


@contextlib.contextmanager
def many(size: Size) -> Iterator[dict[str, Turn]]:
    providers = {
        f"many{count}": [(f"p{number}", "tests.benchmarks.project.checks.at_once") for number in range(count)]
        for count in (100, 1000)
    }
    env = servers.settings(STATUS_PROVIDERS=providers)
    yield {OURS: inside(env, "many", 6000 if size.quick else 10_000)}


@contextlib.contextmanager
def page(size: Size) -> Iterator[dict[str, Turn]]:
    health = [(f"healthy{number}", "tests.benchmarks.project.checks.at_once") for number in range(10)]
    env, count = servers.settings(STATUS_PROVIDERS={"health": health}), 50 if size.quick else 500
    yield {
        REFERENCE: inside(env, "first_byte", "/status/api/health", count),
        OURS: inside(env, "first_byte", "/status/health/", count),
    }


@contextlib.contextmanager
def cold_starts(size: Size) -> Iterator[dict[str, Turn]]:
    """Processes that import one package from three threads, unless somebody sees to it that they do not."""
    start = inside(servers.unloaded(), "first_answer", "/status/api/health")
    start()  # writes the bytecode
    yield {OURS: lambda: {"wrong": sum(start()["wrong"] for _ in range(5 if size.quick else COLD_STARTS))}}


@contextlib.contextmanager
def ordinary_page(size: Size) -> Iterator[dict[str, Turn]]:
    providers = {"health": [(f"p{number}", "tests.benchmarks.project.checks.at_once") for number in range(1000)]}
    count = 300 if size.quick else 3000
    yield {
        name: inside(servers.settings(door=name == OURS, STATUS_PROVIDERS=providers), "request", "/page", count)
        for name in (REFERENCE, OURS)
    }


CONTROL_PING = "app.control.ping(limit=3)"
IN_PROCESS = "database and cache: SQLite with CONN_MAX_AGE=60 and local memory, one client, in process"
PING_TIME = (Measure("time", "time", 1.2),)
NOTHING_MORE = "the same process without it"
ROWS = [
    Row(5, f"{IN_PROCESS}, {MIDDLEWARE}", BY_HAND, (Measure("cpu", "CPU", 1.6),), requests(door=True), often=3),
    Row(5.5, f"as row 5, {URLCONF}", BY_HAND, (Measure("cpu", "CPU"),), requests(door=False), often=3),
    Row(9, "three Celery workers, Redis", CONTROL_PING, PING_TIME, celery(services.redis)),
    Row(9.5, "three Celery workers, RabbitMQ", CONTROL_PING, PING_TIME, celery(services.rabbitmq)),
    Row(
        13, f"code facts: {COMMITS:,} commits, {TAGS:,} packed tags, none on HEAD", "",
        (
            Measure("first", "the first time", 150, unit=" ms", reference=None),
            Measure("later", "then", 0.2, unit=" ms", reference=None),
        ),
        code, often=3,
    ),
    Row(
        14, "added to a Django process at its start", NOTHING_MORE,
        (
            Measure("cpu", "CPU", 15, unit=" ms", reference=None),
            Measure("memory", "memory", 2, unit=" MB", reference=None, less=REFERENCE),
        ),
        started({REFERENCE: [], OURS: ["status"], HEALTH_CHECK: ["health_check"], WATCHMAN: ["watchman"]}), often=3,
    ),
    Row(
        14.5, "as row 14, to a server with the middleware, which loads at once what answers need", NOTHING_MORE,
        (
            Measure("cpu", "CPU", unit=" ms", reference=None),
            Measure("memory", "memory", unit=" MB", reference=None, less=REFERENCE),
        ),
        started({REFERENCE: [], OURS: ["status", servers.DOOR]}), often=3,
    ),
    Row(15, "django_status ping from cron, cold", "python -c pass", (Measure("wall", "time", 4),), commands, often=5),
    Row(
        16, "1,000 providers, 10,000 requests", "",
        (
            Measure("alone", "CPU of one among 1,000, of one among 100", 1.1, reference=None),
            Measure("together", "CPU of each of 1,000 at once, of each of 100", 1.5, reference=None),
            Measure("steady", "CPU of the last requests, of the first", 1.1, reference=None),
            Measure("threads", "more threads", 0, reference=None),
            Measure("files", "more open files and connections", 0, reference=None),
            Measure("memory", "more memory", 2, unit=" MB", reference=None),
        ),
        many,
    ),
    Row(
        17, "a page with ten healthy checks, in process", "the same as JSON",
        (
            Measure("time", "first byte", 4, unit=" ms", reference=None),
            Measure("time", "first byte, of its JSON", 5),
        ),
        page, often=3,
    ),
    Row(
        18, f"{COLD_STARTS} cold starts, two caches on two clients, and a check that imports a third", "",
        (Measure("wrong", "wrong first answers", 0, reference=None),), cold_starts, most=1,
    ),
    Row(
        20, "an ordinary page of a project with 1,000 providers and the middleware",
        "the page without the middleware",
        (Measure("cpu", "CPU", 1.05),), ordinary_page, often=3,
    ),
]  # fmt: skip
