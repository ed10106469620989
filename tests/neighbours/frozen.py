"""What a request costs in a site of other people while its database or cache is frozen.

``python -m tests.neighbours.frozen Wagtail`` prints a table, in the markup of the documents, of the sites named, in an
environment that has them. One row for each server and thing frozen. Seconds are those of the slowest of 20 requests at
once, the first with their kind of cookie since it froze.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from unittest import mock

from tests import probes, services
from tests.components import eventually
from tests.neighbours import sites

#: What is frozen -> where the sessions are that are looked up.
SESSIONS = {"database": "db", "cache": "cache"}
PATHS = ("/status/api/health", "/status/")
COOKIES = ("no cookie", "_ga=1", "made up", "staff")
#: The deadline of the sites, and what an answer may take beyond it, and ping.
T, SLACK, PING = 1.0, 1.0, 0.2
#: Seconds after which staff have to be known again.
BACK = 2.0
CROWD = 20


@dataclass
class Outcome:
    """What was seen of one site on one kind of server.

    slowest: kind of cookie -> seconds.
    excess: of them and of ping, what is beyond the limit when what a busy machine added is left out; 0 or less is well.
    told: whether a member of staff reads that nobody could be looked up.
    unknown: how often staff were not known again in time.
    """

    site: str
    kind: str
    frozen: str
    slowest: dict[str, float] = field(default_factory=dict)
    ping: float = 0.0
    excess: float = -T
    statuses: set[int] = field(default_factory=set)
    told: bool = False
    unknown: int = 0
    killed: int = 0
    mails: int = 0

    @property
    def row(self) -> list[str]:
        return [
            *(self.site, self.kind, self.frozen),
            *(f"{seconds:.2f}" for seconds in self.slowest.values()),
            *(f"{self.ping:.2f}", str(self.killed), "no" if self.unknown else "yes", str(self.mails)),
        ]


HEADINGS = ("site", "server", "frozen", *COOKIES, "ping", "killed", "known again", "mails")


def cookies(staff: str) -> dict[str, str]:
    """Return the header of each of the ``COOKIES``."""
    return dict(zip(COOKIES, ("", "Cookie: _ga=1\r\n", f"{staff.split('=')[0]}={'x' * 32}\r\n", staff), strict=True))


def at_once(port: int, path: str, header: str) -> list[probes.Answer]:
    answers: list[probes.Answer] = []
    asking = [threading.Thread(target=lambda: answers.append(probes.get(port, path, header))) for _ in range(CROWD)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    return answers


def knows(port: int, staff: str) -> bool:
    return b"Server-Timing" in probes.get(port, "/status/api/health", staff).head


def measure(site: sites.Site, kind: str, what: str, asked: Sequence[str] = COOKIES) -> Outcome:
    """Freeze the database or the cache of ``site``, ask with a kind of cookie, and thaw it, for each kind."""
    outcome = Outcome(type(site).__name__, kind, what)
    server = site.postgres if what == "database" else site.redis
    assert server is not None
    with mock.patch.dict(site.env, SITE_SESSIONS=SESSIONS[what]):
        staff = site.log_in()
        web: services.Web = site.server(kind).start()
    with web:
        if not eventually(lambda: knows(web.port, staff), 60):
            raise AssertionError(f"{outcome.row}: staff are not known\n{web.output[-4000:]}")
        pids = {process.pid for process in web.tree()}
        for name in asked:
            with server.frozen():
                ask(web, name, cookies(staff)[name], outcome)
            outcome.unknown += not eventually(lambda: knows(web.port, staff), BACK)
        outcome.killed = len(pids - {process.pid for process in web.tree()}) + web.output.count("WORKER TIMEOUT")
        outcome.mails = len(os.listdir(site.mails))
    return outcome


def ask(web: services.Web, name: str, header: str, outcome: Outcome) -> None:
    busy = probes.Waiting(*web.tree())
    for path in PATHS:
        answers = at_once(web.port, path, header)
        slowest = max(answer.seconds for answer in answers)
        outcome.statuses |= {answer.status for answer in answers}
        outcome.slowest[name] = max(slowest, outcome.slowest.get(name, 0.0))
        outcome.excess = max(outcome.excess, slowest - busy.seconds - T - SLACK)
        before = busy.seconds
        ping = probes.get(web.port, "/status/api/health/ping", header)
        outcome.ping = max(outcome.ping, ping.seconds)
        outcome.excess = max(outcome.excess, ping.seconds - (busy.seconds - before) - PING)
    if name == "staff":
        outcome.told = b"Nobody could be looked up" in probes.get(web.port, "/status/", header).body


@contextlib.contextmanager
def site(name: str) -> Iterator[sites.Site]:
    """One of the sites, on servers of its own that can be frozen."""
    with services.postgres(private=True) as postgres, services.redis(private=True) as redis:
        yield getattr(sites, name)(postgres, redis)


def main(names: list[str]) -> None:
    print(f".. csv-table::\n   :header: {', '.join(HEADINGS)}\n", flush=True)
    for name in names:
        with site(name) as made:
            for kind in sites.KINDS:
                for what in SESSIONS:
                    print(f"   {', '.join(measure(made, kind, what).row)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
