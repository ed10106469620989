"""The same work as a check of the app and of each peer."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from health_check.base import HealthCheck

SLOW = 0.1
#: The file whose existence makes checks hang.
SWITCH = Path(os.environ.get("BENCHMARK_SWITCH", f"{os.devnull}/absent"))


def slow(number: int = 0) -> dict[str, bool]:
    time.sleep(SLOW)
    return {"fine": True}


def hang() -> dict[str, bool]:
    while SWITCH.exists():
        time.sleep(0.02)
    return {"fine": True}


@dataclass
class Slow(HealthCheck):
    number: int = 0

    def run(self) -> None:
        slow()


@dataclass
class Hang(HealthCheck):
    def run(self) -> None:
        hang()


def watchman_hang() -> dict[str, dict[str, bool]]:
    hang()
    return {"hanging": {"ok": True}}


def __getattr__(name: str):
    """``watchman_slow0`` and so on: its checks are functions without arguments, told apart by what they answer."""
    prefix, _, number = name.partition("watchman_slow")
    if prefix or not number.isdigit():
        raise AttributeError(name)

    def check() -> dict[str, dict[str, bool]]:
        slow()
        return {f"slow{number}": {"ok": True}}

    return check


def at_once() -> dict[str, bool]:
    return {"fine": True}
