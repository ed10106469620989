"""The check of the servers that Django hands its mail to."""

from __future__ import annotations

import io
import math
import os
import smtplib
import socket
import ssl
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core import mail
from django.core.mail.backends import filebased, smtp
from django.core.mail.backends.base import BaseEmailBackend
from django.utils.module_loading import import_string

from status.providers.base import Answer, Unavailable, seconds_left
from status.providers.django.aliases import AliasCheck, backends_of, class_of
from status.providers.network.ports import LimitedFile, give_up

#: The part of the time left that one wait for a server may take. After one in vain, QUIT is sent and waited for.
WAIT_PART = 0.4
#: Bytes that a server may say in all: greeting, hello and answers are some hundred. smtplib keeps all lines of a reply,
#: and waits for each anew.
MAX_REPLY_BYTES = 65_536
#: What SMTP answers before STARTTLS or a login. https://www.rfc-editor.org/rfc/rfc3207#section-4
AUTHENTICATION_REQUIRED = 530
#: What smtplib calls an answer that does not begin with a number.
NO_CODE = -1
#: The handler of the mailers of Django 6.1; before, there is one mail server, in the settings EMAIL_...
mailers = getattr(mail, "mailers", None)


class MailCheck(AliasCheck):
    """Answer ``{alias: bool}``: whether each mail server can be talked to. Nothing is sent.

    A run connects, begins TLS and logs in as the settings say, says hello and resets the session, which a server
    refuses that wants TLS or a login first. The aliases are those of ``MAILERS`` (Django 6.1), else ``default``.

    A backend that opens no connection (console, files, memory) is a warning: nothing was asked.
    """

    label = "mail"
    setting = "MAILERS" if mailers is not None else "MAILERS, which Django 6.1 brings: before, there is only default"

    def known(self) -> Collection[str]:
        return list(_mailers())

    def import_backend(self, alias: str) -> None:
        import_string(_mailers()[alias])

    def ask_alias(self, alias: str, **options: Any) -> Any:
        path = _mailers()[alias]
        backend_class = import_string(path)
        if backend_class.open is BaseEmailBackend.open or issubclass(backend_class, filebased.EmailBackend):
            return Answer(True, warnings={alias: f"{path} opens no connection: nothing was asked"})
        backend = mail.get_connection() if mailers is None else mailers[alias]
        if not isinstance(backend, smtp.EmailBackend):
            backend.open()
            backend.close()
            return None
        if not backend.host:  # smtplib connects to nobody then
            raise Unavailable("its host is not set")
        seconds = seconds_left() * WAIT_PART
        backend.timeout = min(backend.timeout or seconds, seconds)
        backend.fail_silently = False
        backend.__class__ = limited(type(backend))  # the greeting is read while its connection is made
        try:
            _greet(backend)
        except (OSError, smtplib.SMTPException) as error:
            raise Unavailable(_describe(error)) from error
        return None


def _mailers() -> dict[str, str]:
    """Return alias -> dotted path of the backend."""
    entries = getattr(settings, "MAILERS", None)
    if mailers is None or entries is None:
        return {"default": settings.EMAIL_BACKEND}
    return backends_of("MAILERS", entries, f"{smtp.__name__}.EmailBackend")


def limited(backend_class: type[Any]) -> type[Any]:
    """Return a subclass of a backend whose connection reads ``MAX_REPLY_BYTES`` at most, and no longer than it may."""

    class LimitedBackend(backend_class):  # type: ignore[misc]
        @property
        def connection_class(self) -> type[Any]:
            return type("LimitedConnection", (LimitedConnection, super().connection_class), {})

    return LimitedBackend


class LimitedConnection(smtplib.SMTP):
    """Reads replies from ``LimitedReplies``."""

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None:  # at first, and after STARTTLS
            self.file = io.BufferedReader(LimitedReplies(self.sock))  # type: ignore[arg-type]
        try:
            return super().getreply()
        except Unavailable:
            self.close()
            raise


class LimitedReplies(LimitedFile):
    """What comes by a socket, up to ``MAX_REPLY_BYTES``: each read within the timeout of the socket, all in time."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection, give_up(), connection.gettimeout() or math.inf)
        self.bytes_left = MAX_REPLY_BYTES

    def readinto(self, buffer: Any) -> int:
        if self.bytes_left <= 0:
            raise Unavailable(f"says more than {MAX_REPLY_BYTES:,} bytes before it is asked for anything")
        read = super().readinto(buffer)
        self.bytes_left -= read
        return read


def _greet(backend: Any) -> None:
    """Open the connection, say hello, reset the session and say goodbye."""
    try:
        backend.open()
        backend.connection.ehlo_or_helo_if_needed()
        code, _ = backend.connection.rset()
        if code != 250:
            raise smtplib.SMTPResponseException(code, b"")
    except BaseException:
        with suppress(Exception):  # it is given up in any case
            backend.close()
        raise
    backend.close()


def _describe(error: Exception) -> str:
    """Return what went wrong. The server's own words may hold anything."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return f"refused the login (SMTP {error.smtp_code})"
    if isinstance(error, smtplib.SMTPResponseException):
        if error.smtp_code == NO_CODE:
            return "answers what is not SMTP"
        wants = "wants TLS or a login first" if error.smtp_code == AUTHENTICATION_REQUIRED else "refused"
        return f"{wants} (SMTP {error.smtp_code})"
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return "offers no STARTTLS or no login, which the settings want (SMTPNotSupportedError)"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({type(error).__name__})"
    if isinstance(error, ConnectionRefusedError):
        return "refused the connection (ConnectionRefusedError)"
    if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):  # smtplib calls it disconnected
        return "did not answer in time (TimeoutError)"
    if isinstance(error, socket.gaierror):
        return "its name cannot be looked up (gaierror)"
    if isinstance(error, (ConnectionError, smtplib.SMTPServerDisconnected)):
        return f"broke off the connection ({type(error).__name__})"
    if isinstance(error, OSError) and error.errno:
        return f"{os.strerror(error.errno)} ({type(error).__name__})"
    return class_of(error)
