"""How every answer behaves towards browsers, proxies, robots and the project it lives in."""

from __future__ import annotations

from typing import Any
from unittest import mock
from wsgiref.util import setup_testing_defaults

from django.conf import settings
from django.core.cache import cache
from django.core.handlers.wsgi import WSGIHandler
from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.test import Client, SimpleTestCase, TestCase, override_settings
from django.urls import NoReverseMatch, Resolver404, clear_url_caches, include, path, resolve, reverse
from django.utils.log import log_response
from django.utils.module_loading import import_string

from status import urls as site_urls
from status.api import urls as api_urls
from status.engine import engine
from status.http import HEADERS, StatusResponse, UserLookup, exempt

urlpatterns = [path("status/", include("status.urls"))]
urlconf = __name__
DOOR = "status.middleware.StatusMiddleware"
ADDRESSES = (
    "/status/",
    "/status/health/",
    "/status/stats",
    "/status/api",
    "/status/api/health",
    "/status/api/health/ping",
)
CACHED = ["django.middleware.cache.UpdateCacheMiddleware", "django.middleware.cache.FetchFromCacheMiddleware"]
numbers = iter(range(1_000_000))


@override_settings(
    ROOT_URLCONF=__name__,
    STATUS_PROVIDERS={
        "health": [("ping", "status.providers.health.ping"), ("bad", lambda: False)],
        "stats": [("number", lambda: next(numbers))],
    },
)
class ResponseTestCase(SimpleTestCase):
    def setUp(self) -> None:
        observers = mock.patch.object(engine, "observers", [])
        observers.start()
        self.addCleanup(observers.stop)
        self.addCleanup(engine.close)


class NothingLeftTests(ResponseTestCase):
    """FAULTS R6, R7: what was not asked is not healthy, and no query is an error of the site."""

    def assertNothingLeft(self, address: str) -> None:
        for stack in ([DOOR, *settings.MIDDLEWARE], settings.MIDDLEWARE):
            with self.subTest(address=address, door=stack[0] == DOOR), override_settings(MIDDLEWARE=stack):
                with self.assertNoLogs("django.request"):
                    response = self.client.get(address)
                self.assertEqual(response.status_code, 404)
                self.assertIn("Nothing is left to ask.", response.content.decode())

    def test_query_that_leaves_nothing_of_a_provider(self):
        self.assertNothingLeft("/status/api/health/ping?skip=ping")

    def test_query_that_leaves_nothing_of_a_resource_or_of_all(self):
        self.assertNothingLeft("/status/api/health?check=bad&skip=bad")
        self.assertNothingLeft("/status/api?check=bad&skip=bad")

    def test_resource_without_checks(self):
        with override_settings(STATUS_PROVIDERS={"health": [], "stats": []}):
            for format in ("json", "text", "openmetrics", "health%2Bjson"):
                self.assertNothingLeft(f"/status/api/health?format={format}")
            self.assertNothingLeft("/status/api")

    def test_resource_whose_checks_only_warn_is_well(self):
        with override_settings(STATUS_PROVIDERS={"health": [("a", lambda: False, (), {}, {"critical": False})]}):
            self.assertEqual(self.client.get("/status/api/health").status_code, 200)


class ErrorCodeTests(ResponseTestCase):
    """FAULTS O7: a collector that reads only answers of 200 can ask for one."""

    def test_failing_resource_is_200_where_the_query_asks_so_and_says_the_same(self):
        for stack in ([DOOR, *settings.MIDDLEWARE], settings.MIDDLEWARE):
            for address in ("/status/api", "/status/api/health", "/status/api/health/bad"):
                with self.subTest(address=address, door=stack[0] == DOOR), override_settings(MIDDLEWARE=stack):
                    plain, asked = self.client.get(address), self.client.get(f"{address}?code=200")
                    self.assertEqual((plain.status_code, asked.status_code), (503, 200))
                    if address.endswith("health"):
                        self.assertEqual(asked.json(), plain.json())
        document = self.client.get("/status/api/health?code=200&format=health%2Bjson").json()
        self.assertEqual(document["status"], "fail")

    def test_any_other_code_is_a_mistake_of_the_caller(self):
        for code in ("", "503", "200.0", "ok", "2 00"):
            with self.subTest(code), self.assertNoLogs("django.request"):
                response = self.client.get("/status/api/health", {"code": code})
                self.assertEqual(response.status_code, 400)
                self.assertIn("code should be 200", response.json()["error"])

    def test_whoever_asks_whether_to_send_requests_gets_the_state(self):
        for preset in ("live", "ready", "startup"):
            with self.subTest(preset):
                response = self.client.get(f"/status/api/{preset}?code=200")
                self.assertEqual(response.status_code, 400)
                self.assertIn(f"code is not for {preset}", response.json()["error"])
        with override_settings(STATUS_PROVIDERS={"ready": [("bad", lambda: False)]}):
            self.assertEqual(self.client.get("/status/api/ready?code=200").status_code, 200)


class HeaderTests(ResponseTestCase):
    def test_every_answer_of_every_method_has_them(self):
        for stack in ([DOOR, *settings.MIDDLEWARE], settings.MIDDLEWARE):
            with override_settings(MIDDLEWARE=stack, STATUS_PUBLIC=["health"]):
                client = Client(enforce_csrf_checks=True)
                for address in (
                    *ADDRESSES,
                    "/status/api/nothing",
                    "/status/api/health/nothing",
                    "/status/api?format=x",
                ):
                    for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "TRACE", "BREW"):
                        response = client.generic(method, address)
                        self.assertEqual(response["Cache-Control"], "no-store")
                        self.assertEqual(response["X-Content-Type-Options"], "nosniff")
                        self.assertEqual(response["X-Frame-Options"], "DENY")
                        self.assertEqual(response["X-Robots-Tag"], "noindex")
                        self.assertEqual(response["Referrer-Policy"], "no-referrer")
                        self.assertLessEqual({"Authorization", "Cookie"}, set(response["Vary"].split(", ")))
                        self.assertFalse(response.cookies)
                        for name in ("Location", "Server", "X-Powered-By", "Access-Control-Allow-Origin", "ETag"):
                            self.assertNotIn(name, response)

    def test_pages_have_a_strict_policy(self):
        for address in ADDRESSES[:3]:
            policy = self.client.get(address)["Content-Security-Policy"]
            for directive in ("default-src 'none'", "form-action 'none'"):
                self.assertIn(directive, policy)
            self.assertNotIn("unsafe", policy)

    def test_other_methods_are_refused_in_the_open_and_run_nothing(self):
        with mock.patch.object(engine, "run", side_effect=AssertionError("a check ran")):
            for address in ADDRESSES:
                for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"):
                    response = Client(enforce_csrf_checks=True).generic(method, address, b"x" * 1_000)
                    self.assertEqual((response.status_code, response["Allow"]), (405, "GET, HEAD, OPTIONS"))
                self.assertEqual(self.client.options(address).status_code, 200)

    def test_head_has_the_code_and_headers_of_get_and_no_body(self):
        for address in ADDRESSES:
            get, head = self.client.get(address), self.client.head(address)
            self.assertEqual((head.status_code, head["Content-Type"]), (get.status_code, get["Content-Type"]))
            self.assertEqual(head.content, b"")

    def test_head_leaves_the_server_no_body_to_drop(self):
        """gunicorn logs a warning for each."""
        for door in ([DOOR], []):
            for address in ("/status/api/health/ping", "/status/api/health", "/status/", "/status/api/nothing"):
                with self.subTest(address, door=door), override_settings(MIDDLEWARE=door):
                    length, body = self.served("HEAD", address)
                    self.assertEqual(body, b"")
                    self.assertGreater(length, 0)
        self.assertEqual(self.served("HEAD", "/status/api/health/ping")[0], len(b'{"pong": true}'))
        self.assertEqual(self.served("GET", "/status/api/health/ping"), (len(b'{"pong": true}'), b'{"pong": true}'))

    def served(self, method: str, path: str) -> tuple[int, bytes]:
        """Return the length that a WSGI server is told, and the body that it is given: Django's client drops that."""
        environ: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path}
        setup_testing_defaults(environ)
        headers: dict[str, str] = {}
        response = WSGIHandler()(environ, lambda status, pairs: headers.update(pairs))
        body = b"".join(response)
        response.close()
        return int(headers["Content-Length"]), body


class StatusResponseTests(SimpleTestCase):
    def test_it_has_the_headers_and_is_otherwise_as_django_makes_it(self):
        for content, kind, status in ((b"{}", "application/json", 200), ("é", "text/plain; charset=utf-8", 503)):
            plain = HttpResponse(content, content_type=kind, status=status, headers=HEADERS)
            response = StatusResponse(content, kind, status)
            self.assertEqual(response.serialize(), plain.serialize())
            self.assertEqual(response.status_code, status)

    def test_nothing_that_can_change_is_shared_by_two_responses(self):
        one, other = StatusResponse(b"{}"), StatusResponse(b"{}")
        one["Vary"] = "changed"
        self.assertEqual(other["Vary"], HEADERS["Vary"])

    def test_django_logs_none_whatever_its_status(self):
        with self.assertNoLogs("django.request"):
            log_response("Service Unavailable", response=StatusResponse(b"", status=503), request=HttpRequest())
        with self.assertLogs("django.request", "ERROR"):
            log_response("Service Unavailable", response=HttpResponse(status=503), request=HttpRequest())


class RefusalTests(ResponseTestCase):
    @override_settings(DATA_UPLOAD_MAX_NUMBER_FIELDS=2)
    def test_query_with_too_many_fields_is_the_callers_mistake(self):
        for method in ("GET", "OPTIONS"):
            with self.assertNoLogs("django"):
                response = self.client.generic(method, "/status/api/health?check=ping&check=bad&check=ping")
            self.assertEqual(
                (response.status_code, response.json()), (400, {"error": "The query has too many fields."})
            )

    @override_settings(STATUS_PUBLIC=(), STATUS_PROVIDERS={"health": [("secret", bool)]})
    def test_open_way_to_a_ping_that_is_not_there_tells_no_names(self):
        response = self.client.get("/status/api/health/ping")
        self.assertEqual(response.status_code, 403)
        self.assertNotIn("secret", response.content.decode())


class HostTests(ResponseTestCase):
    EVIL = (
        "evil.example",
        "evil.example:80",
        "10.1.2.3",
        "testserver.evil.example",
        "[::1",
        "a/b",
        "",
        "testserver@evil.example",
    )

    @override_settings(MIDDLEWARE=[DOOR, *settings.MIDDLEWARE], ALLOWED_HOSTS=["x.example"], USE_X_FORWARDED_HOST=True)
    def test_host_that_the_project_does_not_allow_is_not_repeated(self):
        for address in ADDRESSES:
            for method in ("GET", "OPTIONS"):
                for host in self.EVIL:
                    for headers in ({"HTTP_HOST": host}, {"HTTP_X_FORWARDED_HOST": host}):
                        response = self.client.generic(method, address, **headers)
                        for text in (response.content.decode(), *response.headers.values()):
                            self.assertNotIn("evil", text)
                            self.assertNotIn("http:", text.replace("http://www.w3.org", ""))

    @override_settings(MIDDLEWARE=[DOOR], ALLOWED_HOSTS=["good.example"])
    def test_options_names_the_site_only_by_a_name_it_has(self):
        listing = self.client.options("/status/api/health", HTTP_HOST="good.example:8000").json()
        self.assertEqual(listing["ping"], "http://good.example:8000/status/api/health/ping")
        listing = self.client.options("/status/api/health", HTTP_HOST="evil.example").json()
        self.assertEqual(listing["ping"], "/status/api/health/ping")

    @override_settings(MIDDLEWARE=[DOOR], ALLOWED_HOSTS=["*"])
    def test_options_names_any_host_where_the_project_allows_every_one(self):
        """FAULTS C11"""
        listing = self.client.options("/status/api", HTTP_HOST="shop.example:8000").json()
        self.assertEqual(listing["health"]["ping"], "http://shop.example:8000/status/api/health/ping")
        for host in ("a/b", "[::1", "shop.example@evil.example"):  # no names of hosts at all
            listing = self.client.options("/status/api/health", HTTP_HOST=host).json()
            self.assertEqual(listing["ping"], "/status/api/health/ping")

    @override_settings(MIDDLEWARE=[DOOR], ALLOWED_HOSTS=[], DEBUG=True)
    def test_options_names_the_machine_that_a_developer_works_on(self):
        for host in ("localhost:8000", "127.0.0.1:8000"):
            listing = self.client.options("/status/api/health", HTTP_HOST=host).json()
            self.assertEqual(listing["ping"], f"http://{host}/status/api/health/ping")


class ExemptionTests(ResponseTestCase):
    def test_view_needs_no_login_no_token_and_no_transaction(self):
        for address in ADDRESSES:
            view = resolve(address if address.endswith("/") or "api" in address else f"{address}/").func
            self.assertIs(view.login_required, False)
            self.assertIs(view.csrf_exempt, True)
            self.assertIn("any database there may ever be", view._non_atomic_requests)

    def test_deliberate_503_logs_no_error_and_mails_nobody(self):
        with self.assertNoLogs("django"):
            for address in ADDRESSES[:5]:
                self.client.get(address)
            self.assertEqual(self.client.get("/status/api/health").status_code, 503)
            self.client.get("/status/api/nothing")
            self.client.post("/status/api")

    def test_views_have_the_names_of_their_classes(self):
        """Monitoring groups requests by them."""
        names = {
            "/status/": "status.views.PageView",
            "/status/health": "status.views.HealthView",
            "/status/stats/": "status.views.StatsView",
            "/status/api/health": "status.api.views.ReportView",
            "/status/assets/0/status.css": "status.views.AssetView",
        }
        for address, name in names.items():
            self.assertEqual(resolve(address)._func_path, name)
            self.assertIsInstance(import_string(name), type)

    def test_response_is_left_on_its_request_where_the_middleware_asks_for_it(self):
        request, answer = HttpRequest(), HttpResponse("answer")
        view = exempt(lambda request: answer)
        view(request)
        self.assertFalse(hasattr(request, "status_lookup"))
        request.status_lookup = UserLookup()
        view(request)
        copied = request.status_lookup.viewed.result()
        answer["X-Later"] = "a middleware that hung until now"
        self.assertEqual((copied.content, "X-Later" in copied), (answer.content, False))

    @override_settings(MIDDLEWARE=[CACHED[0], *settings.MIDDLEWARE, CACHED[1]], CACHE_MIDDLEWARE_SECONDS=600)
    def test_cache_of_the_site_keeps_no_answer(self):
        self.addCleanup(cache.clear)
        first, second = (self.client.get("/status/api/stats/number").json() for _ in range(2))
        self.assertNotEqual(first, second)
        # Django 4.2 does not look for "no-store".
        with mock.patch.dict(HEADERS, {"Cache-Control": "max-age=60"}):
            first, second = (self.client.get("/status/api/stats/number").json() for _ in range(2))
        self.assertNotEqual(first, second)


class Urls:
    """A urlconf that mounts ``urls`` at ``prefix``."""

    def __init__(self, prefix: str, urls: Any) -> None:
        self.urlpatterns = [path(prefix, include(urls))]


def many(number: int) -> dict[str, list[Any]]:
    return {"health": [("ping", "status.providers.health.ping"), *((f"n{one}", bool) for one in range(number))]}


class AddressTests(SimpleTestCase):
    def test_ping_of_another_resource_is_not_open_to_strangers(self):
        """FAULTS A5"""
        ping = [("ping", "status.providers.health.ping")]
        with override_settings(
            STATUS_PUBLIC=("health",), STATUS_PROVIDERS={"health": ping, "payments": ping}, ROOT_URLCONF=urlconf
        ):
            for stack in ([DOOR, *settings.MIDDLEWARE], settings.MIDDLEWARE):
                with override_settings(MIDDLEWARE=stack):
                    self.assertEqual(self.client.get("/status/api/health/ping").status_code, 200)
                    for name in ("ping", "other"):
                        self.assertEqual(self.client.get(f"/status/api/payments/{name}").status_code, 403)

    def test_presets_are_there_without_configuration_and_no_part_of_the_whole(self):
        """FAULTS A5, A18"""
        providers = {"health": [("ping", "status.providers.health.ping"), ("bad", lambda: False)]}
        with override_settings(STATUS_PROVIDERS=providers, ROOT_URLCONF=urlconf):
            self.addCleanup(engine.close)
            self.assertEqual(self.client.get("/status/api/live").json(), {"ping": {"pong": True}})
            self.assertEqual(self.client.get("/status/api/live/ping").json(), {"pong": True})
            ready = self.client.get("/status/api/ready")
            self.assertEqual((ready.status_code, ready.json()), (503, {"ping": {"pong": True}, "bad": False}))
            self.assertEqual(self.client.get("/status/api/ready/ping").json(), {"pong": True})
            self.assertEqual(set(self.client.get("/status/api").json()), {"health"})
            for resource in ("live", "ready"):
                self.assertIn("ping", self.client.options(f"/status/api/{resource}").json())
                self.assertEqual(self.client.get(f"/status/api/{resource}/nothing").status_code, 404)

    def test_live_is_open_to_everyone_and_ready_has_the_rights_of_health(self):
        """FAULTS A5"""
        for public, codes in (((), (200, 403)), (("health",), (200, 200))):
            for stack in ([DOOR, *settings.MIDDLEWARE], settings.MIDDLEWARE):
                with override_settings(
                    STATUS_PROVIDERS=many(0), STATUS_PUBLIC=public, ROOT_URLCONF=urlconf, MIDDLEWARE=stack
                ):
                    client = Client(headers={"cookie": "sessionid=x"})  # for which nobody looks anybody up
                    found = [client.get(f"/status/api/{name}").status_code for name in ("live", "ready")]
                    self.assertEqual(tuple(found), codes)

    def test_resource_of_the_project_replaces_a_preset(self):
        providers = {name: [("mine", lambda: True)] for name in ("live", "ready", "startup")}
        with override_settings(STATUS_PROVIDERS=providers, STATUS_PUBLIC=("ready",), ROOT_URLCONF=urlconf):
            self.addCleanup(engine.close)
            self.assertEqual(self.client.get("/status/api/live").status_code, 403)
            self.assertEqual(self.client.get("/status/api/ready").json(), {"mine": True})
            self.assertEqual(self.client.get("/status/api/startup").status_code, 403)

    def test_unknown_names_with_slashes_are_404_as_json(self):
        for address in ("/status/api/health/a/b", "/status/api/health/a/b/", "/status/api/nope/a/b/c"):
            for stack in ([DOOR, *settings.MIDDLEWARE], settings.MIDDLEWARE):
                with self.subTest(address=address, door=stack[0] == DOOR), override_settings(MIDDLEWARE=stack):
                    response = self.client.get(address, headers={"host": "10.1.2.3"} if stack[0] == DOOR else None)
                    self.assertEqual(response.status_code, 404)
                    self.assertIn("There is no", response.json()["error"])

    def test_routes_are_readable(self):
        """FAULTS A19: monitoring agents group requests by them."""
        for address, route in (
            ("", ""), ("/health", "/<str:resource>"), ("/health/ping", "/<str:resource>/<str:provider>"),
        ):  # fmt: skip
            for slash in ("", "/"):
                match = resolve(f"/status/api{address}{slash}", urlconf)
                self.assertEqual(match.route, f"status/api{route}{slash}")

    def test_too_many_fields_are_a_mistake_of_the_caller(self):
        """FAULTS A14"""
        fields = "&".join(["a=b"] * 1_001)
        with override_settings(ROOT_URLCONF=urlconf, STATUS_PROVIDERS=many(1)):
            for stack in ([DOOR, *settings.MIDDLEWARE], settings.MIDDLEWARE):
                for address in ("/status/", "/status/health/", "/status/api/health"):
                    with override_settings(MIDDLEWARE=stack), self.assertNoLogs("django"):
                        self.assertEqual(self.client.get(f"{address}?{fields}").status_code, 400, address)

    def test_patterns_are_lists_to_which_a_project_may_add(self):
        for module in (site_urls, api_urls):
            self.assertIs(type(module.urlpatterns), list)
            with override_settings(ROOT_URLCONF=Urls("", (module.urlpatterns + urlpatterns, "status"))):
                self.assertEqual(reverse("status:api_health_ping"), "/api/health/ping")
                self.assertEqual(self.client.get("/api/health/ping").json(), {"pong": True})

    def test_classic_names_of_what_is_configured_can_be_reversed(self):
        providers = {"health": [("ping", "status.providers.health.ping")], "a.b-c@d": [("x.y", bool)]}
        with override_settings(STATUS_PROVIDERS=providers, ROOT_URLCONF=Urls("s/", "status.urls")):
            for name, address in (
                ("api_root", "/s/api"),
                ("api_health_root", "/s/api/health"),
                ("api_health_ping", "/s/api/health/ping"),
                ("api_a.b-c@d_x.y", "/s/api/a.b-c@d/x.y"),
            ):
                self.assertEqual(reverse(f"status:{name}"), address)
            self.assertEqual(reverse("status:api_provider", args=["health", "ping"]), "/s/api/health/ping")

    def test_what_was_configured_later_answers_all_the_same(self):
        self.addCleanup(clear_url_caches)
        with override_settings(ROOT_URLCONF=__name__):
            reverse("status:api_health_ping")
            with override_settings(STATUS_PROVIDERS={"later": [("yes", lambda: True)]}):
                self.addCleanup(engine.close)
                self.assertEqual(self.client.get("/status/api/later").json(), {"yes": True})
                self.assertEqual(self.client.get("/status/api/health").status_code, 404)
                self.assertEqual(reverse("status:api_later_yes"), "/status/api/later/yes")
                with self.assertRaises(NoReverseMatch):
                    reverse("status:api_health_ping")
            self.assertEqual(reverse("status:api_health_ping"), "/status/api/health/ping")

    def test_a_thousand_providers_make_no_other_address_slower(self):
        """FAULTS E13."""
        with override_settings(STATUS_PROVIDERS=many(1_000), ROOT_URLCONF=Urls("s/", "status.urls")):
            self.assertEqual(reverse("status:api_health_n999"), "/s/api/health/n999")
            for address in ("/s/apis/health/ping", "/s/other", "/other"):
                with self.assertRaises(Resolver404) as caught:
                    resolve(address)
                self.assertLess(len(caught.exception.args[0]["tried"]), 20)


class TransactionTests(TestCase):
    def test_dead_database_with_atomic_requests_costs_no_answer(self):
        with (
            override_settings(ROOT_URLCONF=__name__, STATUS_PROVIDERS={"health": [("fine", lambda: True)]}),
            mock.patch.dict(connection.settings_dict, {"ATOMIC_REQUESTS": True}),
            mock.patch.object(connection, "savepoint", side_effect=OperationalError),
        ):
            self.addCleanup(engine.close)
            for address in ADDRESSES[:2] + ADDRESSES[3:5]:
                self.assertEqual(self.client.get(address).status_code, 200)
