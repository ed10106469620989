"""Settings of rows 14 and 20: a project to which nothing is added yet, and which has no settings of the app."""

from __future__ import annotations

from tests.base_settings import *  # noqa: F403
from tests.base_settings import INSTALLED_APPS
from tests.benchmarks.project.settings import MIDDLEWARE  # noqa: F401

ROOT_URLCONF = "tests.benchmarks.project.bare_urls"
INSTALLED_APPS = [app for app in INSTALLED_APPS if app != "status"]
