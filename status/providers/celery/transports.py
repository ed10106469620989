"""What limits the waits of kombu's transports, which have no common way to say so.

py-amqp and redis-py are told a limit before each step. The others (files, memory, SQL, ...) know none, and are left to
the deadline of the engine.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from time import monotonic
from typing import Any

#: The part of the time that is left which opening a connection may take.
CONNECT_PART = 0.8
#: Seconds between two looks at the memory transport, whose own default is a second.
POLLING_INTERVAL = 0.02
#: ``connection.close`` of AMQP 0-9-1, as class and method.
CLOSE = (10, 50)


def connection(app: Any, seconds: float) -> Any:
    """A new kombu connection to the broker of ``app``, not yet open, with limits for opening it within ``seconds``."""
    url, options = app.conf.broker_write_url, app.conf.broker_transport_options or {}
    urls = len(url) if isinstance(url, (list, tuple)) else str(url).count(";") + 1
    limit = seconds * CONNECT_PART / urls
    driver = app.connection_for_write().get_transport_cls().driver_type
    return app.connection_for_write(connect_timeout=limit, transport_options=_options(driver, limit, options))


def _options(driver: str, seconds: float, configured: dict[str, Any]) -> dict[str, Any]:
    """The transport options of ours, over those that are ``configured``."""
    if driver == "amqp":
        return {"read_timeout": seconds, "write_timeout": seconds}
    if driver == "redis":
        limits: dict[str, Any] = {"socket_timeout": seconds, "socket_connect_timeout": seconds}
        sentinel = configured.get("sentinel_kwargs")
        # Without emulated acknowledgements kombu does not put back, from here, tasks that workers are busy with.
        return {
            **limits,
            "retry_on_timeout": False,
            "ack_emulation": False,
            **({"sentinel_kwargs": {**sentinel, **limits}} if sentinel else {}),
        }
    return {"polling_interval": POLLING_INTERVAL} if driver == "memory" else {}


def limit(raw: Any, seconds: float) -> None:
    """Let no single operation on the open connection ``raw`` take longer than ``seconds``."""
    for client in _redis_connections(raw):
        client.socket_timeout = client.socket_connect_timeout = seconds
        # redis-py sets the socket back to what its parser remembers; the names are those of its two parsers.
        parser = getattr(client, "_parser", None)
        for holder, name in ((getattr(parser, "_buffer", None), "socket_timeout"), (parser, "_socket_timeout")):
            if hasattr(holder, name):
                setattr(holder, name, seconds)
    for sock in sockets(raw):
        sock.settimeout(seconds)


def sockets(raw: Any) -> list[socket.socket]:
    """The open sockets of py-amqp and redis-py."""
    found = [raw.transport.sock] if is_amqp(raw) else [client._sock for client in _redis_connections(raw)]
    return [sock for sock in found if sock is not None]


def say_goodbye(raw: Any, seconds: float) -> None:
    """Tell an AMQP broker that the connection ends, and wait ``seconds`` at most for its word.

    py-amqp's own ``close()`` limits each read alone, and reads all that a broker has still to deliver.
    """
    until = monotonic() + seconds
    limit(raw, seconds)
    raw.send_method(CLOSE, "BsBB", (0, "", 0, 0))
    while is_amqp(raw) and (left := until - monotonic()) > 0:
        raw.drain_events(timeout=left)  # closes it at the broker's word


def disconnect(raw: Any) -> None:
    """Close the sockets without a word to the broker."""
    if is_amqp(raw):
        limit(raw, 0.001)  # for the farewell of TLS
        raw.collect()
    for channel in _virtual_channels(raw):
        if hasattr(channel, "_disconnect_pools"):
            channel._disconnect_pools()


def disown(raw: Any) -> None:
    """In a forked child: close its copies of the sockets, and leave the parent's connection alone."""
    for sock in sockets(raw):
        os.close(sock.detach())


def is_amqp(raw: Any) -> bool:
    """Whether it is an open connection of py-amqp."""
    return getattr(raw, "_transport", None) is not None and hasattr(raw, "collect")


def _virtual_channels(raw: Any) -> list[Any]:
    channels = getattr(raw, "channels", None)
    return list(channels) if isinstance(channels, list) else []


def _redis_connections(raw: Any) -> Iterator[Any]:
    for channel in _virtual_channels(raw):
        for pool in (getattr(channel, "_pool", None), getattr(channel, "_async_pool", None)):
            yield from (*getattr(pool, "_available_connections", ()), *getattr(pool, "_in_use_connections", ()))
