"""The app, as Django knows it."""

from __future__ import annotations

from django.apps import AppConfig


class StatusConfig(AppConfig):
    name = "status"
    verbose_name = "Status"

    def ready(self) -> None:
        from status.engine import engine
        from status.history import history

        engine.observers.append(history.observe)
