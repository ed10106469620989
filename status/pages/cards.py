"""One provider as the pages show it: its result in words. No input or output."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

from status.pages import units
from status.pages.figures import Figures
from status.pages.tree import leaf, tree
from status.report import Result, is_sound
from status.serialization import JSON

#: What needs a look comes first.
ORDER = {"fail": 0, "warn": 1, "running": 2, "pass": 3, "info": 4}
#: Components that stand open on a page; of more than that, those which fail do.
OPEN = 12

#: Facts of an informing provider that stand on the overview.
SUMMARY = 6


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

    def __init__(self, result: Result, details: bool, root: str, figures: Figures, began: float | None = None) -> None:
        self.result = result
        self.details = details
        self.root = root
        self.figures = figures
        #: When the present state began, as far as is remembered.
        self.began = began
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
            return gettext("No answer yet, asked %s ago.") % self.figures.asked
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
        return list(_facts(answer)) if known else []

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


def _facts(value: JSON, name: str = "", key: str = "") -> Iterator[tuple[str, str, JSON]]:
    """``(name, key, value)`` of all that has no entries of its own; the name tells the way there."""
    if isinstance(value, (dict, list)) and value:
        entries = value.items() if isinstance(value, dict) else ((key, item) for item in value)
        for below, item in entries:
            yield from _facts(item, f"{name} › {below}" if name and isinstance(value, dict) else name or below, below)
    else:
        yield name, key, value
