"""The addresses of the app in a process without a web server, by the WSGI server of the standard library.

One thread accepts connections, and each is answered in a short thread of its own. Their number is limited, and so is
the time that a client may take to send its request: while all threads are taken, the slowest client is hung up on.
"""

from __future__ import annotations

import os
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from django.apps import apps
from django.core.handlers.wsgi import WSGIRequest
from django.urls import URLResolver, include, path
from django.urls.resolvers import RegexPattern

from status.api.views import problem
from status.asking import import_late
from status.conf import ADDRESS, host_and_port, shown
from status.fleet import SERVE, join
from status.logs import call_safely, logger
from status.middleware import complete, place_in
from status.threads import PerProcess, close_connections

#: What the header Server says.
SOFTWARE = "django-status"


class Handler(WSGIRequestHandler):
    """Answers one request on one connection. Nothing is printed about it."""

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: probes come every few seconds."""

    def version_string(self) -> str:
        """Tell no version, neither of Python nor of the server."""
        return SOFTWARE

    def parse_request(self) -> bool:
        """Read the headers, after which the client keeps nobody waiting."""
        parsed = super().parse_request()
        # WSGI knows no difference between "_" and "-", and a proxy does: it lets the first pass, and sets the second.
        for name in [name for name in getattr(self, "headers", ()) if "_" in name]:
            del self.headers[name]
        server: Any = self.server
        server.has_read(self.connection)
        return parsed


class ThreadedServer(WSGIServer):
    """A WSGI server with a limited number of threads and patience.

    root: what stands before the addresses, without its first slash.
    limit: connections that are answered at once; others wait in the queue of the system.
    read_seconds: a client has to send its request within.
    patience: the same while all threads are taken.
    """

    allow_reuse_port = False
    request_queue_size = 128
    limit = 32
    read_seconds = 5.0
    patience = 0.5

    def __init__(self, host: str, port: int, root: str) -> None:
        self.root = root
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.changed = threading.Condition()
        self.taken = 0
        #: Connections whose request is not read yet -> since when (monotonic), the oldest first.
        self.reading: dict[Any, float] = {}
        super().__init__((host, port), Handler)
        self.set_app(application_at(root))

    def server_bind(self) -> None:
        """Bind, and look up no name for the address, as the standard library would."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def service_actions(self) -> None:
        """Hang up on those who take too long; called after each connection and twice a second."""
        self._hang_up(self.read_seconds)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection in a thread of its own, as soon as there may be one more."""
        with self.changed:
            while self.taken >= self.limit:
                self._hang_up(self.patience)
                self.changed.wait(0.05)
            self.taken += 1
            self.reading[request] = time.monotonic()
        answer = partial(self._answer, request, client_address)
        try:
            threading.Thread(target=answer, name="status-serve", daemon=True).start()
        except RuntimeError:  # there is no thread to be had
            self._end(request)

    def _answer(self, request: Any, client_address: Any) -> None:
        try:
            with suppress(OSError):  # the client is gone, or too slow
                request.settimeout(self.read_seconds)
                self.finish_request(request, client_address)
        finally:
            call_safely(close_connections)
            self._end(request)

    def _end(self, request: Any) -> None:
        with self.changed:
            self.reading.pop(request, None)
            self.taken -= 1
            self.changed.notify_all()
        self.shutdown_request(request)

    def has_read(self, request: Any) -> None:
        """Note that a request is complete."""
        with self.changed:
            self.reading.pop(request, None)

    def _hang_up(self, seconds: float) -> None:
        """Hang up on whoever has been sending a request for so long. The thread of the connection notices."""
        for request, since in list(self.reading.items()):
            if time.monotonic() - since > seconds:
                with suppress(OSError):  # it is gone
                    request.shutdown(socket.SHUT_RDWR)


def application_at(root: str) -> Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]:
    """Return the WSGI application that answers the addresses of the app below ``root``, and 404 elsewhere."""
    resolver = URLResolver(RegexPattern(r"^/"), [path(root, include("status.urls"))])
    absent = f"There is no such address. Those that are here begin with /{root}."

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = WSGIRequest(environ)
        place = place_in(resolver, request.path_info)
        response = place.answer(request) if place else complete(problem(404, error=absent))
        status = f"{response.status_code} {response.reason_phrase}"
        start_response(status, [("Server", SOFTWARE), *((name, str(value)) for name, value in response.items())])
        return [] if request.method == "HEAD" else [response.content]

    return application


servers: PerProcess[dict[tuple[str, int], ThreadedServer]] = PerProcess(dict)


@lru_cache(maxsize=1)
def close_in_children() -> None:
    """Have forks close what they inherit: they would keep the port taken when their parent is gone."""

    def close() -> None:
        for servers_of_parent in list(servers._values.values()):
            for server in servers_of_parent.values():
                server.socket.close()

    with suppress(AttributeError):  # Windows has no such function, and nothing forks there
        os.register_at_fork(after_in_child=close)


def serve(address: str = "127.0.0.1:8090", path: str = "/status/") -> bool:
    """Answer the addresses of the app from a daemon thread of this process, and return whether it does from now on.

    Raises nothing: what goes wrong, such as a port that is taken, is one line in the log, and the process goes on. To
    be called after ``django.setup()``; the same address and path once more is no mistake. A fork does not serve.

    address: an IP address, of which nothing is looked up, and a port.
    path: what stands before the addresses.
    """
    parsed = host_and_port(address)
    if parsed is None:
        logger.error("status.serve() should get %s, not %s. Nothing is served.", ADDRESS, shown(address))
        return False
    if not isinstance(path, str) or not path.startswith("/") or set(path) & set("<?#"):
        logger.error('status.serve() should get a path such as "/status/", not %s. Nothing is served.', shown(path))
        return False
    if not apps.ready:
        logger.error("status.serve() should be called after django.setup(). Nothing is served.")
        return False
    serving, root = servers.get(), f"{path.strip('/')}/".lstrip("/")
    if parsed in serving:
        if (known := serving[parsed].root) != root:
            logger.error("status.serve() answers at %s below /%s already, and not below %s.", address, known, path)
        return known == root
    close_in_children()
    import_late()
    try:
        server = ThreadedServer(*parsed, root)
    except OSError as error:
        logger.error("status.serve() cannot answer at %s: %s. The process goes on without.", address, error.strerror)
        return False
    try:
        threading.Thread(target=server.serve_forever, name="status-serve", daemon=True).start()
    except RuntimeError as error:
        server.server_close()
        logger.error("status.serve() cannot answer at %s: %s. The process goes on without.", address, error)
        return False
    serving[parsed] = server
    join(SERVE)
    return True
