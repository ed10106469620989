"""``gunicorn tests.fault_project.wsgi``"""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.fault_project.settings")

application = get_wsgi_application()

if "FAULT_ASK_EARLY" in os.environ:
    # Before the server forks, so that a run is in flight in the parent, on a thread that the children do not have.
    from status.engine import engine
    from status.registry import registry

    engine.report(registry.select("health"), patience=0.5)
