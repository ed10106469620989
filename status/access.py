"""Who may see what: the one rule that API, pages, OPTIONS and formats obey."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from status.conf import conf

if TYPE_CHECKING:
    from django.http import HttpRequest

#: Open to everyone whatever ``STATUS_PUBLIC`` says: liveness probes carry no token.
ALWAYS_OPEN = ("health", "ping")


@dataclass(frozen=True)
class Access:
    """What one caller may do.

    authority: whether the caller is one of those that the settings trust.
    details: whether to show reasons, durations and the full answers.
    resources: the resources the caller may ask for; None means every one.
    challenge: whether a bearer token could help a caller who is refused.
    """

    authority: bool
    details: bool
    resources: Collection[str] | None
    challenge: bool = False

    def may_ask(self, resource: str | None, provider: str | None = None) -> bool:
        """Whether the caller may ask at this address; decided by names alone, so that refusals betray nothing."""
        if self.resources is None or (resource, provider) == ALWAYS_OPEN:
            return True
        return bool(self.resources) if resource is None else resource in self.resources


def access_for(request: HttpRequest) -> Access:
    """The rights of whoever sent ``request``."""
    from django.conf import settings

    authority = bool(settings.DEBUG)
    public = conf.public
    return Access(authority, authority, None if authority or public is None else frozenset(public))
