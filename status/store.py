"""The one door to the cache that all processes share (``STATUS_STORE``).

What lies there is JSON text, signed with ``SECRET_KEY`` for the key that it is kept under. Anything else is ignored, as
others may write there too. But Django's caches unpickle what they read before this module sees it: who can write to the
cache can run code in every process that reads it.

All methods wait for the cache, which may hang: callers have a thread that nobody waits for longer than they want to.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple
from uuid import uuid4

from django.core.cache import BaseCache, caches
from django.core.cache.backends.redis import RedisCache
from django.core.signing import BadSignature, Signer

from status.conf import conf
from status.exceptions import StatusError
from status.logs import log_once
from status.serialization import JSON

#: Characters of a value. Longer ones are not read.
MAX_VALUE_CHARACTERS = 100_000
#: Values that are read at a time: databases limit how many a query may name.
CHUNK = 500
#: Seconds to wait before what was written is read again: replicas lag behind.
PAUSES = (0.0, 0.05, 0.2)
#: Seconds after which it shows who was first.
SETTLING = 0.1
#: Seconds that a process may take for a change of a value, and after which it shows that it alone has the lock. That is
#: short, as all processes change the same value one after the other.
LOCK_SECONDS, LOCK_SETTLING = 10.0, 0.01
#: What a cache raises that finds something else than it has written itself; connections raise other errors.
GARBLED = (
    pickle.UnpicklingError,
    zlib.error,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    TypeError,
    ValueError,
)


class StoreFailed(StatusError):
    """The store cannot be used. The text names the setting and a class of exceptions, and is safe to show."""


class Store(NamedTuple):
    """A Django cache that is shared by all processes.

    setting, alias: the setting that names it, and the name.
    """

    setting: str
    alias: str

    @classmethod
    def configured(cls) -> Store | None:
        """Return the store that ``STATUS_STORE`` names."""
        return None if conf.store is None else cls("STATUS_STORE", conf.store)

    def read(self, keys: Iterable[str]) -> dict[str, JSON]:
        """Return the values that there are, by their keys. Raises ``StoreFailed``."""
        with self.open() as opened:
            return self.decoded(opened.texts(keys))

    def write(self, values: Mapping[str, JSON], seconds: float | None = None) -> None:
        """Write the values, for so many seconds or without a limit. Raises ``StoreFailed``.

        Some caches say nothing where they cannot write.
        """
        with self.open() as opened:
            opened.write(values, seconds)

    def decoded(self, texts: Mapping[str, Any]) -> dict[str, JSON]:
        """Return the values in texts of the store, by their keys. What is not of this app is logged, and left out."""
        values: dict[str, JSON] = {}
        with self._failures():
            for key, text in texts.items():
                try:
                    values[key] = decode(key, text)
                except BadSignature as error:
                    what = f'{self.setting} "{self.alias}" holds values that are not from this app and SECRET_KEY'
                    log_once(f"{what}; they are ignored.", error)
        return values

    def keep(self, values: Mapping[str, JSON]) -> None:
        """Write the values without a limit in time, and look whether they are there. Raises ``StoreFailed`` if not.

        What somebody else has written meanwhile is as good.
        """
        with self._cache() as cache:
            texts = {key: encode(key, value) for key, value in values.items()}
            before = _get_many(cache, list(texts))
            cache.set_many(texts, None)
            for pause in PAUSES:
                time.sleep(pause)
                after = _get_many(cache, list(texts))
                if all(after.get(key) not in (None, before.get(key)) for key in texts) or after == texts:
                    return
        raise StoreFailed(f'{self.setting} "{self.alias}" does not keep what is written to it')

    @contextmanager
    def open(self) -> Iterator[OpenStore]:
        """Give the store for several reads and writes with one client. The block raises ``StoreFailed``."""
        with self._cache() as cache:
            yield OpenStore(cache)

    def renew(self, key: str, seconds: float) -> bool:
        """Keep what is there for so many seconds from now. Return whether something is. Raises ``StoreFailed``."""
        with self._cache() as cache:
            return cache.touch(key, seconds)

    def win(self, key: str, seconds: float) -> bool:
        """Return whether this caller is the first in so many seconds who wants to win this key. Takes a moment.

        Not every cache has an ``add()`` that only one of two can win, so all look a moment later whose value is there.
        Raises ``StoreFailed`` where there is none.
        """
        mine = uuid4().hex
        with self._cache() as cache:
            added = cache.add(key, encode(key, mine), seconds)
            time.sleep(SETTLING if added else 0)
        found = self.read([key])
        if key not in found:
            raise StoreFailed(f'{self.setting} "{self.alias}" does not keep what is written to it')
        return found[key] == mine

    @contextmanager
    def _cache(self) -> Iterator[BaseCache]:
        with self._failures():
            cache = caches[self.alias]
            try:
                yield cache
            finally:
                # The next call makes a new client: this one may be stale by then, or think that a server is still down.
                with suppress(Exception):  # the client library raises
                    close_cache(cache)
                with suppress(AttributeError):  # the settings have changed meanwhile
                    del caches[self.alias]

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Raise ``StoreFailed`` for whatever is raised, which may hold a password."""
        try:
            yield
        except StoreFailed:
            raise
        except Exception as error:  # of any client library
            raise StoreFailed(f'{self.setting} "{self.alias}" cannot be used ({type(error).__name__})') from error


class OpenStore(NamedTuple):
    """A store whose client is there for the moment, in this thread. It logs nothing, and raises what that does."""

    cache: BaseCache

    def texts(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return what there is, by the keys, in as many questions as there are ``CHUNK`` of them."""
        wanted, found = list(keys), dict[str, Any]()
        for start in range(0, len(wanted), CHUNK):
            found |= _get_many(self.cache, wanted[start : start + CHUNK])
        return found

    def read(self, keys: Iterable[str]) -> dict[str, JSON]:
        """Return the values that there are, by their keys. What is not of this app is left out."""
        values: dict[str, JSON] = {}
        for key, text in self.texts(keys).items():
            with suppress(BadSignature):
                values[key] = decode(key, text)
        return values

    def write(self, values: Mapping[str, JSON], seconds: float | None = None) -> None:
        """Write the values, for so many seconds or without a limit."""
        texts = {key: encode(key, value) for key, value in values.items()}
        if len(texts) == 1:  # one command, where Django's Redis cache sends five for many
            self.cache.set(*texts.popitem(), seconds)
        else:
            self.cache.set_many(texts, seconds)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete the values, where they are there."""
        self.cache.delete_many(list(keys))

    def change(self, key: str, change: Callable[[JSON], JSON]) -> bool:
        """Replace a value by what ``change`` makes of it, and keep that without a limit in time.

        Return False where another process is about to do so; nothing is changed then.

        change: gets None where there is no value of this app.
        """
        lock, mine, began = key_of("lock", key), uuid4().hex, time.monotonic()
        if not self.cache.add(lock, mine, LOCK_SECONDS):
            return False
        time.sleep(LOCK_SETTLING)
        if self.cache.get(lock) != mine:  # not every cache has an ``add()`` that only one of two can win
            return False
        value = change(self.read([key]).get(key))
        # A process that was stopped meanwhile may have lost its lock.
        if time.monotonic() - began > LOCK_SECONDS / 2:
            return False
        self.write({key: value})
        self.cache.delete(lock)
        return True


def close_cache(cache: BaseCache) -> None:
    """Close a cache with its connections. Raises what its client library does."""
    cache.close()
    if isinstance(cache, RedisCache):
        # Django leaves these connections to the garbage collector, and has no public way to them.
        for pool in cache._cache._pools.values():  # type: ignore[attr-defined]
            pool.disconnect()


def key_of(kind: str, *names: str) -> str:
    """Return a key that every cache accepts, whatever the names are."""
    digest = hashlib.sha256("\0".join(names).encode("utf-8", "replace")).hexdigest()[:32]
    return f"status-{kind}-1-{digest}"


def encode(key: str, value: JSON) -> str:
    """Return the text that is kept under ``key``. Raises ``ImproperlyConfigured`` without a ``SECRET_KEY``."""
    return _signer(key).sign(json.dumps(value, separators=(",", ":")))


def decode(key: str, text: object) -> JSON:
    """Return the value in a text from the cache. Raises ``BadSignature`` for what ``encode`` has not written."""
    if not isinstance(text, str) or len(text) > MAX_VALUE_CHARACTERS:
        raise BadSignature("not a text within the limit")
    value: JSON = json.loads(_signer(key).unsign(text))
    return value


def _signer(key: str) -> Signer:
    return Signer(salt=f"status.store.{key}")


def _get_many(cache: BaseCache, keys: list[str]) -> dict[str, Any]:
    """Return what the cache holds. What it cannot read itself hides nothing else."""
    try:
        return cache.get_many(keys)
    except GARBLED:
        found: dict[str, Any] = {}
    for key in keys:
        try:
            value = cache.get(key)
        except GARBLED as error:
            value = error
        if value is not None:
            found[key] = value
    return found
