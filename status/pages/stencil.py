"""Pages that differ only in their figures are written once: the rest is kept, with gaps for the figures.

A page is asked for every few seconds by everyone who watches, and mostly nothing but durations and times is new. What
is kept is written from a copy of the page that holds marks instead of figures, so that no old figure can stay in it.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Hashable
from html import escape
from itertools import chain, count

from django.utils.safestring import SafeString

from status.pages.cards import Card
from status.pages.figures import Figures
from status.pages.page import Page

#: Pages kept at once, and how many characters one may have: together a few megabytes at most.
KEPT = 16
LONGEST = 100_000
#: Nobody can guess it, so that nothing in an answer is taken for a mark.
MARK = secrets.token_hex(16)

_kept: dict[Hashable, list[str]] = {}
_lock = threading.Lock()


def fill(page: Page, key: Hashable, write: Callable[[Page], str]) -> str:
    """``write(page)``, from what is kept where only figures are new.

    key: what else the written page depends on.
    """
    if not page.cards:
        return write(page)
    values = [page.updated_iso, page.updated_clock, *chain.from_iterable([card.figures for card in page.cards])]
    key = (key, _key(page))
    parts = _kept.get(key)
    if parts is None:
        parts = write(_marked(page)).split(MARK)
        _keep(key, parts)
    return parts[0] + "".join([_filled(part, values) for part in parts[1:]])


def _filled(part: str, values: list[str]) -> str:
    number, _, text = part.partition(".")
    value = values[int(number)]
    return f"{value if isinstance(value, SafeString) else escape(value)}{text}"


def _key(page: Page) -> Hashable:
    worst = page.worst
    cards = tuple([_card_key(card) for card in page.cards])
    return page.template, page.kind, page.details, page.root, page.resources, worst and worst.url, cards


def _card_key(card: Card) -> Hashable:
    result = card.result
    return (
        result.resource,
        result.name,
        result.state,
        result.critical,
        result.error,
        result.cut,
        tuple(result.reasons.items()),
        repr(card.answer),
        tuple(map(bool, card.figures)),
    )


def _marked(page: Page) -> Page:
    """A copy of ``page`` with a mark in the place of each figure there is."""
    numbers = count()
    updated_iso, updated_clock = _mark(next(numbers)), _mark(next(numbers))
    cards = []
    worst = page.worst
    for card in page.cards:
        marks = [_mark(next(numbers)) for _ in card.figures]
        figures = Figures(*[mark if value else "" for value, mark in zip(card.figures, marks, strict=True)])
        result = card.result._replace(duration=0.0, age=0.0, started_at=0.0)
        cards.append(Card(result, card.details, card.root, figures))
    place = page.cards.index(worst) if worst is not None else None
    return Page(
        page.kind, page.details, page.root, page.resources, cards, updated_iso, updated_clock,
        None if place is None else cards[place],
    )  # fmt: skip


def _mark(number: int) -> str:
    return f"{MARK}{number}."


def _keep(key: Hashable, parts: list[str]) -> None:
    if sum(map(len, parts)) > LONGEST:
        return
    with _lock:
        while len(_kept) >= KEPT:
            del _kept[next(iter(_kept))]
        _kept[key] = parts
