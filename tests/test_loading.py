"""How the code of checks is loaded: one module at a time, before any deadline begins, within a limit of its own."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any
from unittest import mock

from django.test import SimpleTestCase, override_settings

import status
from status.engine import Engine
from status.engine.loading import Loader
from status.entries import Check
from status.providers.base import Provider
from status.registry import registry
from status.report import Result
from status.threads import Worker
from tests import services
from tests.components import eventually
from tests.processes import environment

#: What the modules of these tests call while they are imported, by the name of the module.
importing: dict[str, Callable[[], object]] = {}


class LoadingTestCase(SimpleTestCase):
    """Writes modules that do what a test wants while they are imported."""

    def setUp(self) -> None:
        self.directory = services.directory()
        sys.path.insert(0, str(self.directory))
        self.addCleanup(sys.path.remove, str(self.directory))
        self.engine = Engine()
        self.release = threading.Event()
        self.addCleanup(self.engine.close)
        self.addCleanup(self.release.set)

    def module(self, name: str, act: Callable[[], object] = bool, answer: str = "True") -> Check:
        """Return a check in a module that calls ``act`` when it is imported."""
        text = f"""
            from tests.test_loading import importing
            importing["{name}"]()

            def check():
                return {answer}
        """
        (self.directory / f"{name}.py").write_text(textwrap.dedent(text))
        importing[name] = act
        self.addCleanup(importing.pop, name)
        self.addCleanup(sys.modules.pop, name, None)
        return Check("health", name, f"{name}.check")

    def hang(self) -> None:
        self.assertTrue(self.release.wait(30))

    def ask(self, *checks: Check, **question: Any) -> tuple[Result, ...]:
        return self.engine.run(checks, **question)


class LoadingTests(LoadingTestCase):
    def test_time_of_an_import_does_not_count_against_the_deadline(self) -> None:
        """FAULTS E2: on a slow machine, imports take longer than any check may."""
        slow = self.module("slow_to_import", lambda: time.sleep(0.3))
        (result,) = self.ask(slow, timeout=0.2)
        self.assertEqual((result.answer, result.error), (True, None))
        self.assertLess(result.duration, 0.2)

    def test_modules_are_imported_one_at_a_time(self) -> None:
        """FAULTS E1: two threads that import together can break each other's import."""
        alone = threading.Lock()

        def act() -> None:
            self.assertTrue(alone.acquire(blocking=False))
            time.sleep(0.02)
            alone.release()

        checks = [self.module(f"module{number}", act) for number in range(8)]
        answers: list[Result] = []
        askers = [threading.Thread(target=lambda: answers.extend(self.ask(*checks))) for _ in range(4)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
        self.assertEqual({(result.answer, result.error) for result in answers}, {(True, None)})

    def test_nothing_runs_before_all_that_is_asked_is_loaded(self) -> None:
        loaded = threading.Event()
        late = self.module("late", loaded.set)
        early = self.module("early", answer="__import__('tests.test_loading').test_loading.importing['seen']()")
        importing["seen"] = loaded.is_set
        self.addCleanup(importing.pop, "seen")
        self.assertEqual([result.answer for result in self.ask(early, late)], [True, True])

    def test_import_that_hangs_is_given_up_and_costs_the_others_nothing_but_time(self) -> None:
        with mock.patch.object(Loader, "limit", 0.1):
            stuck, fine = self.module("stuck", self.hang), self.module("fine")
            first = self.ask(stuck, fine)
            self.assertEqual([result.error for result in first], ["still loading its code", None])
            self.assertEqual([result.state for result in first], ["fail", "pass"])
            started = time.monotonic()
            self.assertEqual(self.ask(stuck)[0].error, "still loading its code")
            self.assertLess(time.monotonic() - started, 0.05)
            self.release.set()
            self.assertTrue(eventually(lambda: self.ask(stuck)[0].answer is True))

    def test_imports_that_hang_add_up_to_little(self) -> None:
        with mock.patch.object(Loader, "limit", 0.4), mock.patch.object(Loader, "limit_beside", 0.02):
            stuck = [self.module(f"stuck{number}", self.hang) for number in range(5)]
            started = time.monotonic()
            self.assertEqual({result.error for result in self.ask(*stuck)}, {"still loading its code"})
            self.assertLess(time.monotonic() - started, 0.8)

    def test_alarm_while_code_loads_is_the_caller_s(self) -> None:
        """Also one that raises the exception by which a future tells that its time is over."""

        def ring(number: int, frame: Any) -> None:
            raise FutureTimeout("the caller's own")

        check = self.module("awaited_with_an_alarm", self.hang)
        before = signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        try:
            with self.assertRaisesRegex(FutureTimeout, "the caller's own"):
                self.ask(check)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def test_time_that_a_test_of_a_project_freezes_is_no_alarm(self) -> None:
        check = self.module("loaded_while_time_stands", self.hang)
        # By its module: ``status.engine.engine`` is the engine.
        with (
            mock.patch("status.threads.monotonic", return_value=7.0),
            mock.patch.object(sys.modules["status.engine.engine"], "monotonic", return_value=7.0),
        ):
            self.assertEqual(self.ask(check, patience=0.02)[0].state, "running")

    def test_who_would_not_wait_is_told_that_it_runs_not_that_it_fails(self) -> None:
        check = self.module("patient", self.hang)
        (result,) = self.ask(check, patience=0.02)
        self.assertEqual(result.state, "running")
        self.release.set()
        self.assertEqual(self.ask(check)[0].answer, True)

    def test_event_loop_goes_on_while_a_module_loads(self) -> None:
        check = self.module("awaited", self.hang)

        async def ask() -> tuple[Result, ...]:
            asking = asyncio.ensure_future(self.engine.arun([check]))
            await asyncio.sleep(0.01)
            self.assertFalse(asking.done())
            self.release.set()
            return await asking

        self.assertEqual(asyncio.run(ask())[0].answer, True)

    def test_module_that_raises_is_the_failure_of_its_check_and_is_tried_again(self) -> None:
        attempts: list[int] = []

        def act() -> None:
            attempts.append(1)
            if len(attempts) == 1:
                sys.exit("hunter2")

        check = self.module("raising", act)
        with self.assertLogs("status", "DEBUG"):
            (result,) = self.ask(check)
        self.assertEqual(result.error, "raising.check cannot be imported: it raised SystemExit.")
        self.assertEqual(self.ask(check)[0].answer, True)

    def test_module_that_takes_long_to_raise_is_waited_for_once(self) -> None:
        attempts: list[int] = []

        def act() -> None:
            attempts.append(1)
            if len(attempts) == 2:
                self.hang()
            if len(attempts) < 3:
                raise OSError

        check, beside = self.module("raising_late", act), self.module("beside_it")
        error = "raising_late.check cannot be imported: it raised OSError."
        with self.assertLogs("status", "DEBUG"):
            for question in ({}, {}, {"patience": 20}):
                self.assertEqual([result.error for result in self.ask(check, beside, **question)], [error, None])
            self.assertEqual(asyncio.run(self.engine.arun([check]))[0].error, error)
        self.assertEqual(len(attempts), 2)
        self.release.set()
        self.assertTrue(eventually(lambda: self.ask(check)[0].answer is True))

    def test_thread_that_could_not_be_had_is_no_code_that_could_not_be_loaded(self) -> None:
        check = self.module("slow_at_last", lambda: time.sleep(0.3))
        with mock.patch.object(Worker, "submit", side_effect=RuntimeError), self.assertLogs("status", "DEBUG"):
            self.assertEqual(self.ask(check)[0].error, "no thread could be started to run it")
        self.assertEqual(self.ask(check)[0].answer, True)

    def test_module_that_raises_disturbs_nobody_who_asks_at_the_same_time(self) -> None:
        """Each question loads it anew, also while others have their answer to tell."""
        checks = Check("health", "absent", "no_such_module.check"), self.module("beside")
        expected = ("no_such_module cannot be imported. Check the dotted path in the settings.", None)
        told: set[Any] = set()

        def ask() -> None:
            for _ in range(100):
                told.add(tuple(result.error for result in self.ask(*checks)))
                told.add(tuple(result.error for result in self.ask(*checks, patience=10)))

        async def ask_often() -> None:
            for _ in range(50):
                told.add(tuple(result.error for result in await self.engine.arun(checks)))

        async def ask_together() -> None:
            await asyncio.wait_for(asyncio.gather(*(ask_often() for _ in range(8))), 60)

        with self.assertLogs("status", "DEBUG"):
            askers = [threading.Thread(target=ask) for _ in range(8)]
            for asker in askers:
                asker.start()
            for asker in askers:
                asker.join()
            asyncio.run(ask_together())
        self.assertEqual(told, {expected})

    def test_failing_load_of_a_provider_is_no_failure_of_its_check(self) -> None:
        class Careless(Provider):
            def load(self) -> None:
                raise ValueError

            def check(self) -> bool:
                return True

        self.module("careless")
        module = __import__("careless")
        module.check = Careless()
        self.assertEqual(self.ask(Check("health", "careless", "careless.check"))[0].answer, True)

    def test_machine_without_a_free_thread_is_told(self) -> None:
        start = threading.Thread.start

        def none_left(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        def only_the_loader(thread: threading.Thread) -> None:
            (start if thread.name == "status-loader" else none_left)(thread)

        check = self.module("crowded")
        for allowed in (none_left, only_the_loader):
            told = self.assertLogs("status", "DEBUG") if allowed is none_left else self.assertNoLogs("status")
            with self.subTest(allowed.__name__), mock.patch.object(threading.Thread, "start", allowed), told:
                self.assertEqual(self.ask(check)[0].error, "no thread could be started to run it")
        self.assertEqual(self.ask(check)[0].answer, True)

    @override_settings(STATUS_SYNCHRONOUS=True)
    def test_synchronous_question_loads_in_the_thread_that_asks(self) -> None:
        threads: list[int] = []
        check = self.module("here", lambda: threads.append(threading.get_ident()))
        self.assertEqual(self.ask(check)[0].answer, True)
        self.assertEqual(threads, [threading.get_ident()])


class PreloadTests(LoadingTestCase):
    def test_first_question_finds_everything_loaded(self) -> None:
        imported: list[str] = []
        entries = [("one", self.module("one", lambda: imported.append("one")).source)]
        with override_settings(STATUS_PROVIDERS={"health": entries}, ROOT_URLCONF="tests.contract_urls"):
            sys.modules.pop("tests.contract_urls", None)
            self.assertTrue(status.preload())
            self.assertEqual(imported, ["one"])
            self.assertIn("tests.contract_urls", sys.modules)
            self.assertIsNotNone(registry["health"]["one"].provider)

    def test_what_cannot_be_loaded_is_told_and_does_not_keep_the_server_from_starting(self) -> None:
        with override_settings(STATUS_PROVIDERS={"health": [("gone", "no.such.check")]}):
            self.assertFalse(status.preload())

    def test_urlconfs_of_other_hosts_are_loaded_too(self) -> None:
        """FAULTS A8, A32"""
        loaded: list[int] = []
        self.module("host_urls", lambda: loaded.append(1))
        with open(self.directory / "host_urls.py", "a") as file:
            file.write("urlpatterns = []\n")
        with override_settings(STATUS_URLCONFS=("host_urls",), STATUS_PROVIDERS={}):
            status.preload()
        self.assertEqual(loaded, [1])

    def test_a_request_waits_for_what_another_one_is_importing(self) -> None:
        """Without the middleware, the first requests of a process import what the app imports late."""
        code = """
            import importlib.abc, sys, threading
            from django.conf import settings
            settings.configure(
                INSTALLED_APPS=["status"], ROOT_URLCONF="status.urls", SECRET_KEY="s", ALLOWED_HOSTS=["*"]
            )
            import django
            django.setup()
            from django.test import Client
            Client().delete("/")
            begun, go_on = threading.Event(), threading.Event()
            class Slow(importlib.abc.MetaPathFinder):
                def find_spec(self, name, path, target=None):
                    if name == "status.counters":  # in the middle of status.fleet
                        begun.set()
                        go_on.wait(10)
            sys.meta_path.insert(0, Slow())
            importer = threading.Thread(target=__import__, args=["status.fleet"])
            importer.start()
            begun.wait(10)
            codes = []
            asking = threading.Thread(target=lambda: codes.append(Client().delete("/").status_code))
            asking.start()
            asking.join(0.5)
            go_on.set()
            asking.join()
            importer.join()
            print(codes)
        """
        command = [sys.executable, "-c", textwrap.dedent(code)]
        env = environment()
        env.pop("DJANGO_SETTINGS_MODULE", None)
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        self.assertEqual(done.stdout, "[405]\n", done.stderr)

    def test_standalone_process_needs_no_urlconf(self) -> None:
        code = "import status; print(status.preload())"
        env = environment()
        env.pop("DJANGO_SETTINGS_MODULE", None)
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
        self.assertEqual((done.stdout, done.stderr), ("True\n", ""))
