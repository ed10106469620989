"""Which Celery workers are alive, whether there are enough, and how long their queues are."""

from __future__ import annotations

from typing import Any

from status.providers.celery.inspection import Inspection, is_pong
from status.providers.celery.queues import QueueCheck
from status.providers.celery.workers import WorkerCheck


class CeleryHealth(Inspection):
    """Answer ``{worker: bool}`` for the workers in ``workers``: whether each answers a ping in time."""

    command = "ping"

    def value(self, reply: Any) -> bool:
        return is_pong(reply)


celery = CeleryHealth()
queues = QueueCheck()
workers = WorkerCheck()
