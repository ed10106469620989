"""A provider's last outcomes as two small SVG drawings, with the same in words for those who do not see them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby, pairwise
from statistics import median
from typing import NamedTuple

from django.utils.html import escape
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext, ngettext

from status.history import SLOTS, Slot
from status.pages import units

#: Units of the drawing from one bar to the next; the drawing is stretched to its place by the style sheet.
STEP = 4
WIDTH = SLOTS * STEP
#: The middle of the bars of a state. The style sheet makes them so wide that all stand on one line, and cuts them into
#: bars: the worse, the taller, so that the state is told by height as well as by colour.
MIDDLE = {"pass": 13, "info": 13, "warn": 11, "fail": 9}
CURVE = 30


def strip(slots: Sequence[Slot]) -> SafeString:
    """A bar for each outcome, the latest at the right."""
    states = tuple([slot.state for slot in slots])
    failed_at = None
    if "fail" in states or "warn" in states:
        failed_at = max([slot.end for slot in slots if slot.state in ("fail", "warn")])
    return _strip(states, failed_at and units.clock(failed_at), get_language())


@lru_cache(maxsize=256)
def _strip(states: Sequence[str], failed_at: str | None, language: str | None) -> SafeString:
    start = WIDTH - STEP * len(states)
    paths = [f'<path class=none d="M0 17.5H{start}"/>'] if start else []
    for state, run in groupby(states):
        width = STEP * len(list(run))
        paths.append(f'<path class={state} d="M{start} {MIDDLE[state]}h{width}"/>')
        start += width
    return SafeString(
        f'<svg class=strip viewBox="0 0 {WIDTH} 18" preserveAspectRatio=none role=img '
        f'aria-label="{escape(_told(states, failed_at))}">{"".join(paths)}</svg>'
    )


def _told(states: Sequence[str], failed_at: str | None) -> str:
    total = len(states)
    if not total:
        return gettext("Nothing is remembered yet.")
    if failed_at is None:
        return ngettext("The last %s outcome was good.", "The last %s outcomes were good.", total) % total
    text = ngettext(
        "%(bad)s of the last %(all)s outcomes was bad, at %(time)s.",
        "%(bad)s of the last %(all)s outcomes were bad, the last one at %(time)s.",
        bad := states.count("fail") + states.count("warn"),
    )
    return text % {"bad": bad, "all": total, "time": failed_at}


class Curve(NamedTuple):
    """How long the outcomes took, in words and as a drawing."""

    typical: str
    drawing: SafeString


def curve(slots: Sequence[Slot]) -> Curve:
    return _curve(tuple([slot.slowest for slot in slots]), get_language())


@lru_cache(maxsize=256)
def _curve(durations: Sequence[float], language: str | None) -> Curve:
    top = max(durations)
    words = {"typical": units.duration(median(durations)), "slowest": units.duration(top)}
    typical = gettext("typically %(typical)s, at most %(slowest)s") % words
    label = gettext("Durations: %s") % typical
    return Curve(
        typical,
        SafeString(
            f'<svg class=curve viewBox="0 0 {WIDTH} {CURVE}" preserveAspectRatio=none role=img '
            f'aria-label="{escape(label)}"><path d="{_line(durations, top or 1.0)}"/></svg>'
        ),
    )


def _line(durations: Sequence[float], top: float) -> str:
    """Up from the floor, along the durations, and down again: an area that needs no second path for its edge."""
    scale = (CURVE - 3) / top
    start = WIDTH - STEP * len(durations) + STEP // 2
    heights = [int(CURVE - 0.5 - duration * scale) for duration in durations]
    steps = [f"{STEP} {to - before}" for before, to in pairwise(heights)]
    return f"M{start} {CURVE}V{heights[0]}l{' '.join(steps)}V{CURVE}"
