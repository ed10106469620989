"""``health.caches`` against real servers that are frozen, gone, full or restarted."""

from __future__ import annotations

import gc
import threading
import time
from typing import Any
from unittest import mock

import psutil
from django.core.management import call_command
from django.db import connections
from django.test import override_settings, tag

from status.engine import engine
from status.entries import Check
from status.providers.django import health
from tests import services
from tests.components import FaultTestCase, eventually

DEADLINE = 1.0
#: What a busy machine may add.
SLACK = 0.25
REDIS = "django.core.cache.backends.redis.RedisCache"
PYMEMCACHE = "django.core.cache.backends.memcached.PyMemcacheCache"
PYLIBMC = "django.core.cache.backends.memcached.PyLibMCCache"
HEALTHY = {"default": True, "other": True}
FAILING = {"default": True, "other": False}


class CachesFaultTestCase(FaultTestCase):
    label = "caches"

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.join)

    def cache(self, backend: str, location: Any, **entry: Any) -> Check:
        default = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
        other = {"BACKEND": backend, "LOCATION": location, **entry}
        self.enter(override_settings(CACHES={"default": default, "other": other}))
        return Check("health", "caches", health.caches, options={"timeout": DEADLINE})

    def ask(self, entry: Check, within: float = DEADLINE + SLACK) -> Any:
        before = time.monotonic()
        answer = engine.run([entry])[0].answer
        self.assertLess(time.monotonic() - before, within)
        return answer

    def reason(self, entry: Check) -> str:
        return engine.run([entry])[0].reasons["other"]

    def freeze_and_recover(self, entry: Check, server: services.Server) -> None:
        self.assertEqual(self.ask(entry), HEALTHY)
        with server.frozen():
            self.assertEqual(self.ask(entry), FAILING)
            for _ in range(5):
                self.assertEqual(self.ask(entry), FAILING)
            self.assertLessEqual(self.threads().count("status-caches-other"), 1)
        self.assertTrue(eventually(lambda: self.ask(entry) == HEALTHY, 1.0))


@tag("fault")
class RedisTests(CachesFaultTestCase):
    def test_frozen_server(self) -> None:
        redis = services.redis()
        self.freeze_and_recover(self.cache(REDIS, redis.url), redis)

    def test_replica_refuses_to_be_written_to(self) -> None:
        with services.redis(private=True) as redis:
            entry = self.cache(REDIS, redis.url)
            client = redis.client()
            client.replicaof("127.0.0.1", services.refused_port())
            self.assertEqual(self.ask(entry), FAILING)
            self.assertEqual(self.reason(entry), "ReadOnlyError")
            client.replicaof("NO", "ONE")
            self.assertEqual(self.ask(entry), HEALTHY)
            client.close()
            engine.close()

    def test_server_out_of_memory(self) -> None:
        with services.redis(private=True) as redis:
            entry = self.cache(REDIS, redis.url)
            client = redis.client()
            client.config_set("maxmemory", "1")
            self.assertEqual(self.ask(entry), FAILING)
            self.assertEqual(self.reason(entry), "OutOfMemoryError")
            client.config_set("maxmemory", "0")
            self.assertEqual(self.ask(entry), HEALTHY)
            client.close()
            engine.close()

    def test_read_replica_that_follows_is_healthy(self) -> None:
        with services.redis(private=True) as replica:
            redis = services.redis()
            client = replica.client()
            client.replicaof(redis.host, redis.port)
            self.assertTrue(eventually(lambda: client.info("replication")["master_link_status"] == "up", 20.0))
            entry = self.cache(REDIS, [redis.url, replica.url])
            for _ in range(50):
                self.assertEqual(self.ask(entry), HEALTHY)
            client.close()
            engine.close()

    def test_one_dead_replica_of_two_is_always_false(self) -> None:
        """FAULTS P4: Django reads from one of the replicas at random."""
        with services.redis(private=True) as dying, services.redis(private=True) as living:
            primary = services.redis()
            for replica in (dying, living):
                client = replica.client()
                self.addCleanup(client.close)
                client.replicaof(primary.host, primary.port)
                self.assertTrue(eventually(lambda: client.info("replication")["master_link_status"] == "up", 20.0))  # noqa: B023
            entry = self.cache(REDIS, [primary.url, dying.url, living.url])
            self.assertEqual(self.ask(entry), HEALTHY)
            dying.kill()
            for _ in range(20):
                self.assertEqual(self.ask(entry), FAILING)
                self.assertEqual(self.reason(entry), "server 1 of 2: ConnectionError")
            engine.close()

    def test_a_thousand_runs_use_the_same_connections_without_the_garbage_collector(self) -> None:
        """FAULTS E11."""
        self.addCleanup(gc.enable)
        gc.disable()
        with services.redis(private=True) as redis:
            entry, client = self.cache(REDIS, redis.url), redis.client()
            self.addCleanup(client.close)
            self.ask(entry)
            first = {each["id"] for each in client.client_list()}
            for _ in range(1000):
                self.assertEqual(self.ask(entry), HEALTHY)
            self.assertEqual({each["id"] for each in client.client_list()}, first)
            engine.close()

    def test_restarted_server_is_healthy_at_once(self) -> None:
        with services.redis(private=True) as redis:
            entry = self.cache(REDIS, redis.url)
            self.assertEqual(self.ask(entry), HEALTHY)
            redis.kill()
            self.assertEqual(self.ask(entry), FAILING)
            redis.start()
            self.assertEqual(self.ask(entry), HEALTHY)
            redis.kill()
            redis.start()
            self.assertEqual(self.ask(entry), HEALTHY)
            engine.close()

    def test_one_connection_stays_and_none_once_idle(self) -> None:
        with services.redis(private=True) as redis:
            entry, client = self.cache(REDIS, redis.url), redis.client()
            for _ in range(100):
                self.ask(entry)
            self.assertEqual(len(client.client_list()), 2)
            self.assertEqual(client.dbsize(), 0)
            engine.close()
            self.assertTrue(eventually(lambda: len(client.client_list()) == 1))
            client.close()

    def test_crowd_gets_one_answer_from_one_connection(self) -> None:
        with services.redis(private=True) as redis:
            entry, client, answers = self.cache(REDIS, redis.url), redis.client(), []
            callers = [threading.Thread(target=lambda: answers.append(self.ask(entry))) for _ in range(60)]
            for caller in callers:
                caller.start()
            for caller in callers:
                caller.join()
            self.assertEqual(answers, [HEALTHY] * 60)
            self.assertLessEqual(len(client.client_list()), 2)
            client.close()
            engine.close()

    def test_server_that_accepts_and_never_speaks(self) -> None:
        with services.silent() as port:
            entry = self.cache(REDIS, f"redis://127.0.0.1:{port}/0")
            self.assertEqual(self.ask(entry), FAILING)
            self.assertEqual(self.ask(entry), FAILING)

    def test_server_that_swallows_connection_attempts(self) -> None:
        with services.blackhole() as port:
            self.assertEqual(self.ask(self.cache(REDIS, f"redis://127.0.0.1:{port}/0")), FAILING)

    def test_password_of_the_location_is_in_no_reason(self) -> None:
        redis = services.redis()
        entry = self.cache(REDIS, f"redis://user:canary4711@{redis.host}:{redis.port}/0")
        self.assertEqual(self.ask(entry), FAILING)
        self.assertNotIn("canary", self.reason(entry))


@tag("fault")
class MemcachedTests(CachesFaultTestCase):
    def test_frozen_server(self) -> None:
        memcached = services.memcached()
        for backend in (PYMEMCACHE, PYLIBMC):
            with self.subTest(backend):
                services.require_module({PYMEMCACHE: "pymemcache", PYLIBMC: "pylibmc"}[backend], "pip install it")
                self.freeze_and_recover(self.cache(backend, memcached.location), memcached)
                engine.close()

    def test_server_that_is_down_is_not_hidden_by_a_client_that_ignores_errors(self) -> None:
        entry = self.cache(PYMEMCACHE, f"127.0.0.1:{services.refused_port()}", OPTIONS={"ignore_exc": True})
        self.assertEqual(self.ask(entry), FAILING)
        self.assertEqual(self.reason(entry), "did not keep what was written to it")

    def test_one_dead_server_of_two_is_always_false(self) -> None:
        """FAULTS P4: the key chooses the server, so one random key would find the dead one half of the time."""
        for backend in (PYMEMCACHE, PYLIBMC):
            with self.subTest(backend), services.memcached(private=True) as dying:
                living = services.memcached()
                for location in ([living.location, dying.location], f"{living.location};{dying.location}"):
                    entry = self.cache(backend, location)
                    self.assertEqual(self.ask(entry), HEALTHY)
                    dying.kill()
                    for _ in range(20):
                        self.assertEqual(self.ask(entry), FAILING)
                        self.assertRegex(self.reason(entry), r"^server 2 of 2: [\w ]+$")
                    dying.start()
                    self.assertEqual(self.ask(entry), HEALTHY)
                engine.close()

    def test_clients_of_several_servers_leave_no_connection(self) -> None:
        """FAULTS E11."""
        gc.disable()
        self.addCleanup(gc.enable)
        server = services.memcached()
        for backend in (PYMEMCACHE, PYLIBMC):
            entry = self.cache(backend, [server.location, server.location.replace("127.0.0.1", "localhost")])
            self.ask(entry)
            before = len(psutil.Process().net_connections())
            for _ in range(100):
                self.assertEqual(self.ask(entry), HEALTHY)
            self.assertLessEqual(len(psutil.Process().net_connections()), before)

    def test_restarted_server_is_healthy_at_once(self) -> None:
        with services.memcached(private=True) as memcached:
            entry = self.cache(PYMEMCACHE, memcached.location)
            self.assertEqual(self.ask(entry), HEALTHY)
            memcached.kill()
            self.assertEqual(self.ask(entry), FAILING)
            memcached.start()
            self.assertEqual(self.ask(entry), HEALTHY)
            memcached.kill()
            memcached.start()
            self.assertEqual(self.ask(entry), HEALTHY)
            engine.close()


class Router:
    """Sends the table of the cache to PostgreSQL."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "pg"

    db_for_write = db_for_read

    def allow_migrate(self, *args: Any, **hints: Any) -> bool:
        return True


@tag("fault")
class TableTests(CachesFaultTestCase):
    def test_cache_in_a_table_leaves_no_connection_and_survives_a_lost_one(self) -> None:
        self.enter(mock.patch("status.threads.is_testing", lambda: False))  # which keeps no connection (FAULTS E8)
        self.enter(override_settings(DATABASE_ROUTERS=[f"{__name__}.Router"]))
        postgres = services.postgres()
        for max_age in (0, None):
            with self.subTest(max_age):
                self.use(pg=postgres.settings(CONN_MAX_AGE=max_age))
                entry = self.cache("django.core.cache.backends.db.DatabaseCache", "cache_table")
                call_command("createcachetable", database="pg", verbosity=0)
                connections["pg"].close()
                kill = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                for _ in range(3):
                    self.assertEqual(self.ask(entry), HEALTHY)
                    postgres.execute(f"{kill} AND backend_type = 'client backend'")
                self.assertEqual(postgres.execute("SELECT count(*) FROM cache_table"), [(0,)])
                engine.close()
                self.assertTrue(eventually(lambda: self.sessions(postgres) == 0))

    def test_a_thousand_runs_use_one_connection_without_the_garbage_collector(self) -> None:
        """FAULTS E11."""
        self.enter(mock.patch("status.threads.is_testing", lambda: False))
        self.enter(override_settings(DATABASE_ROUTERS=[f"{__name__}.Router"]))
        self.addCleanup(gc.enable)
        gc.disable()
        postgres = services.postgres()
        self.use(pg=postgres.settings(CONN_MAX_AGE=None))
        entry = self.cache("django.core.cache.backends.db.DatabaseCache", "cache_table")
        call_command("createcachetable", database="pg", verbosity=0)
        connections["pg"].close()
        sql = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        self.ask(entry)
        first = postgres.execute(sql)
        for _ in range(1000):
            self.assertEqual(self.ask(entry), HEALTHY)
        self.assertTrue(eventually(lambda: postgres.execute(sql) == first))
        self.assertEqual(len(first), 1)
        engine.close()
        self.assertTrue(eventually(lambda: self.sessions(postgres) == 0))

    def sessions(self, postgres: services.Postgres) -> int:
        sql = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        return int(postgres.execute(sql)[0][0])
