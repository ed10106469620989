"""Django's test runner, which also fails a test for what it leaves behind, and remembers what was skipped and why."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import multiprocessing
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

from django.conf import settings
from django.test.runner import DiscoverRunner, ParallelTestSuite, RemoteTestResult, RemoteTestRunner

from tests import processes
from tests.tellers import forget

#: Tags of tests that take long; they run when asked for by tag.
LONG_TAGS = {"benchmark", "consumers", "fault", "neighbours", "soak"}
#: Seconds until what a test has ended must really be gone.
GRACE = 2
#: Seconds a test may take, and one of the full-size runs. A child process gets the same environment.
TIMEOUT = float(os.environ.get("TEST_TIMEOUT", 300))
SOAK_TIMEOUT = 12 * TIMEOUT
#: Threads that serve one request of Django's live server and end with their connection.
REQUEST_THREADS = "(process_request_thread)"

_accidents: list[str] = []


class HangTimer:
    """Prints the stacks of all threads and ends the process, unless it is restarted in time. Runs in a ``with`` block.

    Only where tests run: the main process of a parallel run is told of every test, and forks off processes. In those,
    ``faulthandler`` would wait for ever for the thread that takes the time, which they do not have.
    """

    def __init__(self) -> None:
        self._runs = False

    def restart(self, seconds: float) -> None:
        if self._runs:
            faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__)

    def __enter__(self) -> None:
        self._runs = True
        self.restart(TIMEOUT)

    def __exit__(self, *exc_info: object) -> None:
        self._runs = False
        faulthandler.cancel_dump_traceback_later()


hang_timer = HangTimer()


class LeftoversMixin:
    """Fails tests for the threads, processes, overridden settings and unnoticed exceptions that they leave behind."""

    _before: frozenset[str] = frozenset()
    _settings: object = None

    def startTest(self, test: unittest.TestCase) -> None:
        hang_timer.restart(SOAK_TIMEOUT if "soak" in tags_of(test) else TIMEOUT)
        self._before = alive()
        self._settings = settings._wrapped
        super().startTest(test)  # type: ignore[misc]

    def stopTest(self, test: unittest.TestCase) -> None:
        leftovers = [*left_behind(self._before), *accidents()]
        if settings._wrapped is not self._settings:  # two that override settings, and the outer one ended first
            leftovers.append("overridden settings")
            settings._wrapped = self._settings
        for leftover in leftovers:
            error = AssertionError(f"left behind: {leftover}")
            self.addError(test, (AssertionError, error, None))  # type: ignore[attr-defined]
        super().stopTest(test)  # type: ignore[misc]
        hang_timer.restart(TIMEOUT)  # what follows may be the end of a class, and the beginning of another one


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

    def run(self, test: Any) -> Any:
        with hang_timer:
            return super().run(test)


class ParallelSuite(ParallelTestSuite):
    """Runs tests in several processes, and ends the run when one of these is gone before its tests are.

    Classes with browsers and servers, which take longest, come first: at the end one process would wait for another.
    """

    runner_class = RemoteRunner

    def __init__(self, subsuites: list[Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(sorted(subsuites, key=is_quick), *args, **kwargs)

    def run(self, result: Any) -> Any:
        return super().run(Attended(result))._result


class Attended:
    """A result that asks to stop when a test process is gone. Django would wait for its tests for ever."""

    def __init__(self, result: Any) -> None:
        self._result = result
        self._processes: set[int | None] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._result, name)

    @property
    def shouldStop(self) -> bool:
        """Whether to stop; Django asks every 0.1 s while tests run."""
        # Before the pool replaces a process, it takes it off this list.
        processes = {process.pid for process in multiprocessing.active_children()}
        if not self._processes:
            self._processes = processes
        elif self._processes - processes:
            error = AssertionError("a test process has ended before its tests; what it printed says why")
            self._result.addError(unittest.FunctionTestCase(bool), (AssertionError, error, None))
            return True
        return bool(self._result.shouldStop)


class Runner(DiscoverRunner):
    parallel_test_suite = ParallelSuite
    result: Result | None = None

    def get_resultclass(self) -> Any:
        return super().get_resultclass() or Result

    def run_suite(self, suite: Any, **kwargs: Any) -> Any:
        notice_accidents()
        # Here, lest it happens while a test has other observers, or other modules, in their place.
        import_module("status.api.views")
        import_module("status.asking").import_late()
        with contextlib.nullcontext() if isinstance(suite, ParallelSuite) else hang_timer:
            self.result = super().run_suite(suite, **kwargs)
        return self.result


def tags_of(test: Any) -> set[str]:
    """Return the tags of a test and of its class."""
    method = getattr(test, getattr(test, "_testMethodName", ""), None)
    return getattr(test, "tags", set()) | getattr(method, "tags", set())


def is_quick(suite: unittest.TestSuite) -> bool:
    """Return whether the tests of a class, of which there is at least one, start no browser and no server."""
    return not tags_of(next(iter(suite))) & {"browser", "server"}


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
    if "status.notifications" in sys.modules:  # a change that waits for its minute keeps a thread
        for teller in sys.modules["status.notifications"].tellers.get():
            forget(teller)
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
