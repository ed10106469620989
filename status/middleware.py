"""The middleware: it answers the app's own addresses before anything else in the stack sees the request.

Put it first in ``MIDDLEWARE``. A probe by IP address, over plain HTTP, without a login or with a session database that
is down then gets its answer, instead of a 400, a redirect or an error from what stands behind.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, URLPattern, URLResolver, get_resolver
from django.urls.resolvers import LocalePrefixPattern
from django.utils import translation

from status.api.views import ReportView, is_ping
from status.logs import log_once

FAILED = "What stands behind the middleware failed, so whoever is logged in is anonymous here"


class StatusMiddleware:
    """Answers what ``status.urls`` or ``status.api.urls`` is mounted for, wherever and how often; passes the rest on.

    Who brings a cookie may be logged in. Such requests go the ordinary way, where sessions and users are looked up; if
    that leads anywhere else than to the view, they are answered here after all, as an anonymous caller's.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        place = find_place(request)
        if self.is_async:
            return self.acall(request, place)
        if place is None:
            return cast("HttpResponseBase", self.get_response(request))
        if not place.depends_on_user(request):
            return place.answer(request)
        response: HttpResponseBase | None = None
        request.status_response = None  # type: ignore[attr-defined]
        try:
            response = self.get_response(request)
        except Exception as error:  # Django's page for errors may need what is down as well
            log_once(FAILED, error)
        return choose_response(request, response) or place.answer(request)

    async def acall(self, request: HttpRequest, place: Place | None) -> HttpResponseBase:
        """Do the same on an event loop."""
        if place is None:
            return cast("HttpResponseBase", await self.get_response(request))
        if not place.depends_on_user(request):
            return await place.aanswer(request)
        response: HttpResponseBase | None = None
        request.status_response = None  # type: ignore[attr-defined]
        try:
            response = await self.get_response(request)
        except Exception as error:  # the same as in ``__call__``
            log_once(FAILED, error)
        return choose_response(request, response) or await place.aanswer(request)


def choose_response(request: HttpRequest, response: HttpResponseBase | None) -> HttpResponseBase | None:
    """Return the response to a request that went the ordinary way, or None where it did not reach the view.

    An error may also come after the view, for example from a session that cannot be saved: the view's response counts.
    """
    answered: HttpResponse | None = request.status_response  # type: ignore[attr-defined]
    if answered is None:
        # A login page, a redirect or an error: whoever it is has no rights here either.
        vars(request).pop("user", None)
        return None
    return response if response and response.status_code == answered.status_code else with_length(answered)


def with_length(response: HttpResponse) -> HttpResponse:
    """Add the length, as ``CommonMiddleware`` does: a connection can then be used again without chunks."""
    response.setdefault("Content-Length", str(len(response.content)))
    return response


class Place(NamedTuple):
    """A view of the app that a path leads to.

    language: the one that the path names, where the app is mounted below a language prefix.
    """

    view: Any
    kwargs: Mapping[str, Any]
    language: str | None

    @property
    def is_report(self) -> bool:
        # By the class, which a monitoring agent's wrapper of the view passes on as well.
        return issubclass(getattr(self.view, "view_class", object), ReportView)

    def depends_on_user(self, request: HttpRequest) -> bool:
        """Return whether the request may be that of somebody who is logged in, and asks for more than a ping."""
        carries_user = bool(request.META.get("HTTP_COOKIE") or request.META.get("REMOTE_USER"))
        return carries_user and not (self.is_report and is_ping(request, **self.kwargs))

    def answer(self, request: HttpRequest) -> HttpResponse:
        """Call the view, in the language that the path names, as ``LocaleMiddleware`` would have it."""
        if self.language is not None:
            request.LANGUAGE_CODE = self.language
        return with_length(self.view(request, **self.kwargs))

    async def aanswer(self, request: HttpRequest) -> HttpResponse:
        """Do the same on an event loop. A page is rendered off it, on the thread that belongs to this request."""
        if self.is_report:
            view = self.view.view_class(**self.view.view_initkwargs)
            return with_length(await view.aget(request, **self.kwargs))
        return await sync_to_async(self.answer, thread_sensitive=True)(request)


def find_place(request: HttpRequest) -> Place | None:
    """Return what the path is about where it is one of the app's. Does not ask for the host, which may be unknown."""
    try:
        return place_of(get_resolver(), request.path_info)
    except Resolver404:
        return None


@lru_cache(maxsize=128)
def place_of(resolver: URLResolver, path: str) -> Place:
    """Return what ``path`` is about. Raises ``Resolver404`` for other paths of the site, which are not remembered."""
    mounts = mounts_of(resolver)
    if not any(mount.translated for mount in mounts):
        return _resolve(resolver, mounts, path, None)
    # Nobody else has looked at the language of the path yet.
    language = translation.get_language_from_path(path)
    with translation.override(language or settings.LANGUAGE_CODE):
        return _resolve(resolver, mounts, path, language)


def _resolve(resolver: URLResolver, mounts: tuple[Mount, ...], path: str, language: str | None) -> Place:
    """Resolve ``path``, after a cheap look at whether it can be the app's."""
    if any(mount.leads_to(path) for mount in mounts):
        match = resolver.resolve(path)
    # The mount point itself answers without its slash too, which no pattern below it can see.
    elif not path.endswith("/") and any(mount.leads_to(f"{path}/") for mount in mounts):
        try:
            match = resolver.resolve(path)
        except Resolver404:
            match = resolver.resolve(f"{path}/")
    else:
        raise Resolver404
    if not hasattr(match.func, "answered_by_middleware"):
        raise Resolver404
    return Place(match.func, match.kwargs, language)


class Mount(NamedTuple):
    """One place in the urlconf where views of the app are.

    way: the patterns from the root to there.
    ends: the patterns of the views themselves.
    """

    way: tuple[Any, ...]
    ends: tuple[Any, ...]

    @property
    def translated(self) -> bool:
        return any(isinstance(pattern, LocalePrefixPattern) for pattern in self.way)

    def leads_to(self, path: str) -> bool:
        """Return whether ``path`` may be one of the app's: the cheap look at every request."""
        for pattern in self.way:
            found = pattern.match(path)
            if not found:
                return False
            path = found[0]
        return any(pattern.match(path) for pattern in self.ends)


@lru_cache(maxsize=8)
def mounts_of(resolver: URLResolver) -> tuple[Mount, ...]:
    """Return every place below ``resolver`` where views of the app are."""
    mounts = []
    found: list[tuple[tuple[Any, ...], URLResolver]] = [((resolver.pattern,), resolver)]
    for way, each in found:  # which grows meanwhile
        patterns = list(each.url_patterns)
        found += [((*way, one.pattern), one) for one in patterns if isinstance(one, URLResolver)]
        views = [one for one in patterns if isinstance(one, URLPattern)]
        ends = [view.pattern for view in views if hasattr(view.callback, "answered_by_middleware")]
        if ends:
            mounts.append(Mount(way, tuple(ends)))
    return tuple(mounts)
