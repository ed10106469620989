"""Every caller at every address with every method, over real HTTP: with the front door and without,
under WSGI and ASGI."""

from __future__ import annotations

import http.client
import itertools
import json
from typing import Any
from unittest import mock

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.core import signing
from django.test import SimpleTestCase, override_settings, tag

from status.engine import engine
from tests import access_project, services
from tests.access_project import RIGHT, ROTATED


def cookie(user_id: int) -> dict[str, str]:
    """A browser in which this user of ``access_project`` is logged in."""
    with override_settings(SECRET_KEY=access_project.SECRET_KEY):
        session = {
            SESSION_KEY: str(user_id),
            BACKEND_SESSION_KEY: access_project.AUTHENTICATION_BACKENDS[0],
            HASH_SESSION_KEY: User(password="!").get_session_auth_hash(),
        }
        value = signing.dumps(session, salt=access_project.SESSION_ENGINE, compress=True)
    return {"Cookie": f"{settings.SESSION_COOKIE_NAME}={value}"}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


#: caller -> whether it has authority, what it sends, and from where.
CALLERS: dict[str, tuple[bool, dict[str, str], str]] = {
    "nobody": (False, {}, "127.0.0.1"),
    "empty token": (False, bearer(""), "127.0.0.1"),
    "wrong token": (False, bearer("the-wrong-token-0123456789-abcdefghi"), "127.0.0.1"),
    "retired token": (False, bearer("the-token-before-it-0123456789-abcde"), "127.0.0.1"),
    "right token": (True, bearer(RIGHT), "127.0.0.1"),
    "rotated token": (True, bearer(ROTATED), "127.0.0.1"),
    "staff": (True, cookie(1), "127.0.0.1"),
    "other user": (False, cookie(2), "127.0.0.1"),
    "allowed address": (True, {}, "127.0.0.2"),
    "forged address": (False, {"X-Forwarded-For": "127.0.0.2", "Forwarded": "for=127.0.0.2"}, "127.0.0.1"),
}
#: address -> the codes for a stranger and for somebody with authority, of GET, HEAD and OPTIONS alike.
ADDRESSES = {
    "/status/": (200, 200),
    "/status/health/": (200, 200),
    "/status/stats/": (401, 200),
    "/status/api": (200, 200),
    "/status/api/health": (200, 200),
    "/status/api/health/ping": (200, 200),
    "/status/api/health/nothing": (404, 404),
    "/status/api/stats": (401, 200),
    "/status/api/stats/number": (401, 200),
    "/status/api/nothing/at-all": (401, 404),
}
METHODS = ("GET", "HEAD", "OPTIONS", "POST")
CELLS = list(itertools.product(CALLERS, ADDRESSES, METHODS))


@tag("server")
class MatrixTests(SimpleTestCase):
    def hold(self, web: Any) -> None:
        """Every cell of the table, on one kept connection for each origin."""
        connections = {
            origin: http.client.HTTPConnection("127.0.0.1", web.port, timeout=10, source_address=(origin, 0))
            for origin in ("127.0.0.1", "127.0.0.2")
        }
        for connection in connections.values():
            self.addCleanup(connection.close)
        for caller, address, method in CELLS:
            authority, headers, origin = CALLERS[caller]
            connections[origin].request(method, address, headers=headers)
            response = connections[origin].getresponse()
            with self.subTest(caller=caller, address=address, method=method):
                self.judge(response, response.read(), address, method, authority)
                # At open addresses as well, but for the one that looks nobody up.
                wrong = "Authorization" in headers and not authority and response.status == 200
                wrong = wrong and (method == "OPTIONS" or not address.endswith("ping"))
                told = 'error="invalid_token"' in response.headers.get("WWW-Authenticate", "")
                self.assertEqual(told, wrong)

    def judge(
        self, response: http.client.HTTPResponse, body: bytes, address: str, method: str, authority: bool
    ) -> None:
        code = 405 if method == "POST" else ADDRESSES[address][authority]
        self.assertEqual(response.status, code)
        self.assertEqual(response.headers["Cache-Control"], "no-store")
        self.assertIsNone(response.headers["Set-Cookie"])
        self.assertIsNone(response.headers["Location"])
        self.assertEqual(response.headers["WWW-Authenticate"] == 'Bearer realm="status"', code == 401)
        self.assertEqual(response.headers["Allow"] is not None, method in ("POST", "OPTIONS") and code in (200, 405))
        details = code == 200 and method in ("GET", "HEAD") and "/api" in address and not address.endswith("ping")
        self.assertEqual(response.headers["Server-Timing"] is not None, authority and details)
        if method == "HEAD":
            self.assertEqual(body, b"")
        if not authority:
            for closed in (b"number", b"4711"):
                self.assertNotIn(closed, body)
        if address == "/status/api" and method in ("GET", "OPTIONS"):
            self.assertEqual(set(json.loads(body)), {"health", "stats"} if authority else {"health"})

    def test_there_are_four_hundred_cells(self):
        self.assertEqual(len(CELLS), 400)

    def test_gunicorn(self):
        for door in ("0", "1"):
            env = {"DJANGO_SETTINGS_MODULE": "tests.access_project", "DOOR": door}
            app = "django.core.wsgi:get_wsgi_application()"
            with self.subTest(door=door), services.gunicorn(app, "--threads", "2", env=env) as web:
                self.hold(web)

    def test_uvicorn(self):
        for door in ("0", "1"):
            env = {"DJANGO_SETTINGS_MODULE": "tests.access_project", "DOOR": door}
            # uvicorn itself believes X-Forwarded-For from 127.0.0.1, where the test asks from.
            options = ("--factory", "--no-proxy-headers", "--lifespan", "off", "--no-access-log")
            with (
                self.subTest(door=door),
                services.uvicorn("django.core.asgi:get_asgi_application", *options, env=env) as web,
            ):
                self.hold(web)


@override_settings(
    STATUS_PROVIDERS=access_project.STATUS_PROVIDERS,
    STATUS_PUBLIC=(),
    MIDDLEWARE=["status.middleware.StatusMiddleware", *settings.MIDDLEWARE],
)
class RefusalTests(SimpleTestCase):
    """A refusal tells nothing, and runs nothing."""

    NAMES = (
        "",
        "/health",
        "/health/fine",
        "/stats",
        "/stats/number",
        "/stats/nothing",
        "/nothing",
        "/nothing/at-all",
        "/health/",
    )

    def test_refusals_are_the_same_for_known_and_unknown_names(self):
        for tokens, code in (([RIGHT], 401), ([], 403)):
            with override_settings(STATUS_TOKENS=tokens), mock.patch.object(engine, "run") as run:
                for method in ("GET", "OPTIONS"):
                    answers = {
                        (response.status_code, response.content, *sorted(response.headers.items()))
                        for response in (self.client.generic(method, f"/status/api{name}") for name in self.NAMES)
                    }
                    self.assertEqual([answer[0] for answer in answers], [code])
                for page in ("/status/", "/status/health/", "/status/stats/"):
                    self.assertEqual(self.client.get(page).status_code, code)
                    self.assertEqual(self.client.options(page).status_code, code)
            run.assert_not_called()

    def test_only_ping_is_left(self):
        self.assertEqual(self.client.get("/status/api/health/ping").json(), {"pong": True})
        self.assertEqual(self.client.get("/status/api/health/ping?format=text").status_code, 200)
        self.assertEqual(
            self.client.options("/status/api/health/ping").json(), {"ping": "http://testserver/status/api/health/ping"}
        )

    def test_ping_that_is_not_there_names_nothing_else(self):
        with override_settings(STATUS_PROVIDERS={"health": [("secretly", "tests.access_project.fine")]}):
            response = self.client.get("/status/api/health/ping")
        self.assertEqual(response.status_code, 403)
        self.assertNotIn("secretly", response.content.decode())

    def test_public_resource_that_is_not_there_names_no_closed_one(self):
        with override_settings(STATUS_PUBLIC=["health", "gone"]):
            for address in ("/status/api/gone", "/status/api/gone/x"):
                response = self.client.get(address)
                self.assertEqual((response.status_code, response.json()["resources"]), (404, ["health"]))
