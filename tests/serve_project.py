"""A Django project with processes that have no web server: a loop of its own, Celery workers and beat.

SERVE_ADDRESS, SERVE_BEAT   where the loop or the worker, and the scheduler answer
SERVE_STOP                  while this file exists, the loop hangs
CELERY_TEST_BROKER          the broker
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import django
from celery import Celery
from django.conf import settings

import status
from tests import base_settings

SERVE = {
    role: os.environ[name] for role, name in (("worker", "SERVE_ADDRESS"), ("beat", "SERVE_BEAT")) if name in os.environ
}

if not settings.configured:
    settings.configure(
        SECRET_KEY=base_settings.SECRET_KEY,
        INSTALLED_APPS=["status"],
        STATUS_PROVIDERS={"health": [("ping", "status.providers.health.ping")]},
        STATUS_SERVE=SERVE if __name__ != "__main__" else {},
    )
    django.setup()

app = Celery("serve", set_as_current=False)
app.conf.update(
    broker_url=os.environ.get("CELERY_TEST_BROKER", "memory://"),
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
    beat_schedule_filename="schedule",
)


@app.task(name="add")
def add(number: int) -> int:
    return number + 1


def loop() -> None:
    status.serve(os.environ["SERVE_ADDRESS"])
    while True:
        if not Path(os.environ["SERVE_STOP"]).exists():
            status.touch("orders", every=0.5)
        time.sleep(0.02)


if __name__ == "__main__":
    loop()
