"""A Django project whose processes report themselves: web servers, Celery workers and beat, and a loop.

FLEET_STORE         JSON: the entry of ``CACHES`` that is the store
FLEET_PERIOD        seconds between two reports
CELERY_TEST_BROKER  the broker
"""

from __future__ import annotations

import json
import os
import sys
import time

import django
from celery import Celery
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.urls import include, path

import status
from tests import base_settings

if not settings.configured:
    settings.configure(
        SECRET_KEY=base_settings.SECRET_KEY,
        ALLOWED_HOSTS=base_settings.ALLOWED_HOSTS,
        INSTALLED_APPS=["status"],
        MIDDLEWARE=[base_settings.STATUS_MIDDLEWARE],
        ROOT_URLCONF=__name__,
        CACHES={"default": json.loads(os.environ["FLEET_STORE"])},
        STATUS_STORE="default",
        STATUS_PROVIDERS={"health": [("ping", "status.providers.health.ping")]},
        PROJECT_PATH="/",
    )
    django.setup()

from status.fleet import Reporter

Reporter.period = float(os.environ.get("FLEET_PERIOD", "0.5"))
Reporter.goodbye_seconds = 60.0  # who waits for nothing is noticed
urlpatterns = [path("status/", include("status.urls"))]
wsgi, asgi = get_wsgi_application(), get_asgi_application()
app = Celery("fleet", set_as_current=False)
app.conf.update(
    broker_url=os.environ.get("CELERY_TEST_BROKER", "memory://"),
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
    beat_schedule_filename="schedule",
)


def loop() -> None:
    """Touch, and fork a child that ends in order: it is another process, and no member."""
    status.touch("orders")
    time.sleep(0.2)
    if os.fork():
        os.wait()
        print("forked", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    loop()
