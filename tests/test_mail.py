"""``status.providers.django.health.mail``: asked of real SMTP servers, to which nothing is ever sent."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import smtplib
import socket
import ssl
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

import django
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.test import override_settings, tag

from status.engine import engine
from status.providers.django.mail import LimitedReplies, MailCheck
from tests import services
from tests.components import AliasTestCase, eventually, run

SMTP = "django.core.mail.backends.smtp.EmailBackend"
LOGIN = {"username": "shop", "password": "s3cret-s3cret"}


class Recorder:
    """A handler that notes what is said after the greeting."""

    def __init__(self) -> None:
        self.said: list[str] = []

    async def handle_RSET(self, server: Any, session: Any, envelope: Any) -> str:
        self.said.append("RSET")
        return "250 OK"

    async def handle_QUIT(self, server: Any, session: Any, envelope: Any) -> str:
        self.said.append("QUIT")
        return "221 Bye"

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        self.said.append("MAIL")
        return "250 OK"


class Opening(BaseEmailBackend):
    """A backend of another kind, such as those that speak HTTP."""

    fails = False
    closed = 0

    def open(self) -> None:
        if self.fails:
            raise RuntimeError("s3cret")

    def close(self) -> None:
        type(self).closed += 1


class MailTestCase(AliasTestCase):
    kind = MailCheck

    def setUp(self) -> None:
        super().setUp()
        self.enter(mock.patch.object(logging.getLogger("mail.log"), "disabled", True))  # aiosmtpd's

    def use(self, backend: str = SMTP, **options: Any) -> None:
        """Make this the only mailer, in the settings that this Django has."""
        if django.VERSION >= (6, 1):
            settings: dict[str, Any] = {"MAILERS": {"default": {"BACKEND": backend, "OPTIONS": options}}}
        else:
            names = {"username": "HOST_USER", "password": "HOST_PASSWORD"}
            settings = {f"EMAIL_{names.get(name, name.upper())}": value for name, value in options.items()}
            settings["EMAIL_BACKEND"] = backend
        self.enter(override_settings(**settings))

    def assertPasses(self) -> None:
        result = run(self.check())
        self.assertEqual((result.answer, dict(result.reasons), result.state), ({"default": True}, {}, "pass"))

    @contextlib.contextmanager
    def server(self, **options: Any) -> Iterator[Recorder]:
        """An SMTP server in a thread, used by Django from now on."""
        recorder = Recorder()
        self.port = services.free_port()
        controller = Controller(recorder, hostname="127.0.0.1", port=self.port, **options)
        controller.start()
        try:
            yield recorder
        finally:
            controller.stop()


class ServerTests(MailTestCase):
    def test_a_server_is_greeted_and_sent_nothing(self) -> None:
        with self.server() as server:
            self.use(host="127.0.0.1", port=self.port)
            self.assertPasses()
        self.assertEqual(server.said, ["RSET", "QUIT"])
        self.assertEqual(getattr(mail, "outbox", []), [])

    def test_the_login_is_tried(self) -> None:
        def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
            return AuthResult(success=data.password == b"s3cret-s3cret", handled=False)

        with self.server(authenticator=authenticate, auth_require_tls=False):
            self.use(host="127.0.0.1", port=self.port, **LOGIN)
            self.assertPasses()
            self.use(host="127.0.0.1", port=self.port, username="shop", password="wrong")
            self.assertFails("refused the login (SMTP 535)")

    def test_a_server_that_wants_tls_or_a_login_first(self) -> None:
        context = self.tls().server_context
        with self.server(tls_context=context, require_starttls=True):
            self.use(host="127.0.0.1", port=self.port)
            self.assertFails("wants TLS or a login first (SMTP 530)")

    def test_tls_with_a_certificate_that_is_trusted_and_one_that_is_not(self) -> None:
        tls = self.tls()
        with self.server(tls_context=tls.server_context, require_starttls=True):
            self.use(host="localhost", port=self.port, use_tls=True)
            self.assertFails("TLS failed (SSLCertVerificationError)")
            with mock.patch.dict(os.environ, {"SSL_CERT_FILE": tls.file}):
                self.assertPasses()

    def test_a_server_without_what_the_settings_want(self) -> None:
        with self.server():
            for options in ({"use_tls": True}, LOGIN):
                self.use(host="127.0.0.1", port=self.port, **options)
                self.assertFails("offers no STARTTLS or no login, which the settings want (SMTPNotSupportedError)")

    def test_a_server_that_refuses(self) -> None:
        self.use(host="127.0.0.1", port=services.refused_port())
        self.assertFails("refused the connection (ConnectionRefusedError)")

    def test_a_server_that_is_out_of_service_says_so_by_its_code(self) -> None:
        with self.server() as server:
            self.use(host="127.0.0.1", port=self.port)
            with mock.patch.object(server, "handle_RSET", return_value="421 s3cret: too busy", create=True):
                self.assertFails("refused (SMTP 421)")

    def test_a_server_that_hangs_up_or_talks_something_else(self) -> None:
        for said, words in (
            (b"", "broke off the connection (SMTPServerDisconnected)"),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", "answers what is not SMTP"),
        ):
            with socket.create_server(("127.0.0.1", 0)) as listener:
                self.use(host="127.0.0.1", port=listener.getsockname()[1])

                def talk(listener: socket.socket = listener, said: bytes = said) -> None:
                    with listener.accept()[0] as connection:
                        connection.sendall(said)

                thread = threading.Thread(target=talk)
                thread.start()
                self.assertFails(words)
                thread.join()

    def test_a_server_that_never_says_a_word_is_told_within_the_deadline(self) -> None:
        with services.silent() as port:
            self.use(host="127.0.0.1", port=port)
            before = time.monotonic()
            self.assertFails("did not answer in time (TimeoutError)", timeout=0.5)
            self.assertLess(time.monotonic() - before, 0.5)

    def test_what_has_come_after_the_time_is_not_read(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(b"220-")
            ours.settimeout(1e-6)
            replies = LimitedReplies(ours)
            self.assertTrue(eventually(lambda: time.monotonic() > replies.until))
            with self.assertRaises(TimeoutError):
                replies.readinto(bytearray(4))

    def test_a_greeting_without_end_is_cut_off(self) -> None:
        """Fast, it would fill the memory; one line at a time, it would outlast each single wait."""
        for pause, words, timeout in (
            (0.0, "says more than 65,536 bytes before it is asked for anything", 5),
            (0.02, "did not answer in time (TimeoutError)", 1.0),
        ):
            with self.subTest(pause=pause), socket.create_server(("127.0.0.1", 0)) as listener:
                self.use(host="127.0.0.1", port=listener.getsockname()[1])
                cut = threading.Event()

                def talk(listener: socket.socket = listener, pause: float = pause, cut: Any = cut) -> None:
                    with listener.accept()[0] as connection, contextlib.suppress(ConnectionError):
                        while not cut.wait(pause):
                            connection.sendall(b"220-one more line of the greeting\r\n")

                thread = threading.Thread(target=talk)
                thread.start()
                self.assertFails(words, timeout=timeout)
                thread.join(5)
                cut.set()
                thread.join()

    def tls(self) -> Any:
        """What a server needs for TLS on localhost, and the file of the authority that signed it."""
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        file = self.directory / "authority.pem"
        authority.cert_pem.write_to_path(str(file))
        return mock.Mock(server_context=context, file=str(file))


class BackendTests(MailTestCase):
    def test_a_backend_without_a_connection_says_so(self) -> None:
        folder = self.directory / "mails"
        for kind, options in (
            ("console", {}),
            ("locmem", {}),
            ("dummy", {}),
            ("filebased", {"file_path": str(folder)}),
        ):
            backend = f"django.core.mail.backends.{kind}.EmailBackend"
            self.use(backend, **options)
            result = run(self.check())
            self.assertEqual((result.answer, result.state), ({"default": True}, "warn"))
            self.assertEqual(result.warnings, {"default": f"{backend} opens no connection: nothing was asked"})
        self.assertFalse(folder.exists())

    def test_any_other_backend_is_opened_and_closed(self) -> None:
        self.use("tests.test_mail.Opening")
        before = Opening.closed
        self.assertPasses()
        self.assertEqual(Opening.closed, before + 1)
        with mock.patch.object(Opening, "fails", True):
            self.assertFails("RuntimeError")

    def test_what_cannot_be_asked_is_told(self) -> None:
        self.use("no.such.Backend")
        self.assertFails("ModuleNotFoundError")
        self.assertEqual(run(self.check(aliases="nope")).reasons, {"nope": f"not configured in {MailCheck.setting}"})

    def test_trouble_on_the_way_is_told_in_words(self) -> None:
        self.use(host="no.invalid", port=25)
        for error, words in (
            (socket.gaierror(socket.EAI_NONAME, "s3cret"), "its name cannot be looked up (gaierror)"),
            (ConnectionResetError(errno.ECONNRESET, "s3cret"), "broke off the connection (ConnectionResetError)"),
            (OSError(errno.EHOSTUNREACH, "s3cret"), f"{os.strerror(errno.EHOSTUNREACH)} (OSError)"),
            (smtplib.SMTPException("s3cret"), "SMTPException"),
        ):
            with self.subTest(words), mock.patch("socket.create_connection", side_effect=error):
                self.assertFails(words)

    def test_a_host_that_is_not_set(self) -> None:
        self.use(host="", port=25)
        self.assertFails("its host is not set")

    def test_a_setting_that_cannot_be_read_is_told_in_words(self) -> None:
        for malformed, words in (
            ("smtp", "MAILERS should be a dict of alias -> dict, not a str."),
            (
                {"default": SMTP},
                'MAILERS["default"] should be a dict with the dotted path of a backend under "BACKEND".',
            ),
        ):
            with (
                mock.patch("status.providers.django.mail.mailers", FakeMailers({})),
                override_settings(MAILERS=malformed),
            ):
                self.assertEqual(run(self.check()).error, words)

    def test_where_there_is_no_mailer_nothing_is_well(self) -> None:
        with mock.patch("status.providers.django.mail._mailers", dict):
            result = run(self.check())
        self.assertEqual(result.state, "fail")
        self.assertRegex(result.error, "^There is none to ask in MAILERS")

    def test_each_mailer_is_asked(self) -> None:
        """Django 6.1 has several; before, the setting means nothing."""
        with self.server():
            good = {"BACKEND": SMTP, "OPTIONS": {"host": "127.0.0.1", "port": self.port}}
            bad = {"OPTIONS": {"host": "127.0.0.1", "port": services.refused_port()}}
            handler = FakeMailers({"default": good, "bulk": bad}) if django.VERSION < (6, 1) else mail.mailers
            with (
                override_settings(MAILERS={"default": good, "bulk": bad}),
                mock.patch("status.providers.django.mail.mailers", handler),
            ):
                self.assertEqual(run(self.check()).answer, {"default": True, "bulk": False})
                self.assertEqual(run(self.check(aliases=["default"])).answer, {"default": True})


class FakeMailers:
    """What Django 6.1 has, for those before."""

    def __init__(self, entries: dict[str, Any]) -> None:
        self.entries = entries

    def __getitem__(self, alias: str) -> Any:
        return mail.get_connection(SMTP, **self.entries[alias]["OPTIONS"])


@tag("fault")
class SlowTests(MailTestCase):
    def test_a_server_that_takes_its_time_for_each_reply_is_well(self) -> None:
        class Slow(Recorder):
            async def handle_EHLO(self, server: Any, session: Any, envelope: Any, name: str, lines: Any) -> Any:
                session.host_name = name
                await asyncio.sleep(0.45)
                return lines

            async def handle_RSET(self, *args: Any) -> str:
                await asyncio.sleep(0.45)
                return "250 OK"

        controller = Controller(Slow(), hostname="127.0.0.1", port=services.free_port())
        controller.start()
        self.addCleanup(controller.stop)
        self.use(host="127.0.0.1", port=controller.port)
        self.assertPasses()


class FrozenTests(MailTestCase):
    def test_a_frozen_server_is_told_within_the_deadline_and_recovers(self) -> None:
        command = [sys.executable, "-m", "aiosmtpd", "-n", "-l", "127.0.0.1:{port}", "-c", "aiosmtpd.handlers.Sink"]
        with services.web(*command) as server:
            self.use(host="127.0.0.1", port=server.port)
            self.assertPasses()
            with server.frozen():
                for _ in range(3):
                    before = time.monotonic()
                    self.assertFails("did not answer in time (TimeoutError)", timeout=0.5)
                    self.assertLess(time.monotonic() - before, 0.75)
            self.assertTrue(eventually(lambda: run(self.check()).sound))
            self.assertTrue(eventually(lambda: not engine.busy))
