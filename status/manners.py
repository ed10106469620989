"""How every answer of ours behaves towards browsers, proxies, robots and the project it lives in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.http import HttpResponse

#: Nothing in between may keep, index or reinterpret an answer.
HEADERS = {
    "Cache-Control": "no-store",
    "Vary": "Accept, Authorization, Cookie",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Referrer-Policy": "no-referrer",
}

AnyResponse = TypeVar("AnyResponse", bound=HttpResponse)


class _EveryAlias:
    """Holds every database alias there is or will be."""

    def __contains__(self, alias: object) -> bool:
        return True


def harmless(view: Callable[..., Any]) -> Callable[..., Any]:
    """Mark ``view`` as needing no login, no CSRF token and no transaction, whatever the project demands of its own."""
    view.login_required = False  # type: ignore[attr-defined]  # django.contrib.auth.decorators.login_not_required
    view.csrf_exempt = True  # type: ignore[attr-defined]  # the methods that CSRF protects are answered 405
    view.front_door = True  # type: ignore[attr-defined]  # status.middleware answers it
    view._non_atomic_requests = _EveryAlias()  # type: ignore[attr-defined]  # django.db.transaction.non_atomic_requests
    return view


def expected(response: AnyResponse) -> AnyResponse:
    """Keep ``django.request`` from logging an error, and mailing the admins, for a failure that is the answer."""
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response
