"""The fleet: every process of the project reports itself to the store, and each of them shows all that did.

One daemon thread of a process reports every ten seconds, while ``STATUS_STORE`` is set. Nothing is run for a report: it
holds the last answers of the checks. A store that is down or hangs costs the view of the others, and nothing else.
"""

from __future__ import annotations

import json
import math
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from secrets import token_hex
from types import MappingProxyType
from typing import Any, NamedTuple, TypeGuard

from status import counters
from status.conf import ROLES, conf
from status.entries import Check
from status.heartbeats import CLOCKS_DIFFER, NO_STORE, in_words
from status.limited_calls import LimitedCalls
from status.logs import call_safely, log_once
from status.providers.code import running_code
from status.registry import registry
from status.report import MAX_NAMED, Result, iso, one_line
from status.serialization import JSON
from status.store import OpenStore, Store, StoreFailed, close_kept_clients, decode_all, key_of
from status.threads import PerProcess, call_natively, is_testing, run_at_exit, start_call, wait

#: Seconds after which a member is forgotten that is not heard of any more.
FORGOTTEN_AFTER = 24 * 3600.0
#: Periods without a report after which a member is lost.
LOST_AFTER = 3
#: Parts of the index. A cache has no lists, and looking through all keys would stop a Redis server: each part is one
#: value that names its members, and a view reads all parts at once.
SHARDS = 16
#: Members that one part names, the newest: what fits into a value. Processes that are killed all the time leave many.
MAX_NOTED = 2_000
#: Characters of a member's id.
MAX_ID = 32
#: Seconds after which a member notes itself in the index again.
NOTE_EVERY = 3600.0
#: Checks of a member that are reported, and of those that fail, how many with the reason: what fits into a value.
MAX_CHECKS, MAX_REASONS = 500, 50
#: Characters of all that as the store keeps it. Where there are more, half of them are left out.
MAX_TOLD = 90_000
#: Members whose facts are remembered as they were parsed.
MAX_PARSED = 4_096
#: States of checks that are counted, the worst first.
JUDGED_STATES = ("fail", "warn", "pass")
#: States of members: as those of their checks, nobody has asked it anything, and not heard of any more.
MEMBER_STATES = (*JUDGED_STATES, "unknown", "lost")
#: The role of a process that answers, and of one that calls ``serve()`` until its loop tells its name.
WEB, SERVE = "web", "serve"
#: Views of the fleet that wait for the store: many at once are no reason to read more often.
views = LimitedCalls("status-fleet-view", limit=4, timeout=2.0)


class Member(NamedTuple):
    """A process as it reported itself.

    host, pid: where it runs. role: ``web``, ``worker``, ``beat``, or a name.
    commit: what it runs; None where it does not know.
    started, seen: when it started, and when it reported, in seconds since the epoch by its own clock.
    asked: when the newest of its answers came; None where nobody has asked it anything.
    checks: ``resource/name`` -> ``pass``, ``warn`` or ``fail``.
    failing: ``resource/name`` -> why, for callers who may see details.
    period: seconds between two of its reports.
    lost: whether it has not been heard of for three periods.
    """

    host: str
    pid: int
    role: str
    commit: str | None
    started: float
    seen: float
    asked: float | None
    checks: Mapping[str, str]
    failing: Mapping[str, str]
    period: float
    lost: bool = False

    @property
    def state(self) -> str:
        """Return ``lost``, the worst state of its checks, or ``unknown`` where nobody has asked it anything."""
        if self.lost:
            return "lost"
        for state in JUDGED_STATES:
            if state in self.checks.values():
                return state
        return "unknown"

    @property
    def name(self) -> str:
        """Return what tells it from others: ``web-1:4711``."""
        return f"{self.host}:{self.pid}"

    def told(self) -> JSON:
        """Return what is kept in the store: facts that rarely change, as a text that is parsed once, and the times."""
        facts = {name: field for name, field in self._asdict().items() if name not in ("seen", "asked", "lost")}
        # The store escapes what is not ASCII, and twice is too long.
        text = json.dumps(facts, separators=(",", ":"), ensure_ascii=False)
        if len(json.dumps(text)) > MAX_TOLD and self.checks:  # those that fail come first
            checks, failing = list(self.checks.items()), list(self.failing.items())
            half = self._replace(checks=dict(checks[: len(checks) // 2]), failing=dict(failing[: len(failing) // 2]))
            return half.told()
        return [text, self.seen, self.asked]

    @classmethod
    def of(cls, value: JSON) -> Member | None:
        """Return what a value of the store tells; None for one of another shape, as another version may write it."""
        facts, seen, asked = value if isinstance(value, list) and len(value) == 3 else (None, None, None)
        member = _member_of_facts(facts) if isinstance(facts, str) else None
        if member is None or not _is_time(seen) or not (asked is None or _is_time(asked)):
            return None
        return member._replace(seen=seen, asked=asked)

    def document(self) -> JSON:
        """Return it as JSON, as ``schemas/fleet.json`` describes."""
        asked = {} if self.asked is None else {"asked": iso(self.asked)}
        return {
            "host": self.host,
            "pid": self.pid,
            "role": self.role,
            "commit": self.commit,
            "started": iso(self.started),
            "seen": iso(self.seen),
            **asked,
            "state": self.state,
            "failing": dict(self.failing),
        }


@lru_cache(maxsize=MAX_PARSED)
def _member_of_facts(text: str) -> Member | None:
    """Return a member without its times; None for a text of another shape."""
    try:
        facts = json.loads(text)
    except ValueError:
        return None
    facts = facts if isinstance(facts, dict) else {}
    texts = [facts.get("host"), facts.get("role")]
    texts += [facts["commit"]] if facts.get("commit") is not None else []
    if (
        type(facts.get("pid")) is not int
        or not all(_is_time(facts.get(name)) for name in ("started", "period"))
        or not all(isinstance(text, str) and text for text in texts)
        or not all(_holds_texts(facts.get(name)) for name in ("checks", "failing"))
    ):
        return None
    known = {name: facts.get(name) for name in Member._fields if name not in ("seen", "asked", "lost")}
    return Member(**known, seen=0.0, asked=None)  # type: ignore[arg-type]


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e12


def _holds_texts(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


@dataclass(frozen=True)
class Fleet:
    """All processes that are known.

    members: in the order of role, host and process id; the lost ones too.
    error: why only this process is there, in words that are safe to show; None where all are.
    """

    members: tuple[Member, ...]
    error: str | None = None

    @cached_property
    def at_work(self) -> tuple[Member, ...]:
        """Return those that are not lost."""
        return tuple(member for member in self.members if not member.lost)

    @cached_property
    def roles(self) -> dict[str, dict[str, int]]:
        """Return role -> state -> how many processes."""
        counts: dict[str, dict[str, int]] = {}
        for (role, state), number in Counter((member.role, member.state) for member in self.members).items():
            counts.setdefault(role, {})[state] = number
        return counts

    @cached_property
    def commits(self) -> dict[str, int]:
        """Return commit -> how many processes at work run it."""
        return dict(Counter(member.commit for member in self.at_work if member.commit is not None).most_common())

    @cached_property
    def checks(self) -> dict[str, dict[str, int]]:
        """Return ``resource/name`` -> state -> how many processes at work see it so."""
        seen = Counter(pair for member in self.at_work for pair in member.checks.items())
        counts: dict[str, dict[str, int]] = {}
        for (check, state), number in seen.items():
            counts.setdefault(check, {})[state] = number
        return dict(sorted(counts.items()))

    @property
    def warnings(self) -> list[str]:
        """Return a sentence for each thing that is not well: failing checks, lost members, several commits at work."""
        sentences = []
        for role in self.roles:
            among = [member for member in self.at_work if member.role == role]
            for check in sorted({check for member in among for check in member.failing}):
                failing = [member for member in among if check in member.failing]
                processes = f"{role} process" if len(among) == 1 else f"{role} processes"
                reasons = sorted({member.failing[check] for member in failing})
                where = f"{len(failing)} of {len(among)} {processes} ({named(failing)})"
                sentences.append(f"{check} fails in {where}: {'; '.join(reasons[:MAX_NAMED])}")
        if lost := [member for member in self.members if member.lost]:
            silent = in_words(time.time() - max(member.seen for member in lost))
            sentences.append(f"{len(lost)} lost, last heard {silent} ago: {named(lost)}")
        if len(self.commits) > 1:
            runs = [
                f"{commit[:12]} on {named([member for member in self.at_work if member.commit == commit])}"
                for commit in self.commits
            ]
            sentences.append(f"{len(runs)} commits at work: {'; '.join(runs[:MAX_NAMED])}")
        return sentences

    def document(self, details: bool) -> dict[str, JSON]:
        """Return what ``/status/api/fleet`` answers; ``details`` is True for an authorized caller."""
        counts: dict[str, Any] = {"roles": self.roles, **({} if self.error is None else {"error": self.error})}
        if not details:
            return counts
        members = [member.document() for member in self.members]
        checks = {"commits": self.commits, "checks": self.checks}
        return {"members": members, **checks, "warnings": list(self.warnings), **counts}


def named(members: list[Member]) -> str:
    """Return the names of the first few, and how many there are besides."""
    names = [member.name for member in members[:MAX_NAMED]]
    more = len(members) - len(names)
    return ", ".join([*names, *([f"and {more} more"] if more else [])])


class Reporter:
    """What one process reports, and the thread that does so.

    period: seconds between two reports.
    hangs_after: seconds after which the log says that the store does not answer.
    replace_after, limit: seconds after which a report that hangs is left behind, and how many may be.
    goodbye_seconds: how long a process that ends waits until the store knows.
    look_every: seconds for which the view of the others is reused: whoever asks all the time makes nobody wait.
    """

    period = 10.0
    hangs_after = 5.0
    replace_after = 30.0
    limit = 3
    goodbye_seconds = 1.0
    look_every = 1.0

    def __init__(self) -> None:
        self.id, self.pid = token_hex(8), os.getpid()
        self.role: str | None = None
        self.started = time.time()
        #: The last judged result of each check.
        self.results: dict[tuple[str, str], Result] = {}
        self.lock = threading.Lock()
        #: Done when the thread has ended; None before there is one.
        self.ended: Future[None] | None = None
        self.ending = threading.Event()
        self.hangs = False
        self.left_behind: list[Future[None]] = []
        #: What the last report told, and how many reports in a row did not find in the store what was told before.
        self.told: JSON = None
        self.dropped = 0
        #: What the last look into the store found.
        self.looked: Looked | None = None
        self._commit: str | None = None

    def join(self, role: str) -> None:
        """Have this process report itself from now on.

        The first role counts, but a loop's name more than ``serve``, and those of Celery more than any.
        Under Django's test runner and with ``STATUS_SYNCHRONOUS`` there is no thread.
        """
        if self.role is None or (self.role == SERVE and role != WEB) or (role in ROLES and self.role not in ROLES):
            self.role = role
        if conf.store is None or conf.synchronous or is_testing():
            return
        with self.lock, suppress(RuntimeError):  # no thread can be had: the next question tries again
            if self.ended is None:
                self.ended = start_call(self.run, "status-fleet")
                run_at_exit(self.end)

    def run(self) -> None:
        """Report again and again until the process ends, and then say goodbye."""
        while not self.ending.is_set():
            call_safely(self.report_or_leave_behind)
            self.ending.wait(self.period)
        store = Store.configured()
        if store is not None and not self.hangs:
            with suppress(StoreFailed):  # it is lost soon
                self.say_goodbye(store)
            close_kept_clients()

    def end(self) -> None:
        """Say goodbye, and wait a moment until that is said."""
        self.ending.set()
        if self.ended is not None and not self.hangs:
            wait(self.ended, self.goodbye_seconds)

    def report_or_leave_behind(self) -> None:
        """Report in a thread of its own, and go on without it where the store hangs for long."""
        store = Store.configured()
        self.left_behind = [one for one in self.left_behind if not one.done()]
        if store is None or len(self.left_behind) >= self.limit:
            return
        try:
            report = start_call(partial(self.report, store), "status-fleet-report")
        except RuntimeError:  # no thread can be had
            return
        if not wait(report, self.hangs_after):
            self.hangs = True
            log_once(f"{store} does not answer; this process is lost to the fleet meanwhile.")
            if not wait(report, self.replace_after - self.hangs_after):
                self.left_behind.append(report)
                return
        self.hangs = False
        if (error := report.exception()) is not None:
            log_once(f"{error}; this process is lost to the fleet meanwhile.", error)

    def report(self, store: Store) -> None:
        """Write the member, and its name into the index unless it is there. Raises ``StoreFailed``.

        Two members may read and write the same part of the index at once, and one of them is then missing in it. It
        finds that out with its next report. Who was in it before is in what both of them write.
        """
        told, before, self.told = self.member().told(), self.told, None
        found = call_natively(partial(store.use, partial(self._write, told)))
        self.told = told
        counters.add_up(store)
        self.dropped = 0 if before in (None, found) else self.dropped + 1
        if self.dropped > 1:
            what = f"{store} does not keep what this process reports"
            log_once(f"{what}: it is full, cannot be written to, or is emptied again and again.")

    def _write(self, told: JSON, opened: OpenStore) -> JSON:
        """Write what is told. Return what the store had of this member before."""
        own, shard, now = member_key(self.id), shard_of(self.id), time.time()
        found = opened.read([own, shard])
        news, noted = {own: told}, noted_in(found.get(shard))
        if now - noted.get(self.id, -math.inf) > NOTE_EVERY:
            noted = {name: at for name, at in noted.items() if now - at < FORGOTTEN_AFTER + NOTE_EVERY}
            noted[self.id] = round(now)
            newest = sorted(noted, key=lambda name: noted[name])[-MAX_NOTED:]
            news[shard] = {name: noted[name] for name in newest}
        opened.write(news, FORGOTTEN_AFTER)
        return found.get(own)

    def say_goodbye(self, store: Store) -> None:
        """Take the member out of the index and the store. Raises ``StoreFailed``."""
        until = time.monotonic() + self.goodbye_seconds
        call_natively(partial(store.use, self._delete))
        while not counters.add_up(store) and time.monotonic() < until:  # others end as well
            pass

    def _delete(self, opened: OpenStore) -> None:
        shard = shard_of(self.id)
        noted = noted_in(opened.read([shard]).get(shard))
        if noted.pop(self.id, None) is not None:
            opened.write({shard: dict(noted)}, FORGOTTEN_AFTER)
        opened.delete([member_key(self.id)])

    def member(self) -> Member:
        """Return this process as it is now."""
        results = {
            one_line(f"{resource}/{name}"): result
            for (resource, name), result in list(self.results.items())
            if name in registry.get(resource, {})
        }
        failing = {check: result for check, result in results.items() if result.state == "fail"}
        return Member(
            host=socket.gethostname(),
            pid=self.pid,
            role=self.role or WEB,
            commit=self.commit(),
            started=self.started,
            seen=time.time(),
            asked=max((result.started_at for result in results.values()), default=None),
            checks={check: results[check].state for check in [*failing, *results][:MAX_CHECKS]},
            failing={check: one_line(failing[check].summary) for check in list(failing)[:MAX_REASONS]},
            period=self.period,
        )

    def commit(self) -> str | None:
        """Return the commit that this process runs, as far as files tell or ``stats/code`` has asked git."""
        if self._commit is None:
            with suppress(Exception):  # stats/code tells what is wrong
                head = running_code(os.path.abspath(conf.project_path), False).head
                self._commit = None if head is None else head.commit
        return self._commit


reporters = PerProcess(Reporter)


def join(role: str) -> None:
    """Have this process report itself, see ``Reporter.join``. Costs microseconds, and raises nothing."""
    reporters.get().join(role)


def observe(check: Check, result: Result) -> None:
    """Remember the last answer of a check; an observer of the engine."""
    if result.state in JUDGED_STATES and not registry.is_preset(check.resource):
        reporters.get().results[check.resource, check.name] = result


def fleet() -> Fleet:
    """Return all processes that are known. Waits two seconds at most for the store, and raises nothing.

    Without a store, and where it does not answer, this process is there alone. One that only looks, as a command does,
    is no member.
    """
    reporter, store = reporters.get(), Store.configured()
    own = {} if reporter.role is None else {reporter.id: reporter.member()}
    if store is None:
        return Fleet(tuple(own.values()), None if own else NO_STORE)
    looked = reporter.looked
    if looked is None or looked.store != store or time.monotonic() - looked.at >= reporter.look_every:
        silent = Looked(store, f"{store} did not answer within {views.timeout:g} s")
        looked = look(store) if conf.synchronous else views.call(partial(look, store), silent)
    members = {**looked.members, **own}.values()
    return Fleet(tuple(sorted(members, key=lambda member: (member.role, member.host, member.pid))), looked.error)


class Looked(NamedTuple):
    """What a look into the store found.

    error: why it found nothing; None where it did.
    at: when (monotonic).
    members: by their ids.
    heard: when each was heard of.
    """

    store: Store
    error: str | None = None
    at: float = -math.inf
    members: Mapping[str, Member] = MappingProxyType({})
    heard: Mapping[str, Heard] = MappingProxyType({})


def look(store: Store) -> Looked:
    """Look into the store, and remember for a moment what was found."""
    reporter = reporters.get()
    before = {} if reporter.looked is None else reporter.looked.heard
    members: dict[str, Member] = {}
    heard: dict[str, Heard] = {}
    here = socket.gethostname()
    try:
        names, texts = call_natively(partial(store.use, partial(_member_texts, list(before))))
        values = store.decoded(texts)
    except StoreFailed as failure:
        reporter.looked = Looked(store, str(failure), time.monotonic(), heard=before)
        return reporter.looked
    for key, value in values.items():
        member, name = Member.of(value), names[key]
        if member is not None:
            heard[name] = Heard.of(member, before.get(name), here)
            silent = time.monotonic() - heard[name].at
            members[name] = member._replace(lost=True) if silent > LOST_AFTER * member.period else member
    reporter.looked = Looked(store, None, time.monotonic(), members, heard)
    return reporter.looked


def _member_texts(known: list[str], opened: OpenStore) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the ids of the members by their keys, and what is kept under these.

    known: the ids of those that the last look found. Where the index names no others, one question is enough.
    """
    asked = list(map(member_key, known))
    texts = opened.texts([*SHARD_KEYS, *asked])
    parts = decode_all({key: texts[key] for key in SHARD_KEYS if key in texts})
    names = {member_key(name): name for part in parts.values() for name in noted_in(part)}
    texts |= opened.texts(names.keys() - asked)
    return names, {key: text for key, text in texts.items() if key in names}


class Heard(NamedTuple):
    """When a member was heard of, as far as this process has seen.

    seen: by the clock of the member. at: by the monotonic clock of this process.
    """

    seen: float
    at: float

    @classmethod
    def of(cls, member: Member, before: Heard | None, here: str) -> Heard:
        """Return when it was: once it has been looked at before, the clocks of two hosts may differ by anything.

        here: the name of this host.
        """
        if before is not None and before.seen == member.seen:
            return before
        may_differ = 0.0 if member.host == here else CLOCKS_DIFFER
        return cls(member.seen, time.monotonic() - max(0.0, time.time() - member.seen - may_differ))


def member_key(name: str) -> str:
    """Return the key under which a member reports."""
    return f"status-member-1-{name}"


def shard_of(name: str) -> str:
    """Return the key of the part of the index that names a member; the ids of members are random."""
    return SHARD_KEYS[int(name, 16) % SHARDS]


def noted_in(value: JSON) -> dict[str, float]:
    """Return which members a part of the index names, and since when; none for a value of another shape."""
    noted = value if isinstance(value, dict) else {}
    return {name: at for name, at in noted.items() if isinstance(at, (int, float)) and _is_id(name)}


def _is_id(name: str) -> bool:
    """Return whether a name suits the keys of every cache."""
    return name.isascii() and name.isalnum() and len(name) <= MAX_ID


SHARD_KEYS = [key_of("members", str(number)) for number in range(SHARDS)]
