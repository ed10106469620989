"""The JSON Schemas: what is answered keeps to them, whatever the checks do, and whoever asks."""

from __future__ import annotations

import copy
import json
import threading
from typing import Any

from django.test import SimpleTestCase, override_settings
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from status.formats import FORMATS
from status.providers import Answer, Unavailable
from status.views import assets
from tests.components import ComponentsTestCase
from tests.documents import blocks, page
from tests.reports import MIXED, report, result
from tests.test_remote import NO_REPORTS

NAMES = ("answer", "health", "fleet")
SCHEMAS = {name: json.loads(assets()[f"schemas/{name}.json"]) for name in NAMES}
released = threading.Event()


def closed(schema: Any) -> Any:
    """The schema without room for members that it does not name, so that it has to name all that there are."""
    schema = copy.deepcopy(schema)
    for one in (schema, *schema.get("$defs", {}).values()):
        if "properties" in one:
            one.setdefault("additionalProperties", False)
    return schema


def validate(name: str, document: Any, anchor: str = "") -> None:
    """Raise ValidationError unless the document keeps to the schema, or to the named part of it."""
    schema = closed(SCHEMAS[name])
    if anchor:
        schema = {"$schema": schema["$schema"], "$ref": f"#{anchor}", "$defs": schema["$defs"]}
    Draft202012Validator(schema).validate(document)


def raises() -> None:
    raise OSError("password")


def refuses() -> None:
    raise Unavailable("closed")


#: Something of everything that a check can do.
PROVIDERS = {
    "health": [
        ("ping", "status.providers.health.ping"),
        ("databases", lambda: Answer({"default": True, "b:c": False}, {"b:c": "OperationalError"})),
        ("low", lambda: Answer({"paper": 42, "": True}, warnings={"paper": "few", "elsewhere": "odd"})),
        ("soft", lambda: {"a": None}, (), {}, {"critical": False}),
        ("raises", raises),
        ("refuses", refuses),
        ("hangs", lambda: released.wait(30), (), {}, {"timeout": 0.1}),
        ("missing", "nowhere.check"),
        ("object", object),
        ("reused", lambda: [1, "two", {"three": [3.5, None]}], (), {}, {"max_age": 60}),
        ("nothing", dict),
        ("scalar", lambda: 3),
        ("long", lambda: [0] * 20_000),
        ("many", lambda: {str(number): number % 2 == 0 for number in range(1_000)}),
        ("wrong",),
    ],
    "stats": [("numbers", lambda: {"rows": 3, "deep": {"er": {"est": False}}})],
    "good": [("a", lambda: True), ("b", lambda: {"x": 1})],
    "warn": [("low", lambda: Answer({"paper": 42}, warnings={"paper": "few"}))],
    "empty": [],
}


@override_settings(STATUS_PROVIDERS=PROVIDERS)
class AnswerTests(ComponentsTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(released.clear)
        self.addCleanup(released.set)

    def get(self, address: str, **query: str) -> Any:
        response = self.client.get(f"/status/api{address}", query)
        self.assertIn("json", response["Content-Type"])
        return response

    def test_answers_keep_to_it_whoever_asks(self):
        for details in ("always", "never"):
            with override_settings(STATUS_SHOW_DETAILS=details, STATUS_ERROR_CODE=200):
                for _ in range(2):  # the second time something is reused, and something still hangs
                    whole = self.get("").json()
                    validate("answer", whole)
                    self.assertEqual(set(whole), set(PROVIDERS))
                    for resource in ("health", "stats", "good", "warn", "live", "ready"):
                        validate("answer", self.get(f"/{resource}").json(), "resource")
                        document = self.get(f"/{resource}", format="health+json").json()
                        validate("health", document)
                    validate("health", self.get("", format="health+json").json())
                    for name in ("ping", "raises", "missing", "scalar"):
                        validate("answer", self.get(f"/health/{name}").json(), "provider")
                        validate("health", self.get(f"/health/{name}", format="health+json").json())
        for name in ("raises", "refuses", "hangs", "missing", "object", "invalid-14"):
            validate("answer", whole["health"][name], "failure")
        with self.assertRaises(ValidationError):
            validate("answer", whole["health"]["ping"], "failure")

    def test_every_state_is_seen(self):
        states = {
            name: self.get(f"/{name}", format="health+json").json()["status"] for name in ("health", "good", "warn")
        }
        self.assertEqual(states, {"health": "fail", "good": "pass", "warn": "warn"})
        for details in (True, False):
            running = report(result(running=True, sound=False), resource="health")
            for one in (MIXED, report(), running):
                validate("health", json.loads(FORMATS["health+json"].render(one, details)))

    def test_problems_keep_to_it(self):
        for address, query, status in (
            ("/nope", {}, 404),
            ("/health/nope", {}, 404),
            ("/health", {"check": "nope"}, 404),
            ("/health/ping", {"skip": "ping"}, 404),
            ("/health", {"format": "nope"}, 406),
        ):
            response = self.get(address, **query)
            self.assertEqual(response.status_code, status)
            validate("answer", response.json(), "problem")
        posted = self.client.post("/status/api/health")
        self.assertEqual(posted.status_code, 405)
        validate("answer", posted.json(), "problem")
        with override_settings(STATUS_PUBLIC=()):
            validate("answer", self.get("/health").json(), "problem")
        addresses = self.client.options("/status/api").json()
        self.assertTrue(addresses["health"])
        validate("answer", addresses, "addresses")

    def test_what_is_no_answer_does_not_keep_to_it(self):
        for text in NO_REPORTS[2:6]:
            with self.subTest(text), self.assertRaises(ValidationError):
                validate("health", json.loads(text))
        entry = {"resource": "health", "status": "pass"}
        for document in (
            {"checks": {}},
            {"status": "fail", "checks": {}},
            {"status": "pass", "checks": {"a": []}},
            {"status": "pass", "checks": {"a:b:c": [entry]}},
            {"status": "pass", "checks": {"a": [{**entry, "time": "2023-11-14 22:13"}]}},
            {"status": "pass", "checks": {"a": [{**entry, "responseTime": -1}]}},
            {"status": "pass", "checks": {"a": [{"status": "pass"}]}},
        ):
            with self.subTest(document), self.assertRaises(ValidationError):
                validate("health", document)
        for document in ([], {"health": []}, {"health": {"": 1}}):
            with self.subTest(document), self.assertRaises(ValidationError):
                validate("answer", document)

    def test_the_page_tells_how_to_use_them(self):
        (code,) = blocks(page("schemas"), "python")
        shown: dict[str, Any] = {}
        exec(code, shown)
        shown["validate"](self.get("/good", format="health+json").json())
        with self.assertRaises(ValidationError):
            shown["validate"]({"status": "up"})


class FleetTests(SimpleTestCase):
    FLEET = {
        "members": [
            {
                "host": "web-1",
                "pid": 4711,
                "role": "web",
                "commit": "0" * 40,
                "started": "2026-11-26T08:00:00Z",
                "seen": "2026-11-26T08:01:00Z",
                "state": "fail",
                "failing": {"health/databases": "OperationalError"},
            }
        ],
        "commits": {"0" * 40: 3, "1" * 40: 1},
        "checks": {"health/databases": {"pass": 3, "fail": 1}},
    }

    def test_what_is_promised_keeps_to_it(self):
        validate("fleet", self.FLEET)
        validate("fleet", {"checks": {}})

    def test_what_is_not_does_not(self):
        (member,) = self.FLEET["members"]
        for wrong in ({**member, "state": "up"}, {**member, "failing": ["health"]}, {**member, "pid": "1"}, {}):
            with self.subTest(wrong), self.assertRaises(ValidationError):
                validate("fleet", {"members": [wrong]})


class FileTests(SimpleTestCase):
    def test_each_is_a_schema_with_an_id_of_its_own(self):
        for name, schema in SCHEMAS.items():
            with self.subTest(name):
                Draft202012Validator.check_schema(schema)
                self.assertEqual(schema["$id"], f"urn:django-status:schemas:{name}")

    def test_they_are_served_beside_the_files_of_the_pages(self):
        for name, schema in SCHEMAS.items():
            response = self.client.get(f"/status/assets/0/schemas/{name}.json")
            self.assertEqual((response.status_code, response.json()), (200, schema))
            self.assertEqual(response["Content-Type"], "application/schema+json")
            self.assertEqual(response["Cache-Control"], "no-cache")
        for name in ("answer.json", "schemas/nope.json", "schemas/", "schemas/../status.css"):
            self.assertEqual(self.client.get(f"/status/assets/0/{name}").status_code, 404)
