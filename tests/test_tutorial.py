"""``docs/tutorial.rst``: every file is written, every command typed, and what it prints is what the page shows."""

from __future__ import annotations

import doctest
import os
import pathlib
import re
import subprocess
import sys
import textwrap
import urllib.request
from collections.abc import Iterator
from typing import NamedTuple

from django.test import SimpleTestCase, tag

from tests import services
from tests.components import eventually
from tests.documents import page
from tests.processes import environment

#: What a new environment is for; here, that of the tests is used.
INSTALLING = ["python3 -m venv .venv", ". .venv/bin/activate", "pip install django-status"]
#: Seconds within which ``runserver`` has noticed that a file has changed, and started anew.
RELOADED = 30
STEP = re.compile(
    r"^\.\. code-block:: python\n +:caption: (?P<file>[\w/.]+)(?P<instead>, instead.*)?\n\n(?P<code>(?: {4}.*\n|\n)+)"
    r"|^\.\. code-block:: console\n\n(?P<console>(?: {4}.*\n|\n)+)"
    r"|says \"(?P<says>[^\"]+)\"",
    re.MULTILINE,
)


class Typed(NamedTuple):
    """What is typed in one block, and what is shown below it."""

    commands: list[str]
    output: str

    @classmethod
    def of(cls, console: str) -> Typed:
        """Return what a console block shows."""
        lines = textwrap.dedent(console).strip().splitlines()
        commands = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        return cls(commands, "\n".join(line for line in lines if not line.startswith("$ ")))


def steps() -> Iterator[dict[str, str]]:
    """Yield what the page tells to do, in its order: a file, what is typed, or what the page of the app says."""
    for found in STEP.finditer(page("tutorial")):
        yield {name: text for name, text in found.groupdict().items() if text is not None}


def comparable(text: str) -> str:
    """Return what was printed without what differs from run to run."""
    return re.sub(r"\d\.\d{3} s", "0.000 s", text.replace("\r", "")).strip() + "\n"


@tag("server")
class TutorialTests(SimpleTestCase):
    maxDiff = None

    def test_all_of_it_happens_as_the_page_tells(self):
        self.folder = services.directory()
        site = self.folder / "mysite"
        self.server = services.web("bash", "-c", f"cd {site} && exec python manage.py runserver {{port}}")
        self.server.env = self.env = {"PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"}
        self.env["DJANGO_SETTINGS_MODULE"] = "mysite.settings"
        self.addCleanup(self.server.stop)
        done = 0
        for step in steps():
            with self.subTest(**step):
                if "file" in step:
                    self.write(step["file"], textwrap.dedent(step["code"]), "instead" in step)
                elif "console" in step:
                    self.type(Typed.of(step["console"]))
                else:
                    self.assertTrue(eventually(lambda step=step: step["says"] in self.shown(), RELOADED), self.shown())
                done += 1
        self.assertEqual(done, 15)

    def write(self, file: str, code: str, instead: bool) -> None:
        """Write a file, or what comes at its end."""
        path = self.folder / "mysite" / file
        before = path.read_text() if path.exists() and not instead else ""
        path.write_text(f"{before}\n{code}")

    def type(self, typed: Typed) -> None:
        """Run the commands of a block, until they print what is shown: the server loads new code by itself."""
        commands = [command for command in typed.commands if command not in INSTALLING]
        if commands == ["python manage.py runserver"]:
            self.server.start()
            return
        checker = doctest.OutputChecker()
        printed = ""

        def as_shown() -> bool:
            nonlocal printed
            printed = comparable(self.run_in_shell("\n".join(commands)))
            return checker.check_output(comparable(typed.output), printed, doctest.ELLIPSIS)

        waits = any(command.startswith("curl") for command in commands)
        if typed.output and not eventually(as_shown, RELOADED if waits else 0):
            self.assertEqual(printed, comparable(typed.output))
        if not typed.output:
            self.run_in_shell(" && ".join(commands), check=True)

    def run_in_shell(self, script: str, check: bool = False) -> str:
        """Return what the script prints, in the directory of the project as soon as there is one."""
        script = script.replace("http://localhost:8000", self.server.url)
        done = subprocess.run(
            ["bash", "-c", script],
            env=environment(self.env),
            cwd=self.folder / "mysite" if (self.folder / "mysite").exists() else self.folder,
            stdout=subprocess.PIPE,
            stderr=None if check else subprocess.DEVNULL,
            text=True,
            check=check,
        )
        return done.stdout

    def shown(self) -> str:
        """Return the page of the app as text, empty while the server starts anew."""
        try:
            with urllib.request.urlopen(f"{self.server.url}/status/", timeout=10) as answer:
                return str(answer.read().decode())
        except OSError as error:
            return error.read().decode() if hasattr(error, "read") else ""
