"""Settings of the project that most tests use. ``runtests.py --database postgresql`` names real servers in the
environment.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.base_settings import *  # noqa: F403
from tests.base_settings import ALLOWED_HOSTS, INSTALLED_APPS

BASE_DIR = Path(__file__).resolve().parent.parent
ALLOWED_HOSTS = ["testserver", "localhost", *ALLOWED_HOSTS]
ROOT_URLCONF = "tests.urls"
INSTALLED_APPS = ["django.contrib.admin", "django.contrib.staticfiles", *INSTALLED_APPS]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# Django 6.1 and later want every project to say how it sends mail.
MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}

if "TEST_DATABASE" in os.environ:
    DATABASES = {"default": json.loads(os.environ["TEST_DATABASE"])}
if "TEST_REDIS" in os.environ:
    CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": os.environ["TEST_REDIS"]}
    }
