"""Settings of the project that misbehaves.

FAULT_FOLDER    where the switches are, see ``switches``
FAULT_SETTINGS  JSON: further settings, which win
FAULT_LANES     JSON: constants of ``status.lanes``, so that half a minute need not be waited for
"""

from __future__ import annotations

import json
import os

from status.engine import worker as lanes
from tests.base_settings import *  # noqa: F403
from tests.base_settings import MIDDLEWARE, STATUS_MIDDLEWARE

for name, value in json.loads(os.environ.get("FAULT_LANES", "{}")).items():
    assert hasattr(lanes, name), name
    setattr(lanes, name, value)

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
