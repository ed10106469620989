"""Checks that misbehave on demand."""

from __future__ import annotations

import asyncio
import threading
import time
import urllib.request
from typing import Any

from asgiref.sync import sync_to_async

from tests.fault_project import switches


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text for you")

    __repr__ = __str__


ERRORS: dict[str, BaseException] = {
    type(error).__name__: error
    for error in (
        ValueError("secret"), BaseException("secret"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(),
        asyncio.CancelledError(), MemoryError(), StopIteration(), Unprintable(),
    )
}  # fmt: skip


def hanging() -> dict[str, bool]:
    """Hangs while ``hang`` is on; what it waits in cannot be interrupted."""
    switches.count("runs")
    while switches.on("hang"):
        time.sleep(0.02)
    return {"back": True}


def stuck() -> dict[str, bool]:
    """Never returns, if ``stuck`` is on when it begins."""
    if switches.on("stuck"):
        threading.Event().wait()
    return {"free": True}


def raising() -> Any:
    name = switches.read("error") if switches.on("error") else ""
    if name == "RecursionError":
        return raising_again()
    if name:
        raise ERRORS[name]
    return {"calm": True}


def raising_again() -> Any:
    return raising_again()


def calling() -> dict[str, bool]:
    """Asks our own server for a page, as a check of a load balancer in front of it would."""
    if not switches.on("url"):
        return {"self": True}
    with urllib.request.urlopen(switches.read("url"), timeout=20) as response:
        return {"self": response.status == 200}


async def awaiting() -> dict[str, bool]:
    """Never returns, if ``stuck`` is on when it begins: it waits for database work, which cannot be cancelled."""
    if switches.on("stuck"):
        await sync_to_async(threading.Event().wait)()
    await asyncio.sleep(0.02)
    return {"awaited": True}


def neighbour() -> dict[str, bool]:
    return {"fine": True}
