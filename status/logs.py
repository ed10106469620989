"""The ``status`` logger: one line for what happens, without secrets; tracebacks follow at level DEBUG."""

from __future__ import annotations

import logging
import math
import traceback
from collections.abc import Callable
from time import monotonic

#: Seconds until ``log_once`` logs the same message again: who guesses tokens must not be able to fill a disk.
LOG_EVERY = 60.0

logger = logging.getLogger("status")
_logged_at: dict[str, float] = {}


def log_change(resource: str, name: str, old: str | None, state: str, reason: str, sound: bool) -> None:
    """Log in one line that a check has changed its state; a recovery at the level of the failure.

    old, state: what was told before, None where it was never seen, and what it is now.
    reason: why, in safe sentences.
    sound: whether its answer holds no failure.
    """
    address = f"{resource}/{name}"
    facts = {"resource": resource, "provider": name, "state": state}
    if state == "pass":
        logger.log(logging.ERROR if old == "fail" else logging.WARNING, "%s recovered", address, extra=facts)
    elif state == "fail":
        logger.error("%s is failing: %s", address, reason, extra=facts)
    elif sound:
        logger.warning("%s warns: %s", address, reason, extra=facts)
    else:
        logger.warning("%s is failing, which only warns: %s", address, reason, extra=facts)


def log_failure(resource: str, name: str, reason: str, error: BaseException) -> None:
    """Log why a provider failed. ``reason`` is what callers are told.

    At level DEBUG, as ``log_change`` tells the change of its state, and one outage may fail many components.
    """
    if logger.isEnabledFor(logging.DEBUG):
        # Late, as in ``serialization``.
        from status.redaction import redact

        name = redact(name)  # that of a component may come from anywhere
        facts = {"resource": resource, "provider": name, "state": "fail"}
        logger.debug("%s/%s failed: %s\n%s", resource, name, reason, trace_of(error), extra=facts)


class FailureLog:
    """Logs why one check fails: once for as long as it is the same, and at most once in a while, however it flaps.

    resource, name: those of the check.
    every: seconds between two entries.
    """

    every = LOG_EVERY

    def __init__(self, resource: str, name: str) -> None:
        self.resource, self.name = resource, name
        self._reason: str | None = None
        self._logged_at = -math.inf

    def failed(self, reason: str, error: BaseException) -> None:
        """Note that the check failed. ``reason`` is what callers are told."""
        if reason != self._reason and monotonic() - self._logged_at >= self.every:
            self._reason, self._logged_at = reason, monotonic()
            call_safely(log_failure, self.resource, self.name, reason, error)

    def passed(self) -> None:
        """Note that the check did not fail."""
        self._reason = None


def log_once(
    message: str, error: BaseException | None = None, level: int = logging.WARNING, *, example: str = ""
) -> None:
    """Log a message, unless the same one was logged in the last minute. ``message`` quotes no caller.

    error: its class is told, unless the message is a sentence, and its traceback where the level is DEBUG.
    example: what may differ from time to time, added to the message.
    """
    now = monotonic()
    if now - _logged_at.get(message, -LOG_EVERY) >= LOG_EVERY:
        _logged_at[message] = now
        what = message if error is None or message.endswith(".") else f"{message}: {type(error).__name__}"
        logger.log(level, "%s%s (logged at most once in %d s)", what, example, LOG_EVERY)
        if error is not None and logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s\n%s", message, trace_of(error))


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
    # Late, as in ``serialization``.
    from status.redaction import redact

    return redact("".join(traceback.format_exception(type(error), error, error.__traceback__)))
