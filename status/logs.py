"""The ``status`` logger. What is logged is complete, but for secrets."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from time import monotonic

from status.redaction import redact

#: Seconds until ``log_once`` logs the same message again: who guesses tokens must not be able to fill a disk.
LOG_EVERY = 60.0

logger = logging.getLogger("status")
_logged_at: dict[str, float] = {}


def log_failure(resource: str, name: str, reason: str, error: BaseException) -> None:
    """Log that a provider failed. ``reason`` is what callers are told."""
    facts = {"resource": resource, "provider": name, "state": "fail"}
    logger.warning("%s/%s failed: %s\n%s", resource, name, reason, trace_of(error), extra=facts)


def log_once(message: str, error: BaseException | None = None, level: int = logging.WARNING) -> None:
    """Log a message, unless the same one was logged in the last minute. ``message`` quotes no caller."""
    now = monotonic()
    if now - _logged_at.get(message, -LOG_EVERY) >= LOG_EVERY:
        _logged_at[message] = now
        trace = "" if error is None else f"\n{trace_of(error)}"
        logger.log(level, "%s (logged at most once in %d s)%s", message, LOG_EVERY, trace)


def call_safely(function: Callable[..., object], *args: object) -> None:
    """Call code whose failure must not change an answer, such as an observer. What it raises is logged."""
    try:
        function(*args)
    except BaseException as error:
        try:
            name = getattr(function, "__qualname__", type(function).__name__)
            logger.error("%s failed\n%s", name, trace_of(error))
        except BaseException:  # a handler of the log raises
            return


def trace_of(error: BaseException) -> str:
    """Return the traceback as Python prints it, without secrets."""
    return redact("".join(traceback.format_exception(type(error), error, error.__traceback__)))
