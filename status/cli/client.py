"""One HTTP request within a total deadline, with the standard library and no proxies: a probe goes straight there."""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection, IncompleteRead
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from status.cli.arguments import CannotAsk
from status.cli.process import REQUEST_THREAD
from status.formats.components import one_line

#: Bytes of an answer that are read. The app's own never come near.
MAX_BYTES = 16 * 1024 * 1024
MAX_REDIRECTS = 5
DEFAULT_PORTS = {"http": 80, "https": 443}


class Answer(NamedTuple):
    """What a server sent, whole."""

    status: int
    content_type: str
    body: bytes
    location: str = ""

    @property
    def media_type(self) -> str:
        return self.content_type.partition(";")[0].strip().lower()

    def json(self) -> Any:
        """The body as JSON, None where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


def exchange(method: str, url: str, headers: Mapping[str, str], deadline: float, insecure: bool = False) -> Answer:
    """Send one request, follow redirects on the same server, and answer what came.

    deadline: on the monotonic clock, for all of it. insecure: accept any certificate.
    Raises ``CannotAsk`` where there is no answer, or one that leads elsewhere.
    """
    for _ in range(MAX_REDIRECTS + 1):
        answer = _within_deadline(Request(method, url, headers, deadline, insecure), url)
        if answer.status not in (301, 302, 303, 307, 308) or not answer.location:
            return answer
        url = redirected(url, answer.location)
    raise CannotAsk(f"{shown(url)} redirects more than {MAX_REDIRECTS} times")


def _within_deadline(request: Request, url: str) -> Answer:
    """In a thread of its own: name resolution, and a server that sends a byte a second, know no timeout."""
    started = monotonic()
    request.start()
    request.join(max(0.0, request.deadline - started))
    if request.is_alive() or isinstance(request.error, TimeoutError):
        request.give_up()
        raise CannotAsk(f"{shown(url)} did not answer within {monotonic() - started:.1f} s", transient=True)
    if request.error is not None:
        raise CannotAsk(f"{shown(url)} cannot be reached: {_said(request.error)}", transient=True) from request.error
    if request.answer is None:
        size = MAX_BYTES // 1024 // 1024
        raise CannotAsk(f"{shown(url)} sends more than {size} MiB, which is not from django-status")
    return request.answer


def shown(url: str) -> str:
    """An address as a message calls it, without its query."""
    return one_line(url.partition("?")[0])


class Request(threading.Thread):
    """One request and its whole answer; ``answer`` and ``error`` are both None where it was too long."""

    def __init__(self, method: str, url: str, headers: Mapping[str, str], deadline: float, insecure: bool) -> None:
        super().__init__(name=REQUEST_THREAD, daemon=True)
        self.method, self.parts, self.headers, self.deadline = method, urlsplit(url), headers, deadline
        self.insecure = insecure
        self.answer: Answer | None = None
        self.error: BaseException | None = None
        self.socket: socket.socket | None = None

    def run(self) -> None:
        try:
            self.answer = self._send()
        except (OSError, HTTPException, ValueError) as error:
            self.error = error

    def give_up(self) -> None:
        """Free the thread, as far as it waits for a connection that stands."""
        if self.socket is not None:
            try:
                self.socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _send(self) -> Answer | None:
        connection = self._connection()
        try:
            connection.connect()
            self.socket = connection.sock
            target = self.parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
            connection.request(self.method, target, headers=dict(self.headers))
            response = connection.getresponse()
            body = response.read(MAX_BYTES + 1)
            if len(body) > MAX_BYTES:
                return None
            if response.length:
                raise IncompleteRead(body, response.length)
            kind, location = (response.getheader(name, "") for name in ("Content-Type", "Location"))
            return Answer(response.status, kind, body, location)
        finally:
            connection.close()

    def _connection(self) -> HTTPConnection:
        host, port = self.parts.hostname or "", self.parts.port
        timeout = max(0.001, self.deadline - monotonic())
        if self.parts.scheme == "http":
            return HTTPConnection(host, port, timeout=timeout)
        context = ssl.create_default_context()
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return HTTPSConnection(host, port, timeout=timeout, context=context)


def checked_url(url: str) -> str:
    """The address of the API below ``url``, without the last slash. Raises ``CannotAsk``."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise CannotAsk(f"--url: {error}") from error
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or re.search(r"[\s\x00-\x20\x7f]", url):
        raise CannotAsk("--url should be like http://localhost:8000/status/")
    if parts.username is not None or parts.password is not None:
        raise CannotAsk("--url should hold no user or password; use --header 'Authorization: Basic ...'")
    if parts.query or parts.fragment or port == 0:
        raise CannotAsk("--url should end with the path where the app is mounted; --check and --skip choose providers")
    path = quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=~-._")
    return parts._replace(path=path if path.endswith("/api") else f"{path}/api").geturl()


def redirected(url: str, location: str) -> str:
    """Where a redirect leads, if that is the same server, or its HTTPS. Raises ``CannotAsk`` otherwise: tokens stay."""
    try:
        target = urljoin(url, location)
        old, new = urlsplit(url), urlsplit(target)
        ports = [parts.port or DEFAULT_PORTS.get(parts.scheme) for parts in (old, new)]
    except ValueError as error:
        raise CannotAsk("the server redirects to what is no address") from error
    upgraded = (old.scheme, new.scheme) == ("http", "https") and ports == [80, 443]
    if old.hostname != new.hostname or not (upgraded or (old.scheme == new.scheme and ports[0] == ports[1])):
        origin = one_line(f"{new.scheme}://{new.hostname}")
        raise CannotAsk(f"the server redirects to {origin}, which is another one; give that as --url if it is right")
    return target


def _said(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}); --insecure accepts it"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
