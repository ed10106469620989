"""What the project's own Python code calls: ``from status import preload``."""

from __future__ import annotations

from contextlib import suppress

from django.urls import Resolver404, get_resolver

from status.conf import conf
from status.engine import engine
from status.registry import registry


def preload() -> bool:
    """Load the code of all configured checks, and the project's urlconf, so that the first probe finds them loaded.

    For a server's own start: gunicorn's ``post_worker_init``, uWSGI's ``postfork``, an ASGI lifespan. Blocks until all
    is loaded, at most ten seconds for a check that hangs. Runs no check, and connects to nothing.

    Return whether everything could be loaded. What could not is tried again with the first question.
    """
    loaded = engine.load(registry.select().checks)
    if conf.in_django:
        with suppress(Resolver404):  # it has read every urlconf to say so
            get_resolver().resolve("/")
    return loaded
