"""The store: what others write to the shared cache is ignored, and what cannot be kept is an error."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.locmem import LocMemCache
from django.test import override_settings

from status import logs, store
from status.store import MAX_VALUE_CHARACTERS, Store, StoreFailed, encode, key_of
from tests.base_settings import SECRET_KEY
from tests.components import EnteringTestCase

LOCMEM = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "store"}
SHARED = Store("STATUS_STORE", "default")
KEY, OTHER = key_of("test", "one"), key_of("test", "two")


class Forgetful(LocMemCache):
    """Says nothing where it cannot write, as a database cache without the right to."""

    def set(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing."""


class Lagging(LocMemCache):
    """Shows what was written when it is read the second time, as a replica."""

    reads = 0

    def get_many(self, *args: Any, **kwargs: Any) -> Any:
        Lagging.reads += 1
        return super().get_many(*args, **kwargs) if Lagging.reads > 2 else {}


class Unreadable(LocMemCache):
    """Holds something under ``KEY`` that no pickle is."""

    def get(self, key: Any, *args: Any, **kwargs: Any) -> Any:
        if key == KEY:
            raise EOFError
        return super().get(key, *args, **kwargs)

    get_many = BaseCache.get_many


class Racing(LocMemCache):
    """Lets everybody win ``add()``, as a cache in files may."""

    all_added = threading.Barrier(4)

    def add(self, *args: Any, **kwargs: Any) -> bool:
        self.set(*args, **kwargs)
        self.all_added.wait(10)
        return True


class Server(LocMemCache):
    """Tells which clients there are, and does not know those any more that it had before it was restarted."""

    clients: list[Server] = []

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.is_stale = self.is_closed = False
        self.clients.append(self)

    @classmethod
    def restart(cls) -> None:
        for client in cls.clients:
            client.is_stale = True

    def get_many(self, *args: Any, **kwargs: Any) -> Any:
        if self.is_stale or self.is_closed:
            raise ConnectionResetError
        return super().get_many(*args, **kwargs)

    def close(self, **kwargs: Any) -> None:
        self.is_closed = True


def use(backend: str, **settings: Any) -> override_settings:
    return override_settings(CACHES={"default": {**LOCMEM, "BACKEND": f"{__name__}.{backend}"}}, **settings)


@override_settings(CACHES={"default": LOCMEM})
class StoreTests(EnteringTestCase):
    def setUp(self) -> None:
        self.addCleanup(caches["default"].clear)
        self.addCleanup(logs._logged_at.clear)
        logs._logged_at.clear()
        self.enter(mock.patch.object(store, "PAUSES", (0.0, 0.0)))

    def test_what_was_written_is_read(self):
        SHARED.write({KEY: {"at": 1.5}, OTHER: [1, "ä", None]}, 60)
        self.assertEqual(SHARED.read([KEY, OTHER, key_of("test", "three")]), {KEY: {"at": 1.5}, OTHER: [1, "ä", None]})

    def test_a_text_can_be_read_by_people_and_is_signed(self):
        SHARED.keep({KEY: {"at": 1}})
        text, _, signature = caches["default"].get(KEY).rpartition(":")
        self.assertEqual(json.loads(text), {"at": 1})
        self.assertGreater(len(signature), 20)

    def test_garbled_and_forged_values_are_ignored_and_told_once(self):
        with override_settings(SECRET_KEY="another key"):
            forged = encode(KEY, {"at": 1})
        moved = encode(OTHER, {"at": 1})
        too_long = encode(KEY, "x" * MAX_VALUE_CHARACTERS)
        for value in (7, b"[]", "", "{}", '{"at": 1}', forged, moved, too_long, "{}:\udc80", object):
            with self.subTest(value=str(value)[:40]):
                logs._logged_at.clear()
                caches["default"].set(KEY, value)
                caches["default"].set(OTHER, encode(OTHER, 1))
                with self.assertLogs("status", "WARNING") as caught:
                    self.assertEqual(SHARED.read([KEY, OTHER]), {OTHER: 1})
                    SHARED.read([KEY])
                self.assertEqual(len(caught.output), 1)
                self.assertIn('STATUS_STORE "default" holds values that are not from this app', caught.output[0])

    def test_what_the_cache_itself_cannot_read_hides_nothing_else(self):
        with use("Unreadable"), self.assertLogs("status", "WARNING"):
            SHARED.write({OTHER: 1})
            self.assertEqual(SHARED.read([KEY, OTHER, key_of("test", "three")]), {OTHER: 1})

    def test_a_secret_key_that_was_rotated_is_still_known(self):
        SHARED.keep({KEY: 1})
        with override_settings(SECRET_KEY="new" * 20, SECRET_KEY_FALLBACKS=["a", SECRET_KEY]):
            self.assertEqual(SHARED.read([KEY]), {KEY: 1})

    def test_a_cache_that_keeps_nothing_is_an_error(self):
        for backend in ("Forgetful", "Dummy"):
            with self.subTest(backend=backend):
                dummy = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
                override = override_settings(CACHES=dummy) if backend == "Dummy" else use(backend)
                with override, self.assertRaisesMessage(StoreFailed, "does not keep what is written to it"):
                    SHARED.keep({KEY: 1})

    def test_what_another_process_wrote_meanwhile_is_as_good(self):
        SHARED.keep({KEY: 1})
        SHARED.keep({KEY: 1})
        write = LocMemCache.set_many

        def interrupted(cache: Any, *args: Any) -> None:
            write(cache, *args)
            cache.set(KEY, encode(KEY, 3))

        with mock.patch.object(LocMemCache, "set_many", interrupted):
            SHARED.keep({KEY: 2})
        self.assertEqual(SHARED.read([KEY]), {KEY: 3})

    def test_a_replica_that_lags_is_waited_for(self):
        Lagging.reads = 0
        with use("Lagging"):
            SHARED.keep({KEY: 1})

    def test_what_cannot_be_used_is_an_error_without_secrets(self):
        missing = Store("STATUS_STORE", "nowhere")
        for shared, settings, reason in (
            (missing, {}, "InvalidCacheBackendError"),
            (SHARED, {"SECRET_KEY": ""}, "ImproperlyConfigured"),
        ):
            for ask in (
                lambda one: one.read([KEY]),
                lambda one: one.keep({KEY: 1}),
                lambda one: one.write({KEY: 1}),
                lambda one: one.win(KEY, 1),
            ):
                SHARED.keep({KEY: 1})
                with self.subTest(reason=reason), override_settings(**settings):
                    expected = f'STATUS_STORE "{shared.alias}" cannot be used ({reason})'
                    with self.assertRaisesMessage(StoreFailed, expected):
                        ask(shared)

    def test_only_one_wins_a_key_whatever_add_says(self):
        with use("Racing"), ThreadPoolExecutor(4) as pool:
            won = list(pool.map(lambda _: SHARED.win(KEY, 60), range(4)))
        self.assertEqual(sorted(won), [False, False, False, True])
        self.assertFalse(SHARED.win(KEY, 60))

    def test_only_what_is_there_is_renewed(self):
        self.assertFalse(SHARED.renew(KEY, 60))
        SHARED.write({KEY: 1}, 1)
        self.assertTrue(SHARED.renew(KEY, 60))

    def test_a_key_suits_every_cache(self):
        self.assertRegex(key_of("history", "health", "a name with spaces\n" * 50), r"\A[a-z0-9-]{1,100}\Z")
        self.assertNotEqual(key_of("history", "a", "bc"), key_of("history", "ab", "c"))
        self.assertNotEqual(key_of("beat", "a"), key_of("start", "a"))


@use("Server")
class ClientTests(EnteringTestCase):
    """One client is kept for the next use, as long as it may be fit."""

    def setUp(self) -> None:
        for context in (
            mock.patch.object(Server, "clients", []),
            mock.patch.dict(store.kept_clients._values, clear=True),
            mock.patch.object(logs, "_logged_at", {}),
        ):
            self.enter(context)

    def assertClients(self, count: int, opened: int = 1) -> None:
        self.assertEqual(SHARED.read([KEY]), {})
        self.assertEqual(len(Server.clients), count)
        self.assertEqual([client.is_closed for client in Server.clients], [True] * (count - opened) + [False] * opened)

    def test_the_next_use_has_the_same_client_and_not_that_of_the_thread(self):
        self.assertClients(1)
        self.assertClients(1)
        self.assertIsNot(caches["default"], Server.clients[0])

    def test_a_server_that_was_restarted_is_asked_again_by_a_new_client(self):
        self.assertClients(1)
        Server.restart()
        self.assertClients(2)
        self.assertClients(2)

    def test_a_client_that_fails_is_closed(self):
        self.assertClients(1)
        down = mock.patch.object(LocMemCache, "get_many", side_effect=ConnectionRefusedError)
        with down, self.assertRaisesMessage(StoreFailed, "(ConnectionRefusedError)"):
            SHARED.read([KEY])
        self.assertEqual([client.is_closed for client in Server.clients], [True, True])
        self.assertClients(3)

    def test_none_is_kept_for_long(self):
        """Firewalls forget connections that are idle, and what is sent on them vanishes."""
        self.assertClients(1)
        with mock.patch.object(store, "KEPT_SECONDS", 0.0):
            self.assertClients(2)

    def test_other_settings_want_another_client(self):
        self.assertClients(1)
        with use("Server", SECRET_KEY="x"):
            self.assertClients(1)
        with override_settings(CACHES={"default": {**LOCMEM, "BACKEND": f"{__name__}.Server", "TIMEOUT": 7}}):
            self.assertClients(2)
        self.assertClients(3)

    def test_a_fork_has_its_own(self):
        self.assertClients(1)
        with mock.patch("os.getpid", return_value=-1):
            self.assertClients(2, opened=2)

    def test_two_at_once_have_two_and_one_is_kept(self):
        self.assertEqual(SHARED.use(lambda opened: SHARED.read([KEY])), {})
        self.assertEqual(sorted(client.is_closed for client in Server.clients), [False, True])

    def test_under_gevent_none_is_kept(self):
        """Its sockets belong to the thread that opened them."""
        with mock.patch.object(store, "is_patched_by_gevent", lambda module: True):
            self.assertClients(1, opened=0)
            self.assertClients(2, opened=0)
