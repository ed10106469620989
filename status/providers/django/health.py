"""Checks of the services that Django itself is configured with: databases and caches."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterable
from time import monotonic
from typing import Any

from django.core.cache import BaseCache
from django.core.cache import caches as cache_handler
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.db import NotSupportedError, ProgrammingError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from status.providers.base import Unavailable
from status.providers.django.components import Components, in_own_thread
from status.providers.django.kept import Kept, Link, close_database, copy_of

#: Seconds for which an open SQLite database is asked without opening its file anew.
SQLITE_SECONDS = 1.0
#: What a backend that does not speak SQL raises when it is asked to.
NO_SQL = (NotImplementedError, NotSupportedError, ProgrammingError, AttributeError)
#: Seconds after which a cache may forget what a check wrote, should the check not come to delete it.
CACHE_SECONDS = 30
#: Seconds to wait before reading again what is not there yet: replicas lag behind.
REPLICA_PAUSES = (0.02, 0.1)


class Databases(Components):
    """``{alias: bool}``: whether each database answers ``SELECT 1``, on a connection of our own.

    Django's rules (``CONN_MAX_AGE``) decide whether the connection stays open for the next run. One that has gone stale
    meanwhile is renewed, not reported. An SQLite database has no server to burden and stays open in any case: for
    ``SQLITE_SECONDS`` it is asked in the caller's own thread, which then waits for nothing; after that, its file is
    opened anew in a thread of ours.
    """

    label = "databases"

    def __init__(self) -> None:
        super().__init__()
        self._kept: Kept[BaseDatabaseWrapper] = Kept(_close_database)

    def configured(self) -> Iterable[str]:
        for alias, settings in connections.settings.items():
            # Django's stand-in for an empty DATABASES: a project without a database has none that fails.
            if settings["ENGINE"] != "django.db.backends.dummy":
                yield alias

    def waits(self, alias: str) -> bool:
        link = self._kept.peek(alias, connections.settings.get(alias))
        return link is None or link.connection.vendor != "sqlite" or monotonic() - link.opened >= SQLITE_SECONDS

    def ask_alias(self, alias: str) -> None:
        in_place = not self.waits(alias)
        settings = connections.settings.get(alias)
        if settings is None:
            raise Unavailable("not configured in DATABASES")
        link = self._kept.take(alias, settings)
        if link is not None and not _renewed(link.connection, in_place):
            _close_database(link.connection)
            link = None
        retries = None if link is None else 1
        while True:
            if link is None:
                link = Link(connections.create_connection(alias), copy_of(settings))
                link.connection.inc_thread_sharing()
            try:
                _select_one(link.connection)
                break
            except Exception:
                if retries is None:
                    retries = _pooled(link.connection)
                _close_database(link.connection)
                if not retries:
                    raise
                retries -= 1
                link = None
        if _stays_open(link.connection):
            self._kept.give(alias, link)

    def close(self) -> None:
        self._kept.close()


def _renewed(connection: BaseDatabaseWrapper, in_place: bool) -> bool:
    """Whether a kept connection can be asked again, as Django decides it when a request begins."""
    if connection.vendor == "sqlite":
        return in_place
    connection.close_if_unusable_or_obsolete()
    connection.health_check_done = True  # type: ignore[attr-defined]  # we are about to make one
    return connection.connection is not None


def _stays_open(connection: BaseDatabaseWrapper) -> bool:
    """Whether a connection may be kept, as Django decides it when a request ends."""
    if connection.vendor == "sqlite":
        return True
    connection.close_if_unusable_or_obsolete()
    return connection.connection is not None


def _pooled(connection: BaseDatabaseWrapper) -> int:
    """How many more connections of ``OPTIONS["pool"]`` may have gone stale together with this one."""
    if connection.connection is None:
        return 0
    return int(getattr(getattr(connection, "pool", None), "max_size", 0))


def _select_one(connection: BaseDatabaseWrapper) -> None:
    try:
        row = _first_row(connection, f"SELECT 1{connection.features.bare_select_suffix}")
    except NO_SQL:
        connection.ensure_connection()
        if not connection.is_usable():
            raise
        return
    if not connection.autocommit:
        connection.rollback()
    if row is None or tuple(row) != (1,):
        raise Unavailable("answered something else than 1")


def _first_row(connection: BaseDatabaseWrapper, sql: str) -> Any:
    if connection.connection is not None and type(connection).__module__ == "django.db.backends.sqlite3.base":
        # Django's cursor would cost seven times as much as the query, and has nothing to translate here.
        return connection.connection.execute(sql).fetchone()
    with connection.cursor() as cursor:
        cursor.execute(sql)
        row = cursor.fetchone()
    connection.queries_log.clear()  # it is filled in DEBUG, and nobody reads it
    return row


def _close_database(connection: BaseDatabaseWrapper) -> None:
    with contextlib.suppress(Exception):  # it is given up in any case
        close_database(connection)


class Caches(Components):
    """``{alias: bool}``: whether each cache gives back what is written to it.

    Writes a value of its own under a unique key, reads, compares and deletes it. ``DummyCache``, which keeps nothing by
    design, is not a fault.
    """

    label = "caches"

    def __init__(self) -> None:
        super().__init__()
        self._kept: Kept[BaseCache] = Kept(_close_cache)

    def configured(self) -> Iterable[str]:
        return cache_handler.settings

    def waits(self, alias: str) -> bool:
        link = self._kept.peek(alias, cache_handler.settings.get(alias))
        return link is None or type(link.connection) not in (LocMemCache, DummyCache)

    def ask_alias(self, alias: str) -> None:
        in_place = not self.waits(alias)
        settings = cache_handler.settings.get(alias)
        if settings is None:
            raise Unavailable("not configured in CACHES")
        kept = self._kept.take(alias, settings)
        link = kept or Link(cache_handler.create_connection(alias), copy_of(settings))
        try:
            if not isinstance(link.connection, DummyCache):
                _round_trip(link.connection, () if in_place else REPLICA_PAUSES)
        except Exception:
            _close_cache(link.connection)
            if kept is None:
                raise
            if in_own_thread() and not in_place:
                connections.close_all()  # a cache in a table uses them
            self.ask_alias(alias)  # the connection had perhaps gone stale
        else:
            self._kept.give(alias, link)

    def close(self) -> None:
        self._kept.close()


def _round_trip(cache: BaseCache, pauses: Iterable[float]) -> None:
    token = uuid.uuid4().hex
    key = f"django-status-{token}"
    cache.set(key, token, CACHE_SECONDS)
    value = cache.get(key)
    for pause in pauses:
        if value is not None:
            break
        time.sleep(pause)
        value = cache.get(key)
    cache.delete(key)
    if value is None:
        raise Unavailable("did not keep what was written to it")
    if value != token:
        raise Unavailable("answered something else than was written to it")


def _close_cache(cache: BaseCache) -> None:
    with contextlib.suppress(Exception):  # it is given up in any case
        cache.close()
        # Django's Redis backend leaves its connections to the garbage collector.
        for pool in getattr(getattr(cache, "_cache", None), "_pools", {}).values():
            pool.disconnect()


databases = Databases()
caches = Caches()
