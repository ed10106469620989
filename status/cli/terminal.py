"""Where the command writes: a terminal, a pipe, a file or nothing at all, and none of them may change the answer."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import TextIO

from status.cli.arguments import CannotAsk

CLEAR_LINE = "\r\x1b[K"
CLEAR_SCREEN = "\x1b[H\x1b[2J"
#: Seconds before a live line appears, and between two states of it.
PATIENCE = 0.3


class Terminal:
    """Standard output and standard error, as far as they are there.

    gone: nobody reads the output any more (``| head``).
    """

    def __init__(self, out: TextIO, err: TextIO, colour: bool = True) -> None:
        self.out, self.err = out, err
        self.gone = False
        #: See https://no-color.org
        wanted = colour and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        self.colour = wanted and _is_terminal(out)

    @property
    def interactive(self) -> bool:
        """Whether a person looks at the output, so that it may be redrawn."""
        return _is_terminal(self.out)

    @property
    def watched(self) -> bool:
        """Whether a person sees the live line."""
        return _is_terminal(self.err)

    def write(self, text: str) -> None:
        """Write ``text`` and end its line. Raises ``CannotAsk`` where it cannot be written."""
        if self.gone or not text:
            return
        try:
            self.out.write(text if text.endswith("\n") else f"{text}\n")
            self.out.flush()
        except BrokenPipeError:
            self.gone = True
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is closed"
            raise CannotAsk(f"the answer cannot be written: {reason}") from error

    def remark(self, text: str) -> None:
        """Write one line beside the answer; it is of no importance whether anybody sees it."""
        try:
            self.err.write(f"{text}\n")
            self.err.flush()
        except (OSError, ValueError):
            pass

    def live(self, text: Callable[[float], str]) -> Live:
        """For ``with``: show ``text(seconds since the start)`` while the block runs, if a person looks."""
        return Live(self, text)


class Live:
    """A line on a terminal that is redrawn while something is waited for, and gone afterwards."""

    def __init__(self, terminal: Terminal, text: Callable[[float], str]) -> None:
        self.terminal = terminal
        self.text = text
        self.done = threading.Event()
        self.drawn = False
        self.thread: threading.Thread | None = None

    def __enter__(self) -> None:
        if self.terminal.watched:
            self.thread = threading.Thread(target=self._draw, name="status-live-line", daemon=True)
            self.thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.done.set()
        if self.thread is not None:
            self.thread.join()
            if self.drawn:
                self._show(CLEAR_LINE)

    def _draw(self) -> None:
        started = monotonic()
        while not self.done.wait(PATIENCE):
            self.drawn = True
            self._show(CLEAR_LINE + self.text(monotonic() - started)[: _width(self.terminal.err) - 1])

    def _show(self, text: str) -> None:
        try:
            self.terminal.err.write(text)
            self.terminal.err.flush()
        except (OSError, ValueError):
            self.done.set()


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # something that only looks like a stream, or is closed
        return False


def _width(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
