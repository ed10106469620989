"""``uvicorn tests.fault_project.preload_asgi:application``, as ``docs/deadlines.rst`` says it."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

import status

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.fault_project.settings")

application = get_asgi_application()
status.preload()
