"""The pages in a real Chromium, under their own policy."""

from __future__ import annotations

import contextlib
import importlib.resources
import os
import pathlib
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

from django.core.wsgi import get_wsgi_application
from django.template import Context
from django.test import SimpleTestCase, override_settings, tag

from example_project.shop import switches
from status.conf import PAGE_POLICY
from status.engine import engine
from status.history import SLOTS, Slot, history
from status.pages.page import Page
from status.pages.rendering import built_in
from status.test import fake
from tests import every_check, services
from tests.browser import Web, chromium
from tests.catalogues import write_catalogue
from tests.members import fleets
from tests.payloads import PAYLOADS
from tests.reports import report, result

PAGES = ("/status/", "/status/health/", "/status/stats/")
#: Schemes and widths in pairs: pages take turns, so that each scheme is seen at each width.
LOOKS = ((("light", 320), ("dark", 1280)), (("light", 1280), ("dark", 320)))
STATES = {
    "good": {},
    "failing": {"shop.payments": "fail", "health.storage": "unavailable", "stats.sales": "raise"},
    "warning": {"shop.newsletter": "null"},
    "hung": {"shop.payments": "hang"},
}
PROVIDERS = {
    "health": [
        ("ping", "status.providers.health.ping"),
        ("storage", "example_project.shop.providers.storage", ["uploads"], {"path": "/", "at_least": 1}),
    ],
    "shop": [
        ("payments", "example_project.shop.providers.Payments", None, None, {"timeout": 3}),
        ("newsletter", "example_project.shop.providers.newsletter", (), {}, {"critical": False}),
    ],
    "stats": [
        ("sales", "example_project.shop.providers.sales"),
        ("some", "tests.test_pages_browser.some"),
        ("hostile", "tests.test_pages_browser.hostile"),
    ],
}


def values(workers: int, queues: int, tags: int) -> dict[str, Any]:
    """Return so many rows of a table, tables in branches and entries of a list, and a long word."""
    return {
        "workers": [
            {"name": f"w{n}", "pid": n, "memory_bytes": n * 10**6, "seen_at": 1.7e9 + n} for n in range(workers)
        ],
        "queues": {
            f"queue{q}": {f"task{t}": {"waiting": t, "latency_ms": q * t} for t in range(25)} for q in range(queues)
        },
        "tags": [f"tag-{n}" for n in range(tags)],
        "unbroken": "x" * 5000,
    }


def some() -> dict[str, Any]:
    """Enough values of each kind to be folded."""
    return values(workers=30, queues=3, tags=30)


def many() -> dict[str, Any]:
    """Five thousand values."""
    return values(workers=500, queues=50, tags=500)


def hostile() -> dict[str, Any]:
    return {payload: [payload, {payload: payload}] for payload in PAYLOADS}


class BrowserTestCase(SimpleTestCase):
    """One browser and one server for the tests of a class; every test has a new profile."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        folder = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.enterClassContext(mock.patch.dict(os.environ, EXAMPLE_FOLDER=folder))
        cls.enterClassContext(override_settings(STATUS_PROVIDERS=PROVIDERS, STATUS_SHOW_DETAILS="always"))
        cls.browser = cls.enterClassContext(chromium())
        cls.web = Web(get_wsgi_application())
        cls.web.start()
        cls.addClassCleanup(engine.close)
        cls.addClassCleanup(cls.web.stop)

    @classmethod
    def enterClassContext(cls, manager: Any) -> Any:
        # Python 3.10 has no such method.
        value = manager.__enter__()
        cls.addClassCleanup(manager.__exit__, None, None, None)
        return value

    def setUp(self) -> None:
        history.slots.clear()
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.addCleanup(history.slots.clear)
        self.addCleanup(self.settle)

    def settle(self) -> None:
        """Let go what hangs, and wait for it."""
        self.switch()
        until = time.monotonic() + 10
        while time.monotonic() < until and any(one.name.startswith("status-shop") for one in threading.enumerate()):
            engine.close()
            time.sleep(0.02)

    def switch(self, **modes: str) -> None:
        for name in switches.NAMES:
            switches.switch(name, modes.get(name.replace(".", "_"), "ok"))

    @contextlib.contextmanager
    def open(self, address: str, expect_complaints: bool = False, **profile: Any) -> Iterator[Any]:
        context = self.browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "locale": "en-GB", **profile})
        page = context.new_page()
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda said: said.type == "error" and self.complaints.append(said.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(self.web.url + address if address.startswith("/") else address)
        try:
            yield page
        finally:
            context.close()
        self.assertEqual([url for url in self.asked if not url.startswith(self.web.url)], [], "asked other hosts")
        if not expect_complaints:
            # The browser reports a page that answers 503 as an error; a check that fails is none of the page's.
            self.assertEqual([text for text in self.complaints if "status of 503" not in text], [])

    def violations(self, page: Any) -> list[str]:
        options = {"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]}
        found = page.evaluate("async options => (await axe.run(options)).violations", options)
        return [f"{v['id']}: {v['nodes'][0]['html'][:200]} {v['nodes'][0]['failureSummary']}" for v in found]

    def look_again(self, page: Any) -> None:
        """Have the page ask again now instead of in a few seconds."""
        with page.expect_response(lambda response: "/status/" in response.url and "/assets/" not in response.url):
            page.evaluate("window.dispatchEvent(new Event('online'))")
        page.wait_for_function("true")


@tag("browser")
class LiveTests(BrowserTestCase):
    def test_a_page_turns_red_and_green_again_without_being_loaded_anew(self):
        with self.open("/status/health/") as page:
            page.evaluate("window.same = document.getElementById('shop/newsletter')")
            self.assertEqual(page.title(), "✓ All 4 checks pass")
            self.switch(shop_payments="fail")
            self.look_again(page)
            page.wait_for_selector("main[data-state=fail]")
            self.assertEqual(page.title(), "✕ 1 of 4 checks fails")
            self.assertIn("fail.svg", page.get_attribute("#icon", "href"))
            self.assertIn("switched to fail", page.inner_text("#shop\\/payments"))
            self.assertTrue(page.evaluate("window.same === document.getElementById('shop/newsletter')"))
            self.switch()
            self.look_again(page)
            page.wait_for_selector("main[data-state=pass]")
            self.assertEqual(page.title(), "✓ All 4 checks pass")
            self.assertIn("pass.svg", page.get_attribute("#icon", "href"))

    def test_nothing_that_the_reader_did_is_lost(self):
        with self.open("/status/stats/", viewport={"width": 800, "height": 300}) as page:
            fold = page.wait_for_selector("details:not([open]) > summary")  # on a busy machine the facts come late
            fold.click()
            fold.focus()
            page.evaluate("window.scrollTo(0, 250)")
            page.evaluate("window.opened = document.activeElement.parentNode")
            self.switch(stats_sales="fail")
            self.look_again(page)
            page.wait_for_function("() => document.body.innerText.includes('service')")
            self.assertTrue(page.evaluate("window.opened.open && window.opened.isConnected"))
            self.assertTrue(page.evaluate("document.activeElement === window.opened.firstChild"))
            self.assertEqual(page.evaluate("window.scrollY"), 250)

    def test_a_card_that_moves_keeps_the_focus(self):
        with self.open("/status/health/") as page:
            page.locator("#shop\\/newsletter .data a").focus()
            self.switch(shop_newsletter="null")
            self.look_again(page)
            page.wait_for_selector("main[data-state=warn]")
            self.assertEqual(page.evaluate("document.activeElement.closest('article').id"), "shop/newsletter")

    def test_unchanged_words_are_not_touched(self):
        """A screen reader reads out what changes in a live region."""
        with self.open("/status/") as page:
            page.evaluate(
                """const all = {subtree: true, childList: true, characterData: true}; window.changes = 0;
                new MutationObserver(seen => window.changes += seen.length)
                .observe(document.querySelector('[role=status]'), all)"""
            )
            self.look_again(page)
            self.assertEqual(page.evaluate("window.changes"), 0)

    def test_it_asks_by_itself(self):
        self.switch(shop_payments="hang")
        with self.open("/status/") as page:
            page.wait_for_selector("main[data-state=fail]", timeout=15_000)
            self.assertIn("timed out after 3 s", page.inner_text("main"))
            self.switch()
            page.wait_for_selector("main[data-state=pass]", timeout=15_000)

    def test_a_page_arrives_at_once_while_a_check_hangs(self):
        self.switch(shop_payments="hang")
        for address in PAGES:
            began = time.monotonic()
            with self.open(address):
                self.assertLess(time.monotonic() - began, 2.5)

    def test_a_server_that_is_gone_is_a_state_too(self):
        self.web = Web(self.web.application)
        self.web.start()
        self.addCleanup(self.web.stop)
        with self.open("/status/", expect_complaints=True) as page:
            self.web.stop()
            page.evaluate("window.dispatchEvent(new Event('online'))")
            page.wait_for_selector("body.is-lost #lost p:not([hidden])")
            self.assertEqual(page.title(), "? The server cannot be reached.")
            self.assertIn("lost.svg", page.get_attribute("#icon", "href"))
            self.assertIn("All 4 checks pass", page.inner_text("h1"))
            self.web.start()
            self.look_again(page)
            page.wait_for_selector("body:not(.is-lost)")
            self.assertEqual(page.title(), "✓ All 4 checks pass")
            self.assertFalse(page.is_visible("#lost p"))

    def test_an_error_page_of_a_proxy_is_no_answer(self):
        with self.open("/status/", expect_complaints=True) as page:
            page.route("**/status/", lambda route: route.fulfill(status=502, body="<h1>Bad Gateway</h1>"))
            page.evaluate("window.dispatchEvent(new Event('online'))")
            page.wait_for_selector("body.is-lost")
            self.assertIn("All 4 checks pass", page.inner_text("h1"))

    def test_it_pauses_on_demand(self):
        with self.open("/status/") as page:
            page.click("#pause")
            self.assertEqual(page.get_attribute("#pause", "aria-pressed"), "true")
            self.assertIn("Paused at", page.inner_text("#live"))
            asked = len(self.asked)
            page.evaluate("window.dispatchEvent(new Event('online'))")
            page.wait_for_timeout(200)
            self.assertEqual(len(self.asked), asked)
            with page.expect_response("**/status/"):
                page.click("#pause")
            self.assertIn("Updated", page.inner_text("#live"))

    def test_times_are_the_readers(self):
        stats = [("code", lambda: {"date": "2026-01-15T12:00:00+01:00", "naive": "2026-01-15T12:00:00"})]
        with override_settings(STATUS_PROVIDERS={**PROVIDERS, "stats": stats}):
            for zone, clock in (("Asia/Tokyo", "20:00:00 GMT+9"), ("America/New_York", "06:00:00 GMT-5")):
                with self.open("/status/stats/", timezone_id=zone) as page:
                    page.wait_for_selector("text=naive")  # on a busy machine the facts come late
                    self.assertRegex(page.inner_text("#updated"), rf"^\d\d:\d\d:\d\d {re.escape(clock.split()[1])}$")
                    self.assertIn(f"15 Jan 2026, {clock}", page.inner_text("main"))
                    self.assertIn("15 Jan 2026, 12:00:00 2026", page.inner_text("main"))
            with self.open("/status/stats/", timezone_id="Asia/Tokyo", java_script_enabled=False) as page:
                self.assertRegex(page.inner_text("#updated"), r"^\d\d:\d\d:\d\d CST$")

    def test_a_check_can_be_copied_for_a_ticket(self):
        self.switch(shop_payments="fail")
        with self.open("/status/health/?live=no#shop/ping", timezone_id="UTC") as page:
            page.wait_for_selector("#shop\\/payments.fail .since")  # on a busy machine the answer comes late
            page.click("#pause")
            seen = page.get_attribute("#updated", "datetime")
            button = page.locator("#shop\\/payments .copy")
            page.evaluate("document.body.appendChild(document.createElement('textarea')).className = 'pasted'")
            button.click()
            self.assertIn("Copied", button.inner_text())
            self.assertTrue(button.evaluate("one => one === document.activeElement"))
            page.locator(".pasted").press("Control+V")
            pasted = page.input_value(".pasted").splitlines()
        self.assertEqual(pasted[0], "payments fails")
        self.assertRegex(pasted[1], r"^Customers cannot pay. since \d\d:\d\d:\d\d UTC")
        self.assertEqual(pasted[2], "service fails switched to fail")
        self.assertEqual(pasted[3:], [f"{self.web.url}/status/health/#shop/payments", seen])

    def test_it_pauses_while_nobody_looks(self):
        with self.open("/status/") as page:
            page.clock.install()
            page.reload()
            page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
            page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
            asked = len(self.asked)
            page.clock.run_for(50_000)
            self.assertEqual(len(self.asked), asked)
            page.evaluate("Object.defineProperty(document, 'hidden', {value: false})")
            with page.expect_response("**/status/"):
                page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


@tag("browser")
class WithoutScriptTests(BrowserTestCase):
    def test_every_page_says_everything_and_refreshes_itself(self):
        self.switch(shop_payments="fail")
        for address in PAGES:
            with self.open(address, java_script_enabled=False) as page:
                self.assertGreater(len(page.inner_text("main")), 200)
                self.assertEqual(page.locator("meta[http-equiv=refresh]").count(), 1)
                self.assertFalse(page.is_visible("#pause"))
                self.assertFalse(page.is_visible(".copy"))
                page.click("noscript a[href='?live=no']")
                self.assertEqual(page.locator("meta[http-equiv=refresh]").count(), 0)
                page.click("noscript a[href='?']")
                self.assertEqual(page.locator("meta[http-equiv=refresh]").count(), 1)


@tag("browser")
class HostileTests(BrowserTestCase):
    def test_no_payload_runs_or_asks_another_host_even_without_a_policy(self):
        self.assertGreaterEqual(len(PAYLOADS), 60)
        shown = report(
            *[result(p, p, {p: False, "v": p}, reasons={p: p}) for p in PAYLOADS],
            *[result("health", p, error=p) for p in PAYLOADS],
            *[result("stats", p, {p: [p, {p: p}], "table": [{p: p, "b": p}] * 2}) for p in PAYLOADS],
            *[result("stats", f"long {p}", p * 30) for p in PAYLOADS],
        )
        slots = [Slot(1.7e9, 1.7e9, "fail", 0.1, 0.1)] * 3

        def application(environ: Any, start_response: Any) -> list[bytes]:
            kind = environ["PATH_INFO"].strip("/")
            if kind not in ("overview", "health", "stats"):
                start_response("404 Not Found", [])
                return [b""]
            page = Page(shown, kind, True, lambda *key: slots)
            context = {"page": page, "site": PAYLOADS[0], "sign": "!", "assets": "/a/", "formats": (), "live": True}
            start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
            return [
                built_in()
                .get_template(f"django_status/{kind}.html")
                .render(Context(context))
                .encode("utf-8", "replace")
            ]

        bare = Web(application)
        bare.start()
        self.addCleanup(bare.stop)
        with self.browser.new_context() as context:
            context.add_init_script("window.booms = 0; window.boom = () => { window.booms += 1 }")
            page = context.new_page()
            page.on("request", lambda request: self.asked.append(request.url))
            for kind in ("overview", "health", "stats"):
                page.goto(f"{bare.url}/{kind}")
                page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
                page.evaluate(
                    "document.querySelectorAll('*').forEach(one => one.dispatchEvent(new Event('mouseover')))"
                )
                self.assertEqual(page.evaluate("window.booms"), 0)
                self.assertEqual(
                    page.evaluate("document.querySelectorAll('img, iframe, object, form, base').length"), 0
                )
                self.assertIn(PAYLOADS[0], page.evaluate("document.body.textContent"))
        self.assertEqual({url.split("/")[2] for url in self.asked}, {bare.url.split("/")[2]})

    def test_hostile_values_stay_text_when_a_page_refreshes_itself(self):
        with self.open("/status/stats/") as page:
            page.evaluate("window.boom = () => { window.booms += 1 }; window.booms = 0")
            self.switch(stats_sales="fail")
            self.look_again(page)
            page.wait_for_function("() => document.body.innerText.includes('service')")
            self.assertEqual(page.evaluate("window.booms"), 0)

    def test_the_policy_is_the_strict_one(self):
        self.assertEqual(
            PAGE_POLICY,
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
            "form-action 'none'",
        )
        with self.open("/status/", expect_complaints=True) as page:
            page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=\"data:image/png,\" id=x>')")
            page.wait_for_function("() => document.getElementById('x').complete")
        self.assertTrue([text for text in self.complaints if "Content Security Policy" in text])


@tag("browser")
class EveryoneTests(BrowserTestCase):
    """What a machine can tell about WCAG 2.2 AA, and what it cannot."""

    def setUp(self) -> None:
        super().setUp()
        now = time.time()
        for resource, name in (("health", "ping"), ("health", "storage"), ("shop", "payments")):
            states = ["pass", "fail", "warn"] * (SLOTS // 3)
            history.slots[resource, name] = [
                Slot(now - 60 * n, now - 60 * n, state, 0.01, 0.01 * n)
                for n, state in zip(range(60, 0, -1), states, strict=True)
            ]

    def test_axe_finds_nothing_in_any_state_scheme_or_width(self):
        services.require_module("axe_playwright_python", "pip install axe-playwright-python")
        axe = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()
        # More values of the same few kinds teach it nothing new.
        few = {name: some()[name][:2] for name in ("workers", "tags")} | {"deep": {"a": {"b": [1, {"c": None}]}}}
        stats = [*PROVIDERS["stats"][:1], ("few", lambda: few), ("long", lambda: "x" * 5000)]
        changed = override_settings(STATUS_PROVIDERS={**PROVIDERS, "stats": stats})
        changed.enable()
        self.addCleanup(changed.disable)
        for turn, (name, modes) in enumerate(STATES.items()):
            self.switch(**{switch.replace(".", "_"): mode for switch, mode in modes.items()})
            for number, address in enumerate((*PAGES, "/status/?wall")):
                with self.open(address) as page:
                    page.evaluate(axe)
                    for scheme, width in LOOKS[(turn + number) % 2]:
                        page.emulate_media(color_scheme=scheme)
                        page.set_viewport_size({"width": width, "height": 800})
                        with self.subTest(state=name, address=address, scheme=scheme, width=width):
                            self.assertEqual(self.violations(page), [])

    def test_axe_finds_nothing_when_the_server_is_gone_or_the_page_is_refused(self):
        services.require_module("axe_playwright_python", "pip install axe-playwright-python")
        axe = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()
        with self.open("/status/", expect_complaints=True) as page:
            page.route("**/status/", lambda route: route.abort())
            page.evaluate("window.dispatchEvent(new Event('online'))")
            page.wait_for_selector("body.is-lost")
            page.evaluate(axe)
            self.assertEqual(self.violations(page), [])
        with override_settings(STATUS_PUBLIC=()), self.open("/status/", expect_complaints=True) as page:
            page.evaluate(axe)
            self.assertEqual(self.violations(page), [])

    def test_no_page_scrolls_sideways(self):
        """At 320 CSS pixels, which is also 1280 at a zoom of 400 %."""
        self.switch(shop_payments="fail", stats_sales="large")
        for address in (*PAGES, "/status/?wall", "/status/health/?wall"):
            with self.open(address) as page:
                page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
                for width in (320, 390, 768, 1280, 2560):
                    page.set_viewport_size({"width": width, "height": 800})
                    wide = page.evaluate("document.scrollingElement.scrollWidth")
                    self.assertLessEqual(wide, width, f"{address} at {width}")

    def test_every_check_in_every_state_fits_and_can_be_read(self):
        services.require_module("axe_playwright_python", "pip install axe-playwright-python")
        axe = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()
        for state in ("pass", "warn", "fail"):
            with (
                override_settings(STATUS_PROVIDERS=every_check.providers()),
                fake(every_check.answers(state)),
                self.open("/status/health/") as page,
            ):
                page.evaluate(axe)
                for scheme, width in (("light", 320), ("dark", 1280)):
                    page.emulate_media(color_scheme=scheme)
                    page.set_viewport_size({"width": width, "height": 800})
                    with self.subTest(state=state, scheme=scheme, width=width):
                        self.assertEqual(self.violations(page), [])
                        self.assertLessEqual(page.evaluate("document.scrollingElement.scrollWidth"), width)
                shown = page.inner_text("body")
                for answer in every_check.answers(state).values():
                    for words in (*answer.reasons.values(), *answer.warnings.values()):
                        self.assertIn(words, shown)

    def test_no_page_scrolls_sideways_from_right_to_left(self):
        folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        write_catalogue(folder, "he", {"the code of this language\x04en": "he"})
        with override_settings(LOCALE_PATHS=[folder]):
            for address in PAGES:
                with self.open(address, locale="he-IL", viewport={"width": 320, "height": 800}) as page:
                    self.assertEqual(page.get_attribute("html", "dir"), "rtl")
                    self.assertLessEqual(page.evaluate("document.scrollingElement.scrollWidth"), 320)

    def test_right_to_left_is_the_mirror_image(self):
        folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        pseudo = {text: "\u05d0" * len(text) for text in ("Overview", "fails", "since")}
        write_catalogue(folder, "he", {"the code of this language\x04en": "he", **pseudo})
        self.switch(shop_payments="fail")
        with override_settings(LOCALE_PATHS=[folder]), self.open("/status/health/", locale="he-IL") as page:
            card = page.locator("#shop\\/payments")
            places = {part: card.locator(part).first.bounding_box() for part in (".sign", "h3 a", ".impact", ".memory")}
            right = {part: box["x"] + box["width"] for part, box in places.items()}
            self.assertGreater(places[".sign"]["x"], right["h3 a"])
            self.assertEqual(right[".impact"], right["h3 a"])
            self.assertGreater(places[".impact"]["x"], right[".memory"])
            # An English sentence keeps its full stop at its end, and time goes from left to right.
            self.assertEqual(card.locator(".impact").evaluate("e => getComputedStyle(e).unicodeBidi"), "plaintext")
            self.assertEqual(card.locator(".memory").evaluate("e => getComputedStyle(e).direction"), "ltr")

    def test_the_keyboard_reaches_everything_and_focus_is_seen(self):
        with self.open("/status/health/") as page:
            page.keyboard.press("Tab")
            self.assertEqual(page.evaluate("document.activeElement.className"), "skip")
            page.keyboard.press("Enter")
            self.assertEqual(page.evaluate("document.activeElement.id"), "main")
            page.keyboard.press("Tab")
            self.assertEqual(page.evaluate("document.activeElement.id"), "pause")
            self.assertEqual(page.evaluate("getComputedStyle(document.activeElement).outlineStyle"), "solid")

    def test_targets_are_large_enough(self):
        """WCAG 2.2, 2.5.8: 24 by 24 CSS pixels, but for links in a sentence."""
        for address in PAGES:
            with self.open(address, viewport={"width": 320, "height": 800}) as page:
                small = page.evaluate(
                    """[...document.querySelectorAll('a:not(.skip), button, summary')].filter(one => {
                        const box = one.getBoundingClientRect(); return box.height && box.height < 24 })
                        .map(one => one.outerHTML.slice(0, 80))"""
                )
                self.assertEqual(small, [])

    def test_nothing_moves_for_those_who_asked_for_that(self):
        with self.open("/status/", reduced_motion="reduce") as page:
            self.assertEqual(page.evaluate("document.getAnimations().length"), 0)
        with self.open("/status/", reduced_motion="no-preference") as page:
            self.assertEqual(page.evaluate("document.getAnimations().length"), 1)

    def test_states_differ_without_any_colour(self):
        self.switch(shop_payments="fail", shop_newsletter="null")
        with self.open("/status/health/", forced_colors="active") as page:
            shapes = {
                page.get_attribute(f"{card} use", "href") for card in ("article.fail", "article.warn", "article.pass")
            }
            words = {page.inner_text(f"{card} h3 .word") for card in ("article.fail", "article.warn", "article.pass")}
            self.assertEqual((len(shapes), words), (3, {"fails", "warns", "passes"}))
            strokes = page.evaluate(
                "[...document.querySelectorAll('.strip path')].map(p => getComputedStyle(p).strokeWidth)"
            )
            self.assertEqual(set(strokes), {"10px", "14px", "18px", "1px"})

    def test_paper_shows_what_is_folded(self):
        with self.open("/status/stats/") as page:
            page.wait_for_selector("text=queue2", state="attached")  # as above
            self.assertNotIn("queue2", page.inner_text("main"))
            page.emulate_media(media="print")
            self.assertIn("queue2", page.inner_text("main"))
            self.assertFalse(page.is_visible("#pause"))

    def test_five_thousand_values_arrive_folded_and_readable(self):
        began = time.monotonic()
        with override_settings(STATUS_PROVIDERS={"stats": [("many", many)]}), self.open("/status/stats/") as page:
            self.assertLess(time.monotonic() - began, 5)
            page.wait_for_selector("text=queue49", state="attached")  # as above
            self.assertGreater(page.locator("dd, td, li").count(), 5000)
            self.assertFalse(page.is_visible("text=queue49"))
            page.click("summary:has-text('workers')")
            self.assertTrue(page.is_visible("td:has-text('w499')"))
            self.assertEqual(page.get_attribute(".scroll", "tabindex"), "0")


@tag("browser")
class FleetTests(BrowserTestCase):
    """The page of the fleet."""

    def setUp(self) -> None:
        super().setUp()
        changed = override_settings(STATUS_STORE="default")
        changed.enable()
        self.addCleanup(changed.disable)

    def show(self, name: str) -> None:
        fleet = fleets()[name]
        patch = mock.patch("status.fleet.fleet", lambda: fleet)
        patch.start()
        self.addCleanup(patch.stop)

    def test_axe_finds_nothing_in_any_scheme_or_width(self):
        services.require_module("axe_playwright_python", "pip install axe-playwright-python")
        axe = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()
        # Between them they have all that there is.
        for turn, name in enumerate(("several", "down", "large")):
            self.show(name)
            with self.open("/status/fleet/") as page:
                page.evaluate(axe)
                page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
                for scheme, width in LOOKS[turn % 2]:
                    page.emulate_media(color_scheme=scheme)
                    page.set_viewport_size({"width": width, "height": 800})
                    with self.subTest(state=name, scheme=scheme, width=width):
                        self.assertEqual(self.violations(page), [])

    def test_it_never_scrolls_sideways(self):
        for name in fleets():
            self.show(name)
            with self.open("/status/fleet/", viewport={"width": 320, "height": 800}) as page:
                self.assertLessEqual(page.evaluate("document.scrollingElement.scrollWidth"), 320, name)

    def test_it_turns_red_and_green_again_without_being_loaded_anew(self):
        self.show("good")
        with self.open("/status/fleet/") as page:
            page.evaluate("window.mine = 1")
            for name, verdict, rows in (("several", "1 of 8 processes fails", 3), ("good", "All processes", 0)):
                self.show(name)
                self.look_again(page)
                page.wait_for_selector(f"h1:has-text('{verdict}')")
                self.assertEqual(page.locator(".said .row").count(), rows)
            self.assertEqual(page.evaluate("window.mine"), 1)

    def test_it_says_everything_without_script(self):
        self.show("several")
        with self.open("/status/fleet/", java_script_enabled=False) as page:
            text = page.inner_text("main")
        for words in ("1 of 4 web processes cannot reach the database", "jobs-1:815", "2 commits are at work"):
            self.assertIn(words, text)

    def test_the_keyboard_reaches_tables_and_folds(self):
        self.show("large")
        with self.open("/status/fleet/") as page:
            page.focus(".members")
            page.keyboard.press("Tab")
            self.assertEqual(page.evaluate("document.activeElement.tagName"), "SUMMARY")
            page.keyboard.press("Enter")
            self.assertTrue(page.is_visible("text=web-7:1007"))


TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
