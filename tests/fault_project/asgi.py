"""``uvicorn tests.fault_project.asgi:application``"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.fault_project.settings")

django = get_asgi_application()
TICK = 0.01


class Ticker:
    """Notices how long the event loop was held up at a time. ``/gap`` answers the longest so far, and begins anew."""

    def __init__(self) -> None:
        self.longest = 0.0
        self.task: asyncio.Task[None] | None = None

    async def tick(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(TICK)
            self.longest = max(self.longest, time.monotonic() - before - TICK)

    def take(self) -> float:
        if self.task is None:
            self.task = asyncio.ensure_future(self.tick())
        longest, self.longest = self.longest, 0.0
        return longest


ticker = Ticker()


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "http" and scope["path"] == "/gap":
        body = str(ticker.take()).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
        return
    await django(scope, receive, send)
