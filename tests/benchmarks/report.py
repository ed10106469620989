"""The outcomes as a table for the documentation, and as a plot."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks.contest import CONTENDERS, HEALTH_CHECK, OURS, WATCHMAN, Figure, Measure, Outcome, Row

COLOURS = {OURS: "#0a7d4f", HEALTH_CHECK: "#c2703d", WATCHMAN: "#4b6fae"}
PACKAGES = ("Django", "gunicorn", "uvicorn", "celery", "psycopg", "redis", HEALTH_CHECK, WATCHMAN)
#: Begins and ends what is written into the document; the rest of it is written by people.
BEGIN, END = ".. benchmarks-begin\n", ".. benchmarks-end\n"
Lines = Sequence[tuple[Row, Measure, Mapping[str, Figure]]]


def lines(rows: Sequence[Row], outcomes: Mapping[float, Outcome]) -> Lines:
    """Every measure of every row that there are figures for."""
    return [
        (row, measure, outcomes[row.number].figures[measure.title])
        for row in rows
        if row.number in outcomes
        for measure in row.measures
    ]


def table(lines: Lines) -> str:
    text = [".. list-table::", "   :header-rows: 1", "   :widths: 4 36 14 12 12 12 12", ""]
    text += _cells("Row", "Work", "Measured", "Target", *CONTENDERS)
    for row, measure, figures in lines:
        title = f"{row.title}; 1 = {row.against}" if row.against and measure.reference is not None else row.title
        cells = [cell(figures.get(name), measure) for name in CONTENDERS]
        text += _cells(str(int(row.number)), title, measure.title, measure.target, *cells)
    return "\n".join(text) + "\n"


def cell(figure: Figure | None, measure: Measure) -> str:
    """The median, and in brackets between which values the middle half of the rounds lies."""
    if figure is None:
        return "–"
    low, middle, high = (_number(value) for value in (figure.low, figure.median, figure.high))
    spread = "" if low == high else f" ({low} to {high})"
    return f"{middle}{measure.unit}{spread}"


def _number(value: float) -> str:
    digits = 0 if abs(value) >= 100 or value == int(value) else 1 if abs(value) >= 10 else 2
    return f"{value + 0.0:,.{digits}f}"


def _cells(*cells: str) -> list[str]:
    return [f"   {'*' if number == 0 else ' '} - {cell}" for number, cell in enumerate(cells)]


def machine() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, {packages}"


def into_document(path: Path, fragment: str) -> None:
    """Replace what stands between the marks."""
    before, _, rest = path.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n{fragment}\n{END}{after}")


def plot(lines: Lines, path: Path) -> None:
    """The ratios, in two halves: where more is better, and where less is."""
    # Late: the table can do without.
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "django-status", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot

    ratios = [line for line in lines if line[1].reference is not None]
    halves = [
        ("Throughput, 1 = the reference: more is better", [line for line in ratios if line[1].more]),
        ("Time or CPU, 1 = the reference: less is better", [line for line in ratios if not line[1].more]),
    ]
    figure, axes = pyplot.subplots(2, 1, figsize=(9, 10), layout="constrained")
    for axis, (title, half) in zip(axes, halves, strict=True):
        _draw(axis, title, half)
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    # Without the blanks that the library leaves at the ends of lines.
    path.write_text("".join(f"{line.rstrip()}\n" for line in path.read_text().splitlines()))


def _draw(axis, title: str, lines: Lines) -> None:
    height = 0.26
    for place, (_, measure, figures) in enumerate(lines):
        for number, name in enumerate(name for name in CONTENDERS if name in figures):
            found = figures[name]
            spread = [[found.median - found.low], [found.high - found.median]]
            where = place + (number - 1) * height
            axis.barh(where, found.median, height, color=COLOURS[name], xerr=spread, ecolor="#333333")
            axis.annotate(_number(found.median), (found.high, where), (4, 0), textcoords="offset points", va="center")
        if measure.limit is not None:
            axis.plot([measure.limit] * 2, [place - 0.45, place + 0.45], color="#b00020", linewidth=1.5)
    axis.axvline(1, color="#333333", linewidth=0.8)
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_formatter("{x:g}" if axis.get_xlim()[1] < 10 else "")
    axis.set_yticks(range(len(lines)), [_label(row) for row, _, _ in lines])
    axis.invert_yaxis()
    axis.margins(x=0.12)
    axis.set_title(title, loc="left")
    for name in CONTENDERS:
        axis.barh(0, 0, color=COLOURS[name], label=name)
    axis.plot([], [], color="#b00020", label="target")
    axis.legend(loc="best", fontsize=8)


def _label(row: Row) -> str:
    words, text = row.title.split(), [f"{int(row.number)}."]
    for word in words:
        text.append(word)
        if len(" ".join(text).rpartition("\n")[2]) > 26:
            text[-1] = "\n" + text[-1]
    return " ".join(text)
