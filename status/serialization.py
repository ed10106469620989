"""Turn whatever a provider answers into plain JSON values, within limits, and judge it on the way."""

from __future__ import annotations

import math
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii
from typing import NamedTuple, Union

from status.exceptions import StatusError
from status.redaction import redact

JSON = Union[None, bool, int, float, str, "list[JSON]", "dict[str, JSON]"]

#: Containers nested deeper than this are refused: no dashboard reads them and many JSON parsers give up.
MAX_DEPTH = 32
#: Values (leaves and containers together) that one answer may hold; the rest is cut, and says so.
MAX_ITEMS = 10_000
#: Characters, as JSON spells them, that the strings of one answer may hold together; the rest is cut, and says so.
MAX_CHARACTERS = 500_000
#: Whole numbers longer than this many bits (about 300 digits) are refused: Python declines to print them at 4,300.
MAX_BITS = 1_024
#: The key under which an object says how many of its entries were cut.
CUT = "…"


class NotPlain(StatusError, ValueError):
    """The value is nothing JSON can hold. Its text is safe to show: it names types and places, never values."""


class Plain(NamedTuple):
    """A provider's answer as plain JSON.

    value: what JSON can hold, never NaN, never deeper than ``MAX_DEPTH``.
    sound: False when ``false`` or ``null`` stands anywhere in the answer, also in what was cut.
    cut: how many values were left out to stay within the limits; 0 almost always.
    """

    value: JSON
    sound: bool
    cut: int = 0


def to_plain(value: object) -> Plain:
    """Answer ``value`` as plain JSON; raises ``NotPlain`` where JSON has no such thing.

    Follows ``django.core.serializers.json`` for dates, decimals, UUIDs and lazy text, and JSON's own rule for keys that
    are numbers. Two keys that become the same text are refused, as one of them would be lost.
    """
    walk = _Walk()
    return Plain(walk.plain(value, 0), walk.sound, walk.cut)


class _Walk:
    """One pass over one answer. Goes on judging after it has stopped copying, so that no cut hides a failure."""

    def __init__(self) -> None:
        self.sound = True
        self.cut = 0
        self.items = 0
        self.characters = 0
        self.parents: set[int] = set()

    def plain(self, value: object, depth: int) -> JSON:
        self.items += 1
        kind = type(value)
        if value is None or value is False:
            self.sound = False
            return None if value is None else False
        if value is True:
            return True
        if kind is str:
            return self.text(value)  # type: ignore[arg-type]
        if kind is dict or kind is list or kind is tuple:
            return self.container(value, depth)
        if isinstance(value, (int, float)):
            return self.number(value)
        if isinstance(value, str):
            return self.text(str.__str__(value))
        if isinstance(value, (Mapping, list, tuple)):
            return self.container(value, depth)
        return self.foreign(value, depth)

    def text(self, value: str) -> str:
        if not value.isascii():
            # Half of a surrogate pair cannot be written as UTF-8; it must not take the page down.
            value = value.encode("utf-8", "replace").decode()
        value = redact(value)
        # As JSON spells it: one character may take six (a control character) or twelve (an emoji).
        room = MAX_CHARACTERS - self.characters
        cost = len(encode_basestring_ascii(value)) if len(value) <= room else room + 1
        if cost <= room:
            self.characters += cost
            return value
        self.cut += 1
        kept = value[: max(0, room // 12)]
        self.characters = MAX_CHARACTERS
        return f"{kept}{CUT} ({len(value) - len(kept):,} characters cut)"

    def number(self, value: int | float) -> int | float:
        if isinstance(value, int):
            if value.bit_length() > MAX_BITS:
                raise NotPlain("a number of more than 300 digits")
            return int(value)
        if not math.isfinite(value):
            raise NotPlain("a number that is not finite (NaN or infinity)")
        return float(value)

    def container(self, value: object, depth: int) -> JSON:
        if id(value) in self.parents:
            raise NotPlain("a value that holds itself")
        if depth >= MAX_DEPTH:
            raise NotPlain(f"values nested more than {MAX_DEPTH} deep")
        self.parents.add(id(value))
        try:
            if isinstance(value, Mapping):
                return self.mapping(value, depth + 1)
            return self.sequence(value, depth + 1)  # type: ignore[arg-type]
        finally:
            self.parents.discard(id(value))

    def mapping(self, value: Mapping[object, object], depth: int) -> dict[str, JSON]:
        plain: dict[str, JSON] = {}
        left_out = 0
        for key, item in value.items():
            name = self.key(key)
            if name in plain:
                raise NotPlain(f"two keys that JSON spells the same ({type(key).__name__} and text)")
            full = self.full
            answer = self.plain(item, depth)
            if full:
                left_out += 1
            else:
                plain[name] = answer
        if left_out:
            self.cut += left_out
            plain[CUT] = f"{left_out:,} more cut"
        return plain

    def sequence(self, value: list[object] | tuple[object, ...], depth: int) -> list[JSON]:
        plain: list[JSON] = []
        left_out = 0
        for item in value:
            full = self.full
            answer = self.plain(item, depth)
            if full:
                left_out += 1
            else:
                plain.append(answer)
        if left_out:
            self.cut += left_out
            plain.append(f"{CUT} {left_out:,} more cut")
        return plain

    @property
    def full(self) -> bool:
        return self.items >= MAX_ITEMS or self.characters >= MAX_CHARACTERS

    def key(self, key: object) -> str:
        if isinstance(key, str):
            return self.text(str.__str__(key))
        if key is None:
            return "null"
        if isinstance(key, bool):
            return "true" if key else "false"
        if isinstance(key, (int, float)):
            return str(self.number(key))
        raise NotPlain(f"a key of type {type(key).__name__}")

    def foreign(self, value: object, depth: int) -> JSON:
        """Dates, decimals, UUIDs and lazy text, as Django writes them."""
        # Late: Django's encoder is needed for these types only, and the standalone command starts without Django.
        from django.core.serializers.json import DjangoJSONEncoder

        try:
            known = DjangoJSONEncoder().default(value)
        except TypeError as error:
            raise NotPlain(f"a value of type {type(value).__name__}") from error
        return self.plain(known, depth)
