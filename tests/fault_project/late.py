"""A check whose module takes a second to import."""

from __future__ import annotations

import time

time.sleep(1)


def check() -> dict[str, bool]:
    return {"late": True}
