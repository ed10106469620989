"""What the documents claim: every setting, default, path, figure and command in them is held against the real thing."""

from __future__ import annotations

import ast
import importlib
import inspect
import pathlib
import re
import warnings
from typing import Any

from django.test import SimpleTestCase, tag
from django.utils.module_loading import import_string
from docutils.core import publish_doctree
from docutils.utils import Reporter

import status
from runtests import parse
from status import serialization
from status.access import PERMISSION
from status.conf import Conf, Setting
from status.engine.execution import SingleFlight
from status.formats.metrics import FAMILIES
from status.threads import Worker
from tests import every_check
from tests.documents import DOCUMENTS, README, TOP, blocks, commands, page, section
from tests.processes import ROOT
from tests.test_example_project import Shop, get

PACKAGE = pathlib.Path(status.__file__).parent
SOURCE = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
#: Those that ``Conf`` reads by a property of its own.
READ_BY_NAME = {"STATUS_PROVIDERS", "STATUS_CHECK_PROVIDERS"}
SETTINGS = {setting.name: setting.default for setting in vars(Conf).values() if isinstance(setting, Setting)}


class FormTests(SimpleTestCase):
    def test_documents_at_the_top_are_well_formed(self):
        """Those of the site are built by Sphinx, without a warning, in the continuous integration."""
        for path in TOP:
            with self.subTest(path=path.name):
                overrides = {"report_level": Reporter.WARNING_LEVEL, "halt_level": Reporter.WARNING_LEVEL}
                publish_doctree(path.read_text(), str(path), settings_overrides=overrides)

    def test_files_that_documents_link_to_are_there(self):
        for path in DOCUMENTS:
            for target in re.findall(r"<([\w./-]+\.(?:rst|svg|png))>", path.read_text()):
                with self.subTest(path=path.name, target=target):
                    self.assertTrue((path.parent / target).exists())

    def test_python_in_documents_compiles(self):
        for path in DOCUMENTS:
            for code in blocks(path.read_text(), "python"):
                with self.subTest(path=path.name, code=code):
                    ast.parse(code)


@tag("server")
class QuickStartTests(SimpleTestCase):
    lines = [line for block in blocks(section(README, "Quick start"), "sh") for line in block.splitlines()]

    def test_two_lines_stand_first_and_are_marked(self):
        self.assertEqual(len(self.lines), 2)
        for mark, line in zip(("run-line", "test-line"), self.lines, strict=True):
            self.assertIn(f".. {mark}\n\n.. code-block:: sh\n\n    {line}\n", README)
        self.assertLess(README.index(self.lines[1]), 2500)

    def test_they_name_files_and_extras_that_are_there(self):
        declared = (ROOT / "pyproject.toml").read_text().partition("[project.optional-dependencies]")[2]
        extras = re.findall(r"^(\w+) = \[", declared, flags=re.MULTILINE)
        for line in self.lines:
            for extra in re.findall(r"\[(\w+)\]", line):
                self.assertIn(extra, extras)
            for file in re.findall(r"[\w/]+\.py", line):
                self.assertTrue((ROOT / file).is_file(), file)

    def test_the_first_does_what_it_promises_once_installed(self):
        """The whole line, which downloads, is for the continuous integration."""
        words = self.lines[0].rpartition("manage.py ")[2].split()
        done = Shop().manage(*words)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("shop", done.stdout)


class SettingTests(SimpleTestCase):
    def test_every_setting_has_a_heading(self):
        for name in READ_BY_NAME | set(SETTINGS):
            with self.subTest(name=name):
                self.assertTrue(section(page("settings"), f"``{name}``").strip())

    def test_the_defaults_are_right(self):
        told = 0
        for name, default in SETTINGS.items():
            found = re.search(r"Default: ``([^`]+)``|``([^`]+)`` \(default\)", section(page("settings"), f"``{name}``"))
            if found is not None:
                told += 1
                with self.subTest(name=name):
                    self.assertEqual(ast.literal_eval(found[1] or found[2]), default)
        self.assertGreater(told, 10)

    def test_no_document_names_a_setting_that_there_is_not(self):
        for path in DOCUMENTS:
            for name in set(re.findall(r"\b(?:DJANGO_)?STATUS_[A-Z_]*[A-Z]\b", path.read_text())):
                with self.subTest(path=path.name, name=name):
                    self.assertIn(name, SOURCE)


class ContributorTests(SimpleTestCase):
    """What ``CONTRIBUTING.rst`` and ``docs/architecture.rst`` claim."""

    layout = page("architecture").partition("Layout\n---")[2].partition("\n---")[0]

    def test_files_named_in_the_architecture_are_there(self):
        named = re.findall(r"``([\w/]+(?:\.py|/))``", self.layout)
        self.assertGreater(len(named), 30)
        self.assertEqual([name for name in named if not (PACKAGE / name).exists()], [])

    def test_what_the_architecture_leads_to_is_there(self):
        told = re.findall(r"``(?:\w+\.)?(\w+)`` in ``([\w/]+\.py)``", self.layout)
        self.assertGreater(len(told), 4)
        for name, file in told:
            with self.subTest(name):
                self.assertRegex((PACKAGE / file).read_text(), rf"(def|class) {name}\b")

    def test_architecture_names_every_module_and_package(self):
        packages = {f"{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}
        modules = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py"}
        self.assertEqual({name for name in packages | modules if f"``{name}``" not in self.layout}, set())

    def test_commands_for_contributors_name_options_and_tests_that_there_are(self):
        found = re.findall(r"runtests\.py (.*?)(?: +#|$)", (ROOT / "CONTRIBUTING.rst").read_text(), flags=re.MULTILINE)
        self.assertGreater(len(found), 4)
        for words in found:
            with self.subTest(words):
                options = parse(words.split())
                for label in options["labels"]:
                    self.assertTrue(importlib.import_module(label))


class FactTests(SimpleTestCase):
    def test_paths_lead_somewhere(self):
        for path in DOCUMENTS:
            for name in set(re.findall(r"``\"?(status(?:\.(?!css|js|[EWI]\d)\w+)+)\"?``", path.read_text())):
                if name != f"status.{PERMISSION}":
                    with self.subTest(path=path.name, name=name):
                        self.assertTrue(self.leads_somewhere(name))

    def leads_somewhere(self, name: str) -> bool:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # names of 2.x
                return import_string(name) is not None
        except ImportError:
            __import__(name)
            return True

    def test_arguments_of_the_checks_and_their_defaults_are_right(self):
        """Each table of ``docs/checks.rst`` against the signature of the provider under whose heading it stands."""
        text = page("checks")
        told = re.findall(r"^``(status\.providers\.[\w.]+)``\n~+\n(.*?)(?=^\S[^\n]*\n[-~]{3,}\n|\Z)", text, re.M | re.S)
        self.assertGreater(len(told), 3)
        for path, entry in told:
            rows = re.findall(r"^``(\w+)``\s+(?:``([^`]+)``|required)\s", entry, re.M)
            with self.subTest(path):
                parameters = inspect.signature(import_string(path).takes()).parameters.values()
                parameters = [one for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
                defaults = {one.name: repr(one.default) for one in parameters if one.default is not one.empty}
                given = {name: repr(ast.literal_eval(default)) for name, default in rows if default}
                self.assertEqual(given, defaults)
                self.assertEqual({name for name, _ in rows}, {one.name for one in parameters})

    def test_every_sample_is_told(self):
        text = (ROOT / "docs" / "prometheus.rst").read_text()
        for name, (kind, help) in FAMILIES.items():
            suffix = {"info": "_info", "counter": "_total"}.get(kind, "")
            self.assertRegex(text, rf"\n``django_status_{name}{suffix}`` +{kind} +{re.escape(help)}\n")

    def test_every_check_of_the_screenshots_is_there_with_its_arguments(self):
        to_add = page("checks").partition("Checks to add\n---")[2]
        told = set(re.findall(r"^``(status[.][\w.]+)``\n~", to_add, re.MULTILINE))
        self.assertEqual({path for path, *_ in every_check.CHECKS.values()}, told)
        for name, (path, *_) in every_check.CHECKS.items():
            self.assertIsNone(import_string(path).mistake(**every_check.ARGUMENTS.get(name, {})))

    def test_figures_are_those_of_the_code(self):
        limits = page("deadlines")
        for figure in (
            f"{serialization.MAX_ITEMS:,} values",
            f"{serialization.MAX_CHARACTERS:,} characters",
            f"more than {serialization.MAX_DEPTH} deep",
            f"After {SingleFlight.replace_after:g} s",
        ):
            with self.subTest(figure=figure):
                self.assertIn(figure, " ".join(limits.split()))
        self.assertEqual((SingleFlight.limit, Worker.idle_seconds), (3, 60))

    def test_providers_shown_work(self):
        namespace: dict[str, Any] = {
            "open_for_business": lambda: True,
            "late_suppliers": lambda: ["one"],
            "sheets": lambda: 42,
        }
        function, _, class_ = blocks(page("writing-checks").partition("Several services")[0], "python")
        exec(function, namespace)
        exec(class_, namespace)
        self.assertEqual(namespace["storage"]("uploads", path="/", at_least=1), {"uploads": True})
        answer = namespace["Stock"]().check()
        self.assertEqual(answer.value, {"orders": True, "paper": 42, "suppliers": False})
        self.assertEqual(answer.reasons, {"suppliers": "1 are late"})
        self.assertEqual(answer.warnings, {"paper": "fewer than 50 sheets"})


@tag("server")
class CommandTests(SimpleTestCase):
    def test_commands_run(self):
        """Those that ask this process, in the example project, where everything is well."""
        lines = "\n".join(blocks(page("commands"), "shell")).splitlines()
        asked = [line.partition("#")[0].split() for line in lines if line.startswith("manage.py status ")]
        asked = [words for words in asked if not {"wait", "--url"} & set(words)]
        self.assertGreater(len(asked), 3)
        shop = Shop()
        for words in asked:
            with self.subTest(command=words):
                done = shop.manage(*words[1:])
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertTrue(done.stdout)

    def test_the_example_project_does_what_is_told(self):
        """All commands of the section in turn: each runs, and the addresses answer what was switched."""
        shop, statuses = Shop(), []
        with shop.serve() as server:
            for command in commands(page("example-project")):
                words = command.split()
                if words[0] == "python" and words[2] != "runserver":
                    done = shop.manage(*words[2:])
                    self.assertEqual(done.returncode, 0, done.stderr)
                elif words[0] == "curl" and "-X" not in words:
                    statuses.append(get(words[-1].replace("localhost:8000", server.url))[0])
        self.assertEqual(statuses, [503, 503])
