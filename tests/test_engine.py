"""The engine's promises, one by one, with real threads and real processes."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import inspect
import linecache
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from unittest import mock

from asgiref.sync import async_to_sync, sync_to_async
from django.db import connections
from django.test import SimpleTestCase, override_settings
from django.utils import translation

from status.engine import Engine, engine
from status.engine.execution import Execution, Outcome, SingleFlight
from status.entries import Check
from status.logs import FailureLog
from status.providers.base import (
    Answer,
    Composite,
    Part,
    Provider,
    Unavailable,
    as_provider,
    deadline,
    runs_here,
    seconds_left,
)
from status.registry import registry
from status.report import Result
from status.threads import Latch, Worker, call_here, native_thread
from tests import services
from tests.components import eventually
from tests.processes import environment


def in_child(question: Any) -> int:
    """Return the exit status of a forked child that asks ``question()`` and exits 0 if it is true."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if question() else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class EngineTestCase(SimpleTestCase):
    """Gives each test an engine of its own, and lets hung checks go at its end."""

    def setUp(self) -> None:
        self.engine = Engine()
        self.release = threading.Event()
        self.calls: list[str] = []
        self.addCleanup(self.engine.close)
        self.addCleanup(self.settle)
        self.addCleanup(self.release.set)

    def settle(self) -> None:
        """Wait until every run that was abandoned has returned."""
        self.assertTrue(eventually(lambda: not self.engine.busy), "a run never returned")

    def check(self, function: Any, name: str = "it", args: Any = (), kwargs: Any = None, **options: Any) -> Check:
        return Check("health", name, as_provider(function), args, kwargs, options)

    def ask(self, *checks: Check, **question: Any) -> tuple[Result, ...]:
        return self.engine.run(checks, **question)

    def ask_one(self, function: Any, **options: Any) -> Result:
        return self.ask(self.check(function, **options))[0]

    def hang(self) -> bool:
        self.calls.append("hang")
        return self.release.wait(30)

    def ask_at_once(self, check: Check, callers: int) -> list[Result]:
        """The answers of callers who all ask while the one run hangs; lets it go when the last of them has asked."""
        asked, answers = threading.Semaphore(0), []
        join = SingleFlight.join

        def counted(*question: Any) -> Any:
            execution = join(*question)
            asked.release()
            return execution

        with mock.patch.object(SingleFlight, "join", counted):
            threads = [threading.Thread(target=lambda: answers.extend(self.ask(check))) for _ in range(callers)]
            for thread in threads:
                thread.start()
            for _ in threads:
                self.assertTrue(asked.acquire(timeout=10))
            self.release.set()
            for thread in threads:
                thread.join()
        return answers


class DeadlineTests(EngineTestCase):
    def test_hung_check_is_answered_at_its_deadline(self) -> None:
        started = time.monotonic()
        result = self.ask_one(self.hang, timeout=0.2)
        took = time.monotonic() - started
        self.assertEqual(result.answer, {"ok": False, "error": "timed out after 0.2 s"})
        self.assertFalse(result.sound)
        self.assertGreaterEqual(took, 0.2)
        self.assertLess(took, 0.45)

    def test_deadline_of_a_class_counts_at_the_first_question_too(self) -> None:
        def aask(check: Check) -> tuple[Result, ...]:
            return asyncio.run(self.engine.arun([check]))

        for ask in (self.ask, aask):
            with self.subTest(ask):
                sys.modules.pop("tests.tardy", None)
                with override_settings(STATUS_TIMEOUT=0.1):
                    (result,) = ask(Check("health", "patient", "tests.tardy.Patient"))
                self.assertEqual(result.answer, True)
                sys.modules.pop("tests.tardy")
                with override_settings(STATUS_TIMEOUT=0.3):
                    (result,) = ask(Check("health", "hurried", "tests.tardy.Hurried"))
                self.assertEqual(result.error, "timed out after 0.1 s")
                sys.modules["tests.tardy"].release.set()

    def test_deadline_of_the_question_wins_over_that_of_a_class_not_loaded_yet(self) -> None:
        sys.modules.pop("tests.tardy", None)
        (result,) = self.ask(Check("health", "patient", "tests.tardy.Patient"), timeout=0.1)
        self.assertEqual(result.error, "timed out after 0.1 s")
        sys.modules["tests.tardy"].release.set()

    def test_hung_check_does_not_hide_the_others(self) -> None:
        hung, fine = self.ask(self.check(self.hang, "hung", timeout=0.1), self.check(lambda: {"a": 1}, "fine"))
        self.assertEqual(hung.state, "fail")
        self.assertEqual(fine.answer, {"a": 1})

    def test_run_that_overstays_is_reported_at_once_and_not_started_again(self) -> None:
        check = self.check(self.hang, timeout=0.1)
        self.ask(check)
        started = time.monotonic()
        (result,) = self.ask(check)
        self.assertLess(time.monotonic() - started, 0.05)
        self.assertRegex(str(result.error), r"^timed out after 0\.1 s, still running since \d{4}-\d\d-\d\dT[\d:]{8}Z$")
        self.assertGreater(result.duration, 0.1)
        self.assertEqual(self.calls, ["hang"])

    def test_trouble_is_told_since_its_beginning_however_often_it_was_tried_again(self) -> None:
        """FAULTS E14."""
        check = self.check(self.hang, timeout=0.02)
        self.ask(check)
        with (
            mock.patch("status.engine.execution.time.time", lambda: 0.0),
            mock.patch.object(SingleFlight, "replace_after", 0.0),
        ):
            self.ask(check)
        error = str(self.ask(check)[0].error)
        self.assertTrue(eventually(lambda: len(self.calls) == 2))
        self.assertNotIn("1970", error)

    def test_check_is_asked_anew_as_soon_as_the_late_run_has_returned(self) -> None:
        check = self.check(self.hang, timeout=0.1)
        self.ask(check)
        self.release.set()
        self.settle()
        self.assertEqual(self.ask(check)[0].answer, True)
        self.assertEqual(self.calls, ["hang", "hang"])

    def test_late_answer_is_not_taken_for_a_new_one(self) -> None:
        check = self.check(self.hang, timeout=0.1)
        self.ask(check)
        self.release.set()
        self.settle()
        self.assertEqual(self.ask(check)[0].age, 0.0)

    def test_run_left_behind_is_replaced_after_a_while_and_three_times_at_most(self) -> None:
        check = self.check(self.hang, timeout=0.02)
        with mock.patch.object(SingleFlight, "replace_after", 0.03):
            for _ in range(12):
                self.ask(check)
                time.sleep(0.02)
        self.assertEqual(len(self.calls), 3)

    def test_run_left_behind_is_not_replaced_before_that(self) -> None:
        check = self.check(self.hang, timeout=0.02)
        for _ in range(5):
            self.ask(check)
        self.assertEqual(len(self.calls), 1)

    def test_replacement_answers_although_the_first_run_is_still_stuck(self) -> None:
        def stuck_once() -> bool:
            self.calls.append("run")
            return len(self.calls) > 1 or self.release.wait(30)

        check = self.check(stuck_once, timeout=0.02)
        self.ask(check)
        check.options["timeout"] = 10
        with mock.patch.object(SingleFlight, "replace_after", 0.0):
            self.assertEqual(self.ask(check)[0].answer, True)
        self.assertEqual(self.ask(check)[0].answer, True)

    def test_the_questions_own_timeout_goes_before_that_of_the_check(self) -> None:
        (result,) = self.ask(self.check(self.hang, timeout=20), timeout=0.05)
        self.assertEqual(result.error, "timed out after 0.05 s")

    def test_who_gives_less_time_fails_nobody_elses_question(self) -> None:
        told: list[tuple[str, str | None]] = []
        self.engine.observers.append(lambda check, result: told.append((result.name, result.error)))
        checks = self.check(self.hang, "whole", timeout=20), self.check(Pair(a=self.hang, b=lambda: True), "pair")
        checks[1].options["timeout"] = 20
        late = "timed out after 0.05 s"
        with ThreadPoolExecutor(1) as pool:
            for _ in range(2):  # who starts a run, and who joins it
                began = time.monotonic()
                whole, pair = self.ask(*checks, timeout=0.05)
                self.assertLess(time.monotonic() - began, 5)
                self.assertEqual((whole.state, whole.error), ("fail", late))
                self.assertEqual(
                    (pair.state, pair.answer, pair.reasons), ("fail", {"a": False, "b": True}, {"a": late})
                )
            patient = pool.submit(self.ask, *checks)
            self.assertEqual(told, [])
            self.release.set()
            self.assertEqual([result.state for result in patient.result(30)], ["pass", "pass"])
        self.assertEqual(set(told), {("pair", None), ("whole", None)})

    def test_deadline_that_both_set_is_told_to_the_observers(self) -> None:
        for timeout in (0.05, 0.1):
            told: list[str | None] = []
            self.engine.observers[:] = [lambda check, result, told=told: told.append(result.error)]  # type: ignore[misc]
            self.ask(self.check(self.hang, timeout=0.05), timeout=timeout)
            self.assertEqual(told, [f"timed out after {timeout:g} s"])

    def test_who_waits_for_what_is_there_already_does_not_wait(self) -> None:
        latch = Latch()
        latch.open()
        latch.wait(3600)
        self.assertTrue(latch.future().done())

    def test_engine_of_one_caller_gives_the_checks_his_time(self) -> None:
        """They can answer for those that came in time; nobody else is there to be told less."""
        self.engine.is_shared = False
        (result,) = self.ask(self.check(lambda: seconds_left(), timeout=20), timeout=3)
        self.assertLess(result.answer, 3)  # type: ignore[arg-type]

    def test_late_answer_is_not_reused(self) -> None:
        """The log, the pages and the metrics know of the deadline that was missed."""
        check = self.check(self.hang, timeout=0.02, max_age=600)
        self.ask(check)
        self.release.set()
        self.settle()
        check.options["timeout"] = 10
        self.assertEqual((self.ask(check)[0].age, self.calls), (0.0, ["hang", "hang"]))

    def test_what_was_not_run_is_not_reused(self) -> None:
        check = self.check(lambda: True, max_age=600)
        with mock.patch.object(SingleFlight, "submit", side_effect=RuntimeError):
            self.assertEqual(self.ask(check)[0].error, "no thread could be started to run it")
        self.assertEqual(self.ask(check)[0].answer, True)

    def test_provider_that_cannot_say_what_it_is_fails_and_is_asked_again(self) -> None:
        class Odd(Provider):
            raises = True

            @property
            def native(self) -> bool:
                if self.raises:
                    raise ConnectionError
                return False

            def check(self) -> bool:
                return True

        check = self.check(Odd())
        for _ in range(5):
            self.assertEqual(self.ask(check)[0].error, "raised ConnectionError")
        Odd.raises = False
        self.assertEqual(self.ask(check)[0].answer, True)

    def test_who_waits_for_a_run_takes_no_lock_that_an_alarm_could_leave_taken(self) -> None:
        """Those of ``Condition`` and ``Future`` are Python code, in which an alarm may strike."""
        check = self.check(lambda: time.sleep(0.02) or True)
        self.ask(check)  # its thread is there
        entered: list[type] = []
        sys.setprofile(lambda frame, event, argument: entered.append(type(frame.f_locals.get("self"))))
        try:
            (result,) = self.ask(check)
        finally:
            sys.setprofile(None)
        self.assertEqual(result.answer, True)
        self.assertFalse({threading.Condition, Future} & set(entered))

    def test_alarm_at_any_call_leaves_nothing_of_a_run_in_the_thread(self) -> None:
        class Alarm(BaseException):
            pass

        class Here(Provider):
            blocking = False

            def check(self) -> bool:
                return True

        check, kept, at, calls = self.check(Here()), [], 0, 0
        self.ask(check)

        def strike(frame: Any, event: str, argument: Any) -> None:
            nonlocal calls
            calls += event == "call"
            if calls == at:
                raise Alarm

        while calls == at:
            at, calls = at + 1, 0
            sys.setprofile(strike)
            try:
                self.ask(check)
            except Alarm as alarm:
                kept.append(alarm)  # with its traceback, and all that hangs on it
            finally:
                sys.setprofile(None)
            self.assertEqual((runs_here(check), self.ask(check)[0].answer), (False, True), kept[-1:])
        self.assertGreater(len(kept), 20)

    def test_who_gives_more_time_gives_it_to_what_he_starts(self) -> None:
        check = self.check(lambda: time.sleep(0.1) or True, timeout=0.02)
        self.assertEqual(self.ask(check, timeout=20)[0].answer, True)

    def test_who_joins_a_run_that_another_gives_more_time_waits_no_longer_than_ever(self) -> None:
        began, patient = threading.Event(), []
        check = self.check(lambda: began.set() or self.hang(), timeout=0.05)
        caller = threading.Thread(target=lambda: patient.extend(self.ask(check, timeout=30)))
        caller.start()
        self.assertTrue(began.wait(10))
        (result,) = self.ask(check)
        self.assertEqual((result.error, self.calls), ("timed out after 0.05 s", ["hang"]))
        self.release.set()
        caller.join()
        self.assertEqual(patient[0].answer, True)

    def test_time_that_a_test_of_a_project_freezes_keeps_nobody_waiting(self) -> None:
        # By their modules: ``status.engine.engine`` is the engine.
        modules = [sys.modules[f"status.engine.{name}"] for name in ("engine", "execution")]
        frozen = [mock.patch.object(module, "monotonic", return_value=7.0) for module in modules]
        with frozen[0], frozen[1]:
            self.assertEqual(self.ask_one(self.hang, timeout=0.05).error, "timed out after 0.05 s")

    @override_settings(STATUS_TIMEOUT=0.05)
    def test_deadline_comes_from_the_settings_where_nothing_else_says(self) -> None:
        self.assertEqual(self.ask_one(self.hang).error, "timed out after 0.05 s")

    def test_check_can_read_its_deadline(self) -> None:
        before = time.monotonic()
        left = self.ask_one(lambda: deadline(), timeout=7).answer
        self.assertAlmostEqual(float(left), before + 7, delta=0.5)  # type: ignore[arg-type]
        self.assertIsNone(deadline())

    def test_impatient_caller_is_told_that_it_runs_and_a_later_one_gets_the_answer(self) -> None:
        check = self.check(self.hang, timeout=5)
        (result,) = self.ask(check, patience=0.02)
        self.assertEqual((result.state, result.answer, result.error), ("running", None, None))
        self.release.set()
        self.assertEqual(self.ask(check)[0].answer, True)
        self.assertEqual(len(self.calls), 1)

    def test_impatient_caller_who_comes_back_is_told_what_came_of_the_run_before(self) -> None:
        late = "timed out after 0.2 s"
        for answer, told in ((True, ("pass", None)), (False, ("fail", None)), (None, ("fail", late))):
            timeout = 0.2 if answer is None else 20
            check = self.check(lambda answer=answer: self.hang() and answer, f"it{answer}", timeout=timeout)
            with self.subTest(answer=answer):
                self.release.clear()
                self.assertEqual(self.ask(check, patience=0.02)[0].state, "running")
                if answer is None:
                    self.assertEqual(self.ask(check)[0].error, late)
                self.release.set()
                self.settle()
                self.release.clear()
                (result,) = self.ask(check, patience=0.02)
                self.assertEqual((result.state, result.error), told)
                self.assertGreater(result.age, 0)
                with mock.patch.object(sys.modules["status.engine.engine"], "RECENT_SECONDS", 0.0):
                    self.assertEqual(self.ask(check, patience=0.02)[0].state, "running")
                self.release.set()
                self.settle()

    def test_impatient_caller_is_told_of_the_slow_component_what_it_was_before(self) -> None:
        check = self.check(Pair(a=lambda: True, b=lambda: self.hang() and False), timeout=20)
        self.assertEqual(self.ask(check, patience=0.02)[0].state, "running")
        self.release.set()
        self.settle()
        self.release.clear()
        self.assertEqual(self.ask(check, patience=0.02)[0].answer, {"a": True, "b": False})
        self.release.set()
        self.settle()


class SideBySideTests(EngineTestCase):
    def test_checks_of_one_question_run_at_the_same_time(self) -> None:
        meet = threading.Barrier(5)
        results = self.ask(*(self.check(lambda: meet.wait(5) >= 0, str(number)) for number in range(5)))
        self.assertEqual([result.answer for result in results], [True] * 5)

    def test_results_come_in_the_order_of_the_question(self) -> None:
        first_done = threading.Event()
        slow = self.check(lambda: first_done.wait(5), "slow")
        quick = self.check(lambda: first_done.set() is None, "quick")
        self.assertEqual([result.name for result in self.ask(slow, quick)], ["slow", "quick"])

    def test_callers_who_come_meanwhile_share_one_run(self) -> None:
        started = time.monotonic()
        answers = self.ask_at_once(self.check(self.hang, timeout=10), callers=20)
        self.assertLess(time.monotonic() - started, 5)
        self.assertEqual([result.answer for result in answers], [True] * 20)
        self.assertEqual(len(self.calls), 1)

    def test_thread_is_kept_warm_between_runs(self) -> None:
        check = self.check(threading.get_ident)
        self.assertEqual(len({self.ask(check)[0].answer for _ in range(20)}), 1)

    def test_thread_does_not_keep_the_process_from_ending(self) -> None:
        self.assertIs(self.ask_one(lambda: threading.current_thread().daemon).answer, True)

    def test_what_cannot_wait_runs_where_it_is(self) -> None:
        class Quick(Provider):
            blocking = False

            def check(self) -> int:
                return threading.get_ident()

        self.assertEqual(self.ask_one(Quick).answer, threading.get_ident())

    def test_no_thread_before_the_first_question_and_none_after_the_idle_time(self) -> None:
        def alive() -> list[str]:
            return [thread.name for thread in threading.enumerate() if thread.name == "status-health-lonely"]

        check = self.check(lambda: True, "lonely")
        self.assertEqual(alive(), [])
        with mock.patch.object(Worker, "idle_seconds", 0.01):
            self.ask(check)
            for thread in threading.enumerate():
                if thread.name == "status-health-lonely":
                    thread.join(5)
        self.assertEqual(alive(), [])
        self.assertEqual(self.ask(check)[0].answer, True)

    def test_idle_thread_closes_what_the_provider_kept(self) -> None:
        closed = threading.Event()

        class Keeper(Provider):
            def check(self) -> bool:
                return True

            def close(self) -> None:
                closed.set()

        with mock.patch.object(Worker, "idle_seconds", 0.01):
            check = self.check(Keeper)
            self.ask(check)
            self.assertTrue(closed.wait(5))

    def test_one_thread_for_each_check_however_many_ask(self) -> None:
        checks = [self.check(lambda: True, f"n{number}") for number in range(5)]
        before = threading.active_count()
        for _ in range(200):
            self.ask(*checks)
        self.assertLessEqual(threading.active_count() - before, 5)


class Limit(BaseException):
    """Raised into a thread from outside, as a server's own limit is."""


class InterruptionTests(EngineTestCase):
    """FAULTS E5: what is raised into the caller reaches the caller, and no run stays behind."""

    def interrupting(self, blocking: bool) -> Check:
        outer = self

        class Interrupted(Provider):
            def may_block(self) -> bool:
                if outer.armed:
                    raise Limit
                return blocking

            def check(self) -> bool:
                if outer.armed and not blocking:
                    raise Limit
                return True

        return self.check(Interrupted(), "interrupted")

    def test_limit_that_strikes_before_a_run_begins_leaves_none_behind(self) -> None:
        fine, check = self.check(lambda: True, "fine"), self.interrupting(blocking=True)
        self.armed = True
        with self.assertRaises(Limit):
            self.ask(fine, check)
        self.assertTrue(eventually(lambda: not self.engine.busy))
        self.armed = False
        self.assertEqual([result.answer for result in self.ask(fine, check)], [True, True])

    def test_limit_that_strikes_while_another_check_runs_leaves_that_alone(self) -> None:
        running = threading.Event()

        def busy() -> bool:
            running.set()
            return self.hang()

        class Struck(Provider):
            def may_block(self) -> bool:
                running.wait(5)
                raise Limit

            def check(self) -> bool:
                return True

        check = self.check(busy, timeout=10)
        with self.assertRaises(Limit):
            self.ask(check, self.check(Struck, "struck"))
        self.assertTrue(self.engine.busy)
        self.release.set()
        self.assertEqual(self.ask(check)[0].answer, True)

    def test_run_ends_once(self) -> None:
        flight = SingleFlight("it")
        execution = flight.join(Execution(1), 0.0, 0)
        for answer in (1, 2):
            flight.end(execution, Outcome(answer, answer, sound=True))
        self.assertEqual(execution.outcome.answer, 1)  # type: ignore[union-attr]

    def test_run_that_was_withdrawn_is_not_run(self) -> None:
        jobs: list[Any] = []

        def submit(flight: Any, execution: Any, job: Any, at_end: Any) -> None:
            jobs.append(job)
            raise Limit

        check = self.check(self.hang)
        with mock.patch.object(SingleFlight, "submit", submit), self.assertRaises(Limit):
            self.ask(check)
        self.assertFalse(self.engine.busy)
        jobs[0](call_here)
        self.assertEqual(self.calls, [])

    def test_limit_that_strikes_in_the_middle_of_a_run_reaches_the_caller(self) -> None:
        class Struck(Provider):
            blocking = False

            def check(self) -> bool:
                if struck:
                    raise struck.pop()
                return True

        struck, check = [Limit()], self.check(Struck)
        with self.assertRaises(Limit):
            self.ask(check)
        self.assertFalse(self.engine.busy)
        self.assertEqual(self.ask(check)[0].answer, True)

    def test_wherever_a_limit_strikes_the_next_question_is_answered(self) -> None:
        """FAULTS E5: an exception at each line that the caller's own thread runs, one after the other."""

        class Quick(Provider):
            blocking = False

            def check(self) -> bool:
                return True

        for line in range(1, 5000):
            asked = Engine()
            checks = [self.check(lambda: True, "slow", timeout=10), self.check(Quick, "quick")]
            checks.append(Check("health", "loaded", "tests.fault_project.providers.neighbour", options={"timeout": 10}))
            struck = self.strike(line, lambda asked=asked, checks=checks: asked.run(checks))  # type: ignore[misc]
            if struck is None:
                break
            with self.subTest(line=struck):
                self.assertTrue(eventually(lambda asked=asked: not asked.busy))  # type: ignore[misc]
                self.assertEqual([result.answer for result in asked.run(checks)], [True, True, {"fine": True}])
                asked.close()
        asked.close()
        self.assertGreater(line, 200)

    def strike(self, line: int, ask: Any) -> str | None:
        """Raise a limit at that line of the engine to which this thread comes. Return where; None after the last."""
        struck: list[str] = []
        left, own = [line], (os.path.dirname(inspect.getfile(Engine)), inspect.getfile(Worker), inspect.getfile(Check))

        def trace(frame: Any, event: str, argument: Any) -> Any:
            if not frame.f_code.co_filename.startswith(own) or frame.f_code.co_name in ("__del__", "stop") or struck:
                return None
            # A signal does not come between a lock and the block that it guards, as a line does.
            text = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
            if event == "line" and not text.startswith(("with ", "try:")):
                left[0] -= 1
                if left[0] == 0:
                    struck.append(f"{frame.f_code.co_filename}:{frame.f_lineno}")
                    raise Limit
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            ask()
        except Limit:
            pass
        finally:
            sys.settrace(before)
        return struck[0] if struck else None

    def test_alarm_that_raises_a_timeout_error_reaches_the_caller(self) -> None:
        """FAULTS E5: the exception of most alarms is the one by which a future tells that its time is over."""

        def ring(number: int, frame: Any) -> None:
            raise TimeoutError("the caller's own")

        before = signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        try:
            with self.assertRaisesRegex(TimeoutError, "the caller's own"):
                self.ask(self.check(self.hang, timeout=10))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


class ClockTests(EngineTestCase):
    def test_clock_that_jumps_a_day_changes_no_verdict_and_no_deadline(self) -> None:
        clock = time.time
        check = self.check(lambda: True, max_age=60)
        slow = self.check(self.hang, "slow", timeout=0.2)
        for jump in (0, 86400, -86400):
            with self.subTest(jump=jump), mock.patch("time.time", lambda jump=jump: clock() + jump):
                started = time.monotonic()
                fine, late = self.ask(check, slow)
                self.assertEqual((fine.answer, fine.state, late.state), (True, "pass", "fail"))
                self.assertLess(time.monotonic() - started, 2)
                self.assertTrue(0 <= fine.age < 60 and 0 <= late.duration < 60, (fine.age, late.duration))


class ThreadsEndTests(EngineTestCase):
    def test_threads_of_parts_end_with_their_check(self) -> None:
        """FAULTS E8: a provider of parts holds them, and its threads must not hold the provider."""
        before = threading.active_count()
        for _ in range(50):
            self.assertEqual(self.ask(self.check(Pair(a=lambda: True)))[0].state, "pass")
        gc.collect()
        self.assertTrue(eventually(lambda: threading.active_count() - before <= 3))

    def test_settings_that_change_two_hundred_times_leave_no_threads(self) -> None:
        """FAULTS E8."""
        before = threading.active_count()
        for number in range(200):
            entries = [(f"n{number}", lambda: True), (f"m{number}", lambda: True)]
            with override_settings(STATUS_PROVIDERS={"health": entries}):
                self.assertEqual(self.client.get("/status/api/health").status_code, 200)
        registry.current()
        self.addCleanup(engine.close)
        gc.collect()  # Python 3.10 may keep a frame, and with it a check, until the collector comes
        self.assertTrue(eventually(lambda: threading.active_count() - before <= 5), threading.enumerate())

    def test_settings_changed_in_place_count_with_the_next_question(self) -> None:
        self.addCleanup(engine.close)
        entries: list[Any] = [("one", dict, None, {"a": True})]
        with override_settings(STATUS_PROVIDERS={"health": entries}):
            answers = [self.client.get("/status/api/health").json()]
            entries[0][3]["a"] = False
            answers.append(self.client.get("/status/api/health").json())
            entries.append(("two", dict))
            answers.append(self.client.get("/status/api/health").json())
        self.assertEqual(answers, [{"one": {"a": True}}, {"one": {"a": False}}, {"one": {"a": False}, "two": {}}])

    def test_threads_end_with_their_checks(self) -> None:
        """FAULTS E8: other settings mean other checks."""
        before = threading.active_count()
        for _ in range(50):
            self.ask(self.check(lambda: True), self.check(lambda: True, "other"))
        gc.collect()  # Python 3.10 may keep a frame, and with it a check, until the collector comes
        self.assertTrue(eventually(lambda: threading.active_count() - before <= 2), threading.enumerate())

    def test_job_that_comes_as_the_worker_ends_is_done(self) -> None:
        done = threading.Event()
        worker = Worker("late", idle_seconds=0.01)
        with worker._lock:
            worker._thread = thread = threading.Thread(target=worker._run)
            thread.start()
            self.assertFalse(done.wait(0.05))  # by now it is about to end, and waits for the lock
            worker._jobs.put(None)
            worker._jobs.put(lambda call: done.set())
        self.assertTrue(done.wait(5))
        thread.join()

    def test_worker_goes_on_after_it_was_stopped(self) -> None:
        worker, done = Worker("late"), threading.Event()
        self.assertIsNone(worker.stop())
        worker.submit(lambda call: done.set())
        self.assertTrue(done.wait(5))
        thread = worker.stop()
        self.assertIsNotNone(thread)
        thread.join(5)  # type: ignore[union-attr]


class DjangoConnectionTests(EngineTestCase):
    """Checks that use the project's models, and with them Django's own connection of the thread."""

    databases = {"default"}

    def setUp(self) -> None:
        super().setUp()
        # As in a server: under Django's test runner no connection is kept.
        outside = mock.patch("status.threads.is_testing", lambda: False)
        outside.start()
        self.addCleanup(outside.stop)

    def asking(self, **entry: Any) -> Check:
        """A check that uses an SQLite file, and remembers the connection it got."""
        name = services.directory() / "db.sqlite3"
        own = {"ENGINE": "django.db.backends.sqlite3", "NAME": name, **entry}
        context = services.use_databases(self, own=own)
        context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        self.addCleanup(self.engine.close)  # first: nobody closes the connection of an alias that is gone
        self.seen: list[Any] = []

        def check() -> bool:
            with connections["own"].cursor() as cursor:
                cursor.execute("SELECT 1")
            self.wrapper = connections["own"]
            self.seen.append(self.wrapper.connection)
            return True

        # Kept, as the thread ends with its check, and this connection has to be closed before its alias is gone.
        self.asked = self.check(check)
        return self.asked

    def test_connection_is_closed_after_the_run_where_django_keeps_none(self) -> None:
        self.ask(self.asking())
        self.assertTrue(eventually(lambda: self.wrapper.connection is None))

    def test_connection_is_kept_as_long_as_django_keeps_it_and_closed_with_the_thread(self) -> None:
        check = self.asking(CONN_MAX_AGE=None)
        self.assertEqual([self.ask(check)[0].answer for _ in range(3)], [True] * 3)
        self.assertIs(self.seen[0], self.seen[2])
        self.assertIsNotNone(self.wrapper.connection)
        self.engine.close()
        self.assertIsNone(self.wrapper.connection)

    def test_connection_that_cannot_be_closed_does_not_keep_the_next_one_open(self) -> None:
        check = self.asking(CONN_MAX_AGE=None)
        self.ask(check)
        broken = mock.Mock(**{"close.side_effect": ValueError})
        both = mock.patch.object(connections, "all", lambda initialized_only=False: [broken, self.wrapper])
        with self.assertLogs("status", "DEBUG"), both:
            self.engine.close()
        self.assertIsNone(self.wrapper.connection)

    def test_connections_that_cannot_even_be_listed_change_nothing(self) -> None:
        with self.assertLogs("status", "DEBUG"), mock.patch.object(connections, "all", side_effect=ValueError):
            self.assertEqual(self.ask_one(lambda: True, timeout=5).answer, True)
            self.engine.close()

    def test_connection_that_has_grown_too_old_meanwhile_is_renewed_before_the_run(self) -> None:
        check = self.asking(CONN_MAX_AGE=60)
        self.ask(check)
        self.wrapper.close_at = time.monotonic()
        self.assertEqual(self.ask(check)[0].answer, True)
        self.assertIsNot(self.seen[0], self.seen[1])


class ReuseTests(EngineTestCase):
    def count(self) -> int:
        self.calls.append("run")
        return len(self.calls)

    def test_every_question_is_asked_anew_by_default(self) -> None:
        check = self.check(self.count)
        self.assertEqual([self.ask(check)[0].answer for _ in range(3)], [1, 2, 3])

    def test_answer_is_reused_for_its_max_age_and_says_how_old_it_is(self) -> None:
        check = self.check(self.count, max_age=60)
        fresh, reused = self.ask(check)[0], self.ask(check)[0]
        self.assertEqual((fresh.answer, fresh.age), (1, 0.0))
        self.assertEqual(reused.answer, 1)
        self.assertGreater(reused.age, 0.0)

    def test_answer_is_not_reused_beyond_its_max_age(self) -> None:
        check = self.check(self.count, max_age=0.001)
        self.ask(check)
        time.sleep(0.002)
        self.assertEqual(self.ask(check)[0].answer, 2)

    @override_settings(STATUS_MAX_AGE=60)
    def test_max_age_comes_from_the_settings_where_nothing_else_says(self) -> None:
        check = self.check(self.count)
        self.assertEqual([self.ask(check)[0].answer for _ in range(2)], [1, 1])

    def test_answer_of_a_run_left_behind_does_not_replace_a_newer_one(self) -> None:
        def old_then_new() -> str:
            self.calls.append("run")
            if len(self.calls) == 1:
                self.release.wait(30)
                return "old"
            return "new"

        check = self.check(old_then_new, timeout=0.02, max_age=60)
        self.ask(check)
        check.options["timeout"] = 10
        with mock.patch.object(SingleFlight, "replace_after", 0.0):
            self.assertEqual(self.ask(check)[0].answer, "new")
        self.release.set()
        self.settle()
        self.assertEqual(self.ask(check)[0].answer, "new")


class BrokenText(Exception):
    def __str__(self) -> str:
        raise ValueError("no text for you")


class BrokenUnavailable(Unavailable):
    __str__ = BrokenText.__str__


class IsolationTests(EngineTestCase):
    def setUp(self) -> None:
        super().setUp()
        context = self.assertLogs("status", "DEBUG")
        context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)

    def raising(self, error: BaseException) -> Result:
        def check() -> None:
            raise error

        return self.ask(self.check(check), self.check(lambda: True, "neighbour"))[0]

    def test_whatever_is_raised_is_the_answer_of_that_provider_alone(self) -> None:
        for error in (
            ValueError("secret"), SystemExit(3), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError(),
            MemoryError(), RecursionError(), BrokenText(), BaseException("secret"), StopIteration(),
            TimeoutError("secret"),
        ):  # fmt: skip
            with self.subTest(error=type(error).__name__):
                result = self.raising(error)
                self.assertEqual(result.answer, {"ok": False, "error": f"raised {type(error).__name__}"})

    def test_provider_may_say_why_it_cannot_answer(self) -> None:
        self.assertEqual(self.raising(Unavailable("The moon is not full.")).error, "The moon is not full.")

    def test_reason_that_cannot_be_read_is_its_class(self) -> None:
        self.assertEqual(self.raising(BrokenUnavailable()).error, "raised BrokenUnavailable")

    def test_endless_recursion_is_contained(self) -> None:
        def recurse() -> Any:
            return recurse()

        self.assertEqual(self.ask_one(recurse).error, "raised RecursionError")

    def test_answer_that_json_cannot_hold_says_why(self) -> None:
        self.assertEqual(self.ask_one(lambda: {1, 2}).error, "answered a value of type set, which JSON cannot hold")

    def test_machine_without_a_free_thread_is_told_and_leaves_nothing_locked(self) -> None:
        check = self.check(lambda: True)
        with mock.patch.object(threading.Thread, "start", side_effect=RuntimeError("can't start new thread")):
            self.assertEqual(self.ask(check)[0].error, "no thread could be started to run it")
        self.assertEqual(self.ask(check)[0].answer, True)
        self.ask_one(self.fail)

    def test_provider_cannot_change_what_the_next_run_is_given(self) -> None:
        def greedy(names: list[str], options: dict[str, int]) -> int:
            names.append("more")
            options["more"] = 1
            return len(names) + len(options)

        check = self.check(greedy, args=(["one"],), kwargs={"options": {}})
        self.assertEqual([self.ask(check)[0].answer for _ in range(3)], [3, 3, 3])
        self.ask_one(self.fail)

    def test_arguments_that_cannot_be_copied_are_handed_over_as_they_are(self) -> None:
        lock = threading.Lock()
        self.assertEqual(self.ask_one(lambda given: given is lock, args=(lock,)).answer, True)
        self.ask_one(self.fail)

    def test_what_a_check_sets_in_its_context_ends_with_the_run(self) -> None:
        variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)

        class Leaky(Provider):
            blocking = False

            def check(self) -> int:
                variable.set(variable.get() + 1)
                translation.activate("es")
                return variable.get()

        with translation.override("de"):
            check = self.check(Leaky)
            self.assertEqual([self.ask(check)[0].answer for _ in range(2)], [1, 1])
            self.assertEqual(translation.get_language(), "de")
        self.ask_one(self.fail)

    def test_failing_observer_changes_nothing(self) -> None:
        self.engine.observers.append(self.fail)  # type: ignore[arg-type]
        self.assertEqual(self.ask_one(lambda: True).answer, True)
        self.engine.close()

    def test_observer_cannot_end_the_process_either(self) -> None:
        self.engine.observers.append(lambda check, result: sys.exit(3))
        self.assertEqual(self.ask_one(lambda: True).answer, True)
        self.engine.close()

    def test_provider_that_cannot_say_whether_it_waits_is_asked_all_the_same(self) -> None:
        class Unsure(Provider):
            def check(self) -> bool:
                return True

            def may_block(self) -> bool:
                raise ValueError

        self.assertEqual(self.ask_one(Unsure).answer, True)
        self.ask_one(self.fail)

    def test_provider_that_cannot_tell_its_components_is_a_failure_of_its_own(self) -> None:
        class Confused(Pair):
            def parts(self) -> list[Part]:
                raise ValueError

        result, neighbour = self.ask(self.check(Confused()), self.check(lambda: True, "neighbour"))
        self.assertEqual((result.error, neighbour.answer), ("raised ValueError", True))

    def test_failing_close_changes_nothing(self) -> None:
        class Clingy(Provider):
            def check(self) -> bool:
                return True

            close = IsolationTests.fail  # type: ignore[assignment]

        check = self.check(Clingy)
        self.assertEqual(self.ask(check)[0].answer, True)
        self.engine.close()


class Odd(Composite):
    """Whose parts are what the test says."""

    label = "odd"

    def __init__(self, parts: Any) -> None:
        super().__init__()
        self.say = parts

    def parts(self) -> Any:
        return self.say(self)

    def ask(self, name: str, **options: Any) -> Any:
        return True


class Pair(Composite):
    """Of the components ``a`` and ``b``, which do what the test says."""

    label = "pair"

    def __init__(self, **components: Any) -> None:
        super().__init__()
        self.components = components

    def parts(self) -> list[Part]:
        return [self.part(name) for name in self.components]

    def ask(self, name: str) -> Any:
        return self.components[name]()


def absent() -> None:
    raise Unavailable("not there")


class ComponentsTests(EngineTestCase):
    def test_component_may_answer_anything_that_the_whole_can_use(self) -> None:
        class Sum(Pair):
            def compose(self, findings: Any) -> Answer:
                return Answer({"sum": sum(finding.value["n"] for finding in findings.values())})

        self.assertEqual(self.ask_one(Sum(a=lambda: {"n": 1}, b=lambda: {"n": 2})).answer, {"sum": 3})

    def test_parts_that_are_none_fail_their_check_alone(self) -> None:
        def late(odd: Any) -> Any:
            yield odd.part("a")
            raise ConnectionError("hunter2")

        def leave(odd: Any) -> Any:
            sys.exit()

        for parts in (
            *(late, leave, lambda odd: ["a"], lambda odd: 7),
            lambda odd: [odd.part("a", n=1), odd.part("a", n=2)],
            lambda odd: [odd.part(1), odd.part("1")],
        ):
            beside, odd = self.ask(self.check(lambda: True, "beside"), self.check(Odd(parts), "odd"))
            self.assertEqual((beside.answer, odd.state), (True, "fail"))
            self.assertNotIn("hunter2", str(odd))
        (result,) = self.ask(self.check(Odd(lambda odd: (odd.part(name) for name in "ab"))))
        self.assertEqual(result.answer, {"a": True, "b": True})

    def test_check_that_exits_when_it_is_asked_whether_it_waits_fails_alone(self) -> None:
        class Leaving(Pair):
            def waits(self, name: str) -> bool:
                return sys.exit() is None

        class Left(Provider):
            def may_block(self) -> bool:
                return sys.exit() is None

            def check(self) -> bool:
                return True

        for provider, answer in ((Leaving(a=lambda: True), {"a": True}), (Left(), True)):
            self.assertEqual(self.ask_one(provider).answer, answer)

    def test_check_without_parts_is_told_when_it_has_some_again(self) -> None:
        told: list[str] = []
        self.engine.observers.append(lambda check, result: told.append(result.state))
        names: list[str] = []
        components: dict[str, Any] = {"a": lambda: False}

        class Growing(Pair):
            def parts(self) -> list[Part]:
                return [self.part(name) for name in names]

        check = self.check(Growing(**components))
        self.ask(check)
        names.append("a")
        self.ask(check)
        self.assertEqual(told, ["pass", "fail"])

    def test_ages_and_parts_of_any_number_and_name_break_nothing(self) -> None:
        class Aged(Provider):
            def check(self) -> Answer:
                return Answer(True, ages={f"beat {number}": 1.0 for number in range(11_000)})

        odd = Pair(**{"\ud800": lambda: True, "?": lambda: True})
        aged, odd_one, fine = self.ask(
            self.check(Aged(), "aged"), self.check(odd, "odd"), self.check(lambda: True, "fine")
        )
        self.assertEqual((aged.state, len(aged.ages), odd_one.state, fine.state), ("pass", 11_000, "fail", "pass"))

    def test_what_a_provider_does_to_a_finding_ends_there(self) -> None:
        class Taking(Pair):
            def compose(self, findings: Any) -> Answer:
                return Answer({name: finding.value.pop("n") for name, finding in findings.items()})

        check = self.check(Taking(a=lambda: {"n": 1}), max_age=60)
        self.assertEqual([self.ask(check)[0].answer for _ in range(2)], [{"a": 1}, {"a": 1}])

    def test_alarm_while_an_answer_is_composed_is_the_caller_s(self) -> None:
        class Struck(Pair):
            def compose(self, findings: Any) -> Answer:
                raise Limit

        told: list[Any] = []
        self.engine.observers.append(lambda check, result: told.append(result))
        with self.assertRaises(Limit):
            self.ask_one(Struck(a=lambda: True))
        self.assertEqual(told, [])

    def test_called_like_a_function_no_component_hides_the_others(self) -> None:
        pair = Pair(absent=absent, broken=lambda: 1 / 0, fine=lambda: True)
        self.assertEqual(pair(), {"absent": False, "broken": False, "fine": True})
        self.assertEqual(pair.check().reasons, {"absent": "not there", "broken": "raised ZeroDivisionError"})

    def test_component_that_hangs_does_not_hide_the_other(self) -> None:
        result = self.ask_one(Pair(a=self.hang, b=lambda: True), timeout=0.05)
        self.assertEqual(result.answer, {"a": False, "b": True})
        self.assertEqual(result.reasons, {"a": "timed out after 0.05 s"})

    def test_component_that_cannot_say_whether_it_waits_is_asked_all_the_same(self) -> None:
        class Unsure(Pair):
            def waits(self, name: str) -> bool:
                raise ValueError

        check = self.check(Unsure(a=lambda: True))
        self.assertEqual([self.ask(check)[0].answer for _ in range(2)], [{"a": True}] * 2)

    def test_answer_that_cannot_be_composed_is_the_failure_of_that_provider(self) -> None:
        class Careless(Pair):
            def compose(self, findings: Any) -> Answer:
                raise SystemExit(3)

        with self.assertLogs("status", "DEBUG"):
            result, neighbour = self.ask(self.check(Careless(a=lambda: True)), self.check(lambda: True, "neighbour"))
        self.assertEqual((result.error, neighbour.answer), ("raised SystemExit", True))


class BrokenLogTests(EngineTestCase):
    """A handler of the log that raises, as one does whose server is gone."""

    def setUp(self) -> None:
        super().setUp()

        class Broken(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                raise ConnectionError

        handler = Broken()
        logging.getLogger("status").addHandler(handler)
        self.addCleanup(logging.getLogger("status").removeHandler, handler)

    def test_failure_that_cannot_be_logged_is_reported_all_the_same(self) -> None:
        class Quick(Provider):
            blocking = False

            def check(self) -> None:
                raise ValueError

        def slow() -> None:
            raise ValueError

        for function in (Quick, slow):
            self.assertEqual(self.ask_one(function, timeout=5).error, "raised ValueError")

    def test_mishap_that_cannot_be_logged_changes_nothing(self) -> None:
        self.engine.observers.append(self.fail)  # type: ignore[arg-type]
        self.assertEqual(self.ask_one(lambda: True, timeout=5).answer, True)
        self.engine.close()


class LoggingTests(EngineTestCase):
    def test_check_that_flaps_is_logged_once_a_minute(self) -> None:
        """FAULTS E7: each failure was logged with its traceback."""
        errors = [ValueError(), None, ValueError(), KeyError()] * 10

        def check() -> bool:
            error = errors.pop()
            if error is not None:
                raise error
            return True

        entry = self.check(check)
        with self.assertLogs("status", "DEBUG") as logs:
            for _ in range(40):
                self.ask(entry)
        self.assertEqual(
            [line.splitlines()[0] for line in logs.output], ["DEBUG:status:health/it failed: raised KeyError"]
        )

    @mock.patch.object(FailureLog, "every", 0)
    def test_failure_is_logged_once_until_something_else_goes_wrong(self) -> None:
        errors = [ValueError(), ValueError(), KeyError(), None, KeyError()]

        def check() -> bool:
            error = errors.pop(0)
            if error is not None:
                raise error
            return True

        entry = self.check(check)
        with self.assertLogs("status", "DEBUG") as logs:
            for _ in range(5):
                self.ask(entry)
        self.assertEqual(
            [line.splitlines()[0] for line in logs.output],
            ["DEBUG:status:health/it failed: raised ValueError"]
            + ["DEBUG:status:health/it failed: raised KeyError"] * 2,
        )


class ObserverTests(EngineTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.seen: list[Result] = []
        self.engine.observers.append(lambda check, result: self.seen.append(result))

    def test_observer_sees_each_run_once_however_many_share_it(self) -> None:
        self.ask_at_once(self.check(self.hang, timeout=10), callers=5)
        self.engine.close()
        self.assertEqual([result.answer for result in self.seen], [True])

    def test_observer_sees_a_missed_deadline_once_and_not_the_late_return(self) -> None:
        check = self.check(self.hang, timeout=0.02)
        for _ in range(3):
            self.ask(check)
        self.release.set()
        self.settle()
        self.engine.close()
        self.assertEqual([result.error for result in self.seen], ["timed out after 0.02 s"])

    def test_checks_that_share_their_parts_are_both_told_of(self) -> None:
        """FAULTS E6: health and stats ask the same databases."""
        pair = Pair(a=self.hang)
        health, stats = (Check(resource, "it", pair, options={"timeout": 0.02}) for resource in ("health", "stats"))
        self.ask(stats)
        self.ask(health)
        self.ask(stats)
        self.assertEqual([(result.resource, result.answer) for result in self.seen], [
            ("stats", {"a": False}), ("health", {"a": False}),
        ])  # fmt: skip

    def test_run_that_ends_after_a_newer_one_is_no_news(self) -> None:
        """FAULTS E6."""

        def stuck_once() -> int:
            self.calls.append("run")
            return len(self.calls) if len(self.calls) > 1 else int(self.release.wait(30)) - 1

        check = self.check(stuck_once, timeout=0.05)
        self.ask(check)
        with mock.patch.object(SingleFlight, "replace_after", 0.0):
            self.ask(check)
        self.release.set()
        self.settle()
        self.engine.close()
        self.assertEqual([result.answer for result in self.seen], [{"ok": False, "error": "timed out after 0.05 s"}, 2])

    def test_observer_sees_a_late_return_that_nobody_waited_for(self) -> None:
        check = self.check(self.hang, timeout=0.4)
        self.ask(check, patience=0.0)
        time.sleep(0.45)
        self.release.set()
        self.settle()
        self.engine.close()
        self.assertEqual([result.answer for result in self.seen], [True])


class AnswerTests(EngineTestCase):
    def test_reasons_travel_beside_the_answer(self) -> None:
        result = self.ask_one(lambda: Answer({"a": False}, {"a": "no answer"}))
        self.assertEqual((result.answer, result.reasons), ({"a": False}, {"a": "no answer"}))

    def test_warning_shows_and_does_not_fail(self) -> None:
        result = self.ask_one(lambda: Answer({"orders": True}, warnings={"orders": "fewer than 50 left"}))
        self.assertEqual((result.state, result.warnings), ("warn", {"orders": "fewer than 50 left"}))

    def test_sentences_of_a_provider_pass_the_same_door_as_its_answer(self) -> None:
        """FAULTS R4."""
        for field in ("reasons", "warnings"):
            with self.subTest(field), override_settings(SECRET_KEY="ohzaeWoh4xoo9kaiNg5iet8eij"):
                sentences = {"login": "as ohzaeWoh4xoo9kaiNg5iet8eij", "half": "\ud800", "broken": object()}
                sentences.update({f"long{number}": "x" * 100_000 for number in range(200)})
                result = self.ask_one(lambda: Answer(True, **{field: sentences}))  # noqa: B023
                told = getattr(result, field)
                self.assertEqual(told["login"], "as ********")
                self.assertEqual(told["half"], "?")
                self.assertLess(sum(map(len, told.values())), 600_000)

    def test_each_component_has_its_own_time(self) -> None:
        """FAULTS R8."""
        result = self.ask_one(Pair(a=self.hang, b=lambda: True), timeout=1)
        self.assertEqual(list(result.durations), ["a", "b"])
        self.assertGreaterEqual(result.durations["a"], 1)
        self.assertLess(result.durations["b"], 1)

    def test_strangers_get_what_the_provider_calls_public(self) -> None:
        class Careful(Provider):
            def check(self) -> dict[str, Any]:
                return {"a": {"secret": 1}}

            def public(self, value: Any) -> Any:
                value["a"].clear()
                return super().public(value)

        result = self.ask_one(Careful)
        self.assertEqual((result.answer, result.public_answer), ({"a": {"secret": 1}}, {"a": {}}))

    def test_provider_whose_public_part_cannot_be_told_tells_strangers_nothing(self) -> None:
        class Careless(Provider):
            def check(self) -> str:
                return "secret"

            def public(self, value: Any) -> Any:
                raise ValueError(value)

        with self.assertLogs("status", "DEBUG"):
            self.assertEqual(self.ask_one(Careless).answer, {"ok": False, "error": "raised ValueError"})


#: Under gevent, a check is awaited on a thread of the operating system, and no greenlet sees its event loop.
GREENLETS = """
from gevent import monkey
monkey.patch_all()
import asyncio, gevent
from django.conf import settings
settings.configure()
from status.engine import Engine
from status.entries import Check
from status.providers.base import as_provider

async def check():
    await asyncio.sleep(0.1)
    return True

def look():
    gevent.sleep(0.05)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return "no loop"

watcher = gevent.spawn(look)
print(Engine().run([Check("health", "it", as_provider(check))])[0].answer, watcher.get())
"""


#: Under gevent, checks that wait for one lock, and what runs on a thread of the operating system.
LOCKS = """
from gevent import monkey
monkey.patch_all()
import threading, time
from django.conf import settings
settings.configure(STATUS_TIMEOUT=5)
from status.engine import Engine
from status.entries import Check
from status.providers.base import Provider, as_provider

get_ident, lock = monkey.get_original("threading", "get_ident"), threading.Lock()

def locked():
    for _ in range(20):
        with lock:
            end = time.perf_counter() + 0.001
            while time.perf_counter() < end:
                pass
    return get_ident() == main

class Native(Provider):
    native = True

    def check(self):
        return get_ident() != main

class Leaving(Native):
    def check(self):
        raise SystemExit(3)

main, engine = get_ident(), Engine()
checks = [Check("health", f"locked{number}", as_provider(locked)) for number in range(6)]
checks += [Check("health", "native", Native()), Check("health", "leaving", Leaving())]
for _ in range(3):
    print(*(result.error or result.answer for result in engine.run(checks)))
"""


#: Two async checks that hang, one in database work and one in another blocking call.
HANGING = """
import asyncio, time
from asgiref.sync import sync_to_async
from django.conf import settings
settings.configure()
from status.engine import Engine
from status.entries import Check
from status.providers.base import as_provider

async def database():
    await sync_to_async(time.sleep)(60)

async def other():
    await asyncio.to_thread(time.sleep, 60)

checks = [Check("health", check.__name__, as_provider(check), options={"timeout": 0.1}) for check in (database, other)]
for result in Engine().run(checks):
    print(result.error[:9])
"""


class AsyncCheckTests(EngineTestCase):
    def test_greenlets_see_no_event_loop(self) -> None:
        done = subprocess.run(
            [sys.executable, "-c", GREENLETS], env=environment(), capture_output=True, text=True, check=False
        )
        self.assertEqual((done.stdout, done.returncode), ("True no loop\n", 0), done.stderr)

    def test_async_check_is_awaited(self) -> None:
        async def check() -> dict[str, bool]:
            await asyncio.sleep(0)
            return {"async": True}

        self.assertEqual(self.ask_one(check).answer, {"async": True})

    def test_async_check_is_cancelled_at_its_deadline(self) -> None:
        cancelled = threading.Event()

        async def check() -> None:
            try:
                await asyncio.sleep(30)
            finally:
                cancelled.set()

        with self.assertLogs("status", "DEBUG"):
            self.assertEqual(self.ask_one(check, timeout=0.05).error, "timed out after 0.05 s")
            self.assertTrue(cancelled.wait(5))
            self.settle()

    def test_timeout_of_the_checks_own_is_its_own(self) -> None:
        async def check() -> None:
            raise asyncio.TimeoutError

        with self.assertLogs("status", "DEBUG"):
            self.assertEqual(self.ask_one(check).error, "raised TimeoutError")

    def test_async_check_that_promises_not_to_block_is_told_that_it_cannot_on_a_running_loop(self) -> None:
        class Hasty(Provider):
            blocking = False

            async def check(self) -> bool:
                return True

        check = self.check(Hasty)
        self.assertEqual(self.ask(check)[0].answer, True)
        with self.assertLogs("status", "DEBUG"):
            self.assertEqual(asyncio.run(self.engine.arun([check]))[0].error, "raised RuntimeError")

    def test_async_check_that_hangs_holds_up_no_other(self) -> None:
        """FAULTS E3: asgiref does all database work of a process in one thread."""

        async def stuck() -> None:
            await sync_to_async(self.hang)()

        async def fine() -> int:
            return await sync_to_async(threading.get_ident)()

        check = self.check(fine, "fine", timeout=10)
        results = self.ask(self.check(stuck, "stuck", timeout=0.1), check)
        self.assertEqual([result.error for result in results], ["timed out after 0.1 s", None])
        self.assertEqual(self.ask(check)[0].answer, results[1].answer)

    def test_async_check_whose_database_work_hangs_is_tried_again(self) -> None:
        async def check() -> Any:
            return await sync_to_async(lambda: self.hang() if len(self.calls) < 2 else True)()

        entry = self.check(check, timeout=0.05)
        for answer in (None, None, True):
            with self.assertLogs("status", "DEBUG"):
                logging.getLogger("status").debug("start")
                (result,) = self.ask(entry)
            self.assertEqual(result.answer if result.sound else None, answer)
            self.settle()
        self.assertEqual(self.calls, ["hang"] * 2)

    def test_async_check_whose_database_work_always_hangs_is_not_run_without_end(self) -> None:
        async def check() -> None:
            await sync_to_async(self.hang)()

        entry = self.check(check, timeout=0.02)
        with self.assertLogs("status", "DEBUG"):
            for _ in range(5):
                (result,) = self.ask(entry)
                self.settle()
        self.assertEqual((self.calls, result.error), (["hang"] * 3, "3 threads of its earlier runs still hang"))
        self.release.set()
        self.assertTrue(eventually(lambda: self.ask(entry)[0].error is None))

    def test_what_a_cancelled_run_has_not_begun_is_never_called(self) -> None:
        later: list[int] = []

        async def check() -> None:
            await asyncio.gather(sync_to_async(self.hang)(), sync_to_async(lambda: later.append(1))())

        with self.assertLogs("status", "DEBUG"):
            self.ask(self.check(check, timeout=0.05))
            self.settle()
        self.release.set()
        self.engine.close()
        self.assertEqual(later, [])

    def test_exception_of_database_work_reaches_the_async_check(self) -> None:
        def fail() -> None:
            raise Unavailable("the table is gone")

        async def check() -> None:
            await sync_to_async(fail)()

        with self.assertLogs("status", "DEBUG"):
            self.assertEqual(self.ask_one(check).error, "the table is gone")

    def test_async_check_whose_threads_hang_is_not_run_without_end(self) -> None:
        async def stuck() -> None:
            await asyncio.to_thread(self.hang)

        check = self.check(stuck, timeout=0.02)
        with self.assertLogs("status", "DEBUG"):
            for _ in range(5):
                (result,) = self.ask(check)
                self.settle()
        self.assertEqual(len(self.calls), 3)
        self.assertEqual(result.error, "3 threads of its earlier runs still hang")

    def test_process_ends_while_async_checks_hang(self) -> None:
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", HANGING], env=environment(), capture_output=True, text=True, check=False
        )
        self.assertEqual((done.stdout, done.returncode), ("timed out\n" * 2, 0), done.stderr)
        self.assertLess(time.monotonic() - started, 10)

    def test_async_check_works_in_a_forked_child(self) -> None:
        async def check() -> bool:
            return await sync_to_async(lambda: True)()

        entry = self.check(check)
        self.assertEqual(self.ask(entry)[0].answer, True)
        self.assertEqual(in_child(lambda: self.ask(entry)[0].answer is True), 0)

    def test_thread_of_the_system_under_gevent_is_always_the_same(self) -> None:
        """FAULTS E4."""
        patched = mock.patch("gevent.monkey.is_module_patched", lambda module: True)
        with patched, native_thread() as call:
            threads = {call(threading.get_ident) for _ in range(3)}
        self.assertEqual(len(threads), 1)
        self.assertNotIn(threading.get_ident(), threads)

    def test_locks_of_gevent_lose_no_check(self) -> None:
        """FAULTS E4: gevent's locks lose those who wait for them in several threads of the operating system."""
        done = subprocess.run(
            [sys.executable, "-c", LOCKS], env=environment(), capture_output=True, text=True, check=False
        )
        answers = "True " * 7 + "raised SystemExit\n"
        self.assertEqual((done.stdout, done.returncode), (answers * 3, 0), done.stderr)

    def test_gevent_that_replaced_nothing_changes_nothing(self) -> None:
        """FAULTS E4."""
        code = GREENLETS.replace("monkey.patch_all()", "").replace("gevent.sleep(0.05)", "")
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False
        )
        self.assertEqual((done.stdout, done.returncode), ("True no loop\n", 0), done.stderr)


class EventLoopTests(EngineTestCase):
    def test_many_callers_wait_for_one_run_without_a_thread_each(self) -> None:
        check = self.check(self.hang, timeout=10)
        before = threading.active_count()

        async def ask_many() -> list[tuple[Result, ...]]:
            asking = asyncio.gather(*(self.engine.arun([check]) for _ in range(100)))
            await asyncio.sleep(0)
            self.assertLessEqual(threading.active_count(), before + 1)
            self.release.set()
            return await asking

        self.assertEqual({result[0].answer for result in asyncio.run(ask_many())}, {True})
        self.assertEqual(len(self.calls), 1)

    def test_event_loop_goes_on_while_a_check_hangs(self) -> None:
        async def ask() -> tuple[int, tuple[Result, ...]]:
            asking, ticks = asyncio.ensure_future(self.engine.arun([self.check(self.hang, timeout=0.5)])), 0
            while not asking.done():
                ticks += 1
                await asyncio.sleep(0.005)
            return ticks, await asking

        ticks, (result,) = asyncio.run(ask())
        self.assertEqual(result.error, "timed out after 0.5 s")
        self.assertGreater(ticks, 10)

    def test_caller_that_is_gone_does_not_hold_up_the_run(self) -> None:
        check = self.check(self.hang, timeout=5)

        async def give_up() -> None:
            await asyncio.wait_for(self.engine.arun([check]), 0.02)

        with self.assertRaises(asyncio.TimeoutError):
            asyncio.run(give_up())
        self.release.set()
        self.settle()
        self.assertEqual(self.ask(check)[0].answer, True)

    def test_run_that_returns_after_its_loop_was_closed_is_nothing_to_log(self) -> None:
        check = self.check(self.hang, timeout=5)

        async def give_up() -> None:
            await asyncio.wait_for(self.engine.arun([check]), 0.02)

        with self.assertNoLogs("status", "DEBUG"):
            with self.assertRaises(asyncio.TimeoutError):
                asyncio.run(give_up())
            self.release.set()
            self.settle()
            self.engine.close()

    def test_what_does_no_io_runs_on_the_loop_itself(self) -> None:
        class Quick(Provider):
            blocking = False

            def check(self) -> int:
                return threading.get_ident()

        self.assertEqual(asyncio.run(self.engine.arun([self.check(Quick)]))[0].answer, threading.get_ident())


@override_settings(STATUS_SYNCHRONOUS=True)
class SynchronousTests(EngineTestCase):
    databases = {"default"}

    def test_path_that_leads_nowhere_fails_there_too(self) -> None:
        self.assertIn("cannot be imported", str(self.ask(Check("health", "it", "no.such.provider"))[0].error))

    def test_everything_runs_in_the_thread_that_asks(self) -> None:
        self.assertEqual(self.ask_one(threading.get_ident).answer, threading.get_ident())

    def test_on_an_event_loop_too(self) -> None:
        ask = async_to_sync(self.engine.arun)
        self.assertEqual(ask([self.check(threading.get_ident)])[0].answer, threading.get_ident())

    def test_database_and_async_checks_answer_right_with_either_kind_of_caller(self) -> None:
        """FAULTS E9."""

        async def patient() -> bool:
            await asyncio.sleep(0)
            return True

        def database() -> int:
            with connections["default"].cursor() as cursor:
                cursor.execute("SELECT 1")
                return int(cursor.fetchone()[0])

        for ask in (self.engine.run, async_to_sync(self.engine.arun)):
            with self.subTest(ask):
                results = ask([self.check(patient), self.check(database)])
                self.assertEqual([result.answer for result in results], [True, 1])

    def test_what_the_provider_kept_is_closed_as_no_thread_will(self) -> None:
        closed: list[int] = []

        class Keeper(Provider):
            def check(self) -> bool:
                return True

            def close(self) -> None:
                closed.append(1)

        self.ask_one(Keeper)
        self.assertEqual(closed, [1])

    def test_failures_are_contained_all_the_same(self) -> None:
        with self.assertLogs("status", "DEBUG"):
            self.assertEqual(self.ask_one(sys.exit).error, "raised SystemExit")


class ForkTests(EngineTestCase):
    def test_child_asks_on_threads_of_its_own(self) -> None:
        check = self.check(lambda: True)
        self.ask(check)
        self.assertEqual(in_child(lambda: self.ask(check)[0].answer is True), 0)

    def test_child_is_not_held_up_by_a_run_in_flight_and_a_lock_held_in_the_parent(self) -> None:
        parent = os.getpid()
        check = self.check(lambda: os.getpid() != parent or self.hang(), timeout=5)
        self.ask(check, patience=0.0)
        state = self.engine._state.get()
        with state.flight(check).lock, state.lock:
            self.assertEqual(in_child(lambda: self.ask(check)[0].answer is True), 0)

    def test_children_answer_whatever_their_parent_does_at_the_fork(self) -> None:
        """FAULTS E10: no lock and no half-built value of the parent is waited for."""
        checks = [self.check(lambda: True, f"n{number}") for number in range(4)]
        stop = threading.Event()

        def load() -> None:
            while not stop.is_set():
                self.ask(*checks, self.check(lambda: True, "new"))

        askers = [threading.Thread(target=load) for _ in range(3)]
        for asker in askers:
            asker.start()
        try:
            codes = {in_child(lambda: all(result.answer for result in self.ask(*checks))) for _ in range(60)}
        finally:
            stop.set()
            for asker in askers:
                asker.join()
        self.assertEqual(codes, {0})
