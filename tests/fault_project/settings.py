"""Settings of the project that misbehaves.

FAULT_FOLDER         where the switches are, see ``switches``
FAULT_SETTINGS       JSON: further settings, which win
FAULT_REPLACE_AFTER  seconds after which a run that hangs is replaced, so that half a minute need not be waited for
FAULT_IDLE_SECONDS   seconds after which a thread without work ends, instead of a minute
FAULT_PSYCOPG2       with any value: PostgreSQL is asked through psycopg2, which does not know gevent
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from status.engine.execution import SingleFlight
from status.notifications import Teller
from status.threads import Worker
from tests.base_settings import *  # noqa: F403
from tests.base_settings import MIDDLEWARE, STATUS_MIDDLEWARE

SingleFlight.replace_after = float(os.environ.get("FAULT_REPLACE_AFTER", SingleFlight.replace_after))
Worker.idle_seconds = float(os.environ.get("FAULT_IDLE_SECONDS", Worker.idle_seconds))
# A change that waits to be told keeps a thread in one process and not in another, and tests compare processes.
Teller.interval = 0.2

if "FAULT_PSYCOPG2" in os.environ:
    modules: dict[str, Any] = sys.modules
    modules["psycopg"] = None  # Django takes psycopg2 where this cannot be imported

ROOT_URLCONF = "tests.fault_project.urls"
MIDDLEWARE = [STATUS_MIDDLEWARE, *MIDDLEWARE]

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
