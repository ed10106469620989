"""Facts about the code that runs: the debug switch, and what it was built or checked out from."""

from __future__ import annotations

import copy
import os
from importlib import import_module
from types import MappingProxyType
from typing import Any, NamedTuple

from status.conf import conf, is_directory_path
from status.logs import FailureLog
from status.providers import git
from status.providers.base import Answer, Kind, Provider
from status.providers.code import NO_DIRECTORY, Code, read_code, running_code
from status.providers.kinds import SWITCH
from status.report import failure

#: Checkouts whose facts are remembered at a time; a project has one.
MAX_CHECKOUTS = 16
#: The facts in the order in which they are shown.
CODE_FACTS = ("debug", "scm", "branch", "commit", "tag", "checkout", "build", "ok", "error")
#: Those that an anonymous caller may see, and of which only some entries.
PUBLIC_FACTS = ("debug", "scm", "branch", "commit", "tag", "checkout", "ok", "error")
PUBLIC_ENTRIES = {"branch": ("local",), "commit": ("id", "summary", "date")}


class Remembered(NamedTuple):
    """What git told about the commit that runs.

    stamps: of the checkout; the answer is good until they change. None where it is good for one question only.
    running: the commit and the branch that it is about. current: where the checkout was.
    """

    stamps: dict[str, git.Stamp] | None
    running: git.Head
    current: git.Head
    facts: dict[str, Any]


class CodeFacts(Provider):
    """Answer ``{"debug": false, "scm": "git", "branch": {...}, "commit": {...}, "tag": "v1.2.0"}`` of what runs.

    Facts written down when the project was built come first (``build_facts``). Where they name no commit, git is asked
    about the one noted when the process started, and its answer remembered until the checkout changes. Where the
    checkout has moved since, ``"checkout": {"id": ..., "branch": ...}`` names what is on disk now. Where git fails, the
    answer holds what is known without it, ``"ok": false``, and in ``error`` the reason.
    """

    arguments = MappingProxyType({"path": (str, os.PathLike), "parents": bool})
    kinds = MappingProxyType({"path": Kind("the path of a directory", is_directory_path), "parents": SWITCH})

    def __init__(self) -> None:
        self._remembered: dict[tuple[str, bool, bool], Remembered] = {}
        self._failures = FailureLog("stats", "code")

    def check(self, path: str | os.PathLike[str] | None = None, *, parents: bool = False) -> Answer:
        """Answer for the project, or for ``path`` as it is now: nobody knows whether this process runs what is there.

        parents: whether the checkout may be a directory above as well.
        """
        facts: dict[str, Any] = {"debug": bool(conf.read("DEBUG", False))}
        is_project, running, current = path is None, None, None
        try:
            directory = os.path.abspath(conf.project_path if path is None else path)
        except FileNotFoundError:
            return Answer(facts, {"scm": NO_DIRECTORY})
        key = directory, is_project, parents
        told = self._remembered.get(key)
        try:
            running = running_code(directory, parents) if is_project else None
            now = read_code(directory, os.environ if is_project else {}, parents)  # variables tell of the project
            running = running or now
            current = now.head
            reasons = {} if now.reason is None else {"scm": now.reason}
            if running.checkout is not None and now.checkout is not None:
                told = self._ask_git(key, running if is_project else None, now.checkout)
                current, running.head = told.current, told.running
            else:
                current = now.find_head()
            self._failures.passed()
        except git.GitFailed as error:
            facts |= failure(str(error))
            reasons = {"ok": str(error)}
            self._failures.failed(str(error), error)
        if running is None:
            facts["scm"] = "git"
        else:
            facts |= running.facts()
            if told is not None and told.running == running.head:
                facts |= copy.deepcopy(told.facts)
            if current is not None and current != running.head and (names := current.names()):
                facts["checkout"] = names
        return Answer({name: facts[name] for name in CODE_FACTS if name in facts}, reasons)

    def public(self, value: Any) -> Any:
        shown = {name: value[name] for name in PUBLIC_FACTS if name in value}
        for name, entries in PUBLIC_ENTRIES.items():
            if name in shown:
                shown[name] = {entry: shown[name][entry] for entry in entries if entry in shown[name]}
        return shown

    def _ask_git(self, key: tuple[str, bool, bool], running: Code | None, checkout: git.Checkout) -> Remembered:
        """Return what git tells about the code that runs; where that is None, about what is on disk now."""
        stamps = checkout.stamps()
        known = self._remembered.get(key)
        if known is not None and known.stamps == stamps:
            return known
        settled = git.wait_until_settled(stamps)
        checkout = git.read_checkout(checkout.top)
        current = checkout.head() or git.ask_head(checkout)
        head = (running and running.head) or current
        facts = git.facts_of(checkout, head, lacking=head.commit != current.commit)
        if known is not None and known.running == head and "summary" not in facts.get("commit", {}):
            facts = known.facts  # the repository was replaced by one that lacks the commit
        # What moved before its stamp was taken would never be noticed.
        settled = settled and git.read_checkout(checkout.top).stamps() == stamps
        if len(self._remembered) >= MAX_CHECKOUTS:
            self._remembered.clear()
        self._remembered[key] = told = Remembered(stamps if settled else None, head, current, facts)
        return told


code = CodeFacts()


def __getattr__(name: str) -> Any:
    return import_module("status.classic").find(__name__, name)
