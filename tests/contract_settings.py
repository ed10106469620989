"""The example project as the contract test serves it: to strangers, with settings that a request may choose.

CONTRACT_FRONT_DOOR   1 puts the middleware of the app first, 0 does without it
CONTRACT_DATABASE     down: the database cannot be opened, and every view is in a transaction
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import django
from asgiref.sync import iscoroutinefunction
from django.utils.decorators import sync_and_async_middleware

from example_project.settings import *  # noqa: F403
from example_project.settings import CACHES, DATABASES, FOLDER, MIDDLEWARE, STATUS_CHECK_PROVIDERS

DEBUG = False
ROOT_URLCONF = "tests.contract_urls"
ALLOWED_HOSTS = ["127.0.0.1", "shop.example"]
FRONT_DOOR = "status.middleware.StatusMiddleware"
MIDDLEWARE = ["tests.contract_settings.chosen_settings", *MIDDLEWARE]
# Without the heartbeats of the example project, which would be in ``health`` whatever a row chooses.
CACHES = {"default": CACHES["default"]}
STATUS_STORE, STATUS_HEARTBEATS = None, {}
STATUS_CHECK_PROVIDERS = {
    resource: [entry for entry in entries if entry[0] != "heartbeats"]
    for resource, entries in STATUS_CHECK_PROVIDERS.items()
}
if os.environ.get("CONTRACT_FRONT_DOOR") == "0":
    MIDDLEWARE.remove(FRONT_DOOR)
if os.environ.get("CONTRACT_DATABASE") == "down":
    DATABASES["default"].update(NAME=FOLDER / "absent" / "db.sqlite3", ATOMIC_REQUESTS=True)
    if django.VERSION >= (5, 1):
        MIDDLEWARE.append("django.contrib.auth.middleware.LoginRequiredMiddleware")


@sync_and_async_middleware
def chosen_settings(get_response: Callable[..., Any]) -> Callable[..., Any]:
    """Answer with the settings of the row of the contract that the header ``X-Row`` names. One request at a time."""

    def override(request: Any) -> Any:
        # Late: settings cannot import what needs them.
        from django.test import override_settings

        from tests.contract import SETTINGS

        return override_settings(**SETTINGS.get(request.headers.get("X-Row"), {}))

    async def asynchronous(request: Any) -> Any:
        with override(request):
            return await get_response(request)

    def synchronous(request: Any) -> Any:
        with override(request):
            return get_response(request)

    return asynchronous if iscoroutinefunction(get_response) else synchronous
