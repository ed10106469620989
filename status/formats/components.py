"""A report in pieces: what the formats that write one entry for each component have in common."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from status.report import Report, Result, State, is_sound
from status.serialization import JSON

#: Entries of one answer that are written one by one. An answer with more than that is no list of components.
MAX_COMPONENTS = 500
#: Characters of a name or a sentence that are written; names may come from anywhere, for example from a worker.
MAX_LENGTH = 200
#: What ends a line somewhere, or is not meant to be seen: control characters and Unicode's own line ends.
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Component(NamedTuple):
    """One entry of a provider's answer, as a caller may see it.

    name: the entry's key; None where the provider as a whole is meant.
    value: None where the provider failed itself or still runs.
    state: by the same rule as the result's own.
    output: a safe sentence: why it fails, or that it still runs; None otherwise, and where it may not be shown.
    """

    result: Result
    name: str | None
    value: JSON
    state: State
    output: str | None = None

    @property
    def address(self) -> str:
        """``resource/provider/component``, in one word: spaces and unseen characters become ``_``."""
        names = (self.result.resource, self.result.name, self.name)
        return "/".join(re.sub(r"\s", "_", one_line(name)) for name in names if name is not None)


def components(result: Result, details: bool) -> Iterator[Component]:
    """The entries of the answer as a caller may see it; the provider as a whole where the answer has no entries.

    The whole also stands after the entries where none of those shown says why the provider fails, so that a failure
    never disappears with the part of an answer that is for authority only, or too long.
    """
    answer = result.answer_for(details)
    if result.running or result.error is not None or not isinstance(answer, dict) or not answer:
        yield _whole(result, details)
        return
    entries = list(answer.items())
    if len(entries) > MAX_COMPONENTS:
        entries.sort(key=lambda entry: is_sound(entry[1]))
    told = False
    for name, value in entries[:MAX_COMPONENTS]:
        state = _state(result, is_sound(value))
        told = told or state == result.state
        reason = result.reasons.get(name) if details and state in ("fail", "warn") else None
        yield Component(result, name, value, state, reason)
    if len(entries) > MAX_COMPONENTS:
        yield Component(result, None, None, result.state, f"{len(entries) - MAX_COMPONENTS:,} more not shown")
    elif not told:
        yield _whole(result, details)


def overall(report: Report) -> Literal["pass", "warn", "fail"]:
    """The report in one word. What still runs is no pass; nor is it an outage, so it keeps the HTTP status."""
    if report.state == "pass" and any(result.running for result in report.results):
        return "warn"
    return report.state


def summary(report: Report) -> str:
    """The report in half a sentence: how many checks fail, and which. For everyone."""
    judged = [result for result in report.results if result.judged]
    failing = [result for result in judged if result.state == "fail"]
    warning = [result for result in judged if result.state == "warn"]
    running = [result for result in report.results if result.running]
    parts = [
        f"{len(results)} of {_count(len(of), 'check')} {word}: {_names(results)}"
        for results, of, word in (
            (failing, judged, "failing"),
            (warning, judged, "warning"),
            (running, report.results, "still running"),
        )
        if results
    ]
    if parts:
        return "; ".join(parts)
    return f"{_count(len(judged), 'check')} passed" if judged else "nothing is judged here"


def one_line(text: str) -> str:
    """Text that stays in its line whoever reads it: unseen characters become ``_``, and it is cut at ``MAX_LENGTH``."""
    seen = _UNSEEN.sub("_", text[: MAX_LENGTH + 1])
    return seen if len(seen) <= MAX_LENGTH else f"{seen[: MAX_LENGTH - 1]}…"


def error_for(result: Result, details: bool) -> str | None:
    """Why the provider failed itself, as a caller may know it."""
    if result.error is None or details:
        return result.error
    public = result.public_answer
    error = public.get("error") if isinstance(public, dict) else None
    return error if isinstance(error, str) else None


def _whole(result: Result, details: bool) -> Component:
    if result.running:
        return Component(result, None, None, "running", "still running")
    if result.error is not None:
        return Component(result, None, None, result.state, error_for(result, details))
    reasons = "; ".join(result.reasons.values()) if details and result.state in ("fail", "warn") else ""
    return Component(result, None, result.answer_for(details), result.state, reasons or None)


def _state(result: Result, sound: bool) -> State:
    if not result.judged:
        return "info"
    if sound:
        return "pass"
    return "fail" if result.critical else "warn"


def _names(results: list[Result]) -> str:
    shown = ", ".join(one_line(f"{result.resource}/{result.name}") for result in results[:5])
    return f"{shown}, ..." if len(results) > 5 else shown


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
