"""The task that Celery finds in an installed app: in the schedule of Celery beat, it proves the way to the worker."""

from __future__ import annotations

from celery import shared_task

from status.heartbeats import send


@shared_task(name="status.heartbeat", ignore_result=True)  # type: ignore[untyped-decorator]
def heartbeat(name: str) -> None:
    """Beat, and fail where the store does not keep it: this task has nothing else to do."""
    send(name)
