"""Whatever a provider answers: the whole document stays valid on every surface, and its neighbours stay right."""

from __future__ import annotations

import datetime
import decimal
import enum
import io
import logging
import math
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from django.core.management import call_command
from django.test import SimpleTestCase, override_settings
from django.utils.functional import lazy, lazystr

from status import views
from status.engine import engine
from status.formats import FORMATS
from status.report import Report, Result
from tests import probes

#: No answer is longer than this, in bytes; a page has markup around each of its components besides.
LONGEST, LONGEST_PAGE = 1_000_000, 2_000_000


class Colour(enum.Enum):
    RED = 1


class Unreadable:
    def __repr__(self) -> str:
        raise ValueError("no text for you")

    __str__ = __repr__


class Treacherous(dict[str, Any]):
    def items(self) -> Any:
        raise ValueError("secret")


def recursive_dict() -> Any:
    value: dict[str, Any] = {}
    value["itself"] = value
    return value


def recursive_list() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


def deep() -> Any:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


def generator() -> Iterator[int]:
    yield 1


def broken() -> str:
    raise ValueError("secret")


NO_SUCH = "answered a value of type {}, which JSON cannot hold"
NOT_FINITE = "answered a number that is not finite (NaN or infinity), which JSON cannot hold"
ITSELF = "answered a value that holds itself, which JSON cannot hold"

#: Name -> how it is made, and the reason why it is refused.
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "nan": (lambda: {"value": math.nan}, NOT_FINITE),
    "infinity": (lambda: {"value": math.inf}, NOT_FINITE),
    "minus infinity": (lambda: [-math.inf], NOT_FINITE),
    "recursive dict": (recursive_dict, ITSELF),
    "recursive list": (recursive_list, ITSELF),
    "100,000 deep": (deep, "answered values nested more than 32 deep, which JSON cannot hold"),
    "set": (lambda: {"value": {1, 2}}, NO_SUCH.format("set")),
    "bytes": (lambda: {"value": b"bytes"}, NO_SUCH.format("bytes")),
    "enum": (lambda: {"value": Colour.RED}, NO_SUCH.format("Colour")),
    "generator": (generator, NO_SUCH.format("generator")),
    "exception": (lambda: {"value": ValueError("secret")}, NO_SUCH.format("ValueError")),
    "tuple as key": (lambda: {(1, 2): True}, "answered a key of type tuple, which JSON cannot hold"),
    "lazy that raises": (lambda: {"value": lazy(broken, str)()}, "raised ValueError"),
    "5,000 digits": (lambda: {"value": 10**5000}, "answered a number of more than 300 digits, which JSON cannot hold"),
    "unreadable": (lambda: {"value": Unreadable()}, NO_SUCH.format("Unreadable")),
    "unreadable key": (lambda: {Unreadable(): 1}, "answered a key of type Unreadable, which JSON cannot hold"),
    "1 and '1'": (
        lambda: {1: "a", "1": "b"}, "answered two keys that JSON spells the same (str and text), which JSON cannot hold"
    ),
    "treacherous": (lambda: Treacherous(a=1), "raised ValueError"),
    "function": (lambda: {"value": print}, NO_SUCH.format("builtin_function_or_method")),
}  # fmt: skip
#: Name -> how it is made, and what comes out.
HELD: dict[str, tuple[Callable[[], Any], Any]] = {
    "null": (lambda: None, None),
    "false": (lambda: False, False),
    "list": (lambda: [1, "two"], [1, "two"]),
    "text": (lambda: "text", "text"),
    "empty": (dict, {}),
    "lazy text": (lambda: {"value": lazystr("late")}, {"value": "late"}),
    "tuple": (lambda: {"value": (1, 2)}, {"value": [1, 2]}),
    "date": (lambda: {"value": datetime.date(2026, 11, 23)}, {"value": "2026-11-23"}),
    "decimal": (lambda: {"value": decimal.Decimal("1.50")}, {"value": "1.50"}),
    "uuid": (lambda: {"value": uuid.UUID(int=1)}, {"value": "00000000-0000-0000-0000-000000000001"}),
    "numbers as keys": (lambda: {1: 1, None: 2, 1.5: 3}, {"1": 1, "null": 2, "1.5": 3}),
    "half a surrogate": (lambda: {"value": "\ud800"}, {"value": "?"}),
    "markup": (lambda: {"</script><b>": "\0<!--"}, {"</script><b>": "\0<!--"}),
}


class ResultShapesTests(SimpleTestCase):
    def setUp(self) -> None:
        for patch in (
            mock.patch.object(engine, "observers", []),
            mock.patch.object(
                views, "PAGE_PATIENCE", 20
            ),  # a page shows what it has, and on a busy machine that is little
            mock.patch.object(logging.getLogger("status"), "propagate", False),
            mock.patch.object(logging.getLogger("status"), "handlers", [logging.NullHandler()]),
        ):
            patch.start()
            self.addCleanup(patch.stop)
        self.addCleanup(engine.close)

    def surfaces(self, answer: Callable[[], Any]) -> Iterator[tuple[str, str]]:
        """Each surface and what it says, the answer standing between two neighbours."""
        health = [("before", lambda: {"a": True}), ("odd", answer), ("after", lambda: {"b": 1})]
        with override_settings(STATUS_PROVIDERS={"health": health}, STATUS_SHOW_DETAILS="always", STATUS_TIMEOUT=20):
            for address in ("api/health", "api/health/odd", "api", "health/"):
                yield address, self.body(f"/status/{address}")
            for name in ("health+json", "text", "prometheus", "openmetrics"):
                yield name, self.body(f"/status/api/health?format={name}")
            for name in ("json", "text", "health+json", "nagios"):
                yield f"command {name}", self.command(name)

    def body(self, address: str) -> str:
        response = self.client.get(address)
        self.assertIn(response.status_code, (200, 503))
        return response.content.decode()

    def command(self, name: str) -> str:
        out = io.StringIO()
        try:
            call_command("status", "health", "-f", name, stdout=out)
        except SystemExit as end:
            self.assertIn(end.code, (1, 2) if name == "nagios" else ())
        return out.getvalue()

    def assertShown(self, answer: Callable[[], Any], expected: Any, reason: str | None = None) -> None:
        neighbours = {"before": {"a": True}, "after": {"b": 1}}
        documents = {
            "api/health": {**neighbours, "odd": expected},
            "api/health/odd": expected,
            "api": {"health": {**neighbours, "odd": expected}},
            "command json": {**neighbours, "odd": expected},
        }
        for surface, said in self.surfaces(answer):
            with self.subTest(surface=surface):
                self.assertLess(len(said.encode()), LONGEST)
                self.assertNotIn("secret", said)
                if surface in documents:
                    self.assertEqual(probes.strict(said), documents[surface])
                    continue
                if "json" in surface:
                    probes.strict(said)
                for name in ("before", "after"):
                    if surface != "command nagios":
                        self.assertIn(name, said)
                if reason is not None and surface in ("health/", "text", "health+json", "command text"):
                    self.assertIn(reason, said)
                if surface == "health/":
                    self.assertNotIn("</script><b>", said)

    def test_what_json_cannot_hold_is_refused_with_a_reason(self) -> None:
        for name, (answer, reason) in REFUSED.items():
            with self.subTest(name):
                self.assertShown(answer, {"ok": False, "error": reason}, reason.replace("'", "&#x27;"))

    def test_what_json_can_hold_is_shown(self) -> None:
        for name, (answer, expected) in HELD.items():
            with self.subTest(name):
                self.assertShown(answer, expected)

    def test_the_writer_itself_would_rather_fail_than_write_what_is_not_json(self) -> None:
        result = Result("health", "odd", answer={"value": math.nan}, public_answer={}, sound=True)
        with self.assertRaises(ValueError):
            FORMATS["json"].render(Report((result,), ("health",)), True)

    def test_what_is_too_long_is_cut_and_says_so(self) -> None:
        for name, answer in {
            "50 MB": lambda: {"value": "x" * 50_000_000},
            "many items": lambda: list(range(50_000)),
            "many keys": lambda: {str(number): number for number in range(50_000)},
        }.items():
            for surface, said in self.surfaces(answer):
                with self.subTest(name, surface=surface):
                    self.assertLess(len(said.encode()), LONGEST_PAGE if surface == "health/" else LONGEST)
                    if surface in ("api/health", "api/health/odd", "api", "command json"):
                        self.assertIn("cut", said)
                        self.assertTrue(re.search(r"\d,\d{3}", said))
                        probes.strict(said)
