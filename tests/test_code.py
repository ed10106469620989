from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from django.test import SimpleTestCase, override_settings

from status.providers.base import Answer
from status.providers.build import VARIABLES
from status.providers.code import _running, note_running_code
from status.providers.git import TICK, Head, read_checkout, wait_until_settled
from status.providers.health import code as code_health
from status.providers.stats import MAX_CHECKOUTS, CodeFacts, code
from tests.components import EnteringTestCase
from tests.repositories import REAL_GIT, as_git_prints, commit, folder, git, program, repository, with_git

Build = Callable[[Path], Path]


def linear(root: Path) -> Path:
    return repository(root, commits=3)


def detached(root: Path) -> Path:
    git(repository(root, commits=2), "checkout", "--quiet", "--detach", "HEAD~1")
    return root


def unborn(root: Path) -> Path:
    return repository(root, commits=0)


def orphan(root: Path) -> Path:
    git(repository(root), "checkout", "--quiet", "--orphan", "new/start")
    return root


def packed(root: Path) -> Path:
    git(repository(root, commits=3), "tag", "v1", "HEAD")
    git(root, "gc", "--quiet")
    return root


def packed_and_detached(root: Path) -> Path:
    git(packed(root), "checkout", "--quiet", "--detach")
    return root


def tracking(root: Path) -> Path:
    origin = repository(root / "origin", commits=2)
    git(root, "clone", "--quiet", str(origin), "clone")
    return root / "clone"


def tracking_another_name(root: Path) -> Path:
    clone = tracking(root)
    git(clone, "checkout", "--quiet", "-b", "topic/deep/er", "--track", "origin/main")
    return clone


def tracking_a_local_branch(root: Path) -> Path:
    git(repository(root), "checkout", "--quiet", "-b", "topic", "--track", "main")
    return root


def shallow(root: Path) -> Path:
    origin = repository(root / "origin", commits=5)
    git(root, "clone", "--quiet", "--depth=1", f"file://{origin}", "clone")
    return root / "clone"


def single_tag_clone(root: Path) -> Path:
    origin = repository(root / "origin", commits=2)
    git(origin, "tag", "v2")
    commit(origin)
    git(root, "clone", "--quiet", "--branch=v2", "--depth=1", f"file://{origin}", "clone")
    return root / "clone"


def partial_clone(root: Path) -> Path:
    origin = repository(root / "origin", commits=2)
    git(origin, "config", "uploadpack.allowFilter", "true")
    git(root, "clone", "--quiet", "--filter=tree:0", "--no-checkout", f"file://{origin}", "clone")
    return root / "clone"


def bare(root: Path) -> Path:
    origin = repository(root / "origin", commits=2)
    git(root, "clone", "--quiet", "--bare", str(origin), "bare.git")
    return root / "bare.git"


def mirror(root: Path) -> Path:
    origin = repository(root / "origin", commits=2)
    git(origin, "tag", "v1")
    git(root, "clone", "--quiet", "--mirror", str(origin), "mirror.git")
    return root / "mirror.git"


def worktree(root: Path) -> Path:
    main = repository(root / "main", commits=2)
    git(main, "worktree", "add", "--quiet", "-b", "beside", str(root / "beside"), "HEAD~1")
    git(main, "tag", "at-beside", "beside")
    return root / "beside"


def worktree_of_bare(root: Path) -> Path:
    git(bare(root), "worktree", "add", "--quiet", "-b", "beside", str(root / "beside"))
    return root / "beside"


def submodule(root: Path) -> Path:
    inner = repository(root / "inner", commits=2)
    outer = repository(root / "outer")
    git(outer, "submodule", "--quiet", "add", str(inner), "sub")
    return outer / "sub"


def separate_git_dir(root: Path) -> Path:
    return repository(root / "work", options=(f"--separate-git-dir={root / 'elsewhere'}",))


def annotated_tag(root: Path) -> Path:
    git(repository(root), "tag", "-a", "-m", "Release", "v1.2.0")
    return root


def nested_tag_names(root: Path) -> Path:
    git(repository(root, commits=2), "tag", "release/2024/v1")
    git(root, "tag", "release/2023/v1", "HEAD~1")
    return root


def tag_of_a_tag(root: Path) -> Path:
    git(annotated_tag(root), "tag", "-a", "-m", "Again", "twice", "v1.2.0", GIT_COMMITTER_DATE="2025-01-01T00:00:00Z")
    git(root, "tag", "--delete", "v1.2.0")
    return root


def several_tags(root: Path) -> Path:
    repository(root)
    for name in ("a-light", "z-light"):
        git(root, "tag", name)
    git(root, "tag", "-a", "-m", "rc", "v1-rc", GIT_COMMITTER_DATE="2024-01-01T00:00:00Z")
    git(root, "tag", "-a", "-m", "final", "v1", GIT_COMMITTER_DATE="2024-01-02T00:00:00Z")
    return root


def several_light_tags(root: Path) -> Path:
    repository(root)
    for name in ("v1.10", "v1.9", "v1.9-rc1"):
        git(root, "tag", name)
    return root


def tag_of_a_tree(root: Path) -> Path:
    git(repository(root), "tag", "not-a-commit", "HEAD^{tree}")
    return root


def tag_of_nothing(root: Path) -> Path:
    git(repository(root), "tag", "good")
    (root / ".git/refs/tags/bad").write_text("1" * 40 + "\n")
    return root


def sha256(root: Path) -> Path:
    git(repository(root, commits=2, options=("--object-format=sha256",)), "tag", "v1")
    return root


def sha256_packed(root: Path) -> Path:
    git(sha256(root), "gc", "--quiet")
    return root


def latin_1_message(root: Path) -> Path:
    repository(root)
    git(root, "config", "i18n.commitEncoding", "ISO-8859-1")
    message = root / "message"
    message.write_bytes("Grüße aus Köln\n\nUnd mehr".encode("latin-1"))
    git(root, "commit", "--quiet", "--allow-empty", f"--file={message}")
    return root


def message_of_wrong_bytes(root: Path) -> Path:
    tree = git(repository(root), "rev-parse", "HEAD^{tree}")
    raw = f"tree {tree}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\n".encode() + b"\xff\xfe <script>\n"
    git(root, "reset", "--soft", git(root, "hash-object", "-t", "commit", "-w", "--stdin", stdin=raw))
    return root


def folded_subject(root: Path) -> Path:
    commit(repository(root), "A subject\nof two lines\n\nand a body")
    return root


def empty_message(root: Path) -> Path:
    commit(repository(root), "", "--allow-empty-message")
    return root


def utc_date(root: Path) -> Path:
    repository(root)
    commit(root, "Noon", "--date=2024-06-01T12:00:00Z")
    return root


def symbolic_branch(root: Path) -> Path:
    git(repository(root, commits=2), "symbolic-ref", "refs/heads/alias", "refs/heads/main")
    git(root, "symbolic-ref", "HEAD", "refs/heads/alias")
    return root


def head_is_a_link(root: Path) -> Path:
    head = repository(root) / ".git/HEAD"
    head.unlink()
    head.symlink_to("refs/heads/main")
    return root


def unusual_names(root: Path) -> Path:
    git(repository(root / "Ünï cödé: 'x' $HOME"), "checkout", "--quiet", "-b", "zweig/ärger-<b>&'")
    git(root / "Ünï cödé: 'x' $HOME", "tag", "märz/€1")
    return root / "Ünï cödé: 'x' $HOME"


def in_the_middle_of_a_rebase(root: Path) -> Path:
    repository(root, commits=2)
    git(root, "rebase", "--quiet", "-x", "false", "HEAD~1", check=False)
    return root


def git_folder_itself(root: Path) -> Path:
    return repository(root) / ".git"


def reftables(test: SimpleTestCase) -> Path:
    """Return a checkout with its references in reftables, to be read by the ``git`` in it alone."""
    path = repository(folder(test))
    (path / ".git/HEAD").write_text("ref: refs/heads/.invalid\n")
    (path / ".git/reftable").mkdir()
    (path / ".git/reftable/tables.list").write_text("0x1.ref\n")
    (path / "branch").write_text("refs/heads/main\n")
    asks = f'case "$*" in *symbolic-ref*) cat "{path}/branch" ;; *) '
    elsewhere = "unset GIT_COMMON_DIR GIT_OBJECT_DIRECTORY GIT_WORK_TREE; shift"
    program(path / "git", f'{asks} {elsewhere}; exec {REAL_GIT} --git-dir="{path}/real" "$@" ;; esac')
    git(path, "clone", "--quiet", "--bare", str(repository(path / "other")), "real")
    return path


SHAPES: tuple[Build, ...] = (
    linear, detached, unborn, orphan, packed, packed_and_detached, tracking, tracking_another_name,
    tracking_a_local_branch, shallow, single_tag_clone, partial_clone, bare, mirror, worktree, worktree_of_bare,
    submodule, separate_git_dir, annotated_tag, nested_tag_names, tag_of_a_tag, several_tags, several_light_tags,
    tag_of_a_tree, tag_of_nothing, sha256, sha256_packed, latin_1_message, message_of_wrong_bytes, folded_subject,
    empty_message, utc_date, symbolic_branch, head_is_a_link, unusual_names, in_the_middle_of_a_rebase,
    git_folder_itself,
)  # fmt: skip


class ShapesTests(SimpleTestCase):
    def test_every_shape_of_checkout_answers_what_git_prints(self) -> None:
        for build in SHAPES:
            with self.subTest(build.__name__):
                path = build(folder(self))
                expected = as_git_prints(path)
                self.assertEqual(code(path=path), expected)
                self.assertEqual(code(path=path), expected, "when asked again")

    def test_shapes_differ_in_what_they_are_meant_to_show(self) -> None:
        root = folder(self)
        self.assertNotIn("branch", code(path=detached(root / "detached")))
        self.assertEqual(set(code(path=unborn(root / "unborn"))), {"debug", "scm", "branch"})
        self.assertEqual(code(path=tracking_another_name(root / "t"))["branch"]["remote"], "origin/main")
        self.assertEqual(code(path=several_tags(root / "tags"))["tag"], "v1")
        self.assertEqual(code(path=nested_tag_names(root / "nested"))["tag"], "release/2024/v1")
        self.assertEqual(len(code(path=sha256(root / "sha256"))["commit"]["id"]), 64)
        self.assertEqual(code(path=latin_1_message(root / "latin"))["commit"]["summary"], "Grüße aus Köln")
        self.assertEqual(code(path=in_the_middle_of_a_rebase(root / "rebase")).get("branch"), None)

    def test_answer_has_the_shape_of_the_contract(self) -> None:
        path = tracking(folder(self))
        git(path, "tag", "v1.2.0")
        self.assertEqual(
            json.dumps(code(path=path)),
            json.dumps(
                {
                    "debug": False,
                    "scm": "git",
                    "branch": {"local": "main", "remote": "origin/main"},
                    "commit": {
                        "id": git(path, "rev-parse", "HEAD"),
                        "summary": "Commit 2",
                        "author": "Ann Author",
                        "date": "2024-02-03T04:05:06+05:30",
                    },
                    "tag": "v1.2.0",
                }
            ),
        )

    def test_upstream_that_is_gone_is_still_named(self) -> None:
        path = tracking(folder(self))
        git(path, "update-ref", "-d", "refs/remotes/origin/main")
        self.assertEqual(code(path=path)["branch"], {"local": "main", "remote": "origin/main"})

    def test_branch_and_tag_of_one_name_keep_their_names(self) -> None:
        path = repository(folder(self))
        git(path, "tag", "main")
        self.assertEqual(code(path=path)["branch"]["local"], "main")
        self.assertEqual(code(path=path)["tag"], "main")

    def test_renamed_annotated_tag_goes_by_its_new_name(self) -> None:
        path = annotated_tag(folder(self))
        git(path, "update-ref", "refs/tags/renamed", "refs/tags/v1.2.0")
        git(path, "tag", "--delete", "v1.2.0")
        self.assertEqual(code(path=path)["tag"], "renamed")

    def test_tag_that_looks_like_a_description_keeps_its_name(self) -> None:
        path = repository(folder(self))
        git(path, "tag", "v1-0-gabcdef")
        self.assertEqual(code(path=path)["tag"], "v1-0-gabcdef")

    def test_head_on_a_reference_that_is_no_branch_has_no_branch(self) -> None:
        path = tracking(folder(self))
        git(path, "symbolic-ref", "HEAD", "refs/remotes/origin/main")
        self.assertNotIn("branch", code(path=path))
        self.assertEqual(code(path=path)["commit"]["summary"], "Commit 2")

    def test_date_that_no_calendar_holds_is_left_out(self) -> None:
        path = repository(folder(self))
        raw = (
            f"tree {git(path, 'rev-parse', 'HEAD^{tree}')}\nauthor A <a@b> no date\ncommitter A <a@b> 1 +0000\n\nOld\n"
        )
        odd = git(path, "hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=raw)
        git(path, "reset", "--soft", odd)
        self.assertEqual(code(path=path)["commit"], {"id": odd, "summary": "Old", "author": "A"})

    def test_reftables_are_read_by_git(self) -> None:
        """Older gits cannot make a repository of this kind: its files are as gitrepository-layout(5) describes them."""
        path = reftables(self)
        with with_git(path / "git"):
            for branch in ("main", "topic"):
                (path / "branch").write_text(f"refs/heads/{branch}\n")
                (path / ".git/reftable/tables.list").write_text(f"0x{branch}.ref\n")
                answer = code(path=path)
                self.assertEqual(answer["branch"]["local"], branch)
                self.assertEqual(answer["commit"]["summary"], "Commit 1")


class WhereTests(SimpleTestCase):
    def test_outside_a_checkout_only_debug_is_left(self) -> None:
        self.assertEqual(code(path=folder(self)), {"debug": False})

    def test_missing_path_leaves_only_debug(self) -> None:
        self.assertEqual(code(path=folder(self) / "missing"), {"debug": False})

    def test_removed_working_directory(self) -> None:
        gone, here = folder(self) / "gone", os.getcwd()
        gone.mkdir()
        self.addCleanup(os.chdir, here)
        os.chdir(gone)
        gone.rmdir()
        answer = CodeFacts().check(path="relative")
        self.assertEqual(answer.value, {"debug": False})
        self.assertEqual(answer.reasons, {"scm": "the working directory does not exist any more"})
        with override_settings(PROJECT_PATH=None, BASE_DIR=None):  # as where a deployment replaces the directory
            answer = code_health.check()
        self.assertEqual(answer.value, {"checkout": True})
        self.assertEqual(answer.warnings, {"checkout": "the working directory does not exist any more"})

    def test_project_is_where_the_settings_say(self) -> None:
        path = repository(folder(self))
        with override_settings(PROJECT_PATH=str(path)):
            self.assertEqual(code(), as_git_prints(path))
        with override_settings(BASE_DIR=path):
            self.assertEqual(code(), as_git_prints(path))

    def test_debug_is_that_of_the_settings(self) -> None:
        path = folder(self)
        with override_settings(DEBUG=True):
            self.assertIs(code(path=path)["debug"], True)
        with override_settings(DEBUG=False):
            self.assertIs(code(path=path)["debug"], False)

    def test_folder_inside_a_checkout_is_none_and_the_reason_says_what_to_do(self) -> None:
        path = repository(folder(self)) / "src"
        path.mkdir()
        answer = code.check(path=path)
        self.assertEqual(answer.value, {"debug": False})
        self.assertIn("set PROJECT_PATH to its top", answer.reasons["scm"])

    def test_parents_are_searched_on_demand(self) -> None:
        path = repository(folder(self))
        (path / "src/app").mkdir(parents=True)
        self.assertEqual(code(path=path / "src/app", parents=True), as_git_prints(path))
        self.assertEqual(code(path=folder(self), parents=True), {"debug": False})

    def test_checkout_behind_a_link_that_moves_is_followed(self) -> None:
        root = folder(self)
        old, new = repository(root / "releases/1"), repository(root / "releases/2", commits=2)
        current = root / "current"
        current.symlink_to(old)
        self.assertEqual(code(path=current)["commit"]["summary"], "Commit 1")
        current.unlink()
        current.symlink_to(new)
        self.assertEqual(code(path=current)["commit"]["summary"], "Commit 2")


class RememberingTests(EnteringTestCase):
    def setUp(self) -> None:
        self.log = folder(self) / "log"
        counting = program(self.log.with_name("git"), f'echo run >> "{self.log}"\nexec {REAL_GIT} "$@"')
        self.enter(with_git(counting))

    def runs(self) -> int:
        """Of git, since last asked."""
        count = len(self.log.read_text().splitlines()) if self.log.exists() else 0
        self.log.write_text("")
        return count

    @contextlib.contextmanager
    def noticed(self, path: Path, change: str) -> Iterator[None]:
        with self.subTest(change):
            code(path=path)
            before = as_git_prints(path)
            yield
            after = as_git_prints(path)
            self.assertNotEqual(before, after, "the change changes nothing")
            self.assertEqual(code(path=path), after)

    def test_nothing_is_asked_twice(self) -> None:
        for build in SHAPES:
            with self.subTest(build.__name__):
                path = build(folder(self))
                code(path=path)
                self.assertGreater(self.runs(), 0)
                for _ in range(3):
                    code(path=path)
                self.assertEqual(self.runs(), 0)

    def test_work_elsewhere_in_the_checkout_asks_nothing(self) -> None:
        path = tracking(folder(self))
        git(path, "branch", "other")
        code(path=path)
        self.runs()
        (path / "file").write_text("x")
        git(path, "add", "file")
        git(path, "status")
        git(path, "branch", "--force", "other", commit(repository(path / "nested")) and "HEAD")
        commit(path.parent / "origin")
        git(path, "fetch", "--quiet", "--no-tags")
        code(path=path)
        self.assertEqual(self.runs(), 0)

    def test_every_move_is_noticed_at_once(self) -> None:
        path = tracking(folder(self))
        moves: dict[str, tuple[str, ...]] = {
            "commit": ("commit", "--quiet", "--allow-empty", "--message=More"),
            "amend": ("commit", "--quiet", "--allow-empty", "--amend", "--message=Better"),
            "reset": ("reset", "--quiet", "HEAD~1"),
            "tag": ("tag", "one"),
            "tag moved away": ("tag", "--force", "one", "HEAD~1"),
            "tag moved back": ("tag", "--force", "one"),
            "tag deleted": ("tag", "--delete", "one"),
            "tag in a new folder": ("tag", "deep/er/one"),
            "tag deleted there": ("tag", "--delete", "deep/er/one"),
            "tag in a folder again": ("tag", "deep/two"),
            "annotated tag": ("tag", "-a", "-m", "x", "deep/three"),
            "upstream unset": ("branch", "--unset-upstream"),
            "upstream set": ("branch", "--set-upstream-to=origin/main"),
            "remote renamed": ("remote", "rename", "origin", "home"),
            "branch renamed": ("branch", "--move", "trunk"),
            "branch": ("checkout", "--quiet", "-b", "topic"),
            "detached": ("checkout", "--quiet", "--detach", "HEAD~1"),
            "attached": ("checkout", "--quiet", "trunk"),
            "orphan": ("checkout", "--quiet", "--orphan", "fresh"),
            "born": ("commit", "--quiet", "--allow-empty", "--message=First"),
        }
        for change, arguments in moves.items():
            with self.noticed(path, change):
                git(path, *arguments)

    def test_moves_of_packed_references_are_noticed(self) -> None:
        path = packed(folder(self))
        with self.noticed(path, "packed tag deleted"):
            git(path, "tag", "--delete", "v1")
        with self.noticed(path, "packed branch moves"):
            commit(path)
        git(path, "pack-refs", "--all")
        with self.noticed(path, "packed branch rewritten in its place"):
            references = path / ".git/packed-refs"
            old, new = git(path, "rev-parse", "HEAD", "HEAD~1").split()
            references.write_text(references.read_text().replace(old, new))
        with self.noticed(path, "tag made and packed"):
            git(path, "tag", "v2")
            git(path, "pack-refs", "--all")

    def test_moves_of_a_worktree_are_noticed(self) -> None:
        path = worktree(folder(self))
        main = path.parent / "main"
        with self.noticed(path, "commit"):
            commit(path)
        with self.noticed(path, "tag from the main working tree"):
            git(main, "tag", "v9", "beside")
        with self.noticed(path, "another branch"):
            git(path, "checkout", "--quiet", "-b", "third")
        with self.noticed(path, "upstream in the configuration of this working tree"):
            git(path, "config", "extensions.worktreeConfig", "true")
            code(path=path)
            git(path, "config", "--worktree", "branch.third.remote", ".")
            git(path, "config", "--worktree", "branch.third.merge", "refs/heads/main")

    def test_checkout_that_turns_to_another_repository_is_noticed(self) -> None:
        path = separate_git_dir(folder(self))
        other = repository(path.parent / "other", commits=2)
        with self.noticed(path, "another repository"):
            (path / ".git").write_text(f"gitdir: {other / '.git'}\n")

    def test_moves_behind_a_symbolic_branch_are_noticed(self) -> None:
        path = symbolic_branch(folder(self))
        with self.noticed(path, "commit"):
            commit(path)

    def test_repository_made_anew_is_noticed(self) -> None:
        path = repository(folder(self))
        with self.noticed(path, "made anew"):
            (path / ".git").rename(path / "old")
            repository(path, commits=2)

    def test_move_while_reading_is_not_missed(self) -> None:
        """Between finding out what to watch and taking its first stamps."""
        moves = {
            "branch": (("checkout", "--quiet", "-b", "topic"), ("commit", "--quiet", "--allow-empty", "-m", "More")),
            "folder of tags": (("tag", "deep/er/old", "HEAD~1"), ("tag", "deep/er/new")),
        }
        for moved, (meanwhile, later) in moves.items():
            with self.subTest(moved):
                path, provider, pending = repository(folder(self), commits=2), CodeFacts(), [meanwhile]

                def read(top: str, path: Path = path, pending: Any = pending) -> Any:
                    checkout = read_checkout(top)
                    if pending:
                        git(path, *pending.pop())
                    return checkout

                with mock.patch("status.providers.git.read_checkout", read):
                    self.assertEqual(provider(path=path), as_git_prints(path))
                git(path, *later)
                self.assertEqual(provider(path=path), as_git_prints(path))

    def test_what_a_caller_does_to_the_answer_stays_with_him(self) -> None:
        path = repository(folder(self))
        code(path=path)["commit"]["id"] = "mine"
        self.assertEqual(code(path=path), as_git_prints(path))
        code(path=path)["branch"].clear()
        self.assertEqual(code(path=path), as_git_prints(path))

    def test_memory_stays_small(self) -> None:
        provider, root = CodeFacts(), folder(self)
        for number in range(MAX_CHECKOUTS + 3):
            provider(path=repository(root / str(number)))
        self.assertLessEqual(len(provider._remembered), MAX_CHECKOUTS)

    def test_times_in_whole_seconds_are_not_trusted_until_they_are_old(self) -> None:
        """File systems that count so tell two changes of one second apart only afterwards."""
        second = 1_000_000_000
        with mock.patch("time.time_ns", return_value=100 * second + 5):
            self.assertFalse(wait_until_settled({"a": (0, 100 * second, 1, 1)}))
            self.assertTrue(wait_until_settled({"a": (0, 97 * second, 1, 1), "b": None}))
            self.assertTrue(wait_until_settled({"a": None}))

    def test_fresh_times_are_waited_for(self) -> None:
        """A change within the same tick of the kernel's clock would carry the same time, and never be noticed."""
        now = time.time_ns() | 1
        self.assertTrue(wait_until_settled({"a": (now, now, 1, 1)}))
        self.assertGreaterEqual(time.time_ns(), now + TICK)

    def test_answer_is_not_remembered_while_times_cannot_be_trusted(self) -> None:
        path = repository(folder(self))
        with mock.patch("status.providers.git.wait_until_settled", return_value=False):
            code(path=path)
            self.runs()
            code(path=path)
            self.assertGreater(self.runs(), 0)


class BuildTests(EnteringTestCase):
    COMMIT = "0123456789abcdef0123456789abcdef01234567"

    def setUp(self) -> None:
        # A build server that runs the tests sets some of these.
        known = {name for variables in VARIABLES for name in variables.values()}
        self.enter(mock.patch.dict(os.environ))
        for name in known & os.environ.keys():
            del os.environ[name]

    def answer(self, path: Path | None = None, **environment: str) -> Any:
        with override_settings(PROJECT_PATH=path or folder(self)), mock.patch.dict(os.environ, environment):
            return code()

    def test_environment_tells_what_an_image_was_built_from(self) -> None:
        answer = self.answer(
            STATUS_BUILD_COMMIT=self.COMMIT,
            STATUS_BUILD_BRANCH="main",
            STATUS_BUILD_TAG="v1.2.0",
            STATUS_BUILD_SUMMARY="Fix\n\nall",
            STATUS_BUILD_AUTHOR="Ann <ann@canary.example>",
            STATUS_BUILD_DATE="2024-01-02T03:04:05Z",
            STATUS_BUILD_VERSION="1.2.0",
            STATUS_BUILD_ID="771",
            STATUS_BUILD_SOURCE="https://ann:canary@git.example/shop",
        )
        self.assertEqual(
            answer,
            {
                "debug": False,
                "scm": "git",
                "branch": {"local": "main", "remote": "unknown"},
                "commit": {
                    "id": self.COMMIT,
                    "summary": "Fix",
                    "author": "Ann",
                    "date": "2024-01-02T03:04:05+00:00",
                },
                "tag": "v1.2.0",
                "build": {"id": "771", "version": "1.2.0", "source": "https://git.example/shop"},
            },
        )

    def test_variables_of_hosting_platforms_are_known(self) -> None:
        for name in (
            "HEROKU_SLUG_COMMIT",
            "RENDER_GIT_COMMIT",
            "RAILWAY_GIT_COMMIT_SHA",
            "KAMAL_VERSION",
            "GIT_COMMIT",
        ):
            with self.subTest(name):
                self.assertEqual(self.answer(**{name: self.COMMIT})["commit"], {"id": self.COMMIT})

    def test_variables_of_further_platforms_and_build_servers_are_known(self) -> None:
        """P8."""
        for name in (
            "HEROKU_BUILD_COMMIT",
            "VERCEL_GIT_COMMIT_SHA",
            "GIT_REV",
            "CI_COMMIT_SHA",
            "GITHUB_SHA",
            "BITBUCKET_COMMIT",
            "CIRCLE_SHA1",
            "SOURCE_VERSION",
        ):
            with self.subTest(name):
                self.assertEqual(self.answer(**{name: self.COMMIT})["commit"], {"id": self.COMMIT})

    def test_revision_of_cloud_run_is_a_build(self) -> None:
        """P8."""
        self.assertEqual(self.answer(K_REVISION="shop-00042"), {"debug": False, "build": {"id": "shop-00042"}})

    def test_image_with_uncommitted_changes_keeps_its_commit_and_says_so(self) -> None:
        """P7."""
        version = f"{self.COMMIT}_uncommitted_1a2b"
        expected = {"debug": False, "scm": "git", "commit": {"id": self.COMMIT}, "build": {"version": version}}
        self.assertEqual(self.answer(KAMAL_VERSION=version), expected)

    def test_files_that_windows_wrote_are_read(self) -> None:
        """P7. With a byte order mark, or in UTF-16, as PowerShell redirects."""
        for encoding in ("utf-8-sig", "utf-16"):
            for name, content in (
                ("REVISION", f"{self.COMMIT}\r\n"),
                ("version.json", f'{{"commit": "{self.COMMIT}"}}'),
            ):
                with self.subTest(f"{name} in {encoding}"):
                    path = folder(self)
                    (path / name).write_text(content, encoding=encoding)
                    self.assertEqual(self.answer(path)["commit"], {"id": self.COMMIT})

    def test_file_that_names_no_commit_is_named_in_the_reason(self) -> None:
        """P7."""
        for name in ("REVISION", "version.json"):
            path = folder(self)
            (path / name).write_text("{}")
            self.assertEqual(code.check(path=path), Answer({"debug": False}, {"scm": f"{name} names no commit"}))

    def test_files_of_other_packages_are_not_believed(self) -> None:
        """P13."""
        path = folder(self) / "site-packages"
        path.mkdir()
        (path / "REVISION").write_text(self.COMMIT)
        answer = code.check(path=path)
        self.assertEqual(answer.value, {"debug": False})
        self.assertIn("set PROJECT_PATH", answer.reasons["scm"])

    def test_reason_says_that_nothing_is_known(self) -> None:
        """P13."""
        reasons = code.check(path=folder(self)).reasons
        self.assertEqual(reasons, {"scm": "no checkout at the project path, and no record of the build"})

    def test_facts_of_two_sources_are_not_mixed(self) -> None:
        path = folder(self)
        (path / "version.json").write_text(json.dumps({"commit": "f" * 40, "tag": "other"}))
        answer = self.answer(path, RENDER_GIT_COMMIT=self.COMMIT, RAILWAY_GIT_BRANCH="other")
        self.assertEqual(answer, {"debug": False, "scm": "git", "commit": {"id": self.COMMIT}})

    def test_variable_that_names_no_commit_is_ignored(self) -> None:
        for value in ("", "unknown", "HEAD", "abc", "z" * 40):
            self.assertEqual(self.answer(GIT_COMMIT=value), {"debug": False})

    def test_date_without_offset_and_nonsense_are_left_out(self) -> None:
        for date in ("2024-01-02T03:04:05", "yesterday"):
            answer = self.answer(STATUS_BUILD_COMMIT=self.COMMIT, STATUS_BUILD_DATE=date)
            self.assertNotIn("date", answer["commit"])

    def test_dockerflow_version_file_is_read(self) -> None:
        path = folder(self)
        version = {
            "source": "https://git.example/shop",
            "version": "1.2",
            "commit": self.COMMIT,
            "build": "https://ci/7",
        }
        (path / "version.json").write_text(json.dumps(version))
        self.assertEqual(
            self.answer(path),
            {
                "debug": False,
                "scm": "git",
                "commit": {"id": self.COMMIT},
                "build": {"id": "https://ci/7", "version": "1.2", "source": "https://git.example/shop"},
            },
        )

    def test_own_answer_saved_as_version_file_comes_back_whole(self) -> None:
        checkout_path, image = tracking(folder(self)), folder(self)
        git(checkout_path, "tag", "v1")
        (image / "version.json").write_text(json.dumps(code(path=checkout_path)))
        self.assertEqual(self.answer(image), code(path=checkout_path))

    def test_revision_file_is_read(self) -> None:
        path = folder(self)
        (path / "REVISION").write_text(f"{self.COMMIT}\n")
        self.assertEqual(self.answer(path), {"debug": False, "scm": "git", "commit": {"id": self.COMMIT}})

    def test_version_file_of_something_else_leaves_git_its_say(self) -> None:
        for content in (
            '"1.2"',
            "not json",
            "[" * 60_000,
            "[]",
            '{"commit": null, "tag": ["x"]}',
            "\0",
            "{" + " " * 70_000 + "}",
        ):
            with self.subTest(content[:20]):
                path = repository(folder(self))
                (path / "version.json").write_text(content)
                self.assertEqual(self.answer(path), as_git_prints(path))

    def test_version_without_commit_joins_what_git_says(self) -> None:
        path = repository(folder(self))
        (path / "version.json").write_text('{"version": "1.2", "tag": "not git\'s"}')
        git(path, "tag", "v1")
        self.assertEqual(self.answer(path), {**as_git_prints(path), "build": {"version": "1.2"}})

    def test_build_facts_save_asking_git(self) -> None:
        path = repository(folder(self))
        with with_git(str(path / "absent")):
            answer = self.answer(path, STATUS_BUILD_COMMIT=self.COMMIT)
        self.assertEqual(answer, {"debug": False, "scm": "git", "commit": {"id": self.COMMIT}})

    def test_environment_does_not_tell_about_another_path(self) -> None:
        path = repository(folder(self))
        with mock.patch.dict(os.environ, STATUS_BUILD_COMMIT=self.COMMIT):
            self.assertEqual(code(path=path), as_git_prints(path))

    def test_long_facts_are_cut(self) -> None:
        answer = self.answer(STATUS_BUILD_COMMIT=self.COMMIT, STATUS_BUILD_TAG="x" * 5_000)
        self.assertEqual(answer["tag"], "x" * 1_000)


class RunningTests(SimpleTestCase):
    """What runs is the commit that was there when the process started."""

    def start(self, path: Path) -> CodeFacts:
        """Begin as a process does that is started with the code in ``path``. Return a provider that knows no answer."""
        overridden = override_settings(PROJECT_PATH=path)
        overridden.enable()
        self.addCleanup(overridden.disable)
        note_running_code()
        return CodeFacts()

    def test_process_tells_the_commit_that_it_was_started_with(self) -> None:
        """P9. The first question comes after the checkout has moved."""
        script = (
            "import sys, django\n"
            "from django.conf import settings\n"
            "settings.configure(BASE_DIR=sys.argv[1], INSTALLED_APPS=['status'], ROOT_URLCONF='status.urls',\n"
            "    ALLOWED_HOSTS=['testserver'], STATUS_SHOW_DETAILS='always', LOGGING_CONFIG=None,\n"
            "    STATUS_CHECK_PROVIDERS={'health': [('code', 'status.providers.health.code')]})\n"
            "django.setup()\n"
            "from django.test import Client\n"
            "assert 'git' not in sys.modules\n"
            "print('started', flush=True)\n"
            "sys.stdin.readline()\n"
            "print(Client().get('/api/stats/code').content.decode())\n"
            "print(Client().get('/api/health/code').content.decode())\n"
            "from status.engine import engine\n"
            "from status.registry import registry\n"
            "report = engine.report(registry.select('health', 'code'))\n"
            "print(report.state, report.results[0].warnings['checkout'])\n"
        )
        for build in (linear, packed, worktree, submodule, detached):
            with self.subTest(build.__name__):
                path = build(folder(self))
                before = as_git_prints(path)
                with subprocess.Popen(
                    [sys.executable, "-c", script, path],
                    stderr=subprocess.DEVNULL,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                ) as process:
                    assert process.stdin and process.stdout
                    self.assertEqual(process.stdout.readline(), "started\n")
                    moved = {"id": commit(path)}
                    process.stdin.write("\n")
                    process.stdin.close()
                    answer, verdict, warning = process.stdout.read().splitlines()
                if "branch" in before:
                    moved["branch"] = before["branch"]["local"]
                self.assertEqual(json.loads(answer), {**before, "checkout": moved})
                self.assertEqual(json.loads(verdict), {"checkout": True})
                commits = f"running {before['commit']['id'][:7]}, on disk is {moved['id'][:7]}"
                self.assertTrue(warning.startswith(f"warn {commits} since "), warning)

    def test_start_reads_files_and_runs_nothing(self) -> None:
        """P9."""
        path = packed(folder(self))
        with mock.patch("subprocess.Popen") as popen:
            self.start(path)
        popen.assert_not_called()

    def test_start_survives_whatever_stands_at_the_project_path(self) -> None:
        """P9."""
        empty, broken, pipe = repository(folder(self)), repository(folder(self)), packed(folder(self))
        (empty / ".git/HEAD").write_text("")
        (broken / ".git/HEAD").write_bytes(b"\xff" * 1_000_000)
        (pipe / ".git/packed-refs").unlink()
        os.mkfifo(pipe / ".git/packed-refs")
        for path in (empty, broken, pipe, folder(self) / "missing", "null\0", folder(self) / ("x" * 5_000)):
            with self.subTest(str(path)[:30]):
                self.start(Path(path))

    def test_commit_that_could_not_be_read_at_the_start_is_noted_by_the_first_question(self) -> None:
        """P9. HEAD was being replaced, by a program that does not rename."""
        path = repository(folder(self))
        head = (path / ".git/HEAD").read_text()
        (path / ".git/HEAD").write_text("")
        provider = self.start(path)
        (path / ".git/HEAD").write_text(head)
        expected = as_git_prints(path)
        self.assertEqual(provider(), expected)
        moved = commit(path)
        self.assertEqual(provider(), {**expected, "checkout": {"id": moved, "branch": "main"}})

    def test_every_move_shows_as_checkout_and_the_facts_stay(self) -> None:
        """P9."""
        path = tracking(folder(self))
        provider, expected = self.start(path), as_git_prints(path)
        self.assertEqual(provider(), expected)
        moves: dict[str, tuple[str, ...]] = {
            "commit": ("commit", "--quiet", "--allow-empty", "--message=More"),
            "amend": ("commit", "--quiet", "--allow-empty", "--amend", "--message=Better"),
            "reset": ("reset", "--quiet", "HEAD~2"),
            "detached": ("checkout", "--quiet", "--detach"),
            "another branch": ("checkout", "--quiet", "-b", "zweig/ärger"),
            "orphan": ("checkout", "--quiet", "--orphan", "fresh"),
            "born": ("commit", "--quiet", "--allow-empty", "--message=First"),
            "packed": ("pack-refs", "--all"),
        }
        for move, arguments in moves.items():
            with self.subTest(move):
                git(path, *arguments)
                moved = {
                    "id": git(path, "rev-parse", "--verify", "--quiet", "HEAD", check=False),
                    "branch": git(path, "branch", "--show-current"),
                }
                self.assertEqual(provider(), {**expected, "checkout": {k: name for k, name in moved.items() if name}})
        git(path, "checkout", "--quiet", "main")
        git(path, "reset", "--quiet", "--soft", expected["commit"]["id"])
        self.assertEqual(provider(), expected, "it has moved back")

    def test_tag_that_is_given_after_the_start_is_told(self) -> None:
        """P9. Of the commit that runs, and not of the one on disk."""
        path = repository(folder(self))
        provider, head = self.start(path), git(path, "rev-parse", "HEAD")
        commit(path)
        git(path, "tag", "next")
        self.assertNotIn("tag", provider())
        git(path, "tag", "v1", head)
        self.assertEqual(provider()["tag"], "v1")

    def test_process_that_started_on_a_branch_without_commits(self) -> None:
        """P9."""
        path = unborn(folder(self))
        provider = self.start(path)
        moved = commit(path)
        answer = provider()
        self.assertNotIn("commit", answer)
        self.assertEqual(answer["checkout"], {"id": moved, "branch": "main"})

    def test_commit_that_git_has_dropped_is_told_as_far_as_it_is_known(self) -> None:
        """P9."""
        for asked in (False, True):
            with self.subTest(asked=asked):
                path = repository(folder(self))
                provider, expected = self.start(path), as_git_prints(path)
                if asked:
                    provider()
                git(path, "commit", "--quiet", "--allow-empty", "--amend", "--message=Better")
                git(path, "reflog", "expire", "--expire=all", "--all")
                git(path, "gc", "--quiet", "--prune=all")
                if not asked:
                    expected["commit"] = {"id": expected["commit"]["id"]}
                moved = {"id": git(path, "rev-parse", "HEAD"), "branch": "main"}
                self.assertEqual(provider(), {**expected, "checkout": moved})

    def test_checkout_that_is_replaced_as_a_whole(self) -> None:
        """P9. By a link to another release, or by another repository in its place."""
        root = folder(self)
        old, new = repository(root / "1"), repository(root / "2", commits=2)
        current = root / "current"
        for replace in (lambda: current.symlink_to(new), lambda: new.rename(current)):
            current.unlink(missing_ok=True)
            current.symlink_to(old)
            _running.clear()
            provider, expected = self.start(current), as_git_prints(old)
            provider()
            moved = {"id": git(new, "rev-parse", "HEAD"), "branch": "main"}
            current.unlink()
            replace()
            self.assertEqual(provider(), {**expected, "checkout": moved})

    def test_checkout_that_is_removed_leaves_the_facts(self) -> None:
        """P9."""
        for asked in (False, True):
            with self.subTest(asked=asked):
                path = repository(folder(self))
                provider, expected = self.start(path), as_git_prints(path)
                if asked:
                    provider()
                else:
                    expected["commit"] = {"id": expected["commit"]["id"]}
                (path / ".git").rename(path / "gone")
                answer = provider.check()
                self.assertEqual(answer.value, expected)
                self.assertEqual(answer.reasons, {"scm": "no checkout at the project path, and no record of the build"})

    def test_checkout_that_breaks_is_failing_and_leaves_the_facts(self) -> None:
        """P9."""
        path = repository(folder(self))
        provider, expected = self.start(path), as_git_prints(path)
        provider()
        (path / ".git/HEAD").write_text("nonsense")
        with self.assertLogs("status", "DEBUG"):
            answer = provider()
        self.assertEqual(answer, {**expected, "ok": False, "error": "HEAD of the repository is corrupt"})

    def test_move_is_told_without_git(self) -> None:
        """P9."""
        path = repository(folder(self))
        provider, head = self.start(path), git(path, "rev-parse", "HEAD")
        moved = commit(path)
        with with_git("/nonexistent/git"), self.assertLogs("status", "DEBUG"):
            answer = provider()
        self.assertEqual(answer["commit"], {"id": head})
        self.assertEqual(answer["checkout"], {"id": moved, "branch": "main"})

    def test_record_of_the_build_is_noted_too(self) -> None:
        """P9. A deployment may replace it under a process that goes on, or a checkout take its place."""
        path, new = folder(self), "f" * 40
        (path / "REVISION").write_text("0" * 40)
        provider = self.start(path)
        facts = {"debug": False, "scm": "git", "commit": {"id": "0" * 40}}
        (path / "REVISION").write_text(new)
        self.assertEqual(provider(), {**facts, "checkout": {"id": new}})
        (path / "REVISION").unlink()
        moved = git(repository(path), "rev-parse", "HEAD")
        self.assertEqual(provider(), {**facts, "checkout": {"id": moved, "branch": "main"}})

    def test_reftables_are_asked_of_git_with_the_first_question(self) -> None:
        """P9. What files tell of such a repository never changes."""
        path, provider = reftables(self), None
        with with_git(path / "git"):
            provider = self.start(path)
            expected = provider()
            self.assertEqual(expected["commit"]["summary"], "Commit 1")
            self.assertEqual(code_health.check(), Answer({"checkout": True}))
            moved = commit(path / "other")
            git(path / "real", "fetch", "--quiet", str(path / "other"), "main:main")
            (path / ".git/reftable/tables.list").write_text("0x2.ref\n")
            self.assertEqual(provider(), {**expected, "checkout": {"id": moved, "branch": "main"}})
            self.assertIn(f"on disk is {moved[:7]} since", code_health.check().warnings["checkout"])
        (path / ".git/reftable/tables.list").write_text("0x3.ref\n")
        with with_git("/nonexistent/git"):
            self.assertIn("git not available", code_health.check().warnings["checkout"])

    def test_reftables_in_place_of_a_record_of_the_build(self) -> None:
        """P9."""
        path = reftables(self)
        (path / "REVISION").write_text("0" * 40)
        provider = self.start(path)
        (path / "REVISION").unlink()
        with with_git(path / "git"):
            moved = {"id": git(path / "other", "rev-parse", "HEAD"), "branch": "main"}
            self.assertEqual(provider()["checkout"], moved)

    def test_heads_read_while_they_move_belong_together(self) -> None:
        """P9. Git replaces each file as a whole."""
        path = repository(folder(self))
        first = git(path, "rev-parse", "HEAD")
        second = commit(path)
        git(path, "branch", "first", first)
        stop = threading.Event()

        def move() -> None:
            new = path / "HEAD.lock"
            while not stop.is_set():
                for name in ("first", "main"):
                    new.write_text(f"ref: refs/heads/{name}\n")
                    new.replace(path / ".git/HEAD")

        mover = threading.Thread(target=move)
        mover.start()
        self.addCleanup(mover.join)
        self.addCleanup(stop.set)
        seen = {read_checkout(str(path)).head() for _ in range(2_000)}
        self.assertLessEqual(seen, {Head(first, "first"), Head(second, "main")})

    def test_packed_references_of_a_megabyte_and_names_in_another_encoding(self) -> None:
        """P9."""
        path = repository(folder(self))
        name = os.fsdecode("größe".encode("latin-1"))
        head = git(path, "rev-parse", "HEAD")
        others = "".join(f"{number:040x} refs/heads/topic-{number:05}\n" for number in range(16_000))
        for line_end in (b"\n", b"\r\n"):
            content = os.fsencode(f"# pack-refs with: peeled sorted \n{others}{head} refs/heads/{name}\n")
            (path / ".git/packed-refs").write_bytes(content.replace(b"\n", line_end))
            (path / ".git/HEAD").write_bytes(os.fsencode(f"ref: refs/heads/{name}\n"))
            self.assertEqual(read_checkout(str(path)).head(), Head(head, name))
            (path / ".git/HEAD").write_text("ref: refs/heads/opic-00001\n")
            self.assertEqual(read_checkout(str(path)).head(), Head(None, "opic-00001"))

    def test_other_directories_are_told_as_they_are_now(self) -> None:
        """P9. Nobody knows whether this process runs what is there."""
        path = repository(folder(self))
        provider = self.start(path)
        commit(path)
        self.assertEqual(provider(path=path), as_git_prints(path))

    def test_strangers_see_the_names_of_the_checkout(self) -> None:
        """P9."""
        answer = {"debug": False, "checkout": {"id": "f" * 40, "branch": "main"}}
        self.assertEqual(code.public(answer), answer)


class RunningCheckTests(SimpleTestCase):
    """The opt-in check whether the code on disk is the code that runs."""

    def warning(self, path: Path, **arguments: Any) -> str | None:
        with override_settings(PROJECT_PATH=path):
            answer = code_health.check(**arguments)
        self.assertEqual(answer.value, {"checkout": True})
        self.assertEqual(answer.reasons, {})
        return answer.warnings.get("checkout")

    def test_same_commit_is_healthy_also_on_another_branch(self) -> None:
        """P9."""
        path = repository(folder(self))
        self.assertIsNone(self.warning(path))
        git(path, "checkout", "--quiet", "-b", "topic")
        self.assertIsNone(self.warning(path))

    def test_warning_tells_both_commits_and_since_when(self) -> None:
        """P9."""
        path = repository(folder(self))
        old = git(path, "rev-parse", "HEAD")
        self.assertIsNone(self.warning(path))
        new = commit(path)
        when = os.stat(path / ".git/refs/heads/main").st_ctime
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(when))
        self.assertEqual(self.warning(path), f"running {old[:7]}, on disk is {new[:7]} since {since}")

    def test_checkout_above_the_project_on_demand(self) -> None:
        """P9."""
        path = repository(folder(self)) / "src"
        path.mkdir()
        self.assertIsNone(self.warning(path, parents=True))
        commit(path)
        self.assertIn("on disk is", str(self.warning(path, parents=True)))
        self.assertIn("set PROJECT_PATH to its top", str(self.warning(path)))

    def test_warning_where_a_commit_is_not_known(self) -> None:
        """P9. What was not compared is not healthy."""
        self.assertEqual(
            self.warning(folder(self)),
            "the commit that runs is not known: no checkout at the project path, and no record of the build",
        )
        self.assertEqual(self.warning(unborn(folder(self))), "the commit that runs is not known: there was none")
        path = repository(folder(self))
        old = git(path, "rev-parse", "HEAD")
        self.assertIsNone(self.warning(path))
        git(path, "checkout", "--quiet", "--orphan", "fresh")
        self.assertEqual(self.warning(path), f"running {old[:7]}, on disk is a branch without commits")
        (path / ".git/HEAD").write_text("nonsense")
        self.assertEqual(self.warning(path), "HEAD of the repository is corrupt")
        (path / ".git").rename(path / "gone")
        self.assertIn("on disk is no checkout at the project path", str(self.warning(path)))

    def test_record_of_the_build_that_was_replaced(self) -> None:
        """P9."""
        path = folder(self)
        (path / "REVISION").write_text("0" * 40)
        self.assertIsNone(self.warning(path))
        (path / "REVISION").write_text("f" * 40)
        self.assertIn("running 0000000, on disk is fffffff since 20", str(self.warning(path)))


class PublicTests(SimpleTestCase):
    def test_strangers_see_debug_branch_commit_and_tag_but_no_people_and_no_build(self) -> None:
        path = tracking(folder(self))
        git(path, "tag", "v1")
        (path / "version.json").write_text('{"version": "9"}')
        answer = code(path=path)
        self.assertIn("build", answer)
        shown = code.public(answer)
        del answer["build"], answer["commit"]["author"], answer["branch"]["remote"]
        self.assertEqual(shown, answer)

    def test_strangers_see_what_there_is(self) -> None:
        self.assertEqual(code.public({"debug": True}), {"debug": True})
        self.assertEqual(code.public({"debug": True, "later": 1}), {"debug": True})
