"""What the checks of databases and caches share: one component for each alias, asked in a thread that may ask it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from types import MappingProxyType
from typing import Any

from django.db import connections, transaction

from status.conf import conf, found, is_names
from status.providers.base import Composite, Kind, Part, Unavailable, deadline
from status.providers.kinds import NAMES
from status.threads import start_call

#: The arguments of checks that 2.x had as well: they ignore others, as they did there.
CLASSIC_ARGUMENTS: Mapping[str, Any] = MappingProxyType({"aliases": Iterable})


def is_classic_names(value: Any) -> bool:
    """Return whether 2.x took ``value`` for ``aliases``: names in anything that can be iterated over, or none."""
    return isinstance(value, Iterable) and (not isinstance(value, Collection) or is_names(list(value)))


CLASSIC_KINDS: Mapping[str, Kind] = MappingProxyType({"aliases": Kind(NAMES.expected, is_classic_names)})


class AliasCheck(Composite):
    """Answer ``{alias: bool}``, with a reason for each ``false``, unless what asks one service answers more.

    Entry argument ``aliases`` (a list of names, or one name) chooses; without it every configured alias is asked.

    A run in a worker thread of the engine uses that thread's connections. A direct call and a run with
    ``STATUS_SYNCHRONOUS`` use the caller's; where an event loop runs, Django allows no database work, so they use those
    of a thread that is started for the call.
    """

    kinds: Mapping[str, Kind] = MappingProxyType({"aliases": NAMES})

    #: Django's ``connections`` or ``caches``.
    handler: Any
    #: What names the aliases.
    setting: str
    #: Whether an entry that names no aliases may find none: then nothing is wrong, and nothing is asked.
    may_be_none = False

    def known(self) -> Collection[str]:
        """Return every alias that can be asked."""
        return list(self.handler.settings)

    def configured(self) -> Collection[str]:
        """Return the aliases that are asked where the entry names none."""
        return self.known()

    def ask_alias(self, alias: str, **options: Any) -> Any:
        """Ask one service. Return what to answer, None for true. Raises whatever is wrong with it."""
        raise NotImplementedError

    def import_backend(self, alias: str) -> None:
        """Import what asking one service needs. May raise whatever is wrong with it."""
        raise NotImplementedError

    def load(self, aliases: Iterable[str] | str | None = None, *args: Any, **options: Any) -> None:
        for alias in self.aliases(aliases):
            with suppress(Exception):  # it happens again in the run, which reports it
                self.import_backend(alias)

    def parts(self, aliases: Iterable[str] | str | None = None) -> list[Part]:
        return [self.part(alias) for alias in self.aliases(aliases)]

    def aliases(self, chosen: Iterable[str] | str | None) -> Iterable[str]:
        """Return the aliases to ask, each once. Raises TypeError where ``chosen`` holds no names."""
        if chosen is not None:
            return [chosen] if isinstance(chosen, str) else list(dict.fromkeys(chosen))
        aliases = self.configured()
        if not aliases and not self.may_be_none:
            raise Unavailable(f"There is none to ask in {self.setting}.")
        return aliases

    def unknown(self, aliases: Iterable[str] | str | None = None, *args: Any, **options: Any) -> list[str]:
        """Return the aliases of an entry that are not configured. Raises ``Unavailable`` where there is none to ask."""
        return [alias for alias in self.aliases(aliases) if alias not in self.known()]

    def ask(self, name: str, **options: Any) -> Any:
        try:
            if name not in self.known():
                raise Unavailable(f"not configured in {self.setting}")
            if _on_event_loop():
                call = start_call(partial(self._ask_and_close, name, options), f"status-{self.label}-{name}")
                value = call.result()
            else:
                value = self.ask_alias(name, **options)
        except Unavailable:
            raise
        except (Exception, SystemExit) as error:  # and not what is meant for the caller in whose thread it runs
            raise Unavailable(class_of(error)) from error
        return True if value is None else value

    def _ask_and_close(self, alias: str, options: dict[str, Any]) -> Any:
        try:
            return self.ask_alias(alias, **options)
        finally:
            connections.close_all()


def backends_of(setting: str, entries: Any, default: str | None = None) -> dict[str, str]:
    """Return alias -> dotted path of the backend, as a setting such as ``TASKS`` has it.

    default: the backend of an entry that names none; None where each has to.

    Raises ``Unavailable`` where that cannot be read.
    """
    if not isinstance(entries, Mapping):
        raise Unavailable(f"{setting} should be a dict of alias -> dict, not {found(entries)}.")
    paths = {}
    for alias, entry in entries.items():
        path = entry.get("BACKEND", default) if isinstance(entry, Mapping) else None
        if not isinstance(path, str):
            expected = 'a dict with the dotted path of a backend under "BACKEND"'
            raise Unavailable(f'{setting}["{str(alias)[:40]}"] should be {expected}.')
        paths[alias] = path
    return paths


@contextmanager
def savepoints() -> Iterator[None]:
    """Have what fails on the caller's connections break no transaction that is open there."""
    with ExitStack() as stack:
        for connection in () if in_worker() else connections.all(initialized_only=True):
            if connection.in_atomic_block:
                with suppress(Exception):  # the transaction is broken already
                    stack.enter_context(transaction.atomic(using=connection.alias))
        yield


def in_worker() -> bool:
    """Return whether this is a worker thread of the engine, whose connections nobody else uses."""
    return deadline() is not None and not conf.synchronous


def is_made(directory: str, access: int = os.W_OK | os.X_OK) -> bool:
    """Return whether the directory exists. Raises ``Unavailable`` where it cannot be made, or not be used.

    Django would make it so that only who asks first may use it, which may be root.
    """
    made = directory = os.path.abspath(directory)
    while not os.path.lexists(made):
        made = os.path.dirname(made)
    if not os.path.isdir(made) or not os.access(made, access):
        use = "written to" if access & os.W_OK else "read"
        raise Unavailable(f"its directory cannot be made, or not be {use}")
    return made == directory


def _on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def class_of(error: BaseException) -> str:
    """Return the class of an exception, and of its cause where that says more. Its text may hold credentials."""
    name, cause = type(error).__name__, type(error.__cause__).__name__
    return name if error.__cause__ is None or cause == name else f"{name} ({cause})"
