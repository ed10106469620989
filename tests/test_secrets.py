"""Secrets planted in every place that has some,
and providers that tell them: not one is found in anything that comes out."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from django.test import SimpleTestCase, override_settings, tag

from status.checks import mistakes
from status.formats import FORMATS
from tests import repositories, secrets_project, services
from tests.secrets_project import ENVIRONMENT, PLACES, TOKEN, UNKNOWN

SETTINGS = "tests.secrets_project"
MANAGE = "import sys; from django.core.management import execute_from_command_line as run; run(['m', *sys.argv[1:]])"
API = (
    "/status/api", "/status/api/health", "/status/api/stats",
    *(f"/status/api/{resource}/{entry[0]}" for resource,
    entries in secrets_project.STATUS_PROVIDERS.items() for entry in entries),
    "/status/api/health/celery", "/status/api/stats/celery", "/status/api/nothing", "/status/api/health/nothing",
)  # fmt: skip
PAGES = ("/status/", "/status/health/", "/status/stats/")
QUERIES = ("", *(f"?format={name}" for name in FORMATS), "?check=answers", "?check=nothing")
COMMANDS = (
    ("health",), ("stats",), ("health", "-e"), ("health", "--list"), ("-h",), ("health", "-h"), ("nothing",),
    ("health", "--nothing"),
    *(("health", "-f", name) for name in FORMATS), *(("stats", "-f", name) for name in FORMATS), ("health/raises",),
)  # fmt: skip


class SecretsTests(SimpleTestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        services.require_module("psycopg", "pip install psycopg[binary]")
        services.require_module("redis", "pip install redis")
        services.require_module("celery", "pip install celery")

    def environment(self) -> dict[str, str]:
        checkout = repositories.folder(self) / "checkout"
        repositories.repository(checkout)
        secret = iter(UNKNOWN.values())
        repositories.git(checkout, "remote", "add", "origin", f"https://user:{next(secret)}@git.example/x.git")
        repositories.git(checkout, "config", f"url.https://x:{next(secret)}@git.example/.insteadOf", "work:")
        email = f"{next(secret)}@example.com"
        repositories.git(
            checkout, "commit", "--allow-empty", "-m", "More", GIT_AUTHOR_EMAIL=email, GIT_COMMITTER_EMAIL=email
        )
        repositories.git(checkout, "tag", "-a", "v1", "-m", next(secret))
        repositories.git(checkout, "config", "credential.helper", f"!echo password={next(secret)}")
        return {
            **ENVIRONMENT,
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "SECRETS_FOLDER": str(checkout),
            "SECRETS_PORT": str(services.refused_port()),
        }

    def assertTellsNothing(self, text: str, where: object) -> None:
        told = [place for place, secret in PLACES.items() if secret in text]
        self.assertEqual(told, [], where)

    def test_there_are_more_than_forty_places(self):
        self.assertGreater(len(PLACES), 40)
        self.assertEqual(len(set(PLACES.values())), len(PLACES))

    def test_addresses_pages_and_the_log(self):
        app = "django.core.wsgi:get_wsgi_application()"
        env = self.environment()
        with services.gunicorn(app, "--threads", "4", "--access-logfile", "-", env=env) as web:
            asked = 0
            for headers in ({}, {"Authorization": f"Bearer {TOKEN}"}, {"Authorization": f"Bearer {TOKEN}x"}):
                for address in (
                    *(address + query for address, query in itertools.product(API[:6], QUERIES)),
                    *API,
                    *PAGES,
                ):
                    for method in ("GET", "OPTIONS", "POST"):
                        # A connection each: a server may close one that was kept at any moment.
                        with contextlib.closing(
                            http.client.HTTPConnection("127.0.0.1", web.port, timeout=20)
                        ) as connection:
                            connection.request(method, address, headers=headers)
                            response = connection.getresponse()
                            text = f"{response.headers}\n{response.read().decode()}"
                        self.assertIn(response.status, (200, 401, 404, 405, 406, 503), address)
                        self.assertTellsNothing(text, (method, address, headers))
                        asked += 1
            output = web.output
        self.assertGreater(asked, 500)
        self.assertIn("Told", output)  # the log has the traces
        self.assertTellsNothing(output, "the log")

    def test_commands_and_what_they_log(self):
        self.hold((("status", "health"), ("status", "stats", "-f", "json"), ("check", "--deploy", "--tag", "status")))

    @tag("fault")
    def test_every_command_in_every_format(self):
        self.hold((*(("status", *words) for words in COMMANDS), ("status", "health", "--traceback")))

    def hold(self, commands: Iterable[Sequence[str]]) -> None:
        env = services.environment(self.environment())
        for words in commands:
            done = subprocess.run(
                [sys.executable, "-c", MANAGE, *words],
                capture_output=True, text=True, env=env, cwd=Path(__file__).parent, timeout=60, check=False,
            )  # fmt: skip
            with self.subTest(command=words):
                self.assertIn(done.returncode, (0, 1, 2, 3), done.stderr)
                self.assertTellsNothing(done.stdout + done.stderr, words)


class MisplacedTests(SimpleTestCase):
    """A URL with a login stands where the name of something is wanted."""

    URL = "rediss://production_user_of_the_shop:qW3rtzuiop@cache.example:6379/0"

    def assertHidden(self, text: str, where: object) -> None:
        self.assertIn("rediss://********", text, where)
        self.assertNotIn("qW3", text, where)
        self.assertNotIn("production", text, where)

    def test_where_the_alias_of_the_store_should_stand(self) -> None:
        with override_settings(STATUS_STORE=self.URL, DEBUG=False):
            for address in ("/status/api/fleet", "/status/fleet/"):
                self.assertHidden(self.client.get(address).content.decode(), address)
        for setting in ("STATUS_STORE", "STATUS_HISTORY_CACHE"):
            with override_settings(**{setting: self.URL}):
                told = [str(message) for message in mistakes() if message.msg.startswith(setting)]
                self.assertHidden("".join(told), setting)

    def test_where_a_name_in_an_entry_should_stand(self) -> None:
        for entry in (
            (self.URL, "status.providers.health.ping"),
            ("a", self.URL),
            ("a", "status.providers.django.health.system_checks", None, {"tags": [self.URL]}),
        ):
            with self.subTest(entry), override_settings(STATUS_PROVIDERS={"health": [entry]}):
                self.assertHidden(self.client.get("/status/api/health").content.decode(), entry)
                self.assertHidden("".join(map(str, mistakes())), entry)
        named = ("a", "status.providers.django.health.databases", None, {"aliases": [self.URL]})
        with override_settings(STATUS_PROVIDERS={"health": [named]}, STATUS_NETWORKS=[self.URL]):
            self.assertHidden("".join(map(str, mistakes())), named)
