"""Git repositories for the tests, made with the real git in folders of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from git import Git

#: Nothing of the machine's own configuration, and a moment of our own.
ENVIRONMENT = {
    "PATH": os.environ.get("PATH", ""),
    "HOME": os.devnull,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ann Author",
    "GIT_AUTHOR_EMAIL": "ann@canary.example",
    "GIT_AUTHOR_DATE": "2024-02-03T04:05:06+05:30",
    "GIT_COMMITTER_NAME": "Carl Committer",
    "GIT_COMMITTER_EMAIL": "carl@canary.example",
    "GIT_COMMITTER_DATE": "2024-03-04T05:06:07-08:00",
    "LC_ALL": "C",
}


def folder(test: unittest.TestCase) -> Path:
    """A new folder that goes with the test."""
    path = Path(os.path.realpath(tempfile.mkdtemp(prefix="status-code-")))
    test.addCleanup(shutil.rmtree, path, ignore_errors=True)
    return path


def git(path: Path, *arguments: str, stdin: str | bytes = b"", check: bool = True, **environment: str) -> str:
    """What git prints in ``path``, without the last line's end."""
    done = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", "-C", str(path), *arguments],
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        env={**ENVIRONMENT, **environment},
        check=False,
    )
    if check and done.returncode:
        raise AssertionError(f"git {' '.join(arguments)}: {done.stderr.decode()}")
    return done.stdout.decode("utf-8", "replace").rstrip("\n") if not done.returncode else ""


def repository(path: Path, *, commits: int = 1, options: tuple[str, ...] = ()) -> Path:
    """A repository on branch ``main`` with empty commits."""
    path.mkdir(parents=True, exist_ok=True)
    git(path, "init", "--quiet", "--initial-branch=main", *options)
    for number in range(1, commits + 1):
        commit(path, f"Commit {number}")
    return path


def commit(path: Path, message: str = "Work", *options: str) -> str:
    """Commit nothing; the id of the commit."""
    git(path, "commit", "--quiet", "--allow-empty", "--no-gpg-sign", f"--message={message}", *options)
    return git(path, "rev-parse", "HEAD")


def as_git_prints(path: Path) -> dict[str, Any]:
    """The facts about the checkout in ``path``, each from the command a user would type."""
    facts: dict[str, Any] = {"debug": False, "scm": "git"}
    branch = git(path, "branch", "--show-current")
    if branch:
        upstream = git(path, "rev-parse", "--abbrev-ref", "--symbolic-full-name", "@{upstream}", check=False)
        facts["branch"] = {"local": branch, "remote": upstream or "unknown"}
    shown = git(path, "show", "--no-patch", "--encoding=UTF-8", "--format=%H%n%s%n%an%n%aI", "HEAD", check=False)
    if shown:
        facts["commit"] = dict(zip(("id", "summary", "author", "date"), shown.split("\n"), strict=True))
        facts["commit"]["date"] = facts["commit"]["date"].replace("Z", "+00:00")
        tag = git(path, "describe", "--tags", "--exact-match", check=False)
        if tag:
            facts["tag"] = tag
    return facts


def program(path: Path, script: str) -> Path:
    """An executable shell script."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def with_git(script: Path | str) -> Any:
    """GitPython runs ``script`` as git; to be used in a ``with`` statement."""
    return mock.patch.object(Git, "GIT_PYTHON_GIT_EXECUTABLE", str(script))


REAL_GIT = shutil.which("git") or "git"
