"""What the command prints, and where: a report for people, on a terminal, a pipe, a file or nothing at all."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from io import BytesIO, TextIOWrapper
from time import monotonic
from typing import NamedTuple, TextIO

from status.cli.arguments import CannotAsk
from status.report import Report, Result, State, components, one_line, overall, summary
from status.serialization import JSON
from status.threads import start_call, wait

CLEAR_LINE = "\r\x1b[K"
CLEAR_SCREEN = "\x1b[H\x1b[2J"
#: The word for a state, and its colour (ANSI SGR).
MARKS: dict[State, tuple[str, str]] = {
    "pass": ("ok", "32"),
    "warn": ("warn", "33"),
    "fail": ("FAIL", "1;31"),
    "running": ("...", "36"),
    "info": ("", "0"),
}
TROUBLE = ("fail", "warn", "running")
#: Names longer than this do not push the second column any further.
MAX_NAME_WIDTH = 40


class Kept(TextIOWrapper):
    """Keeps what is written to it instead of ``stream``, and has the number of that file."""

    def __init__(self, stream: TextIO) -> None:
        self.bytes, self.stream = BytesIO(), stream
        super().__init__(self.bytes, "utf-8", "backslashreplace", write_through=True)

    def fileno(self) -> int:
        return self.stream.fileno()

    def take(self) -> str:
        """Return what was written since this was called last."""
        text = self.bytes.getvalue().decode()
        self.bytes.seek(0)
        self.bytes.truncate()
        return text


class Terminal:
    """Standard output and standard error. Who reads them no more does not change the exit code.

    colour: whether the output takes ANSI colours.
    interactive: whether a person looks at standard output, so that it may be redrawn.
    watched: whether a person looks at standard error, so that a live line is shown there.
    gone: nobody reads the output any more (``| head``).
    printed: what was printed, where that is kept until there is an answer.
    live_seconds: until a live line appears, and between two states of it.
    """

    live_seconds = 0.3

    def __init__(self, out: TextIO, err: TextIO, colour: bool = True) -> None:
        self.out, self.err, self.gone = out, err, False
        self.printed = Kept(err)
        self.interactive, self.watched = _is_terminal(out), _is_terminal(err)
        # See https://no-color.org
        wanted = colour and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self.colour = wanted and self.interactive

    def write(self, text: str) -> None:
        """Write the text and end its line, and then what was printed. Raises CannotAsk where it cannot be written."""
        if self.gone or not text:
            self.printed.take()
            return
        try:
            self.out.write(text if text.endswith("\n") else f"{text}\n")
            self.out.flush()
        except BrokenPipeError:
            self.gone = True
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is closed"
            raise CannotAsk(f"the answer cannot be written: {reason}") from error
        self.write_printed()

    def write_printed(self) -> None:
        """Write to standard error what was printed and kept."""
        if text := self.printed.take():
            with suppress(OSError, ValueError):
                self.err.write(text)
                self.err.flush()

    @contextmanager
    def set_apart(self, quiet: bool) -> Iterator[TextIO]:
        """Send what is printed in the block to standard error, and give that stream.

        quiet: keep it until an answer is written, and where that is silent, drop it.
        """
        if not quiet:
            with redirect_stdout(self.err):
                yield self.err
            return
        with redirect_stdout(self.printed), redirect_stderr(self.printed):
            yield self.printed

    def tell(self, text: str) -> None:
        """Write what the exit code says as well. Where that cannot be written, say so on standard error instead."""
        try:
            self.write(text)
        except CannotAsk as error:
            self.remark(str(error))

    def remark(self, text: str) -> None:
        """Write one line to standard error, if anybody reads it."""
        with suppress(OSError, ValueError):
            self.err.write(f"{text}\n")
            self.err.flush()

    @contextmanager
    def live_line(self, text: Callable[[float], str]) -> Iterator[None]:
        """Show ``text(seconds since the start)`` on a terminal while the block runs, and clear it afterwards."""
        done, started = threading.Event(), monotonic()

        def draw() -> None:
            # A terminal that goes away raises, and with it ends the thread.
            drawn, width = "", 80
            while not done.wait(self.live_seconds):
                with suppress(OSError, ValueError):
                    width = os.get_terminal_size(self.err.fileno()).columns or 80
                drawn = text(monotonic() - started)[: width - 1]
                self.err.write(f"{CLEAR_LINE}{drawn}")
                self.err.flush()
            self.err.write(CLEAR_LINE if drawn else "")
            self.err.flush()

        drawing = start_call(draw, "status-live-line") if self.watched else None
        try:
            yield
        finally:
            done.set()
            if drawing is not None:
                wait(drawing, None)


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # something that only looks like a stream, or is closed
        return False


class Row(NamedTuple):
    """One line of a report: a name at its depth, a state where there is one, and remarks."""

    depth: int
    name: str
    state: State = "info"
    remark: str = ""


def human_text(report: Report, colour: bool = False, only_trouble: bool = False) -> str:
    """Return the report as aligned lines for people, each ended. ``only_trouble`` leaves out what is in order."""
    rows = []
    for resource in report.resources:
        results = [result for result in report.of(resource) if not only_trouble or result.state in TROUBLE]
        if results or not only_trouble:
            rows.append(Row(0, resource))
        for result in results:
            rows.extend(_result_rows(result, only_trouble))
    labels = ["  " * row.depth + one_line(row.name) for row in rows]
    width = min(MAX_NAME_WIDTH, max(map(len, labels), default=0))
    lines = []
    for label, row in zip(labels, rows, strict=True):
        word, code = MARKS[row.state]
        mark = f"\x1b[{code}m{word:<4}\x1b[0m" if colour and word else f"{word:<4}"
        lines.append(f"{label:<{width}}  {mark}  {row.remark}".rstrip())
    if any(result.judged for result in report.results):
        word, code = MARKS[overall(report)]
        mark = f"\x1b[{code}m{word}\x1b[0m" if colour else word
        lines.append(f"{mark}: {summary(report)}")
    return "".join(f"{line}\n" for line in lines)


def fleet_text(document: Mapping[str, JSON]) -> str:
    """Return what ``/status/api/fleet`` answers as aligned lines for people: the members, or their numbers by role.

    It may come from any server.
    """
    rows = [["role", "process", "state", "commit", "heard"]]
    members, roles, warnings = (document.get(name) for name in ("members", "roles", "warnings"))
    for member in members if isinstance(members, list) else ():
        told = member if isinstance(member, dict) else {}
        process = f"{told.get('host')}:{told.get('pid')}"
        commit = str(told.get("commit") or "unknown")[:12]
        fields = (told.get("role"), process, told.get("state"), commit, told.get("seen"))
        rows.append([one_line(str(field)) for field in fields])
    if len(rows) == 1:
        rows = [["role", "state", "processes"]]
        for role, states in roles.items() if isinstance(roles, dict) else ():
            for state, number in states.items() if isinstance(states, dict) else ():
                rows.append([one_line(role), one_line(state), one_line(str(number))])
    widths = [min(MAX_NAME_WIDTH, max(map(len, column))) for column in zip(*rows, strict=True)]
    lines = ["  ".join(f"{field:<{width}}" for field, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += [f"warning: {one_line(str(text))}" for text in (warnings if isinstance(warnings, list) else ())]
    lines += [f"error: {one_line(str(document['error']))}"] if "error" in document else []
    return "".join(f"{line}\n" for line in lines)


def _result_rows(result: Result, only_trouble: bool) -> Iterator[Row]:
    remarks = [] if result.duration is None else [f"{result.duration:.3f} s"]
    if result.age:
        remarks.append(f"{result.age:.1f} s old")
    if result.cut:
        remarks.append(f"{result.cut:,} values cut")
    # Where all took the same time, it is that of the whole check.
    timed = result.durations if len(set(result.durations.values())) > 1 else {}
    inner: list[Row] = []
    for component in components(result, details=True):
        if only_trouble and component.state not in TROUBLE:
            continue
        value, output = component.value, one_line(component.output or "")
        if component.name is not None:
            # The mark of a judged yes or no says it.
            shown = "" if isinstance(value, bool) and component.state != "info" else _text_of(value)
            own = f"{result.durations[component.name]:.3f} s" if component.name in timed else ""
            remark = ", ".join(text for text in (own, shown, output) if text)
            inner.append(Row(2, component.name, component.state, remark))
            if not shown:
                inner.extend(_value_rows(3, value))
        elif output:
            remarks.append(output)
        elif value is not None and not isinstance(result.answer, dict):
            inner.extend(_value_rows(2, value) if isinstance(value, (dict, list)) else [Row(2, _text_of(value))])
    yield Row(1, result.name, result.state, ", ".join(remarks))
    yield from inner


def _value_rows(depth: int, value: JSON) -> Iterator[Row]:
    """Return a row for each entry of a container, at any depth."""
    if isinstance(value, list):
        value = {str(number): item for number, item in enumerate(value, 1)}
    for name, item in value.items() if isinstance(value, dict) else ():
        text = _text_of(item)
        yield Row(depth, name, remark=text)
        if not text:
            yield from _value_rows(depth + 1, item)


def _text_of(value: JSON) -> str:
    """Return a value that fits into its line, else nothing."""
    if isinstance(value, str):
        return one_line(value) or '""'
    if isinstance(value, list) and value and not any(isinstance(item, (dict, list)) for item in value):
        return one_line(", ".join(map(_text_of, value)))
    if isinstance(value, (dict, list)):
        return "" if value else str(value)
    return "null" if value is None else str(value).lower()
