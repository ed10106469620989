"""A project in one module, for real servers: settings, urls, and users without a database.

With ``DOOR=1`` in the environment it has the middleware.
"""

from __future__ import annotations

import os

from django.urls import include, path

from tests.base_settings import *  # noqa: F403
from tests.base_settings import MIDDLEWARE, STATUS_MIDDLEWARE

ROOT_URLCONF = __name__
MIDDLEWARE = [*([STATUS_MIDDLEWARE] if os.environ.get("DOOR") == "1" else []), *MIDDLEWARE]
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
AUTHENTICATION_BACKENDS = [f"{__name__}.Users"]

RIGHT, ROTATED = "the-right-token-0123456789-abcdefgh", "the-token-after-it-0123456789-abcdef"
STATUS_TOKENS = [RIGHT, ROTATED]
STATUS_NETWORKS = ["127.0.0.2/32"]
STATUS_PUBLIC = ["health"]
STATUS_PROVIDERS = {
    "health": [("ping", "status.providers.health.ping"), ("fine", f"{__name__}.fine")],
    "stats": [("number", f"{__name__}.number")],
}

urlpatterns = [path("status/", include("status.urls"))]


def fine() -> bool:
    return True


def number() -> int:
    return 4711


class Users:
    """User 1 is staff, user 2 is not; nobody looks them up anywhere."""

    def get_user(self, user_id: int):
        # Late: this module is the settings, which models need.
        from django.contrib.auth.models import User

        return User(pk=user_id, username=f"user {user_id}", password="!", is_staff=user_id == 1)
