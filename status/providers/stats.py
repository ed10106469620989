"""Facts about the code that runs: the debug switch, and what it was built or checked out from."""

from __future__ import annotations

import copy
import os
from time import monotonic
from typing import Any

from status.conf import conf
from status.logs import log_failure
from status.providers import git
from status.providers.base import Answer, Provider, deadline
from status.providers.build import build_facts
from status.report import failure

#: The part of the time left that git may use, so that there is time to end it and to answer when it hangs.
GIT_SHARE = 0.75
#: Checkouts whose facts are remembered at a time; a project has one.
MAX_CHECKOUTS = 16
#: The facts in the order in which they are shown.
CODE_FACTS = ("debug", "scm", "branch", "commit", "tag", "build", "ok", "error")
#: Those that an anonymous caller may see, and of which only some entries.
PUBLIC_FACTS = ("debug", "scm", "branch", "commit", "tag", "ok", "error")
PUBLIC_ENTRIES = {"branch": ("local",), "commit": ("id", "summary", "date")}


class Code(Provider):
    """Answer ``{"debug": false, "scm": "git", "branch": {...}, "commit": {...}, "tag": "v1.2.0"}``.

    Facts that were written down when the project was built come first (``build_facts``). Where they do not name the
    commit, git is asked, and its answer remembered until the checkout moves. Where git fails, the answer holds what is
    known without it, ``"ok": false``, and as ``error`` a sentence that says why.
    """

    def __init__(self) -> None:
        self._remembered: dict[str, tuple[dict[str, git.Stamp], dict[str, Any]]] = {}
        self._logged: str | None = None

    def check(self, path: str | os.PathLike[str] | None = None, *, parents: bool = False) -> Answer:
        """Answer for the project.

        path: another directory to answer for; the environment, which tells about the project, is then left alone.
        parents: whether the checkout may be a directory above as well.
        """
        facts: dict[str, Any] = {}
        reason: str | None = None
        try:
            directory = os.path.abspath(conf.project_path if path is None else path)
        except FileNotFoundError:
            reason = "the working directory does not exist any more"
        else:
            facts, reason = build_facts(directory, os.environ if path is None else {})
            if "commit" in facts:
                facts["scm"] = "git"
            elif (top := git.find_checkout(directory, parents)) is not None:
                facts.update(self._facts_of(top))
                reason = None
            elif git.find_checkout(directory, parents=True) is not None:
                reason = "the project path is inside a checkout: set PROJECT_PATH to its top"
        facts["debug"] = bool(conf.read("DEBUG", False))
        reasons = {} if reason is None else {"scm": reason}
        if "error" in facts:
            reasons["ok"] = facts["error"]
        return Answer({name: facts[name] for name in CODE_FACTS if name in facts}, reasons)

    def public(self, value: Any) -> Any:
        shown = {name: value[name] for name in PUBLIC_FACTS if name in value}
        for name, entries in PUBLIC_ENTRIES.items():
            if name in shown:
                shown[name] = {entry: shown[name][entry] for entry in entries if entry in shown[name]}
        return shown

    def _facts_of(self, top: str) -> dict[str, Any]:
        if top in self._remembered:
            stamps, facts = self._remembered[top]
            if all(git.stamp(path) == before for path, before in stamps.items()):
                return copy.deepcopy(facts)
        checkout: git.Checkout | None = None
        try:
            checkout = git.read_checkout(top)
            stamps = checkout.stamps()
            settled = git.wait_until_settled(stamps)
            now = monotonic()
            end = deadline() or now + conf.timeout
            facts = {"scm": "git", **git.facts_of(checkout, now + GIT_SHARE * (end - now))}
            # What moved before its stamp was taken would never be noticed.
            settled = settled and git.read_checkout(top).stamps() == stamps
        except git.GitFailed as error:
            reason = str(error)
            if self._logged != reason:  # once for as long as the same thing goes wrong
                self._logged = reason
                log_failure("stats", "code", reason, error)
            return {"scm": "git", **(checkout.known_facts() if checkout else {}), **failure(reason)}
        self._logged = None
        if settled:
            if len(self._remembered) >= MAX_CHECKOUTS:
                self._remembered.clear()
            self._remembered[top] = stamps, facts
        return copy.deepcopy(facts)


code = Code()
