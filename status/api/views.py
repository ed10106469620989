"""Addresses that answer with checks: authorize the caller, choose a format, run the checks, render the report.

What needs the store is imported late, with the first heartbeat or report: most projects have none.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import quote

from asgiref.sync import sync_to_async
from django.core.exceptions import DisallowedHost, TooManyFieldsSent
from django.http import HttpRequest, HttpResponse
from django.utils.encoding import escape_uri_path
from django.views.generic import View

from status.access import (
    ALWAYS_OPEN,
    Access,
    aaccess_for,
    access_for,
    access_of,
    amay_change,
    has_wrong_token,
    may_change,
)
from status.conf import conf
from status.engine import engine
from status.exceptions import StatusError
from status.formats import Format
from status.formats.negotiation import NotAcceptable, choose
from status.formats.server_timing import server_timing
from status.http import StatusResponse, exempt, keep_out_of_caches, url_path
from status.limited_calls import Steps, await_each, wait_for_each
from status.providers.health import DRAINING
from status.registry import Selection, UnknownName, registry
from status.report import Report

if TYPE_CHECKING:
    from status.counters import Reading

PONG = b'{"pong": true}'
METHODS = ["get", "head", "options"]
BEAT_METHODS = ["post"]
#: What ``ready`` answers while this process drains, whatever ``STATUS_ERROR_CODE`` says.
DRAINING_CODE = 503


def problem(status: int, **body: object) -> StatusResponse:
    """Return a JSON response that says what is wrong with the request."""
    return StatusResponse(json.dumps(body), "application/json", status)


def refused(access: Access) -> StatusResponse:
    """Return the response for a caller who may not ask: 401 where a bearer token could help, else 403."""
    if not access.challenge:
        return problem(403, error="You may not ask here.")
    response = problem(401, error="This needs a bearer token: Authorization: Bearer <token>.")
    response["WWW-Authenticate"] = 'Bearer realm="status"'
    return response


def tell_wrong_token(request: HttpRequest, access: Access, response: StatusResponse) -> StatusResponse:
    """Add that the token is wrong (RFC 6750) to an answer of which a right one might show more."""
    if has_wrong_token(request) and access != access_of(True):
        response["WWW-Authenticate"] = 'Bearer realm="status", error="invalid_token"'
    return response


def allow(response: StatusResponse) -> StatusResponse:
    """Add the ``Allow`` header."""
    response["Allow"] = "GET, HEAD, OPTIONS"
    return response


def origin(request: HttpRequest) -> str:
    """Return ``https://example.com`` where the project allows that host, else nothing: callers can write any host."""
    try:
        return f"{request.scheme}://{request.get_host()}"
    except DisallowedHost:
        return ""


def is_ping(request: HttpRequest, resource: str | None, provider: str | None) -> bool:
    """Return whether the answer is that of the built-in ping, whoever asks: nothing is run or looked up for it."""
    check = registry.get("health", {}).get("ping") if (resource, provider) == ALWAYS_OPEN else None
    return (
        check is not None
        and check.is_ping
        and request.method in ("GET", "HEAD")
        and not request.META.get("QUERY_STRING")
        # What probes and curl accept. Anything else is negotiated like every other answer.
        and request.META.get("HTTP_ACCEPT") in (None, "*/*", "application/json")
    )


def begin_to_count() -> Reading | None:
    """Begin to read how often the checks of all processes ran; None where there is no store."""
    # Late: see the top.
    from status.counters import Reading

    return Reading.begin()


class WrongCode(StatusError):
    """The query asks for another HTTP status than it may. The text is safe to show."""


class Question(NamedTuple):
    """What one request asks: which checks, in which format, and which HTTP status says that something fails."""

    selection: Selection
    format: Format
    error_code: int


class StatusView(View):
    """A view that needs no login, no CSRF token and no transaction, and that the middleware answers."""

    http_method_names = METHODS
    #: Whether the answer depends on who asks.
    asks_who = True
    #: Whether it tells of the fleet, in which this process then is without a store as well.
    shows_fleet = False

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponse]:
        """Return the view, exempt from what stands between a probe and its answer."""
        view = exempt(super().as_view(**initkwargs))
        if cls.decides_itself():
            view.answered_by_middleware = None  # type: ignore[attr-defined]
        return view

    @classmethod
    def decides_itself(cls) -> bool:
        """Return whether a class of the project's, such as one with ``LoginRequiredMixin``, sees to requests itself.

        It may need the project's stack for that. By the code, which a monitoring agent's proxy passes on.
        """
        base = next(one for one in cls.__mro__ if one.__module__.startswith("status."))
        codes = [
            [getattr(getattr(one, name, None), "__code__", None) for name in ("setup", "dispatch", *METHODS)]
            for one in (cls, base)
        ]
        return codes[0] != codes[1]

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        """Prepare to answer. A process that answers is one of the fleet, as far as anybody may ask for that."""
        super().setup(request, *args, **kwargs)
        keep_out_of_caches(request)
        if self.shows_fleet or "status.fleet" in sys.modules or conf.store is not None:
            # Late: see the top. What another thread is importing is waited for.
            from status.fleet import WEB, join

            join(WEB)

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Return 405."""
        return allow(problem(405, error="Ask with GET, HEAD or OPTIONS."))


class ReportView(StatusView):
    """Answers every resource, one resource, or one provider, as the address says. Its hooks can be overridden.

    It can stand at any path: ``path("healthz", ReportView.as_view(resource="health"))``. What a project mounts the app
    with besides, such as a tenant in the path, is in ``self.kwargs``.

    resource, provider: what to ask where the path does not say it. Extra arguments of ``path`` say the same.
    is_root: whether the addresses of resources and providers are below those of the API, which this is one of.
    """

    resource: str | None = None
    provider: str | None = None
    is_root = False

    def get(
        self, request: HttpRequest, resource: str | None = None, provider: str | None = None, **mounted: object
    ) -> HttpResponse:
        resource, provider = resource or self.resource, provider or self.provider
        if is_ping(request, resource, provider):
            return StatusResponse(PONG, "application/json")
        access = access_of(False) if registry.is_live(resource) else access_for(request)
        question = self.get_question(request, access, resource, provider)
        if isinstance(question, HttpResponse):
            return question
        reading = begin_to_count() if question.format.counts else None
        report = engine.report(question.selection)
        if reading is not None:
            report = report._replace(counts=reading.of(report.results))
        return self.render_report(report, question, access)

    async def adispatch(
        self, request: HttpRequest, resource: str | None = None, provider: str | None = None, **mounted: object
    ) -> HttpResponse:
        """Do the same for any method on an event loop, without blocking it. The middleware calls it under ASGI."""
        if str(request.method).lower() not in self.http_method_names:
            return self.http_method_not_allowed(request)
        resource, provider = resource or self.resource, provider or self.provider
        if is_ping(request, resource, provider):
            return StatusResponse(PONG, "application/json")
        access = access_of(False) if registry.is_live(resource) else await aaccess_for(request)
        question = self.get_question(request, access, resource, provider)
        if isinstance(question, HttpResponse):
            return question
        reading = begin_to_count() if question.format.counts else None
        report = await engine.areport(question.selection)
        if reading is not None:
            report = report._replace(counts=await reading.aof(report.results))
        return self.render_report(report, question, access)

    # Without its own ``head``, Django gives each view one that refers to the view: a cycle that keeps the request until
    # the garbage collector comes.
    head = options = get

    def get_question(
        self, request: HttpRequest, access: Access, resource: str | None, provider: str | None
    ) -> Question | HttpResponse:
        """Return what to run and how to answer, or the response where nothing has to be run."""
        # Before any name is looked up, so that it does not tell which names there are.
        if not access.may_ask(resource, provider):
            return refused(access)
        try:
            if request.method == "OPTIONS":
                return self.render_addresses(request, access, resource, provider)
            error_code = self.get_error_code(request, resource)
            format = self.get_format(request)
            selection = self.get_selection(request, access, resource, provider)
        except WrongCode as error:
            return problem(400, error=str(error))
        except NotAcceptable as error:
            return problem(406, error=str(error), formats=error.known)
        except UnknownName as error:
            if not access.may_ask(resource):  # where only the way to ping is open
                return refused(access)
            return problem(404, error=str(error), **{f"{error.kind}s": error.known})
        except TooManyFieldsSent:  # Django would log it as an error and mail the admins
            return problem(400, error="The query has too many fields.")
        # What was not asked is not healthy.
        if not selection.checks:
            return problem(404, error="Nothing is left to ask.")
        return Question(selection, format, error_code)

    def get_error_code(self, request: HttpRequest, resource: str | None) -> int:
        """Return the HTTP status for when something judged fails: 200 with ``?code=200``. Raises ``WrongCode``.

        Collectors that read only answers of 200 ask so. Whoever asks whether to send requests or to restart may not.
        """
        code = request.GET.get("code")
        if code is None:
            return int(conf.error_code)
        if code != "200":
            raise WrongCode("code should be 200, or left out.")
        if registry.is_preset(resource):
            raise WrongCode(f"code is not for {resource}, whose HTTP status is its answer. Ask another resource.")
        return 200

    def get_format(self, request: HttpRequest) -> Format:
        """Return the format to answer in. Raises ``NotAcceptable``."""
        return choose(request.GET.get("format"), request.META.get("HTTP_ACCEPT"))

    def get_selection(
        self, request: HttpRequest, access: Access, resource: str | None, provider: str | None
    ) -> Selection:
        """Return the checks that the address and the query name. Raises ``UnknownName``."""
        only, skip = request.GET.getlist("check"), request.GET.getlist("skip")
        # The way to ping is always open, also where the rest of its resource is closed.
        among = access.resources if access.may_ask(resource) else None
        return registry.select(resource, provider, only=only, skip=skip, among=among)

    def render_report(self, report: Report, question: Question, access: Access) -> HttpResponse:
        """Return the report in the format that was asked for, as far as the caller may see it."""
        format = question.format
        code = question.error_code if report.failing else 200
        for check, result in zip(question.selection.checks, report.results, strict=True):
            if check.is_drain and result.error == DRAINING:
                code = DRAINING_CODE
        content = format.render(report, access.details).encode()
        response = StatusResponse(content, format.content_type, 200 if format.always_ok else code)
        if access.details:
            response["Server-Timing"] = server_timing(report)
        if registry.is_live(question.selection.resource):  # whoever asks gets the same
            return response
        return tell_wrong_token(self.request, access, response)

    def render_addresses(
        self, request: HttpRequest, access: Access, resource: str | None, provider: str | None
    ) -> HttpResponse:
        """Return ``{resource: {provider: address}}``, or ``{provider: address}`` below one resource."""
        # The API's root, wherever and however often it is mounted, is found in the path that was asked. A view at
        # another path has none, and its checks are chosen in the query.
        path = url_path(request)
        asked = "".join(f"/{name}" for name in (resource, provider) if name is not None)
        mounted = self.is_root and path.rstrip("/").endswith(asked)
        root = origin(request) + escape_uri_path(path.rstrip("/").removesuffix(asked) if mounted else path)
        selection = self.get_selection(request, access, resource, provider)
        addresses: dict[str, dict[str, str]] = {name: {} for name in selection.resources}
        for check in selection.checks:
            way = f"/{escape_uri_path(f'{check.resource}/{check.name}')}" if mounted else f"?check={quote(check.name)}"
            addresses[check.resource][check.name] = root + way
        document: object = addresses
        if selection.resource is not None:
            document = {name: address for named in addresses.values() for name, address in named.items()}
        return tell_wrong_token(request, access, allow(StatusResponse(json.dumps(document), "application/json")))


class BeatView(StatusView):
    """Takes the heartbeat that the address names, from a caller with authority. POST only."""

    http_method_names = BEAT_METHODS

    def dispatch(self, request: HttpRequest, name: str, **mounted: Any) -> HttpResponse:
        if "beat" in registry:  # a resource of the project's
            return ReportView.as_view(is_root=True)(request, resource="beat", provider=name, **mounted)
        return cast("HttpResponse", super().dispatch(request, name=name, **mounted))

    async def adispatch(self, request: HttpRequest, name: str, **mounted: Any) -> HttpResponse:
        """Do the same on an event loop, without blocking it. The middleware calls it under ASGI."""
        if "beat" in registry:
            view = ReportView(is_root=True)
            view.setup(request, resource="beat", provider=name, **mounted)
            return await view.adispatch(request, resource="beat", provider=name, **mounted)
        if request.method != "POST":
            return self.http_method_not_allowed(request)
        if conf.synchronous:
            return await sync_to_async(self.post)(request, name)
        if not await amay_change(request):
            return refused(access_of(False))
        return await await_each(self.steps(name))

    def post(self, request: HttpRequest, name: str, **mounted: object) -> HttpResponse:
        if not may_change(request):
            return refused(access_of(False))
        return wait_for_each(self.steps(name))

    def steps(self, name: str) -> Steps[HttpResponse]:
        """Yield what to wait for. Return 204 once the store has the beat, 503 where that cannot be said in time.

        While the store is known to hang, that is said at once.
        """
        # Late: see the top.
        from status.heartbeats import UnknownHeartbeat, sending
        from status.store import StoreFailed

        try:
            yield from sending(name)
        except UnknownHeartbeat as error:
            return problem(404, error=str(error), heartbeats=error.known)
        except StoreFailed as error:
            return problem(503, error=f"The heartbeat is lost: {error}.")
        response = StatusResponse("", status=204)
        del response["Content-Type"]
        return response

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = problem(405, error="Send a heartbeat with POST.")
        response["Allow"] = "POST"
        return response


def __getattr__(name: str) -> Any:
    return import_module("status.classic").find(__name__, name)
