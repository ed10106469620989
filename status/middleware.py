"""The front door: answers the app's own addresses before anything else in the stack sees the request.

Put it first in ``MIDDLEWARE``. A probe by IP address, over plain HTTP, without a login or with a dead session database
then gets its answer, instead of a 400, a redirect or an error from what stands behind.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import lru_cache
from typing import Any, NamedTuple, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, ResolverMatch, URLPattern, URLResolver, get_resolver
from django.urls.resolvers import LocalePrefixPattern
from django.utils import translation

from status.api.urls import Addresses, report
from status.api.views import PONG, ReportView, is_ping
from status.http import answer_of, complete, remember_answer
from status.logs import log_once

#: With all that it needs: nothing else in the stack sees it.
COMPLETE_PONG = complete(PONG.again())
FAILED = "What stands behind the front door failed, so whoever is logged in is nobody here"


class Place(NamedTuple):
    """What one path of the app's is about.

    view, kwargs: as the urlconf resolves it.
    language: the one that the path names, where it is mounted below a language prefix.
    """

    view: Callable[..., HttpResponse]
    kwargs: Mapping[str, Any]
    language: str | None

    @property
    def is_report(self) -> bool:
        return self.view is report


class StatusMiddleware:
    """Answers what ``status.urls`` or ``status.api.urls`` is mounted for, wherever and how often; passes the rest on.

    Who brings a cookie may be logged in. Such requests go the ordinary way, where sessions and users are looked up; if
    that leads anywhere else than to the view, they are answered here after all, as a stranger's.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        place = ours(request)
        if self.is_async:
            return self.acall(request, place)
        if place is None:
            return cast("HttpResponseBase", self.get_response(request))
        if place.is_report and is_ping(request, **place.kwargs):
            return COMPLETE_PONG.again()
        answer: HttpResponseBase | None = None
        if may_be_logged_in(request):
            remember_answer(request)
            try:
                answer = self.get_response(request)
            except Exception as error:  # Django's page for errors may need what is out as well
                log_once(FAILED, error)
            answer = settled(request, answer)
        return answer or complete(place.view(speaking(request, place), **place.kwargs))

    async def acall(self, request: HttpRequest, place: Place | None) -> HttpResponseBase:
        if place is None:
            return cast("HttpResponseBase", await self.get_response(request))
        if place.is_report and is_ping(request, **place.kwargs):
            return COMPLETE_PONG.again()
        answer: HttpResponseBase | None = None
        if may_be_logged_in(request):
            remember_answer(request)
            try:
                answer = await self.get_response(request)
            except Exception as error:  # as above
                log_once(FAILED, error)
            answer = settled(request, answer)
        return answer or complete(await self.aanswer(speaking(request, place), place))

    async def aanswer(self, request: HttpRequest, place: Place) -> HttpResponse:
        if place.is_report:
            return await ReportView().adispatch(request, **place.kwargs)
        # A page. Its template is rendered off the event loop, on the thread that belongs to this request.
        return await sync_to_async(place.view, thread_sensitive=True)(request, **place.kwargs)


def may_be_logged_in(request: HttpRequest) -> bool:
    return bool(request.META.get("HTTP_COOKIE") or request.META.get("REMOTE_USER"))


def settled(request: HttpRequest, response: HttpResponseBase | None) -> HttpResponseBase | None:
    """What a request gets that went the ordinary way; None where it met a login page, a redirect or an error instead.

    An error may also come after the view, for example from a session that cannot be saved: the view's answer counts.
    """
    answer = answer_of(request)
    if answer is None:
        # What stands behind would not let this user through, so whoever it is has no rights here either.
        vars(request).pop("user", None)
        return None
    return response if response and response.status_code == answer.status_code else complete(answer)


def speaking(request: HttpRequest, place: Place) -> HttpRequest:
    """``request`` in the language that its path names, as ``LocaleMiddleware`` would have it."""
    if place.language is not None:
        request.LANGUAGE_CODE = place.language
    return request


def ours(request: HttpRequest) -> Place | None:
    """The view of ours that ``request`` is for, if any. Does not ask for the host, which may be one nobody allows."""
    try:
        return place_of(get_resolver(), request.path_info)
    except Resolver404:
        return None


@lru_cache(maxsize=128)
def place_of(resolver: URLResolver, path: str) -> Place:
    """What ``path`` is about. Raises ``Resolver404`` for any other path of the site, which is then not remembered."""
    mounts = mounts_of(resolver)
    language = translation.get_language_from_path(path) if any(mount.translated for mount in mounts) else None
    with _language(language, mounts):
        match = _resolve(resolver, path)
    if not getattr(match.func, "front_door", False):
        raise Resolver404
    return Place(match.func, match.kwargs, language)


def _resolve(resolver: URLResolver, path: str) -> ResolverMatch:
    """What the urlconf has for ``path``, after a cheap look at whether it can be ours. Raises ``Resolver404``."""
    mounts = mounts_of(resolver)
    if any(mount.leads(path) for mount in mounts):
        return resolver.resolve(path)
    # The mount point itself answers without its slash too, which no pattern below it can see.
    if path.endswith("/") or not any(mount.leads(f"{path}/") for mount in mounts):
        raise Resolver404
    with suppress(Resolver404):
        return resolver.resolve(path)
    return resolver.resolve(f"{path}/")


def _language(language: str | None, mounts: tuple[Mount, ...]) -> AbstractContextManager[None]:
    """Where addresses depend on the language, the one of the path, which nobody else has looked at yet."""
    if not any(mount.translated for mount in mounts):
        return nullcontext()
    return translation.override(language or settings.LANGUAGE_CODE)


class Mount(NamedTuple):
    """One place in the urlconf where views of ours are.

    way: the patterns from the root to there.
    ends: the patterns of the views themselves.
    """

    way: tuple[Any, ...]
    ends: tuple[Any, ...]

    @property
    def translated(self) -> bool:
        return any(isinstance(pattern, LocalePrefixPattern) for pattern in self.way)

    def leads(self, path: str) -> bool:
        """Whether ``path`` may be one of ours: a first and cheap look at every request."""
        for pattern in self.way:
            found = pattern.match(path)
            if not found:
                return False
            path = found[0]
        return any(pattern.match(path) for pattern in self.ends)


@lru_cache(maxsize=8)
def mounts_of(resolver: URLResolver) -> tuple[Mount, ...]:
    return tuple(_mounts(resolver, ()))


def _mounts(resolver: URLResolver, way: tuple[Any, ...]) -> Iterator[Mount]:
    way = (*way, resolver.pattern)
    patterns: Iterable[Any] = resolver.url_patterns
    if isinstance(patterns, Addresses):
        patterns = patterns.patterns  # the others of it are names for the same
    ends = [each.pattern for each in patterns if isinstance(each, URLPattern) and hasattr(each.callback, "front_door")]
    if ends:
        yield Mount(way, tuple(ends))
    for each in patterns:
        if isinstance(each, URLResolver):
            yield from _mounts(each, way)
