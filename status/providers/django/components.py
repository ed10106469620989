"""What databases and caches share: one component for each alias, each with an answer and a deadline of its own."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterable
from time import monotonic
from typing import TypeVar

from django.db import connections

from status.conf import conf
from status.providers.base import Answer, Provider, deadline
from status.providers.django.lines import Line

T = TypeVar("T")

#: The part of the time left, and the seconds at least, by which components answer before the run itself is overdue.
MARGIN, MARGIN_SECONDS = 0.05, 0.05


class Failing(Exception):
    """The service answers, but not as it should. The text is safe to show."""


class Components(Provider):
    """``{alias: bool}``, with a reason for each ``false``.

    An entry's ``aliases`` (a list of names) chooses; without it every configured alias is asked.
    """

    #: The setting that holds the aliases, as reasons call it.
    setting: str

    def __init__(self) -> None:
        # By process: a forked child has neither the threads nor the locks of its parent.
        self._lines: dict[tuple[int, str], Line] = {}
        #: What the log holds already of each alias that fails.
        self._logged: dict[str, str] = {}

    def configured(self) -> Iterable[str]:
        """The aliases that are asked where the entry names none."""
        raise NotImplementedError

    def ask(self, alias: str, in_place: bool) -> None:
        """Ask one service; raise whatever is wrong with it. ``in_place``: in the caller's thread, so never wait."""
        raise NotImplementedError

    def waits(self, alias: str) -> bool:
        """Whether asking this one may wait for anything. Must itself never wait."""
        raise NotImplementedError

    def check(self, aliases: Iterable[str] | None = None) -> Answer:
        reasons = self.reasons(aliases)
        return Answer(
            {alias: reason is None for alias, reason in reasons.items()},
            {alias: reason for alias, reason in reasons.items() if reason is not None},
        )

    def may_block(self, aliases: Iterable[str] | None = None) -> bool:
        try:
            return any(self.waits(alias) for alias in self._names(aliases))
        except Exception:  # broken settings: the check will say so, where that harms nobody
            return True

    def reasons(self, aliases: Iterable[str] | None = None) -> dict[str, str | None]:
        """Alias -> None when all is well, else a safe sentence. All are asked side by side, within ``deadline()``."""
        names = self._names(aliases)
        end = deadline()
        waiting = [alias for alias in names if end is not None and self.waits(alias)]
        if end is None or (waiting and conf.synchronous):
            return self._call(names)
        left = end - monotonic()
        until = end - min(max(left * MARGIN, MARGIN_SECONDS), left / 2)
        questions = {alias: self._line(alias).question(until) for alias in waiting}
        here = {alias: self._answer(alias, in_place=True) for alias in names if alias not in questions}
        return {alias: questions[alias].answer(until) if alias in questions else here[alias] for alias in names}

    def _call(self, names: list[str]) -> dict[str, str | None]:
        """As a plain function: in this thread, and with nothing kept, as nobody will come back to close it."""
        if _on_event_loop():  # where Django refuses to work with a database
            return _in_thread(lambda: self._call(names))
        try:
            return {alias: self._answer(alias) for alias in names}
        finally:
            self.close()

    def close(self) -> None:
        for (pid, _), line in list(self._lines.items()):
            if pid == os.getpid():
                line.close()

    def _names(self, aliases: Iterable[str] | None) -> list[str]:
        if aliases is None:
            return list(self.configured())
        return [aliases] if isinstance(aliases, str) else list(dict.fromkeys(aliases))

    def _line(self, alias: str) -> Line:
        key = os.getpid(), alias
        line = self._lines.get(key)
        if line is None:
            line = Line(f"status-{self.setting}-{alias}", lambda: self._answer_in_thread(alias), connections.close_all)
            line = self._lines.setdefault(key, line)
        return line

    def _answer(self, alias: str, in_place: bool = False) -> str | None:
        try:
            self.ask(alias, in_place)
        except BaseException as error:  # a broken backend must neither hide the other aliases nor end the thread
            reason = str(error) if isinstance(error, Failing) else name_of(error)
            self._log(alias, reason, error)
            return reason
        self._logged.pop(alias, None)
        return None

    def _answer_in_thread(self, alias: str) -> str | None:
        """The same in a thread of ours, where Django's own connections (a cache in a table uses them) are ours too."""
        reason = self._answer(alias)
        used = connections.all(initialized_only=True)
        if used and reason is not None:
            for connection in used:  # perhaps the server had closed them meanwhile
                connection.close()
            reason = self._answer(alias)
        for connection in used:
            connection.close_if_unusable_or_obsolete()
        return reason

    def _log(self, alias: str, reason: str, error: BaseException) -> None:
        """Once, not at every probe, for as long as the same thing goes wrong."""
        if self._logged.get(alias) != reason:
            self._logged[alias] = reason
            # Late: most processes never log a failure.
            from status.logs import log_failure

            log_failure(self.setting, alias, reason, error)


def name_of(error: BaseException) -> str:
    """The class of an exception, and of its cause where that says more. Never its text, which may hold credentials."""
    name, cause = type(error).__name__, type(error.__cause__).__name__
    return name if error.__cause__ is None or cause == name else f"{name} ({cause})"


def _in_thread(call: Callable[[], T]) -> T:
    answers: list[T] = []

    def run() -> None:
        answers.append(call())
        connections.close_all()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join()
    return answers[0]


def _on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
