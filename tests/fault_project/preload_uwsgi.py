"""``uwsgi --module tests.fault_project.preload_uwsgi``, as ``docs/deadlines.rst`` says it."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application
from uwsgidecorators import postfork

import status

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.fault_project.settings")

application = get_wsgi_application()
postfork(status.preload)
