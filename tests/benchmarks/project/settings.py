"""Settings of the project that is measured.

BENCHMARK  JSON: further settings, which win
"""

from __future__ import annotations

import json
import os

from tests.base_settings import *  # noqa: F403
from tests.base_settings import INSTALLED_APPS, MIDDLEWARE

ROOT_URLCONF = "tests.benchmarks.project.urls"
INSTALLED_APPS = [*INSTALLED_APPS, "health_check", "watchman"]
#: As ``startproject`` writes them.
MIDDLEWARE = [*MIDDLEWARE, "django.middleware.clickjacking.XFrameOptionsMiddleware"]

SERVICES = [
    ("databases", "status.providers.django.health.databases"),
    ("caches", "status.providers.django.health.caches"),
]
STATUS_PROVIDERS = {
    "health": [("ping", "status.providers.health.ping")],
    "services": SERVICES,
    "aged": [(name, path, None, None, {"max_age": 1}) for name, path in SERVICES],
    "slow": [(f"slow{number}", "tests.benchmarks.project.checks.slow", [number]) for number in range(10)],
    "hanging": [("hanging", "tests.benchmarks.project.checks.hang")],
    "database": SERVICES[:1],
    "celery": [("celery", "status.providers.celery.health.celery")],
}
STATUS_CELERY_APP = "tests.celery_app:app"
#: The check of django-health-check that is set beside ours.
PEER_CHECK = "health_check.Cache"
WATCHMAN_CHECKS = ("watchman.checks.databases", "watchman.checks.caches")
globals().update(json.loads(os.environ.get("BENCHMARK", "{}")))
