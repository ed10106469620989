"""Facts about the databases that Django is configured with."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from django.db import connections

from status.providers.base import Answer, Composite, Finding, Part
from status.providers.django import health

#: Returns the value to show, or raises ValueError for one that may hold a secret.
Rule = Callable[[Any], Any]


def _switch(value: Any) -> Any:
    """Let through True, False, None and numbers."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    raise ValueError


def _matching(pattern: str) -> Rule:
    """Return a rule that lets through text (a path, a number) of that pattern."""
    whole = re.compile(pattern)

    def rule(value: Any) -> str | None:
        if value is None or whole.fullmatch(str(value)):
            return value if value is None else str(value)
        raise ValueError

    return rule


def _each(rules: Mapping[str, Rule]) -> Rule:
    """Return a rule for a dict or a switch: of a dict, it lets through the named entries that pass their own rules."""
    return lambda value: allowed(value, rules) if isinstance(value, Mapping) else _switch(value)


def allowed(values: Mapping[str, Any], rules: Mapping[str, Rule]) -> dict[str, Any]:
    """Return what is known to be harmless: the entries that are named in ``rules`` and pass their rule."""
    shown = {}
    for name, rule in rules.items():
        with suppress(ValueError):
            if name in values:
                shown[name] = rule(values[name])
    return shown


_level = _matching("(?i:read uncommitted|read committed|repeatable read|serializable|snapshot)")
_path = _matching(r"(?!.*//)[\w.:/\\~+ -]{0,255}")

#: What anyone may see of a database's settings.
PUBLIC_SETTINGS: dict[str, Rule] = {
    "ENGINE": _matching(r"[A-Za-z_][\w.]{0,199}"),
    "ATOMIC_REQUESTS": _switch,
    "AUTOCOMMIT": _switch,
    "CONN_MAX_AGE": _switch,
    "CONN_HEALTH_CHECKS": _switch,
    "TIME_ZONE": _matching(r"[\w+/-]{1,64}"),
}

#: What callers with authority may see of ``OPTIONS``: switches, numbers and words that are part of a driver's language.
DRIVER_OPTIONS: dict[str, Rule] = {
    **dict.fromkeys(
        (
            "connect_timeout", "read_timeout", "write_timeout", "timeout", "tcp_user_timeout",
            "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count",
            "server_side_binding", "prepare_threshold", "threaded", "use_returning_into", "cached_statements",
        ),
        _switch,
    ),
    "isolation_level": lambda level: _level(level) if isinstance(level, str) else _switch(level),
    "transaction_mode": _matching("(?i:DEFERRED|IMMEDIATE|EXCLUSIVE)"),
    "sslmode": _matching("(?i:disable|allow|prefer|require|verify-ca|verify-full)"),
    "ssl_mode": _matching("(?i:DISABLED|PREFERRED|REQUIRED|VERIFY_CA|VERIFY_IDENTITY)"),
    "target_session_attrs": _matching("(?i:any|read-write|read-only|primary|standby|prefer-standby)"),
    "charset": _matching("(?i:utf8|utf8mb3|utf8mb4|latin1|ascii|binary)"),
    "client_encoding": _matching("(?i:utf8|utf-8|latin1)"),
    "pool": _each(
        dict.fromkeys(("min_size", "max_size", "timeout", "max_waiting", "max_lifetime", "max_idle"), _switch)
    ),
}  # fmt: skip

#: What callers with authority may see: names and paths, but no address with a login, no query, no list of parameters.
SETTINGS: dict[str, Rule] = {
    "ENGINE": PUBLIC_SETTINGS["ENGINE"],
    # Of SQLite's addresses only what comes before the query.
    "NAME": lambda name: _path(str(name).partition("?")[0] if str(name).startswith("file:") else name),
    "HOST": _matching(r"(?!.*//)[\w.:/,\[\]-]{0,255}"),
    "PORT": _matching(r"[0-9,]{0,64}"),
    **PUBLIC_SETTINGS,
    "OPTIONS": _each(DRIVER_OPTIONS),
}

#: What anyone may see of the whole answer.
PUBLIC_FACTS: dict[str, Rule] = {
    "vendor": _matching(r"\w{1,64}"),
    **dict.fromkeys(("is_usable", "allow_thread_sharing", "autocommit", "commit_on_exit", "in_atomic_block"), _switch),
    "settings": _each(PUBLIC_SETTINGS),
}


class DatabaseFacts(Composite):
    """Answer facts about each database, as Django connects to it: ``{alias: {"vendor": ..., "settings": {...}}}``.

    Whether it is usable is asked by ``health.databases``, with the same entry argument ``aliases``; who asks both at a
    time shares one run. Everything is shown by allow-list: ``PUBLIC_FACTS`` to anyone, ``SETTINGS`` to those with
    authority.
    """

    arguments = health.databases.arguments
    kinds = health.databases.kinds

    def load(self, *args: Any, **kwargs: Any) -> None:
        health.databases.load(*args, **kwargs)

    def takes(self) -> Callable[..., Any]:
        return health.databases.takes()

    def parts(self, *args: Any, **kwargs: Any) -> list[Part]:
        return health.databases.parts(*args, **kwargs)

    def compose(self, findings: Mapping[str, Finding]) -> Answer:
        return Answer(
            {alias: _facts_of(alias, finding.reason is None) for alias, finding in findings.items()},
            health.databases.compose(findings).reasons,
        )

    def public(self, value: Any) -> Any:
        return {alias: allowed(facts, PUBLIC_FACTS) for alias, facts in value.items() if isinstance(facts, dict)}


def _facts_of(alias: str, is_usable: bool) -> dict[str, Any]:
    """Return what Django would start a connection with. Opens none."""
    settings = connections.settings.get(alias, {})
    shown = allowed(settings, SETTINGS)
    try:
        connection = connections.create_connection(alias)
    except Exception:  # no such alias, or no such backend: the reason stands in the answer already
        return {"is_usable": is_usable, "settings": shown}
    return {
        "vendor": connection.vendor,
        "is_usable": is_usable,
        "allow_thread_sharing": connection.allow_thread_sharing,
        "autocommit": settings["AUTOCOMMIT"],
        "commit_on_exit": connection.commit_on_exit,
        "in_atomic_block": connection.in_atomic_block,
        "settings": shown,
    }


databases = DatabaseFacts()
