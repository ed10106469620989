"""The one door to the cache that all processes share (``STATUS_STORE``).

What lies there is JSON text, signed with ``SECRET_KEY`` for the key that it is kept under. Anything else is ignored, as
others may write there too. But Django's caches unpickle what they read before this module sees it: who can write to the
cache can run code in every process that reads it.

All methods wait for the cache, which may hang: callers have a thread that nobody waits for longer than they want to.
"""

from __future__ import annotations

import atexit
import hashlib
import hmac
import json
import pickle
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, TypeVar
from uuid import uuid4

from django.conf import settings
from django.core.cache import BaseCache, CacheHandler
from django.core.cache.backends.redis import RedisCache
from django.utils.encoding import force_bytes

from status.conf import conf
from status.exceptions import StatusError
from status.logs import log_once
from status.serialization import JSON
from status.threads import PerProcess, is_patched_by_gevent

T = TypeVar("T")

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
#: Clients that a process keeps for their next use, and for how many seconds after they were made.
MAX_KEPT, KEPT_SECONDS = 1, 30.0
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

    def __str__(self) -> str:
        """Return how messages call it, which anyone may see: the URL of a cache may stand there by mistake."""
        # Late, as in ``serialization``.
        from status.redaction import redact

        return f'{self.setting} "{redact(self.alias)}"'

    @classmethod
    def configured(cls) -> Store | None:
        """Return the store that ``STATUS_STORE`` names."""
        return None if conf.store is None else cls("STATUS_STORE", conf.store)

    def use(self, do: Callable[[OpenStore], T]) -> T:
        """Return what ``do`` answers, called with the open store. Raises ``StoreFailed``.

        Where the client fails that was kept from the last use, ``do`` is called again with a new one: the server may
        have been restarted since, or the old client think that it is still down.
        """
        with self._failures():
            if (client := _kept_client(self.alias)) is not None:
                with suppress(Exception):  # the new client tells what is wrong
                    return client.call(do)
            return Client.new(self.alias).call(do)

    def read(self, keys: Iterable[str]) -> dict[str, JSON]:
        """Return the values that there are, by their keys. Raises ``StoreFailed``."""
        wanted = list(keys)
        return self.decoded(self.use(lambda opened: opened.texts(wanted)))

    def write(self, values: Mapping[str, JSON], seconds: float | None = None) -> None:
        """Write the values, for so many seconds or without a limit. Raises ``StoreFailed``.

        Some caches say nothing where they cannot write.
        """
        self.use(lambda opened: opened.write(values, seconds))

    def decoded(self, texts: Mapping[str, Any]) -> dict[str, JSON]:
        """Return the values in texts of the store, by their keys. What is not of this app is logged, and left out."""
        with self._failures():
            values = decode_all(texts)
        if len(values) < len(texts):
            what = f"{self} holds values that are not from this app and SECRET_KEY"
            log_once(f"{what}; they are ignored.")
        return values

    def keep(self, values: Mapping[str, JSON], is_old: Callable[[JSON, JSON], bool] = lambda *_: False) -> None:
        """Write the values without a limit in time, and look whether they are there. Raises ``StoreFailed`` if not.

        What somebody else has written meanwhile is as good.

        is_old: returns whether a value is older than the one that is there, and so is not written.
        """

        def keep(opened: OpenStore) -> None:
            if not opened.keep(values, is_old):  # raised here, lest a client be kept that takes the server for down
                raise StoreFailed(f"{self} does not keep what is written to it")

        self.use(keep)

    def renew(self, key: str, seconds: float) -> bool:
        """Keep what is there for so many seconds from now. Return whether something is. Raises ``StoreFailed``."""
        return self.use(lambda opened: opened.cache.touch(key, seconds))

    def win(self, key: str, seconds: float) -> bool:
        """Return whether this caller is the first in so many seconds who wants to win this key. Takes a moment.

        Not every cache has an ``add()`` that only one of two can win, so all look a moment later whose value is there.
        Raises ``StoreFailed`` where there is none.
        """
        mine = uuid4().hex
        added = self.use(lambda opened: opened.cache.add(key, encode(key, mine), seconds))
        time.sleep(SETTLING if added else 0)
        found = self.read([key])
        if key not in found:
            raise StoreFailed(f"{self} does not keep what is written to it")
        return found[key] == mine

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Raise ``StoreFailed`` for whatever is raised, which may hold a password."""
        try:
            yield
        except StoreFailed:
            raise
        except Exception as error:  # of any client library
            raise StoreFailed(f"{self} cannot be used ({type(error).__name__})") from error


class Client(NamedTuple):
    """A client of a cache, which nobody else uses meanwhile, in whatever thread.

    alias, settings: of the cache that it was made for.
    made: when that was (monotonic).
    """

    alias: str
    settings: Mapping[str, Any]
    cache: BaseCache
    made: float

    @classmethod
    def new(cls, alias: str) -> Client:
        """Make a client. Raises ``InvalidCacheBackendError``, and what the module of the cache does."""
        handler = CacheHandler()  # Django's own gives the thread's client, which the project may be using
        cache = handler[alias]
        return cls(alias, dict(handler.settings[alias]), cache, time.monotonic())

    def call(self, do: Callable[[OpenStore], T]) -> T:
        """Return what ``do`` answers, and keep the client. One that fails is closed, as its connection may be stale."""
        try:
            answer = do(OpenStore(self.cache))
        except BaseException:
            self.close()
            raise
        if is_patched_by_gevent("socket"):  # its sockets belong to the thread that opened them
            self.close()
            return answer
        clients = kept_clients.get()
        clients.append(self)
        with suppress(IndexError):  # another thread has taken it
            while len(clients) > MAX_KEPT:
                clients.popleft().close()
        return answer

    def close(self) -> None:
        with suppress(Exception):  # the client library raises
            close_cache(self.cache)


def _no_clients() -> deque[Client]:
    atexit.register(close_kept_clients)
    return deque()


#: The clients of a process that wait for their next use, the newest at the end.
kept_clients = PerProcess(_no_clients)


def close_kept_clients() -> None:
    """Close the connections that this process keeps for later: it ends."""
    clients = kept_clients.get()
    with suppress(IndexError):
        while True:
            clients.popleft().close()


def _kept_client(alias: str) -> Client | None:
    """Return the client that was used last; None where there is none, or an old one.

    Firewalls forget idle connections, and the server may have moved.
    """
    try:
        client = kept_clients.get().pop()
    except IndexError:
        return None
    fresh = time.monotonic() - client.made < KEPT_SECONDS
    if fresh and client.alias == alias and client.settings == CacheHandler().settings.get(alias):
        return client
    client.close()
    return None


class OpenStore(NamedTuple):
    """A store with a client that is there for the moment. It logs nothing, and raises what that does."""

    cache: BaseCache

    def texts(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return what there is, by the keys, in as many questions as there are ``CHUNK`` of them."""
        wanted, found = list(keys), dict[str, Any]()
        for start in range(0, len(wanted), CHUNK):
            found |= _get_many(self.cache, wanted[start : start + CHUNK])
        return found

    def read(self, keys: Iterable[str]) -> dict[str, JSON]:
        """Return the values that there are, by their keys. What is not of this app is left out."""
        return decode_all(self.texts(keys))

    def write(self, values: Mapping[str, JSON], seconds: float | None = None) -> None:
        """Write the values, for so many seconds or without a limit."""
        texts = {key: encode(key, value) for key, value in values.items()}
        if len(texts) == 1:  # one command, where Django's Redis cache sends five for many
            self.cache.set(*texts.popitem(), seconds)
        else:
            self.cache.set_many(texts, seconds)

    def keep(self, values: Mapping[str, JSON], is_old: Callable[[JSON, JSON], bool]) -> bool:
        """Write the values without a limit in time. Return whether they, or others than before, are there then."""
        before = self.texts(values)
        found = decode_all(before)
        new = {key: value for key, value in values.items() if not is_old(value, found.get(key))}
        texts = {key: encode(key, value) for key, value in new.items()}
        self.cache.set_many(texts, None)
        for pause in PAUSES:
            time.sleep(pause)
            after = self.texts(texts)
            if all(after.get(key) not in (None, before.get(key)) for key in texts) or after == texts:
                return True
        return False

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
    content = json.dumps(value, separators=(",", ":"))
    return f"{content}:{_signature(key, content, _signing_keys()[0])}"


def decode_all(texts: Mapping[str, Any]) -> dict[str, JSON]:
    """Return the values in texts from the cache, by their keys. What ``encode`` has not written is left out."""
    values: dict[str, JSON] = {}
    signing_keys = _signing_keys()
    for key, text in texts.items():
        if not isinstance(text, str) or len(text) > MAX_VALUE_CHARACTERS or not text.isascii():
            continue
        content, _, signature = text.rpartition(":")
        if any(hmac.compare_digest(signature, _signature(key, content, one)) for one in signing_keys):
            values[key] = json.loads(content)
    return values


def _signing_keys() -> list[bytes]:
    """Return the key that signs, and those that did so before ``SECRET_KEY`` was replaced.

    They are made of it, so that what is signed here means nothing to other users of ``SECRET_KEY``.
    """
    secrets = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return [hashlib.sha256(b"status.store" + force_bytes(secret)).digest() for secret in secrets]


def _signature(key: str, content: str, signing_key: bytes) -> str:
    """Return the signature of what is kept under ``key``, a line of its own. Django's takes five times as long."""
    return hmac.digest(signing_key, f"{key}\n{content}".encode(), "sha256").hex()


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
