"""The app as Django knows it: when it is ready, it connects its system checks and the observers of the engine."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.apps import AppConfig
from django.core.checks import register

from status import checks, notifications
from status.engine import engine
from status.history import history
from status.providers.code import note_running_code


class StatusConfig(AppConfig):
    name = "status"
    verbose_name = "Status"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        register(checks.mistakes, "status")
        register(checks.risks, "status", deploy=True)
        # Django calls this again where a test overrides INSTALLED_APPS.
        engine.observers += [one for one in (notifications.observe, history.observe) if one not in engine.observers]
        note_running_code()


def __getattr__(name: str) -> Any:
    return import_module("status.classic").find(__name__, name)
