"""Checks of the databases and caches that Django is configured with: one component for each alias."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from threading import Thread
from types import MappingProxyType
from typing import Any

from django.core.cache import BaseCache
from django.core.cache import caches as cache_handler
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.redis import RedisCache
from django.db import NotSupportedError, ProgrammingError, close_old_connections, connections, reset_queries
from django.db.backends.base.base import BaseDatabaseWrapper

from status.conf import conf
from status.providers.base import Composite, Part, Unavailable, deadline

#: What a backend that does not speak SQL raises when it is asked to.
NO_SQL = (NotImplementedError, NotSupportedError, ProgrammingError, AttributeError)
#: Caches in this process's memory: asking one waits for nothing.
MEMORY_CACHES = ("django.core.cache.backends.locmem.LocMemCache", "django.core.cache.backends.dummy.DummyCache")
#: Seconds after which a cache may forget what a check wrote, should the check not come to delete it.
CACHE_SECONDS = 30
#: Seconds to wait before reading again what is not there yet: replicas lag behind.
REPLICA_PAUSES = (0.02, 0.1)


class AliasCheck(Composite):
    """Answer ``{alias: bool}``, with a reason for each ``false``.

    Entry argument ``aliases`` (a list of names, or one name) chooses; without it every configured alias is asked.

    A run in a worker thread of the engine uses that thread's connections. A direct call and a run with
    ``STATUS_SYNCHRONOUS`` use the caller's; where an event loop runs, Django allows no database work, so they use those
    of a thread that is started for the call.
    """

    arguments = MappingProxyType({"aliases": Iterable})

    #: Django's ``connections`` or ``caches``.
    handler: Any

    def configured(self) -> Iterable[str]:
        """Return the aliases that are asked where the entry names none."""
        return list(self.handler.settings)

    def ask_alias(self, alias: str) -> None:
        """Ask one service. Raises whatever is wrong with it."""
        raise NotImplementedError

    def load(self, aliases: Iterable[str] | str | None = None) -> None:
        for alias in self.aliases(aliases):
            with suppress(Exception):  # it happens again in the run, which reports it
                service = self.handler[alias]
                # psycopg_pool and django-redis' client are imported when these are first read.
                getattr(service, "pool", None), getattr(service, "client", None)
                if isinstance(service, RedisCache):
                    import_module("redis")  # Django imports it with the first question

    def parts(self, aliases: Iterable[str] | str | None = None) -> list[Part]:
        return [self.part(alias) for alias in self.aliases(aliases)]

    def aliases(self, chosen: Iterable[str] | str | None) -> Iterable[str]:
        """Return the aliases to ask, each once. Raises TypeError where ``chosen`` holds no names."""
        if chosen is None:
            return self.configured()
        return [chosen] if isinstance(chosen, str) else dict.fromkeys(chosen)

    def ask(self, name: str) -> bool:
        try:
            if _on_event_loop():
                errors: list[BaseException] = []
                thread = Thread(target=self._ask_and_close, args=(name, errors), daemon=True)
                thread.start()
                thread.join()
                for error in errors:
                    raise error
            else:
                self.ask_alias(name)
        except Unavailable:
            raise
        except BaseException as error:  # a broken backend may raise anything
            raise Unavailable(_class_of(error)) from error
        return True

    def _ask_and_close(self, alias: str, errors: list[BaseException]) -> None:
        try:
            self.ask_alias(alias)
        except BaseException as error:
            errors.append(error)
        finally:
            connections.close_all()


class DatabaseCheck(AliasCheck):
    """Answer ``{alias: bool}``: whether each database answers ``SELECT 1``.

    A connection that was open before the run is closed and asked anew when it fails: it may have gone stale.
    """

    label = "databases"
    handler = connections

    def configured(self) -> Iterable[str]:
        # Django's stand-in for an empty DATABASES is left out: a project without a database has none that fails.
        dummy = "django.db.backends.dummy"
        return [alias for alias, settings in connections.settings.items() if settings["ENGINE"] != dummy]

    def ask_alias(self, alias: str) -> None:
        if alias not in connections.settings:
            raise Unavailable("not configured in DATABASES")
        connection, in_worker = connections[alias], _in_worker()
        was_open = connection.connection is not None
        # To close the connection would undo what the caller has not committed.
        in_transaction = was_open and not in_worker and (connection.in_atomic_block or not connection.autocommit)
        try:
            _select_one(connection)
        except Exception:
            # Those of a pool (``OPTIONS["pool"]``) may have gone stale together.
            pool = getattr(connection, "pool", None) if connection.connection is not None else None
            if in_transaction or not (was_open or pool):
                raise
            with suppress(Exception):  # it is given up in any case
                connection.close()
            with suppress(AttributeError):  # no pool, or one that tests connections before it lends them
                pool.check()  # type: ignore[union-attr]
            _select_one(connection)
        finally:
            if in_worker:
                reset_queries()  # filled in DEBUG, and nobody reads them
            elif not was_open:
                with suppress(Exception):
                    connection.close()
        if in_worker and not connection.autocommit:
            connection.rollback()


def _select_one(connection: BaseDatabaseWrapper) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT 1{connection.features.bare_select_suffix}")
            row = cursor.fetchone()
    except NO_SQL:
        connection.ensure_connection()
        if not connection.is_usable():
            raise
        return
    if row is None or tuple(row) != (1,):
        raise Unavailable("answered something else than 1")


class CacheCheck(AliasCheck):
    """Answer ``{alias: bool}``: whether each cache gives back what is written to it.

    A run writes a value under a key of its own, reads, compares and deletes it. ``DummyCache``, which keeps nothing by
    design, is not a fault. A client that has worked before is replaced and asked anew when it fails: its connection may
    have gone stale.
    """

    label = "caches"
    handler = cache_handler

    def waits(self, alias: str) -> bool:
        return cache_handler.settings.get(alias, {}).get("BACKEND") not in MEMORY_CACHES

    def ask_alias(self, alias: str) -> None:
        if alias not in cache_handler.settings:
            raise Unavailable("not configured in CACHES")
        used_before = cache_handler.all(initialized_only=True)
        cache = cache_handler[alias]
        try:
            if not isinstance(cache, DummyCache):
                _round_trip(cache, REPLICA_PAUSES if self.waits(alias) else ())
        except Exception:
            with suppress(Exception):  # it is given up in any case
                _close_cache(cache)
            del cache_handler[alias]
            if cache not in used_before:
                raise
            if _in_worker() and self.waits(alias):
                close_old_connections()  # a cache in a table uses them
            self.ask_alias(alias)

    def close(self) -> None:
        """Close the caches of this thread."""
        for cache in cache_handler.all(initialized_only=True):
            with suppress(Exception):
                _close_cache(cache)


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
    cache.close()
    if isinstance(cache, RedisCache):
        # Django leaves these connections to the garbage collector, and has no public way to them.
        for pool in cache._cache._pools.values():  # type: ignore[attr-defined]
            pool.disconnect()


def _in_worker() -> bool:
    """Return whether this is a worker thread of the engine, whose connections nobody else uses."""
    return deadline() is not None and not conf.synchronous


def _on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _class_of(error: BaseException) -> str:
    """Return the class of an exception, and of its cause where that says more. Its text may hold credentials."""
    name, cause = type(error).__name__, type(error.__cause__).__name__
    return name if error.__cause__ is None or cause == name else f"{name} ({cause})"


databases = DatabaseCheck()
caches = CacheCheck()
