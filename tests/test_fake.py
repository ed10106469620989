"""``status.test.fake`` and the fixture ``fake_status``: other answers in the place of a project's checks."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import textwrap
import threading
import time
from typing import Any
from unittest import mock
from urllib.error import HTTPError
from urllib.request import urlopen

from django.db import OperationalError
from django.test import LiveServerTestCase, SimpleTestCase, override_settings

from status import ask
from status.engine import engine
from status.providers import Answer, Provider, Unavailable
from status.registry import registry
from status.test import fake
from tests import services
from tests.commandline import ask as command
from tests.components import ComponentsTestCase
from tests.documents import blocks, page, section
from tests.processes import environment


class Stock(Provider):
    critical = False
    timeout = 0.2

    def check(self, *args: Any, **kwargs: Any) -> bool:
        raise AssertionError("it should not run")


def never() -> bool:
    raise AssertionError("it should not run")


PROVIDERS = {
    "health": [("ping", "status.providers.health.ping"), ("databases", never, [1]), ("stock", Stock)],
    "stats": [("size", never), ("missing", "nowhere.check")],
}


class QuietTestCase(ComponentsTestCase):
    """Tells nobody of what fails."""

    def setUp(self) -> None:
        super().setUp()
        self.enter(mock.patch.object(engine, "observers", []))


@override_settings(STATUS_PROVIDERS=PROVIDERS)
class FakeTests(QuietTestCase):
    def get(self, name: str = "health/databases") -> tuple[int, Any]:
        response = self.client.get(f"/status/api/{name}")
        return response.status_code, response.json()

    def test_any_answer_may_be_given(self):
        release = threading.Event()
        self.addCleanup(release.set)
        for answer, status, document in (
            (True, 200, True),
            (False, 503, False),
            ({"default": True, "replica": False}, 503, {"default": True, "replica": False}),
            (Answer({"a": True}, warnings={"a": "full soon"}), 200, {"a": True}),
            (OperationalError("password"), 503, {"ok": False, "error": "raised OperationalError"}),
            (OperationalError, 503, {"ok": False, "error": "raised OperationalError"}),
            (SystemExit(3), 503, {"ok": False, "error": "raised SystemExit"}),
            (KeyboardInterrupt, 503, {"ok": False, "error": "raised KeyboardInterrupt"}),
            (Unavailable("closed"), 503, {"ok": False, "error": "closed"}),
            (lambda: {"default": True}, 200, {"default": True}),
            ("status.providers.health.ping", 200, "status.providers.health.ping"),
            (object(), 503, {"ok": False, "error": "answered a value of type object, which JSON cannot hold"}),
        ):
            with self.subTest(answer=answer), fake({"health/databases": answer}):
                self.assertEqual(self.get(), (status, document))
        with override_settings(STATUS_TIMEOUT=0.2), fake({"health/databases": lambda: release.wait(30)}):
            self.assertEqual(self.get(), (503, {"ok": False, "error": "timed out after 0.2 s"}))

    def test_a_provider_may_stand_in(self):
        class Open(Provider):
            async def check(self) -> dict[str, bool]:
                return {"open": True}

        for provider in (Open, Open()):
            with fake({"health/databases": provider}):
                self.assertEqual(self.get(), (200, {"open": True}))

    def test_all_ways_of_asking_get_it(self):
        with fake({"health/databases": {"default": False}, "health/ping": {"pong": True}, "health/stock": True}):
            self.assertEqual(self.client.get("/status/api/ready").status_code, 503)
            self.assertContains(self.client.get("/status/health/"), "default", status_code=503)
            self.assertIn("default  FAIL", command("health").out)
            self.assertEqual(ask("health/databases").state, "fail")

    def test_ping_may_be_faked_too_and_live_never_is(self):
        with fake({"health/ping": False}):
            self.assertEqual(self.get("health/ping"), (503, False))
            self.assertEqual(self.get("live")[0], 200)

    def test_what_the_entry_and_its_class_say_stays(self):
        with fake({"health/stock": False}):
            (result,) = ask("health/stock").results
            self.assertEqual((result.state, self.get("health/stock")), ("warn", (200, False)))
        with fake({"health/stock": lambda: time.sleep(0.4)}):
            self.assertEqual(ask("health/stock").results[0].error, "timed out after 0.2 s")
        with fake({"stats/size": False, "stats/missing": {"rows": 3}}):
            self.assertEqual(self.get("stats"), (200, {"size": False, "missing": {"rows": 3}}))

    def test_it_ends_with_the_block_also_where_that_raises(self):
        with override_settings(STATUS_PROVIDERS={"health": [("databases", lambda: True)]}):
            with self.assertRaises(ZeroDivisionError), fake({"health/databases": False}):
                self.assertEqual(self.get(), (503, False))
                _ = 1 / 0
            self.assertEqual(self.get(), (200, True))
        self.assertEqual(registry.stand_ins, ())

    def test_an_answer_that_may_be_reused_does_not_outlive_the_block(self):
        with override_settings(STATUS_PROVIDERS={"health": [("databases", lambda: True)]}, STATUS_MAX_AGE=60):
            self.assertEqual(self.get(), (200, True))
            with fake({"health/databases": False}):
                self.assertEqual(self.get(), (503, False))
            self.assertEqual(self.get(), (200, True))

    def test_the_innermost_counts(self):
        with fake({"health/databases": True, "health/stock": True}):
            with fake({"health/databases": False}):
                self.assertEqual((self.get()[0], self.get("health/stock")[0]), (503, 200))
            self.assertEqual(self.get()[0], 200)

    def test_the_same_fake_may_be_entered_again_and_blocks_may_end_in_any_order(self):
        failing, passing = fake({"health/databases": False}), fake({"health/databases": True})
        with failing, failing:
            pass
        failing.enable()
        passing.enable()
        failing.disable()
        self.assertEqual(self.get()[0], 200)
        passing.disable()
        self.assertEqual(registry.stand_ins, ())

    def test_settings_may_change_inside(self):
        with fake({"health/databases": False}), override_settings(STATUS_ERROR_CODE=500):
            self.assertEqual(self.get(), (500, False))
            with override_settings(STATUS_PROVIDERS={"health": [("databases", never), ("more", lambda: True)]}):
                self.assertEqual(self.get("health"), (500, {"databases": False, "more": True}))
            with override_settings(STATUS_PROVIDERS={"health": [("more", lambda: True)]}):
                self.assertEqual(self.get("health"), (200, {"more": True}))
            with override_settings(STATUS_SYNCHRONOUS=True):
                self.assertEqual(self.get(), (500, False))

    @fake({"health/databases": False})
    def test_it_decorates_functions(self):
        self.assertEqual(self.get(), (503, False))

    @fake({"health/databases": {"default": True}})
    async def test_it_decorates_coroutine_functions(self):
        await asyncio.sleep(0)
        response = await self.async_client.get("/status/api/health/databases")
        self.assertEqual((response.status_code, response.json()), (200, {"default": True}))

    def test_what_it_cannot_decorate_is_refused(self):
        def generator() -> Any:
            yield

        async def agenerator() -> Any:
            yield

        for function in (generator, agenerator):
            message = f"fake() decorates no generator function such as {function.__name__}; write the block inside"
            with self.subTest(function), self.assertRaisesMessage(TypeError, message):
                fake({"health/databases": False})(function)
        message = "fake() decorates subclasses of unittest.TestCase, not Stock; have the tests of the class take the"
        with self.assertRaisesMessage(TypeError, message):
            fake({"health/databases": False})(Stock)

    def test_an_unknown_name_is_told_with_those_that_there_are(self):
        known = "health/ping, health/databases, health/stock, stats/size, stats/missing"
        for name in ("health/nope", "health", "databases", "live/ping", 3):
            with self.subTest(name), self.assertRaises(LookupError) as caught, fake({name: True}):
                self.fail("it should not begin")
            self.assertEqual(str(caught.exception), f"there is no check {name!r}; there is: {known}")
        with self.assertRaisesMessage(TypeError, 'answers should be like {"health/databases": False}, not a str'):
            fake("health/databases")


@fake({"health/databases": False})
@override_settings(STATUS_PROVIDERS=PROVIDERS)
class ClassTests(QuietTestCase):
    def test_it_decorates_classes(self):
        self.assertEqual(self.client.get("/status/api/health/databases").status_code, 503)


@override_settings(STATUS_PROVIDERS=PROVIDERS)
class ServerTests(QuietTestCase, LiveServerTestCase):
    def test_a_server_that_runs_already_answers_it(self):
        for answer, status in ((False, 503), (True, 200)):
            with fake({"health/databases": answer}):
                try:
                    with urlopen(f"{self.live_server_url}/status/api/health/databases") as response:
                        got = response.status, json.load(response)
                except HTTPError as error:
                    got = error.code, json.load(error)
                    error.close()
                self.assertEqual(got, (status, answer))


class PytestTests(SimpleTestCase):
    def test_the_fixture_does_the_same_until_the_test_ends(self):
        """With pytest-django, and what the page shows."""
        services.require_module("pytest_django", "pip install pytest-django")
        shown = blocks(section(page("testing"), "In the place of checks"), "python")
        directory = services.directory()
        (directory / "test_shop.py").write_text("\n\n".join(shown) + textwrap.dedent(
            """

            def test_it_is_over(client):
                assert client.get("/status/api/health").json()["ping"] == {"pong": True}

            def test_unknown_names_are_told(fake_status):
                import pytest
                with pytest.raises(LookupError, match="health/ping"):
                    fake_status({"health/nope": False})
            """
        ))  # fmt: skip
        env = environment({"DJANGO_SETTINGS_MODULE": "tests.settings", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
        plugins = ["-p", "pytest_django.plugin", "-p", "status.pytest_plugin", "-p", "no:cacheprovider"]
        command = [sys.executable, "-m", "pytest", "-q", *plugins]
        done = subprocess.run(command, cwd=directory, env=env, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"\b6 passed")
