"""What the tests of checks that measure share: one entry of the settings, asked as any caller asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.checks import run_checks
from django.test import override_settings

from status.engine import engine
from status.registry import registry
from status.report import Result
from tests.components import ComponentsTestCase


class MeasuringTestCase(ComponentsTestCase):
    #: The provider that is tested, by its dotted path, and what strangers call it.
    provider: Any
    subject: str

    def settings_for(self, kwargs: Mapping[str, Any], provider: Any = None, timeout: float | None = None) -> Any:
        entry = ("it", provider or self.provider, (), kwargs, {} if timeout is None else {"timeout": timeout})
        return override_settings(STATUS_PROVIDERS={"health": [entry]}, STATUS_CHECK_PROVIDERS={})

    def ask(self, provider: Any = None, timeout: float | None = None, **kwargs: Any) -> Result:
        with self.settings_for(kwargs, provider, timeout):
            return engine.report(registry.select("health", "it")).results[0]

    def assertPasses(self, result: Result) -> None:
        self.assertEqual((result.state, result.error, dict(result.reasons)), ("pass", None, {}))

    def assertFails(self, result: Result, component: str, reason: str) -> None:
        self.assertEqual((result.state, result.error, dict(result.reasons)), ("fail", None, {component: reason}))
        self.assertIs(result.answer[component]["ok"], False)  # type: ignore[call-overload,index]

    def assertWarned(self, result: Result, component: str, warning: str) -> None:
        self.assertEqual((result.state, result.error, dict(result.warnings)), ("warn", None, {component: warning}))
        self.assertIs(result.answer[component]["ok"], True)  # type: ignore[call-overload,index]

    def assertUnavailable(self, result: Result, words: str) -> None:
        self.assertEqual((result.state, result.error), ("fail", words))

    def assertRefused(self, words: str, **kwargs: Any) -> None:
        """The entry's mistake is told by ``manage.py check`` and by the check itself; no value is shown."""
        with self.settings_for(kwargs):
            messages = [(message.id, message.msg) for message in run_checks(tags=["status"])]
        self.assertEqual(messages, [("status.W013", f"health/it: {words}")])
        self.assertUnavailable(self.ask(**kwargs), words)

    def assertKind(self, name: str, expected: str, values: Mapping[str, Any], /, **others: Any) -> None:
        """Each value of the argument is refused, and shown as the key says."""
        for found, value in values.items():
            with self.subTest(name=name, value=found):
                words = f"The argument {name} of the entry should be {expected}, not {found}."
                self.assertRefused(words, **{**others, name: value})

    def assertSeenByStrangers(self, ok: bool, **kwargs: Any) -> None:
        with self.settings_for(kwargs):
            answer = self.client.get("/status/api/health/it")
        self.assertEqual((answer.status_code, answer.json()), (200 if ok else 503, {self.subject: ok}))
