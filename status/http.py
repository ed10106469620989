"""Headers and exemptions that all responses and views of this app share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

#: No proxy, robot or browser may keep, index or reinterpret a response.
HEADERS = {
    "Cache-Control": "no-store",
    "Vary": "Accept, Authorization, Cookie",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Referrer-Policy": "no-referrer",
}


class StatusResponse(HttpResponse):
    """A response with ``HEADERS``, which Django does not log: a 503 is an answer here, and no error of the site."""

    def __init__(self, content: bytes | str, content_type: str | None = None, status: int = 200) -> None:
        super().__init__(content, content_type=content_type, status=status, headers=HEADERS)
        # Private, but the only way: ``django.request`` would log each 503 as an error and mail the admins.
        self._has_been_logged = True


class AnyAlias:
    """Contains every database alias, also of databases that are configured later."""

    def __contains__(self, alias: object) -> bool:
        return True


def exempt(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponse]:
    """Exempt a view from login, CSRF tokens, transactions and the site's cache, and let the middleware answer it."""

    @csrf_exempt
    @wraps(view)
    def exempt_view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        # What ``FetchFromCacheMiddleware`` sets to True. Django 4.2 keeps a response that says "no-store".
        request._cache_update_cache = False  # type: ignore[attr-defined]
        response = cast("HttpResponse", view(request, *args, **kwargs))
        # Only where the middleware asks for it: a request and a response that refer to each other are left to the
        # garbage collector.
        if hasattr(request, "status_response"):
            request.status_response = response
        return response

    exempt_view.login_required = False  # type: ignore[attr-defined]  # as ``login_not_required`` of Django 5.1 does
    exempt_view.answered_by_middleware = True  # type: ignore[attr-defined]
    # Private: ``transaction.non_atomic_requests`` takes the aliases one by one, and settings are not read at import.
    exempt_view._non_atomic_requests = AnyAlias()  # type: ignore[attr-defined]
    return exempt_view
