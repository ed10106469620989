"""What a request with a cookie costs while the database or the cache is frozen: real servers of each kind."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from django.test import SimpleTestCase, tag

from tests import probes, services
from tests.components import eventually

#: The deadline of the project, and what an answer may take beyond it.
T, SLACK = 1.0, 1.0
WSGI, ASGI = "django.core.wsgi:get_wsgi_application()", "django.core.asgi:get_asgi_application"
#: Prints the cookie of a new session of a member of staff.
LOG_IN = """
import django; django.setup()
from importlib import import_module
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.core.management import call_command
call_command("migrate", verbosity=0)
user = User.objects.filter(username="root").first() or User.objects.create_superuser("root", password="root")
session = import_module(settings.SESSION_ENGINE).SessionStore()
session[SESSION_KEY], session[HASH_SESSION_KEY] = str(user.pk), user.get_session_auth_hash()
session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
session.save()
print(session.session_key)
"""


class CookieTestCase(SimpleTestCase):
    """Servers of one kind, whose sessions are in the database or in the cache."""

    postgres: services.Postgres
    redis: services.Redis

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.postgres, cls.redis = services.postgres(private=True), services.redis(private=True)
        for server in (cls.postgres, cls.redis):
            cls.addClassCleanup(server.stop)
            server.start()

    def prepare(self, sessions: str) -> dict[str, str]:
        """Make the tables and a session of staff; return the environment of the servers."""
        self.mails = pathlib.Path(services.directory())
        env = {
            "DJANGO_SETTINGS_MODULE": "tests.cookie_project",
            "COOKIE_DATABASE": json.dumps(self.postgres.settings()),
            "COOKIE_CACHE": self.redis.url,
            "COOKIE_SESSIONS": sessions,
            "COOKIE_MAILS": str(self.mails),
        }
        command = [sys.executable, "-c", LOG_IN]
        done = subprocess.run(command, env=services.environment(env), capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.staff = f"Cookie: sessionid={done.stdout.strip()}\r\n"
        self.cookies = ("", "Cookie: _ga=1\r\n", f"Cookie: sessionid={'x' * 32}\r\n", self.staff)
        return env

    def at_once(self, web: services.Web, path: str, headers: list[str]) -> list[probes.Answer]:
        answers: list[probes.Answer] = []
        asking = [
            threading.Thread(target=lambda each=each: answers.append(probes.get(web.port, path, each)))
            for each in headers
        ]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
        return answers

    def knows_staff(self, web: services.Web) -> bool:
        return b"Server-Timing" in probes.get(web.port, "/status/api/health", self.staff).head


@tag("fault", "server")
class FrozenTests(CookieTestCase):
    """FAULTS A2"""

    def servers(self, env: dict[str, str]) -> Iterator[tuple[str, services.Web]]:
        sync = ("--workers", "2", "--timeout", "5")
        yield "gunicorn sync", services.gunicorn(WSGI, *sync, env=env)
        yield "gunicorn gthread", services.gunicorn(WSGI, "--threads", "24", "--timeout", "5", env=env)
        options = ("--factory", "--lifespan", "off", "--no-access-log")
        yield "uvicorn", services.uvicorn(ASGI, *options, env=env)

    def test_database(self) -> None:
        self.assertBounded("db", self.postgres)

    def test_cache(self) -> None:
        self.assertBounded("cache", self.redis)

    def assertBounded(self, sessions: str, frozen: services.Server) -> None:
        env = self.prepare(sessions)
        for kind, server in self.servers(env):
            with self.subTest(kind), server as web:
                self.assertTrue(eventually(lambda web=web: self.knows_staff(web), 10), web.output)
                with frozen.frozen():
                    busy = probes.Waiting(*web.tree())
                    for cookie in self.cookies:
                        for path in ("/status/api/health", "/status/"):
                            answers = self.at_once(web, path, [cookie] * 20)
                            self.assertEqual({answer.status for answer in answers}, {503}, (path, cookie))
                            slowest = max(answer.seconds for answer in answers)
                            self.assertLess(slowest, T + SLACK + busy.seconds, (path, cookie))
                            before = busy.seconds
                            ping = probes.get(web.port, "/status/api/health/ping", cookie)
                            self.assertEqual(ping.status, 200)
                            self.assertLess(ping.seconds, 0.2 + busy.seconds - before)
                    told = probes.get(web.port, "/status/", self.staff)
                    self.assertIn(b"Nobody could be looked up", told.body)
                    pids = {process.pid for process in web.tree()}
                self.assertTrue(eventually(lambda web=web: self.knows_staff(web), 2.0), "staff are not known again")
                self.assertEqual({process.pid for process in web.tree()}, pids)
                self.assertNotIn("WORKER TIMEOUT", web.output)
                self.assertEqual(os.listdir(self.mails), [])


class CrowdTestCase(CookieTestCase):
    """FAULTS A1"""

    def assertStaffAreKnown(self, pause: float) -> None:
        """Ask a hundred times as a member of staff, beside 16 strangers. pause: seconds between two questions."""
        env = {**self.prepare("db"), "COOKIE_VISITS": "no"}
        for kind, web in (
            ("gunicorn gthread", services.gunicorn(WSGI, "--threads", "24", env=env)),
            ("uvicorn", services.uvicorn(ASGI, "--factory", "--lifespan", "off", "--no-access-log", env=env)),
        ):
            with self.subTest(kind), web, self.crowd(web):
                self.assertTrue(eventually(lambda web=web: self.knows_staff(web), 10), web.output)
                known = []
                while len(known) < 100:
                    known.append(self.knows_staff(web))
                    time.sleep(pause)
                self.assertEqual(known, [True] * 100)

    @contextlib.contextmanager
    def crowd(self, web: services.Web) -> Iterator[None]:
        over = threading.Event()

        def ask() -> None:
            while not over.is_set():
                probes.get(web.port, "/status/api/health", f"Cookie: sessionid={os.urandom(16).hex()}\r\n")

        asking: list[Any] = [threading.Thread(target=ask) for _ in range(16)]
        for thread in asking:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in asking:
                thread.join()


@tag("fault", "server")
class CrowdTests(CrowdTestCase):
    def test_made_up_cookies_do_not_starve_staff(self) -> None:
        self.assertStaffAreKnown(pause=0.0)


@tag("soak")
class LongCrowdTests(CrowdTestCase):
    def test_made_up_cookies_of_half_a_minute_do_not_starve_staff(self) -> None:
        self.assertStaffAreKnown(pause=0.3)
