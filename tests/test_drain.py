"""Draining: while a file exists, ``ready`` says no, so that a balancer sends nothing before a server is stopped."""

from __future__ import annotations

import json
from errno import EACCES
from pathlib import Path
from typing import Any
from unittest import mock

from django.test import Client, SimpleTestCase, override_settings
from django.urls import include, path

from status import ask as ask_in_python
from status.engine import engine
from tests.commandline import Full, ask
from tests.processes import absent, directory

urlpatterns = [path("status/", include("status.urls"))]


@override_settings(ROOT_URLCONF=__name__, STATUS_PROVIDERS={"health": [("ping", "status.providers.health.ping")]})
class DrainTestCase(SimpleTestCase):
    def setUp(self) -> None:
        self.file = absent("draining")
        overridden = override_settings(STATUS_DRAIN_FILE=self.file)
        overridden.enable()
        self.addCleanup(overridden.disable)
        self.addCleanup(engine.close)

    def get(self, address: str, **headers: str) -> tuple[int, str]:
        response = Client().get(f"/status/api/{address}", **headers)
        return response.status_code, response.content.decode()

    def drain(self, *words: str, **options: Any) -> tuple[int, str]:
        asked = ask("drain", *words, **options)
        return asked.code, asked.out + asked.err


class AddressTests(DrainTestCase):
    def test_ready_says_no_while_the_file_exists(self):
        accepting = {"ping": {"pong": True}, "drain": {"accepting": True}}
        self.assertEqual(self.get("ready"), (200, json.dumps(accepting)))
        self.file.touch()
        draining = {"ping": {"pong": True}, "drain": {"ok": False, "error": "draining"}}
        self.assertEqual(self.get("ready"), (503, json.dumps(draining)))
        self.file.unlink()
        self.assertEqual(self.get("ready")[0], 200)

    def test_every_format_says_draining(self):
        self.file.touch()
        for name in ("health+json", "text"):
            code, text = self.get(f"ready?format={name}")
            self.assertEqual(code, 503)
            self.assertIn("draining", text)
        code, text = self.get("ready?format=openmetrics")  # whose HTTP status never says anything
        self.assertEqual(code, 200)
        self.assertIn('django_status_up{resource="ready"} 0', text)
        self.assertIn('django_status_check_up{resource="ready",check="drain"} 0', text)

    def test_its_address_is_listed(self):
        response = Client().options("/status/api/ready", headers={"host": "127.0.0.1"})
        root = "http://127.0.0.1/status/api"
        self.assertEqual(response.json(), {"ping": f"{root}/health/ping", "drain": f"{root}/ready/drain"})
        self.assertEqual(self.get("ready/drain"), (200, '{"accepting": true}'))
        self.assertIn("drain", ask("ready", "--list").out)

    def test_the_rest_is_as_before(self):
        self.file.touch()
        pong = {"ping": {"pong": True}}
        self.assertEqual(self.get("live"), (200, json.dumps(pong)))
        self.assertEqual(self.get("health"), (200, json.dumps(pong)))
        self.assertEqual(self.get("ready/ping"), (200, json.dumps(pong["ping"])))
        self.assertEqual(Client().get("/status/health/").status_code, 200)

    @override_settings(STATUS_ERROR_CODE=200, STATUS_MAX_AGE=60)
    def test_neither_another_error_code_nor_a_choice_of_checks_hides_it(self):
        self.assertEqual(self.get("ready")[0], 200)
        self.file.touch()
        self.assertEqual(self.get("ready")[0], 503)
        self.assertEqual(self.get("ready?check=ping")[0], 503)
        self.assertEqual(self.get("ready?check=ping&skip=drain")[0], 200)

    @override_settings(STATUS_ERROR_CODE=200)
    def test_the_error_code_of_everything_else_stays(self):
        failing = {"health": [("stock", "builtins.dict", None, {"items": False})]}
        with override_settings(STATUS_PROVIDERS=failing):
            self.assertEqual(self.get("ready")[0], 200)

    def test_without_the_setting_there_is_no_such_check(self):
        with override_settings(STATUS_DRAIN_FILE=None):
            self.assertEqual(self.get("ready"), (200, '{"ping": {"pong": true}}'))
            self.assertEqual(self.get("ready/drain")[0], 404)

    def test_a_check_of_the_project_s_called_drain_is_asked_as_well(self):
        sewer = ("drain", "builtins.dict", None, {"clear": False})
        with override_settings(STATUS_PROVIDERS={"health": [sewer, ("ping", "status.providers.health.ping")]}):
            code, text = self.get("ready")
            told = {"drain": {"clear": False}, "ping": {"pong": True}, "status-drain": {"accepting": True}}
            self.assertEqual((code, json.loads(text)), (503, told))
            self.assertEqual(self.get("ready/drain"), (503, '{"clear": false}'))
            self.assertEqual(ask("ready", "-e").code, 1)
            self.file.touch()
            with override_settings(STATUS_ERROR_CODE=200):
                self.assertEqual(self.get("ready?check=ping")[0], 503)
                self.assertEqual(self.get("ready?skip=status-drain")[0], 200)

    def test_a_resource_of_the_project_s_called_ready_stays_as_it_is(self):
        self.file.touch()
        with override_settings(STATUS_PROVIDERS={"ready": [("ping", "status.providers.health.ping")]}):
            self.assertEqual(self.get("ready"), (200, '{"ping": {"pong": true}}'))

    def test_a_file_that_cannot_be_looked_at_warns_and_does_not_drain(self):
        folder = directory()
        loop = folder / "loop"
        loop.symlink_to(loop)
        with override_settings(STATUS_DRAIN_FILE=str(loop)):
            code, text = self.get("ready")
            self.assertEqual((code, json.loads(text)["drain"]), (200, {"accepting": True}))
            self.assertEqual(ask_in_python("ready").state, "warn")

    def test_a_directory_or_device_is_no_drain_file(self):
        for place, what in ((directory(), "is a directory"), ("/dev/null", "is no regular file")):
            with override_settings(STATUS_DRAIN_FILE=place, STATUS_SHOW_DETAILS="always"):
                code, text = self.get("ready?format=text")
                self.assertEqual(code, 200)
                self.assertIn(f"STATUS_DRAIN_FILE {what}, so that nothing drains", text)
                for word in ("on", "off"):
                    told = f"status: STATUS_DRAIN_FILE {place} {what}, so that nothing drains: name a file\n"
                    self.assertEqual(self.drain(word), (2, told))

    def test_a_path_below_a_file_is_not_there(self):
        self.file.touch()
        with override_settings(STATUS_DRAIN_FILE=self.file / "draining"):
            self.assertEqual(self.get("ready")[0], 200)


class CommandTests(DrainTestCase):
    def test_on_and_off_make_and_remove_the_file_however_often(self):
        for _ in range(2):
            self.assertEqual(self.drain("on"), (0, "draining: ready answers 503 on this host\n"))
            self.assertTrue(self.file.is_file())
        self.assertEqual(ask("ready", "-e").code, 1)
        self.assertIn("draining", ask("ready").out)
        self.assertEqual(ask("ready", "-f", "nagios").code, 2)
        for _ in range(2):
            self.assertEqual(self.drain("off"), (0, "not draining\n"))
            self.assertFalse(self.file.exists())
        self.assertEqual(self.drain("on", "-q"), (0, ""))

    def test_what_is_done_is_done_where_it_cannot_be_written(self):
        asked = ask("drain", "on", out=Full())
        self.assertEqual(asked[::2], (0, "the answer cannot be written: No space left on device\n"))
        self.assertTrue(self.file.exists())

    def test_a_file_that_cannot_be_made_or_removed_says_why(self):
        with override_settings(STATUS_DRAIN_FILE=str(self.file / "no" / "draining")):
            told = f"status: STATUS_DRAIN_FILE {self.file}/no/draining cannot be made: No such file or directory\n"
            self.assertEqual(self.drain("on"), (2, told))
        self.file.touch()
        denied = PermissionError(EACCES, "Permission denied")
        with mock.patch.object(Path, "unlink", side_effect=denied):  # which nobody is refused who is root
            told = f"status: STATUS_DRAIN_FILE {self.file} cannot be removed: Permission denied\n"
            self.assertEqual(self.drain("off"), (2, told))

    def test_a_link_that_leads_nowhere_drains_nothing_and_says_so(self):
        self.file.symlink_to(absent())
        told = f"status: STATUS_DRAIN_FILE {self.file} is a link that leads nowhere: remove it\n"
        self.assertEqual(self.drain("on"), (2, told))
        self.assertEqual(self.get("ready")[0], 200)
        self.assertEqual(self.drain("off")[0], 0)

    def test_a_wrong_question_is_2(self):
        for words in ((), ("maybe",)):
            self.assertEqual(self.drain(*words), (2, "status: drain takes on or off\n"))
        self.assertEqual(self.drain("on", "--url", "http://x/"), (2, "status: --url does not go with drain\n"))
        for value, words in ((None, "is not set"), ("draining", "should be the absolute path of a file"), (5, "not 5")):
            with override_settings(STATUS_DRAIN_FILE=value):
                code, text = self.drain("on")
                self.assertEqual(code, 2)
                self.assertIn(words, text)
        self.assertFalse(Path("draining").exists())

    def test_its_help_names_what_it_takes(self):
        self.assertIn("on|off", ask("drain", "--help").out)
