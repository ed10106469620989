"""Keeps what is not ours from doing harm: failures in the wrong place, and connections left open in our threads."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from status.conf import conf


def quietly(function: Callable[..., object], *args: object) -> None:
    """Call what is not ours where a failure of it must not change an answer. What it raises goes to the log."""
    try:
        function(*args)
    except BaseException as error:
        try:
            # Late: most processes never get here.
            from status.logs import log_mishap

            log_mishap(function, error)
        except BaseException:  # a handler of the log that raises: then there is nobody left to tell
            return


def renew_connections() -> None:
    """What Django does around a request, for the connections that a check opened in this thread."""
    quietly(_each_connection, lambda connection: connection.close_if_unusable_or_obsolete())


def close_connections() -> None:
    """Close what this thread of ours has opened. It ends, or has no further use of it."""
    quietly(_each_connection, _close)


def _each_connection(do: Callable[[Any], object]) -> None:
    django_db = sys.modules.get("django.db")
    if django_db is not None and conf.in_django:
        for connection in django_db.connections.all(initialized_only=True):
            quietly(do, connection)


def _close(connection: Any) -> None:
    # Late: only where there is one.
    from status.providers.django.kept import close_database

    close_database(connection)
