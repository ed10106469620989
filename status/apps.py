"""The app as Django knows it: when it is ready, it connects its system checks."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register

from status import checks


class StatusConfig(AppConfig):
    name = "status"
    verbose_name = "Status"

    def ready(self) -> None:
        register(checks.mistakes, "status")
        register(checks.risks, "status", deploy=True)
