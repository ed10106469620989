"""The example project: every part of it with real processes, as a newcomer would run them."""

from __future__ import annotations

import http.cookiejar
import io
import json
import os
import re
import subprocess
import sys
import unittest
import urllib.error
import urllib.parse
import urllib.request
from typing import Any
from unittest import mock

import django
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.test import SimpleTestCase, override_settings, tag

from example_project.services import broker, cache, database, mail, replica, watched
from example_project.shop.management.commands.switch import Command as Switch
from example_project.shop.switches import MODES, NAMES, switch
from tests import services
from tests.components import eventually
from tests.processes import ROOT

WORKER = "shop@localhost"
#: What the machine may have set for itself.
CLEAN = (
    "DATABASE_URL",
    "REDIS_URL",
    "CELERY_BROKER_URL",
    "CELERY_WORKERS",
    "DEBUG",
    "MAIL_URL",
    "REPLICA_URL",
    "TASKS_BACKEND",
    "WATCH_URL",
    "DJANGO_SETTINGS_MODULE",
)


class Shop:
    """The example project with files of its own, and the processes that belong to it."""

    def __init__(self, **env: str) -> None:
        self.folder = services.directory()
        self.env = {**dict.fromkeys(CLEAN, ""), "DEBUG": "1", "EXAMPLE_FOLDER": str(self.folder)}
        self.env["DJANGO_SETTINGS_MODULE"] = "example_project.settings"
        self.env.update(env)

    def manage(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        # From another directory, and without help in finding the modules.
        variables = {**os.environ, **self.env, **env}
        variables.pop("PYTHONPATH", None)
        command = [sys.executable, str(ROOT / "example_project" / "manage.py"), *arguments]
        return subprocess.run(command, env=variables, cwd=self.folder, capture_output=True, text=True, check=False)

    def switch(self, name: str, mode: str) -> None:
        """Do what the command ``switch`` does, without the second that its process takes to start."""
        with mock.patch.dict(os.environ, EXAMPLE_FOLDER=str(self.folder)):
            switch(name, mode)

    def serve(self, workers: int = 1) -> services.Web:
        options = ["--log-level", "warning", "--workers", str(workers)]
        return services.gunicorn("example_project.wsgi", *options, env=self.env)

    def worker(self) -> services.CeleryWorker:
        return services.CeleryWorker(WORKER, "unused://", "example_project", env=self.env)


def get(url: str, opener: Any = None, **fields: str) -> tuple[int, str]:
    data = urllib.parse.urlencode(fields).encode() if fields else None
    try:
        with (opener or urllib.request.build_opener()).open(url, data, timeout=20) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def browser() -> Any:
    return urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))


def token_in(page: str) -> str:
    found = re.search('name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found is not None, page
    return found[1]


@tag("server")
class ExampleTests(SimpleTestCase):
    def assertRuns(self, done: subprocess.CompletedProcess[str], code: int = 0) -> str:
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout


class CommandTests(ExampleTests):
    def test_it_has_no_problems(self):
        self.assertIn("no issues", self.assertRuns(Shop().manage("check")))

    def test_every_check_of_the_documents_is_shown(self):
        """With services named, none of which has to be there for ``manage.py check``, which knows their arguments."""
        shop = Shop(
            CELERY_WORKERS=WORKER,
            DATABASE_URL="postgresql://shop:pw@db.example/shop",
            REPLICA_URL="postgresql://shop:pw@replica.example/shop",
            MAIL_URL="smtp://shop:p%40w@mail.example:2525",
            TASKS_BACKEND="django_tasks.backends.dummy.DummyBackend",
            WATCH_URL="https://shop.example/",
        )
        self.assertIn("no issues", self.assertRuns(shop.manage("check")))
        code = "from status.registry import registry; print([str(one.source) for one in registry.select().checks])"
        quiet = ["--no-imports"] if django.VERSION >= (5, 2) else []
        shown = self.assertRuns(shop.manage("shell", *quiet, "-c", code))
        told = re.findall(r"^``(status[.][\w.]+)``\n~", (ROOT / "docs" / "checks.rst").read_text(), re.MULTILINE)
        self.assertGreater(len(told), 15)
        for name in told:
            self.assertIn(f"'{name}'", shown)

    def test_a_database_without_its_migrations_is_a_warning(self):
        shop = Shop()
        told = self.assertRuns(shop.manage("status", "shop/migrations", "-f", "health+json"))
        self.assertIn('"warn"', told)
        self.assertRuns(shop.manage("migrate", "-v", "0"))
        told = self.assertRuns(shop.manage("status", "shop/migrations", "-f", "health+json"))
        self.assertNotIn('"warn"', told)

    def test_everything_is_well_without_any_server(self):
        document = json.loads(self.assertRuns(Shop().manage("status", "-e", "-f", "json")))
        self.assertEqual(list(document), ["health", "stats", "shop", "host"])
        self.assertEqual(document["stats"]["code"]["scm"], "git")

    def test_heartbeats_are_seen_at_once_and_kept_in_files(self):
        shop = Shop()
        document = json.loads(self.assertRuns(shop.manage("status", "health/heartbeats", "-f", "json")))
        self.assertEqual(document, {"closing": True})
        self.assertIn("are closed", self.assertRuns(shop.manage("closing")))
        told = self.assertRuns(shop.manage("status", "health/heartbeats", "-f", "prometheus"))
        self.assertIn('django_status_heartbeat_age_seconds{name="closing"}', told)
        self.assertEqual(self.assertRuns(shop.manage("status", "beat", "closing")), "closing: heard\n")

    def test_classic_settings_run_unchanged(self):
        shop = Shop(DJANGO_SETTINGS_MODULE="example_project.classic", CELERY_WORKERS=WORKER)
        self.assertRuns(shop.manage("check"))
        document = json.loads(self.assertRuns(shop.manage("status", "-f", "json")))
        self.assertEqual(list(document["health"]), ["ping", "databases", "caches", "storage", "celery"])
        self.assertEqual(list(document["stats"]), ["databases", "code", "celery"])
        self.assertEqual(document["stats"]["code"]["scm"], "git")

    def test_plain_settings_need_no_django_project(self):
        env = {**os.environ, "PYTHONPATH": str(ROOT), "DJANGO_STATUS_SETTINGS": "example_project.plain"}
        env.pop("DJANGO_SETTINGS_MODULE", None)
        command = [sys.executable, "-W", "error", "-m", "status", "-e", "-f", "json"]
        done = subprocess.run(command, env=env, cwd=services.directory(), capture_output=True, text=True, check=False)
        document = json.loads(self.assertRuns(done))
        self.assertEqual(document["health"], {"ping": {"pong": True}, "storage": {"uploads": True}})
        self.assertEqual(document["shop"], {"payments": {"card": True, "invoice": True}})


class SwitchTests(SimpleTestCase):
    """``manage.py switch``, in this process."""

    def setUp(self) -> None:
        environment = mock.patch.dict(os.environ, EXAMPLE_FOLDER=str(services.directory()))
        environment.start()
        self.addCleanup(environment.stop)

    def switch(self, *words: str) -> str:
        out = io.StringIO()
        call_command(Switch(), *words, stdout=out)
        return out.getvalue()

    def test_a_switch_that_there_is_not_is_refused(self):
        for words in (["shop.payment", "fail"], ["shop.payments", "explode"]):
            with self.subTest(words=words), self.assertRaisesRegex(CommandError, "invalid choice"):
                self.switch(*words)

    def test_all_switches_are_told_and_go_back_together(self):
        self.assertIn("shop.payments hang", self.switch("shop.payments", "hang"))
        self.assertEqual(self.switch("all", "ok").splitlines(), [f"{name} ok" for name in NAMES])

    def test_the_help_names_every_mode(self):
        told = Switch().create_parser("manage.py", "switch").format_help()
        for mode in MODES:
            self.assertIn(mode, told)


class ServedTests(ExampleTests):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.shop = Shop()
        cls.server = cls.shop.serve().start()
        cls.addClassCleanup(cls.server.stop)

    def setUp(self) -> None:
        for name in NAMES:
            self.addCleanup(self.shop.switch, name, "ok")

    def test_the_fleet_is_seen_at_once_and_kept_in_files(self):
        get(f"{self.server.url}/status/api/health")

        def roles() -> Any:
            return json.loads(self.assertRuns(self.shop.manage("status", "fleet", "-f", "json")))["roles"]

        self.assertTrue(eventually(lambda: list(roles()) == ["web"], 20.0), roles())

    def test_a_switch_reaches_all_processes_at_once(self):
        with self.shop.serve(workers=2) as server:
            url = f"{server.url}/status/api/health"
            self.assertEqual(get(url)[0], 200)
            self.assertRuns(self.shop.manage("switch", "health.storage", "fail"))
            self.assertEqual({get(url)[0] for _ in range(20)}, {503})
            self.assertRuns(self.shop.manage("status", "health", "-e"), 1)
            self.assertRuns(self.shop.manage("switch", "all"))
            self.assertEqual({get(url)[0] for _ in range(20)}, {200})

    def test_what_hangs_goes_on_when_it_is_switched_back(self):
        url = f"{self.server.url}/status/api/shop/payments"
        self.shop.switch("shop.payments", "hang")
        status, text = get(url)
        self.assertEqual((status, json.loads(text)["error"]), (503, "timed out after 1.5 s"))
        self.shop.switch("shop.payments", "ok")
        self.assertTrue(eventually(lambda: get(url)[0] == 200))

    def test_a_page_has_the_switches(self):
        opener, url = browser(), f"{self.server.url}/switches/"
        status, page = get(url, opener)
        self.assertEqual(status, 200)
        for text in (*NAMES, *MODES):
            self.assertIn(text, page)
        token = token_in(page)
        status, page = get(url, opener, name="stats.sales", mode="raise", csrfmiddlewaretoken=token)
        self.assertIn('<option value="raise" selected>', page)
        self.assertIn("ConnectionError", get(f"{self.server.url}/status/api/stats/sales")[1])
        self.assertEqual(get(url, opener, name="stats.sales", mode="explode", csrfmiddlewaretoken=token)[0], 400)
        self.assertEqual(get(url, name="stats.sales", mode="raise")[0], 403)

    def test_the_front_page_leads_to_everything(self):
        page = get(f"{self.server.url}/")[1]
        for address in re.findall('href="([^"]+)"', page):
            with self.subTest(address=address):
                self.assertIn(get(self.server.url + address)[0], (200, 500) if "admin" in address else (200,))


class StrangerTests(ExampleTests):
    def test_without_debug_there_are_no_switches_and_only_staff_sees_details(self):
        shop = Shop(DEBUG="0", ALLOWED_HOSTS="shop.example", DJANGO_SUPERUSER_PASSWORD="opensesame")
        self.assertRuns(shop.manage("migrate", "-v", "0"))
        self.assertRuns(shop.manage("createsuperuser", "--noinput", "--username", "ann", "--email", "ann@shop.example"))
        with shop.serve() as server:
            self.assertEqual(get(f"{server.url}/switches/")[0], 404)
            self.assertNotIn("switches", get(f"{server.url}/")[1])
            details = f"{server.url}/status/api/health?format=health%2Bjson"
            self.assertNotIn("responseTime", get(details)[1])
            opener, login = browser(), f"{server.url}/admin/login/"
            fields = {"username": "ann", "password": "opensesame", "next": "/"}
            get(login, opener, csrfmiddlewaretoken=token_in(get(login, opener)[1]), **fields)
            self.assertIn("responseTime", get(details, opener)[1])


class CeleryTests(ExampleTests):
    def prove(self, shop: Shop) -> None:
        """A worker in a process of its own answers a web server's processes, and is missed when it is gone."""
        with shop.serve() as server:
            health, stats = (f"{server.url}/status/api/{resource}/celery" for resource in ("health", "stats"))
            self.assertEqual(get(health), (503, json.dumps({WORKER: False})))
            with shop.worker() as worker:
                self.assertTrue(eventually(lambda: get(health) == (200, json.dumps({WORKER: True}))), worker.output)
                self.assertEqual(json.loads(get(stats)[1])[WORKER]["pid"], worker.pid)
                self.assertRuns(shop.manage("status", "health/celery", "-e"))
            self.assertEqual(get(health)[0], 503)

    def test_the_broker_made_of_files_carries_remote_control(self):
        self.prove(Shop(CELERY_WORKERS=WORKER))

    def test_a_classic_project_watches_its_workers(self):
        self.prove(Shop(CELERY_WORKERS=WORKER, DJANGO_SETTINGS_MODULE="example_project.classic"))

    def test_redis_is_used_where_it_is_named(self):
        url = services.redis().url
        self.prove(Shop(CELERY_WORKERS=WORKER, CELERY_BROKER_URL=url))


class ServerTests(ExampleTests):
    def test_postgresql_and_redis_are_used_where_they_are_named(self):
        postgres, redis = services.postgres(), services.redis()
        shop = Shop(DATABASE_URL=postgres.dsn, REDIS_URL=redis.url)
        document = json.loads(self.assertRuns(shop.manage("status", "-e", "-f", "json")))
        self.assertEqual(document["health"]["databases"], {"default": True})
        self.assertEqual(document["health"]["caches"], {"default": True, "status": True})
        self.assertEqual(document["health"]["heartbeats"], {"closing": True})
        self.assertEqual(document["stats"]["databases"]["default"]["vendor"], "postgresql")
        self.assertFalse((shop.folder / "db.sqlite3").exists())


class VariableTests(unittest.TestCase):
    def test_a_database_url_is_read_with_its_escapes(self):
        self.assertEqual(
            database("mysql://sh%40p:p%2Fw@db.example:3307/orders", ROOT),
            {
                "ENGINE": "django.db.backends.mysql",
                "NAME": "orders",
                "USER": "sh@p",
                "PASSWORD": "p/w",
                "HOST": "db.example",
                "PORT": 3307,
            },
        )

    def test_an_unknown_database_is_refused_in_words(self):
        with self.assertRaisesRegex(ValueError, "DATABASE_URL should begin with one of postgres, .*, not 'oracle'"):
            database("oracle://db/orders", ROOT)

    def test_a_mail_server_is_read_with_its_login(self):
        read = mail("smtp://sh%40p:p%2Fw@mail.example")
        options = read["MAILERS"]["default"]["OPTIONS"] if "MAILERS" in read else read
        self.assertEqual(list(options.values()), ["mail.example", 25, "sh@p", "p/w"])
        self.assertEqual((mail(""), replica("")), ({}, {}))
        with self.assertRaisesRegex(ValueError, "MAIL_URL should begin with smtp://"):
            mail("mail.example")

    def test_named_servers_are_used_as_they_are(self):
        self.assertEqual(cache("redis://cache.example/1")["LOCATION"], "redis://cache.example/1")
        self.assertEqual(broker("amqp://broker.example//", ROOT), {"CELERY_BROKER_URL": "amqp://broker.example//"})

    def test_an_address_to_watch_is_watched_in_every_way(self):
        """Its arguments are those that the checks take, and nobody has to be reached for that."""
        providers = watched("https://shop.example:8443/health")
        with override_settings(STATUS_CHECK_PROVIDERS=providers):
            self.assertEqual(run_checks(tags=["status"]), [])
        self.assertEqual([entry[0] for entry in providers["network"]], ["name", "port", "certificate", "page"])
        self.assertEqual(watched(""), {})
        with self.assertRaisesRegex(ValueError, "WATCH_URL should begin with https://"):
            watched("shop.example")
