"""``health.databases`` and ``stats.databases`` where no server is needed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from unittest import mock

from asgiref.sync import async_to_sync
from django.apps import apps as django_apps
from django.db import NotSupportedError, connection, connections, transaction
from django.db.backends.sqlite3 import base as sqlite
from django.db.utils import OperationalError
from django.test import TransactionTestCase, override_settings

from status.engine import engine
from status.engine.execution import SingleFlight
from status.entries import Check
from status.logs import FailureLog
from status.providers.django import health, stats
from status.report import Result
from tests.components import DatabasesTestCase, check, eventually, make_database, run
from tests.processes import ROOT, environment

databases = health.databases
MISSING = "the database file cannot be found (FileNotFoundError)"


#: Options that have held secrets somewhere, and allowed ones that hold one by mistake.
PLACES = (
    *("password", "passwd", "pwd", "user", "passfile", "service", "sslkey", "sslpassword", "dsn", "init_command"),
    *("options", "read_default_file", "connection_string", "extra_params", "credentials", "canary4711"),
    *("sslmode", "connect_timeout", "pool", "isolation_level", "charset", "transaction_mode", "client_encoding"),
)


class DatabasesTests(DatabasesTestCase):
    def test_plain_call_answers_every_alias(self) -> None:
        self.use(other=self.file())
        self.assertEqual(databases(), {"default": True, "other": True})

    def test_plain_call_leaves_no_file_open(self) -> None:
        self.use(other=self.file())
        databases()
        self.assertEqual(self.open_files(), [])

    def test_plain_call_works_on_an_event_loop(self) -> None:
        self.use(other=self.file())

        async def call() -> Any:
            return databases(["other"])

        self.assertEqual(asyncio.run(call()), {"other": True})
        self.assertEqual(self.open_files(), [])
        os.rename(self.directory / "db.sqlite3", self.directory / "moved")
        (self.directory / "db.sqlite3").mkdir()
        self.assertEqual(asyncio.run(call()), {"other": False})

    def test_synchronous_run_works_on_an_event_loop(self) -> None:
        self.use(other=self.file())
        with override_settings(STATUS_SYNCHRONOUS=True):
            (result,) = async_to_sync(engine.arun)([check("other")])
        self.assertEqual(result.answer, {"other": True})
        self.assertEqual(self.open_files(), [])

    def test_synchronous_run_leaves_no_file_open_and_starts_no_thread(self) -> None:
        self.use(other=self.file())
        before = threading.active_count()
        with override_settings(STATUS_SYNCHRONOUS=True):
            self.assertEqual(run(check("other")).answer, {"other": True})
        self.assertEqual((self.open_files(), threading.active_count()), ([], before))

    def test_option_chooses_the_aliases(self) -> None:
        self.use(other=self.file())
        self.assertEqual(databases(aliases=["other"]), {"other": True})
        self.assertEqual(databases("other"), {"other": True})
        self.assertEqual(databases([]), {})

    def test_unknown_alias_is_false_with_a_reason(self) -> None:
        answer = databases.check(["nowhere"])
        self.assertEqual(answer.value, {"nowhere": False})
        self.assertEqual(answer.reasons, {"nowhere": "not configured in DATABASES"})

    def test_database_that_cannot_be_opened_is_false_and_hides_no_other(self) -> None:
        self.use(other=self.file("missing/db.sqlite3"))
        result = run(check())
        self.assertEqual(result.answer, {"default": True, "other": False})
        self.assertEqual(result.reasons, {"other": MISSING})
        self.assertIsNone(result.error)

    def test_backend_that_cannot_be_imported_fails_alone_and_its_text_stays_in(self) -> None:
        self.use(other=self.file(ENGINE="secret.backend"))
        result = run(check())
        self.assertEqual(result.answer, {"default": True, "other": False})
        self.assertEqual(result.reasons, {"other": "ImproperlyConfigured (ModuleNotFoundError)"})

    @mock.patch.object(FailureLog, "every", 0)
    def test_failure_is_logged_once_and_again_after_a_recovery(self) -> None:
        self.use(noisy=self.file("folder/db.sqlite3"))
        moved = self.directory / "moved"
        moved.mkdir()
        make_database(moved / "db.sqlite3")
        entry = check("noisy")
        with self.assertLogs("status", "DEBUG") as logs:
            for _ in range(2):
                run(entry)
            os.rename(moved, self.directory / "folder")
            self.assertEqual(run(entry).answer, {"noisy": True})
            os.rename(self.directory / "folder", moved)
            run(entry)
        lines = [line.splitlines()[0] for line in logs.output if "databases/noisy" in line]
        self.assertEqual(lines, [f"DEBUG:status:databases/noisy failed: {MISSING}"] * 2)

    def test_connection_stays_open_between_runs_as_django_decides_and_ends_with_its_thread(self) -> None:
        """Under Django's test runner, none is kept: it would keep a test database from being destroyed (FAULTS E8)."""
        for max_age, testing, files in ((0, False, 0), (None, False, 1), (None, True, 0)):
            with self.subTest(max_age), mock.patch("status.threads.is_testing", lambda: testing):  # noqa: B023
                self.use(other=self.file(CONN_MAX_AGE=max_age))
                for _ in range(3):
                    self.assertEqual(run(check("other")).answer, {"other": True})
                    self.assertEqual(len(self.open_files()), files)
                engine.close()
                self.assertEqual(self.open_files(), [])

    def test_file_that_was_moved_away_is_noticed(self) -> None:
        (self.directory / "folder").mkdir()
        self.use(other=self.file("folder/db.sqlite3"))
        self.assertEqual(run(check("other")).answer, {"other": True})
        os.rename(self.directory / "folder", self.directory / "moved")
        self.assertEqual(run(check("other")).answer, {"other": False})

    def test_each_question_is_asked_in_a_thread_of_the_engines(self) -> None:
        threads: list[threading.Thread] = []

        def get_new_connection(self: Any, params: Any) -> Any:
            threads.append(threading.current_thread())
            return sqlite.DatabaseWrapper.get_new_connection(self, params)

        self.use(other=self.peculiar(get_new_connection=get_new_connection))
        for _ in range(3):
            self.assertTrue(check("other").may_block())
            run(check("other"))
        self.assertEqual(len(set(threads)), 1)
        self.assertNotIn(threading.current_thread(), threads)

    def test_connection_that_broke_while_it_was_open_is_renewed(self) -> None:
        opened: list[Any] = []

        def get_new_connection(self: Any, params: Any) -> Any:
            opened.append(sqlite.DatabaseWrapper.get_new_connection(self, {**params, "check_same_thread": False}))
            return opened[-1]

        self.use(other={**self.peculiar(get_new_connection=get_new_connection), "CONN_MAX_AGE": None})
        for _ in range(3):
            self.assertEqual(run(check("other")).answer, {"other": True})
            self.assertEqual(databases(["other"]), {"other": True})
            connections["other"].ensure_connection()
            for each in opened:
                each.close()
        connections["other"].close()

    def test_connection_of_the_caller_stays_as_it_is(self) -> None:
        self.use(other=self.file(CONN_MAX_AGE=None))
        connections["other"].ensure_connection()
        own = connections["other"].connection
        self.assertEqual(databases(["other"]), {"other": True})
        with override_settings(STATUS_SYNCHRONOUS=True):
            self.assertEqual(run(check("other")).answer, {"other": True})
        self.assertIs(connections["other"].connection, own)
        connections["other"].close()

    def test_work_of_the_caller_that_is_not_committed_stays_when_the_question_fails(self) -> None:
        for autocommit in (True, False):
            with self.subTest(autocommit):
                self.use(other={**self.peculiar(), "AUTOCOMMIT": autocommit})
                other = connections["other"]
                other.ensure_connection()
                with transaction.atomic("other") if autocommit else contextlib.nullcontext():
                    own = other.connection
                    with mock.patch.object(other, "cursor", side_effect=OperationalError) as cursor:
                        self.assertEqual(databases(["other"]), {"other": False})
                    cursor.assert_called_once_with()
                    self.assertIs(other.connection, own)
                other.close()

    def test_broken_connections_of_a_pool_are_weeded_out_and_the_question_asked_once_more(self) -> None:
        healthy = threading.Event()
        pool = mock.Mock(**{"check.side_effect": healthy.set})

        def cursor(self: Any) -> Any:
            self.ensure_connection()
            if not healthy.is_set():
                raise OperationalError
            return sqlite.DatabaseWrapper.cursor(self)

        self.use(other=self.peculiar(pool=pool, cursor=cursor))
        self.assertEqual(run(check("other")).answer, {"other": True})
        pool.check.assert_called_once_with()

    def test_backend_is_imported_before_the_first_run(self) -> None:
        entry = Check("health", "databases", "status.providers.django.health.databases", kwargs={"aliases": ["other"]})
        self.use(other=self.file())
        with mock.patch.object(connections, "create_connection") as create:
            entry.load()
        create.assert_called_once_with("other")

    def test_wrong_answer_is_false(self) -> None:
        for row in [(2,), (1, 1), (None,), ("1",), None]:
            with self.subTest(row=row):
                cursor = mock.MagicMock(**{"__enter__.return_value.fetchone.return_value": row})
                self.use(other=self.peculiar(cursor=lambda self, cursor=cursor: cursor))
                answer = databases.check(["other"])
                self.assertEqual(answer.value, {"other": False})
                self.assertEqual(answer.reasons, {"other": "answered something else than 1"})

    def test_query_follows_the_dialect_of_the_backend(self) -> None:
        asked: list[str] = []

        class Features(sqlite.DatabaseFeatures):
            bare_select_suffix = " FROM dual"

        def get_new_connection(self: Any, params: Any) -> Any:
            connection = sqlite.DatabaseWrapper.get_new_connection(self, params)
            connection.execute("CREATE TEMP TABLE dual AS SELECT 'X'")
            connection.set_trace_callback(asked.append)
            return connection

        self.use(other=self.peculiar(vendor="dual", features_class=Features, get_new_connection=get_new_connection))
        self.assertEqual(databases(["other"]), {"other": True})
        self.assertIn("SELECT 1 FROM dual", asked)

    def test_backend_without_sql_is_asked_whether_it_is_usable(self) -> None:
        def cursor(self: Any) -> Any:
            raise NotSupportedError

        for usable in (True, False):
            with self.subTest(usable=usable):
                self.use(other=self.peculiar(cursor=cursor, is_usable=lambda self, usable=usable: usable))
                self.assertEqual(databases(["other"]), {"other": usable})

    def test_database_error_is_not_excused_by_a_backend_that_calls_itself_usable(self) -> None:
        def cursor(self: Any) -> Any:
            raise OperationalError("secret")

        self.use(other=self.peculiar(cursor=cursor))
        self.assertEqual(databases.check(["other"]).reasons, {"other": "OperationalError"})

    def test_backend_that_exits_the_process_is_contained(self) -> None:
        self.use(other=self.peculiar(get_new_connection=lambda self, params: sys.exit(3)))
        self.assertEqual(run(check("other")).reasons, {"other": "SystemExit"})

    def test_manual_commit_leaves_no_transaction_open(self) -> None:
        rolled_back = threading.Event()
        self.use(other={**self.peculiar(_rollback=lambda self: rolled_back.set()), "AUTOCOMMIT": False})
        self.assertEqual(run(check("other")).answer, {"other": True})
        self.assertTrue(rolled_back.is_set())

    @override_settings(DEBUG=True)
    def test_query_log_of_a_debug_site_does_not_grow(self) -> None:
        wrappers: list[Any] = []

        def get_new_connection(self: Any, params: Any) -> Any:
            wrappers.append(self)
            return sqlite.DatabaseWrapper.get_new_connection(self, params)

        self.use(other=self.peculiar(get_new_connection=get_new_connection))
        for _ in range(3):
            self.assertEqual(run(check("other")).answer, {"other": True})
        self.assertEqual([len(wrapper.queries_log) for wrapper in wrappers], [0] * 3)


class FileTests(DatabasesTestCase):
    """FAULTS P1: a SQLite file is read, and where there is none it is not made."""

    def spellings(self, path: Path) -> list[Any]:
        """The ways to name a file in DATABASES."""
        return [
            path,
            str(path),
            os.path.relpath(path),
            f"file:{path}",
            f"file://{path}?mode=rwc",
            f"file:{path}?cache=shared",
        ]

    def named(self, name: Any) -> None:
        """Use the file of that name, in a new thread."""
        engine.close()
        self.use(other={"ENGINE": "django.db.backends.sqlite3", "NAME": name})

    def assertBroken(self, reason: str, path: Path) -> None:
        before = {file: file.stat().st_size for file in self.directory.rglob("*")}
        for name in self.spellings(path):
            with self.subTest(name=name):
                self.named(name)
                for answer in (run(check("other")), databases.check(["other"])):
                    self.assertEqual(dict(answer.reasons), {"other": reason})
                self.assertEqual({file: file.stat().st_size for file in self.directory.rglob("*")}, before)

    def test_missing_file_is_false_and_is_not_made(self) -> None:
        self.assertBroken(MISSING, self.directory / "a file.sqlite3")

    def test_what_is_no_database_is_false(self) -> None:
        """An LFS pointer, garbage, a database that was cut off, one that was emptied, a directory."""
        make_database(self.directory / "whole")
        whole = (self.directory / "whole").read_bytes()
        damaged = "the file is no SQLite database, or a damaged one"
        for name, content, reason in (
            ("pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", damaged),
            ("garbage", os.urandom(8192), damaged),
            ("half", whole[: len(whole) // 2], damaged),
            ("header", whole[:50], damaged),
            ("empty", b"", "the database file is empty"),
        ):
            (self.directory / name).write_bytes(content)
            self.assertBroken(reason, self.directory / name)
        (self.directory / "directory").mkdir()
        self.assertBroken("the database is no file", self.directory / "directory")

    def test_file_that_may_not_be_read_is_false(self) -> None:
        path, directory = self.directory / "db.sqlite3", self.directory / "closed"
        make_database(path)
        directory.mkdir()
        make_database(directory / "db.sqlite3")
        self.directory.chmod(0o755)
        path.chmod(0)
        directory.chmod(0)
        self.addCleanup(directory.chmod, 0o755)
        if os.geteuid() == 0:
            os.seteuid(65534)
            self.addCleanup(os.seteuid, 0)
        for name, reason in (
            (path, "OperationalError"),
            (directory / "db.sqlite3", "the database file cannot be found (PermissionError)"),
        ):
            self.named(name)
            self.assertEqual(run(check("other")).reasons, {"other": reason})

    def test_file_that_is_damaged_while_a_connection_is_open_is_false_until_it_is_mended(self) -> None:
        self.enter(mock.patch("status.threads.is_testing", lambda: False))
        path = self.directory / "db.sqlite3"
        self.use(other=self.file(CONN_MAX_AGE=None))
        content = path.read_bytes()
        for break_it in (path.unlink, lambda: os.truncate(path, 0), lambda: os.truncate(path, 1000)):
            self.assertEqual(run(check("other")).answer, {"other": True})
            break_it()
            self.assertEqual(run(check("other")).answer, {"other": False})
            path.write_bytes(content)
        self.assertEqual(run(check("other")).answer, {"other": True})

    def test_locked_file_is_false_after_the_deadline_and_true_when_it_is_free(self) -> None:
        self.use(other=self.file())
        with contextlib.closing(sqlite3.connect(self.directory / "db.sqlite3", isolation_level=None)) as holder:
            holder.execute("BEGIN EXCLUSIVE")
            self.assertEqual(run(check("other", timeout=0.3)).reasons, {"other": "timed out after 0.3 s"})
        self.assertTrue(eventually(lambda: run(check("other", timeout=0.3)).answer == {"other": True}))

    def test_lock_of_this_process_outlives_a_run(self) -> None:
        """POSIX ends all locks of a process on a file when it closes the file once."""
        self.use(other=self.file())
        path = self.directory / "db.sqlite3"
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            self.assertEqual(databases(["other"]), {"other": True})
            code = f"import sqlite3; sqlite3.connect({str(path)!r}, timeout=0).execute('BEGIN IMMEDIATE')"
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        self.assertIn("database is locked", done.stderr)

    def test_database_in_memory_is_healthy(self) -> None:
        for name in (":memory:", "file::memory:", "file:p1?mode=memory&cache=shared", "file:/p1?vfs=memdb"):
            with self.subTest(name):
                self.named(name)
                self.assertEqual(run(check("other")).answer, {"other": True})
                self.assertEqual(databases(["other"]), {"other": True})
                sqlite.BaseDatabaseWrapper.close(connections["other"])


class MissingTests(DatabasesTestCase):
    """FAULTS P2: DATABASES names no database where the project needs one."""

    REASON = "no ENGINE in DATABASES"

    def test_database_without_an_engine_is_false_where_models_are_kept_in_it(self) -> None:
        for entry in ({}, {"ENGINE": "", "CONN_MAX_AGE": 60}):
            self.use(default=entry, other={})
            result = run(check())
            self.assertEqual(result.answer, {"default": False, "other": False})
            self.assertEqual(result.reasons, {"default": self.REASON, "other": self.REASON})
            self.assertIs(stats.databases(["default"])["default"]["is_usable"], False)

    def test_default_that_routers_leave_empty_is_not_asked(self) -> None:
        self.use(default={}, other=self.file())
        with override_settings(DATABASE_ROUTERS=[f"{__name__}.Elsewhere"]):
            self.assertEqual(run(check()).answer, {"other": True})

    def test_model_that_has_no_table_needs_no_database(self) -> None:
        self.use(default={})
        model = mock.Mock(**{"_meta.managed": False})
        with mock.patch.object(django_apps, "get_models", return_value=[model]):
            self.assertEqual(run(check()).answer, {})

    def ask(self, *apps: str, **configured: Any) -> tuple[Any, str]:
        """What a project answers, and what ``check`` prints there."""
        code = (
            "import django, sys\n"
            "from django.conf import settings\n"
            f"settings.configure(INSTALLED_APPS={['status', *apps]!r}, **{configured!r})\n"
            "django.setup()\n"
            "from django.core.management import call_command\n"
            "call_command('check', stderr=sys.stderr, stdout=sys.stderr)\n"
            "call_command('status', 'health/databases', format='json')\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment(), cwd=ROOT, capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout), done.stderr

    def test_check_warns(self) -> None:
        answer, printed = self.ask("django.contrib.contenttypes", DATABASES={"default": {}})
        self.assertEqual(answer, {"default": False})
        self.assertIn('(status.W014) DATABASES["default"] should name an ENGINE', printed)

    def test_project_without_models_or_databases_stays_quiet(self) -> None:
        for apps, configured in (
            ((), {"DATABASES": {"default": {}}}),
            ((), {"DATABASES": {}}),
            (("django.contrib.contenttypes",), {}),
        ):
            with self.subTest(apps=apps, configured=configured):
                answer, printed = self.ask(*apps, **configured)
                self.assertEqual(answer, {})
                self.assertNotIn("W014", printed)


class Elsewhere:
    """Keeps every model in ``other``."""

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "other"


class NoSqlTests(DatabasesTestCase):
    """FAULTS P3: MongoDB's backend has a cursor that is None, and does not implement ``is_usable``."""

    def assertAnswers(self, expected: bool, **attributes: Any) -> None:
        features = type("Features", (sqlite.DatabaseFeatures,), {"minimum_database_version": None})
        no_cursor = mock.MagicMock(**{"__enter__.return_value": None, "__exit__.return_value": None})
        mongo = {"vendor": "mongodb", "features_class": features, "cursor": lambda self: no_cursor}
        mongo["is_usable"] = sqlite.BaseDatabaseWrapper.is_usable
        engine.close()
        self.use(other=self.peculiar(**mongo, **attributes))
        self.assertEqual(run(check("other")).answer, {"other": expected})

    def test_connection_is_proof_where_nothing_else_is_implemented(self) -> None:
        def fail(self: Any, params: Any) -> Any:
            raise OperationalError

        unknown = sqlite.BaseDatabaseWrapper.get_database_version
        self.assertAnswers(True, get_database_version=unknown)
        self.assertAnswers(False, get_database_version=unknown, get_new_connection=fail)

    def test_client_that_connects_late_is_asked_for_the_version_of_its_server(self) -> None:
        def fail(self: Any) -> Any:
            raise OperationalError

        self.assertAnswers(True, get_database_version=lambda self: (7, 0))
        self.assertAnswers(False, get_database_version=fail)


class TransactionTests(TransactionTestCase):
    def test_open_transaction_of_the_caller_is_untouched(self) -> None:
        with transaction.atomic():
            own, blocks = connection.connection, list(connection.atomic_blocks)
            with contextlib.suppress(ZeroDivisionError), transaction.atomic():
                savepoints = list(connection.savepoint_ids)
                self.assertEqual(databases(), {"default": True})
                self.assertEqual(stats.databases()["default"]["in_atomic_block"], False)
                self.assertEqual(connection.savepoint_ids, savepoints)
                raise ZeroDivisionError
            self.assertTrue(connection.in_atomic_block)
            self.assertFalse(connection.needs_rollback)
            self.assertIs(connection.connection, own)
            self.assertEqual(connection.atomic_blocks, blocks)


class HangingTests(DatabasesTestCase):
    """One alias hangs until ``self.go`` is set; ``default`` does not."""

    def setUp(self) -> None:
        super().setUp()
        self.go = threading.Event()
        self.calls = 0

        def get_new_connection(wrapper: Any, params: Any) -> Any:
            self.calls += 1
            self.go.wait()
            return sqlite.DatabaseWrapper.get_new_connection(wrapper, params)

        self.use(hung=self.peculiar(get_new_connection=get_new_connection))
        self.addCleanup(self.join)
        self.addCleanup(self.go.set)
        self.entry = check(timeout=0.4)

    def threads(self) -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "status-databases-hung"]

    def join(self) -> None:
        self.go.set()
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            engine.close()
            for thread in self.threads():
                thread.join(0.01)
            if not self.threads():
                return
        self.fail("threads left")

    def test_hanging_alias_is_false_in_time_and_hides_no_other(self) -> None:
        result = run(self.entry)
        self.assertEqual(result.answer, {"default": True, "hung": False})
        self.assertRegex(result.reasons["hung"], r"^timed out after 0\.4 s$")
        self.assertIsNone(result.error)
        self.assertLess(result.duration, 0.4 + 0.25)

    def test_single_hanging_alias_is_false_too(self) -> None:
        result = run(check("hung", timeout=0.2))
        self.assertEqual((result.answer, result.error), ({"hung": False}, None))

    def test_next_callers_are_told_at_once_and_start_nothing(self) -> None:
        run(self.entry)
        for _ in range(20):
            before = time.monotonic()
            result = run(self.entry)
            self.assertLess(time.monotonic() - before, 0.35)  # and not the deadline once more
        self.assertEqual(result.answer, {"default": True, "hung": False})
        self.assertRegex(result.reasons["hung"], "^timed out after .* s, still running since ")
        self.assertEqual((len(self.threads()), self.calls), (1, 1))
        self.assertTrue(self.threads()[0].daemon, "the interpreter would wait for it")

    def test_recovery_shows_at_the_next_question(self) -> None:
        run(self.entry)
        self.go.set()
        self.assertTrue(eventually(lambda: run(self.entry).answer == {"default": True, "hung": True}))
        self.assertEqual(len(self.threads()), 1)

    def test_question_that_is_never_answered_is_replaced_up_to_a_limit(self) -> None:
        with mock.patch.object(SingleFlight, "replace_after", 0):
            for _ in range(6):
                run(check("hung", timeout=0.05))
        self.assertEqual((len(self.threads()), self.calls), (SingleFlight.limit,) * 2)
        self.go.set()
        self.assertTrue(eventually(lambda: len(self.threads()) == 1))
        self.assertEqual(run(check("hung")).answer, {"hung": True})

    def test_health_and_stats_share_one_question(self) -> None:
        facts = Check("stats", "databases", stats.databases, kwargs={"aliases": ["hung"]}, options={"timeout": 0.3})
        health_result, stats_result = engine.run([check("hung", timeout=0.3), facts])
        self.assertEqual(health_result.answer, {"hung": False})
        self.assertIs(stats_result.answer["hung"]["is_usable"], False)  # type: ignore[index, call-overload]
        self.assertEqual(self.calls, 1)

    def test_exhausted_threads_are_a_reason(self) -> None:
        entry = check("hung")
        entry.load()
        with mock.patch.object(threading.Thread, "start", side_effect=RuntimeError):
            self.assertEqual(run(entry).reasons, {"hung": "no thread could be started to run it"})
        self.go.set()
        self.assertEqual(run(check("hung")).answer, {"hung": True})


class StatsTests(DatabasesTestCase):
    def facts(self, entry: Check | None = None) -> Result:
        return run(entry or Check("stats", "databases", stats.databases, kwargs={"aliases": ["other"]}))

    def test_shape_is_the_promised_one(self) -> None:
        self.use(other=self.file(CONN_MAX_AGE=60))
        self.assertEqual(
            stats.databases(["other"]),
            {
                "other": {
                    "vendor": "sqlite",
                    "is_usable": True,
                    "allow_thread_sharing": False,
                    "autocommit": True,
                    "commit_on_exit": True,
                    "in_atomic_block": False,
                    "settings": {
                        "ENGINE": "django.db.backends.sqlite3",
                        "NAME": str(self.directory / "db.sqlite3"),
                        "HOST": "",
                        "PORT": "",
                        "ATOMIC_REQUESTS": False,
                        "AUTOCOMMIT": True,
                        "CONN_MAX_AGE": 60,
                        "CONN_HEALTH_CHECKS": False,
                        "TIME_ZONE": None,
                        "OPTIONS": {},
                    },
                }
            },
        )

    def test_strangers_see_the_switches_only(self) -> None:
        self.use(other=self.file(HOST="db.internal", PORT=5432, OPTIONS={"timeout": 5}))
        public = self.facts().public_answer["other"]  # type: ignore[index, call-overload]
        self.assertEqual(set(public["settings"]), set(stats.PUBLIC_SETTINGS))
        self.assertEqual(public["vendor"], "sqlite")
        self.assertIs(public["is_usable"], True)

    def test_database_that_is_down_keeps_its_facts(self) -> None:
        self.use(other=self.file("missing/db.sqlite3"))
        result = self.facts()
        self.assertEqual(result.reasons, {"other": MISSING})
        facts = result.answer["other"]  # type: ignore[index, call-overload]
        self.assertEqual((facts["vendor"], facts["is_usable"]), ("sqlite", False))

    def test_alias_without_a_backend_has_the_facts_that_are_known(self) -> None:
        self.use(other=self.file(ENGINE="no.such"))
        self.assertEqual(stats.databases(["other"])["other"]["settings"]["ENGINE"], "no.such")
        self.assertEqual(stats.databases(["nowhere"]), {"nowhere": {"is_usable": False, "settings": {}}})

    def test_options_are_shown_by_allow_list(self) -> None:
        shown = {
            "connect_timeout": 5,
            "sslmode": "verify-full",
            "isolation_level": "read committed",
            "pool": {"min_size": 1, "max_size": 4},
            "transaction_mode": "IMMEDIATE",
        }
        hidden = {"application_name": "x", "keepalives": "text", "pool": {**shown["pool"], "kwargs": {}}}  # type: ignore[dict-item]
        self.use(other=self.file(OPTIONS={**shown, **hidden}))
        self.assertEqual(self.facts().answer["other"]["settings"]["OPTIONS"], shown)  # type: ignore[index, call-overload]

    def test_pool_may_be_a_switch(self) -> None:
        self.assertEqual(stats.allowed({"OPTIONS": {"pool": True}}, stats.SETTINGS), {"OPTIONS": {"pool": True}})

    def test_names_are_shown_only_while_they_are_names(self) -> None:
        for name, shown in [
            ("shop", "shop"),
            (Path("/srv/app/db.sqlite3"), "/srv/app/db.sqlite3"),
            (r"C:\app\db.sqlite3", r"C:\app\db.sqlite3"),
            ("file:memory_1?mode=memory&key=canary", "file:memory_1"),
            ("db.internal:1521/orcl", "db.internal:1521/orcl"),
            ("postgres://user:canary@host/db", None),
            ("user:canary@host/db", None),
            ("dbname=shop password=canary", None),
            ("(DESCRIPTION=(ADDRESS=canary))", None),
            ("line\ncanary", None),
        ]:
            with self.subTest(name=name):
                self.assertEqual(stats.allowed({"NAME": name}, stats.SETTINGS).get("NAME"), shown)

    def test_no_secret_of_the_settings_is_in_the_answer(self) -> None:
        canary = "canary4711"
        self.use(
            other=self.file(
                USER=canary,
                PASSWORD=canary,
                HOST=f"user:{canary}@host",
                PORT=canary,
                NAME=f"postgres://u:{canary}@h/db",
                CONN_MAX_AGE=None,
                TEST={"NAME": canary, "PASSWORD": canary},
                OPTIONS=dict.fromkeys(PLACES, canary),
                CREDENTIALS={"token": canary},
            )
        )
        result = self.facts()
        self.assertNotIn(canary, json.dumps([result.answer, result.public_answer, dict(result.reasons)]))

    def test_public_answer_survives_what_is_not_a_database(self) -> None:
        self.assertEqual(stats.databases.public({"…": "3 more cut"}), {})
