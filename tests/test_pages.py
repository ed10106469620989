"""The three pages: what they say, to whom, and what they do without."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import threading
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from unittest import mock

from django.conf import settings
from django.contrib import admin
from django.template import engines
from django.test import Client, RequestFactory, SimpleTestCase, override_settings
from django.urls import include, path, re_path
from django.utils import timezone, translation

import status.admin
from status import logs
from status.conf import PAGE_POLICY
from status.engine import engine
from status.history import SLOTS, Slot, history
from status.pages import charts, units
from status.pages.page import Page
from status.pages.rendering import is_changed, render_page
from status.pages.tree import tree
from status.report import Report
from status.views import HealthView, PageView, asset_version, assets
from tests.catalogues import write_catalogue
from tests.components import eventually
from tests.payloads import PAYLOADS
from tests.reports import MIXED, report, result

NOW = 1_700_000_600.0
TOKEN = "t" * 40
BRANDED = '{% extends "django_status/base.html" %}{% block brand %}Acme{% endblock %}'
PAGES = ("/status/", "/status/health/", "/status/stats/")

urlpatterns = [
    path("admin/", admin.site.urls),
    path("a/b/", include("status.urls")),
    re_path(r"anywhere/", include("status.urls", namespace="second")),
]


def good() -> dict[str, bool]:
    return {"default": True}


def bad() -> dict[str, bool]:
    return {"default": False}


def facts() -> dict[str, Any]:
    return {"orders": 42, "secret": "for eyes with authority"}


def providers(**health: Any) -> dict[str, Any]:
    return {
        "health": list(health.items()) or [("ping", "status.providers.health.ping"), ("it", good)],
        "stats": [("facts", facts)],
    }


def text_of(html: str) -> str:
    """The words that a reader sees."""
    html = re.sub(r"<(title|noscript|symbol|p hidden).*?</\1?", "", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def slots(*states: str, took: float = 0.01) -> list[Slot]:
    """Outcomes a minute apart, the last one just now."""
    count = len(states)
    return [Slot(at, at, state, took, took) for n, state in enumerate(states, 1) for at in (NOW - (count - n) * 60,)]


def parse_policy(get_response: Any) -> Any:
    """A middleware of a project, which knows what the first browsers with a policy knew."""

    def parse(request: Any) -> Any:
        response = get_response(request)
        for directive in response["Content-Security-Policy"].split(";"):
            name, value = directive.strip().split(" ", 1)
            if name.removesuffix("-src") not in ("default", "style", "script", "connect", "img", "form-action"):
                raise ValueError(f"{name} {value}")
        return response

    return parse


class Elements(HTMLParser):
    """The start tags of a page, and the depth at its end."""

    VOID = {"meta", "link", "path", "circle", "rect", "use", "br", "img", "input"}
    OPTIONAL = {"li", "dt", "dd", "tr", "td", "th", "tbody", "thead"}

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID | self.OPTIONAL:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID | self.OPTIONAL:
            assert self.open.pop() == tag, (tag, self.open)


class DrawnTestCase(SimpleTestCase):
    """Draws pages of reports made by hand."""

    def draw(self, shown: Report, kind: str = "health", details: bool = True, remembered: Any = None) -> str:
        memory = remembered or {}
        page = Page(shown, kind, details, lambda *key: memory.get(key, ()), now=NOW)
        context = {"site": "shop", "sign": "!", "assets": "/a/", "formats": (), "live": True}
        return render_page(RequestFactory().get("/status/"), page, context)

    def verdict(self, *results: Any, kind: str = "health") -> str:
        page = Page(report(*results), kind, now=NOW)
        return f"{page.state}: {page.verdict} ({page.besides})"


class VerdictTests(DrawnTestCase):
    good = result(name="a")
    bad = result(name="b", answer={"default": False})
    warning = result(name="c", answer=False, critical=False)
    running = result(name="d", running=True, sound=False)
    informing = result("stats", "e", {"debug": False})

    def test_everything_passes(self):
        self.assertEqual(self.verdict(self.good, self.good, self.good), "pass: All 3 checks pass ()")
        self.assertEqual(self.verdict(self.good), "pass: The only check passes ()")

    def test_failures_come_before_everything_else(self):
        every = (self.good, self.running, self.warning, self.bad, self.bad, self.informing)
        self.assertEqual(self.verdict(*every), "fail: 2 of 5 checks fail (1 warns, 1 has not answered yet, 1 passes)")

    def test_one_fails(self):
        self.assertEqual(self.verdict(self.bad, self.good), "fail: 1 of 2 checks fails (1 passes)")

    def test_a_warning_is_no_failure(self):
        self.assertEqual(self.verdict(self.warning, self.good, self.good), "warn: 1 of 3 checks warns (2 pass)")

    def test_what_nobody_knows_yet_is_neither_good_nor_bad(self):
        self.assertEqual(
            self.verdict(self.running, self.good), "running: 1 of 2 checks has not answered yet (1 passes)"
        )

    def test_statistics_are_not_judged(self):
        self.assertEqual(self.verdict(self.informing, kind="stats"), "info: Facts from 1 provider ()")
        broken = result("stats", "f", error="raised OSError")
        self.assertEqual(self.verdict(self.informing, broken, kind="stats"), "warn: 1 of 2 did not answer ()")

    def test_nothing_is_configured(self):
        self.assertEqual(self.verdict(), "info: No checks are configured ()")
        self.assertEqual(self.verdict(kind="stats"), "info: No statistics are configured ()")
        for kind in ("overview", "health", "stats"):
            self.assertIn("STATUS_PROVIDERS", self.draw(report(), kind))


class CardTests(DrawnTestCase):
    def names(self, html: str) -> list[str]:
        return re.findall(r'<(?:article|li)[^>]* (?:id|data-key)="[^"]*/([^"]*)"', html)

    def test_what_fails_comes_first(self):
        for kind in ("overview", "health"):
            self.assertEqual(
                self.names(self.draw(MIXED, kind))[:6],
                ["databases", "celery", "ping", "caches", "newsletter", "delivery"],
            )

    def test_resources_that_fail_come_first_and_those_that_inform_last(self):
        shown = report(result("stats", "s"), result("health", "a"), result("shop", "b", False))
        self.assertEqual(self.names(self.draw(shown, "overview")), ["b", "a", "s"])

    def test_reasons_stand_beside_what_fails(self):
        for kind in ("overview", "health"):
            text = text_of(self.draw(MIXED, kind))
            self.assertRegex(text, "replica:? (fails )?OperationalError")
            self.assertIn("timed out after 2 s", text)

    def test_strangers_see_neither_reasons_nor_durations(self):
        memory = {("health", "databases"): slots("pass", "pass", took=0.123)}
        for kind in ("overview", "health", "stats"):
            text = text_of(self.draw(MIXED, kind, details=False, remembered=memory))
            self.assertNotIn("OperationalError", text)
            self.assertNotRegex(text, r"\d m?s\b(?! old| ago)(?! still)(?<!after 2 s)")
        self.assertNotIn("class=curve", self.draw(MIXED, "health", details=False, remembered=memory))

    def test_strangers_see_the_public_answer_only(self):
        shown = report(
            result("stats", "code", {"author": "Ada"}, public_answer={"debug": False}),
            result("health", "it", error="raised OSError", public_answer={"ok": False}),
        )
        for kind in ("overview", "health", "stats"):
            html = self.draw(shown, kind, details=False)
            self.assertNotIn("Ada", html)
            self.assertNotIn("OSError", html)
            self.assertIn("It did not answer.", html)

    def test_a_reused_answer_tells_its_age(self):
        self.assertIn("2.5 s old", self.draw(MIXED))
        self.assertIn("2.5 s ago", self.draw(MIXED, "overview"))

    def test_a_running_check_tells_for_how_long(self):
        self.assertIn("No answer yet, asked 250 ms ago.", self.draw(MIXED))
        loading = report(result(running=True, sound=False, duration=None))
        self.assertNotIn("asked", self.draw(loading))  # nobody has, while its code is loaded
        self.assertIn('data-refresh="1"', self.draw(MIXED))

    def test_an_answer_without_components_is_shown_as_it_is(self):
        html = self.draw(
            report(result(answer=[1, False]), result(name="lone", answer="fine"), result(name="n", answer=0))
        )
        self.assertIn("The answer holds false or null.", html)
        self.assertIn("fine", html)

    def test_many_components_are_folded_but_not_those_that_fail(self):
        answer = {f"c{number}": number != 7 for number in range(50)}
        html = self.draw(report(result(answer=answer)))
        before, _, folded = html.partition("<details")
        self.assertIn("<b>c7</b>", before)
        self.assertNotIn("<b>c8</b>", before)
        self.assertIn("49 components pass", folded)

    def test_each_component_tells_its_own_time(self):
        """FAULTS R8."""
        shown = report(
            result(
                answer={"default": True, "replica": False},
                reasons={"replica": "timed out after 2 s"},
                duration=2.0003,
                durations={"default": 0.0012, "replica": 2.0003},
            )
        )
        text = text_of(self.draw(shown))
        self.assertIn("replica fails 2 s timed out after 2 s default passes 1.2 ms", text)
        self.assertIn("took 2 s", text)
        self.assertNotIn("1.2 ms", self.draw(shown, details=False))

    def test_a_warning_stands_beside_its_component(self):
        """FAULTS R8, and CONTRACT 1."""
        shown = report(
            result(name="stock", answer={"orders": True, "items": 42}, warnings={"items": "fewer than 50 left"})
        )
        self.assertIn("items warns 42 fewer than 50 left orders passes", text_of(self.draw(shown)))
        self.assertIn("stock warns items: fewer than 50 left", text_of(self.draw(shown, "overview")))
        for kind in ("overview", "health"):
            html = self.draw(shown, kind, details=False)
            self.assertNotIn("fewer", html)
            self.assertIn("warns", html)

    def test_a_warning_of_an_answer_without_components_is_no_failure(self):
        """FAULTS R8."""
        shown = report(result(name="stock", answer=42, warnings={"items": "fewer than 50 left"}))
        for kind in ("overview", "health"):
            self.assertIn("stock warns fewer than 50 left", text_of(self.draw(shown, kind)))
            html = self.draw(shown, kind, details=False)
            self.assertNotIn("fewer", html)
            self.assertNotIn("false or null", html)

    def test_a_reason_of_an_answer_without_components_is_shown(self):
        shown = report(result(answer=[True, False], reasons={"second": "OperationalError"}))
        for kind in ("overview", "health"):
            self.assertIn("databases fails OperationalError", text_of(self.draw(shown, kind)))
            html = self.draw(shown, kind, details=False)
            self.assertIn("The answer holds false or null.", html)
            self.assertNotIn("OperationalError", html)

    def test_what_names_no_component_stands_above_them(self):
        shown = report(
            result(answer={"a": False}, reasons={"a": "refused", "b": "OSError"}, warnings={"disk": "nearly full"})
        )
        self.assertIn("databases fails a: refused; OSError; nearly full", text_of(self.draw(shown, "overview")))
        self.assertIn("databases fails OSError; nearly full a fails refused", text_of(self.draw(shown)))
        self.assertNotIn("OSError", self.draw(shown, details=False))

    def test_a_duration_that_nobody_told_is_not_shown(self):
        """FAULTS R9."""
        self.assertNotIn("took", text_of(self.draw(report(result(duration=None)))))

    def test_many_failing_components_are_summed_up(self):
        answer = {f"c{number}": False for number in range(5)}
        self.assertIn("c0, c1, c2 …", self.draw(report(result(answer=answer)), "overview"))

    def test_components_with_more_than_a_switch_show_it(self):
        text = text_of(self.draw(report(result(answer={"free_bytes": 2_000_000, "disk": {"a": 1}}))))
        self.assertIn("free_bytes passes 1.9 MiB 2,000,000", text)
        self.assertIn("disk 1 entry a 1", text)

    def test_entry_that_only_repeats_the_state_of_its_component_is_left_out(self):
        answer = {"/": {"ok": True, "free": 5}, "/gone": {"ok": False}, "odd": {"ok": "perhaps"}}
        text = text_of(self.draw(report(result(answer=answer))))
        self.assertIn("/gone fails / passes odd passes / / 1 entry free 5 odd odd 1 entry ok perhaps", text)

    def test_what_was_cut_is_told(self):
        for kind, resource in (("health", "health"), ("stats", "stats")):
            self.assertIn("3 values were left out.", self.draw(report(result(resource, cut=3)), kind))

    def test_the_overview_sums_up_statistics(self):
        html = text_of(
            self.draw(report(result("stats", "db", {"default": {f"k{n}": n for n in range(9)}})), "overview")
        )
        self.assertIn("k0 0 k1 1", html)
        self.assertIn("3 more facts", html)
        branches = {"branch": {"local": "main"}, "tags": ["a", "b"], "none": {}}
        html = text_of(self.draw(report(result("stats", "code", branches)), "overview"))
        self.assertIn("branch › local main tags a tags b none empty", html)

    def test_a_statistic_that_did_not_answer_is_marked(self):
        for kind in ("overview", "stats"):
            html = self.draw(report(result("stats", "db", error="raised OSError"), result("stats", "c", 1)), kind)
            self.assertIn("no answer", html)
            self.assertIn("raised OSError", html)

    def test_hundreds_of_components_that_pass_are_left_out_but_counted(self):
        answer = {f"c{number}": number != 550 for number in range(600)}
        text = text_of(self.draw(report(result(answer=answer, cut=3))))
        self.assertIn("c550 fails", text)
        self.assertIn("499 components pass", text)
        self.assertIn("103 values were left out.", text)

    def test_the_language_is_not_mixed_up(self):
        self.draw(MIXED)
        with translation.override("es"):
            self.assertIn("comprobaciones", self.draw(MIXED))
        self.assertIn("checks", self.draw(MIXED))

    def test_the_page_of_facts_has_no_past(self):
        memory = {("stats", "code"): slots("info", "info"), ("health", "databases"): slots("fail", "fail")}
        html = self.draw(MIXED, "stats", remembered=memory)
        self.assertNotIn("typically", html)
        self.assertNotIn("since", html)

    def test_every_page_is_well_formed(self):
        memory = {("health", "databases"): slots("pass", "fail", "fail"), ("shop", "newsletter"): slots("warn")}
        for kind in ("overview", "health", "stats"):
            self.assertEqual(Elements(self.draw(MIXED, kind, remembered=memory)).open, [])

    def test_ids_are_unique(self):
        for kind in ("overview", "health", "stats"):
            ids = [attrs["id"] for _, attrs in Elements(self.draw(MIXED, kind)).tags if "id" in attrs]
            self.assertEqual(len(ids), len(set(ids)))

    def test_no_script_or_style_is_inline(self):
        for kind in ("overview", "health", "stats"):
            for tag, attrs in Elements(self.draw(MIXED, kind)).tags:
                self.assertNotIn("style", attrs)
                self.assertFalse([name for name in attrs if name.startswith("on")])
                self.assertTrue(tag != "style" and (tag != "script" or "src" in attrs))

    def test_no_payload_becomes_markup(self):
        allowed = {tag for kind in ("overview", "health", "stats") for tag, _ in Elements(self.draw(MIXED, kind)).tags}
        for payload in PAYLOADS:
            shown = report(
                result(payload, payload, {payload: False, "v": payload}, reasons={payload: payload}),
                result("health", payload, error=payload),
                result("stats", payload, {payload: [payload, {payload: payload}], "t": [{payload: payload}] * 2}),
                result("stats", "long", payload * 20),
            )
            memory = {("health", payload): slots("fail")}
            for kind in ("overview", "health", "stats"):
                html = self.draw(shown, kind, remembered=memory)
                elements = Elements(html)
                with self.subTest(payload=payload, kind=kind):
                    self.assertLessEqual(
                        {tag for tag, _ in elements.tags},
                        allowed | {"table", "thead", "tbody", "tr", "th", "td", "small"},
                    )
                    for _, attrs in elements.tags:
                        self.assertFalse([name for name in attrs if name.startswith("on") or name == "style"])
                    # An address of ours never begins with somebody else's name.
                    self.assertFalse(
                        [a["href"] for _, a in elements.tags if a.get("href") and a["href"][0] not in "/#?"]
                    )


class MemoryTests(DrawnTestCase):
    def test_the_strip_tells_its_outcomes_by_height_and_in_words(self):
        drawn = charts.strip(slots("pass", "fail", "pass", "warn", "pass"))
        self.assertIn("2 of the last 5 outcomes were bad, the last one at", drawn)
        self.assertEqual(drawn.count("<path"), 6)
        self.assertIn('class=fail d="M224 9h4"', drawn)
        self.assertIn("1 of the last 1 outcomes was bad", charts.strip(slots("fail")))

    def test_good_outcomes_only(self):
        drawn = charts.strip(slots(*["pass"] * SLOTS))
        self.assertIn(f"The last {SLOTS} outcomes were good.", drawn)
        self.assertEqual(drawn.count("<path"), 1)
        self.assertIn("The last 1 outcome was good.", charts.strip(slots("info")))

    def test_nothing_remembered(self):
        self.assertIn("Nothing is remembered yet.", charts.strip(()))

    def test_the_curve_goes_from_nothing_to_the_slowest(self):
        typical, drawing = charts.curve([0, 0.5, 1])
        self.assertEqual(typical, "typically 500 ms, at most 1 s")
        self.assertIn('d="M230 30V29l4 -13 4 -14V30"', drawing)

    def test_checks_that_take_no_time_are_drawn_too(self):
        self.assertIn("V29l4 0V30", charts.curve([0.0, 0.0]).drawing)

    def test_since_when_it_fails(self):
        shown = report(result(answer=False))
        memory = {("health", "databases"): slots("pass", "fail", "fail", "fail")}
        with timezone.override("UTC"):
            for kind in ("overview", "health"):
                text = text_of(self.draw(shown, kind, remembered=memory))
                self.assertIn("databases fails since 22:21:20 UTC , 2 min", text)

    def test_the_overview_tells_what_is_wrong_since_when_and_whom_it_hurts(self):
        hurt = result(answer={"a": True, "b": False}, reasons={"b": "full"}, impact="Nobody can pay <now>.")
        memory = {("health", "databases"): slots("pass", "fail", "fail", "fail")}
        with timezone.override("UTC"):
            for kind in ("overview", "health"):
                html = self.draw(report(hurt), kind, remembered=memory)
                self.assertIn("fails since 22:21:20 UTC , 2 min · Nobody can pay &lt;now&gt;.", text_of(html))
                self.assertEqual(html.count('class="since"'), 1)
                self.assertEqual(html.count('class="impact"'), 2)
            self.assertIn(
                "b: full Nobody can pay &lt;now&gt;. since",
                text_of(self.draw(report(hurt), "overview", remembered=memory)),
            )
            # Strangers too learn whom it hurts: whoever wrote the settings wrote that for them.
            self.assertIn("Nobody can pay", self.draw(report(hurt), "overview", details=False))
        well = result(impact="Nobody can pay.")
        self.assertNotIn("Nobody can pay.", self.draw(report(well), "overview") + self.draw(report(well), "health"))

    def test_the_verdict_names_what_has_failed_for_longest(self):
        shown = report(result(name="late", answer=False), result(name="early", answer=False), result(name="ok"))
        memory = {("health", "late"): slots("pass", "fail"), ("health", "early"): slots("fail", "fail")}
        page = Page(shown, "health", True, lambda *key: memory.get(key, ()), now=NOW)
        self.assertEqual(page.worst.name, "early")

    def test_a_state_that_memory_does_not_know_has_no_beginning(self):
        html = self.draw(report(result(answer=False)), remembered={("health", "databases"): slots("pass")})
        self.assertNotIn('class="since"', html)


class TreeTests(SimpleTestCase):
    def test_scalars(self):
        for value, shown in ((True, "yes"), (False, "no"), (None, "none"), ("", "empty"), ({}, "empty"), ([], "empty")):
            self.assertEqual(text_of(tree(value)), shown)

    def test_lists_of_equal_objects_are_tables(self):
        html = tree([{"name": "a", "size": 1}, {"name": "b", "size": 2}])
        self.assertEqual(re.findall("<th scope=col>(\\w+)", html), ["name", "size"])
        self.assertEqual(text_of(html), "name size a 1 b 2")

    def test_objects_of_equal_flat_objects_are_tables_with_row_headings(self):
        html = tree({"w1": {"pid": 1}, "w2": {"pid": 2}})
        self.assertEqual(re.findall("<th scope=row>(\\w+)", html), ["w1", "w2"])
        self.assertNotIn("<table", tree({"w1": {"pid": 1, "x": {"y": 1}}, "w2": {"pid": 2, "x": {"y": 2}}}))

    def test_cells_may_hold_branches(self):
        self.assertEqual(text_of(tree([{"a": [1, 2]}, {"a": {"b": 3}}])), "a 1 2 b 3")

    def test_unequal_objects_are_numbered(self):
        self.assertEqual(text_of(tree([{"a": 1}, {"b": 2}])), "1 1 1 entry a 1 2 2 1 entry b 2")

    def test_wide_objects_are_lists(self):
        self.assertNotIn("<table", tree([{f"c{n}": n for n in range(20)}] * 2))

    def test_short_branches_stand_open_and_long_ones_are_folded(self):
        self.assertIn("<details open", tree({"short": {str(n): n for n in range(5)}}))
        self.assertNotIn("<details open", tree({"long": {str(n): n for n in range(500)}}))

    def test_long_text_is_folded_behind_its_beginning(self):
        self.assertIn("<details class=long><summary>xxx", tree("x" * 1000))

    def test_numbers_are_told_in_the_unit_of_their_name_beside_the_exact_one(self):
        for key, value, shown in (
            ("size_bytes", 1_503_238_553, "1.4 GiB 1,503,238,553"),
            ("memory", 5_000_000, "4.8 MiB 5,000,000"),
            ("rss", 12, "12"),
            ("uptime", 90_061, "1 d 1 h 90,061"),
            ("latency_ms", 2500, "2.5 s 2500"),
            ("timeout", 0, "0"),
            ("timeout", 2.5, "2.5 s"),
            ("last_run_at", 1_700_000_000, "14 Nov 2023, 22:13:20 UTC 1,700,000,000"),
            ("looked_at", 17, "17"),
            ("orders", 1_234_567, "1,234,567"),
            ("orders", 1234, "1234"),
            ("share", 12345.678, "12,345.678"),
            ("huge", 1e300, "1e+300"),
            ("whole", 3.0, "3"),
            ("size", 1e30, "1e+30"),
            ("uptime", 1e13, "10,000,000,000,000"),
            ("uptime", -75, "−1 min 15 s -75"),
            ("message", 7, "7"),
            ("free_percent", 74.3, "74.3 %"),
            ("percentile", 95, "95"),
            # The last unit in a name decides, and only without one what is measured.
            ("replication_lag_bytes", 16_777_216, "16 MiB 16,777,216"),
            ("lag_ms", 2500, "2.5 s 2500"),
            ("Idle-Time.Seconds", 75, "1 min 15 s 75"),
            ("age_days", 14, "14"),
            ("uptime_hours", 3, "3"),
            ("timeout_minutes", 30, "30"),
            ("latency_us", 1500, "1500"),
            ("memory_mb", 2048, "2048"),
            ("disk_percent_1m", 2048, "2048"),
            ("timeout_count", 3, "3"),
            ("requests_per_second", 12, "12"),
            ("size", 5000, "4.9 KiB 5000"),
            ("queue_size", 5000, "5000"),
            ("maxrss", 51_200, "51,200"),  # Celery sends KiB on Linux and bytes on macOS
        ):
            with self.subTest(key=key, value=value), timezone.override("UTC"):
                self.assertEqual(text_of(tree({key: value})), f"{key} {shown}")

    def test_dates_are_told_in_words_beside_the_exact_one(self):
        for value, shown in (
            ("2026-11-23T18:02:11+01:00", "23 Nov 2026, 17:02:11 UTC"),
            ("2026-11-23T18:02:11Z", "23 Nov 2026, 18:02:11 UTC"),
            ("2026-11-23 18:02:11.1234567 +0100", "23 Nov 2026, 17:02:11 UTC"),
            ("2026-11-23T18:02", "23 Nov 2026, 18:02:00"),
        ):
            with self.subTest(value=value), timezone.override("UTC"):
                self.assertEqual(text_of(tree({"date": value})), f"date {shown} {value}")
                # The script turns it into the reader's time zone only where it is known which moment is meant.
                self.assertEqual("<time data-moment datetime=" in tree(value), shown.endswith("UTC"))
        for value in ("2026-13-45T99:99:99Z", "2026-11-23", "20261123", "0001-01-01T00:00:00+23:59"):
            self.assertEqual(text_of(tree({"date": value})), f"date {value}")

    def test_what_was_cut_stands_apart(self):
        self.assertIn("class=cut", tree({"a": 1, "…": "7 more cut"}))

    def test_five_thousand_values_take_a_moment(self):
        html = tree({f"group{g}": {f"key{k}": [k, g, {"size": k * 4096}] for k in range(25)} for g in range(50)})
        self.assertGreater(html.count("<dd>"), 3000)
        self.assertLess(len(html), 600_000)

    def test_units(self):
        for seconds, shown in (
            (0, "0 ms"), (0.00004, "0.04 ms"), (0.0123, "12 ms"), (0.9996, "1 s"), (1.25, "1.2 s"), (59.97, "1 min"),
            (75, "1 min 15 s"), (3600, "1 h"), (5000, "1 h 23 min"), (200 * 86400 + 3600, "200 d"),
        ):  # fmt: skip
            self.assertEqual(units.duration(seconds), shown)
        for count, shown in ((12, "12 bytes"), (1024**2 - 1, "1 MiB"), (-2048, "−2 KiB"), (1e21, "867 EiB")):
            self.assertEqual(units.size(count), shown)
        with translation.override("es"):
            self.assertEqual(units.duration(1.25), "1,2 s")


@override_settings(STATUS_PROVIDERS=providers())
class AddressTests(SimpleTestCase):
    def setUp(self) -> None:
        self.addCleanup(history.slots.clear)

    def test_three_pages(self):
        for address, words in zip(
            PAGES, ("All 2 checks pass", "All 2 checks pass", "Facts from 1 provider"), strict=True
        ):
            response = self.client.get(address)
            self.assertContains(response, f'<h1 id="verdict">{words}</h1>')
            self.assertEqual(response["Content-Type"], "text/html; charset=utf-8")

    def test_with_and_without_slash(self):
        for address in PAGES[1:]:
            self.assertEqual(self.client.get(address.rstrip("/")).status_code, 200)

    def test_failing_pages_answer_the_error_code(self):
        with override_settings(STATUS_PROVIDERS=providers(it=bad)):
            self.assertEqual([self.client.get(address).status_code for address in PAGES], [503, 503, 200])
            with override_settings(STATUS_ERROR_CODE=200):
                self.assertEqual(self.client.get("/status/").status_code, 200)

    def test_head_runs_the_checks_and_has_no_body(self):
        with override_settings(STATUS_PROVIDERS=providers(it=bad)):
            response = self.client.head("/status/health/")
        self.assertEqual((response.status_code, response.content), (503, b""))

    def test_options_runs_nothing_and_tells_where_the_data_is(self):
        with mock.patch.object(engine, "run", side_effect=AssertionError("ran")):
            response = self.client.options("/status/stats")
        self.assertEqual((response.json(), response["Allow"]), ({"api": "/status/api"}, "GET, HEAD, OPTIONS"))

    def test_other_methods_are_refused_without_a_token_of_csrf(self):
        client = Client(enforce_csrf_checks=True)
        for address in (*PAGES, self.asset("status.css")):
            for method in ("post", "put", "patch", "delete"):
                response = getattr(client, method)(address)
                self.assertEqual((response.status_code, response["Allow"]), (405, "GET, HEAD, OPTIONS"))

    def test_headers(self):
        for address in PAGES:
            response = self.client.get(address)
            self.assertEqual(response["Content-Security-Policy"], PAGE_POLICY)
            self.assertEqual(response["Cache-Control"], "no-store")
            self.assertEqual(response["X-Content-Type-Options"], "nosniff")
            self.assertEqual(response["X-Robots-Tag"], "noindex")
            self.assertEqual(response["Referrer-Policy"], "no-referrer")
            self.assertEqual(response["Vary"], "Accept, Authorization, Cookie, X-Status-Token, Accept-Language")
            self.assertFalse(response.cookies)

    def test_the_policy_can_be_changed_or_left_to_the_project(self):
        with override_settings(STATUS_PAGE_POLICY="default-src https:"):
            self.assertEqual(self.client.get("/status/")["Content-Security-Policy"], "default-src https:")
        with override_settings(
            STATUS_PAGE_POLICY=None, MIDDLEWARE=["status.middleware.StatusMiddleware", *settings.MIDDLEWARE]
        ):
            # FAULTS A15: the project's own middleware has no say here, and nobody else would set one.
            self.assertEqual(self.client_class().get("/status/")["Content-Security-Policy"], PAGE_POLICY)
        with override_settings(STATUS_PAGE_POLICY=None):
            self.assertNotIn("Content-Security-Policy", self.client.get("/status/"))

    def test_the_policy_is_plain_enough_for_middleware_that_parses_it(self):
        """FAULTS A29: pretix answers 500 to directives that it does not know, base-uri and frame-ancestors are two."""
        with override_settings(MIDDLEWARE=[*settings.MIDDLEWARE, f"{__name__}.parse_policy"]):
            for address in PAGES:
                self.assertEqual(self.client_class().get(address).status_code, 200)

    def test_no_query_no_session_no_cache_is_needed(self):
        logs._logged_at.clear()  # an earlier test may have been told the same
        with (
            override_settings(
                CACHES={"default": {"BACKEND": "no.such.Cache"}},
                TEMPLATES=[{"BACKEND": "django.template.backends.jinja2.Jinja2"}],
                INSTALLED_APPS=[],
                STATIC_URL=None,
            ),
            self.assertLogs("status", "WARNING") as heard,
        ):
            for address in PAGES:
                self.assertEqual(self.client.get(address, HTTP_COOKIE="sessionid=x").status_code, 200)
        self.assertIn("could not tell who asks", heard.output[0])

    def test_a_check_that_hangs_does_not_hold_up_the_page(self):
        release = threading.Event()
        self.addCleanup(lambda: self.assertTrue(eventually(lambda: not engine.busy and engine.close() is None)))
        self.addCleanup(release.set)
        with override_settings(STATUS_PROVIDERS=providers(it=lambda: release.wait(30), fine=good), STATUS_TIMEOUT=25):
            response = self.client.get("/status/health/")
            self.assertContains(response, "1 of 2 checks has not answered yet")
            self.assertContains(response, 'data-refresh="1"')
            self.assertContains(response, '<meta http-equiv="refresh" content="2">')

    def test_a_check_that_is_always_slower_than_the_page_is_told_of_when_the_page_asks_again(self):
        release = threading.Event()
        self.addCleanup(lambda: self.assertTrue(eventually(lambda: not engine.busy and engine.close() is None)))
        self.addCleanup(release.set)
        slow = {"stock": False}
        with (
            override_settings(STATUS_PROVIDERS=providers(it=lambda: release.wait(30) and slow), STATUS_TIMEOUT=25),
            mock.patch("status.views.PAGE_PATIENCE", 0.02),
        ):
            self.assertContains(self.client.get("/status/health/"), "1 of 1 checks has not answered yet")
            release.set()
            self.assertTrue(eventually(lambda: not engine.busy))
            release.clear()
            response = self.client.get("/status/health/")
            self.assertContains(response, "stock", status_code=503)
            self.assertContains(response, " old", status_code=503)
            self.assertContains(response, 'data-refresh="1"', status_code=503)
            self.assertNotContains(response, "not answered yet", status_code=503)

    def test_links_lead_to_the_same_data_in_every_format(self):
        for address in PAGES:
            links = re.findall(r'<li><a href="(/status/api[^"]*)">', self.client.get(address).content.decode())
            self.assertEqual(len(links), 5)
            for link in links:
                self.assertEqual(self.client.get(link.replace("&amp;", "&")).status_code, 200, link)

    def test_refreshing_without_script_can_be_stopped(self):
        self.assertContains(self.client.get("/status/"), '<meta http-equiv="refresh"')
        stopped = self.client.get("/status/?live=no")
        self.assertNotContains(stopped, '<meta http-equiv="refresh"')
        self.assertContains(stopped, '<a href="?">')

    def test_large_type_for_a_wall_and_back(self):
        self.assertContains(self.client.get("/status/"), '<a href="?wall">Large type</a>')
        wall = self.client.get("/status/?wall")
        self.assertContains(wall, '<body class="status wall">')
        self.assertContains(wall, '<a href="?">Normal type</a>')
        self.assertContains(wall, '<a href="?live=no&amp;wall">')
        self.assertContains(self.client.get("/status/?live=no&wall"), '<a href="?wall">Refresh every few seconds</a>')

    def test_a_check_has_an_address_of_its_own(self):
        for page, name in (("/status/health/", "health/it"), ("/status/stats/", "stats/facts")):
            response = self.client.get(page)
            self.assertContains(response, f'id="{name}"')
            self.assertContains(response, f'<a href="#{name}">')
            self.assertContains(self.client.get("/status/"), f'<a href="{page}#{name}">')

    def test_spanish_by_the_browser_or_by_the_project(self):
        response = self.client.get("/status/", HTTP_ACCEPT_LANGUAGE="es-MX,es;q=0.9")
        self.assertContains(response, '<html lang="es-mx" dir="ltr">')
        self.assertContains(response, "Las 2 comprobaciones son correctas")
        self.assertEqual(response["Content-Language"], "es-mx")
        request = RequestFactory().get("/status/")
        request.LANGUAGE_CODE = "es"
        self.assertContains(PageView.as_view()(request), "comprobaciones")

    def test_a_language_that_nobody_translated_is_not_claimed(self):
        for language in ("it", "he", "xx"):
            self.assertContains(
                self.client.get("/status/", HTTP_ACCEPT_LANGUAGE=language), '<html lang="en" dir="ltr">'
            )

    def test_english_needs_no_catalogue(self):
        with override_settings(LANGUAGE_CODE="es", LANGUAGES=settings.LANGUAGES):
            self.assertContains(self.client.get("/status/", HTTP_ACCEPT_LANGUAGE="en-GB"), '<html lang="en-gb"')
            self.assertContains(self.client.get("/status/", HTTP_ACCEPT_LANGUAGE="en"), "All 2 checks pass")
            response = self.client.get("/status/", HTTP_ACCEPT_LANGUAGE="it")
        self.assertContains(response, '<html lang="es"')
        self.assertContains(response, "comprobaciones")

    def test_right_to_left_where_the_project_has_translated_the_pages(self):
        with tempfile.TemporaryDirectory() as folder:
            write_catalogue(Path(folder), "he", {"the code of this language\x04en": "he", "Overview": "סקירה"})
            with override_settings(LOCALE_PATHS=[folder]):
                response = self.client.get("/status/", HTTP_ACCEPT_LANGUAGE="he")
        self.assertContains(response, '<html lang="he" dir="rtl">')
        self.assertContains(response, "סקירה")

    def test_a_host_that_the_project_does_not_allow_is_not_repeated(self):
        with override_settings(ALLOWED_HOSTS=["shop.example"], MIDDLEWARE=["status.middleware.StatusMiddleware"]):
            self.assertNotContains(self.client.get("/status/", HTTP_HOST="evil.example"), "evil")

    def asset(self, name: str, version: str | None = None) -> str:
        return f"/status/assets/{version or asset_version()}/{name}"

    def test_the_app_serves_what_its_pages_need(self):
        html = self.client.get("/status/").content.decode()
        links = re.findall(r'(?:href|src|data-lost)="([^"]*/assets/[^"]*)"', html)
        self.assertEqual(len(links), 4)
        for link in links:
            response = self.client.get(link)
            self.assertEqual(response.status_code, 200)
            self.assertEqual(response["Cache-Control"], "public, max-age=31536000, immutable")
            self.assertEqual(self.client.get(link, HTTP_IF_NONE_MATCH=response["ETag"]).status_code, 304)

    def test_files_of_another_release_are_not_kept(self):
        self.assertEqual(self.client.get(self.asset("status.js", "abc"))["Cache-Control"], "no-cache")

    def test_unknown_files_are_not_found(self):
        for name in ("nothing.css", "views.py"):
            self.assertEqual(self.client.get(self.asset(name)).status_code, 404)

    def test_the_pages_are_light(self):
        files = assets()
        weight = sum(len(files[name]) for name in ("status.css", "status.js", "pass.svg"))
        checks = {f"check{number}": good for number in range(10)}
        for name in checks:
            history.slots["health", name] = slots(*["pass"] * SLOTS)
        with override_settings(STATUS_PROVIDERS=providers(**checks), STATUS_SHOW_DETAILS="always"):
            for address in PAGES:
                self.assertLess(weight + len(self.client.get(address).content), 48_000)


@override_settings(ROOT_URLCONF="tests.test_pages", STATUS_PROVIDERS=providers())
class MountTests(SimpleTestCase):
    def test_addresses_follow_the_mount_point(self):
        for page in ("", "health/", "health", "stats/"):
            html = self.client.get(f"/a/b/{page}").content.decode()
            self.assertIn('<a href="/a/b/health/"', html)
            self.assertIn('href="/a/b/api/health"' if "health" in page else 'href="/a/b/', html)
            self.assertRegex(html, '"/a/b/assets/[0-9a-f]+/status.css"')

    def test_a_script_name_is_kept(self):
        html = self.client.get("/a/b/", SCRIPT_NAME="/prefix").content.decode()
        self.assertIn('<a href="/prefix/a/b/health/"', html)

    def test_an_address_that_looks_like_another_host_is_not_one(self):
        html = self.client.get("//evil.example/anywhere/").content.decode()
        self.assertNotRegex(html, '(href|src)="//')


@override_settings(STATUS_PROVIDERS=providers(it=good), STATUS_PUBLIC=("stats",), STATUS_TOKENS=(TOKEN,))
class AccessTests(SimpleTestCase):
    def get(self, address: str, token: str = "") -> Any:
        return self.client.get(address, **({"HTTP_AUTHORIZATION": f"Bearer {token}"} if token else {}))

    def test_strangers_see_what_is_public(self):
        self.assertEqual([self.get(address).status_code for address in PAGES], [200, 401, 200])
        self.assertNotContains(self.get("/status/"), "health/it")

    def test_a_refusal_runs_nothing_and_says_what_helps(self):
        with mock.patch.object(engine, "run", side_effect=AssertionError("ran")):
            response = self.get("/status/health/")
            self.assertEqual(self.client.options("/status/health/").status_code, 401)
        self.assertContains(response, "bearer token", status_code=401)
        self.assertEqual(response["WWW-Authenticate"], 'Bearer realm="status"')
        self.assertEqual(response["Content-Security-Policy"], PAGE_POLICY)
        with override_settings(STATUS_TOKENS=()):
            self.assertContains(self.get("/status/health/"), "ask those who run this site", status_code=403)

    def test_a_token_opens_the_page_and_its_details(self):
        response = self.get("/status/health/", TOKEN)
        self.assertContains(response, "took")
        self.assertNotContains(self.get("/status/"), "took")


class ChangedTests(SimpleTestCase):
    """Projects that have templates of their own."""

    def setUp(self) -> None:
        logged = mock.patch.object(logs, "_logged_at", {})
        logged.start()
        self.addCleanup(logged.stop)

    def use(self, templates: dict[str, str], **options: Any) -> Any:
        loaders = [
            ("django.template.loaders.locmem.Loader", templates),
            "django.template.loaders.app_directories.Loader",
        ]
        backend = "django.template.backends.django.DjangoTemplates"
        changed = override_settings(
            TEMPLATES=[{"BACKEND": backend, "OPTIONS": {"loaders": loaders, **options}}], STATUS_PROVIDERS=providers()
        )
        changed.enable()
        self.addCleanup(changed.disable)

    def test_a_project_that_changes_nothing_is_not_asked(self):
        self.use({}, context_processors=["tests.test_pages.exploding"])
        self.assertContains(self.client.get("/status/"), "All 2 checks pass")
        self.assertEqual([is_changed(engine) for engine in engines.all()], [False])

    def test_a_template_that_is_written_while_the_project_runs_is_found(self):
        """As ``runserver`` has Django look for templates anew."""
        templates: dict[str, str] = {}
        self.use(templates)
        self.assertNotContains(self.client.get("/status/"), "Acme")
        templates["django_status/overview.html"] = BRANDED
        self.assertContains(self.client.get("/status/"), "Acme")

    def test_an_engine_that_does_not_look_into_apps_is_passed_over(self):
        backend = {"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [], "APP_DIRS": False}
        with override_settings(TEMPLATES=[backend], STATUS_PROVIDERS=providers()):
            self.assertContains(self.client.get("/status/"), "All 2 checks pass")

    def test_blocks_can_be_filled_by_extending_the_base(self):
        self.use({"django_status/overview.html": BRANDED})
        self.assertContains(self.client.get("/status/"), "Acme")
        self.assertNotContains(self.client.get("/status/health/"), "Acme")

    def test_a_template_may_extend_the_one_that_it_stands_in_for(self):
        self.use({"django_status/base.html": BRANDED})
        for address in PAGES:
            self.assertContains(self.client.get(address), "Acme")

    def test_everything_can_be_wrapped_in_the_projects_own_base(self):
        self.use(
            {
                "site.html": "<header>{{ path }}</header>{% block content %}{% endblock %}",
                "django_status/base.html": '{% extends "site.html" %}',
            },
            context_processors=["tests.test_pages.path_of"],
        )
        response = self.client.get("/status/health/")
        self.assertContains(response, "<header>/status/health/</header>")
        self.assertContains(response, '<article class="card pass"')

    def test_a_template_of_the_project_that_fails_gives_way_to_the_built_in_one(self):
        self.use(
            {"django_status/base.html": "{% block content %}{% endblock %}"},
            context_processors=["tests.test_pages.exploding"],
        )
        with self.assertLogs("status", "ERROR"):
            response = self.client.get("/status/")
        with self.assertNoLogs("status"):  # FAULTS A14: once a minute
            self.client.get("/status/")
        self.assertContains(response, "All 2 checks pass")
        self.assertContains(response, "The project&#x27;s own template failed (ConnectionError)")
        self.assertNotContains(response, "hunter2")

    def test_a_template_of_the_project_with_a_mistake_gives_way_too(self):
        self.use({"django_status/base.html": "{% nonsense %}"})
        with self.assertLogs("status", "ERROR"):
            self.assertContains(self.client.get("/status/"), "TemplateSyntaxError")

    def test_a_broken_template_setting_does_not_take_the_page_down(self):
        broken = override_settings(TEMPLATES=[{"BACKEND": "no.such.Backend"}], STATUS_PROVIDERS=providers())
        with broken, self.assertLogs("status", "ERROR"):
            self.assertContains(self.client.get("/status/"), "All 2 checks pass")


class ZipTests(SimpleTestCase):
    PROJECT = """
import sys
sys.path.insert(0, sys.argv[1])
from django.conf import settings
settings.configure(SECRET_KEY="x" * 50, ROOT_URLCONF="__main__", INSTALLED_APPS=["status"], ALLOWED_HOSTS=["*"],
                   MIDDLEWARE=["status.middleware.StatusMiddleware"], STATUS_PROVIDERS={"health": [], "stats": []})
import django
django.setup()
from django.test import Client
from django.urls import include, path
urlpatterns = [path("status/", include("status.urls"))]
import status
assert status.__file__.startswith(sys.argv[1])
for address in ("", "health/", "stats/"):
    page = Client().get(f"/status/{address}")
    assert page.status_code == 200, address
style = page.content.decode().partition('rel="stylesheet" href="')[2].partition('"')[0]
assert b".status" in Client().get(style).content
"""

    def test_pages_work_where_the_app_is_imported_from_a_zip_file(self):
        """FAULTS A18"""
        package = Path(status.__file__).parent
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "app.zip"
            with zipfile.ZipFile(archive, "w") as packed:
                for file in package.rglob("*"):
                    if file.is_file() and "__pycache__" not in file.parts:
                        packed.write(file, file.relative_to(package.parent))
            command = [sys.executable, "-c", self.PROJECT, str(archive)]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)


def exploding(request: Any) -> dict[str, Any]:
    raise ConnectionError("shop:hunter2@db.internal refused")


def path_of(request: Any) -> dict[str, Any]:
    return {"path": request.path}


class SubclassTests(SimpleTestCase):
    def test_a_page_of_ones_own(self):
        class Mine(HealthView):
            def resources(self, access: Any) -> list[str]:
                return ["stats"]

        with override_settings(STATUS_PROVIDERS=providers()):
            self.assertContains(Mine.as_view()(RequestFactory().get("/status/health/")), "Statistics")
