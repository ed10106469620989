"""What the page of the fleet shows: sentences about what is not well, and the processes of each role."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from django.utils.translation import gettext, gettext_lazy, ngettext, ngettext_lazy, npgettext_lazy

from status.fleet import Fleet, Member
from status.pages import units
from status.pages.page import STATE_WORDS, TALLIES, Page
from status.report import Report, iso

#: The order on the page: what needs attention comes first.
MEMBER_ORDER = {"fail": 0, "lost": 1, "warn": 2, "pass": 3, "unknown": 4}
#: The colour and sign of a process, by its state.
LOOKS = {"lost": "warn", "unknown": "info"}
MEMBER_WORDS = {**STATE_WORDS, "lost": gettext_lazy("lost"), "unknown": gettext_lazy("not asked yet")}
#: How many processes are in a state.
MEMBER_TALLIES = {
    **TALLIES,
    "pass": npgettext_lazy("processes", "%s passes", "%s pass"),
    "lost": ngettext_lazy("%s lost", "%s lost"),
    "unknown": ngettext_lazy("%s not asked yet", "%s not asked yet"),
}
#: The page in one sentence, by the worst state of a process.
FLEET_VERDICTS = {
    "fail": ngettext_lazy("%(count)s of %(total)s processes fails", "%(count)s of %(total)s processes fail", "count"),
    "lost": ngettext_lazy(
        "%(count)s of %(total)s processes is lost", "%(count)s of %(total)s processes are lost", "count"
    ),
    "warn": ngettext_lazy("%(count)s of %(total)s processes warns", "%(count)s of %(total)s processes warn", "count"),
    "pass": ngettext_lazy("This process passes", "All %(total)s processes pass", "total"),
}
#: Checks of the default set, and what their failing means in words.
FAILURES = {
    "health/databases": ngettext_lazy(
        "%(count)s of %(total)s %(role)s processes cannot reach the database",
        "%(count)s of %(total)s %(role)s processes cannot reach the database",
        "count",
    ),
    "health/caches": ngettext_lazy(
        "%(count)s of %(total)s %(role)s processes cannot reach the cache",
        "%(count)s of %(total)s %(role)s processes cannot reach the cache",
        "count",
    ),
}
FAILURE = ngettext_lazy(
    "%(check)s fails in %(count)s of %(total)s %(role)s processes",
    "%(check)s fails in %(count)s of %(total)s %(role)s processes",
    "count",
)
#: What the page shows at most, as a fleet may have thousands of members: sentences, roles, processes of a role, those
#: of them that are not folded, names in a sentence, and reasons of a process.
MAX_SENTENCES, MAX_ROLES, MAX_ROWS, MAX_UNFOLDED, MAX_NAMES, MAX_REASONS = 20, 20, 60, 20, 5, 5
#: Characters of a commit that tell it from others.
COMMIT_LENGTH = 12
#: Seconds after which the answers of a process are shown with their age: what asks for monitoring does so each minute.
FRESH = 60


class Sentence(NamedTuple):
    """Something that is not well, or should be known. state: ``fail``, ``warn`` or ``info``. more: where, and why."""

    state: str
    text: str
    more: Sequence[str] = ()


class MemberRow:
    """A process as the template shows it. look: the state whose colour and sign it has."""

    def __init__(self, member: Member, now: float) -> None:
        self.name = member.name
        self.look, self.word = LOOKS.get(member.state, member.state), str(MEMBER_WORDS[member.state])
        self.commit, self.short_commit = member.commit or "", (member.commit or "")[:COMMIT_LENGTH]
        self.started_iso, self.runs_for = iso(member.started), units.elapsed(member.seen - member.started)
        self.seen_iso, self.silent_for = iso(member.seen), units.elapsed(now - member.seen)
        age = 0.0 if member.asked is None else now - member.asked
        self.asked_iso, self.asked_for = iso(member.asked or 0.0), units.elapsed(age) if age > FRESH else ""
        self.reasons = [f"{check}: {reason}" for check, reason in list(member.failing.items())[:MAX_REASONS]]


class RoleGroup:
    """The processes of one role.

    tally: how many are in each state, in words.
    order: its place on the page, by the worst of them.
    shown, folded: rows, the worst first.
    more: how many are left out, in words; empty for none.
    """

    def __init__(self, role: str, states: dict[str, int], members: Sequence[Member], now: float) -> None:
        self.role = role
        ordered = sorted(states, key=MEMBER_ORDER.__getitem__)
        self.order = MEMBER_ORDER[ordered[0]]
        self.tally = " · ".join(MEMBER_TALLIES[state] % states[state] for state in ordered)
        worst_first = sorted(members, key=lambda member: MEMBER_ORDER[member.state])
        rows = [MemberRow(member, now) for member in worst_first[:MAX_ROWS]]
        self.shown, self.folded = rows[:MAX_UNFOLDED], rows[MAX_UNFOLDED:]
        count = len(members) - len(rows)
        self.more = ngettext("%s more is in the JSON.", "%s more are in the JSON.", count) % count if count else ""


class FleetPage(Page):
    """The page of the fleet.

    details: whether the reader may see the members; others see how many there are by role and state.
    shared: whether there is a store, so that more than this process can be known.
    """

    def __init__(self, fleet: Fleet, details: bool, shared: bool, root: str) -> None:
        now = time.time()
        super().__init__(Report(()), "fleet", details, root=root, now=now)
        self.counts = Counter()
        for states in fleet.roles.values():
            self.counts.update(states)
        #: The states of processes that there are, the worst first.
        self.states = sorted(self.counts, key=MEMBER_ORDER.__getitem__)
        self.commits = fleet.commits if details else {}
        self.state, self.verdict, told = self._judge(fleet)
        others = [state for state in self.states if state != told]
        self.besides = ", ".join(MEMBER_TALLIES[state] % self.counts[state] for state in others)
        self.sentences = [*about_the_store(fleet, shared), *(about_members(fleet, now) if details else [])]
        members: dict[str, list[Member]] = {role: [] for role in fleet.roles}
        for member in fleet.members if details else ():
            members[member.role].append(member)
        groups = [RoleGroup(role, states, members[role], now) for role, states in fleet.roles.items()]
        self.roles = sorted(groups, key=lambda group: group.order)[:MAX_ROLES]
        count = len(groups) - len(self.roles)
        more = ngettext("%s more role is in the JSON.", "%s more roles are in the JSON.", count)
        self.more_roles = more % count if count else ""

    def _judge(self, fleet: Fleet) -> tuple[str, str, str]:
        """Return the state of the page, its verdict, and the state of processes that the verdict is about."""
        worst = self.states[0] if self.states else "unknown"
        if fleet.error is not None:
            return "fail" if worst == "fail" else "warn", gettext("Only this process can be seen"), ""
        words = {"count": self.counts[worst], "total": sum(self.counts.values())}
        if worst in ("fail", "lost", "warn"):
            return LOOKS.get(worst, worst), FLEET_VERDICTS[worst] % words, worst
        if len(self.commits) > 1:
            return "warn", gettext("%s commits are at work") % len(self.commits), ""
        if worst == "unknown":
            return "info", gettext("No process has been asked yet"), worst
        if self.counts["unknown"]:
            return "pass", gettext("All processes that were asked pass"), ""
        return "pass", FLEET_VERDICTS["pass"] % words, worst


def about_the_store(fleet: Fleet, shared: bool) -> list[Sentence]:
    """Return what keeps other processes from being seen."""
    if not shared:
        return [Sentence("info", gettext("Each process shows itself alone, until STATUS_STORE names a shared cache."))]
    if fleet.error is not None:
        return [
            Sentence("warn", gettext("The other processes are unknown while the store cannot be read."), [fleet.error])
        ]
    return []


def about_members(fleet: Fleet, now: float) -> list[Sentence]:
    """Return what is not well: checks that fail, processes that are lost, several commits at work."""
    at_work = Counter(member.role for member in fleet.at_work)
    failing: dict[tuple[str, str], list[Member]] = {}
    for member in fleet.at_work:
        for check in member.failing:
            failing.setdefault((member.role, check), []).append(member)
    sentences = []
    for (role, check), members in sorted(failing.items()):
        facts = {"count": len(members), "total": at_work[role], "role": role, "check": check}
        reasons = Counter(member.failing[check] for member in members).most_common(MAX_REASONS)
        where = [
            f"{names([one for one in members if one.failing[check] == reason])}: {reason}" for reason, _ in reasons
        ]
        sentences.append(Sentence("fail", FAILURES.get(check, FAILURE) % facts, where))
    if lost := [member for member in fleet.members if member.lost]:
        text = ngettext("%s process is lost", "%s processes are lost", len(lost)) % len(lost)
        heard = {"names": names(lost), "age": units.elapsed(now - max(member.seen for member in lost))}
        sentences.append(Sentence("warn", text, [gettext("%(names)s; last heard of %(age)s ago") % heard]))
    if len(fleet.commits) > 1:
        runs = []
        for commit in list(fleet.commits)[:MAX_NAMES]:
            members = [member for member in fleet.at_work if member.commit == commit]
            runs.append(f"{commit[:COMMIT_LENGTH]}: {names(members)}")
        sentences.append(Sentence("warn", gettext("%s commits are at work") % len(fleet.commits), runs))
    return sentences[:MAX_SENTENCES]


def names(members: Sequence[Member]) -> str:
    """Return the names of the first few, and how many there are besides."""
    first = ", ".join(member.name for member in members[:MAX_NAMES])
    count = len(members) - MAX_NAMES
    return first + " " + gettext("and %s more") % count if count > 0 else first
