"""One question, from names to a report. Every door (addresses, pages, commands, middleware) asks through here."""

from __future__ import annotations

from status.engine import engine
from status.registry import Selection
from status.report import Report, Result


def inquire(selection: Selection, timeout: float | None = None, patience: float | None = None) -> Report:
    """Run what ``registry.select()`` chose and report.

    timeout: seconds each provider may take, instead of its own deadline.
    patience: seconds to wait; what takes longer is reported as running.
    """
    return _report(selection, engine.run(selection.checks, timeout, patience))


async def ainquire(selection: Selection, timeout: float | None = None, patience: float | None = None) -> Report:
    """The same on an event loop, without blocking it."""
    return _report(selection, await engine.arun(selection.checks, timeout, patience))


def _report(selection: Selection, results: tuple[Result, ...]) -> Report:
    return Report(results, selection.resources, selection.resource, selection.provider)
