"""The public contract, promise by promise, as a client of real servers sees it, with and without the front door."""

from __future__ import annotations

import http.client
import os
import pathlib
import re
import time
from collections.abc import Callable
from typing import Any

from django.core.checks import run_checks
from django.test import SimpleTestCase, override_settings, tag

from example_project.shop.switches import ANSWERS, NAMES
from tests import services
from tests.components import eventually
from tests.contract import MISTAKE_ROWS, ROWS, Reply, Row
from tests.contract_mistakes import MISTAKES
from tests.repositories import git, repository


class Client:
    """Plain requests to one server: no redirect is followed, and nothing is added."""

    def __init__(self, server: services.Web) -> None:
        self.server = server

    def ask(self, path: str, method: str = "GET", row: str = "", **headers: str) -> Reply:
        connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=20)
        try:
            started = time.monotonic()
            connection.request(method, path, headers={"X-Row": row, **headers})
            response = connection.getresponse()
            text = response.read().decode()
            return Reply(response.status, response.headers, text, time.monotonic() - started)
        finally:
            connection.close()


def make_checkouts(folder: pathlib.Path) -> None:
    """The repositories that rows of the contract point to."""
    untagged = repository(folder / "untagged")
    git(folder, "clone", "--quiet", str(untagged), "tagged")
    git(folder / "tagged", "tag", "v1.2.0")
    git(repository(folder / "detached"), "checkout", "--quiet", "--detach")


@tag("server")
class ServerTests:
    """A server of its own for each class below, in one worker process, so that requests can be told apart."""

    front_door = "1"
    database = ""

    @staticmethod
    def serve(env: dict[str, str]) -> services.Web:
        raise NotImplementedError

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()  # type: ignore[misc]
        cls.folder = services.directory()
        make_checkouts(cls.folder)
        built = {name: "" for name in os.environ if re.search("COMMIT|BUILD|KAMAL", name)}
        env = {
            **built,
            "DJANGO_SETTINGS_MODULE": "tests.contract_settings",
            "CONTRACT_FRONT_DOOR": cls.front_door,
            "CONTRACT_DATABASE": cls.database,
            "EXAMPLE_FOLDER": str(cls.folder),
            "PYTHONWARNINGS": "error",
        }
        for name in ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "CELERY_WORKERS", "TEST_DATABASE", "TEST_REDIS"):
            env[name] = ""
        cls.server = cls.serve(env)
        cls.server.start()
        cls.addClassCleanup(cls.server.stop)  # type: ignore[attr-defined]
        cls.site = Client(cls.server)

    def keep(self: Any, row: Row) -> None:
        """Ask what ``row`` asks, and fail with everything that came back where it does not keep its promise."""
        reply = self.site.ask(row.path, row.method, row.promise, **row.sent)
        told = f"{row.promise}: {row.path} answered {reply.status}\n{reply.headers}\n{reply.text[:2000]}"
        self.assertEqual(reply.status, row.status, told)
        self.assertNotIn("Location", reply.headers, told)
        for name, value in row.headers.items():
            self.assertEqual(reply.headers[name], value, told)
        if row.answer is not ...:
            self.assertEqual(reply.json, row.answer, told)
        if row.keys is not None:
            self.assertEqual(tuple(reply.json), row.keys, told)
        self.assertTrue(row.holds(reply), told)


def keeps(row: Row) -> Callable[[Any], None]:
    return lambda case: case.keep(row)


class PromiseTests(ServerTests):
    """One test for each row of the contract."""

    for _number, _row in enumerate(ROWS):
        locals()[f"test_{_number:03}_{re.sub('[^a-z0-9]+', '_', _row.promise.lower())}"] = keeps(_row)

    def test_rows_have_names_of_their_own(self: Any) -> None:
        self.assertEqual(len({row.promise for row in ROWS}), len(ROWS))


class WithoutDoor(PromiseTests):
    """The same without the middleware, but for the few promises that need it, and mistakes, which do not know of it."""

    front_door = "0"
    for _number, _row in enumerate(ROWS):
        if _row.front_door or _row in MISTAKE_ROWS:
            locals()[f"test_{_number:03}_{re.sub('[^a-z0-9]+', '_', _row.promise.lower())}"] = None


class RunTests(ServerTests):
    """What a client can tell of the runs behind the answers, and what provider after provider can do to the server."""

    def runs(self: Any, row: str = "counts") -> int:
        return self.site.ask("/status/api/health/one", row=row).json["runs"]

    def test_get_and_head_run_the_checks_and_nothing_else_does(self: Any) -> None:
        before = self.runs()
        self.assertEqual(self.runs(), before + 1)
        for path in ("/status/api", "/status/api/health", "/status/api/health/one"):
            self.site.ask(path, "HEAD", "counts")
        self.assertEqual(self.runs(), before + 5)
        for path in ("/status/api", "/status/api/health", "/status/api/health/one"):
            for method in ("OPTIONS", "POST", "PUT", "DELETE"):
                self.site.ask(path, method, "counts")
            self.site.ask(f"{path}/nothing/of/this/name", row="counts")
        self.assertEqual(self.runs(), before + 6)

    def test_answers_are_reused_for_max_age_and_no_longer(self: Any) -> None:
        for row in ("remembers by setting", "remembers by class", "remembers by entry"):
            with self.subTest(row=row):
                self.assertEqual(self.runs(row), self.runs(row))
        for row in ("counts", "forgets by entry"):
            with self.subTest(row=row):
                self.assertEqual(self.runs(row) + 1, self.runs(row))

    def switch(self: Any, name: str, mode: str) -> None:
        path = self.folder / "switches" / name
        path.parent.mkdir(exist_ok=True)
        path.with_suffix(".new").write_text(mode)
        path.with_suffix(".new").replace(path)

    def test_whatever_a_provider_does_the_rest_is_right_and_the_server_lives(self: Any) -> None:
        """Bad input: all that exits, interrupts, cannot be printed, cannot be JSON, or never answers."""
        workers = {process.pid for process in self.server.tree()}
        for name in NAMES:
            resource, _, provider = name.partition(".")
            for mode in (*ANSWERS, "slow", "hang"):
                with self.subTest(provider=name, mode=mode):
                    self.switch(name, mode)
                    self.addCleanup(self.switch, name, "ok")
                    reply = self.site.ask("/status/api", row="switches")
                    self.switch(name, "ok")
                    self.hold(reply, resource, provider, mode)
                    recovered = eventually(lambda: self.is_well(resource, provider))  # noqa: B023
                    self.assertTrue(recovered)
        self.assertEqual({process.pid for process in self.server.tree()}, workers)

    def is_well(self: Any, resource: str, provider: str) -> bool:
        answer = self.site.ask(f"/status/api/{resource}/{provider}", row="switches").json
        return answer is not None and all(value is not False for value in answer.values())

    def hold(self: Any, reply: Reply, resource: str, provider: str, mode: str) -> None:
        document = reply.json
        answer = document[resource].pop(provider)
        others = [answer for answers in document.values() for answer in answers.values()]
        self.assertFalse([other for other in others if isinstance(other, dict) and other.get("ok") is False])
        self.assertLess(reply.seconds, 2.5)
        self.assertLess(len(reply.text), 1_000_000)
        self.assertNotIn("hunter2", reply.text)
        sound = mode in ("slow", "lazy", "large")
        judged = resource != "stats" and provider != "newsletter"
        self.assertEqual(reply.status, 503 if judged and not sound else 200)
        if mode == "fail":
            self.assertEqual(answer, {"service": False})
        elif mode == "null":
            self.assertIsNone(answer)
        elif mode == "lazy":
            self.assertEqual(answer, {"value": "said late"})
        elif not sound:
            self.assertEqual(set(answer), {"ok", "error"})
            self.assertIs(answer["ok"], False)

    def test_what_never_returns_is_reported_at_once_to_the_next_caller(self: Any) -> None:
        self.runs("counts")  # it is in the same module, and the deadline begins when that is loaded
        first, second = (self.site.ask("/status/api/health", row="stuck") for _ in range(2))
        self.assertLess(0.15, first.seconds)
        self.assertLess(first.seconds, 1)
        self.assertLess(second.seconds, 0.15)
        for reply in (first, second):
            self.assertEqual(set(reply.json["one"]), {"ok", "error"})
            self.assertEqual(reply.json["ping"], {"pong": True})


class DatabaseDownTests(ServerTests):
    """With a database that cannot be opened, a transaction around every view, and a login that everything needs."""

    database = "down"
    #: The second is what a browser sends that was logged in before.
    cookies: tuple[dict[str, str], ...] = ({}, {"Cookie": "sessionid=0123456789abcdefghijklmnopqrstuv"})

    def test_nothing_depends_on_the_database(self: Any) -> None:
        for cookie in self.cookies:
            with self.subTest(**cookie):
                self.assertEqual(self.site.ask("/status/api/health/ping", **cookie).json, {"pong": True})
                self.assertEqual(self.site.ask("/status/api/health/caches", **cookie).json, {"default": True})
                health = self.site.ask("/status/api/health", **cookie)
                self.assertEqual((health.status, health.json["databases"]), (503, {"default": False}))
                self.assertEqual(self.site.ask("/status/api", **cookie).status, 503)
                page = self.site.ask("/status/", **cookie)
                self.assertEqual(page.status, 503)
                self.assertIn("<html", page.text)
                self.assertEqual(self.site.ask("/status/api/health", "OPTIONS", **cookie).status, 200)


class Gunicorn(ServerTests):
    @staticmethod
    def serve(env: dict[str, str]) -> services.Web:
        return services.gunicorn("example_project.wsgi", "--log-level", "warning", env=env)


class Uvicorn(ServerTests):
    @staticmethod
    def serve(env: dict[str, str]) -> services.Web:
        return services.uvicorn(
            "example_project.asgi:application", "--lifespan", "off", "--log-level", "warning", env=env
        )


class GunicornTests(Gunicorn, PromiseTests, RunTests, SimpleTestCase):
    pass


class UvicornTests(Uvicorn, PromiseTests, RunTests, SimpleTestCase):
    pass


class GunicornWithoutDoorTests(Gunicorn, WithoutDoor, SimpleTestCase):
    pass


class UvicornWithoutDoorTests(Uvicorn, WithoutDoor, SimpleTestCase):
    pass


class GunicornDatabaseDownTests(Gunicorn, DatabaseDownTests, SimpleTestCase):
    pass


class UvicornDatabaseDownTests(Uvicorn, DatabaseDownTests, SimpleTestCase):
    pass


class DatabaseDownWithoutDoor(DatabaseDownTests):
    front_door = "0"
    # Django's LoginRequiredMiddleware loads the session of who has one before it looks whether the view needs it.
    cookies = ({},)


class GunicornDatabaseDownWithoutDoorTests(Gunicorn, DatabaseDownWithoutDoor, SimpleTestCase):
    pass


class UvicornDatabaseDownWithoutDoorTests(Uvicorn, DatabaseDownWithoutDoor, SimpleTestCase):
    pass


class MistakeTests(SimpleTestCase):
    def test_manage_py_check_tells_every_mistake_that_can_be_seen_without_a_run(self):
        for mistake in MISTAKES:
            with self.subTest(mistake=mistake.what), override_settings(**mistake.settings):
                messages = run_checks(tags=["status"])
                told = [message for message in messages if mistake.setting and mistake.setting in message.msg]
                self.assertEqual(bool(told), mistake.setting is not None, messages)
                for message in told:
                    self.assertRegex(message.msg, "should .* not |should .* but ")
                    self.assertRegex(message.id, r"^status\.(E\d{3}|W020)$")
                    self.assertTrue(message.hint)
