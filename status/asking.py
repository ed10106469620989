"""What the project's own Python code calls: ``from status import ask, aask, preload``."""

from __future__ import annotations

from contextlib import suppress
from copy import deepcopy
from importlib import import_module

from django.urls import Resolver404

from status.conf import conf, found, is_timeout
from status.engine import engine
from status.exceptions import StatusError
from status.history import history
from status.mounts import resolvers
from status.providers.base import Unavailable, runs_here
from status.registry import Selection, UnknownName, registry
from status.report import Report

#: What the app imports with its first use: most processes of a project answer nothing.
LATE = (
    *("status.fleet", "status.counters", "status.heartbeats", "status.notifications", "status.leases", "status.store"),
    *("status.pages.page", "status.pages.fleet", "status.pages.rendering", "status.redaction"),
    *("status.formats.metrics", "status.formats.fleet"),
)


class NotConfigured(StatusError, LookupError):
    """There is nothing of that name to ask. The text says what there is."""


def ask(name: str | None = None, *, timeout: float | None = None) -> Report:
    """Run checks and return the report. What fails is in the report, and raises nothing.

    name: a resource (``"health"``, ``"ready"``) or one check (``"health/databases"``); None asks everything.
    timeout: seconds that each check may take instead of its own. One that takes longer has failed in this report, and
        for nobody else who asks.

    Code in the process may see everything, so the results are whole. A check may ask for other checks.

    Raises ``NotConfigured``, a LookupError, where there is nothing of that name, ValueError for an unusable timeout,
    and ``Unavailable`` in a check that asks for itself.
    """
    return _with_since(engine.report(_select(name, timeout), timeout))


async def aask(name: str | None = None, *, timeout: float | None = None) -> Report:
    """Do the same as ``ask`` on an event loop, without blocking it."""
    return _with_since(await engine.areport(_select(name, timeout), timeout))


def _select(name: str | None, timeout: float | None) -> Selection:
    if timeout is not None and not is_timeout(timeout):
        raise ValueError(f"timeout should be a positive number of seconds, not {found(timeout)}")
    if name is not None and not isinstance(name, str):
        raise TypeError(f'name should be like "health" or "health/databases", not {found(name)}')
    resource, _, provider = (name or "").partition("/")
    try:
        selection = registry.select(None if name is None else resource, provider or None)
    except UnknownName as error:
        known = ", ".join(error.known) or "none"
        raise NotConfigured(f"there is no {error.kind} {error.name!r}; there is: {known}") from error
    if not selection.checks:  # what was not asked is not healthy
        raise NotConfigured(f"{name or 'STATUS_PROVIDERS'!r} holds no check; add one to STATUS_PROVIDERS")
    for check in selection.checks:
        if runs_here(check):
            raise Unavailable(f"{check.resource}/{check.name} asks for itself; let it name the checks it needs")
    return selection


def _with_since(report: Report) -> Report:
    """Return the report, in which each result tells when its state began, as far as this process has seen.

    The answers are copies: others may get the same ones, and the project's code may change what it gets.
    """
    results = []
    for result in report.results:
        answer, public = deepcopy((result.answer, result.public_answer))
        results.append(result._replace(answer=answer, public_answer=public, since=history.began(result)))
    return report._replace(results=tuple(results))


def preload() -> bool:
    """Load the code of all configured checks, of all answers, and the project's urlconf, for the first probe to find.

    For a server's own start: gunicorn's ``post_worker_init``, uWSGI's ``postfork``, an ASGI lifespan. Blocks until all
    is loaded, at most ten seconds for a check that hangs. Runs no check, and connects to nothing.

    Return whether everything could be loaded. What could not is tried again with the first question.
    """
    if conf.in_django:
        import_late()
        for resolver in resolvers():
            with suppress(Resolver404):  # it has read every urlconf to say so
                resolver.resolve("/")
    return engine.load(registry.select().checks)


def import_late() -> None:
    """Import what the app imports late, in a process that is about to answer.

    It is then there before a deployment replaces the files, and before there are threads: a module that one of them
    imports while the process forks can never be imported in the child.
    """
    for name in LATE:
        import_module(name)
