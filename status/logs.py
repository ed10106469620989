"""What goes to the ``status`` logger: in full for whoever reads the logs, but for the secrets."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from time import monotonic

from status.conf import conf
from status.redaction import redact

#: Seconds until the same refusal is logged again: whoever guesses tokens must not be able to fill a disk.
QUIET_SECONDS = 60.0

logger = logging.getLogger("status")
_refusals: dict[str, float] = {}
if not conf.log_to_stderr:
    logger.addHandler(logging.NullHandler())


def log_failure(resource: str, name: str, reason: str, error: BaseException) -> None:
    """A provider failed; ``reason`` is what callers are told."""
    logger.warning("%s/%s failed: %s\n%s", resource, name, reason, trace_of(error))


def log_mishap(what: object, error: BaseException) -> None:
    """Something beside a check went wrong: an observer, a connection that would not close."""
    logger.error("%s failed\n%s", getattr(what, "__qualname__", type(what).__name__), trace_of(error))


def log_refusal(what: str, error: BaseException | None = None) -> None:
    """Somebody was refused, for a reason that the log should know; told once in a while. ``what`` quotes nobody."""
    now = monotonic()
    if now - _refusals.get(what, -QUIET_SECONDS) >= QUIET_SECONDS:
        _refusals[what] = now
        trace = "" if error is None else f"\n{trace_of(error)}"
        logger.warning("%s (logged at most once in %d s)%s", what, QUIET_SECONDS, trace)


def call_safely(function: Callable[..., object], *args: object) -> None:
    """Call code whose failure must not change an answer. What it raises goes to the log."""
    try:
        function(*args)
    except BaseException as error:
        try:
            log_mishap(function, error)
        except BaseException:  # a handler of the log that raises: then there is nobody left to tell
            return


def trace_of(error: BaseException) -> str:
    """The traceback as Python prints it, without the secrets."""
    return redact("".join(traceback.format_exception(type(error), error, error.__traceback__)))
