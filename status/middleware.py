"""The middleware: it answers the app's own addresses before anything else in the stack sees the request.

Put it first in ``MIDDLEWARE``. A probe by IP address, over plain HTTP, without a login or with a session database that
is down then gets its answer, instead of a 400, a redirect or an error from what stands behind.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from functools import lru_cache, partial
from typing import Any, NamedTuple, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, URLResolver, get_resolver
from django.utils import timezone, translation

from status.access import carries_user, has_allowed_host, looked_up, settled_access, user_lookups
from status.api.views import ReportView, is_ping
from status.asking import import_late
from status.conf import PAGE_POLICY, conf
from status.engine.coroutines import SerialExecutor, use_for_database_work
from status.http import UserLookup, is_for_middleware, keep_out_of_caches, without_body_for_head
from status.limited_calls import Permit, Steps, await_each, wait_for_each
from status.logs import log_once
from status.mounts import Mount, language_prefix_of, mounts_of, resolvers
from status.registry import registry
from status.threads import running_future, settle, start_call

FAILED = "What stands behind the middleware failed, so whoever is logged in is anonymous here"
HANGS = "What stands behind the middleware does not answer, so whoever is logged in is anonymous here"
#: HTTP statuses of responses that have no body, and so no length of one (RFC 9110, 8.6).
WITHOUT_BODY = (204, 304)


class StatusMiddleware:
    """Answers what ``status.urls`` or ``status.api.urls`` is mounted for, wherever and how often; passes the rest on.

    Who brings a session cookie may be logged in. Such requests make a detour through the project's own stack, where
    sessions and users are looked up. If that leads anywhere else than to the view, or takes too long, they are answered
    here after all, as an anonymous caller's.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        import_late()
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)
        self.tasks: set[asyncio.Future[None]] = set()
        logging.getLogger("django.request").addFilter(drop_detours)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        place = find_place(request)
        if self.is_async:
            return self.acall(request, place)
        if place is None:
            return cast("HttpResponseBase", self.get_response(request))
        if not place.depends_on_user(request):
            return place.answer(request)
        detour = Detour(request, place)
        wait_for_each(detour.steps(self.start))
        return detour.response or place.answer(detour.stranger)

    async def acall(self, request: HttpRequest, place: Place | None) -> HttpResponseBase:
        """Do the same on an event loop."""
        if place is None:
            return cast("HttpResponseBase", await self.get_response(request))
        if not place.depends_on_user(request):
            return await place.aanswer(request)
        detour = Detour(request, place)
        await await_each(detour.steps(self.start_task))
        return detour.response or await place.aanswer(detour.stranger)

    def start(self, request: HttpRequest) -> Future[Any]:
        """Send the request on, in a thread of its own, and return the future of its response.

        The thread has its own connections to databases and caches, and none of the context of this one. Raises
        RuntimeError where no thread can be started.
        """
        if not conf.synchronous:
            return start_call(partial(self.get_response, request), user_lookups.name)
        future = running_future()
        settle(future, partial(self.get_response, request))
        return future

    def start_task(self, request: HttpRequest) -> Future[Any]:
        """Do the same on an event loop. What blocks runs in a daemon thread, left behind when it hangs."""
        future = running_future()

        async def send_on() -> None:
            use_for_database_work(SerialExecutor())
            try:
                future.set_result(await self.get_response(request))
            except BaseException as error:
                future.set_exception(error)

        task = asyncio.ensure_future(send_on())
        self.tasks.add(task)  # the event loop itself keeps none alive
        task.add_done_callback(self.tasks.discard)
        return future


class Detour:
    """The way of a request through the project's own stack, any part of which may hang.

    stranger: the same request, as an anonymous caller's, to be answered where ``response`` stays None.
    """

    def __init__(self, request: HttpRequest, place: Place) -> None:
        self.request = request
        self.lookup = UserLookup()
        keep_out_of_caches(request)  # whoever is answered in the end
        # ``copy.copy`` leaves things out. Not the user, whom a middleware in front may have put there: where the stack
        # redirects to a login, staff have no rights here.
        self.stranger: HttpRequest = object.__new__(type(request))
        vars(self.stranger).update({name: value for name, value in vars(request).items() if name != "user"})
        self.stranger.META = dict(request.META)  # in which the stack may write another address, for example
        # The stack would redirect the path that only lacks its slash.
        request.path_info += place.missing
        request.path += place.missing
        self.response: HttpResponseBase | None = None

    def steps(self, start: Callable[[HttpRequest], Future[Any]]) -> Steps[None]:
        """Yield what to wait for, and how many seconds; then ``response`` is there, or ``stranger`` is to be answered.

        start: sends the request on and returns the future of its response.
        """
        self.request.status_lookup = self.lookup  # type: ignore[attr-defined]
        permit = user_lookups.enter()
        if permit is None:  # lookups hang
            return self.give_up()
        ended = None
        try:
            yield permit.taken, permit.left
            if permit.taken.done():
                ended = self.set_off(start, permit)
        finally:
            if ended is None:  # no place in time, no thread, or a caller who goes while he waits
                permit.leave()
        if ended is None:
            return self.give_up()
        yield self.lookup.known, permit.left
        if not self.lookup.known.done():  # the place is taken until this lookup returns
            return self.give_up()
        left = permit.left
        yield self.lookup.viewed, None  # within the deadline of the checks
        if (answered := self.lookup.viewed.result()) is not None:
            self.response = complete(answered)
        yield ended, left
        self.arrive(ended)

    def set_off(self, start: Callable[[HttpRequest], Future[Any]], permit: Permit) -> Future[Any] | None:
        """Send the request on; return the future of its response, None where no thread can be started.

        It has its place on the way to the view and on the way back, which may hang. In between, the view takes its own
        time, which is no sign of a stack that hangs.
        """
        self.lookup.known.add_done_callback(lambda done: permit.leave())
        self.lookup.viewed.add_done_callback(lambda done: permit.resume())
        try:
            ended = start(self.request)
        except RuntimeError:
            return None
        ended.add_done_callback(lambda done: self.lookup.end(None))
        ended.add_done_callback(lambda done: permit.leave())
        return ended

    def give_up(self) -> None:
        """Have the stranger answered without another look, and nothing run for a request that arrives too late."""
        self.lookup.abandoned = True
        self.stranger.status_access = looked_up(None)  # type: ignore[attr-defined]
        log_once(HANGS)

    def arrive(self, ended: Future[Any]) -> None:
        """Choose the response of the stack if it is that of the view: an error, or a page about one, may follow."""
        answered, copied = self.lookup.response, self.response
        if ended.done() and (error := ended.exception()):
            log_once(FAILED, error)
        elif ended.done() and answered and copied:
            is_same = ended.result() is answered and answered.status_code == copied.status_code
            self.response = answered if is_same else copied


def drop_detours(record: logging.LogRecord) -> bool:
    """Filter what Django logs of a detour, and mails to the admins: somebody gets another answer, and no error."""
    if not hasattr(getattr(record, "request", None), "status_lookup"):
        return True
    log_once(FAILED, record.exc_info[1] if record.exc_info else None)
    return False


def complete(response: HttpResponse) -> HttpResponse:
    """Add what the project's stack would have added: the length, and for a page a policy.

    With a length, as ``CommonMiddleware`` adds it, a connection can be used again without chunks.
    """
    if response.status_code not in WITHOUT_BODY:
        response.setdefault("Content-Length", str(len(response.content)))
    if response.get("Content-Type", "").startswith("text/html"):
        response.setdefault("Content-Security-Policy", PAGE_POLICY)
    return response


class Place(NamedTuple):
    """A view of the app that a path leads to.

    language: the one that the path is in, where the urlconf has language prefixes.
    missing: the slash without which the path was asked, as far as the project's stack needs it.
    """

    view: Any
    kwargs: Mapping[str, Any]
    language: str | None
    missing: str = ""

    @property
    def view_class(self) -> Any:
        """Return the class of the view, which a monitoring agent's wrapper passes on; ``object`` for a function."""
        return getattr(self.view, "view_class", object)

    def depends_on_user(self, request: HttpRequest) -> bool:
        """Return whether the answer depends on who is logged in.

        Not that to a ping, nor a style sheet, nor where a token or a place decides.
        A request with a body is not sent on: a detour that hangs might read from the connection when it is over.
        """
        if not carries_user(request) or request.method not in ("GET", "HEAD", "OPTIONS"):
            return False
        if not getattr(self.view_class, "asks_who", True):
            return False
        if request.META.get("CONTENT_LENGTH") not in (None, "", "0") or not has_allowed_host(request):
            return False
        if issubclass(self.view_class, ReportView):
            resource, provider = (
                self.kwargs.get(name) or self.view.view_initkwargs.get(name) or getattr(self.view_class, name)
                for name in ("resource", "provider")
            )
            if registry.is_live(resource) or is_ping(request, resource, provider):
                return False
        return settled_access(request) is None

    def answer(self, request: HttpRequest) -> HttpResponse:
        """Call the view, in the language that the path is in, as ``LocaleMiddleware`` would have it.

        A page also in the time zone of the site: that of the reader before may be left in this thread.
        """
        if self.language is not None:
            request.LANGUAGE_CODE = self.language
        if not getattr(self.view_class, "writes_local_time", False):
            return complete(self.view(request, **self.kwargs))
        with timezone.override(None):
            return complete(self.view(request, **self.kwargs))

    async def aanswer(self, request: HttpRequest) -> HttpResponse:
        """Do the same on an event loop. A page is rendered off it, on the thread that belongs to this request."""
        if hasattr(self.view_class, "adispatch"):
            view = self.view_class(**self.view.view_initkwargs)
            view.setup(request, **self.kwargs)
            return complete(without_body_for_head(request, await view.adispatch(request, **self.kwargs)))
        # In the calling thread of a test; else in no thread in which the project's own code may hang.
        return await sync_to_async(self.answer, thread_sensitive=conf.synchronous)(request)


def find_place(request: HttpRequest) -> Place | None:
    """Return what the path is about where it is one of the app's. Does not need to know the host."""
    if request.method == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in request.META:
        return None  # a CORS preflight, which the project answers: https://fetch.spec.whatwg.org/#cors-preflight-fetch
    if hasattr(request, "status_lookup"):
        return None  # on its way through the project's stack already, where the middleware stands a second time
    if hasattr(request, "urlconf"):  # a middleware in front has chosen
        return place_in(get_resolver(request.urlconf), request.path_info)
    places = [place_in(resolver, request.path_info) for resolver in resolvers()]
    found = next(filter(None, places), None)
    # Where the app has the path in some urlconfs and not in others, the project chooses. For a host that it does not
    # know, it chooses none.
    return None if found and None in places and has_allowed_host(request) else found


def place_in(resolver: URLResolver, path: str) -> Place | None:
    """Return what ``path`` is about in this urlconf, or None where it is none of the app's."""
    try:
        return place_of(resolver, path)
    except Resolver404:
        return None


@lru_cache(maxsize=128)
def place_of(resolver: URLResolver, path: str) -> Place:
    """Return what ``path`` is about. Raises ``Resolver404`` for other paths of the site, which are not remembered."""
    mounts = mounts_of(resolver)
    prefix = language_prefix_of(resolver)
    if prefix is None:
        return _resolve(resolver, mounts, path, None)
    # Nobody else has looked at the language of the path yet. Where the default language has no prefix, a path without
    # one is in that language, also outside of ``i18n_patterns``.
    language = translation.get_language_from_path(path)
    if language is None and not prefix.prefix_default_language:
        language = settings.LANGUAGE_CODE
    with translation.override(language or settings.LANGUAGE_CODE):
        return _resolve(resolver, mounts, path, language)


def _resolve(resolver: URLResolver, mounts: tuple[Mount, ...], path: str, language: str | None) -> Place:
    """Resolve ``path``, after a cheap look at whether it can be the app's."""
    missing = ""
    if any(mount.leads_to(path) for mount in mounts):
        match = resolver.resolve(path)
    # The mount point itself answers without its slash too, which no pattern below it can see.
    elif not path.endswith("/") and any(mount.leads_to(f"{path}/") for mount in mounts):
        try:
            match = resolver.resolve(path)
        except Resolver404:
            missing = "/"
            match = resolver.resolve(f"{path}/")
    else:
        raise Resolver404
    if not is_for_middleware(match.func):
        raise Resolver404
    return Place(match.func, match.kwargs, language, missing)
