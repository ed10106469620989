"""The check of the caches that Django is configured with."""

from __future__ import annotations

import re
import sys
import time
import uuid
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from importlib import import_module
from typing import Any

from django.core.cache import BaseCache, CacheHandler, InvalidCacheBackendError
from django.core.cache import caches as cache_handler
from django.core.cache.backends.db import BaseDatabaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.memcached import BaseMemcachedCache
from django.core.cache.backends.redis import RedisCache
from django.db import close_old_connections
from django.utils.module_loading import import_string

from status.providers.base import Unavailable
from status.providers.django.aliases import (
    CLASSIC_ARGUMENTS,
    CLASSIC_KINDS,
    AliasCheck,
    class_of,
    in_worker,
    is_made,
    savepoints,
)
from status.store import close_cache

#: Caches in this process's memory: asking one waits for nothing.
MEMORY_CACHES = ("django.core.cache.backends.locmem.LocMemCache", "django.core.cache.backends.dummy.DummyCache")
#: Caches that make room for what is written to them by deleting what others have written.
CULLING_CACHES = (LocMemCache, FileBasedCache, BaseDatabaseCache)
#: Seconds after which a cache may forget what a check wrote, should the check not come to delete it.
CACHE_SECONDS = 30
#: Seconds to wait before reading again what is not there yet: replicas lag behind.
REPLICA_PAUSES = (0.02, 0.1)


class CacheCheck(AliasCheck):
    """Answer ``{alias: bool}``: whether each cache gives back what is written to it.

    A run writes a value under a key of its own, reads, compares and deletes it. It evicts nothing from a full cache in
    memory, in files or in a table. ``DummyCache``, which keeps nothing by design, is not a fault, nor is a file cache
    whose directory is still to be made, which a run does not do.

    Of several Memcached servers or Redis replicas each is asked, by a client of its own: the key or chance would choose
    one. One that is down makes the cache false.

    A client that has worked before is replaced and asked anew when it fails: its connection may have gone stale.
    """

    label = "caches"
    handler = cache_handler
    setting = "CACHES"
    may_be_none = True
    arguments = CLASSIC_ARGUMENTS
    kinds = CLASSIC_KINDS

    def waits(self, alias: str) -> bool:
        return cache_handler.settings.get(alias, {}).get("BACKEND") not in MEMORY_CACHES

    def import_backend(self, alias: str) -> None:
        backend = _backend_of(alias)
        if not issubclass(backend, FileBasedCache):  # it would make its directory
            getattr(cache_handler[alias], "client", None)  # django-redis' client is imported when it is first read
        if issubclass(backend, RedisCache):
            import_module("redis")  # Django imports it with the first question

    def ask_alias(self, alias: str, **options: Any) -> Any:
        backend, entry = _backend_of(alias), cache_handler.settings[alias]
        is_file = issubclass(backend, FileBasedCache)
        if issubclass(backend, DummyCache) or (is_file and not is_made(entry.get("LOCATION", ""))):
            return None
        pauses = REPLICA_PAUSES if self.waits(alias) else ()
        if issubclass(backend, CULLING_CACHES):
            is_table = issubclass(backend, BaseDatabaseCache)
            cache = CacheHandler({alias: {**entry, "max_entries": sys.maxsize}}).create_connection(alias)
            try:
                with savepoints() if is_table else nullcontext():
                    _round_trip(cache, pauses)
            except Exception:
                if not is_table or not in_worker():
                    raise
                close_old_connections()  # that of the table may have gone stale
                _round_trip(cache, pauses)
        elif servers := _entries_of_servers(backend, entry):
            for number, server in enumerate(servers, 1):
                cache = CacheHandler({alias: server}).create_connection(alias)
                try:
                    _round_trip(cache, pauses)
                except Exception as error:
                    reason = str(error) if isinstance(error, Unavailable) else class_of(error)
                    raise Unavailable(f"server {number} of {len(servers)}: {reason}") from error
                finally:
                    close_cache(cache)
        else:
            self._ask_kept(alias, pauses)
        return None

    def _ask_kept(self, alias: str, pauses: Iterable[float]) -> None:
        """Ask the client that this thread keeps, and where that fails a new one."""
        used_before = cache_handler.all(initialized_only=True)
        cache = cache_handler[alias]
        try:
            _round_trip(cache, pauses)
        except Exception:
            with suppress(Exception):  # it is given up in any case
                close_cache(cache)
            del cache_handler[alias]
            if cache not in used_before:
                raise
            self._ask_kept(alias, pauses)

    def close(self) -> None:
        """Close the caches of this thread."""
        for cache in cache_handler.all(initialized_only=True):
            with suppress(Exception):
                close_cache(cache)


def _backend_of(alias: str) -> type[BaseCache]:
    try:
        return import_string(cache_handler.settings[alias]["BACKEND"])  # type: ignore[no-any-return]
    except ImportError as error:
        raise InvalidCacheBackendError from error


def _entries_of_servers(backend: type[BaseCache], entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Return an entry for each of several Memcached servers, or for each of several Redis replicas with its primary."""
    location = entry.get("LOCATION", "")
    servers = re.split("[;,]", location) if isinstance(location, str) else list(location)
    groups: list[list[str]] = []
    if issubclass(backend, BaseMemcachedCache):
        groups = [[server] for server in servers]
    elif issubclass(backend, RedisCache):
        groups = [[servers[0], replica] for replica in servers[1:]]
    return [{**entry, "LOCATION": group} for group in groups] if len(groups) > 1 else []


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
