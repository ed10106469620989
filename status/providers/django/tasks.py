"""The check of the backends that Django's tasks are handed to."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module
from typing import Any
from uuid import uuid4

from django.core.checks import ERROR
from django.db import close_old_connections
from django.utils.module_loading import import_string

from status.providers.base import Answer, Unavailable
from status.providers.django.aliases import AliasCheck, backends_of, in_worker, savepoints

#: Django's own from Django 6.0 on, and its backport.
MODULES = ("django.tasks", "django_tasks")


class TaskCheck(AliasCheck):
    """Answer ``{alias: bool}``: whether each backend of ``TASKS`` answers.

    A run asks for the result of a task that never was. A backend that finds nothing has looked into its store, and is
    well; one that keeps no results, or runs tasks where they are called, is a warning: nothing was asked. A backend
    whose own system checks have errors fails. No task is enqueued.
    """

    label = "tasks"
    setting = "TASKS"

    def known(self) -> Collection[str]:
        return list(_backends())

    def import_backend(self, alias: str) -> None:
        import_string(_backends()[alias])

    def ask_alias(self, alias: str, **options: Any) -> Any:
        tasks = _tasks()
        backend = tasks.task_backends[alias]
        errors = [message for message in backend.check() if message.level >= ERROR and not message.is_silenced()]
        if errors:
            ids = ", ".join(str(message.id or "an error without id") for message in errors)
            raise Unavailable(f"its system checks fail ({ids}): manage.py check tells why")
        if not backend.supports_get_result:
            return Answer(True, warnings={alias: f"{_backends()[alias]} keeps no results: nothing was asked"})
        try:
            with savepoints():
                _look_up(backend)
        except Exception:
            if not in_worker():
                raise
            close_old_connections()  # that of its table may have gone stale
            _look_up(backend)
        return None


def _tasks() -> Any:
    """Return the module of Django's tasks, or of their backport. Raises ``Unavailable`` where there is neither."""
    for name in MODULES:
        try:
            return import_module(name)
        except ImportError:
            continue
    raise Unavailable("There are no Django tasks: they need Django 6.0, or the package django-tasks.")


def _backends() -> dict[str, str]:
    """Return alias -> dotted path of the backend."""
    return backends_of("TASKS", _tasks().task_backends.settings)


def _look_up(backend: Any) -> None:
    missing = import_module(f"{_tasks().__name__}.exceptions").TaskResultDoesNotExist
    try:
        backend.get_result(str(uuid4()))
    except missing:
        return
    raise Unavailable("knows a task that never was")
