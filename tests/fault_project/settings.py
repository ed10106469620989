"""Settings of the project that misbehaves.

FAULT_FOLDER    where the switches are, see ``switches``
FAULT_SETTINGS  JSON: further settings, which win
FAULT_LANES     JSON: constants of ``status.lanes``, so that half a minute need not be waited for
"""

from __future__ import annotations

import json
import os

from status.engine import worker as lanes

for name, value in json.loads(os.environ.get("FAULT_LANES", "{}")).items():
    assert hasattr(lanes, name), name
    setattr(lanes, name, value)

SECRET_KEY = "a-key-for-the-tests-that-is-neither-short-nor-secret-4711"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "tests.fault_project.urls"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["status", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
MIDDLEWARE = [
    "status.middleware.StatusMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
            ]
        },
    }
]
STATIC_URL = "/static/"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}

# Long enough to tell at once from at the deadline, and short enough to wait for.
STATUS_TIMEOUT = 1
STATUS_SHOW_DETAILS = "always"
STATUS_PROVIDERS = {
    "health": [
        ("ping", "status.providers.health.ping"),
        ("databases", "status.providers.django.health.databases"),
        ("hanging", "tests.fault_project.providers.hanging"),
        ("neighbour", "tests.fault_project.providers.neighbour"),
    ],
    "odd": [
        ("raising", "tests.fault_project.providers.raising"),
        ("calling", "tests.fault_project.providers.calling"),
        ("awaiting", "tests.fault_project.providers.awaiting"),
        ("stuck", "tests.fault_project.providers.stuck"),
        ("neighbour", "tests.fault_project.providers.neighbour"),
    ],
}
globals().update(json.loads(os.environ.get("FAULT_SETTINGS", "{}")))
