"""What stands around the code agrees with itself: classifiers, matrix, support policy, workflows, ``.ci/run``."""

from __future__ import annotations

import itertools
import os
import pathlib
import pty
import re
import shutil
import subprocess
import tempfile

import yaml
from django.test import SimpleTestCase

import status
from tests.processes import ROOT, environment

PROJECT = (ROOT / "pyproject.toml").read_text()
POLICY = " ".join((ROOT / "SECURITY.rst").read_text().split())
SCRIPT = ROOT / ".ci" / "run"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
#: What .ci/run needs before its first step.
TOOLS = ("bash", "cat", "dirname", "env", "grep", "id", "ls", "mkdir", "mktemp", "rm", "sleep", "tee", "tr")


def classifiers(kind: str) -> list[str]:
    """The versions behind ``kind`` among the classifiers, oldest first."""
    return re.findall(rf'"{re.escape(kind)} :: (\d+\.\d+)"', PROJECT)


def pairs() -> set[tuple[str, str]]:
    """The environments in ``tox.ini`` as (Python, Django)."""
    lines = re.findall(r"^    py(\S+)-django(\S+)$", (ROOT / "tox.ini").read_text(), flags=re.MULTILINE)
    listed = [[re.findall(r"\d+", part) for part in line] for line in lines]
    return {
        (f"{python[0]}.{python[1:]}", f"{django[0]}.{django[1:]}")
        for pythons, djangos in listed
        for python, django in itertools.product(pythons, djangos)
    }


class SupportTests(SimpleTestCase):
    def test_the_matrix_is_that_of_the_classifiers(self):
        self.assertEqual({python for python, _ in pairs()}, set(classifiers("Programming Language :: Python")))
        self.assertEqual({django for _, django in pairs()}, set(classifiers("Framework :: Django")))

    def test_the_matrix_installs_the_django_that_its_name_says(self):
        told = dict(re.findall(r"^    django(\d+): Django~=(\S+)\.0$", (ROOT / "tox.ini").read_text(), re.MULTILINE))
        self.assertEqual({f"{name[0]}.{name[1:]}" for name in told}, set(classifiers("Framework :: Django")))
        for name, version in told.items():
            self.assertEqual(name, version.replace(".", ""))

    def test_the_ci_tries_the_oldest_and_the_newest_django_of_the_matrix(self):
        (cells,) = re.findall(r"for pair in (.*); do\n        \[ \"\$pair", SCRIPT.read_text())
        tried = {(f"3.{python}", django) for python, django in re.findall(r'"(\d+) ([\d.]+)"', cells)}
        self.assertLessEqual(tried, pairs())
        djangos = classifiers("Framework :: Django")
        self.assertEqual({django for _, django in tried}, {djangos[0], djangos[-1]})

    def test_the_support_policy_names_what_the_classifiers_name(self):
        *others, newest = classifiers("Framework :: Django")
        self.assertIn(f"today {', '.join(others)} and {newest}", POLICY)
        pythons = classifiers("Programming Language :: Python")
        self.assertIn(f"today {pythons[0]} to {pythons[-1]}", POLICY)
        self.assertIn(f'requires-python = ">={pythons[0]}"', PROJECT)
        self.assertIn(f'"Django>={classifiers("Framework :: Django")[0]}"', PROJECT)

    def test_each_language_of_the_pages_has_a_classifier(self):
        spoken = {path.name for path in (ROOT / "status" / "locale").iterdir()}
        names = {"de": "German", "es": "Spanish", "fr": "French", "pt_BR": "Portuguese (Brazilian)"}
        told = set(re.findall(r'"Natural Language :: (.+)"', PROJECT))
        self.assertEqual({names[code] for code in spoken} | {"English"}, told)

    def test_addresses_of_the_project_are_there(self):
        urls = dict(re.findall(r'^(\w+) = "(https://\S+)"$', PROJECT.partition("[project.urls]")[2], re.MULTILINE))
        self.assertEqual(list(urls), ["Documentation", "Source", "Issues", "Changelog", "Security"])
        for url in urls.values():
            file = url.partition("/blob/main/")[2]
            self.assertTrue((ROOT / file).exists(), url)

    def test_the_version_stands_in_one_place(self):
        self.assertIn('version = { attr = "status.__version__" }', PROJECT)
        for name in ("pyproject.toml", "setup.py", "tox.ini"):
            self.assertNotIn(f'"{status.__version__}"', (ROOT / name).read_text(), name)


class ChangelogTests(SimpleTestCase):
    text = (ROOT / "CHANGELOG.rst").read_text()

    def test_the_newest_release_is_this_version_and_dated(self):
        titles = re.findall(r"^(\S.*)\n-+\n", self.text, flags=re.MULTILINE)
        newest = next(title for title in titles if title != "Unreleased")
        self.assertRegex(newest, rf"^{re.escape(status.__version__)} \(\d{{4}}-\d\d-\d\d\)$")

    def test_each_release_is_sorted_for_a_reader(self):
        for release in re.split(r"^\S.*\n-+\n", self.text, flags=re.MULTILINE)[1:]:
            before, *parts = re.split(r"^(\S.*)\n~+\n", release, flags=re.MULTILINE)
            self.assertNotIn("\n* ", before, "should be below Added, Changed, Fixed or Removed")
            kinds = ["Added", "Changed", "Fixed", "Removed"]
            self.assertEqual(parts[::2], [kind for kind in kinds if kind in parts[::2]])
            self.assertNotIn("", [part.strip() for part in parts[1::2]], "a part without an entry")

    def test_no_entry_stands_twice(self):
        beginnings = [" ".join(entry.split()[:6]) for entry in re.split(r"^\* ", self.text, flags=re.MULTILINE)[1:]]
        self.assertEqual([one for one in beginnings if beginnings.count(one) > 1], [])


class WorkflowTests(SimpleTestCase):
    def test_actions_are_pinned_by_hash_with_the_version_beside_it(self):
        for path in WORKFLOWS:
            for action in re.findall(r"uses: (.*)", path.read_text()):
                if not action.startswith("$/"):
                    self.assertRegex(action, r"^[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", path.name)

    def test_each_job_asks_for_what_it_needs_and_nothing_else(self):
        asked = {}
        for path in WORKFLOWS:
            workflow = yaml.safe_load(path.read_text())
            self.assertEqual(workflow["permissions"], {}, path.name)
            asked |= {(path.stem, name): job["permissions"] for name, job in workflow["jobs"].items()}
        read = {"contents": "read"}
        self.assertEqual(asked.pop(("release", "publish")), {"id-token": "write"})
        self.assertEqual(asked, {("test", "test"): read, ("release", "test"): read, ("release", "build"): read})

    def test_the_tests_are_those_of_the_script(self):
        workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())
        (run,) = [step["run"] for step in workflow["jobs"]["test"]["steps"] if "run" in step]
        self.assertEqual(run, ".ci/run")

    def test_a_release_is_tested_first_and_needs_no_secret(self):
        text = (ROOT / ".github/workflows/release.yml").read_text()
        jobs = yaml.safe_load(text)["jobs"]
        self.assertEqual([jobs["build"]["needs"], jobs["publish"]["needs"]], ["test", "build"])
        self.assertEqual(jobs["publish"]["environment"]["name"], "pypi")
        self.assertNotIn("secrets.", text)

    def test_every_form_can_be_read(self):
        for path in (ROOT / ".github").rglob("*.yml"):
            self.assertTrue(yaml.safe_load(path.read_text()), path)


class InstallTests(SimpleTestCase):
    """Whether ``.ci/run`` installs packages of the system, on a machine where all of them are missing."""

    def setUp(self) -> None:
        self.machine = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.machine)
        for tool in TOOLS:
            (self.machine / tool).symlink_to(shutil.which(tool))
        for name in ("apt-get", "sudo"):
            (self.machine / name).write_text(f'#!/bin/sh\necho "$@" >> {self.machine}/installed\nexit 9\n')
            (self.machine / name).chmod(0o755)

    def run_script(self, *arguments: str, typed: str | None = None, **env: str) -> tuple[int, str, bool]:
        """Return its exit code, what it says, and whether it began to install; ``typed`` makes its input a terminal."""
        variables = environment({"PATH": str(self.machine), **env})
        if "CI" not in env:
            variables.pop("CI", None)
        reader, writer = pty.openpty()
        try:
            os.write(reader, (typed or "").encode())
            done = subprocess.run(
                [str(SCRIPT), *arguments],
                env=variables,
                stdin=writer if typed is not None else subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
        finally:
            os.close(reader)
            os.close(writer)
        return done.returncode, done.stdout + done.stderr, (self.machine / "installed").exists()

    def test_a_person_is_asked_first(self):
        code, said, installed = self.run_script(typed="n\n")
        self.assertEqual((code, installed), (1, False))
        self.assertRegex(said, r"Install chromium .*\? \[y/N\]")
        self.assertIn("Nothing was installed. The tests need: chromium", said)

    def test_a_person_who_agrees_gets_them(self):
        self.assertTrue(self.run_script(typed="y\n")[2])

    def test_nobody_is_asked_where_nobody_can_answer_or_has_answered_already(self):
        for arguments, typed, env in (((), None, {}), (("--install",), "n\n", {}), ((), "n\n", {"CI": "true"})):
            with self.subTest(arguments=arguments, env=env):
                (self.machine / "installed").unlink(missing_ok=True)
                _, said, installed = self.run_script(*arguments, typed=typed, **env)
                self.assertTrue(installed)
                self.assertNotIn("[y/N]", said)

    def test_an_unknown_argument_is_refused(self):
        code, said, installed = self.run_script("--instal")
        self.assertEqual((code, installed), (2, False))
        self.assertIn("usage: .ci/run [--install]", said)
