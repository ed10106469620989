"""The answers that were recorded from django-status 2.x, asked again of the real thing where an old Python is there."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
from functools import cache
from typing import Any

from django.test import SimpleTestCase, tag

from tests import services
from tests.neighbours.__main__ import installed_python
from tests.processes import ROOT

VERSIONS = ("2.1.0", "2.2.1")
#: The newest Python 3 for Django 1.11.
MINOR = 7
ANSWERS = json.loads((ROOT / "tests" / "classic_answers.json").read_text("utf-8"))
#: What the other version has at another place.
ELSEWHERE = ("raises ImportError", "raises AttributeError")


@cache
def python_with(version: str) -> str:
    """The old Python with that version of django-status, and the folder in which nothing of this package is found."""
    python = installed_python(MINOR) or services.missing("Python 3.7 is missing", "pyenv install 3.7")
    uv = os.environ.get("UV") or shutil.which("uv") or services.missing("uv is missing", "pip install uv")
    folder = services.directory() / version
    own = str(folder / "bin" / "python")
    subprocess.run([uv, "venv", "--quiet", "--python", python, str(folder)], check=True)
    command = [uv, "pip", "install", "--quiet", "--python", own, f"django-status=={version}", "Django<2"]
    subprocess.run(command, check=True)
    (folder / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "classic_providers.py", folder / "tests")
    shutil.copy(pathlib.Path(__file__).with_name("classic_live.py"), folder)
    return own


@tag("neighbours")
class ClassicTests(SimpleTestCase):
    maxDiff = None

    def ask(self, version: str, **questions: Any) -> dict[str, Any]:
        python = python_with(version)
        folder = pathlib.Path(python).parent.parent
        asked = {
            "mount": "^status/ status.urls",
            "odd": False,
            "http": [],
            "names": [],
            "calls": [],
            "python": [],
            **questions,
        }
        env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONIOENCODING": "utf-8"}
        done = subprocess.run(
            [python, "-W", "ignore", "classic_live.py"],
            input=json.dumps(asked), cwd=folder, env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def test_addresses_answer_as_recorded(self) -> None:
        for version in VERSIONS:
            for mount, recorded in ANSWERS["mounts"].items():
                with self.subTest(version=version, mount=mount):
                    found = self.ask(version, mount=mount, http=list(recorded["http"]), names=list(recorded["names"]))
                    self.assertEqual(found["http"], recorded["http"])
                    self.assertEqual(found["names"], recorded["names"])

    def test_odd_entries_answer_as_recorded(self) -> None:
        for version in VERSIONS:
            with self.subTest(version=version):
                found = self.ask(version, odd=True, http=list(ANSWERS["entries"]), names=list(ANSWERS["entry_names"]))
                self.assertEqual(found["http"], ANSWERS["entries"])
                self.assertEqual(found["names"], ANSWERS["entry_names"])

    def test_commands_print_as_recorded(self) -> None:
        lines = [[["status", *line.split()], {}, *told] for line, told in ANSWERS["lines"].items()]
        recorded = [*ANSWERS["calls"], *lines]
        for version in VERSIONS:
            with self.subTest(version=version):
                found = self.ask(version, calls=[one[:2] for one in recorded])
                self.assertEqual(found["calls"], recorded)

    def test_names_do_as_recorded(self) -> None:
        found = [self.ask(version, python=list(ANSWERS["python"]))["python"] for version in VERSIONS]
        for code, recorded in ANSWERS["python"].items():
            with self.subTest(code=code):
                told = [answers[code] for answers in found if answers[code] not in ELSEWHERE]
                self.assertTrue(told)
                for answer in told:
                    self.assertEqual(answer, recorded)
