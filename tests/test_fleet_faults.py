"""The fleet, all of it real: servers, workers and stores that are killed, frozen and restarted, and come back."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any
from unittest import mock

import psutil
from django.core.cache import caches
from django.core.management import call_command
from django.db import connections
from django.test import override_settings, tag
from pymemcache.exceptions import MemcacheError

from status import fleet, logs
from status.fleet import Reporter, member_key, reporters
from status.store import Store
from status.threads import start_call
from tests import probes, services
from tests.commandline import ask
from tests.components import DatabasesTestCase, eventually
from tests.processes import environment

PROJECT = "tests.fleet_project"
BACKENDS = "django.core.cache.backends"
STORE = Store("STATUS_STORE", "default")
#: Seconds between two reports of the processes of the tests.
PERIOD = 0.5
#: A Memcached with room for two megabytes, and at least one for each size of values.
SMALL = ("-m", "2")


class FleetFaultsTestCase(DatabasesTestCase):
    server: Any

    def setUp(self) -> None:
        super().setUp()
        self.enter(mock.patch.dict(logs._logged_at, clear=True))
        self.enter(mock.patch.object(Reporter, "look_every", 0.0))
        # This process may have answered the requests of other tests, and be a member since.
        self.enter(mock.patch.dict(reporters._values, clear=True))

    def use_store(self, backend: str, location: Any) -> None:
        self.cache = {"BACKEND": f"{BACKENDS}.{backend}", "LOCATION": location}
        settings = {"STATUS_STORE": "default", "PROJECT_PATH": "/", "STATUS_PROVIDERS": {}}
        self.enter(override_settings(CACHES={"default": self.cache}, **settings))

    def eventually(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        self.assertTrue(eventually(condition, seconds), ask("fleet").out)

    def assertRightSoon(self, condition: Callable[[], bool]) -> None:
        """A view that is asked for three periods from now, or later, is right."""
        due = time.monotonic() + 3 * PERIOD
        asked = 0.0
        while asked < due:
            asked = time.monotonic()
            if condition():
                return
            time.sleep(0.01)
        self.fail(ask("fleet").out)


class Processes(FleetFaultsTestCase):
    """Processes of ``tests.fleet_project`` that share a Redis server as store."""

    def setUp(self) -> None:
        super().setUp()
        self.server = self.enter(services.redis(private=True))
        self.use_store("redis.RedisCache", self.server.url)
        self.env = {
            "FLEET_STORE": json.dumps(self.cache),
            "FLEET_PERIOD": str(PERIOD),
            "CELERY_TEST_BROKER": self.broker(),
        }

    def broker(self) -> str:
        """Return the URL of the broker of the workers."""
        return self.server.url

    def document(self) -> Any:
        asked: list[Any] = []

        def answered() -> bool:
            asked.append(ask("fleet", "-f", "json"))
            return asked[-1].code == 0

        self.assertTrue(eventually(answered, 10.0), asked)  # a busy machine may take longer than a view waits
        return json.loads(asked[-1].out)

    def states(self) -> dict[int, str]:
        """Process id -> ``here`` or ``lost``."""
        members = self.document()["members"]
        return {member["pid"]: "lost" if member["state"] == "lost" else "here" for member in members}

    def counts(self) -> dict[str, dict[str, int]]:
        counts: dict[str, Counter[str]] = {}
        for member in self.document()["members"]:
            state = "lost" if member["state"] == "lost" else "here"
            counts.setdefault(member["role"], Counter())[state] += 1
        return {role: dict(states) for role, states in counts.items()}

    def gunicorn(self) -> Any:
        return services.gunicorn(f"{PROJECT}:wsgi", "--workers", "2", "--threads", "2", env=self.env)

    def uvicorn(self) -> Any:
        return services.uvicorn(f"{PROJECT}:asgi", "--lifespan", "off", env=self.env)

    def worker(self, name: str) -> Any:
        options = ("-P", "prefork", "-c", "1", "--max-tasks-per-child", "1")
        return services.celery_worker(name, self.env["CELERY_TEST_BROKER"], PROJECT, options=options, env=self.env)

    def have_all_answer(self, server: Any, number: int) -> None:
        """Ask until each of the server's processes has answered, and so is a member."""

        def answered() -> bool:
            probes.get(server.port, "/status/api/live")
            processes = {process.pid for process in server.tree()}
            return len([pid for pid, state in self.states().items() if pid in processes and state == "here"]) == number

        self.eventually(answered)

    def freeze_and_kill(self, pid: int) -> None:
        """Freeze a member, let it go on, and kill it."""
        process = psutil.Process(pid)
        self.assertEqual(self.states()[pid], "here")
        process.suspend()
        self.assertRightSoon(lambda: self.states()[pid] == "lost")
        process.resume()
        self.assertRightSoon(lambda: self.states()[pid] == "here")
        process.kill()
        self.assertRightSoon(lambda: self.states()[pid] == "lost")


class CeleryBeat(services.Process):
    stop_timeout = 10

    def ready(self) -> bool:
        return "beat: Starting..." in self.output


@tag("fault", "server")
class WebTests(Processes):
    def test_two_gunicorns_of_two_workers(self) -> None:
        with self.gunicorn() as one, self.gunicorn() as other:
            for server in (one, other):
                self.have_all_answer(server, 2)
            self.assertEqual(self.counts(), {"web": {"here": 4}})
            killed = min(set(self.states()) & {process.pid for process in one.tree()})
            self.freeze_and_kill(killed)
            self.have_all_answer(one, 2)  # gunicorn has started another one
            self.assertEqual(self.counts(), {"web": {"here": 4, "lost": 1}})
            other.terminate(10)
            self.assertRightSoon(lambda: self.counts() == {"web": {"here": 2, "lost": 1}})
            other.start()
            self.have_all_answer(other, 2)
            self.assertEqual(self.counts(), {"web": {"here": 4, "lost": 1}})

    def test_uvicorn(self) -> None:
        with self.uvicorn() as server:
            self.have_all_answer(server, 1)
            self.freeze_and_kill(server.pid)
            self.assertEqual(self.counts(), {"web": {"lost": 1}})
        with self.uvicorn() as server:
            self.have_all_answer(server, 1)
            self.assertEqual(self.counts(), {"web": {"here": 1, "lost": 1}})


@tag("fault")
class CeleryTests(Processes):
    def test_three_workers_and_beat(self) -> None:
        with ExitStack() as stack:
            command = [sys.executable, "-m", "celery", "-A", PROJECT, "beat", "-l", "info"]
            beat = stack.enter_context(CeleryBeat(command, env=self.env))
            workers = [stack.enter_context(self.worker(f"{name}@test")) for name in "abc"]
            self.eventually(lambda: self.counts() == {"beat": {"here": 1}, "worker": {"here": 3}})
            self.assertEqual(set(self.states()), {beat.pid, *(worker.pid for worker in workers)})
            self.freeze_and_kill(workers[0].pid)
            self.freeze_and_kill(beat.pid)
            workers[0].kill()  # its pool, which nobody ends
            beat.kill()
            workers[0].start()
            beat.start()
            self.assertRightSoon(
                lambda: self.counts() == {"beat": {"here": 1, "lost": 1}, "worker": {"here": 3, "lost": 1}}
            )
            workers[1].stop_signal = signal.SIGTERM
            workers[1].terminate(20)
            self.assertRightSoon(lambda: self.counts()["worker"] == {"here": 2, "lost": 1})


@tag("fault")
class RabbitMQTests(CeleryTests):
    def broker(self) -> str:
        return services.rabbitmq().url


@tag("fault")
class LoopTests(Processes):
    def test_a_loop_reports_and_its_child_does_not_wait(self) -> None:
        command = [sys.executable, "-m", PROJECT]
        env = environment(self.env)
        with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            began = time.monotonic()
            self.assertEqual(process.stdout.readline(), "forked\n")
            self.assertLess(time.monotonic() - began, 30)
            self.eventually(lambda: self.counts() == {"orders": {"here": 1}})
            self.assertEqual(set(self.states()), {process.pid})
        self.assertEqual(process.returncode, 0)
        self.assertEqual(self.counts(), {})

    def test_a_loop_that_is_killed_is_lost(self) -> None:
        command = [sys.executable, "-m", PROJECT]
        with subprocess.Popen(
            command, env=environment(self.env), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            self.eventually(lambda: self.counts() == {"orders": {"here": 1}})
            os.kill(process.pid, signal.SIGKILL)
            self.assertRightSoon(lambda: self.counts() == {"orders": {"lost": 1}})


class StoreFaults(FleetFaultsTestCase):
    """This process reports, and each store is frozen, killed and restarted."""

    __test__ = False

    def setUp(self) -> None:
        super().setUp()
        self.enter(mock.patch.object(fleet, "is_testing", lambda: False))
        self.enter(mock.patch.multiple(Reporter, period=PERIOD, hangs_after=0.2))
        reporters._values.clear()

    def begin(self) -> None:
        """Report, until the test is over and before the settings go."""
        self.join_fleet()
        self.eventually(self.reported)

    def join_fleet(self) -> None:
        self.addCleanup(reporters._values.clear)
        self.addCleanup(self.end)
        fleet.join("web")

    def end(self) -> None:
        reporter = reporters.get()
        reporter.ending.set()
        if reporter.ended is not None:
            reporter.ended.result(20)
        for one in reporter.left_behind:
            one.exception(20)

    def reported(self) -> bool:
        """Whether the store has a member that reports."""
        looked = start_call(partial(fleet.look, STORE), "reader").result(20)
        own = looked.members.get(reporters.get().id)
        return looked.error is None and own is not None and not own.lost

    def assertTold(self, reason: str) -> None:
        """The view tells what is wrong, and shows this process alone, within its time."""
        began = time.monotonic()
        found = fleet.fleet()
        self.assertLess(time.monotonic() - began, fleet.views.timeout + 1)
        self.assertRegex(found.error or "", reason)
        self.assertEqual([member.pid for member in found.members], [os.getpid()])

    def freeze_kill_and_restart(self) -> None:
        self.begin()
        with self.server.frozen():
            self.assertTold("did not answer within 2 s")
            self.eventually(lambda: reporters.get().hangs)
        self.assertRightSoon(self.reported)
        self.eventually(lambda: not reporters.get().hangs)
        self.server.kill()
        self.assertTold('STATUS_STORE "default" cannot be used')
        self.server.start()
        self.assertRightSoon(self.reported)
        self.assertIsNone(fleet.fleet().error)

    def assertLogged(self, reason: str) -> None:
        with self.assertLogs("status", "WARNING") as caught:
            logs._logged_at.clear()
            # On a busy machine a slow answer may be told of before it.
            self.eventually(lambda: any(re.search(reason, line) for line in caught.output))


@tag("fault")
class RedisTests(StoreFaults):
    __test__ = True

    def setUp(self) -> None:
        super().setUp()
        self.server = self.enter(services.redis(private=True))
        self.use_store("redis.RedisCache", self.server.url)

    def test_frozen_killed_and_restarted(self) -> None:
        self.freeze_kill_and_restart()

    def test_flushed(self) -> None:
        self.begin()
        with self.server.client() as client:
            client.flushall()
        self.assertRightSoon(self.reported)

    def test_full_and_empty_again(self) -> None:
        self.begin()
        with self.server.client() as client:
            client.config_set("maxmemory", "1")
            self.assertLogged("OutOfMemoryError|ResponseError")
            client.config_set("maxmemory", "0")
            client.flushall()
        self.assertRightSoon(self.reported)

    def test_read_only_and_writable_again(self) -> None:
        self.begin()
        with self.server.client() as client:
            client.replicaof("127.0.0.1", services.refused_port())
            self.assertLogged("ReadOnlyError")
            client.replicaof("NO", "ONE")
            client.flushall()
        self.assertRightSoon(self.reported)

    def test_garbled(self) -> None:
        """Not even a pickle: it hides nothing else, and the next report replaces it."""
        self.begin()
        with self.server.client() as client:
            client.set(caches["default"].make_key(member_key(reporters.get().id)), b"\x80garbled")
            client.set(caches["default"].make_key(fleet.shard_of(reporters.get().id)), b"\x80garbled")
            self.assertRightSoon(self.reported)

    def test_a_host_that_vanished_is_left_behind(self) -> None:
        """Nothing ever comes from the connection again: the store behind another one is written to."""
        self.enter(mock.patch.multiple(Reporter, hangs_after=0.0, replace_after=0.2))
        with services.silent() as port:
            with override_settings(CACHES={"default": {**self.cache, "LOCATION": f"redis://127.0.0.1:{port}/0"}}):
                fleet.join("web")
                self.eventually(lambda: bool(reporters.get().left_behind))
            self.begin()
        self.eventually(lambda: all(one.done() for one in reporters.get().left_behind))


@tag("fault")
class MemcachedTests(StoreFaults):
    __test__ = True

    def use_memcached(self, *options: str) -> None:
        self.server = self.enter(services.memcached(*options, private=True))
        self.use_store("memcached.PyMemcacheCache", self.server.location)

    def fill(self) -> None:
        """Write more than there is room for, in values of all sizes that those of the app may have."""
        for size in range(100, 2_000, 100):
            with suppress(MemcacheError):  # there is no room
                caches["default"].set_many({f"{size}-{number}": "x" * size for number in range(2_000_000 // size)})

    def test_frozen_killed_and_restarted(self) -> None:
        self.use_memcached()
        self.freeze_kill_and_restart()

    def test_what_was_evicted_is_missing_until_it_is_reported_again_and_not_lost(self) -> None:
        self.use_memcached(*SMALL)
        self.begin()
        other = Reporter()
        other.report(STORE)
        self.assertIn(other.id, fleet.look(STORE).members)
        self.fill()
        looked = fleet.look(STORE)
        self.assertIsNone(looked.error)
        self.assertNotIn(other.id, looked.members)
        self.assertEqual({member.lost for member in looked.members.values()} - {False}, set())
        other.report(STORE)
        self.assertIn(other.id, fleet.look(STORE).members)
        self.assertRightSoon(self.reported)

    def test_one_that_evicts_all_the_time_is_told_in_the_log(self) -> None:
        self.enter(mock.patch.object(Reporter, "period", 3.0))  # it may take two seconds to fill it
        self.use_memcached(*SMALL)
        self.begin()
        with self.assertLogs("status", "WARNING") as caught:
            self.eventually(lambda: self.fill() or bool(caught.output))
        self.assertRegex(caught.output[0], "does not keep what this process reports")

    def test_full_without_evictions_and_empty_again(self) -> None:
        self.use_memcached(*SMALL, "-M")
        self.fill()
        self.join_fleet()
        self.assertLogged("MemcacheServerError|does not keep what this process reports")
        caches["default"].clear()
        self.assertRightSoon(self.reported)


@tag("fault")
class DatabaseTests(StoreFaults):
    __test__ = True

    def setUp(self) -> None:
        super().setUp()
        self.server = self.use_table_as_store()

    def test_frozen_killed_and_restarted(self) -> None:
        self.freeze_kill_and_restart()

    def test_read_only_and_writable_again(self) -> None:
        """Django's cache says nothing where it cannot write."""
        self.begin()
        self.server.execute("ALTER DATABASE postgres SET default_transaction_read_only = on")
        self.assertRightSoon(lambda: not self.reported())
        self.assertLogged("does not keep what this process reports")
        self.assertIsNone(fleet.fleet().error)
        with self.server.connect() as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute("ALTER DATABASE postgres RESET default_transaction_read_only")
        self.assertRightSoon(self.reported)

    def test_a_role_that_may_only_read_is_told_in_the_log(self) -> None:
        self.server.execute("CREATE ROLE reader LOGIN")
        self.server.execute("GRANT SELECT ON store TO reader")
        self.use(default=self.server.settings(USER="reader"))
        self.join_fleet()
        self.assertLogged("does not keep what this process reports")
        self.assertFalse(self.reported())
        self.server.execute("GRANT INSERT, UPDATE, DELETE ON store TO reader")
        self.assertRightSoon(self.reported)

    def test_without_its_table(self) -> None:
        self.begin()
        self.server.execute("DROP TABLE store")
        self.assertTold("ProgrammingError")
        self.assertLogged("ProgrammingError")
        call_command("createcachetable", verbosity=0)
        connections["default"].close()
        self.assertRightSoon(self.reported)


@tag("fault")
class FileTests(StoreFaults):
    __test__ = True

    def test_garbled(self) -> None:
        folder = self.directory / "store"
        self.use_store("filebased.FileBasedCache", str(folder))
        self.begin()
        for file in folder.iterdir():
            file.write_bytes(b"garbled")
        self.assertRightSoon(self.reported)
