"""Child processes of a test run: started, waited for, frozen, stopped, and never left behind.

Each process is told to a small guard, a process of its own session that ends them all when the test run is gone,
however it went: an orderly exit, a SIGKILL, a lost terminal. The guard removes the working directory too.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from typing import Any

import psutil

ROOT = pathlib.Path(__file__).resolve().parent.parent
#: Seconds until a server must accept connections.
START_TIMEOUT = 60
#: Not the generator that everyone shares, which some tests begin anew.
_chance = random.SystemRandom()


class NotStarted(Exception):
    """A server ended, or did not get ready in time. The message holds the end of its output."""


class Process:
    """One child process with its descendants, which need not be in its session or process group.

    command: what to run. The class attribute ``stop_signal`` is how it is asked, politely, to end.
    """

    stop_signal = signal.SIGTERM
    #: Seconds until ``stop`` uses force.
    stop_timeout: float = 5

    def __init__(self, command: Sequence[str], env: dict[str, str] | None = None, user: str | None = None) -> None:
        self.command = list(command)
        self.directory = directory(user)
        self.env = env
        self.user = user
        self.log = self.directory / "output.log"
        self.popen: subprocess.Popen[bytes] | None = None
        self.served = False

    @property
    def pid(self) -> int:
        assert self.popen is not None, "not started"
        return self.popen.pid

    @property
    def running(self) -> bool:
        return self.popen is not None and self.popen.poll() is None

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def prepare(self) -> list[str]:
        """The command for the next start; the place to choose a port."""
        return self.command

    def ready(self) -> bool:
        """Whether the server serves; asked repeatedly after the start."""
        return True

    def unlucky(self) -> bool:
        """Whether the failed start is worth another try."""
        return False

    def start(self) -> Any:
        """Start, wait until ready, and answer the process itself."""
        for attempt in (1, 2, 3):
            self._launch()
            try:
                self._wait_until_ready()
            except NotStarted:
                self.kill()
                if attempt == 3 or not self.unlucky():
                    raise
            else:
                break
        self.served = True
        return self

    def _launch(self) -> None:
        command = self.prepare()
        with open(self.log, "wb") as log:
            self.popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                env=environment(self.env),
                start_new_session=True,
                user=self.user,
                group=_group_of(self.user),
                extra_groups=None if self.user is None else [],
            )
        guard.tell("watch", self.popen.pid, int(self.stop_signal))
        _started.append(self)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not self.ready():
            if not self.running:
                raise NotStarted(f"{self.command[0]} ended with {self.popen.returncode}:\n{self.output[-4000:]}")
            if time.monotonic() > deadline:
                raise NotStarted(f"{self.command[0]} was not ready in {START_TIMEOUT} s:\n{self.output[-4000:]}")
            time.sleep(0.02)

    def tree(self) -> list[psutil.Process]:
        """This process and all its living descendants, the parents first."""
        if not self.running:
            return []
        return _tree(self.pid)

    def freeze(self) -> None:
        """SIGSTOP the whole tree, the parent first, so that it has no new children afterwards."""
        stopped: set[int] = set()
        while new := [process for process in self.tree() if process.pid not in stopped]:
            for process in new:
                _send(process, signal.SIGSTOP)
                stopped.add(process.pid)
            while any(_moves(process) for process in new):
                time.sleep(0.001)

    def thaw(self) -> None:
        for process in reversed(self.tree()):
            _send(process, signal.SIGCONT)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Frozen inside the ``with`` block, thawed after it, whatever happens inside."""
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    def terminate(self, timeout: float = 5) -> float:
        """Ask the process to end and answer the seconds it took; AssertionError when it is still there in time."""
        self.thaw()
        before = time.monotonic()
        assert self.popen is not None
        self.popen.send_signal(self.stop_signal)
        try:
            self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"{self.command[0]} was still running after {timeout} s:\n{self.output[-4000:]}"
            ) from None
        self._forget()
        return time.monotonic() - before

    def stop(self) -> None:
        """End the process, by force if it does not go by itself."""
        if self.running:
            try:
                self.terminate(self.stop_timeout)
            except AssertionError:
                pass
        self.kill()

    def kill(self) -> None:
        """SIGKILL the whole tree, at once."""
        for process in self.tree():
            _send(process, signal.SIGKILL)
        if self.popen is not None:
            self.popen.wait()
        self._forget()

    def _forget(self) -> None:
        if self in _started:
            _started.remove(self)
            assert self.popen is not None
            guard.tell("forget", self.popen.pid)

    def __enter__(self) -> Any:
        return self if self.running else self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


class Server(Process):
    """A process that listens on a TCP port of 127.0.0.1; ``{port}`` in its command stands for the port."""

    host = "127.0.0.1"
    port = 0

    def prepare(self) -> list[str]:
        if not self.served:
            self.port = free_port()
        return [part.replace("{port}", str(self.port)) for part in self.command]

    def ready(self) -> bool:
        return accepts(self.port)

    def unlucky(self) -> bool:
        """Another process took the port between its choice and the start."""
        return not self.served and accepts(self.port)


class Guard:
    """The process that ends what this one leaves behind. Started with the first child process."""

    def __init__(self) -> None:
        self.popen: subprocess.Popen[bytes] | None = None
        self.pipe = -1

    def tell(self, *words: object) -> None:
        """One line for the guard: ``watch PID SIGNAL``, ``forget PID`` or ``remove DIRECTORY``."""
        if self.popen is None:
            read, self.pipe = os.pipe()
            command = [sys.executable, "-W", "ignore", os.path.abspath(__file__)]
            self.popen = subprocess.Popen(command, stdin=read, start_new_session=True, cwd="/")
            os.close(read)
        os.write(self.pipe, (" ".join(map(str, words)) + "\n").encode())

    def dismiss(self) -> None:
        """End the guard, which ends everything it still watches first."""
        if self.popen is not None:
            os.close(self.pipe)
            self.popen.wait()
            self.popen = None


def guarding(lines: Iterator[str]) -> None:
    """The guard's own work: listen until the pipe closes, then end and remove what is left."""
    watched: dict[int, int] = {}
    directories = []
    for line in lines:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "watch":
            pid, stop_signal = map(int, rest.split())
            watched[pid] = stop_signal
        elif word == "forget":
            watched.pop(int(rest), None)
        elif word == "remove":
            directories.append(rest)
    trees = {pid: _tree(pid) for pid in watched}
    for pid, tree in trees.items():
        for process in reversed(tree):
            _send(process, signal.SIGCONT)
        for process in tree[:1]:
            _send(process, watched[pid])
    everything = [process for tree in trees.values() for process in tree]
    _, alive = psutil.wait_procs(everything, timeout=2)
    for process in alive:
        _send(process, signal.SIGKILL)
    psutil.wait_procs(alive, timeout=2)
    for path in directories:
        shutil.rmtree(path, ignore_errors=True)


def directory(user: str | None = None) -> pathlib.Path:
    """A new directory that is removed at the end of the test run; it belongs to ``user`` where one is named."""
    global _base
    if _base is None:
        _base = pathlib.Path(tempfile.mkdtemp(prefix="django-status-"))
        _base.chmod(0o711)
        guard.tell("remove", _base)
    path = pathlib.Path(tempfile.mkdtemp(dir=_base))
    path.chmod(0o711)
    if user is not None:
        shutil.chown(path, user)
    return path


def free_port() -> int:
    """A TCP port that nobody uses at this moment.

    It is below those that systems choose for connections going out: a server that takes seconds to start would
    sometimes find it taken by one of them.
    """
    while True:
        port = _chance.randrange(10_000, 32_000)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def refused_port() -> int:
    """Return a TCP port that refuses connections until this process ends: it is taken, and nobody listens on it."""
    global _refusing
    if _refusing is None:
        _refusing = socket.socket()
        _refusing.bind(("127.0.0.1", 0))
    port: int = _refusing.getsockname()[1]
    return port


def absent(name: str = "absent") -> pathlib.Path:
    """Return a path at which there is nothing, in a new directory."""
    return directory() / name


def accepts(port: int) -> bool:
    """Whether somebody accepts connections on the port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """This environment for a child: the repository can be imported, and coverage's and Django's variables go along."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(extra or {})}


def _group_of(user: str | None) -> int | None:
    # Late: the module exists on Unix only, and so do the users.
    import pwd

    return None if user is None else pwd.getpwnam(user).pw_gid


def _tree(pid: int) -> list[psutil.Process]:
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _send(process: psutil.Process, number: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def pids() -> set[int]:
    """The processes that run now by order of this module, the guard included."""
    popens = [guard.popen, *(process.popen for process in _started)]
    return {popen.pid for popen in popens if popen is not None}


def _moves(process: psutil.Process) -> bool:
    try:
        return process.status() not in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except psutil.NoSuchProcess:
        return False


def stop_all() -> None:
    """End every process that is still there and remove the directories. Runs at exit."""
    global _base
    for process in list(_started):
        process.stop()
    guard.dismiss()
    _base = None
    if _refusing is not None:
        _refusing.close()


def _disown() -> None:
    """In a forked child: the parent's processes are not ours, and the guard must not wait for us."""
    global _base
    for popen in [guard.popen, *(process.popen for process in _started)]:
        if popen is not None:
            popen.returncode = 0
    if guard.popen is not None:
        os.close(guard.pipe)
        guard.popen = None
    _started.clear()
    _base = None


guard = Guard()
_started: list[Process] = []
_base: pathlib.Path | None = None
_refusing: socket.socket | None = None

if __name__ == "__main__":
    guarding(iter(sys.stdin.readline, ""))
else:
    atexit.register(stop_all)
    os.register_at_fork(after_in_child=_disown)
