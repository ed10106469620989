"""The shape of the package: who imports whom, what an import costs, and that promised paths are there."""

from __future__ import annotations

import ast
import os
import pathlib
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from django.test import SimpleTestCase
from django.utils.module_loading import import_string

import status
from status.asking import LATE
from status.registry import ResourceRegistry
from tests.processes import environment, free_port

PACKAGE = pathlib.Path(status.__file__).parent
#: The level of a module is that of the longest name here that it starts with. Imports go down, or stay on a level.
LEVELS = {
    "status": 0,
    # What knows nothing of checks.
    "status.exceptions": 1,
    "status.conf": 1,
    "status.redaction": 1,
    "status.logs": 1,
    "status.threads": 1,
    "status.limited_calls": 1,
    "status.serialization": 1,
    "status.signals": 1,
    "status.http": 1,
    "status.store": 1,
    "status.loops": 1,
    # What a check is, and what it answers.
    "status.report": 2,
    "status.providers": 2,
    "status.entries": 2,
    "status.heartbeats": 2,
    # What asks, and what is made of the answers.
    "status.registry": 3,
    "status.engine": 3,
    "status.access": 3,
    "status.formats": 3,
    "status.asking": 3,
    "status.test": 3,
    "status.leases": 3,
    "status.notifications": 3,
    "status.history": 3,
    "status.fleet": 3,
    "status.counters": 3,
    "status.mounts": 3,
    # Adapters.
    "status.api": 4,
    "status.checks": 4,
    "status.classic": 4,
    "status.cli": 4,
    "status.middleware": 4,
    "status.pages": 4,
    "status.views": 4,
    # Entry points.
    "status.__main__": 5,
    "status.admin": 5,
    "status.tasks": 5,
    "status.apps": 5,
    "status.management": 5,
    "status.models": 5,
    "status.pytest_plugin": 5,
    "status.serving": 5,
    "status.settings": 5,
    "status.urls": 5,
}
#: Those that bring answers about know nothing of how an answer is written down.
WITHOUT_FORMATS = ("status.engine", "status.entries", "status.providers", "status.registry")
#: Signals belong to whoever owns the process, and in a web server that is not us.
OWNS_ITS_PROCESS = "status.cli"


@dataclass(frozen=True)
class Import:
    importer: str
    imported: str
    line: int

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


def modules() -> dict[str, pathlib.Path]:
    """Every module of the package by name."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports() -> Iterator[Import]:
    """Every import statement of the package, those inside functions too."""
    names = modules()
    for name, path in names.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(name, alias.name, node.lineno)
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{name}:{node.lineno} should import by absolute name"
                if name == "status" and str(node.module).startswith("status."):
                    continue  # for type checkers alone
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    yield Import(name, inner if inner in names else str(node.module), node.lineno)


def level(module: str) -> int | None:
    """None for a module of the package that has no place in ``LEVELS``."""
    parts = module.split(".")
    names = [".".join(parts[:end]) for end in range(len(parts), 1, -1)]
    return next((LEVELS[name] for name in names if name in LEVELS), 0 if module == "status" else None)


def ours() -> Iterator[Import]:
    """The import statements that name the package itself."""
    return (one for one in imports() if is_ours(one.imported))


def is_ours(module: str) -> bool:
    return module.split(".")[0] == "status"


class DirectionTests(SimpleTestCase):
    def test_every_module_has_its_level(self):
        self.assertEqual([name for name in modules() if level(name) is None], [])

    def test_imports_go_down(self):
        upward = [one for one in ours() if (level(one.imported) or 0) > (level(one.importer) or 0)]
        self.assertEqual(list(map(str, upward)), [])

    def test_no_module_imports_itself_over_others(self):
        graph: dict[str, set[str]] = {name: set() for name in modules()}
        for one in ours():
            if one.imported != "status":
                graph[one.importer].add(one.imported)
        while leaves := {name for name, imported in graph.items() if not imported & graph.keys()}:
            graph = {name: imported for name, imported in graph.items() if name not in leaves}
        self.assertEqual(graph, {})

    def test_who_brings_answers_knows_no_format(self):
        formats = [one for one in imports() if one.importer.startswith(WITHOUT_FORMATS) and "formats" in one.imported]
        self.assertEqual(list(map(str, formats)), [])

    def test_engine_knows_no_request(self):
        http = [
            one
            for one in imports()
            if one.importer.startswith(WITHOUT_FORMATS) and one.imported.startswith(("django.http", "status.http"))
        ]
        self.assertEqual(list(map(str, http)), [])

    def test_an_import_inside_a_function_gives_its_reason(self):
        silent = []
        for name, path in modules().items():
            lines = path.read_text().splitlines()
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, (ast.Import, ast.ImportFrom)) and node.col_offset:
                    before = node.lineno - 2
                    while lines[before].strip().startswith(("import ", "from ", "try:", "with ")):
                        before -= 1
                    if lines[before] != "if TYPE_CHECKING:" and "#" not in lines[before] + lines[node.lineno - 1]:
                        silent.append(f"{name}:{node.lineno}")
        self.assertEqual(silent, [])


class ForbiddenTests(SimpleTestCase):
    def test_nothing_that_runs_in_a_server_handles_signals(self):
        handling = r"signal\.(signal|alarm|setitimer|sigwait|pthread_sigmask|set_wakeup_fd)\b|add_signal_handler"
        for name, path in modules().items():
            if not name.startswith(OWNS_ITS_PROCESS):
                with self.subTest(module=name):
                    self.assertNotRegex(path.read_text(), handling)

    def test_no_thread_is_started_that_the_interpreter_waits_for(self):
        """The threads of executors are joined when a process ends, also those that hang."""
        for name, path in modules().items():
            with self.subTest(module=name):
                text = path.read_text()
                self.assertNotRegex(
                    text, r"ThreadPoolExecutor\(|(import|from) multiprocessing|\.to_thread\(|thread_sensitive=False"
                )
                for start in re.findall(r"threading\.Thread\(.*\)", text):
                    self.assertIn("daemon=True", start)


class ImportCostTests(SimpleTestCase):
    """In processes of their own, because this one has imported everything already."""

    def loaded_after(self, code: str, **variables: str) -> set[str]:
        """The modules that a new interpreter has loaded once it ran ``code``."""
        env = {name: value for name, value in environment(variables).items() if "STATUS" not in name}
        env.pop("DJANGO_SETTINGS_MODULE", None)
        env.update(variables)
        code = textwrap.dedent(code) + "\nimport sys; print('modules:', *sys.modules)"
        # Django closes no database that is in memory, of which Python 3.13 warns at the end.
        command = [sys.executable, "-W", "error", "-W", "ignore:unclosed database:ResourceWarning", "-c", code]
        done = subprocess.run(command, env=env, cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return set(done.stdout.rpartition("modules:")[2].split())

    def assertNotLoaded(self, loaded: set[str], *packages: str) -> None:
        heavy = {name for name in loaded if name.startswith(tuple(f"{package}." for package in packages))}
        self.assertEqual(heavy | loaded & set(packages), set())

    def test_package_loads_nothing(self):
        loaded = self.loaded_after("import status")
        self.assertNotLoaded(loaded, "django", "celery", "kombu", "git", "redis")
        self.assertEqual({name for name in loaded if is_ours(name)}, {"status"})

    def test_the_pytest_plugin_loads_no_django(self):
        loaded = self.loaded_after("import status.pytest_plugin")
        self.assertNotLoaded(loaded, "django")
        self.assertEqual({name for name in loaded if is_ours(name)}, {"status", "status.pytest_plugin"})

    def test_installed_app_loads_no_views_and_no_foreign_package(self):
        """Workers and commands of the project have it as well, and ask nothing."""
        code = """
            import django
            from django.conf import settings
            settings.configure(INSTALLED_APPS=["status"])
            django.setup()
        """
        loaded = self.loaded_after(code)
        self.assertNotLoaded(loaded, "celery", "kombu", "git", "redis", "status.views", "status.pages", *LATE)
        self.assertNotLoaded(loaded, "status.checks")

    def test_a_server_with_the_middleware_has_loaded_what_its_answers_need(self):
        """Also what a deployment would have replaced by the time that somebody asks."""
        code = """
            import sys
            from django.conf import settings
            settings.configure(
                INSTALLED_APPS=["status"], MIDDLEWARE=["status.middleware.StatusMiddleware"], ALLOWED_HOSTS=["*"],
                ROOT_URLCONF="tests.benchmarks.project.status_urls", SECRET_KEY="s" * 60,
                DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
                STATUS_STORE="default", STATUS_TOKENS=["t" * 40],
            )
            from django.core.wsgi import get_wsgi_application
            get_wsgi_application()
            from django.urls import get_resolver
            get_resolver().reverse_dict
            before = set(sys.modules)
            from django.test import Client
            client = Client(headers={"authorization": "Bearer " + "t" * 40})
            for path in ("api", "api?format=prometheus", "api/fleet", "", "health/", "stats/", "fleet/"):
                assert client.get(f"/status/{path}").status_code in (200, 503), path
            late = {name for name in set(sys.modules) - before if name.startswith("status.")}
            late = {name for name in late if not name.startswith("status.providers.")}  # those of checks are their own
            assert not late, late
        """
        self.loaded_after(code)

    def test_so_has_a_process_that_serves_or_loads_everything(self):
        for call in (f'status.serve("127.0.0.1:{free_port()}")', "status.preload()"):
            code = f"""
                import django
                from django.conf import settings
                urlconf = "tests.benchmarks.project.status_urls"
                settings.configure(INSTALLED_APPS=["status"], ROOT_URLCONF=urlconf, SECRET_KEY="s" * 60)
                django.setup()
                import status
                assert {call}
            """
            with self.subTest(call):
                self.assertLessEqual(set(LATE), self.loaded_after(code))

    def test_addresses_load_no_foreign_package(self):
        for urls in ("status.urls", "status.api.urls"):
            with self.subTest(urls=urls):
                code = f"import django; django.setup(); from {urls} import urlpatterns; list(urlpatterns)"
                loaded = self.loaded_after(code, DJANGO_SETTINGS_MODULE="tests.settings")
                self.assertNotLoaded(loaded, "celery", "kombu", "git", "redis", *LATE)

    def test_standalone_ping_loads_no_models_and_no_foreign_package(self):
        loaded = self.loaded_after(
            """
            import sys
            from status.__main__ import main
            sys.argv = ["django_status", "ping"]
            try:
                sys.exit(main())
            except SystemExit as end:
                assert not end.code, end.code
            """
        )
        self.assertNotLoaded(loaded, "celery", "kombu", "git", "redis", "django.db.models")

    def test_imports_read_no_setting_and_start_no_thread(self):
        # Django imports models, and the admin status.admin, when they are ready themselves.
        names = sorted(set(modules()) - {"status.__main__", "status.admin", "status.models"})
        code = f"""
            import importlib, threading
            for name in {names!r}:
                importlib.import_module(name)
                assert threading.active_count() == 1, name
            from django.conf import settings
            assert not settings.configured
        """
        self.assertLessEqual(set(names), self.loaded_after(code))


class PromisedPathsTests(SimpleTestCase):
    PATHS = (
        "status.providers.health.ping",
        "status.providers.stats.code",
        "status.providers.django.health.databases",
        "status.providers.django.health.caches",
        "status.providers.django.stats.databases",
        "status.providers.celery.health.celery",
        "status.providers.celery.stats.celery",
        "status.providers.health.code",
        *(f"status.providers.celery.health.{name}" for name in ("queues", "workers")),
        *(
            f"status.providers.django.health.{name}"
            for name in ("mail", "migrations", "replicas", "storages", "system_checks", "tasks")
        ),
        "status.providers.health.heartbeats",
        "status.providers.Provider",
        "status.registry.ResourceRegistry",
        "status.management.commands.status.Command",
        "status.__main__.main",
        "status.urls.urlpatterns",
        "status.api.urls.urlpatterns",
        "status.ask",
        "status.aask",
        "status.Report",
        "status.Result",
        "status.preload",
        "status.serve",
        "status.touch",
        "status.providers.Answer",
        "status.providers.Unavailable",
        "status.providers.Composite",
        "status.providers.deadline",
        "status.test.fake",
    )

    def test_every_promised_path_imports(self):
        for path in self.PATHS:
            with self.subTest(path=path):
                self.assertIsNotNone(import_string(path))

    def test_built_in_providers_are_callable(self):
        for path in self.PATHS[:17]:
            with self.subTest(path=path):
                self.assertTrue(callable(import_string(path)))

    def test_ping_is_a_plain_function(self):
        self.assertEqual(import_string("status.providers.health.ping")(), {"pong": True})

    def test_registry_is_the_promised_one(self):
        self.assertIsInstance(import_string("status.registry.registry"), ResourceRegistry)

    def test_version_is_a_release(self):
        self.assertRegex(status.__version__, r"^3\.\d+\.\d+$")
        self.assertTrue(os.path.exists(PACKAGE / "py.typed"))
