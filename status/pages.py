"""What the pages show: a report, and what is remembered, put into words and order. No request, no input or output."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

from status import charts, units
from status.history import Slot, since
from status.report import Report, Result, is_sound
from status.tree import leaf, tree
from status.values import JSON

#: What needs a look comes first.
ORDER = {"fail": 0, "warn": 1, "running": 2, "pass": 3, "info": 4}
#: Components that stand open on a page; of more than that, those which fail do.
OPEN = 12

#: Facts of an informing provider that stand on the overview.
SUMMARY = 6

Remembered = Callable[[str, str], Sequence[Slot]]


def nothing(resource: str, name: str) -> Sequence[Slot]:
    """What is remembered where nobody remembers."""
    return ()


def word(state: str) -> str:
    """A state as a word; a colour or a shape alone tells some people nothing."""
    if state == "pass":
        return gettext("passes")
    if state == "fail":
        return gettext("fails")
    if state == "warn":
        return gettext("warns")
    return gettext("running") if state == "running" else gettext("informs")


@dataclass(frozen=True)
class Component:
    """One entry of an answer that is good or bad, and why."""

    name: str
    state: str
    value: SafeString
    reason: str

    @property
    def word(self) -> str:
        return word(self.state)


class Card:
    """One provider on a page."""

    def __init__(self, result: Result, details: bool, slots: Sequence[Slot], root: str, now: float) -> None:
        self.result = result
        self.details = details
        self.slots = slots
        self.root = root
        self.now = now
        self.resource = result.resource
        self.name = result.name
        self.answer: JSON = result.answer_for(details)
        #: An informing provider is not judged, but one that could not answer has nothing to inform about.
        self.unanswered = result.state == "info" and result.error is not None
        self.state = "warn" if self.unanswered else result.state

    @property
    def url(self) -> str:
        return f"{self.root}api/{self.resource}/{self.name}"

    @property
    def word(self) -> str:
        return gettext("no answer") if self.unanswered else word(self.state)

    @cached_property
    def reason(self) -> str:
        """Why it does not pass, in words that this reader may see."""
        if self.result.running:
            return gettext("No answer yet, asked %s ago.") % units.duration(self.result.duration)
        if self.result.error is not None:
            return self.failure
        bad = [component for component in self.components if component.state != "pass"]
        if not bad:
            return gettext("The answer holds false or null.") if self.state in ("fail", "warn") else ""
        if len(bad) == 1 and bad[0].reason:
            return f"{bad[0].name}: {bad[0].reason}"
        return ", ".join(component.name for component in bad[:3]) + (" …" if len(bad) > 3 else "")

    @property
    def remark(self) -> str:
        """The reason, where the components beside it do not tell it themselves."""
        return "" if self.components else self.reason

    @property
    def failure(self) -> str:
        """The provider's own failure, as its answer tells it to this reader."""
        told = self.answer.get("error") if isinstance(self.answer, dict) else None
        return told if isinstance(told, str) else gettext("It did not answer.")

    @property
    def duration(self) -> str:
        """How long the run took, for those who may see details."""
        return units.duration(self.result.duration) if self.details and not self.result.running else ""

    @property
    def age(self) -> str:
        """How old a reused answer is."""
        return units.duration(self.result.age) if self.result.age >= 0.001 else ""

    @cached_property
    def since(self) -> float | None:
        """When the present state began, as far as is remembered."""
        return since(self.slots) if self.slots and self.slots[-1].state == self.result.state else None

    @property
    def since_iso(self) -> str:
        return units.iso(self.since or 0)

    @property
    def since_clock(self) -> str:
        return units.clock(self.since or 0)

    @property
    def lasting(self) -> str:
        return units.duration(max(0, int(self.now - (self.since or self.now))))

    @cached_property
    def components(self) -> list[Component]:
        """The entries that are good or bad; those which fail first."""
        if self.result.error is not None or not self.result.judged or not isinstance(self.answer, dict):
            return []
        reasons = self.result.reasons if self.details else {}
        bad = "fail" if self.result.critical else "warn"
        found = [
            Component(
                name,
                "pass" if sound else bad,
                SafeString("" if isinstance(value, (bool, dict, list)) or value is None else leaf(value, name)),
                reasons.get(name, ""),
            )
            for name, value in self.answer.items()
            for sound in (is_sound(value),)
        ]
        return sorted(found, key=lambda component: ORDER[component.state])

    @property
    def shown(self) -> list[Component]:
        return self.components if len(self.components) <= OPEN else [c for c in self.components if c.state != "pass"]

    @property
    def folded(self) -> list[Component]:
        return [] if len(self.components) <= OPEN else [c for c in self.components if c.state == "pass"]

    @property
    def has_body(self) -> bool:
        return bool(self.components or self.facts or self.cut)

    @cached_property
    def facts(self) -> SafeString | None:
        """The answer as a tree, where components alone do not tell it."""
        if self.result.running or self.result.error is not None:
            return None
        if not self.result.judged or not isinstance(self.answer, dict):
            return tree(self.answer)
        deep: JSON = {name: value for name, value in self.answer.items() if isinstance(value, (dict, list)) and value}
        return tree(deep) if deep else None

    @cached_property
    def _leaves(self) -> list[tuple[str, str, JSON]]:
        known = not self.result.running and self.result.error is None
        answer = self.answer
        # One branch alone, as the only database: its name before every fact tells nothing.
        while isinstance(answer, dict) and len(answer) == 1:
            only = next(iter(answer.values()))
            if not isinstance(only, dict) or not only:
                break
            answer = only
        return list(_leaves(answer)) if known else []

    @property
    def summary(self) -> list[tuple[str, SafeString]]:
        """The first few facts, for where there is no room for all."""
        return [(name, SafeString(leaf(value, key))) for name, key, value in self._leaves[:SUMMARY]]

    @property
    def more(self) -> str:
        """How many facts the summary leaves out."""
        count = len(self._leaves) - SUMMARY
        return ngettext("%s more fact", "%s more facts", count) % units.number(count) if count > 0 else ""

    @property
    def cut(self) -> str:
        count = self.result.cut
        return ngettext("%s value was left out.", "%s values were left out.", count) % count if count else ""

    @property
    def strip(self) -> SafeString:
        return charts.strip(self.slots)

    @property
    def curve(self) -> SafeString:
        return charts.curve(self.slots) if self.details else SafeString("")

    @property
    def typical(self) -> str:
        """What the curve shows, in figures."""
        if not self.details or len(self.slots) < 2:
            return ""
        took = sorted(slot.slowest for slot in self.slots)
        return gettext("typically %(typical)s, at most %(slowest)s") % {
            "typical": units.duration(took[len(took) // 2]),
            "slowest": units.duration(took[-1]),
        }

    @property
    def span(self) -> str:
        """How far back the strip reaches."""
        return units.duration(max(0, int(self.now - self.slots[0].start))) if self.slots else ""


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
    remembered: ``remembered(resource, name)`` answers the last outcomes.
    root: the address of the overview, with its slash.
    now: seconds since 1970.
    """

    def __init__(
        self,
        report: Report,
        kind: str,
        details: bool = True,
        remembered: Remembered = nothing,
        root: str = "/status/",
        now: float | None = None,
    ) -> None:
        self.report = report
        self.kind = kind
        self.details = details
        self.root = root
        self.now = time.time() if now is None else now
        cards = [
            Card(result, details, remembered(result.resource, result.name), root, self.now) for result in report.results
        ]
        self.cards = cards
        self.judged = [card for card in cards if card.result.judged]
        self.groups = [group for group in map(self._group, report.resources) if group.cards]

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
    def worst(self) -> Card | None:
        """Of those which fail or warn: the one that has done so for longest."""
        bad = [
            card for card in self.judged if card.state == self.state and card.state in ("fail", "warn") and card.since
        ]
        return min(bad, key=lambda card: card.since or 0, default=None)

    @property
    def running(self) -> bool:
        return any(card.state == "running" for card in self.cards)

    @property
    def updated_iso(self) -> str:
        return units.iso(self.now)

    @property
    def updated_clock(self) -> str:
        return units.clock(self.now)


class Refused(Page):
    """A page for a reader who may see nothing of it."""

    def __init__(self, kind: str, root: str, challenge: bool) -> None:
        super().__init__(Report(()), kind, False, nothing, root)
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


def _leaves(value: JSON, name: str = "", key: str = "") -> Iterator[tuple[str, str, JSON]]:
    """``(name, key, value)`` of all that has no entries of its own; the name tells the way there."""
    if isinstance(value, (dict, list)) and value:
        entries = value.items() if isinstance(value, dict) else ((key, item) for item in value)
        for below, item in entries:
            yield from _leaves(item, f"{name} › {below}" if name and isinstance(value, dict) else name or below, below)
    else:
        yield name, key, value


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
