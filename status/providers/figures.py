"""What checks that measure have in common: thresholds, their sentences, and what strangers may see of the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from status.providers.base import Answer, Provider
from status.report import is_sound


class Figure(NamedTuple):
    """A number that was measured, beside its thresholds.

    value: the number.
    what: what it is, in words that follow it: "free".
    written: returns a number with its unit.
    warn, fail: what is less than these warns or fails; None where nothing does.
    upward: what is more than the thresholds warns or fails instead.
    """

    value: float
    what: str
    written: Callable[[float], str]
    warn: float | None = None
    fail: float | None = None
    upward: bool = False

    def beyond(self, limit: float | None) -> bool:
        """Return whether the number is on the wrong side of ``limit``."""
        return limit is not None and (self.value > limit if self.upward else self.value < limit)

    def against(self, limit: float | None) -> str:
        """Return what is said of a number on the wrong side of ``limit``."""
        side = "more" if self.upward else "less"
        value, threshold = self.written(self.value), self.written(limit or 0)
        return f"{value} {self.what}, {'a little ' if value == threshold else ''}{side} than {threshold}"


def in_percent(value: float) -> str:
    """Return a share in words."""
    return f"{value:.1f}".removesuffix(".0") + " %"


def in_bytes(value: float) -> str:
    """Return bytes in words."""
    units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:.1f}".removesuffix(".0") + f" {units[0]}"


def in_seconds(value: float) -> str:
    """Return a time in words."""
    return f"{value:.3g} s"


def judge(component: str, answer: dict[str, Any], figures: Iterable[Figure]) -> Answer:
    """Return ``{component: {"ok": bool, ...}}`` with what is in ``answer``, and sentences about the figures."""
    failing, warning = [], []
    for figure in figures:
        if figure.beyond(figure.fail):
            failing.append(figure.against(figure.fail))
        elif figure.beyond(figure.warn):
            warning.append(figure.against(figure.warn))
    return Answer(
        {component: {"ok": not failing, **answer}},
        {component: "; ".join(failing)} if failing else {},
        {component: "; ".join(warning)} if warning else {},
    )


def failed(component: str, reason: str) -> Answer:
    """Return the answer of a component that could not be measured or reached."""
    return Answer({component: {"ok": False}}, {component: reason})


def gauges(*names: str) -> Mapping[str, str]:
    """Return the option ``metrics`` for numbers of these names."""
    return MappingProxyType(dict.fromkeys(names, "gauge"))


class Measurement(Provider):
    """A check whose answer tells of machines and places: strangers learn of it only whether all is well.

    subject: what is checked, in a word.
    """

    subject: str

    def public(self, value: Any) -> Any:
        return {self.subject: is_sound(value)}
