"""A Django project with a Celery app and a schedule, for tests of heartbeats with real workers and servers.

CELERY_TEST_BROKER  the broker
HEARTBEAT_STORE     the address of the Redis server that is the store
"""

from __future__ import annotations

import os

import django
from celery import Celery
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from tests import base_settings

if not settings.configured:
    settings.configure(
        SECRET_KEY=base_settings.SECRET_KEY,
        ALLOWED_HOSTS=base_settings.ALLOWED_HOSTS,
        INSTALLED_APPS=["status"],
        MIDDLEWARE=[base_settings.STATUS_MIDDLEWARE],
        ROOT_URLCONF=__name__,
        CACHES={
            "default": {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": os.environ["HEARTBEAT_STORE"],
            }
        },
        STATUS_STORE="default",
        STATUS_HEARTBEATS={"schedule": 2, "add": 3600, "crash": 3600},
        STATUS_NETWORKS=["127.0.0.1"],
    )
    django.setup()

from status import heartbeat, heartbeats


def home(request: HttpRequest) -> HttpResponse:
    return HttpResponse("home")


urlpatterns = [path("", home), path("status/", include("status.urls"))]
wsgi, asgi = get_wsgi_application(), get_asgi_application()
app = Celery("heartbeats", set_as_current=False)
app.conf.update(
    broker_url=os.environ.get("CELERY_TEST_BROKER", "memory://"),
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
    beat_schedule={"heartbeat": {"task": "status.heartbeat", "schedule": 0.5, "args": ["schedule"]}},
    beat_schedule_filename="schedule",
)
app.autodiscover_tasks(["status"])


@app.task(name="add")
@heartbeat("add")
def add(number: int) -> int:
    return number + 1


@app.task(name="crash")
@heartbeat("crash")
def crash(how: str) -> None:
    if how == "exit":
        heartbeats.writers.get().flush(5)  # that it has started
        os._exit(1)
    raise RuntimeError("the task fails")
