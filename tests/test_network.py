"""``status.providers.network``: ports, names, certificates and addresses on the web, with real servers."""

from __future__ import annotations

import base64
import errno
import gzip
import select
import socket
import ssl
import sys
import threading
import time
from datetime import datetime
from http.client import BadStatusLine
from typing import Any
from unittest import mock

import psutil
from django.test import SimpleTestCase, override_settings, tag

from status.engine import engine
from status.providers.base import call_until
from status.providers.network import dns, tcp
from status.providers.network.ports import words_of
from status.registry import registry
from status.report import Result
from tests import services
from tests.components import eventually
from tests.measuring import MeasuringTestCase
from tests.processes import free_port, refused_port
from tests.web_servers import authority, authority_file, certified, replies, says_nothing, self_signed, serving

AMOUNT = "a number, 0 or more, or None"
HOST = "a host name or an IP address"
HOSTS = {"an empty str": "", "None": None, "7": 7, "a bytes": b"localhost"}
NOT_TRUSTED = "its certificate is from an authority that is not trusted here, or an intermediate one is not sent"
#: Seconds: the deadline of questions that get no answer in time, and what a busy machine may add.
DEADLINE = 0.4
SLACK = 0.5


class NetworkTestCase(MeasuringTestCase):
    """PEERS 22"""

    def assertNoAnswer(self, component: str, **kwargs: Any) -> None:
        """The answer comes by the deadline, and the thread of the check is free again."""
        before = time.monotonic()
        result = self.ask(timeout=DEADLINE, **kwargs)
        self.assertLess(time.monotonic() - before, DEADLINE + SLACK)
        self.assertGaveUp(result, component)
        self.assertTrue(eventually(lambda: not engine.busy, SLACK))

    def assertGaveUp(self, result: Result, component: str) -> None:
        """The check itself says so a moment before its deadline; on a busy machine the engine may be first."""
        self.assertEqual(result.state, "fail")
        self.assertIn(result.error or result.reasons[component], ("no answer in time", f"timed out after {DEADLINE} s"))


class TcpTests(NetworkTestCase):
    provider = "status.providers.network.tcp"
    subject = "port"

    def test_port_that_accepts(self):
        with serving(says_nothing) as server:
            result = self.ask(host="127.0.0.1", port=server.port)
        self.assertPasses(result)
        (component,) = result.answer
        self.assertEqual(component, f"127.0.0.1:{server.port}")
        self.assertLess(result.answer[component]["seconds"], 1)

    def test_nothing_is_sent_and_the_connection_is_closed(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.assertPasses(self.ask(host="127.0.0.1", port=listener.getsockname()[1]))
            connection, _ = listener.accept()
            with connection:
                self.assertEqual(connection.recv(1), b"")

    def test_connection_to_itself_is_none(self):
        """Linux connects a socket to its own port, where nobody listens and the port is one that it hands out."""
        port = free_port()
        connect = socket.socket.connect

        def from_there(connection: socket.socket, address: Any) -> None:
            connection.bind(("127.0.0.1", port))
            connect(connection, address)

        with mock.patch("socket.socket.connect", from_there):
            self.assertFails(self.ask(host="127.0.0.1", port=port), f"127.0.0.1:{port}", "refuses the connection")

    def test_port_that_refuses(self):
        port = refused_port()
        self.assertFails(self.ask(host="127.0.0.1", port=port), f"127.0.0.1:{port}", "refuses the connection")

    def test_port_that_swallows_what_is_sent(self):
        with services.blackhole() as port:
            self.assertNoAnswer(f"127.0.0.1:{port}", host="127.0.0.1", port=port)

    def test_slow_port_warns(self):
        with serving(says_nothing) as server:
            result = self.ask(host="127.0.0.1", port=server.port, warn_seconds=0)
        self.assertRegex(result.warnings[f"127.0.0.1:{server.port}"], r"^[\d.e-]+ s until it answered, more than 0 s$")

    def test_name_that_is_not_known(self):
        self.assertFails(self.ask(host="no.invalid", port=5), "no.invalid:5", "the name is not known")

    def test_name_that_cannot_be_one(self):
        words = "the name is none that can be looked up"
        self.assertFails(self.ask(host=f"{64 * 'a'}.example", port=5), f"{64 * 'a'}.example:5", words)

    def test_addresses_of_a_name_are_tried_in_turn(self):
        with serving(says_nothing) as server, services.blackhole() as hole:
            told = [socket.getaddrinfo("127.0.0.1", port, type=socket.SOCK_STREAM)[0] for port in (hole, server.port)]
            with mock.patch("socket.getaddrinfo", lambda *args, **kwargs: told):
                self.assertPasses(self.ask(host="db.example", port=5432, timeout=DEADLINE))

    def test_address_of_version_6_is_written_in_brackets(self):
        self.assertEqual(list(self.ask(host="::1", port=refused_port()).answer), [f"[::1]:{refused_port()}"])

    def test_called_without_an_engine_it_has_the_deadline_of_the_settings(self):
        with services.blackhole() as port, override_settings(STATUS_TIMEOUT=DEADLINE):
            before = time.monotonic()
            self.assertEqual(tcp("127.0.0.1", port), {f"127.0.0.1:{port}": {"ok": False}})
            self.assertLess(time.monotonic() - before, DEADLINE + SLACK)

    def test_run_that_began_too_late_asks_nobody(self):
        answer = call_until(time.monotonic() - 1, None, tcp, "127.0.0.1", refused_port())
        self.assertEqual(answer, {f"127.0.0.1:{refused_port()}": {"ok": False}})

    def test_wrong_arguments_are_refused(self):
        hosts = {**HOSTS, "a str": "db:5432"}
        self.assertKind("host", HOST, hosts, port=5)
        for value in ("a b", "a@b", "http://a", "a\n", 254 * "a"):
            self.assertKind("host", HOST, {"a str": value}, port=5)
        ports = {"0": 0, "65536": 65536, "a str": "5432", "True": True, "None": None}
        self.assertKind("port", "a number from 1 to 65535", ports, host="localhost")
        self.assertKind("warn_seconds", AMOUNT, {"a str": "1", "-1": -1}, host="localhost", port=5)
        self.assertRefused(
            "The arguments of the entry should be those that it takes: missing a required argument: 'port'. "
            "It takes host, port, warn_seconds.",
            host="localhost",
        )

    def test_strangers_learn_no_host(self):
        self.assertSeenByStrangers(False, host="127.0.0.1", port=refused_port())

    def test_callers_choose_neither_host_nor_port(self):
        """Whoever may ask cannot look around in the network."""
        with serving(says_nothing) as server, self.settings_for({"host": "127.0.0.1", "port": refused_port()}):
            given = {"host": "127.0.0.1", "port": server.port, "kwargs": "{}"}
            self.assertEqual(self.client.get("/status/api/health/it", given).status_code, 503)
        self.assertEqual(server.connections, [])


class DnsTests(NetworkTestCase):
    provider = "status.providers.network.dns"
    subject = "name"

    def found(self, *addresses: str) -> None:
        told = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]
        self.enter(mock.patch("socket.getaddrinfo", lambda *args, **kwargs: told))

    def test_name_that_is_known(self):
        result = self.ask(name="localhost")
        self.assertPasses(result)
        self.assertIn(result.answer["localhost"]["addresses"][0], ("127.0.0.1", "::1"))

    def test_name_that_is_not_known(self):
        self.assertFails(self.ask(name="no.invalid"), "no.invalid", "the name is not known")

    def test_expected_addresses_are_all_and_the_only_ones(self):
        self.found("10.0.0.1", "10.0.0.2", "10.0.0.1")
        self.assertPasses(self.ask(name="shop.example", expected=["10.0.0.2", "10.0.0.1"]))
        result = self.ask(name="shop.example", expected="10.0.0.1")
        self.assertFails(result, "shop.example", "leads to 10.0.0.2, which is not expected")
        self.assertEqual(result.answer["shop.example"]["addresses"], ["10.0.0.1", "10.0.0.2"])
        result = self.ask(name="shop.example", expected=["10.0.0.1", "10.0.0.2", "10.0.0.3"])
        self.assertFails(result, "shop.example", "does not lead to 10.0.0.3")

    def test_address_beyond_those_that_an_answer_names_is_judged(self):
        addresses = [f"10.0.0.{number}" for number in range(100, 125)]
        self.found(*addresses)
        result = self.ask(name="shop.example", expected=addresses[:-1])
        self.assertFails(result, "shop.example", "leads to 10.0.0.124, which is not expected")

    def test_spelling_of_an_address_does_not_matter(self):
        self.found("::ffff:10.0.0.1")
        self.assertPasses(self.ask(name="shop.example", expected="::FFFF:10.0.0.1"))
        self.found("2001:db8::1")
        self.assertPasses(self.ask(name="shop.example", expected="2001:0DB8:0:0:0:0:0:1"))

    def test_answer_names_a_limited_number_of_addresses(self):
        self.found(*[f"10.0.0.{number}" for number in range(200)])
        self.assertEqual(len(self.ask(name="shop.example").answer["shop.example"]["addresses"]), 20)

    def test_name_server_that_fails(self):
        error = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        with mock.patch("socket.getaddrinfo", mock.Mock(side_effect=error)):
            words = "the name cannot be looked up at the moment"
            self.assertFails(self.ask(name="shop.example"), "shop.example", words)

    def test_slow_answer_warns(self):
        self.assertIn("more than 0 s", self.ask(name="localhost", warn_seconds=0).warnings["localhost"])

    def test_wrong_arguments_are_refused(self):
        self.assertKind("name", HOST, HOSTS)
        expected = "an IP address, or a list of them, or None"
        odd = {"an empty list": [], "a str": "10.0.0.256", "7": 7, "an empty dict": {}}
        self.assertKind("expected", expected, odd, name="localhost")
        self.assertKind("expected", expected, {"a list": ["10.0.0.0/8"]}, name="localhost")

    def test_strangers_learn_no_address(self):
        self.assertSeenByStrangers(True, name="localhost")


class TlsTests(NetworkTestCase):
    provider = "status.providers.network.tls"
    subject = "certificate"

    def server(self, context: ssl.SSLContext) -> int:
        return int(self.enter(serving(says_nothing, context, reads=False)).port)

    def asked(self, port: int, host: str = "localhost", **kwargs: Any) -> Any:
        return self.ask(host=host, port=port, **{"ca_file": authority_file(), **kwargs})

    def test_good_certificate_and_when_it_ends(self):
        port = self.server(certified(days=90))
        result = self.asked(port)
        self.assertPasses(result)
        answer = result.answer[f"localhost:{port}"]
        self.assertAlmostEqual(answer["days_left"], 90, delta=0.2)
        ends = datetime.fromisoformat(answer["expires"].replace("Z", "+00:00")).timestamp()
        self.assertAlmostEqual(ends, time.time() + 90 * 86400, delta=600)

    def test_full_name_may_end_with_its_dot(self):
        port = self.server(certified(days=90))
        self.assertPasses(self.asked(port, server_name="localhost."))

    def test_certificate_that_ends_tomorrow_warns_or_fails(self):
        port = self.server(certified(days=1.05))
        told = "1 day left of its certificate, less than 14 days"
        self.assertWarned(self.asked(port), f"localhost:{port}", told)
        self.assertWarned(self.asked(port, warn_days=14, fail_days=1), f"localhost:{port}", told)
        told = "1 day left of its certificate, less than 3 days"
        self.assertFails(self.asked(port, fail_days=3), f"localhost:{port}", told)

    def test_certificates_that_are_wrong_are_told_in_words(self):
        for context, words in (
            (certified(days=-0.1), "its certificate has expired, or that of an authority above it"),
            (certified(days=90, began=2), "its certificate is not valid yet"),
            (certified("other.example"), "its certificate is for another name"),
            (self_signed(), "its certificate is self-signed"),
        ):
            with self.subTest(words):
                port = self.server(context)
                self.assertFails(self.asked(port), f"localhost:{port}", words)

    def test_authority_that_is_not_trusted(self):
        port = self.server(certified())
        self.assertFails(self.asked(port, ca_file=None), f"localhost:{port}", NOT_TRUSTED)

    def test_intermediate_authority_alone_may_be_trusted(self):
        intermediate = authority().create_child_ca()
        path = self.directory / "intermediate.pem"
        intermediate.cert_pem.write_to_path(str(path))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        intermediate.issue_cert("localhost").configure_cert(context)
        port = self.server(context)
        self.assertPasses(self.asked(port, ca_file=path))
        self.assertPasses(self.asked(port))
        port = self.server(certified())
        self.assertFails(self.asked(port, ca_file=path), f"localhost:{port}", NOT_TRUSTED)

    def test_name_that_is_common_only_does_not_count(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority().issue_cert(common_name="localhost").configure_cert(context)
        port = self.server(context)
        # Python 3.13 looks at certificates more closely, and at this before the name.
        strict = "its certificate is not trusted (Empty Subject Alternative Name extension)"
        reason = strict if sys.version_info >= (3, 13) else "its certificate is for another name"
        self.assertFails(self.asked(port), f"localhost:{port}", reason)

    def test_name_is_that_of_the_host_or_the_one_that_is_told(self):
        port = self.server(certified("shop.example"))
        self.assertFails(self.asked(port), f"localhost:{port}", "its certificate is for another name")
        self.assertPasses(self.asked(port, server_name="shop.example"))
        words = "its certificate is for another address"
        self.assertFails(self.asked(port, host="127.0.0.1"), f"127.0.0.1:{port}", words)

    def test_server_without_tls(self):
        with serving(replies(), reads=False) as server:
            result = self.asked(server.port)
        words = r"no TLS connection comes about \([A-Z_]+\)|breaks off the connection"
        self.assertRegex(result.reasons[f"localhost:{server.port}"], words)

    def test_server_that_hangs_up(self):
        with serving(lambda *talk: None, reads=False) as server:
            self.assertFails(self.asked(server.port), f"localhost:{server.port}", "breaks off the connection")

    def test_server_that_says_nothing(self):
        with serving(says_nothing) as server:
            self.assertNoAnswer(f"localhost:{server.port}", host="localhost", port=server.port)

    def test_server_that_trickles(self):
        """A byte at a time of a long first record: no single wait is long."""

        def trickle(server: Any, connection: Any, request: str) -> None:
            connection.sendall(b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb")
            while not server.over.wait(0.02):
                connection.sendall(b"\x03")

        with serving(trickle, reads=False) as server:
            self.assertNoAnswer(f"localhost:{server.port}", host="localhost", port=server.port)

    def test_file_of_authorities_that_is_not_there_or_holds_none(self):
        path = self.directory / "authorities"
        words = "the file that ca_file names cannot be read (No such file or directory)"
        self.assertFails(self.ask(host="localhost", port=5, ca_file=path), "localhost:5", words)
        path.write_text("nothing")
        words = "the file that ca_file names holds no certificate"
        self.assertFails(self.ask(host="localhost", port=5, ca_file=path), "localhost:5", words)

    def test_wrong_arguments_are_refused(self):
        for name in ("warn_days", "fail_days"):
            self.assertKind(name, AMOUNT, {"a str": "14"}, host="localhost")
        self.assertKind("server_name", f"{HOST}, or None", {"an empty str": "", "7": 7}, host="localhost")
        self.assertKind(
            "ca_file", "the absolute path of a file, or None", {"a str": "ca.pem", "7": 7}, host="localhost"
        )

    def test_strangers_learn_no_host(self):
        port = self.server(certified())
        self.assertSeenByStrangers(True, host="localhost", port=port, ca_file=authority_file())


class HttpTests(NetworkTestCase):
    provider = "status.providers.network.http"
    subject = "page"

    def serve(self, *args: Any, **kwargs: Any) -> Any:
        server = self.enter(serving(*args, **kwargs))
        server.url = f"http://127.0.0.1:{server.port}"
        return server

    def assertAnswers(self, server: Any, words: str, **kwargs: Any) -> None:
        self.assertFails(self.ask(url=f"{server.url}/", **kwargs), server.url, words)

    def test_good_answer(self):
        server = self.serve(replies())
        result = self.ask(url=f"{server.url}/health?deep=1#part", text="ell")
        self.assertPasses(result)
        answer = result.answer[server.url]
        self.assertEqual((answer["ok"], answer["status"]), (True, 200))
        self.assertLess(answer["seconds"], 1)
        lines = server.requests[0].splitlines()
        self.assertEqual(lines[0], "GET /health?deep=1 HTTP/1.1")
        self.assertIn(f"host: 127.0.0.1:{server.port}", lines)
        self.assertIn("accept-encoding: identity", lines)

    def test_path_of_two_slashes_is_asked_for_as_it_is_written(self):
        server = self.serve(replies())
        self.assertPasses(self.ask(url=f"{server.url}//health?a=1"))
        self.assertEqual(server.requests[0].splitlines()[0], "GET //health?a=1 HTTP/1.1")

    def test_address_of_ipv6_however_it_is_written(self):
        server = self.serve(replies())
        for address in ("::ffff:127.0.0.1", "::ffff:7f00:1"):
            self.assertPasses(self.ask(url=f"http://[{address}]:{server.port}/"))

    def test_status_that_is_not_expected(self):
        server = self.serve(replies("500 Internal Server Error"))
        self.assertAnswers(server, "answers 500, not 200")
        self.assertAnswers(server, "answers 500, not 200 or 204", status=[200, 204])
        self.assertEqual(self.ask(url=server.url).answer[server.url]["status"], 500)
        self.assertPasses(self.ask(url=server.url, status=500))

    def test_what_comes_before_the_answer_is_not_taken_for_it(self):
        """Early hints, as nginx and Caddy pass on, and as often as the server likes."""
        hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
        body = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nall is well"
        for before in (hints, hints * 3, b"HTTP/1.1 102 Processing\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" + hints):
            server = self.serve(lambda server, connection, request, before=before: connection.sendall(before + body))
            answer = self.ask(url=server.url, text="all is well").answer
            self.assertEqual((answer[server.url]["ok"], answer[server.url]["status"]), (True, 200))
        server = self.serve(lambda server, connection, request: connection.sendall(b"HTTP/1.1 101 Other\r\n\r\n"))
        self.assertAnswers(server, "answers 101, not 200")

        def hint(server: Any, connection: Any, request: str) -> None:
            while not server.over.wait(0.02):
                connection.sendall(hints)

        server = self.serve(hint)
        self.assertNoAnswer(server.url, url=server.url)

    def test_text_that_is_not_there(self):
        server = self.serve(replies("503 Service Unavailable", "closed"))
        words = "the text is not in the first 1,000,000 bytes of the answer"
        self.assertAnswers(server, words, text="open", status=503)

    def test_status_is_judged_before_the_body(self):
        words = "answers 500, not 200"
        self.assertAnswers(self.serve(replies("500 Internal Server Error")), words, text="well")
        compressed = replies("500 Internal Server Error", gzip.compress(b"well"), "Content-Encoding: gzip")
        self.assertAnswers(self.serve(compressed), words, text="well")

        def stall(server: Any, connection: Any, request: str) -> None:
            connection.sendall(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 9\r\n\r\nx")
            server.over.wait(30)

        self.assertAnswers(self.serve(stall), words, text="well")

    def test_text_in_the_encoding_of_the_answer(self):
        server = self.serve(replies("200 OK", "Grüße".encode("latin-1"), "Content-Type: text/html; charset=latin-1"))
        self.assertPasses(self.ask(url=server.url, text="Grüße"))
        self.assertEqual(self.ask(url=server.url, text="Ж").state, "fail")
        self.assertEqual(self.ask(url=server.url, text="\ud800").state, "fail")
        for charset in ("klingon", "rot13", "a\0b"):
            server = self.serve(replies("200 OK", "Grüße", f"Content-Type: text/html; charset={charset}"))
            self.assertPasses(self.ask(url=server.url, text="Grüße"))
        for charset in ("utf-16", "UTF-16BE", "utf-32", "utf-8-sig"):  # some begin with a mark
            body = "Schöne Grüße".encode(charset)
            server = self.serve(replies("200 OK", body, f"Content-Type: text/html; charset={charset}"))
            self.assertPasses(self.ask(url=server.url, text="Grüße"))

    def test_text_across_pieces_of_the_answer(self):
        def talk(server: Any, connection: Any, request: str) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for piece in (b"al", b"l is w", b"ell"):
                connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
                server.over.wait(0.01)
            server.over.wait(30)  # the rest is not waited for

        self.assertPasses(self.ask(url=self.serve(talk).url, text="all is well"))

    def test_slow_answer_warns(self):
        server = self.serve(replies())
        self.assertIn("until it answered, more than 0 s", self.ask(url=server.url, warn_seconds=0).warnings[server.url])

    def test_headers_of_the_entry_win(self):
        server = self.serve(replies())
        self.assertPasses(self.ask(url=server.url, headers={"Host": "shop.example", "X-Token": "t", "Accept": "a/b"}))
        lines = server.requests[0].splitlines()
        for line in ("host: shop.example", "x-token: t", "accept: a/b", "user-agent: django-status"):
            self.assertIn(line, lines)
        self.assertNotIn("accept: */*", lines)

    def test_login_of_the_address_is_sent_and_not_shown(self):
        server = self.serve(replies("401 Unauthorized", "no", "WWW-Authenticate: Basic"))
        url = f"http://ann:s3cret%21@127.0.0.1:{server.port}/hook/4711?token=s3cret"
        with (
            self.settings_for({"url": url, "text": "yes"}),
            override_settings(STATUS_SHOW_DETAILS="always"),
            self.assertNoLogs("django.request"),
        ):
            for form in ("json", "text", "health+json", "openmetrics"):
                told = self.client.get(f"/status/api/health/it?format={form}").content.decode()
                for secret in ("s3cret", "ann", "4711", "yes"):
                    self.assertNotIn(secret, told)
        login = base64.b64encode(b"ann:s3cret!").decode()
        self.assertIn(f"authorization: Basic {login}", server.requests[0].splitlines())

    def test_redirect_on_the_same_server_is_followed(self):
        def talk(server: Any, connection: Any, request: str) -> None:
            there = "/there" in request
            answer = replies() if there else replies("302 Found", "", "Location: /there")
            answer(server, connection, request)

        server = self.serve(talk)
        url = server.url.replace("http://", "http://ann:s3cret@")
        self.assertPasses(self.ask(url=url, headers={"X-Token": "t"}))
        self.assertTrue(all("x-token" in request and "authorization" in request for request in server.requests))
        self.assertEqual(len(server.requests), 2)

    def test_redirect_to_a_place_with_other_letters_is_followed(self):
        def talk(server: Any, connection: Any, request: str) -> None:
            answer = replies() if "/%C3%BCber" in request else replies("302 Found", "", "Location: /über uns?a=%20")
            answer(server, connection, request)

        server = self.serve(talk)
        self.assertPasses(self.ask(url=server.url))
        self.assertEqual(server.requests[1].splitlines()[0], "GET /%C3%BCber%20uns?a=%20 HTTP/1.1")

    def test_redirect_that_is_expected_is_not_followed(self):
        server = self.serve(replies("301 Moved Permanently", "", "Location: https://other.example/"))
        self.assertPasses(self.ask(url=server.url, status=301))

    def test_redirect_without_a_place_is_a_status(self):
        self.assertAnswers(self.serve(replies("302 Found")), "answers 302, not 200")

    def test_redirect_to_another_server_is_not_followed(self):
        """A name, a port, and the same without TLS: whoever answers must not choose who is asked."""
        other = self.serve(replies())
        for place in (
            f"http://localhost:{other.port}/",
            f"{other.url}/",
            f"//127.0.0.1:{other.port}/",
            "https://127.0.0.1/",
        ):
            with self.subTest(place=place):
                server = self.serve(replies("302 Found", "", f"Location: {place}"))
                self.assertAnswers(server, "redirects to another server, which is not asked")
        self.assertEqual(other.requests, [])
        secure = self.serve(replies("302 Found", "", f"Location: {other.url}/"), certified("127.0.0.1"))
        url = secure.url.replace("http:", "https:")
        words = "redirects to another server, which is not asked"
        self.assertFails(self.ask(url=url, ca_file=authority_file()), url, words)

    def test_redirect_to_nowhere(self):
        for place in ("http://[", "ftp://127.0.0.1/", "http://127.0.0.1:99999/"):
            with self.subTest(place=place):
                server = self.serve(replies("302 Found", "", f"Location: {place}"))
                self.assertAnswers(server, "redirects to what is no address on the web")

    def test_redirects_without_end(self):
        server = self.serve(replies("307 Temporary Redirect", "", "Location: /"))
        self.assertAnswers(server, "redirects more than 5 times")
        self.assertEqual(len(server.requests), 6)

    def test_redirect_to_tls_of_the_same_server_is_followed(self):
        """On the usual ports, which the test has to lend."""
        plain = self.serve(replies("301 Moved Permanently", "", "Location: https://localhost/"))
        secure = self.serve(replies(), certified())
        real = socket.getaddrinfo

        def lent(host: str, port: int, **kwargs: Any) -> Any:
            return real("127.0.0.1", {80: plain.port, 443: secure.port}[port], **kwargs)

        with mock.patch("socket.getaddrinfo", lent):
            self.assertPasses(self.ask(url="http://localhost", ca_file=authority_file()))
        self.assertEqual((len(plain.requests), len(secure.requests)), (1, 1))

    def test_compressed_answer_is_not_searched(self):
        server = self.serve(replies("200 OK", gzip.compress(b"all is well"), "Content-Encoding: gzip"))
        self.assertPasses(self.ask(url=server.url))
        words = "answers compressed although asked not to, so that the text cannot be looked for"
        self.assertAnswers(server, words, text="well")
        server = self.serve(replies("200 OK", gzip.compress(b"all is well"), "Content-Encoding: utf-8, GZIP"))
        self.assertAnswers(server, words, text="well")

    def test_what_is_no_compression_is_searched(self):
        """Many files in object stores have their charset there."""
        for encoding in ("utf-8", "identity", "none", ""):
            server = self.serve(replies("200 OK", b"all is well", f"Content-Encoding: {encoding}"))
            self.assertPasses(self.ask(url=server.url, text="well"))
            self.assertAnswers(server, "the text is not in the first 1,000,000 bytes of the answer", text="ill")

    def test_endless_body_is_read_to_the_limit_only(self):
        def talk(server: Any, connection: Any, request: str) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while not server.over.is_set():
                connection.sendall(65536 * b"x")

        server = self.serve(talk)
        self.assertPasses(self.ask(url=server.url))
        self.assertAnswers(server, "the text is not in the first 1,000,000 bytes of the answer", text="y")

    def test_server_that_says_nothing(self):
        server = self.serve(says_nothing)
        self.assertNoAnswer(server.url, url=server.url)

    def test_server_that_trickles(self):
        """A byte at a time: in the status, the headers and the body. No single wait is long."""
        for begin, piece in ((b"", b"H"), (b"HTTP/1.1 200 OK\r\n", b"x"), (b"HTTP/1.1 200 OK\r\n\r\n", b"x")):
            with self.subTest(begin=begin):

                def trickle(server: Any, connection: Any, request: str, begin: Any = begin, piece: Any = piece) -> None:
                    connection.sendall(begin)
                    while not server.over.wait(0.02):
                        connection.sendall(piece)

                server = self.serve(trickle)
                self.assertNoAnswer(server.url, url=server.url, text="all is well")

    def test_server_that_refuses_hangs_up_or_talks_something_else(self):
        port = refused_port()
        url = f"http://127.0.0.1:{port}"
        self.assertFails(self.ask(url=url), url, "refuses the connection")
        self.assertAnswers(self.serve(lambda *talk: None), "breaks off the connection")
        server = self.serve(lambda server, connection, request: connection.sendall(b"220 mail ready\r\n"))
        self.assertAnswers(server, "answers what is not HTTP (BadStatusLine)")

    def test_body_that_breaks_off(self):
        server = self.serve(
            lambda server, connection, request: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")
        )
        self.assertPasses(self.ask(url=server.url))
        self.assertPasses(self.ask(url=server.url, text="x"))
        words = "breaks off the answer before its end, and the text is not in what came"
        self.assertAnswers(server, words, text="y")
        chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
        server = self.serve(lambda server, connection, request: connection.sendall(chunks))
        self.assertPasses(self.ask(url=server.url, text="hello"))
        self.assertAnswers(server, words, text="y")

    def test_tls(self):
        server = self.serve(replies(), certified("127.0.0.1"))
        url = server.url.replace("http:", "https:")
        self.assertPasses(self.ask(url=url, ca_file=authority_file()))
        self.assertFails(self.ask(url=url), url, NOT_TRUSTED)

    def test_no_proxy_is_used_unless_the_entry_names_one(self):
        proxy, server = self.serve(replies("200 OK", "by proxy")), self.serve(replies())
        self.enter(mock.patch.dict("os.environ", {"http_proxy": proxy.url, "HTTP_PROXY": proxy.url}))
        self.assertPasses(self.ask(url=server.url, text="hello"))
        self.assertEqual(proxy.requests, [])
        by = proxy.url.replace("http://", "http://joe:pw@")
        self.assertPasses(self.ask(url="http://ann:s3cret@shop.example/a?b", proxy=by, text="by proxy"))
        lines = proxy.requests[0].splitlines()
        self.assertEqual(lines[0], "GET http://shop.example/a?b HTTP/1.1")
        self.assertIn(f"proxy-authorization: Basic {base64.b64encode(b'joe:pw').decode()}", lines)
        self.assertEqual(len(server.requests), 1)

    def test_tls_by_proxy_goes_through_a_tunnel(self):
        secure = self.serve(replies(), certified("shop.example"))

        def tunnel(server: Any, connection: Any, request: str) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            with socket.create_connection(("127.0.0.1", secure.port)) as onward:
                secure.connections.append(onward)
                ends = {connection: onward, onward: connection}
                while not server.over.is_set():
                    for source in select.select(list(ends), [], [], 0.05)[0]:
                        if not (data := source.recv(65536)):
                            return
                        ends[source].sendall(data)

        proxy = self.serve(tunnel)
        by = proxy.url.replace("http://", "http://joe:pw@")
        result = self.ask(url="https://shop.example/a", proxy=by, ca_file=authority_file())
        self.assertEqual((result.state, dict(result.reasons)), ("pass", {}))
        lines = proxy.requests[0].splitlines()
        self.assertEqual(lines[0], "CONNECT shop.example:443 HTTP/1.1")
        self.assertIn(f"Proxy-Authorization: Basic {base64.b64encode(b'joe:pw').decode()}", lines)
        self.assertNotIn("Authorization: Basic", secure.requests[0])

    def test_proxy_that_refuses_the_tunnel(self):
        proxy = self.serve(replies("403 Forbidden"))
        url = "https://shop.example"
        self.assertFails(self.ask(url=url, proxy=proxy.url), url, "the proxy answers 403")

    def test_wrong_arguments_are_refused(self):
        url = "an http or https address in ASCII"
        for value in (
            "shop.example",
            "ftp://shop.example",
            "http://",
            "http://a b",
            "http://a:b",
            "http://[",
            "http://ä",
        ):
            self.assertKind("url", url, {"a str": value})
        self.assertKind("url", url, {"a str": "http://a:0/", "None": None, "7": 7})
        address = {"url": "http://shop.example"}
        self.assertKind(
            "status", "an HTTP status, or a list of them", {"a str": "200", "99": 99, "an empty list": []}, **address
        )
        self.assertKind(
            "status",
            "an HTTP status, or a list of them",
            {"True": True, "a list with items of the types int, str": [200, "x"]},
            **address,
        )
        self.assertKind("text", "a text that is not empty, or None", {"an empty str": "", "a bytes": b"x"}, **address)
        headers = "a dict of header names and values, or None"
        self.assertKind(
            "headers", headers, {"an empty list": [], "a str": "a: b", "a dict": {"a": "b\r\nc: d"}}, **address
        )
        self.assertKind("headers", headers, {"a dict": {"a b": "c"}}, **address)
        self.assertKind("headers", headers, {"a dict with items of the type int": {"a": 1}}, **address)
        self.assertKind("proxy", "an http address in ASCII, or None", {"a str": "https://proxy"}, **address)
        self.assertKind("warn_seconds", AMOUNT, {"a str": "1"}, **address)

    def test_strangers_learn_no_host_and_no_status(self):
        server = self.serve(replies("500 Internal Server Error"))
        self.assertSeenByStrangers(False, url=server.url)


class WordTests(SimpleTestCase):
    def test_no_words_of_an_exception_are_repeated(self):
        for error, words in (
            (OSError(errno.EHOSTUNREACH, "No route to host"), "cannot be reached from here"),
            (OSError(errno.EACCES, "Permission denied"), "connecting is not permitted here"),
            (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
            (OSError("s3cret"), "OSError"),
            (socket.gaierror(socket.EAI_FAIL, "s3cret"), "the name cannot be looked up"),
            (ConnectionAbortedError(errno.ECONNABORTED, "s3cret"), "breaks off the connection"),
            (ssl.SSLError(1, "s3cret"), "no TLS connection comes about (SSLError)"),
            (ssl.SSLEOFError(8, "s3cret"), "breaks off the connection"),
            (BadStatusLine("s3cret"), "answers what is not HTTP (BadStatusLine)"),
        ):
            with self.subTest(words):
                self.assertEqual(words_of(error), words)


@tag("fault")
class HangAndRecoverTests(NetworkTestCase):
    """Each service in turn says nothing, and is well again. Nothing is left behind."""

    def test_services_that_hang_and_recover(self):
        context = certified("127.0.0.1")
        for provider, healthy, kwargs in (
            ("http", replies(), lambda port: {"url": f"http://127.0.0.1:{port}"}),
            ("http", replies(), lambda port: {"url": f"https://127.0.0.1:{port}", "ca_file": authority_file()}),
            ("tls", says_nothing, lambda port: {"host": "127.0.0.1", "port": port, "ca_file": authority_file()}),
        ):
            path = f"status.providers.network.{provider}"
            with self.subTest(provider=provider), serving(healthy) as server:
                given = kwargs(server.port)
                secure = context if "ca_file" in given else None
                server.talk, server.reads = says_nothing, False
                with self.settings_for(given, path, timeout=DEADLINE):
                    selection = registry.select("health", "it")
                    before = time.monotonic()
                    (result,) = engine.report(selection).results
                    self.assertLess(time.monotonic() - before, DEADLINE + SLACK)
                    self.assertGaveUp(result, *result.reasons or [""])
                    server.talk, server.context, server.reads = healthy, secure, healthy is not says_nothing
                    self.assertPasses(engine.report(selection).results[0])

    def test_port_that_swallows_connections_and_recovers(self):
        with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
            port = listener.getsockname()[1]
            clients = [socket.socket() for _ in range(4)]
            for client in clients:
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", port))
            with self.settings_for(
                {"host": "127.0.0.1", "port": port}, "status.providers.network.tcp", timeout=DEADLINE
            ):
                selection = registry.select("health", "it")
                self.assertGaveUp(engine.report(selection).results[0], f"127.0.0.1:{port}")
                for client in clients:
                    client.close()
                listener.setblocking(False)
                try:
                    while True:
                        listener.accept()[0].close()
                except BlockingIOError:
                    pass
                self.assertTrue(eventually(lambda: engine.report(selection).results[0].state == "pass"))

    def test_name_server_that_hangs_and_recovers(self):
        """RELIABILITY 19: looking a name up knows no timeout. The caller is answered, and the next one is told."""
        release, real = threading.Event(), socket.getaddrinfo

        def look_up(*args: Any, **kwargs: Any) -> Any:
            release.wait(30)
            return real(*args, **kwargs)

        self.enter(mock.patch("socket.getaddrinfo", look_up))
        for given, path in (({"name": "localhost"}, "dns"), ({"url": "http://localhost"}, "http")):
            release.clear()
            with self.subTest(path), self.settings_for(given, f"status.providers.network.{path}", timeout=DEADLINE):
                selection = registry.select("health", "it")
                before = time.monotonic()
                self.assertUnavailable(engine.report(selection).results[0], f"timed out after {DEADLINE} s")
                self.assertIn("still running since", str(engine.report(selection).results[0].error))
                self.assertLess(time.monotonic() - before, DEADLINE + SLACK)
                release.set()
                self.assertTrue(eventually(lambda: not engine.busy))
                self.assertIsNone(engine.report(selection).results[0].error)
        self.assertEqual(list(dns("localhost")), ["localhost"])

    def test_no_socket_and_no_thread_is_left(self):
        def sockets() -> int:
            return len(psutil.Process().net_connections())

        before = sockets()
        with serving(says_nothing) as server:
            for path, given in (
                ("tcp", {"host": "127.0.0.1", "port": server.port}),
                ("tls", {"host": "127.0.0.1", "port": server.port}),
                ("http", {"url": f"http://127.0.0.1:{server.port}"}),
            ):
                self.ask(f"status.providers.network.{path}", timeout=DEADLINE, **given)
        self.assertTrue(eventually(lambda: sockets() == before), sockets())
