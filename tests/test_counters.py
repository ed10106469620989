"""Counters in metrics (FAULTS O11): what all processes have counted, summed up in the store."""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

from django.core.cache import caches
from django.core.cache.backends.filebased import FileBasedCache
from django.test import SimpleTestCase, override_settings
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_prometheus

from status import counters, logs, store
from status.counters import MAX_COUNTED, SUMS, tallies
from status.engine import engine
from status.fleet import Reporter
from status.report import Counts
from status.store import Store, StoreFailed, key_of
from tests import services
from tests.commandline import ask
from tests.components import EnteringTestCase, Held, run_script

LOCMEM = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "counters"}
STORE = Store("STATUS_STORE", "default")
RUNS, FAILURES = "django_status_check_runs_total", "django_status_check_failures_total"
PASSED = "django_status_check_last_success_timestamp_seconds"
#: What the check ``shop/db`` answers.
ANSWER: dict[str, Any] = {"db": True}


class Everybody(FileBasedCache):
    """A cache with an ``add()`` that many can win: between its look and its write there is time."""

    def add(self, key: Any, value: Any, *args: Any, **kwargs: Any) -> bool:
        if self.has_key(key):
            return False
        time.sleep(0.002)
        self.set(key, value, *args, **kwargs)
        return True


def backend(name: str) -> override_settings:
    return override_settings(CACHES={"default": {**LOCMEM, "BACKEND": f"{Held.__module__}.{name}"}})


def report(times: int = 1) -> None:
    """Do what each process does every ten seconds."""
    for _ in range(times):
        Reporter().report(STORE)


def change(how: Any) -> bool:
    return STORE.use(lambda opened: opened.change(SUMS, how))


@override_settings(
    CACHES={"default": LOCMEM},
    STATUS_STORE="default",
    STATUS_PROVIDERS={"shop": [("db", lambda: ANSWER["db"], (), {}, {"critical": False})], "stats": [("n", dict)]},
    STATUS_SHOW_DETAILS="never",
    PROJECT_PATH="/",  # no checkout
)
class CountersTestCase(EnteringTestCase):
    def setUp(self) -> None:
        self.enter(mock.patch.object(engine, "observers", [counters.observe]))
        self.addCleanup(engine.close)
        self.addCleanup(caches["default"].clear)
        self.addCleanup(logs._logged_at.clear)
        logs._logged_at.clear()
        self.addCleanup(tallies._values.clear)
        tallies._values.clear()
        Held.free.clear()
        self.addCleanup(Held.free.set)

    def ask(self, times: int = 1, answer: Any = True) -> None:
        with mock.patch.dict(ANSWER, db=answer):
            for _ in range(times):
                self.client.get("/status/api")

    def samples(self, **query: str) -> dict[str, float]:
        """The samples of the one check, by name; in both formats the same. Asks it twice, passing."""
        found = []
        for name, parse in (("openmetrics", parse_openmetrics), ("prometheus", parse_prometheus)):
            text = self.client.get("/status/api", {"format": name, **query}).content.decode()
            samples = [sample for family in parse(text) for sample in family.samples]
            found.append({one.name: one.value for one in samples if one.labels.get("check") == "db"})
        self.assertEqual(found[0].keys(), found[1].keys())
        self.assertEqual([one.get(RUNS) for one in found], [found[0].get(RUNS)] * 2)
        return found[1]

    def counted(self) -> tuple[float | None, float | None]:
        samples = self.samples()
        return samples.get(RUNS), samples.get(FAILURES)


class GoodbyeTests(SimpleTestCase):
    def test_processes_that_end_together_lose_no_run(self):
        """As those of a server do that is reloaded."""
        code = """
            import multiprocessing
            from status.counters import Counts, SUMS, counts_in, tallies
            from status.fleet import Reporter
            from status.store import Store
            store = Store.configured()

            def end(barrier):
                tallies.get().add({("shop", "db"): Counts(5, 0, 0.0)})
                barrier.wait()
                Reporter().say_goodbye(store)

            forks = multiprocessing.get_context("fork")
            barrier = forks.Barrier(8)
            children = [forks.Process(target=end, args=[barrier]) for _ in range(8)]
            for child in children:
                child.start()
            for child in children:
                child.join()
            print(sum(one.runs for one in counts_in(store.read([SUMS])[SUMS]).values()))
        """
        done = run_script(code, services.directory())
        self.assertEqual((done.stdout, done.stderr), ("40\n", ""))


class SumTests(CountersTestCase):
    def test_runs_and_failures_of_all_processes_are_summed_up(self):
        self.ask(3)
        self.ask(2, answer=False)
        report()
        self.assertEqual(self.counted(), (5, 2))
        tallies._values.clear()  # another process, which has told nobody of the two questions since
        self.ask(4, answer=None)
        report()
        self.assertEqual(self.counted(), (9, 6))
        report(times=3)
        self.assertEqual(self.counted(), (11, 6))

    def test_counters_begin_at_nothing(self):
        """A counter that appears with a number has lost its first increase."""
        self.assertEqual(self.counted(), (0, 0))

    def test_a_process_that_ends_says_what_it_has_counted(self):
        self.ask(3)
        Reporter().say_goodbye(STORE)
        self.assertEqual(self.counted(), (3, 0))

    def test_a_check_passed_when_it_passed_in_any_process(self):
        self.ask()
        report()
        at = time.time()
        tallies._values.clear()
        with mock.patch.dict(ANSWER, db=False), mock.patch("status.formats.metrics.history") as history:
            history.passed_at.return_value = None
            history.began.return_value = 0.0
            self.assertAlmostEqual(self.samples()[PASSED], at, delta=5)
            history.passed_at.return_value = at + 100
            self.assertAlmostEqual(self.samples()[PASSED], at + 100, delta=5)

    def test_a_clock_that_was_ahead_tells_no_last_success(self):
        ahead = time.time() + 10 * 365 * 24 * 3600
        with mock.patch("time.time", return_value=ahead):
            self.ask()
            report()
        self.ask()
        report()
        at = time.time()
        with mock.patch.dict(ANSWER, db=False), mock.patch("status.formats.metrics.history") as history:
            history.passed_at.return_value = None
            history.began.return_value = 0.0
            self.assertAlmostEqual(self.samples()[PASSED], at, delta=5)

    def test_what_only_informs_and_the_presets_are_not_counted(self):
        with override_settings(STATUS_PROVIDERS={"health": [("db", bool)], "stats": [("n", dict)]}):
            for address in ("live", "ready", "stats"):
                self.client.get(f"/status/api/{address}")
            text = self.client.get("/status/api?format=openmetrics").content.decode()
        # ``ready`` asks the checks of ``health``.
        self.assertEqual([sum(one[0] for one in tallies.get().counts.values())], [2])
        self.assertNotIn('_total{resource="stats"', text)

    def test_without_a_store_nothing_is_counted_and_nothing_told(self):
        with override_settings(STATUS_STORE=None):
            self.ask(3)
            self.assertEqual(self.counted(), (None, None))
        self.assertEqual(tallies.get().counts, {})

    def test_the_command_tells_the_same(self):
        self.ask(3)
        report()
        with mock.patch.dict(ANSWER, db=False):
            for name in ("openmetrics", "prometheus"):
                self.assertIn(f'\n{RUNS}{{resource="shop",check="db"}} 3\n', ask("shop", "-f", name).out)

    @override_settings(MIDDLEWARE=["status.middleware.StatusMiddleware"])
    async def test_an_event_loop_tells_the_same(self):
        for _ in range(3):
            await self.async_client.get("/status/api/shop")
        report()
        response = await self.async_client.get("/status/api/shop?format=openmetrics")
        self.assertIn(f'\n{RUNS}{{resource="shop",check="db"}} 3\n', response.content.decode())

    def test_no_other_format_reads_the_store(self):
        with mock.patch.object(store.Store, "use", side_effect=AssertionError):
            self.assertEqual(self.client.get("/status/api?format=health%2Bjson").status_code, 200)


class TroubleTests(CountersTestCase):
    def test_while_the_store_is_dead_there_are_no_counters_and_nothing_is_lost(self):
        self.ask(3)
        whole = self.samples().keys()
        with backend("Dead"), self.assertLogs("status", "WARNING") as logged:
            self.assertEqual(self.samples().keys(), whole - {RUNS, FAILURES})
            with self.assertRaises(StoreFailed):
                report()
        self.assertIn("cannot be used (ConnectionError); metrics have no counters meanwhile.", logged.output[0])
        self.assertNotIn("hunter2", str(logged.output))
        report()
        self.assertEqual(self.counted(), (7, 0))

    def test_a_store_that_hangs_holds_up_no_answer(self):
        with backend("Held"), override_settings(STATUS_TIMEOUT=0.3):
            began = time.monotonic()
            text = self.client.get("/status/api?format=openmetrics").content.decode()
            self.assertLess(time.monotonic() - began, 0.3 + 0.25)
            self.assertIn("django_status_check_up", text)
            self.assertNotIn("_total", text)
            Held.free.set()

    def test_a_process_without_threads_left_has_no_counters(self):
        self.ask()
        no_thread = mock.patch("status.counters.start_call", side_effect=RuntimeError)
        with no_thread, override_settings(STATUS_TIMEOUT=0.1):
            self.assertEqual(self.counted(), (None, None))

    def test_without_threads_at_all_the_store_is_read_at_once(self):
        with override_settings(STATUS_SYNCHRONOUS=True), mock.patch("status.counters.start_call") as start:
            self.ask(3)
            report()
            self.assertEqual(self.counted(), (3, 0))
        start.assert_not_called()

    def test_a_store_that_was_flushed_begins_anew(self):
        self.ask(3)
        report()
        caches["default"].clear()
        self.assertEqual(self.counted(), (0, 0))

    def test_what_others_wrote_there_is_ignored(self):
        self.ask(3)
        report()
        good = dict(STORE.read([SUMS])[SUMS])
        for value in (None, 7, [], {"a": 1}, {"a": [1, 2]}, {"a": [1, -2, 3]}, {"a": [1, 2.5, 3]}, {"a": [True, 0, 0]}):
            STORE.write({SUMS: {**good, **value} if isinstance(value, dict) else value})
            self.assertEqual(self.counted()[0], 3 if isinstance(value, dict) else 0)
        caches["default"].set(SUMS, "forged")
        self.assertEqual(self.counted(), (0, 0))
        report()
        self.assertGreater(self.counted()[0] or 0, 3)

    def test_the_value_stays_small_whatever_is_counted(self):
        many = {("shop", "x" * number): Counts(10**9, 10**9, 1.7e9) for number in range(MAX_COUNTED + 5)}
        tallies.get().add(many)
        report()
        self.assertEqual(len(STORE.read([SUMS])[SUMS]), MAX_COUNTED)  # and it is not too long to be read
        self.ask(3)
        report()
        self.assertEqual(self.counted(), (0, 0))


class LockTests(CountersTestCase):
    """Many processes change the value at once, and each change counts once."""

    def assertEachCountsOnce(self) -> None:
        def process(number: int) -> None:
            for _ in range(3):
                while not change(lambda value: [*(value or []), number]):
                    time.sleep(0.001)

        with ThreadPoolExecutor(6) as processes:
            list(processes.map(process, range(6)))
        self.assertEqual(sorted(STORE.read([SUMS])[SUMS]), sorted(list(range(6)) * 3))

    def test_no_change_is_lost(self):
        self.assertEachCountsOnce()

    def test_no_change_is_lost_where_add_can_be_won_by_many(self):
        with tempfile.TemporaryDirectory() as folder:
            cache = {"BACKEND": f"{__name__}.Everybody", "LOCATION": folder}
            # So that also a busy machine has shown who is first.
            with override_settings(CACHES={"default": cache}), mock.patch.object(store, "LOCK_SETTLING", 0.1):
                self.assertEachCountsOnce()

    def test_a_process_that_died_in_the_middle_is_waited_for(self):
        self.ask(3)
        with mock.patch.object(store, "encode", side_effect=SystemExit), self.assertRaises(SystemExit):
            counters.add_up(STORE)
        with mock.patch.object(counters, "PAUSE", 0.0):
            report()
        self.assertEqual(STORE.read([SUMS]), {})
        caches["default"].delete(key_of("lock", SUMS))  # as its time is over
        report()
        self.assertEqual(self.counted(), (3, 0))

    def test_a_process_that_was_stopped_meanwhile_changes_nothing(self):
        def stopped(value: Any) -> Any:
            clock.return_value += store.LOCK_SECONDS
            return 1

        with mock.patch.object(store.time, "monotonic", return_value=5.0) as clock:
            self.assertFalse(change(stopped))
        self.assertEqual(STORE.read([SUMS]), {})

    def test_a_cache_that_keeps_nothing_counts_nothing(self):
        with override_settings(CACHES={"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}):
            self.assertFalse(change(lambda value: 1))
