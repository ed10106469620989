"""A provider's last outcomes as two small SVG drawings, each with a label in words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise
from statistics import median
from typing import NamedTuple

from django.utils.html import escape
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

from status.history import SLOTS, Slot
from status.pages import units

#: Units of the drawing from one bar to the next; the style sheet stretches the drawing to its place.
STEP = 4
WIDTH = SLOTS * STEP
#: The middle of the bars of a state. The style sheet makes them so wide that all stand on one line, and cuts them into
#: bars: the worse, the taller, so that the state is told by height as well as by colour.
MIDDLE = {"pass": 13, "info": 13, "warn": 11, "fail": 9}
CURVE_HEIGHT = 30


class Curve(NamedTuple):
    """How long the outcomes took: a sentence and a drawing."""

    typical: str
    drawing: SafeString


def strip(slots: Sequence[Slot]) -> SafeString:
    """Draw a bar for each outcome, the latest at the right."""
    total = len(slots)
    bad = [slot.end for slot in slots if slot.state in ("fail", "warn")]
    if not total:
        label = gettext("Nothing is remembered yet.")
    elif not bad:
        label = ngettext("The last %s outcome was good.", "The last %s outcomes were good.", total) % total
    else:
        label = ngettext(
            "%(bad)s of the last %(all)s outcomes was bad, at %(time)s.",
            "%(bad)s of the last %(all)s outcomes were bad, the last one at %(time)s.",
            len(bad),
        ) % {"bad": len(bad), "all": total, "time": units.clock(max(bad))}
    start = WIDTH - STEP * total
    paths = [f'<path class=none d="M0 17.5H{start}"/>'] if start else []
    for state, run in groupby(slots, lambda slot: slot.state):
        width = STEP * len(list(run))
        paths.append(f'<path class={state} d="M{start} {MIDDLE[state]}h{width}"/>')
        start += width
    return _svg("strip", 18, label, "".join(paths))


def curve(durations: Sequence[float]) -> Curve:
    """Draw the durations of the outcomes, in seconds, the latest at the right. There must be one at least."""
    top = max(durations)
    typical = gettext("typically %(typical)s, at most %(slowest)s") % {
        "typical": units.duration(median(durations)),
        "slowest": units.duration(top),
    }
    scale = (CURVE_HEIGHT - 3) / (top or 1.0)
    start = WIDTH - STEP * len(durations) + STEP // 2
    heights = [int(CURVE_HEIGHT - 0.5 - duration * scale) for duration in durations]
    steps = " ".join([f"{STEP} {to - before}" for before, to in pairwise(heights)])
    # Up from the floor, along the durations, and down again: an area that needs no second path for its edge.
    path = f'<path d="M{start} {CURVE_HEIGHT}V{heights[0]}l{steps}V{CURVE_HEIGHT}"/>'
    return Curve(typical, _svg("curve", CURVE_HEIGHT, gettext("Durations: %s") % typical, path))


def _svg(kind: str, height: int, label: str, paths: str) -> SafeString:
    return SafeString(
        f'<svg class={kind} viewBox="0 0 {WIDTH} {height}" preserveAspectRatio=none role=img '
        f'aria-label="{escape(label)}">{paths}</svg>'
    )
