"""Counters behind real servers: processes that are killed and restarted, and a store that dies and comes back."""

from __future__ import annotations

import json
import re
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

import psutil
from django.db import connections
from django.test import tag

from status.counters import Tally, add_up, name_of, read_sums, tallies
from status.report import Counts
from status.store import Store
from tests import probes, services
from tests.test_fleet_faults import PERIOD, PROJECT, FleetFaultsTestCase

RUNS = re.compile(rb'^django_status_check_runs_total\{resource="health",check="ping"\} (\d+)\n', re.M)


class Scraper:
    """Asks a server for its metrics again and again, and remembers the counter of one check."""

    def __init__(self, port: int) -> None:
        self.port = port
        #: What was told; None where a scrape failed, or told no counter.
        self.told: list[int | None] = []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self) -> Scraper:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.ended.set()
        self.thread.join()

    def run(self) -> None:
        while not self.ended.wait(0.02):
            found = RUNS.search(probes.get(self.port, "/status/api?format=prometheus").body)
            self.told.append(None if found is None else int(found[1]))

    @property
    def numbers(self) -> list[int]:
        return [number for number in self.told if number is not None]


class CountersFaultsTestCase(FleetFaultsTestCase):
    def gunicorn(self, *options: str) -> Any:
        env = {"FLEET_STORE": json.dumps(self.cache), "FLEET_PERIOD": str(PERIOD)}
        return services.gunicorn(f"{PROJECT}:wsgi", "--workers", "3", "--threads", "2", *options, env=env)

    def assertGrows(self, scraper: Scraper) -> None:
        before = len(scraper.told)
        self.eventually(lambda: len(set(filter(None, scraper.told[before:]))) > 2)


@tag("fault")
class ServerTests(CountersFaultsTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.server = self.enter(services.redis(private=True))
        self.use_store("redis.RedisCache", self.server.url)

    def test_a_counter_never_runs_backwards_whoever_dies(self):
        with self.gunicorn() as web, Scraper(web.port) as scraper:
            self.assertGrows(scraper)
            for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
                victim = psutil.Process(web.pid).children()[0]
                victim.send_signal(number)
                victim.wait(30)
                self.assertGrows(scraper)
            web.stop()
            web.start()
            self.assertGrows(scraper)
        self.assertEqual(scraper.numbers, sorted(scraper.numbers))

    def test_each_run_counts_once(self):
        with self.gunicorn() as web:
            with Scraper(web.port) as scraper:
                self.assertGrows(scraper)
            asked = len(scraper.told)

            store = Store("STATUS_STORE", "default")
            sums = [0]

            def complete() -> bool:
                sums.append(sum(one.runs for one in (read_sums(store) or {}).values()))
                return sums[-1] >= asked

            self.eventually(complete)
            self.assertEqual(sums[-1], asked)

    def test_while_the_store_is_away_there_are_no_counters_and_then_all_of_them(self):
        with self.gunicorn() as web, Scraper(web.port) as scraper:
            self.assertGrows(scraper)
            with self.server.frozen():
                self.eventually(lambda: scraper.told[-1] is None)
            self.assertGrows(scraper)
        self.assertEqual(scraper.numbers, sorted(scraper.numbers))


@tag("fault")
class LockTests(CountersFaultsTestCase):
    """Many processes add to the sums at once, and each of their reports counts once, whatever the store is."""

    def test_on_redis(self):
        self.use_store("redis.RedisCache", self.enter(services.redis(private=True)).url)
        self.assertEachCountsOnce()

    def test_on_memcached(self):
        self.use_store("memcached.PyMemcacheCache", self.enter(services.memcached(private=True)).location)
        self.assertEachCountsOnce()

    def test_on_a_database(self):
        self.use_table_as_store()
        self.assertEachCountsOnce()

    def assertEachCountsOnce(self) -> None:
        store, key = Store("STATUS_STORE", "default"), ("health", "db")

        def add(number: int) -> None:
            tally = Tally()
            tally.add({key: Counts(1, 0, float(number))})
            local.tally = tally
            while tally.counts:
                add_up(store)
            connections.close_all()

        local = threading.local()  # each thread stands for a process
        with mock.patch.object(tallies, "get", lambda: local.tally), ThreadPoolExecutor(6) as processes:
            list(processes.map(add, range(30)))
        self.assertEqual((read_sums(store) or {})[name_of(*key)], Counts(30, 0, 29.0))
