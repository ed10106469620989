"""Providers of every kind that the contract names, for its rows."""

from __future__ import annotations

from threading import Event
from typing import Any

from status.providers import Provider
from status.providers.health import ping

NOT_A_PROVIDER = "text"
_runs = 0


def count() -> dict[str, int]:
    """How often this was asked in its process."""
    global _runs
    _runs += 1
    return {"runs": _runs}


def echo(*args: Any, **kwargs: Any) -> dict[str, Any]:
    return {"args": args, "kwargs": kwargs}


async def echo_later(*args: Any, **kwargs: Any) -> dict[str, Any]:
    return echo(*args, **kwargs)


class Echo(Provider):
    def check(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return echo(*args, **kwargs)


class AsyncEcho(Provider):
    async def check(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return echo(*args, **kwargs)


class Hurried(Provider):
    timeout = 0.2

    def check(self) -> None:
        Event().wait()


class Optional(Provider):
    critical = False

    def check(self) -> dict[str, bool]:
        return {"up": False}


class Remembered(Provider):
    max_age = 60

    def check(self) -> dict[str, int]:
        return count()


class Callable:
    """A plain object."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return echo(*args, **kwargs)


plain_object = Callable()


def answer(value: Any, spelled: str = "") -> Any:
    return value


def fail() -> None:
    raise ConnectionError("postgres://shop:hunter2@db.internal")


def hang() -> None:
    Event().wait()


def wants_none() -> bool:
    return True


def wants_two(first: Any, second: Any) -> dict[str, Any]:
    return {"first": first, "second": second}


def admits(request: Any) -> bool:
    return request.headers.get("X-Friend") == "yes"


def admits_with_a_mere_one(request: Any) -> Any:
    return 1


__all__ = ["ping"]
