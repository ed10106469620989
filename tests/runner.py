"""Django's test runner, which also fails a test for what it leaves behind, and remembers what was skipped and why."""

from __future__ import annotations

import gc
import os
import pathlib
import pickle
import sys
import threading
import time
import traceback
import unittest
from importlib import import_module
from typing import Any

from django.test.runner import DiscoverRunner, ParallelTestSuite, RemoteTestResult, RemoteTestRunner

from tests import processes

#: Tags of tests that take long; they run when asked for by tag.
LONG_TAGS = {"benchmark", "fault", "soak"}
#: Seconds until what a test has ended must really be gone.
GRACE = 2
#: Threads that serve one request of Django's live server and end with their connection.
REQUEST_THREADS = "(process_request_thread)"

_accidents: list[str] = []


class LeftoversMixin:
    """A test result that fails tests for threads, processes and unnoticed exceptions that they leave behind."""

    _before: frozenset[str] = frozenset()

    def startTest(self, test: unittest.TestCase) -> None:
        self._before = alive()
        super().startTest(test)  # type: ignore[misc]

    def stopTest(self, test: unittest.TestCase) -> None:
        for leftover in (*left_behind(self._before), *accidents()):
            error = AssertionError(f"left behind: {leftover}")
            self.addError(test, (AssertionError, error, None))  # type: ignore[attr-defined]
        super().stopTest(test)  # type: ignore[misc]


class Result(LeftoversMixin, unittest.TextTestResult):
    """Counts whole tests: a test with three failing subtests is one failed test."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.succeeded: set[str] = set()

    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        self.succeeded.add(test.id())

    @property
    def failed(self) -> set[str]:
        bad = [*self.failures, *self.errors, *((test, "") for test in self.unexpectedSuccesses)]
        return {whole(test).id() for test, _ in bad}

    @property
    def reasons(self) -> dict[str, str]:
        """Skipped test -> why."""
        return {whole(test).id(): reason for test, reason in self.skipped}

    @property
    def passed(self) -> set[str]:
        return self.succeeded - self.failed - set(self.reasons)


class RemoteResult(LeftoversMixin, RemoteTestResult):
    """Sends what it sees to the main process, which would wait for ever for an exception that cannot travel."""

    def addError(self, test: Any, err: Any) -> None:
        super().addError(test, portable(err))

    def addFailure(self, test: Any, err: Any) -> None:
        super().addFailure(test, portable(err))

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        if err is not None:  # in words: a subtest would bring all that its test has, connections for example
            words = f"{subtest}\n{''.join(traceback.format_exception(*err))}"
            super().addFailure(test, (AssertionError, AssertionError(words), None))


class RemoteRunner(RemoteTestRunner):
    resultclass = RemoteResult


class ParallelSuite(ParallelTestSuite):
    runner_class = RemoteRunner


class Runner(DiscoverRunner):
    parallel_test_suite = ParallelSuite
    result: Result | None = None

    def get_resultclass(self) -> Any:
        return super().get_resultclass() or Result

    def run_suite(self, suite: Any, **kwargs: Any) -> Any:
        notice_accidents()
        # Whoever serves connects the engine's observers. Here, lest it happens while a test has others in their place.
        import_module("status.api.views")
        self.result = super().run_suite(suite, **kwargs)
        return self.result


def portable(err: Any) -> Any:
    """What happened, as it is if it survives a journey between processes, else in words."""
    try:
        pickle.loads(pickle.dumps(err))
    except Exception:
        return AssertionError, AssertionError("".join(traceback.format_exception(*err))), None
    return err


def whole(test: Any) -> Any:
    """The test that a subtest is part of."""
    return getattr(test, "test_case", test)


def alive() -> frozenset[str]:
    """The threads and child processes of this moment, apart from the servers that tests share, each in a few words."""
    threads = {f"thread {thread.name}" for thread in threading.enumerate() if REQUEST_THREADS not in thread.name}
    return frozenset(threads | {f"process {pid} {command_of(pid)}" for pid in children()})


def left_behind(before: frozenset[str]) -> list[str]:
    """What is alive now, was not before, and does not go within the grace period. Ends the engine's idle threads."""
    if "status.engine" in sys.modules:
        sys.modules["status.engine"].engine.close()
    deadline = time.monotonic() + GRACE
    while (new := alive() - before) and time.monotonic() < deadline:
        # A process or thread may hang on an object that only the collector finds.
        gc.collect()
        time.sleep(0.02)
    return sorted(new)


def children() -> set[int]:
    """The child processes, also those that ended and were not waited for, without the shared servers."""
    tasks = pathlib.Path("/proc/self/task")
    if not tasks.exists():
        return set()
    pids: set[int] = set()
    for task in tasks.iterdir():
        try:
            pids.update(map(int, (task / "children").read_text().split()))
        except OSError:
            continue  # the thread has ended
    return pids - processes.pids()


def command_of(pid: int) -> str:
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")[:120] or "(not waited for)"
    except OSError:
        return ""


def notice_accidents() -> None:
    """Remember exceptions that nobody can catch: in threads, and in destructors, where leaks are warned of."""

    def in_destructor(accident: Any) -> None:
        _accidents.append(f"{accident.err_msg or 'exception ignored in'} {accident.object!r}: {accident.exc_value!r}")
        sys.__unraisablehook__(accident)

    def in_thread(accident: Any) -> None:
        _accidents.append(f"exception in thread {getattr(accident.thread, 'name', '?')}: {accident.exc_value!r}")
        threading.__excepthook__(accident)

    sys.unraisablehook = in_destructor
    threading.excepthook = in_thread


def accidents() -> list[str]:
    """Those noticed since the last call."""
    found = list(_accidents)
    _accidents.clear()
    return found


def files(root: pathlib.Path) -> set[str]:
    """The files below ``root`` that a test could have left there: no caches of tools, and no sources being written."""
    tools = {".git", ".venv", ".hypothesis", "__pycache__", ".mypy_cache", ".ruff_cache", "build", "dist"}
    sources = {".py", ".rst", ".html", ".css", ".js", ".toml", ".po", ".mo", ".md", ".svg"}
    found = set()
    for directory, directories, names in os.walk(root):
        directories[:] = [name for name in directories if name not in tools and not name.endswith(".egg-info")]
        found.update(os.path.join(directory, name) for name in names if os.path.splitext(name)[1] not in sources)
    return found
