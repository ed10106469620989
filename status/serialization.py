"""Turn what a provider answers into plain JSON values within limits, and judge whether it holds a failure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple, Union

from status.exceptions import StatusError

JSON = Union[None, bool, int, float, str, "list[JSON]", "dict[str, JSON]"]

#: Containers nested deeper than this are refused: no dashboard reads them and many JSON parsers give up.
MAX_DEPTH = 32
#: Values (leaves and containers together) that one answer may hold; the rest is cut and counted.
MAX_ITEMS = 10_000
#: Characters, as JSON spells them, that the strings of one answer may hold together; the rest is cut and counted.
MAX_CHARACTERS = 500_000
#: Whole numbers longer than this many bits (about 300 digits) are refused: no ``float`` holds them, as metrics need.
MAX_BITS = 1_023
#: The key under which an object says how many of its entries were cut.
CUT = "…"


class NotPlain(StatusError, ValueError):
    """JSON cannot hold the value. The text is safe to show: it names types, never values."""


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
    """Return ``value`` as plain JSON. Raises ``NotPlain`` where JSON has no such thing.

    Follows ``django.core.serializers.json`` for dates, decimals, UUIDs and lazy text, and JSON's own rule for keys that
    are numbers. Two keys that become the same text are refused, as one of them would be lost.
    """
    walk = _Walk()
    return Plain(walk.plain(value, 0), walk.sound, walk.cut)


class _Walk:
    """One pass over one answer. It goes on judging after it has stopped copying, so that no cut hides a failure."""

    def __init__(self) -> None:
        # Late: its expressions take milliseconds to compile, and most processes of a project answer nothing.
        from status.redaction import Redactor

        self.sound = True
        self.cut = self.items = self.characters = 0
        self.parents: set[int] = set()
        self.redactor = Redactor()

    def plain(self, value: Any, depth: int) -> JSON:
        """Return ``value``, which lies ``depth`` containers deep, as JSON can hold it."""
        self.items += 1
        if value is None or isinstance(value, bool):
            self.sound = self.sound and value is True
            return value
        if isinstance(value, str):
            return self.text(str.__str__(value))
        if isinstance(value, (int, float)):
            return self.number(value)
        if isinstance(value, (Mapping, list, tuple)):
            return self.container(value, depth)
        # Late: it brings Django's models, and the standalone command starts without them.
        from django.core.serializers.json import DjangoJSONEncoder

        try:
            known = DjangoJSONEncoder().default(value)
        except TypeError as error:
            raise NotPlain(f"a value of type {type(value).__name__}") from error
        return self.plain(known, depth)

    def text(self, value: str) -> str:
        """Return a string without secrets and, where there is no room for all of it, cut."""
        if not value.isascii():
            # Half of a surrogate pair cannot be written as UTF-8; it must not take the page down.
            value = value.encode("utf-8", "replace").decode()
        value = self.redactor.redact(value)
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
        """Return a number as a plain ``int`` or ``float``, also where it is of a subclass."""
        if isinstance(value, int):
            if value.bit_length() > MAX_BITS:
                raise NotPlain("a number of more than 300 digits")
            return int(value)
        if not math.isfinite(value):
            raise NotPlain("a number that is not finite (NaN or infinity)")
        return float(value)

    def container(self, value: Mapping[Any, Any] | list[Any] | tuple[Any, ...], depth: int) -> JSON:
        """Return an object or array with as many entries as there is room for, and a last one that counts the rest."""
        if id(value) in self.parents:
            raise NotPlain("a value that holds itself")
        if depth >= MAX_DEPTH:
            raise NotPlain(f"values nested more than {MAX_DEPTH} deep")
        self.parents.add(id(value))
        try:
            plain: dict[Any, JSON] = {}
            left_out = 0
            is_object = isinstance(value, Mapping)
            for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
                name = self.key(key, plain) if is_object else key
                full = self.items >= MAX_ITEMS or self.characters >= MAX_CHARACTERS
                answer = self.plain(item, depth + 1)
                if full:
                    left_out += 1
                else:
                    plain[name] = answer
        finally:
            self.parents.discard(id(value))
        if left_out:
            self.cut += left_out
            plain[CUT] = f"{left_out:,} more cut" if is_object else f"{CUT} {left_out:,} more cut"
        return plain if is_object else list(plain.values())

    def key(self, key: object, plain: Mapping[str, JSON]) -> str:
        """Return a key as JSON spells it. ``plain`` is what the object holds already."""
        if isinstance(key, str):
            name = self.text(str.__str__(key))
            # Keys of which nothing but a secret is different stay apart.
            if name in plain and self.redactor.mask in name:
                name += f" ({len(plain) + 1})"
        elif key is None or isinstance(key, bool):
            name = {None: "null", True: "true", False: "false"}[key]
        elif isinstance(key, (int, float)):
            name = str(self.number(key))
        else:
            raise NotPlain(f"a key of type {type(key).__name__}")
        if name in plain:
            raise NotPlain(f"two keys that JSON spells the same ({type(key).__name__} and text)")
        return name
