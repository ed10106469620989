"""``status.providers.django.health.tasks``: Django's tasks, or their backport, with results in a table."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from typing import Any
from unittest import mock

import django
from django.core import checks
from django.db import OperationalError
from django.test import override_settings

from status.entries import Check
from status.providers.django.tasks import TaskCheck
from tests import services
from tests.components import ComponentsTestCase, run
from tests.processes import ROOT

PACKAGE = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"
tasks = import_module(PACKAGE)
DummyBackend = import_module(f"{PACKAGE}.backends.dummy").DummyBackend
IMMEDIATE = {"BACKEND": f"{PACKAGE}.backends.immediate.ImmediateBackend"}
STORED = {"BACKEND": "tests.test_tasks.Stored"}
#: What a project with results in a table answers, before that is made and after.
PROJECT = """
import json, django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["status", "django_tasks_db"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "tasks.sqlite3"}},
    TASKS={"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}},
)
django.setup()
from django.core.management import call_command
from status.engine import engine
from status.entries import Check
check = Check("health", "tasks", "status.providers.django.health.tasks")
def ask():
    result = engine.run([check])[0]
    return [result.answer, dict(result.reasons), dict(result.warnings)]
answers = [ask()]
call_command("migrate", verbosity=0)
answers.append(ask())
from django_tasks_db.models import DBTaskResult
print(json.dumps([answers, DBTaskResult.objects.count()]))
"""


class Stored(DummyBackend):  # type: ignore[misc,valid-type]
    """Keeps results where every process finds them, or says so."""

    supports_get_result = True
    problems: list[checks.CheckMessage] = []
    answers: list[Any] = []

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        return self.problems

    def get_result(self, result_id: str) -> Any:
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer or super().get_result(result_id)


class TasksTestCase(ComponentsTestCase):
    def ask(self, *, kwargs: dict[str, Any] | None = None, answers: Any = (), **backends: Any) -> Any:
        handler = tasks.TaskBackendHandler(backends)
        check = Check("health", "tasks", TaskCheck(), kwargs=kwargs)
        with (
            mock.patch.object(tasks, "task_backends", handler),
            mock.patch.object(Stored, "answers", list(answers)),
        ):
            return run(check)


class TaskTests(TasksTestCase):
    def test_results_in_a_table_are_looked_for_and_no_task_is_enqueued(self) -> None:
        services.require_module("django_tasks_db", "pip install django-tasks-db")
        env = services.environment({"PYTHONPATH": str(ROOT)})
        command = [sys.executable, "-W", "ignore", "-c", PROJECT]
        done = subprocess.run(command, cwd=self.directory, env=env, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        answers, count = json.loads(done.stdout)
        self.assertEqual(answers[0], [{"default": False}, {"default": "OperationalError"}, {}])
        self.assertEqual(answers[1], [{"default": True}, {}, {}])
        self.assertEqual(count, 0)

    def test_tasks_that_run_where_they_are_called_warn_that_nothing_was_asked(self) -> None:
        result = self.ask(default=IMMEDIATE)
        self.assertEqual((result.answer, result.state), ({"default": True}, "warn"))
        words = f"{IMMEDIATE['BACKEND']} keeps no results: nothing was asked"
        self.assertEqual(result.warnings, {"default": words})

    def test_each_backend_is_asked(self) -> None:
        broken = {"BACKEND": "no.such.Backend"}
        result = self.ask(default=STORED, broken=broken)
        self.assertEqual(result.answer, {"default": True, "broken": False})
        self.assertRegex(result.reasons["broken"], r"^InvalidTaskBackend(Error)? \(ModuleNotFoundError\)$")
        result = self.ask(kwargs={"aliases": ["default", "nope"]}, default=STORED, broken=broken)
        self.assertEqual(result.reasons, {"nope": "not configured in TASKS"})

    def test_a_setting_that_cannot_be_read_is_told_in_words(self) -> None:
        expected = 'TASKS["default"] should be a dict with the dotted path of a backend under "BACKEND".'
        for malformed in ({}, {"BACKEND": None}, "no.such.Backend", None):
            self.assertEqual(self.ask(default=malformed).error, expected)
        entry = ("tasks", "status.providers.django.health.tasks")
        handler = tasks.TaskBackendHandler({"default": {}})
        with (
            mock.patch.object(tasks, "task_backends", handler),
            override_settings(STATUS_CHECK_PROVIDERS={"health": [entry]}),
        ):
            self.assertEqual([one.msg for one in checks.run_checks(tags=["status"])], [f"health/tasks: {expected}"])
        with mock.patch.object(tasks, "task_backends", mock.Mock(settings=["default"])):
            result = run(Check("health", "tasks", TaskCheck()))
        self.assertEqual(result.error, "TASKS should be a dict of alias -> dict, not a list.")

    def test_a_connection_that_went_stale_is_asked_anew(self) -> None:
        error = OperationalError("server closed the connection")
        self.assertEqual(self.ask(answers=[error], default=STORED).answer, {"default": True})
        self.assertEqual(self.ask(answers=[error] * 2, default=STORED).reasons, {"default": "OperationalError"})

    def test_a_direct_call_closes_no_connection_of_the_caller(self) -> None:
        with (
            mock.patch.object(tasks, "task_backends", tasks.TaskBackendHandler({"default": STORED})),
            mock.patch.object(Stored, "answers", [OperationalError()]),
            mock.patch("status.providers.django.tasks.close_old_connections") as close,
        ):
            self.assertEqual(TaskCheck()(), {"default": False})
        close.assert_not_called()

    def test_a_backend_that_knows_a_task_that_never_was(self) -> None:
        result = self.ask(answers=["something"] * 2, default=STORED)
        self.assertEqual(result.reasons, {"default": "knows a task that never was"})

    def test_a_backend_whose_system_checks_have_errors(self) -> None:
        problems = [checks.Error("s3cret", id="tasks.E001"), checks.Error("s3cret"), checks.Warning("s3cret")]
        with mock.patch.object(Stored, "problems", problems):
            result = self.ask(default=STORED)
        words = "its system checks fail (tasks.E001, an error without id): manage.py check tells why"
        self.assertEqual(result.reasons, {"default": words})

    def test_without_tasks_it_says_what_they_need(self) -> None:
        with mock.patch("status.providers.django.tasks.MODULES", ("no.such.module",)):
            result = self.ask(default=STORED)
        self.assertEqual(result.error, "There are no Django tasks: they need Django 6.0, or the package django-tasks.")
