"""The same checks here and in django-health-check: ``python -m tests.benchmarks.side_by_side [--document FILE]``.

Each on a gunicorn of its own with 4 threads, asked one by one while all is well, then by 8 probes at once while what it
asks hangs, then until it is well again.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import psutil

from tests import services
from tests.benchmarks import loads, servers
from tests.benchmarks.waiting import present

WARM, ASKED, PROBES = 20, 50, 8
#: Seconds that a check may take to be well again.
RECOVERS_WITHIN = 60.0
BEGIN, END = ".. side-by-side-begin", ".. side-by-side-end"
HOST = "status.providers.host"
HEALTH = "status.providers.django.health"


class Kind(NamedTuple):
    """One thing that both can ask for.

    entry: our provider, with its arguments; check: that of the peer. Both are named in the urls.
    prepare: gives the settings, and what makes the thing hang; None where nothing can.
    """

    name: str
    entry: tuple[Any, ...]
    check: str
    prepare: Callable[[], AbstractContextManager[tuple[dict[str, Any], Callable[[], Any] | None]]]


@contextlib.contextmanager
def database() -> Iterator[Any]:
    with services.postgres(private=True) as server:
        yield {"DATABASES": {"default": server.settings(CONN_MAX_AGE=60)}}, server.frozen


@contextlib.contextmanager
def cache() -> Iterator[Any]:
    with services.redis(private=True) as server:
        entry = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": server.url}
        yield {"CACHES": {"default": entry}}, server.frozen


@contextlib.contextmanager
def storage() -> Iterator[Any]:
    folder = services.directory()
    switch = folder / "hang"
    (folder / "files").mkdir()

    backend = "tests.benchmarks.project.storage.Storage"
    default = {"BACKEND": backend, "OPTIONS": {"location": str(folder / "files"), "switch": str(switch)}}
    static = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    yield {"STORAGES": {"default": default, "staticfiles": static}}, partial(present, switch)


@contextlib.contextmanager
def workers() -> Iterator[Any]:
    with services.redis(private=True) as server, services.celery_worker("a@side-by-side", server.url):
        yield {"CELERY_BROKER": server.url}, server.frozen


@contextlib.contextmanager
def mail() -> Iterator[Any]:
    command = [sys.executable, "-m", "aiosmtpd", "-n", "-l", "127.0.0.1:{port}", "-c", "aiosmtpd.handlers.Sink"]
    with services.web(*command) as server:
        backend = "django.core.mail.backends.smtp.EmailBackend"
        yield {"EMAIL_BACKEND": backend, "EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": server.port}, server.frozen


@contextlib.contextmanager
def nothing() -> Iterator[Any]:
    yield {}, None


KINDS = [
    Kind("database, PostgreSQL", ("it", f"{HEALTH}.databases"), "health_check.Database", database),
    Kind("cache, Redis", ("it", f"{HEALTH}.caches"), "health_check.Cache", cache),
    Kind("files", ("it", f"{HEALTH}.storages", [], {"aliases": ["default"]}), "health_check.Storage", storage),
    Kind(
        "Celery worker, Redis", ("it", "status.providers.celery.health.celery", [], {"workers": ["a@side-by-side"]}),
        "health_check.contrib.celery.Ping", workers,
    ),
    Kind("mail, SMTP", ("it", f"{HEALTH}.mail"), "health_check.Mail", mail),
    Kind("disk", ("it", f"{HOST}.disk"), "health_check.contrib.psutil.Disk", nothing),
    Kind("memory", ("it", f"{HOST}.memory"), "health_check.contrib.psutil.Memory", nothing),
]  # fmt: skip


class Measured(NamedTuple):
    """Milliseconds of an answer; where it can hang, the slowest probe and a page meanwhile in seconds, threads that
    came, and the seconds until it is well again."""

    milliseconds: float
    slowest: float | None = None
    page: float | None = None
    threads: int | None = None
    recovered: float | None = None


def measure(address: str, env: dict[str, str], hang: Callable[[], AbstractContextManager[None]] | None) -> Measured:
    options = ["--worker-class", "gthread", "--threads", "4", "--timeout", "120"]
    with services.gunicorn(servers.WSGI, *options, env=env) as web:
        url, page = f"{web.url}{address}", f"{web.url}/bare"
        for _ in range(WARM):
            answer = loads.first_answer(url)
        assert answer.status == 200, (url, answer, web.output[-3000:])
        alone = median(loads.at_once(url, 1)[0].seconds for _ in range(ASKED)) * 1e3
        if hang is None:
            return Measured(alone)
        before = threads_of(web)
        with hang():
            answers, pages = loads.pages_meanwhile(page, url, PROBES)
            came = threads_of(web) - before
        thawed = time.monotonic()
        while loads.at_once(url, 1)[0].status != 200:
            if time.monotonic() - thawed > RECOVERS_WITHIN:
                break
            time.sleep(0.05)
        slowest = max(loads.GIVE_UP if not one.status else one.seconds for one in answers)
        return Measured(alone, slowest, max(pages), came, time.monotonic() - thawed)


def threads_of(web: services.Web) -> int:
    return sum(process.num_threads() for process in web.tree() if process.status() != psutil.STATUS_ZOMBIE)


def environment(kind: Kind, overrides: dict[str, Any]) -> dict[str, str]:
    broker = overrides.pop("CELERY_BROKER", "memory://")
    env = servers.settings(STATUS_PROVIDERS={"health": [kind.entry]}, PEER_CHECK=kind.check, **overrides)
    return {**env, "CELERY_TEST_BROKER": broker}


def cells(one: Measured) -> list[str]:
    def limited(seconds: float, most: float) -> str:
        return f"> {most:g} s" if seconds >= most else f"{seconds:.1f} s"

    if one.slowest is None or one.page is None or one.recovered is None:
        return [f"{one.milliseconds:.1f} ms", "–", "–", "–", "–"]
    return [
        f"{one.milliseconds:.1f} ms",
        limited(one.slowest, loads.GIVE_UP),
        limited(one.page, loads.GIVE_UP),
        f"{one.threads:+d}",
        limited(one.recovered, RECOVERS_WITHIN),
    ]


def table(rows: list[list[str]]) -> str:
    titles = ["Check", "By", "Well", "Slowest probe", "Slowest page", "Threads", "Well again after"]
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in [titles, *rows]:
        lines += [f"   {'* -' if number == 0 else '  -'} {cell}" for number, cell in enumerate(row)]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--document", type=Path, help="the page whose table is written anew")
    options = parser.parse_args(arguments)
    rows = []
    for kind in KINDS:
        for name, address in (("django-status", "/status/api/health/it"), ("django-health-check", "/health_check/it")):
            with kind.prepare() as (overrides, hang):
                found = measure(f"{address}?format=json", environment(kind, dict(overrides)), hang)
            rows.append([kind.name, name, *cells(found)])
            print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    if options.document:
        text = options.document.read_text()
        before, after = text.split(BEGIN)[0], text.split(END)[1]
        options.document.write_text(f"{before}{BEGIN}\n\n{table(rows)}\n\n{END}{after}")
    else:
        print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
