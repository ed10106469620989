"""What is in the distributions, built once from a copy of the sources."""

from __future__ import annotations

import email.message
import email.parser
import io
import pathlib
import shutil
import subprocess
import sys
import tarfile
import zipfile

from django.test import SimpleTestCase

import status
from tests import services
from tests.processes import ROOT, environment

#: What a build leaves beside the sources, and what has nothing to do with it.
NOT_COPIED = (".git", ".venv", ".*_cache", ".hypothesis", "__pycache__", "build", "dist", "*.egg-info", "var")
REMEDY = "pip install -e .[test]"


def parsed(text: bytes) -> email.message.Message:
    return email.parser.BytesParser().parse(io.BytesIO(text))


class DistributionTests(SimpleTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        services.require_module("build", REMEDY)
        services.require_module("setuptools", REMEDY)
        sources = services.directory() / "sources"
        shutil.copytree(ROOT, sources, ignore=shutil.ignore_patterns(*NOT_COPIED))
        command = [sys.executable, "-W", "ignore", "-m", "build", "--no-isolation", "--outdir", "dist", "."]
        done = subprocess.run(command, cwd=sources, env=environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        (wheel,) = sources.glob("dist/*.whl")
        (sdist,) = sources.glob("dist/*.tar.gz")
        with zipfile.ZipFile(wheel) as archive:
            cls.wheel = {name: archive.read(name) for name in archive.namelist()}
            cls.installed = services.directory()
            archive.extractall(cls.installed)
        with tarfile.open(sdist) as archive:
            cls.sdist = {name.partition("/")[2] for name in archive.getnames()}

    def info(self, name: str) -> bytes:
        return self.wheel[f"django_status-{status.__version__}.dist-info/{name}"]

    def test_wheel_holds_every_file_of_the_package(self):
        files = {path.relative_to(ROOT) for path in (ROOT / "status").rglob("*") if path.is_file()}
        shipped = {path for path in files if path.suffix not in (".pyc", ".po", ".pot") and "/." not in str(path)}
        wanted = set(map(str, shipped))
        self.assertEqual(wanted - set(self.wheel), set())

    def test_wheel_holds_nothing_else(self):
        info = f"django_status-{status.__version__}.dist-info"
        self.assertEqual({name.partition("/")[0] for name in self.wheel}, {"status", info})

    def test_sdist_holds_what_is_needed_to_test_it(self):
        for name in ("setup.py", "pyproject.toml", "LICENSE", "README.rst", "CHANGELOG.rst", "runtests.py"):
            with self.subTest(name=name):
                self.assertIn(name, self.sdist)
        for name in ("tests/services.py", "example_project/manage.py", "tox.ini", ".ci/run", ".github/dependabot.yml"):
            with self.subTest(name=name):
                self.assertIn(name, self.sdist)

    def test_metadata_names_the_promised_facts(self):
        metadata = parsed(self.info("METADATA"))
        self.assertEqual((metadata["Name"], metadata["Version"]), ("django-status", status.__version__))
        self.assertEqual(metadata["License-Expression"], "BSD-3-Clause")
        self.assertEqual(metadata["Requires-Python"], ">=3.10")
        self.assertEqual(set(metadata.get_all("Provides-Extra")), {"celery", "test", "bench", "docs", "lint"})

    def test_only_three_packages_are_ever_needed_at_run_time(self):
        requirements = parsed(self.info("METADATA")).get_all("Requires-Dist")
        plain = {line for line in requirements if "extra ==" not in line}
        self.assertEqual(plain, {"Django>=4.2", "GitPython>=3.2"})
        self.assertIn('celery>=5.4; extra == "celery"', requirements)

    def test_command_is_installed(self):
        self.assertIn(b"django_status = status.__main__:main", self.info("entry_points.txt"))

    def test_pytest_finds_the_fixture(self):
        self.assertIn(b"[pytest11]\ndjango_status = status.pytest_plugin", self.info("entry_points.txt"))
        self.assertIn("\nfake_status -- ", self.python("-m", "pytest", "--fixtures", "-p", "no:cacheprovider"))

    def test_unpacked_wheel_answers_ping(self):
        self.assertJSONEqual(self.python("-m", "status", "ping", "-f", "json"), {"pong": True})

    def test_unpacked_wheel_is_what_is_imported(self):
        output = self.python("-c", "import status; print(status.__file__)")
        self.assertEqual(pathlib.Path(output.strip()).parent, self.installed / "status")

    def python(self, *arguments: str) -> str:
        """What the interpreter prints where the package is there as the wheel holds it, and no Django project."""
        env = environment({"PYTHONPATH": str(self.installed)})
        env.pop("DJANGO_SETTINGS_MODULE", None)
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=self.installed, env=env, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout
