"""What a person reads: a tree of what was asked, aligned, and the same without colour."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from status.formats.components import components, one_line, overall, summary
from status.report import Report, Result, State
from status.serialization import JSON

#: How a state is said, and in which colour (ANSI SGR).
MARKS: dict[State, tuple[str, str]] = {
    "pass": ("ok", "32"),
    "warn": ("warn", "33"),
    "fail": ("FAIL", "1;31"),
    "running": ("...", "36"),
    "info": ("", "0"),
}
TROUBLE = ("fail", "warn", "running")
#: Names longer than this do not push the second column any further.
MAX_NAME = 40


class Row(NamedTuple):
    """One line: a name at its depth, a state where there is one, and remarks."""

    depth: int
    name: str
    state: State = "info"
    remark: str = ""

    @property
    def label(self) -> str:
        return "  " * self.depth + self.name

    def written(self, width: int, colour: bool) -> str:
        mark, code = MARKS[self.state]
        padded = f"{mark:<4}"
        if colour and mark:
            padded = f"\x1b[{code}m{padded}\x1b[0m"
        return f"{self.label:<{width}}  {padded}  {self.remark}".rstrip()


def render(report: Report, colour: bool = False, only_trouble: bool = False) -> str:
    """The report as lines for people, each ended. ``only_trouble`` leaves out what is in order."""
    rows = list(_rows(report, only_trouble))
    width = min(MAX_NAME, max((len(row.label) for row in rows), default=0))
    lines = [row.written(width, colour) for row in rows]
    if any(result.judged for result in report.results):
        mark, code = MARKS[overall(report)]
        lines.append(f"\x1b[{code}m{mark}\x1b[0m: {summary(report)}" if colour else f"{mark}: {summary(report)}")
    return "".join(f"{line}\n" for line in lines)


def _rows(report: Report, only_trouble: bool) -> Iterator[Row]:
    for resource in report.resources:
        results = [result for result in report.of(resource) if not only_trouble or result.state in TROUBLE]
        if results or not only_trouble:
            yield Row(0, one_line(resource))
        for result in results:
            yield from _result_rows(result, only_trouble)


def _result_rows(result: Result, only_trouble: bool) -> Iterator[Row]:
    remarks = [f"{result.duration:.3f} s"]
    if result.age:
        remarks.append(f"{result.age:.1f} s old")
    if result.cut:
        remarks.append(f"{result.cut:,} values cut")
    inner: list[Row] = []
    for component in components(result, details=True):
        if only_trouble and component.state not in TROUBLE:
            continue
        if component.name is None:
            if component.output is not None:
                remarks.append(one_line(component.output))
            elif component.value is not None and not isinstance(result.answer, dict):
                inner.extend(_value_rows(2, component.value))
        else:
            inner.extend(_component_rows(component.name, component.value, component.state, component.output))
    yield Row(1, one_line(result.name), result.state, ", ".join(remarks))
    yield from inner


def _component_rows(name: str, value: JSON, state: State, output: str | None) -> Iterator[Row]:
    # A judged yes or no is said by its mark.
    shown = "" if isinstance(value, bool) and state != "info" else _scalar(value)
    remarks = [text for text in (shown, one_line(output or "")) if text]
    yield Row(2, one_line(name), state, ", ".join(remarks))
    if not shown:
        yield from _value_rows(3, value)


def _value_rows(depth: int, value: JSON) -> Iterator[Row]:
    """A row for each entry of a container, and one for anything else; nothing for a yes or no that has its mark."""
    entries: Iterable[tuple[str, JSON]]
    if isinstance(value, dict):
        entries = value.items()
    elif isinstance(value, list):
        entries = ((f"{number}", item) for number, item in enumerate(value, 1))
    else:
        if depth == 2:
            yield Row(depth, _scalar(value))
        return
    for name, item in entries:
        text = _scalar(item)
        yield Row(depth, one_line(name), remark=text)
        if not text:
            yield from _value_rows(depth + 1, item)


def _scalar(value: JSON) -> str:
    """A value that fits into its line, else nothing."""
    if isinstance(value, str):
        return one_line(value) or '""'
    if isinstance(value, list) and value and not any(isinstance(item, (dict, list)) for item in value):
        return one_line(", ".join(map(_scalar, value)))
    if isinstance(value, (dict, list)):
        return "" if value else str(value)
    return "null" if value is None else str(value).lower()
