"""Measures the app beside its peers and writes a table and a plot.

Everything is a ratio to a reference that is measured in the same run: contenders take turns, and what counts is the
median over the rounds, with the spread of their middle half. Outcomes are kept in a file, so that a row can be measured
again without the others.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.benchmarks import alone, report, throughput, waiting
from tests.benchmarks.contest import Outcome, Size, hold

ROWS = sorted([*throughput.ROWS, *waiting.ROWS, *alone.ROWS], key=lambda row: row.number)


def main(arguments: list[str] | None = None) -> int:
    """0 where all measured rows reach their targets, or in quick mode, which measures nothing of worth; else 1."""
    options = parse(arguments)
    size = Size(1, 1, quick=True) if options.quick else Size(options.rounds, options.seconds, quick=False)
    outcomes = load(options.results)
    for row in ROWS:
        if not options.show and (not options.rows or int(row.number) in options.rows):
            outcomes[row.number] = hold(row, size, lambda text: print(text, file=sys.stderr, flush=True))
            save(options.results, outcomes)
    lines = report.lines(ROWS, outcomes)
    fragment = f"Measured with {report.machine()}.\n\n{report.table(lines)}"
    if options.document is None:
        print(fragment)
    else:
        report.into_document(options.document, fragment)
    if options.plot is not None:
        report.plot(lines, options.plot)
    missed = [
        f"row {row.number:g}, {measure.title}: {report.cell(figures['django-status'], measure)} {measure.target}"
        for row, measure, figures in lines
        if not measure.reached(figures["django-status"].median)
    ]
    print("\n".join(["Missed:", *missed]) if missed else "Every target is reached.", file=sys.stderr)
    return 1 if missed and not options.quick else 0


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m tests.benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("rows", nargs="*", type=int, help="numbers of rows, by default all")
    parser.add_argument("--rounds", type=int, default=7, help="rounds for each row (default 7; some rows take more)")
    parser.add_argument("--seconds", type=int, default=3, help="seconds of load in each turn (default 3)")
    parser.add_argument("--quick", action="store_true", help="one short round: whether it works, not how fast it is")
    parser.add_argument("--show", action="store_true", help="measure nothing: table and plot of the kept outcomes")
    parser.add_argument("--results", type=Path, help="a file that keeps the outcomes of rows from run to run")
    parser.add_argument("--document", type=Path, help="the document that gets the table, instead of standard output")
    parser.add_argument("--plot", type=Path, help="where to write the plot, as SVG")
    return parser.parse_args(arguments)


def load(path: Path | None) -> dict[float, Outcome]:
    if path is None or not path.exists():
        return {}
    found = [Outcome.from_dict(data) for data in json.loads(path.read_text())]
    return {outcome.number: outcome for outcome in found}


def save(path: Path | None, outcomes: dict[float, Outcome]) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([outcome.as_dict() for outcome in outcomes.values()]))


if __name__ == "__main__":
    sys.exit(main())
