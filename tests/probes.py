"""A client that asks a server on 127.0.0.1 as probes do: one at a time, or many at the same moment."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pathlib
import socket
import time
from dataclasses import dataclass
from typing import Any

import psutil

#: Seconds after which a client gives up, far beyond all deadlines.
GIVE_UP = 30


@dataclass(frozen=True)
class Answer:
    """What came back. ``status`` is 0 where nothing did; ``seconds`` it took, from before the connection was opened."""

    status: int
    body: bytes
    seconds: float
    head: bytes = b""

    @property
    def document(self) -> Any:
        return strict(self.body)


class Waiting:
    """How long, from now on, these processes and this one are ready to run and have to wait for a processor.

    What a busy machine adds to an answer, or the host of a virtual one, which may take processors away. Counts nothing
    where the kernel does not tell.
    """

    def __init__(self, *processes: psutil.Process) -> None:
        self.pids = (os.getpid(), *(process.pid for process in processes))
        self.before = self._now()
        self.after: dict[str, float] = {}

    def look(self) -> None:
        """Note how long each thread has waited by now. A thread that is about to end may call it, to be counted."""
        self.after.update(self._now())

    def _now(self) -> dict[str, float]:
        """Thread -> its seconds so far."""
        seconds = {"taken away": getattr(psutil.cpu_times(), "steal", 0.0)}
        for pid in self.pids:
            for file in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
                with contextlib.suppress(OSError):  # the thread has ended
                    seconds[str(file)] = int(file.read_text().split()[1]) / 1e9
        return seconds

    @property
    def seconds(self) -> float:
        self.look()
        return sum(seconds - self.before.get(thread, 0.0) for thread, seconds in self.after.items())


def strict(text: bytes | str) -> Any:
    """The document, as the standard has it: no NaN, no infinity, no name twice in an object."""
    return json.loads(text, parse_constant=_refuse, object_pairs_hook=_unique)


def get(port: int, path: str, headers: str = "") -> Answer:
    before, data = time.monotonic(), b""
    # Whoever restarts or stops the server leaves the client with what it got.
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), GIVE_UP) as connection:
        connection.sendall(_request(path, headers))
        while received := connection.recv(65536):
            data += received
    return _answer(data, before)


def at_once(port: int, path: str, count: int, method: str = "GET") -> list[Answer]:
    async def ask() -> Answer:
        before, data = time.monotonic(), b""
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            data = await asyncio.wait_for(_exchange(port, path, method), GIVE_UP)
        return _answer(data, before)

    async def ask_all() -> list[Answer]:
        return await asyncio.gather(*(ask() for _ in range(count)))

    return asyncio.run(ask_all())


def leave(port: int, path: str, count: int, after: float) -> None:
    """Ask, and hang up ``after`` so many seconds without having waited for an answer."""
    with contextlib.ExitStack() as connections:
        for _ in range(count):
            connection = connections.enter_context(socket.create_connection(("127.0.0.1", port), GIVE_UP))
            connection.sendall(_request(path))
        time.sleep(after)


async def _exchange(port: int, path: str, method: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(_request(path, method=method))
        return await reader.read()
    finally:
        writer.close()


def _request(path: str, headers: str = "", method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n{headers}\r\n".encode()


def _answer(data: bytes, before: float) -> Answer:
    head, _, body = data.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1]) if head else 0
    return Answer(status, body, time.monotonic() - before, head)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise ValueError(f"a name twice in {[name for name, _ in pairs]}")
    return document
