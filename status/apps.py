"""The app, as Django knows it."""

from __future__ import annotations

from django.apps import AppConfig


class StatusConfig(AppConfig):
    name = "status"
    verbose_name = "Status"

    def ready(self) -> None:
        # Late: the app registry is complete only now, and listing the app alone loads nothing.
        from status import changes
        from status.checks import register_checks
        from status.engine import engine
        from status.history import history

        register_checks()
        engine.observers += [changes.observe, history.observe]
