"""Several processes of ``tests.alert_project``, their outages, and the mails that they send."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from typing import Any

from tests import processes
from tests.components import eventually


class Alerting:
    """Processes that ask the same checks, and mail when one changes. Use it in ``with``.

    store: the entry of ``CACHES`` that they share, if any.
    databases: ``DATABASES``.
    """

    def __init__(
        self,
        store: dict[str, Any] | None,
        checks: Sequence[str] = ("shop",),
        count: int = 6,
        interval: float = 1.0,
        databases: dict[str, Any] | None = None,
    ) -> None:
        self.checks = checks
        self.folder = processes.directory()
        env = {
            "ALERT_CACHE": json.dumps(store),
            "ALERT_DATABASES": json.dumps(databases or {}),
            "ALERT_FOLDER": str(self.folder),
            "ALERT_CHECKS": " ".join(checks),
            "ALERT_INTERVAL": str(interval),
        }
        command = [sys.executable, "-m", "tests.alert_project"]
        self.processes = [processes.Process(command, env) for _ in range(count)]

    def __enter__(self) -> Alerting:
        for process in self.processes:
            process.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        for process in self.processes:
            process.kill()

    def switch(self, down: bool) -> None:
        """Begin or end an outage of all that is checked."""
        for name in self.checks:
            path = self.folder / f"{name}.down"
            path.touch() if down else path.unlink()

    def agree(self, state: str, seconds: float = 60.0) -> bool:
        """Wait until all processes have seen this state of all checks, and take it for told."""
        expected = " ".join([state] * len(self.checks))
        return eventually(lambda: all(self.seen(process)[-1:] == [expected] for process in self.processes), seconds)

    def seen(self, process: processes.Process) -> list[str]:
        """Return the states that a process has printed, without what it has logged, which may come later."""
        return [line for line in process.output.splitlines() if set(line.split()) <= {"pass", "fail"}]

    def mails(self, name: str = "shop") -> list[str]:
        """Return the states of the mails about one check, the oldest first."""
        mails = sorted((self.folder / "mails").glob("*.log"), key=lambda path: path.stat().st_mtime_ns)
        subjects = rf"^Subject: \[Django\] health/{name}: (\w+)$"
        return [state for mail in mails for state in re.findall(subjects, mail.read_text(), re.MULTILINE)]

    def outputs(self) -> str:
        return "\n".join(process.output for process in self.processes)
