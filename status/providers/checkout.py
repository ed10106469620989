"""Where a git checkout keeps what it is at, read without git: enough to notice that it moved."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

from status.exceptions import StatusError

#: Files that hold a reference, or the way to one, are tiny; anything larger is something else.
SMALL = 4_096
#: References may point at references; git stops at five too.
MAX_HOPS = 5
#: Nanoseconds within which two changes may carry the same time: one tick of a slow kernel clock.
TICK = 10_000_000
#: The same where the file system counts whole seconds (FAT counts in twos).
COARSE_TICK = 2_000_000_000

COMMIT_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
#: What HEAD holds where references are kept in reftables, for programs that do not know those.
REFTABLE = "refs/heads/.invalid"

Stamp = tuple[int, ...]


class Broken(StatusError):
    """There is a repository, but not one that can be read; ``reason`` says why, and is safe to show."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Checkout:
    """A repository as its files describe it.

    top: the directory to ask git in, absolute.
    git_dir: what belongs to this working tree alone, such as HEAD.
    common_dir: what all working trees of the repository share, such as branches and tags.
    names: the references from HEAD on, one pointing at the next; empty when HEAD is detached.
    commit: what the last of them holds; None when there is no such file, as it is packed or not born.
    """

    top: str
    git_dir: str
    common_dir: str
    names: tuple[str, ...]
    commit: str | None

    @property
    def uses_reftable(self) -> bool:
        return REFTABLE in self.names

    def known_commit(self) -> str | None:
        """The commit HEAD stands at, as far as files tell; None on a branch without one, and in reftables."""
        if self.commit is not None or not self.names:
            return self.commit
        try:
            with open(os.path.join(self.common_dir, "packed-refs"), "rb") as file:
                packed = file.read()
        except OSError:
            return None
        line = rb"^([0-9a-f]{40,64}) " + re.escape(os.fsencode(self.names[-1])) + rb"\r?$"
        match = re.search(line, packed, re.MULTILINE)
        return match[1].decode() if match else None

    def watched(self) -> Iterator[str]:
        """Every file and folder one of which changes whenever HEAD, its branch, a tag or an upstream does."""
        yield os.path.join(self.git_dir, "HEAD")
        yield os.path.join(self.git_dir, "config.worktree")
        for name in ("config", "packed-refs", *self.names):
            yield os.path.join(self.common_dir, name)
        for folder in {self.git_dir, self.common_dir}:
            yield os.path.join(folder, "reftable", "tables.list")
        if os.path.isfile(os.path.join(self.top, ".git")):
            yield os.path.join(self.top, ".git")
        tags = os.path.join(self.common_dir, "refs", "tags")
        yield tags
        # A tag is written beside its place and renamed into it, which changes the folder. Folders of tags may nest.
        for folder, children, _ in os.walk(tags):
            yield from (os.path.join(folder, child) for child in children)


def locate(path: str | os.PathLike[str], parents: bool) -> str | None:
    """The directory ``path`` if it is a checkout or a bare repository; with ``parents``, else the nearest one above."""
    top = os.path.abspath(path)
    while not _is_repository(top):
        above = os.path.dirname(top)
        if not parents or above == top:
            return None
        top = above
    return top


def _is_repository(top: str) -> bool:
    if os.path.lexists(os.path.join(top, ".git")):
        return True
    bare = [os.path.join(top, name) for name in ("HEAD", "objects", "refs")]
    return all(map(os.path.exists, bare))


def read_checkout(top: str) -> Checkout:
    """The checkout in the directory ``top``. Raises ``Broken``."""
    git_dir = _git_dir(top)
    common = small_text(os.path.join(git_dir, "commondir"))
    common_dir = os.path.normpath(os.path.join(git_dir, common)) if common else git_dir
    head = os.path.join(git_dir, "HEAD")
    try:
        # As git once wrote it: a link to the branch.
        content: str | None = f"ref: {os.readlink(head)}"
    except OSError:
        content = small_text(head)
    if content is None:
        raise Broken("the .git at the project path is no readable repository")
    names: list[str] = []
    while content is not None and content.startswith("ref:"):
        name = content[4:].strip()
        if not name.startswith("refs/") or ".." in name or len(names) == MAX_HOPS:
            raise Broken("HEAD of the repository is corrupt")
        names.append(name)
        content = small_text(os.path.join(common_dir, name))
    if content is not None and not COMMIT_ID.fullmatch(content):
        raise Broken(f"{'the branch' if names else 'HEAD'} of the repository is corrupt")
    return Checkout(top, git_dir, common_dir, tuple(names), content)


def _git_dir(top: str) -> str:
    dot_git = os.path.join(top, ".git")
    if os.path.isdir(dot_git):
        return dot_git
    if not os.path.lexists(dot_git):
        return top
    # A file, in worktrees and submodules (https://git-scm.com/docs/gitrepository-layout).
    content = small_text(dot_git)
    if content is None or not content.startswith("gitdir: "):
        raise Broken("the .git at the project path is no readable repository")
    return os.path.normpath(os.path.join(top, content[8:]))


def small_text(path: str, limit: int = SMALL) -> str | None:
    """What a small text file holds; None where there is none. Never waits, as opening a named pipe would."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            content = os.read(descriptor, limit)
        finally:
            os.close(descriptor)
    except OSError:
        return None
    return None if b"\0" in content else os.fsdecode(content).strip()


def stamps(paths: tuple[str, ...]) -> tuple[Stamp | None, ...]:
    """What tells one state of each file from the next; None where there is no file."""
    return tuple(map(_stamp, paths))


def _stamp(path: str) -> Stamp | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size


def wait_until_settled(state: tuple[Stamp | None, ...]) -> bool:
    """Wait until another change would carry another time. False where that takes too long to wait for.

    What git calls a racy file: https://git-scm.com/docs/racy-git
    """
    newest = max((stamp[1] for stamp in state if stamp is not None), default=0)
    tick = TICK if newest % 1_000_000_000 else COARSE_TICK
    missing = newest + tick - time.time_ns()
    if 0 < missing <= TICK:
        time.sleep(missing / 1e9)
        return True
    return missing <= 0
