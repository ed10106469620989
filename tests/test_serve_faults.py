"""Celery workers and beat that answer by themselves, all of them real."""

from __future__ import annotations

import http.client
import sys
from contextlib import ExitStack

import psutil
from celery import Celery
from django.test import SimpleTestCase, tag

from tests import services
from tests.components import eventually
from tests.processes import accepts, free_port

PROJECT = "tests.serve_project"


class CeleryProcess(services.Process):
    """A worker or beat. Unlike other tests, these ask it to end in order."""

    stop_timeout = 10

    def __init__(self, role: str, broker: str, *options: str, **env: str) -> None:
        self.role = role
        command = [sys.executable, "-m", "celery", "-A", PROJECT, role, "-l", "info", *options]
        super().__init__(command, env={"CELERY_TEST_BROKER": broker, **env})

    def ready(self) -> bool:
        return (" ready." if self.role == "worker" else "beat: Starting...") in self.output


@tag("fault")
class CeleryTests(SimpleTestCase):
    worker_options = ("-n", "w@test", "-P", "prefork", "-c", "1", "--max-tasks-per-child", "1")

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        with ExitStack() as stack:
            cls.broker = stack.enter_context(services.redis(private=True)).url
            cls.addClassCleanup(stack.pop_all().close)

    def code(self, port: int, address: str = "/status/api/live") -> int:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", address)
            return connection.getresponse().status
        finally:
            connection.close()

    def worker(self, **env: str) -> CeleryProcess:
        return CeleryProcess("worker", self.broker, *self.worker_options, **env)

    def test_a_worker_answers_through_restarts_of_its_pool(self) -> None:
        port = free_port()
        with self.worker(SERVE_ADDRESS=f"127.0.0.1:{port}") as worker:
            self.assertEqual(self.code(port), 200)
            before = {process.pid for process in worker.tree()}
            with Celery(broker=self.broker, set_as_current=False) as app:
                for number in range(3):
                    app.send_task("add", [number])
            self.assertTrue(eventually(lambda: worker.output.count(" succeeded ") == 3, 30.0), worker.output)
            self.assertTrue(eventually(lambda: {one.pid for one in worker.tree()} != before, 30.0))
            self.assertEqual(self.code(port, "/status/api/health"), 200)
            for child in worker.tree()[1:]:
                listening = [one for one in child.net_connections() if one.status == psutil.CONN_LISTEN]
                self.assertEqual(listening, [])
            self.assertLess(worker.terminate(20), 5.0)

    def test_a_worker_whose_broker_is_down_answers(self) -> None:
        port = free_port()
        worker = CeleryProcess("worker", "redis://127.0.0.1:1/0", SERVE_ADDRESS=f"127.0.0.1:{port}")
        worker.ready = lambda: accepts(port)  # type: ignore[method-assign]
        with worker:
            self.assertEqual(self.code(port), 200)

    def test_two_workers_at_one_address(self) -> None:
        """The second one works, and says in its log that it does not answer."""
        port = free_port()
        with self.worker(SERVE_ADDRESS=f"127.0.0.1:{port}"), self.worker(SERVE_ADDRESS=f"127.0.0.1:{port}") as second:
            self.assertIn(f"cannot answer at 127.0.0.1:{port}: Address already in use", second.output)
            self.assertEqual(self.code(port), 200)

    def test_beat_answers(self) -> None:
        port = free_port()
        with CeleryProcess("beat", self.broker, SERVE_BEAT=f"127.0.0.1:{port}") as beat:
            self.assertTrue(eventually(lambda: accepts(port)), beat.output)
            self.assertEqual(self.code(port), 200)
            self.assertLess(beat.terminate(), 5.0)
