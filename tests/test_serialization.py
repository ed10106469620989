"""What becomes of whatever a provider answers."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import uuid
from collections import OrderedDict, UserDict, namedtuple
from typing import Any

from django.test import SimpleTestCase
from django.utils.functional import lazy
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy
from hypothesis import given
from hypothesis import strategies as st

from status import serialization as values
from status.report import is_sound
from status.serialization import CUT, NotPlain, to_plain

Point = namedtuple("Point", "x y")


class Level(enum.IntEnum):
    HIGH = 3


class Word(str, enum.Enum):
    YES = "yes"


class Unprintable:
    def __repr__(self) -> str:
        raise ValueError("no repr for you")


class LazyDict(UserDict):  # type: ignore[type-arg]
    pass


class BrokenDict(dict):  # type: ignore[type-arg]
    def items(self) -> Any:
        raise KeyError("secret")


def raise_late() -> str:
    raise ValueError("secret")


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**300), 10**300)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=30,
)


def written(value: Any) -> Any:
    """The value after a trip through strict JSON."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(json.dumps(to_plain(value).value, allow_nan=False), parse_constant=refuse)


class PlainTests(SimpleTestCase):
    @given(anything)
    def test_what_json_can_hold_is_kept_as_it_is(self, value: Any) -> None:
        plain = to_plain(value)
        self.assertEqual(plain.cut, 0)
        self.assertEqual(json.dumps(plain.value), json.dumps(_without_half_surrogates(value)))

    @given(anything)
    def test_soundness_is_that_of_the_judging_rule(self, value: Any) -> None:
        self.assertEqual(to_plain(value).sound, is_sound(value))

    def test_values_as_django_writes_them(self) -> None:
        moment = datetime.datetime(2026, 11, 23, 18, 0, tzinfo=datetime.timezone.utc)
        for value, expected in (
            (moment, "2026-11-23T18:00:00Z"),
            (datetime.date(2026, 11, 23), "2026-11-23"),
            (datetime.timedelta(seconds=90), "P0DT00H01M30S"),
            (decimal.Decimal("1.50"), "1.50"),
            (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
            (gettext_lazy("Yes"), "Yes"),
            (mark_safe("<b>"), "<b>"),
            (Level.HIGH, 3),
            (Word.YES, "yes"),
            (Point(1, 2), [1, 2]),
            ((1, (2,)), [1, [2]]),
            (OrderedDict(a=1), {"a": 1}),
            (LazyDict(a=1), {"a": 1}),
            ({1: "a", None: "b", 1.5: "d"}, {"1": "a", "null": "b", "1.5": "d"}),
            ({True: 1}, {"true": 1}),
            ({False: 1}, {"false": 1}),
        ):
            with self.subTest(value=str(value)):
                self.assertEqual(written(value), expected)

    def test_what_json_cannot_hold_is_refused_with_a_reason_that_shows_no_value(self) -> None:
        circle: list[Any] = []
        circle.append(circle)
        deep: list[Any] = []
        for _ in range(100_000):
            deep = [deep]
        self.addCleanup(_unwrap, deep)
        for value, reason in (
            (float("nan"), "a number that is not finite (NaN or infinity)"),
            (float("-inf"), "a number that is not finite (NaN or infinity)"),
            ({float("nan"): 1}, "a number that is not finite (NaN or infinity)"),
            (10**5000, "a number of more than 300 digits"),
            ({"secret"}, "a value of type set"),
            (frozenset(), "a value of type frozenset"),
            (b"secret", "a value of type bytes"),
            (object(), "a value of type object"),
            (Unprintable(), "a value of type Unprintable"),
            (ValueError("secret"), "a value of type ValueError"),
            ((number for number in [1]), "a value of type generator"),
            (range(3), "a value of type range"),
            (1j, "a value of type complex"),
            (enum.Enum("Plain", "ONE").ONE, "a value of type Plain"),  # type: ignore[attr-defined]
            (int, "a value of type type"),
            (len, "a value of type builtin_function_or_method"),
            ({("a", "b"): 1}, "a key of type tuple"),
            ({b"secret": 1}, "a key of type bytes"),
            ({1: "a", "1": "b"}, "two keys that JSON spells the same (str and text)"),
            ({"1": "a", 1: "b"}, "two keys that JSON spells the same (int and text)"),
            (circle, "a value that holds itself"),
            (deep, "values nested more than 32 deep"),
        ):
            with self.subTest(reason=reason), self.assertRaises(NotPlain) as caught:
                to_plain({"inside": [value]})
            self.assertEqual(str(caught.exception), reason)

    def test_what_fails_while_it_is_read_raises_its_own_error(self) -> None:
        for value in (BrokenDict(a=1), lazy(raise_late, str)()):
            with self.subTest(type=type(value).__name__), self.assertRaisesMessage(Exception, "secret"):
                to_plain([value])

    def test_one_value_may_stand_in_two_places(self) -> None:
        shared = {"a": 1}
        self.assertEqual(to_plain([shared, shared]).value, [{"a": 1}, {"a": 1}])

    def test_half_a_surrogate_pair_is_replaced(self) -> None:
        to_plain("\ud800").value.encode()  # type: ignore[union-attr]


class LimitTests(SimpleTestCase):
    def test_depth_up_to_the_limit_is_fine(self) -> None:
        value: Any = 1
        for _ in range(values.MAX_DEPTH):
            value = [value]
        self.assertEqual(to_plain(value).value, value)

    def test_items_beyond_the_limit_are_cut_and_said_to_be(self) -> None:
        plain = to_plain(list(range(50_000)))
        assert isinstance(plain.value, list)
        self.assertEqual(len(plain.value), values.MAX_ITEMS)
        self.assertEqual(plain.value[-1], f"{CUT} 40,001 more cut")
        self.assertEqual(plain.cut, 40_001)

    def test_entries_beyond_the_limit_are_cut_and_said_to_be(self) -> None:
        plain = to_plain({f"key{number}": number for number in range(50_000)})
        assert isinstance(plain.value, dict)
        self.assertEqual(plain.value[CUT], f"{plain.cut:,} more cut")
        self.assertLessEqual(len(plain.value), values.MAX_ITEMS + 1)

    def test_long_text_is_cut_and_said_to_be(self) -> None:
        plain = to_plain({"log": "x" * 50_000_000})
        text = json.dumps(plain.value)
        self.assertLess(len(text), 1_000_000)
        self.assertIn("characters cut)", text)
        self.assertEqual(plain.cut, 1)

    def test_whatever_the_answer_its_document_stays_below_a_megabyte(self) -> None:
        for value in (
            "x" * 5_000_000,
            "\x00" * 5_000_000,
            "😀" * 5_000_000,
            ["é" * 1000] * 5_000,
            [list(range(1000))] * 100,
        ):
            with self.subTest(kind=str(value)[:3]):
                self.assertLess(len(json.dumps(to_plain(value).value)), 1_000_000)

    def test_entries_after_text_that_fills_the_answer_are_cut(self) -> None:
        plain = to_plain(["x" * values.MAX_CHARACTERS, "second", "third"])
        self.assertEqual(plain.value[1:], [f"{CUT} 2 more cut"])  # type: ignore[index]

    def test_failure_in_the_part_that_was_cut_still_counts(self) -> None:
        self.assertFalse(to_plain([1] * 50_000 + [False]).sound)
        self.assertFalse(to_plain({**{str(number): 1 for number in range(50_000)}, "last": None}).sound)


def _unwrap(deep: list[Any]) -> None:
    """Take the levels apart one by one: Python's own destructor recurses."""
    while deep:
        deep = deep.pop()


def _without_half_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_without_half_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_half_surrogates(key): _without_half_surrogates(item) for key, item in value.items()}
    return value
