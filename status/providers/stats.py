"""Facts about the code that runs: the debug switch, and what it was built or checked out from."""

from __future__ import annotations

import copy
import os
from time import monotonic
from typing import Any

from status.conf import conf
from status.providers.base import Answer, Provider, deadline
from status.providers.build import build_facts
from status.providers.checkout import (
    Broken,
    Checkout,
    Stamp,
    locate,
    read_checkout,
    stamps,
    wait_until_settled,
)
from status.providers.git import GitFailed, git_facts, known_facts
from status.report import failure

#: The part of the time left that git may use, so that it is gone by the deadline and can be answered for.
SHARE = 0.9
#: Checkouts whose facts are remembered at a time; a project has one.
REMEMBERED = 16
#: The answer in the order it is shown.
ORDER = ("debug", "scm", "branch", "commit", "tag", "build", "ok", "error")
#: What a stranger may see of it: of an object its named entries, of anything else all.
PUBLIC: dict[str, tuple[str, ...]] = {
    "debug": (),
    "scm": (),
    "branch": ("local",),
    "commit": ("id", "summary", "date"),
    "tag": (),
    "ok": (),
    "error": (),
}


class Code(Provider):
    """``{"debug": false, "scm": "git", "branch": {...}, "commit": {...}, "tag": "v1.2.0"}``.

    Facts that were written down when the project was built come first (``build_facts``); where they do not name the
    commit, git is asked, and its answer remembered until the checkout moves. Where git fails, the answer holds what is
    known without it, ``"ok": false``, and as ``error`` a sentence that says why.
    """

    def __init__(self) -> None:
        self._remembered: dict[str, tuple[tuple[str, ...], tuple[Stamp | None, ...], dict[str, Any]]] = {}
        self._logged: str | None = None

    def check(self, path: str | os.PathLike[str] | None = None, *, parents: bool = False) -> Answer:
        """Answer for the project.

        path: another directory to answer for; the environment, which tells about the project, is then left alone.
        parents: whether the checkout may be a directory above as well.
        """
        facts: dict[str, Any] = {}
        reasons: dict[str, str] = {}
        try:
            directory = os.path.abspath(conf.project_path if path is None else path)
        except FileNotFoundError:
            reasons["scm"] = "the working directory does not exist any more"
        else:
            facts = build_facts(directory, os.environ if path is None else {})
            if "commit" in facts:
                facts["scm"] = "git"
            else:
                top = locate(directory, parents)
                if top is not None:
                    facts.update(self._facts_of(top))
                elif locate(directory, parents=True) is not None:
                    reasons["scm"] = "the project path is inside a checkout: set PROJECT_PATH to its top"
        facts["debug"] = bool(conf.read("DEBUG", False))
        if "error" in facts:
            reasons["ok"] = facts["error"]
        return Answer({name: facts[name] for name in ORDER if name in facts}, reasons)

    def public(self, value: Any) -> Any:
        shown = {name: value[name] for name in PUBLIC if name in value}
        for name, entries in PUBLIC.items():
            if entries and name in shown:
                shown[name] = {entry: shown[name][entry] for entry in entries if entry in shown[name]}
        return shown

    def _facts_of(self, top: str) -> dict[str, Any]:
        if top in self._remembered:
            watched, state, facts = self._remembered[top]
            if stamps(watched) == state:
                return copy.deepcopy(facts)
        checkout: Checkout | None = None
        try:
            checkout = read_checkout(top)
            watched = tuple(checkout.watched())
            state = stamps(watched)
            settled = wait_until_settled(state)
            # Again: what moved until its stamp was taken would never be noticed.
            checkout = read_checkout(top)
            settled = settled and tuple(checkout.watched()) == watched
            facts = {"scm": "git", **git_facts(checkout, _git_deadline())}
        except (Broken, GitFailed) as error:
            return self._failed(error, checkout)
        self._logged = None
        if settled:
            if len(self._remembered) >= REMEMBERED:
                self._remembered.clear()
            self._remembered[top] = watched, state, facts
        return copy.deepcopy(facts)

    def _failed(self, error: Broken | GitFailed, checkout: Checkout | None) -> dict[str, Any]:
        """What is known all the same, after a line in the log: once for as long as the same thing goes wrong."""
        if self._logged != error.reason:
            self._logged = error.reason
            # Late: most processes never log a failure.
            from status.logs import log_failure

            log_failure("stats", "code", error.reason, error)
        return {"scm": "git", **(known_facts(checkout) if checkout else {}), **failure(error.reason)}


def _git_deadline() -> float:
    now = monotonic()
    end = deadline()
    return now + SHARE * (conf.timeout if end is None else end - now)


code = Code()
