"""The front door: answers the app's own addresses before anything else in the stack sees the request.

Put it first in ``MIDDLEWARE``. A probe by IP address, over plain HTTP, without a login or with a dead session database then
gets its answer, instead of a 400, a redirect or an error from what stands behind.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from functools import lru_cache
from typing import Any, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import Resolver404, ResolverMatch, URLResolver, get_resolver
from django.urls.resolvers import LocalePrefixPattern

from status.api.urls import Addresses
from status.api.views import ReportView
from status.manners import HEADERS


class StatusMiddleware:
    """Answers what ``status.urls`` or ``status.api.urls`` is mounted for, wherever and however often; passes the rest on.

    Requests of a browser that is logged in go the ordinary way, so that sessions and users can tell who is staff. Where that
    way does not lead to the app (the session database is down, a login page is in the way), they are answered here after all.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        match = ours(request)
        if self.is_async:
            return self.acall(request, match)
        if match is None or has_session(request):
            response = cast("HttpResponseBase", self.get_response(request))
            if match is None or is_ours(response):
                return response
        return cast("HttpResponseBase", match.func(without_user(request), *match.args, **match.kwargs))

    async def acall(self, request: HttpRequest, match: ResolverMatch | None) -> HttpResponseBase:
        if match is None or has_session(request):
            response = cast("HttpResponseBase", await self.get_response(request))
            if match is None or is_ours(response):
                return response
        without_user(request)
        if match.func.view_class is ReportView:
            return await ReportView().adispatch(request, **match.kwargs)
        # A page. Its template is rendered off the event loop, on the thread that belongs to this request.
        view = sync_to_async(match.func, thread_sensitive=True)
        return cast("HttpResponseBase", await view(request, *match.args, **match.kwargs))


def ours(request: HttpRequest) -> ResolverMatch | None:
    """The view of ours that ``request`` is for, if any. Does not ask for the host, which may not be one the project allows."""
    path = request.path_info
    resolver = get_resolver()
    if not addresses(resolver).match(path):
        return None
    # The mount point itself answers without its slash too, which no pattern below it can see.
    for candidate in (path, f"{path}/"):
        try:
            match = resolver.resolve(candidate)
        except Resolver404:
            continue
        return match if getattr(match.func, "front_door", False) else None
    return None


def has_session(request: HttpRequest) -> bool:
    return settings.SESSION_COOKIE_NAME in request.COOKIES


def is_ours(response: HttpResponseBase) -> bool:
    """Whether a view of this app has answered, and not something in front of it."""
    return response.get("X-Robots-Tag") == HEADERS["X-Robots-Tag"]


def without_user(request: HttpRequest) -> HttpRequest:
    """The request as it came in: whoever was found, or could not be found, behind the door is nobody here."""
    vars(request).pop("user", None)
    return request


@lru_cache(maxsize=8)
def addresses(resolver: URLResolver) -> re.Pattern[str]:
    """What the paths of the app's addresses look like, for a first and cheap look at every request."""
    mounted = "|".join(_mounted(resolver, ""))
    return re.compile(f"/(?:{mounted})" if mounted else r"(?!)")


def _mounted(resolver: URLResolver, prefix: str) -> Iterator[str]:
    patterns = resolver.url_patterns
    if isinstance(patterns, Addresses):
        tails = "|".join(_expression(pattern.pattern) for pattern in patterns.patterns)
        yield f"{prefix}(?:{tails})"
        if prefix.endswith("/"):
            yield f"{prefix[:-1]}$"
        return
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from _mounted(pattern, prefix + _expression(pattern.pattern))


def _expression(pattern: Any) -> str:
    """The regular expression of a pattern, without its anchor and the names of its groups."""
    if isinstance(pattern, LocalePrefixPattern):
        return r"(?:[\w-]+/)?"  # depends on the language of the request, which nobody has looked at yet
    return re.sub(r"\(\?P<\w+>", "(?:", pattern.regex.pattern.removeprefix("^"))
