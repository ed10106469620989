"""A provider's last outcomes as two small SVG drawings, with the same in words for those who do not see them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from django.utils.html import escape
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

from status import units
from status.history import SLOTS, Slot

#: Units of the drawing from one bar to the next; the drawing is stretched to its place by the style sheet.
STEP = 4
WIDTH = SLOTS * STEP
#: How far a bar reaches up: the state is told by height as well as by colour.
HEIGHTS = {"pass": 8, "info": 8, "warn": 4, "fail": 0}
FLOOR = 18
CURVE = 30


def strip(slots: Sequence[Slot]) -> SafeString:
    """A bar for each outcome, the latest at the right."""
    bars: dict[str, list[str]] = {}
    x = WIDTH - STEP * len(slots) + STEP // 2
    for slot in slots:
        bars.setdefault(slot.state, []).append(f"M{x} {FLOOR}V{HEIGHTS[slot.state]}")
        x += STEP
    if len(slots) < SLOTS:
        bars["none"] = [f"M0 {FLOOR}H{WIDTH - STEP * len(slots)}"]
    paths = "".join([f'<path class="{state}" d="{"".join(drawn)}"/>' for state, drawn in bars.items()])
    return SafeString(
        f'<svg class=strip viewBox="0 0 {WIDTH} 19" preserveAspectRatio=none role=img '
        f'aria-label="{escape(_told(slots))}">{paths}</svg>'
    )


def _told(slots: Sequence[Slot]) -> str:
    if not slots:
        return gettext("Nothing is remembered yet.")
    count = len(slots)
    failed = [slot for slot in slots if slot.state in ("fail", "warn")]
    if not failed:
        text = ngettext("The last %s outcome was good.", "The last %s outcomes were good.", count)
        return text % count
    text = ngettext(
        "%(bad)s of the last %(all)s outcome was bad, at %(time)s.",
        "%(bad)s of the last %(all)s outcomes were bad, the last one at %(time)s.",
        count,
    )
    return text % {"bad": len(failed), "all": count, "time": units.clock(failed[-1].end)}


def curve(slots: Sequence[Slot]) -> SafeString:
    """How long the outcomes took, from nothing to the slowest; none before there are two."""
    if len(slots) < 2:
        return SafeString("")
    top = max([slot.slowest for slot in slots]) or 1.0
    scale = (CURVE - 3) / top
    x = WIDTH - STEP * len(slots) + STEP // 2
    first = x
    points = []
    for slot in slots:
        points.append(f"{x} {CURVE - 1 - slot.slowest * scale:.0f}")
        x += STEP
    line = "L".join(points)
    typical = median([slot.slowest for slot in slots])
    words = gettext("Durations: typically %(typical)s, at most %(slowest)s.") % {
        "typical": units.duration(typical),
        "slowest": units.duration(top),
    }
    return SafeString(
        f'<svg class=curve viewBox="0 0 {WIDTH} {CURVE}" preserveAspectRatio=none role=img '
        f'aria-label="{escape(words)}">'
        f'<path class=area d="M{first} {CURVE}L{line}V{CURVE}z"/><path class=line d="M{line}"/></svg>'
    )
