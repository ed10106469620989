"""What git says about a checkout, asked through GitPython, and what the files of the checkout tell without it.

The checkout holds the code that runs, so its configuration is trusted as that code is. No hook runs and nothing is
fetched. GitPython ends a git that hangs; where it cannot, the engine leaves it behind.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from status.exceptions import StatusError
from status.providers.base import seconds_left

if TYPE_CHECKING:
    from git import Repo

#: The part of the time left that git may use, so that there is time to end it and to answer when it hangs.
GIT_SHARE = 0.75
#: Nanoseconds within which two changes may carry the same time: one tick of a slow kernel clock.
TICK = 10_000_000
#: The same where the file system counts whole seconds (FAT counts in twos).
COARSE_TICK = 2_000_000_000

#: Nothing is locked, asked of a user, or fetched (older gits do not know GIT_NO_LAZY_FETCH), nor replaced elsewhere.
ENVIRONMENT = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_REPLACE_REF_BASE": "refs/replace/",
}

#: Options of "git log" for one commit.
LOG: dict[str, Any] = {"max_count": 1, "no_show_signature": True}
#: What HEAD names for programs that do not know reftables, where references are in those.
REFTABLES = "refs/heads/.invalid"
COMMIT_ID = re.compile(rb"[0-9a-f]{40}|[0-9a-f]{64}")
#: Bytes; more of a file of packed references is not read.
MAX_PACKED = 1 << 26

#: What tells one state of a file from the next; None where there is no file.
Stamp = tuple[int, ...] | None


class GitFailed(StatusError):
    """Git, or the files of a checkout, gave no answer. The text is safe to show; the cause is for the log."""


class Head(NamedTuple):
    """Where a checkout is: its commit, None where there is none yet, and its branch, None where HEAD is detached."""

    commit: str | None = None
    branch: str | None = None

    def facts(self) -> dict[str, Any]:
        """Return ``branch`` and ``commit`` as far as they are known without git."""
        facts: dict[str, Any] = {}
        if self.branch is not None:
            facts["branch"] = {"local": as_unicode(self.branch), "remote": "unknown"}
        if self.commit is not None:
            facts["commit"] = {"id": self.commit}
        return facts

    def names(self) -> dict[str, str]:
        """Return ``id`` and ``branch``, those that there are."""
        names = {} if self.commit is None else {"id": self.commit}
        return names if self.branch is None else {**names, "branch": as_unicode(self.branch)}


class Checkout(NamedTuple):
    """A repository as its files describe it.

    top: absolute path of the directory in which git is asked.
    git_dir: what belongs to this working tree alone, such as HEAD.
    common_dir: what all working trees of the repository share, such as branches and tags.
    names: the references from HEAD on, one pointing at the next; empty when HEAD is detached.
    loose_commit: what the last of them holds; None when it is packed, or the branch has no commit.
    """

    top: str
    git_dir: str
    common_dir: str
    names: tuple[str, ...]
    loose_commit: str | None

    def head(self) -> Head | None:
        """Return the commit and the branch at HEAD; None where only git can read the references."""
        if self.names[-1:] == (REFTABLES,):
            return None
        commit = self.loose_commit
        if commit is None:
            packed = read_start(os.path.join(self.common_dir, "packed-refs"), MAX_PACKED) or b""
            # Sought as plain bytes, since a regular expression takes 5 ms for each megabyte.
            name = b" " + os.fsencode(self.names[-1])
            end = packed.find(name + b"\n")
            if end < 0:
                end = max(packed.find(name + b"\r\n"), 0)
            packed_commit = packed[packed.rfind(b"\n", 0, end) + 1 : end]
            commit = packed_commit.decode() if COMMIT_ID.fullmatch(packed_commit) else None
        return Head(commit, branch_name(self.names[-1]) if self.names else None)

    def head_paths(self) -> list[str]:
        """Return the files that tell where HEAD is: all of them change when it moves, or some."""
        shared = [*self.names, *(["packed-refs"] if self.loose_commit is None else [])]
        paths = [os.path.join(self.git_dir, name) for name in ("HEAD", "reftable/tables.list")]
        return paths + [os.path.join(self.common_dir, name) for name in shared]

    def stamps(self) -> dict[str, Stamp]:
        """Return the stamps of all files and folders one of which changes whenever an answer of git does."""
        paths = [*self.head_paths(), os.path.join(self.git_dir, "config.worktree")]
        shared = ("config", "packed-refs", "reftable/tables.list", "refs/tags")
        paths += [os.path.join(self.common_dir, name) for name in shared]
        if os.path.isfile(dot_git := os.path.join(self.top, ".git")):
            paths.append(dot_git)
        # A tag is written beside its place and renamed into it, which changes the folder. Folders of tags may nest.
        for folder, children, _ in os.walk(os.path.join(self.common_dir, "refs/tags")):
            paths += [os.path.join(folder, child) for child in children]
        return {path: stamp(path) for path in paths}


def find_checkout(directory: str, parents: bool) -> str | None:
    """Return ``directory`` if it is a checkout or a bare repository; with ``parents``, else the nearest above."""
    for folder in [directory, *map(str, Path(directory).parents)] if parents else [directory]:
        if os.path.lexists(os.path.join(folder, ".git")):
            return folder
        if all(os.path.exists(os.path.join(folder, name)) for name in ("HEAD", "objects", "refs")):
            return folder
    return None


def read_checkout(top: str) -> Checkout:
    """Read what the files of the checkout in the directory ``top`` tell. Never waits. Raises ``GitFailed``.

    The files are described in https://git-scm.com/docs/gitrepository-layout
    """
    dot_git = os.path.join(top, ".git")
    git_dir = dot_git if os.path.lexists(dot_git) else top
    if os.path.isfile(dot_git):  # in worktrees and submodules
        git_dir = os.path.normpath(os.path.join(top, (_content(dot_git) or "").removeprefix("gitdir: ")))
    common_dir = os.path.normpath(os.path.join(git_dir, _content(os.path.join(git_dir, "commondir")) or "."))
    head = os.path.join(git_dir, "HEAD")
    # git once made HEAD as a link to the branch.
    content = f"ref: {os.readlink(head)}" if os.path.islink(head) else _content(head)
    if content is None:
        raise GitFailed("the .git at the project path is no readable repository")
    names: list[str] = []
    while content is not None and content.startswith("ref:"):
        name = content[4:].strip()
        if not name.startswith("refs/") or ".." in name or len(names) == 5:  # as git has it
            raise GitFailed("HEAD of the repository is corrupt")
        names.append(name)
        content = _content(os.path.join(common_dir, name))
    if content is not None and not COMMIT_ID.fullmatch(os.fsencode(content)):
        raise GitFailed(f"{'the branch' if names else 'HEAD'} of the repository is corrupt")
    return Checkout(top, git_dir, common_dir, tuple(names), content)


def read_start(path: str, limit: int) -> bytes | None:
    """Return the first bytes of a file; None where there is none. Never waits, as opening a named pipe would."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            # A buffer of the size that is asked for is made first. Where the size is not known, it is 0.
            return os.read(descriptor, min(limit, os.fstat(descriptor).st_size or limit))
        finally:
            os.close(descriptor)
    except OSError:
        return None


def _content(path: str) -> str | None:
    content = read_start(path, 4_096)
    return None if content is None or b"\0" in content else os.fsdecode(content).strip()


def stamp(path: str) -> Stamp:
    """Return what tells the present state of a file or folder from the next."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size


def wait_until_settled(stamps: dict[str, Stamp]) -> bool:
    """Wait until another change would carry another time. Return False where that takes too long to wait for.

    git calls a file that is too fresh a racy one: https://git-scm.com/docs/racy-git
    """
    newest = max((stamp[1] for stamp in stamps.values() if stamp is not None), default=0)
    missing = newest + (TICK if newest % 1_000_000_000 else COARSE_TICK) - time.time_ns()
    if missing <= TICK:
        time.sleep(max(0, missing) / 1e9)
    return missing <= TICK


@contextmanager
def _asking(checkout: Checkout) -> Iterator[Callable[..., str]]:
    """Yield ``_run_git`` for a checkout, in time for the run in this thread. Raises ``GitFailed``."""
    until = monotonic() + GIT_SHARE * seconds_left()
    # Quiet means that a missing git is told by the first question.
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    # Late, and in the thread of the check: importing GitPython takes 60 ms and runs "git version", which may hang.
    try:
        from git import GitCommandNotFound, Repo
    except Exception as error:
        raise GitFailed(f"git not available: GitPython cannot be imported ({type(error).__name__})") from error
    try:
        with Repo(checkout.top, expand_vars=False) as repo:
            repo.git.update_environment(
                # In place of variables that would lead to another repository, such as git sets for hooks.
                GIT_COMMON_DIR=checkout.common_dir,
                GIT_OBJECT_DIRECTORY=os.path.join(checkout.common_dir, "objects"),
                GIT_WORK_TREE=checkout.top,
                **ENVIRONMENT,
            )
            yield partial(_run_git, repo, until)
    except GitCommandNotFound as error:
        raise GitFailed("git not available: install it, or record the build when it is made") from error
    except PermissionError as error:
        raise GitFailed(f"git not available: {type(error).__name__}") from error
    except Exception as error:  # also what GitPython raises at broken files, such as errors of configparser
        reason = "git cannot read the repository" if monotonic() < until else "git did not answer in time"
        raise GitFailed(reason) from error


def ask_head(checkout: Checkout) -> Head:
    """Ask git for the commit and the branch at HEAD. Raises ``GitFailed``."""
    with _asking(checkout) as ask:
        branch = branch_name(ask("symbolic_ref", "HEAD", quiet=True, no_answer=""))
        commit = ask("log", "HEAD", "--", format="%H", **LOG, no_answer="bad revision 'HEAD'")
    return Head(commit or None, branch)


def facts_of(checkout: Checkout, head: Head, lacking: bool) -> dict[str, Any]:
    """Ask git for ``branch``, ``commit`` and ``tag`` of ``head``; return those that there are. Raises ``GitFailed``.

    lacking: whether the repository may lack the commit; what is known without it is returned then.
    """
    facts = head.facts()
    with _asking(checkout) as ask:
        if head.branch is not None:
            upstream = ask("for_each_ref", f"refs/heads/{head.branch}", format="%(upstream)")
            # Not git's own short form, which changes with whatever else happens to have that name.
            remote = re.sub(r"^refs/(remotes/|heads/)?", "", as_unicode(upstream))
            facts["branch"]["remote"] = remote or "unknown"
        if head.commit is None:  # the branch has no commit yet
            return facts
        options = {**LOG, "encoding": "UTF-8", "no_answer": "bad object" if lacking else None}
        output = ask("log", head.commit, "--", format="%H%x00%s%x00%an%x00%aI", **options)
        if not output:
            return facts
        commit, summary, author, date = as_unicode(output).split("\0")
        facts["commit"] = {"id": commit, "summary": summary, "author": author}
        if when := iso_date(date):
            facts["commit"]["date"] = when
        # Of several tags the newest annotated one.
        tag = ask("describe", commit, tags=True, exact_match=True, no_answer="")
        suffix = re.search(r"-0-g([0-9a-f]+)$", tag)
        if suffix is not None and commit.startswith(suffix[1]):
            # The tag was renamed, and describe tells the old name. Slow with very many tags, but rare.
            newest = {"points_at": commit, "sort": "-taggerdate", "count": "1"}
            tag = ask("for_each_ref", "refs/tags", format="%(refname:lstrip=2)", **newest)
        if tag:
            facts["tag"] = as_unicode(tag)
    return facts


def _run_git(
    repo: Repo, until: float, command: str, *arguments: str, no_answer: str | None = None, **options: Any
) -> str:
    """Return what git prints. Raises RuntimeError with what git says where it fails, and what GitPython raises.

    no_answer: what git says where there is nothing to find, which is answered ``""``.
    """
    # With the git directory named, git obeys neither GIT_DIR nor who owns the files.
    run = getattr(repo.git(git_dir=repo.git_dir), command)
    seconds = until - monotonic()
    if seconds <= 0:
        raise TimeoutError("no time is left to ask git")
    # GitPython cannot end a git that hangs on Windows.
    options["kill_after_timeout"] = None if sys.platform == "win32" else seconds
    status, output, errors = run(*arguments, with_extended_output=True, with_exceptions=False, **options)
    if status == 0:
        return str(output)
    if no_answer is not None and no_answer in errors and monotonic() < until:
        return ""
    raise RuntimeError(errors)


def branch_name(reference: str) -> str | None:
    """Return a branch as users name it; None for a reference that is no branch."""
    return reference.removeprefix("refs/heads/") if reference.startswith("refs/heads/") else None


def as_unicode(name: str) -> str:
    """Return what was decoded as the names of files are as valid Unicode."""
    return os.fsencode(name).decode("utf-8", "replace")


def iso_date(date: str) -> str | None:
    """Return a date as ISO 8601 with its offset in digits; None for anything else."""
    date = date.replace("Z", "+00:00")
    try:
        return None if datetime.fromisoformat(date).tzinfo is None else date
    except ValueError:
        return None
