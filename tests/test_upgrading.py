"""What a project of 2.x finds after ``pip install -U``: each row of ``docs/upgrading.rst``, and what 2.x answered.

``classic_answers.json`` holds what django-status 2.1.0 and 2.2.1 answered under Django 1.11, where both said the same.
"""

from __future__ import annotations

import json
from typing import Any

from django.test import SimpleTestCase, override_settings
from django.urls import NoReverseMatch, clear_url_caches, include, path, re_path, reverse

from status.engine import engine
from tests.processes import ROOT

ANSWERS = json.loads((ROOT / "tests" / "classic_answers.json").read_text("utf-8"))
DOOR = "status.middleware.StatusMiddleware"
CLASSIC = {
    "health": (
        ("ping", "status.providers.health.ping", None, None),
        ("mixed", "tests.classic_providers.mixed", None, None),
    ),
    "stats": (("shop", "tests.classic_providers.shop", None, None),),
}


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


class AddressTests(UpgradeTestCase):
    def mount(self, mount: str, providers: Any = CLASSIC) -> None:
        pattern, urlconf = mount.split()
        self.use(ROOT_URLCONF=Mounted(re_path(pattern, include(urlconf))), STATUS_PROVIDERS=providers)

    def assertAnswers(self, recorded: dict[str, Any]) -> None:
        for question, answer in recorded.items():
            for stack in ([], [DOOR]):
                with self.subTest(question=question, stack=stack), override_settings(MIDDLEWARE=stack):
                    method, address = question.split()
                    response = self.client.generic(method, address)
                    self.assertEqual(response.json(), answer)

    def test_mounts_answer_what_they_did(self):
        """FAULTS C1"""
        for mount, recorded in ANSWERS["mounts"].items():
            with self.subTest(mount=mount):
                self.mount(mount)
                self.assertAnswers(recorded["http"])

    def test_api_alone_answers_with_and_without_its_prefix(self):
        """FAULTS C1"""
        for mount in ("^status/ status.api.urls", "^status/api/ status.api.urls"):
            self.mount(mount)
            root = mount.split()[0][1:]
            for address in ("health/ping", "health/ping/", "api/health/ping", "api/health/ping/"):
                self.assertAnswers({f"GET /{root}{address}": {"pong": True}})
            for address in ("", "api", "api/"):
                self.assertEqual(list(self.client.get(f"/{root}{address}").json()), ["health", "stats"])
            self.assertEqual(self.client.get(f"/{root}live").json(), {"ping": {"pong": True}})

    def test_api_alone_leaves_other_paths_to_the_project(self):
        """FAULTS C1"""
        page = path("<str:page>/", lambda request, page: self.fail(page))
        for stack in ([], [DOOR]):
            self.use(ROOT_URLCONF=Mounted(path("", include("status.api.urls")), page), MIDDLEWARE=stack)
            with self.assertRaisesMessage(AssertionError, "shop"):
                self.client.get("/shop/")
            self.assertEqual(self.client.get("/shop/cart/").status_code, 404)

    def test_names_lead_to_where_they_led(self):
        """FAULTS C1"""
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

    def test_a_namespace_of_ones_own(self):
        self.use(ROOT_URLCONF=Mounted(path("s/", include(("status.api.urls", "mine")))), STATUS_PROVIDERS=CLASSIC)
        self.assertEqual(reverse("mine:api_health_ping"), "/s/api/health/ping")
