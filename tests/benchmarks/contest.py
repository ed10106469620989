"""Contenders in turn, round by round, and what comes of it: medians and their spread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from statistics import median, quantiles
from typing import Any

REFERENCE = "reference"
OURS = "django-status"
HEALTH_CHECK = "django-health-check"
WATCHMAN = "django-watchman"
CONTENDERS = (OURS, HEALTH_CHECK, WATCHMAN)

#: One turn of a contender: its values by the names of the row's measures.
Turn = Callable[[], Mapping[str, float]]


@dataclass(frozen=True)
class Measure:
    """What is told of each contender in a row.

    key: the name of the value in what a turn answers.
    title: what it is, in the table; unique in its row.
    limit: the target; ``more`` says on which side of it is good.
    unit: of what is told: "" for ratios, else the unit of the values as they are.
    reference: by what a value is divided: the name of a contender, or a number. None: told as it is.
    less: the name of a contender whose value is taken off.
    """

    key: str
    title: str
    limit: float | None = None
    more: bool = False
    unit: str = ""
    reference: str | float | None = REFERENCE
    less: str | None = None

    def reached(self, value: float) -> bool:
        return self.limit is None or (value >= self.limit if self.more else value <= self.limit)

    @property
    def target(self) -> str:
        return "" if self.limit is None else f"{'≥' if self.more else '≤'} {self.limit:g}{self.unit}"


@dataclass(frozen=True)
class Size:
    """How long to measure. ``quick`` proves only that the command works."""

    rounds: int
    seconds: int
    quick: bool


@dataclass(frozen=True)
class Row:
    """One line of work. ``prepare`` starts what it needs and answers the contenders' turns."""

    number: float
    title: str
    against: str
    measures: tuple[Measure, ...]
    prepare: Callable[[Size], AbstractContextManager[dict[str, Turn]]]
    #: Rounds for each one that is asked for: what is short or noisy takes more.
    often: int = 1
    #: Rounds at most, for what takes long.
    most: int = 100
    #: Rounds after which all is started anew: of two like servers, one may be faster by a few percent all its life.
    anew: int = 100


@dataclass
class Figure:
    """What is told of one contender in one measure."""

    median: float
    low: float
    high: float
    rounds: int


@dataclass
class Outcome:
    """All figures of a row: title of the measure -> contender -> figure."""

    number: float
    figures: dict[str, dict[str, Figure]] = field(default_factory=dict)
    #: As measured, for whoever wants to look: contender -> key -> one value for each round.
    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Outcome:
        figures = {
            key: {name: Figure(**figure) for name, figure in by_name.items()}
            for key, by_name in data["figures"].items()
        }
        return cls(data["number"], figures, data["values"])


def hold(row: Row, size: Size, tell: Callable[[str], None]) -> Outcome:
    """All rounds of a row. Who begins a round changes, so that nobody is always the one after the heaviest."""
    outcome = Outcome(row.number)
    rounds = range(size.rounds if size.quick else min(size.rounds * row.often, row.most))
    for start in rounds[:: row.anew]:
        with row.prepare(size) as turns:
            for number in rounds[start : start + row.anew]:
                _play(turns, number, outcome)
                tell(f"row {row.number:g}, round {number + 1}: {_newest(outcome)}")
    for measure in row.measures:
        outcome.figures[measure.title] = {
            name: figure_of(_compared(measure, outcome.values, name))
            for name in outcome.values
            if measure.key in outcome.values[name]
        }
    return outcome


def _play(turns: Mapping[str, Turn], number: int, outcome: Outcome) -> None:
    """One round, begun by another contender than the one before."""
    names = list(turns)
    first = number % len(names)
    for name in names[first:] + names[:first]:
        for key, value in turns[name]().items():
            outcome.values.setdefault(name, {}).setdefault(key, []).append(value)


def figure_of(values: list[float]) -> Figure:
    """The median, and between which values the middle half lies."""
    low, _, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return Figure(median(values), low, high, len(values))


def _compared(measure: Measure, values: Mapping[str, Mapping[str, list[float]]], name: str) -> list[float]:
    """Each round's value beside the reference of the same round."""
    own = values[name][measure.key]
    if measure.less is not None:
        own = [value - other for value, other in zip(own, values[measure.less][measure.key], strict=True)]
    if measure.reference is None:
        return own
    if isinstance(measure.reference, str):
        return [value / other for value, other in zip(own, values[measure.reference][measure.key], strict=True)]
    return [value / measure.reference for value in own]


def _newest(outcome: Outcome) -> str:
    return ", ".join(
        f"{name} " + " ".join(f"{key}={series[-1]:.5g}" for key, series in by_key.items())
        for name, by_key in outcome.values.items()
    )
