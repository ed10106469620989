"""The settings of a project that was written for django-status 2.x, as they were: nothing in them had to change."""

from __future__ import annotations

from example_project import settings as current

# What the __init__ of a project with Celery holds; so its app is Celery's default app, and needs no setting.
from example_project.celery import app as celery_app  # noqa: F401
from example_project.settings import *  # noqa: F403

del STATUS_CELERY_APP, STATUS_HEARTBEATS, STATUS_STORE  # noqa: F821
CACHES = {"default": current.CACHES["default"]}

MIDDLEWARE = [name for name in current.MIDDLEWARE if not name.startswith("status.")]
PROJECT_PATH = str(current.BASE_DIR)
STATUS_PROVIDERS = {
    "health": (
        ("ping", "status.providers.health.ping", None, None),
        ("databases", "status.providers.django.health.databases", None, None),
        ("caches", "status.providers.django.health.caches", None, None),
    ),
    "stats": (
        ("databases", "status.providers.django.stats.databases", None, None),
        ("code", "status.providers.stats.code", None, None),
    ),
}
STATUS_CHECK_PROVIDERS = {
    "health": (
        (
            "storage",
            "example_project.shop.providers.storage",
            ("uploads",),
            {"path": current.FOLDER, "at_least": 1_000_000},
        ),
    ),
}
STATUS_CELERY_WORKERS = tuple(current.STATUS_CELERY_WORKERS)
