"""A project whose middleware looks at the user of every request, and saves its session, in a database or a cache.

COOKIE_DATABASE  JSON: the entry of ``DATABASES``
COOKIE_CACHE     the address of the Redis server that is the cache
COOKIE_SESSIONS  where sessions are: ``db`` or ``cache``
COOKIE_MAILS     a folder: each mail becomes a file in it
COOKIE_VISITS    ``no`` leaves out the middleware that looks at users
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import django
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from tests.base_settings import *  # noqa: F403
from tests.base_settings import MIDDLEWARE, STATUS_MIDDLEWARE

ROOT_URLCONF = __name__
MIDDLEWARE = [STATUS_MIDDLEWARE, *MIDDLEWARE]
if os.environ.get("COOKIE_VISITS") != "no":
    MIDDLEWARE.append(f"{__name__}.visits")
DATABASES = {"default": json.loads(os.environ["COOKIE_DATABASE"])}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": os.environ["COOKIE_CACHE"]}}
SESSION_ENGINE = f"django.contrib.sessions.backends.{os.environ['COOKIE_SESSIONS']}"
SESSION_SAVE_EVERY_REQUEST = True
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ADMINS = ["admin@example.com"] if django.VERSION >= (6, 0) else [("Admin", "admin@example.com")]
EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
EMAIL_FILE_PATH = os.environ["COOKIE_MAILS"]
STATUS_TIMEOUT = 1


def visits(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    def visit(request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            request.session["visits"] = request.session.get("visits", 0) + 1
        return get_response(request)

    return visit


urlpatterns = [path("status/", include("status.urls"))]
