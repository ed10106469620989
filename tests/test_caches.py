"""``health.caches`` where no server is needed."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
from typing import Any
from unittest import mock

from django.conf import settings
from django.core.cache import caches as cache_handler
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.db import BaseDatabaseCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.management import call_command
from django.db import OperationalError, connections, transaction
from django.test import override_settings

from status.engine import engine
from status.entries import Check
from status.providers.django import caches as caches_module
from status.providers.django import health
from status.report import Result
from tests import services
from tests.components import ComponentsTestCase, eventually, make_database
from tests.processes import ROOT, environment

caches = health.caches
REDIS = "django.core.cache.backends.redis.RedisCache"
NOT_MADE = "its directory cannot be made, or not be written to"
FILES = "django.core.cache.backends.filebased.FileBasedCache"
LOCMEM = "django.core.cache.backends.locmem.LocMemCache"


def backend(name: str, **entry: Any) -> dict[str, Any]:
    """An entry for a backend of this module."""
    return {"BACKEND": f"{__name__}.{name}", "LOCATION": name, **entry}


class Dropping(LocMemCache):
    def set(self, *args: Any, **kwargs: Any) -> None:
        """Nothing, like a client that ignores its errors."""


class Stale(LocMemCache):
    def get(self, *args: Any, **kwargs: Any) -> Any:
        return "what another had written"


class Bytes(LocMemCache):
    def get(self, *args: Any, **kwargs: Any) -> Any:
        return str(super().get(*args, **kwargs)).encode()


class Exiting(LocMemCache):
    def get(self, *args: Any, **kwargs: Any) -> Any:
        raise SystemExit("secret")


class Interrupted(LocMemCache):
    def set(self, *args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt


class Lagging(LocMemCache):
    """A replica that has the value at the third look."""

    looks = 0

    def get(self, *args: Any, **kwargs: Any) -> Any:
        self.looks += 1
        return super().get(*args, **kwargs) if self.looks > 2 else None


class Keeping(BaseCache):
    """Keeps everything, without a limit."""

    kept: dict[str, Any] = {}

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        BaseCache.__init__(self, params)

    def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        return self.kept.get(key)

    def set(self, key: str, value: Any, *args: Any, **kwargs: Any) -> None:
        self.kept[key] = value

    def delete(self, key: str, version: Any = None) -> bool:
        return self.kept.pop(key, None) is not None


class Table(Keeping, BaseDatabaseCache):
    """A cache in a table, on a database connection that has gone stale."""

    stale = False

    def set(self, *args: Any, **kwargs: Any) -> None:
        if type(self).stale:
            raise OperationalError
        super().set(*args, **kwargs)

    @classmethod
    def renew(cls) -> None:
        cls.stale = False


class Lost(Keeping):
    """Its first connection works once; then the server is restarted, and new connections work."""

    made = 0

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.sets = 0

    def set(self, *args: Any, **kwargs: Any) -> None:
        type(self).made += not self.sets  # one that is loaded and not used has no connection
        self.sets += 1
        if self.sets > 1 and type(self).made == 1:
            raise ConnectionError
        super().set(*args, **kwargs)


class Unclosable(LocMemCache):
    def get(self, *args: Any, **kwargs: Any) -> Any:
        raise ConnectionError

    def close(self, **kwargs: Any) -> None:
        raise ConnectionError


class Recording(LocMemCache):
    calls: list[Any] = []

    def set(self, key: str, value: Any, timeout: Any = None, version: Any = None) -> None:
        self.calls.append((key, value, timeout))
        super().set(key, value, timeout, version)


class Hanging(LocMemCache):
    go = threading.Event()

    def set(self, *args: Any, **kwargs: Any) -> None:
        self.go.wait()
        super().set(*args, **kwargs)


class Router:
    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "tables"

    db_for_write = db_for_read

    def allow_migrate(self, *args: Any, **hints: Any) -> bool:
        return True


def refuse(*args: Any) -> str:
    raise ValueError("no such key")


class CachesTests(ComponentsTestCase):
    databases = {"default"}

    def use(self, **aliases: dict[str, Any]) -> None:
        self.enter(override_settings(CACHES={"default": {"BACKEND": LOCMEM, "LOCATION": self.id()}} | aliases))

    def check(self, *aliases: str, **options: Any) -> Check:
        return Check("health", "caches", caches, kwargs={"aliases": list(aliases)} if aliases else {}, options=options)

    def run_check(self, *aliases: str, **options: Any) -> Result:
        return engine.run([self.check(*aliases, **options)])[0]

    def assertFails(self, reason: str, **entry: Any) -> None:
        """The alias fails alone and for that reason, also when it is asked once more."""
        self.use(other=entry)
        for _ in range(2):
            result = self.run_check()
            self.assertEqual(result.answer, {"default": True, "other": False})
            self.assertEqual(result.reasons, {"other": reason})
        self.assertEqual(caches(), {"default": True, "other": False})

    def test_plain_call_answers_every_alias(self) -> None:
        self.use(other={"BACKEND": LOCMEM, "LOCATION": "other"})
        self.assertEqual(caches(), {"default": True, "other": True})

    def test_option_chooses_the_aliases(self) -> None:
        self.use(other={"BACKEND": LOCMEM, "LOCATION": "other"})
        self.assertEqual(caches(aliases=["other"]), {"other": True})

    def test_unknown_alias_is_false_with_a_reason(self) -> None:
        answer = caches.check(["nowhere"])
        self.assertEqual((answer.value, answer.reasons), ({"nowhere": False}, {"nowhere": "not configured in CACHES"}))

    def test_broken_option_is_the_checks_own_failure(self) -> None:
        result = engine.run([Check("health", "caches", caches, kwargs={"aliases": 5})])[0]
        self.assertEqual(
            result.error, "The argument aliases of the entry should be a list of names, or one name, not 5."
        )

    def test_dummy_cache_is_not_a_fault(self) -> None:
        self.use(other={"BACKEND": "django.core.cache.backends.dummy.DummyCache"})
        self.assertEqual(self.run_check().answer, {"default": True, "other": True})

    def test_files_are_written_and_removed(self) -> None:
        self.use(other={"BACKEND": FILES, "LOCATION": self.directory})
        self.assertEqual(self.run_check().answer, {"default": True, "other": True})
        self.assertEqual(list(self.directory.glob("*.djcache")), [])

    def use_table(self) -> dict[str, Any]:
        """An entry for a cache in a table of a SQLite file."""
        # In a file: Django leaves a database in memory open when the thread that used it ends.
        make_database(self.directory / "db.sqlite3")
        file = {"ENGINE": "django.db.backends.sqlite3", "NAME": self.directory / "db.sqlite3"}
        self.enter(services.use_databases(self, tables=file))
        self.enter(override_settings(DATABASE_ROUTERS=[f"{__name__}.Router"]))
        self.addCleanup(lambda: connections["tables"].close())
        return {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache_table"}

    def test_table_that_is_missing_breaks_no_transaction_of_the_caller(self) -> None:
        """PostgreSQL refuses what comes after an error in the same transaction."""
        self.enter(override_settings(STATUS_SYNCHRONOUS=True))
        self.use(table={"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "no_such_table"})
        with transaction.atomic():
            self.assertEqual(self.run_check("table").answer, {"table": False})
            with connections["default"].cursor() as cursor:
                cursor.execute("SELECT 1")

    def test_full_cache_loses_nothing_to_a_run(self) -> None:
        """FAULTS P5: the backends make room by deleting a third of what is there, or all of it."""
        full = {"MAX_ENTRIES": 10}
        memory, files, table = {"BACKEND": LOCMEM}, {"BACKEND": FILES, "LOCATION": self.directory}, self.use_table()
        for entry, count in ((memory, 10), (files, 10), (table, 11)):
            for options in (full, {**full, "CULL_FREQUENCY": 0}):
                with self.subTest(entry=entry, options=options):
                    self.use(full={**entry, "OPTIONS": options})
                    if entry is table:
                        call_command("createcachetable", database="tables", verbosity=0)
                    cache = cache_handler["full"]
                    cache.clear()
                    for number in range(count):
                        cache.set(str(number), number)
                    kept = cache.get_many(map(str, range(count)))
                    self.assertEqual(self.run_check("full").answer, {"full": True})
                    self.assertEqual(caches(["full"]), {"full": True})
                    self.assertEqual(cache.get_many(map(str, range(count))), kept)
                    self.assertEqual(len(kept), count)
                    cache.clear()

    def test_directory_of_a_file_cache_is_not_made(self) -> None:
        """FAULTS P5: root, asked first, would make one that the site may not enter."""
        location = self.directory / "cache" / "files"
        self.use(other={"BACKEND": FILES, "LOCATION": location})
        self.assertEqual(self.run_check("other").answer, {"other": True})
        self.assertEqual(caches(["other"]), {"other": True})
        self.assertFalse(location.parent.exists())
        cache_handler["other"].set("made", "by the site")
        self.assertEqual(self.run_check("other").answer, {"other": True})
        self.assertEqual(cache_handler["other"].get("made"), "by the site")

    def test_settings_that_are_changed_in_place_are_noticed(self) -> None:
        self.use(other={"BACKEND": FILES, "LOCATION": self.directory})
        self.assertEqual(self.run_check().answer, {"default": True, "other": True})
        (self.directory / "file").touch()
        settings.CACHES["other"]["LOCATION"] = self.directory / "file" / "folder"
        settings.CACHES["third"] = {"BACKEND": LOCMEM}
        self.assertEqual(self.run_check().answer, {"default": True, "other": False, "third": True})
        del settings.CACHES["other"]
        self.assertEqual(self.run_check().answer, {"default": True, "third": True})

    def test_any_number_of_aliases_is_answered(self) -> None:
        for number in (0, 10_000):
            with self.subTest(number):
                aliases = [f"alias{each}" for each in range(number)]
                self.use(**{alias: {"BACKEND": LOCMEM} for alias in aliases})
                result = engine.run([Check("health", "caches", caches, kwargs={"aliases": aliases})])[0]
                self.assertIsNone(result.error)
                self.assertEqual(result.state, "pass")
                if not number:
                    self.assertEqual(result.answer, {})

    def test_aliases_that_look_alike_are_told_apart(self) -> None:
        names = ["caf\u00e9", "cafe\u0301", "Cache", "cache"]
        self.use(**{name: {"BACKEND": LOCMEM} for name in names[:-1]}, cache=backend("Dropping"))
        result = self.run_check(*names)
        self.assertEqual(result.answer, dict(zip(names, (True, True, True, False), strict=True)))
        self.assertEqual(list(result.reasons), ["cache"])

    def test_nothing_stays_in_the_cache(self) -> None:
        self.use()
        for _ in range(5):
            self.run_check()
        self.assertEqual(len(cache_handler["default"]._cache), 0)

    def test_cache_that_drops_what_is_written_fails(self) -> None:
        self.assertFails("did not keep what was written to it", **backend("Dropping"))

    def test_cache_that_answers_another_value_fails(self) -> None:
        for name in ("Stale", "Bytes"):
            with self.subTest(name):
                self.assertFails("answered something else than was written to it", **backend(name))

    def test_key_function_that_raises_fails(self) -> None:
        self.assertFails("ValueError", BACKEND=LOCMEM, KEY_FUNCTION=refuse)

    def test_key_that_the_backend_refuses_fails(self) -> None:
        self.assertFails(
            "InvalidCacheKey",
            BACKEND="django.core.cache.backends.memcached.PyMemcacheCache",
            LOCATION="127.0.0.1:1",
            KEY_PREFIX="with a space",
        )

    def test_backend_that_cannot_be_imported_fails_alone(self) -> None:
        self.assertFails("InvalidCacheBackendError (ModuleNotFoundError)", BACKEND="secret.path.Cache")

    def test_refused_redis_fails(self) -> None:
        services.require_module("redis", "pip install redis")
        location = f"redis://127.0.0.1:{services.refused_port()}/0"
        self.assertFails("ConnectionError", BACKEND=REDIS, LOCATION=location)

    def test_backend_that_exits_the_process_is_contained(self) -> None:
        self.assertFails("SystemExit", **backend("Exiting"))

    def test_what_interrupts_the_caller_is_meant_for_him(self) -> None:
        self.enter(override_settings(STATUS_SYNCHRONOUS=True))
        self.use(default=backend("Interrupted"))
        with self.assertRaises(KeyboardInterrupt):
            self.run_check()

    def test_missing_table_fails(self) -> None:
        self.assertFails("OperationalError", **{**self.use_table(), "LOCATION": "no_such_table"})

    def test_directory_that_cannot_be_made_fails(self) -> None:
        (self.directory / "file").touch()
        location = str(self.directory / "file" / "folder")
        self.assertFails(NOT_MADE, BACKEND=FILES, LOCATION=location)

    def test_backend_that_cannot_be_closed_fails_for_its_first_reason(self) -> None:
        self.assertFails("ConnectionError", **backend("Unclosable"))

    def test_replica_that_lags_behind_is_read_again(self) -> None:
        self.use(other=backend("Lagging"))
        self.assertEqual(self.run_check("other").answer, {"other": True})

    def test_connection_that_broke_while_it_was_kept_is_renewed(self) -> None:
        self.enter(mock.patch.object(Lost, "made", 0))
        self.use(other=backend("Lost"))
        for _ in range(4):
            self.assertEqual(self.run_check("other").answer, {"other": True})
        self.assertEqual(Lost.made, 2)

    def test_each_run_has_a_key_of_its_own_and_a_short_life(self) -> None:
        self.enter(mock.patch.object(Recording, "calls", []))
        self.use(other=backend("Recording"))
        for _ in range(3):
            self.run_check("other")
        self.assertEqual(len({key for key, _, _ in Recording.calls}), 3)
        self.assertTrue(all(0 < timeout <= 60 for _, _, timeout in Recording.calls))

    def test_memory_is_asked_in_the_thread_of_the_caller(self) -> None:
        threads: list[threading.Thread] = []

        def make_key(key: str, *args: Any) -> str:
            threads.append(threading.current_thread())
            return key

        self.use(default={"BACKEND": LOCMEM, "KEY_FUNCTION": make_key})
        entry = self.check()
        entry.load()
        self.assertFalse(entry.may_block())
        self.assertEqual(engine.run([entry])[0].answer, {"default": True})
        self.assertEqual(set(threads), {threading.current_thread()})

    def test_subclass_of_the_memory_cache_may_wait(self) -> None:
        self.use(other=backend("Recording"))
        self.run_check("other")
        self.assertTrue(self.check("other").may_block())

    def test_changed_settings_are_noticed_at_once(self) -> None:
        self.use()
        self.assertEqual(self.run_check().answer, {"default": True})
        with override_settings(CACHES={"default": backend("Dropping")}):
            self.assertEqual(self.run_check().answer, {"default": False})

    def test_hanging_alias_is_false_in_time_and_hides_no_other(self) -> None:
        self.use(hung=backend("Hanging"), memory={"BACKEND": LOCMEM})
        self.addCleanup(Hanging.go.clear)
        self.addCleanup(self.release)
        result = self.run_check(timeout=0.3)
        self.assertEqual(result.answer, {"default": True, "hung": False, "memory": True})
        self.assertRegex(result.reasons["hung"], r"^timed out after 0\.3 s$")
        self.assertLess(result.duration, 0.55)
        before = time.monotonic()
        self.assertEqual(self.run_check(timeout=0.3).answer, result.answer)
        self.assertLess(time.monotonic() - before, 0.15)

    def release(self) -> None:
        Hanging.go.set()
        self.assertTrue(eventually(lambda: self.run_check("hung").answer == {"hung": True}))

    def test_cache_in_a_table_is_asked_again_on_a_new_connection(self) -> None:
        """The database connection of the worker thread may have gone stale, which is no fault of the cache."""
        self.use(table=backend("Table"))
        self.enter(mock.patch.object(Table, "stale", True))
        with mock.patch.object(caches_module, "close_old_connections", side_effect=Table.renew) as close:
            self.assertEqual(self.run_check("table").answer, {"table": True})
        close.assert_called_once_with()

    def test_connections_of_the_caller_stay_open_whatever_happens_to_a_cache(self) -> None:
        """A direct call is a guest in the thread of a request."""
        self.use(table=backend("Table"))
        self.enter(mock.patch.object(Table, "stale", True))
        with mock.patch.object(caches_module, "close_old_connections", side_effect=Table.renew) as close:
            self.assertEqual(caches(["table"]), {"table": False})
        close.assert_not_called()

    def test_plain_call_works_on_an_event_loop(self) -> None:
        self.use()

        async def call() -> Any:
            return caches()

        self.assertEqual(asyncio.run(call()), {"default": True})

    def test_redis_connections_are_closed_without_the_garbage_collector(self) -> None:
        """Django and redis-py leave them to it: this fails when ``RedisCache`` keeps its pools elsewhere."""
        with services.redis(private=True) as redis:
            self.use(other={"BACKEND": REDIS, "LOCATION": redis.url})
            client = redis.client()
            self.addCleanup(client.close)
            self.addCleanup(gc.enable)
            gc.disable()
            for end in (engine.close, lambda: client.config_set("maxmemory", "1")):
                for _ in range(3):
                    self.run_check("other")
                self.assertEqual(len(client.client_list()), 2)
                end()
            self.assertEqual(self.run_check("other").reasons, {"other": "OutOfMemoryError"})
            self.assertTrue(eventually(lambda: len(client.client_list()) == 1))

    def test_client_libraries_are_imported_before_the_first_run(self) -> None:
        services.require_module("redis", "pip install redis")
        code = (
            "import sys; from django.conf import settings\n"
            f"settings.configure(CACHES={{'default': {{'BACKEND': {REDIS!r}, 'LOCATION': 'redis://127.0.0.1:1'}}}})\n"
            "import django; django.setup()\n"
            "from status.entries import Check; from status.engine import engine\n"
            "check = Check('health', 'caches', 'status.providers.django.health.caches')\n"
            "check.load(); before = set(sys.modules)\n"
            "assert engine.run([check])[0].answer == {'default': False}\n"
            "sys.exit(str(late) if (late := [m for m in set(sys.modules) - before if 'redis' in m]) else 0)\n"
        )
        done = subprocess.run([sys.executable, "-c", code], env=environment(), cwd=ROOT, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
