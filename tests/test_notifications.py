from __future__ import annotations

import gc
import itertools
import logging
import os
import random
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest import mock

import django
from django.core import mail
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.test import SimpleTestCase, override_settings
from django.urls import include, path

from status import logs, notifications
from status.engine import engine
from status.entries import Check
from status.notifications import observe
from status.report import Result
from status.signals import status_changed
from tests import services
from tests.components import EnteringTestCase
from tests.documents import blocks, page
from tests.reports import result
from tests.tellers import flush, forget

#: Django 6 takes plain addresses, and Django 5 only pairs.
ADMINS: list[Any] = ["operator@example.com"] if django.VERSION >= (6, 0) else [("Operator", "operator@example.com")]
FAILING = {"answer": {"default": True, "replica": False}, "reasons": {"replica": "OperationalError"}}


def check_of(seen: Result) -> Check:
    return Check(seen.resource, seen.name, "status.providers.health.ping")


def all_told(timeout: float = 1.0) -> bool:
    """Wait until everything is told, for ``timeout`` seconds at most each for the log and the signal."""
    return all(flush(teller, timeout) for teller in notifications.tellers.get())


def forget_all() -> None:
    for teller in notifications.tellers.get():
        forget(teller)


class ChangesTestCase(EnteringTestCase):
    #: Seconds between two changes of one check that are told; 60 outside of tests.
    interval = 0.0

    def setUp(self) -> None:
        forget_all()
        self.addCleanup(forget_all)
        # Before the states are forgotten: nothing of one test is told in the next.
        self.addCleanup(all_told)
        self.enter(mock.patch.object(notifications.Teller, "interval", self.interval))

    def see(self, *seen: Result) -> None:
        """Observe these results, each when what came before is told."""
        for item in seen:
            observe(check_of(item), item)
            if not self.interval:
                all_told()

    def see_at_once(self, *seen: Result) -> None:
        for item in seen:
            observe(check_of(item), item)

    def logged(self, *seen: Result) -> list[str]:
        """What the log says when these results are seen one after the other."""
        with self.assertLogs("status", "DEBUG") as logs:
            logging.getLogger("status").debug("start")
            self.see(*seen)
            self.assertTrue(all_told())
        return [line.replace(":status:", " ") for line in logs.output[1:]]

    def receive(self, receiver: Callable[..., Any]) -> None:
        status_changed.connect(receiver, weak=False)
        self.addCleanup(status_changed.disconnect, receiver)


class LogTests(ChangesTestCase):
    def test_a_check_that_passes_from_the_start_is_no_news(self):
        self.assertEqual(self.logged(result(), result()), [])

    def test_the_first_failing_observation_is_told_once(self):
        failing = result(**FAILING)
        self.assertEqual(
            self.logged(failing, failing, failing), ["ERROR health/databases is failing: replica: OperationalError"]
        )

    def test_each_change_is_told_once(self):
        well, failing = result(), result(error="timed out after 2 s")
        self.assertEqual(
            self.logged(well, failing, failing, well, well, failing),
            [
                "ERROR health/databases is failing: timed out after 2 s",
                "ERROR health/databases recovered",
                "ERROR health/databases is failing: timed out after 2 s",
            ],
        )

    def test_recovery_is_told_at_the_level_of_its_failure(self):
        """FAULTS A31: else a log of errors alone says for ever that it fails."""
        for failing, level in ((result(**FAILING), "ERROR"), (result(critical=False, **FAILING), "WARNING")):
            forget_all()
            lines = self.logged(failing, result())
            self.assertEqual([line.partition(" ")[0] for line in lines], [level, level])
            self.assertEqual(lines[1], f"{level} health/databases recovered")

    def test_what_is_not_critical_is_a_warning(self):
        self.assertEqual(
            self.logged(result(critical=False, **FAILING)),
            ["WARNING health/databases is failing, which only warns: replica: OperationalError"],
        )

    def test_what_only_informs_and_what_still_runs_have_no_state(self):
        well = result()
        self.assertEqual(self.logged(well, result("stats", answer=False), result(running=True, sound=False), well), [])

    def test_one_name_in_two_resources_are_two_checks(self):
        self.assertEqual(len(self.logged(result(answer=False), result("shop", answer=False))), 2)

    def test_components_without_a_reason_are_named(self):
        self.assertEqual(self.logged(result(answer={"a": None})), ["ERROR health/databases is failing: a"])

    def test_an_answer_without_components_says_what_is_wrong(self):
        self.assertEqual(
            self.logged(result(answer=[False])), ["ERROR health/databases is failing: its answer holds false or null"]
        )

    def test_many_failing_components_are_counted(self):
        answer: dict[str, Any] = {str(number): False for number in range(8)}
        self.assertEqual(
            self.logged(result(answer=answer)), ["ERROR health/databases is failing: 0, 1, 2, 3, 4, and 3 more"]
        )

    def test_no_name_starts_a_line_of_its_own(self):
        (line,) = self.logged(result(answer={"a\nERROR status fake": False, "b" * 9_000: False}))
        self.assertNotIn("\n", line)
        self.assertLess(len(line), 1_000)

    def test_check_that_only_warns_is_not_said_to_fail(self):
        self.assertEqual(
            self.logged(result(answer={"items": 42}, warnings={"items": "fewer than 50 left"})),
            ["WARNING health/databases warns: items: fewer than 50 left"],
        )

    def test_a_slow_log_handler_delays_nobody(self):
        release = threading.Event()
        self.addCleanup(release.set)

        class Slow(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                release.wait(10)

        handler = Slow()
        logger = logging.getLogger("status")
        logger.addHandler(handler)
        self.addCleanup(logger.removeHandler, handler)
        self.see_at_once(result(answer=False))
        self.assertFalse(all_told(0.05))
        release.set()
        self.assertTrue(all_told())


class OncePerMinuteTests(ChangesTestCase):
    """FAULTS E6, E7: a change is told at most once a minute, and what is told last is true."""

    interval = 60.0

    def test_a_change_back_within_the_minute_is_not_told(self):
        well, failing = result(), result(answer=False)
        with self.assertLogs("status") as logs:
            self.see(well, failing)
            self.assertTrue(all_told())
            self.see(*[well, failing] * 100)
            self.assertTrue(all_told())
        self.assertEqual(len(logs.output), 1)

    def test_a_state_that_lasts_is_told_when_the_minute_is_over_though_nobody_asks_again(self):
        well, failing = result(), result(answer=False)
        with self.assertLogs("status", "INFO") as logs, mock.patch.object(notifications.Teller, "interval", 0.2):
            self.see(well, failing)
            self.assertTrue(all_told())
            told_at = time.monotonic()
            self.see(well)
            self.assertTrue(all_told(10))
            self.assertGreater(time.monotonic() - told_at, 0.15)
        self.assertEqual(len(logs.output), 2)
        self.assertIn("recovered", logs.output[-1])

    def test_one_check_that_waits_for_its_minute_keeps_no_other_waiting(self):
        told = threading.Event()
        self.receive(lambda **news: told.set() if news["name"] == "caches" else None)
        with self.assertLogs("status"):
            self.see(result(answer=False))
            self.assertTrue(all_told())
            self.see(result(), result(name="caches", answer=False))
            self.assertTrue(told.wait(5))
        self.assertFalse(all_told(0))

    def test_what_is_told_last_is_true_whatever_happens(self):
        dice = random.Random(16)
        told: list[tuple[float, float, str | None, Result]] = []

        def tell(old: str | None, seen: Result) -> None:
            # With the time before which nothing more is told of the check.
            told.append((time.monotonic(), teller._told[seen.resource, seen.name].due, old, seen))

        teller = notifications.Teller("log", tell)
        last: dict[str, Result] = {}
        with mock.patch.object(notifications.Teller, "interval", 0.002):
            for _ in range(10_000):
                name = dice.choice("abcd")
                last[name] = dice.choice(
                    [
                        result(name=name),
                        result(name=name, answer=False),
                        result(name=name, answer=False, critical=False),
                    ]
                )
                teller.see(last[name])
            self.assertTrue(flush(teller, 30))
        for name, seen in last.items():
            changes = [(at, due, old, new.state) for at, due, old, new in told if new.name == name]
            self.assertEqual(changes[-1][3], seen.state)
            for (_, due, _, before), (later, next_due, old, new) in itertools.pairwise(changes):
                self.assertEqual(old, before)
                self.assertNotEqual(old, new)
                self.assertGreaterEqual(later, due)
                self.assertGreater(next_due - due, 0.0019)


class SignalTests(ChangesTestCase):
    def setUp(self) -> None:
        super().setUp()
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)

    def test_receivers_are_told_what_changed(self):
        told: list[dict[str, Any]] = []
        self.receive(lambda **news: told.append(news))
        well, failing = result(), result(**FAILING)
        self.see(failing, well, well)
        self.assertTrue(all_told())
        self.assertEqual(
            [(news["resource"], news["name"], news["old"], news["new"]) for news in told],
            [
                ("health", "databases", None, "fail"),
                ("health", "databases", "fail", "pass"),
            ],
        )
        self.assertIs(told[0]["result"], failing)
        self.assertIs(told[0]["sender"], Result)

    def test_a_receiver_that_hangs_delays_neither_observers_nor_the_log(self):
        started, release = threading.Event(), threading.Event()
        self.addCleanup(release.set)
        self.receive(lambda **news: (started.set(), release.wait(10)))
        logging.disable(logging.NOTSET)
        log, _ = notifications.tellers.get()
        with self.assertLogs("status") as logs:
            self.see_at_once(result(answer=False))
            self.assertTrue(started.wait(5))
            for seen in (result(), result(answer=False)):
                self.assertTrue(flush(log, 5))
                self.see_at_once(seen)
            self.assertTrue(flush(log, 5))
        self.assertEqual(len(logs.output), 3)
        self.assertFalse(all_told(0))

    def test_what_receivers_raise_is_logged_and_the_next_is_told(self):
        told: list[str] = []

        def broken(**news: Any) -> None:
            raise ValueError("no mail today")

        self.receive(broken)
        self.receive(lambda **news: told.append(news["new"]))
        logging.disable(logging.NOTSET)
        with self.assertLogs("django.dispatch", "ERROR") as logs, self.assertLogs("status"):
            self.see(result(answer=False))
            self.assertTrue(all_told())
        self.assertIn("no mail today", logs.output[0])
        self.assertEqual(told, ["fail"])

    def test_a_receiver_that_exits_ends_neither_the_process_nor_the_news(self):
        told: list[str] = []

        def receiver(**news: Any) -> None:
            told.append(news["new"])
            sys.exit(3)

        self.receive(receiver)
        self.see(result(answer=False), result())
        self.assertTrue(all_told())
        self.assertEqual(told, ["fail", "pass"])

    def test_only_the_newest_state_of_a_check_waits_for_a_slow_receiver(self):
        started, release = threading.Event(), threading.Event()
        told: list[tuple[str, str]] = []

        def receiver(**news: Any) -> None:
            told.append((news["name"], news["new"]))
            started.set()
            release.wait(10)

        self.receive(receiver)
        self.see_at_once(result(name="first", answer=False))
        self.assertTrue(started.wait(5))
        for _ in range(500):
            self.see_at_once(result(name="first"), result(name="first", answer=False), result(name="second"))
        self.see_at_once(result(name="first"), result(name="second", answer=False))
        release.set()
        self.assertTrue(all_told(5))
        self.assertEqual(told[0], ("first", "fail"))
        self.assertEqual(sorted(told[1:]), [("first", "pass"), ("second", "fail")])

    def test_no_connection_of_a_receiver_is_left_open(self):
        database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(services.directory() / "database")}
        used: list[Any] = []

        def receiver(**news: Any) -> None:
            connections["file"].ensure_connection()
            used.append(connections["file"])
            used.append(connections["file"].connection)

        self.receive(receiver)
        with services.use_databases(self, file=database):
            self.see(result(answer=False))
            self.assertTrue(all_told())
        connection, opened = used
        self.assertIsNotNone(opened)
        self.assertIsNone(connection.connection)

    def test_threads_end_when_nothing_is_left_to_tell(self):
        self.receive(lambda **news: None)
        self.see(result(answer=False))
        self.assertTrue(all_told())
        for thread in threading.enumerate():
            if thread.name == "status-notifications":
                thread.join(5)
                self.assertFalse(thread.is_alive())

    def test_news_waits_where_no_thread_can_be_had(self):
        told: list[str] = []
        self.receive(lambda **news: told.append(news["name"]))
        with mock.patch("threading.Thread.start", side_effect=RuntimeError("can't start new thread")):
            self.see_at_once(result(answer=False))
            self.assertFalse(all_told(0))
        self.see(result(answer=False))
        self.assertTrue(all_told())
        self.assertEqual(told, ["databases"])

    @override_settings(STATUS_SYNCHRONOUS=True)
    def test_synchronous_projects_are_told_in_place(self):
        told: list[threading.Thread] = []
        self.receive(lambda **news: told.append(threading.current_thread()))
        self.see(result(answer=False))
        self.assertEqual(told, [threading.current_thread()])

    @override_settings(STATUS_SYNCHRONOUS=True)
    def test_a_receiver_of_a_synchronous_project_may_ask(self):
        told: list[str] = []

        def receiver(name: str, **news: Any) -> None:
            told.append(name)
            if name == "databases":
                self.see(result(name="other", answer=False))

        self.receive(receiver)
        self.see(result(answer=False))
        self.assertEqual(told, ["databases", "other"])

    def test_a_forked_process_tells_its_own_news(self):
        started, release = threading.Event(), threading.Event()
        self.addCleanup(release.set)
        told: list[str] = []

        def receiver(**news: Any) -> None:
            told.append(news["name"])
            started.set()
            release.wait(10)

        self.receive(receiver)
        self.see_at_once(result(name="parent", answer=False), result(name="waits", answer=False))
        self.assertTrue(started.wait(5))
        log, signal = notifications.tellers.get()
        with log._lock, signal._lock, warnings.catch_warnings():  # as another thread may hold them at that moment
            # Python 3.12 warns of threads, which are the point here.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            told.clear()
            release.set()
            self.see_at_once(result(name="parent", answer=False), result(name="child", answer=False))
            os._exit(0 if all_told(5) and told == ["parent", "child"] else 1)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        release.set()
        self.assertTrue(all_told(5))
        self.assertEqual(told, ["parent", "waits"])

    @override_settings(ADMINS=ADMINS)
    def test_receiver_of_the_page_works_as_pasted(self):
        """FAULTS A30: into any function, such as ``AppConfig.ready()``, which lets go of what it defines."""
        (code,) = blocks(page("alerts").partition("Once for all processes")[0], "python")
        pasted: dict[str, Any] = {}
        exec(f"def ready():\n{textwrap.indent(code, '    ')}\n", pasted)
        self.enter(mock.patch.object(status_changed, "receivers", []))
        pasted["ready"]()
        gc.collect()
        self.see(result(**FAILING), result(), result(error="timed out after 2 s"))
        self.assertTrue(all_told())
        self.assertEqual(
            [(message.subject, message.body) for message in mail.outbox],
            [
                ("[Django] health/databases: fail", "replica: OperationalError"),
                ("[Django] health/databases: pass", "passes"),
                ("[Django] health/databases: fail", "timed out after 2 s"),
            ],
        )

    def test_summary_says_in_words_how_it_is(self):
        """FAULTS A30"""
        for seen, words in (
            (result(running=True, sound=False), "still running"),
            (result("stats", answer=False), "informs"),
            (result(answer=[None]), "its answer holds false or null"),
        ):
            self.assertEqual(seen.summary, words)


def broken(request: HttpRequest) -> HttpResponse:
    """A page of the project itself that fails."""
    return HttpResponse(status=503)


urlpatterns = [path("broken", broken), path("", include("status.api.urls"))]


@override_settings(
    ROOT_URLCONF=__name__, ADMINS=ADMINS, STATUS_PROVIDERS={"health": [("databases", lambda: {"replica": False})]}
)
class ProbeNoiseTests(ChangesTestCase):
    """A failing check is news once; the answers that tell it again and again are none."""

    def setUp(self) -> None:
        super().setUp()
        self.enter(mock.patch.object(engine, "observers", [observe]))
        self.addCleanup(engine.close)

    def settle(self) -> None:
        """Wait until what was observed is told: the observers come after the answer."""
        engine.close()
        self.assertTrue(all_told())

    def test_a_deliberate_503_is_logged_once_and_by_the_status_logger_alone(self):
        with self.assertLogs("status") as logs, self.assertNoLogs("django"):
            for _ in range(3):
                self.assertEqual(self.client.get("/api/health").status_code, 503)
            self.settle()
        self.assertEqual(logs.output, ["ERROR:status:health/databases is failing: replica"])

    def test_an_outage_is_two_lines_and_its_tracebacks_are_for_debugging(self):
        """FAULTS A31"""
        down = True

        def connect() -> bool:
            if down:
                raise ConnectionError("shop:hunter2@db")
            return True

        for level, lines, tracebacks in (("INFO", 2, 0), ("DEBUG", 4, 2)):
            # New checks each time: one that fails again within the minute is not logged again.
            providers = {"health": [("a", partial(connect))], "stats": [("b", partial(connect))]}
            down = True
            forget_all()
            with override_settings(STATUS_PROVIDERS=providers), self.assertLogs("status", level) as logs:
                for _ in range(5):
                    self.client.get("/api")
                self.settle()
                down = False
                self.client.get("/api")
                self.settle()
            self.assertEqual(len(logs.output), lines, logs.output)
            self.assertEqual(sum("Traceback" in line for line in logs.output), tracebacks)

    def test_a_warning_is_one_line_and_its_traceback_is_for_debugging(self):
        """FAULTS A31"""
        for level, lines in (("INFO", 1), ("DEBUG", 2)):
            with mock.patch.object(logs, "_logged_at", {}), self.assertLogs("status", level) as caught:
                logs.log_once("It failed", ValueError("hunter2"))
            self.assertEqual(caught.output[0], "WARNING:status:It failed: ValueError (logged at most once in 60 s)")
            self.assertEqual(len(caught.output), lines)

    def test_a_deliberate_503_mails_nobody(self):
        with self.assertLogs("status"):
            self.assertEqual(self.client.get("/api/health").status_code, 503)
            self.settle()
        self.assertEqual(mail.outbox, [])

    def test_an_address_that_does_not_exist_is_no_noise_either(self):
        with self.assertNoLogs("django"):
            self.assertEqual(self.client.get("/api/nothing").status_code, 404)
            self.assertEqual(self.client.get("/api/health?format=yaml").status_code, 406)

    def test_a_503_of_the_project_itself_is_logged_and_mailed(self):
        # Otherwise the tests above would pass whatever we do.
        with self.assertLogs("django.request", "ERROR"):
            self.assertEqual(self.client.get("/broken").status_code, 503)
        self.client.get("/broken")
        self.assertEqual(len(mail.outbox), 1)


class StandaloneTests(SimpleTestCase):
    def test_changes_are_logged_without_django(self):
        code = (
            "import logging, sys\n"
            "logging.basicConfig(format='%(levelname)s %(message)s')\n"
            "from status import notifications\n"
            "from tests.reports import result\n"
            "from tests.tellers import flush\n"
            "notifications.observe(result(), result())\n"
            "notifications.observe(result(), result(error='timed out after 2 s'))\n"
            "assert all(flush(teller, 5) for teller in notifications.tellers.get())\n"
            "print('django.conf' in sys.modules)\n"
        )
        environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
        self.assertEqual(done.stdout, "False\n")
        self.assertEqual(done.stderr, "ERROR health/databases is failing: timed out after 2 s\n")
