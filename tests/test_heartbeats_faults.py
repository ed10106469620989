"""Heartbeats on real stores that are frozen, killed, flushed, full or read-only, and come back; and through Celery."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest import mock

from celery import Celery
from django.core.cache import caches
from django.test import override_settings, tag

from status import heartbeat, logs
from status.engine import engine
from status.entries import Check
from status.heartbeats import BEAT, Writer, writers
from status.providers.health import heartbeats as provider
from status.store import key_of
from status.threads import start_call
from tests import probes, services
from tests.components import DatabasesTestCase, EnteringTestCase, eventually

DEADLINE = 1.0
PROJECT = "tests.heartbeat_project"
BACKENDS = "django.core.cache.backends"


class StoreTestCase(DatabasesTestCase):
    """A store on a server of its own, and what every store must stand."""

    __test__ = False
    server: Any

    def setUp(self) -> None:
        super().setUp()
        logs._logged_at.clear()
        self.addCleanup(logs._logged_at.clear)

    def end_writer(self) -> None:
        thread = writers.get().worker.stop()
        if thread is not None:
            thread.join(20)
        writers._values.clear()

    def use_store(self, backend: str, location: Any, **entry: Any) -> None:
        cache = {"BACKEND": f"{BACKENDS}.{backend}", "LOCATION": location, **entry}
        settings = {"STATUS_STORE": "default", "STATUS_HEARTBEATS": {"job": 3600}}
        self.enter(override_settings(CACHES={"default": cache}, **settings))
        # Before the setting goes, with which Django forgets the caches of all threads.
        self.addCleanup(self.end_writer)
        self.addCleanup(engine.close)
        self.check = Check("health", "heartbeats", provider, options={"timeout": DEADLINE})

    def beat(self) -> float:
        """Beat, and return the seconds that it cost the job."""
        before = time.perf_counter()
        heartbeat("job")
        return time.perf_counter() - before

    def written(self) -> bool:
        return writers.get().flush(10)

    def ask(self) -> Any:
        before = time.monotonic()
        (result,) = engine.run([self.check])
        self.assertLess(time.monotonic() - before, DEADLINE + 0.5)
        return result

    def assertHeard(self) -> None:
        self.assertTrue(eventually(lambda: self.ask().answer == {"job": True}, 10.0), self.ask())
        self.assertIn("job", self.ask().ages)

    def assertLost(self, reason: str) -> None:
        with self.assertLogs("status", "WARNING") as caught:
            self.beat()
            self.written()
        self.assertRegex(caught.output[0], reason)

    def freeze_kill_and_restart(self) -> None:
        self.beat()
        self.written()
        self.assertHeard()
        with self.server.frozen(), mock.patch.object(Writer, "hangs_after", 0.0):
            self.assertLess(statistics.median(self.beat() for _ in range(200)), 0.001)
            self.assertEqual(self.ask().error, f"timed out after {DEADLINE:g} s")
        self.assertTrue(self.written())
        self.assertHeard()
        self.server.kill()
        self.assertLost('STATUS_STORE "default" cannot be used')
        self.assertIn('STATUS_STORE "default" cannot be used', self.ask().error)
        self.server.start()


@tag("fault")
class RedisTests(StoreTestCase):
    __test__ = True

    def setUp(self) -> None:
        super().setUp()
        self.server = self.enter(services.redis(private=True))
        self.use_store("redis.RedisCache", self.server.url)

    def test_frozen_killed_and_restarted(self) -> None:
        """Issue row: store frozen, killed, coming back."""
        self.freeze_kill_and_restart()
        self.assertEqual(self.ask().answer, {"job": True})  # expected anew
        self.beat()
        self.written()
        self.assertHeard()

    def test_flushed(self) -> None:
        """The beat is gone, and one period is given to come again."""
        self.beat()
        self.written()
        with self.server.client() as client:
            client.flushall()
        result = self.ask()
        self.assertEqual((result.answer, result.ages), ({"job": True}, {}))
        self.beat()
        self.written()
        self.assertHeard()

    def test_full_and_empty_again(self) -> None:
        with self.server.client() as client:
            client.config_set("maxmemory", "1")
            self.assertLost("OutOfMemoryError|ResponseError")
            self.assertIn("cannot be used", self.ask().error)
            client.config_set("maxmemory", "0")
        self.beat()
        self.written()
        self.assertHeard()

    def test_read_only_and_writable_again(self) -> None:
        with self.server.client() as client:
            client.replicaof("127.0.0.1", services.refused_port())
            self.assertLost("ReadOnlyError")
            client.replicaof("NO", "ONE")
        self.beat()
        self.written()
        self.assertHeard()

    def test_garbled(self) -> None:
        """Not even a pickle: nothing else is hidden, and the next beat replaces it."""
        key = caches["default"].make_key(key_of(BEAT, "job"))
        with self.server.client() as client:
            client.set(key, b"\x80garbled")
        with self.assertLogs("status", "WARNING"):
            self.assertEqual(self.ask().answer, {"job": True})
        self.beat()
        self.written()
        self.assertHeard()


@tag("fault")
class SilentTests(StoreTestCase):
    __test__ = True

    def test_a_host_that_vanished_is_left_behind(self) -> None:
        """Nothing ever comes from the connection again: the store behind another one is written to."""
        with services.silent() as port:
            self.use_store("redis.RedisCache", f"redis://127.0.0.1:{port}/0")
            with mock.patch.multiple(Writer, hangs_after=0.0, replace_after=0.0):
                self.beat()
                self.assertTrue(eventually(lambda: writers.get().began is not None))
                hung = writers.get().worker
                server = self.enter(services.redis(private=True))
                self.use_store("redis.RedisCache", server.url)
                self.beat()
            self.assertIsNot(writers.get().worker, hung)
            self.assertTrue(self.written())
            self.assertHeard()
        self.assertTrue(eventually(lambda: not writers.get().left_behind, 10.0))


@tag("fault")
class MemcachedTests(StoreTestCase):
    __test__ = True

    def test_frozen_killed_and_restarted(self) -> None:
        self.server = self.enter(services.memcached(private=True))
        self.use_store("memcached.PyMemcacheCache", self.server.location)
        self.freeze_kill_and_restart()
        self.beat()
        self.written()
        self.assertHeard()


@tag("fault")
class DatabaseTests(StoreTestCase):
    __test__ = True

    def setUp(self) -> None:
        super().setUp()
        self.server = self.use_table_as_store()

    def test_frozen_killed_and_restarted(self) -> None:
        self.freeze_kill_and_restart()
        self.assertHeard()  # a table outlives the server

    def test_read_only_and_writable_again(self) -> None:
        """Django says nothing where a database cache cannot write."""
        self.server.execute("ALTER DATABASE postgres SET default_transaction_read_only = on")
        self.assertLost("does not keep what is written to it")
        with self.server.connect() as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute("ALTER DATABASE postgres RESET default_transaction_read_only")
        self.end_writer()
        self.beat()
        self.written()
        self.assertHeard()

    def test_without_its_table(self) -> None:
        self.server.execute("DROP TABLE store")
        self.assertLost("ProgrammingError")
        self.assertIn("ProgrammingError", self.ask().error)


@tag("fault")
class FileTests(StoreTestCase):
    __test__ = True

    def test_no_directory_and_one_again(self) -> None:
        folder = self.directory / "store"
        folder.write_text("in the way")
        self.use_store("filebased.FileBasedCache", str(folder))
        self.assertLost("FileExistsError|NotADirectoryError")
        folder.unlink()
        self.beat()
        self.written()
        self.assertHeard()

    def test_garbled(self) -> None:
        self.use_store("filebased.FileBasedCache", str(self.directory))
        self.beat()
        self.written()
        for file in self.directory.glob("*.djcache"):
            file.write_bytes(b"garbled")
        with self.assertLogs("status", "WARNING"):
            self.assertEqual(self.ask().answer, {"job": True})
        self.beat()
        self.written()
        self.assertHeard()


@tag("fault", "server")
class AddressTests(EnteringTestCase):
    """``POST /status/api/beat/<name>``, many at the same moment, while the store is frozen."""

    #: ``STATUS_TIMEOUT`` of the project, and what an answer may take beyond it.
    timeout, slack = 2.0, 0.25

    def setUp(self) -> None:
        super().setUp()
        self.server = self.enter(services.redis(private=True))

    def assertInTime(self, web: services.Web, count: int, reasons: str) -> None:
        """All posts are answered, and an ordinary page meanwhile, as soon as who waits for the store gives up."""

        def post() -> list[probes.Answer]:
            return probes.at_once(web.port, "/status/api/beat/add", count, "POST")

        self.assertEqual({answer.status for answer in post()}, {204})
        self.assertEqual(probes.get(web.port, "/").body, b"home")
        busy = probes.Waiting(*web.tree())
        with self.server.frozen():
            posts = start_call(post, "posts")
            page = probes.get(web.port, "/")
            answers = posts.result(60)
        self.assertEqual(page.body, b"home")
        for answer in answers:
            self.assertEqual(answer.status, 503)
            self.assertRegex(answer.document["error"], reasons)
        longest = max(answer.seconds for answer in (page, *answers))
        self.assertLess(longest, self.timeout + self.slack + busy.seconds)
        self.assertTrue(eventually(lambda: {answer.status for answer in post()} == {204}, 20.0))

    def test_gunicorn(self) -> None:
        env = {"HEARTBEAT_STORE": self.server.url}
        with services.gunicorn(f"{PROJECT}:wsgi", "--threads", "4", env=env) as web:
            self.assertInTime(web, 20, "did not answer within 2 s|does not answer")

    def test_gunicorn_and_a_client_of_the_store_with_a_timeout(self) -> None:
        env = {"HEARTBEAT_STORE": f"{self.server.url}?socket_timeout=1"}
        with services.gunicorn(f"{PROJECT}:wsgi", "--threads", "4", env=env) as web:
            self.assertInTime(web, 20, "did not answer within 2 s|does not answer|cannot be used")

    def test_uvicorn(self) -> None:
        env = {"HEARTBEAT_STORE": self.server.url}
        with services.uvicorn(f"{PROJECT}:asgi", "--lifespan", "off", env=env) as web:
            self.assertInTime(web, 40, "did not answer within 2 s|does not answer")


class CeleryBeat(services.Process):
    """The scheduler of the app of the tests."""

    def ready(self) -> bool:
        return "beat: Starting..." in self.output


@tag("fault")
class CeleryTests(StoreTestCase):
    """Celery beat -> broker -> worker -> store, all of them real. The worker's processes end after each task."""

    __test__ = True

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        with ExitStack() as stack:
            cls.server = stack.enter_context(services.redis(private=True))
            cls.env = {"CELERY_TEST_BROKER": cls.server.url, "HEARTBEAT_STORE": cls.server.url}
            options = ("-P", "prefork", "-c", "1", "--max-tasks-per-child", "1")
            worker = services.celery_worker("a@test", cls.server.url, PROJECT, options=options, env=cls.env)
            cls.worker = stack.enter_context(worker)
            cls.addClassCleanup(stack.pop_all().close)

    def setUp(self) -> None:
        super().setUp()
        self.use_store("redis.RedisCache", self.server.url)
        self.enter(override_settings(STATUS_HEARTBEATS={"schedule": 2, "add": 3600, "crash": 3600}))

    def state(self, name: str) -> Any:
        result = self.ask()
        return result.answer[name], result.reasons.get(name, "")

    def eventually(self, condition: Callable[[], bool]) -> None:
        self.assertTrue(eventually(condition, 60.0), self.worker.output)

    def test_the_schedule_proves_the_whole_way(self) -> None:
        command = [sys.executable, "-m", "celery", "-A", PROJECT, "beat", "-l", "info"]
        with CeleryBeat(command, env=self.env):
            self.eventually(lambda: "schedule" in self.ask().ages)
            with self.worker.frozen():
                self.eventually(lambda: not self.state("schedule")[0])
                self.assertRegex(self.state("schedule")[1], r"last heard .* ago, expected every 2 s")
            self.eventually(lambda: self.state("schedule")[0])

    def test_a_crashed_task_is_no_beat(self) -> None:
        with Celery(broker=self.server.url, set_as_current=False) as app:
            for crash in ("raise", "exit"):
                app.send_task("crash", [crash])
            app.send_task("add", [1])
        self.eventually(lambda: "add" in self.ask().ages)
        self.assertEqual(self.state("add"), (True, ""))
        self.assertEqual(self.state("crash")[0], False, self.worker.output)
        self.assertRegex(self.state("crash")[1], r"^failed .* ago after .*; started .* ago, and has not ended since$")
