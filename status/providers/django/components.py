"""What databases and caches share: one component for each alias, each with an answer and a deadline of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from typing import Any

from django.db import connections

from status.conf import conf
from status.providers.base import Answer, Composite, Part, Unavailable, deadline


class Components(Composite):
    """``{alias: bool}``, with a reason for each ``false``.

    An entry's ``aliases`` (a list of names) chooses; without it every configured alias is asked.
    """

    def configured(self) -> Iterable[str]:
        """The aliases that are asked where the entry names none."""
        raise NotImplementedError

    def parts(self, aliases: Iterable[str] | str | None = None) -> list[Part]:
        if aliases is None:
            aliases = self.configured()
        return [self.part(alias) for alias in ([aliases] if isinstance(aliases, str) else dict.fromkeys(aliases))]

    def ask(self, name: str) -> bool:
        try:
            self.ask_alias(name)
        except Unavailable:
            raise
        except BaseException as error:  # a broken backend may raise anything
            raise Unavailable(name_of(error)) from error
        return True

    def ask_alias(self, alias: str) -> None:
        """Ask one service; raise whatever is wrong with it."""
        raise NotImplementedError

    def check(self, *args: Any, **kwargs: Any) -> Answer:
        """As a plain function: in this thread, and with nothing kept, as nobody will come back to close it."""
        if _on_event_loop():  # where Django refuses to work with a database
            return _in_thread(lambda: self.check(*args, **kwargs))
        try:
            return super().check(*args, **kwargs)
        finally:
            self.close()


def in_own_thread() -> bool:
    """Whether this is a thread of the engine's, where Django's own connections are ours."""
    return deadline() is not None and not conf.synchronous


def name_of(error: BaseException) -> str:
    """The class of an exception, and of its cause where that says more. Never its text, which may hold credentials."""
    name, cause = type(error).__name__, type(error.__cause__).__name__
    return name if error.__cause__ is None or cause == name else f"{name} ({cause})"


def _in_thread(call: Any) -> Answer:
    answers: list[Answer] = []

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
