"""The providers of the shop: a function, a class, a coroutine function, and one that only informs."""

from __future__ import annotations

import asyncio
import os
import shutil

from example_project.shop.switches import switchable
from status.providers import Provider
from status.providers.base import Answer


@switchable("health.storage")
def storage(label: str, path: str | os.PathLike[str], at_least: int = 0) -> dict[str, bool]:
    """``{label: bool}``: whether ``at_least`` bytes are free at ``path``."""
    return {label: shutil.disk_usage(path).free >= at_least}


class Payments(Provider):
    """Answers per method of payment, and gives a reason for each that fails."""

    timeout = 1.5
    impact = "Customers cannot pay."

    @switchable("shop.payments")
    def check(self, accepted: tuple[str, ...] = ("card", "invoice")) -> Answer:
        methods = ("card", "invoice")
        return Answer(
            {method: method in accepted for method in methods},
            {method: "not accepted" for method in methods if method not in accepted},
        )


@switchable("shop.delivery")
async def delivery() -> dict[str, bool]:
    """Whether the carrier's tracking answers."""
    await asyncio.sleep(0)
    return {"tracking": True}


@switchable("shop.newsletter")
def newsletter() -> dict[str, bool]:
    return {"queue": True}


@switchable("stats.sales")
def sales() -> dict[str, object]:
    """Numbers only inform: no number is a failure, not even zero."""
    return {"orders": 42, "refunds": 0, "currency": "EUR"}
