"""What the tests of databases and caches share."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import psutil
from django.core.cache.backends.locmem import LocMemCache
from django.core.management import call_command
from django.db import connections
from django.db.backends.sqlite3 import base as sqlite
from django.test import SimpleTestCase

from status.engine import engine
from status.entries import Check
from status.providers.django import health
from status.providers.django.aliases import AliasCheck
from status.report import Result
from tests import services
from tests.processes import environment


def check(*aliases: str, provider: Any = health.databases, **options: Any) -> Check:
    return Check("health", "databases", provider, kwargs={"aliases": list(aliases)} if aliases else {}, options=options)


def run(entry: Check) -> Result:
    return engine.run([entry])[0]


def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Whether the condition holds within the seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def run_script(code: str, store: Path, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, in which Django is set up and this directory is the store."""
    cache = {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": str(store)}
    settings = {"CACHES": {"default": cache}, "STATUS_STORE": "default", "INSTALLED_APPS": ["status"], **settings}
    start = f"""
        import django, os, sys
        from django.conf import settings
        settings.configure(SECRET_KEY="x" * 50, **{settings!r})
        django.setup()
    """
    # Newer Pythons warn of a fork beside threads.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(start) + textwrap.dedent(code)]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=30, check=False)


def make_database(path: Path) -> None:
    """Make a SQLite file with one table, unless it is there."""
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE IF NOT EXISTS one (id)")


@contextlib.contextmanager
def backend(**attributes: Any) -> Iterator[str]:
    """The ENGINE of a backend that is SQLite's but for these attributes of its wrapper."""
    wrapper = type("DatabaseWrapper", (sqlite.DatabaseWrapper,), {**attributes, "__module__": "peculiar.base"})
    modules = {"peculiar": types.ModuleType("peculiar"), "peculiar.base": types.ModuleType("peculiar.base")}
    modules["peculiar.base"].DatabaseWrapper = wrapper  # type: ignore[attr-defined]
    with mock.patch.dict(sys.modules, modules):
        yield "peculiar"


class EnteringTestCase(SimpleTestCase):
    def enter(self, context: Any) -> Any:
        """``enterContext``, which Python 3.10 has not."""
        value = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return value


class ComponentsTestCase(EnteringTestCase):
    """Leaves no thread, no connection and no line in the log of the test run behind."""

    def setUp(self) -> None:
        self.enter(mock.patch.object(logging.getLogger("status"), "propagate", False))
        self.enter(mock.patch.object(logging.getLogger("status"), "handlers", [logging.NullHandler()]))
        self.directory = services.directory()
        self.addCleanup(health.caches.close)
        self.addCleanup(engine.close)


class AliasTestCase(ComponentsTestCase):
    """A check by alias that remembers nothing of other tests.

    kind: its class.
    """

    kind: type[AliasCheck]

    def setUp(self) -> None:
        super().setUp()
        self.provider = self.kind()

    def check(self, timeout: float = 5.0, **kwargs: Any) -> Check:
        return Check("health", self.kind.label, self.provider, kwargs=kwargs, options={"timeout": timeout})

    def assertFails(self, reason: str, **kwargs: Any) -> None:
        result = run(self.check(**kwargs))
        self.assertEqual((result.answer, result.reasons), ({"default": False}, {"default": reason}))


class DatabasesTestCase(ComponentsTestCase):
    databases = {"default"}

    def use(self, **aliases: dict[str, Any]) -> None:
        self.enter(services.use_databases(self, **aliases))
        self.addCleanup(self.join)  # while the aliases are known, as threads close the connections of those

    def use_table_as_store(self) -> Any:
        """Use a table of a PostgreSQL server of the test's own with ``use_store`` of its class; return the server."""
        server = self.enter(services.postgres(private=True))
        self.use(default=server.settings())
        self.addCleanup(connections["default"].close)
        self.use_store("db.DatabaseCache", "store")
        call_command("createcachetable", verbosity=0)
        connections["default"].close()
        return server

    def join(self) -> None:
        """Wait for the threads of the engine to end."""
        engine.close()

    def file(self, name: str = "db.sqlite3", **entry: Any) -> dict[str, Any]:
        """An entry for a SQLite file, made where its directory is there."""
        if (self.directory / name).parent.is_dir():
            make_database(self.directory / name)
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": self.directory / name, **entry}

    def peculiar(self, **attributes: Any) -> dict[str, Any]:
        """An entry for a backend of its own, see ``backend``."""
        return self.file(ENGINE=self.enter(backend(**attributes)))

    def open_files(self) -> list[str]:
        return [file.path for file in psutil.Process().open_files() if file.path.startswith(str(self.directory))]


class FaultTestCase(DatabasesTestCase):
    #: The check whose threads a fault holds up.
    label: str

    def join(self) -> None:
        """Wait for the threads that the fault has held up; the kernel tries to connect again after 1, 3 and 7 s."""
        self.assertTrue(eventually(lambda: engine.close() or not self.threads(), 20.0))

    def threads(self) -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name.startswith(f"status-{self.label}")]


class Held(LocMemCache):
    """A store that answers when it is let go."""

    free = threading.Event()

    def get_many(self, *args: Any, **kwargs: Any) -> Any:
        Held.free.wait(30)
        return super().get_many(*args, **kwargs)


class Dead(LocMemCache):
    """A store that cannot be reached, which is told with a password."""

    def get_many(self, *args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("shop:hunter2@db.internal refused")

    add = get_many
