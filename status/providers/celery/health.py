"""Which of the configured Celery workers are alive."""

from __future__ import annotations

from typing import Any

from status.providers.celery.inspection import Inspection


class CeleryHealth(Inspection):
    """Answer ``{worker: bool}`` for the workers in ``workers``: whether each answers a ping in time."""

    command = "ping"

    def value(self, reply: Any) -> bool:
        return isinstance(reply, dict) and reply.get("ok") == "pong"


celery = CeleryHealth()
