"""How every answer of ours behaves towards browsers, proxies, robots and the project it lives in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, wraps
from http.cookies import SimpleCookie
from importlib import import_module
from typing import Any, TypeVar, cast

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase, ResponseHeaders
from django.utils.functional import cached_property

#: Nothing in between may keep, index or reinterpret an answer.
HEADERS = {
    "Cache-Control": "no-store",
    "Vary": "Accept, Authorization, Cookie",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Referrer-Policy": "no-referrer",
}

# As a response keeps them. Set one by one, they take as long as all else that there is to an answer of ping.
_KEPT = ResponseHeaders(HEADERS)._store
# What Django gives a new response, made once. What may change in it, each response gets for itself.
_NEW = {name: value for name, value in vars(HttpResponse(content_type="text/plain")).items() if name != "headers"}

AnyResponse = TypeVar("AnyResponse", bound=HttpResponse)


def late(module: str, name: str) -> Callable[..., HttpResponse]:
    """A view by the path of its class, which is imported with the first request for it.

    Commands and workers read the addresses as well, and never answer one. Servers with the front door have it at once.
    """

    @cache
    def made() -> Callable[..., HttpResponse]:
        return cast("Callable[..., HttpResponse]", getattr(import_module(module), name).as_view())

    def view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return made()(request, *args, **kwargs)

    # What Django, its documentation and monitoring call the view.
    view.__module__, view.__name__, view.__qualname__ = module, name, name
    return view


class _EveryAlias:
    """Holds every database alias there is or will be."""

    def __contains__(self, alias: object) -> bool:
        return True


def harmless(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponse]:
    """``view`` without login, CSRF token, transaction and place in a cache, whatever the project demands of its own."""

    @wraps(view)
    def harmless_view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        request._cache_update_cache = False  # type: ignore[attr-defined]  # django.middleware.cache
        response = cast("HttpResponse", view(request, *args, **kwargs))
        if hasattr(request, "_status_answer"):
            request._status_answer = response
        return response

    harmless_view.login_required = False  # type: ignore[attr-defined]  # login_not_required
    harmless_view.csrf_exempt = True  # type: ignore[attr-defined]  # the methods that CSRF protects are answered 405
    harmless_view.front_door = True  # type: ignore[attr-defined]  # status.middleware answers it
    harmless_view._non_atomic_requests = _EveryAlias()  # type: ignore[attr-defined]  # django.db.transaction
    return harmless_view


def remember_answer(request: HttpRequest) -> None:
    """Have a view of ours leave what it answers for ``answer_of``.

    Only on demand: a request and its response that know each other are left to the garbage collector.
    """
    request._status_answer = None  # type: ignore[attr-defined]


def answer_of(request: HttpRequest) -> HttpResponse | None:
    """What a view of ours has answered to ``request``; None where it was not asked."""
    return getattr(request, "_status_answer", None)


def well_behaved(response: AnyResponse) -> AnyResponse:
    """With ``HEADERS``, sooner than one by one."""
    response.headers._store.update(_KEPT)
    return response


class Answer(JsonResponse):
    """A ``JsonResponse`` whose content is written already, in JSON or another format.

    Well-behaved, and like any other response of Django's, but made in a fraction of the time: a ping is little else.
    """

    _container: list[bytes]
    #: The headers it starts with, as ``ResponseHeaders`` keeps them. Answers share them, so nobody may change them.
    _first: Mapping[str, tuple[str, str]]

    def __init__(self, content: bytes, content_type: str = "application/json", status: int = 200) -> None:
        self._start(_NEW, content)
        self.status_code = status
        self._first = {"content-type": ("Content-Type", content_type), **_KEPT}

    def again(self) -> Answer:
        """Another one like this, which nobody may have touched; made in less time once more, and independent of it."""
        another = Answer.__new__(Answer)
        another._start(vars(self), self._container[0])
        return another

    def _start(self, state: Mapping[str, Any], content: bytes) -> None:
        """Begin with ``state``, and with what may change in it of its own."""
        own = vars(self)
        own.update(state)
        own["cookies"] = SimpleCookie()
        own["_container"] = [content]
        own["_resource_closers"] = []

    @cached_property
    def headers(self) -> ResponseHeaders:  # type: ignore[override]
        """Made when somebody looks, and from then on what counts. Behind the front door, only the server looks."""
        headers = ResponseHeaders({})
        headers._store = dict(self._first)
        return headers

    def items(self) -> Any:
        """What a server asks for, once for each answer."""
        return self.headers.items() if "headers" in vars(self) else self._first.values()


def complete(response: AnyResponse) -> AnyResponse:
    """With its length, as ``CommonMiddleware`` would: a connection can then be used again without chunks."""
    length = ("Content-Length", str(len(response.content)))
    if isinstance(response, Answer) and "headers" not in vars(response):
        response._first = {**response._first, "content-length": length}
    else:
        response.headers._store.setdefault("content-length", length)
    return response


def expected(response: AnyResponse) -> AnyResponse:
    """Keep ``django.request`` from logging an error, and mailing the admins, for a failure that is the answer."""
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response
