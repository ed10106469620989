"""Facts about the services that Django itself is configured with."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.db import connections

from status.providers.base import Answer, Composite, Finding, Part
from status.providers.django import health

Rule = Callable[[Any], Any]


def _switch(value: Any) -> Any:
    """True, False, None or a number; raises ValueError for anything else."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    raise ValueError


def _text(pattern: str) -> Rule:
    """A rule that lets through text (a path, a number) of that pattern, and raises ValueError for anything else."""
    whole = re.compile(pattern)

    def rule(value: Any) -> str | None:
        if value is None:
            return None
        text = str(value)
        if whole.fullmatch(text):
            return text
        raise ValueError

    return rule


def _name(value: Any) -> str | None:
    """A name or a path; of SQLite's addresses only what comes before the query."""
    text = str(value)
    shown: str | None = _NAME(text.partition("?")[0] if text.startswith("file:") else text)
    return shown


_NAME = _text(r"(?!.*//)[\w.:/\\~+ -]{0,255}")


def _one_of(*words: str) -> Rule:
    return _text("(?i:" + "|".join(map(re.escape, words)) + ")")


def _either(*rules: Rule) -> Rule:
    def rule(value: Any) -> Any:
        for one in rules[:-1]:
            try:
                return one(value)
            except ValueError:
                pass
        return rules[-1](value)

    return rule


def _part(rules: Mapping[str, Rule]) -> Rule:
    """A rule for a dict: the named entries that pass their own rules, and nothing else."""

    def rule(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise ValueError
        return allowed(value, rules)

    return rule


def allowed(values: Mapping[str, Any], rules: Mapping[str, Rule]) -> dict[str, Any]:
    """The entries of ``values`` that are named in ``rules`` and pass their rule: what is known to be harmless."""
    shown = {}
    for name, rule in rules.items():
        try:
            if name in values:
                shown[name] = rule(values[name])
        except ValueError:
            continue
    return shown


#: What anyone may see of a database's settings.
PUBLIC_SETTINGS: dict[str, Rule] = {
    "ENGINE": _text(r"[A-Za-z_][\w.]{0,199}"),
    "ATOMIC_REQUESTS": _switch,
    "AUTOCOMMIT": _switch,
    "CONN_MAX_AGE": _switch,
    "CONN_HEALTH_CHECKS": _switch,
    "TIME_ZONE": _text(r"[\w+/-]{1,64}"),
}

#: What callers with authority may see of ``OPTIONS``: switches, numbers and words that are part of a driver's language.
OPTIONS: dict[str, Rule] = {
    **dict.fromkeys(
        (
            "connect_timeout", "read_timeout", "write_timeout", "timeout", "tcp_user_timeout",
            "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count",
            "server_side_binding", "prepare_threshold", "threaded", "use_returning_into", "cached_statements",
        ),
        _switch,
    ),
    "isolation_level": _either(
        _switch, _one_of("read uncommitted", "read committed", "repeatable read", "serializable", "snapshot")
    ),
    "transaction_mode": _one_of("DEFERRED", "IMMEDIATE", "EXCLUSIVE"),
    "sslmode": _one_of("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "ssl_mode": _one_of("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"),
    "target_session_attrs": _one_of("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    "charset": _one_of("utf8", "utf8mb3", "utf8mb4", "latin1", "ascii", "binary"),
    "client_encoding": _one_of("utf8", "utf-8", "latin1"),
    "pool": _either(
        _switch,
        _part(dict.fromkeys(("min_size", "max_size", "timeout", "max_waiting", "max_lifetime", "max_idle"), _switch)),
    ),
}  # fmt: skip

#: What callers with authority may see: names and paths, but no address with a login, no query, no list of parameters.
SETTINGS: dict[str, Rule] = {
    "ENGINE": PUBLIC_SETTINGS["ENGINE"],
    "NAME": _name,
    "HOST": _text(r"(?!.*//)[\w.:/,\[\]-]{0,255}"),
    "PORT": _text(r"[0-9,]{0,64}"),
    **PUBLIC_SETTINGS,
    "OPTIONS": _part(OPTIONS),
}

FACTS = ("vendor", "is_usable", "allow_thread_sharing", "autocommit", "commit_on_exit", "in_atomic_block")
#: What anyone may see of the whole answer.
PUBLIC: dict[str, Rule] = {
    "vendor": _text(r"\w{1,64}"),
    **dict.fromkeys(FACTS[1:], _switch),
    "settings": _part(PUBLIC_SETTINGS),
}


class Databases(Composite):
    """Facts about each database, as Django connects to it: ``{alias: {"vendor": ..., "settings": {...}}}``.

    Whether it is usable is asked the way ``health.databases`` asks it, on the same connection. An entry's ``aliases``
    chooses, as there. Everything is shown by allow-list: see ``PUBLIC`` for anyone, ``SETTINGS`` for authority.
    """

    def parts(self, aliases: Iterable[str] | None = None) -> list[Part]:
        return health.databases.parts(aliases)

    def compose(self, findings: Mapping[str, Finding]) -> Answer:
        return Answer(
            {alias: _facts(alias, finding.reason is None) for alias, finding in findings.items()},
            health.databases.compose(findings).reasons,
        )

    def check(self, *args: Any, **kwargs: Any) -> Answer:
        parts = health.databases.check(*args, **kwargs)
        return self.compose({alias: Finding(reason=parts.reasons.get(alias)) for alias in parts.value})

    def public(self, value: Any) -> Any:
        return {alias: allowed(facts, PUBLIC) for alias, facts in value.items() if isinstance(facts, dict)}

    def close(self) -> None:
        health.databases.close()


def _facts(alias: str, is_usable: bool) -> dict[str, Any]:
    """What Django would start a connection with; asks nobody."""
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


databases = Databases()
