"""Small servers in threads of the test, to be good or bad in exactly one way, and certificates for them."""

from __future__ import annotations

import contextlib
import functools
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import trustme

from tests.services import directory

HEAD = "HTTP/1.1 {}\r\nContent-Length: {}\r\n{}\r\n"


class TestServer(socketserver.ThreadingTCPServer):
    """Gives each connection to ``talk(self, connection, request)``, once the head of a request was read.

    requests: the heads that came. over: set when the test is; what waits has to wait for it.
    """

    request_queue_size = 128

    def __init__(self, talk: Callable[[Any, Any, str], None], context: ssl.SSLContext | None, reads: bool) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.talk, self.context, self.reads = talk, context, reads
        self.over = threading.Event()
        self.requests: list[str] = []
        self.connections: list[socket.socket] = []
        self.port: int = self.server_address[1]


class Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        server: Any = self.server
        server.connections.append(self.request)
        with contextlib.suppress(OSError):  # the other side has gone, or wants no such certificate
            connection = self.request
            if server.context is not None:
                connection = server.context.wrap_socket(connection, server_side=True)
                server.connections.append(connection)
            head = b""
            while server.reads and b"\r\n\r\n" not in head and (data := connection.recv(65536)):
                head += data
            server.requests.append(head.decode("latin-1"))
            server.talk(server, connection, server.requests[-1])
            connection.close()


@contextlib.contextmanager
def serving(
    talk: Callable[[Any, Any, str], None], context: ssl.SSLContext | None = None, reads: bool = True
) -> Iterator[TestServer]:
    """A server on 127.0.0.1. At the end of the block no connection, thread or socket of it is left."""
    with TestServer(talk, context, reads) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()
            for connection in server.connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


def replies(status: str = "200 OK", body: str | bytes = "hello", *headers: str) -> Callable[[Any, Any, str], None]:
    """Answers every request so."""
    data = body.encode() if isinstance(body, str) else body
    head = HEAD.format(status, len(data), "".join(f"{header}\r\n" for header in headers))
    return lambda server, connection, request: connection.sendall(head.encode() + data)


def says_nothing(server: Any, connection: Any, request: str) -> None:
    server.over.wait(30)


@functools.cache
def authority() -> trustme.CA:
    return trustme.CA()


@functools.cache
def authority_file() -> Path:
    """The certificate of the authority, for ``ca_file``."""
    path = directory() / "authority.pem"
    authority().cert_pem.write_to_path(str(path))
    return path


@functools.cache
def certified(name: str = "localhost", days: float = 90, began: float = -1) -> ssl.SSLContext:
    """A server's context with a certificate of the authority that is valid from so many days on, until so many days."""
    now = datetime.now(timezone.utc)
    certificate = authority().issue_cert(
        name, not_before=now + timedelta(days=began), not_after=now + timedelta(days=days)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@functools.cache
def self_signed() -> ssl.SSLContext:
    """A server's context with a certificate that nobody else has signed."""
    other = trustme.CA()
    path = directory() / "self-signed.pem"
    path.write_bytes(other.private_key_pem.bytes() + other.cert_pem.bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
