"""Addresses that answer with checks: authorise, choose a format, ask, write it down."""

from __future__ import annotations

import json
from dataclasses import dataclass

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import split_domain_port, validate_host
from django.utils.encoding import escape_uri_path
from django.views.generic import View

from status.access import Access, access_for
from status.conf import conf
from status.formats import JSON, Format
from status.formats.server_timing import server_timing
from status.inquiry import inquire
from status.manners import HEADERS, expected
from status.negotiation import NotAcceptable, choose
from status.registry import Selection, UnknownName, registry
from status.report import Report


class Refusal(Exception):
    """The request is not answered with checks. ``response`` says why."""

    def __init__(self, response: HttpResponse) -> None:
        super().__init__(response.status_code)
        self.response = response


class Answer(JsonResponse):
    """A ``JsonResponse`` whose content is written already, in JSON or another format."""

    def __init__(self, content: str, content_type: str = JSON.content_type, status: int = 200) -> None:
        HttpResponse.__init__(self, content, content_type=content_type, status=status, headers=HEADERS)


@dataclass(frozen=True)
class Question:
    """What a request asks, once it is known that it may."""

    selection: Selection
    format: Format
    access: Access


def problem(status: int, **body: object) -> Answer:
    """An answer that says what is wrong with the request."""
    return expected(Answer(json.dumps(body), status=status))


def question(request: HttpRequest, resource: str | None = None, provider: str | None = None) -> Question:
    """What ``request`` asks. Raises ``Refusal`` when it may not, or makes no sense."""
    access = authorise(request, resource, provider)
    try:
        format = choose(request.GET.get("format"), request.headers.get("Accept"))
    except NotAcceptable as error:
        raise Refusal(problem(406, error=str(error), formats=error.known)) from error
    return Question(select(request, access, resource, provider), format, access)


def authorise(request: HttpRequest, resource: str | None, provider: str | None = None) -> Access:
    """The rights of the caller. Decided before any name is looked up, so that a refusal tells nothing about names."""
    access = access_for(request)
    if not access.may_ask(resource, provider):
        raise Refusal(refused(access))
    return access


def refused(access: Access) -> Answer:
    if not access.challenge:
        return problem(403, error="You may not ask here.")
    response = problem(401, error="This needs a bearer token: Authorization: Bearer <token>.")
    response["WWW-Authenticate"] = 'Bearer realm="status"'
    return response


def select(request: HttpRequest, access: Access, resource: str | None, provider: str | None = None) -> Selection:
    """The checks that the address and the query name. Raises ``Refusal`` for unknown names."""
    # The way to ping is always open, also where the rest of its resource is closed.
    among = None if provider is not None else access.resources
    query = request.GET
    try:
        return registry.select(resource, provider, only=query.getlist("check"), skip=query.getlist("skip"), among=among)
    except UnknownName as error:
        raise Refusal(problem(404, error=str(error), **{f"{error.kind}s": error.known})) from error


def respond(question: Question, report: Report) -> Answer:
    """``report`` in the format and with the rights of the question."""
    failing = report.failing and not question.format.always_ok
    response = Answer(
        question.format.render(report, question.access.details),
        question.format.content_type,
        conf.error_code if failing else 200,
    )
    if question.access.details:
        response["Server-Timing"] = server_timing(report)
    return expected(response)


def origin(request: HttpRequest) -> str:
    """``https://example.com`` where that is a host the project names, else nothing: whoever asks could write anything."""
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


class ReportView(View):
    """Answers every resource, one resource, or one provider, as the address says."""

    http_method_names = ["get", "head", "options"]

    def dispatch(self, request: HttpRequest, *args: str, **kwargs: str) -> HttpResponse:
        try:
            return super().dispatch(request, *args, **kwargs)  # type: ignore[return-value]
        except Refusal as refusal:
            return refusal.response

    def get(self, request: HttpRequest, resource: str | None = None, provider: str | None = None) -> HttpResponse:
        asked = question(request, resource, provider)
        return respond(asked, inquire(asked.selection))

    def options(  # type: ignore[override]
        self, request: HttpRequest, resource: str | None = None, provider: str | None = None
    ) -> HttpResponse:
        """The addresses there are below this one. Runs nothing."""
        access = authorise(request, resource, provider)
        selection = select(request, access, resource, provider)
        root = origin(request) + api_path(request, resource, provider)
        addresses: dict[str, dict[str, str]] = {name: {} for name in selection.resources}
        for check in selection.checks:
            addresses[check.resource][check.name] = f"{root}/{check.resource}/{check.name}"
        return self.allow(Answer(json.dumps(addresses if resource is None else addresses[resource])))

    def http_method_not_allowed(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        return self.allow(problem(405, error="Ask with GET, HEAD or OPTIONS."))

    def allow(self, response: Answer) -> Answer:
        response["Allow"] = "GET, HEAD, OPTIONS"
        return response
