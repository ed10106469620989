"""``status.providers.django.health.migrations``: asked through the engine, of databases in files."""

from __future__ import annotations

import contextlib
import sqlite3
from io import StringIO
from typing import Any
from unittest import mock

from django.core.management import call_command
from django.db import connections
from django.test import override_settings

from status import notifications
from status.engine import engine
from status.providers.django.migrations import MigrationCheck
from status.registry import STARTUP_CHECKS, UnknownName, registry
from tests.components import AliasTestCase, DatabasesTestCase, run

APPLIED = "INSERT INTO django_migrations (app, name, applied) VALUES (?, ?, '2026-01-01')"


class Nothing:
    """A router that keeps every model out of ``legacy``, and one app without models."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return False if db == "legacy" else None


class MigrationsTestCase(AliasTestCase, DatabasesTestCase):
    kind = MigrationCheck

    def migrated(self, alias: str, name: str | None = None) -> dict[str, Any]:
        """Make a database with all migrations of the test project, though without their tables: the list counts."""
        entry = self.file(name or f"{alias}.sqlite3")
        self.use(**{alias: entry})
        loader = all_migrations()
        self.sql(alias, "CREATE TABLE django_migrations (id INTEGER PRIMARY KEY, app, name, applied)")
        for app, migration in loader:
            self.sql(alias, APPLIED, app, migration)
        return entry

    def sql(self, alias: str, statement: str, *parameters: str) -> list[Any]:
        name = connections.settings[alias]["NAME"]
        with contextlib.closing(sqlite3.connect(name)) as file, file:
            return file.execute(statement, parameters).fetchall()


def all_migrations() -> list[tuple[str, str]]:
    # Late: it reads the settings of the test.
    from django.db.migrations.loader import MigrationLoader

    return list(MigrationLoader(None).graph.nodes)


class MigrationTests(MigrationsTestCase):
    def test_a_database_with_all_migrations_passes_and_is_asked_no_more(self) -> None:
        self.migrated("new")
        check = self.check(aliases=["new"])
        self.assertTrue(check.load() and check.may_block())
        self.assertEqual(run(check).answer, {"new": True})
        self.sql("new", "DROP TABLE django_migrations")
        self.assertEqual(run(check).answer, {"new": True})
        self.assertEqual([part.may_block() for part in check.parts() or ()], [False])

    def test_an_unapplied_migration_fails_and_is_not_run(self) -> None:
        self.migrated("new")
        self.sql("new", "DELETE FROM django_migrations WHERE app = 'sessions'")
        before = self.sql("new", "SELECT name, sql FROM sqlite_master")
        result = run(self.check(aliases="new"))
        self.assertEqual((result.answer, result.state), ({"new": False}, "fail"))
        self.assertEqual(result.reasons, {"new": "1 unapplied: sessions.0001_initial"})
        self.assertEqual(self.sql("new", "SELECT name, sql FROM sqlite_master"), before)
        self.sql("new", APPLIED, "sessions", "0001_initial")
        self.assertEqual(run(self.check(aliases="new")).answer, {"new": True})

    def test_of_many_unapplied_ones_some_are_named(self) -> None:
        self.migrated("new")
        self.sql("new", "DELETE FROM django_migrations")
        reason = run(self.check(aliases="new")).reasons["new"]
        self.assertRegex(reason, r"^\d\d unapplied: \w+\.\w+, \w+\.\w+, \w+\.\w+ and \d\d more$")

    def test_a_database_ahead_of_the_code_passes(self) -> None:
        """As it is while a deployment replaces one process after the other."""
        self.migrated("new")
        self.sql("new", APPLIED, "auth", "9999_of_the_next_release")
        self.sql("new", APPLIED, "gone", "0001_of_an_app_that_was_removed")
        self.assertEqual(run(self.check(aliases="new")).answer, {"new": True})

    def test_a_further_database_that_was_never_migrated_warns_unless_it_is_named(self) -> None:
        """It may be another program's, and a health check never blocks a deployment for it."""
        self.use(legacy=self.file())
        result = run(self.check())
        self.assertEqual((result.answer, result.state), ({"default": True, "legacy": True}, "warn"))
        self.assertEqual(result.warnings, {"legacy": "never migrated: there is no table django_migrations"})
        self.assertEqual(run(self.check(aliases=["legacy"])).state, "fail")

    @override_settings(DATABASE_ROUTERS=["tests.test_migrations.Nothing"])
    def test_what_routers_keep_out_of_a_database_does_not_count_there(self) -> None:
        self.use(legacy=self.file())
        self.assertEqual(run(self.check(aliases=["legacy"])).state, "pass")

    def test_an_app_without_models_counts_where_the_routers_let_it_in(self) -> None:
        self.use(legacy=self.file())
        with mock.patch("django.apps.config.AppConfig.get_models", return_value=[]):
            self.assertEqual(run(self.check(aliases=["legacy"])).state, "fail")

    def test_a_missing_file_is_not_made_and_an_unknown_alias_is_told(self) -> None:
        self.use(lost={"ENGINE": "django.db.backends.sqlite3", "NAME": self.directory / "lost.sqlite3"})
        result = run(self.check(aliases=["lost", "nope"]))
        self.assertEqual(result.reasons["nope"], "not configured in DATABASES")
        self.assertEqual(result.reasons["lost"], "the database file cannot be found (FileNotFoundError)")
        self.assertFalse((self.directory / "lost.sqlite3").exists())

    def test_a_direct_call_leaves_no_connection_open(self) -> None:
        self.migrated("new")
        self.assertEqual(self.provider(aliases=["new"]), {"new": True})
        self.assertIsNone(connections["new"].connection)
        self.assertEqual(self.open_files(), [])

    def test_a_wrong_argument_is_told(self) -> None:
        for kwargs, words in (
            ({"aliases": 1}, "The argument aliases of the entry should be a list of names, or one name, not 1."),
            ({"aliases": []}, "should be a list of names, or one name, not an empty list."),
            ({"alias": "new"}, "got an unexpected keyword argument 'alias'. It takes aliases."),
        ):
            self.assertIn(words, str(run(self.check(**kwargs)).error))


@override_settings(STATUS_TIMEOUT=20)  # the first look at the migrations imports them, which may take long
class StartupTests(MigrationsTestCase):
    def test_it_is_there_without_configuration_with_the_rights_of_health_and_no_part_of_the_whole(self) -> None:
        """CONTRACT 2 and 10.3"""
        providers = {"stats": [("one", lambda: 1)]}
        for public, code in (((), 403), (("health",), 200), (None, 200)):
            with override_settings(STATUS_PROVIDERS=providers, STATUS_PUBLIC=public, ROOT_URLCONF="tests.urls"):
                answer = self.client.get("/status/api/startup")
                self.assertEqual(answer.status_code, code)
                if code == 200:
                    self.assertEqual(answer.json(), {"migrations": {"default": True}})
                    self.assertEqual(self.client.get("/status/api/startup/migrations").json(), {"default": True})
        with override_settings(STATUS_PROVIDERS=providers, ROOT_URLCONF="tests.urls"):
            self.assertEqual(set(self.client.get("/status/api").json()), {"stats"})

    def test_it_is_a_resource_of_the_commands(self) -> None:
        out = StringIO()
        with override_settings(ROOT_URLCONF="tests.urls"):
            call_command("status", "startup", "-f", "json", stdout=out)
        self.assertEqual(out.getvalue(), '{"migrations": {"default": true}}\n')

    def test_it_is_not_there_where_strangers_may_not_ask_for_health(self) -> None:
        with self.assertRaises(UnknownName):
            registry.select("startup", among=("stats",))

    def test_nobody_is_alerted(self) -> None:
        """CONTRACT 10.3: who waits for the start has the answer."""
        check = STARTUP_CHECKS["migrations"]
        failing = run(check)._replace(sound=False)
        with mock.patch.object(notifications, "tellers") as tellers:
            notifications.observe(check, failing)
        tellers.get.assert_not_called()

    def test_startup_is_this_check_and_remembers(self) -> None:
        check = STARTUP_CHECKS["migrations"]
        result = run(check)
        self.assertEqual((result.answer, dict(result.reasons)), ({"default": True}, {}))
        with mock.patch("status.providers.django.migrations.MigrationExecutor") as executor:
            self.assertEqual(engine.run([check])[0].answer, {"default": True})
        executor.assert_not_called()

    def test_migrate_is_all_that_it_takes(self) -> None:
        self.use(new=self.file())
        self.assertEqual(run(self.check(aliases=["new"])).state, "fail")
        call_command("migrate", database="new", verbosity=0)
        self.assertEqual(run(self.check(aliases=["new"])).state, "pass")
