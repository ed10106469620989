"""``status.providers.django.health.replicas``: a primary and its standby, of PostgreSQL and of MariaDB."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any
from unittest import mock

from django.db import OperationalError
from django.test import tag

from status.engine import engine
from status.entries import Check
from status.providers.django.replicas import Lag, Look, ReplicaCheck, _mysql_lag
from tests import services
from tests.components import AliasTestCase, DatabasesTestCase, eventually, run

#: A standby that received more than it replayed, an hour after the last commit.
BEHIND = Look(True, True, Decimal(200), Decimal(100), 3600.0, False)


class ReplicasTestCase(AliasTestCase, DatabasesTestCase):
    kind = ReplicaCheck

    def reason(self, **kwargs: Any) -> str | None:
        """Why the replica fails."""
        result = run(self.check(**kwargs))
        self.assertEqual(result.answer["replica"], {"ok": False})
        return result.reasons.get("replica")


class ChoiceTests(ReplicasTestCase):
    def test_without_a_replica_it_says_how_to_name_one(self) -> None:
        error = run(self.check()).error
        self.assertIn('name them in the entry, for example {"aliases": ["replica"]}', error or "")

    def test_databases_that_are_mirrors_are_replicas_and_of_sqlite_there_are_none(self) -> None:
        self.use(replica=self.file(TEST={"MIRROR": "default"}))
        self.assertEqual(
            self.reason(), "the lag of SQLite cannot be measured, only that of PostgreSQL, MariaDB and MySQL"
        )
        self.assertEqual(self.reason(aliases="replica"), self.reason(aliases=["replica"]))

    def test_what_it_connects_with_is_imported_before_its_time_begins_with_thresholds_too(self) -> None:
        imported: list[str] = []
        self.use(replica=self.peculiar(pool=property(lambda wrapper: imported.append("pool"))))
        for args, kwargs in (("replica",), {"warn_lag": 5}), (("replica", 5), {}):
            Check("health", "replicas", self.provider, args, kwargs).load()
        self.assertEqual(imported, ["pool", "pool"])

    def test_a_wrong_argument_is_told(self) -> None:
        error = run(self.check(fail_lag="1 s")).error
        words = "The argument fail_lag of the entry should be a number of seconds, 0 or more, or None, not a str."
        self.assertEqual(error, words)


class PostgresTestCase(ReplicasTestCase):
    primary: services.Postgres
    standby: services.Postgres

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.primary = services.postgres(private=True)
        cls.primary.start()
        cls.addClassCleanup(cls.primary.stop)
        cls.primary.execute("CREATE TABLE numbers (n integer)")
        cls.standby = services.postgres_standby(cls.primary)
        cls.standby.start()
        cls.addClassCleanup(cls.standby.stop)

    def setUp(self) -> None:
        super().setUp()
        self.use(replica=self.standby.settings(), primary=self.primary.settings())
        self.assertTrue(eventually(lambda: self.lag() == {"ok": True, "lag": 0.0}))

    def lag(self, **kwargs: Any) -> Any:
        return run(self.check(aliases="replica", **kwargs)).answer["replica"]

    def commit(self) -> None:
        self.primary.execute("INSERT INTO numbers VALUES (1)")

    def replayed(self) -> str:
        return str(self.standby.execute("SELECT pg_last_wal_replay_lsn()::text")[0][0])


class PostgresTests(PostgresTestCase):
    def test_a_primary_is_no_replica(self) -> None:
        result = run(self.check(aliases=["replica", "primary"]))
        self.assertEqual(result.answer, {"replica": {"ok": True, "lag": 0.0}, "primary": {"ok": False}})
        self.assertEqual(result.reasons, {"primary": "is no replica: it accepts writes, as a primary does"})
        self.assertEqual(result.public_answer, {"replica": {"ok": True}, "primary": {"ok": False}})

    def test_a_replica_that_does_not_replay_lags_by_the_seconds_since_its_last_transaction(self) -> None:
        before = self.replayed()
        self.commit()
        self.assertTrue(eventually(lambda: self.replayed() != before))
        self.standby.execute("SELECT pg_wal_replay_pause()")
        try:
            self.commit()
            self.assertTrue(eventually(lambda: self.lag(warn_lag=0)["lag"] >= 1.2))
            result = run(self.check(aliases="replica", warn_lag=1))
            self.assertEqual((result.state, result.answer["replica"]["ok"]), ("warn", True))
            words = r"^\d\.\d s behind its primary; its replay is paused$"
            self.assertRegex(result.warnings["replica"], words)
            result = run(self.check(aliases="replica", warn_lag=0.5, fail_lag=1))
            self.assertEqual((result.state, result.answer["replica"]["ok"]), ("fail", False))
            self.assertRegex(result.reasons["replica"], words)
            self.assertEqual(result.warnings, {})
            self.assertIs(self.lag(warn_lag=None)["ok"], True)
        finally:
            self.standby.execute("SELECT pg_wal_replay_resume()")
        self.assertTrue(eventually(lambda: self.lag() == {"ok": True, "lag": 0.0}))

    def looks(self, *looks: Look) -> None:
        """Have the standby tell these, one after the other, and the last one ever after."""
        left = list(looks)
        look = mock.patch(
            "status.providers.django.replicas._look_at_standby",
            lambda connection: left.pop(0) if len(left) > 1 else left[0],
        )
        self.enter(look)

    def test_the_first_record_after_a_quiet_time_is_no_lag(self) -> None:
        """It looks like one for the moment until it is replayed."""
        self.looks(BEHIND, BEHIND._replace(replayed=BEHIND.received))
        self.assertEqual(self.lag(), {"ok": True, "lag": 0.0})

    def test_a_long_transaction_that_is_replayed_as_it_comes_is_no_lag_of_its_length(self) -> None:
        """Something is always still to be replayed, and the last commit is long ago."""
        self.looks(BEHIND, BEHIND._replace(received=Decimal(300), replayed=Decimal(200)))
        with mock.patch("status.providers.django.replicas.PAUSE", 0.2):
            result = run(self.check(aliases="replica"))
        self.assertEqual(result.state, "pass")
        self.assertTrue(0.2 <= result.answer["replica"]["lag"] < 5)

    def test_a_lag_of_weeks_is_written_out_and_a_clock_ahead_is_no_lag(self) -> None:
        for told, lag, warnings in (
            (1_209_600.0, 1_209_600.0, {"replica": "1,209,600 s behind its primary"}),
            (-3.0, 0.0, {}),
        ):
            self.looks(BEHIND._replace(since_last=told))
            result = run(self.check(aliases="replica"))
            self.assertEqual((result.answer["replica"]["lag"], result.warnings), (lag, warnings))


@tag("fault")
class PostgresFaultTests(PostgresTestCase):
    def checkpoint_at_the_last_record(self) -> None:
        """Have the standby replay nothing when it is started again."""
        self.commit()
        self.primary.execute("CHECKPOINT")
        caught_up = "SELECT pg_current_wal_lsn()::text"
        self.assertTrue(eventually(lambda: self.replayed() == self.primary.execute(caught_up)[0][0]))
        self.standby.execute("CHECKPOINT")

    def test_without_its_primary_it_warns_and_after_a_restart_it_does_not_know(self) -> None:
        self.checkpoint_at_the_last_record()
        self.primary.stop()
        try:
            self.assertTrue(eventually(lambda: run(self.check(aliases="replica")).state == "warn"))
            words = r"s behind its primary; it is not connected to its primary$"
            self.assertRegex(run(self.check(aliases="replica")).warnings["replica"], words)
            self.standby.stop()
            self.standby.start()
            self.assertRegex(
                self.reason(aliases="replica") or "",
                "^the lag is not known: it replayed nothing since it started; it is not connected to its primary$",
            )
        finally:
            self.primary.start()
        self.assertTrue(eventually(lambda: self.lag() == {"ok": True, "lag": 0.0}, 15.0))

    def test_a_replica_that_restarts_while_its_primary_is_idle_is_up_to_date(self) -> None:
        self.checkpoint_at_the_last_record()
        self.standby.stop()
        self.standby.start()
        receives = "SELECT 1 FROM pg_stat_wal_receiver WHERE status = 'streaming'"
        self.assertTrue(eventually(lambda: bool(self.standby.execute(receives)), 15.0))
        self.assertEqual(self.lag(), {"ok": True, "lag": 0.0})

    def test_a_frozen_replica_is_timed_out_and_recovers(self) -> None:
        check = self.check(timeout=1.0, aliases=["replica", "primary"])
        with self.standby.frozen():
            before = time.monotonic()
            result = run(check)
            self.assertLess(time.monotonic() - before, 1.5)
            self.assertRegex(result.reasons["replica"], "^timed out after 1 s")
            self.assertIn("is no replica", result.reasons["primary"])
        self.assertTrue(eventually(lambda: run(check).answer["replica"]["ok"]))
        self.assertTrue(eventually(lambda: not engine.busy))


@tag("fault")
class LostMariaDBTests(ReplicasTestCase):
    def test_a_connection_that_is_lost_is_no_matter_of_rights(self) -> None:
        connection = mock.Mock()
        connection.cursor.side_effect = OperationalError(2013, "Lost connection")
        with self.assertRaises(OperationalError):
            _mysql_lag(connection)


class WritableMariaDBTests(ReplicasTestCase):
    def test_read_only_is_told_by_a_number_or_a_word(self) -> None:
        """MariaDB from 12 on says a word."""
        connection = mock.MagicMock(mysql_is_mariadb=True)
        cursor = connection.cursor.return_value.__enter__.return_value
        cursor.description = [("Seconds_Behind_Master",)]
        cursor.fetchall.return_value = [(0,)]
        off = "it accepts writes: read_only is off"
        for told, trouble in ((0, off), ("OFF", off), (1, ""), ("ON", ""), ("NO_LOCK", ""), ("NO_LOCK_NO_ADMIN", "")):
            with self.subTest(told):
                cursor.fetchone.return_value = (told,)
                self.assertEqual(_mysql_lag(connection), Lag(0.0, trouble))


class MariaDBTests(ReplicasTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.primary, self.replica = (services.mariadb(private=True, server_id=number) for number in (1, 2))
        for server in (self.primary, self.replica):
            server.start()
            self.addCleanup(server.stop)
        # Late: skipped where it is missing.
        import pymysql

        self.enter(mock.patch.multiple(pymysql, version_info=(2, 2, 7, "final", 0), __version__="2.2.7"))
        self.pymysql = pymysql

    def execute(self, server: Any, *statements: str) -> None:
        client = self.pymysql.connect(host=server.host, port=server.port, user="root", autocommit=True)
        with client:
            for statement in statements:
                client.cursor().execute(statement)

    def test_a_replica_follows_stops_and_follows_again(self) -> None:
        self.execute(
            self.primary,
            "CREATE USER copy@localhost IDENTIFIED BY 'x'",
            "GRANT REPLICATION SLAVE ON *.* TO copy@localhost",
            "CREATE USER guest@127.0.0.1", "CREATE USER guest@localhost",
        )  # fmt: skip
        self.use(replica=self.replica.settings(NAME=""), guest=self.replica.settings(NAME="", USER="guest"))
        self.assertEqual(self.reason(aliases="replica"), "is no replica: it follows no primary")
        self.execute(
            self.replica,
            f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={self.primary.port}, MASTER_USER='copy', "
            "MASTER_PASSWORD='x', MASTER_USE_GTID=slave_pos",
            "START SLAVE",
        )
        self.assertTrue(eventually(lambda: run(self.check(aliases="replica")).answer["replica"]["ok"], 10.0))
        result = run(self.check(aliases="replica"))
        self.assertEqual((result.answer, result.state), ({"replica": {"ok": True, "lag": 0.0}}, "warn"))
        self.assertEqual(result.warnings, {"replica": "0 s behind its primary; it accepts writes: read_only is off"})
        self.assertTrue(eventually(lambda: "REPLICA MONITOR" in str(run(self.check(aliases="guest")).reasons), 10.0))
        self.execute(self.replica, "SET GLOBAL read_only = 1", "STOP SLAVE SQL_THREAD")
        words = "the replication does not run: receiving Yes, replaying No"
        self.assertEqual(self.reason(aliases="replica"), words)
        self.execute(self.replica, "START SLAVE SQL_THREAD")
        self.assertTrue(eventually(lambda: run(self.check(aliases="replica")).state == "pass", 10.0))
        with mock.patch("django.db.backends.mysql.base.DatabaseWrapper.cursor", side_effect=OperationalError(2013)):
            self.assertEqual(self.reason(aliases="replica"), "OperationalError")
