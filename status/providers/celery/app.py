"""Which Celery app is asked, and whether its workers can answer at all."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from status.conf import conf
from status.providers.base import Unavailable


def celery_app() -> Any:
    """The app that ``STATUS_CELERY_APP`` names, else Celery's default app.

    Raises ``Unavailable`` where there is none, or where its configuration leaves no worker to ask.
    """
    app = _find_app()
    if app.conf.task_always_eager:
        raise Unavailable(
            "Celery's task_always_eager is on: tasks run where they are called, and no worker takes part. "
            "Leave STATUS_CELERY_WORKERS empty."
        )
    if not app.conf.worker_enable_remote_control:
        raise Unavailable("Celery's worker_enable_remote_control is off, so no worker can answer.")
    return app


def _find_app() -> Any:
    # Late: celery is an extra, and costs its import only where workers are asked.
    try:
        from celery import Celery, _state
        from celery.app.utils import find_app
    except ImportError as error:
        if error.name == "celery":
            raise Unavailable("Celery is not installed: pip install django-status[celery]") from error
        raise Unavailable(f"Celery cannot be imported ({error.name} is missing).") from error
    path = conf.celery_app
    if path is None:
        if _state.default_app is None or _is_fallback(_state.default_app):
            raise Unavailable('There is no default Celery app: set STATUS_CELERY_APP = "proj.celery:app".')
        return _state.default_app
    try:
        app = find_app(path, imp=import_module)
    except Exception as error:  # whatever the project's own module raises
        raise Unavailable(f"STATUS_CELERY_APP names nothing that can be imported ({type(error).__name__}).") from error
    if not isinstance(app, Celery):
        raise Unavailable(f"STATUS_CELERY_APP should name a Celery app, not a {type(app).__name__}.")
    return app


def _is_fallback(app: Any) -> bool:
    """Whether Celery made the app up, because somebody used ``current_app`` and there was none.

    It would talk to ``amqp://guest@localhost``. See ``celery._state._get_current_app``.
    """
    return bool(app.main == "default" and not app.set_as_current and app.fixups == [])
