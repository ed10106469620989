"""What the pages show: a report, and what is remembered, put into words and order. No request, no input or output."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from django.utils.translation import gettext, ngettext

from status.history import Slot, since
from status.pages import units
from status.pages.cards import ORDER, Card
from status.pages.figures import figures
from status.report import Report, Result

Remembered = Callable[[str, str], Sequence[Slot]]


def nothing(resource: str, name: str) -> Sequence[Slot]:
    """What is remembered where nobody remembers."""
    return ()


@dataclass(frozen=True)
class Group:
    """The providers of one resource."""

    resource: str
    cards: Sequence[Card]
    url: str
    judged: bool

    @property
    def rank(self) -> int:
        return min(ORDER["pass"], *(ORDER[card.state] for card in self.cards))

    @property
    def title(self) -> str:
        if self.resource == "health":
            return gettext("Health")
        return gettext("Statistics") if self.resource == "stats" else self.resource

    @property
    def tally(self) -> str:
        """How the providers of this resource stand, in few words."""
        counts: dict[str, int] = {}
        for card in self.cards:
            counts[card.state] = counts.get(card.state, 0) + 1
        return " · ".join(_in_short(state, count) % count for state, count in counts.items() if state != "info")


class Page:
    """What one page shows.

    kind: ``overview``, ``health`` or ``stats``.
    details: whether the reader may see reasons and durations.
    root: the address of the overview, with its slash.
    resources: those that the page covers, in the order of the settings.
    updated_iso, updated_clock: when it was written.
    worst: of those which fail or warn, the card that has done so for longest.
    """

    def __init__(
        self,
        kind: str,
        details: bool,
        root: str,
        resources: Sequence[str],
        cards: Sequence[Card],
        updated_iso: str,
        updated_clock: str,
        worst: Card | None = None,
    ) -> None:
        self.kind = kind
        self.details = details
        self.root = root
        self.resources = resources
        self.cards = cards
        self.updated_iso = updated_iso
        self.updated_clock = updated_clock
        self.worst = worst
        self.judged = [card for card in cards if card.result.judged]

    @cached_property
    def groups(self) -> list[Group]:
        return [group for group in map(self._group, self.resources) if group.cards]

    def _group(self, resource: str) -> Group:
        cards = [card for card in self.cards if card.resource == resource]
        judged = any(card.result.judged for card in cards)
        cards.sort(key=lambda card: ORDER[card.state])
        return Group(resource, cards, f"{self.root}api/{resource}", judged)

    @property
    def template(self) -> str:
        """The name of the template that draws it."""
        return self.kind

    @property
    def ordered(self) -> list[Group]:
        """Resources where something fails first, then in the order of the settings, those which only inform last."""
        return sorted(self.groups, key=lambda group: (not group.judged, group.rank))

    @cached_property
    def state(self) -> str:
        """The worst there is."""
        cards = self.cards if self.kind == "stats" else self.judged
        return min((card.state for card in cards), key=ORDER.__getitem__, default="info")

    @cached_property
    def verdict(self) -> str:
        """The page in one sentence."""
        if self.kind == "stats":
            return self._answered()
        total = len(self.judged)
        if not total:
            return gettext("No checks are configured")
        for state in ("fail", "warn", "running"):
            if count := self._count(state):
                return _words(state, count) % {"count": count, "total": total}
        return ngettext("The only check passes", "All %(total)s checks pass", total) % {"total": total}

    def _answered(self) -> str:
        total = len(self.cards)
        missing = sum(card.state != "info" for card in self.cards)
        if not total:
            return gettext("No statistics are configured")
        if missing:
            return gettext("%(count)s of %(total)s did not answer") % {"count": missing, "total": total}
        return ngettext("Facts from %(total)s provider", "Facts from %(total)s providers", total) % {"total": total}

    @property
    def besides(self) -> str:
        """What the verdict leaves out."""
        if self.kind == "stats":
            return ""
        counts = [(state, self._count(state)) for state in ("warn", "running", "pass") if state != self.state]
        return ", ".join(_in_short(state, count) % count for state, count in counts if count)

    def _count(self, state: str) -> int:
        return sum(card.state == state for card in self.judged)

    @property
    def running(self) -> bool:
        return any(card.state == "running" for card in self.cards)


def page_of(
    report: Report,
    kind: str,
    details: bool = True,
    remembered: Remembered = nothing,
    root: str = "/status/",
    now: float | None = None,
) -> Page:
    """The page of that ``kind`` for ``report``.

    remembered: ``remembered(resource, name)`` answers the last outcomes.
    now: seconds since 1970.
    """
    now = time.time() if now is None else now
    cards = [
        _card(result, kind, details, remembered(result.resource, result.name), root, now) for result in report.results
    ]
    return Page(kind, details, root, report.resources, cards, units.iso(now), units.clock(now), _worst(cards))


def _card(result: Result, kind: str, details: bool, slots: Sequence[Slot], root: str, now: float) -> Card:
    # The last outcome is another one where the answer is not there yet, or somebody else's.
    began = since(slots) if slots and slots[-1].state == result.state else None
    return Card(result, details, root, figures(result, details, slots, began, now, kind), began)


def _worst(cards: Sequence[Card]) -> Card | None:
    for state in ("fail", "warn"):
        bad = [card for card in cards if card.result.state == state]
        if bad:
            return min((card for card in bad if card.began), key=lambda card: card.began or 0, default=None)
    return None


class Refused(Page):
    """A page for a reader who may see nothing of it."""

    def __init__(self, kind: str, root: str, challenge: bool) -> None:
        now = time.time()
        super().__init__(kind, False, root, (), (), units.iso(now), units.clock(now))
        self.challenge = challenge

    @property
    def template(self) -> str:
        return "refused"

    @cached_property
    def verdict(self) -> str:
        return gettext("This page is not open to you")

    @property
    def advice(self) -> str:
        if self.challenge:
            return gettext("Log in as staff, or send a bearer token in the Authorization header.")
        return gettext("Log in as staff, or ask those who run this site.")


def _words(state: str, count: int) -> str:
    """The verdict, for ``count`` checks in the worst state there is."""
    if state == "fail":
        return ngettext("%(count)s of %(total)s checks fails", "%(count)s of %(total)s checks fail", count)
    if state == "warn":
        return ngettext("%(count)s of %(total)s checks warns", "%(count)s of %(total)s checks warn", count)
    return ngettext(
        "%(count)s of %(total)s checks has not answered yet",
        "%(count)s of %(total)s checks have not answered yet",
        count,
    )


def _in_short(state: str, count: int) -> str:
    if state == "warn":
        return ngettext("%s warns", "%s warn", count)
    if state == "running":
        return ngettext("%s has not answered yet", "%s have not answered yet", count)
    if state == "fail":
        return ngettext("%s fails", "%s fail", count)
    return ngettext("%s passes", "%s pass", count)
