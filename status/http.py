"""What all responses and views share: headers, exemptions, and how far a request with a cookie has come."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from status.exceptions import StatusError
from status.threads import running_future

#: No proxy, robot or browser may keep, index, frame or reinterpret a response.
HEADERS = {
    "Cache-Control": "no-store",
    "Vary": "Accept, Authorization, Cookie, X-Status-Token",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex",
    "Referrer-Policy": "no-referrer",
}


class StatusResponse(HttpResponse):
    """A response with ``HEADERS``, which Django does not log: a 503 is an answer here, and no error of the site."""

    def __init__(self, content: bytes | str, content_type: str | None = None, status: int = 200) -> None:
        super().__init__(content, content_type=content_type, status=status, headers=HEADERS)
        # Private, but the only way: ``django.request`` would log each 503 as an error and mail the admins.
        self._has_been_logged = True


class Abandoned(StatusError):
    """Nobody waits for the response any more."""


class UserLookup:
    """How far a request has come that is on its way through the project's own stack, as its ``status_lookup``.

    known: done when the view knows who asks.
    viewed: a copy of the view's response, or None where the request did not reach it.
    response: the response itself, which the stack may return, change or replace.
    abandoned: whether it took too long, and has been answered without.
    """

    def __init__(self) -> None:
        self.known = running_future()
        self.viewed = running_future()
        self.response: HttpResponse | None = None
        self.abandoned = False

    def find(self) -> None:
        """Say that it is known who asks. May be said twice. Raises ``Abandoned`` where nobody waits any more."""
        if not self.known.done():
            self.known.set_result(None)
        if self.abandoned:
            raise Abandoned

    def end(self, response: HttpResponse | None) -> None:
        """Say what the view has answered. What is said first counts."""
        with suppress(Abandoned):
            self.find()
        if not self.viewed.done():
            self.response = response
            self.viewed.set_result(None if response is None else copy_of_response(response))


def copy_of_response(response: HttpResponse) -> HttpResponse:
    """Return a response that stays as it is now, whatever the project's stack does with the other one, and when."""
    copied = StatusResponse(response.content, status=response.status_code)
    for name, value in response.items():
        copied[name] = value
    return copied


def without_body_for_head(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Empty a response to HEAD, but for what the length would be: servers log a warning of each body that they drop."""
    if request.method == "HEAD":
        response.setdefault("Content-Length", str(len(response.content)))
        response.content = b""
    return response


def keep_out_of_caches(request: HttpRequest) -> None:
    """Have the cache of the site keep no answer to the request."""
    # Private: what ``FetchFromCacheMiddleware`` sets to True. Django 4.2 keeps a response that says "no-store".
    request._cache_update_cache = False  # type: ignore[attr-defined]


def url_path(request: HttpRequest) -> str:
    """Return the path as ``reverse()`` writes it, with what ``FORCE_SCRIPT_NAME`` or the server says stands before it.

    ``request.path`` leaves that out under ASGI where a proxy has stripped it.
    """
    forced = settings.FORCE_SCRIPT_NAME
    script_name = request.META.get("SCRIPT_NAME", "") if forced is None else forced
    return f"{script_name.rstrip('/')}/{request.path_info.removeprefix('/')}"


class AnyAlias:
    """Contains every database alias, also of databases that are configured later."""

    def __contains__(self, alias: object) -> bool:
        return True


def is_for_middleware(view: Callable[..., HttpResponseBase]) -> bool:
    """Return whether the view is marked, and as the app has made it.

    What the project decorates it with may refuse, and needs the project's stack for that. A decorator takes the mark
    over, as ``functools.wraps`` copies attributes, but has code of its own. An agent's proxy passes both on.
    """
    mark = getattr(view, "answered_by_middleware", None)
    return mark is not None and mark is getattr(view, "__code__", None)


def exempt(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponse]:
    """Exempt a view from login, CSRF tokens and transactions, and let the middleware answer it."""

    @csrf_exempt
    @wraps(view)
    def exempt_view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response = without_body_for_head(request, cast("HttpResponse", view(request, *args, **kwargs)))
        except Abandoned:
            response = StatusResponse("")
        lookup: UserLookup | None = getattr(request, "status_lookup", None)
        if lookup is not None:
            lookup.end(response)
        return response

    exempt_view.login_required = False  # type: ignore[attr-defined]  # as ``login_not_required`` of Django 5.1 does
    exempt_view.answered_by_middleware = exempt_view.__code__  # type: ignore[attr-defined]
    # Private: ``transaction.non_atomic_requests`` takes the aliases one by one, and settings are not read at import.
    exempt_view._non_atomic_requests = AnyAlias()  # type: ignore[attr-defined]
    return exempt_view
