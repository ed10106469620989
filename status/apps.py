"""The app, as Django knows it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, register


class StatusConfig(AppConfig):
    name = "status"
    verbose_name = "Status"

    def ready(self) -> None:
        register(mistakes, "status")
        register(traps, "status", deploy=True)


def mistakes(app_configs: Iterable[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """What ``manage.py check`` says of settings that cannot be used."""
    # Late: a server process never runs system checks.
    from status.checks import ERRORS

    return [message for check in ERRORS for message in check(app_configs, **kwargs)]


def traps(app_configs: Iterable[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """What ``manage.py check --deploy`` says besides."""
    # Late: as above.
    from status.checks import WARNINGS

    return [message for check in WARNINGS for message in check(app_configs, **kwargs)]
