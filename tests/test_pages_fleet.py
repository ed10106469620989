"""The page of the fleet: what it says about processes, to whom, and what it does without the store."""

from __future__ import annotations

import re
import time
from typing import Any
from unittest import mock

from django.test import override_settings

from status.conf import PAGE_POLICY
from status.engine import engine
from status.fleet import Fleet
from status.history import history
from tests.base_settings import STATUS_MIDDLEWARE
from tests.members import NEW, OLD, failing, fleets, member, well
from tests.test_fleet import BROKEN, TOKEN, FleetTestCase, Held, backend
from tests.test_pages import Elements, text_of

ADDRESS = "/status/fleet/"


class FleetPageTestCase(FleetTestCase):
    def html(self, details: bool = True, **headers: str) -> str:
        if details:
            headers["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
        response = self.client.get(ADDRESS, **headers)
        self.assertEqual(response.status_code, 200)
        return str(response.content.decode())

    def text(self, details: bool = True, **headers: str) -> str:
        return text_of(self.html(details, **headers))

    def show(self, fleet: Fleet) -> None:
        """Have the page show a fleet made by hand."""
        self.start(mock.patch("status.fleet.fleet", lambda: fleet))

    def verdict(self, name: str) -> tuple[str | None, str, str]:
        """Return the page's state, verdict and what stands besides."""
        fleet = fleets()[name]
        with mock.patch("status.fleet.fleet", lambda: fleet):
            html = self.html()
        (main,) = (attributes for tag, attributes in Elements(html).tags if tag == "main")
        verdict = re.search(r'<h1 id="verdict">(.*?)</h1>', html)
        besides = re.search(r'<p class="besides">(.*?)</p>', html)
        assert verdict and besides
        return main["data-state"], verdict[1], besides[1]


class VerdictTests(FleetPageTestCase):
    def test_the_worst_state_counts_and_the_others_stand_besides(self):
        for name, expected in {
            "good": ("pass", "All processes that were asked pass", "6 pass, 2 not asked yet"),
            "failing": ("fail", "1 of 8 processes fails", "5 pass, 2 not asked yet"),
            "several": ("fail", "1 of 8 processes fails", "1 lost, 4 pass, 2 not asked yet"),
            "lost": ("warn", "2 of 8 processes are lost", "4 pass, 2 not asked yet"),
            "warning": ("warn", "1 of 8 processes warns", "5 pass, 2 not asked yet"),
            "drift": ("warn", "2 commits are at work", "6 pass, 2 not asked yet"),
            "down": ("warn", "Only this process can be seen", "1 passes"),
            "down-failing": ("fail", "Only this process can be seen", "1 fails"),
            "alone": ("pass", "This process passes", ""),
            "unknown": ("info", "No process has been asked yet", ""),
            "large": ("fail", "14 of 2060 processes fail", "2046 pass"),
        }.items():
            with self.subTest(name):
                self.assertEqual(self.verdict(name), expected)
        self.show(Fleet(()))
        self.assertIn("No process has been asked yet", self.text())


class SentenceTests(FleetPageTestCase):
    def test_a_check_that_fails_is_told_with_the_processes_and_reasons(self):
        self.show(
            Fleet((failing(1), failing(2), failing(3, "replica: timed out"), member(4), failing(5, role="worker")))
        )
        text = self.text()
        self.assertIn("3 of 4 web processes cannot reach the database", text)
        self.assertIn("web-1:1, web-1:2: default: OperationalError web-1:3: replica: timed out", text)
        self.assertIn("1 of 1 worker processes cannot reach the database", text)

    def test_checks_of_the_project_are_told_by_their_names(self):
        self.show(Fleet((failing(1, "closed", "shop/payments"), member(2))))
        self.assertIn("shop/payments fails in 1 of 2 web processes web-1:1: closed", self.text())

    def test_lost_processes_are_named_and_not_counted_as_at_work(self):
        gone = failing(1, seen=time.time() - 95.0, lost=True)
        self.show(Fleet((gone, member(2), member(3))))
        text = self.text()
        self.assertIn("1 process is lost web-1:1; last heard of 1 min 35 s ago", text)
        self.assertNotIn("cannot reach", text)

    def test_two_commits_at_work_are_told_with_their_members(self):
        self.show(fleets()["drift"])
        text = self.text()
        for words in (f"{OLD[:12]}: web-2:4711, web-2:4712", f"{NEW[:12]}: web-1:4711, web-1:4712, jobs-1:815"):
            self.assertIn(words, text)

    def test_many_are_named_in_part(self):
        self.show(Fleet(tuple(failing(pid) for pid in range(9))))
        self.assertIn("web-1:4 and 4 more: default: OperationalError", self.text())

    def test_nothing_is_said_where_all_is_well(self):
        self.show(Fleet(tuple(well())))
        self.assertNotIn('class="rows said"', self.html())


class MembersTests(FleetPageTestCase):
    def test_each_process_has_a_row_and_the_worst_come_first(self):
        self.show(fleets()["several"])
        html = self.html()
        rows = re.findall(r'<th scope="row">(\S+)', html)
        self.assertEqual(rows[:4], ["web-1:4711", "web-1:4712", "web-2:4711", "web-2:4712"])
        self.assertEqual(rows[4:6], ["jobs-1:815", "jobs-2:816"])
        text = text_of(html)
        self.assertIn(f"web-1:4711 fails health/databases: default: OperationalError {NEW[:12]} 2 h 4 min", text)
        self.assertIn(f"jobs-1:815 lost {NEW[:12]} 2 h 3 min 1 min 35 s ago", text)
        self.assertIn("worker 1 lost · 1 not asked yet", text)

    def test_answers_of_more_than_a_minute_ago_tell_their_age(self):
        for seconds, words in ((3, ""), (30, ""), (7530, " asked 2 h 5 min ago"), (3 * 86_400, " asked 3 d ago")):
            self.show(Fleet((failing(4711, asked=time.time() - seconds), member(4712, checks={}, asked=None))))
            with self.subTest(seconds=seconds):
                text = text_of(self.html())
                told = f"web-1:4711 fails{words} health/databases: default: OperationalError"
                self.assertIn(told, text)
                self.assertEqual(len(re.findall(r"asked \d", text)), bool(words))

    def test_two_thousand_are_counted_and_the_page_stays_small(self):
        self.show(fleets()["large"])
        html = self.html()
        self.assertLess(len(html), 100_000)
        self.assertEqual(html.count('<th scope="row">'), 60 + 19)
        for words in ("14 fail · 1986 pass", "40 more", "1940 more are in the JSON.", "41 more roles are in the JSON."):
            self.assertTrue(words in html, words)
        self.assertEqual(html.count('<p class="why"><span class="reason">health/databases'), 14)

    def test_roles_with_trouble_come_first_and_are_never_left_out(self):
        quiet = [member(pid, f"loop-{pid}") for pid in range(30)]
        self.show(Fleet((*quiet, failing(1, role="worker"))))
        roles = re.findall(r'<h2 id="role\.([^"]*)"', self.html())
        self.assertEqual((roles[0], len(roles)), ("worker", 20))

    def test_a_process_without_a_commit_has_none(self):
        self.show(Fleet((member(1, commit=None),)))
        self.assertNotIn("<code", self.html())

    def test_hostile_names_stay_text(self):
        hostile = "<script>alert(1)</script>"
        self.show(Fleet((failing(1, hostile, hostile, role=hostile, host=hostile, commit=hostile),)))
        html = self.html()
        self.assertNotIn(hostile, html)
        self.assertIn("&lt;script&gt;", html)

    def test_the_page_is_well_formed_and_has_nothing_inline(self):
        for name, fleet in fleets().items():
            with self.subTest(name), mock.patch("status.fleet.fleet", lambda fleet=fleet: fleet):
                elements = Elements(self.html())
                self.assertEqual(elements.open, [])
                ids = [attributes["id"] for _, attributes in elements.tags if "id" in attributes]
                self.assertEqual(len(ids), len(set(ids)))
                self.assertFalse([tag for tag, attributes in elements.tags if "style" in attributes])


class StoreTests(FleetPageTestCase):
    """The same through a store, by reports of processes."""

    def test_what_processes_report_is_shown(self):
        with override_settings(STATUS_PROVIDERS=BROKEN):
            self.client.get("/status/api/health")
            engine.close()
            self.other(role="worker", checks={"health/stock": "pass"}, failing={})
            text = self.text()
        self.assertIn("1 of 2 processes fails 1 passes", text)
        self.assertIn("health/stock fails in 1 of 1 web processes", text)
        self.assertIn("worker 1 passes", text)

    def test_a_process_that_is_silent_for_three_periods_is_lost(self):
        self.other(host="far")
        self.text()
        self.late = 31.0
        self.assertIn("1 of 2 processes is lost", self.text())

    def test_a_dead_store_costs_the_others_and_says_so(self):
        with backend("Dead"):
            text = self.text()
        self.assertIn("Only this process can be seen", text)
        self.assertIn("The other processes are unknown while the store cannot be read.", text)
        self.assertIn("STATUS_STORE &quot;default&quot; cannot be used (ConnectionError)", text)

    def test_a_store_that_hangs_is_waited_for_two_seconds(self):
        with backend("Held"):
            began = time.perf_counter()
            text = self.text()
            self.assertLess(time.perf_counter() - began, 3.0)
            Held.free.set()
        self.assertIn("did not answer within 2 s", text)

    @override_settings(STATUS_STORE=None)
    def test_without_a_store_a_process_shows_itself_and_how_to_see_more(self):
        text = self.text()
        self.assertIn("Each process shows itself alone, until STATUS_STORE names a shared cache.", text)
        self.assertIn("web", text)


class AccessTests(FleetPageTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(history.close)

    def test_strangers_see_how_many_there_are_by_role_and_state(self):
        self.show(fleets()["several"])
        html = self.html(details=False)
        self.assertIn("1 of 8 processes fails", html)
        self.assertIn("web 1 fails · 3 pass", text_of(html))
        for secret in ("4711", "web-1", "Operational", NEW[:12], "cannot reach", "commits"):
            self.assertNotIn(secret, html)

    def test_strangers_do_not_learn_that_two_commits_are_at_work(self):
        self.show(fleets()["drift"])
        self.assertIn("All processes that were asked pass", self.html(details=False))

    def test_a_wrong_token_is_told_beside_what_strangers_see(self):
        for address in (ADDRESS, "/status/api/fleet"):
            for method in ("GET", "HEAD", "OPTIONS"):
                for token, told in (("wrong", 'Bearer realm="status", error="invalid_token"'), (TOKEN, None)):
                    with self.subTest(address=address, method=method, token=token):
                        headers = {"HTTP_AUTHORIZATION": f"Bearer {token}"}
                        response = self.client.generic(method, address, **headers)
                        self.assertEqual((response.status_code, response.get("WWW-Authenticate")), (200, told))

    def test_who_may_ask_is_decided_by_its_name(self):
        with override_settings(STATUS_PUBLIC=("health",)):
            self.assertEqual(self.client.get(ADDRESS).status_code, 401)
            self.assertEqual(self.client.options(ADDRESS).status_code, 401)
            self.assertIn("not asked yet", self.text())
            self.assertNotIn("/status/fleet/", self.client.get("/status/").content.decode())

    def test_the_pages_link_to_it_where_there_is_a_store(self):
        for address in ("/status/", "/status/health/", "/status/stats/"):
            self.assertContains(self.client.get(address), '<a href="/status/fleet/">Fleet</a>')
            with override_settings(STATUS_STORE=None):
                self.assertNotContains(self.client.get(address), "/status/fleet/")
        self.assertContains(self.client.get("/status/fleet"), '<a href="/status/fleet/" aria-current="page">')

    def test_it_leads_to_the_same_data_in_other_formats(self):
        html = self.html()
        links = re.findall(r'<li><a href="(/status/api[^"]*)">', html)
        self.assertEqual(len(links), 3)
        for link in links:
            self.assertEqual(self.client.get(link).status_code, 200)
        self.assertEqual(self.client.options(ADDRESS).json(), {"api": "/status/api/fleet"})
        taken: dict[str, Any] = {"fleet": [("vans", dict)]}
        with override_settings(STATUS_PROVIDERS=taken):
            self.assertNotIn("/status/api", self.html())

    @override_settings(MIDDLEWARE=[STATUS_MIDDLEWARE], ALLOWED_HOSTS=["shop.example"])
    def test_the_middleware_knows_it(self):
        self.assertEqual(self.client_class().get(ADDRESS, HTTP_HOST="10.0.0.1").status_code, 200)

    def test_its_headers_are_those_of_the_other_pages(self):
        response = self.client.get(ADDRESS)
        self.assertEqual(response["Content-Security-Policy"], PAGE_POLICY)
        self.assertEqual(response["Cache-Control"], "no-store")
        self.assertEqual(self.client.head(ADDRESS).content, b"")
        self.assertEqual(self.client.post(ADDRESS).status_code, 405)

    def test_spanish(self):
        english = re.compile(r"\b(process(es)?|lost|asked|cannot|State|Heard|Runs|more|role|at work|Only|Each|Fleet)\b")
        for name, fleet in fleets().items():
            with self.subTest(name), mock.patch("status.fleet.fleet", lambda fleet=fleet: fleet):
                with override_settings(STATUS_STORE=None if name == "alone" else "default"):
                    text = self.text(HTTP_ACCEPT_LANGUAGE="es")
                self.assertIn("Proceso", text)
                text = text.partition("STATUS_STORE")[0]  # what is wrong with it is told in English
                self.assertIsNone(english.search(text), text)
