"""``--url``: asking a running instance, and everything that may answer in its place."""

from __future__ import annotations

import contextlib
import json
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.test import LiveServerTestCase, SimpleTestCase, override_settings
from django.urls import include, path
from hypothesis import given, settings
from hypothesis import strategies as st

from status.cli.arguments import CannotAsk
from status.cli.client import TOKEN_HEADER, ServerResponse, redirect_target
from status.cli.command import Wait
from status.cli.output import Terminal, human_text
from status.cli.reading import read_report
from status.cli.target import api_url
from status.formats import FORMATS, nagios
from status.http import HEADERS
from status.providers.base import Answer as Reasons
from tests import services
from tests.commandline import Asked, Screen, ask, command
from tests.reports import MIXED, report, result

TOKEN = "a-token-that-is-long-enough-to-be-accepted-4711"
seen: list[dict[str, str]] = []


def moved(request: HttpRequest, rest: str) -> HttpResponse:
    return HttpResponseRedirect(f"/status/{rest}?{request.GET.urlencode()}")


def echo(request: HttpRequest, rest: str) -> HttpResponse:
    seen.append(dict(request.headers))
    return HttpResponse("<title>Shop</title>")


urlpatterns = [
    path("status/", include("status.urls")),
    path("moved/<path:rest>", moved),
    path("shop/<path:rest>", echo),
]


def broken() -> Reasons:
    return Reasons({"default": True, "replica": False}, {"replica": "OperationalError"})


PROVIDERS = {
    "health": [("ping", "status.providers.health.ping"), ("databases", broken)],
    "shop": [("queue", broken, (), {}, {"critical": False}), ("orders", lambda: {"open": 3})],
    "stats": [("databases", lambda: {"size": 3})],
}


def human_words(text: str) -> str:
    """Return what people read, without times."""
    return re.sub(r" +\d\.\d+ s", "", text)


@override_settings(ROOT_URLCONF=__name__, STATUS_PROVIDERS=PROVIDERS, DEBUG=True)
class InstanceTests(LiveServerTestCase):
    """A real server in this process."""

    def ask(self, *words: str, mount: str = "/status/", **options: Any) -> Asked:
        return ask(*words, "--url", f"{self.live_server_url}{mount}", in_django=False, **options)

    def test_a_document_is_the_same_as_at_the_address(self):
        for name, known in FORMATS.items():
            for words, address in (
                ([], "/status/api"),
                (["health"], "/status/api/health"),
                (["shop/orders"], "/status/api/shop/orders"),
            ):
                if name in ("json", "text") and known.http:
                    with self.subTest(name=name, address=address):
                        body = self.client.get(address, {"format": name}).content.decode()
                        strip = (
                            str.rstrip
                            if name == "json"
                            else lambda text: [line.split("  ")[:2] for line in text.splitlines()]
                        )
                        self.assertEqual(strip(self.ask(*words, "-f", name).out), strip(body))

    def test_a_person_reads_the_same_as_from_this_process(self):
        code, out, err = self.ask("health")
        self.assertEqual((code, err), (0, ""))
        self.assertIn("    replica  FAIL  OperationalError\n", out)
        self.assertTrue(out.endswith("FAIL: 1 of 2 checks failing: health/databases\n"), out)

    def test_the_verdict_is_the_same_in_every_format(self):
        for error_code in (503, 200, 404):
            for name in ("human", *FORMATS):
                with self.subTest(format=name, error_code=error_code), override_settings(STATUS_ERROR_CODE=error_code):
                    self.assertEqual(self.ask("health", "-e", "-f", name).code, 2 if name == "nagios" else 1)
                    self.assertEqual(self.ask("shop", "-e", "-f", name).code, 1 if name == "nagios" else 0)
                    self.assertEqual(self.ask("health", "-f", name).code, 2 if name == "nagios" else 0)

    def test_names_mean_the_same_as_in_this_process(self):
        self.assertEqual(self.ask("ping", "-f", "json"), Asked(0, '{"pong": true}\n'))
        self.assertEqual(self.ask("stats/databases", "-f", "json"), Asked(0, '{"size": 3}\n'))
        self.assertEqual(self.ask("stats/", "-f", "json"), Asked(0, '{"databases": {"size": 3}}\n'))
        line = 'status: "databases" is in several resources; write health/databases or stats/databases\n'
        self.assertEqual(self.ask("databases"), Asked(2, "", line))
        for name in ("nope", "nope/ping", "health/nope"):
            with self.subTest(name):
                code, out, err = self.ask(name)
                self.assertEqual((code, out, err.count("\n")), (2, "", 1))
                self.assertIn("nope" if "/" not in name else "There is", err)

    def test_check_and_skip_go_along(self):
        self.assertEqual(list(json.loads(self.ask("health", "--check", "ping", "-f", "json").out)), ["ping"])
        self.assertEqual(list(json.loads(self.ask("health", "--skip", "ping", "-f", "json").out)), ["databases"])
        self.assertEqual(self.ask("health", "--check", "nope").code, 2)

    def test_list_shows_the_addresses_and_runs_nothing(self):
        with override_settings(STATUS_PROVIDERS={"health": [("ping", self.fail)], "b": []}):
            base = f"{self.live_server_url}/status/api"
            self.assertEqual(
                json.loads(self.ask("--list", "-f", "json").out),
                {
                    "health": {"ping": f"{base}/health/ping"},
                    "b": {},
                    "live": {"ping": f"{base}/live/ping"},
                    "startup": {"migrations": f"{base}/startup/migrations"},
                    "ready": {"ping": f"{base}/ready/ping"},
                },
            )
            self.assertEqual(self.ask("ping", "--list").out, f"health\n  ping  {base}/health/ping\n")
            self.assertEqual(self.ask("ready/ping", "--list").out, f"ready\n  ping  {base}/ready/ping\n")
            for words in (["nope"], ["nope/x"], ["health/nope"], ["ready/nope"], ["b/x"]):
                code, out, err = self.ask(*words, "--list")
                self.assertEqual((code, out), (2, ""))
                self.assertRegex(err, '^status: there is no [a-z ]+ "(nope|x)"; there is: [a-z]+')

    def test_live_and_ready_are_resources(self):
        """Also where everything else is closed to strangers."""
        self.assertEqual(self.ask("live", "-f", "json"), Asked(0, '{"ping": {"pong": true}}\n'))
        self.assertEqual(self.ask("ready", "-f", "json").out, self.ask("health", "-f", "json").out)
        self.assertEqual(human_words(self.ask("ready").out), human_words(self.ask("health").out))
        self.assertEqual(self.ask("ready", "-e").code, 1)
        with override_settings(DEBUG=False, STATUS_PUBLIC=()):
            self.assertEqual((self.ask("live/", "-e").code, self.ask("live", "-e").code), (0, 0))
            self.assertEqual(self.ask("ready", "-e").code, 2)
            self.assertEqual(self.ask("ready/", "-e").code, 2)
            self.assertIn("answers 403", self.ask("ready", "--list").err)
        with override_settings(DEBUG=False, STATUS_PUBLIC=("stats",)):
            self.assertEqual(list(json.loads(self.ask("--list", "-f", "json").out)), ["stats", "live"])
            self.assertIn("answers 403", self.ask("ready", "--list").err)
        with override_settings(STATUS_PROVIDERS={"shop": PROVIDERS["shop"]}):
            self.assertEqual(list(json.loads(self.ask("--list", "-f", "json").out)), ["shop", "live", "startup"])
            self.assertEqual(self.ask("ready").code, 2)

    def test_quiet_is_silent_on_success_also_from_afar(self):
        self.assertEqual(self.ask("ping", "-q", "-f", "json"), Asked(0, ""))
        self.assertEqual(self.ask("ping", "-q"), Asked(0, ""))
        self.assertIn("replica", self.ask("health", "-q", "-f", "json").out)

    def test_quiet_tells_of_a_warning_only_when_asked_also_from_afar(self):
        """FAULTS O9."""
        low = Reasons({"free": 3}, warnings={"free": "less than 5 GB"})
        with override_settings(STATUS_PROVIDERS={"health": [("disk", lambda: low)]}):
            for words in (["health", "-q"], ["health", "-q", "-f", "text"], ["health", "-q", "-f", "health+json"]):
                self.assertEqual(self.ask(*words), Asked(0, ""))
                self.assertIn("disk", self.ask(*words, "-v").out)

    def test_the_url_may_end_with_the_api(self):
        self.assertEqual(self.ask("ping", "-f", "json", mount="/status/api").out, '{"pong": true}\n')
        self.assertEqual(self.ask("ping", "-f", "json", mount="/status").out, '{"pong": true}\n')

    def test_the_token_comes_from_option_file_or_environment(self):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder, "token")
            file.write_text(f"{TOKEN}\n")
            closed = override_settings(DEBUG=False, STATUS_PUBLIC=(), STATUS_TOKENS=(TOKEN,))
            with closed:
                for words in (
                    ["--token", TOKEN],
                    ["--token-file", str(file)],
                    ["--header", f"Authorization: Bearer {TOKEN}"],
                ):
                    with self.subTest(words[0]):
                        self.assertIn("OperationalError", self.ask("health", *words).out)
                with mock.patch.dict("os.environ", {"STATUS_TOKEN": TOKEN}):
                    self.assertIn("OperationalError", self.ask("health").out)
                for words, told in (([], "it needs a token"), (["--token", "wrong"], "it does not know the token")):
                    code, out, err = self.ask("health/databases", *words)
                    self.assertEqual((code, out), (2, ""))
                    self.assertIn(f"answers 401: {told}", err)

    def test_a_token_goes_along_with_the_login_of_a_proxy(self):
        for name in ("Authorization", "authorization"):
            words = ["--header", f"{name}: Basic dTpw", "--token", TOKEN]
            with (
                self.subTest(name),
                override_settings(DEBUG=False, STATUS_PUBLIC=(), STATUS_TOKENS=(TOKEN,)),
                mock.patch(f"{__name__}.seen", []) as sent,
            ):
                self.assertIn("OperationalError", self.ask("health", *words).out)
                self.ask("ping", *words, mount="/shop/")
                self.assertEqual((sent[0]["Authorization"], sent[0][TOKEN_HEADER]), ("Basic dTpw", TOKEN))

    @override_settings(DEBUG=False, STATUS_TOKENS=(TOKEN,))
    def test_a_wrong_token_is_told_where_strangers_may_ask_as_well(self):
        for words in (["health"], ["health", "-f", "text", "-e"], ["ping", "-f", "json"], ["--list"], ["fleet"]):
            with self.subTest(words):
                for option in ([], ["--token", TOKEN]):
                    self.assertEqual(self.ask(*words, *option)[::2], (int("-e" in words), ""))
                for option in (["--token", "wrong"], ["--header", "X-Status-Token: wrong"]):
                    code, out, err = self.ask(*words, *option)
                    self.assertEqual((code, bool(out)), (int("-e" in words), True))
                    self.assertEqual(err.count("/api does not know the token, and answers what strangers see"), 1)
        # What looks nobody up shows everybody the same, and so does a place that is trusted, or a site without tokens.
        self.assertEqual(self.ask("live", "--token", "wrong").code, 0)
        for changed in ({"STATUS_NETWORKS": ["127.0.0.0/8"]}, {"STATUS_TOKENS": ()}, {"DEBUG": True}):
            with self.subTest(changed), override_settings(**changed):
                self.assertEqual(self.ask("health", "--token", "wrong").code, 0)

    def test_a_stranger_learns_no_reasons(self):
        with override_settings(DEBUG=False):
            code, out, _ = self.ask("health", "-e")
        self.assertEqual(code, 1)
        self.assertIn("replica  FAIL\n", out)

    @override_settings(DEBUG=False)
    def test_durations_that_a_stranger_is_not_told_are_not_printed(self):
        """R9."""
        code, out, err = self.ask("health")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"(?m)^  ping +ok$")
        self.assertNotIn("0.000 s", out)
        first = self.ask("health", "-f", "nagios").out.splitlines()[0]
        self.assertEqual(first, "STATUS CRITICAL - 1 of 2 checks failing: health/databases")
        with override_settings(DEBUG=True):
            self.assertRegex(self.ask("health").out, r"(?m)^  ping +ok +0\.0\d\d s$")
            self.assertIn(" | 'ping'=0.0", self.ask("health", "-f", "nagios").out)

    def test_a_redirect_on_the_same_server_is_followed(self):
        self.assertEqual(self.ask("ping", "-f", "json", mount="/moved/"), Asked(0, '{"pong": true}\n'))

    def test_headers_go_along_and_what_is_not_ours_is_told(self):
        seen.clear()
        code, out, err = self.ask(
            "health/ping", "--header", "X-Forwarded-Proto:https", "--token", TOKEN, mount="/shop/"
        )
        self.assertEqual((code, out), (2, ""))
        self.assertIn("answers 200 with text/html, which is not from django-status", err)
        self.assertEqual(seen[0]["X-Forwarded-Proto"], "https")
        self.assertEqual(seen[0]["Authorization"], f"Bearer {TOKEN}")
        self.assertRegex(seen[0]["User-Agent"], r"^django-status/\d")
        self.assertIn("answers 404", self.ask("ping", mount="/nowhere/").err)
        self.assertIn("answers 200 with text/html", self.ask("ping", mount="/shop/").err)

    def test_watch_goes_on_while_the_instance_is_away(self):
        class Reader(Screen):
            def write(self, text: str) -> int:
                if "404" in self.getvalue():
                    raise BrokenPipeError
                return super().write(text)

        self.assertEqual(self.ask("health/ping", "--watch", "0.01", mount="/nowhere/", out=Reader()).code, 2)
        self.assertEqual(self.ask("health/nope", "--watch", "0.01").code, 2)

    def test_docker_and_cron_need_nothing_but_the_url(self):
        code, out, err = command("ping", "-e", "--url", f"{self.live_server_url}/status/", "-f", "json")
        self.assertEqual((code, out, err), (0, '{"pong": true}\n', ""))


@contextlib.contextmanager
def server(*answers: bytes | Callable[[socket.socket], None], context: ssl.SSLContext | None = None) -> Iterator[str]:
    """An address where each connection gets the next of ``answers``, and the last one again and again."""
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as connections:

        def serve() -> None:
            left = list(answers)
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                connections.enter_context(connection)
                try:
                    if context is not None:
                        connection = connections.enter_context(context.wrap_socket(connection, server_side=True))
                    connection.recv(65536)
                    answer = left.pop(0) if len(left) > 1 else left[0]
                    answer(connection) if callable(answer) else connection.sendall(answer)
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # the other side has gone

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http{'s' if context else ''}://127.0.0.1:{listener.getsockname()[1]}/status/"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def http(status: int = 200, kind: str = "application/health+json", body: str = "", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", body]).encode()


#: Documents that are nearly a report (R10).
NO_REPORTS = (
    '{"checks": {"a": [{"status": "pass"}], "a": [{"status": "fail"}]}}',
    '{"checks": {"a": [{"status": "fail", "status": "pass"}]}}',
    '{"checks": {"a": [{"status": "down"}]}}',
    '{"checks": {"a": [{"status": ["pass"]}]}}',
    '{"checks": {"a": [{"status": true}]}}',
    '{"checks": {"a": [{"status": "pass"}]}, "status": "up"}',
    f'{{"checks": {{"a": [{{"status": "pass", "responseTime": {"9" * 5_000}}}]}}}}',
    json.dumps({"checks": {f"check-{number}": [{"status": "pass"}] for number in range(5_001)}}),
)

GOOD = http(
    body=FORMATS["health+json"].render(report(result(name="ping", answer={"pong": True}), resource="health"), True)
)
BAD = http(503, body=FORMATS["health+json"].render(report(result(answer={"default": False}), resource="health"), True))


class StrangerTests(SimpleTestCase):
    """Servers that are not ours, or not well."""

    def assertCannotAsk(self, url: str, part: str, *words: str, expected: int = 2) -> None:
        code, out, err = ask("health/", "--url", url, *words, in_django=False)
        self.assertEqual((code, out, err.count("\n")), (expected, "", 1), err)
        self.assertIn(part, err)

    def assertDown(self, url: str, part: str, *words: str) -> None:
        """FAULTS O1: who waits for a server is told that it is not well, whatever the command is asked for."""
        for more in ([], ["-e"], ["-f", "json"], ["-f", "prometheus", "-q"]):
            self.assertCannotAsk(url, part, *words, *more, expected=1)
        code, out, err = ask("health/", "-f", "nagios", "--url", url, *words, in_django=False)
        self.assertEqual((code, err), (2, ""))
        self.assertTrue(out.startswith("STATUS CRITICAL - "), out)
        self.assertIn(part, out)

    def test_what_is_not_ours_is_one_clear_line(self):
        for answer, part in (
            (http(kind="text/html", body="<title>Shop</title>"), "with text/html, which is not from django-status"),
            (http(kind="application/json", body='{"error": 3}'), "with application/json, which is not"),
            (http(body="{}"), "not a health report"),
            (http(body="[" * 100_000), "not a health report"),
            (http(body='{"checks": []}'), "not a health report"),
            (http(body='{"checks": {"a": 3}}'), "not a health report"),
            (
                http(body=f'{{"checks": {{"a": [{{"observedValue": {"[" * 500}{"]" * 500}}}]}}}}'),
                "nested more than 32 deep",
            ),
            (
                http(body=f'{{"checks": {{"a": [{{"observedValue": {"9" * 400}}}]}}}}'),
                "a number of more than 300 digits",
            ),
            *((http(body=body), "not a health report") for body in NO_REPORTS),
            (http(403, kind="text/html"), "answers 403: it needs a token"),
            (http(404, "application/json", '{"error": "There is \\u001b[2J no such"}'), "There is _[2J no such"),
        ):
            with self.subTest(part), server(answer) as url:
                self.assertCannotAsk(url, part)

    def test_a_server_or_proxy_that_is_not_well_is_down(self):
        """FAULTS O1."""
        for answer, part in (
            *(
                (http(status, "text/html", "<h1>Bad gateway</h1>"), f"answers {status} with")
                for status in (500, 502, 504)
            ),
            (http(503, "application/json", '{"message": "no healthy upstream"}'), "answers 503 with application/json"),
            (http(503, "text/plain", "no healthy upstream"), "answers 503 with text/plain"),
            (http(599, "application/health+json", '{"status": "up"}'), "health"),
            (b"", "cannot be reached: RemoteDisconnected"),
            (b"220 mail.example.com ESMTP\r\n", "cannot be reached: BadStatusLine"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "cannot be reached: IncompleteRead"),
            (b"HTTP/1.1 200 OK\r\n" + b"a" * 70_000, "cannot be reached: LineTooLong"),
        ):
            with self.subTest(part), server(answer) as url:
                self.assertDown(url, part)

    def test_an_answer_of_another_app_is_a_wrong_question(self):
        """FAULTS O1: whatever its format, so that nobody takes it for a healthy answer."""
        for kind, body in (
            ("text/html", "<title>Shop</title>"),
            ("application/json", '{"hello": "world"}'),
            ("text/plain", "STATUS PASS"),
        ):
            for status in (200, 404):
                with server(http(status, kind, body)) as url:
                    for name in ("json", "text", "openmetrics", "nagios", "human"):
                        with self.subTest(kind=kind, status=status, format=name):
                            code, out, err = ask("health/", "-f", name, "--url", url, in_django=False)
                            self.assertEqual(code, 3 if name == "nagios" else 2)
                            self.assertIn("which is not from django-status; --url is where the app", out + err)

    def test_a_refusal_is_a_wrong_question_in_any_format(self):
        """FAULTS O1."""
        for answer, part in (
            (http(400, "text/html"), "its ALLOWED_HOSTS may lack the host; name one with --header 'Host: ...'"),
            (http(401, "application/json", '{"error": "This needs a token"}'), "answers 401: it needs a token"),
            (http(403, "application/json", '{"detail": "no"}'), "answers 403: it needs a token"),
            (http(404, "application/json", '{"error": "There is no resource of that name."}'), "There is no resource"),
            (http(406, "application/json", '{"error": "There is no such format."}'), "There is no such format"),
        ):
            with server(answer) as url:
                for words in ([], ["-e"], ["-f", "json"], ["-f", "prometheus"]):
                    with self.subTest(part, words=words):
                        self.assertCannotAsk(url, part, *words)
                code, out, _ = ask("health/", "-f", "nagios", "--url", url, in_django=False)
                self.assertEqual((code, out.split(" - ")[0]), (3, "STATUS UNKNOWN"))

    def test_an_answer_that_lost_its_headers_on_the_way_is_asked_for_again(self):
        """A proxy may remove ``Vary``; the health document tells that the server is ours."""
        self.assertIn(TOKEN_HEADER, HEADERS["Vary"])
        with server(http(503, "application/json", '{"databases": false}'), BAD) as url:
            self.assertEqual(
                ask("health/", "-f", "json", "--url", url, in_django=False), Asked(0, '{"databases": false}\n')
            )
        with server(http(503, "application/json", '{"a": false}', Vary="Accept, X-Status-Token"), b"") as url:
            self.assertEqual(ask("health/", "-e", "-f", "json", "--url", url, in_django=False).code, 1)

    def test_a_number_that_is_none_is_told(self):
        """R10."""
        for number in ("NaN", "-Infinity", "1e999"):
            with (
                self.subTest(number),
                server(http(body=f'{{"checks": {{"a": [{{"observedValue": {number}}}]}}}}')) as url,
            ):
                self.assertCannotAsk(url, "a number that is not finite")

    def test_a_report_without_checks_is_no_answer(self):
        """R7."""
        with server(http(body='{"status": "pass", "checks": {}}')) as url:
            self.assertCannotAsk(url, "nothing is left to ask")
            code, out, _ = ask("health/", "-f", "nagios", "--url", url, in_django=False)
            self.assertEqual((code, out), (3, "STATUS UNKNOWN - nothing is left to ask\n"))
            self.assertEqual(ask("wait", "health/", "--url", url, in_django=False).code, 2)

    def test_names_of_an_instance_stay_in_their_line(self):
        """R10."""
        listing = json.dumps({"\x1b[2J\n": {"a\ud800": "x", "b": "x"}, "other": {"b": "x"}})
        with server(http(kind="application/json", body=listing)) as url:
            for words in (["nope"], ["b"]):
                code, out, err = ask(*words, "--url", url, in_django=False)
                self.assertEqual((code, out, err.count("\n"), err.count("\x1b")), (2, "", 1, 0), err)
            self.assertEqual(
                ask("--list", "--url", url, in_django=False).out.splitlines(),
                [
                    *("_[2J_", f"  a\ud800  {url}api/%1B%5B2J%0A/a%3F", f"  b   {url}api/%1B%5B2J%0A/b"),
                    *("other", f"  b   {url}api/other/b"),
                ],
            )

    def test_names_that_no_address_can_hold_are_asked_for_all_the_same(self):
        """R10: also those that the shell hands over as bytes, and those of an instance."""
        listing = json.dumps({"\ud800": {"a": "x"}})
        with server(http(kind="application/json", body=listing), GOOD) as url:
            self.assertEqual(ask("a", "--url", url, in_django=False).code, 0)
            for words in (["\udcff/"], ["health/", "--check", "\udcff"]):
                self.assertEqual(ask(*words, "--url", url, in_django=False).code, 0)
            self.assertEqual(ask("health/", "--url", f"{url}\udcff", in_django=False).code, 0)

    def test_an_endless_answer_is_cut_off(self):
        def endless(connection: socket.socket) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True:
                connection.sendall(b" " * 65536)

        with server(endless) as url:
            self.assertCannotAsk(url, "sends more than 16 MiB")

    def test_the_timeout_is_for_all_of_it(self):
        def drip(connection: socket.socket) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while True:
                connection.sendall(b"a")
                time.sleep(0.02)

        def drip_body(connection: socket.socket) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while True:
                connection.sendall(b"a")
                time.sleep(0.02)

        with contextlib.ExitStack() as stack:
            silent, blackhole = stack.enter_context(services.silent()), stack.enter_context(services.blackhole())
            urls = {
                "drips its headers": stack.enter_context(server(drip)),
                "drips its body": stack.enter_context(server(drip_body)),
                "says nothing": f"http://127.0.0.1:{silent}/",
                "speaks no TLS": f"https://127.0.0.1:{silent}/",
                "swallows connections": f"http://127.0.0.1:{blackhole}/",
            }
            for what, url in urls.items():
                with self.subTest(what):
                    started = time.monotonic()
                    self.assertCannotAsk(url, "did not answer within 0.", "-t", "0.3", expected=1)
                    self.assertLess(time.monotonic() - started, 2)

    def test_a_terminal_shows_whom_it_waits_for(self):
        with mock.patch.object(Terminal, "live_seconds", 0.01), services.silent() as port:
            err = ask("a/", "-t", "0.3", "--url", f"http://127.0.0.1:{port}/", in_django=False, err=Screen()).err
        self.assertIn(f"waiting for http://127.0.0.1:{port}/api (", err)

    def test_a_slow_name_server_is_no_excuse(self):
        go = threading.Event()
        self.addCleanup(go.set)

        def resolve(*args: Any, **kwargs: Any) -> Any:
            go.wait(30)
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        with mock.patch("socket.getaddrinfo", resolve):
            started = time.monotonic()
            self.assertCannotAsk("http://status.invalid/", "did not answer within 0.2 s", "-t", "0.2", expected=1)
            self.assertLess(time.monotonic() - started, 2)

    def test_nobody_there_is_one_clear_line(self):
        self.assertDown(f"http://127.0.0.1:{services.refused_port()}/", "cannot be reached: Connection refused")
        with mock.patch(
            "socket.getaddrinfo", side_effect=socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        ):
            self.assertDown("http://status.invalid/", "cannot be reached: Name or service not known")
        self.assertCannotAsk(f"http://{'a' * 70}.invalid/", "cannot be reached: Unicode")

    def test_a_process_with_an_unanswered_request_ends_in_time(self):
        with services.silent() as port:
            started = time.monotonic()
            code, out, err = command("ping", "-t", "0.3", "--url", f"http://127.0.0.1:{port}/")
        self.assertEqual((code, out, err.count("\n")), (1, "", 1))
        self.assertLess(time.monotonic() - started, 15)

    def test_a_name_is_asked_for_as_a_resource_where_options_is_barred(self):
        with server(http(405, "text/html"), GOOD) as url:
            self.assertEqual(ask("health", "--url", url, in_django=False).code, 0)

    def test_redirects_elsewhere_are_refused(self):
        with server(http(302, Location="http://elsewhere.invalid:8000/status/")) as url:
            self.assertCannotAsk(url, "redirects to http://elsewhere.invalid, which is another one")
        with server(http(302, Location="/again")) as url:
            self.assertCannotAsk(url, "redirects more than 5 times")
        with server(http(302, Location="http://[broken/")) as url:
            self.assertCannotAsk(url, "redirects to what is no address")
        with server(http(302, "text/html")) as url:
            self.assertCannotAsk(url, "answers 302")

    def test_wait_goes_on_until_the_instance_is_there_and_healthy(self):
        with mock.patch.object(Wait, "interval", 0.02), server(b"", http(502, "text/html"), BAD, GOOD) as url:
            code, out, err = ask("wait", "health/", "--url", url, in_django=False)
        self.assertEqual(code, 0)
        self.assertRegex(out, r"^health/: healthy after")
        self.assertEqual(len(err.splitlines()), 3)

    def test_wait_gives_up_on_what_never_answers(self):
        with services.silent() as port:
            code, _, err = ask("wait", "health/", "--for", "0.2", "--url", f"http://127.0.0.1:{port}/", in_django=False)
        self.assertEqual(code, 1)
        self.assertIn("did not answer", err)

    def test_a_certificate_has_to_be_trusted_unless_it_need_not(self):
        openssl = shutil.which("openssl")
        if openssl is None:
            services.missing("openssl", "apt-get install openssl")
        with tempfile.TemporaryDirectory() as folder:
            key, certificate = f"{folder}/key.pem", f"{folder}/certificate.pem"
            subprocess.run(
                [
                    openssl,
                    "req",
                    "-x509",
                    "-newkey",
                    "rsa:2048",
                    "-nodes",
                    "-subj",
                    "/CN=localhost",
                    "-keyout",
                    key,
                    "-out",
                    certificate,
                ],
                check=True,
                capture_output=True,
            )
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            with server(GOOD, context=context) as url:
                self.assertDown(url, "its certificate is not trusted (self")
                with mock.patch.dict("os.environ", {"SSL_CERT_FILE": certificate}):
                    self.assertDown(url, "its certificate is not trusted (IP address mismatch")
                self.assertEqual(ask("health/", "--insecure", "--url", url, in_django=False).code, 0)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)


class ReadingTests(SimpleTestCase):
    """A health+json document becomes the report it was made from."""

    def test_warning_and_time_of_a_component_arrive_as_they_were_sent(self):
        """FAULTS R8, and CONTRACT 1."""
        original = report(
            result(
                answer={"a": True, "items": 42},
                warnings={"items": "fewer than 50 left"},
                durations={"a": 0.001, "items": 0.002},
                duration=0.002,
            ),
            resource="health",
        )
        read = self.again(original)
        (check,) = read.results
        self.assertEqual((check.state, check.warnings), ("warn", {"items": "fewer than 50 left"}))
        self.assertEqual(check.durations, {"a": 0.001, "items": 0.002})
        self.assertIn("fewer than 50 left", human_text(read))
        for name in ("text", "nagios"):
            self.assertEqual(FORMATS[name].render(read, True), FORMATS[name].render(original, True))

    def again(self, original: Any, details: bool = True) -> Any:
        body = FORMATS["health+json"].render(original, details).encode()
        return read_report(ServerResponse(200, "application/health+json", body), original.resource, original.provider)

    def test_everything_that_the_document_holds_comes_back(self):
        settled = report(*(one for one in MIXED.results if not one.running))
        read = self.again(settled)
        self.assertEqual(read.failing, settled.failing)
        # One provider's name in two resources shares its key, so the order may change.
        self.assertEqual(sorted(human_text(read).splitlines()), sorted(human_text(settled).splitlines()))

    def test_what_still_runs_is_no_pass(self):
        read = self.again(MIXED)
        self.assertIn("delivery", human_text(read))
        self.assertFalse(self.again(report(result(running=True, sound=False))).failing)

    @settings(max_examples=100, deadline=None)
    @given(
        st.lists(
            st.tuples(st.sampled_from(["a", "b", "stats"]), st.booleans(), st.booleans(), st.booleans()),
            min_size=1,
            max_size=5,
        ),
        st.booleans(),
    )
    def test_the_verdict_survives_the_journey(self, drawn: list[tuple[str, bool, bool, bool]], details: bool):
        results = []
        for number, (resource, first, second, critical) in enumerate(drawn):
            answer = {"x:1": first, "y": {"deep": [second]}} if number % 3 else first
            results.append(result(resource, f"check{number}", answer, critical=critical))
        original = report(*results)
        read = self.again(original, details)
        self.assertEqual(read.failing, original.failing)
        self.assertEqual(nagios.exit_code(read), nagios.exit_code(original))

    def test_a_failure_that_no_component_shows_is_kept(self):
        entries = {"a:x": [{"status": "pass", "componentId": "x"}], "a": [{"status": "fail", "output": "elsewhere"}]}
        read = read_report(ServerResponse(200, "application/health+json", json.dumps({"checks": entries}).encode()))
        self.assertTrue(read.failing)

    def test_a_verdict_that_no_check_explains_is_kept(self):
        """R10: nor does a check that passes hide it."""
        passing = {"a": [{"status": "pass"}]}
        for status, document, reason in (
            (200, {"status": "fail", "output": "draining", "checks": passing}, "draining"),
            (503, {"status": "pass", "checks": passing}, "answers 503 without a reason"),
            (503, {"output": ["x"], "checks": {}}, "answers 503 without a reason"),
        ):
            with self.subTest(document):
                body = json.dumps(document).encode()
                read = read_report(ServerResponse(status, "application/health+json", body), "health")
                self.assertEqual((read.failing, nagios.exit_code(read)), (True, 2))
                self.assertIn(f"status  FAIL  {reason}\n", human_text(read))

    def test_any_document_is_read_without_an_accident(self):
        for checks in (
            {"a": [3, {}]},
            {"": [{"componentId": 3, "responseTime": "x", "output": ["a"]}]},
            {"a:b": [{"observedValue": None}]},
            {"a": [{"observedValue": 1, "responseTime": 10**400, "age": 10**400}]},
            {"a": [{"observedValue": 1, "responseTime": float("nan"), "age": -1}]},
            {"a": [{"responseTime": True, "resource": {}, "output": "\ud800", "status": "fail"}]},
            {
                "\ud800\x1b": [
                    {"componentId": "\ud800", "output": "\ud800", "status": "fail", "observedValue": "\ud800"}
                ]
            },
        ):
            with self.subTest(checks):
                body = json.dumps({"checks": checks}).encode()
                read = read_report(ServerResponse(200, "application/health+json", body))
                for text in (human_text(read), nagios.render_nagios(read, True)):
                    self.assertNotIn("\x1b", text.encode().decode())
                    self.assertNotIn("0.001 s", text)

    @settings(max_examples=200, deadline=None)
    @given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), containers), st.data())
    def test_a_wrong_type_anywhere_is_read_or_refused_in_one_line(self, wrong: Any, data: st.DataObject):
        """R10."""
        entry = {"resource": "health", "componentId": "x", "status": "pass", "observedValue": True, "age": 1}
        document = {"status": "pass", "checks": {"a:x": [entry, {**entry, "responseTime": 2.5}], "b": [entry]}}
        holder = data.draw(st.sampled_from([document, document["checks"], document["checks"]["b"], entry]))
        holder[data.draw(st.sampled_from(list(holder if isinstance(holder, dict) else [0])))] = wrong
        body = json.dumps(document).encode()
        try:
            read = read_report(ServerResponse(200, "application/health+json", body), "health")
        except CannotAsk as error:
            self.assertTrue(str(error).isprintable())
        else:
            human_text(read).encode()
            nagios.render_nagios(read, True).encode()


class AddressTests(SimpleTestCase):
    def test_an_address_is_taken_as_people_write_it(self):
        for url, api in (
            ("http://localhost:8000/status/", "http://localhost:8000/status/api"),
            ("http://localhost:8000", "http://localhost:8000/api"),
            ("https://[::1]:8443/a%20b/", "https://[::1]:8443/a%20b/api"),
            ("http://localhost/ümlaut", "http://localhost/%C3%BCmlaut/api"),
        ):
            self.assertEqual(api_url(url), api)

    def test_what_is_no_address_is_refused(self):
        for url in (
            *("", "localhost:8000", "ftp://localhost/", "http:///status/", "http://a b/", "http://a/\r\nX: y"),
            *("http://a:x/", "http://a:99999/", "http://a:0/", "http://[::1/"),
            *("http://u:p@localhost/", "http://a/?check=x", "http://a/#x"),
            *("http://u:hidden/half@a/", "http://u:hidden#half@a/", "http://u:hidden\u2100@a/"),
        ):
            with self.subTest(url):
                code, out, err = ask("ping", "--url", url, in_django=False)
                self.assertEqual((code, out, err.count("\n")), (2, "", 1))
                self.assertNotIn("u:p", err)
                self.assertNotIn("hidden", err)

    def test_headers_and_tokens_cannot_smuggle(self):
        for words in (
            *(["--header", header] for header in ("nonsense", "A b: c", "A: b\r\nC: d", "A: \u2713")),
            *(["--token", token] for token in ("a b", "a\nb", "\u2713", "")),
        ):
            with self.subTest(words):
                self.assertEqual(ask("ping", "--url", "http://localhost:1/", *words, in_django=False).code, 2)

    def test_a_token_file_that_cannot_be_read_is_told(self):
        self.assertIn(
            "No such file",
            ask("ping", "--url", "http://a/", "--token-file", str(services.absent()), in_django=False).err,
        )
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"\xff\xfe")
            file.flush()
            self.assertIn(
                "it is not text", ask("ping", "--url", "http://a/", "--token-file", file.name, in_django=False).err
            )

    def test_a_redirect_stays_with_the_server_or_goes_to_its_https(self):
        for url, location, target in (
            ("http://a/x", "/y", "http://a/y"),
            ("http://a/x", "https://a/y", "https://a/y"),
            ("http://a:80/x", "http://a/y", "http://a/y"),
            ("http://a:8000/x", "https://a/y", None),
            ("https://a/x", "http://a/y", None),
            ("http://a/x", "http://a:81/y", None),
            ("http://a/x", "//b/y", None),
            ("http://a/x", "ftp://a/y", None),
        ):
            with self.subTest(f"{url} -> {location}"):
                if target is None:
                    with self.assertRaises(CannotAsk):
                        redirect_target(url, location)
                else:
                    self.assertEqual(redirect_target(url, location), target)
