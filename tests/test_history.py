"""What the pages remember: bounded, shared where asked, and never in anybody's way."""

from __future__ import annotations

import os
import threading
import time
from typing import Any
from unittest import mock

from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.test import SimpleTestCase, override_settings

from status import history as history_module
from status import logs
from status.apps import observe
from status.engine import engine
from status.entries import Check
from status.history import SLOTS, History, Slot, history, merge, rows_of, since, slots_of
from status.providers.health import ping
from status.store import key_of
from tests.components import EnteringTestCase, eventually
from tests.reports import result

CHECK = Check("health", "databases", ping)
KEY = ("health", "databases")
GOOD = result()
BAD = result(answer={"default": False})

LOCMEM = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "history"}}


class Frozen(LocMemCache):
    """Answers when it is let go."""

    release = threading.Event()
    asked = threading.Event()

    def get_many(self, *args: Any, **kwargs: Any) -> Any:
        self.asked.set()
        self.release.wait(30)
        return {}


class Broken(LocMemCache):
    def get_many(self, *args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("shop:hunter2@db.internal refused")


def slot(start: float, state: str = "pass", end: float | None = None, took: float | None = 0.01) -> Slot:
    return Slot(start, start if end is None else end, state, took, took)


class ClockTestCase(EnteringTestCase):
    """A history of its own, and a clock that the test moves."""

    def setUp(self) -> None:
        self.history = History()
        self.now = 1_000_000.0
        self.enter(mock.patch.object(history_module.time, "time", lambda: self.now))

    def see(self, *results: Any, every: float = 60.0, check: Check = CHECK) -> None:
        for seen in results:
            self.history.observe(check, seen)
            self.now += every

    def states(self) -> str:
        return "".join(slot.state[0] for slot in self.history.of(*KEY))


class MemoryTests(ClockTestCase):
    def test_a_finished_run_is_remembered(self):
        self.see(GOOD, BAD, GOOD)
        self.assertEqual(self.states(), "pfp")
        self.assertEqual(self.history.of(*KEY)[1].slowest, BAD.duration)

    def test_what_nobody_asked_is_empty(self):
        self.assertEqual(self.history.of("health", "unknown"), ())

    def test_frequent_probes_do_not_push_an_outage_out_of_sight(self):
        self.see(BAD)
        self.see(*[GOOD] * 300, every=1)
        self.assertEqual(self.states(), "f" + "p" * 30)

    def test_a_change_of_state_is_never_joined(self):
        self.see(GOOD, BAD, GOOD, BAD, every=0.1)
        self.assertEqual(self.states(), "pfpf")

    def test_a_joined_slot_keeps_the_fastest_and_the_slowest(self):
        self.see(result(duration=0.2), result(duration=0.1), result(duration=0.3), every=1)
        (only,) = self.history.of(*KEY)
        self.assertEqual((only.fastest, only.slowest, only.end - only.start), (0.1, 0.3, 2))

    def test_an_outcome_without_a_run_tells_no_duration(self):
        self.see(result(duration=None), result(duration=None), every=1)
        self.assertEqual(self.history.of(*KEY)[0][3:], (None, None))
        self.see(result(duration=0.2), result(duration=None), every=1)
        self.assertEqual(self.history.of(*KEY)[0][3:], (0.2, 0.2))
        self.assertEqual(merge([slot(1.0, took=None), slot(1.0)]), merge([slot(1.0), slot(1.0, took=None)]))

    def test_a_provider_takes_bounded_memory(self):
        self.see(*[GOOD, BAD] * 500)
        self.assertEqual(len(self.history.of(*KEY)), SLOTS)

    def test_since_outlives_the_slots_that_tell_it(self):
        began = self.now
        self.see(*[GOOD] * (SLOTS * 3))
        self.assertEqual(since(self.history.of(*KEY)), began)

    def test_since_is_the_last_change(self):
        self.assertEqual(since([slot(1), slot(20, "fail"), slot(40), slot(60)]), 40)
        self.assertIsNone(since([]))

    def test_a_clock_that_jumps_back_does_no_harm(self):
        self.see(GOOD)
        self.now -= 3600
        began = self.now
        self.see(GOOD, GOOD)
        self.assertEqual(self.states(), "ppp")
        self.assertEqual(since(self.history.of(*KEY)), began)

    def test_no_success_lies_ahead_where_the_clock_jumped_back(self):
        self.history.observe(CHECK, result(started_at=self.now))
        self.assertEqual(self.history.passed_at(*KEY), self.now)
        self.now -= 3600
        self.assertIsNone(self.history.passed_at(*KEY))

    def test_the_engine_tells_the_history_of_the_process(self):
        self.assertIn(observe, engine.observers)
        with mock.patch.object(history_module, "history", self.history):
            observe(CHECK, GOOD)
        self.assertEqual(self.states(), "p")

    def test_after_a_fork_the_child_starts_anew_even_if_the_lock_was_held(self):
        history.observe(CHECK, GOOD)
        with history._memory.get().lock:
            child = os.fork()
            if child == 0:
                history.observe(CHECK, BAD)
                os._exit(10 + len(history.of(*KEY)))
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 11)


class MergeTests(SimpleTestCase):
    def test_outcomes_of_several_processes_are_one_strip_in_the_order_of_time(self):
        merged = merge([slot(0), slot(60), slot(30, "fail"), slot(62)])
        self.assertEqual([(one.start, one.state) for one in merged], [(0, "pass"), (30, "fail"), (60, "pass")])

    def test_merging_again_changes_nothing(self):
        slots = [slot(start, "fail" if start % 7 == 0 else "pass") for start in range(0, 900, 3)]
        once = merge(slots)
        self.assertEqual(merge([*once, *slots[-40:]]), once)
        self.assertEqual(merge([*once, *once]), once)

    def test_what_an_extended_slot_covers_is_not_drawn_twice(self):
        covering = slot(0, end=500)
        self.assertEqual(merge([covering, slot(100), slot(490)]), [covering])

    def test_a_value_of_the_store_is_read_as_it_was_written(self):
        slots = [slot(1.5), slot(30.25, "fail"), slot(60.0, took=None)]
        self.assertEqual(slots_of(rows_of(slots)), slots)

    def test_a_value_of_another_shape_is_ignored(self):
        """Another version of the app may write to the same store."""
        nan, infinite, late = float("nan"), float("inf"), 9e99
        for rows in (
            None, 7, "text", [], {}, {"a": 1}, [1], [[1]], [[1, 2, "pass", 0.1, None]], [[2, 1, "pass", 0.1, 0.2]],
            [[1, 2, "<script>", 0.1, 0.2]], [[1, 2, ["pass"], 0.1, 0.2]], [[1, 2, "pass", nan, 0.2]],
            [[1, 2, "pass", infinite, 0.2]], [[1, late, "pass", 0.1, 0.2]], [[-1, 2, "pass", 0.1, 0.2]],
            [[1, 2, "pass", 0.1, 10**400]], [["1", 2, "pass", 0.1, 0.2]], [[None, 2, "pass", 0.1, 0.2]],
        ):  # fmt: skip
            with self.subTest(rows=str(rows)[:40]):
                self.assertEqual(slots_of(rows), [])
        self.assertEqual(slots_of([[1, 2, "pass", 0.1, 0.2]]), [Slot(1, 2, "pass", 0.1, 0.2)])


@override_settings(CACHES=LOCMEM, STATUS_HISTORY_CACHE="default")
class SharingTests(EnteringTestCase):
    def setUp(self) -> None:
        self.addCleanup(caches["default"].clear)
        logs._logged_at.clear()
        self.enter(mock.patch.object(history_module, "EXCHANGE_EVERY", 0.0))

    def share(self, one: History) -> None:
        """Exchange with the cache, and wait until that is over."""
        one.share([KEY])
        one.close()

    def test_processes_see_what_the_others_saw(self):
        first, second = History(), History()
        first.observe(CHECK, BAD)
        self.share(first)
        self.share(second)
        self.assertEqual([one.state for one in second.of(*KEY)], ["fail"])
        second.observe(CHECK, GOOD)
        self.share(second)
        self.share(first)
        self.assertEqual([one.state for one in first.of(*KEY)], ["fail", "pass"])

    def test_what_a_clock_noted_that_was_ahead_is_not_the_last_outcome(self):
        one, ahead = History(), time.time() + 7200
        with mock.patch.object(history_module.time, "time", return_value=ahead):
            one.observe(CHECK, BAD)
        one.observe(CHECK, GOOD)
        self.share(one)
        self.assertEqual([slot.state for slot in one.of(*KEY)], ["pass"])

    def test_a_restart_finds_the_strip_again(self):
        before = History()
        before.observe(CHECK, BAD)
        self.share(before)
        after = History()
        self.share(after)
        self.assertEqual(len(after.of(*KEY)), 1)

    @override_settings(STATUS_HISTORY_CACHE="nowhere", STATUS_STORE="default")
    def test_the_store_goes_before_the_older_setting(self):
        one = History()
        one.observe(CHECK, GOOD)
        self.share(one)
        self.assertIsNotNone(caches["default"].get(key_of("history", *KEY)))

    def test_without_the_setting_no_cache_is_touched(self):
        with override_settings(STATUS_HISTORY_CACHE=None):
            alone = History()
            alone.observe(CHECK, GOOD)
            self.share(alone)
        self.assertIsNone(caches["default"].get(key_of("history", *KEY)))

    def test_the_cache_is_not_asked_more_often_than_needed(self):
        one = History()
        with mock.patch.object(LocMemCache, "get_many", autospec=True, return_value={}) as asked:
            with mock.patch.object(history_module, "EXCHANGE_EVERY", 60.0):
                for _ in range(10):
                    self.share(one)
            self.assertEqual(asked.call_count, 1)
            self.share(one)
            self.assertEqual(asked.call_count, 2)

    def test_nothing_is_written_when_nothing_is_new(self):
        one = History()
        one.observe(CHECK, GOOD)
        self.share(one)
        with (
            mock.patch.object(LocMemCache, "set_many", side_effect=AssertionError("written")),
            self.assertNoLogs("status"),
        ):
            self.share(one)

    def test_no_thread_left_costs_the_exchange_only(self):
        one = History()
        one.observe(CHECK, GOOD)
        with mock.patch.object(threading.Thread, "start", side_effect=RuntimeError("can't start new thread")):
            one.share([KEY])
        self.share(one)
        self.assertIsNotNone(caches["default"].get(key_of("history", *KEY)))

    def test_exchanges_share_a_thread(self):
        one = History()
        self.addCleanup(one.close)
        threads: list[threading.Thread] = []

        def get_many(*args: Any, **kwargs: Any) -> dict[str, str]:
            threads.append(threading.current_thread())
            return {}

        with mock.patch.object(LocMemCache, "get_many", get_many):
            for _ in range(5):
                one.share([KEY])
                over = threading.Event()
                one._memory.get().worker.submit(lambda call, over=over: over.set())
                self.assertTrue(over.wait(5))
        self.assertEqual((len(threads), len(set(threads))), (5, 1))

    def test_a_dead_cache_costs_the_exchange_only_and_is_told_once(self):
        with override_settings(CACHES={"default": {"BACKEND": "tests.test_history.Broken"}}):
            one = History()
            one.observe(CHECK, GOOD)
            with self.assertLogs("status", "WARNING") as caught:
                self.share(one)
                self.share(one)
        self.assertEqual(len(caught.output), 1)
        self.assertIn("ConnectionError", caught.output[0])
        self.assertNotIn("hunter2", caught.output[0])
        self.assertEqual(len(one.of(*KEY)), 1)

    def test_an_alias_that_is_not_configured_costs_the_exchange_only(self):
        with override_settings(STATUS_HISTORY_CACHE="nowhere"), self.assertLogs("status", "WARNING"):
            self.share(History())

    def test_exchanges_that_hang_are_left_behind_while_few_do(self):
        Frozen.release.clear()
        self.enter(mock.patch.object(history_module, "REPLACE_AFTER", 0.0))
        one, threads = History(), threading.active_count()
        with override_settings(CACHES={"default": {"BACKEND": "tests.test_history.Frozen"}}):
            for expected in (1, 2, 3, 3):
                one.share([KEY])
                self.assertEqual(len(one._memory.get().exchanges), expected)
            Frozen.release.set()
            self.assertTrue(eventually(lambda: not one._memory.get().exchanges))
        one.observe(CHECK, GOOD)
        self.share(one)
        self.assertIsNotNone(caches["default"].get(key_of("history", *KEY)))
        self.assertTrue(eventually(lambda: threading.active_count() == threads))

    def test_a_frozen_cache_holds_up_nobody(self):
        Frozen.asked.clear(), Frozen.release.clear()
        with override_settings(CACHES={"default": {"BACKEND": "tests.test_history.Frozen"}}):
            one = History()
            began = time.monotonic()
            one.share([KEY])
            self.assertTrue(Frozen.asked.wait(10))
            Frozen.asked.clear()
            one.share([KEY])
            one.observe(CHECK, GOOD)
            self.assertEqual(len(one.of(*KEY)), 1)
            self.assertLess(time.monotonic() - began, 5)
            Frozen.release.set()
            one.close()
        self.assertFalse(Frozen.asked.is_set())  # no second exchange
