"""``status.providers.django.health.system_checks``."""

from __future__ import annotations

from typing import Any
from unittest import mock

from django.core import checks
from django.test import override_settings

from status.engine import engine
from status.entries import Check
from tests.components import ComponentsTestCase, run

PATH = "status.providers.django.health.system_checks"


class SystemChecksTests(ComponentsTestCase):
    def ask(self, *messages: checks.CheckMessage, **kwargs: Any) -> Any:
        """The result, where Django's system checks say this."""
        with mock.patch.object(checks, "run_checks", return_value=list(messages)) as self.run_checks:
            return run(Check("health", "system_checks", PATH, kwargs=kwargs))

    def test_a_project_without_a_fault_passes(self) -> None:
        with override_settings(MIDDLEWARE=[], INSTALLED_APPS=["status"]):
            result = run(Check("health", "system_checks", PATH, kwargs={"tags": ["urls", "caches"]}))
        self.assertEqual((result.answer, result.state), ({"project": {"ok": True, "errors": 0, "warnings": 0}}, "pass"))

    def test_a_mistake_of_the_project_fails(self) -> None:
        with override_settings(ROOT_URLCONF="tests.test_system_checks"):
            result = run(Check("health", "system_checks", PATH, kwargs={"tags": "templates", "deploy": False}))
        self.assertEqual(result.state, "pass")
        with override_settings(CACHES={}):
            result = run(Check("health", "system_checks", PATH, kwargs={"tags": "caches"}))
        self.assertEqual(
            (result.answer, result.state), ({"project": {"ok": False, "errors": 1, "warnings": 0}}, "fail")
        )
        self.assertEqual(result.reasons, {"project": "caches.E001"})

    def test_errors_fail_and_warnings_warn_by_their_ids(self) -> None:
        result = self.ask(
            checks.Warning("s3cret", id="a.W1"), checks.Warning("s3cret", id="a.W1"), checks.Info("s3cret")
        )
        self.assertEqual((result.answer, result.state), ({"project": {"ok": True, "errors": 0, "warnings": 2}}, "warn"))
        self.assertEqual(result.warnings, {"project": "a.W1 (2 times)"})
        self.assertEqual(result.public_answer, {"project": {"ok": True}})
        result = self.ask(*(checks.Error("s3cret", id=f"a.E{number}") for number in range(7)), checks.Error("s3cret"))
        self.assertEqual(result.state, "fail")
        self.assertEqual(result.reasons, {"project": "a.E0, a.E1, a.E2, a.E3, a.E4, and 3 more"})
        self.assertEqual(self.ask(checks.Critical("s3cret")).reasons, {"project": "a message without id"})

    @override_settings(SILENCED_SYSTEM_CHECKS=["a.W1"])
    def test_what_the_project_silenced_does_not_count(self) -> None:
        self.assertEqual(self.ask(checks.Warning("s3cret", id="a.W1")).state, "pass")

    def test_tags_and_deploy_are_those_of_the_command(self) -> None:
        self.ask(tags=["security", "caches"], deploy=True)
        self.run_checks.assert_called_once_with(tags=["security", "caches"], include_deployment_checks=True)
        self.ask()
        self.run_checks.assert_called_once_with(tags=None, include_deployment_checks=False)

    def test_what_it_does_not_take_is_told(self) -> None:
        self.assertEqual(self.ask(tags="nope").error, "There are no system checks with the tag 'nope'.")
        self.assertEqual(
            self.ask(tags="database").error, "Checks that ask databases are left out. Remove the tag database."
        )
        words = "There are no system checks with the tag 'security' without deploy."
        with mock.patch.object(
            checks, "tag_exists", side_effect=lambda name, include_deployment_checks: include_deployment_checks
        ):
            self.assertEqual(self.ask(tags="security").error, words)
        wrong = "The argument deploy of the entry should be True or False, not 1."
        self.assertEqual(self.ask(deploy=1).error, wrong)

    def test_a_tag_that_there_is_not_is_told_by_manage_py_check(self) -> None:
        for tag, words in (("nope", "There are no system checks with the tag 'nope'."), ("database", "Remove the tag")):
            entry = ("settings", PATH, None, {"tags": ["caches", tag]})
            with override_settings(STATUS_CHECK_PROVIDERS={"health": [entry]}):
                (found,) = checks.run_checks(tags=["status"])
            self.assertEqual(found.id, "status.W013")
            self.assertIn(words, found.msg)

    def test_the_answer_is_reused_for_five_minutes(self) -> None:
        with mock.patch.object(checks, "run_checks", return_value=[]) as run_checks:
            check = Check("health", "system_checks", PATH)
            for _ in range(3):
                engine.run([check])
        run_checks.assert_called_once()
