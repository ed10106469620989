"""The site that consumers ask: a Django project with one check, whose state is a word in the file ``SITE_STATE``."""

from __future__ import annotations

import os
import time
from pathlib import Path

from django.http import HttpResponse
from django.urls import include, path

from status.providers import Answer
from tests.base_settings import *  # noqa: F403
from tests.base_settings import MIDDLEWARE, STATUS_MIDDLEWARE

ROOT_URLCONF = __name__
MIDDLEWARE = [STATUS_MIDDLEWARE, *MIDDLEWARE]
#: Seconds.
STATUS_TIMEOUT = 1
STATUS_PROVIDERS = {
    "health": [("ping", "status.providers.health.ping"), ("orders", f"{__name__}.orders")],
    "stats": [],
}


def state() -> str:
    return Path(os.environ["SITE_STATE"]).read_text()


def orders() -> Answer:
    """Hang while the state says so; otherwise pass, warn or fail."""
    while (word := state()) == "hung":
        time.sleep(0.05)
    warnings = {"queue": "longer than usual"} if word == "warning" else {}
    return Answer({"queue": word != "failing"}, warnings=warnings)


urlpatterns = [path("status/", include("status.urls")), path("", lambda request: HttpResponse("the shop"))]
