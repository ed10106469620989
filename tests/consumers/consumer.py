"""What all consumers have in common: a snippet, what is around it, and words for each state of the site."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from tests import services

#: Seconds from one question of a consumer to the next, and those that an answer may take, as the snippets have them.
INTERVAL = 4
TIMEOUT = 2
#: Snippets that do not say how often they ask: what is around them does.
UNTIMED = ("apache", "blackbox", "monit", "nagios", "nginx", "nrpe", "zabbix")
#: Seconds after which a test stops to wait for what a consumer answers.
GIVE_UP = 10
#: The programs of the environment that runs the tests come first, so that snippets name its ``django_status``.
ENVIRONMENT = {"PATH": os.pathsep.join((os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)))}


class Words(NamedTuple):
    """What a consumer says about a site in each state. It says of a site that recovered what it says of a good one."""

    good: str
    warning: str
    failing: str
    hung: str
    frozen: str
    dead: str


def words(good: str, bad: str, warning: str | None = None) -> Words:
    return Words(good, warning or good, bad, bad, bad, bad)


def snippet(kind: str, port: int) -> str:
    """The snippet as it is printed, for the site on ``port``."""
    # cron knows minutes, and has a clock that runs faster.
    interval = () if kind in UNTIMED else ("--interval", str(60 if kind == "cron" else INTERVAL))
    command = [sys.executable, "-m", "status", "snippet", kind, *interval]
    done = subprocess.run(
        [*command, "--url", f"http://127.0.0.1:{port}/status/"],
        env=services.environment({**ENVIRONMENT, "DJANGO_SETTINGS_MODULE": "tests.consumers.site"}),
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def answer(port: int, path: str, timeout: float = GIVE_UP, tls: bool = False) -> tuple[int, str]:
    """The status and the text that a server answers; 0 where nothing comes. Believes any certificate."""
    if tls:
        context = ssl._create_unverified_context()
        connection: Any = http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout, context=context)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    with contextlib.closing(connection):
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""


def document(port: int, path: str) -> Any:
    return json.loads(answer(port, path)[1])


class Consumer:
    """One program that asks the site on port ``site``, in a directory of its own.

    name: of its row in the table. says: what it says in each state.
    intervals: how many questions it takes until it says so; timeout: seconds that one of them may take.
    """

    name: str
    says: Words
    intervals = 2
    timeout: float = TIMEOUT

    def __init__(self, site: int) -> None:
        self.site = site
        self.directory = services.directory()
        self.processes: list[services.Process] = []

    def deadline(self, waits: bool) -> float:
        """Seconds from a change of the site until the consumer has to say so. waits: for an answer that is late."""
        return self.intervals * (INTERVAL + (self.timeout if waits else 0))

    def write(self, name: str, text: str, mode: int = 0o644) -> Path:
        file = self.directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        return file

    def run(self, *command: str | Path, kind: type[services.Process] = services.Process) -> Any:
        """Start a program, which ends with the consumer."""
        process = kind([*map(str, command)], env={**ENVIRONMENT, "HOME": str(self.directory)})
        self.processes.append(process)
        return process.start()

    def run_for_others(self, command: str, paths: dict[str, str]) -> None:
        """Run a shell command as root that starts others as ``nobody``, who may read where the tests' own Python is.

        paths: the path of a file or folder of the system's -> the name of this consumer's, which is seen in its place.
        """
        lines = [f"mount --bind {self.directory / name} {path}" for path, name in paths.items()]
        caps = "--inh-caps +dac_read_search --ambient-caps +dac_read_search --securebits +no_setuid_fixup"
        self.run("unshare", "--mount", "sh", "-ec", "\n".join([*lines, f"exec setpriv {caps} {command}"]))

    def start(self) -> None:
        raise NotImplementedError

    def verdict(self) -> str:
        """What it says now."""
        raise NotImplementedError

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.stop()


class Part(Consumer):
    """What another consumer, ``whole``, has started, and says too."""

    def __init__(self, whole: Any) -> None:
        super().__init__(whole.site)
        self.whole = whole

    def start(self) -> None:
        """Nothing: it runs."""


class Repeating(Consumer):
    """Asks from a thread of the test's, by the rules of a program that cannot run here."""

    def __init__(self, site: int) -> None:
        super().__init__(site)
        self.state = self.says.good
        self.over = threading.Event()
        self.thread: threading.Thread | None = None

    def repeat(self, pause: float) -> None:
        """Ask now, and every ``pause`` seconds."""
        self.thread = threading.Thread(target=self._repeat, args=[pause])
        self.thread.start()

    def _repeat(self, pause: float) -> None:
        due = time.monotonic()
        while not self.over.wait(max(0.0, due - time.monotonic())):
            due = time.monotonic() + pause
            self.state = self.ask()

    def ask(self) -> str:
        """Ask once, and return what it says then."""
        raise NotImplementedError

    def verdict(self) -> str:
        return self.state

    def stop(self) -> None:
        self.over.set()
        if self.thread is not None:
            self.thread.join()
