"""Checks that it answers, takes requests and runs the code that is on disk, and that what should run regularly does.

The store is imported late, as ``django_status ping`` answers without Django, and from here.
"""

from __future__ import annotations

import os
import stat
import time
from importlib import import_module
from types import MappingProxyType
from typing import Any

from status.conf import conf
from status.exceptions import StatusError
from status.loops import touched
from status.providers import git
from status.providers.base import Answer, Provider, Unavailable
from status.providers.code import NO_DIRECTORY, read_code, running_code
from status.providers.kinds import SWITCH
from status.report import iso

#: Why ``ready`` fails while this process drains.
DRAINING = "draining"


class Ping(Provider):
    """``{"pong": true}``: the process is alive and answers. Does no I/O, so it suits liveness probes."""

    path = "status.providers.health.ping"
    blocking = False
    arguments = MappingProxyType({})

    def check(self) -> dict[str, bool]:
        return {"pong": True}


class RunningCode(Provider):
    """``{"checkout": true}``, with a warning where the code on disk is not the code that runs.

    A deployment that updates the files and forgets a process shows so: "running 1234abc, on disk is 5678def since
    2026-11-26T08:00:00Z". It warns as well where either commit is unknown. The HTTP status stays 200, as the process
    serves what it loaded. Not among the default checks: add ``("code", "status.providers.health.code")`` to ``health``.
    """

    kinds = MappingProxyType({"parents": SWITCH})

    def check(self, *, parents: bool = False) -> Answer:
        """Compare the commits; with ``parents``, the checkout may be a directory above the project path as well."""
        try:
            path = os.path.abspath(conf.project_path)
        except FileNotFoundError:
            return Answer({"checkout": True}, warnings={"checkout": NO_DIRECTORY})
        try:
            running = running_code(path, parents)
            now = read_code(path, os.environ, parents)
            head = now.find_head()
        except git.GitFailed as error:
            return Answer({"checkout": True}, warnings={"checkout": str(error)})
        running.head = running.head or head
        warnings = {}
        if running.head.commit is None:
            warnings["checkout"] = f"the commit that runs is not known: {running.reason or 'there was none'}"
        elif head.commit is None:
            what = now.reason or "a branch without commits"
            warnings["checkout"] = f"running {running.head.commit[:7]}, on disk is {what}"
        elif head.commit != running.head.commit:
            since = iso(now.changed_at() or time.time())
            warnings["checkout"] = f"running {running.head.commit[:7]}, on disk is {head.commit[:7]} since {since}"
        return Answer({"checkout": True}, warnings=warnings)


class Heartbeats(Provider):
    """``{name: bool}`` for each of ``STATUS_HEARTBEATS``: whether it came within its seconds, and told no failure.

    One that was never heard fails one period after it was first expected.
    """

    arguments = MappingProxyType({})

    def load(self) -> None:
        import_module("status.heartbeats")

    def check(self) -> Answer:
        # Late: see the top.
        from status.heartbeats import answer

        return answer()


class Loops(Provider):
    """``{name: bool}`` for each loop of this process that calls ``status.touch()``: whether it did so in time."""

    blocking = False
    max_age = 0
    arguments = MappingProxyType({})

    def check(self) -> Answer:
        now = time.monotonic()
        told = dict(touched())
        ages = {name: now - at for name, (at, every) in told.items()}
        reasons = {
            name: f"last touched {ages[name]:.0f} s ago, expected every {every:g} s"
            for name, (at, every) in told.items()
            if ages[name] > every
        }
        return Answer({name: name not in reasons for name in told}, reasons, ages=ages)


class NoDrainFile(StatusError):
    """Nobody can tell whether there is a file at ``STATUS_DRAIN_FILE``. The text follows the name of the setting."""


def is_draining() -> bool:
    """Return whether ``STATUS_DRAIN_FILE`` exists. Raises ``NoDrainFile`` where something else than a file does."""
    try:
        mode = os.stat(conf.drain_file or "").st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise NoDrainFile(f"cannot be looked at ({type(error).__name__})") from error
    if not stat.S_ISREG(mode):
        raise NoDrainFile("is a directory" if stat.S_ISDIR(mode) else "is no regular file")
    return True


class Drain(Provider):
    """``{"accepting": true}``, and fails as "draining" while ``STATUS_DRAIN_FILE`` exists. Only in ``ready``."""

    max_age = 0
    arguments = MappingProxyType({})

    def check(self) -> Answer:
        try:
            draining = is_draining()
        except NoDrainFile as error:
            reason = f"STATUS_DRAIN_FILE {error}, so that nothing drains"
            return Answer({"accepting": True}, warnings={"accepting": reason})
        if draining:
            raise Unavailable(DRAINING)
        return Answer({"accepting": True})


ping = Ping()
code = RunningCode()
heartbeats = Heartbeats()


def __getattr__(name: str) -> Any:
    return import_module("status.classic").find(__name__, name)
