"""What the tests of the command line share: asking in this process, and in one of its own."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple
from unittest import mock

from status.cli.command import answer_command
from status.cli.output import Terminal
from status.conf import conf
from status.engine import engine
from tests import services

#: Seconds until a command that ought to end is given up.
PATIENCE = 30


class Asked(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str = ""


class Screen(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


class Full(io.StringIO):
    """A file on a disk that is full."""

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def ask(*words: str, out: io.StringIO | None = None, err: io.StringIO | None = None, **options: Any) -> Asked:
    """Answer ``words`` in this process, as ``manage.py status`` or, with ``in_django=False``, as ``django_status``."""
    options = {"prog": "status", "in_django": True, **options}
    out, err = out or io.StringIO(), err or io.StringIO()
    with settings_kept():
        code = answer_command(words, terminal=Terminal(out, err), **options)
    return Asked(code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def settings_kept() -> Iterator[None]:
    """What a command changes for its own process ends with the block."""
    with (
        mock.patch.object(conf, "source", conf.source),
        mock.patch.object(engine, "observers", list(engine.observers)),
        mock.patch.object(engine, "is_shared", engine.is_shared),
        mock.patch.object(sys, "path", list(sys.path)),
        mock.patch.dict(os.environ),
        mock.patch("status.logs.logger"),
    ):
        yield


def command(*words: str, env: dict[str, str] | None = None, module: str = "status", **options: Any) -> Asked:
    """Run ``python -m status``, or another module, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        env=bare(env),
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        **options,
    )
    return Asked(done.returncode, done.stdout, done.stderr)


def bare(env: dict[str, str] | None = None) -> dict[str, str]:
    """The environment of a shell that has set nothing about Django or this app."""
    inherited = services.environment()
    for name in ("DJANGO_SETTINGS_MODULE", "DJANGO_STATUS_SETTINGS", "STATUS_TOKEN", "NO_COLOR"):
        inherited.pop(name, None)
    return {**inherited, **(env or {})}
