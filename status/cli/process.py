"""How the process ends: with the right code, quietly, and never later than the answer."""

from __future__ import annotations

import os
import sys
import threading
from io import StringIO, TextIOWrapper
from signal import SIGINT, SIGTERM, signal
from typing import NoReturn, TextIO

from status.cli.terminal import CLEAR_LINE
from status.conf import conf

#: The name of a thread that talks to a server. One that is alive at the end was given up.
REQUEST_THREAD = "status-request"


def end_quietly() -> None:
    """Ctrl-C ends the process with 130, SIGTERM with 143, as shells count, at once and without a trace.

    Also as the first process of a container, where SIGTERM without a handler does nothing.
    """
    for number in (SIGINT, SIGTERM):
        signal(number, _end)


def _end(number: int, frame: object) -> None:
    if os.isatty(2):
        os.write(2, CLEAR_LINE.encode())
    os._exit(128 + number)


def keep_log_off_stderr() -> None:
    """The answer says what fails, in words that are safe to mail. A log that is configured goes on as ever."""
    conf.log_to_stderr = False
    logging = sys.modules.get("logging")  # imported for this it would take as long as the whole answer of ``ping``
    if logging is not None:
        logging.getLogger("status").addHandler(logging.NullHandler())


def standard_streams() -> tuple[TextIO, TextIO]:
    """Standard output and error, which are there and take every character whatever the locale."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    return sys.stdout or StringIO(), sys.stderr or StringIO()  # None where our caller has closed them


def leave(code: int, at_once: bool) -> NoReturn:
    """End the process. ``at_once`` where something is left running, for which the interpreter might wait."""
    at_once = at_once or any(thread.name == REQUEST_THREAD for thread in threading.enumerate())
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        at_once = True  # the interpreter would flush again, and complain
    if at_once:
        os._exit(code)
    sys.exit(code)
