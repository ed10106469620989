"""The code of the project: as it is on disk, and as it was when this process started, which is what runs.

``AppConfig.ready()`` notes it, and without a Django project the first question. A forked worker shares what its parent
noted, as it shares the code.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from status.conf import conf
from status.providers import git
from status.providers.build import RECORDS, build_facts

#: What is said where the path of the code is relative to what is not there.
NO_DIRECTORY = "the working directory does not exist any more"


class Code:
    """What files and environment variables told about the code at one time.

    path: the absolute path of the code.
    recorded: ``branch``, ``commit``, ``tag`` and ``build``, as they were written down when it was built.
    checkout: the checkout that tells the commit; None where the record does, or where there is none.
    head: the commit and the branch; None where only git knows, which is asked with the first question.
    reason: why no commit is known; None where one may be.
    """

    def __init__(
        self,
        path: str,
        recorded: dict[str, Any],
        checkout: git.Checkout | None,
        head: git.Head | None,
        reason: str | None,
    ) -> None:
        self.path, self.recorded, self.checkout, self.head, self.reason = path, recorded, checkout, head, reason

    def facts(self) -> dict[str, Any]:
        """Return what is known without git."""
        from_files = self.head.facts() if self.head is not None and self.checkout is not None else {}
        has_commit = self.checkout is not None or "commit" in self.recorded
        return {**self.recorded, **from_files, **({"scm": "git"} if has_commit else {})}

    def find_head(self) -> git.Head:
        """Return the commit and the branch, asking git where only it knows. Raises ``GitFailed``."""
        if self.head is None and self.checkout is not None:
            return git.ask_head(self.checkout)
        return self.head or git.Head()

    def changed_at(self) -> float | None:
        """Return when the files that tell the commit last changed, in seconds since the epoch; None without files."""
        records = [os.path.join(self.path, name) for name in RECORDS]
        stamps = map(git.stamp, self.checkout.head_paths() if self.checkout else records)
        return max((stamp[1] / 1e9 for stamp in stamps if stamp is not None), default=None)


#: What runs, by path and by whether the checkout may be a directory above.
_running: dict[tuple[str, bool], Code] = {}


def read_code(path: str, environment: Mapping[str, str], parents: bool) -> Code:
    """Read what files and variables tell about the code at an absolute path, and with ``parents`` in a checkout above.

    Never waits. Raises ``GitFailed``.
    """
    recorded, reason = build_facts(path, environment)
    if "commit" in recorded:
        branch = recorded.get("branch", {}).get("local")
        return Code(path, recorded, None, git.Head(recorded["commit"]["id"], branch), None)
    if (top := git.find_checkout(path, parents)) is not None:
        checkout = git.read_checkout(top)
        return Code(path, recorded, checkout, checkout.head(), None)
    if git.find_checkout(path, parents=True) is not None:
        reason = "the project path is inside a checkout: set PROJECT_PATH to its top"
    return Code(path, recorded, None, git.Head(), reason)


def running_code(path: str, parents: bool) -> Code:
    """Return what the code at an absolute path was at the start, or when first asked about. Raises ``GitFailed``."""
    if (path, parents) not in _running:
        _running.setdefault((path, parents), read_code(path, os.environ, parents))
    return _running[path, parents]


def note_running_code() -> None:
    """Note the code of the project as what runs. Runs no program, and never raises."""
    with suppress(Exception):  # whatever it is, it happens again with the first question, which reports it
        path = os.path.abspath(conf.project_path)
        for parents in (False, True):
            running_code(path, parents)
