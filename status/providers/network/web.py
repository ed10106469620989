"""The check of an address on the web: its status, its text, its time."""

from __future__ import annotations

import codecs
import io
import os
import re
import socket
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import closing
from http.client import HTTP_PORT, HTTPS_PORT, HTTPConnection, HTTPResponse, IncompleteRead
from time import monotonic
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from status.conf import is_whole
from status.providers.base import Answer, Kind, Unavailable
from status.providers.figures import Measurement, failed
from status.providers.kinds import AMOUNT, listed, one_or_more
from status.providers.network.certificates import CA_FILE, context_of
from status.providers.network.ports import (
    NETWORK_ERRORS,
    LimitedFile,
    connect,
    endpoint,
    give_up,
    judge_time,
    left,
    words_of,
)

#: Bytes of a body in which the text is looked for.
MAX_PAGE_BYTES = 1_000_000
CHUNK_BYTES = 65_536
MAX_HOPS = 5
REDIRECTS = (301, 302, 303, 307, 308)
SWITCHING_PROTOCOLS = 101
PORTS = {"http": HTTP_PORT, "https": HTTPS_PORT}
#: What makes a body another than its text. Servers also tell a charset here, or nothing.
COMPRESSIONS = {"br", "compress", "deflate", "gzip", "x-compress", "x-gzip", "zstd"}
#: Encodings that put a mark before a text -> those of what comes after the mark.
MARKED = {"utf-8-sig": ["utf-8"], "utf-16": ["utf-16-le", "utf-16-be"], "utf-32": ["utf-32-le", "utf-32-be"]}
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def is_url(value: Any, schemes: Sequence[str] | Mapping[str, int]) -> bool:
    """Return whether ``value`` is an address with a host, and one of the schemes."""
    if not (isinstance(value, str) and value.isascii() and value.isprintable() and " " not in value):
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def is_headers(value: Any) -> bool:
    """Return whether ``value`` is a dict of what HTTP allows as names and values of headers."""
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and HEADER_NAME.fullmatch(name) and isinstance(text, str) and HEADER_VALUE.fullmatch(text)
        for name, text in value.items()
    )


class WebCheck(Measurement):
    """Answer ``{"https://host": {"ok": bool, "status": ..., "seconds": ...}}``.

    The address is asked once, with GET. Redirects are followed on the same server only. No proxy is used but the one of
    the entry. Of the body no more is read than it takes to find ``text``.
    """

    subject = "page"
    kinds = MappingProxyType(
        {
            "url": Kind("an http or https address in ASCII", lambda value: is_url(value, PORTS)),
            "status": Kind("an HTTP status, or a list of them", one_or_more(lambda value: is_whole(value, 100, 599))),
            "text": Kind("a text that is not empty, or None", lambda value: isinstance(value, str) and value != ""),
            "warn_seconds": AMOUNT,
            "headers": Kind("a dict of header names and values, or None", is_headers),
            "proxy": Kind("an http address in ASCII, or None", lambda value: is_url(value, ("http",))),
            "ca_file": CA_FILE,
        }
    )

    def check(
        self,
        url: str,
        *,
        status: int | Sequence[int] = 200,
        text: str | None = None,
        warn_seconds: float | None = None,
        headers: Mapping[str, str] | None = None,
        proxy: str | None = None,
        ca_file: str | os.PathLike[str] | None = None,
    ) -> Answer:
        parts, began, expected = urlsplit(url), monotonic(), listed(status)
        target = f"{parts.scheme}://{host_of(parts)}"  # what else it holds may be a secret
        request = Request(expected, text, headers or {}, urlsplit(proxy) if proxy else None, ca_file, give_up())
        try:
            answered, has_text = fetch(url, request)
        except NETWORK_ERRORS as error:
            return failed(target, words_of(error))
        wrong = ""
        if answered not in expected:
            wrong = f"answers {answered}, not {' or '.join(map(str, expected))}"
        elif not has_text:
            wrong = f"the text is not in the first {MAX_PAGE_BYTES:,} bytes of the answer"
        if wrong:
            return Answer({target: {"ok": False, "status": answered}}, {target: wrong})
        return judge_time(target, {"status": answered}, began, warn_seconds)


class Request(NamedTuple):
    """What is asked of an address, and how.

    until: when to give up, on the clock of ``time.monotonic()``.
    """

    expected: Sequence[int]
    text: str | None
    headers: Mapping[str, str]
    proxy: SplitResult | None
    ca_file: str | os.PathLike[str] | None
    until: float


def fetch(url: str, request: Request) -> tuple[int, bool]:
    """Return the status that answers, and whether the text is there. Follows redirects on the same server.

    The text is looked for where the status is one of those that are expected.
    """
    for _ in range(MAX_HOPS + 1):
        parts = urlsplit(url)
        with closing(open_connection(parts, request)) as opened:
            connection = HTTPConnection(str(parts.hostname), port_of(parts))
            connection.response_class = FinalResponse
            connection.sock = Limited(opened, request.until)
            # By hand: ``geturl()`` writes a path of two slashes with four, depending on the version of Python.
            place = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            if request.proxy is not None and parts.scheme == "http":
                place = f"{parts.scheme}://{host_of(parts)}{place}"
            connection.request("GET", place, headers=headers_for(parts, request))
            with connection.getresponse() as response:
                location = response.getheader("Location")
                if response.status in request.expected:
                    return response.status, request.text is None or holds(response, request.text)
                if response.status not in REDIRECTS or not location:
                    return response.status, False
        url = redirected(parts, location)
    raise Unavailable(f"redirects more than {MAX_HOPS} times")


def open_connection(parts: SplitResult, request: Request) -> socket.socket:
    """Return a connection to the server, by the proxy where there is one, with TLS where the address wants it."""
    until, proxy = request.until, request.proxy
    host, port = str(parts.hostname), port_of(parts)
    first = parts if proxy is None else proxy
    connection = connect(str(first.hostname), port_of(first), until)
    try:
        if parts.scheme == "https":
            if proxy is not None:
                open_tunnel(connection, endpoint(host, port), proxy, until)
            connection.settimeout(left(until))
            connection = context_of(request.ca_file).wrap_socket(connection, server_hostname=host.removesuffix("."))
    except BaseException:
        connection.close()
        raise
    return connection


def open_tunnel(connection: socket.socket, target: str, proxy: SplitResult, until: float) -> None:
    """Have the proxy connect to ``target``."""
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    lines += [f"Proxy-Authorization: {login}"] if (login := login_of(proxy)) else []
    limited: Any = Limited(connection, until)
    limited.sendall("\r\n".join([*lines, "", ""]).encode())
    response = HTTPResponse(limited, method="CONNECT")
    response.begin()
    if response.status != 200:
        raise Unavailable(f"the proxy answers {response.status}")


class FinalResponse(HTTPResponse):
    """The answer itself: what comes before it, such as 103 Early Hints, is read and passed over.

    ``http.client`` does so with 100 alone. After 101 there is no other answer.
    """

    def begin(self) -> None:
        super().begin()
        while 100 <= self.status < 200 and self.status != SWITCHING_PROTOCOLS:
            self.headers = None  # type: ignore[assignment]  # as long as there are some, it reads nothing
            super().begin()


class Limited:
    """A socket for ``http.client`` on which all operations together have a limit, and not each its own.

    until: when to give up, on the clock of ``time.monotonic()``.
    """

    def __init__(self, connection: socket.socket, until: float) -> None:
        self.connection, self.until = connection, until

    def sendall(self, data: bytes) -> None:
        self.connection.settimeout(left(self.until))
        self.connection.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(LimitedFile(self.connection, self.until))

    def close(self) -> None:
        """Leave the socket open: the response is still to be read. Whoever opened it closes it."""


def headers_for(parts: SplitResult, request: Request) -> dict[str, str]:
    """Return the headers of a request; those of the entry win."""
    headers = {
        "host": host_of(parts),
        "user-agent": "django-status",
        "accept": "*/*",
        "accept-encoding": "identity",
        "connection": "close",
    }
    if login := login_of(parts):
        headers["authorization"] = login
    if request.proxy is not None and parts.scheme == "http" and (login := login_of(request.proxy)):
        headers["proxy-authorization"] = login
    return {**headers, **{name.lower(): value for name, value in request.headers.items()}}


def holds(response: HTTPResponse, text: str) -> bool:
    """Return whether the body, as far as it is read, holds the text in the encoding of the answer."""
    if not COMPRESSIONS.isdisjoint(re.split(r"[,\s]+", response.getheader("Content-Encoding", "").lower())):
        raise Unavailable("answers compressed although asked not to, so that the text cannot be looked for")
    wanted = spellings(text, response.headers.get_content_charset("utf-8"))
    longest = max(map(len, wanted))
    read, tail = 0, b""
    try:
        while read < MAX_PAGE_BYTES and (chunk := response.read1(CHUNK_BYTES)):
            read, tail = read + len(chunk), tail + chunk
            if any(spelling in tail for spelling in wanted):
                return True
            tail = tail[-longest:]
        is_cut = read < MAX_PAGE_BYTES and bool(response.length)  # read1() says nothing of what is missing
    except IncompleteRead:  # except in chunks
        is_cut = True
    if is_cut:
        raise Unavailable("breaks off the answer before its end, and the text is not in what came")
    return False


def spellings(text: str, charset: str) -> list[bytes]:
    """Return what a text may be in the middle of a body in that encoding, or in UTF-8 where there is none such."""
    try:
        return [text.encode(name) for name in MARKED.get(codecs.lookup(charset).name, [charset])]
    except (LookupError, ValueError):  # an encoding that is none, a text that it cannot hold
        return [text.encode("utf-8", "replace")]


def redirected(parts: SplitResult, location: str) -> str:
    """Return where a redirect leads. Raises ``Unavailable`` unless it is the same server, or its HTTPS."""
    try:
        # Servers write other letters as they are; http.client hands them over as Latin-1.
        url = urljoin(parts.geturl(), quote(location, safe="!#$%&'()*+,/:;=?@[]~", encoding="latin-1"))
        target = urlsplit(url)
        upgraded = (parts.scheme, port_of(parts), target.scheme, port_of(target)) == ("http", 80, "https", 443)
        same = (parts.scheme, port_of(parts)) == (target.scheme, port_of(target))
    except (ValueError, KeyError) as error:
        raise Unavailable("redirects to what is no address on the web") from error
    if target.hostname != parts.hostname or not (same or upgraded):
        raise Unavailable("redirects to another server, which is not asked")
    netloc = host_of(target) if "@" not in parts.netloc else f"{parts.netloc.rpartition('@')[0]}@{host_of(target)}"
    return target._replace(netloc=netloc).geturl()


def host_of(parts: SplitResult) -> str:
    """Return host and port of an address as it spells them, without the login."""
    return parts.netloc.rpartition("@")[2]


def port_of(parts: SplitResult) -> int:
    return parts.port or PORTS[parts.scheme]


def login_of(parts: SplitResult) -> str:
    """Return the login of an address as the value of a header; empty where there is none."""
    if parts.username is None:
        return ""
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return f"Basic {b64encode(login.encode()).decode()}"
