"""What customers see of the engine while checks misbehave: real servers of each kind, asked by real clients."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any
from unittest import mock

import psutil
from django.http import HttpRequest, JsonResponse
from django.test import SimpleTestCase, override_settings, tag
from django.urls import include, path

from status.engine import engine
from tests import probes, services
from tests.components import eventually
from tests.fault_project.providers import ERRORS
from tests.fault_project.servers import Project


def bare(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"pong": True})


urlpatterns = [path("api/bare", bare), path("", include("status.api.urls"))]

#: The deadline in the project that misbehaves, and what an answer may take beyond it.
T, SLACK = 1.0, 0.25
#: An answer "at once": to one probe, and to each of a hundred at the same moment.
AT_ONCE, CROWD_AT_ONCE = 0.05, 0.3
#: Whose connections count: not PostgreSQL's own, and not the one that asks.
CLIENTS = "FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
#: How much slower other pages may be while a check hangs.
UNCHANGED = 1.2
#: Fewer than the servers' threads and clients together, so that whoever takes one each is refused.
CONNECTIONS = 20
#: Seconds that count as nothing where two medians of a few milliseconds are compared.
ATOM = 0.0002


class ServerTestCase(SimpleTestCase):
    """One server for all tests of a class, calm at the start of each."""

    kind = ""
    env: dict[str, str] = {}
    settings_: dict[str, Any] = {}
    project: Project

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.project = Project(cls.kind, cls.env, **cls.settings_)
        cls.addClassCleanup(cls.project.web.stop)
        cls.project.start()

    def setUp(self) -> None:
        self.project.calm()
        self.assertTrue(eventually(lambda: self.get("/status/api/").status == 200, 10), "an earlier test still shows")
        self.assertTrue(eventually(self.warm, 20), "its processes do not become alike")
        self.addCleanup(self.project.calm)

    def warm(self) -> bool:
        """Have the threads beforehand that the server itself, Django's log and our checks keep for requests.

        Whether every process has them: one that has just started may be late for the first requests.
        """
        self.at_once("/nowhere", 50)
        self.at_once("/status/api/", 50)
        return len({process.num_threads() for process in self.project.workers}) == 1

    def get(self, path: str, headers: str = "") -> probes.Answer:
        return probes.get(self.project.port, path, headers)

    def at_once(self, path: str, count: int) -> list[probes.Answer]:
        return probes.at_once(self.project.port, path, count)

    def busy(self) -> probes.Waiting:
        """How long, from now on, server and client are kept waiting by whatever else the machine does."""
        return probes.Waiting(*self.project.workers)

    @contextlib.contextmanager
    def asking(self, path: str, count: int, busy: probes.Waiting | None = None) -> Iterator[list[probes.Answer]]:
        """Ask meanwhile. The answers are complete after the block."""
        answers: list[probes.Answer] = []

        def ask() -> None:
            answers.extend(self.at_once(path, count))
            if busy:
                busy.look()

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield answers
        finally:
            thread.join()

    def page(self, project: Project) -> float:
        """Seconds that an ordinary page takes."""
        answer = probes.get(project.port, "/page")
        self.assertEqual(answer.status, 200)
        return answer.seconds

    def assertAllFail(self, answers: Sequence[probes.Answer], wrong: str, within: float) -> None:
        """Each is a 503 in which ``wrong`` fails, and nothing else."""
        for answer in answers:
            self.assertEqual(answer.status, 503, answer)
            failing = {name for name, value in answer.document.items() if False in value.values()}
            self.assertEqual(failing, {wrong})
            self.assertEqual(answer.document["neighbour"], {"fine": True})
        self.assertLess(max(answer.seconds for answer in answers), within)

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        self.project.switch("hang")
        try:
            yield
        finally:
            self.project.switch("hang", None)


class OnEveryServer:
    """The faults that every kind of server has to stand."""

    kind: str
    processes = 1
    #: A server of the same kind without any fault. What it does at the same time is what the machine allows.
    twin: Project

    @classmethod
    def setUpClass(cls) -> None:
        cls.postgres = services.postgres(max_connections=CONNECTIONS)
        database = cls.postgres.settings(CONN_MAX_AGE=60)
        cls.settings_ = {"DATABASES": {"default": database}}
        super().setUpClass()
        cls.twin = Project(cls.kind)
        cls.addClassCleanup(cls.twin.web.stop)
        cls.twin.start()

    def assertBounded(self: Any, fault: Callable[[], contextlib.AbstractContextManager[Any]], wrong: str) -> None:
        """During ``fault``, which fails ``wrong`` of ``health``, all are answered in time, and pages are as before."""
        address, pids, threads = "/status/api/health", self.project.pids, self.project.threads
        pages: list[tuple[float, float]] = []
        # A machine may take longer for a hundred answers, one after the other, than what is allowed beside it.
        herds = [self.at_once(address, 100) for _ in range(3)]
        calm = UNCHANGED * max(answer.seconds for herd in herds for answer in herd)
        with fault():
            busy = self.busy()
            with self.asking(address, 100, busy) as answers:
                while not answers:
                    pages.append((self.page(self.twin), self.page(self.project)))
            self.assertAllFail(answers, wrong, T + max(SLACK, AT_ONCE + calm) + busy.seconds)
            for _ in range(20):
                busy = self.busy()
                self.assertAllFail([self.get(address)], wrong, AT_ONCE + busy.seconds)
            busy = self.busy()
            self.assertAllFail(self.at_once(address, 100), wrong, max(CROWD_AT_ONCE, AT_ONCE + calm) + busy.seconds)
            with self.asking(address, 50):
                while len(pages) < 100:
                    pages.append((self.page(self.twin), self.page(self.project)))
            few = eventually(lambda: self.project.threads <= threads + 1)
            self.assertTrue(few, f"{threads} threads became {self.project.threads}")
        self.assertTrue(eventually(lambda: self.get(address).status == 200, 1.0), "not green within 1 s")
        idle, meanwhile = map(median, zip(*pages, strict=True))
        self.assertLess(meanwhile, UNCHANGED * idle + ATOM)
        self.assertEqual(self.project.pids, pids)

    def test_check_that_hangs(self: Any) -> None:
        self.assertBounded(self.hanging, "hanging")

    def test_database_that_freezes(self: Any) -> None:
        self.assertBounded(self.postgres.frozen, "databases")

    def test_herd_is_answered_with_one_connection_for_each_process(self: Any) -> None:
        peak, over = [0], threading.Event()

        def watch() -> None:
            with self.postgres.connect() as connection:
                while not over.wait(0.005):
                    peak[0] = max(peak[0], connection.execute(f"SELECT count(*) {CLIENTS}").fetchone()[0])

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            answers = self.at_once("/status/api/health", 500)
        finally:
            over.set()
            watching.join()
        right = {
            "ping": {"pong": True},
            "databases": {"default": True},
            "hanging": {"back": True},
            "neighbour": {"fine": True},
        }
        self.assertEqual([answer.status for answer in answers], [200] * 500)
        self.assertEqual([answer.document for answer in answers], [right] * 500)
        self.assertGreater(peak[0], 0)
        self.assertLessEqual(peak[0], self.processes)

    def test_clients_that_hang_up_leave_nothing_behind(self: Any) -> None:
        self.at_once("/status/api/health", 50)
        threads, files = self.project.threads, self.project.files
        runs = self.project.folder / "runs"
        with self.hanging():
            before = runs.stat().st_size
            probes.leave(self.project.port, "/status/api/health", 200, after=0.01)
            # One process after the other answers them all, though nobody listens.
            back = eventually(lambda: self.project.threads <= threads + 1 and self.project.files <= files, T + 10)
            self.assertTrue(back, f"{threads} threads, {files} files: {self.project.threads}, {self.project.files}")
            self.assertLessEqual(runs.stat().st_size - before, self.processes)

    def test_check_that_raises_is_alone_with_it(self: Any) -> None:
        pids = self.project.pids
        for name in [*ERRORS, "RecursionError"]:
            with self.subTest(error=name):
                self.project.switch("error", name)
                answer = self.get("/status/api/odd")
                self.assertEqual(answer.status, 503)
                self.assertEqual(answer.document["raising"], {"ok": False, "error": f"raised {name}"})
                self.assertEqual(answer.document["neighbour"], {"fine": True})
        self.project.switch("error", None)
        self.assertEqual(self.get("/status/api/odd").status, 200)
        self.assertEqual(self.project.pids, pids)

    def test_async_checks_run_beside_those_that_ask_the_database(self: Any) -> None:
        for _ in range(5):
            answers = self.at_once("/status/api", 20)
            self.assertEqual([answer.status for answer in answers], [200] * 20, answers[0])
            self.assertEqual([answer.document["odd"]["awaiting"] for answer in answers], [{"awaited": True}] * 20)

    def test_check_that_calls_its_own_server(self: Any) -> None:
        self.project.switch("url", f"http://127.0.0.1:{self.project.port}/page")
        answer = self.get("/status/api/odd")
        self.assertLess(answer.seconds, T + SLACK)
        self.assertEqual(answer.document["neighbour"], {"fine": True})
        self.assertIn(answer.document["calling"], ({"self": True}, {"ok": False, "error": "timed out after 1 s"}))
        self.assertTrue(eventually(lambda: self.get("/page").status == 200, 1.0))

    def test_server_stops_at_once_while_a_check_hangs(self: Any) -> None:
        with self.hanging():
            self.get("/status/api/health")
            seconds = self.project.web.terminate(10)
        self.project.start()
        self.assertStopped(seconds, 2.0)

    def test_server_stops_as_soon_as_those_are_answered_who_wait_for_a_check_that_hangs(self: Any) -> None:
        runs = self.project.folder / "runs"
        before = runs.stat().st_size
        with self.hanging(), self.asking("/status/api/health", 3):
            self.assertTrue(eventually(lambda: runs.stat().st_size > before))
            seconds = self.project.web.terminate(10)
        self.project.start()
        self.assertStopped(seconds, T + 2.0)

    def assertStopped(self: Any, seconds: float, within: float) -> None:
        if seconds >= within:  # unless the machine takes as long for the twin, which nothing holds up
            within = max(within, 1.5 * self.twin.web.terminate(10))
            self.twin.start()
        self.assertLess(seconds, within)


@tag("fault", "server")
class GunicornSyncTests(OnEveryServer, ServerTestCase):
    kind = "gunicorn sync"


@tag("fault", "server")
class GunicornThreadsTests(OnEveryServer, ServerTestCase):
    kind = "gunicorn gthread"


@tag("fault", "server")
class GunicornPreloadTests(OnEveryServer, ServerTestCase):
    kind = "gunicorn gthread --preload"
    processes = 2


@tag("fault", "server")
class GunicornGeventTests(OnEveryServer, ServerTestCase):
    kind = "gunicorn gevent"


@tag("fault", "server")
class UvicornTests(OnEveryServer, ServerTestCase):
    kind = "uvicorn"

    def test_event_loop_goes_on(self) -> None:
        busy = self.busy()
        with self.hanging():
            self.get("/gap")  # from now on
            answers = self.at_once("/status/api/health", 5)
            gap = float(self.get("/gap").body)
        self.assertAllFail(answers, "hanging", T + SLACK + busy.seconds)
        self.assertLess(gap, 0.1 + busy.seconds)


@tag("fault", "server")
class UwsgiTests(OnEveryServer, ServerTestCase):
    kind = "uwsgi"


@tag("fault", "server")
class RecoveryTests(ServerTestCase):
    """With the half minute until a lost run is replaced cut short."""

    kind = "gunicorn gthread"
    env = {"FAULT_REPLACE_AFTER": "1.5"}

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.project.start)
        self.addCleanup(self.project.web.stop)

    def test_check_recovers_although_its_first_run_never_returns(self) -> None:
        self.project.switch("stuck")
        answer = self.get("/status/api/odd/stuck")
        self.assertEqual(answer.document, {"ok": False, "error": "timed out after 1 s"})
        self.project.switch("stuck", None)
        self.assertTrue(eventually(lambda: self.get("/status/api/odd/stuck").status == 200, 1.5 + T))
        threads = self.project.threads
        self.at_once("/status/api/odd/stuck", 100)
        self.assertLessEqual(self.project.threads, threads)

    def test_runs_that_never_return_are_three_at_most(self) -> None:
        threads = self.project.threads
        self.project.switch("stuck")
        ending = time.monotonic() + 6
        while time.monotonic() < ending:
            self.assertEqual(self.get("/status/api/odd/stuck").status, 503)
        self.assertLessEqual(self.project.threads, threads + 3)


@tag("fault", "server")
class ConnectionLostTests(ServerTestCase):
    kind = "gunicorn gthread"
    env = {"FAULT_REPLACE_AFTER": "1.5"}

    @classmethod
    def setUpClass(cls) -> None:
        cls.postgres = services.postgres(private=True)
        cls.addClassCleanup(cls.postgres.stop)
        cls.settings_ = {"DATABASES": {"default": cls.postgres.start().settings(CONN_MAX_AGE=None)}}
        super().setUpClass()

    def test_check_recovers_although_its_connection_is_dead_for_good(self) -> None:
        """As when a firewall forgets the connection: nothing ever comes on it, and new ones are fine."""
        ((pid,),) = self.postgres.execute(f"SELECT pid {CLIENTS}")
        backend = psutil.Process(pid)
        backend.suspend()
        try:
            answer = self.get("/status/api/health/databases")
            self.assertEqual(answer.document, {"default": False})
            self.assertLess(answer.seconds, T + SLACK)
            healthy = {"default": True}
            self.assertTrue(eventually(lambda: self.get("/status/api/health/databases").document == healthy, 1.5 + T))
        finally:
            backend.resume()


@tag("fault", "server")
class ThreadLimitTests(ServerTestCase):
    kind = "uwsgi"

    def test_process_that_gets_no_thread_says_so_and_lives(self) -> None:
        pids = self.project.pids
        self.assertEqual(self.get("/exhaust").status, 200)
        try:
            answer = self.get("/status/api/health")
            self.assertEqual(answer.status, 503)
            unavailable = {"ok": False, "error": "no thread could be started to run it"}
            self.assertEqual(answer.document["neighbour"], unavailable)
            self.assertEqual(answer.document["ping"], {"pong": True})
            self.assertEqual(self.get("/page").status, 200)
        finally:
            self.get("/relax")
        self.assertEqual(self.get("/status/api/health").status, 200)
        self.assertEqual(self.project.pids, pids)


@tag("fault", "server")
class ForkTests(SimpleTestCase):
    def test_children_answer_although_a_run_was_in_flight_at_the_fork(self) -> None:
        for kind in ("gunicorn gthread --preload", "uwsgi --py-call-uwsgi-fork-hooks"):
            with self.subTest(kind):
                project = Project(kind, env={"FAULT_ASK_EARLY": "1"})
                project.switch("hang")
                self.addCleanup(project.web.stop)
                project.start()
                project.switch("hang", None)
                answers = probes.at_once(project.port, "/status/api/health", 20)
                self.assertEqual({answer.status for answer in answers}, {200})
                self.assertLess(max(answer.seconds for answer in answers), T)
                project.web.stop()


@tag("fault", "server")
class DeadDatabaseTests(SimpleTestCase):
    """Requests that would begin a transaction, read a session and look for its user in a database that is gone."""

    BEHIND = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]
    COOKIE = "Cookie: sessionid=0123456789abcdefghijklmnopqrstuv\r\n"

    def test_status_is_answered(self) -> None:
        for kind in ("gunicorn gthread", "uvicorn"):
            for front in (["status.middleware.StatusMiddleware"], []):
                with self.subTest(kind, front=front):
                    self.assertAnswered(kind, front + self.BEHIND)

    def assertAnswered(self, kind: str, middleware: list[str]) -> None:
        port = str(services.refused_port())
        dead = {"ENGINE": "django.db.backends.postgresql", "NAME": "n", "USER": "u", "HOST": "127.0.0.1", "PORT": port}
        databases = {"default": {**dead, "ATOMIC_REQUESTS": True}, "other": {**dead, "ATOMIC_REQUESTS": True}}
        settings = {"DATABASES": databases, "MIDDLEWARE": middleware, "STATUS_SHOW_DETAILS": "when-authorized"}
        project = Project(kind, **settings)
        with project.web:
            for headers in ("", self.COOKIE):
                ping = probes.get(project.port, "/status/api/health/ping", headers)
                self.assertEqual((ping.status, ping.document), (200, {"pong": True}))
                health = probes.get(project.port, "/status/api/health", headers)
                self.assertEqual(health.status, 503, project.web.output)
                self.assertEqual(health.document["databases"], {"default": False, "other": False})
                self.assertEqual(health.document["neighbour"], {"fine": True})
                stats = probes.get(project.port, "/status/api/odd", headers)
                self.assertEqual(stats.status, 200)
                overview = probes.get(project.port, "/status/", headers)
                self.assertIn(overview.status, (200, 503))
                self.assertIn(b"<html", overview.body)


@tag("fault", "server")
class CommandTests(SimpleTestCase):
    def test_command_ends_although_the_database_is_frozen(self) -> None:
        with services.postgres(private=True) as postgres:
            project = Project("gunicorn sync", DATABASES={"default": postgres.settings()})
            environment = services.environment(project.env)
            for command in (["-m", "django", "status", "health"], ["-m", "status", "health"]):
                with self.subTest(command):
                    before, _ = self.timed(command, environment)
                    with postgres.frozen():
                        frozen, output = self.timed(command, environment)
                    after, _ = self.timed(command, environment)
                    self.assertIn("databases", output)
                    self.assertLess(frozen, T + max(1.0, SLACK + before, SLACK + after))

    def timed(self, command: list[str], environment: dict[str, str]) -> tuple[float, str]:
        before = time.monotonic()
        done = subprocess.run(
            [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=30, check=False
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return time.monotonic() - before, done.stdout


@tag("fault", "server")
class LivenessTests(SimpleTestCase):
    """``ping`` while everything else hangs: without a provider, a query, a socket, and at the price of any view."""

    def setUp(self) -> None:
        observers = mock.patch.object(engine, "observers", [])
        observers.start()
        self.addCleanup(observers.stop)
        self.release = threading.Event()
        self.runs: list[str] = []
        self.addCleanup(engine.close)
        self.addCleanup(self.settle)

    def settle(self) -> None:
        self.release.set()
        self.assertTrue(eventually(lambda: not engine.busy))

    def hang(self) -> bool:
        self.runs.append("run")
        return self.release.wait(30)

    def test_ping_costs_nothing_while_every_check_hangs(self) -> None:
        hanging = [(f"hanging{number}", self.hang, (), {}, {"timeout": 0.1}) for number in range(10)]
        health = [("ping", "status.providers.health.ping"), *hanging]
        with override_settings(ROOT_URLCONF=__name__, STATUS_PROVIDERS={"health": health}, STATUS_TIMEOUT=0.1):
            self.assertEqual(self.client.get("/api/health").status_code, 503)
            self.assertEqual(len(self.runs), 10)
            with mock.patch("socket.socket.connect", self.fail), mock.patch.object(engine, "run", self.fail):
                times = [(self.seconds("bare"), self.seconds("health/ping")) for _ in range(1000)]
            self.assertEqual(len(self.runs), 10)
        machine, ping = (sorted(column)[990] for column in zip(*times, strict=True))
        self.assertLess(ping, max(0.005, 1.5 * machine))

    def seconds(self, address: str) -> float:
        before = time.perf_counter()
        response = self.client.get(f"/api/{address}")
        seconds = time.perf_counter() - before
        self.assertEqual((response.status_code, response.content), (200, b'{"pong": true}'))
        return seconds
