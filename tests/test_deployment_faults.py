"""What servers, test runners and platforms do around the app: cold starts, preloading, ends, test databases."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from typing import Any

from django.test import SimpleTestCase, tag

from tests import probes, services
from tests.benchmarks import servers
from tests.components import eventually
from tests.fault_project.servers import KINDS, Project, gunicorn
from tests.processes import ROOT, environment
from tests.test_servers_faults import SLACK, T

COLD_STARTS = 50


def done(*command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Return what Python did with these arguments."""
    return subprocess.run(
        [sys.executable, *command], env=environment(env), capture_output=True, text=True, timeout=280, check=False
    )


@tag("fault", "server")
class ColdStartTests(SimpleTestCase):
    def test_first_answers_of_fifty_processes_are_right(self) -> None:
        """FAULTS E1, row 18 of the benchmarks: two clients of Redis and a check that imports a third."""
        env = servers.unloaded()
        answers = []
        for _ in range(COLD_STARTS):
            process = done("-m", "tests.benchmarks.inside", "first_answer", "/status/api/health", **env)
            answers.append(process.stdout or process.stderr)
        self.assertEqual(answers, [json.dumps({"wrong": 0.0}) + "\n"] * COLD_STARTS)

    def test_first_answer_of_a_process_with_a_tenth_of_a_cpu_is_right(self) -> None:
        """FAULTS E2, row 19: imports take longer there than the deadline allows."""
        over = threading.Event()
        server = services.gunicorn(servers.WSGI, "--threads", "4", "--timeout", "300", env=servers.unloaded())

        def throttle() -> None:
            while not over.is_set():
                for process in server.tree():
                    process.suspend()
                time.sleep(0.09)
                for process in server.tree():
                    process.resume()
                time.sleep(0.01)

        with server as web:
            throttling = threading.Thread(target=throttle)
            throttling.start()
            try:
                answer = probes.get(web.port, "/status/api/health")
            finally:
                over.set()
                throttling.join()
                server.thaw()
        self.assertEqual(answer.status, 200, answer)


@tag("fault", "server")
class PreloadTests(SimpleTestCase):
    """FAULTS E2: each line of ``docs/deadlines.rst``, on its server. The check takes a second to import."""

    LATE = {"health": [("late", "tests.fault_project.late.check")]}

    def first_answer(self, start: Callable[[dict[str, str]], services.Web]) -> probes.Answer:
        """Return the first answer of a server that serves pages."""
        project = Project("gunicorn sync", STATUS_PROVIDERS=self.LATE)
        project.web = start(project.env)
        self.addCleanup(project.web.stop)
        answer = probes.get(project.start().port, "/status/api/health")
        self.assertEqual((answer.status, answer.document), (200, {"late": {"late": True}}))
        return answer

    def test_without_it_the_first_answer_is_right_too_only_later(self) -> None:
        self.assertGreater(self.first_answer(KINDS["gunicorn gthread"]).seconds, 0.9)

    def test_gunicorn(self) -> None:
        config = str(ROOT / "tests/fault_project/preload_gunicorn.py")
        self.assertLess(self.first_answer(gunicorn("--threads", "4", "-c", config)).seconds, 0.7)

    def test_uvicorn(self) -> None:
        def start(env: dict[str, str]) -> services.Web:
            return services.uvicorn("tests.fault_project.preload_asgi:application", env=env)

        self.assertLess(self.first_answer(start).seconds, 0.7)

    def test_uwsgi(self) -> None:
        def start(env: dict[str, str]) -> services.Web:
            return services.uwsgi("tests.fault_project.preload_uwsgi:application", env=env)

        self.assertLess(self.first_answer(start).seconds, 0.7)


@tag("fault", "server")
class EndTests(SimpleTestCase):
    def test_server_stops_at_once_while_an_async_check_hangs(self) -> None:
        """FAULTS E3."""
        for kind in ("gunicorn gthread", "gunicorn gthread --preload", "gunicorn gevent", "uvicorn", "uwsgi"):
            with self.subTest(kind):
                project = Project(kind)
                self.addCleanup(project.web.stop)
                project.start().switch("stuck")
                answer = probes.get(project.port, "/status/api/odd/awaiting")
                self.assertEqual(answer.document, {"ok": False, "error": "timed out after 1 s"})
                self.assertLess(project.web.terminate(10), 2)

    def test_limit_of_gunicorn_ends_the_worker_and_not_more(self) -> None:
        """FAULTS E5: the worker is told to abort while it waits for a check, and its successor answers."""
        project = Project("gunicorn sync")
        self.addCleanup(project.web.stop)
        project.start().switch("hang")
        (worker,) = project.workers
        asking = threading.Thread(target=probes.get, args=(project.port, "/status/api/health"))
        asking.start()
        self.assertTrue(eventually((project.folder / "runs").exists))
        worker.send_signal(signal.SIGABRT)
        worker.wait(5)
        asking.join()
        project.switch("hang", None)
        self.assertTrue(eventually(lambda: probes.get(project.port, "/status/api/health").status == 200, 10))


@tag("fault", "server")
class GeventTests(SimpleTestCase):
    def test_driver_that_does_not_know_gevent_holds_up_nobody(self) -> None:
        """FAULTS E4: psycopg2 waits for a frozen PostgreSQL in C, which would stop every greenlet."""
        services.require_module("psycopg2", "pip install psycopg2-binary")
        with services.postgres(private=True) as postgres:
            project = Project(
                "gunicorn gevent", {"FAULT_PSYCOPG2": "1"}, DATABASES={"default": postgres.settings(CONN_MAX_AGE=60)}
            )
            self.addCleanup(project.web.stop)
            project.start()
            self.assertEqual(probes.get(project.port, "/status/api/health").status, 200)
            answers: list[probes.Answer] = []
            with postgres.frozen():
                asking = threading.Thread(
                    target=lambda: answers.extend(probes.at_once(project.port, "/status/api/health", 20))
                )
                asking.start()
                others = []
                while asking.is_alive():
                    others += [probes.get(project.port, path) for path in ("/page", "/status/api/health/ping")]
                asking.join()
            self.assertEqual({answer.status for answer in others}, {200})
            self.assertLess(max(answer.seconds for answer in others), 0.5)
            self.assertEqual({answer.status for answer in answers}, {503})
            self.assertLess(max(answer.seconds for answer in answers), T + 2 * SLACK)
            self.assertTrue(eventually(lambda: probes.get(project.port, "/status/api/health").status == 200, 5))

    def test_timeout_of_gevent_reaches_the_caller(self) -> None:
        """FAULTS E5."""
        code = """
            from gevent import monkey; monkey.patch_all()
            import gevent, time
            from django.conf import settings
            settings.configure()
            from status.engine import Engine
            from status.entries import Check
            from status.providers.base import as_provider
            engine, hang = Engine(), [True]
            def check():
                while hang: time.sleep(0.01)
                return True
            checks = [Check("health", "it", as_provider(check), options={"timeout": 5})]
            for _ in range(3):
                try:
                    with gevent.Timeout(0.05):
                        engine.run(checks)
                except gevent.Timeout:
                    print("told")
            hang.clear()
            print(engine.run(checks)[0].answer)
        """
        process = done("-c", textwrap.dedent(code))
        self.assertEqual((process.stdout, process.returncode), ("told\ntold\ntold\nTrue\n", 0), process.stderr)


@tag("fault")
class PlatformTests(SimpleTestCase):
    def test_platform_without_fork(self) -> None:
        """FAULTS E12: as on Windows."""
        code = """
            import os
            for name in ("fork", "register_at_fork", "forkpty"):
                delattr(os, name)
            import tests.settings, django
            django.setup()
            from django.test import Client
            from django.test.utils import setup_test_environment
            setup_test_environment()
            for address in ("/status/api/health/ping", "/status/api/health", "/status/"):
                print(Client().get(address).status_code)
        """
        process = done("-c", textwrap.dedent(code), DJANGO_SETTINGS_MODULE="tests.settings")
        self.assertEqual((process.stdout, process.returncode), ("200\n200\n200\n", 0), process.stderr)


#: What a customer has: a test that asks for the state of the site, in each of two classes for two processes.
CUSTOMER = {
    "settings.py": """
        import json, os
        SECRET_KEY, USE_TZ, ALLOWED_HOSTS = "x" * 50, True, ["*"]
        INSTALLED_APPS = ["status", "django.contrib.auth", "django.contrib.contenttypes"]
        MIDDLEWARE = ["status.middleware.StatusMiddleware"]
        ROOT_URLCONF = "urls"
        DATABASES = {"default": json.loads(os.environ["DATABASE"])}
        CACHES = {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cached"}}
        STATUS_HISTORY_CACHE = "default"
        STATUS_PROVIDERS = {"health": [
            ("databases", "status.providers.django.health.databases"),
            ("caches", "status.providers.django.health.caches"),
            ("users", "checks.users"),
            ("patient", "checks.patient"),
        ]}
    """,
    "urls.py": """
        from django.urls import include, path
        urlpatterns = [path("status/", include("status.urls"))]
    """,
    "checks.py": """
        from django.contrib.auth.models import User

        def users():
            return {"counted": User.objects.count() >= 0}

        async def patient():
            return {"counted": await User.objects.acount() >= 0}
    """,
    "test_site.py": """
        from django.test import TestCase, TransactionTestCase

        class HealthMixin:
            def test_health(self):
                for _ in range(3):
                    response = self.client.get("/status/api/health")
                    self.assertEqual(response.status_code, 200, response.content)
                self.assertEqual(self.client.get("/status/").status_code, 200)

        class OneTests(HealthMixin, TestCase):
            pass

        class OtherTests(HealthMixin, TransactionTestCase):
            pass
    """,
}


@tag("fault", "server")
class CustomerSuiteTests(SimpleTestCase):
    """FAULTS E8: a test suite on PostgreSQL whose connections live for a minute ends without a complaint."""

    def setUp(self) -> None:
        self.folder = pathlib.Path(services.directory())
        for name, text in CUSTOMER.items():
            (self.folder / name).write_text(textwrap.dedent(text))
        settings: dict[str, Any] = services.postgres().settings(CONN_MAX_AGE=60)
        self.env = environment({"DJANGO_SETTINGS_MODULE": "settings", "DATABASE": json.dumps(settings)})
        self.env["PYTHONPATH"] = os.pathsep.join([str(self.folder), self.env.get("PYTHONPATH", "")])

    def assertEnds(self, *command: str) -> None:
        process = subprocess.run(
            [sys.executable, "-W", "error::ResourceWarning", *command], cwd=self.folder, env=self.env,
            capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
        output = process.stdout + process.stderr
        self.assertEqual(process.returncode, 0, output)
        self.assertNotIn("being accessed by other users", output)
        self.assertNotIn("Warning", output)

    def test_djangos_runner(self) -> None:
        self.assertEnds("-m", "django", "test", "--noinput")

    def test_djangos_runner_in_two_processes(self) -> None:
        self.assertEnds("-m", "django", "test", "--noinput", "--parallel", "2")

    def test_pytest(self) -> None:
        services.require_module("pytest_django", "pip install pytest-django")
        self.assertEnds("-m", "pytest", "-q", "-p", "no:cacheprovider", "--create-db")
