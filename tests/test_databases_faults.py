"""``health.databases`` against real servers that are frozen, gone, full or restarted."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
import unittest
from typing import Any
from unittest import mock

import django
from django.db import connections, transaction
from django.test import tag

from status.engine import engine
from status.engine.execution import SingleFlight
from status.entries import Check
from status.providers.django import health, stats
from tests import services
from tests.components import FaultTestCase, check, eventually, run

DEADLINE = 1.0
#: What a busy machine may add.
SLACK = 0.25
#: The connections of ``pg_stat_activity`` but for the one that asks.
OTHERS = "backend_type = 'client backend' AND pid <> pg_backend_pid()"


class DatabasesFaultTestCase(FaultTestCase):
    label = "databases"

    def timed(self, entry: Check) -> tuple[Any, float]:
        before = time.monotonic()
        answer = run(entry).answer
        return answer, time.monotonic() - before

    def assertFails(self, entry: Check, within: float = DEADLINE + SLACK) -> None:
        answer, seconds = self.timed(entry)
        self.assertEqual(answer, {"default": True, "pg": False})
        self.assertLess(seconds, within)

    def assertHangs(self, entry: Check) -> None:
        before = time.monotonic()
        result = run(entry)
        self.assertLess(time.monotonic() - before, DEADLINE + SLACK)
        self.assertEqual(result.answer, {"default": True, "pg": False})
        self.assertRegex(result.reasons["pg"], r"^timed out after \d(\.\d)? s$")


class PostgresTestCase(DatabasesFaultTestCase):
    max_connections = 100

    def setUp(self) -> None:
        super().setUp()
        self.enter(mock.patch("status.threads.is_testing", lambda: False))  # which keeps no connection (FAULTS E8)
        self.server = services.postgres(max_connections=self.max_connections)
        #: One for all questions: the server takes a moment to forget those that end.
        self.observer = self.server.connect()
        self.addCleanup(self.observer.close)
        self.assertTrue(eventually(lambda: self.sessions() == 0), "an earlier test left connections behind")
        self.addCleanup(lambda: self.assertTrue(eventually(lambda: self.sessions() == 0)))
        self.addCleanup(engine.close)

    def pg(self, **entry: Any) -> None:
        self.use(pg=self.server.settings(**entry))

    def sessions(self, condition: str = "true") -> int:
        """How many connections there are, the observer's excluded."""
        sql = f"SELECT count(*) FROM pg_stat_activity WHERE {OTHERS} AND {condition}"
        return int(self.observer.execute(sql).fetchone()[0])

    def pids(self) -> list[Any]:
        rows: list[Any] = self.observer.execute(f"SELECT pid FROM pg_stat_activity WHERE {OTHERS}").fetchall()
        return rows

    def kill_sessions(self) -> None:
        self.observer.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {OTHERS}")


@tag("fault")
class FrozenTests(PostgresTestCase):
    def test_frozen_server_with_a_connection_open(self) -> None:
        self.freeze_and_recover(CONN_MAX_AGE=None)

    def test_frozen_server_without_a_connection(self) -> None:
        self.freeze_and_recover()

    def freeze_and_recover(self, **entry: Any) -> None:
        self.pg(**entry)
        asked = check(timeout=DEADLINE)
        self.assertEqual(run(asked).answer, {"default": True, "pg": True})
        with self.server.frozen():
            self.assertHangs(asked)
            for _ in range(20):
                self.assertFails(asked, within=0.05 + SLACK)
            self.assertEqual(self.threads().count("status-databases-pg"), 1)
        self.assertTrue(eventually(lambda: run(asked).answer == {"default": True, "pg": True}, 1.0))
        self.assertLessEqual(self.sessions(), 1)

    def test_three_frozen_aliases_are_each_false_within_one_deadline(self) -> None:
        self.use(**{name: self.server.settings() for name in ("a", "b", "c")})
        with self.server.frozen():
            answer, seconds = self.timed(check(timeout=DEADLINE))
        self.assertEqual(answer, {"default": True, "a": False, "b": False, "c": False})
        self.assertLess(seconds, DEADLINE + SLACK)

    def test_abandoned_questions_are_bounded_and_end_with_the_fault(self) -> None:
        self.pg(CONN_MAX_AGE=None)
        asked = check(timeout=0.2)
        run(asked)
        with self.server.frozen(), mock.patch.object(SingleFlight, "replace_after", 0):
            for _ in range(10):
                run(asked)
            self.assertEqual(self.threads().count("status-databases-pg"), SingleFlight.limit)
        self.assertTrue(eventually(lambda: self.threads().count("status-databases-pg") == 1))
        self.assertTrue(eventually(lambda: self.sessions() == 1))


@tag("fault")
class UnreachableTests(DatabasesFaultTestCase):
    def test_server_that_swallows_connection_attempts(self) -> None:
        with services.blackhole() as port:
            self.use(pg=services.postgres().settings(PORT=str(port)))
            self.assertHangs(check(timeout=DEADLINE))

    def test_server_that_accepts_and_never_speaks(self) -> None:
        with services.silent() as port:
            self.use(pg=services.postgres().settings(PORT=str(port)))
            self.assertHangs(check(timeout=DEADLINE))
            self.assertFails(check(timeout=DEADLINE), within=0.05 + SLACK)
            self.assertEqual(self.threads().count("status-databases-pg"), 1)

    def mysql(self, **entry: Any) -> dict[str, Any]:
        services.require_module("pymysql", "pip install PyMySQL")
        # Late: skipped where it is missing.
        import pymysql

        # Django wants mysqlclient's version number.
        self.enter(mock.patch.multiple(pymysql, version_info=(2, 2, 7, "final", 0), __version__="2.2.7"))
        self.enter(mock.patch.dict(sys.modules, {"MySQLdb": pymysql, "_mysql": pymysql}))
        return {"ENGINE": "django.db.backends.mysql", "USER": "u", "NAME": "n", **entry}

    def test_mysql_server_that_accepts_and_never_speaks(self) -> None:
        with services.silent() as port:
            self.use(pg=self.mysql(HOST="127.0.0.1", PORT=str(port)))
            self.assertHangs(check(timeout=DEADLINE))

    def test_resolver_that_hangs(self) -> None:
        go = threading.Event()

        def getaddrinfo(*args: Any, **kwargs: Any) -> Any:
            go.wait()
            raise OSError

        self.use(pg=self.mysql(HOST="slow.invalid"))
        with mock.patch("socket.getaddrinfo", getaddrinfo):
            try:
                self.assertHangs(check(timeout=DEADLINE))
            finally:
                go.set()

    def test_refused(self) -> None:
        self.use(pg=services.postgres().settings(PORT=str(services.refused_port())))
        self.assertFails(check(timeout=DEADLINE))
        self.assertEqual(run(check("pg")).reasons, {"pg": "OperationalError"})

    def test_unknown_host(self) -> None:
        self.use(pg=services.postgres().settings(HOST="no.invalid"))
        self.assertFails(check(timeout=DEADLINE))


@tag("fault")
class MariaDBTests(DatabasesFaultTestCase):
    def test_database_that_is_dropped_while_connected_is_false(self) -> None:
        """FAULTS P1: ``SELECT 1`` is answered by the server, without the database."""
        self.enter(mock.patch("status.threads.is_testing", lambda: False))
        server = services.mariadb()
        # Late: skipped where it is missing.
        import pymysql

        self.enter(mock.patch.multiple(pymysql, version_info=(2, 2, 7, "final", 0), __version__="2.2.7"))
        client = pymysql.connect(host=server.host, port=server.port, user="root", autocommit=True)
        self.addCleanup(client.close)
        client.cursor().execute("CREATE DATABASE Doomed")
        self.use(named=server.settings(CONN_MAX_AGE=None, NAME="Doomed"), nameless=server.settings(NAME=""))
        self.assertEqual(run(check("named", "nameless")).answer, {"named": True, "nameless": True})
        client.cursor().execute("DROP DATABASE Doomed")
        self.assertIn(run(check("named")).reasons["named"], ("the database does not exist", "OperationalError"))
        client.cursor().execute("CREATE DATABASE Doomed")
        self.assertEqual(run(check("named", "nameless")).answer, {"named": True, "nameless": True})


@tag("fault")
class ConnectionTests(PostgresTestCase):
    def test_no_connection_is_left_where_django_keeps_none(self) -> None:
        self.pg()
        for _ in range(100):
            self.assertEqual(run(check("pg")).answer, {"pg": True})
        self.assertTrue(eventually(lambda: self.sessions() == 0))

    def test_one_connection_stays_where_django_keeps_them_and_none_once_idle(self) -> None:
        self.pg(CONN_MAX_AGE=None)
        facts = Check("stats", "databases", stats.databases)
        for _ in range(100):
            engine.run([check(), facts])
        self.assertEqual(self.sessions(), 1)
        engine.close()
        self.assertTrue(eventually(lambda: self.sessions() == 0))

    def test_connection_is_renewed_when_it_is_too_old(self) -> None:
        self.pg(CONN_MAX_AGE=0.5)
        run(check("pg"))
        first = self.pids()
        time.sleep(0.55)
        self.assertEqual(run(check("pg")).answer, {"pg": True})
        self.assertTrue(eventually(lambda: len(self.pids()) == 1))
        self.assertNotEqual(self.pids(), first)

    def test_crowd_shares_one_connection(self) -> None:
        self.pg(CONN_MAX_AGE=60)
        entry, answers, peak = check("pg"), [], []
        gate = threading.Barrier(60)

        def caller() -> None:
            gate.wait()
            answers.append(run(entry).answer)

        callers = [threading.Thread(target=caller) for _ in range(60)]
        for thread in callers:
            thread.start()
        while any(thread.is_alive() for thread in callers):
            peak.append(self.sessions())
        self.assertEqual(answers, [{"pg": True}] * 60)
        self.assertLessEqual(max([*peak, self.sessions()]), 1)

    def test_killed_connection_is_renewed_and_the_requests_own_is_untouched(self) -> None:
        for health_checks in (False, True):
            with self.subTest(health_checks=health_checks):
                self.pg(CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=health_checks)
                self.assertEqual(run(check("pg")).answer, {"pg": True})
                self.kill_sessions()
                with connections["pg"].cursor() as cursor:
                    cursor.execute("SELECT pg_backend_pid()")
                    own = cursor.fetchone()
                self.assertEqual(run(check("pg")).answer, {"pg": True})
                with connections["pg"].cursor() as cursor:
                    cursor.execute("SELECT pg_backend_pid()")
                    self.assertEqual(cursor.fetchone(), own)
                connections["pg"].close()

    def test_restarted_server_is_healthy_at_once(self) -> None:
        with services.postgres(private=True) as server:
            self.use(pg=server.settings(CONN_MAX_AGE=None))
            self.assertEqual(run(check("pg")).answer, {"pg": True})
            server.stop()
            self.assertEqual(run(check("pg")).answer, {"pg": False})
            server.start()
            self.assertEqual(run(check("pg")).answer, {"pg": True})
            engine.close()

    def test_open_transaction_of_the_caller_is_untouched(self) -> None:
        self.pg(ATOMIC_REQUESTS=True)
        with transaction.atomic("pg"):
            with connections["pg"].cursor() as cursor:
                cursor.execute("CREATE TABLE half_done (id int)")
            self.assertEqual(run(check("pg")).answer, {"pg": True})
            self.assertEqual(health.databases(["pg"]), {"pg": True})
            self.assertTrue(connections["pg"].in_atomic_block)
            transaction.set_rollback(True, "pg")
        self.assertEqual(self.server.execute("SELECT to_regclass('half_done')"), [(None,)])
        connections["pg"].close()

    def test_manual_commit_leaves_no_session_in_a_transaction(self) -> None:
        self.pg(CONN_MAX_AGE=None, AUTOCOMMIT=False)
        self.assertEqual(run(check("pg")).answer, {"pg": True})
        self.assertEqual(self.sessions("state = 'idle'"), 1)

    def test_database_that_is_dropped_while_connected_is_false(self) -> None:
        """FAULTS P1."""
        self.server.execute("CREATE DATABASE doomed")
        self.pg(CONN_MAX_AGE=None, NAME="doomed")
        self.assertEqual(run(check("pg")).answer, {"pg": True})
        self.server.execute("DROP DATABASE doomed WITH (FORCE)")
        self.assertEqual(run(check("pg")).reasons, {"pg": "OperationalError"})

    def test_a_thousand_runs_use_one_connection_without_the_garbage_collector(self) -> None:
        """FAULTS E11."""
        self.addCleanup(gc.enable)
        gc.disable()
        for max_age, expected in ((None, 1), (0, 0)):
            self.pg(CONN_MAX_AGE=max_age)
            run(check("pg"))
            first = self.pids() if expected else []
            for _ in range(1000 if expected else 100):
                self.assertEqual(run(check("pg")).answer, {"pg": True})
            self.assertTrue(eventually(lambda: self.pids() == first))  # noqa: B023
            self.assertEqual(len(first), expected)
            engine.close()

    def test_read_only_server_is_healthy(self) -> None:
        self.pg(OPTIONS={"options": "-c default_transaction_read_only=on"})
        self.assertEqual(run(check("pg")).answer, {"pg": True})

    def test_forked_child_opens_its_own_and_leaves_the_parents_alone(self) -> None:
        self.pg(CONN_MAX_AGE=None)
        entry = check("pg")
        run(entry)
        before = self.pids()
        pid = os.fork()
        if pid == 0:  # pragma: no cover  the child's coverage is not collected
            code = 1
            try:
                code = 0 if run(entry).answer == {"pg": True} else 2
                engine.close()
            finally:
                os._exit(code)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
        self.assertTrue(eventually(lambda: self.pids() == before))
        self.assertEqual(run(entry).answer, {"pg": True})
        self.assertEqual(self.pids(), before)


@tag("fault")
class FullServerTests(PostgresTestCase):
    max_connections = 5

    def test_full_server_is_false_and_gets_no_slot_taken(self) -> None:
        self.pg(CONN_MAX_AGE=None)
        entry = check("pg")
        held = [self.server.connect() for _ in range(self.max_connections - 1)]
        try:
            for _ in range(20):
                self.assertEqual(run(entry).answer, {"pg": False})
            self.assertEqual(run(entry).reasons, {"pg": "OperationalError"})
            self.assertEqual(self.sessions(), self.max_connections - 1)
            held.pop().close()
            self.assertTrue(eventually(lambda: self.sessions() == self.max_connections - 2))
        finally:
            for connection in held:
                connection.close()
        self.assertEqual(run(entry).answer, {"pg": True})


@tag("fault")
@unittest.skipIf(django.VERSION < (5, 1), "Django has pools since 5.1")
class PoolTests(PostgresTestCase):
    def setUp(self) -> None:
        super().setUp()
        services.require_module("psycopg_pool", "pip install psycopg[pool]")
        self.pg(OPTIONS={"pool": {"min_size": 2, "max_size": 2, "timeout": 5}})
        self.addCleanup(lambda: connections.create_connection("pg").close_pool())

    def test_our_slot_is_given_back_after_each_run(self) -> None:
        for _ in range(10):
            self.assertEqual(run(check("pg")).answer, {"pg": True})
        self.assertTrue(eventually(lambda: self.pool.get_stats()["pool_available"] == 2))

    @property
    def pool(self) -> Any:
        return connections.create_connection("pg").pool

    def test_exhausted_pool_is_false_in_words_and_in_time_and_recovers(self) -> None:
        """FAULTS P6."""
        entry = check("pg", timeout=0.5)
        self.assertEqual(run(entry).answer, {"pg": True})
        held = [self.pool.getconn() for _ in range(2)]
        for _ in range(2):  # nobody waits any longer when the answer is there
            before = time.monotonic()
            self.assertEqual(run(entry).reasons, {"pg": "no free connection in the pool within 0.5 s"})
            self.assertLess(time.monotonic() - before, 0.5)
            self.assertEqual(self.threads(), ["status-databases-pg"])
        self.assertEqual(health.databases.check(["pg"]).value, {"pg": False})
        for connection in held:
            self.pool.putconn(connection)
        self.assertTrue(eventually(lambda: run(entry).answer == {"pg": True}, 1.0))
        self.assertTrue(eventually(lambda: self.pool.get_stats()["pool_available"] == 2))

    def test_server_that_is_down_is_not_taken_for_a_pool_that_is_full(self) -> None:
        port = services.refused_port()
        self.use(down={**self.server.settings(OPTIONS={"pool": {"min_size": 2, "timeout": 5}}), "PORT": port})
        self.addCleanup(lambda: connections.create_connection("down").close_pool())
        with self.assertLogs("psycopg.pool", "WARNING"):
            self.assertEqual(run(check("down")).reasons, {"down": "no connection could be opened within 2 s"})

    def test_stale_connections_of_the_pool_are_renewed(self) -> None:
        self.assertEqual(run(check("pg")).answer, {"pg": True})
        self.pool.wait()
        self.kill_sessions()
        with self.assertLogs("psycopg.pool", "WARNING"):
            self.assertEqual(run(check("pg")).answer, {"pg": True})
