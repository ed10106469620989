"""The check of a TCP port, and what all checks by the network share: sockets with a limit, errors in words."""

from __future__ import annotations

import errno
import io
import math
import socket
import ssl
from contextlib import suppress
from http.client import HTTPException
from ipaddress import ip_address
from time import monotonic
from types import MappingProxyType
from typing import Any

from status.conf import is_whole
from status.providers.base import Answer, Kind, Unavailable, seconds_left
from status.providers.figures import Figure, Measurement, failed, in_seconds, judge
from status.providers.kinds import AMOUNT

#: The part of the time that is left for the words about what did not come in time.
MARGIN = 0.05
#: What a check by the network may meet with, and that ``words_of`` knows.
NETWORK_ERRORS = (OSError, HTTPException, UnicodeError, Unavailable)


def is_address(value: Any) -> bool:
    """Return whether ``value`` is an IP address as text."""
    try:
        return isinstance(value, str) and bool(ip_address(value))
    except ValueError:
        return False


def is_host(value: Any) -> bool:
    """Return whether ``value`` may be a host: a text without what separates hosts from anything else."""
    if not isinstance(value, str) or not value.isprintable() or set(value) & set(" /@?#[]"):
        return False
    return 0 < len(value) <= 253 and (":" not in value or is_address(value))


HOST = Kind("a host name or an IP address", is_host)
PORT = Kind("a number from 1 to 65535", lambda value: is_whole(value, 1, 65535))

NAME_ERRORS = {
    socket.EAI_NONAME: "the name is not known",
    getattr(socket, "EAI_NODATA", socket.EAI_NONAME): "the name is not known",
    socket.EAI_AGAIN: "the name cannot be looked up at the moment",
}
#: What OpenSSL calls a certificate that is not to be trusted, by its number.
CERTIFICATE_ERRORS = {
    9: "its certificate is not valid yet",
    10: "its certificate has expired, or that of an authority above it",
    18: "its certificate is self-signed",
    19: "its certificate is from an authority that is not trusted here",
    20: "its certificate is from an authority that is not trusted here, or an intermediate one is not sent",
    21: "its certificate is from an authority that is not trusted here, or an intermediate one is not sent",
    62: "its certificate is for another name",
    64: "its certificate is for another address",
}
SYSTEM_ERRORS = {
    errno.ECONNREFUSED: "refuses the connection",
    errno.ECONNRESET: "breaks off the connection",
    errno.EPIPE: "breaks off the connection",
    errno.EHOSTUNREACH: "cannot be reached from here",
    errno.ENETUNREACH: "cannot be reached from here",
    errno.EACCES: "connecting is not permitted here",
    errno.EPERM: "connecting is not permitted here",
}


class PortCheck(Measurement):
    """Answer ``{"host:port": {"ok": bool, "seconds": ...}}``: whether somebody accepts connections there.

    The connection is closed at once; nothing is sent.
    """

    subject = "port"
    kinds = MappingProxyType({"host": HOST, "port": PORT, "warn_seconds": AMOUNT})

    def check(self, host: str, port: int, *, warn_seconds: float | None = None) -> Answer:
        target, began = endpoint(host, port), monotonic()
        try:
            connect(host, port, give_up()).close()
        except NETWORK_ERRORS as error:
            return failed(target, words_of(error))
        return judge_time(target, {}, began, warn_seconds)


def endpoint(host: str, port: int) -> str:
    """Return how a host and port are written together."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def judge_time(target: str, answer: dict[str, Any], began: float, warn_seconds: float | None) -> Answer:
    """Return the answer of a target that was asked at ``began`` (monotonic), and is well but perhaps slow."""
    took = monotonic() - began
    slow = Figure(took, "until it answered", in_seconds, warn_seconds, upward=True)
    return judge(target, {**answer, "seconds": round(took, 6)}, [slow])


def give_up() -> float:
    """Return when to give up, on the clock of ``time.monotonic()``: a moment before the deadline of this run."""
    return monotonic() + seconds_left() * (1 - MARGIN)


class LimitedFile(io.RawIOBase):
    """What comes by a socket: all reads together have a limit in time, and not only each its own.

    until: when to give up, on the clock of ``time.monotonic()``.
    each: seconds that one read may take.
    """

    def __init__(self, connection: socket.socket, until: float, each: float = math.inf) -> None:
        self.connection, self.until, self.each = connection, until, each

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.connection.settimeout(min(self.each, left(self.until)))
        return self.connection.recv_into(buffer)


def left(until: float) -> float:
    """Return the seconds until then, for the timeout of a socket. Raises TimeoutError where there are none."""
    seconds = until - monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def connect(host: str, port: int, until: float) -> socket.socket:
    """Return a connection. Its addresses are tried in turn, each for an equal part of the time. Raises OSError.

    Looking up the name knows no limit: whoever waits for the check does not wait for that.
    """
    *others, last = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for number, told in enumerate(others):
        with suppress(OSError):
            return connect_to(told, left(until) / (len(others) + 1 - number))
    return connect_to(last, left(until))


def connect_to(told: Any, timeout: float) -> socket.socket:
    """Return a connection to an address as ``getaddrinfo()`` tells it. Raises OSError."""
    family, kind, protocol, _, address = told
    connection = socket.socket(family, kind, protocol)
    try:
        connection.settimeout(timeout)
        connection.connect(address)
        # A port that the system hands out for connections may have been handed out to this one.
        if connection.getsockname() == connection.getpeername():
            raise ConnectionRefusedError(errno.ECONNREFUSED, "it is connected to itself")
    except BaseException:
        connection.close()
        raise
    return connection


def words_of(error: Exception) -> str:
    """Return what went wrong in words of our own. The text of an exception may hold what was sent."""
    if isinstance(error, Unavailable):
        return str(error)
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return NAME_ERRORS.get(error.errno or 0, "the name cannot be looked up")
    if isinstance(error, ssl.SSLCertVerificationError):
        return CERTIFICATE_ERRORS.get(error.verify_code, f"its certificate is not trusted ({error.verify_message})")
    if isinstance(error, ssl.SSLEOFError):
        return "breaks off the connection"
    if isinstance(error, ssl.SSLError):
        # What OpenSSL raises has its own name for the trouble; what Python's module raises has not.
        return f"no TLS connection comes about ({getattr(error, 'reason', None) or type(error).__name__})"
    if isinstance(error, UnicodeError):
        return "the name is none that can be looked up"
    if isinstance(error, ConnectionError):
        return SYSTEM_ERRORS.get(error.errno or errno.ECONNRESET, "breaks off the connection")
    if isinstance(error, OSError):
        return SYSTEM_ERRORS.get(error.errno or 0, error.strerror or type(error).__name__)
    return f"answers what is not HTTP ({type(error).__name__})"
