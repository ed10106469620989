"""What a project of 2.x finds after ``pip install -U``: each row of ``docs/upgrading.rst``, and what 2.x answered.

``classic_answers.json`` holds what django-status 2.1.0 and 2.2.1 answered under Django 1.11, where both said the same.
``tests/neighbours/test_classic.py`` asks them again.
"""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import io
import itertools
import json
import re
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Iterator
from importlib import metadata
from typing import Any
from unittest import mock

import yaml
from celery import _state
from django.apps import AppConfig
from django.conf import settings as settings_of_django
from django.core.cache.backends.locmem import LocMemCache
from django.core.checks import INFO, run_checks
from django.core.management import call_command
from django.http import HttpRequest, HttpResponse
from django.test import Client, SimpleTestCase, override_settings
from django.urls import NoReverseMatch, clear_url_caches, include, path, re_path, reverse
from django.utils.module_loading import import_string
from django.views.generic import View
from hypothesis import given, settings
from hypothesis import strategies as st

from status.classic import NEW_NAMES
from status.cli.arguments import SNIPPETS
from status.engine import engine
from status.formats import FORMATS
from status.formats.yaml import render_yaml
from status.providers import Answer, Provider
from status.registry import registry
from status.report import Report, Result
from tests.classic_providers import CLASSIC, ENTRIES, GIVEN, WITHOUT_ADDRESS
from tests.commandline import Asked, ask, command
from tests.processes import ROOT, directory
from tests.repositories import git, repository

ANSWERS = json.loads((ROOT / "tests" / "classic_answers.json").read_text("utf-8"))
DOOR = "status.middleware.StatusMiddleware"


class Mounted:
    """A urlconf, with an own name for each test."""

    def __init__(self, *patterns: Any) -> None:
        self.urlpatterns = list(patterns)


class UpgradeTestCase(SimpleTestCase):
    def setUp(self) -> None:
        self.addCleanup(engine.close)
        self.addCleanup(clear_url_caches)

    def use(self, **settings: Any) -> None:
        """Have these settings in force until the test ends."""
        changed = override_settings(**settings)
        changed.enable()
        self.addCleanup(changed.disable)

    @contextlib.contextmanager
    def behind(self, stack: list[str]) -> Iterator[None]:
        """Have a client of the block that finds this middleware. Another one keeps what it found first."""
        with override_settings(MIDDLEWARE=stack):
            self.client = Client()
            yield


class AddressTests(UpgradeTestCase):
    def mount(self, mount: str, providers: Any = CLASSIC) -> None:
        pattern, urlconf = mount.split()
        self.use(ROOT_URLCONF=Mounted(re_path(pattern, include(urlconf))), STATUS_PROVIDERS=providers)

    def assertAnswers(self, recorded: dict[str, Any]) -> None:
        for question, answer in recorded.items():
            for stack in ([], [DOOR]):
                with self.subTest(question=question, stack=stack), self.behind(stack):
                    method, address = question.split()
                    response = self.client.generic(method, address)
                    self.assertEqual(response.json(), answer)

    def test_mounts_answer_what_they_did(self):
        """FAULTS C1. Row mounts, options."""
        for mount, recorded in ANSWERS["mounts"].items():
            with self.subTest(mount=mount):
                self.mount(mount)
                self.assertAnswers(recorded["http"])

    def test_api_alone_answers_with_and_without_its_prefix(self):
        """FAULTS C1. Row api-alone."""
        for mount in ("^status/ status.api.urls", "^status/api/ status.api.urls"):
            self.mount(mount)
            root = mount.split()[0][1:]
            for address in ("health/ping", "health/ping/", "api/health/ping", "api/health/ping/"):
                self.assertAnswers({f"GET /{root}{address}": {"pong": True}})
            for address in ("", "api", "api/"):
                self.assertEqual(list(self.client.get(f"/{root}{address}").json()), ["health", "stats"])
            self.assertEqual(self.client.get(f"/{root}live").json(), {"ping": {"pong": True}})
            with override_settings(STATUS_PROVIDERS={**CLASSIC, "api": CLASSIC["stats"]}):
                self.assertEqual(list(self.client.get(f"/{root}api/health").json()), ["ping", "mixed"])
                self.assertEqual(list(self.client.get(f"/{root}api/api").json()), ["shop"])

    def test_api_alone_has_fleet_and_beats_where_its_other_addresses_are(self):
        for mount, prefixes in (("^status/api/", ("", "api/")), ("^status/", ("", "api/"))):
            self.mount(f"{mount} status.api.urls")
            root = f"/{mount[1:]}"
            for stack, prefix, slash in itertools.product(([], [DOOR]), prefixes, ("", "/")):
                with self.subTest(mount=mount, stack=stack), self.behind(stack):
                    fleet, beat = f"{root}{prefix}fleet{slash}", f"{root}{prefix}beat/backup{slash}"
                    with override_settings(STATUS_STORE="default"):
                        self.assertIn("roles", self.client.get(fleet).json())
                    with override_settings(STATUS_HEARTBEATS={"backup": 60}):
                        self.assertEqual(self.client.post(beat).status_code, 403)
                        self.assertEqual(self.client.get(beat).status_code, 405)
                    with override_settings(STATUS_PROVIDERS={"fleet": CLASSIC["stats"], "beat": CLASSIC["stats"]}):
                        self.assertEqual(list(self.client.get(fleet).json()), ["shop"])
                        self.assertEqual(self.client.post(beat).status_code, 405)
                        self.assertEqual(list(self.client.get(beat).json()), ["error", "providers"])
            self.assertEqual(reverse("status:api_fleet"), "/status/api/fleet")
            self.assertEqual(reverse("status:api_beat", args=["backup"]), "/status/api/beat/backup")

    def test_api_alone_leaves_other_paths_to_the_project(self):
        """FAULTS C1"""
        page = path("<str:page>/", lambda request, page: self.fail(page))
        for stack in ([], [DOOR]):
            self.use(ROOT_URLCONF=Mounted(path("", include("status.api.urls")), page))
            with self.behind(stack):
                with self.assertRaisesMessage(AssertionError, "shop"):
                    self.client.get("/shop/")
                for other in ("/shop/cart/", "/beat/backup/"):  # there are no heartbeats
                    self.assertEqual(self.client.get(other).status_code, 404)
                with self.assertRaisesMessage(AssertionError, "fleet"):  # there is no store
                    self.client.get("/fleet/")

    def test_names_lead_to_where_they_led(self):
        """FAULTS C1. Row url-names."""
        for mount, recorded in ANSWERS["mounts"].items():
            self.mount(mount)
            for name, address in recorded["names"].items():
                with self.subTest(mount=mount, name=name):
                    # With ``api/`` on both mounts, as the README of 2.x had it, unless the mount itself has it.
                    address = address.replace("/status/health", "/status/api/health")
                    address = address.replace("/status/stats", "/status/api/stats")
                    self.assertEqual(reverse(name), address)
                    if "api.urls" in mount:
                        self.assertEqual(reverse(f"status:{name}"), address)
            for name, arguments, address in (
                ("api_root", [], ""),
                ("api_resource", ["health"], "/health"),
                ("api_provider", ["health", "a/b"], "/health/a/b"),
            ):
                self.assertEqual(reverse(f"status:{name}", args=arguments).rstrip("/"), f"/status/api{address}")
            with self.assertRaises(NoReverseMatch):
                reverse("status:api_health_nosuch")

    def test_mount_point_without_its_slash_needs_the_middleware(self):
        """FAULTS C12. Row no-slash."""
        self.mount("^status/ status.urls")
        hint = "without it, /status without its slash is a redirect or 404"
        for stack, code, hinted in (
            ([], 404, True),
            (["django.middleware.common.CommonMiddleware"], 301, True),
            ([DOOR], 503, False),
        ):
            with self.behind(stack):
                self.assertEqual(self.client.get("/status").status_code, code)
                found = run_checks(tags=["status"], include_deployment_checks=True)
                self.assertEqual(any(hint in message.msg for message in found), hinted)
                self.assertEqual([message for message in run_checks(tags=["status"]) if hint in message.msg], [])
                for message in found:  # nothing that ``--fail-level WARNING`` fails for
                    self.assertTrue(hint not in message.msg or message.level == INFO)

    def test_urlconf_may_be_loaded_again(self):
        self.mount("^status/ status.api.urls")
        importlib.reload(importlib.import_module("status.api.urls"))
        self.mount("^status/ status.api.urls")
        self.assertEqual(self.client.get("/status/health/ping").json(), {"pong": True})

    def test_a_namespace_of_ones_own(self):
        """Row namespace."""
        self.use(ROOT_URLCONF=Mounted(path("s/", include(("status.api.urls", "mine")))), STATUS_PROVIDERS=CLASSIC)
        self.assertEqual(reverse("mine:api_health_ping"), "/s/api/health/ping")


class EntryTests(UpgradeTestCase):
    """Entries of ``STATUS_PROVIDERS`` that 2.x took."""

    def setUp(self) -> None:
        super().setUp()
        self.use(ROOT_URLCONF=Mounted(path("status/", include("status.urls"))), STATUS_PROVIDERS=ENTRIES)

    def warnings(self, id: str) -> list[str]:
        return [message.msg for message in run_checks(tags=["status"]) if message.id == f"status.{id}"]

    def test_odd_names_answer_where_they_did(self):
        """FAULTS C6. Row odd-names."""
        for stack in ([], [DOOR]):
            with self.behind(stack):
                for question, answer in ANSWERS["entries"].items():
                    with self.subTest(question=question, stack=stack):
                        found = self.client.get(question.split()[1]).json()
                        if question.endswith("/health"):  # 2.x had no address for these
                            for name in WITHOUT_ADDRESS:
                                self.assertEqual(found.pop(name), {"args": [], "kwargs": {}})
                        self.assertEqual(found, answer)
                for name in ("a+b", "a%2Bb", "a%2Fb", "a/b/"):
                    self.assertEqual(self.client.get(f"/status/api/health/{name}").status_code, 200)
                for name in ("a/c", "a/b/c", "my", "a b"):
                    self.assertEqual(self.client.get(f"/status/api/health/{name}").status_code, 404)
        for name, address in ANSWERS["entry_names"].items():
            self.assertEqual(reverse(name), address)

    def test_names_with_a_slash_answer_without_api_too(self):
        """FAULTS C6"""
        with override_settings(ROOT_URLCONF=Mounted(path("status/", include("status.api.urls")))):
            for prefix in ("/status/", "/status/api/"):
                self.assertEqual(self.client.get(f"{prefix}health/a/b").status_code, 200)
                self.assertEqual(self.client.get(f"{prefix}health/a/c").status_code, 404)

    def test_odd_names_are_found_by_the_addresses_that_are_told(self):
        """FAULTS C6"""
        told = self.client.options("/status/api").json()
        self.assertEqual(list(told["health"]), list(dict.fromkeys(entry[0] for entry in ENTRIES["health"])))
        for resource, addresses in told.items():
            self.assertEqual(self.client.options(f"/status/api/{resource}").json(), addresses)
            for name, address in addresses.items():
                self.assertIn("pong" if name == "ping" else "args", self.client.get(address).json())
        listed = json.loads(ask("--list", "-f", "json").out)
        for resource in told:  # the presets, which are listed too, may ask a database
            for name, address in listed[resource].items():
                self.assertEqual(self.client.get(address).status_code, 200, name)
                self.assertEqual(ask(f"{resource}/{name}").code, 0)
        self.assertEqual(ask("a/b", "-f", "json").out, ask("health/a/b", "-f", "json").out)
        page = self.client.get("/status/health/").content.decode()
        for address in re.findall(r'href="(/status/api/[^"?]*)"', page):
            self.assertEqual(self.client.get(address).status_code, 200, address)
        self.assertIn("/status/api/health/a/b", page)
        self.assertIn("/status/api/health/my%20check", page)

    def test_odd_names_are_written_in_every_format(self):
        """FAULTS C6"""
        for name in FORMATS:
            with self.subTest(format=name):
                done = ask("health", "-f", name)
                self.assertEqual(done.code, 0, done)
                self.assertRegex(done.out, "my[ _]check")

    def test_odd_names_break_no_snippet(self):
        """FAULTS C6"""
        self.assertEqual(ask("snippet", "cron").code, 2)  # there is no ping but in "my set"
        ping = [("ping", "status.providers.health.ping")]
        self.use(STATUS_PROVIDERS={"a set": ping, "health": [*ping, ("a b", GIVEN)]})
        for kind in SNIPPETS:
            self.assertNotIn("a set", ask("snippet", kind).out)

    def test_twice_the_same_name_means_the_last(self):
        """FAULTS C6. Row twice."""
        self.assertEqual(self.client.get("/status/api/health/twice").json(), {"args": [2], "kwargs": {}})
        found = self.warnings("W020")
        self.assertEqual(len(found), 4)
        self.assertIn("""STATUS_PROVIDERS["health"][9] should be named differently""", found[3])

    def test_args_of_other_kinds_are_handed_over(self):
        """FAULTS C6. Row odd-args, empty-arguments."""
        found = self.warnings("W020")
        self.assertIn('STATUS_PROVIDERS["health"][5][2] should be a list of arguments, or None, not a str.', found)
        for nothing in ((), [], "", {}, None):
            self.use(STATUS_PROVIDERS={"health": [("empty", GIVEN, nothing, nothing)]})
            self.assertEqual(self.client.get("/status/api/health/empty").json(), {"args": [], "kwargs": {}})
            self.assertEqual(self.warnings("W020") + self.warnings("E002"), [])

    def test_sets_are_asked_in_the_order_of_their_names(self):
        """FAULTS C6. Row sets."""
        entries = {(name, "status.providers.health.ping") for name in ("c", "a", "b")}
        for kind in (set, frozenset):
            self.use(STATUS_PROVIDERS={"health": kind([*entries, (), 5])})
            with self.subTest(kind=kind):
                answer = self.client.get("/status/api/health").json()
                self.assertEqual([name for name in answer if "invalid" not in name], ["a", "b", "c"])
        changing = {("a", "status.providers.health.ping")}
        self.use(STATUS_PROVIDERS={"health": changing})
        self.assertEqual(list(self.client.get("/status/api/health").json()), ["a"])
        changing.add(("b", "status.providers.health.ping"))
        self.assertEqual(list(self.client.get("/status/api/health").json()), ["a", "b"])

    def test_tuple_of_1x_warns_and_blocks_nothing(self):
        """FAULTS C6: 2.x did not read it. Row tuple-of-1x."""
        self.use(STATUS_CHECK_PROVIDERS=(("ping", "status.checks.ping", None, None),))
        response = self.client.get("/status/api/health")
        self.assertEqual(response.status_code, 200)
        self.assertIn("should be a dict", response.json()["invalid-STATUS_CHECK_PROVIDERS"]["error"])
        self.assertEqual(len(self.warnings("E002")), 1)
        self.use(STATUS_PROVIDERS=CLASSIC["health"])
        self.assertEqual(self.client.get("/status/api/health").status_code, 503)
        call_command("check", stderr=io.StringIO())


@override_settings(STATUS_PROVIDERS=CLASSIC)
class CommandTests(UpgradeTestCase):
    """Command lines in cron and scripts."""

    def test_command_lines_say_what_they_did(self):
        """FAULTS C2. Row spelling."""
        for line, (code, out) in ANSWERS["lines"].items():
            for in_django in (True, False):
                with self.subTest(line=line, in_django=in_django):
                    done = ask(*line.split(), in_django=in_django)
                    self.assertEqual(done.code, code, done)
                    if "shop" in out and "yaml" in line:
                        self.assertEqual(yaml.safe_load(done.out), yaml.safe_load(out))
                    else:  # to the byte
                        self.assertEqual(done.out, out)

    def test_call_command_does_what_it_did(self):
        """FAULTS C2. Row call-command."""
        for words, options, code, out in ANSWERS["calls"]:
            with self.subTest(words=words, options=options):
                written, ended = io.StringIO(), 0
                try:
                    call_command(*words, **options, stdout=written)
                except SystemExit as end:
                    ended = end.code
                self.assertEqual(ended, code)
                self.assertEqual(yaml.safe_load(written.getvalue()), yaml.safe_load(out))

    def test_options_may_be_spelled_with_underscores_and_cut_short(self):
        """FAULTS C2"""
        for words, code in (
            (["health", "--error_on_f"], 1),
            (["health", "--err", "--no_c"], 1),
            (["health", "--form=json", "--chec", "ping", "-e"], 0),
            (["health", "--output_format=nagios"], 2),
            (["--output_format", "nagios", "nosuch"], 3),
        ):
            with self.subTest(words=words):
                self.assertEqual(ask(*words).code, code)
        done = ask("health", "--for")
        self.assertEqual(done.code, 2)
        done = ask("health", "--s", "ping")
        self.assertIn("ambiguous", done.err)
        self.assertNotIn("output", ask("health", "--help").out.replace("standard output", ""))


class YamlTests(SimpleTestCase):
    @staticmethod
    def written(answer: Any) -> str:
        result = Result("health", "it", answer, answer, sound=True)
        return render_yaml(Report((result,), ("health",), "health", "it"), True)

    def test_what_is_written_is_read_as_it_was(self):
        for value in (
            *("", " ", "a ", " a", "yes", "No", "y", "~", "null", "NULL", "1", "1_000", "1e3", "0x1f", "0o7", "1:30"),
            *("2001-01-01", ".inf", "-", "- a", "a: b", "a #b", "# a", "%a", "@a", "`a", "!a", "&a", "*a", "[a", "{a"),
            *("a\nb", "a\r\nb", "\t", "\x00", "\x7f", "\x85", "\u2028", "\ufeff", "é", "😀", '"', "\\", "'"),
            *("---", "...", "--- a"),
            *("celery@web-1", "a b", "x" * 2_000, "<<", "=", "_", "a/b.c", "?", "? a", "|", ">", "on", "Off", "TRUE"),
            *(0, -1, 10**300, 0.1, -0.0, 1e20, 1e-7, 1.5e300, 5e-324, True, False, None, {}, [], [[]], [{}], [[], {}]),
            {"a": [1, [2, {"b": [], "c": {"d": [{"e": None, "f": [3]}]}}]]},
        ):
            for document in (value, [value, [value]], {"k": value, "l": {"m": value}}):
                with self.subTest(document=document):
                    text = self.written(document)
                    self.assertEqual(repr(yaml.safe_load(text)), repr(document))
                    self.assertTrue(text.isascii() and text.endswith("\n"))
            if isinstance(value, str):
                for item in (1, [1, {"a": [2]}], {"a": [1], "b": {}}, []):
                    self.assertEqual(yaml.safe_load(self.written({value: item, "z": 1})), {value: item, "z": 1})

    @settings(max_examples=200, deadline=None)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=20,
        )
    )
    def test_any_document_is_read_as_it_was(self, document):
        self.assertEqual(yaml.safe_load(self.written(document)), document)


class NameTests(UpgradeTestCase):
    """Imports of code that was written for 2.x."""

    databases = {"default"}

    @override_settings(STATUS_PROVIDERS=CLASSIC)
    def test_names_do_what_they_did(self):
        """FAULTS C3, C4. Row resource-class, provider-call, settings-module."""
        for code, answer in ANSWERS["python"].items():
            with self.subTest(code=code):
                found: dict[str, Any] = {}
                raised = None
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    try:
                        exec(compile(code, "project.py", "exec"), found)
                    except Exception as error:
                        raised = f"raises {type(error).__name__}"
                new = "import ping" in code or code.endswith("stats import code; r = code()")
                # Twice where the import statement asks a package twice.
                self.assertEqual({each.category for each in caught}, set() if new else {DeprecationWarning})
                for each in caught:
                    self.assertEqual(each.filename, "project.py")
                    self.assertRegex(str(each.message), "is a name of django-status 2.x; use .+[.]$")
                if "installed_apps" in code:
                    answer[2:] = [sorted(settings_of_django.CACHES), list(settings_of_django.INSTALLED_APPS)]
                self.assertEqual(raised or json.loads(json.dumps(found.get("r"))), answer)

    def test_other_names_are_not_there(self):
        """FAULTS C3"""
        for module in ("status", *{name.rpartition(".")[0] for name in NEW_NAMES}, "status.settings"):
            missing = f"{module!r} has no attribute 'x'"
            with self.subTest(module=module), self.assertRaisesMessage(AttributeError, missing):
                _ = importlib.import_module(module).x

    def test_views_answer_in_the_projects_own_urlconf(self):
        """FAULTS C3. Row views."""
        given = "tests.classic_providers.given"
        with self.assertWarns(DeprecationWarning):
            views = importlib.import_module("status.api.views")
            one = views.ProviderAPIView
            everything, resource = views.RootAPIView, views.ResourceAPIView
        own = {"provider_name": "own", "provider": given, "provider_args": (1,), "provider_kwargs": None}
        shop = {"provider_name": "shop", "provider": "tests.classic_providers.shop"}
        with override_settings(STATUS_PROVIDERS=CLASSIC):
            urls = Mounted(
                re_path(r"^everything$", everything.as_view()),
                re_path(r"^stats$", resource.as_view(resource="stats")),
                re_path(r"^own$", one.as_view(**own)),
                re_path(r"^bad$", one.as_view(provider_name="mixed", provider=lambda: {"bad": False})),
                re_path(r"^shop$", one.as_view(**shop)),
                re_path(r"^pingo$", one.as_view(**{**own, "provider_name": "ping"})),
                re_path(r"^mistake$", one.as_view("name", "tests.classic_providers.given", 5)),
            )
            for stack in ([], [DOOR]):
                with override_settings(ROOT_URLCONF=urls), self.behind(stack):
                    self.assertEqual(list(self.client.get("/everything").json()), ["health", "stats"])
                    self.assertEqual(list(self.client.get("/stats").json()), ["shop"])
                    self.assertEqual(self.client.get("/own").json(), {"args": [1], "kwargs": {}})
                    self.assertEqual(list(self.client.options("/own").json()), ["own"])
                    self.assertEqual(self.client.get("/bad").status_code, 503)
                    self.assertIn("should be a list of arguments", self.client.get("/mistake").json()["error"])
                    self.assertEqual(self.client.get("/shop").json()["version"], "1.10")
                    self.assertEqual(self.client.get("/pingo").json(), {"args": [1], "kwargs": {}})
                    with override_settings(STATUS_PUBLIC=("shop",)):
                        self.assertEqual(self.client.get("/pingo").status_code, 403)
                    with override_settings(STATUS_PUBLIC=("health",)):
                        self.assertEqual(self.client.get("/own").status_code, 200)
                        self.assertEqual(self.client.get("/shop").status_code, 403)

    def test_classes_of_the_project_with_methods_of_their_own_answer(self):
        one = {"provider_name": "own", "provider": "tests.classic_providers.given"}

        def closed(view: View, request: HttpRequest) -> HttpResponse:
            return HttpResponse(status=403)

        def marked(view: View, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            response: HttpResponse = super(type(view), view).get(request, *args, **kwargs)  # type: ignore[misc]
            response["X-Mine"] = "1"
            return response

        for name, arguments in (
            ("RootAPIView", {}),
            ("ResourceAPIView", {"resource": "health"}),
            ("ProviderAPIView", one),
        ):
            with self.assertWarns(DeprecationWarning):
                base = getattr(importlib.import_module("status.api.views"), name)
            urls = Mounted(
                path("closed", type("Closed", (base,), {"dispatch": closed}).as_view(**arguments)),
                path("marked", type("Marked", (base,), {"get": marked}).as_view(**arguments)),
            )
            for stack in ([], [DOOR]):
                with self.subTest(name=name, stack=stack), self.behind(stack), override_settings(ROOT_URLCONF=urls):
                    for method in ("GET", "OPTIONS"):
                        self.assertEqual(self.client.generic(method, "/closed").status_code, 403)
                    self.assertEqual(self.client.get("/marked")["X-Mine"], "1")

    def test_app_may_be_installed_by_its_old_name(self):
        """FAULTS C3. Row app-config."""
        with self.assertWarns(DeprecationWarning):
            config = AppConfig.create("status.apps.Status")
        self.assertIs(type(config), type(AppConfig.create("status")))

    def test_subclasses_and_plain_providers_are_what_they_were(self):
        class Stock(Provider):
            def __init__(self, limit: int) -> None:
                self.limit = limit

            def check(self) -> dict[str, int]:
                return {"limit": self.limit}

        self.assertEqual(Stock(5)(), {"limit": 5})
        self.assertEqual(copy.copy(Stock(limit=6)).limit, 6)
        self.assertIs(type(Provider()), Provider)
        with self.assertWarns(DeprecationWarning):
            classic = Provider("x", Health, None, None)
        self.assertEqual(classic(), {"fine": True})

    def test_paths_of_2_1_are_asked(self):
        """FAULTS C4. Row old-paths."""
        entries = {
            "health": (
                ("databases", "status.providers.health.databases", None, None),
                ("caches", "status.providers.health.caches", None, None),
                ("celery", "status.providers.health.celery", None, {"workers": []}),
            ),
            "stats": (
                ("databases", "status.providers.stats.databases", None, None),
                ("celery", "status.providers.stats.celery", None, {"workers": []}),
            ),
        }
        self.use(STATUS_PROVIDERS=entries)
        for resource in entries:
            for check in registry[resource].values():
                with self.assertWarns(DeprecationWarning):
                    check.load()
                module, _, attribute = NEW_NAMES[check.source].rpartition(".")
                self.assertIs(check.provider, getattr(importlib.import_module(module), attribute))
        found = [message.msg for message in run_checks(tags=["status"]) if message.id == "status.W023"]
        self.assertEqual(len(found), 5)
        self.assertIn("health/databases should name status.providers.django.health.databases, not", found[0])


class Health(Provider):
    def check(self, *args: Any, **kwargs: Any) -> Answer:
        return Answer({"fine": True})


class SettingsModuleTests(UpgradeTestCase):
    """Where ``django_status`` finds the settings of projects that were written for 2.x."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = directory()

    def write(self, name: str, text: str) -> None:
        (self.folder / f"{name}.py").write_text(text)

    def ask(self, *words: str, **env: str) -> Asked:
        return command(*words, env=env, cwd=self.folder)

    def test_lower_case_names_of_a_plain_module_are_read(self):
        """FAULTS C5. Row lower-case."""
        self.write(
            "plain",
            "status_providers = {'health': [('ping', 'status.providers.health.ping', None, None)]}\n"
            "status_check_providers = {'health': [('bad', lambda: {'fine': False})]}\n"
            "class Inner:\n    status_providers = {'health': [('inner', 'status.providers.health.ping')]}\n"
            "class Both(Inner):\n    STATUS_PROVIDERS = {'health': [('upper', 'status.providers.health.ping')]}\n",
        )
        done = self.ask("health", "-e", "-f", "json", DJANGO_STATUS_SETTINGS="plain")
        self.assertEqual((done.code, json.loads(done.out)), (1, {"ping": {"pong": True}, "bad": {"fine": False}}))
        remark = "python -m status: the settings should be in upper case: STATUS_PROVIDERS, STATUS_CHECK_PROVIDERS\n"
        self.assertEqual(done.err, remark)
        done = self.ask("health", "-f", "json", "-s", "plain.Inner")
        self.assertEqual((done.out, done.err.count("\n")), ('{"inner": {"pong": true}}\n', 1))
        done = self.ask("health", "-f", "json", "-s", "plain.Both")
        self.assertEqual((done.out, done.err), ('{"upper": {"pong": true}}\n', ""))

    def test_plain_modules_are_read(self):
        """Row plain-module."""
        self.write("plain", "STATUS_PROVIDERS = {'health': [('here', 'status.providers.health.ping', None, None)]}\n")
        self.assertEqual(self.ask("-s", "plain", "health", "-f", "json").out, '{"here": {"pong": true}}\n')
        self.assertEqual(self.ask("health", "-f", "json").out, '{"ping": {"pong": true}}\n')

    def test_django_configurations_finds_its_class(self):
        """FAULTS C13. Row configurations."""
        self.write(
            "shop",
            "from configurations import Configuration\n"
            "class Base(Configuration):\n"
            "    SECRET_KEY = 'x'\n    INSTALLED_APPS = ['status']\n    STATUS_PROVIDERS = {'base': []}\n"
            "class Production(Base):\n"
            "    STATUS_PROVIDERS = {'health': [('ping', 'status.providers.health.ping', None, None)]}\n",
        )
        self.write("plain", "STATUS_PROVIDERS = {'health': [('plain', 'status.providers.health.ping')]}\n")
        production = {"DJANGO_CONFIGURATION": "Production"}
        for words, env, name in (
            ([], {"DJANGO_SETTINGS_MODULE": "shop"}, "ping"),
            (["-s", "shop"], {}, "ping"),
            ([], {"DJANGO_STATUS_SETTINGS": "shop"}, "ping"),
            (["-s", "plain"], {"DJANGO_SETTINGS_MODULE": "shop"}, "plain"),
        ):
            with self.subTest(words=words, env=env):
                done = self.ask("health", "-f", "json", *words, **production, **env)
                self.assertEqual((done.code, done.out, done.err), (0, f'{{"{name}": {{"pong": true}}}}\n', ""))
        done = self.ask("health", DJANGO_SETTINGS_MODULE="shop", DJANGO_CONFIGURATION="Nope")
        self.assertEqual(done.err, "python -m status: DJANGO_CONFIGURATION names 'Nope', but shop has no such class\n")
        self.write("broken", "from configurations import Configuration\nX = Configuration.nope\n")
        done = self.ask("health", DJANGO_SETTINGS_MODULE="broken", **production)
        self.assertIn("DJANGO_SETTINGS_MODULE names 'broken', which cannot be loaded: AttributeError", done.err)
        self.assertEqual(self.ask("health", "-s", "shop").code, 2)


@override_settings(ROOT_URLCONF="tests.urls", STATUS_PROVIDERS=CLASSIC)
class DifferenceTests(UpgradeTestCase):
    """What is not as it was, and what to do about it."""

    databases = {"default"}

    def answer(self, address: str, **headers: str) -> Any:
        return self.client.get(f"/status/api{address}", headers=headers).json()

    def test_other_methods_run_nothing(self):
        """Row methods."""
        for method in ("post", "put", "delete", "patch"):
            self.assertEqual(getattr(self.client, method)("/status/api/health/ping").status_code, 405)

    def test_accept_decides_where_it_names_a_format(self):
        """FAULTS C10. Row accept."""
        for accept in ("text/html", "application/xml", "image/png", "*/*", "nonsense"):
            self.assertEqual(self.answer("/health/ping", accept=accept), {"pong": True})
        response = self.client.get("/status/api/health", headers={"accept": "text/plain"})
        self.assertEqual(response["Content-Type"], "text/plain; charset=utf-8")

    def test_unknown_names_are_404(self):
        """Row unknown."""
        self.assertIn("There is: health, stats", self.answer("/nosuch")["error"])
        self.assertEqual(self.client.get("/status/api/health/nosuch").status_code, 404)
        self.use(ROOT_URLCONF=Mounted(path("status/", include("status.api.urls"))))
        self.assertEqual(self.client.get("/status/nosuch").status_code, 404)

    def test_status_code_of_a_failure_can_be_200_again(self):
        """Row status-code."""
        self.assertEqual(self.client.get("/status/api/health").status_code, 503)
        self.use(STATUS_ERROR_CODE=200)
        self.assertEqual(self.client.get("/status/api/health").status_code, 200)

    def test_provider_that_raises_costs_its_own_answer(self):
        """Row failing-provider."""
        self.use(STATUS_PROVIDERS={"health": [*CLASSIC["health"][:1], ("raises", lambda *args: 1 / 0, None, None)]})
        answer = self.answer("/health")
        self.assertEqual(answer["ping"], {"pong": True})
        self.assertEqual((answer["raises"]["ok"], list(answer["raises"])), (False, ["ok", "error"]))

    def test_strangers_see_less_unless_told_otherwise(self):
        """Row strangers, database-settings."""
        self.use(STATUS_PROVIDERS={"stats": [("databases", "status.providers.django.stats.databases", None, None)]})
        facts = self.answer("/stats/databases")["default"]
        recorded = next(answer for code, answer in ANSWERS["python"].items() if "stats import databases" in code)
        self.assertEqual(sorted(facts), recorded)
        self.assertNotIn("NAME", facts["settings"])
        self.use(STATUS_SHOW_DETAILS="always")
        shown = self.answer("/stats/databases")["default"]["settings"]
        self.assertIn("NAME", shown)
        self.assertEqual({"USER", "PASSWORD", "TEST"} & set(shown), set())

    def test_sqlite_files_without_tables_fail_and_are_not_made(self):
        """Row sqlite."""
        absent, empty = directory() / "absent.sqlite3", directory() / "empty.sqlite3"
        empty.touch()
        code = """
            import json, sys
            from django.conf import settings
            files = dict(zip(("default", "empty"), sys.argv[1:]))
            settings.configure(
                DATABASES={name: {"ENGINE": "django.db.backends.sqlite3", "NAME": file} for name, file in files.items()}
            )
            from status.providers.django.health import databases
            print(json.dumps(databases()))
        """
        given = [sys.executable, "-c", textwrap.dedent(code), str(absent), str(empty)]
        asked = subprocess.run(given, capture_output=True, text=True, check=True)
        self.assertEqual(json.loads(asked.stdout), {"default": False, "empty": False})
        self.assertFalse(absent.exists())

    def test_caches_must_give_back_what_they_got(self):
        """Row caches."""
        dummy = {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
        forgetful = {"BACKEND": "tests.test_upgrading.Forgetful"}
        self.use(
            CACHES={"default": dummy, "forgetful": forgetful},
            STATUS_PROVIDERS={"health": [("caches", "status.providers.django.health.caches", None, None)]},
        )
        self.assertEqual(self.answer("/health/caches"), {"default": True, "forgetful": False})

    def test_code_tells_one_remote_and_an_offset(self):
        """Row code-facts, base-dir, stats-json."""
        checkout = repository(directory() / "shop")
        git(checkout, "branch", "up")
        git(checkout, "branch", "--set-upstream-to=up")
        stats = {"stats": [("code", "status.providers.stats.code", None, None)]}
        self.use(STATUS_PROVIDERS=stats, BASE_DIR=checkout, STATUS_SHOW_DETAILS="always")
        facts = self.answer("/stats/code")
        self.assertEqual(facts["branch"], {"local": "main", "remote": "up"})
        self.assertRegex(facts["commit"]["date"], r"T[0-9:]{8}[+-]\d\d:\d\d$")
        self.assertEqual(json.loads(ask("stats", "-f", "json").out)["code"], facts)
        detached = repository(directory() / "detached")
        git(detached, "checkout", "--quiet", "--detach")
        self.use(BASE_DIR=detached)
        self.assertEqual(list(self.answer("/stats/code")), ["debug", "scm", "commit"])
        self.use(PROJECT_PATH=str(directory()))
        self.assertEqual(self.answer("/stats/code"), {"debug": False})

    def test_celery_needs_an_app(self):
        """Row celery-app."""
        with mock.patch.object(_state, "default_app", None):
            self.use(STATUS_CELERY_WORKERS=["celery@a"])
            self.assertIn("STATUS_CELERY_APP", self.answer("/health/celery")["error"])

    def test_pages_need_no_static_files(self):
        """Row pages."""
        for address in ("/status/", "/status/health/", "/status/stats/"):
            page = self.client.get(address).content.decode()
            for link in re.findall(r'(?:src|<link[^>]*href)="([^"]+)"', page):
                self.assertEqual(self.client.get(link).status_code, 200)

    def test_entries_may_be_shorter_and_longer(self):
        """Row entries."""
        given = "tests.classic_providers.given"
        entries = (["list", given, [1], {"a": 2}], ("tuple", given, (1,), {"a": 2}), ("short", given))
        self.use(STATUS_PROVIDERS={"health": (*entries, ("long", given, None, None, {"timeout": 1}))})
        answer = self.answer("/health")
        self.assertEqual(answer["list"], answer["tuple"])
        self.assertEqual(answer["short"], answer["long"])

    def test_check_providers_are_added(self):
        """Row check-providers."""
        self.use(STATUS_CHECK_PROVIDERS={"health": (("more", "status.providers.health.ping", None, None),)})
        self.assertEqual(list(self.answer("/health")), ["ping", "mixed", "more"])

    def test_commands_print_for_people(self):
        """Row yaml-default."""
        done = ask("health")
        self.assertIn("1 of 2 checks failing", done.out)
        self.assertEqual(ask("health", "-f", "yaml").out, ANSWERS["lines"]["health --output_format=yaml"][1])

    def test_nothing_and_zero_are_no_failure(self):
        """FAULTS C8. Row exit-codes."""
        self.use(STATUS_PROVIDERS={"health": (("empty", "tests.classic_providers.empty", None, None),)})
        self.assertEqual(ask("health", "-e").code, 0)
        self.use(STATUS_PROVIDERS={"health": (("worked off", lambda: {"queue is worked off": False}),)})
        self.assertEqual(ask("health", "-e").code, 1)

    def test_a_question_that_cannot_be_asked_is_2(self):
        """Row misuse."""
        self.assertEqual(ask("nosuch").code, 2)
        self.assertEqual(list(json.loads(ask("-f", "json").out)), ["health", "stats"])

    def test_some_names_are_gone(self):
        """Row gone."""
        row = re.search(r"_gone:.*?_requirements:", (ROOT / "docs" / "upgrading.rst").read_text("utf-8"), re.DOTALL)[0]
        told = set(re.findall(r"``([\w.]+)``", row))
        gone = {
            "status.api.views": {"JSONResponseMixin", "JSONView", "APIView"},
            "status.api.urls": {"get_provider_urls", "providers_urls"},
            "status.settings": {"Settings"},
            "status": {"__author__", "__email__", "__url__", "__license__", "__description__"},
        }
        for module, names in gone.items():
            self.assertLessEqual(names, told)
            for name in names:
                with self.subTest(module=module, name=name), self.assertRaises(ImportError):
                    import_string(f"{module}.{name}")
        for name in ("commands", "utils", "api.mixins"):
            self.assertIn(name, told)
            self.assertIsNone(importlib.util.find_spec(f"status.{name}"))

    def test_requirements_are_those_that_are_said(self):
        """FAULTS C9. Row requirements."""
        required = " ".join(metadata.requires("django-status") or ())
        self.assertIn("GitPython", required)
        self.assertNotRegex(required, r"(?i)pyyaml(?!.*extra)")


class Forgetful(LocMemCache):
    """Takes everything, and keeps nothing."""

    def set(self, *args: Any, **kwargs: Any) -> None:
        pass


class TemplateTests(UpgradeTestCase):
    """Templates that a project has left from 2.x."""

    def use_templates(self, templates: dict[str, str]) -> list[str]:
        """Have these templates in the project, and return what the system check says about them."""
        loaders = [
            ("django.template.loaders.locmem.Loader", templates),
            "django.template.loaders.app_directories.Loader",
        ]
        backend = "django.template.backends.django.DjangoTemplates"
        self.use(TEMPLATES=[{"BACKEND": backend, "OPTIONS": {"loaders": loaders}}], ROOT_URLCONF="tests.urls")
        return [message.msg for message in run_checks(tags=["status"]) if message.id == "status.W018"]

    def test_templates_of_2x_are_passed_over(self):
        """FAULTS C7. Row templates."""
        self.use(STATUS_PROVIDERS={"health": [("ping", "status.providers.health.ping")]})
        base = "{% load staticfiles %}<title>Old</title>{% block content %}{% endblock %}"
        page = '{% extends "status/base.html" %}{% load staticfiles %}{% block content %}<b id="app">{% endblock %}'
        names = ("base", "main", "health", "stats")
        found = self.use_templates({f"status/{name}.html": base if name == "base" else page for name in names})
        self.assertEqual(len(found), 1)
        for name in names:
            self.assertIn(f"status/{name}.html", found[0])
        for address in ("/status/", "/status/health/", "/status/stats/"):
            with self.assertNoLogs("status"):
                response = self.client.get(address)
            self.assertContains(response, 'class="verdict pass"' if "stats" not in address else "Statistics")
            self.assertNotContains(response, "Old")
        found = self.use_templates({"status/base.html": "a base of today"})
        self.assertEqual(len(found), 1)
        self.assertContains(self.client.get("/status/"), 'class="verdict pass"')

    def test_a_project_without_any_hears_nothing(self):
        """FAULTS C7"""
        self.assertEqual(self.use_templates({"shop/health.html": ""}), [])
        self.use(TEMPLATES=[{"BACKEND": "no.such.Backend"}])
        self.assertEqual([message for message in run_checks(tags=["status"]) if message.id == "status.W018"], [])


class TableTests(SimpleTestCase):
    def test_each_row_of_the_table_has_its_test(self):
        """FAULTS C8"""
        rows = re.findall(r"^ +\* - \.\. _(.+):$", (ROOT / "docs" / "upgrading.rst").read_text(), flags=re.MULTILINE)
        tested = []
        for case in UpgradeTestCase.__subclasses__():
            for name, test in vars(case).items():
                if name.startswith("test_"):
                    for named in re.findall(r"\bRow ([\w, -]+)\.", test.__doc__ or ""):
                        tested += named.split(", ")
        self.assertEqual(sorted(tested), sorted(rows))
        self.assertGreater(len(rows), 40)
