"""Alerts are told once by all processes that share a store, and none is lost."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest import mock

from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.management import call_command
from django.test import SimpleTestCase, override_settings, tag

from status import leases, logs, notifications, store
from status.entries import Check
from status.leases import MARK_PERIODS, Leases
from status.logs import logger
from status.notifications import Teller
from status.signals import status_changed
from status.store import encode, key_of
from tests import processes, services
from tests.components import eventually
from tests.fleets import Alerting
from tests.reports import result
from tests.tellers import flush, forget

BACKENDS = "django.core.cache.backends"
LOCMEM = {"default": {"BACKEND": f"{BACKENDS}.locmem.LocMemCache", "LOCATION": "leases"}}
REDIS = {"BACKEND": f"{BACKENDS}.redis.RedisCache"}


class Unwritable(LocMemCache):
    """Takes nothing and says nothing, as Memcached without room, or a database cache without the right to."""

    def add(self, *args: Any, **kwargs: Any) -> bool:
        return False


class Slow(LocMemCache):
    """Answers when it is released."""

    released = threading.Event()

    def get_many(self, *args: Any, **kwargs: Any) -> Any:
        self.released.wait(20)
        return super().get_many(*args, **kwargs)


@override_settings(CACHES=LOCMEM, STATUS_STORE="default")
class AgreementTests(SimpleTestCase):
    """Tellers of one process stand for processes: they share nothing but the store."""

    interval = 0.5

    def setUp(self) -> None:
        self.told: list[tuple[str, str | None, str]] = []
        self.tellers: list[Teller] = []
        Slow.released.clear()
        for context in (
            mock.patch.object(Teller, "interval", self.interval),
            mock.patch.object(store, "SETTLING", 0.0),
            mock.patch.object(logs, "_logged_at", {}),
        ):
            context.__enter__()
            self.addCleanup(context.__exit__, None, None, None)
        self.addCleanup(caches["default"].clear)
        self.addCleanup(self.settle)

    def teller(self, name: str) -> Teller:
        self.tellers.append(Teller("log", lambda old, seen: self.told.append((name, old, seen.state))))
        return self.tellers[-1]

    def see(self, teller: Teller, state: str, told: bool = True) -> None:
        """Have a process see a state, and wait until that is told, or known to be told."""
        seen = {"pass": result(), "fail": result(answer=False), "warn": result(answer=False, critical=False)}
        teller.see(seen[state])
        if told:
            self.assertTrue(flush(teller, 10))

    def settle(self) -> None:
        for teller in self.tellers:
            forget(teller)
            flush(teller, 10)

    def pass_a_period(self) -> None:
        time.sleep(self.interval)

    def test_what_one_told_is_no_news_for_another(self):
        a, b = self.teller("a"), self.teller("b")
        for state in ("fail", "pass"):
            self.see(a, state)
            self.see(b, state)
        self.assertEqual(self.told, [("a", None, "fail"), ("a", "fail", "pass")])

    def test_a_process_that_starts_in_an_outage_knows_that_it_is_told_and_may_tell_its_end(self):
        a, b = self.teller("a"), self.teller("b")
        self.see(a, "fail")
        self.see(b, "fail")
        self.see(b, "pass")
        self.assertEqual(self.told, [("a", None, "fail"), ("b", "fail", "pass")])

    def test_a_process_that_sees_no_failure_does_not_end_the_outage_of_another(self):
        a, b = self.teller("a"), self.teller("b")
        self.see(b, "pass")
        self.see(a, "fail")
        self.see(b, "warn")
        self.see(b, "pass")
        self.assertEqual(self.told, [("a", None, "fail")])

    def test_one_that_still_fails_when_another_recovered_tells_it_again(self):
        """What is told last is true."""
        a, b = self.teller("a"), self.teller("b")
        for teller in (a, b):
            self.see(teller, "fail")
        self.see(a, "pass")
        self.pass_a_period()
        self.see(b, "fail")
        self.see(b, "pass")
        self.assertEqual(
            self.told, [("a", None, "fail"), ("a", "fail", "pass"), ("b", "pass", "fail"), ("b", "fail", "pass")]
        )

    def test_the_worst_stands_however_long_others_only_warn(self):
        a, b = self.teller("a"), self.teller("b")
        for _ in range(4):
            self.see(a, "fail")
            self.see(b, "warn")
            self.pass_a_period()
        self.assertEqual(self.told, [("a", None, "fail")])
        self.see(a, "pass")
        self.see(b, "warn")
        self.assertEqual(self.told[1:], [("a", "fail", "pass"), ("b", "pass", "warn")])

    def test_an_outage_that_is_confirmed_stays_told(self):
        a, b = self.teller("a"), self.teller("b")
        for _ in range(5):
            self.see(a, "fail")
            self.pass_a_period()
        self.see(b, "fail")
        self.assertEqual(self.told, [("a", None, "fail")])

    def test_an_outage_whose_end_nobody_lived_to_see_does_not_hide_the_next(self):
        a, b = self.teller("a"), self.teller("b")
        self.see(a, "fail")
        time.sleep(self.interval * MARK_PERIODS)
        self.see(b, "fail")
        self.assertEqual(self.told, [("a", None, "fail"), ("b", None, "fail")])

    def test_one_that_dies_before_it_has_told_loses_nothing(self):
        a, b = self.teller("a"), self.teller("b")
        with mock.patch.object(Leases, "mark"), mock.patch.object(a, "tell"):
            self.see(a, "fail")
        began = time.monotonic()
        self.see(b, "fail")
        self.assertEqual(self.told, [("b", None, "fail")])
        self.assertGreater(time.monotonic() - began, self.interval / 2)

    def test_a_change_back_while_another_process_may_be_telling_is_none(self):
        a, b = self.teller("a"), self.teller("b")
        with mock.patch.object(Leases, "mark"), mock.patch.object(a, "tell"):
            self.see(a, "fail")
        self.see(b, "pass")
        self.see(b, "fail", told=False)
        self.see(b, "pass")
        self.assertEqual(self.told, [])

    def test_a_store_that_was_emptied_makes_nobody_tell_again(self):
        a, b = self.teller("a"), self.teller("b")
        for teller in (a, b):
            self.see(teller, "fail")
        caches["default"].clear()
        self.pass_a_period()
        for state in ("fail", "pass"):
            for teller in (a, b):
                self.see(teller, state)
        self.assertEqual(self.told, [("a", None, "fail"), ("a", "fail", "pass")])

    def test_what_is_garbled_forged_or_of_another_version_is_ignored(self):
        mark = key_of("told", "log", "health", "databases")
        for value in ("garbled", encode(mark, {"state": "fail"}), encode(mark, "worse")):
            with self.subTest(value=value):
                self.told.clear()
                caches["default"].clear()
                caches["default"].set(mark, value)
                with self.assertLogs("status") as caught:
                    logger.warning("start")
                    self.see(self.teller("a"), "fail")
                self.assertEqual(self.told, [("a", None, "fail")], caught.output)

    def test_with_a_store_that_keeps_nothing_each_tells_its_own(self):
        for backend, settings in (
            ("tests.test_leases.Unwritable", {}),
            (f"{BACKENDS}.dummy.DummyCache", {}),
            (f"{BACKENDS}.locmem.LocMemCache", {"SECRET_KEY": ""}),
        ):
            self.told.clear()
            logs._logged_at.clear()
            with self.subTest(backend=backend), override_settings(CACHES={"default": {"BACKEND": backend}}, **settings):
                with self.assertLogs("status", "WARNING") as caught:
                    for name in "ab":
                        teller = self.teller(name)
                        self.see(teller, "fail")
                        self.pass_a_period()
                        self.see(teller, "fail")
                        self.see(teller, "pass")
                self.assertEqual(
                    self.told, [(name, *change) for name in "ab" for change in ((None, "fail"), ("fail", "pass"))]
                )
                self.assertIn("each process tells its own alerts. (logged", caught.output[0])

    def test_what_was_told_without_the_store_is_known_once_it_is_back(self):
        a, b, c = (self.teller(name) for name in "abc")
        for teller in (a, b):
            for state in ("fail", "pass"):
                self.see(teller, state)
        with override_settings(STATUS_STORE="nowhere"), self.assertLogs("status", "WARNING"):
            for teller in (a, b):
                self.see(teller, "fail")
        for state in ("fail", "pass"):
            self.told.clear()
            self.pass_a_period()
            for teller in (a, b, c):
                self.see(teller, state)
            self.assertEqual(self.told, [("a", "fail", "pass")] if state == "pass" else [])

    def test_a_recovery_that_was_told_without_the_store_does_not_hide_the_next_outage(self):
        a, b = self.teller("a"), self.teller("b")
        for teller in (a, b):
            self.see(teller, "fail")
        with override_settings(STATUS_STORE="nowhere"), self.assertLogs("status", "WARNING"):
            for teller in (a, b):
                self.see(teller, "pass")
        self.told.clear()
        self.pass_a_period()
        for state in ("pass", "fail"):
            for teller in (a, b):
                self.see(teller, state)
        self.assertEqual(self.told, [("a", "pass", "fail")])

    def test_a_store_that_hangs_delays_an_alert_and_keeps_back_none(self):
        backend = {"default": {"BACKEND": "tests.test_leases.Slow"}}
        self.addCleanup(Slow.released.set)
        with override_settings(CACHES=backend), mock.patch.object(leases.calls, "timeout", 0.1):
            for name in ("a", "b"):
                began = time.monotonic()
                self.see(self.teller(name), "fail")
                self.assertLess(time.monotonic() - began, 2.0)
            self.assertEqual(self.told, [("a", None, "fail"), ("b", None, "fail")])
            Slow.released.set()
            self.assertTrue(eventually(lambda: not leases.calls._calls.get().running))

    def test_a_change_back_while_the_store_is_asked_is_none(self):
        self.addCleanup(Slow.released.set)
        with override_settings(CACHES={"default": {"BACKEND": "tests.test_leases.Slow"}}):
            a = self.teller("a")
            self.see(a, "fail", told=False)
            self.assertTrue(eventually(lambda: bool(leases.calls._calls.get().running)))
            self.see(a, "pass", told=False)
            Slow.released.set()
            self.assertTrue(flush(a, 10))
        self.assertEqual(self.told, [])

    @override_settings(STATUS_SYNCHRONOUS=True)
    def test_synchronous_projects_do_not_ask_the_store(self):
        with override_settings(STATUS_STORE="nowhere"), self.assertNoLogs("status"):
            self.see(self.teller("a"), "fail")
        self.assertEqual(self.told, [("a", None, "fail")])

    def test_a_process_without_a_receiver_leaves_the_signal_to_others(self):
        """It would take the lease, and tell nobody."""
        failing = result(answer=False)
        with mock.patch.object(status_changed, "receivers", []), self.assertLogs("status"):
            notifications.observe(Check("health", "databases", "status.providers.health.ping"), failing)
            for teller in notifications.tellers.get():
                self.addCleanup(forget, teller)
                self.assertTrue(flush(teller, 10))
        teller = Teller("signal", lambda old, seen: self.told.append(("b", old, seen.state)))
        self.tellers.append(teller)
        self.see(teller, "fail")
        self.assertEqual(self.told, [("b", None, "fail")])


class AlertingTestCase(SimpleTestCase):
    """Processes that see outages, and mail."""

    interval = 1.0

    def outage(self, alerting: Alerting) -> None:
        """Have all processes see an outage from its start to its end."""
        self.assertTrue(alerting.agree("pass"), alerting.outputs())
        alerting.switch(down=True)
        self.assertTrue(alerting.agree("fail"), alerting.outputs())
        alerting.switch(down=False)
        self.assertTrue(alerting.agree("pass"), alerting.outputs())

    def assertToldOnce(self, store: dict[str, Any], **options: Any) -> None:
        with Alerting(store, **options) as alerting:
            for _ in range(2):
                self.outage(alerting)
            self.assertEqual(alerting.mails(), ["fail", "pass"] * 2)


class ProcessesTests(AlertingTestCase):
    def test_an_outage_that_six_processes_see_is_one_mail_and_its_end_another(self):
        self.assertToldOnce(REDIS | {"LOCATION": services.redis().url})

    def test_without_a_store_each_of_them_mails(self):
        with Alerting(None, count=2) as alerting:
            self.outage(alerting)
            self.assertEqual(sorted(alerting.mails()), ["fail"] * 2 + ["pass"] * 2)


class KillingTestCase(SimpleTestCase):
    """Random processes are killed while they tell that outages begin and end, and replaced."""

    checks = tuple("abcdefghij")

    def kill_some(self, alerting: Alerting) -> None:
        for process in random.sample(alerting.processes, 3):
            time.sleep(random.uniform(0.0, 0.15))
            process.kill()
            process.start()

    def assertNoneLost(self, rounds: int) -> None:
        """Have each check fail so often. Prints how many mails there were too many."""
        surplus = 0
        with Alerting(REDIS | {"LOCATION": services.redis().url}, checks=self.checks) as alerting:
            self.assertTrue(alerting.agree("pass"), alerting.outputs())
            for _ in range(rounds):
                for state in ("fail", "pass"):
                    before = {name: len(alerting.mails(name)) for name in self.checks}
                    alerting.switch(down=state == "fail")
                    self.kill_some(alerting)
                    self.assertTrue(alerting.agree(state, 60), alerting.outputs())
                    for name in self.checks:
                        mails = alerting.mails(name)[before[name] :]
                        self.assertEqual(set(mails), {state}, name)
                        surplus += len(mails) - 1
        print(f"{rounds * len(self.checks)} outages, 6 processes, random kills: {surplus} mails too many")


@tag("fault")
class KilledTests(KillingTestCase):
    def test_no_outage_is_lost(self):
        self.assertNoneLost(rounds=2)


@tag("soak")
class ManyKilledTests(KillingTestCase):
    def test_of_two_hundred_outages_none_is_lost(self):
        self.assertNoneLost(rounds=20)


@tag("fault")
class StoresTests(AlertingTestCase):
    """The same with other stores, and with one that is gone."""

    def test_memcached(self):
        backend = f"{BACKENDS}.memcached.PyMemcacheCache"
        self.assertToldOnce({"BACKEND": backend, "LOCATION": services.memcached().location})

    def test_files(self):
        """Two processes may both win ``add()`` there."""
        folder = processes.directory()
        self.assertToldOnce({"BACKEND": f"{BACKENDS}.filebased.FileBasedCache", "LOCATION": str(folder)})

    def test_database(self):
        database = services.postgres().settings()
        with services.use_databases(self, alerts=database):
            cache = {"BACKEND": f"{BACKENDS}.db.DatabaseCache", "LOCATION": "alerts"}
            with override_settings(CACHES={"default": cache}):
                call_command("createcachetable", database="alerts", verbosity=0)
        self.assertToldOnce(cache, databases={"default": database})

    def test_redis_that_is_frozen_or_killed_and_comes_back(self):
        server = services.redis(private=True).start()
        self.addCleanup(server.stop)
        with Alerting(REDIS | {"LOCATION": server.url}, count=2) as alerting:
            self.outage(alerting)
            for gone in (server.frozen, partial(self.killed, server)):
                before = len(alerting.mails())
                with gone():
                    self.outage(alerting)
                mails = alerting.mails()[before:]
                self.assertEqual(sorted(mails), ["fail"] * 2 + ["pass"] * 2)
                time.sleep(2 * self.interval)  # within which they note in the store what they have told
                before = len(alerting.mails())
                self.outage(alerting)
                self.assertEqual(alerting.mails()[before:], ["fail", "pass"])

    @contextmanager
    def killed(self, server: services.Redis) -> Iterator[None]:
        server.kill()
        yield
        server.start()
