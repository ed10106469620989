"""Which of the configured Celery workers are alive."""

from __future__ import annotations

from typing import Any

from status.providers.celery.inspection import Inspection


class CeleryHealth(Inspection):
    """``{worker: bool}`` for the workers in ``workers``: whether each answers a ping in time."""

    command = "ping"

    def value(self, answer: Any) -> bool:
        return isinstance(answer, dict) and answer.get("ok") == "pong"


celery = CeleryHealth()
