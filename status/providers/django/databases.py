"""The check of the databases that Django is configured with."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit

from django.apps import apps
from django.conf import settings
from django.db import (
    DEFAULT_DB_ALIAS,
    DatabaseError,
    NotSupportedError,
    ProgrammingError,
    connections,
    reset_queries,
    router,
)

from status.providers.base import Unavailable, seconds_left
from status.providers.django.aliases import CLASSIC_ARGUMENTS, CLASSIC_KINDS, AliasCheck, in_worker

#: Django's stand-in for an entry of DATABASES that names no ENGINE.
NO_ENGINE = "django.db.backends.dummy"
#: What is asked of those that answer ``SELECT 1`` without their database: it is 0 where that was dropped.
QUESTIONS = {
    "sqlite": "SELECT count(*) >= 0 FROM sqlite_master",
    "mysql": "SELECT DATABASE() IS NULL OR DATABASE() IN (SELECT schema_name FROM information_schema.schemata)",
}
#: What a backend that does not speak SQL raises when it is asked to.
NO_SQL = (NotImplementedError, NotSupportedError, ProgrammingError, AttributeError)
#: The part of the time left for which a connection of a pool is waited for.
POOL_PART = 0.9


class DatabaseCheck(AliasCheck):
    """Answer ``{alias: bool}``: whether each database answers ``SELECT 1``, or what stands in ``QUESTIONS``.

    A SQLite file that is missing or empty is false, and is not created. A connection that was open before the run is
    closed and asked anew when it fails: it may have gone stale. With ``OPTIONS["pool"]`` the connection is one of the
    pool's, for the moment of the question.
    """

    label = "databases"
    handler = connections
    setting = "DATABASES"
    may_be_none = True
    arguments: Mapping[str, Any] | None = CLASSIC_ARGUMENTS
    kinds = CLASSIC_KINDS

    def asks_natively(self, name: str) -> bool:
        # The locks of a pool are the pages' too, and its driver knows gevent.
        return name in connections.settings and "pool" not in connections.settings[name]["OPTIONS"]

    def configured(self) -> Collection[str]:
        return [
            alias for alias, entry in connections.settings.items() if entry["ENGINE"] != NO_ENGINE or is_used(alias)
        ]

    def import_backend(self, alias: str) -> None:
        getattr(connections[alias], "pool", None)  # psycopg_pool is imported when it is first read

    def question(self, connection: Any) -> Any:
        """Ask the database by this connection. Raises whatever is wrong with it."""
        if connection.vendor == "sqlite":
            _check_file(os.fsdecode(connection.settings_dict["NAME"]))
        try:
            with connection.cursor() as cursor:
                cursor.execute(QUESTIONS.get(connection.vendor) or f"SELECT 1{connection.features.bare_select_suffix}")
                row = cursor.fetchone()
        except NO_SQL:
            connection.ensure_connection()
            try:
                usable = connection.is_usable()
            except NotImplementedError:
                # MongoDB's client connects when it is first used; a backend without a version proved itself above.
                with suppress(NotImplementedError):
                    connection.get_database_version()
                return
            if not usable:
                raise
            return
        except DatabaseError as error:
            if connection.vendor == "sqlite" and type(error) is DatabaseError:
                raise Unavailable("the file is no SQLite database, or a damaged one") from error
            raise
        if row == (0,):
            raise Unavailable("the database does not exist")
        if row is None or tuple(row) != (1,):
            raise Unavailable("answered something else than 1")

    def ask_alias(self, alias: str, **options: Any) -> Any:
        if connections.settings[alias]["ENGINE"] == NO_ENGINE:
            raise Unavailable("no ENGINE in DATABASES")
        connection, own_thread = connections[alias], in_worker()
        was_open = connection.connection is not None
        # To close the connection would undo what the caller has not committed.
        in_transaction = was_open and not own_thread and (connection.in_atomic_block or not connection.autocommit)
        if not was_open:
            _await_pool(connection)
        try:
            answer = self.question(connection)
        except Exception:
            # Those of a pool (``OPTIONS["pool"]``) may have gone stale together.
            pool = getattr(connection, "pool", None) if connection.connection is not None else None
            if in_transaction or not (was_open or pool):
                raise
            with suppress(Exception):  # it is given up in any case
                connection.close()
            with suppress(AttributeError):  # no pool, or one that tests connections before it lends them
                pool.check()  # type: ignore[union-attr]
            answer = self.question(connection)
        finally:
            if own_thread:
                reset_queries()  # filled in DEBUG, and nobody reads them
            elif not was_open:
                with suppress(Exception):
                    connection.close()
        if own_thread and not connection.autocommit:
            connection.rollback()
        return answer


def is_used(alias: str) -> bool:
    """Return whether the project needs a database that names no ENGINE.

    ``default`` may be left empty: it is needed where DATABASES is set and a model of an installed app is kept there.
    """
    if alias != DEFAULT_DB_ALIAS:
        return True
    if not settings.is_overridden("DATABASES"):  # type: ignore[misc]
        return False
    return any(model._meta.managed and router.db_for_write(model) == alias for model in apps.get_models())


def _await_pool(connection: Any) -> None:
    """Wait until the pool of psycopg has a free connection. Django would wait for as long as the pool says."""
    pool: Any = getattr(connection, "pool", None)
    if not hasattr(pool, "getconn"):
        return
    seconds, failed = seconds_left(), _failed_connections(pool)
    try:
        pool.open()
        pool.putconn(pool.getconn(timeout=seconds * POOL_PART))
    except connection.Database.OperationalError as error:
        opened = _failed_connections(pool) == failed  # those that the pool tried to open meanwhile, if any
        what = "no free connection in the pool" if opened else "no connection could be opened"
        raise Unavailable(f"{what} within {round(seconds, 1):g} s") from error


def _failed_connections(pool: Any) -> int:
    """Return how many connections a pool of psycopg could not open so far."""
    try:
        return int(pool.get_stats().get("connections_errors", 0))
    except Exception:  # it is of another kind
        return 0


def _check_file(name: str) -> None:
    """Raise ``Unavailable`` where the file of a SQLite database is missing or empty: SQLite would create it.

    By ``stat`` alone: to open and close the file here would end the locks that this process holds on it
    (https://www.sqlite.org/howtocorrupt.html, 2.2).
    """
    if name.startswith("file:"):
        uri = urlsplit(name)
        name = ":memory:" if "mode=memory" in uri.query or "vfs=memdb" in uri.query else unquote(uri.path)
    if name in ("", ":memory:"):
        return
    try:
        found = os.stat(name)
    except OSError as error:
        raise Unavailable(f"the database file cannot be found ({type(error).__name__})") from error
    if not stat.S_ISREG(found.st_mode):
        raise Unavailable("the database is no file")
    if not found.st_size:
        raise Unavailable("the database file is empty")
