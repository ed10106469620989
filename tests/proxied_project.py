"""A project that makes it hard for probes: every redirect and login there is, and a database that is down."""

from __future__ import annotations

import os

import django
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from tests.base_settings import *  # noqa: F403
from tests.base_settings import MIDDLEWARE, STATUS_MIDDLEWARE

ALLOWED_HOSTS = ["shop.example"]
ROOT_URLCONF = __name__
MIDDLEWARE = [STATUS_MIDDLEWARE, *MIDDLEWARE]
if django.VERSION >= (5, 1):
    MIDDLEWARE.append("django.contrib.auth.middleware.LoginRequiredMiddleware")
SECURE_SSL_REDIRECT = True
PREPEND_WWW = True
SESSION_SAVE_EVERY_REQUEST = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "shop",
        "HOST": "127.0.0.1",
        "PORT": os.environ["DEAD_PORT"],
        "ATOMIC_REQUESTS": True,
    }
}
STATUS_PROVIDERS = {
    "health": [("ping", "status.providers.health.ping"), ("databases", "status.providers.django.health.databases")],
    "stats": [("number", f"{__name__}.number")],
}
STATUS_PUBLIC = ["health"]
STATUS_NETWORKS = ["127.0.0.2"]
STATUS_TRUSTED_PROXIES = ["127.0.0.1"]
STATUS_TIMEOUT = 1


def number() -> int:
    return 4711


def home(request: HttpRequest) -> HttpResponse:
    return HttpResponse("home")


urlpatterns = [path("", home), path("status/", include("status.urls"))]
