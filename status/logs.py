"""What goes to the ``status`` logger: in full for whoever reads the logs, but for the secrets."""

from __future__ import annotations

import logging
import traceback

from status.conf import conf
from status.redaction import redact

logger = logging.getLogger("status")
if not conf.log_to_stderr:
    logger.addHandler(logging.NullHandler())


def log_failure(resource: str, name: str, reason: str, error: BaseException) -> None:
    """A provider failed; ``reason`` is what callers are told."""
    logger.warning("%s/%s failed: %s\n%s", resource, name, reason, _trace(error))


def log_mishap(what: object, error: BaseException) -> None:
    """Something beside a check went wrong: an observer, a connection that would not close."""
    logger.error("%s failed\n%s", getattr(what, "__qualname__", type(what).__name__), _trace(error))


def _trace(error: BaseException) -> str:
    return redact("".join(traceback.format_exception(type(error), error, error.__traceback__)))
