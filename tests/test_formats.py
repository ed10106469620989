from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from typing import Any
from unittest import mock

from django.http import JsonResponse
from django.test import SimpleTestCase, override_settings
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_prometheus

from status import __version__
from status.engine import engine
from status.formats import FORMATS, nagios
from status.formats.server_timing import server_timing
from status.history import History
from status.providers import Unavailable
from status.report import MAX_COMPONENTS
from tests import services
from tests.commandline import ask
from tests.docs_formats import PAGE, section
from tests.reports import MIXED, report, result

#: What ``MIXED`` comes to.
SUMMARY = (
    "2 of 6 checks failing: health/databases, health/celery; 1 of 6 checks warning: shop/newsletter; "
    "1 of 8 checks still running: shop/delivery"
)
ALL_WELL = report(result(name="ping", answer={"pong": True}), result())
WARNING = report(result(), result(name="newsletter", answer={"queue": False}, critical=False))
RUNNING = report(result(), result(name="slow", running=True, sound=False))
#: Names that would break out of a line, a label, a token, or the text before Nagios' bar.
HOSTILE = [
    'a"b',
    "a\\b",
    "a\nb",
    "a\r\nb",
    "a|b",
    "a'b=c",
    "a:b",
    "a b",
    "é\u2028",
    "\x00\x1b[31m",
    "# EOF",
    "</script>",
    "x" * 5_000,
    "",
    "…",
]


def render(name: str, asked: Any = MIXED, details: bool = True) -> str:
    return FORMATS[name].render(asked, details)


class TableTests(SimpleTestCase):
    def test_every_format_renders_every_report(self):
        for name in FORMATS:
            for asked in (MIXED, ALL_WELL, WARNING, RUNNING, report()):
                for details in (True, False):
                    with self.subTest(format=name, details=details):
                        self.assertIsInstance(render(name, asked, details), str)

    def test_only_metrics_are_always_200(self):
        self.assertEqual([known.name for known in FORMATS.values() if known.always_ok], ["openmetrics", "prometheus"])

    def test_nagios_and_yaml_are_for_the_command_line_only(self):
        self.assertEqual([known.name for known in FORMATS.values() if not known.http], ["nagios", "yaml"])

    def test_media_types_are_without_parameters(self):
        self.assertEqual(FORMATS["prometheus"].media_type, "text/plain")
        self.assertEqual(FORMATS["health+json"].media_type, "application/health+json")


class JsonTests(SimpleTestCase):
    def test_it_is_spelled_as_django_spells_it(self):
        asked = report(result(answer={"a": [1, 2.5, None, True], "é": "</ü>\u2028", "n": {}}), resource="health")
        self.assertEqual(render("json", asked, True).encode(), JsonResponse(asked.document(True)).content)

    def test_it_is_the_classic_document_byte_for_byte(self):
        asked = report(result(name="ping", answer={"pong": True}), result(), result(name="caches"), resource="health")
        self.assertEqual(
            render("json", asked, False),
            '{"ping": {"pong": true}, "databases": {"default": true}, "caches": {"default": true}}',
        )
        self.assertEqual(
            render("json", report(asked.results[0], resource="health", provider="ping"), False), '{"pong": true}'
        )
        self.assertEqual(render("json", report(asked.results[0]), False), '{"health": {"ping": {"pong": true}}}')

    def test_strangers_see_the_public_answer(self):
        asked = report(result("stats", answer={"NAME": "prod"}, public_answer={}), resource="stats")
        self.assertEqual(render("json", asked, False), '{"databases": {}}')
        self.assertEqual(render("json", asked, True), '{"databases": {"NAME": "prod"}}')

    def test_nothing_but_valid_json_ever_leaves(self):
        with self.assertRaises(ValueError):
            render("json", report(result(answer={"a": float("nan")})), True)


class HealthJsonTests(SimpleTestCase):
    def document(self, asked: Any = MIXED, details: bool = True) -> Any:
        return json.loads(render("health+json", asked, details))

    def test_only_the_words_of_the_draft_are_used(self):
        self.assertEqual(self.document()["status"], "fail")
        self.assertEqual(self.document(ALL_WELL)["status"], "pass")
        self.assertEqual(self.document(WARNING)["status"], "warn")
        states = {
            entry["status"] for entries in self.document()["checks"].values() for entry in entries if "status" in entry
        }
        self.assertEqual(states, {"pass", "warn", "fail"})

    def test_a_component_that_passes(self):
        entry = {
            "resource": "health",
            "componentId": "default",
            "status": "pass",
            "observedValue": True,
            "time": "2023-11-14T22:13:20.003Z",
        }
        self.assertEqual(
            self.document(report(result()), details=False), {"status": "pass", "checks": {"databases:default": [entry]}}
        )

    def test_details_tell_why_and_how_long(self):
        (entry,) = self.document()["checks"]["databases:replica"]
        self.assertEqual((entry["output"], entry["responseTime"], entry["status"]), ("OperationalError", 41.2, "fail"))
        (entry,) = self.document(details=False)["checks"]["databases:replica"]
        self.assertNotIn("output", entry)
        self.assertNotIn("responseTime", entry)

    def test_output_is_left_out_where_a_component_passes(self):
        asked = report(result(reasons={"default": "never mind"}))
        self.assertNotIn("output", self.document(asked)["checks"]["databases:default"][0])
        self.assertNotIn("output", self.document(asked))

    def test_a_reason_of_what_only_warns_is_no_failure(self):
        """An answer without false may give reasons for what it does not hold; then it is as well as it says."""
        asked = report(result(answer={"db": True}, reasons={"note": "slow"}, warnings={"db": "full"}))
        states = [entry["status"] for entries in self.document(asked)["checks"].values() for entry in entries]
        self.assertEqual((self.document(asked)["status"], set(states)), ("warn", {"warn"}))

    def test_a_failure_is_summed_up_for_everyone(self):
        self.assertEqual(self.document(details=False)["output"], SUMMARY)

    def test_a_reused_answer_tells_its_age(self):
        checks = self.document()["checks"]
        self.assertEqual(checks["caches:default"][0]["age"], 2.5)
        self.assertNotIn("age", checks["ping:pong"][0])

    def test_a_provider_that_failed_itself_is_keyed_by_its_name_alone(self):
        (entry,) = self.document()["checks"]["celery"]
        self.assertEqual((entry["status"], entry["output"]), ("fail", "timed out after 2 s"))
        self.assertNotIn("observedValue", entry)

    def test_strangers_see_the_public_reason_only(self):
        for public in ({"ok": False, "error": "failed"}, {"ok": False}, [False]):
            asked = report(result(error="host db7.internal refused", public_answer=public))
            text = render("health+json", asked, details=False)
            self.assertNotIn("db7", text)
        self.assertIn(
            '"output": "failed"',
            render("health+json", report(result(error="x", public_answer={"error": "failed"})), False),
        )

    def test_what_informs_is_not_judged(self):
        (entry,) = self.document()["checks"]["code:debug"]
        self.assertNotIn("status", entry)
        self.assertIs(entry["observedValue"], False)

    def test_what_still_runs_is_a_warning_without_a_value(self):
        (entry,) = self.document()["checks"]["delivery"]
        self.assertEqual((entry["status"], entry["output"]), ("warn", "still running"))
        self.assertEqual(entry.keys() & {"observedValue", "time"}, set())
        self.assertEqual(self.document(RUNNING)["status"], "warn")

    def test_no_part_of_a_key_holds_a_colon(self):
        asked = report(result(name="celery", answer={"celery@a:1": True, "celery@a_1": False}))
        entries = self.document(asked)["checks"]["celery:celery@a_1"]
        self.assertEqual([entry["componentId"] for entry in entries], ["celery@a:1", "celery@a_1"])

    def test_one_name_in_two_resources_shares_an_array(self):
        entries = self.document()["checks"]["databases:default"]
        self.assertEqual([entry["resource"] for entry in entries], ["health", "stats"])

    def test_a_failure_that_strangers_may_not_see_still_shows(self):
        asked = report(result(answer={"secret": False, "open": True}, public_answer={"open": True}))
        document = self.document(asked, details=False)
        self.assertEqual(document["status"], "fail")
        self.assertEqual(document["checks"]["databases"][0]["status"], "fail")

    def test_an_answer_that_is_no_object_is_one_check(self):
        asked = report(result(answer=[True, False], reasons={"second": "gone"}), result(name="depth", answer=7))
        checks = self.document(asked)["checks"]
        self.assertEqual(
            (checks["databases"][0]["observedValue"], checks["databases"][0]["output"]), ([True, False], "gone")
        )
        self.assertEqual((checks["depth"][0]["observedValue"], checks["depth"][0]["status"]), (7, "pass"))

    def test_a_check_that_never_started_has_no_time(self):
        asked = report(result(error="cannot be imported", started_at=0.0))
        self.assertNotIn("time", self.document(asked)["checks"]["databases"][0])

    def test_failures_come_first_where_not_everything_is_written(self):
        answer = {str(number): number != 1_000 for number in range(1_001)}
        checks = self.document(report(result(answer=answer)))["checks"]
        self.assertEqual(len(checks), MAX_COMPONENTS + 1)
        self.assertEqual(checks["databases:1000"][0]["status"], "fail")
        self.assertEqual(checks["databases"][0]["output"], "501 more not shown")


class TextTests(SimpleTestCase):
    def test_one_line_for_each_component_and_the_last_sums_up(self):
        self.assertEqual(
            render("text"),
            "pass  health/ping/pong  0.0 ms\n"
            "pass  health/databases/default  41.2 ms\n"
            "fail  health/databases/replica  OperationalError  41.2 ms\n"
            "pass  health/caches/default  0.9 ms  2.5 s old\n"
            "fail  health/celery  timed out after 2 s  2000.3 ms\n"
            "warn  shop/newsletter/queue  3.2 ms\n"
            "running  shop/delivery  still running  250.0 ms\n"
            "info  stats/code/debug  false  3.2 ms\n"
            'info  stats/code/scm  "git"  3.2 ms\n'
            'info  stats/code/branch  {"local": "main", "remote": "origin/main"}  3.2 ms\n'
            'info  stats/databases/default  {"vendor": "postgresql", "autocommit": true}  3.2 ms\n'
            f"STATUS FAIL {SUMMARY}\n",
        )

    def test_strangers_get_neither_reasons_nor_durations(self):
        text = render("text", details=False)
        self.assertNotIn(" ms", text)
        self.assertNotIn("OperationalError", text)

    def test_values_say_what_the_state_does_not(self):
        asked = report(result(name="queue", answer={"orders": True, "items": 42, "oldest": "é"}))
        self.assertEqual(
            render("text", asked, details=False),
            "pass  health/queue/orders\n"
            "pass  health/queue/items  42\n"
            'pass  health/queue/oldest  "é"\n'
            "STATUS PASS 1 check passed\n",
        )

    def test_an_address_is_one_word(self):
        for name in HOSTILE:
            asked = report(result(answer={name: False}))
            with self.subTest(name=name[:20]):
                lines = render("text", asked, details=False).splitlines()
                self.assertEqual([len(line.split()) for line in lines[:-1]], [2])

    def test_the_last_line_says_it_in_one_word(self):
        for asked, word in (
            (ALL_WELL, "PASS"),
            (WARNING, "WARN"),
            (RUNNING, "WARN"),
            (MIXED, "FAIL"),
            (report(), "PASS"),
        ):
            self.assertEqual(render("text", asked).splitlines()[-1].split()[:2], ["STATUS", word])

    def test_nothing_to_judge_is_said_so(self):
        self.assertTrue(render("text", report(result("stats"))).endswith("STATUS PASS nothing is judged here\n"))

    def test_no_answer_can_fake_the_last_line(self):
        asked = report(
            result(answer={"STATUS PASS": False, "x": "\nSTATUS PASS"}, reasons={"STATUS PASS": "STATUS PASS"})
        )
        self.assertNotIn("STATUS PASS", render("text", asked))

    def test_a_long_list_of_failures_is_cut(self):
        asked = report(*(result(name=f"n{number}", answer=False) for number in range(7)))
        self.assertTrue(
            render("text", asked).endswith(
                "7 of 7 checks failing: health/n0, health/n1, health/n2, health/n3, health/n4, ...\n"
            )
        )


@override_settings(ROOT_URLCONF="tests.urls")
class MetricsOverTimeTests(SimpleTestCase):
    """FAULTS O11: since when, and which numbers, through the address."""

    STATE = {"answer": True}

    def setUp(self) -> None:
        self.addCleanup(engine.close)
        self.released = threading.Event()

    def ask(self, **options: Any) -> dict[tuple[str, str], float]:
        entry = ("shop", lambda: self.STATE["answer"], [], {}, options)
        with override_settings(STATUS_PROVIDERS={self.id(): [entry]}):
            text = self.client.get(f"/status/api/{self.id()}?format=openmetrics").content.decode()
            engine.close()  # the history has seen the run
        samples = [sample for family in parse_openmetrics(text) for sample in family.samples]
        return {
            (sample.name.removeprefix("django_status_check_"), sample.labels.get("value", "")): sample.value
            for sample in samples
        }

    def test_it_tells_since_when_and_when_it_passed_last(self):
        since, passed = ("state_since_timestamp_seconds", ""), ("last_success_timestamp_seconds", "")
        before = time.time()
        first = self.ask()
        self.assertTrue(before <= first[passed] <= time.time())
        self.assertTrue(before <= first[since] <= time.time())
        again = self.ask()
        self.assertEqual(self.ask()[since], again[since])
        self.assertGreater(again[passed], first[passed])
        with mock.patch.dict(self.STATE, {"answer": False}):
            failed_at = time.time()
            failing = self.ask()
            self.assertGreaterEqual(failing[since], failed_at)
            self.assertLess(failing[passed], failed_at)
            self.assertEqual(self.ask()[since], self.ask()[since])
        self.assertGreater(self.ask()[since], failing[since])

    def test_components_are_down_while_the_check_fails_as_a_whole(self):
        """FAULTS O3: an alert on a component fires while its check hangs."""
        self.assertEqual(self.components({"a": True, "b": False}), {"a": 1, "b": 0})
        for trouble in (Unavailable("closed"), OSError("refused")):
            self.assertEqual(self.components(trouble), {"a": 0, "b": 0})
        with mock.patch.dict(self.STATE, {"wait": 5.0}):
            self.assertEqual(self.components({"a": True, "b": True}), {"a": 0, "b": 0})

    def components(self, answer: Any) -> dict[str, float]:
        def check() -> Any:
            self.released.wait(self.STATE.get("wait", 0))
            if isinstance(answer, Exception):
                raise answer
            return answer

        with override_settings(STATUS_PROVIDERS={self.id(): [("shop", check, [], {}, {"timeout": 0.1})]}):
            text = self.client.get(f"/status/api/{self.id()}?format=openmetrics").content.decode()
            self.released.set()
            engine.close()
            self.released.clear()
        samples = [sample for family in parse_openmetrics(text) for sample in family.samples]
        return {one.labels["component"]: one.value for one in samples if one.name == "django_status_component_up"}

    def test_numbers_that_the_provider_names_are_gauges(self):
        facts = {"orders": 42, "ratio": 0.5, "open": True, "name": "shop", "secret": 7}
        named = dict.fromkeys(("orders", "ratio", "open", "name", "absent"), "gauge")
        with mock.patch.dict(self.STATE, {"answer": facts}):
            samples = self.ask(metrics=named)
            values = {value: number for (name, value), number in samples.items() if name == "value"}
            self.assertEqual(values, {"orders": 42, "ratio": 0.5})
            self.assertFalse([name for name, _ in self.ask() if name == "value"])

    def test_numbers_that_the_provider_names_are_written_exactly(self):
        written = {
            "rate": (3.2e-7, "3.2e-07"), "below": (-4e-8, "-4e-08"), "exact": (0.1234567891, "0.1234567891"),
            "whole": (3.0, "3"), "zero": (-0.0, "0"), "huge": (1.5e300, "1.5e+300"), "count": (12_345_678, "12345678"),
        }  # fmt: skip
        facts = {name: number for name, (number, _) in written.items()}
        entries = [("shop", lambda: facts, [], {}, {"metrics": dict.fromkeys(facts, "gauge")})]
        with override_settings(STATUS_PROVIDERS={"a": entries}):
            for name, parse in (("openmetrics", parse_openmetrics), ("prometheus", parse_prometheus)):
                text = self.client.get(f"/status/api/a?format={name}").content.decode()
                found = dict(re.findall(r'check_value\{.*value="(\w+)"\} (\S+)', text))
                self.assertEqual(found, {name: text for name, (_, text) in written.items()})
                samples = [sample for family in parse(text) for sample in family.samples if "value" in sample.labels]
                self.assertEqual({one.labels["value"]: one.value for one in samples}, facts)

    def test_a_number_that_is_too_large_for_metrics_costs_the_entry_alone(self):
        for number, up in ((2**1023 - 1, 1), (2**1024 - 1, 0)):
            entries = [
                ("big", lambda number=number: {"n": number}, [], {}, {"metrics": {"n": "gauge"}}),
                ("other", bool),
            ]
            with self.subTest(digits=len(str(number))), override_settings(STATUS_PROVIDERS={"a": entries}):
                lines = self.client.get("/status/api/a?format=openmetrics").content.decode().splitlines()
                self.assertIn(f'django_status_check_up{{resource="a",check="big"}} {up}', lines)
                self.assertEqual(len([line for line in lines if line.startswith("django_status_check_value{")]), up)

    def test_names_of_numbers_that_cannot_be_used_cost_the_entry_alone(self):
        for wrong in (["orders"], {"orders": "counter"}, {1: "gauge"}, "orders"):
            with self.subTest(wrong):
                with override_settings(STATUS_PROVIDERS={"a": [("b", bool, [], {}, {"metrics": wrong})]}):
                    answer = self.client.get("/status/api/a").json()["b"]
                self.assertIn('should be a dict of name -> "gauge"', answer["error"])


@mock.patch("status.formats.metrics.history", History())
class MetricsTests(SimpleTestCase):
    def samples(self, asked: Any = MIXED, details: bool = True) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """Every sample, from OpenMetrics, after both formats were parsed and found the same."""
        families = list(parse_openmetrics(render("openmetrics", asked, details)))
        samples = [
            (sample.name, tuple(sorted(sample.labels.items())), sample.value)
            for family in families
            for sample in family.samples
        ]
        plain = [
            (sample.name, tuple(sorted(sample.labels.items())), sample.value)
            for family in parse_prometheus(render("prometheus", asked, details))
            for sample in family.samples
        ]
        self.assertEqual(samples, plain)
        found = {sample[:2]: sample[2] for sample in samples}
        self.assertEqual(len(found), len(samples), "a label set comes twice")
        return found

    def value(self, name: str, asked: Any = MIXED, details: bool = True, **labels: str) -> float | None:
        return self.samples(asked, details).get((name, tuple(sorted(labels.items()))))

    def test_a_resource_is_up_unless_something_critical_fails(self):
        self.assertEqual(self.value("django_status_up", resource="health"), 0)
        self.assertEqual(self.value("django_status_up", resource="shop"), 1)

    def test_what_only_informs_is_neither_up_nor_down(self):
        self.assertIsNone(self.value("django_status_up", resource="stats"))
        self.assertIsNone(self.value("django_status_check_up", resource="stats", check="code"))
        self.assertIsNone(self.value("django_status_component_up", resource="stats", check="code", component="debug"))
        self.assertEqual(
            self.value("django_status_check_state", resource="stats", check="code", django_status_check_state="info"), 1
        )

    def test_a_check_is_up_when_it_passes(self):
        for check, up in (("ping", 1), ("databases", 0), ("celery", 0)):
            self.assertEqual(self.value("django_status_check_up", resource="health", check=check), up)
        self.assertEqual(self.value("django_status_check_up", resource="shop", check="newsletter"), 0)

    def test_what_still_runs_is_neither_up_nor_down(self):
        self.assertIsNone(self.value("django_status_check_up", resource="shop", check="delivery"))
        self.assertIsNone(self.value("django_status_check_age_seconds", resource="shop", check="delivery"))
        self.assertEqual(
            self.value(
                "django_status_check_state", resource="shop", check="delivery", django_status_check_state="running"
            ),
            1,
        )

    def test_each_check_is_in_exactly_one_state(self):
        states = [
            (labels, value) for (name, labels), value in self.samples().items() if name == "django_status_check_state"
        ]
        self.assertEqual(len(states), 5 * len(MIXED.results))
        self.assertEqual(sum(value for _, value in states), len(MIXED.results))

    def test_components_are_up_one_by_one(self):
        labels = {"resource": "health", "check": "databases"}
        self.assertEqual(self.value("django_status_component_up", **labels, component="default"), 1)
        self.assertEqual(self.value("django_status_component_up", **labels, component="replica"), 0)

    def test_durations_and_ages_are_in_seconds(self):
        self.assertEqual(
            self.value("django_status_check_duration_seconds", resource="health", check="databases"), 0.0412
        )
        self.assertEqual(self.value("django_status_check_age_seconds", resource="health", check="caches"), 2.5)
        self.assertEqual(self.value("django_status_check_age_seconds", resource="health", check="ping"), 0)

    def test_strangers_get_neither_durations_nor_our_version(self):
        names = {name for name, _ in self.samples(details=False)}
        self.assertEqual(
            names,
            {
                "django_status_up",
                "django_status_check_up",
                "django_status_check_state",
                "django_status_check_info",
                "django_status_check_state_since_timestamp_seconds",
                "django_status_check_last_success_timestamp_seconds",
                "django_status_component_up",
                "django_status_check_age_seconds",
            },
        )
        self.assertIn("django_status_build_info", {name for name, _ in self.samples()})

    def test_report_of_another_instance_tells_no_time(self):
        names = {name for name, _ in self.samples(report(result(started_at=0.0)))}
        self.assertFalse([name for name in names if "timestamp" in name])

    def test_it_tells_whether_a_failure_counts(self):
        asked = report(result(), result(name="newsletter", answer=False, critical=False))
        for check, critical in (("databases", "true"), ("newsletter", "false")):
            labels = {"resource": "health", "check": check, "critical": critical}
            self.assertEqual(self.value("django_status_check_info", asked, **labels), 1)

    def test_build_names_the_commit_that_runs(self):
        facts = {"debug": False, "commit": {"id": "a" * 40}, "tag": "v1"}
        code = result("stats", "code", facts, judged=False)
        builds = [labels for name, labels in self.samples(report(code)) if name == "django_status_build_info"]
        self.assertEqual(builds, [(("commit", "a" * 40), ("tag", "v1"), ("version", __version__))])

    def test_stale_code_is_told_where_the_commit_is(self):
        for facts, stale in (
            ({"commit": {"id": "a" * 40}}, 0),
            ({"commit": {"id": "a" * 40}, "checkout": {"id": "b" * 40}}, 1),
            ({"debug": True}, None),
        ):
            code = report(result("stats", "code", facts, judged=False))
            self.assertEqual(self.value("django_status_build_stale", code, commit="a" * 40), stale)
            self.assertIsNone(self.value("django_status_build_stale", code, details=False, commit="a" * 40))

    def test_hostile_names_stay_in_their_label(self):
        for name in HOSTILE:
            asked = report(result(answer={name: False, "other": True}))
            with self.subTest(name=name[:20]):
                components = [
                    value
                    for (family, _), value in self.samples(asked).items()
                    if family == "django_status_component_up"
                ]
                self.assertEqual(sorted(components), [0, 1])

    def test_names_that_are_told_apart_no_more_keep_the_failure(self):
        asked = report(result(answer={"a\x00": True, "a\x01": False, "a\x02": True}))
        self.assertEqual(
            self.value("django_status_component_up", asked, resource="health", check="databases", component="a_"), 0
        )

    def test_an_empty_report_is_a_whole_exposition(self):
        self.assertEqual(render("openmetrics", report(), details=False), "# EOF\n")
        self.assertEqual(render("prometheus", report(), details=False), "")

    def test_an_empty_resource_is_up(self):
        self.assertEqual(self.value("django_status_up", report(resource="health"), resource="health"), 1)

    def test_openmetrics_follows_its_grammar_to_the_letter(self):
        text = render("openmetrics")
        self.assertTrue(text.endswith("\n# EOF\n"))
        self.assertNotIn("\r", text)
        self.assertNotIn("\n\n", text)
        lines = text.splitlines()
        label = r'[a-z_]+="(?:[^"\\\n]|\\["\\n])*"'
        for line in lines[:-1]:
            self.assertRegex(
                line, rf"^(# (TYPE|UNIT|HELP) [a-z_]+ .+|[a-z_]+\{{{label}(,{label})*\}} [0-9]+(\.[0-9]+)?)$"
            )
        start = lines.index("# TYPE django_status_check_duration_seconds gauge")
        self.assertEqual(lines[start + 1], "# UNIT django_status_check_duration_seconds seconds")
        self.assertTrue(lines[start + 2].startswith("# HELP django_status_check_duration_seconds "))

    def test_families_are_not_interleaved(self):
        for name in ("openmetrics", "prometheus"):
            names = [line.split("{")[0] for line in render(name).splitlines() if not line.startswith("#")]
            changes = [name for name, before in zip(names, [None, *names[:-1]], strict=True) if name != before]
            self.assertEqual(len(changes), len(set(changes)))

    def test_prometheus_text_knows_gauges_only(self):
        kinds = re.findall(r"# TYPE \S+ (\w+)", render("prometheus"))
        self.assertEqual(set(kinds), {"gauge"})
        self.assertNotIn("# EOF", render("prometheus"))
        self.assertNotIn("# UNIT", render("prometheus"))

    @settings(max_examples=200, deadline=None)
    @given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.booleans(), max_size=5))
    def test_any_component_names_parse(self, answer):
        self.samples(report(result(answer=answer)))

    def test_promtool_finds_nothing_to_complain_about(self):
        done = subprocess.run(
            [services.require("promtool"), "check", "metrics"],
            input=render("prometheus"),
            capture_output=True,
            text=True,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class NagiosTests(SimpleTestCase):
    def test_the_first_line_says_what_is_wrong_and_how_long_each_took(self):
        self.assertEqual(
            render("nagios").splitlines()[0],
            f"STATUS CRITICAL - {SUMMARY} | "
            "'ping'=0.000010s;;;0 'health/databases'=0.041200s;;;0 'caches'=0.000900s;;;0 'celery'=2.000300s;;;0 "
            "'newsletter'=0.003200s;;;0 'delivery'=0.250000s;;;0 'code'=0.003200s;;;0 'stats/databases'=0.003200s;;;0",
        )

    def test_the_lines_after_it_name_each_component_in_trouble(self):
        self.assertEqual(
            render("nagios").splitlines()[1:],
            [
                "fail health/databases/replica OperationalError",
                "fail health/celery timed out after 2 s",
                "warn shop/newsletter/queue",
                "running shop/delivery still running",
            ],
        )

    def test_word_and_exit_code_agree(self):
        for asked, code, word in (
            (ALL_WELL, 0, "OK"),
            (WARNING, 1, "WARNING"),
            (MIXED, 2, "CRITICAL"),
            (RUNNING, 3, "UNKNOWN"),
            (report(), 0, "OK"),
        ):
            self.assertEqual(nagios.exit_code(asked), code)
            self.assertTrue(render("nagios", asked).startswith(f"STATUS {word} - "))

    def test_what_could_not_be_asked_is_unknown(self):
        text = nagios.no_answer(nagios.UNKNOWN, "no such\nresource | 'x'=1")
        self.assertEqual(text, "STATUS UNKNOWN - no such_resource / 'x'=1\n")

    def test_without_details_there_are_no_durations(self):
        self.assertEqual(render("nagios", ALL_WELL, details=False), "STATUS OK - 2 checks passed\n")

    def test_no_name_breaks_out_of_its_place(self):
        for name in HOSTILE:
            asked = report(result(name=name or "x", answer={name: False}, reasons={name: name}))
            text = render("nagios", asked)
            with self.subTest(name=name[:20]):
                self.assertEqual(text.count("|"), 1)
                self.assertEqual(len(text.splitlines()), 2)
                self.assertRegex(text.splitlines()[0].partition("|")[2], r"^ '[^'=|]+'=[0-9]+\.[0-9]+s;;;0$")

    def test_labels_are_unique(self):
        asked = report(result(name="a'b"), result(name="a=b"), result(name="a_b"))
        self.assertEqual(render("nagios", asked).count("'a_b'="), 1)

    def test_it_never_exceeds_four_kilobytes(self):
        many = [result(name=f"{number:0100}", answer={"é" * 200: False}) for number in range(100)]
        for count in range(0, 100, 3):
            for details in (True, False):
                text = render("nagios", report(*many[:count]), details)
                self.assertLessEqual(len(text.encode()), nagios.MAX_OUTPUT)
                self.assertTrue(text.endswith("\n"))
                self.assertNotIn("| \n", text)
        self.assertGreater(len(text.encode()), 3_500)

    def test_negate_reads_it_as_a_plugin_does(self):
        negate = services.require("negate")
        swapped = (
            (ALL_WELL, 2, "STATUS CRITICAL - 2"),
            (MIXED, 0, "STATUS OK - 2"),
            (WARNING, 1, "STATUS WARNING"),
            (RUNNING, 3, "STATUS UNKNOWN"),
        )
        for asked, code, start in swapped:
            plugin = "import sys; sys.stdout.write(sys.argv[1]); sys.exit(int(sys.argv[2]))"
            command = [
                negate,
                "-s",
                sys.executable,
                "-c",
                plugin,
                render("nagios", asked),
                str(nagios.exit_code(asked)),
            ]
            done = subprocess.run(command, capture_output=True, text=True)
            with self.subTest(start=start):
                self.assertEqual((done.returncode, done.stdout[: len(start)]), (code, start))


@mock.patch("status.formats.metrics.history", History())
class DurationTests(SimpleTestCase):
    #: A healthy database beside one that hangs.
    HANGING = report(
        result(
            answer={"default": True, "replica": False},
            reasons={"replica": "timed out after 2 s"},
            duration=2.0003,
            durations={"default": 0.0012, "replica": 2.0003},
        ),
        resource="health",
    )

    def test_each_component_has_its_own_time_in_every_format(self):
        """FAULTS R8."""
        self.assertEqual(
            render("text", self.HANGING).splitlines()[:-1],
            [
                "pass  health/databases/default  1.2 ms",
                "fail  health/databases/replica  timed out after 2 s  2000.3 ms",
            ],
        )
        checks = json.loads(render("health+json", self.HANGING))["checks"]
        self.assertEqual(
            [checks[f"databases:{name}"][0]["responseTime"] for name in ("default", "replica")], [1.2, 2000.3]
        )
        # The answer was complete when the last component was.
        self.assertEqual(checks["databases:default"][0]["time"], "2023-11-14T22:13:22.000Z")
        for name in ("openmetrics", "prometheus"):
            for component, seconds in (("default", "0.0012"), ("replica", "2.0003")):
                labels = f'resource="health",check="databases",component="{component}"'
                self.assertIn(
                    f"django_status_component_duration_seconds{{{labels}}} {seconds}\n", render(name, self.HANGING)
                )
        self.assertTrue(
            render("nagios", self.HANGING)
            .splitlines()[0]
            .endswith(
                " | 'databases'=2.000300s;;;0 'databases/default'=0.001200s;;;0 'databases/replica'=2.000300s;;;0"
            )
        )
        for name in FORMATS:
            with self.subTest(name):
                self.assertNotRegex(render(name, self.HANGING, details=False), "0012|2.0003|1[.]2|2000")

    def test_a_component_that_hangs_keeps_its_metric(self):
        """FAULTS R8, O3."""
        for details in (True, False):
            self.assertIn(
                'django_status_component_up{resource="health",check="databases",component="replica"} 0\n',
                render("openmetrics", self.HANGING, details),
            )

    def test_labels_of_checks_come_before_those_of_components(self):
        """FAULTS R8, O8: what is too long costs reasons last."""
        failing = {f"component-{number:02}": False for number in range(30)}
        many = report(
            result(name="first", answer=failing, durations=dict.fromkeys(failing, 0.1)), result(name="second")
        )
        text = render("nagios", many)
        self.assertEqual(text.count("\nfail health/first/component-"), 30)
        first = text.splitlines()[0]
        self.assertIn(" | 'first'=0.003200s;;;0 'second'=0.003200s;;;0 'first/component-00'=0.100000s;;;0 ", first)
        self.assertLessEqual(len(text.encode()), nagios.MAX_OUTPUT)

    def test_what_was_not_measured_is_printed_in_no_format(self):
        """FAULTS R9: an instance does not tell everyone how long its checks took."""
        asked = report(result(duration=None), result(name="ping", answer={"pong": True}, duration=0.0412))
        for name, measured, unmeasured in (
            ("text", "41.2 ms", "0.0 ms"),
            ("health+json", '"responseTime": 41.2', '"responseTime": 0'),
            ("nagios", " | 'ping'=0.041200s;;;0\n", "'databases'="),
            (
                "prometheus",
                '_seconds{resource="health",check="ping"} 0.0412',
                'duration_seconds{resource="health",check="databases"',
            ),
            (
                "openmetrics",
                '_seconds{resource="health",check="ping"} 0.0412',
                'duration_seconds{resource="health",check="databases"',
            ),
        ):
            with self.subTest(name):
                self.assertEqual(render(name, asked).count(measured), 1)
                self.assertNotIn(unmeasured, render(name, asked))
        entry = json.loads(render("health+json", asked))["checks"]["databases:default"][0]
        self.assertEqual(entry.keys() & {"time", "responseTime"}, set())
        self.assertEqual(server_timing(asked), "health.ping;dur=41.2")
        self.assertEqual(render("nagios", report(result(duration=None))), "STATUS OK - 1 check passed\n")


@override_settings(STATUS_SHOW_DETAILS="always", STATUS_PROVIDERS={"shop": [("gone", "there.is.no.such.check")]})
class NeverRunTests(SimpleTestCase):
    """A check whose code cannot be loaded takes no time."""

    def setUp(self) -> None:
        self.addCleanup(engine.close)

    def test_no_format_tells_how_long_a_check_took_that_never_ran(self):
        for name, word in (
            ("text", " ms"),
            ("health+json", "responseTime"),
            ("health+json", '"time"'),
            ("openmetrics", "duration_seconds"),
            ("prometheus", "duration_seconds"),
        ):
            response = self.client.get("/status/api/shop", {"format": name})
            self.assertIn("gone", response.content.decode())
            self.assertNotIn(word, response.content.decode())
            self.assertEqual(response["Server-Timing"], "")
        for name in ("nagios", "human"):
            text = ask("shop", "-f", name).out
            self.assertIn("gone", text)
            self.assertNotRegex(text, r"[|]|\d s\b")

    def test_no_page_tells_it_either(self):
        for _ in range(3):  # what came of it is remembered
            for address in ("/status/", "/status/health/"):
                page = self.client.get(address).content.decode()
        self.assertIn("gone", page)
        self.assertNotRegex(page, "took|typically|Durations|<svg class=curve")


class WarningTests(SimpleTestCase):
    LOW = report(
        result(name="stock", answer={"orders": True, "items": 42}, warnings={"items": "fewer than 50 left"}),
        resource="health",
    )

    def test_a_warning_shows_in_every_format(self):
        """FAULTS R8, and CONTRACT 1."""
        self.assertEqual(
            render("text", self.LOW),
            "pass  health/stock/orders  3.2 ms\n"
            "warn  health/stock/items  42  fewer than 50 left  3.2 ms\n"
            "STATUS WARN 1 of 1 check warning: health/stock\n",
        )
        document = json.loads(render("health+json", self.LOW))
        entry = document["checks"]["stock:items"][0]
        self.assertEqual((document["status"], entry["status"], entry["output"]), ("warn", "warn", "fewer than 50 left"))
        self.assertEqual(nagios.exit_code(self.LOW), 1)
        lines = render("nagios", self.LOW).splitlines()
        self.assertEqual(lines[1:], ["warn health/stock/items fewer than 50 left"])
        self.assertTrue(lines[0].startswith("STATUS WARNING - "))
        for name in ("openmetrics", "prometheus"):
            for sample in (
                'up{resource="health"} 1',
                'check_up{resource="health",check="stock"} 0',
                'component_up{resource="health",check="stock",component="orders"} 1',
                'component_up{resource="health",check="stock",component="items"} 0',
            ):
                self.assertIn(f"\ndjango_status_{sample}\n", render(name, self.LOW))
        self.assertEqual(render("json", self.LOW), '{"stock": {"orders": true, "items": 42}}')

    def test_strangers_see_the_state_without_the_sentence(self):
        """FAULTS R8."""
        self.assertIn("warn  health/stock/items  42\n", render("text", self.LOW, details=False))
        for name in FORMATS:
            self.assertNotIn("fewer", render(name, self.LOW, details=False))

    def test_a_warning_never_hides_a_failure(self):
        """FAULTS R8."""
        warnings = {"orders": "slow", "items": "fewer than 50 left"}
        asked = report(result(name="stock", answer={"orders": False, "items": 42}, warnings=warnings))
        self.assertTrue(
            render("text", asked).startswith(
                "fail  health/stock/orders  slow  3.2 ms\nwarn  health/stock/items  42  fewer than 50 left  3.2 ms\n"
            )
        )
        self.assertEqual(nagios.exit_code(asked), 2)

    def test_a_warning_of_an_answer_without_components_is_that_of_the_whole(self):
        """FAULTS R8."""
        asked = report(result(name="stock", answer=42, warnings={"items": "fewer than 50 left"}))
        self.assertTrue(render("text", asked).startswith("warn  health/stock  42  fewer than 50 left  3.2 ms\n"))

    def test_a_sentence_that_names_no_entry_shows_also_where_another_entry_explains_the_state(self):
        for answer, fields, line in (
            ({"a": False}, {"warnings": {"disk": "nearly full"}}, "warn health/stock nearly full"),
            ({"a": False}, {"reasons": {"b": "OSError"}}, "fail health/stock OSError"),
            (
                {"a": False},
                {"reasons": {"b": "OSError"}, "warnings": {"b": "slow", "disk": "nearly full"}},
                "fail health/stock OSError; nearly full",
            ),
            ({"a": 1}, {"warnings": {"a": "low", "disk": "nearly full"}}, "warn health/stock nearly full"),
            (dict.fromkeys(map(str, range(501))), {"reasons": {"b": "OSError"}}, "fail health/stock OSError"),
        ):
            with self.subTest(fields):
                asked = report(result(name="stock", answer=answer, **fields), resource="health")
                self.assertIn(line.split(), [text.split()[:-2] for text in render("text", asked).splitlines()])
                entry = json.loads(render("health+json", asked))["checks"]["stock"][-1]
                self.assertEqual(f"{entry['status']} health/stock {entry['output']}", line)
                if len(answer) == 1:
                    self.assertEqual(render("nagios", asked).splitlines()[-1], line)
                for name in FORMATS:
                    self.assertNotIn(line.rpartition("health/stock ")[2], render(name, asked, details=False))

    def test_what_only_informs_does_not_warn(self):
        """FAULTS R8."""
        asked = report(result("stats", "stock", {"items": 42}, warnings={"items": "fewer than 50 left"}))
        self.assertTrue(render("text", asked).startswith("info  stats/stock/items  42  3.2 ms\n"))

    def test_warnings_come_before_what_passes_where_not_everything_is_written(self):
        """FAULTS R8."""
        answer = {str(number): number != 999 for number in range(1_001)}
        checks = json.loads(render("health+json", report(result(answer=answer, warnings={"1000": "full"}))))["checks"]
        self.assertEqual(list(checks)[:2], ["databases:999", "databases:1000"])


class ServerTimingTests(SimpleTestCase):
    METRIC = re.compile(r'[A-Za-z0-9!#$%&\'*+.^_`|~-]+;dur=[0-9]+\.[0-9](;desc="reused")?')

    def test_it_tells_the_milliseconds_of_each_run(self):
        asked = report(result(name="ping", duration=0.0000071), result(duration=0.0032, age=1.0), resource="health")
        self.assertEqual(server_timing(asked), 'ping;dur=0.0, databases;dur=3.2;desc="reused"')

    def test_names_of_several_resources_are_told_apart(self):
        self.assertEqual(
            server_timing(report(result(), result("stats"))), "health.databases;dur=3.2, stats.databases;dur=3.2"
        )

    def test_it_is_empty_for_an_empty_report(self):
        self.assertEqual(server_timing(report()), "")

    def test_any_name_becomes_a_token(self):
        for name in HOSTILE:
            with self.subTest(name=name[:20]):
                self.assertRegex(
                    server_timing(report(result(name=f"x{name[:100]}"), resource="health")), rf"^{self.METRIC.pattern}$"
                )

    def test_it_never_exceeds_four_kilobytes(self):
        header = server_timing(report(*(result(name=f"check_{number}") for number in range(1_000))))
        self.assertLessEqual(len(header), 4_096)
        self.assertGreater(len(header), 4_000)
        for metric in header.split(", "):
            self.assertRegex(metric, rf"^{self.METRIC.pattern}$")


class DocumentTests(SimpleTestCase):
    def test_the_page_shows_what_the_formats_really_print(self):
        self.assertEqual(PAGE.shown(), section().strip(), "Run python -m tests.docs_formats")
