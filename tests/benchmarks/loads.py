"""Load on a server, made by wrk and aiohttp."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

import aiohttp

from tests import services

#: Seconds after which a client gives up. Those that hang longer count as not answered.
GIVE_UP = 8.0
#: Seconds that a server may take for its first answer.
STARTS_WITHIN = 120.0
#: Seconds in each of wrk's units.
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclass(frozen=True)
class Answer:
    """``status`` is 0 where nothing came."""

    status: int
    seconds: float


def wrk(url: str, clients: int, seconds: int) -> dict[str, float]:
    """Requests per second, and the seconds that half of them took at most. All have to be answered well."""
    program = shutil.which("wrk") or services.missing("wrk is missing", "apt-get install wrk")
    command = [program, "-t1", f"-c{clients}", f"-d{seconds}s", "--latency", url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"50%\s+([\d.]+)(us|ms|s)", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if found is None or rate is None or "Non-2xx" in text or "Socket errors" in text:
        raise AssertionError(f"{url} was not answered well:\n{text}")
    return {"rate": float(rate[1]), "latency": float(found[1]) * UNITS[found[2]]}


def first_answer(url: str) -> Answer:
    """Return the answer of a server that takes its time to start."""

    async def ask() -> Answer:
        async with _session(STARTS_WITHIN) as session:
            return await _ask(session, url)

    return asyncio.run(ask())


def at_once(url: str, count: int) -> list[Answer]:
    """The answers to so many at the same moment, each on a connection of its own."""

    async def ask_all() -> list[Answer]:
        async with _session() as session:
            return await asyncio.gather(*(_ask(session, url) for _ in range(count)))

    return asyncio.run(ask_all())


def pages_meanwhile(page: str, probe: str, count: int) -> tuple[list[Answer], list[float]]:
    """Ask ``probe`` so many times at once, then as often again, one each 50 ms. Meanwhile a user asks for ``page``.

    Answers what the first probes got, and the seconds of every page; one that did not come counts with ``GIVE_UP``.
    """

    async def crowd(session: aiohttp.ClientSession) -> list[Answer]:
        answers = await asyncio.gather(*(_ask(session, probe) for _ in range(count)))
        later = []
        for _ in range(count):
            later.append(asyncio.ensure_future(_ask(session, probe)))
            await asyncio.sleep(0.05)
        await asyncio.gather(*later)
        return answers

    async def both() -> tuple[list[Answer], list[float]]:
        async with _session() as session:
            probes = asyncio.ensure_future(crowd(session))
            pages = []
            await asyncio.sleep(0.01)  # the crowd comes first
            while not probes.done():
                answer = await _ask(session, page)
                pages.append(answer.seconds if answer.status == 200 else GIVE_UP)
                await asyncio.sleep(0.005)
            return await probes, pages

    return asyncio.run(both())


def page_alone(page: str, count: int) -> float:
    """The median of the seconds that a page takes when nothing else happens."""

    async def ask_all() -> list[Answer]:
        async with _session() as session:
            answers = []
            for _ in range(count):
                answers.append(await _ask(session, page))
                await asyncio.sleep(0.005)
            return answers

    return median(answer.seconds for answer in asyncio.run(ask_all()))


@contextlib.contextmanager
def _timed() -> Iterator[list[float]]:
    before, taken = time.perf_counter(), [0.0]
    try:
        yield taken
    finally:
        taken[0] = time.perf_counter() - before


async def _ask(session: aiohttp.ClientSession, url: str) -> Answer:
    status = 0
    with _timed() as taken, contextlib.suppress(aiohttp.ClientError, asyncio.TimeoutError):
        async with session.get(url) as response:
            await response.read()
            status = response.status
    return Answer(status, taken[0])


def _session(seconds: float = GIVE_UP) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=seconds))
