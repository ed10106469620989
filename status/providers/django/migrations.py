"""The check that the databases have every migration of the code."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections, router
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from status.providers.base import Answer, Part, Unavailable
from status.providers.django.databases import DatabaseCheck
from status.providers.kinds import NAMES

#: Migrations that a reason names.
MIGRATIONS_NAMED = 3


class MigrationCheck(DatabaseCheck):
    """Answer ``{alias: bool}``: whether each database has every migration of the code that runs.

    A database that is ahead of the code passes, as it is during a deployment. What was once true is remembered for as
    long as the process lives, and asked no more. No migration is run and nothing is written.

    Migrations of apps that the routers keep out of a database do not count there. A database besides ``default`` that
    was never migrated, and is not named by the entry, is a warning: it may be another program's.
    """

    label = "migrations"
    arguments = None
    kinds = MappingProxyType({"aliases": NAMES})

    def __init__(self) -> None:
        super().__init__()
        #: The databases that had everything: alias, and where it leads.
        self._complete: set[tuple[str, ...]] = set()

    def parts(self, aliases: Iterable[str] | str | None = None) -> list[Part]:
        return [self.part(alias, named=aliases is not None) for alias in self.aliases(aliases)]

    def waits(self, alias: str) -> bool:
        return _place(alias) not in self._complete

    def load(self, aliases: Iterable[str] | str | None = None) -> None:
        super().load(aliases)
        with suppress(Exception):  # it happens again in the run, which reports it
            MigrationLoader(None)  # imports the migrations

    def ask_alias(self, alias: str, **options: Any) -> Any:
        if not self.waits(alias):
            return True
        unapplied, is_new = super().ask_alias(alias)
        if is_new and alias != DEFAULT_DB_ALIAS and not options["named"] and unapplied:
            return Answer(True, warnings={alias: "never migrated: there is no table django_migrations"})
        if unapplied:
            names = ", ".join(unapplied[:MIGRATIONS_NAMED])
            more = f" and {len(unapplied) - MIGRATIONS_NAMED} more" if len(unapplied) > MIGRATIONS_NAMED else ""
            raise Unavailable(f"{len(unapplied)} unapplied: {names}{more}")
        self._complete.add(_place(alias))
        return True

    def question(self, connection: Any) -> tuple[list[str], bool]:
        """Return the unapplied migrations, and whether none was ever applied."""
        super().question(connection)
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        unapplied = [
            f"{migration.app_label}.{migration.name}"
            for migration, _ in plan
            if _is_kept_in(connection.alias, migration.app_label)
        ]
        return unapplied, not executor.recorder.has_table()


def _place(alias: str) -> tuple[str, ...]:
    entry = connections.settings.get(alias, {})
    return (alias, *(str(entry.get(name)) for name in ("ENGINE", "NAME", "HOST", "PORT")))


def _is_kept_in(alias: str, app_label: str) -> bool:
    """Return whether the routers let any model of the app into the database; of an app without models, the app."""
    models = [model for model in apps.get_app_config(app_label).get_models() if model._meta.managed]
    if not models:
        return bool(router.allow_migrate(alias, app_label))
    return any(router.allow_migrate_model(alias, model) for model in models)
