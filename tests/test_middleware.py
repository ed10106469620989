"""The middleware: what it answers, wherever the app is mounted, and what it passes on."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

import django
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.conf import settings
from django.conf.urls.i18n import i18n_patterns
from django.contrib.auth.decorators import login_required
from django.contrib.auth.mixins import LoginRequiredMixin
from django.core.cache import cache
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.test import (
    AsyncClient,
    AsyncRequestFactory,
    Client,
    RequestFactory,
    SimpleTestCase,
    override_settings,
)
from django.urls import include, path, re_path
from django.utils import timezone, translation
from django.utils.decorators import async_only_middleware

from status import logs
from status.access import user_lookups
from status.api.urls import report
from status.api.views import ReportView
from status.engine import engine
from status.formats import FORMATS, Format
from status.http import HEADERS, exempt
from status.middleware import StatusMiddleware, place_of
from status.mounts import mounts_of
from status.views import PageView, asset_version
from tests.test_http import CACHED

DOOR = "status.middleware.StatusMiddleware"
BEHIND = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
HEALTH = [("ping", "status.providers.health.ping"), ("fine", lambda: True)]
PING = {"resource": "health", "provider": "ping"}
ADDRESSES = (
    *("", "health", "health/", "stats", "stats/", "api", "api/", "api/health", "api/health/", "api/stats"),
    *("api/health/ping", "api/health/ping/", "api/health/fine"),
)


def home(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    return HttpResponse("home")


class Urls:
    """A urlconf, without a module for each."""

    def __init__(self, *urlpatterns: Any) -> None:
        self.urlpatterns = list(urlpatterns)


class TextView(ReportView):
    """What a project may write: everything in plain text."""

    def get_format(self, request: HttpRequest) -> Format:
        return FORMATS[self.kwargs.get("tenant", "text")]


def mounted(prefix: str, urls: str = "status.urls") -> Any:
    return path(prefix, include(urls))


def visits(get_response: Callable[..., Any]) -> Callable[..., Any]:
    def count(request: HttpRequest) -> HttpResponse:
        request.session["visits"] = 1 + request.session.get("visits", 0)
        return get_response(request)

    return count


def missing(get_response: Callable[..., Any]) -> Callable[..., Any]:
    def raise_404(request: HttpRequest) -> HttpResponse:
        raise Http404

    return raise_404


def unreachable(get_response: Callable[..., Any]) -> Callable[..., Any]:
    """Stands for everything behind the door that would fail: a host check, a redirect, a login, maintenance,
    a database."""

    def refuse(request: HttpRequest) -> HttpResponse:
        if request.path_info == "/elsewhere":
            return HttpResponse("elsewhere")
        raise AssertionError(f"{request.path_info} got past the door")

    return refuse


@async_only_middleware
def unreachable_async(get_response: Callable[..., Any]) -> Callable[..., Any]:
    async def refuse(request: HttpRequest) -> HttpResponse:
        raise AssertionError(f"{request.path_info} got past the door")

    return refuse


def login_page(get_response: Callable[..., Any]) -> Callable[..., Any]:
    def redirect(request: HttpRequest) -> HttpResponse:
        request.user = Staff()  # it knows who this is, and wants more than that
        return HttpResponseRedirect("/login/")

    return redirect


class Staff:
    is_active = is_staff = is_authenticated = True


def staff(get_response: Callable[..., Any]) -> Callable[..., Any]:
    def know(request: HttpRequest) -> HttpResponse:
        request.user = Staff()
        return get_response(request)

    return know


def bearer(get_response: Callable[..., Any]) -> Callable[..., Any]:
    """Know users by a JWT, as many projects with an API do."""

    def know(request: HttpRequest) -> HttpResponse:
        if request.headers.get("Authorization") == "Bearer of-staff":
            request.user = Staff()
        return get_response(request)

    return know


def session_that_cannot_be_saved(get_response: Callable[..., Any]) -> Callable[..., Any]:
    def fail(request: HttpRequest) -> HttpResponse:
        request.user = Staff()
        get_response(request)
        raise OperationalError("the session database is down")

    return fail


def way_back_that_hangs(get_response: Callable[..., Any]) -> Callable[..., Any]:
    def save(request: HttpRequest) -> HttpResponse:
        request.user = Staff()
        response = get_response(request)
        over.wait()
        response["X-Late"] = "yes"
        return response

    return save


def real_address(get_response: Callable[..., Any]) -> Callable[..., Any]:
    """Believe a header, as many projects do, and then want a login."""

    def believe(request: HttpRequest) -> HttpResponse:
        request.META["REMOTE_ADDR"] = request.META["HTTP_X_FORWARDED_FOR"]
        return HttpResponseRedirect("/login/")

    return believe


def nothing_in_the_end(get_response: Callable[..., Any]) -> Callable[..., Any]:
    def forget(request: HttpRequest) -> None:
        get_response(request)

    return forget


def friendly_page(get_response: Callable[..., Any]) -> Callable[..., Any]:
    """Show visitors a page of the site's own where something fails."""

    def replace(request: HttpRequest) -> HttpResponse:
        request.user = Staff()
        response = get_response(request)
        code = response.status_code
        return HttpResponse("Sorry, we will be back soon.", status=code) if code >= 400 else response

    return replace


def zone(get_response: Callable[..., Any]) -> Callable[..., Any]:
    def activate(request: HttpRequest) -> HttpResponse:
        if "sessionid" in request.COOKIES:
            timezone.activate(request.COOKIES["sessionid"])
        return get_response(request)

    return activate


def cors(get_response: Callable[..., Any]) -> Callable[..., Any]:
    def answer(request: HttpRequest) -> HttpResponse:
        return HttpResponse(headers={"Access-Control-Allow-Origin": request.headers["Origin"]})

    return answer


def header(get_response: Callable[..., Any]) -> Callable[..., Any]:
    def add(request: HttpRequest) -> HttpResponse:
        request.user = Staff()
        response = get_response(request)
        response.set_cookie("sessionid", "refreshed")
        return response

    return add


def session_that_hangs(get_response: Callable[..., Any]) -> Callable[..., Any]:
    class User:
        is_staff = True

        @property
        def is_active(self) -> bool:
            over.wait()
            return True

    def know(request: HttpRequest) -> HttpResponse:
        request.user = User()
        return get_response(request)

    return know


over = threading.Event()


class MixedView(LoginRequiredMixin, ReportView):
    pass


class MixedPage(LoginRequiredMixin, PageView):
    pass


BEHIND_LOGIN = Urls(
    path("decorated", login_required(ReportView.as_view(resource="health"))),
    path("mixed", MixedView.as_view(resource="health")),
    path("page", MixedPage.as_view()),
)


@override_settings(
    MIDDLEWARE=[DOOR, f"{__name__}.unreachable"],
    STATUS_PROVIDERS={"health": HEALTH, "stats": [("number", lambda: 1)]},
    ROOT_URLCONF=Urls(path("", home), mounted("status/")),
)
class DoorTestCase(SimpleTestCase):
    def setUp(self) -> None:
        observers = mock.patch.object(engine, "observers", [])
        observers.start()
        self.addCleanup(observers.stop)
        self.addCleanup(engine.close)
        logs._logged_at.clear()
        self.addCleanup(logs._logged_at.clear)

    def assertAnswers(self, address: str, code: int = 200, client: Client | None = None, **extra: Any) -> Any:
        response = (client or self.client).get(address, **extra)
        self.assertEqual(response.status_code, code, address)
        self.assertEqual(response.headers["X-Robots-Tag"], "noindex", address)
        return response

    def assertPassedOn(self, address: str, **extra: Any) -> None:
        with self.assertRaisesMessage(AssertionError, "got past the door"):
            self.client.get(address, **extra)


class MountTests(DoorTestCase):
    """``unreachable`` stands behind the door: an address that it does not answer raises."""

    def test_every_address_is_answered_with_and_without_its_slash(self):
        for address in ("/status", *(f"/status/{rest}" for rest in ADDRESSES)):
            self.assertAnswers(address)

    def test_everything_else_is_passed_on(self):
        for address in (
            "/",
            "/statuses",
            "/status/other",
            "/status/healthy",
            "/x/status/",
            "/api/health",
            "//status/",
            "/Status/",
        ):
            self.assertPassedOn(address)
        self.assertEqual(self.client.get("/elsewhere").content, b"elsewhere")

    def test_an_answer_leaves_nothing_to_the_garbage_collector(self):
        door = StatusMiddleware(mock.Mock())
        self.addCleanup(gc.enable)
        # contextlib of Python 3.10 ties exceptions to frames, and the pages' links ask asgiref for the language by one.
        tied = ("", "health", "health/", "stats", "stats/") if sys.version_info < (3, 11) else ()
        for rest in (*(rest for rest in ADDRESSES if rest not in tied), "assets/0/status.css", "api/nothing"):
            for method in ("GET", "HEAD", "OPTIONS", "POST"):
                with self.subTest(rest, method=method):
                    request = RequestFactory().generic(method, f"/status/{rest}")
                    left = weakref.ref(request)
                    gc.disable()
                    door(request)
                    del request
                    self.assertIsNone(left())
                    gc.enable()

    def test_unknown_names_below_it_are_answered_here(self):
        self.assertAnswers("/status/api/nothing", 404)
        self.assertAnswers("/status/api/health/nothing", 404)

    def test_mounted_elsewhere_nested_several_times_or_at_the_root(self):
        for urls, prefixes in (
            (Urls(mounted("")), ["/"]),
            (Urls(path("", home), mounted("a/"), mounted("b/c/"), path("d/", include([mounted("e/")]))), ["/a/",
            "/b/c/", "/d/e/"]),
            (Urls(re_path(r"^status/", include("status.urls"))), ["/status/"]),
            (Urls(re_path(r"^(?i:status)/", include("status.urls"))), ["/status/", "/STATUS/"]),
            (Urls(re_path(r"(?i)^one/|^status/", include("status.urls"))), ["/status/", "/One/"]),
            (Urls(re_path(r"^v(?P<number>\d)/", home), mounted("status/")), ["/status/"]),
            (Urls(mounted("höhe/")), ["/höhe/"]),
            (Urls(path("", include([path("", include([mounted("status/")]))])), ), ["/status/"]),
        ):  # fmt: skip
            with self.subTest(prefixes=prefixes), override_settings(ROOT_URLCONF=urls):
                for prefix in prefixes:
                    for address in (*(f"{prefix}{rest}" for rest in ADDRESSES), prefix.rstrip("/") or "/"):
                        self.assertAnswers(address)

    def test_api_alone(self):
        with override_settings(ROOT_URLCONF=Urls(mounted("status/", "status.api.urls"))):
            for address in ("/status/api/health", "/status/health", "/status/", "/status"):
                self.assertAnswers(address)
            self.assertPassedOn("/status/shop")

    def test_view_mounted_by_itself(self):
        with override_settings(ROOT_URLCONF=Urls(path("livez", report, PING))):
            self.assertEqual(self.assertAnswers("/livez").json(), {"pong": True})

    def test_view_at_any_path(self):
        """FAULTS A18"""

        class LiveView(ReportView):
            resource = "live"

        urls = Urls(
            path("alive", LiveView.as_view()),
            path("healthz", ReportView.as_view(resource="health")),
            path("fine", ReportView.as_view(), {"resource": "health", "provider": "fine"}),
            path("livez", ReportView.as_view(resource="health", provider="ping")),
            path("pingz", ReportView.as_view(resource="health", provider="ping"), {"resource": None}),
            path("text", TextView.as_view(resource="health")),
            path("probe/health", ReportView.as_view(resource="health")),
            path("<str:resource>/only/", ReportView.as_view(provider="fine")),
            path("everything", ReportView.as_view()),
        )
        with override_settings(ROOT_URLCONF=urls):
            self.assertEqual(self.assertAnswers("/healthz").json(), {"ping": {"pong": True}, "fine": True})
            self.assertEqual(self.assertAnswers("/fine").json(), True)
            self.assertEqual(self.assertAnswers("/health/only/").json(), True)
            with self.assertNoLogs("status"):  # nobody is looked up
                for address in ("/livez", "/pingz"):
                    self.assertEqual(self.assertAnswers(address, HTTP_COOKIE="sessionid=x").json(), {"pong": True})
            self.assertEqual(self.assertAnswers("/alive", HTTP_COOKIE="sessionid=x").json(), {"ping": {"pong": True}})
            self.assertIn("STATUS PASS", self.assertAnswers("/text").content.decode())
            self.assertEqual(self.client.post("/healthz").status_code, 405)
            everything = "http://testserver/everything"
            addresses = {name: f"http://testserver/healthz?check={name}" for name in ("ping", "fine")}
            self.assertEqual(self.client.options("/healthz").json(), addresses)
            # The path only looks like one of the API.
            probe = self.client.options("/probe/health").json()
            self.assertEqual(probe, {name: f"http://testserver/probe/health?check={name}" for name in addresses})
            self.assertEqual(self.client.options("/everything").json()["health"]["ping"], f"{everything}?check=ping")
            self.assertEqual(self.assertAnswers(f"{everything}?check=ping").json()["health"], {"ping": {"pong": True}})
            for name, address in addresses.items():
                self.assertEqual(list(self.assertAnswers(address).json()), [name])

    async def test_view_at_any_path_on_an_event_loop(self):
        """FAULTS A18"""
        urls = Urls(path("healthz", ReportView.as_view(resource="health")))
        with override_settings(ROOT_URLCONF=urls, MIDDLEWARE=[DOOR, f"{__name__}.unreachable_async"]):
            response = await self.async_client.get("/healthz")
        self.assertEqual(response.json(), {"ping": {"pong": True}, "fine": True})

    def test_view_that_a_monitoring_agent_wraps(self):
        """FAULTS A25"""

        class Proxy:  # as that of wrapt, which Datadog and New Relic use
            def __getattr__(self, name: str) -> Any:
                return getattr(report, name)

            def __call__(self, *args: Any, **kwargs: Any) -> HttpResponse:
                return report(*args, **kwargs)

        urls = Urls(path("healthz", Proxy(), {"resource": "health"}), path("livez", Proxy(), PING))
        with override_settings(ROOT_URLCONF=urls):
            self.assertEqual(self.assertAnswers("/healthz").json()["fine"], True)
            # Without a look at who asks, which would lead past the door.
            self.assertAnswers("/livez", HTTP_COOKIE="sessionid=x")

    def test_view_that_wants_a_login_is_left_to_the_project(self):
        """FAULTS A2: it never answers where the project would not."""
        with override_settings(ROOT_URLCONF=BEHIND_LOGIN, MIDDLEWARE=[DOOR, *BEHIND]):
            for address in ("/decorated", "/mixed", "/page"):
                for cookie in ("", "sessionid=x"):
                    response = self.client.get(address, HTTP_COOKIE=cookie)
                    self.assertRedirects(response, f"/accounts/login/?next={address}", fetch_redirect_response=False)

    async def test_view_that_wants_a_login_is_left_to_the_project_on_an_event_loop(self):
        """FAULTS A2: it never answers where the project would not."""
        with override_settings(ROOT_URLCONF=BEHIND_LOGIN, MIDDLEWARE=[DOOR, *BEHIND]):
            for address in ("/decorated", "/mixed", "/page"):
                self.assertEqual((await self.async_client.get(address)).status_code, 302, address)

    def test_mounted_with_more_arguments(self):
        """FAULTS A7"""
        urls = Urls(
            mounted("<slug:tenant>/status/"),
            path("extra/", include("status.urls"), {"site": 1, "version_asked": "mine", "request_id": None}),
        )
        for stack in ([DOOR, f"{__name__}.unreachable"], BEHIND):
            with override_settings(ROOT_URLCONF=urls, MIDDLEWARE=stack, SECURE_SSL_REDIRECT=False):
                for prefix in ("/acme/status/", "/extra/"):
                    for rest in (*ADDRESSES, "assets/0/status.css"):
                        address = f"{prefix}{rest}"
                        self.assertAnswers(address)
                        self.assertEqual(self.client.head(address).status_code, 200, address)
                        self.assertEqual(self.client.options(address).status_code, 200, address)
                    listing = self.client.options(f"{prefix}api").json()
                    self.assertEqual(listing["health"]["fine"], f"http://testserver{prefix}api/health/fine")

    def test_view_of_the_project_that_comes_first_keeps_its_address(self):
        with override_settings(ROOT_URLCONF=Urls(path("status/api", home), path("status", home), mounted("status/"))):
            self.assertPassedOn("/status/api")
            self.assertPassedOn("/status")
            self.assertAnswers("/status/api/health")

    def test_project_without_the_app_in_its_urls(self):
        with override_settings(ROOT_URLCONF=Urls(path("", home))):
            self.assertPassedOn("/status/")

    def test_script_name_is_not_part_of_the_path(self):
        response = self.client.get(
            "/prefix/status/api/health/ping", SCRIPT_NAME="/prefix", PATH_INFO="/status/api/health/ping"
        )
        self.assertEqual(response.json(), {"pong": True})

    def test_addresses_are_those_that_reverse_writes(self):
        """FAULTS A9"""
        stripped = {"SCRIPT_NAME": "/shop", "PATH_INFO": "/status/health/"}  # by the server, for example gunicorn
        for forced, extra in (("/shop", {}), ("/shop/", {}), (None, stripped), ("/shop", {"SCRIPT_NAME": "/other"})):
            for stack in ([DOOR], BEHIND):
                with override_settings(FORCE_SCRIPT_NAME=forced, MIDDLEWARE=stack):
                    page = Client().get("/status/health/", **extra)
                    self.assertContains(page, 'href="/shop/status/assets/')
                    self.assertContains(page, 'href="/shop/status/stats/"')
                    listing = Client().options("/status/api/health", **{**extra, "PATH_INFO": "/status/api/health"})
                    self.assertEqual(listing.json()["fine"], "http://testserver/shop/status/api/health/fine")

    def test_below_a_language_prefix(self):
        urls = Urls(*i18n_patterns(mounted("status/"), prefix_default_language=False))
        languages = [("en", "English"), ("es", "Spanish")]
        with override_settings(ROOT_URLCONF=urls, LANGUAGE_CODE="en", LANGUAGES=languages):
            for leftover in ("en", "es"):  # of the request before, in this thread
                with translation.override(leftover):
                    self.assertAnswers("/status/api/health")
                    self.assertAnswers("/es/status/api/health")
                    self.assertPassedOn("/en/status/api/health")
                    self.assertPassedOn("/fr/status/api/health")
                    self.assertEqual(self.assertAnswers("/es/status/")["Content-Language"], "es")
                    self.assertEqual(self.assertAnswers("/status/")["Content-Language"], "en")
                    self.assertEqual(translation.get_language(), leftover)

    def test_language_of_an_address_does_not_depend_on_who_asks(self):
        languages = [("en", "English"), ("es", "Spanish"), ("fr", "French")]
        stack = [DOOR, "django.middleware.locale.LocaleMiddleware", f"{__name__}.staff"]
        for prefixed, status, plain in ((False, "es", "es"), (True, None, "fr")):
            below = i18n_patterns(mounted("status/"), prefix_default_language=prefixed)
            urls = Urls(mounted("plain/"), *below)
            outside = Urls(mounted("plain/"), *i18n_patterns(path("", home), prefix_default_language=prefixed))
            for urlconf, address, language in (
                (urls, "/status/", status), (urls, "/en/status/", "en"), (urls, "/plain/", plain),
                (outside, "/plain/", plain),
            ):  # fmt: skip
                with override_settings(ROOT_URLCONF=urlconf, LANGUAGE_CODE="es", LANGUAGES=languages, MIDDLEWARE=stack):
                    for cookies in ({}, {"sessionid": "staff"}):
                        client = Client()
                        client.cookies.load(cookies)
                        response = client.get(address, HTTP_ACCEPT_LANGUAGE="fr")
                        with self.subTest(prefixed=prefixed, address=address, cookies=cookies):
                            self.assertEqual(response.get("Content-Language"), language)

    def test_address_is_resolved_once_and_others_are_not_remembered(self):
        place_of.cache_clear()
        for number in range(300):
            self.assertAnswers("/status/api/health/ping")
            self.assertPassedOn(f"/{number}")
        self.assertEqual((place_of.cache_info().hits, place_of.cache_info().currsize), (299, 1))

    def test_what_is_remembered_is_bounded(self):
        for number in range(400):
            self.assertAnswers(f"/status/api/{number}", 404)
        self.assertLessEqual(place_of.cache_info().currsize, 128)
        self.assertLessEqual(mounts_of.cache_info().currsize, 8)


class FirstTests(DoorTestCase):
    """What would stand between a probe and its answer."""

    def test_probe_by_address_over_plain_http_gets_its_answer(self):
        with override_settings(
            MIDDLEWARE=[DOOR, *BEHIND], ALLOWED_HOSTS=["example.com"], SECURE_SSL_REDIRECT=True, PREPEND_WWW=True
        ):
            for host in ("10.1.2.3:8000", "evil.example", "[::1", "a b", ""):
                response = self.assertAnswers("/status/api/health", HTTP_HOST=host)
                self.assertNotIn("Location", response)
                self.assertEqual(response.json(), {"ping": {"pong": True}, "fine": True})

    def test_without_the_door_such_a_probe_is_refused_and_redirected(self):
        with override_settings(MIDDLEWARE=BEHIND, ALLOWED_HOSTS=["example.com"]), self.assertLogs("django", "ERROR"):
            self.assertEqual(self.client.get("/status/api/health", HTTP_HOST="10.1.2.3").status_code, 400)
        with override_settings(MIDDLEWARE=BEHIND, SECURE_SSL_REDIRECT=True):
            self.assertEqual(Client().get("/status/api/health").status_code, 301)

    def test_login_is_not_needed(self):
        # It came with Django 5.1; before that, nothing of Django's own demands a login everywhere.
        required = ["django.contrib.auth.middleware.LoginRequiredMiddleware"] if django.VERSION >= (5, 1) else []
        for stack in ([*BEHIND, *required], [DOOR, *BEHIND, *required]):
            with override_settings(MIDDLEWARE=stack):
                for address in ADDRESSES:
                    self.assertAnswers(f"/status/{address}", client=Client())

    def test_answer_says_how_long_it_is(self):
        for address in ("/status/api/health/ping", "/status/api/health", "/status/", "/status/api/nothing"):
            response = self.client.get(address)
            self.assertEqual(response["Content-Length"], str(len(response.content)))

    def test_headers_of_middleware_in_front_are_kept(self):
        """FAULTS A10"""
        security = "django.middleware.security.SecurityMiddleware"
        with override_settings(MIDDLEWARE=[security, f"{__name__}.header", DOOR], SECURE_HSTS_SECONDS=60):
            for address in ("/status/", "/status/api/health/ping"):
                response = self.assertAnswers(address, secure=True, HTTP_HOST="10.1.2.3")
                self.assertEqual(response["Strict-Transport-Security"], "max-age=60")
                self.assertEqual(response.cookies["sessionid"].value, "refreshed")

    def test_cors_preflight_is_left_to_the_project(self):
        """FAULTS A10"""
        preflight = {"HTTP_ORIGIN": "https://shop.example", "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "GET"}
        with override_settings(MIDDLEWARE=[DOOR, f"{__name__}.cors"]):
            for rest in ADDRESSES:
                response = self.client.options(f"/status/{rest}", **preflight)
                self.assertEqual(response["Access-Control-Allow-Origin"], "https://shop.example")
                self.assertAnswers(f"/status/{rest}", **preflight)
        with override_settings(MIDDLEWARE=[DOOR, *BEHIND]):
            self.assertIn("health", Client().options("/status/api", **preflight).json())

    def test_mistake_of_the_caller_is_answered_here_too(self):
        self.assertEqual(self.client.post("/status/api/health").status_code, 405)
        self.assertEqual(self.client.generic("BREW", "/status/").status_code, 405)
        self.assertEqual(self.client.get("/status/api/health?format=x").status_code, 406)


class CookieTests(DoorTestCase):
    """Who brings a cookie may be logged in, which only what stands behind the door can tell."""

    def get(self, address: str, *behind: str, **extra: Any) -> Any:
        with override_settings(MIDDLEWARE=[DOOR, *(f"{__name__}.{name}" for name in behind)]):
            return self.assertAnswers(
                address, client=Client(raise_request_exception=False), HTTP_COOKIE="sessionid=x", **extra
            )

    def test_staff_see_details(self):
        self.assertIn("Server-Timing", self.get("/status/api/health", "staff"))
        with override_settings(MIDDLEWARE=[DOOR, f"{__name__}.staff"]):
            self.assertIn("Server-Timing", self.assertAnswers("/status/api/health", REMOTE_USER="root"))
            self.assertNotIn("Server-Timing", self.assertAnswers("/status/api/health"))

    def test_staff_see_details_where_the_middleware_stands_twice(self):
        with override_settings(MIDDLEWARE=[DOOR, f"{__name__}.staff", DOOR]):
            self.assertIn("Server-Timing", self.assertAnswers("/status/api/health", HTTP_COOKIE="sessionid=x"))

    @override_settings(TIME_ZONE="UTC")
    def test_each_reader_has_a_time_zone_of_its_own(self):
        """FAULTS A22: the project's middleware activates it, and leaves it in the thread."""
        self.addCleanup(timezone.deactivate)
        with override_settings(MIDDLEWARE=[DOOR, f"{__name__}.zone"]):
            for cookie, zone in (
                ("sessionid=Asia/Tokyo", "JST"), ("", "UTC"), ("sessionid=Asia/Kolkata", "IST"), ("", "UTC"),
            ):  # fmt: skip
                client = Client(headers={"cookie": cookie})
                self.assertRegex(client.get("/status/").content.decode(), rf"\d\d:\d\d:\d\d {zone}<")
                client.get("/elsewhere")  # a page of the project's, in this thread

    def test_ping_is_answered_without_asking_who_it_is(self):
        self.assertEqual(self.get("/status/api/health/ping", "unreachable").json(), {"pong": True})

    def test_what_a_page_needs_is_answered_without_asking_who_it_is(self):
        """Where sessions hang, a page that says so has its style sheet at once."""
        with self.assertNoLogs("status"):
            response = self.get(f"/status/assets/{asset_version()}/status.css", "unreachable")
        self.assertEqual((response["Content-Type"], response.get("Vary")), ("text/css; charset=utf-8", None))

    def test_what_has_no_body_has_no_length(self):
        """RFC 9110, 8.6"""
        style_sheet = f"/status/assets/{asset_version()}/status.css"
        response = self.client.get(style_sheet, HTTP_IF_NONE_MATCH=self.assertAnswers(style_sheet)["ETag"])
        self.assertEqual((response.status_code, response.get("Content-Length")), (304, None))
        self.assertEqual(self.client.options(style_sheet)["Cache-Control"], "no-store")

    def test_login_page_in_the_way_makes_a_stranger_of_everyone(self):
        for address in ("/status/", "/status/api/health"):
            self.assertNotIn("Server-Timing", self.get(address, "login_page"))

    @override_settings(STATUS_PUBLIC=(), STATUS_NETWORKS=["10.0.0.0/8"])
    def test_what_the_stack_believes_gives_a_stranger_no_rights(self):
        self.get(
            "/status/api/health", "real_address", code=403, HTTP_X_FORWARDED_FOR="10.1.1.1", REMOTE_ADDR="192.0.2.1"
        )

    def test_staff_need_no_slash(self):
        stack = [DOOR, "django.middleware.common.CommonMiddleware", f"{__name__}.staff"]
        for address in ("/status", "/status/", "/status/health", "/status/api"):
            with override_settings(STATUS_PUBLIC=(), MIDDLEWARE=stack):
                self.assertAnswers(address, HTTP_COOKIE="sessionid=x")

    def test_error_behind_the_door_makes_a_stranger_of_everyone(self):
        with self.assertNoLogs("django"), self.assertLogs("status", "WARNING"):
            self.assertNotIn("Server-Timing", self.get("/status/api/health", "unreachable"))

    def test_response_that_gets_lost_on_the_way_back_costs_no_answer(self):
        self.assertEqual(
            self.get("/status/api/health", "nothing_in_the_end").json(), {"ping": {"pong": True}, "fine": True}
        )

    def test_page_of_the_site_that_stands_for_an_error_is_not_the_answer(self):
        with override_settings(STATUS_PROVIDERS={"health": [("bad", bool)]}):
            for address in ("/status/", "/status/api/health"):
                response = self.get(address, "friendly_page", code=503)
                self.assertIn("bad", response.content.decode())
                self.assertEqual(response["Cache-Control"], "no-store")

    def test_session_that_cannot_be_saved_costs_no_answer(self):
        with self.assertNoLogs("django"), self.assertLogs("status", "WARNING"):
            response = self.get("/status/api/health", "session_that_cannot_be_saved")
        self.assertIn("Server-Timing", response)
        self.assertEqual(response.json(), {"ping": {"pong": True}, "fine": True})

    def test_frozen_session_database_is_waited_for_a_second_at_most(self):
        self.hang()
        before = time.monotonic()
        for address in ("/status/api/health", "/status/"):
            self.assertNotIn("Server-Timing", self.get(address, "session_that_hangs"))
        self.assertLess(time.monotonic() - before, 2 * user_lookups.timeout + 0.8)

    def hang(self) -> None:
        over.clear()
        self.addCleanup(self.settle)

    def settle(self) -> None:
        over.set()
        for thread in threading.enumerate():
            if thread.name == "status-access":
                thread.join()

    def test_what_blocks_on_an_event_loop_runs_in_a_thread_of_its_own(self):
        """FAULTS A2: so that the end of the request does not wait for it, and nobody else shares it."""
        threads = []

        async def work(request: HttpRequest) -> HttpResponse:
            threads.append(await sync_to_async(threading.current_thread)())
            request.user = Staff()
            return await sync_to_async(report)(request, resource="health")

        async def serve() -> HttpResponse:
            async with ThreadSensitiveContext():  # as Django's handler has it
                threads.append(await sync_to_async(threading.current_thread)())
                request = AsyncRequestFactory().get("/status/api/health", headers={"cookie": "sessionid=x"})
                return await StatusMiddleware(work)(request)

        self.assertIn("Server-Timing", asyncio.run(serve()))
        self.assertTrue(threads[1].daemon)
        self.assertIsNot(*threads)

    def test_page_says_that_nobody_could_be_looked_up(self):
        """FAULTS A2"""
        self.hang()
        with mock.patch.object(user_lookups, "timeout", 0.1):
            for options in ({}, {"STATUS_PUBLIC": ()}):
                with override_settings(**options):
                    response = self.get("/status/", "session_that_hangs", code=403 if options else 200)
                self.assertIn(b"Nobody could be looked up", response.content)
        self.settle()
        self.assertNotIn(b"Nobody could be looked up", self.get("/status/", "staff").content)

    def test_way_back_that_hangs_costs_a_second_at_most_and_no_details(self):
        """FAULTS A2"""
        self.hang()
        with mock.patch.object(user_lookups, "timeout", 0.3):
            before = time.monotonic()
            response = self.get("/status/api/health", "way_back_that_hangs")
            self.assertLess(time.monotonic() - before, 1.0)
        self.settle()
        self.assertIn("Server-Timing", response)
        self.assertNotIn("X-Late", response)
        self.assertEqual(response["Content-Length"], str(len(response.content)))

    def test_what_the_stack_adds_is_kept_where_it_answers_in_time(self):
        """FAULTS A2"""
        self.assertEqual(self.get("/status/api/health", "header").cookies["sessionid"].value, "refreshed")

    def test_nobody_is_looked_up_where_that_changes_nothing(self):
        """FAULTS A2, A3"""
        token = "a-token-that-is-long-enough-0123456789"
        for extra, options in (
            ({"HTTP_COOKIE": "_ga=1"}, {}),
            ({}, {"STATUS_SHOW_DETAILS": "never"}),
            ({}, {"DEBUG": True}),
            ({}, {"STATUS_NETWORKS": ["127.0.0.1"]}),
            ({"HTTP_AUTHORIZATION": f"Bearer {token}"}, {"STATUS_TOKENS": [token]}),
            ({"HTTP_HOST": "evil.example"}, {}),
            ({"HTTP_HOST": "10.1.2.3"}, {}),
            ({"CONTENT_LENGTH": "5"}, {}),
        ):
            with self.subTest(extra=extra, options=options), override_settings(**options):
                self.assertAnswers("/status/api/health", **{"HTTP_COOKIE": "sessionid=x", **extra})

    def test_no_thread_left_makes_a_stranger_of_everyone(self):
        start = threading.Thread.start

        def refuse(thread: threading.Thread) -> None:
            if thread.name == "status-access":
                raise RuntimeError("can't start new thread")
            start(thread)

        with mock.patch.object(threading.Thread, "start", refuse):
            for _ in range(user_lookups.limit + 1):
                self.assertNotIn("Server-Timing", self.get("/status/api/health", "staff"))
        self.assertIn("Server-Timing", self.get("/status/api/health", "staff"))

    def test_everything_happens_in_the_calling_thread_where_checks_do(self):
        with override_settings(STATUS_SYNCHRONOUS=True), mock.patch.object(threading.Thread, "start", self.fail):
            self.assertIn("Server-Timing", self.get("/status/api/health", "staff"))

    def test_permission_that_a_login_page_does_not_stand_in_the_way_of(self):
        with override_settings(STATUS_PERMISSION=lambda request: request.COOKIES.get("a") == "b"):
            for cookie, details in (("a=b", True), ("a=c", False)):
                with override_settings(MIDDLEWARE=[DOOR, f"{__name__}.login_page"]):
                    response = self.assertAnswers("/status/api/health", client=Client(), HTTP_COOKIE=cookie)
                self.assertEqual("Server-Timing" in response, details)

    def test_permission_may_judge_by_a_user_who_is_known_by_a_bearer_token(self):
        for permission, details in ((lambda request: request.user.is_staff, True), (None, False)):
            for stack in ([DOOR, f"{__name__}.bearer"], [f"{__name__}.bearer"]):
                with (
                    self.subTest(permission=permission, stack=stack),
                    override_settings(STATUS_PERMISSION=permission, MIDDLEWARE=stack),
                ):
                    response = Client().get("/status/api/health", HTTP_AUTHORIZATION="Bearer of-staff")
                    self.assertEqual("Server-Timing" in response, details)
                    self.assertNotIn("Server-Timing", Client().get("/status/api/health"))

    def test_outage_mails_nobody(self):
        """FAULTS A26"""
        dead = mock.patch("django.contrib.sessions.backends.db.SessionStore.load", side_effect=OperationalError)
        unsaved = mock.patch("django.contrib.sessions.backends.db.SessionStore.save", side_effect=OperationalError)
        behind = override_settings(MIDDLEWARE=[DOOR, *BEHIND, f"{__name__}.visits"])
        for host in ("testserver", "10.1.2.3", "evil.example"):
            logs._logged_at.clear()
            with dead, unsaved, behind, self.assertNoLogs("django", "WARNING"), contextlib.ExitStack() as stack:
                if host == "testserver":
                    stack.enter_context(self.assertLogs("status"))
                client = Client(raise_request_exception=False, headers={"cookie": "sessionid=x", "host": host})
                for address in ("/status/api/health", "/status/"):
                    self.assertNotIn("Server-Timing", self.assertAnswers(address, client=client))

    def test_page_that_is_missing_behind_the_door_is_nobody_s_mistake(self):
        with self.assertNoLogs("django"), self.assertNoLogs("status"):
            self.assertNotIn("Server-Timing", self.get("/status/api/health", "missing"))

    def test_who_gets_no_turn_is_a_stranger(self):
        """FAULTS A1"""
        self.hang()
        with ThreadPoolExecutor(user_lookups.limit) as callers, mock.patch.object(user_lookups, "timeout", 0.5):
            with override_settings(MIDDLEWARE=[DOOR, f"{__name__}.session_that_hangs"]):
                headers = {"cookie": "sessionid=x"}
                ask = [callers.submit(Client(headers=headers).get, "/status/api") for _ in range(user_lookups.limit)]
                while sum(thread.name == "status-access" for thread in threading.enumerate()) < user_lookups.limit:
                    time.sleep(0.001)
                response = self.client.get("/status/api/health", headers=headers)
            self.assertNotIn("Server-Timing", response)
            self.assertEqual({one.result().status_code for one in ask}, {200})

    def test_errors_of_other_pages_are_logged_as_ever(self):
        urls = Urls(path("", mock.Mock(side_effect=OperationalError, __name__="view")), mounted("status/"))
        with override_settings(MIDDLEWARE=[DOOR], ROOT_URLCONF=urls), self.assertLogs("django.request", "ERROR"):
            Client(raise_request_exception=False).get("/", headers={"cookie": "sessionid=x"})

    def test_dead_session_database_makes_a_stranger_of_everyone(self):
        for more in ({}, {"CSRF_USE_SESSIONS": True}, {"SESSION_SAVE_EVERY_REQUEST": True}):
            with (
                self.subTest(**more),
                mock.patch.object(logs, "_logged_at", {}),
                override_settings(MIDDLEWARE=[DOOR, *BEHIND], **more),
                mock.patch("django.contrib.sessions.backends.db.SessionStore.load", side_effect=OperationalError),
                mock.patch("django.contrib.sessions.backends.db.SessionStore.save", side_effect=OperationalError),
                self.assertLogs(level="WARNING"),
            ):
                cookie = f"{settings.SESSION_COOKIE_NAME}={'x' * 32}"
                client = Client(raise_request_exception=False, headers={"cookie": cookie})
                for address in ("/status/api/health/ping", "/status/api/health", "/status/", "/status/health/"):
                    self.assertNotIn("Server-Timing", self.assertAnswers(address, client=client))

    def test_no_cookie_is_set(self):
        stack = [DOOR, *BEHIND]
        with override_settings(MIDDLEWARE=stack, SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies"):
            for address in ADDRESSES:
                self.assertNotIn("Set-Cookie", self.client.get(f"/status/{address}").headers)


class SyncInAsyncTests(DoorTestCase):
    """On an event loop, but before middleware that is not async: Django then runs the door in a thread."""

    async def test_every_address_is_answered(self):
        for address in ("/status", *(f"/status/{rest}" for rest in ADDRESSES)):
            response = await self.async_client.get(address)
            self.assertEqual((response.status_code, response["X-Robots-Tag"]), (200, "noindex"), address)

    async def test_methods_and_names_as_ever(self):
        self.assertEqual((await self.async_client.post("/status/api/health")).status_code, 405)
        self.assertEqual((await self.async_client.get("/status/api/nothing")).status_code, 404)
        self.assertEqual((await self.async_client.options("/status/api")).status_code, 200)
        self.assertEqual((await self.async_client.head("/status/api/health")).status_code, 200)

    async def test_view_of_the_project_with_hooks_of_its_own(self):
        urls = Urls(path("report", exempt(TextView.as_view()), {"resource": "health"}))
        with override_settings(ROOT_URLCONF=urls):
            response = await self.async_client.get("/report")
        self.assertEqual(response.content.decode().splitlines()[-1], "STATUS PASS 2 checks passed")

    async def test_mounted_with_more_arguments(self):
        """FAULTS A7"""
        mine = path("<slug:tenant>/mine", TextView.as_view(resource="health"))
        with override_settings(ROOT_URLCONF=Urls(mounted("<slug:tenant>/status/"), mine)):
            self.assertIn("STATUS PASS", (await self.async_client.get("/text/mine")).content.decode())
            for rest in (*ADDRESSES, "assets/0/status.css"):
                self.assertEqual((await self.async_client.get(f"/acme/status/{rest}")).status_code, 200, rest)

    async def test_addresses_are_those_that_reverse_writes(self):
        """FAULTS A9"""
        with override_settings(FORCE_SCRIPT_NAME="/shop"):
            page = await self.async_client.get("/status/health/")
            self.assertContains(page, 'href="/shop/status/assets/')
            listing = (await self.async_client.options("/status/api/health")).json()
            self.assertEqual(listing["fine"], "http://testserver/shop/status/api/health/fine")

    async def test_cache_of_the_site_in_front_keeps_no_answer(self):
        answers = iter(range(1_000_000))
        providers = {"health": HEALTH, "stats": [("number", lambda: next(answers))]}
        stack = [*CACHED, DOOR, f"{__name__}.login_page"]
        self.addCleanup(cache.clear)
        with (
            override_settings(MIDDLEWARE=stack, STATUS_PROVIDERS=providers),
            mock.patch.dict(HEADERS, {"Cache-Control": "max-age=60"}),  # Django 4.2 does not look for "no-store"
        ):
            for cookies in ({}, {"sessionid": "x"}):
                client = AsyncClient()
                client.cookies.load(cookies)
                first, second = [(await client.get("/status/api/stats/number")).json() for _ in range(2)]
                self.assertNotEqual(first, second, cookies)

    async def test_everything_else_is_passed_on(self):
        with override_settings(MIDDLEWARE=[DOOR, *BEHIND]):
            self.assertEqual((await AsyncClient().get("/")).content, b"home")

    async def test_cookies_go_the_ordinary_way(self):
        for behind, details in (("staff", True), ("login_page", False)):
            with override_settings(MIDDLEWARE=[DOOR, f"{__name__}.{behind}"]):
                client = AsyncClient()
                client.cookies["sessionid"] = "x"
                response = await client.get("/status/api/health")
            self.assertEqual("Server-Timing" in response, details)
            self.assertEqual(response.status_code, 200)

    async def test_failure_behind_the_door_costs_no_answer(self):
        async def fail(request: HttpRequest) -> HttpResponse:
            raise OperationalError

        request = AsyncRequestFactory().get("/status/api/health", headers={"cookie": "sessionid=x"})
        with self.assertLogs("status", "WARNING"):
            response = await StatusMiddleware(fail)(request)
        self.assertEqual(response.status_code, 200)

    async def test_stack_that_hangs_is_left_behind(self):
        """FAULTS A2"""
        late, ended = asyncio.Event(), asyncio.Event()

        async def hang(request: HttpRequest) -> HttpResponse:
            await late.wait()
            request.user = Staff()
            response = await sync_to_async(report)(request, resource="health")
            ended.set()
            return response

        middleware = StatusMiddleware(hang)
        for address in ("/status/api/health", "/status/"):
            request = AsyncRequestFactory().get(address, headers={"cookie": "sessionid=x"})
            with mock.patch.object(user_lookups, "timeout", 0.1):
                response = await middleware(request)
            self.assertEqual(response.status_code, 200)
            self.assertNotIn("Server-Timing", response)
        late.set()
        await ended.wait()
        while middleware.tasks:
            await asyncio.sleep(0)

    async def test_caller_who_goes_while_he_waits_leaves_the_queue(self):
        """FAULTS A1"""
        late = asyncio.Event()

        async def stack(request: HttpRequest) -> HttpResponse:
            await late.wait()
            request.user = Staff()
            return await sync_to_async(report)(request, resource="health")

        middleware = StatusMiddleware(stack)
        patient = mock.patch.object(user_lookups, "timeout", 30)  # a busy machine may take a while
        patient.start()
        self.addCleanup(patient.stop)

        def ask() -> asyncio.Task[HttpResponse]:
            request = AsyncRequestFactory().get("/status/api/health", headers={"cookie": "sessionid=x"})
            return asyncio.ensure_future(middleware(request))

        asking = [ask() for _ in range(user_lookups.limit)]
        await asyncio.sleep(0)
        waiting = [ask() for _ in range(user_lookups.limit)]
        await asyncio.sleep(0)
        for one in waiting:
            one.cancel()
        await asyncio.wait(waiting)
        late.set()
        for response in [*await asyncio.gather(*asking), await ask()]:
            self.assertIn("Server-Timing", response)

    async def test_real_stack_behind_it(self):
        with override_settings(MIDDLEWARE=[DOOR, *BEHIND], SECURE_SSL_REDIRECT=True):
            for address in ADDRESSES:
                response = await AsyncClient(headers={"host": "10.1.2.3"}).get(f"/status/{address}")
                self.assertEqual(response.status_code, 200, address)


@override_settings(MIDDLEWARE=[DOOR, f"{__name__}.unreachable_async"])
class AsyncTests(SyncInAsyncTests):
    """The same door on the event loop itself."""

    async def test_checks_are_awaited_on_the_event_loop(self):
        with mock.patch.object(engine, "run", side_effect=AssertionError("a thread waits")):
            self.assertEqual((await self.async_client.get("/status/api/health")).status_code, 200)
