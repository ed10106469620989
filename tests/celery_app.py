"""The Celery app that worker processes of the tests run; its broker comes from the environment."""

from __future__ import annotations

import os

from celery import Celery

OPTIONS = ("data_folder_in", "data_folder_out", "control_folder")

app = Celery("tests", set_as_current=False)
app.conf.update(
    broker_url=os.environ.get("CELERY_TEST_BROKER", "memory://"),
    broker_transport_options={
        name: os.environ[f"CELERY_TEST_{name.upper()}"]
        for name in OPTIONS
        if f"CELERY_TEST_{name.upper()}" in os.environ
    },
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
)


@app.task
def add(x: int, y: int) -> int:
    return x + y
