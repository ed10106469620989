from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock, skipUnless

from django.test import SimpleTestCase, override_settings, tag

from status.engine import engine
from status.logs import FailureLog
from status.providers.base import call_until
from status.providers.stats import CodeFacts, code
from tests.components import eventually
from tests.repositories import REAL_GIT, as_git_prints, commit, folder, git, program, repository, with_git


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20])


def is_running(pid: int) -> bool:
    """Whether a process does anything; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@tag("fault")
class FailingGitTests(SimpleTestCase):
    def setUp(self) -> None:
        self.path = repository(folder(self), commits=2)
        self.head = git(self.path, "rev-parse", "HEAD")
        self.known = {
            "debug": False,
            "scm": "git",
            "branch": {"local": "main", "remote": "unknown"},
            "commit": {"id": self.head},
            "ok": False,
        }

    def fails(self, path: Path | None = None) -> dict[str, Any]:
        """The answer, of a provider of its own, which must say that it failed and log it once."""
        provider = CodeFacts()
        with self.assertLogs("status", "DEBUG") as logs:
            answer = provider.check(path=path or self.path)
            self.assertEqual(provider(path=path or self.path), answer.value)
        self.assertEqual(len(logs.output), 1)
        self.assertIs(answer.value["ok"], False)
        self.assertEqual(answer.reasons, {"ok": answer.value["error"]})
        self.assertNotIn(str(self.path), answer.value["error"])
        self.assertEqual(provider.public(answer.value)["error"], answer.value["error"])
        return dict(answer.value)

    def test_missing_git_is_said_and_files_tell_the_commit(self) -> None:
        with mock.patch.dict(os.environ, PATH=str(folder(self))):
            answer = self.fails()
        self.assertTrue(answer.pop("error").startswith("git not available"))
        self.assertEqual(answer, self.known)

    def test_missing_git_and_packed_references(self) -> None:
        git(self.path, "gc", "--quiet")
        with with_git(str(self.path / "absent")):
            self.assertEqual(self.fails()["commit"], {"id": self.head})

    def test_missing_git_on_a_branch_without_commits(self) -> None:
        path = repository(folder(self), commits=0)
        with with_git(str(self.path / "absent")):
            self.assertEqual(set(self.fails(path)), {"debug", "scm", "branch", "ok", "error"})

    def test_missing_git_on_a_detached_head(self) -> None:
        git(self.path, "checkout", "--quiet", "--detach")
        with with_git(str(self.path / "absent")):
            answer = self.fails()
        self.assertNotIn("branch", answer)
        self.assertEqual(answer["commit"], {"id": self.head})

    def test_missing_git_outside_a_checkout_is_not_missed(self) -> None:
        with with_git(str(self.path / "absent")):
            self.assertEqual(code(path=folder(self)), {"debug": False})

    def test_git_that_may_not_be_run(self) -> None:
        script = program(folder(self) / "git", "exit 0")
        script.chmod(0o644)
        with with_git(script):
            self.assertEqual(self.fails()["error"], "git not available: PermissionError")

    def test_git_that_prints_something_else(self) -> None:
        with with_git(program(folder(self) / "git", "echo hello")):
            self.assertEqual(self.fails()["error"], "git cannot read the repository")

    def test_recovery_is_told_at_once(self) -> None:
        provider = CodeFacts()
        with with_git(str(self.path / "absent")), self.assertLogs("status", "DEBUG"):
            provider(path=self.path)
        self.assertEqual(provider(path=self.path), as_git_prints(self.path))
        commit(self.path)
        at_once = mock.patch.object(FailureLog, "every", 0.0)  # and not once a minute
        with with_git(str(self.path / "absent")), at_once, self.assertLogs("status", "DEBUG"):
            provider(path=self.path)

    def test_missing_gitpython_is_said_and_files_tell_the_commit(self) -> None:
        with mock.patch.dict(sys.modules, git=None):
            answer = self.fails()
        self.assertEqual(answer.pop("error"), "git not available: GitPython cannot be imported (ModuleNotFoundError)")
        self.assertEqual(answer, self.known)

    def test_process_without_a_git_program_starts_and_answers(self) -> None:
        """GitPython raises while it is imported, unless it is told to be quiet."""
        script = (
            "import sys; from status.providers.stats import code; "
            "assert 'git' not in sys.modules; print(code(sys.argv[1]))"
        )
        environment = {**os.environ, "PATH": str(folder(self))}
        done = subprocess.run(
            [sys.executable, "-c", script, self.path], env=environment, capture_output=True, text=True
        )
        self.assertIn("git not available: install it", done.stdout)
        self.assertIn(self.head, done.stdout)

    def test_checkout_of_another_user_is_answered_and_nothing_is_changed(self) -> None:
        """P10. As ``chown`` makes it, but by git's own switch for tests, which needs no root."""
        script = program(folder(self) / "git", f'GIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec {REAL_GIT} "$@"')
        home = folder(self)
        with with_git(script), mock.patch.dict(os.environ, HOME=str(home)):
            self.assertEqual(CodeFacts()(path=self.path), as_git_prints(self.path))
        self.assertEqual(list(home.iterdir()), [])

    @skipUnless(hasattr(os, "geteuid") and os.geteuid() == 0, "only root can give a folder away")
    def test_checkout_given_to_another_user_is_answered(self) -> None:
        """P10."""
        expected = as_git_prints(self.path)
        for found, _, _ in os.walk(self.path):
            os.chown(found, 12_345, 12_345)
        with mock.patch.dict(os.environ, HOME=str(folder(self))):
            self.assertEqual(CodeFacts()(path=self.path), expected)

    def test_corrupt_repositories_are_failing_and_never_an_exception(self) -> None:
        dot_git = self.path / ".git"
        loose = dot_git / "objects" / self.head[:2] / self.head[2:]
        loose.chmod(0o644)
        os.mkfifo(self.path / "pipe")
        secret = folder(self) / "secret"
        secret.write_text("5ec2e7" * 6 + "5ec2")
        damages: dict[str, Any] = {
            "HEAD empty": lambda: (dot_git / "HEAD").write_text(""),
            "HEAD of nonsense": lambda: (dot_git / "HEAD").write_text("nonsense\n"),
            "HEAD of bytes": lambda: (dot_git / "HEAD").write_bytes(b"\0\xff"),
            "HEAD outside": lambda: (dot_git / "HEAD").write_text("ref: refs/heads/../../../../etc/passwd\n"),
            "HEAD elsewhere": lambda: (dot_git / "HEAD").write_text("ref: /etc/passwd\n"),
            "HEAD at what is not git's": lambda: (dot_git / "HEAD").write_text(f"ref: {secret}\n"),
            "branch of another kind of hash": lambda: (dot_git / "refs/heads/main").write_text("1" * 64),
            "HEAD missing": lambda: (dot_git / "HEAD").unlink(),
            "HEAD a folder": lambda: ((dot_git / "HEAD").unlink(), (dot_git / "HEAD").mkdir()),
            "HEAD a pipe": lambda: (self.path / "pipe").rename(dot_git / "HEAD"),
            "branch in a circle": lambda: (dot_git / "refs/heads/main").write_text("ref: refs/heads/main\n"),
            "branch empty": lambda: (dot_git / "refs/heads/main").write_text(""),
            "branch of nonsense": lambda: (dot_git / "refs/heads/main").write_text("x" * 40),
            "branch at a commit that is missing": lambda: (dot_git / "refs/heads/main").write_text("1" * 40),
            "commit missing": loose.unlink,
            "commit cut off": lambda: cut_off(loose),
            "objects missing": lambda: (dot_git / "objects").rename(self.path / "gone"),
            "config broken": lambda: (dot_git / "config").write_text("[core\n"),
            "version from the future": lambda: git(self.path, "config", "core.repositoryFormatVersion", "99"),
            ".git empty": lambda: (dot_git.rename(self.path / "gone"), dot_git.mkdir()),
            ".git a file of nonsense": lambda: (dot_git.rename(self.path / "gone"), dot_git.write_text("nonsense")),
            ".git leads nowhere": lambda: (dot_git.rename(self.path / "gone"), dot_git.write_text("gitdir: /gone\n")),
        }
        backup = folder(self) / "backup"
        subprocess.run(["cp", "-a", self.path, backup], check=True)
        for damage, inflict in damages.items():
            with self.subTest(damage):
                inflict()
                answer = self.fails()
                self.assertLessEqual(set(answer), {"debug", "scm", "branch", "commit", "ok", "error"})
                self.assertNotIn("5ec2e7", str(answer))
            subprocess.run(["rm", "-rf", self.path], check=True)
            subprocess.run(["cp", "-a", backup, self.path], check=True)

    def test_repository_above_never_answers_for_a_broken_one(self) -> None:
        inner = repository(self.path / "inner")
        (inner / ".git/objects").rename(inner / "gone")
        answer = self.fails(inner)
        self.assertNotIn(self.head, str(answer))


@tag("fault")
class HangingGitTests(SimpleTestCase):
    def setUp(self) -> None:
        self.path = repository(folder(self))
        self.pids = folder(self) / "pids"

    def hanging(self, rest: str = "wait") -> Any:
        """git as a script that starts another program which hangs, holding the pipes."""
        return with_git(program(self.pids.with_name("git"), f'sleep 60 &\necho $$ $! >> "{self.pids}"\n{rest}'))

    def assert_gone(self) -> None:
        started = [int(pid) for pid in self.pids.read_text().split()]
        self.assertGreaterEqual(len(started), 2)
        self.assertTrue(eventually(lambda: not any(map(is_running, started)), 2.0), started)

    @override_settings(STATUS_TIMEOUT=0.6)
    def test_hanging_git_is_ended_before_the_deadline_with_all_it_started(self) -> None:
        with self.hanging(), self.assertLogs("status", "DEBUG"):
            started = time.monotonic()
            answer = CodeFacts()(path=self.path)
            self.assertLess(time.monotonic() - started, 0.6)
            self.assertEqual(answer["error"], "git did not answer in time")
            self.assertEqual(answer["branch"]["local"], "main")
            self.assert_gone()

    def test_git_that_leaves_a_program_behind_is_answered_in_time(self) -> None:
        """GitPython waits for whoever holds the pipes; that hangs, and what hangs is left to the engine."""
        provider = CodeFacts()
        entry = ("code", provider, (), {"path": self.path})
        with (
            self.hanging("exit 0"),
            override_settings(STATUS_PROVIDERS={"stats": [entry]}, STATUS_TIMEOUT=1),
            self.assertLogs("status", "DEBUG") as logs,
        ):
            started = time.monotonic()
            answer = self.client.get("/status/api/stats/code").json()
            self.assertLess(time.monotonic() - started, 1.25)
            self.assertEqual(answer, {"ok": False, "error": "timed out after 1 s"})
            os.kill(int(self.pids.read_text().split()[1]), signal.SIGKILL)
            engine.close()
            self.assertTrue(eventually(lambda: not engine.busy))
        self.assertIn("git did not answer in time", str(logs.output))
        self.assert_gone()

    def test_deadline_of_the_run_counts(self) -> None:
        with self.hanging(), self.assertLogs("status", "DEBUG"):
            started = time.monotonic()
            answer = call_until(started + 0.6, None, partial(CodeFacts(), path=self.path))
            self.assertEqual(answer["error"], "git did not answer in time")
        self.assertLess(time.monotonic() - started, 0.6)

    def test_deadline_that_has_passed_starts_nothing(self) -> None:
        with self.hanging(), self.assertLogs("status", "DEBUG"):
            answer = call_until(time.monotonic() - 1, None, partial(CodeFacts(), path=self.path))
        self.assertEqual(answer["error"], "git did not answer in time")
        self.assertFalse(self.pids.exists())


@tag("fault")
class HostileRepositoryTests(SimpleTestCase):
    def setUp(self) -> None:
        root = folder(self)
        self.path = repository(root / "work", commits=2)
        self.canary = root / "canary"
        self.evil = program(root / "evil", f'echo "$0 $*" >> "{self.canary}"\nexit 1')
        git(self.path, "tag", "-a", "-m", "x", "v1")

    def assert_nothing_ran(self) -> None:
        self.assertEqual(self.canary.read_text() if self.canary.exists() else "", "")

    def plant(self, path: Path) -> None:
        evil = str(self.evil)
        hooks = path.parent / "hooks"
        hooks.mkdir()
        for name in ("reference-transaction", "post-checkout", "post-index-change", "fsmonitor-watchman"):
            (hooks / name).symlink_to(evil)
        commands = (
            "core.fsmonitor", "core.pager", "core.editor", "core.askPass", "core.sshCommand", "core.gitProxy",
            "core.alternateRefsCommand", "pager.rev-list", "pager.describe", "pager.for-each-ref", "gpg.program",
            "gpg.ssh.program", "credential.helper", "diff.external", "diff.evil.textconv", "diff.evil.command",
            "filter.evil.process", "filter.evil.clean", "filter.evil.smudge", "uploadpack.packObjectsHook",
            "sequence.editor", "remote.origin.uploadpack", "trace2.eventTarget",
        )  # fmt: skip
        for name in commands:
            git(path, "config", name, evil)
        for name in ("rev-list", "describe", "for-each-ref", "symbolic-ref"):
            git(path, "config", f"alias.{name}", f"!{evil}")
        git(path, "config", "core.hooksPath", str(hooks))
        git(path, "config", "log.showSignature", "true")
        (path.parent / "more.config").write_text(f"[core]\n\tfsmonitor = {evil}\n\tpager = {evil}\n")
        git(path, "config", "include.path", str(path.parent / "more.config"))
        (path / ".gitattributes").write_text("* filter=evil diff=evil\n")

    def test_nothing_that_a_repository_configures_is_run(self) -> None:
        tree = git(self.path, "rev-parse", "HEAD^{tree}")
        signature = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----"
        raw = f"tree {tree}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n{signature}\n\nSigned\n"
        git(self.path, "reset", "--soft", git(self.path, "hash-object", "-t", "commit", "-w", "--stdin", stdin=raw))
        git(self.path, "tag", "v2")
        expected = as_git_prints(self.path)
        self.plant(self.path)
        self.assertEqual(code(path=self.path), expected)
        self.assert_nothing_ran()
        git(self.path, "log", "-1", check=False)
        self.assertTrue(self.canary.exists(), "the canary lives: git log runs what is configured")

    def test_missing_objects_are_not_fetched(self) -> None:
        """A repository may name the program that fetches what it lacks; git runs it when it reads such an object."""
        for url in (
            "file:///nowhere",
            "ssh://host/path",
            "ext::{evil}",
            "git://host/path",
            "https://host.invalid/path",
        ):
            with self.subTest(url):
                root = folder(self)
                path = repository(root / "work")
                self.plant(path)
                git(path, "config", "remote.origin.url", url.format(evil=self.evil))
                git(path, "config", "remote.origin.promisor", "true")
                git(path, "config", "protocol.allow", "always")
                git(path, "config", "core.repositoryFormatVersion", "1")
                git(path, "config", "extensions.partialClone", "origin")
                (path / ".git/refs/heads/main").write_text("1" * 40 + "\n")
                (path / ".git/refs/tags/v1").write_text("2" * 40 + "\n")
                with self.assertLogs("status", "DEBUG"):
                    answer = CodeFacts()(path=path)
                self.assertEqual(answer["error"], "git cannot read the repository")
                self.assert_nothing_ran()

    def test_environment_that_leads_to_another_repository_is_not_followed(self) -> None:
        other = repository(folder(self))
        strays = {
            "GIT_DIR": str(other / ".git"),
            "GIT_WORK_TREE": str(other),
            "GIT_COMMON_DIR": str(other / ".git"),
            "GIT_OBJECT_DIRECTORY": str(other / ".git/objects"),
            "GIT_INDEX_FILE": str(other / ".git/index"),
            "GIT_NAMESPACE": "elsewhere",
            "GIT_CEILING_DIRECTORIES": str(self.path),
            "GIT_EXEC_PATH": str(self.path / "absent"),
            "GIT_REPLACE_REF_BASE": "refs/heads",
        }
        expected = as_git_prints(self.path)
        for name, value in strays.items():
            with self.subTest(name), mock.patch.dict(os.environ, {name: value}):
                self.assertEqual(CodeFacts()(path=self.path), expected)
        with mock.patch.dict(os.environ, strays):
            self.assertEqual(CodeFacts()(path=self.path), expected)
        self.assert_nothing_ran()

    def test_configuration_in_the_environment_is_respected(self) -> None:
        """P10."""
        configuration = {
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": "branch.main.remote",
            "GIT_CONFIG_VALUE_0": ".",
            "GIT_CONFIG_KEY_1": "branch.main.merge",
            "GIT_CONFIG_VALUE_1": "refs/heads/trunk",
        }
        with mock.patch.dict(os.environ, configuration):
            self.assertEqual(CodeFacts()(path=self.path)["branch"]["remote"], "trunk")

    def test_logins_and_addresses_are_not_shown(self) -> None:
        secret = "https://ann:canary-token@git.example/shop.git"
        git(self.path, "remote", "add", "origin", secret)
        git(self.path, "config", "url.https://x:canary-instead@host/.insteadOf", "https://git.example/")
        git(self.path, "config", "remote.pushDefault", secret)
        for remote in ("origin", secret):
            git(self.path, "config", "branch.main.remote", remote)
            git(self.path, "config", "branch.main.merge", "refs/heads/main")
            provider = CodeFacts()
            answer = provider(path=self.path)
            self.assertNotIn("canary", str(answer))
            self.assertNotIn("canary", str(provider.public(answer)))
        self.assertEqual(answer["branch"]["remote"], "unknown")

    def test_logins_do_not_reach_the_log(self) -> None:
        script = program(folder(self) / "git", "echo 'fatal: https://ann:canary@host/x' >&2; exit 128")
        with with_git(script), self.assertLogs("status", "DEBUG") as logs:
            CodeFacts()(path=self.path)
        self.assertIn("@host/x", str(logs.output))
        self.assertNotIn("canary", str(logs.output))


@tag("fault")
@skipUnless(os.path.isdir("/proc/self/fd"), "needs /proc to count")
class LeakTests(SimpleTestCase):
    def held(self) -> tuple[int, int, str]:
        for thread in threading.enumerate():
            if isinstance(thread, threading.Timer):  # of GitPython, cancelled when git ended
                thread.join()
        children = "".join(path.read_text() for path in Path("/proc/self/task").glob("*/children"))
        return len(os.listdir("/proc/self/fd")), threading.active_count(), children

    def test_nothing_stays_open(self) -> None:
        path = repository(folder(self))
        broken = repository(folder(self))
        (broken / ".git/HEAD").write_text("nonsense")
        hanging = program(folder(self) / "git", "sleep 60")
        provider = CodeFacts()
        provider(path=path)
        before = self.held()
        empty = folder(self)
        for _ in range(250):  # times four questions
            os.utime(path / ".git/HEAD")
            provider(path=path)
            provider(path=empty)
        with self.assertLogs("status", "DEBUG"):
            provider(path=broken)
            with with_git(hanging), override_settings(STATUS_TIMEOUT=0.2):
                commit(path)
                provider(path=path)
            with with_git(str(path / "absent")):
                provider(path=path)
        self.assertEqual(self.held(), before)
