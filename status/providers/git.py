"""What git says about a checkout, asked of the git program with care.

Only commands that read references and commits; nothing that a repository configures (hooks, monitors, pagers, filters,
transports) is ever run. No shell, nothing from the environment's ``GIT_*``, and no process left behind.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from contextlib import suppress
from datetime import datetime
from typing import Any

from status.providers.checkout import Checkout


class GitFailed(Exception):
    """git gave no answer.

    reason: a sentence that is safe to show.
    detail: what git said, for the log alone.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}\n{detail}")
        self.reason = reason
        self.detail = detail


def git_facts(checkout: Checkout, until: float) -> dict[str, Any]:
    """``branch``, ``commit`` and ``tag`` of a checkout, in the shape of the answer; those that there are.

    until: when git must be done, on the clock of ``time.monotonic()``. Raises ``GitFailed``.
    """
    branch = _branch(checkout, until)
    facts: dict[str, Any] = {}
    if branch is not None:
        facts["branch"] = {"local": text(branch), "remote": _upstream(checkout, branch, until)}
    commit = _commit(checkout, until)
    if commit is not None:
        facts["commit"] = commit
        tag = _tag(checkout, commit["id"], until)
        if tag is not None:
            facts["tag"] = tag
    return facts


def known_facts(checkout: Checkout) -> dict[str, Any]:
    """The part of ``git_facts`` that files alone tell, for where git gives no answer."""
    facts: dict[str, Any] = {}
    branch = local_name(checkout.names[-1]) if checkout.names else None
    if branch is not None and not checkout.uses_reftable:
        facts["branch"] = {"local": text(branch), "remote": "unknown"}
    commit = checkout.known_commit()
    if commit is not None:
        facts["commit"] = {"id": commit}
    return facts


def _branch(checkout: Checkout, until: float) -> str | None:
    if checkout.uses_reftable:
        return local_name(os.fsdecode(_ask(checkout, until, "symbolic-ref", "--quiet", "HEAD", quiet=True)).strip())
    return local_name(checkout.names[-1]) if checkout.names else None


def _upstream(checkout: Checkout, branch: str, until: float) -> str:
    name = _ask(checkout, until, "for-each-ref", "--format=%(upstream)", f"refs/heads/{branch}").strip()
    # Not git's own short form, which changes with whatever else happens to have that name.
    return re.sub(r"^refs/(remotes/|heads/)?", "", text(os.fsdecode(name))) or "unknown"


def _commit(checkout: Checkout, until: float) -> dict[str, str] | None:
    """The commit at HEAD; None when the branch has none yet."""
    form = "--format=%H%x00%s%x00%an%x00%aI"
    try:
        output = _ask(checkout, until, "rev-list", "--max-count=1", "--encoding=UTF-8", form, "HEAD", "--")
    except GitFailed as error:
        if "bad revision 'HEAD'" in error.detail and checkout.names and checkout.known_commit() is None:
            return None
        raise
    # The first line is "commit <id>"; the option to leave it out came with git 2.33 only.
    fields = output.decode("utf-8", "replace").partition("\n")[2].rstrip("\n").split("\0")
    if len(fields) != 4:
        raise GitFailed("git cannot read the repository", repr(output))
    identity, summary, author, date = fields
    commit = {"id": identity, "summary": summary, "author": author}
    when = iso_date(date)
    return commit if when is None else {**commit, "date": when}


def _tag(checkout: Checkout, commit: str, until: float) -> str | None:
    """The tag at a commit; of several the newest annotated one, as ``git describe`` chooses."""
    name = _ask(checkout, until, "describe", "--tags", "--exact-match", commit, quiet=True).strip()
    suffix = re.search(rb"-0-g([0-9a-f]+)$", name)
    if suffix is not None and commit.encode().startswith(suffix[1]):
        # The tag was renamed, and describe tells the old name. Slow with very many tags, but rare.
        wanted = ("--points-at", commit, "--sort=-taggerdate", "--count=1", "--format=%(refname:lstrip=2)", "refs/tags")
        name = _ask(checkout, until, "for-each-ref", *wanted).strip()
    return text(os.fsdecode(name)) or None


def _ask(checkout: Checkout, until: float, *arguments: str, quiet: bool = False) -> bytes:
    """What git prints. ``quiet`` takes an error for no answer, as commands mean it that find nothing."""
    # The variable of GitPython, which the classic app asked: whoever set it means the same program.
    program = os.environ.get("GIT_PYTHON_GIT_EXECUTABLE") or "git"
    command = [program, "--no-pager", "-C", checkout.top, *arguments]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(checkout.top),
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise GitFailed("git not available: install it, or record the build when it is made", str(error)) from error
    except OSError as error:
        raise GitFailed(f"git not available: {type(error).__name__}", str(error)) from error
    with process:
        try:
            output, errors = process.communicate(timeout=max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise GitFailed("git did not answer in time", " ".join(arguments)) from error
        finally:
            _end(process)
    if process.returncode == 0:
        return output
    if quiet:
        return b""
    raise _failure(errors.decode("utf-8", "replace"))


def _failure(errors: str) -> GitFailed:
    errors = without_login(errors)
    if "dubious ownership" in errors or "safe.directory" in errors:
        hint = "git config --global --add safe.directory <project path>"
        return GitFailed(f"git does not trust the checkout, as it belongs to another user; to trust it: {hint}", errors)
    return GitFailed("git cannot read the repository", errors)


def _environment(top: str) -> dict[str, str]:
    """The environment without what steers git elsewhere, and with what keeps it here."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment.update(
        LC_ALL="C",
        LANGUAGE="C",
        # A repository may name a program that fetches what it lacks. No transport is allowed, so none is started.
        GIT_ALLOW_PROTOCOL="none",
        GIT_NO_LAZY_FETCH="1",
        # Where the repository turns out to be none for git, the one above must not answer in its place.
        GIT_CEILING_DIRECTORIES=os.path.realpath(os.path.dirname(top)),
    )
    return environment


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what still runs, and what it started: git may be a script around the real one."""
    if process.returncode is None:
        if not hasattr(os, "killpg"):  # pragma: no cover - Windows has no process groups to kill
            process.kill()
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        # Leaving the ``with`` block by an interrupt does not wait.
        process.wait()


def without_login(address: str) -> str:
    """The text without what stands before the host in the URLs in it, which may be a password."""
    return re.sub(r"//[^/\s]*@", "//", address)


def local_name(name: str) -> str | None:
    """A branch as users name it; None for a reference that is no branch."""
    return name[len("refs/heads/") :] if name.startswith("refs/heads/") else None


def text(name: str) -> str:
    """A name from the file system as valid Unicode."""
    return os.fsencode(name).decode("utf-8", "replace")


def iso_date(date: str) -> str | None:
    """A date as ISO 8601 with its offset in digits; None for anything else."""
    if date.endswith("Z"):
        date = f"{date[:-1]}+00:00"
    try:
        return None if datetime.fromisoformat(date).tzinfo is None else date
    except ValueError:
        return None
