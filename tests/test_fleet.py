"""The fleet: what processes report, who is seen, lost and forgotten, and what becomes of it without the store."""

from __future__ import annotations

import json
import threading
import time
from typing import Any
from unittest import mock

from celery import signals
from django.apps import apps
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.management import CommandError, call_command
from django.test import LiveServerTestCase, SimpleTestCase, override_settings
from django.urls import include, path, reverse

from status import fleet, logs, loops, touch
from status.cli.output import fleet_text
from status.engine import engine
from status.fleet import CLOCKS_DIFFER, SERVE, SHARD_KEYS, Reporter, member_key, reporters, shard_of
from status.providers import Answer, Unavailable
from status.store import Store, encode
from tests import services
from tests.base_settings import MIDDLEWARE, STATUS_MIDDLEWARE
from tests.commandline import ask, bare, command
from tests.components import Held, eventually, run_script
from tests.test_schemas import validate

LOCMEM = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "fleet"}
TOKEN = "tT0k3nThatIsLongEnough-and-random-9x7"
STORE = Store("STATUS_STORE", "default")
ADDRESS = "/status/api/fleet"
OLD, NEW = "0" * 40, "1" * 40


def fails() -> None:
    raise Unavailable("closed")


SETTINGS: dict[str, Any] = {
    "CACHES": {"default": LOCMEM},
    "STATUS_STORE": "default",
    "STATUS_PROVIDERS": {"health": [("ping", "status.providers.health.ping")], "stats": [("n", dict)]},
    "STATUS_TOKENS": [TOKEN],
    "PROJECT_PATH": "/",  # no checkout
    "ROOT_URLCONF": __name__,
}
BROKEN = {"health": [("ping", "status.providers.health.ping"), ("stock", fails)]}
urlpatterns = [path("status/", include("status.urls"))]
CLASSIC_MOUNT = (path("status/api/", include("status.api.urls")),)


def backend(name: str) -> Any:
    return override_settings(CACHES={"default": {**LOCMEM, "BACKEND": f"{Held.__module__}.{name}"}})


@override_settings(**SETTINGS)
class FleetTestCase(SimpleTestCase):
    """A clock that the test moves, a log that says everything anew, and an empty store."""

    def setUp(self) -> None:
        self.late = 0.0
        for name in ("time", "monotonic"):
            self.start(mock.patch.object(time, name, self.clock(getattr(time, name))))
        self.start(mock.patch.object(engine, "observers", [fleet.observe]))
        self.addCleanup(engine.close)
        self.addCleanup(caches["default"].clear)
        self.start(mock.patch.dict(logs._logged_at, clear=True))
        self.start(mock.patch.object(Reporter, "look_every", 0.0))
        self.addCleanup(self.forget)
        self.forget()
        Held.free.clear()

    def clock(self, real: Any) -> Any:
        return lambda: real() + self.late

    def start(self, patch: Any) -> Any:
        self.addCleanup(patch.stop)
        return patch.start()

    def forget(self) -> None:
        """End the reports of this process."""
        Held.free.set()
        for reporter in reporters._values.values():
            reporter.end()
            for one in reporter.left_behind:
                one.exception(5)
        reporters._values.clear()

    def get(self, address: str = ADDRESS, details: bool = True, **query: str) -> Any:
        headers = {"HTTP_AUTHORIZATION": f"Bearer {TOKEN}"} if details else {}
        response = self.client.get(address, query, **headers)
        self.assertEqual(response.status_code, 200)
        return response

    def document(self, details: bool = True) -> Any:
        document = self.get(details=details).json()
        validate("fleet", document)
        return document

    def other(self, role: str = "web", commit: str | None = OLD, **facts: Any) -> Reporter:
        """Have another process report itself, as it were."""
        other = Reporter()
        other.role, other._commit = role, commit
        member = other.member()._replace(**{"host": "other", "pid": len(fleet.fleet().members), **facts})
        other.member = lambda: member._replace(seen=time.time())  # type: ignore[method-assign]
        other.report(STORE)
        return other


class ViewTests(FleetTestCase):
    def test_without_a_store_the_process_is_alone(self):
        with override_settings(STATUS_STORE=None):
            self.get("/status/api/health")
            document = self.document()
        (member,) = document["members"]
        self.assertEqual((member["role"], member["state"], member["failing"]), ("web", "pass", {}))
        self.assertEqual(document["checks"], {"health/ping": {"pass": 1}})
        self.assertNotIn("error", document)
        self.assertEqual(document["warnings"], [])

    def test_a_process_that_nobody_asked_is_not_healthy(self):
        document = self.document()
        self.assertEqual(document["roles"], {"web": {"unknown": 1}})
        self.assertNotIn("asked", document["members"][0])

    def test_strangers_see_numbers(self):
        self.other("worker")
        with override_settings(STATUS_PROVIDERS=BROKEN):
            self.get("/status/api/health", code="200")
            self.assertEqual(self.document(False), {"roles": {"web": {"fail": 1}, "worker": {"unknown": 1}}})

    def test_it_obeys_who_may_ask(self):
        for public, status in (((), 401), (("health",), 401), (("fleet",), 200)):
            with self.subTest(public), override_settings(STATUS_PUBLIC=public):
                self.assertEqual(self.client.get(ADDRESS).status_code, status)
                self.assertIn("members", self.document())

    def test_each_way_to_ask(self):
        for middleware in (MIDDLEWARE, [STATUS_MIDDLEWARE, *MIDDLEWARE]):
            with override_settings(MIDDLEWARE=middleware):
                for address in (ADDRESS, f"{ADDRESS}/", reverse("status:api_fleet")):
                    self.assertEqual(self.get(address).json()["roles"], {"web": {"unknown": 1}})
                head = self.client.head(ADDRESS)
                self.assertEqual((head.status_code, head.content), (200, b""))
                options = self.client.options(ADDRESS)
                self.assertEqual((options.json(), options["Allow"]), ({}, "GET, HEAD, OPTIONS"))
                self.assertEqual(self.client.post(ADDRESS).status_code, 405)
                many = "&".join(f"a{number}" for number in range(1_001))
                self.assertEqual(self.client.get(f"{ADDRESS}?{many}").status_code, 400)

    def test_a_resource_of_that_name_wins(self):
        with override_settings(STATUS_PROVIDERS={"fleet": [("ships", lambda: {"a": True})]}):
            self.assertEqual(self.get().json(), {"ships": {"a": True}})
            addresses = self.client.options(ADDRESS).json()
            self.assertEqual(addresses, {"ships": f"http://testserver{ADDRESS}/ships"})

    def test_members_commits_and_what_is_not_well(self):
        failing = {"health/stock": "closed"}
        for number, commit in enumerate((OLD, OLD, OLD, NEW)):
            failed = {"checks": {"health/stock": "fail"}, "failing": failing} if number == 3 else {}
            self.other(commit=commit, **{"checks": {"health/stock": "pass"}, **failed})
        self.other("beat", commit=None)
        document = self.document()
        self.assertEqual(document["commits"], {OLD: 3, NEW: 1})
        self.assertEqual(document["checks"], {"health/stock": {"pass": 3, "fail": 1}})
        self.assertEqual(document["roles"], {"beat": {"unknown": 1}, "web": {"unknown": 1, "pass": 3, "fail": 1}})
        self.assertEqual(
            document["warnings"],
            [
                "health/stock fails in 1 of 5 web processes (other:3): closed",
                "2 commits at work: 000000000000 on other:0, other:1, other:2; 111111111111 on other:3",
            ],
        )
        self.assertEqual([member["role"] for member in document["members"]], ["beat", *["web"] * 5])

    def test_long_lists_are_cut(self):
        for _ in range(7):
            self.other(failing={"health/stock": "closed"}, checks={"health/stock": "fail"})
        (warning,) = self.document()["warnings"]
        names = ", ".join(f"other:{number}" for number in range(5))
        self.assertEqual(warning, f"health/stock fails in 7 of 8 web processes ({names}, and 2 more): closed")

    def test_metrics(self):
        self.other("worker", checks={"health/stock": "fail"})
        text = self.get(format="prometheus").content.decode()
        self.assertIn('django_status_fleet_members{role="worker",state="fail"} 1\n', text)
        self.assertIn('django_status_fleet_members{role="worker",state="lost"} 0\n', text)
        self.assertIn(f'django_status_fleet_commit_members{{commit="{OLD}"}} 1\n', text)
        self.assertIn('django_status_fleet_check_members{resource="health",check="stock",state="fail"} 1\n', text)
        self.assertIn("\ndjango_status_fleet_complete 1\n", text)
        public = self.get(details=False, format="openmetrics")
        self.assertTrue(public.content.endswith(b"# EOF\n"))
        self.assertIn(b"django_status_fleet_members", public.content)
        self.assertNotIn(b"commit", public.content)
        accepted = self.client.get(ADDRESS, HTTP_ACCEPT="application/openmetrics-text; version=1.0.0")
        self.assertEqual(accepted["Content-Type"], public["Content-Type"])

    def test_formats_that_it_does_not_have(self):
        for name in ("text", "health+json", "nope"):
            response = self.client.get(ADDRESS, {"format": name})
            self.assertEqual(response.status_code, 406)
            self.assertEqual(response.json()["formats"], ["json", "openmetrics", "prometheus"])
        self.assertEqual(self.client.get(ADDRESS, HTTP_ACCEPT="text/plain")["Content-Type"], "application/json")


class CommandTests(FleetTestCase, LiveServerTestCase):
    def test_it_shows_the_members_and_what_is_not_well(self):
        self.other(commit=OLD, started=0)
        self.other("worker", commit=NEW, checks={"health/stock": "fail"}, failing={"health/stock": "closed"})
        asked = ask("fleet")
        rows = [line.split("  ") for line in asked.out.splitlines()]
        self.assertEqual(asked.code, 0)
        self.assertEqual([field.strip() for field in rows[0] if field], ["role", "process", "state", "commit", "heard"])
        self.assertRegex(asked.out, r"\nweb +other:0 +unknown +000000000000 +20\d\d-.*Z\n")
        self.assertIn("\nwarning: health/stock fails in 1 of 1 worker process (other:1): closed\n", asked.out)
        self.assertIn("\nwarning: 2 commits at work: ", asked.out)
        document = json.loads(ask("fleet", "-f", "json").out)
        validate("fleet", document)
        self.assertEqual(len(document["members"]), 2)  # a command is none

    def test_quiet_prints_what_is_not_well_alone(self):
        self.other()
        self.assertEqual(ask("fleet", "-q"), (0, "", ""))
        self.other(commit=NEW)
        self.assertIn("2 commits", ask("fleet", "-q").out)

    def test_a_server_is_asked(self):
        self.other("worker")
        url = f"{self.live_server_url}/status/"
        self.assertRegex(ask("fleet", "--url", url, "--token", TOKEN).out, r"\nworker +other:0 +unknown")
        strangers = ask("fleet", "--url", url)
        self.assertRegex(strangers.out, r"^role +state +processes\nweb +unknown +1\nworker +unknown +1\n$")
        with backend("Dead"):
            out = ask("fleet", "--url", url, "--token", TOKEN).out
        self.assertRegex(out, r'\nweb .*\nerror: STATUS_STORE "default" cannot be used \(ConnectionError\)\n$')
        with override_settings(ROOT_URLCONF=CLASSIC_MOUNT):
            self.assertEqual(ask("fleet", "--url", url).out, strangers.out)
        with override_settings(STATUS_PUBLIC=()):
            self.assertEqual(ask("fleet", "--url", url).code, 2)
        with override_settings(STATUS_PROVIDERS={"fleet": [("ships", dict)]}):
            self.assertEqual(ask("fleet", "--url", url).code, 2)

    def test_answers_of_any_server_are_shown(self):
        garbled = {"members": [3, {"host": "a\nb"}], "roles": {"a": 3, "b": {"c": [1]}}, "warnings": 3}
        self.assertIn("a_b:None", fleet_text(garbled))
        self.assertRegex(fleet_text({**garbled, "members": {}}), r"b +c +\[1\]\n$")
        self.assertEqual(fleet_text({"roles": 1}), "role  state  processes\n")

    def test_what_cannot_be_asked(self):
        for words, reason in (
            (("fleet", "web"), "fleet takes no name"),
            (("fleet", "-e"), "--error-on-fail does not go with fleet"),
        ):
            asked = ask(*words)
            self.assertEqual(asked.code, 2)
            self.assertIn(reason, asked.err)
        with self.assertRaisesMessage(CommandError, "fleet prints human or json"):
            call_command("status", "fleet", format="yaml")
        with override_settings(STATUS_STORE=None):
            asked = ask("fleet")
        self.assertEqual(asked.code, 2)
        self.assertIn("STATUS_STORE is not set", asked.err)
        with backend("Dead"):
            asked = ask("fleet")
        self.assertEqual(asked.code, 1)
        self.assertIn("cannot be used (ConnectionError)", asked.err)
        self.assertIn("needs the settings of a Django project", command("fleet", env=bare()).err)


class LostTests(FleetTestCase):
    def states(self) -> list[str]:
        return sorted(member["state"] for member in self.document()["members"] if member["host"] != "mine")

    def test_lost_after_three_periods_and_back(self):
        host = fleet.socket.gethostname()
        other = self.other(host=host)
        self.late = 29
        self.assertEqual(self.states(), ["unknown", "unknown"])
        self.late = 31
        document = self.document()
        self.assertEqual(document["roles"], {"web": {"unknown": 1, "lost": 1}})
        self.assertRegex(document["warnings"][0], r"^1 lost, last heard 31(\.\d)? s ago: ")
        self.assertEqual(document["commits"], {})
        other.report(STORE)
        self.assertEqual(self.states(), ["unknown", "unknown"])

    def test_forgotten_after_a_day(self):
        self.other()
        self.late = 24 * 3600 - 10
        self.assertEqual(self.states(), ["lost", "unknown"])
        self.late = 24 * 3600 + 10
        self.assertEqual(self.states(), ["unknown"])

    def test_goodbye_adds_up_what_was_counted_though_others_end_as_well(self):
        with mock.patch("status.counters.add_up", side_effect=[False, False, True]) as add_up:
            Reporter().say_goodbye(STORE)
        self.assertEqual(add_up.call_count, 3)
        with (
            mock.patch("status.counters.add_up", return_value=False),
            mock.patch.object(Reporter, "goodbye_seconds", 0),
        ):
            Reporter().say_goodbye(STORE)

    def test_goodbye_is_no_loss(self):
        other = self.other()
        self.assertEqual(len(self.document()["members"]), 2)
        other.say_goodbye(STORE)
        self.assertEqual(len(self.document()["members"]), 1)
        self.assertEqual(STORE.read([shard_of(other.id)]), {shard_of(other.id): {}})
        self.assertEqual(STORE.read([member_key(other.id)]), {})
        other.say_goodbye(STORE)

    def test_clocks_may_differ_by_a_minute_and_by_more_once_it_is_looked_at(self):
        other = self.other()
        for skew in (-CLOCKS_DIFFER, CLOCKS_DIFFER, 2 * 3600):
            with self.subTest(skew):
                member = other.member()
                other.member = lambda skew=skew, member=member: member._replace(seen=time.time() + skew)
                other.report(STORE)
                for late, states in ((5, ["unknown", "unknown"]), (26, ["lost", "unknown"])):
                    self.assertEqual(self.states()[1], "unknown")
                    self.late += late
                    self.assertEqual(self.states(), states)


class StoreTests(FleetTestCase):
    def test_garbled_and_forged_values_are_ignored(self):
        good, forged, other_shape, no_record = self.other(), self.other(), self.other(), self.other()
        cache = caches["default"]
        cache.set(member_key(forged.id), encode(member_key(good.id), {"host": "x"}))
        cache.delete(member_key(no_record.id))
        text, seen, asked = good.member().told()  # type: ignore[misc, union-attr]
        facts = json.loads(text)  # type: ignore[arg-type]
        wrong: list[Any] = [
            [],
            3,
            {},
            {**facts, "seen": seen, "asked": asked},
            [facts, seen, asked],
            [text, -1, asked],
            [text, float("nan"), asked],
            [text, seen, "x"],
            [text, seen],
            ["{", seen, asked],
            ["[]", seen, asked],
            *(
                [json.dumps({**facts, **other}), seen, asked]
                for other in (
                    {"pid": "1"},
                    {"period": None},
                    {"host": ""},
                    {"commit": 3},
                    {"checks": []},
                    {"failing": {"a": 1}},
                )
            ),
        ]
        for value in wrong:
            with self.subTest(value), self.assertLogs("status", "WARNING") as caught:
                logs._logged_at.clear()
                STORE.write({member_key(other_shape.id): value})
                self.assertEqual(len(self.document()["members"]), 2)
                self.assertIn("values that are not from this app and SECRET_KEY", caught.output[0])
        of_another_version = json.dumps({**facts, "colour": "green"})
        STORE.write({member_key(other_shape.id): [of_another_version, seen, asked]})
        noting = list(map(shard_of, (good.id, other_shape.id)))
        for shard, garbage in zip(SHARD_KEYS, ([], {"x": "y"}, {"3": 4}, "text"), strict=False):
            if shard not in noting:
                STORE.write({shard: garbage})  # type: ignore[dict-item]
        cache.set(next(shard for shard in SHARD_KEYS if shard not in noting), "garbled")
        self.assertEqual(len(self.document()["members"]), 3)

    def test_who_was_lost_from_the_index_notes_itself_again(self):
        others = [self.other() for _ in range(20)]
        STORE.write({shard: {} for shard in SHARD_KEYS})
        self.assertEqual(len(self.document()["members"]), 1)
        for other in others:
            other.report(STORE)
        self.assertEqual(len(self.document()["members"]), 21)
        caches["default"].clear()
        for other in others:
            other.report(STORE)
        self.assertEqual(len(self.document()["members"]), 21)

    def test_the_index_is_written_once_an_hour_and_forgets(self):
        other = self.other()
        key = shard_of(other.id)
        noted = STORE.read([key])[key]
        many = {f"{number:016x}": time.time() - 3600 - number for number in range(2_500)}
        STORE.write({key: {**noted, **many, "f" * 16: 1.0}})
        other.report(STORE)
        self.assertEqual(len(STORE.read([key])[key]), 2_502)
        self.late = 3700
        other.report(STORE)
        kept = STORE.read([key])[key]
        self.assertEqual(len(kept), 2_000)
        self.assertIn(other.id, kept)

    def test_a_view_asks_once_and_once_more_for_new_members(self):
        get_many = LocMemCache.get_many
        for members in (2, 3):
            self.other()
            for questions in (2, 1):
                with mock.patch.object(LocMemCache, "get_many", autospec=True, side_effect=get_many) as asked:
                    self.assertEqual(len(self.document()["members"]), members)
                self.assertEqual(asked.call_count, questions)

    def test_a_store_that_keeps_nothing_is_told_in_the_log(self):
        """Django's database cache says nothing where it cannot write."""
        other = self.other()
        caches["default"].clear()
        with self.assertNoLogs("status"):  # emptied once, that is none
            other.report(STORE)
            other.report(STORE)
        with mock.patch.object(LocMemCache, "set"), self.assertLogs("status", "WARNING") as caught:
            other.report(STORE)
            other.report(STORE)
            other.report(STORE)
        self.assertIn('STATUS_STORE "default" does not keep what this process reports', caught.output[0])
        self.assertEqual(len(caught.output), 1)

    def test_a_dead_store_costs_the_view_of_the_others_and_comes_back(self):
        self.other()
        self.assertEqual(len(self.document()["members"]), 2)
        with backend("Dead"):
            for details in (True, False):
                document = self.document(details)
                self.assertEqual(document["error"], 'STATUS_STORE "default" cannot be used (ConnectionError)')
                self.assertEqual(document["roles"], {"web": {"unknown": 1}})
            self.assertIn(b"django_status_fleet_complete 0", self.get(format="prometheus").content)
        self.assertEqual(len(self.document()["members"]), 2)

    def test_a_store_that_hangs_is_waited_for_a_moment(self):
        with backend("Held"), mock.patch.object(fleet.views, "timeout", 0.1):
            self.assertEqual(self.document()["error"], 'STATUS_STORE "default" did not answer within 0.1 s')
            Held.free.set()
            self.assertTrue(eventually(lambda: "error" not in self.document()))

    def test_who_asks_all_the_time_gets_the_same_for_a_second(self):
        self.start(mock.patch.object(Reporter, "look_every", 1.0))
        self.assertEqual(len(self.document()["members"]), 1)
        self.other()
        self.get("/status/api/health", code="200")
        self.assertEqual(self.document()["roles"], {"web": {"pass": 1}})  # its own view is that of the moment
        self.late = 1.5
        self.assertEqual(len(self.document()["members"]), 2)

    def test_synchronous(self):
        self.other()
        with override_settings(STATUS_SYNCHRONOUS=True), mock.patch.object(fleet.views, "call") as call:
            self.assertEqual(len(self.document()["members"]), 2)
        call.assert_not_called()


class ReporterTests(FleetTestCase):
    """The thread of this process, which there is not under Django's test runner."""

    def setUp(self) -> None:
        super().setUp()
        self.start(mock.patch.object(fleet, "is_testing", lambda: False))
        self.start(mock.patch.multiple(Reporter, period=0.05))

    def threads(self) -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name == "status-fleet"]

    def reported(self) -> dict[str, Any]:
        return fleet.look(STORE).members

    def test_it_begins_with_the_first_question_and_says_goodbye(self):
        self.assertEqual(self.threads(), [])
        self.get("/status/api/health/ping", details=False)
        self.get("/status/api/health/ping", details=False)
        self.assertEqual(len(self.threads()), 1)
        self.assertTrue(eventually(self.reported))
        (member,) = self.reported().values()
        self.assertTrue(eventually(lambda: self.reported()[reporters.get().id].seen > member.seen))
        reporters.get().end()
        self.assertEqual((self.threads(), self.reported()), ([], {}))

    def test_a_member_with_much_to_tell_is_not_lost(self):
        """What is kept of a member fits into a value of the store, in any script."""

        def fail() -> None:
            raise Unavailable("\N{CYRILLIC SMALL LETTER ZHE}" * 500)

        for name in ("check", "\N{CJK UNIFIED IDEOGRAPH-6545}" * 20):
            with override_settings(STATUS_PROVIDERS={"health": [(f"{name}{number}", fail) for number in range(400)]}):
                self.assertEqual(self.client.get("/status/api/health").status_code, 503)
                named = f"health/{name}0"
                self.assertTrue(eventually(lambda: [one for one in self.reported().values() if named in one.failing]))  # noqa: B023

    def test_a_fork_leaves_the_goodbye_to_its_parent(self):
        code = """
            from status.fleet import Reporter, join
            Reporter.goodbye_seconds = 3600  # a child would wait for a thread that it does not have
            join("web")
            child = os.fork()
            if not child:
                sys.exit()
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
        done = run_script(code, services.directory())
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "0\n", ""))

    def test_none_where_nothing_is_to_be_reported(self):
        for settings in ({"STATUS_STORE": None}, {"STATUS_SYNCHRONOUS": True}):
            with override_settings(**settings):
                self.get("/status/api/health")
                self.assertEqual(self.threads(), [])
        with mock.patch.object(fleet, "is_testing", lambda: True):
            self.get("/status/api/health")
        self.assertEqual(self.threads(), [])

    def test_no_thread_can_be_had(self):
        with mock.patch.object(fleet, "start_call", side_effect=RuntimeError):
            self.get("/status/api/health")
        self.assertEqual(self.threads(), [])
        self.get("/status/api/health")
        self.assertTrue(eventually(self.reported))
        reporter = reporters.get()
        with mock.patch.object(fleet, "start_call", side_effect=RuntimeError):
            reporter.report_or_leave_behind()

    def test_the_store_may_be_unset_meanwhile(self):
        self.get("/status/api/health")
        with override_settings(STATUS_STORE=None):
            reporters.get().end()
        self.assertEqual(self.threads(), [])

    def test_states_are_those_of_the_last_answers(self):
        shown = {"n": 3}
        providers = {
            "health": [
                ("stock", lambda: Answer({"a": True, "b": shown["n"] > 2}, {"b": "few"})),
                ("paper", lambda: Answer({"a": 1}, warnings={"a": "few"})),
                ("soft", fails, None, None, {"critical": False}),
            ],
            "stats": [("numbers", lambda: {"a": False})],
        }
        with override_settings(STATUS_PROVIDERS=providers):
            self.get("/status/api/live")
            self.assertEqual(reporters.get().member().state, "unknown")
            self.get("/status/api")
            member = reporters.get().member()
            checks = {"health/stock": "pass", "health/paper": "warn", "health/soft": "warn"}
            self.assertEqual((member.checks, member.state), (checks, "warn"))
            shown["n"] = 1
            self.client.get("/status/api/health")
            member = reporters.get().member()
            self.assertEqual((member.state, member.failing), ("fail", {"health/stock": "b: few"}))
        self.assertEqual(reporters.get().member().checks, {})

    def test_a_dead_store_is_told_in_the_log_once(self):
        with backend("Dead"), self.assertLogs("status", "WARNING") as caught:
            self.get("/status/api/health")
            self.assertTrue(eventually(lambda: bool(caught.output)))
        self.assertIn('STATUS_STORE "default" cannot be used (ConnectionError)', caught.output[0])
        self.assertTrue(eventually(self.reported))

    def test_a_report_that_hangs_is_left_behind(self):
        self.start(mock.patch.multiple(Reporter, hangs_after=0.01, replace_after=0.02))
        with backend("Held"), self.assertLogs("status", "WARNING") as caught:
            self.get("/status/api/health")
            reporter = reporters.get()
            self.assertTrue(eventually(lambda: len(reporter.left_behind) == Reporter.limit))
            self.assertIn('STATUS_STORE "default" does not answer', caught.output[0])
            self.assertTrue(reporter.hangs)
            Held.free.set()
            self.assertTrue(eventually(lambda: not reporter.hangs))
        self.assertTrue(eventually(self.reported))

    def test_a_process_ends_at_once_while_the_store_hangs(self):
        self.start(mock.patch.multiple(Reporter, hangs_after=0.01, replace_after=30.0, goodbye_seconds=30.0))
        with backend("Held"), self.assertLogs("status", "WARNING"):
            self.get("/status/api/health")
            self.assertTrue(eventually(lambda: reporters.get().hangs))
            began = time.monotonic()
            reporters.get().end()
            self.assertLess(time.monotonic() - began, 5)

    def test_a_store_that_dies_before_the_goodbye(self):
        self.get("/status/api/health")
        self.assertTrue(eventually(self.reported))
        with backend("Dead"), self.assertLogs("status", "WARNING"):
            logs._logged_at.clear()
            self.assertTrue(eventually(lambda: bool(logs._logged_at)))
            reporters.get().end()
        self.assertEqual(self.threads(), [])


class RoleTests(FleetTestCase):
    def role(self) -> str | None:
        return reporters.get().role

    def setUp(self) -> None:
        super().setUp()
        self.start(mock.patch.object(loops, "observers", [fleet.join]))
        self.addCleanup(touch, "orders", None)

    def test_a_loop_gives_its_name(self):
        fleet.join(SERVE)
        self.get("/status/api/health")
        self.assertEqual(self.role(), "serve")
        touch("orders")
        self.get("/status/api/health")
        self.assertEqual(self.role(), "orders")

    def test_a_web_process_stays_one(self):
        self.get("/status/api/health")
        touch("orders")
        self.assertEqual(self.role(), "web")

    @override_settings(STATUS_STORE=None)
    def test_so_does_one_without_a_store(self):
        self.get("/status/api/live")
        touch("orders")
        self.assertEqual(self.role(), "web")

    def test_celery_processes_join_by_their_signals(self):
        """tests/test_fleet_faults.py has real ones."""
        listening = (signals.worker_init, signals.worker_ready, signals.beat_init, signals.beat_embedded_init)
        for signal in listening:
            self.addCleanup(signal.disconnect, dispatch_uid="status")
        apps.get_app_config("status").ready()
        touch("orders")
        signals.worker_init.send(self)
        self.assertEqual(self.role(), "orders")
        signals.worker_ready.send(self)
        self.assertEqual(self.role(), "worker")
        signals.beat_embedded_init.send(self)
        self.get("/status/api/health")
        self.assertEqual(self.role(), "worker")
        self.forget()
        signals.beat_init.send(self)
        self.assertEqual(self.role(), "beat")
