"""Requests that make no sense: none is an outage, none is repeated as it came, and none opens anything."""

from __future__ import annotations

import io
import logging
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any
from unittest import mock

from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.test import RequestFactory, SimpleTestCase, override_settings, tag

from status.access import access_for
from status.engine import engine

TOKEN = "tT0k3nThatIsLongEnough-and-random-9x7"
CLOSED = "only-for-those-who-may-4711"
#: What must never come back as it went.
MARK = "<zq>\"'zq"
PIECES = (
    *(
        "/",
        "//",
        "..",
        ".",
        "%",
        "%2f",
        "%00",
        "\x00",
        "\r\n",
        "\r\nX-Evil: 1",
        "\t",
        " ",
        "\x7f",
        "\xff",
        "\xc3\xa9",
        "é",
    ),
    *(
        "'",
        '"',
        MARK,
        "<script>",
        "{{7*7}}",
        "${x}",
        "x" * 3_000,
        ";",
        ",",
        "\\",
        "*",
        "?",
        "#",
        "&",
        "=",
        "[]",
        "[",
        "-1",
        "1e999",
    ),
)
PATHS = (
    "/status",
    "/status/",
    "/status/api",
    "/status/api/health",
    "/status/api/stats",
    "/status/stats",
    "/status/health/",
    "/",
)
NAMES = ("api", "health", "stats", "ping", "fine", "number", "assets", "static")
METHODS = (
    "GET",
    "GET",
    "GET",
    "HEAD",
    "OPTIONS",
    "POST",
    "PUT",
    "DELETE",
    "TRACE",
    "CONNECT",
    "get",
    "BREW",
    "",
    "G\x00T",
    "x" * 300,
)
QUERIES = (
    "format=x",
    "format",
    "check",
    "skip",
    "live",
    "json",
    "text",
    "prometheus",
    "health+json",
    "ping",
    "fine",
    "token",
    TOKEN,
    "no",
)
ACCEPTS = (
    "application/json",
    "text/html",
    "text/plain",
    "*/*",
    "*",
    "q=",
    "q=0.5",
    "version=0.0.4",
    "application/health+json",
    ";",
    ",",
)
HOSTS = ("testserver", "10.1.2.3", "evil.example", "[::1]", ":80", ":99999", "@")
AUTHORIZATIONS = ("Bearer", "bearer ", "Basic ", TOKEN[:-1], TOKEN.upper(), "Token ", "sha256:", "null", "undefined")
LANGUAGES = ("en", "es", "de-AT", "q=0.1", "*", "../..", ";q=")


def header(text: str) -> str:
    """As a server hands it on: any byte, but for those that would end the header."""
    return text.translate({0: None, 10: None, 13: None}).encode().decode("latin-1")


class Fuzz:
    """Random requests; the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)

    def text(self, words: tuple[str, ...], most: int) -> str:
        return "".join(
            self.chance.choices(
                words if self.chance.random() < 0.6 else (*words, *PIECES), k=self.chance.randrange(most)
            )
        )

    def environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": self.chance.choice(METHODS),
            "PATH_INFO": self.chance.choice(PATHS) + self.text(("/", *NAMES), 6),
            "QUERY_STRING": self.text((*QUERIES, "=", "&"), 8),
            "SCRIPT_NAME": "",
            "SERVER_NAME": "testserver",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.input": io.BytesIO(b"x" * 100),
            "wsgi.errors": io.StringIO(),
            "wsgi.url_scheme": "http",
            "HTTP_HOST": self.chance.choice(HOSTS) + self.text(HOSTS, 2),
        }
        for name, words in (
            ("HTTP_ACCEPT", ACCEPTS),
            ("HTTP_AUTHORIZATION", AUTHORIZATIONS),
            ("HTTP_ACCEPT_LANGUAGE", LANGUAGES),
            ("HTTP_X_FORWARDED_FOR", ("127.0.0.1", "10.1.2.3", ", ", "::1")),
            ("HTTP_X_FORWARDED_HOST", HOSTS),
            ("HTTP_COOKIE", ("sessionid=", "csrftoken=", "a=b", "; ")),
            ("HTTP_" + self.chance.choice(("X_EVIL", "TE", "RANGE", "IF_NONE_MATCH", "ORIGIN", "REFERER")), PIECES),
            ("CONTENT_LENGTH", ("-1", "1e9", "0")),
            ("CONTENT_TYPE", ("multipart/form-data; boundary=", "application/json; charset=", "x")),
        ):
            if self.chance.random() < 0.4:
                environ[name] = header(self.text(words, 5))
        environ["PATH_INFO"] = environ["PATH_INFO"].encode("utf-8", "replace").decode("latin-1")
        return environ


@override_settings(
    STATUS_PROVIDERS={
        "health": [("ping", "status.providers.health.ping"), ("fine", lambda: True)],
        "stats": [("number", lambda: CLOSED)],
    },
    STATUS_PUBLIC=["health"],
    STATUS_TOKENS=[TOKEN],
    STATUS_NETWORKS=["10.1.2.3"],
    USE_X_FORWARDED_HOST=True,
)
class HttpFuzzTests(SimpleTestCase):
    def setUp(self) -> None:
        observers = mock.patch.object(engine, "observers", [])
        observers.start()
        self.addCleanup(observers.stop)
        self.addCleanup(engine.close)
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)

    def handlers(self) -> Iterator[WSGIHandler]:
        for stack in (["status.middleware.StatusMiddleware", *settings.MIDDLEWARE], settings.MIDDLEWARE):
            with override_settings(MIDDLEWARE=stack):
                yield WSGIHandler()

    def hold(self, times: int, seed: int) -> Counter[int]:
        seen: Counter[int] = Counter()
        for handler in self.handlers():
            fuzz = Fuzz(seed)
            for _ in range(times // 2):
                environ = fuzz.environ()
                seen[self.ask(handler, environ)] += 1
        return seen

    def ask(self, handler: WSGIHandler, environ: dict[str, Any]) -> int:
        asked = {name: value for name, value in environ.items() if isinstance(value, str)}
        response = handler(environ, lambda status, headers: None)
        body = b"".join(response).decode()
        response.close()
        self.assertLess(response.status_code, 500, asked)
        self.assertNotIn(MARK, body, asked)
        self.assertNotIn("<zq>", body, asked)
        self.assertNotIn("evil.example", body, asked)
        self.assertNotIn(CLOSED, body, asked)
        self.assertNotIn("Server-Timing", response, asked)
        self.assertNotIn("X-Evil", response, asked)
        for value in response.headers.values():
            self.assertNotRegex(value, "[\r\n\x00]|<zq>|evil", asked)
        return response.status_code

    def test_five_thousand_requests(self):
        seen = self.hold(5_000, seed=5)
        self.assertLessEqual({200, 400, 401, 404, 405, 406}, set(seen))

    @tag("soak")
    def test_fifty_thousand_requests(self):
        self.hold(50_000, seed=50)

    def test_ten_thousand_formats_queries_and_names(self):
        fuzz, handler = Fuzz(4), next(self.handlers())
        for number in range(10_000):
            environ = {
                **fuzz.environ(),
                "REQUEST_METHOD": "GET",
                "HTTP_HOST": "testserver",
                "PATH_INFO": "/status/api/health",
            }
            environ.pop("HTTP_COOKIE", None)
            if number % 3 == 0:
                environ["HTTP_ACCEPT"] = header(fuzz.text(ACCEPTS, 8))
            elif number % 3 == 1:
                environ["QUERY_STRING"] = fuzz.text((*QUERIES, "=", "&"), 12)
            else:
                environ["PATH_INFO"] = f"/status/api/{fuzz.text(('/', *NAMES), 5)}".encode().decode("latin-1")
            self.ask(handler, environ)

    def test_ten_thousand_authorizations_grant_nothing(self):
        fuzz = Fuzz(6)
        near = [TOKEN[:cut] for cut in range(len(TOKEN))] + [
            TOKEN[::-1],
            TOKEN.swapcase(),
            TOKEN + "\n" + TOKEN,
            f"{TOKEN}\0",
        ]
        request = RequestFactory().get("/status/api")
        for number in range(10_000):
            token = near[number % len(near)] if number % 2 else fuzz.text((*AUTHORIZATIONS, "x", "0"), 6)
            request.META["HTTP_AUTHORIZATION"] = f"Bearer {token}" if number % 3 else token
            self.assertFalse(access_for(request).details, request.META["HTTP_AUTHORIZATION"])
