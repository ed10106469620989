from __future__ import annotations

import io
import json
import re
from typing import Any
from unittest import mock

from django.core.management import CommandError, call_command
from django.test import SimpleTestCase, override_settings
from django.urls import include, path
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from status.engine import engine
from status.formats import FORMATS, nagios
from status.providers.base import Answer, Unavailable
from status.registry import registry

urlpatterns = [path("", include("status.api.urls"))]

leaves = st.one_of(
    st.booleans(), st.none(), st.integers(), st.floats(), st.text(max_size=8), st.just(b"bytes"), st.just(object())
)
answers = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=8,
)
failures = st.sampled_from([ValueError("secret"), Unavailable("closed for stocktaking"), SystemExit(3), MemoryError()])
#: What a provider does, and its options.
warned = answers.map(lambda value: Answer(value, warnings={"a": "nearly full"}))
entries = st.lists(st.tuples(st.one_of(answers, answers.map(Answer), warned, failures), st.booleans()), max_size=4)


def configured(resources: dict[str, list[tuple[Any, bool]]]) -> dict[str, list[Any]]:
    """``STATUS_PROVIDERS`` for these answers."""

    def provider(answer: Any) -> Any:
        def ask() -> Any:
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return ask

    return {
        resource: [
            (f"check{number}", provider(answer), (), {}, {"critical": critical})
            for number, (answer, critical) in enumerate(of)
        ]
        for resource, of in resources.items()
    }


def fails(answer: Any) -> bool:
    """The rule of the contract, written down a second time."""
    if isinstance(answer, Answer):
        answer = answer.value
    if answer is None or answer is False:
        return True
    if isinstance(answer, dict):
        return any(map(fails, answer.values()))
    return isinstance(answer, list) and any(map(fails, answer))


@override_settings(ROOT_URLCONF=__name__, STATUS_SYNCHRONOUS=True)
class AgreementTests(SimpleTestCase):
    """For any answers of any providers, whoever looks comes to the same verdict."""

    def setUp(self) -> None:
        observers = mock.patch.object(engine, "observers", [])
        observers.start()
        self.addCleanup(observers.stop)

    @settings(max_examples=40, deadline=None)
    @example([(True, True)], [(False, True)], [(False, True)])
    @example([(False, False)], [], [])
    @example([], [], [(False, True)])
    @example([(Answer({"a": True}, warnings={"a": "nearly full"}), True)], [(True, True)], [])
    @given(entries, entries, entries)
    def test_every_format_and_code_agrees(self, health: Any, shop: Any, stats: Any):
        logs = mock.patch("status.logs.logger")
        with logs, override_settings(STATUS_PROVIDERS=configured({"health": health, "shop": shop, "stats": stats})):
            for resource, judged in ((None, [*health, *shop]), ("shop", shop), ("stats", [])):
                self.assertAgreed(resource, judged)

    def assertAgreed(self, resource: str | None, judged: list[tuple[Any, bool]]) -> None:
        report = engine.report(registry.select(resource))
        if not report.results:
            self.assertNothingToAsk(resource)
            return
        verdict = self.verdict(resource)
        self.assertEqual(verdict, report.state)
        for answer, critical in judged:
            if fails(answer):
                self.assertEqual(verdict, "fail" if critical else mock.ANY)
                self.assertNotEqual(verdict, "pass")
        if not judged:
            self.assertEqual(verdict, "pass")

    def test_a_warning_shows_and_stays_200(self):
        """FAULTS R8, and CONTRACT 1."""
        answer = Answer({"a": True}, warnings={"a": "nearly full"})
        with override_settings(STATUS_PROVIDERS=configured({"health": [(answer, True)]}), STATUS_SHOW_DETAILS="always"):
            self.assertEqual(self.verdict("health"), "warn")
            self.assertContains(self.client.get("/api/health?format=text"), "warn  health/check0/a  nearly full")

    def assertNothingToAsk(self, resource: str | None) -> None:
        """FAULTS R7: what was not asked is not healthy."""
        for format in ("json", "health+json", "text", "openmetrics", "prometheus"):
            response = self.client.get("/api" if resource is None else f"/api/{resource}", {"format": format})
            self.assertEqual((response.status_code, response.json()), (404, {"error": "Nothing is left to ask."}))
        for words in ((), ("-f", "json"), ("-f", "nagios"), ("-e",)):
            self.assertEqual(self.command(resource, *words), (2, ""))

    def verdict(self, resource: str | None) -> str:
        """``pass``, ``warn`` or ``fail``, which all who look agree on."""
        address = "/api" if resource is None else f"/api/{resource}"
        report = engine.report(registry.select(resource))
        classic, health, text = (self.client.get(address, {"format": name}) for name in ("json", "health+json", "text"))
        word = json.loads(health.content)["status"]

        self.assertEqual(
            {response.status_code for response in (classic, health, text)}, {503 if word == "fail" else 200}
        )
        self.assertEqual(text.content.decode().splitlines()[-1].split()[:2], ["STATUS", word.upper()])
        code = nagios.exit_code(report)
        self.assertEqual(code, ["pass", "warn", "fail"].index(word))
        self.assertEqual(self.command(resource, "-f", "nagios")[0], code)
        self.assertEqual(self.command(resource, "-f", "json"), (0, f"{classic.content.decode()}\n"))
        self.assertEqual(self.command(resource, "-e", "-f", "json")[0], 1 if word == "fail" else 0)
        self.assertTrue(
            FORMATS["nagios"].render(report, True).startswith(f"STATUS {['OK', 'WARNING', 'CRITICAL'][code]} - ")
        )
        json.loads(classic.content, parse_constant=self.fail)
        for name in ("openmetrics", "prometheus"):
            self.assertMetricsAgree(self.client.get(address, {"format": name}), word)
        return word

    def command(self, *words: str | None) -> tuple[int, str]:
        """The exit code and the output of ``manage.py status``."""
        out = io.StringIO()
        try:
            call_command("status", *filter(None, words), stdout=out)
        except CommandError as error:
            return error.returncode, out.getvalue()
        except SystemExit as end:
            return end.code, out.getvalue()
        return 0, out.getvalue()

    def assertMetricsAgree(self, response: Any, word: str) -> None:
        self.assertEqual(response.status_code, 200)
        samples = re.findall(r"^(\w+)\{(.*)\} (\S+)$", response.content.decode(), re.M)
        down = [labels for name, labels, value in samples if name == "django_status_up" and value == "0"]
        failing = [labels for name, labels, value in samples if name == "django_status_check_up" and value == "0"]
        self.assertEqual(bool(down), word == "fail")
        self.assertEqual(bool(failing), word != "pass")
        if response["Content-Type"].startswith("application/openmetrics-text"):
            list(text_string_to_metric_families(response.content.decode()))
