"""Make a provider misbehave while the servers run: one small file per switched provider, read on every check.

All processes that share ``EXAMPLE_FOLDER`` see a switch at once.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from status.providers.base import Answer, Unavailable

#: The providers of this project that can be switched, as resource.provider.
NAMES = ("health.storage", "shop.payments", "shop.delivery", "shop.newsletter", "stats.sales")


class Unprintable(Exception):
    """Breaks whoever wants to show it."""

    def __str__(self) -> str:
        raise RuntimeError("this exception cannot be shown")

    __repr__ = __str__


class Unreadable:
    """A value that breaks whoever wants to show it."""

    def __repr__(self) -> str:
        raise RuntimeError("this value cannot be shown")


def raising(error: BaseException) -> Any:
    raise error


def lazy() -> Any:
    # Late: the plain settings use these providers without Django.
    from django.utils.functional import lazystr

    return lazystr("said late")


def recursive() -> dict[str, Any]:
    value: dict[str, Any] = {}
    value["itself"] = value
    return value


def deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


#: What a provider does instead of its work: mode -> what it is for, and how.
ANSWERS: dict[str, tuple[str, Callable[[], Any]]] = {
    "fail": ("answer false, with a reason", lambda: Answer({"service": False}, {"service": "switched to fail"})),
    "null": ("answer null", lambda: None),
    "unavailable": ("fail with words that anyone may read", lambda: raising(Unavailable("closed for stocktaking"))),
    "raise": ("raise, with a secret in the text", lambda: raising(ConnectionError("shop:hunter2@db.internal refused"))),
    "unprintable": ("raise what cannot be shown", lambda: raising(Unprintable())),
    "exit": ("call sys.exit", lambda: raising(SystemExit(3))),
    "interrupt": ("raise KeyboardInterrupt", lambda: raising(KeyboardInterrupt())),
    "nan": ("answer what JSON cannot hold: NaN", lambda: {"value": float("nan")}),
    "infinity": ("the same: infinity", lambda: {"value": float("inf")}),
    "set": ("the same: a set", lambda: {"value": {1, 2}}),
    "bytes": ("the same: bytes", lambda: {"value": b"bytes"}),
    "recursive": ("the same: a value that holds itself", recursive),
    "deep": ("the same: 100,000 lists in each other", deep),
    "huge": ("the same: a number of 5,001 digits", lambda: {"value": 10**5000}),
    "unreadable": ("the same: an object whose repr raises", lambda: {"value": Unreadable()}),
    "lazy": ("answer lazy text, which is fine", lambda: {"value": lazy()}),
    "large": ("answer 50 MB", lambda: {"value": "x" * 50_000_000}),
}
#: What a provider does before its work.
WAITS = {
    "slow": "take 0.5 s",
    "hang": "wait until the switch is changed",
    "stuck": "never return",
}
MODES = {"ok": "behave", **WAITS, **{mode: text for mode, (text, _) in ANSWERS.items()}}


def folder() -> Path:
    default = Path(__file__).resolve().parent.parent / "var"
    return Path(os.environ.get("EXAMPLE_FOLDER") or default) / "switches"


def read(name: str) -> str:
    """The mode that ``name`` is switched to; ``ok`` unless somebody switched it."""
    try:
        return (folder() / name).read_text()
    except FileNotFoundError:
        return "ok"


def switch(name: str, mode: str) -> None:
    """Switch ``name``, one of ``NAMES``, to ``mode``, one of ``MODES``, in every process."""
    if name not in NAMES or mode not in MODES:
        raise ValueError(f"No switch {name} or no mode {mode}.")
    path = folder() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written aside and renamed, so that nobody reads half a word.
    draft = path.with_name(f".{name}.{os.getpid()}")
    draft.write_text(mode)
    draft.replace(path)


def pauses(name: str, mode: str) -> Iterator[float]:
    """Seconds to wait, again and again, before the work of a provider that is switched to ``mode``."""
    if mode == "slow":
        yield 0.5
    while mode == "hang" and read(name) == "hang":
        yield 0.05
    while mode == "stuck":
        yield 3600


def switchable(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let the switch ``name`` decide what the decorated check, plain or async, does."""

    def decorate(check: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(check)
        def plain(*args: Any, **kwargs: Any) -> Any:
            mode = read(name)
            for pause in pauses(name, mode):
                time.sleep(pause)
            return ANSWERS[mode][1]() if mode in ANSWERS else check(*args, **kwargs)

        @functools.wraps(check)
        async def asynchronous(*args: Any, **kwargs: Any) -> Any:
            mode = read(name)
            for pause in pauses(name, mode):
                await asyncio.sleep(pause)
            return ANSWERS[mode][1]() if mode in ANSWERS else await check(*args, **kwargs)

        return asynchronous if inspect.iscoroutinefunction(check) else plain

    return decorate
