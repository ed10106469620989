"""What is measured inside a fresh process: ``python -m tests.benchmarks.inside TASK [ARGUMENT]``, answered as JSON.

One process for each turn, so that no contender profits from, or pays for, what another one left.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import psutil

ENVIRON = {
    "REQUEST_METHOD": "GET", "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
    "REMOTE_ADDR": "127.0.0.1", "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.multithread": True,
    "wsgi.multiprocess": True, "wsgi.run_once": False, "wsgi.errors": sys.stderr,
}  # fmt: skip


#: How often two sizes take turns in row 16.
TURNS = 5


def get(handler: Any, address: str) -> None:
    """Do what a WSGI server does for one request, which must be answered with 200."""
    status, _ = answer(handler, address)
    assert status == "200 OK", (address, status)


def answer(handler: Any, address: str) -> tuple[str, float]:
    """Return the status of the answer to one request, and the seconds until its first byte."""
    # Late, as is everything of Django and the contenders here: one task measures what their imports cost.
    from io import BytesIO

    path, _, query = address.partition("?")
    statuses: list[str] = []
    environ = {**ENVIRON, "PATH_INFO": path, "QUERY_STRING": query, "wsgi.input": BytesIO()}
    before = time.perf_counter()
    response = handler(environ, lambda status, headers: statuses.append(status))
    body = iter(response)
    next(body)
    seconds = time.perf_counter() - before
    b"".join(body)
    response.close()
    return statuses[0], seconds


def request(address: str, count: str) -> dict[str, float]:
    """Rows 5 and 20: the CPU time of a request, of all threads together."""
    from tests.benchmarks.project.wsgi import application

    for _ in range(100):
        get(application, address)
    before = time.process_time()
    for _ in range(int(count)):
        get(application, address)
    return {"cpu": (time.process_time() - before) / int(count)}


def workers(who: str, count: str) -> dict[str, float]:
    """Row 9: the time until the answer about three Celery workers is complete."""
    import django

    django.setup()
    ask = {"reference": _control_ping, "django-status": _status, "django-health-check": _health_check}[who]()
    ask()
    times = []
    for _ in range(int(count)):
        before = time.perf_counter()
        ask()
        times.append(time.perf_counter() - before)
    return {"time": median(times)}


def _control_ping() -> Callable[[], None]:
    from tests.celery_app import app

    def ask() -> None:
        assert len(app.control.ping(limit=3)) == 3

    return ask


def _status() -> Callable[[], None]:
    from status.engine import engine
    from status.registry import registry

    def ask() -> None:
        (result,) = engine.report(registry.select("celery")).results
        assert result.sound, result

    return ask


def _health_check() -> Callable[[], None]:
    import asyncio

    from health_check.contrib.celery import Ping

    from tests.celery_app import app

    def ask() -> None:
        result = asyncio.run(Ping(app=app).get_result())
        assert result.error is None, result

    return ask


def code() -> dict[str, float]:
    """Row 13: the first look at a repository, and those after it, in milliseconds."""
    import django

    django.setup()
    from status.providers.stats import code

    times = []
    for _ in range(101):
        before = time.perf_counter()
        facts = code()
        times.append((time.perf_counter() - before) * 1e3)
        assert "commit" in facts, facts
    return {"first": times[0], "later": median(times[1:])}


def start(app: str = "", *middleware: str) -> dict[str, float]:
    """Row 14: what ``app`` adds to a Django process that has served its first request, in milliseconds of CPU, and the
    megabytes of the process then.

    Without garbage collection. A full one comes when there are so many objects, and takes longer than all that is
    measured here: one object more or less would decide whose start it falls into.
    """
    gc.disable()
    from django.apps import AppConfig
    from django.core.wsgi import get_wsgi_application
    from django.urls import get_resolver
    from django.utils.module_loading import import_string

    application = get_wsgi_application()
    get(application, "/bare")
    before = time.process_time()
    if app:
        AppConfig.create(app).ready()
        for path in middleware:
            import_string(path)(application)
        urlconf = f"tests.benchmarks.project.{app}_urls"
        assert get_resolver(urlconf).reverse_dict is not None  # all addresses are read
    cpu = time.process_time() - before
    return {"cpu": cpu * 1e3, "memory": psutil.Process().memory_full_info().uss / 1e6}


def many(count: str) -> dict[str, float]:
    """Row 16: a thousand providers, asked all at once and one by one."""
    from tests.benchmarks.project.wsgi import application

    for size in (100, 1000):
        get(application, f"/status/api/many{size}")
    together = median(_cost_of_each(application, 1000) / _cost_of_each(application, 100) for _ in range(TURNS))
    alone = median(_cost_of_one(application, 1000) / _cost_of_one(application, 100) for _ in range(TURNS))
    addresses = [f"/status/api/many1000/p{number}" for number in range(1000)]
    _cost(application, addresses)
    process = psutil.Process()
    facts = process.num_threads(), process.num_fds(), process.memory_full_info().uss
    # Each slice beside as much work of which nobody expects that it slows down: machines do.
    slices = [_cost(application, addresses) / _cost(application, ["/bare"] * 1000) for _ in range(int(count) // 1000)]
    return {
        "alone": alone,
        "together": together,
        "threads": process.num_threads() - facts[0],
        "files": process.num_fds() - facts[1],
        "memory": (process.memory_full_info().uss - facts[2]) / 1e6,
        "steady": median(slices[-3:]) / median(slices[:3]),
    }


def first_byte(address: str, count: str) -> dict[str, float]:
    """Row 17: the milliseconds until an answer begins."""
    from tests.benchmarks.project.wsgi import application

    for _ in range(50):
        get(application, address)
    return {"time": median(answer(application, address)[1] for _ in range(int(count))) * 1e3}


def first_answer(address: str) -> dict[str, float]:
    """Row 18: whether the first answer of a process is wrong."""
    from tests.benchmarks.project.wsgi import application

    return {"wrong": float(answer(application, address)[0] != "200 OK")}


def _cost_of_each(application: Any, size: int) -> float:
    turns = 2000 // size
    return _cost(application, [f"/status/api/many{size}"] * turns) / turns / size


def _cost_of_one(application: Any, size: int) -> float:
    return _cost(application, [f"/status/api/many{size}/p50"] * 1000)


def _cost(application: Any, addresses: list[str]) -> float:
    """The CPU time that it takes to ask them all."""
    before = time.process_time()
    for address in addresses:
        get(application, address)
    return time.process_time() - before


if __name__ == "__main__":
    task, *arguments = sys.argv[1:]
    tasks: dict[str, Callable[..., dict[str, float]]] = {
        function.__name__: function for function in (request, workers, code, start, many, first_byte, first_answer)
    }
    print(json.dumps(tasks[task](*arguments)))
