"""The app as Django knows it: when it is ready, it connects its system checks and the observers of the engine."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, register
from django.core.signals import setting_changed
from django.urls import clear_url_caches

from status import loops
from status.conf import conf
from status.engine import engine
from status.entries import Check
from status.logs import call_safely
from status.providers.code import note_running_code
from status.report import Result

#: Settings that decide which names of addresses there are.
NAMING = ("STATUS_PROVIDERS", "STATUS_CHECK_PROVIDERS", "STATUS_CELERY_WORKERS", "STATUS_HEARTBEATS")


class StatusConfig(AppConfig):
    name = "status"
    verbose_name = "Status"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        conf.give_defaults_to_django()
        register(find_mistakes, "status")
        register(find_risks, "status", deploy=True)
        # Django calls this again where a test overrides INSTALLED_APPS.
        if observe not in engine.observers:
            engine.observers.append(observe)
        loops.observers[:] = [join_fleet]
        setting_changed.connect(forget_names, dispatch_uid="status")
        note_running_code()
        # A process of Celery has imported it by now; in others it would cost more than all of this app.
        if (conf.serve and find_spec("celery") is not None) or (conf.store is not None and "celery" in sys.modules):
            connect_celery()


def observe(check: Check, result: Result) -> None:
    """Tell everything that follows the runs of checks of one; an observer of the engine."""
    # Late: in most processes of a project no check runs.
    from status import counters, fleet, notifications
    from status.history import history

    for one in (notifications.observe, history.observe, fleet.observe, counters.observe):
        call_safely(one, check, result)


def join_fleet(role: str) -> None:
    """Report this process to the fleet."""
    # Late: most processes are in none.
    from status import fleet

    fleet.join(role)


def find_mistakes(**kwargs: Any) -> list[CheckMessage]:
    """Return what ``manage.py check`` says."""
    # Late: the processes of a server run no system checks, and would pay for their imports.
    from status import checks

    return checks.mistakes(**kwargs)


def find_risks(**kwargs: Any) -> list[CheckMessage]:
    """Return what ``manage.py check --deploy`` says besides."""
    # Late, as in ``find_mistakes``.
    from status import checks

    return checks.risks(**kwargs)


def forget_names(setting: str, **kwargs: object) -> None:
    """Have ``reverse()`` find the names of addresses anew, after a test has changed what there is."""
    if setting in NAMING:
        clear_url_caches()


def connect_celery() -> None:
    """Have the main processes of Celery join the fleet, and answer where ``STATUS_SERVE`` says."""
    # Late: only such processes need it, or those of a project that says where to serve.
    from celery import signals

    signals.worker_init.connect(serve_worker, dispatch_uid="status")
    # Not before the processes of the pool are there: a fork would inherit what the thread of the reports has begun.
    signals.worker_ready.connect(join_worker, dispatch_uid="status")
    signals.beat_init.connect(serve_beat, dispatch_uid="status")
    signals.beat_embedded_init.connect(serve_beat, dispatch_uid="status")


def join_worker(**kwargs: object) -> None:
    """Report the main process of a worker to the fleet."""
    join_fleet("worker")


def serve_worker(**kwargs: object) -> None:
    """Serve in the main process of a worker, before there are processes of its pool."""
    serve_role("worker")


def serve_beat(**kwargs: object) -> None:
    """Serve in the scheduler, also where it is a part of a worker, and report it to the fleet."""
    serve_role("beat")
    join_fleet("beat")


def serve_role(role: str) -> None:
    """Serve where ``STATUS_SERVE`` has an address for ``role``."""
    if role in conf.serve:
        # Late: most processes serve nothing.
        from status.serving import serve

        serve(conf.serve[role])


def __getattr__(name: str) -> Any:
    return import_module("status.classic").find(__name__, name)
