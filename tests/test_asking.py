"""``from status import ask, aask``: what the project's own code learns, in any thread and inside a check."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from typing import Any
from unittest import mock

from django.db import OperationalError
from django.http import HttpRequest, JsonResponse
from django.test import override_settings
from django.urls import path

import status
from status import Report, Result, aask, ask
from status.asking import NotConfigured
from status.engine import engine
from status.exceptions import StatusError
from status.history import history
from status.providers import Answer, Composite, Provider
from tests.components import ComponentsTestCase, eventually
from tests.documents import blocks, page, section

released = threading.Event()


def broken() -> Answer:
    return Answer({"default": True, "replica": False}, {"replica": "OperationalError"})


def low() -> Answer:
    return Answer({"paper": 42}, warnings={"paper": "fewer than 50 sheets"})


def raises() -> None:
    raise OperationalError("password=secret")


def hangs() -> None:
    released.wait(30)


class Shelves(Composite):
    """Each of its parts asks for the whole."""

    label = "shelves"

    def parts(self, *args: Any, **kwargs: Any) -> list[Any]:
        return [self.part("left")]

    def ask(self, name: str) -> Any:
        return ask("health/shelves")


class Unhurried(Provider):
    """Asks for itself where it runs, without a thread of its own."""

    blocking = False

    def check(self) -> Any:
        return ask("health/unhurried").state == "pass"


async def flag(request: HttpRequest) -> JsonResponse:
    report = await aask("health/good")
    return JsonResponse({"state": report.state})


urlpatterns = [path("flag", flag)]

GOOD = ("good", lambda: {"default": True})
PROVIDERS = {
    "health": [GOOD, ("low", low), ("soft", broken, (), {}, {"critical": False})],
    "bad": [("broken", broken), ("raises", raises)],
    "stats": [("size", lambda: {"rows": 3})],
    "empty": [],
}


@override_settings(STATUS_PROVIDERS=PROVIDERS)
class AskTests(ComponentsTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.enter(mock.patch.object(engine, "observers", [history.observe]))
        self.addCleanup(released.clear)
        self.addCleanup(released.set)
        self.addCleanup(history.slots.clear)

    def test_a_resource_one_check_or_everything_is_asked_for_by_name(self):
        report = ask("health")
        self.assertIsInstance(report, Report)
        self.assertEqual([result.name for result in report.results], ["good", "low", "soft"])
        self.assertIsInstance(report.results[0], Result)
        self.assertEqual(ask("health/good").results[0].answer, {"default": True})
        self.assertEqual(ask("health/").results[1].name, "low")
        self.assertEqual(len(ask().results), 6)

    def test_the_report_says_in_a_word_how_things_are(self):
        for name, state in (
            ("health/good", "pass"),
            ("health", "warn"),
            ("bad", "fail"),
            ("stats", "pass"),
            ("ready", "warn"),
            ("live", "pass"),
        ):
            with self.subTest(name):
                self.assertEqual(ask(name).state, state)
        states = {result.name: result.state for result in ask().results}
        self.assertEqual(
            states,
            {"good": "pass", "low": "warn", "soft": "warn", "broken": "fail", "raises": "fail", "size": "info"},
        )

    def test_results_are_whole_with_reasons_warnings_and_times(self):
        began = time.time()
        broken, raised = ask("bad").results
        self.assertEqual(broken.answer, {"default": True, "replica": False})
        self.assertEqual(broken.reasons, {"replica": "OperationalError"})
        self.assertIsNone(broken.error)
        self.assertEqual(raised.answer, {"ok": False, "error": "raised OperationalError"})
        self.assertEqual(raised.error, "raised OperationalError")
        self.assertEqual(ask("health/low").results[0].warnings, {"paper": "fewer than 50 sheets"})
        for result in (broken, raised):
            self.assertGreaterEqual(result.duration, 0)
            self.assertGreaterEqual(result.started_at, began - 0.1)

    def test_since_is_when_the_state_began_as_far_as_this_process_has_seen(self):
        before = time.time()
        first = ask("health/good").results[0].since
        self.assertTrue(before - 0.1 <= first <= time.time() + 0.1)
        self.assertTrue(eventually(lambda: len(history.of("health", "good")) == 1))
        self.assertAlmostEqual(ask("health/good").results[0].since, first, delta=0.1)
        slot = history.of("health", "good")[0]
        history.slots["health", "good"] = [slot._replace(start=slot.start - 60)]
        self.assertAlmostEqual(ask("health/good").results[0].since, first - 60, delta=0.1)
        with override_settings(STATUS_PROVIDERS={"health": [("good", lambda: False)]}):
            failing = ask("health/good").results[0]
        self.assertEqual(failing.state, "fail")
        self.assertTrue(first <= failing.since <= time.time() + 0.1)

    def test_a_check_that_hangs_is_a_failing_one(self):
        with override_settings(STATUS_PROVIDERS={"health": [("hangs", hangs), GOOD]}):
            started = time.monotonic()
            hung, good = ask("health", timeout=0.2).results
            self.assertLess(time.monotonic() - started, 1)
            self.assertEqual((hung.error, hung.state, good.state), ("timed out after 0.2 s", "fail", "pass"))

    def test_unknown_names_are_told_with_those_that_there_are(self):
        for name, message in (
            ("nope", "there is no resource 'nope'; there is: health, bad, stats, empty, live, ready, startup"),
            ("health/nope", "there is no provider 'nope'; there is: good, low, soft"),
            ("empty", "'empty' holds no check; add one to STATUS_PROVIDERS"),
        ):
            with self.subTest(name), self.assertRaises(LookupError) as caught:
                ask(name)
            self.assertEqual(str(caught.exception), message)
            self.assertIsInstance(caught.exception, StatusError)
        with override_settings(STATUS_PROVIDERS={}), self.assertRaises(NotConfigured) as caught:
            ask()
        self.assertEqual(str(caught.exception), "'STATUS_PROVIDERS' holds no check; add one to STATUS_PROVIDERS")
        with self.assertRaises(LookupError):
            asyncio.run(aask("nope"))

    def test_wrong_arguments_are_told(self):
        for timeout in (0, -1, "1", True, float("nan"), float("inf")):
            with self.subTest(timeout=timeout), self.assertRaises(ValueError) as caught:
                ask("health", timeout=timeout)
            self.assertIn("timeout should be a positive number of seconds, not ", str(caught.exception))
        with self.assertRaisesMessage(TypeError, 'name should be like "health" or "health/databases", not 3'):
            ask(3)

    def test_async_callers_learn_the_same(self):
        report = asyncio.run(aask("bad"))
        self.assertEqual([result.state for result in report.results], ["fail", "fail"])

    @override_settings(ROOT_URLCONF=__name__)
    async def test_a_view_on_an_event_loop_asks_without_blocking_it(self):
        self.assertEqual((await self.async_client.get("/flag")).json(), {"state": "pass"})

    def test_a_check_may_ask_for_others(self):
        async def sums_async() -> bool:
            return (await aask("bad/broken")).failing

        def sums() -> str:
            return ask("stats").state

        with override_settings(STATUS_PROVIDERS={**PROVIDERS, "sum": [("sync", sums), ("async", sums_async)]}):
            self.assertEqual([result.answer for result in ask("sum").results], ["pass", True])

    def test_a_check_that_asks_for_itself_is_told_at_once(self):
        """Directly, as a part, on an event loop, and where it runs without a thread."""

        async def asks_async() -> Any:
            return (await aask("health")).state

        entries = [
            ("sync", lambda: ask("health").state),
            ("async", asks_async),
            ("shelves", Shelves),
            ("unhurried", Unhurried),
        ]
        with override_settings(STATUS_PROVIDERS={"health": entries}):
            started = time.monotonic()
            results = {result.name: result for result in ask("health").results}
            self.assertLess(time.monotonic() - started, 1)
        asks = "asks for itself; let it name the checks it needs"
        self.assertEqual(results["sync"].error, f"health/sync {asks}")
        self.assertEqual(results["async"].error, f"health/async {asks}")
        self.assertEqual(results["unhurried"].error, f"health/unhurried {asks}")
        self.assertEqual(results["shelves"].reasons, {"left": f"health/shelves {asks}"})

    def test_checks_that_ask_for_each_other_end_at_their_deadlines(self):
        entries = [
            ("a", lambda: ask("health/b").state == "pass", (), {}, {"timeout": 0.3}),
            ("b", lambda: ask("health/a").state == "pass", (), {}, {"timeout": 0.3}),
        ]
        with override_settings(STATUS_PROVIDERS={"health": entries}):
            started = time.monotonic()
            self.assertEqual({result.state for result in ask("health").results}, {"fail"})
            self.assertLess(time.monotonic() - started, 1)
            self.assertTrue(eventually(lambda: not engine.busy))

    @override_settings(STATUS_SYNCHRONOUS=True)
    def test_tests_may_ask_in_their_own_thread(self):
        threads = []
        entry = ("here", lambda: threads.append(threading.current_thread()) or True)
        with override_settings(STATUS_PROVIDERS={"health": [entry]}):
            self.assertEqual(ask("health").state, "pass")
        self.assertEqual(threads, [threading.current_thread()])

    def test_what_the_page_shows_works(self):
        namespace: dict[str, Any] = {}
        (code,) = blocks(section(page("python"), "Asking"), "python")
        with override_settings(STATUS_PROVIDERS={**PROVIDERS, "shop": [("payments", broken)]}):
            exec(code, namespace)
        self.assertEqual((namespace["report"].state, namespace["show_checkout"]), ("warn", False))

    def test_names_that_the_package_has_not_are_no_exports(self):
        self.assertLessEqual({"ask", "aask", "Report", "Result"}, set(status.__all__))
        with self.assertRaises(AttributeError):
            _ = status.nope  # type: ignore[attr-defined]
        self.assertIn("status.asking", sys.modules)
