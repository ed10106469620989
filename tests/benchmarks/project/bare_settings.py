"""Settings of row 14: a project to which nothing is added yet, and which has no settings of the app."""

from __future__ import annotations

from tests.benchmarks.project import settings

SECRET_KEY = settings.SECRET_KEY
ALLOWED_HOSTS = settings.ALLOWED_HOSTS
USE_TZ = True
DEFAULT_AUTO_FIELD = settings.DEFAULT_AUTO_FIELD
INSTALLED_APPS = settings.DJANGO_APPS
MIDDLEWARE = settings.MIDDLEWARE
TEMPLATES = settings.TEMPLATES
DATABASES = settings.DATABASES
CACHES = settings.CACHES
ROOT_URLCONF = "tests.benchmarks.project.bare_urls"
