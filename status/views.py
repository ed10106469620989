"""The three pages, and the style sheet, script and icons that they need."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from django.http import HttpRequest, HttpResponse, HttpResponseNotFound, HttpResponseNotModified
from django.utils import translation
from django.utils.encoding import escape_uri_path
from django.utils.http import escape_leading_slashes
from django.views.generic import View

from status.access import Access, access_for
from status.api.views import METHODS, allow, origin, problem, refused
from status.conf import conf
from status.engine import engine
from status.formats import FORMATS
from status.history import history
from status.http import HEADERS, expected, well_behaved
from status.registry import registry

if TYPE_CHECKING:
    from status.pages.page import Page

#: Seconds a page waits for the checks. What takes longer is shown as running: a page arrives also when a check hangs.
PATIENCE = 0.3
#: A state in a title, where there is no room for words and no colour.
SIGNS = {"pass": "✓", "warn": "▲", "fail": "✕", "running": "…", "info": "▪"}
#: Formats by the names that people know; the others are called what the query calls them.
LABELS = {
    "json": "JSON",
    "health+json": "Health JSON",
    "text": "Text",
    "prometheus": "Prometheus",
    "openmetrics": "OpenMetrics",
}


ASSET_FOLDER = Path(__file__).resolve().parent / "static" / "status"
ASSET_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
#: Seconds in a year.
YEAR = 365 * 24 * 3600


class PageView(View):
    """One page. Subclass it to change what a page covers; its templates are the place to change how it looks.

    kind: the name of its template, and the end of its address.
    judged: True for the resources that are judged, False for those which only inform, None for all.
    """

    http_method_names = METHODS
    kind = "overview"
    judged: bool | None = None

    def get(self, request: HttpRequest) -> HttpResponse:
        # Late: most processes are only asked by probes, and start faster and smaller without the pages.
        from status.pages.page import page_of

        access = access_for(request)
        resources = self.resources(access)
        if access.resources is not None and not resources:
            return self.refuse(request, access)
        history.share((resource, name) for resource in resources for name in registry[resource])
        report = engine.report(registry.select(among=resources), patience=PATIENCE)
        with translation.override(language_of(request)):
            page = page_of(report, self.kind, access.details, history.of, self.root(request))
            return self.answer(request, page, conf.error_code if report.failing else 200)

    def head(self, request: HttpRequest) -> HttpResponse:
        # Lest Django ties the view to itself, see ``ReportView``.
        return self.get(request)

    def options(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """The address of the data that the page shows. Runs nothing."""
        access = access_for(request)
        if access.resources is not None and not self.resources(access):
            return refused(access)
        return allow(problem(200, api=f"{self.root(request)}api"))

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return allow(problem(405, error="Ask with GET, HEAD or OPTIONS."))

    def resources(self, access: Access) -> Sequence[str]:
        """The resources that this page covers and this reader may ask for."""
        informational = conf.informational
        return [
            resource
            for resource in registry
            if access.may_ask(resource) and self.judged in (None, resource not in informational)
        ]

    def refuse(self, request: HttpRequest, access: Access) -> HttpResponse:
        """A page for a reader who may see nothing of it."""
        # Late: as above.
        from status.pages.page import Refused

        refusal = refused(access)
        with translation.override(language_of(request)):
            page = Refused(self.kind, self.root(request), access.challenge)
            response = self.answer(request, page, refusal.status_code)
        if "WWW-Authenticate" in refusal:
            response["WWW-Authenticate"] = refusal["WWW-Authenticate"]
        return response

    def answer(self, request: HttpRequest, page: Page, code: int) -> HttpResponse:
        # Late: as above.
        from status.pages.rendering import render

        context = {
            "site": origin(request).partition("//")[2] or translation.gettext("Status"),
            "sign": SIGNS[page.state],
            "assets": f"{page.root}assets/{asset_version()}/",
            "formats": formats(page),
            "live": request.GET.get("live") != "no",
        }
        html = render(request, page, context)
        response = well_behaved(HttpResponse(html, status=code))
        response["Vary"] = f"{HEADERS['Vary']}, Accept-Language"
        response["Content-Language"] = translation.get_language() or "en"
        if conf.page_policy is not None:
            response["Content-Security-Policy"] = conf.page_policy
        return expected(response)

    def root(self, request: HttpRequest) -> str:
        """The overview's address, with its slash, taken from the one that was asked: the app may be mounted twice."""
        path = request.path.rstrip("/")
        if self.kind != "overview":
            path = path.removesuffix(f"/{self.kind}")
        return escape_leading_slashes(escape_uri_path(f"{path}/"))


class HealthView(PageView):
    """Is it up, what is wrong, since when, how slow."""

    kind = "health"
    judged = True


class StatsView(PageView):
    """The facts."""

    kind = "stats"
    judged = False


class AssetView(View):
    """A file that the pages need, served by the app itself.

    A page that reports an outage must not need the project's static file host, nor that ``collectstatic`` ever ran.
    """

    http_method_names = METHODS

    def get(self, request: HttpRequest, version_asked: str, name: str) -> HttpResponse:
        """Return the file; to be kept for ever, unless the address is that of another release."""
        content = assets().get(name)
        if content is None:
            return HttpResponseNotFound("There is no such file.", content_type="text/plain", headers=HEADERS)
        version = asset_version()
        headers = {
            **HEADERS,
            "Cache-Control": f"public, max-age={YEAR}, immutable" if version_asked == version else "no-cache",
            "ETag": f'"{version}"',
        }
        # Public and the same for everyone.
        del headers["Vary"]
        if request.headers.get("If-None-Match") == headers["ETag"]:
            return HttpResponseNotModified(headers=headers)
        return HttpResponse(content, content_type=ASSET_TYPES[Path(name).suffix], headers=headers)

    # Without this Django adds a method that refers to the view, see ``ReportView``.
    head = get


@lru_cache(maxsize=1)
def assets() -> dict[str, bytes]:
    """Return the content of each file by its name."""
    return {path.name: path.read_bytes() for path in sorted(ASSET_FOLDER.iterdir()) if path.suffix in ASSET_TYPES}


@lru_cache(maxsize=1)
def asset_version() -> str:
    """Return a part of the files' addresses that changes when any of them does, so that browsers may keep them."""
    digest = hashlib.sha256()
    for name, content in assets().items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def language_of(request: HttpRequest) -> str:
    """The language that ``LocaleMiddleware`` chose, or would have chosen had it been asked, if the pages speak it."""
    chosen = getattr(request, "LANGUAGE_CODE", None)
    return spoken(chosen if isinstance(chosen, str) else translation.get_language_from_request(request))


@lru_cache(maxsize=64)
def spoken(language: str) -> str:
    """``language`` where there is a catalog for it, ours or the project's, else the language that takes its place."""
    with translation.override(language):
        catalog = translation.pgettext("the code of this language", "en")
    return language if language.partition("-")[0] == catalog.partition("-")[0] else catalog


def formats(page: Page) -> tuple[tuple[str, str], ...]:
    """Label and address of what ``page`` shows, in each format that an address can answer."""
    below = f"/{page.groups[0].resource}" if len(page.groups) == 1 else ""
    return tuple(
        (LABELS.get(name, name), f"{page.root}api{below}{'' if name == 'json' else f'?format={quote(name)}'}")
        for name, format in FORMATS.items()
        if format.http
    )
