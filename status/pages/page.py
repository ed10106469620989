"""What the pages show: a report and its history, in words and in order. No request, no input or output."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

# Unlike the one of functools in Python 3.11 and earlier, it has no lock that a forked child could find held.
from django.utils.functional import cached_property
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_lazy, ngettext, ngettext_lazy

from status.history import Slot, began_in
from status.pages import charts, units
from status.pages.tree import leaf, leaves, tree
from status.report import Report, Result, components, iso
from status.serialization import JSON

#: The order on a page: what needs attention comes first.
STATE_ORDER = {"fail": 0, "warn": 1, "running": 2, "pass": 3, "info": 4}
#: A state as a word; some people cannot tell it by a colour or a shape.
STATE_WORDS = {
    "fail": gettext_lazy("fails"),
    "warn": gettext_lazy("warns"),
    "running": gettext_lazy("running"),
    "pass": gettext_lazy("passes"),
    "info": gettext_lazy("informs"),
}
#: How many checks are in a state, beside the verdict and beside the title of a resource.
TALLIES = {
    "fail": ngettext_lazy("%s fails", "%s fail"),
    "warn": ngettext_lazy("%s warns", "%s warn"),
    "running": ngettext_lazy("%s has not answered yet", "%s have not answered yet"),
    "pass": ngettext_lazy("%s passes", "%s pass"),
}
#: A page in one sentence, by the worst state on it.
VERDICTS = {
    "fail": ngettext_lazy("%(count)s of %(total)s checks fails", "%(count)s of %(total)s checks fail", "count"),
    "warn": ngettext_lazy("%(count)s of %(total)s checks warns", "%(count)s of %(total)s checks warn", "count"),
    "running": ngettext_lazy(
        "%(count)s of %(total)s checks has not answered yet",
        "%(count)s of %(total)s checks have not answered yet",
        "count",
    ),
    "pass": ngettext_lazy("The only check passes", "All %(total)s checks pass", "total"),
}
#: A card with more components than this folds those which pass.
MAX_UNFOLDED = 12
#: Facts of an informing provider that the overview shows.
MAX_SUMMARY = 6


class ComponentRow(NamedTuple):
    """A component of an answer as the templates show it. All but name, state and word may be empty."""

    name: str
    state: str
    word: str
    value: SafeString
    reason: str
    duration: str


class Summary(NamedTuple):
    """Name and value of the first facts of an answer, and how many more there are in words, empty for none."""

    facts: list[tuple[str, SafeString]]
    more: str


class Card:
    """One provider on a page. A text is empty where there is nothing to say.

    details: whether the reader may see reasons and durations.
    slots: the provider's last outcomes, the oldest first.
    root: the address of the overview, with its slash.
    now: seconds since 1970.
    """

    def __init__(self, result: Result, details: bool, slots: Sequence[Slot], root: str, now: float) -> None:
        self.result, self.resource, self.name, self.details = result, result.resource, result.name, details
        self.answer = result.answer_for(details)
        #: What names it in an address. Nothing is left in it that HTML would escape.
        self.anchor = SafeString(f"{quote(result.resource)}/{quote(result.name)}")
        self.url = f"{root}api/{self.anchor}"
        #: An informing provider is not judged, but one that could not answer has nothing to inform about.
        self.unanswered = result.state == "info" and result.error is not None
        self.answered = not result.running and result.error is None
        self.state = "warn" if self.unanswered else result.state
        self.word = gettext("no answer") if self.unanswered else str(STATE_WORDS[result.state])
        self.impact = result.impact if self.state in ("fail", "warn") else ""
        self.duration = units.duration(result.duration if details and not result.running else None)
        self.age = units.duration(result.age) if result.age >= 0.001 else ""
        #: When the present state began. Unknown while the last outcome that is remembered is another one.
        self.began = began_in(slots, result.state)
        self.since_iso = self.since_clock = self.lasting = ""
        if self.began is not None:
            self.since_iso, self.since_clock = iso(self.began), units.clock(self.began)
            self.lasting = units.elapsed(now - self.began)
        #: How long ago the first outcome of the strip was.
        span = units.elapsed(now - slots[0].start) if slots else ""
        self.span = gettext("%(span)s ago") % {"span": span} if span else ""
        self.strip = charts.strip(slots)
        durations = [slot.slowest for slot in slots if slot.slowest is not None]
        self.curve = charts.curve(durations) if details and len(durations) > 1 else None
        took = gettext("took %(time)s") % {"time": self.duration} if self.duration else ""
        old = gettext("%(age)s old") % {"age": self.age} if self.age else ""
        self.notes = [note for note in (took, self.curve.typical if self.curve else "", old) if note]
        self.components = self._component_rows()
        #: What the provider says of the whole answer.
        self.remark = "; ".join(result.unnamed.values()) if details and self.answered else ""
        passing = [row for row in self.components if row.state == "pass"]
        self.folded = passing if len(self.components) > MAX_UNFOLDED else []
        self.shown = self.components[: len(self.components) - len(self.folded)]
        # ``components`` leaves out those which pass where there are hundreds.
        total = len(self.answer) if self.components and isinstance(self.answer, dict) else 0
        count = result.cut + total - len(self.components)
        self.cut = ngettext("%s value was left out.", "%s values were left out.", count) % count if count else ""

    def __getitem__(self, name: str) -> Any:
        # Templates look for an item first, and take longer for the error where there is none than for all else.
        return getattr(self, name)

    def _component_rows(self) -> list[ComponentRow]:
        """Return the components of a judged answer, those which fail first."""
        if not self.result.judged or not isinstance(self.answer, dict):
            return []
        rows = []
        for part in components(self.result, self.details):
            if part.name is not None:
                plain = part.value is None or isinstance(part.value, (bool, dict, list))
                value = SafeString("" if plain else leaf(part.value, part.name))
                word = str(STATE_WORDS[part.state])
                took = units.duration(self.result.durations.get(part.name) if self.details else None)
                rows.append(ComponentRow(part.name, part.state, word, value, part.output or "", took))
        return sorted(rows, key=lambda row: STATE_ORDER[row.state])

    @cached_property
    def reason(self) -> str:
        """Why the provider does not pass, in words that this reader may see."""
        if self.result.running:
            asked = self.result.duration
            return "" if asked is None else gettext("No answer yet, asked %s ago.") % units.duration(asked)
        if self.result.error is not None:
            return next(components(self.result, self.details)).output or gettext("It did not answer.")
        bad = [row for row in self.components if row.state != "pass"]
        if len(bad) == 1 and bad[0].reason:
            named = f"{bad[0].name}: {bad[0].reason}"
        else:
            named = ", ".join(row.name for row in bad[:3]) + (" …" if len(bad) > 3 else "")
        told = "; ".join(text for text in (named, self.remark) if text)
        if told or self.result.sound or not self.result.judged:
            return told
        return gettext("The answer holds false or null.")

    @cached_property
    def facts(self) -> SafeString | None:
        """The answer as a tree, where the components do not show all of it.

        They show whether they are well; so an entry "ok" that says the same of one is left out.
        """
        if not self.answered:
            return None
        if not self.result.judged or not isinstance(self.answer, dict):
            return tree(self.answer)
        deep: dict[str, JSON] = {}
        for name, value in self.answer.items():
            if isinstance(value, dict):
                value = {key: item for key, item in value.items() if key != "ok" or not isinstance(item, bool)}
            if isinstance(value, (dict, list)) and value:
                deep[name] = value
        return tree(deep) if deep else None

    @cached_property
    def summary(self) -> Summary:
        """The first facts, for the overview."""
        answer = self.answer
        # Where there is but one branch, such as the only database, its name before every fact would tell nothing.
        while isinstance(answer, dict) and len(answer) == 1:
            (only,) = answer.values()
            if not isinstance(only, dict) or not only:
                break
            answer = only
        found = list(leaves(answer)) if self.answered else []
        count = len(found) - MAX_SUMMARY
        more = ngettext("%s more fact", "%s more facts", count) % units.number(count) if count > 0 else ""
        return Summary([(name, SafeString(leaf(value, key))) for name, key, value in found[:MAX_SUMMARY]], more)


class Group:
    """The cards of one resource.

    judged: whether the resource is judged, or only informs.
    title: its name in words.
    tally: how many providers are in each state, in words.
    """

    def __init__(self, resource: str, cards: Sequence[Card]) -> None:
        self.resource, self.cards = resource, cards
        self.judged = any(card.result.judged for card in cards)
        self.title = {"health": gettext("Health"), "stats": gettext("Statistics")}.get(resource, resource)
        states = [card.state for card in cards if card.state != "info"]
        self.tally = " · ".join(TALLIES[state] % states.count(state) for state in dict.fromkeys(states))


class Page:
    """What one page shows.

    kind: ``overview``, ``health``, ``stats`` or ``fleet``.
    details: whether the reader may see reasons and durations.
    remembered: ``remembered(resource, name)`` returns the last outcomes of a provider, the oldest first.
    root: the address of the overview, with its slash.
    now: seconds since 1970, by default the present time.
    """

    def __init__(
        self,
        report: Report,
        kind: str,
        details: bool = True,
        remembered: Callable[[str, str], Sequence[Slot]] = lambda resource, name: (),
        root: str = "/status/",
        now: float | None = None,
    ) -> None:
        now = time.time() if now is None else now
        self.kind, self.root = kind, root
        #: The name of the template.
        self.template = kind
        self.updated_iso, self.updated_clock = iso(now), units.clock(now)
        self.cards = []
        for result in report.results:
            # The page of facts tells nothing about the past.
            slots = () if kind == "stats" else remembered(result.resource, result.name)
            self.cards.append(Card(result, details, slots, root, now))
        self.judged = [card for card in self.cards if card.result.judged]
        self.counts: Counter[str] = Counter(card.state for card in self.judged)
        #: Whether a run is under way for which the page did not wait.
        self.running = any(card.result.running or card.result.renewing for card in self.cards)
        cards = self.cards if kind == "stats" else self.judged
        #: The worst state on the page.
        self.state = min((card.state for card in cards), key=STATE_ORDER.__getitem__, default="info")
        bad = [card for card in self.judged if card.state == self.state and card.state in ("fail", "warn")]
        #: Of the cards that fail, or else of those that warn, the one that has done so for longest.
        self.worst = min((card for card in bad if card.began), key=lambda card: card.began or 0, default=None)
        others = [state for state in ("warn", "running", "pass") if state != self.state and self.counts[state]]
        #: How many checks are in the states that the verdict does not name.
        self.besides = "" if kind == "stats" else ", ".join(TALLIES[state] % self.counts[state] for state in others)
        attention = sorted(self.cards, key=lambda card: STATE_ORDER[card.state])
        groups = [Group(name, [card for card in attention if card.resource == name]) for name in report.resources]
        #: Resources where something fails first, then in the order of the settings, those which only inform last.
        self.groups = sorted(
            (group for group in groups if group.cards),
            key=lambda group: (not group.judged, STATE_ORDER[group.cards[0].state]),
        )

    @cached_property
    def verdict(self) -> str:
        """The page in one sentence."""
        if self.kind == "stats":
            total, missing = len(self.cards), sum(card.state != "info" for card in self.cards)
            if not total:
                return gettext("No statistics are configured")
            if missing:
                return gettext("%(count)s of %(total)s did not answer") % {"count": missing, "total": total}
            return ngettext("Facts from %(total)s provider", "Facts from %(total)s providers", total) % {"total": total}
        if not self.judged:
            return gettext("No checks are configured")
        return VERDICTS[self.state] % {"count": self.counts[self.state], "total": len(self.judged)}


class RefusedPage(Page):
    """A page for a reader who may see nothing of it.

    challenge: whether a bearer token would open it.
    """

    def __init__(self, kind: str, root: str, challenge: bool) -> None:
        super().__init__(Report(()), kind, root=root)
        self.template = "refused"
        self.verdict = gettext("This page is not open to you")
        #: What the reader can do.
        self.advice = (
            gettext("Log in as staff, or send a bearer token in the Authorization header.")
            if challenge
            else gettext("Log in as staff, or ask those who run this site.")
        )
