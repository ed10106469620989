"""The project behind real servers."""

from __future__ import annotations

import contextlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

from tests import base_settings, services

WSGI = "tests.benchmarks.project.wsgi"
ASGI = "tests.benchmarks.project.asgi:application"
DOOR = "status.middleware.StatusMiddleware"
SETTINGS = "tests.benchmarks.project.settings"


def settings(door: bool = False, **overrides: Any) -> dict[str, str]:
    """The environment that gives the project these settings, and the middleware if asked for."""
    if door:
        # Late: the settings read the environment, here for what a project has by default.
        from tests.benchmarks.project.settings import MIDDLEWARE

        overrides["MIDDLEWARE"] = [DOOR, *MIDDLEWARE]
    return {"DJANGO_SETTINGS_MODULE": SETTINGS, "BENCHMARK": json.dumps(overrides)}


@contextlib.contextmanager
def gunicorn(env: dict[str, str], threads: int = 4) -> Iterator[str]:
    """The address of one gthread process."""
    options = ["--worker-class", "gthread", "--threads", str(threads), "--worker-tmp-dir", "/dev/shm"]
    with services.gunicorn(WSGI, *options, env=env) as web:
        yield _serving(web)


@contextlib.contextmanager
def uvicorn(env: dict[str, str]) -> Iterator[str]:
    with services.uvicorn(ASGI, "--no-access-log", "--log-level", "error", env=env) as web:
        yield _serving(web)


def _serving(web: services.Web) -> str:
    """The address, once the project is loaded, which may be later than the server listens."""
    for _ in range(200):
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(f"{web.url}/bare", timeout=10).close()
            return web.url
        time.sleep(0.05)
    raise AssertionError(f"The project is not served:\n{web.output[-4000:]}")


def postgres_and_redis() -> dict[str, Any]:
    """Settings with both, and connections that live for a minute."""
    postgres, redis = services.postgres(), services.redis()
    return {
        "DATABASES": {"default": postgres.settings(CONN_MAX_AGE=60)},
        "CACHES": {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": redis.url}},
    }


def unloaded() -> dict[str, str]:
    """The environment of a project that loads its clients of Redis, three of them, with the first question.

    Without the peers, one of which loads one of these clients with its urls.
    """
    services.require_module("django_redis", "pip install django-redis")
    overrides = postgres_and_redis()
    other = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": services.redis().url}
    health = [
        ("databases", "status.providers.django.health.databases"),
        ("caches", "status.providers.django.health.caches"),
        ("third", "tests.benchmarks.project.third.third"),
    ]
    return settings(
        INSTALLED_APPS=base_settings.INSTALLED_APPS,
        ROOT_URLCONF="tests.benchmarks.project.status_urls",
        DATABASES=overrides["DATABASES"],
        CACHES={**overrides["CACHES"], "other": other},
        STATUS_PROVIDERS={"health": health},
    )
