"""The documentation as a whole: its lists against the code, its links, and the code that its pages show."""

from __future__ import annotations

import ast
import builtins
import inspect
import io
import json
import pathlib
import pkgutil
import re
import shlex
import sys
import types
from collections.abc import Iterator
from importlib import import_module
from typing import Any, ClassVar
from unittest import mock

import yaml
from django.core.management import call_command
from django.test import SimpleTestCase, override_settings
from django.utils.module_loading import import_string

import status.checks
import status.providers
from status.cli.arguments import parse_arguments
from status.conf import Conf, Setting
from status.providers import Provider
from status.test import fake
from tests.commandline import ask
from tests.documents import DOCUMENTS, PAGES, README, TOP, blocks, commands, page, section
from tests.processes import ROOT
from tests.test_docs import READ_BY_NAME

SITE = "https://django-status.readthedocs.io/en/latest/"
#: Pages whose commands have a test of their own, in their order, and those that measure for half an hour.
TRIED_ELSEWHERE = {"tutorial", "example-project", "benchmarks"}
#: Programs that are not this project's.
FOREIGN = {"curl", "export", "kill", "pg_dump", "pip", "python3", "sleep"}
#: What a page takes for granted when it shows settings: names, settings that it has shown before, the reader's modules.
GIVEN = {"BASE_DIR": ROOT, "os": mock.Mock(environ={"STATUS_TOKEN": "o5_8Yk2mUn0mJd0xHq9TqXfQxw1r7cZr"})}
REDIS = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:1"}
SHOWN_BEFORE = {"CACHES": {"default": REDIS, "status": REDIS}, "STATUS_STORE": "status"}
MODULES = ("mysite", "mysite.checks", "proj", "proj.status", "shop", "shop.checks", "shop.providers")
#: Pages whose Python is run by the tests of the subject, as it leaves something behind; packages that are not here.
RUN_ELSEWHERE = {"alerts", "heartbeats", "python", "tutorial"}
NOT_INSTALLED = ("ddtrace",)
PING = "status.providers.health.ping"
CACHES = "status.providers.django.health.caches"
#: As the default set, with nothing that a test would have to start or to leave alone.
DEFAULT = {"health": [("ping", PING), ("databases", PING), ("caches", CACHES)], "stats": [("code", PING)]}


class Anything(types.ModuleType):
    """A module of the reader's, in which a function stands under every name."""

    __path__: ClassVar[list[str]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return print


def fake_modules() -> Any:
    """Have the reader's modules, of which the pages show none."""
    return mock.patch.dict(sys.modules, {name: Anything(name) for name in MODULES})


class ReadmeTests(SimpleTestCase):
    def test_it_is_short(self):
        self.assertLess(len(README.splitlines()), 200)

    def test_it_has_no_link_that_the_package_index_cannot_follow(self):
        elsewhere = r"<(?!https?://)[^<> ]+>`_|:: (?!https?://)\S+\.(?:png|svg)|:(?:doc|ref):`"
        self.assertEqual(re.findall(elsewhere, README), [])

    def test_links_to_the_site_lead_to_pages_and_images(self):
        linked = 0
        for path in [*TOP, ROOT / "pyproject.toml"]:
            for target in re.findall(rf"{re.escape(SITE)}([\w./-]*)", path.read_text()):
                linked += 1
                # Sphinx collects the images of all pages in one folder.
                source = target.replace("_images/", "screenshots/").replace(".html", ".rst") or "index.rst"
                file = ROOT / "docs" / source
                with self.subTest(path=path.name, target=target):
                    self.assertTrue(file.is_file(), file)
        self.assertGreater(linked, 10)


class ListTests(SimpleTestCase):
    """Lists of the reference have all that there is, and nothing else."""

    def test_settings(self):
        settings = {setting.name for setting in vars(Conf).values() if isinstance(setting, Setting)} | READ_BY_NAME
        self.assertEqual(set(re.findall(r"^``([A-Z_]+)``\n-+$", page("settings"), re.MULTILINE)), settings)
        self.assertEqual(set(re.findall(r"^\.\. _([A-Z_]+):$", page("settings"), re.MULTILINE)), settings)

    def test_system_checks(self):
        for title, checks in (("Mistakes", status.checks.MISTAKES), ("With ``--deploy``", status.checks.RISKS)):
            with self.subTest(title):
                sources = "".join(map(inspect.getsource, checks))
                given = set(re.findall(r'"(status\.[A-Z]\d+)"', sources))
                told = re.findall(r"^``(status\.[A-Z]\d+)``", section(page("system-checks"), title), re.MULTILINE)
                self.assertEqual(told, sorted(given))

    def test_providers(self):
        listed = re.findall(r"^``(status\.providers\.[\w.]+)``  ", page("checks"), re.MULTILINE)
        described = re.findall(r"^``(status\.providers\.[\w.]+)``\n~", page("checks"), re.MULTILINE)
        self.assertEqual(sorted(listed), sorted(self.providers()))
        self.assertEqual(sorted(described), sorted(listed))

    def providers(self) -> Iterator[str]:
        """Yield the dotted path of each provider of the package: those are objects, and all others are classes."""
        for module in pkgutil.walk_packages(status.providers.__path__, "status.providers."):
            for name, value in vars(import_module(module.name)).items():
                if isinstance(value, Provider):
                    yield f"{module.name}.{name}"

    def test_the_public_api(self):
        documented = set(re.findall(r"^\.\. auto\w+:: (status\.[\w.]+)", page("api"), re.MULTILINE))
        exported = {f"status.{name}" for name in status.__all__}
        exported |= {f"status.providers.{name}" for name in status.providers.__all__}
        self.assertEqual(exported - documented, set())
        for path in documented:
            self.assertIsNotNone(import_string(path))


@override_settings(ROOT_URLCONF="tests.urls", STATUS_PROVIDERS=DEFAULT)
class SecurityTests(SimpleTestCase):
    @override_settings(STATUS_PUBLIC=())
    def test_closed_addresses_answer_strangers_with_the_status_of_the_table(self):
        table = section(page("security"), "Which address tells whom what")
        rows = re.findall(r"^   \* - (``/.*)\n(?:     - .*\n){2}     - (\d+)$", table, re.MULTILINE)
        self.assertEqual(len(rows), 9)
        style = re.search(r'href="(/status/assets/[^"]+)"', self.page_of_staff())
        assert style is not None
        for addresses, code in rows:
            for address in re.findall(r"``(/[^`]+)``", addresses):
                address = style[1] if "assets" in address else address.replace("<name>", "backup")
                with self.subTest(address):
                    ask = self.client.post if "/beat/" in address else self.client.get
                    self.assertEqual(ask(address).status_code, int(code))

    def page_of_staff(self) -> str:
        with override_settings(STATUS_PUBLIC=None):
            return self.client.get("/status/").content.decode()


class CodeTests(SimpleTestCase):
    """The code blocks of all pages. What they do is tried by the tests of the subject."""

    def test_documents_of_other_languages_can_be_read(self):
        read = 0
        for path in DOCUMENTS:
            for language, reader in (("json", json.loads), ("yaml", yaml.safe_load)):
                for code in blocks(path.read_text(), language):
                    with self.subTest(path=path.name, code=code):
                        self.assertIsNotNone(reader(code))
                        read += 1
        self.assertGreater(read, 20)

    def test_what_is_imported_from_the_package_is_there(self):
        imported = 0
        for name, code in python_blocks():
            for node in ast.walk(ast.parse(code)):
                if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "status":
                    for alias in node.names:
                        imported += 1
                        with self.subTest(page=name, name=alias.name):
                            self.assertTrue(hasattr(import_module(node.module or ""), alias.name))
        self.assertGreater(imported, 10)

    def test_python_that_is_shown_runs(self):
        run = 0
        with override_settings(**SHOWN_BEFORE), fake_modules():
            for name, code in python_blocks():
                if name not in RUN_ELSEWHERE and not any(module in code for module in NOT_INSTALLED):
                    run += 1
                    with self.subTest(page=name, code=code):
                        exec(code, names_of(code))
        self.assertGreater(run, 25)

    def test_settings_that_are_shown_are_accepted(self):
        shown = 0
        with fake_modules():
            for name, code in python_blocks():
                if settings := settings_of(code):
                    shown += 1
                    with self.subTest(page=name, code=code), override_settings(**SHOWN_BEFORE | settings):
                        self.assertEqual([str(message) for message in status.checks.mistakes()], [])
        self.assertGreater(shown, 13)


def python_blocks() -> Iterator[tuple[str, str]]:
    """Yield the name of the page, and the code, of each block in Python."""
    for path in DOCUMENTS:
        for code in blocks(path.read_text(), "python"):
            yield path.stem, code


def names_of(code: str) -> dict[str, Any]:
    """Return what a block finds under the names that it does not define itself."""
    used = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    return {name: mock.MagicMock() for name in used if not hasattr(builtins, name)} | GIVEN | {"__name__": "reader"}


def settings_of(code: str) -> dict[str, Any]:
    """Return the settings of this app that a block sets, none where it does anything else."""
    tree = ast.parse(code)
    targets = [node.targets[0] for node in tree.body if isinstance(node, ast.Assign)]
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    if len(names) != len(tree.body) or not any(name.startswith("STATUS_") for name in names):
        return {}
    namespace = dict(GIVEN)
    exec(code, namespace)
    return {name: namespace[name] for name in names if name.startswith("STATUS_")}


@override_settings(STATUS_PROVIDERS=DEFAULT)
class CommandLineTests(SimpleTestCase):
    @override_settings(ROOT_URLCONF="tests.urls")
    def test_what_curl_prints_is_what_is_answered(self):
        workers = {"celery@web1": True, "celery@web2": False}
        code = {"debug": False, "scm": "git", "branch": {"local": "main"}}
        code["commit"] = {"id": "0123...", "summary": "...", "date": "..."}
        for block, named, answer in (
            (blocks(README, "console")[0], [], {"health/databases": {"default": True}}),
            (blocks(README, "console")[1], [], {"health/databases": {"default": False}}),
            (blocks(page("celery"), "console")[0], list(workers), {"health/celery": workers}),
            (blocks(page("addresses"), "console")[0], [], {"stats/code": code}),
        ):
            command, *lines = block.splitlines()
            with self.subTest(block), override_settings(STATUS_CELERY_WORKERS=named), fake(answer):
                response = self.client.get(command.partition("localhost:8000")[2])
                self.assertEqual(response.content.decode(), lines.pop())
                if lines:
                    self.assertEqual(lines[0], f"HTTP/1.1 {response.status_code} {response.reason_phrase}")
                    for header in lines[1 : lines.index("...")]:
                        name, _, value = header.partition(": ")
                        self.assertEqual(response[name], value)

    def lines(self) -> Iterator[tuple[pathlib.Path, str]]:
        """Yield what is typed on each page, without comments, one command at a time."""
        for path in PAGES:
            text = path.read_text()
            if path.stem not in TRIED_ELSEWHERE:
                shells = "\n".join([*blocks(text, "sh"), *blocks(text, "shell"), *commands(text)])
                for line in shells.splitlines():
                    for command in re.split(r" && | \| ", line.partition("  #")[0]):
                        yield path, command.partition(" > ")[0].strip()

    def test_each_is_understood(self):
        """Those of ``manage.py`` that ask this process, print something or look at the settings are run as well."""
        run = understood = 0
        for path, line in self.lines():
            with self.subTest(path=path.name, line=line):
                words = shlex.split(line)
                words = words[1:] if words[:2] == ["python", "manage.py"] else words
                if words[:2] == ["manage.py", "check"]:
                    # Those of this app alone: the settings of the tests are no site's.
                    call_command(*words[1:], "--tag", "status", stdout=io.StringIO(), stderr=io.StringIO())
                elif words[:2] == ["manage.py", "status"]:
                    options = parse_arguments(words[2:], "manage.py status", in_django=True)
                    understood += 1
                    if options.verb == "snippet" or (options.verb is None and not options.url):
                        run += 1
                        self.assertEqual(ask(*words[2:]).code, 0)
                elif words[0] == "django_status":
                    parse_arguments(words[1:], "django_status", in_django=False)
                    understood += 1
                else:
                    self.assertIn(words[0], FOREIGN | {"exec"})
        self.assertGreater(understood, 40)
        self.assertGreater(run, 30)
