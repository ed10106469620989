"""Addresses that answer with checks: authorise, choose a format, ask, write it down."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import update_wrapper
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import DisallowedHost, TooManyFieldsSent
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port, validate_host
from django.utils.encoding import escape_uri_path
from django.views.generic import View

from status.access import Access, aaccess_for, access_for
from status.conf import conf
from status.engine import engine
from status.exceptions import StatusError
from status.formats import Format
from status.formats.negotiation import NotAcceptable, choose
from status.formats.server_timing import server_timing
from status.http import Answer, expected
from status.registry import Selection, UnknownName, registry
from status.report import Report

PONG = Answer(b'{"pong": true}')
#: What a probe or curl accepts; anything else is negotiated like every other answer.
PLAIN = (None, "*/*", "application/json")
METHODS = ["get", "head", "options"]


class Refusal(StatusError):
    """The request is not answered with checks. ``response`` says why."""

    def __init__(self, response: HttpResponse) -> None:
        super().__init__(response.status_code)
        self.response = response


class Question(NamedTuple):
    """What a request asks, once it is known that it may."""

    selection: Selection
    format: Format
    access: Access


def problem(status: int, **body: object) -> Answer:
    """An answer that says what is wrong with the request."""
    return expected(Answer(json.dumps(body).encode(), status=status))


def prepare(
    request: HttpRequest, access: Access, resource: str | None, provider: str | None
) -> Question | HttpResponse:
    """What ``request`` asks, or the answer where nothing has to be run for it."""
    try:
        if request.method == "OPTIONS":
            return listing(request, access, resource, provider)
        return question(request, access, resource, provider)
    except Refusal as refusal:
        return refusal.response
    except TooManyFieldsSent:  # by request.GET; Django would log it as an error and mail the admins
        return problem(400, error="The query has too many fields.")


def question(
    request: HttpRequest, access: Access, resource: str | None = None, provider: str | None = None
) -> Question:
    """What ``request`` asks. Raises ``Refusal`` when it may not, or makes no sense."""
    authorise(access, resource, provider)
    try:
        format = choose(_last(_query(request, "format")), request.META.get("HTTP_ACCEPT"))
    except NotAcceptable as error:
        raise Refusal(problem(406, error=str(error), formats=error.known)) from error
    return Question(select(request, access, resource, provider), format, access)


def _query(request: HttpRequest, name: str) -> list[str]:
    """What the query says under ``name``. ``request.GET`` is slow to build, and most probes have no query at all."""
    return request.GET.getlist(name) if request.META.get("QUERY_STRING") else []


def _last(values: list[str]) -> str | None:
    return values[-1] if values else None


def authorise(access: Access, resource: str | None, provider: str | None = None) -> None:
    """Raises ``Refusal``, before any name is looked up, so that it tells nothing about which names there are."""
    if not access.may_ask(resource, provider):
        raise Refusal(refused(access))


def refused(access: Access) -> Answer:
    if not access.challenge:
        return problem(403, error="You may not ask here.")
    response = problem(401, error="This needs a bearer token: Authorization: Bearer <token>.")
    response["WWW-Authenticate"] = 'Bearer realm="status"'
    return response


def select(request: HttpRequest, access: Access, resource: str | None, provider: str | None = None) -> Selection:
    """The checks that the address and the query name. Raises ``Refusal`` for unknown names."""
    # The way to ping is always open, also where the rest of its resource is closed.
    among = access.resources if access.may_ask(resource) else None
    only, skip = _query(request, "check"), _query(request, "skip")
    try:
        return registry.select(resource, provider, only=only, skip=skip, among=among)
    except UnknownName as error:
        authorise(access, resource)  # where only the way to ping is open, nobody is told what else there is
        raise Refusal(problem(404, error=str(error), **{f"{error.kind}s": error.known})) from error


def respond(question: Question, report: Report) -> Answer:
    """``report`` in the format and with the rights of the question."""
    failing = report.failing and not question.format.always_ok
    response = Answer(
        question.format.render(report, question.access.details).encode(),
        question.format.content_type,
        conf.error_code if failing else 200,
    )
    if question.access.details:
        response["Server-Timing"] = server_timing(report)
    return expected(response)


def origin(request: HttpRequest) -> str:
    """``https://example.com`` where the project names that host, else nothing: whoever asks could write anything."""
    try:
        host = request.get_host()
    except DisallowedHost:
        return ""
    named = [pattern for pattern in settings.ALLOWED_HOSTS if pattern != "*"]
    if settings.DEBUG and not settings.ALLOWED_HOSTS:
        named = [".localhost", "127.0.0.1", "[::1]"]
    return f"{request.scheme}://{host}" if validate_host(split_domain_port(host)[0], named) else ""


def api_path(request: HttpRequest, resource: str | None, provider: str | None) -> str:
    """The path of the API's root, wherever and however often it is mounted, taken from the address that was asked."""
    path = request.path.rstrip("/")
    for name in (provider, resource):
        if name is not None:
            path = path[: path.rindex("/")]
    return escape_uri_path(path)


def listing(request: HttpRequest, access: Access, resource: str | None, provider: str | None) -> Answer:
    """The addresses there are below this one. Runs nothing. Raises ``Refusal``."""
    authorise(access, resource, provider)
    selection = select(request, access, resource, provider)
    root = origin(request) + api_path(request, resource, provider)
    addresses: dict[str, dict[str, str]] = {name: {} for name in selection.resources}
    for check in selection.checks:
        addresses[check.resource][check.name] = f"{root}/{check.resource}/{check.name}"
    return allow(Answer(json.dumps(addresses if resource is None else addresses[resource]).encode()))


def allow(response: Answer) -> Answer:
    response["Allow"] = "GET, HEAD, OPTIONS"
    return response


def is_ping(request: HttpRequest, resource: str | None = None, provider: str | None = None) -> bool:
    """Whether the answer is ``PONG``, whoever asks: no provider, no thread, no look at who it is."""
    return (
        provider == "ping"
        and request.method in ("GET", "HEAD")
        and not request.META.get("QUERY_STRING")
        and request.META.get("HTTP_ACCEPT") in PLAIN
        and resource in registry.pings
    )


class ReportView(View):
    """Answers every resource, one resource, or one provider, as the address says."""

    http_method_names = METHODS

    def get(self, request: HttpRequest, resource: str | None = None, provider: str | None = None) -> HttpResponse:
        asked = prepare(request, access_for(request), resource, provider)
        return asked if isinstance(asked, HttpResponse) else respond(asked, engine.report(asked.selection))

    # Else Django gives each view a ``head`` that knows the view: a circle that keeps the request until it is collected.
    head = options = get

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponse]:
        view = super().as_view(**initkwargs)

        def report(request: HttpRequest, **kwargs: str) -> HttpResponse:
            return PONG.again() if is_ping(request, **kwargs) else view(request, **kwargs)  # type: ignore[return-value]

        return update_wrapper(report, view)

    async def adispatch(
        self, request: HttpRequest, resource: str | None = None, provider: str | None = None
    ) -> HttpResponse:
        """``dispatch`` on an event loop, without blocking it. The front door calls it under ASGI, but for ping."""
        if str(request.method).lower() not in self.http_method_names:
            return self.http_method_not_allowed(request)
        asked = prepare(request, await aaccess_for(request), resource, provider)
        return asked if isinstance(asked, HttpResponse) else respond(asked, await engine.areport(asked.selection))

    def http_method_not_allowed(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        return allow(problem(405, error="Ask with GET, HEAD or OPTIONS."))
