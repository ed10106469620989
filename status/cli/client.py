"""An HTTP client with a timeout for the whole exchange. It uses no proxies and never leaves the server it was given."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Mapping
from contextlib import closing, suppress
from http.client import HTTP_PORT, HTTPS_PORT, HTTPConnection, HTTPException, HTTPSConnection, IncompleteRead
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from status.cli.arguments import CannotAsk
from status.threads import start_call, wait

#: Bytes of a body that are read. The app's own answers are far smaller.
MAX_BODY_BYTES = 16 * 1024 * 1024
MAX_REDIRECTS = 5
#: Named in ``Vary`` by all answers of this app, and hardly by others.
TOKEN_HEADER = "X-Status-Token"


class ServerResponse(NamedTuple):
    """A response that was read to its end.

    media_type: the content type without its parameters, in lower case.
    vary: the header of that name.
    challenge: the header ``WWW-Authenticate``.
    """

    status: int
    media_type: str
    body: bytes
    location: str = ""
    vary: str = ""
    challenge: str = ""

    @property
    def is_ours(self) -> bool:
        """Return whether it says that django-status has sent it, unless a proxy has removed the header."""
        return TOKEN_HEADER in self.vary

    @property
    def is_for_strangers(self) -> bool:
        """Return whether it is what strangers get, because the token is none of the server's."""
        return self.status != 401 and 'error="invalid_token"' in self.challenge

    def json(self) -> dict[str, Any] | None:
        """Return the object in the body. None where there is none, or where a name comes twice: one would be lost."""

        def unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
            if len(dict(members)) < len(members):
                raise ValueError("a name comes twice")
            return dict(members)

        try:
            document = json.loads(self.body, object_pairs_hook=unique)
        except (ValueError, RecursionError):
            return None
        return document if isinstance(document, dict) else None


def send_request(
    method: str, url: str, headers: Mapping[str, str], deadline: float, insecure: bool = False
) -> ServerResponse:
    """Send a request, follow redirects on the same server, and return the response. Raises CannotAsk where none comes.

    deadline: for all of it, on the monotonic clock. insecure: accept any certificate.
    """
    started, shown = monotonic(), url.partition("?")[0]
    sockets: list[socket.socket] = []

    def exchange() -> ServerResponse:
        target = url
        for _ in range(MAX_REDIRECTS + 1):
            response = _send_once(method, target, headers, deadline, insecure, sockets)
            if response.status not in (301, 302, 303, 307, 308) or not response.location:
                return response
            target = redirect_target(target, response.location)
        raise CannotAsk(f"{shown} redirects more than {MAX_REDIRECTS} times")

    # In a thread, as name resolution, and a server that sends a byte a second, know no timeout.
    call = start_call(exchange, "status-request")
    error = call.exception() if wait(call, max(0.0, deadline - started)) else TimeoutError()
    if isinstance(error, TimeoutError):
        for open_socket in sockets:
            with suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)  # ends the thread, which may wait for it
        raise CannotAsk(f"{shown} did not answer within {monotonic() - started:.1f} s", down=True) from error
    if isinstance(error, (OSError, HTTPException, ValueError)):
        reason = (isinstance(error, OSError) and error.strerror) or type(error).__name__
        if isinstance(error, ssl.SSLCertVerificationError):
            reason = f"its certificate is not trusted ({error.verify_message}); --insecure accepts it"
        # Not where the host has a name that none can have.
        down = isinstance(error, (OSError, HTTPException))
        raise CannotAsk(f"{shown} cannot be reached: {reason}", down=down) from error
    return call.result()


def _send_once(
    method: str, url: str, headers: Mapping[str, str], deadline: float, insecure: bool, sockets: list[socket.socket]
) -> ServerResponse:
    """Send a request on a new connection, of which the socket is added to ``sockets``, and return the response."""
    parts, timeout = urlsplit(url), max(0.001, deadline - monotonic())
    if parts.scheme == "http":
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    else:
        context = ssl.create_default_context()
        if insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        connection = HTTPSConnection(parts.hostname or "", parts.port, timeout=timeout, context=context)
    with closing(connection):
        connection.connect()
        sockets.append(connection.sock)
        connection.request(method, parts._replace(scheme="", netloc="", fragment="").geturl(), headers=dict(headers))
        with connection.getresponse() as response:
            body = response.read(MAX_BODY_BYTES + 1)
            if len(body) > MAX_BODY_BYTES:
                size = f"more than {MAX_BODY_BYTES // 1024 // 1024} MiB"
                message = f"{url.partition('?')[0]} sends {size}, which is not from django-status"
                raise CannotAsk(message, down=response.status >= 500)
            if response.length:
                raise IncompleteRead(body, response.length)
            media_type = response.getheader("Content-Type", "").partition(";")[0].strip().lower()
            others = [response.getheader(name, "") for name in ("Location", "Vary", "WWW-Authenticate")]
            return ServerResponse(response.status, media_type, body, *others)


def redirect_target(url: str, location: str) -> str:
    """Return where a redirect leads. Raises CannotAsk unless it is the same server or its HTTPS: tokens stay there."""
    ports = {"http": HTTP_PORT, "https": HTTPS_PORT}
    try:
        target = urljoin(url, location)
        old, new = urlsplit(url), urlsplit(target)
        old_port, new_port = old.port or ports[old.scheme], new.port or ports.get(new.scheme)
    except ValueError as error:
        raise CannotAsk("the server redirects to what is no address") from error
    upgraded = (old.scheme, old_port, new.scheme, new_port) == ("http", HTTP_PORT, "https", HTTPS_PORT)
    if old.hostname != new.hostname or not (upgraded or (old.scheme, old_port) == (new.scheme, new_port)):
        other = f"{new.scheme}://{new.hostname}"
        raise CannotAsk(f"the server redirects to {other}, which is another one; give that as --url if it is right")
    return target
