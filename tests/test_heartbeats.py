"""Heartbeats: what a job tells, what becomes of it when the store does not answer, and what the check says."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
import statistics
import sys
import textwrap
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial, update_wrapper
from importlib import import_module
from typing import Any
from unittest import mock

from asgiref.sync import async_to_sync
from celery import Celery
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import AsyncClient, Client, LiveServerTestCase, SimpleTestCase, override_settings
from django.urls import include, path, reverse

from status import heartbeat, heartbeats, logs
from status.engine import engine
from status.heartbeats import BEAT, Writer, in_words, record_now, writers
from status.history import history
from status.providers.health import heartbeats as provider
from status.store import Store, StoreFailed, encode, key_of
from status.threads import Worker, call_here, start_call
from tests import services
from tests.base_settings import MIDDLEWARE, STATUS_MIDDLEWARE
from tests.commandline import Full, ask
from tests.components import EnteringTestCase, eventually, run_script
from tests.documents import blocks, page, section

LOCMEM = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "heartbeats"}
TOKEN = "tT0k3nThatIsLongEnough-and-random-9x7"
DAY = 24 * 3600
SETTINGS: dict[str, Any] = {
    "CACHES": {"default": LOCMEM},
    "STATUS_STORE": "default",
    "STATUS_HEARTBEATS": {"backup": DAY, "mails": 300},
    "STATUS_PROVIDERS": {},
    "STATUS_TOKENS": [TOKEN],
    "ROOT_URLCONF": __name__,
}
urlpatterns = [path("status/", include("status.urls")), path("<slug:tenant>/status/", include("status.urls"))]


def on_a_loop(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same for who does not await. Those of Django 4.2 hide that they are async."""

    async def ask(*args: Any, **kwargs: Any) -> Any:
        return await method(*args, **kwargs)

    return async_to_sync(ask)


class Held(LocMemCache):
    """A store that answers when it is let go."""

    free = threading.Event()
    asked = threading.Event()

    def set_many(self, *args: Any, **kwargs: Any) -> Any:
        Held.asked.set()
        Held.free.wait(30)
        return super().set_many(*args, **kwargs)


class Dead(LocMemCache):
    def set_many(self, *args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("refused")

    get_many = set_many


def backend(name: str) -> dict[str, Any]:
    return {"default": {**LOCMEM, "BACKEND": f"{__name__}.{name}"}}


@override_settings(**SETTINGS)
class HeartbeatTestCase(EnteringTestCase):
    """A clock that the test moves, a log that says everything anew, and an empty store."""

    def setUp(self) -> None:
        self.late = 0.0
        real = time.time
        self.enter(mock.patch.object(heartbeats.time, "time", lambda: real() + self.late))
        self.enter(mock.patch.object(engine, "observers", []))
        self.addCleanup(engine.close)
        self.addCleanup(caches["default"].clear)
        logs._logged_at.clear()
        self.addCleanup(logs._logged_at.clear)
        self.addCleanup(self.end_writer)
        Held.free.clear(), Held.asked.clear()

    def end_writer(self) -> None:
        """End its thread, and let the next test have another."""
        Held.free.set()
        thread = writers.get().worker.stop()
        if thread is not None:
            thread.join()
        writers._values.clear()

    def written(self) -> None:
        self.assertTrue(writers.get().flush(5))

    def beat(self, name: str, **facts: Any) -> None:
        heartbeats.submit(name, **facts)
        self.written()

    def answer(self) -> dict[str, bool]:
        return provider()

    def reasons(self) -> dict[str, str]:
        return dict(provider.check().reasons)


class TellingTests(HeartbeatTestCase):
    def test_a_plain_call_is_a_beat(self):
        heartbeat("mails")
        self.written()
        self.late = 299
        self.assertEqual(self.answer()["mails"], True)
        self.late = 301
        self.assertEqual(self.answer()["mails"], False)

    def test_what_the_page_shows_runs(self):
        (code,) = blocks(section(page("heartbeats"), "Tell that a job has run"), "python")
        dumps: list[bool] = []
        namespace: dict[str, Any] = {"dump_database": lambda: dumps.append(True)}
        exec(code, namespace)
        namespace["nightly"]()
        self.written()
        self.assertEqual((dumps, self.answer()), ([True, True], {"backup": True, "mails": True}))

    def test_a_block_tells_start_and_end(self):
        with heartbeat("mails"):
            self.written()
            self.late = 400
            self.answer()
            self.late = 800
            self.assertRegex(self.reasons()["mails"], r"never heard in .*; started 13 min 2\d s ago, and has not ended")
        self.written()
        self.assertEqual(self.answer()["mails"], True)

    def test_a_block_that_raises_is_no_beat_and_tells_how_long_it_took(self):
        with self.assertRaises(ZeroDivisionError), heartbeat("mails"):
            _ = 1 / 0
        self.written()
        self.late = 180
        self.assertEqual(self.answer()["mails"], False)
        self.assertRegex(self.reasons()["mails"], r"^failed 3 min ago after 0(\.\d)? s$")
        with heartbeat("mails"):
            pass
        self.written()
        self.assertEqual(self.answer()["mails"], True)

    def test_a_script_that_ends_itself_well_did_not_fail(self):
        for code, well in ((None, True), (0, True), (1, False), ("no disk", False), ("", False)):
            with self.subTest(code=code):
                with self.assertRaises(SystemExit), heartbeat("mails"):
                    sys.exit(code)
                self.written()
                self.assertEqual(self.answer()["mails"], well)

    def test_a_block_may_be_entered_again(self):
        beat = heartbeat("mails")
        with mock.patch.object(heartbeats, "tell") as told, beat:
            time.sleep(0.05)
            with beat:
                pass
        inner, outer = (call.kwargs["took"] for call in told.call_args_list if "took" in call.kwargs)
        self.assertLess(inner, 0.05)
        self.assertGreaterEqual(outer, 0.05)

    def test_a_decorated_function_beats_when_it_has_run_and_not_when_it_is_defined(self):
        @heartbeat("mails")
        def send(number: int) -> int:
            """Send mails."""
            return 12 // number

        gc.collect()
        self.assertIsNone(writers.get().newest)
        self.assertEqual((send(3), send.__doc__), (4, "Send mails."))
        self.written()
        self.assertEqual(self.answer()["mails"], True)
        self.assertRaises(ZeroDivisionError, send, 0)
        self.written()
        self.assertIn("failed", self.reasons()["mails"])

    def test_a_decorator_without_a_name_is_refused_when_the_module_is_imported(self):
        def nightly(dry_run: bool) -> None: ...

        class Job: ...

        bare = (nightly, Job, staticmethod(nightly), classmethod(nightly), property(nightly), lambda: None)
        for decorated in bare:
            with self.subTest(bare=decorated), self.assertRaisesMessage(TypeError, '@heartbeat("backup")'):
                heartbeat(decorated)  # type: ignore[arg-type]
        for name in (None, b"backup", 7, ["backup"]):
            with self.subTest(name=name), self.assertRaisesMessage(TypeError, f"not {name!a}"):
                heartbeat(name)(nightly)  # type: ignore[arg-type]
        self.assertIsNone(writers.get().newest)

    def test_a_decorator_of_what_is_no_function_is_refused_when_the_module_is_imported(self):
        def nightly() -> None: ...

        class Job: ...

        for decorated, reason in (
            (Job, "not a class."),
            (None, "not a NoneType."),
            (classmethod(nightly), "not a classmethod. Write it below."),
            (staticmethod(nightly), "not a staticmethod. Write it below."),
            (property(nightly), "not a property. Write it below."),
        ):
            with self.subTest(decorated=decorated), self.assertRaisesMessage(TypeError, reason):
                heartbeat("mails")(decorated)  # type: ignore[type-var]
        self.assertIsNone(writers.get().newest)

    def test_an_async_function_beats_when_its_end_was_awaited(self):
        @heartbeat("mails")
        async def send(number: int) -> int:
            await asyncio.sleep(0)
            return 12 // number

        async def cancelled() -> None:
            task = asyncio.ensure_future(send(1))
            await asyncio.sleep(0)
            task.cancel()
            await task

        self.assertEqual(asyncio.run(send(3)), 4)
        self.written()
        self.assertEqual(self.answer()["mails"], True)
        for fails, error in ((lambda: send(0), ZeroDivisionError), (cancelled, asyncio.CancelledError)):
            self.beat("mails")
            with self.subTest(error=error):
                self.assertRaises(error, asyncio.run, fails())
                self.written()
                self.assertIn("failed", self.reasons()["mails"])

    def test_a_coroutine_of_a_function_that_is_not_async_itself_is_awaited_before_it_beats(self):
        async def send(number: int) -> int:
            await asyncio.sleep(0)
            return 12 // number

        class Sender:
            async def __call__(self, number: int) -> int:
                return await send(number)

        functions = (partial(send), lambda number: send(number), partial(lambda number: send(number)), Sender())
        for number, function in enumerate(functions):
            self.beat("mails", at=time.time())
            decorated = heartbeat("mails")(update_wrapper(function, send))
            with self.subTest(number=number):
                coroutine = decorated(0)
                self.written()
                self.assertEqual(self.answer()["mails"], True)
                self.assertRaises(ZeroDivisionError, asyncio.run, coroutine)
                self.written()
                self.assertIn("failed", self.reasons()["mails"])
                self.assertEqual(asyncio.run(decorated(3)), 4)
                self.written()
                self.assertEqual(self.answer()["mails"], True)

    def test_a_generator_function_is_refused_when_the_module_is_imported(self):
        def rows() -> Iterator[int]:
            yield 1

        async def arows() -> AsyncIterator[int]:
            yield 1

        for function in (rows, arows, partial(rows), partial(arows)):
            with self.subTest(function=function), self.assertRaisesMessage(TypeError, 'with heartbeat("mails"):'):
                heartbeat("mails")(function)
        self.assertIsNone(writers.get().newest)

    def test_what_nobody_has_run_yet_is_no_beat_and_the_log_says_so(self):
        def rows() -> Iterator[int]:
            yield 1

        async def arows() -> AsyncIterator[int]:
            yield 1

        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)
        future = loop.create_future()
        for name, function in (("generator", rows), ("async_generator", arows), ("Future", lambda: future)):
            logs._logged_at.clear()
            self.late = 0
            self.beat("mails", at=time.time() - 400)
            with self.subTest(name=name), self.assertLogs("status", "WARNING") as caught:
                returned = heartbeat("mails")(lambda function=function: function())()
                self.written()
                self.assertEqual(type(returned).__name__, name)
                self.assertIn(f'cannot tell when a {name} ends. Write `with heartbeat("mails"):`', caught.output[0])
                self.assertRegex(self.reasons()["mails"], r"last heard .*; started .* ago, and has not ended since")

    def test_a_block_in_a_generator_that_is_closed_before_its_end_fails(self):
        """As the page says."""

        def rows() -> Iterator[int]:
            with heartbeat("mails"):
                yield from (1, 2)

        self.assertEqual(list(rows()), [1, 2])
        self.written()
        self.assertEqual(self.answer()["mails"], True)
        started = rows()
        next(started)
        started.close()  # type: ignore[attr-defined]
        self.written()
        self.assertIn("failed", self.reasons()["mails"])

    def test_a_name_that_is_not_configured_is_told_once_and_raises_nothing(self):
        with self.assertLogs("status", "WARNING") as caught:
            for name in ("typo", "typo", "another", None, ["list"]):
                heartbeat(name)  # type: ignore[arg-type]
        self.assertEqual(len(caught.output), 1)
        self.assertIn("It has: backup, mails. Its name is 'typo'.", caught.output[0])
        self.assertIsNone(writers.get().newest)

    def test_nothing_is_raised_into_the_job(self):
        for settings, reason in (
            ({"STATUS_STORE": None}, "STATUS_STORE is not set"),
            ({"STATUS_STORE": 7}, "STATUS_STORE is not set"),
            ({"STATUS_HEARTBEATS": ["mails"]}, "It has: none."),
            ({"STATUS_STORE": "nowhere"}, '"nowhere" cannot be used (InvalidCacheBackendError)'),
            ({"SECRET_KEY": ""}, "cannot be used (ImproperlyConfigured)"),
        ):
            logs._logged_at.clear()
            with self.subTest(settings=settings), override_settings(**settings):
                with self.assertLogs("status", "WARNING") as caught:
                    with heartbeat("mails"):
                        pass
                    self.written()
                self.assertIn(reason, caught.output[0])

    def test_without_a_thread_the_beat_is_lost_and_the_next_one_is_not(self):
        none = mock.patch.object(threading.Thread, "start", side_effect=RuntimeError("can't start new thread"))
        with none, self.assertLogs("status", "WARNING") as caught:
            heartbeat("mails")
            with self.assertRaisesMessage(StoreFailed, "no thread can be started"):
                heartbeats.send("mails")
        self.assertIn("RuntimeError was raised", caught.output[0])
        heartbeat("mails")
        self.written()
        self.assertEqual(self.answer()["mails"], True)

    def test_a_beat_may_come_in_the_middle_of_a_beat(self):
        """As the garbage collector or a signal handler may bring one."""
        with writers.get().lock:
            heartbeat("mails")
        self.written()
        self.assertEqual(self.answer()["mails"], True)

    @override_settings(STATUS_SYNCHRONOUS=True)
    def test_a_beat_in_the_calling_thread_leaves_its_connections_open(self) -> None:
        """To close that of a database in memory is to lose the database."""
        with mock.patch.object(connection, "close") as close, mock.patch.object(BaseDatabaseWrapper, "close") as closed:
            heartbeat("backup")
        close.assert_not_called()
        closed.assert_not_called()

    @override_settings(STATUS_SYNCHRONOUS=True)
    def test_in_a_project_s_tests_no_thread_is_started(self):
        before = threading.active_count()
        heartbeat("mails")
        self.assertEqual(self.answer()["mails"], True)
        self.assertEqual(threading.active_count(), before)

    def test_a_beat_costs_less_than_a_millisecond(self):
        def cost() -> float:
            before = time.perf_counter()
            heartbeat("mails")
            return time.perf_counter() - before

        self.assertLess(statistics.median(cost() for _ in range(500)), 0.001)


class TroubleTests(HeartbeatTestCase):
    """The store hangs, is dead, or comes back."""

    def test_a_dead_store_costs_the_beat_and_is_told_once(self):
        with override_settings(CACHES=backend("Dead")), self.assertLogs("status", "WARNING") as caught:
            heartbeat("mails")
            self.written()
            heartbeat("mails")
            self.written()
        self.assertEqual(len(caught.output), 1)
        self.assertIn('STATUS_STORE "default" cannot be used (ConnectionError)', caught.output[0])

    @override_settings(CACHES=backend("Held"))
    def test_while_the_store_hangs_only_the_newest_beats_are_kept(self):
        writer = writers.get()
        heartbeat("mails")
        self.assertTrue(Held.asked.wait(5))
        for _ in range(1000):
            heartbeat("mails")
            heartbeat("backup")
        self.assertEqual(len(writer.waiting), 2)
        self.assertEqual(writer.worker._jobs.qsize(), 1)
        self.late = 250
        heartbeat("mails")
        Held.free.set()
        self.written()
        self.late = 500
        self.assertEqual(self.answer(), {"backup": True, "mails": True})

    @override_settings(CACHES=backend("Held"))
    def test_a_thread_that_hangs_is_told_of_and_left_behind_while_few_are(self):
        writer = writers.get()
        at_once = mock.patch.multiple(Writer, hangs_after=0.0, replace_after=0.0, limit=2)
        with at_once, self.assertLogs("status", "WARNING") as caught:
            for expected in (0, 1, 2, 2):
                heartbeat("mails")
                self.assertTrue(Held.asked.wait(5))
                if expected < 2:
                    Held.asked.clear()
                self.assertEqual(len(writer.left_behind), expected)
        self.assertEqual(len(caught.output), 1)
        self.assertIn('STATUS_STORE "default" does not answer', caught.output[0])
        Held.free.set()
        self.assertTrue(eventually(lambda: not writer.left_behind))
        self.written()
        self.assertEqual(self.answer()["mails"], True)

    @override_settings(CACHES=backend("Held"))
    def test_a_process_that_ends_does_not_wait_long_for_a_store_that_hangs(self):
        heartbeat("mails")
        with self.assertLogs("status", "WARNING") as caught:
            self.assertFalse(writers.get().flush(0.05))
        self.assertIn("could not be written within 0.05 s", caught.output[0])

    def test_after_a_fork_the_child_has_a_thread_of_its_own(self):
        heartbeat("mails")
        self.written()
        with writers.get().lock:
            child = os.fork()
            if child == 0:
                heartbeat("mails")
                os._exit(10 + writers.get().flush(5))
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 11)


class EndTests(SimpleTestCase):
    """A process that ends has its last beat written: scripts, and the children of pools."""

    def run_script(self, code: str, *says: str) -> bool:
        folder = services.directory()
        code = "from status import heartbeat\n" + textwrap.dedent(code)
        done = run_script(code, folder, STATUS_HEARTBEATS={"script": 60})
        self.assertIn(done.stderr, ("", *says))
        return any(folder.iterdir())

    def test_a_script(self):
        self.assertTrue(self.run_script('heartbeat("script")'))

    def test_a_script_that_exits_inside_a_block(self):
        self.assertTrue(self.run_script('with heartbeat("script"): sys.exit()'))

    def test_a_child_of_a_pool(self):
        code = """
            import multiprocessing
            child = multiprocessing.get_context("fork").Process(target=heartbeat, args=["script"])
            child.start()
            child.join()
        """
        self.assertTrue(self.run_script(code))

    def test_no_thread_is_started_while_the_interpreter_ends(self):
        """Up to Python 3.11, who starts one then waits for it for ever."""
        with mock.patch("sys.is_finalizing", return_value=True):
            for start in (lambda: start_call(bool, "late"), lambda: Worker("late").submit(bool)):
                with self.assertRaisesMessage(RuntimeError, "the interpreter ends"):
                    start()

    def test_a_block_that_is_open_to_the_end(self):
        """Its end is told while the interpreter ends, which starts no thread any more."""
        code = """
            def rows():
                with heartbeat("script"):
                    yield 1
            held = rows()
            next(held)
        """
        lost = "A heartbeat is lost: RuntimeError was raised. (logged at most once in 60 s)\n"
        self.assertTrue(self.run_script(code, lost))

    def test_a_beat_after_the_last_one_was_waited_for(self):
        code = """
            import atexit
            def beat():
                with heartbeat("script"):
                    pass
            atexit.register(beat)  # which is called after what the first beat registers
            heartbeat("script")
            from status.heartbeats import writers
            assert writers.get().flush(20)
            import shutil
            shutil.rmtree(settings.CACHES["default"]["LOCATION"])
        """
        self.assertTrue(self.run_script(code))

    def test_a_fork_waits_for_no_beat_of_its_parent(self):
        code = """
            import os, threading
            from status.store import Store
            keep, ended = Store.keep, threading.Event()
            Store.keep = lambda *args: ended.wait(30) and keep(*args)
            heartbeat("script")
            child = os.fork()
            if not child:
                sys.exit()
            os.waitpid(child, 0)
            ended.set()
        """
        self.assertTrue(self.run_script(code))

    def test_a_script_that_tells_nothing_writes_nothing(self):
        self.assertFalse(self.run_script("@heartbeat('script')\ndef job(): ..."))

    def test_a_block_that_is_kept_and_never_entered_has_not_run(self):
        code = """
            beat = heartbeat("script")
            from status.heartbeats import writers
            writers.get()  # another beat of the process has made it
        """
        self.assertFalse(self.run_script(code))


class AnswerTests(HeartbeatTestCase):
    def test_it_joins_health_by_itself(self):
        document = self.client.get("/status/api/health").json()
        self.assertEqual(document, {"heartbeats": {"backup": True, "mails": True}})
        with override_settings(STATUS_HEARTBEATS={}):
            self.assertEqual(self.client.get("/status/api/health").status_code, 404)

    def test_an_entry_of_the_project_s_goes_before(self):
        entry = ("heartbeats", "status.providers.health.heartbeats", None, None, {"critical": False})
        with override_settings(STATUS_CHECK_PROVIDERS={"health": [entry]}, STATUS_STORE=None):
            self.assertEqual(self.client.get("/status/api/health").status_code, 200)
            with override_settings(STATUS_HEARTBEATS={}):
                self.assertEqual(self.client.get("/status/api/health").json(), {"heartbeats": {}})

    def test_one_that_was_never_heard_fails_one_period_after_it_was_first_expected(self):
        self.assertEqual(self.answer()["mails"], True)
        self.late = 299
        self.assertEqual(self.answer()["mails"], True)
        self.end_writer()  # as a restart does
        engine.close()
        self.late = 14 * 60 + 0.5
        self.assertEqual(self.answer(), {"backup": True, "mails": False})
        self.assertEqual(self.reasons(), {"mails": "never heard in 14 min, expected every 5 min"})
        response = self.client.get("/status/api/health/heartbeats")
        self.assertEqual((response.status_code, response.json()["mails"]), (503, False))

    def test_a_late_one_says_since_when(self):
        self.beat("mails")
        self.late = 14 * 60 + 0.5
        self.assertEqual(self.reasons(), {"mails": "last heard 14 min ago, expected every 5 min"})

    def test_clocks_that_differ_by_a_minute_do_no_harm(self):
        with override_settings(STATUS_HEARTBEATS={"mails": 5}):
            for late in (-59, 59):
                with self.subTest(late=late), mock.patch.object(socket, "gethostname", return_value="web-2"):
                    self.late = late
                    self.beat("mails")
                self.late = 0
                self.assertEqual(self.answer(), {"mails": True})
            self.late = 200
            self.assertEqual(self.answer(), {"mails": False})

    def test_the_expectation_of_another_host_may_differ_as_well(self):
        with override_settings(STATUS_HEARTBEATS={"mails": 5}):
            self.late = -50
            with mock.patch.object(socket, "gethostname", return_value="web-2"):
                self.answer()
            self.late = 0
            self.assertEqual(self.answer(), {"mails": True})
            self.late = 100
            self.assertEqual(self.answer(), {"mails": False})

    def test_a_clock_that_is_far_ahead_is_no_sign_of_life(self):
        with mock.patch.object(socket, "gethostname", return_value="web-2"):
            self.beat("mails", at=time.time() + 7200.5)
        self.assertEqual(self.reasons(), {"mails": "last heard from web-2, whose clock is 2 h ahead"})

    def test_without_a_store_it_says_what_to_set(self):
        with override_settings(STATUS_STORE=None):
            response = self.client.get("/status/api/health/heartbeats")
        self.assertEqual(response.status_code, 503)
        self.assertIn("STATUS_STORE is not set: name a cache", response.json()["error"])

    def test_a_store_that_cannot_be_read_fails_as_a_whole(self):
        with override_settings(CACHES=backend("Dead")):
            response = self.client.get("/status/api/health/heartbeats")
        self.assertEqual(response.status_code, 503)
        self.assertEqual(response.json()["error"], 'STATUS_STORE "default" cannot be used (ConnectionError)')

    def test_a_mistake_costs_its_own_entry_only(self):
        wrong = {"mails": 300, "backup": "daily", "a/b": 5, 7: 5, "soon": float("inf"), "": 1, "two\nlines": 1}
        with override_settings(STATUS_HEARTBEATS=wrong):
            self.beat("mails")
            answer, reasons = self.answer(), self.reasons()
        expected = ["mails", "backup", "invalid-2", "invalid-3", "soon", "invalid-5", "invalid-6"]
        self.assertEqual(answer, {name: name == "mails" for name in expected})
        self.assertIn(
            'STATUS_HEARTBEATS["backup"] should be a positive number of seconds, not a str.', reasons["backup"]
        )

    def test_expectation_of_a_clock_that_was_ahead_is_renewed(self):
        self.late = 365 * 86400
        self.assertEqual(self.answer()["mails"], True)
        engine.close()
        self.late = 0
        self.assertEqual(self.answer()["mails"], True)
        self.late = 14 * 60
        self.assertIn("never heard in 14 min", self.reasons()["mails"])

    def test_beat_that_hung_does_not_hide_a_later_one(self):
        """Its thread was left behind, and goes on when the store does."""
        writer, now = writers.get(), time.time()
        for at, ok in ((now, True), (now - 60, False)):
            with mock.patch.object(Writer, "hangs_after", 0.0):
                writer.waiting = {key_of(BEAT, "mails"): record_now(at=at, ok=ok)}
                writer.write(Store("STATUS_STORE", "default"), call_here, own_thread=False)
        self.assertEqual(self.answer()["mails"], True)

    def test_values_of_another_version_or_from_somebody_else_are_ignored(self):
        key = key_of(BEAT, "mails")
        for value in ("text", [], {}, {"at": "now"}, {"at": None}):
            with self.subTest(value=value):
                caches["default"].set(key, encode(key, value))
                self.assertEqual(self.answer()["mails"], True)
        logs._logged_at.clear()
        caches["default"].set(key, '{"at": 9e9}:forged', None)
        self.late = 400
        with self.assertLogs("status", "WARNING"):
            self.assertIn("never heard", self.reasons()["mails"])

    def test_a_forged_expectation_does_not_last(self):
        key = key_of("expected", "mails")
        caches["default"].set(key, "forged")
        with self.assertLogs("status", "WARNING"):
            self.answer()
        self.late = 400
        self.assertEqual(self.answer()["mails"], False)

    def test_the_age_is_a_metric_for_callers_with_authority(self):
        self.beat("mails")
        self.late = 120
        headers = {"authorization": f"Bearer {TOKEN}"}
        text = self.client.get("/status/api/health?format=openmetrics", headers=headers).content.decode()
        self.assertIn("# TYPE django_status_heartbeat_age_seconds gauge\n", text)
        self.assertRegex(text, r'django_status_heartbeat_age_seconds\{name="mails"\} 12\d(\.\d+)?\n')
        self.assertIn('django_status_component_up{resource="health",check="heartbeats",component="mails"} 1\n', text)
        self.assertNotIn("heartbeat_age", self.client.get("/status/api/health?format=prometheus").content.decode())

    def test_history_and_pages_show_it_as_every_check(self):
        engine.observers.append(history.observe)
        self.client.get("/status/api/health")
        self.assertEqual([slot.state for slot in history.of("health", "heartbeats")], ["pass"])
        self.addCleanup(history._memory._values.clear)
        self.addCleanup(history.close)
        self.assertContains(self.client.get("/status/health/"), "mails")

    def test_durations_are_told_in_their_two_largest_units(self):
        for seconds, words in (
            (-3, "0 s"), (0.04, "0 s"), (2.34, "2.3 s"), (59, "59 s"), (60, "1 min"), (301, "5 min 1 s"),
            (3600, "1 h"), (3700, "1 h 1 min"), (86_400, "1 d"), (90_000, "1 d 1 h"), (86_700, "1 d"),
        ):  # fmt: skip
            with self.subTest(seconds=seconds):
                self.assertEqual(in_words(seconds), words)


class AddressTests(HeartbeatTestCase):
    """``POST /status/api/beat/<name>``, with the middleware and without."""

    address = "/status/api/beat/mails"
    token = {"HTTP_AUTHORIZATION": f"Bearer {TOKEN}"}

    def both(self, test: Callable[[Client], None]) -> None:
        for stack in ([STATUS_MIDDLEWARE, *MIDDLEWARE], MIDDLEWARE):
            with self.subTest(first=stack[0]), override_settings(MIDDLEWARE=stack):
                test(Client(enforce_csrf_checks=True))

    def test_a_token_is_enough(self):
        def test(client: Client) -> None:
            caches["default"].clear()
            self.late = 0
            self.answer()
            self.late = 400
            for address in (self.address, f"{self.address}/", reverse("status:api_beat", args=["mails"])):
                response = client.post(address, **self.token)
                self.assertEqual((response.status_code, response.content), (204, b""))
                self.assertEqual(response["Cache-Control"], "no-store")
            self.assertEqual(self.answer()["mails"], True)

        self.both(test)

    def test_what_the_app_is_mounted_with_besides_is_no_matter(self):
        def test(client: Client) -> None:
            self.assertEqual(client.post(f"/shop{self.address}", **self.token).status_code, 204)

        self.both(test)

    def assertLost(self, response: Any, reason: str) -> None:
        self.assertEqual(response.status_code, 503)
        self.assertEqual(response.json()["error"], f'The heartbeat is lost: STATUS_STORE "default" {reason}')

    @override_settings(MIDDLEWARE=[STATUS_MIDDLEWARE, *MIDDLEWARE])
    def test_under_asgi(self):
        post, headers = on_a_loop(AsyncClient().post), {"authorization": f"Bearer {TOKEN}"}
        for synchronous in (False, True):
            with self.subTest(synchronous=synchronous), override_settings(STATUS_SYNCHRONOUS=synchronous):
                caches["default"].clear()
                self.assertEqual(post(self.address, headers=headers).status_code, 204)
                self.assertIn("mails", provider.check().ages)
                self.assertEqual(post("/status/api/beat/typo", headers=headers).status_code, 404)
                self.assertEqual(post(self.address).status_code, 401)
                response = on_a_loop(AsyncClient().get)(self.address, headers=headers)
                self.assertEqual((response.status_code, response["Allow"]), (405, "POST"))
                with override_settings(CACHES=backend("Dead")):
                    self.assertLost(post(self.address, headers=headers), "cannot be used (ConnectionError).")

    def test_who_has_no_authority_is_refused_whatever_the_name(self):
        def test(client: Client) -> None:
            for address in (self.address, "/status/api/beat/unknown"):
                self.assertEqual(client.post(address).status_code, 401)
                with override_settings(STATUS_TOKENS=[]):
                    self.assertEqual(client.post(address).status_code, 403)
                with override_settings(STATUS_SHOW_DETAILS="always", STATUS_PUBLIC=None):
                    self.assertEqual(client.post(address).status_code, 401)
            self.assertIsNone(writers.get().newest)

        self.both(test)

    @override_settings(MIDDLEWARE=[STATUS_MIDDLEWARE, *MIDDLEWARE])
    def test_networks_and_permissions_give_authority_too(self):
        for settings in ({"STATUS_NETWORKS": ["127.0.0.1"]}, {"STATUS_PERMISSION": lambda request: True}):
            for synchronous in (False, True):
                with self.subTest(settings=settings), override_settings(STATUS_SYNCHRONOUS=synchronous, **settings):
                    self.assertEqual(self.client.post(self.address).status_code, 204)
                    self.assertEqual(on_a_loop(AsyncClient().post)(self.address).status_code, 204)
                    for page in ("https://evil.example", "null", "http://[", "http://testserver.evil.example"):
                        self.assertEqual(self.client.post(self.address, HTTP_ORIGIN=page).status_code, 401)
                    self.assertEqual(self.client.post(self.address, HTTP_ORIGIN="http://testserver").status_code, 204)
                    self.assertEqual(self.client.post(self.address, HTTP_HOST="evil.example").status_code, 401)

    def test_an_unknown_name_says_what_there_is(self):
        response = self.client.post("/status/api/beat/typo", **self.token)
        self.assertEqual(response.status_code, 404)
        self.assertEqual(response.json()["heartbeats"], ["backup", "mails"])

    def test_other_methods_are_405(self):
        def test(client: Client) -> None:
            for method in ("get", "head", "put", "delete", "options"):
                response = getattr(client, method)(self.address, **self.token)
                self.assertEqual((response.status_code, response["Allow"]), (405, "POST"))

        self.both(test)

    def test_a_lost_beat_is_503(self):
        for settings, reason in (
            ({"CACHES": backend("Dead")}, 'STATUS_STORE "default" cannot be used (ConnectionError).'),
            ({"STATUS_STORE": None}, "STATUS_STORE is not set"),
            (
                {"CACHES": backend("Held"), "STATUS_TIMEOUT": 0.05},
                'STATUS_STORE "default" did not answer within 0.05 s.',
            ),
        ):
            with self.subTest(reason=reason), override_settings(**settings), self.assertNoLogs("django.request"):
                response = self.client.post(self.address, **self.token)
                self.assertEqual(response.status_code, 503)
                self.assertIn(reason, response.json()["error"])

    def test_while_the_store_hangs_nobody_else_waits(self):
        def test(client: Client) -> None:
            self.end_writer()
            Held.free.clear()
            with override_settings(CACHES=backend("Held")):
                with override_settings(STATUS_TIMEOUT=0.05):
                    self.assertLost(client.post(self.address, **self.token), "did not answer within 0.05 s.")
                with override_settings(STATUS_TIMEOUT=60):
                    for address in (self.address, "/status/api/beat/backup"):
                        self.assertLost(client.post(address, **self.token), "does not answer.")
                    Held.free.set()
                    self.written()
                    self.assertEqual(set(provider.check().ages), {"mails", "backup"})
                    self.assertEqual(client.post(self.address, **self.token).status_code, 204)

        self.both(test)

    def test_a_thread_that_follows_one_that_hangs_is_waited_for(self):
        with override_settings(CACHES=backend("Held"), STATUS_TIMEOUT=0.05):
            self.assertLost(self.client.post(self.address, **self.token), "did not answer within 0.05 s.")
        with mock.patch.multiple(Writer, hangs_after=0.0, replace_after=0.0):
            self.assertEqual(self.client.post(self.address, **self.token).status_code, 204)

    def test_for_a_moment_after_a_slow_failure_nobody_waits(self):
        """As where the client of the store has a timeout of its own."""
        dead, held = override_settings(CACHES=backend("Dead")), override_settings(CACHES=backend("Held"))
        with dead, mock.patch.multiple(Writer, slow_after=0.0, retry_after=0.0):
            for _ in range(2):
                self.assertLost(self.client.post(self.address, **self.token), "cannot be used (ConnectionError).")
        with held, mock.patch.object(Writer, "retry_after", 60.0):
            self.assertLost(self.client.post(self.address, **self.token), "does not answer.")
            Held.free.set()
            self.written()
            self.assertEqual(self.client.post(self.address, **self.token).status_code, 204)

    @override_settings(MIDDLEWARE=[STATUS_MIDDLEWARE, *MIDDLEWARE], CACHES=backend("Held"), STATUS_TIMEOUT=60)
    def test_under_asgi_those_who_wait_hold_up_no_page(self):
        """They would, if they waited in the threads in which pages are rendered."""

        async def ask_all() -> tuple[Any, list[Any]]:
            client, headers = AsyncClient(), {"authorization": f"Bearer {TOKEN}"}
            posts = [asyncio.ensure_future(client.post(self.address, headers=headers)) for _ in range(64)]
            try:
                while not Held.asked.is_set():
                    await asyncio.sleep(0.01)
                shown = await asyncio.wait_for(client.get("/status/assets/0/status.css"), 20)
            finally:
                Held.free.set()
            return shown, await asyncio.gather(*posts)

        page, posted = async_to_sync(ask_all)()
        self.assertEqual(page.status_code, 200)
        self.assertEqual({response.status_code for response in posted}, {204})

    def test_a_resource_of_the_project_s_wins(self):
        entry = ("mails", "status.providers.health.ping")
        with override_settings(STATUS_PROVIDERS={"beat": [entry]}):
            self.assertEqual(self.client.get(self.address).json(), {"pong": True})
            self.assertEqual(self.client.post(self.address, **self.token).status_code, 405)
            with override_settings(MIDDLEWARE=[STATUS_MIDDLEWARE, *MIDDLEWARE]):
                self.assertEqual(on_a_loop(AsyncClient().get)(self.address).json(), {"pong": True})


class CommandTests(HeartbeatTestCase):
    def test_a_beat_from_the_shell(self):
        code, out, err = ask("beat", "mails")
        self.assertEqual((code, out, err), (0, "mails: heard\n", ""))
        self.assertEqual(ask("beat", "mails", "-q"), (0, "", ""))
        unwritten = "the answer cannot be written: No space left on device\n"
        self.assertEqual(ask("beat", "mails", out=Full())[::2], (0, unwritten))
        self.assertIn("default", json.dumps(Store.configured()))
        self.assertIsNotNone(caches["default"].get(key_of(BEAT, "mails")))

    def test_a_wrong_question_is_2(self):
        for words, reason in (
            (["beat"], "beat takes a name"),
            (["beat", "typo"], 'there is no heartbeat "typo"; there is: backup, mails'),
            (["beat", "mails", "--check", "x"], "--check does not go with beat"),
            (["beat", "mails", "backup"], "one name at a time"),
        ):
            with self.subTest(words=words):
                code, out, err = ask(*words)
                self.assertEqual((code, out), (2, ""))
                self.assertIn(reason, err)
        with override_settings(STATUS_STORE=None):
            self.assertEqual(ask("beat", "mails").code, 2)

    def test_outside_of_a_project_it_needs_an_address(self):
        settings = {"DJANGO_STATUS_SETTINGS": "example_project.plain", "DJANGO_SETTINGS_MODULE": ""}
        with mock.patch.dict(os.environ, settings):
            code, _, err = ask("beat", "mails", in_django=False)
        self.assertEqual(code, 2)
        self.assertIn("needs the settings of a Django project, or --url", err)

    def test_a_beat_that_is_lost_is_1(self):
        held = {"CACHES": backend("Held")}
        for settings, words, reason in (
            ({"CACHES": backend("Dead")}, [], "cannot be used (ConnectionError)"),
            (held, ["-t", "0.05"], "did not answer within 0.05 s"),
        ):
            with self.subTest(reason=reason), override_settings(**settings):
                code, out, err = ask("beat", "mails", *words)
                self.assertEqual((code, out), (1, ""))
                self.assertIn(reason, err)

    def test_its_help_names_what_it_takes(self):
        out = ask("beat", "-h").out
        for word in ("NAME", "STATUS_HEARTBEATS", "--url", "--token-file", "--timeout"):
            self.assertIn(word, out)
        self.assertNotIn("--check", out)
        self.assertIn("  beat  ", ask("-h").out)


@override_settings(**SETTINGS)
class InstanceTests(LiveServerTestCase):
    """``django_status beat NAME --url``."""

    databases: Any = set()

    def beat(self, name: str = "mails", *words: str) -> Any:
        url = f"{self.live_server_url}/status/"
        return ask("beat", name, "--url", url, *words, in_django=False)

    def tearDown(self) -> None:
        thread = writers.get().worker.stop()
        if thread is not None:
            thread.join()
        writers._values.clear()
        caches["default"].clear()

    def test_with_a_token(self):
        for urlconf in (__name__, (path("status/api/", include("status.api.urls")),)):
            with override_settings(ROOT_URLCONF=urlconf):
                self.assertEqual(self.beat("mails", "--token", TOKEN), (0, "mails: heard\n", ""))

    def test_a_refusal_and_an_unknown_name_are_2(self):
        self.assertEqual(self.beat().code, 2)
        code, _, err = self.beat("typo", "--token", TOKEN)
        self.assertEqual(code, 2)
        self.assertIn("It has: backup, mails.", err)

    def test_a_server_that_cannot_keep_it_is_1(self):
        with override_settings(CACHES=backend("Dead")):
            code, _, err = self.beat("mails", "--token", TOKEN)
        self.assertEqual(code, 1)
        self.assertIn("The heartbeat is lost: STATUS_STORE", err)

    def test_no_server_is_1(self):
        code, _, err = ask("beat", "mails", "--url", f"http://127.0.0.1:{services.refused_port()}/", in_django=False)
        self.assertEqual(code, 1)
        self.assertIn("cannot be reached", err)


class TaskTests(HeartbeatTestCase):
    def test_the_task_of_the_schedule_beats_and_fails_where_the_beat_is_lost(self):
        """With real Celery: tests.test_heartbeats_faults."""
        with Celery(set_as_current=False) as app:
            import_module("status.tasks")
            app.finalize()
            task = app.tasks["status.heartbeat"]
            self.assertTrue(task.apply(args=["mails"]).successful())
            self.assertIsNotNone(caches["default"].get(key_of(BEAT, "mails")))
            with override_settings(CACHES=backend("Dead")):
                self.assertIsInstance(task.apply(args=["mails"]).result, StoreFailed)


class ToldTests(SimpleTestCase):
    def test_what_is_kept_is_small(self):
        self.assertLess(len(encode(key_of(BEAT, "mails"), record_now(took=1.23456))), 250)
