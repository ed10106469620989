"""The check of how far replicas lag behind their primary, measured on the replica."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from decimal import Decimal
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

from django.db import DatabaseError, connections

from status.providers.base import Answer, Part, Unavailable, verdicts
from status.providers.django.databases import DatabaseCheck
from status.providers.kinds import NAMES, SECONDS

#: What is told of a PostgreSQL standby. All that it received is replayed where one position has reached the other; an
#: idle primary commits nothing, so that the time of the last commit alone would grow. A receiver that starts tells the
#: start of a segment, which is replayed long since. Without a receiver nothing arrives.
#: https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-RECOVERY-CONTROL
STANDBY = """
SELECT pg_is_in_recovery(), EXISTS (SELECT 1 FROM pg_stat_wal_receiver WHERE pid IS NOT NULL),
    pg_last_wal_receive_lsn() - '0/0'::pg_lsn, pg_last_wal_replay_lsn() - '0/0'::pg_lsn,
    EXTRACT(EPOCH FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float,
    CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() END
"""
#: Seconds between two looks at a standby that seems to lag.
PAUSE = 0.1
#: MariaDB and MySQL, for lack of the right to see their replication.
ACCESS_DENIED = 1227


class Lag(NamedTuple):
    """How far a replica is behind.

    seconds: None where it cannot tell.
    trouble: a safe sentence about the replication, empty where it works.
    """

    seconds: float | None
    trouble: str = ""


class ReplicaCheck(DatabaseCheck):
    """Answer ``{alias: {"ok": bool, "lag": seconds}}`` for each replica: whether it follows its primary closely.

    Entry arguments: ``aliases``, by default the databases that are a ``MIRROR`` in ``DATABASES[...]["TEST"]``;
    ``warn_lag`` and ``fail_lag``, seconds above which a lag is a warning or a failure.

    The replica is asked and the primary is not. A database that is no replica fails. Nothing is written.
    """

    label = "replicas"
    unanswered: ClassVar[Any] = {"ok": False}
    arguments = None
    metrics = MappingProxyType({"lag": "gauge"})
    kinds = MappingProxyType({"aliases": NAMES, "warn_lag": SECONDS, "fail_lag": SECONDS})

    def configured(self) -> Collection[str]:
        aliases = [alias for alias, entry in connections.settings.items() if entry["TEST"]["MIRROR"]]
        if not aliases:
            raise Unavailable(
                'No database is a replica: name them in the entry, for example {"aliases": ["replica"]}, '
                'or set DATABASES["replica"]["TEST"]["MIRROR"].'
            )
        return aliases

    def parts(
        self, aliases: Iterable[str] | str | None = None, warn_lag: float | None = 10, fail_lag: float | None = None
    ) -> list[Part]:
        return [self.part(alias, warn_lag=warn_lag, fail_lag=fail_lag) for alias in self.aliases(aliases)]

    def ask_alias(self, alias: str, **options: Any) -> Any:
        lag: Lag = super().ask_alias(alias)
        if lag.seconds is None:
            raise Unavailable(lag.trouble)
        seconds = round(max(0.0, lag.seconds), 1)  # the clock of the primary may be ahead
        behind = f"{seconds:,.1f}".removesuffix(".0")
        said = "; ".join(filter(None, (f"{behind} s behind its primary", lag.trouble)))
        warn, fail = (limit is not None and seconds > limit for limit in (options["warn_lag"], options["fail_lag"]))
        return Answer(
            {"ok": not fail, "lag": seconds},
            {alias: said} if fail else {},
            {alias: said} if not fail and (warn or lag.trouble) else {},
        )

    def public(self, value: Any) -> Any:
        return verdicts(value)

    def question(self, connection: Any) -> Lag:
        """Return how far the database is behind. Raises ``Unavailable`` where it is no replica, or does not tell."""
        super().question(connection)
        if connection.vendor == "postgresql":
            return _standby_lag(connection)
        if connection.vendor == "mysql":
            return _mysql_lag(connection)
        raise Unavailable(
            f"the lag of {connection.display_name} cannot be measured, only that of PostgreSQL, MariaDB and MySQL"
        )


class Look(NamedTuple):
    """What a standby tells of itself.

    received, replayed: how far it is in what its primary writes, in bytes; None where nothing is known.
    since_last: seconds since the last transaction that it replayed was committed; None where it replayed none.
    """

    in_recovery: bool
    receives: bool
    received: Decimal | None
    replayed: Decimal | None
    since_last: float | None
    is_paused: bool | None

    def reached(self, position: Decimal | None) -> bool:
        """Return whether it follows its primary, and has replayed all up to ``position``."""
        if not self.receives or position is None or self.replayed is None:
            return False
        return self.replayed >= position

    @property
    def trouble(self) -> str:
        """What is wrong with the replication, as a safe sentence; empty where nothing is."""
        if self.is_paused:
            return "its replay is paused"
        return "" if self.receives else "it is not connected to its primary"


def _standby_lag(connection: Any) -> Lag:
    began = time.monotonic()
    first = last = _look_at_standby(connection)
    if first.reached(first.received):
        return Lag(0.0)
    if first.since_last is None or first.since_last >= 1:
        # After a quiet hour the last commit is an hour old, also while one long transaction is replayed as it comes.
        time.sleep(PAUSE)
        last = _look_at_standby(connection)
        if last.reached(last.received):
            return Lag(0.0)
        if last.reached(first.received):
            return Lag(time.monotonic() - began, last.trouble)
    if last.since_last is None:
        unknown = "the lag is not known: it replayed nothing since it started"
        return Lag(None, "; ".join(filter(None, (unknown, last.trouble))))
    return Lag(last.since_last, last.trouble)


def _look_at_standby(connection: Any) -> Look:
    with connection.cursor() as cursor:
        cursor.execute(STANDBY)
        look = Look(*cursor.fetchone())
    if not look.in_recovery:
        raise Unavailable("is no replica: it accepts writes, as a primary does")
    return look


def _mysql_lag(connection: Any) -> Lag:
    """Ask MariaDB or MySQL, which may follow several primaries: the worst counts."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SHOW {'ALL SLAVES' if connection.mysql_is_mariadb else 'REPLICA'} STATUS")
            names = [column[0].replace("Master", "Source").replace("Slave", "Replica") for column in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
            cursor.execute("SELECT @@global.read_only")
            is_read_only = cursor.fetchone()[0] not in (0, "OFF")  # newer versions of MariaDB tell a word
    except DatabaseError as error:
        if error.args[:1] == (ACCESS_DENIED,):
            right = "REPLICA MONITOR" if connection.mysql_is_mariadb else "REPLICATION CLIENT"
            raise Unavailable(f"the user may not see the replication: GRANT {right} ON *.*") from error
        raise
    if not rows:
        raise Unavailable("is no replica: it follows no primary")
    for row in rows:
        if row["Seconds_Behind_Source"] is None:
            threads = f"receiving {row['Replica_IO_Running']}, replaying {row['Replica_SQL_Running']}"
            raise Unavailable(f"the replication does not run: {threads}")
    seconds = max(float(row["Seconds_Behind_Source"]) for row in rows)
    return Lag(seconds, "" if is_read_only else "it accepts writes: read_only is off")
