"""What changes about a provider from one look to the next, although nothing happened: times, ages, drawings.

Kept apart from everything else on a page, so that a page which differs only in these is not written anew
(``status.pages.stencil``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from status.history import Slot
from status.pages import charts, units
from status.report import Result


class Figures(NamedTuple):
    """All as text, and empty where there is nothing to say.

    duration: how long the run took, for those who may see details.
    asked: how long a run that is still going has taken so far.
    age: how old a reused answer is.
    since_iso, since_clock, lasting: when the present state began, and how long ago that is.
    strip, curve: the last outcomes and their durations as drawings.
    typical: what the curve shows, in words.
    span: how far back the strip reaches.
    """

    duration: str = ""
    asked: str = ""
    age: str = ""
    since_iso: str = ""
    since_clock: str = ""
    lasting: str = ""
    strip: str = ""
    curve: str = ""
    typical: str = ""
    span: str = ""


def figures(
    result: Result, details: bool, slots: Sequence[Slot], began: float | None, now: float, kind: str
) -> Figures:
    """The figures of one provider for a page of that ``kind``; ``began`` is when its state did, ``now`` the time."""
    took = units.duration(result.duration) if details or result.running else ""
    duration, asked = ("", took) if result.running else (took, "")
    age = units.duration(result.age) if result.age >= 0.001 else ""
    if kind == "stats":
        return Figures(duration, asked, age)
    since_iso = since_clock = lasting = ""
    if began is not None:
        since_iso, since_clock = units.iso(began), units.clock(began)
        lasting = units.duration(int(now - began)) if now - began >= 1 else ""
    strip = charts.strip(slots)
    if kind == "overview" or not slots:
        return Figures(duration, asked, age, since_iso, since_clock, lasting, strip)
    span = units.duration(int(now - slots[0].start)) if now - slots[0].start >= 1 else ""
    typical, curve = charts.curve(slots) if details and len(slots) > 1 else ("", "")
    return Figures(duration, asked, age, since_iso, since_clock, lasting, strip, curve, typical, span)
