"""Settings of the project that is measured.

BENCHMARK  JSON: further settings, which win
"""

from __future__ import annotations

import json
import os

SECRET_KEY = "a-key-for-the-benchmarks-that-is-neither-short-nor-secret-4711"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "tests.benchmarks.project.urls"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DJANGO_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
]
INSTALLED_APPS = [*DJANGO_APPS, "status", "health_check", "watchman"]
#: What ``django-admin startproject`` writes.
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

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
WATCHMAN_CHECKS = ("watchman.checks.databases", "watchman.checks.caches")
globals().update(json.loads(os.environ.get("BENCHMARK", "{}")))
