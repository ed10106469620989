"""The pages, the style sheet, script and icons that they need, and the JSON Schemas.

What makes a page is imported late, with the first one: in most processes nobody looks at any.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from django.core.exceptions import TooManyFieldsSent
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound, HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.encoding import escape_uri_path
from django.utils.http import escape_leading_slashes

from status.access import Access, access_for
from status.api.views import StatusView, allow, origin, problem, refused, tell_wrong_token
from status.conf import conf
from status.engine import engine
from status.formats import FORMATS
from status.history import history
from status.http import HEADERS, StatusResponse, url_path
from status.registry import registry

if TYPE_CHECKING:
    from status.pages.page import Page

#: Seconds a page waits for the checks. What takes longer is shown as running: a page arrives also when a check hangs.
PAGE_PATIENCE = 0.3
#: A state in a title, where there is no room for words and no colour.
SIGNS = {"pass": "✓", "warn": "▲", "fail": "✕", "running": "…", "info": "▪"}
#: Formats by the names that people know; the others are called what the query calls them.
FORMAT_LABELS = {
    "json": "JSON",
    "health+json": "Health JSON",
    "text": "Text",
    "prometheus": "Prometheus",
    "openmetrics": "OpenMetrics",
}
ASSET_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/schema+json",
    ".svg": "image/svg+xml",
}


class PageView(StatusView):
    """One page. Subclass it to change what a page covers; change its templates to change how it looks.

    kind: the name of its template, and the end of its address.
    judged: True for the resources that are judged, False for those which only inform, None for all.
    """

    kind = "overview"
    judged: bool | None = None
    #: The middleware sees to the time zone.
    writes_local_time = True

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer the request; 400 where Django refuses to read the query."""
        try:
            return super().dispatch(request, *args, **kwargs)
        except TooManyFieldsSent:  # Django would log it as an error and mail the admins
            return problem(400, error="The query has too many fields.")

    def get(self, request: HttpRequest, **mounted: object) -> HttpResponse:
        """Run the checks and return the page, with the HTTP status of its data."""
        access = access_for(request)
        resources = self.resources(access)
        if access.resources is not None and not resources:
            return self.refuse(request, access)
        # Late: see the top.
        from status.pages.page import Page

        history.share((resource, name) for resource in resources for name in registry[resource])
        report = engine.report(registry.select(among=resources), patience=PAGE_PATIENCE)
        with translation.override(language_of(request)):
            page = Page(report, self.kind, access.details, history.of, self.root(request))
            response = self.render(request, page, access, conf.error_code if report.failing else 200)
        return tell_wrong_token(request, access, response)

    def head(self, request: HttpRequest, **mounted: object) -> HttpResponse:
        """Return what ``get`` does; the server leaves out the body."""
        # Without this method Django adds one that refers to the view, see ``ReportView``.
        return self.get(request)

    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Return the address of the data that the page shows, and run nothing."""
        access = access_for(request)
        if access.resources is not None and not self.resources(access):
            return refused(access)
        return tell_wrong_token(request, access, allow(problem(200, api=f"{self.root(request)}api")))

    def resources(self, access: Access) -> Sequence[str]:
        """Return the resources that this page covers and this reader may ask for."""
        informational = conf.informational
        return [
            resource
            for resource in registry
            if access.may_ask(resource) and self.judged in (None, resource not in informational)
        ]

    def refuse(self, request: HttpRequest, access: Access) -> HttpResponse:
        """Return a page for a reader who may see nothing of it: 401 where a token would help, else 403."""
        # Late: see the top.
        from status.pages.page import RefusedPage

        refusal = refused(access)
        with translation.override(language_of(request)):
            page = RefusedPage(self.kind, self.root(request), access.challenge)
            response = self.render(request, page, access, refusal.status_code)
        if "WWW-Authenticate" in refusal:
            response["WWW-Authenticate"] = refusal["WWW-Authenticate"]
        return response

    def render(self, request: HttpRequest, page: Page, access: Access, code: int) -> StatusResponse:
        """Return ``page`` in the active language as a response of that HTTP status."""
        # Late: see the top.
        from status.pages.rendering import render_page

        context = {
            "site": origin(request).partition("//")[2] or translation.gettext("Status"),
            "sign": SIGNS[page.state],
            "assets": f"{page.root}assets/{asset_version()}/",
            "formats": self.formats(page),
            "has_fleet": conf.store is not None and access.may_ask("fleet"),
            "live": request.GET.get("live") != "no",
            "wall": "wall" in request.GET,
            "notice": translation.gettext("Nobody could be looked up, so this is what anonymous visitors see.")
            if access.unknown
            else "",
        }
        response = StatusResponse(render_page(request, page, context), status=code)
        response["Vary"] = f"{HEADERS['Vary']}, Accept-Language"
        response["Content-Language"] = translation.get_language() or "en"
        if conf.page_policy is not None:
            response["Content-Security-Policy"] = conf.page_policy
        return response

    def formats(self, page: Page) -> list[tuple[str, str]]:
        """Return the same data as the page shows, in each format that an address can answer: label and address."""
        data = f"{page.root}api/{quote(page.groups[0].resource)}" if len(page.groups) == 1 else f"{page.root}api"
        return format_links(data, [name for name, format in FORMATS.items() if format.http])

    def root(self, request: HttpRequest) -> str:
        """Return the path of the overview, with its slash, taken from this request: the app may be mounted twice."""
        path = url_path(request).rstrip("/")
        if self.kind != "overview":
            path = path.removesuffix(f"/{self.kind}")
        return escape_leading_slashes(escape_uri_path(f"{path}/"))


class HealthView(PageView):
    """What is judged: whether it is up, what is wrong, since when, how slow."""

    kind = "health"
    judged = True


class StatsView(PageView):
    """What only informs."""

    kind = "stats"
    judged = False


class FleetPageView(PageView):
    """Every process: what is not well, who is lost, and which commits are at work. Always 200."""

    kind = "fleet"
    shows_fleet = True

    def get(self, request: HttpRequest, **mounted: object) -> HttpResponse:
        """Return the page, after two seconds at most."""
        access = access_for(request)
        if not access.may_ask("fleet"):
            return self.refuse(request, access)
        # Late: see the top.
        from status.fleet import fleet
        from status.pages.fleet import FleetPage

        known = fleet()
        with translation.override(language_of(request)):
            page = FleetPage(known, access.details, conf.store is not None, self.root(request))
            return tell_wrong_token(request, access, self.render(request, page, access, 200))

    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Return the address of the data that the page shows."""
        access = access_for(request)
        if not access.may_ask("fleet"):
            return refused(access)
        return tell_wrong_token(request, access, allow(problem(200, api=f"{self.root(request)}api/fleet")))

    def formats(self, page: Page) -> list[tuple[str, str]]:
        """Return the addresses of the fleet; none where a resource of the project's has them."""
        # Late: see the top.
        from status.formats.fleet import FLEET_FORMATS

        return [] if "fleet" in registry else format_links(f"{page.root}api/fleet", FLEET_FORMATS)


def format_links(data: str, names: Iterable[str]) -> list[tuple[str, str]]:
    """Return label and address of each format of the data at an address."""
    return [
        (FORMAT_LABELS.get(name, name), data if name == "json" else f"{data}?format={quote(name)}") for name in names
    ]


class AssetView(StatusView):
    """A file that the pages need, or a JSON Schema, served by the app itself.

    A page that reports an outage must not need the project's static file host, nor that ``collectstatic`` ever ran.
    """

    asks_who = False

    def get(self, request: HttpRequest, version_asked: str, name: str, **mounted: object) -> HttpResponse:
        """Return the file; to be kept for ever, unless the address is that of another release."""
        content = assets().get(name)
        if content is None:
            return HttpResponseNotFound("There is no such file.", content_type="text/plain", headers=HEADERS)
        version = asset_version()
        headers = {
            **HEADERS,
            "Cache-Control": "public, max-age=31536000, immutable" if version_asked == version else "no-cache",
            "ETag": f'"{version}"',
        }
        # Public and the same for everyone.
        del headers["Vary"]
        if request.headers.get("If-None-Match") == headers["ETag"]:
            return HttpResponseNotModified(headers=headers)
        return HttpResponse(content, content_type=ASSET_TYPES[Path(name).suffix], headers=headers)

    # Without this Django adds a method that refers to the view, see ``ReportView``.
    head = get

    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Return what may be asked."""
        return allow(StatusResponse(""))


@lru_cache(maxsize=1)
def assets() -> dict[str, bytes]:
    """Return the content of each file by its name: what the pages need, and JSON Schemas of what is answered."""
    # Late: see the top. As resources, because the app may be imported from a zip file.
    from importlib.resources import files

    folder = files("status") / "static" / "status"
    found = {file.name: file for file in folder.iterdir()}
    found |= {f"schemas/{file.name}": file for file in (folder / "schemas").iterdir()}
    return {name: found[name].read_bytes() for name in sorted(found) if Path(name).suffix in ASSET_TYPES}


@lru_cache(maxsize=1)
def asset_version() -> str:
    """Return a part of the files' addresses that changes when any of them does, so that browsers may keep them."""
    digest = hashlib.sha256()
    for name, content in assets().items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def language_of(request: HttpRequest) -> str:
    """Return the language that ``LocaleMiddleware`` chose, or would have chosen, if the pages are translated into it.

    Else return the language that Django takes in its place.
    """
    chosen = getattr(request, "LANGUAGE_CODE", None)
    language = chosen if isinstance(chosen, str) else translation.get_language_from_request(request)
    with translation.override(language):
        # A catalogue of the app or of the project translates this to its own code. English needs no catalogue.
        translated = translation.pgettext("the code of this language", "en")
    return language if language.partition("-")[0] == translated.partition("-")[0] else translated
