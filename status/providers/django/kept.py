"""Connections that stay open between runs: ours alone, and never another process's."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Link(Generic[T]):
    """A connection of ours.

    settings: what it was opened with, as a copy, so that a change (test databases are renamed) is noticed.
    opened: when, on the monotonic clock.
    """

    connection: T
    settings: Mapping[str, Any]
    opened: float = field(default_factory=monotonic)


class Kept(Generic[T]):
    """At most one idle connection for each alias and process.

    Has no lock, so that a fork at any moment does no harm. What a forked child inherits stays where it is, out of
    reach: using, closing or even collecting it would speak on the parent's sockets.

    close: how a connection is closed; never raises.
    """

    def __init__(self, close: Callable[[T], None]) -> None:
        self._close = close
        self._links: dict[tuple[int, str], deque[Link[T]]] = {}

    def peek(self, alias: str, settings: Mapping[str, Any] | None) -> Link[T] | None:
        """The idle connection, if it was opened with these settings. It stays where it is."""
        try:
            link = self._links[os.getpid(), alias][0]
        except (KeyError, IndexError):
            return None
        return link if link.settings == settings else None

    def take(self, alias: str, settings: Mapping[str, Any]) -> Link[T] | None:
        """The idle connection, if it was opened with these settings. It is the caller's own from now on."""
        try:
            link = self._links[os.getpid(), alias].popleft()
        except (KeyError, IndexError):
            return None
        if link.settings == settings:
            return link
        self._close(link.connection)
        return None

    def give(self, alias: str, link: Link[T]) -> None:
        """Keep the connection, unless another one is kept already."""
        links = self._links.setdefault((os.getpid(), alias), deque())
        if links:
            self._close(link.connection)
        else:
            links.append(link)

    def close(self) -> None:
        """Close what is idle."""
        for (pid, _), links in list(self._links.items()):
            with contextlib.suppress(IndexError):  # none, or none any more
                while pid == os.getpid():
                    self._close(links.popleft().connection)


def close_database(connection: Any) -> None:
    """Close a database connection of ours for good. Raises what closing it raises."""
    if connection.vendor == "sqlite":
        # Late: the module is needed where there are no databases too.
        from django.db.backends.base.base import BaseDatabaseWrapper

        # Past SQLite's own close(), which leaves databases in memory open: nobody else uses this connection.
        BaseDatabaseWrapper.close(connection)
    else:
        connection.close()


def copy_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A copy that does not change when the settings or their ``OPTIONS`` do."""
    return {name: dict(value) if isinstance(value, dict) else value for name, value in settings.items()}
