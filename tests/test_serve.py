"""Processes without a web server: the addresses from a thread, slow and many clients, loops that hang, forks."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from celery import signals
from django.apps import apps
from django.test import Client, override_settings
from django.urls import include, path

from status import logs, loops, serve, touch
from status.engine import engine
from status.registry import registry
from status.serving import ThreadedServer, servers
from tests import services
from tests.components import EnteringTestCase, eventually
from tests.processes import absent, accepts, environment, free_port

urlpatterns = [path("status/", include("status.urls"))]
PING = {"health": [("ping", "status.providers.health.ping")]}
#: A request that never ends.
HALF = b"GET /status/api/health HTTP/1.1\r\nHost: x\r\nX-Slow: "


@override_settings(ROOT_URLCONF=__name__, STATUS_PROVIDERS=PING)
class ServeTestCase(EnteringTestCase):
    host = "127.0.0.1"

    def setUp(self) -> None:
        self.port = free_port()
        self.addCleanup(engine.close)
        self.addCleanup(self.stop)

    def stop(self) -> None:
        for server in servers.get().values():
            server.shutdown()
            server.server_close()
        servers._values.clear()
        loops._loops._values.clear()

    def serve(self, *path: str) -> bool:
        return serve(f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}", *path)

    def ask(self, address: str, method: str = "GET", **headers: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
        try:
            connection.request(method, address, headers=headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def connect(self, data: bytes = b"") -> socket.socket:
        connection = socket.create_connection((self.host, self.port), timeout=10)
        self.addCleanup(connection.close)
        connection.sendall(data)
        return connection


class AddressTests(ServeTestCase):
    def test_the_same_addresses_and_no_others(self):
        self.assertTrue(self.serve())
        self.assertEqual(self.ask("/status/api/health"), (200, '{"ping": {"pong": true}}'))
        self.assertEqual(self.ask("/status/api/live"), (200, '{"ping": {"pong": true}}'))
        self.assertIn("<h1", self.ask("/status/")[1])
        self.assertEqual(self.ask("/status")[0], 200)
        self.assertEqual(self.ask("/status/api/health/ping", "HEAD"), (200, ""))
        self.assertEqual(self.ask("/status/api/beat/backup", "POST")[0], 403)
        self.assertEqual(self.ask("/status/api/health", "PUT")[0], 405)
        self.assertIn("django_status_up", self.ask("/status/api/health", Accept="text/plain;version=0.0.4")[1])
        for address in ("/", "/admin/", "/status/api/nothing"):
            self.assertEqual(self.ask(address)[0], 404)
        told = {"error": "There is no such address. Those that are here begin with /status/."}
        code, text = self.ask("/status/nothing")
        self.assertEqual((code, json.loads(text)), (404, told))

    def test_a_failing_check_is_503_and_an_authorized_caller_sees_why(self):
        token = "tT0k3nThatIsLongEnough-and-random-9x7"
        failing = {"health": [("stock", "builtins.dict", None, {"items": False})]}
        self.serve()
        with override_settings(STATUS_PROVIDERS=failing, STATUS_TOKENS=[token], STATUS_ERROR_CODE=520):
            self.assertEqual(self.ask("/status/api/health"), (520, '{"stock": {"items": false}}'))
            connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
            self.addCleanup(connection.close)
            connection.request("GET", "/status/api/health", headers={"Authorization": f"Bearer {token}"})
            headers = connection.getresponse().headers
            self.assertIn("Server-Timing", headers)
            self.assertEqual(headers.get_all("Server"), ["django-status"])  # and no version of Python

    @override_settings(STATUS_PUBLIC=(), STATUS_NETWORKS=["10.0.0.0/8"], STATUS_TRUSTED_PROXIES=["127.0.0.1"])
    def test_a_header_that_only_looks_like_that_of_the_proxy_is_dropped(self):
        """WSGI knows no difference between them, and a proxy passes on the one that it does not set."""
        self.serve()
        for headers, code in (
            ({"X-Forwarded-For": "10.1.2.3"}, 200),
            ({"X_Forwarded_For": "10.1.2.3"}, 403),
            ({"X-Forwarded-For": "192.0.2.1", "X_Forwarded_For": "10.1.2.3"}, 403),
        ):
            self.assertEqual(self.ask("/status/api/health", Host="localhost", **headers)[0], code, headers)

    def test_another_path_and_none(self):
        self.assertTrue(self.serve("/worker"))
        self.assertEqual(self.ask("/worker/api/live")[0], 200)
        self.assertEqual(self.ask("/status/api/live")[0], 404)
        self.port = free_port()
        self.assertTrue(self.serve("/"))
        self.assertEqual(self.ask("/api/live")[0], 200)

    def test_garbage_is_refused(self):
        self.serve()
        self.assertIn(b"Error response", self.connect(b"\x16\x03\x01garbage\r\n\r\n").recv(1000))
        self.assertEqual(self.ask("/status/api/live")[0], 200)


class CeleryTests(ServeTestCase):
    """With the signals of Celery; tests/test_serve_faults.py has real workers."""

    def setUp(self) -> None:
        super().setUp()
        for signal in (signals.worker_init, signals.worker_ready, signals.beat_init, signals.beat_embedded_init):
            self.addCleanup(signal.disconnect, dispatch_uid="status")

    def test_workers_and_beat_answer_where_the_setting_says(self):
        for role, signal in (("worker", signals.worker_init), ("beat", signals.beat_init)):
            self.port = free_port()
            with self.subTest(role=role), override_settings(STATUS_SERVE={role: f"{self.host}:{self.port}"}):
                apps.get_app_config("status").ready()
                other = signals.beat_init if role == "worker" else signals.worker_init
                other.send(sender=None)
                self.assertFalse(accepts(self.port))
                signal.send(sender=None)
                self.assertEqual(self.ask("/status/api/live")[0], 200)

    def test_without_the_setting_nothing_listens_to_celery(self):
        before = list(signals.worker_init.receivers)
        apps.get_app_config("status").ready()
        self.assertEqual(signals.worker_init.receivers, before)


class IPv6Tests(ServeTestCase):
    host = "::1"

    def test_an_address_in_brackets(self):
        self.assertTrue(self.serve())
        self.assertEqual(self.ask("/status/api/live")[0], 200)


class BindTests(ServeTestCase):
    def test_a_port_that_is_taken_is_a_line_in_the_log(self):
        with socket.create_server((self.host, self.port)), self.assertLogs("status", "ERROR") as caught:
            self.assertFalse(self.serve())
        told = f"cannot answer at {self.host}:{self.port}: Address already in use. The process goes on without."
        self.assertIn(told, caught.output[0])
        self.assertTrue(self.serve())

    def test_the_same_address_once_more_is_no_mistake(self):
        self.assertTrue(self.serve())
        self.assertTrue(self.serve())
        self.assertTrue(self.serve("/status"))

    def test_the_same_address_with_another_path_is_a_line_in_the_log(self):
        self.assertTrue(self.serve())
        with self.assertLogs("status", "ERROR") as caught:
            self.assertFalse(self.serve("/other/"))
        told = f"status.serve() answers at {self.host}:{self.port} below /status/ already, and not below /other/."
        self.assertIn(told, caught.output[0])
        self.assertEqual(self.ask("/status/api/live")[0], 200)

    def test_no_name_is_looked_up(self):
        with mock.patch("socket.getfqdn", side_effect=AssertionError), mock.patch("socket.gethostbyaddr") as by_address:
            self.assertTrue(self.serve())
            self.assertEqual(self.ask("/status/api/live")[0], 200)
        by_address.assert_not_called()

    def test_mistakes_are_told_and_raise_nothing(self):
        addresses = (None, "", ":8090", "localhost:8090", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999", "::1:80", 8090)
        for address in (*addresses, "[127.0.0.1]:80", "127.0.0.1:٣", "127.0.0.1:00809012"):
            with self.subTest(address=address), self.assertLogs("status", "ERROR") as caught:
                self.assertFalse(serve(address))
                self.assertIn('should get an IP address and a port, such as "127.0.0.1:8090"', caught.output[0])
        for below in ("status/", None, "/<int:x>/", "/status?x", "/status#x"):
            with self.subTest(path=below), self.assertLogs("status", "ERROR") as caught:
                self.assertFalse(serve(f"127.0.0.1:{self.port}", below))
                self.assertIn('should get a path such as "/status/"', caught.output[0])
        with mock.patch.object(apps, "ready", False), self.assertLogs("status", "ERROR") as caught:
            self.assertFalse(self.serve())
        self.assertIn("after django.setup()", caught.output[0])

    def test_without_a_thread_the_process_goes_on(self):
        no_thread = mock.patch("threading.Thread.start", side_effect=RuntimeError("can't start new thread"))
        with no_thread, self.assertLogs("status", "ERROR") as caught:
            self.assertFalse(self.serve())
        self.assertIn("can't start new thread", caught.output[0])


class CrowdTests(ServeTestCase):
    def crowd(self, count: int, address: str) -> list[int]:
        codes: list[int] = []
        threads = [threading.Thread(target=lambda: codes.append(self.ask(address)[0])) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return codes

    def test_a_hundred_clients_at_once(self):
        self.serve()
        self.assertEqual(self.crowd(100, "/status/api/health"), [200] * 100)
        (server,) = servers.get().values()
        self.assertTrue(eventually(lambda: not server.taken))
        self.assertEqual(server.reading, {})

    def test_slow_clients_keep_nobody_out(self):
        """Issue row: slow clients (slowloris). They take all places, and the slowest are hung up on."""
        self.serve()
        slow = [self.connect(HALF) for _ in range(ThreadedServer.limit + 8)]
        before = time.monotonic()
        self.assertEqual(self.ask("/status/api/live")[0], 200)
        self.assertLess(time.monotonic() - before, 3)
        self.assertLessEqual(threading.active_count(), ThreadedServer.limit + 10)
        for connection in slow:
            connection.close()

    def test_a_client_that_drips_is_hung_up_on(self):
        with mock.patch.object(ThreadedServer, "read_seconds", 0.3):
            self.serve()
            connection = self.connect(HALF)
            with self.assertRaises(OSError):
                for _ in range(100):
                    connection.sendall(b"x")
                    time.sleep(0.05)

    def test_a_client_that_says_nothing_is_hung_up_on(self):
        with mock.patch.object(ThreadedServer, "read_seconds", 0.2):
            self.serve()
            self.assertEqual(self.connect().recv(1), b"")

    def test_without_a_thread_a_client_is_hung_up_on_and_the_next_one_is_not(self):
        self.serve()
        with mock.patch("threading.Thread.start", side_effect=RuntimeError("can't start new thread")):
            self.assertEqual(self.connect().recv(1), b"")
        self.assertEqual(self.ask("/status/api/live")[0], 200)


class LoopTests(ServeTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.late = 0.0
        real = time.monotonic
        self.enter(mock.patch("status.providers.health.time.monotonic", lambda: real() + self.late))
        self.addCleanup(logs._logged_at.clear)

    def get(self, resource: str) -> tuple[int, Any]:
        response = Client().get(f"/status/api/{resource}")
        return response.status_code, response.json()

    def test_loops_that_come_and_go_leave_the_other_checks_as_they_are(self):
        """What runs stays theirs, and so does an answer that can be reused."""
        before = registry["health"]["ping"]
        touch("orders")
        self.assertIn("loops", registry["health"])
        self.assertIs(registry["health"]["ping"], before)
        touch("orders", every=None)
        self.assertIs(registry["health"]["ping"], before)

    def test_a_loop_that_hangs_is_seen(self):
        ping = {"ping": {"pong": True}}
        self.assertEqual(self.get("live"), (200, ping))
        touch("orders", every=5)
        for resource in ("live", "health", "ready"):
            self.assertEqual(self.get(resource), (200, {**ping, "loops": {"orders": True}}))
        self.late = 6
        for resource in ("live", "health", "ready"):
            self.assertEqual(self.get(resource), (503, {**ping, "loops": {"orders": False}}))
        with override_settings(STATUS_SHOW_DETAILS="always"):
            self.assertIn(
                "last touched 6 s ago, expected every 5 s",
                Client().get("/status/api/live?format=text").content.decode(),
            )
        self.late = 0
        touch("orders", every=5)
        self.assertEqual(self.get("live")[0], 200)

    def test_a_check_of_the_project_s_called_loops_hides_none_that_hangs(self):
        mine = {"health": [("loops", "builtins.dict", None, {"knitting": True})]}
        touch("orders", every=5)
        self.late = 6
        with override_settings(STATUS_PROVIDERS=mine):
            for resource in ("health", "ready"):
                told = {"loops": {"knitting": True}, "status-loops": {"orders": False}}
                self.assertEqual(self.get(resource), (503, told))

    def test_a_loop_that_has_ended_is_expected_no_more(self):
        touch()
        self.assertEqual(self.get("live")[1]["loops"], {"loop": True})
        touch(every=None)
        self.assertEqual(self.get("live")[1], {"ping": {"pong": True}})
        self.assertEqual(self.get("health")[1], {"ping": {"pong": True}})

    def test_mistakes_are_told_and_raise_nothing(self):
        for arguments, told in (
            ({"name": "a/b"}, "a name of 1 to 100 printable characters without a slash. It got 'a/b'."),
            ({"name": None}, "It got None."),
            ({"every": 0}, "every as a positive number of seconds. It got 0."),
            ({"every": "30"}, "It got a str."),
        ):
            logs._logged_at.clear()
            with self.assertLogs("status", "WARNING") as caught:
                touch(**arguments)
            self.assertIn(told, caught.output[0])
        self.assertEqual(loops.touched(), {})

    def test_one_mistake_is_told_once_a_minute_whatever_the_value(self):
        with self.assertLogs("status", "WARNING") as caught:
            for number in range(5):
                touch(f"orders/{number}")
                touch("orders", every=-number)
        self.assertEqual(len(caught.output), 2)

    def test_names_are_limited(self):
        for number in range(loops.MAX_LOOPS):
            touch(f"loop {number}")
        with self.assertLogs("status", "WARNING") as caught:
            touch("one more")
        self.assertIn("at most 100 different names", caught.output[0])
        touch("loop 1")
        self.assertEqual(len(loops.touched()), loops.MAX_LOOPS)


class ProcessTests(ServeTestCase):
    def test_a_loop_of_a_command_hangs_and_is_ended(self):
        """The thread answers, and tells that the loop does not go round; SIGTERM ends the process at once."""
        stop = absent("stop")
        env = {"SERVE_ADDRESS": f"{self.host}:{self.port}", "SERVE_STOP": str(stop)}
        with services.Process([sys.executable, "-m", "tests.serve_project"], env=env) as process:
            self.assertTrue(eventually(lambda: accepts(self.port), 30.0), process.output)
            self.assertEqual(self.ask("/status/api/live")[0], 200)
            stop.touch()
            self.assertTrue(eventually(lambda: self.ask("/status/api/live")[0] == 503))
            self.assertEqual(json.loads(self.ask("/status/api/live")[1])["loops"], {"orders": False})
            stop.unlink()
            self.assertTrue(eventually(lambda: self.ask("/status/api/live")[0] == 200))
            self.connect(HALF)
            self.assertLess(process.terminate(), 1.0)

    @contextmanager
    def forked(self, code: str) -> Iterator[subprocess.Popen[str]]:
        """A process that serves and forks: the child prints a line after ``code``, and reads one before it ends."""
        code = textwrap.dedent(
            f"""
            import os, sys, django
            from django.conf import settings
            settings.configure(SECRET_KEY="x" * 50, INSTALLED_APPS=["status"])
            django.setup()
            from status import loops, serve, touch
            assert serve("{self.host}:{self.port}")
            touch("parent")
            if os.fork():
                os.wait()
            else:
                {code}
                print(loops.touched(), flush=True)
                sys.stdin.readline()
            """
        )
        command = [sys.executable, "-W", "ignore", "-c", code]
        with subprocess.Popen(
            command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def line(self, process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline()

    def test_a_child_keeps_no_port_taken_when_its_parent_is_gone(self):
        with self.forked("pass") as process:
            self.assertEqual(self.line(process), "{}\n")
            self.assertEqual(self.ask("/status/api/live")[0], 200)
            process.kill()
            process.wait()
            self.assertTrue(self.serve())
            self.assertEqual(self.ask("/status/api/live")[0], 200)

    def test_a_child_may_serve_itself(self):
        other = free_port()
        with self.forked(f'assert serve("{self.host}:{other}")') as process:
            self.line(process)
            self.assertEqual(self.ask("/status/api/live")[0], 200)
            self.port = other
            self.assertEqual(self.ask("/status/api/live")[0], 200)
