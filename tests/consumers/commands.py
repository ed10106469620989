"""What starts the command of the snippet, again and again or once."""

from __future__ import annotations

import configparser
import shlex
import shutil
import subprocess
import time

from tests import services
from tests.consumers.consumer import (
    ENVIRONMENT,
    INTERVAL,
    TIMEOUT,
    Consumer,
    Repeating,
    snippet,
    words,
)

#: Cron's clock, so many times as fast as others: its shortest interval is a minute.
CRON_SPEED = 60 / INTERVAL


class Systemd(Repeating):
    """Runs the service as systemd does, at the intervals of the timer: no systemd has to run here."""

    name = "systemd timer"
    says = words("inactive", "failed")

    def start(self) -> None:
        service, timer = snippet("systemd", self.site).split("# /etc/systemd/system/django-status.timer\n")
        self.write("django-status.service", service)
        verify = [services.require("systemd-analyze"), "verify", "--man=no"]
        done = subprocess.run(
            [*verify, self.write("django-status.timer", timer)], capture_output=True, encoding="utf-8", timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert "django-status" not in done.stderr, done.stderr
        units = configparser.RawConfigParser()
        units.optionxform = str  # type: ignore[assignment,method-assign]
        units.read_string(service)
        units.read_string(timer)
        self.command = shlex.split(units["Service"]["ExecStart"])
        self.limit = self.seconds(units["Service"]["TimeoutStartSec"])
        self.repeat(self.seconds(units["Timer"]["OnUnitActiveSec"]))

    def seconds(self, text: str) -> int:
        assert text.endswith("s"), text
        return int(text[:-1])

    def ask(self) -> str:
        try:
            done = subprocess.run(self.command, env=ENVIRONMENT, cwd="/", capture_output=True, timeout=self.limit)
        except subprocess.TimeoutExpired:
            return "failed"
        return "failed" if done.returncode else "inactive"


class Silent(Consumer):
    """Says something while there is trouble, and nothing otherwise.

    kept: seconds from what it said last until it has fallen silent.
    """

    kept = INTERVAL + TIMEOUT + 2

    def last(self) -> float:
        """When it said something, by the clock of files."""
        raise NotImplementedError

    def verdict(self) -> str:
        return self.says.dead if time.time() - self.last() < self.kept else self.says.good


class Cron(Silent):
    """Runs with folders of its own in the place of the system's, and with a clock that is faster."""

    name = "cron"
    says = words("no mail", "mail")

    def start(self) -> None:
        faketime, cron = services.require("faketime"), services.require("cron")
        self.mails = self.directory / "mails"
        self.mails.mkdir()
        self.mails.chmod(0o777)  # each line's user brings its own
        self.write("sbin/sendmail", f"#!/bin/sh\ncat >{self.mails}/$$\n", 0o755)
        shutil.copy(cron, self.directory / "sbin")
        self.write("cron.d/django-status", snippet("cron", self.site))
        self.write("crontab", "")
        # The system's own takes away what ``run_for_others`` gives.
        self.write("pam", "".join(f"{kind} required pam_permit.so\n" for kind in ("auth", "account", "session")))
        (self.directory / "spool/crontabs").mkdir(parents=True)
        (self.directory / "run").mkdir()
        # What cron starts gets a clean environment, and with it the true clock.
        paths = {"/etc/cron.d": "cron.d", "/etc/crontab": "crontab", "/etc/pam.d/cron": "pam"}
        paths |= {"/var/spool/cron": "spool", "/run": "run", "/usr/sbin": "sbin"}
        self.run_for_others(f"{faketime} -f '+0 x{CRON_SPEED:g}' /usr/sbin/cron -f", paths)

    def last(self) -> float:
        return max((mail.stat().st_mtime for mail in self.mails.iterdir()), default=0)


class Supervisor(Silent):
    name = "supervisor"
    says = words("no line", "a line")

    def start(self) -> None:
        services.require("supervisord")
        self.log = self.directory / "log/supervisor/django-status.log"
        self.log.parent.mkdir(parents=True)
        around = (
            f"[supervisord]\nnodaemon=true\nlogfile={self.directory}/supervisord.log\npidfile={self.directory}/pid\n"
        )
        file = self.write("supervisord.conf", around + snippet("supervisor", self.site))
        self.run_for_others(f"{services.require('supervisord')} -c {file}", {"/var/log": "log"})

    def last(self) -> float:
        return self.log.stat().st_mtime if self.log.exists() and self.log.stat().st_size else 0
