"""Each check of ``docs/checks.rst`` in each state, as it answers, for looking at it in pages without its services."""

from __future__ import annotations

from typing import Any

from status.providers import Answer

GB = 2**30
HEALTH = "status.providers.django.health"

#: Check -> its provider, the component, what is told of it when all is well, and what it warns of or fails with.
#: A state that a check does not have is None, and it is well then.
CHECKS: dict[str, tuple[str, str, Any, tuple[Any, str] | None, tuple[Any, str] | None]] = {
    "services/migrations": (
        f"{HEALTH}.migrations",
        "default",
        True,
        (True, "never migrated, and no entry names it"),
        (False, "2 unapplied: shop.0007_order_number, shop.0008_index"),
    ),
    "services/storages": (f"{HEALTH}.storages", "default", True, None, (False, "Permission denied (PermissionError)")),
    "services/mail": (
        f"{HEALTH}.mail",
        "default",
        True,
        (True, "django.core.mail.backends.console.EmailBackend opens no connection: nothing was asked"),
        (False, "refused the connection (ConnectionRefusedError)"),
    ),
    "services/replicas": (
        f"{HEALTH}.replicas",
        "replica",
        {"ok": True, "lag": 0.0},
        ({"ok": True, "lag": 14.2}, "14.2 s behind, more than 10 s"),
        ({"ok": False, "lag": 631.0}, "631 s behind, more than 300 s"),
    ),
    "services/tasks": (
        f"{HEALTH}.tasks",
        "default",
        True,
        (True, "django.tasks.backends.immediate.ImmediateBackend keeps no results: nothing was asked"),
        (False, "OperationalError"),
    ),
    "services/system_checks": (
        f"{HEALTH}.system_checks",
        "project",
        {"ok": True, "errors": 0, "warnings": 0},
        ({"ok": True, "errors": 0, "warnings": 2}, "security.W004, security.W008"),
        ({"ok": False, "errors": 1, "warnings": 2}, "caches.E001"),
    ),
    "services/workers": (
        "status.providers.celery.health.workers",
        "celery@web-*",
        {"ok": True, "answered": 3},
        None,
        ({"ok": False, "answered": 1}, "1 of at least 2: no answer within 2 s"),
    ),
    "services/queues": (
        "status.providers.celery.health.queues",
        "celery",
        {"ok": True, "messages": 12, "consumers": 2},
        ({"ok": True, "messages": 4711, "consumers": 2}, "4,711 messages wait, more than 1,000"),
        ({"ok": False, "messages": 4711, "consumers": 0}, "0 consumers, fewer than 1"),
    ),
    "host/disk": (
        "status.providers.host.disk",
        "/srv/uploads",
        {"ok": True, "free_bytes": 77 * GB, "free_percent": 75.7, "total_bytes": 252 * GB},
        (
            {"ok": True, "free_bytes": 9 * GB, "free_percent": 3.6, "total_bytes": 252 * GB},
            "3.6 % free, less than 10 %",
        ),
        (
            {"ok": False, "free_bytes": GB // 5, "free_percent": 0.1, "total_bytes": 252 * GB},
            "204.8 MiB free, less than 476.8 MiB",
        ),
    ),
    "host/memory": (
        "status.providers.host.memory",
        "container",
        {"ok": True, "available_bytes": GB // 4, "available_percent": 25.0, "total_bytes": GB},
        (
            {"ok": True, "available_bytes": GB // 20, "available_percent": 5.0, "total_bytes": GB},
            "5 % available, less than 10 %",
        ),
        (
            {"ok": False, "available_bytes": GB // 99, "available_percent": 1.0, "total_bytes": GB},
            "1 % available, less than 2 %",
        ),
    ),
    "host/load": (
        "status.providers.host.load",
        "host",
        {"ok": True, "load_1": 2.5, "load_5": 2.0, "load_15": 2.25, "cores": 4, "load_per_core": 0.5},
        (
            {"ok": True, "load_1": 12.5, "load_5": 10.0, "load_15": 2.25, "cores": 4, "load_per_core": 2.5},
            "2.5 for each core, more than 2",
        ),
        (
            {"ok": False, "load_1": 60.0, "load_5": 48.0, "load_15": 9.5, "cores": 4, "load_per_core": 12.0},
            "12 for each core, more than 8",
        ),
    ),
    "host/files": (
        "status.providers.host.files",
        "process",
        {"ok": True, "open": 43, "limit": 1024, "left_percent": 95.8},
        ({"ok": True, "open": 960, "limit": 1024, "left_percent": 6.3}, "6.3 % left, less than 10 %"),
        ({"ok": False, "open": 1020, "limit": 1024, "left_percent": 0.4}, "0.4 % left, less than 1 %"),
    ),
    "network/dns": (
        "status.providers.network.dns",
        "shop.example",
        {"ok": True, "addresses": ["192.0.2.7", "2001:db8::7"], "seconds": 0.0008},
        ({"ok": True, "addresses": ["192.0.2.7", "2001:db8::7"], "seconds": 1.3}, "took 1.3 s, more than 1 s"),
        ({"ok": False}, "there is no such name"),
    ),
    "network/tcp": (
        "status.providers.network.tcp",
        "db.internal.shop.example:5432",
        {"ok": True, "seconds": 0.0021},
        ({"ok": True, "seconds": 1.2}, "took 1.2 s, more than 1 s"),
        ({"ok": False}, "refuses the connection"),
    ),
    "network/tls": (
        "status.providers.network.tls",
        "shop.example:443",
        {"ok": True, "days_left": 37.2, "expires": "2027-01-02T08:00:00Z"},
        ({"ok": True, "days_left": 9.1, "expires": "2026-12-05T08:00:00Z"}, "ends in 9 days, fewer than 14"),
        ({"ok": False}, "the certificate has expired"),
    ),
    "network/http": (
        "status.providers.network.http",
        "https://api.example",
        {"ok": True, "status": 200, "seconds": 0.12},
        ({"ok": True, "status": 200, "seconds": 1.7}, "took 1.7 s, more than 1 s"),
        ({"ok": False, "status": 502}, "answers 502, not 200"),
    ),
}
#: Arguments without which manage.py check would name an entry.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "network/dns": {"name": "shop.example"},
    "network/tcp": {"host": "db.internal.shop.example", "port": 5432},
    "network/tls": {"host": "shop.example"},
    "network/http": {"url": "https://api.example"},
}


def providers() -> dict[str, Any]:
    """``STATUS_PROVIDERS`` with all of them, and the ping."""
    entries: dict[str, Any] = {"health": [("ping", "status.providers.health.ping")]}
    for name, (path, *_) in CHECKS.items():
        resource, _, check = name.partition("/")
        entries.setdefault(resource, []).append((check, path, None, ARGUMENTS.get(name)))
    return entries


def answers(state: str) -> dict[str, Any]:
    """What they answer in a state, ``pass``, ``warn`` or ``fail``, for ``status.test.fake``."""
    answers = {}
    for name, (_, component, well, warning, failure) in CHECKS.items():
        value, words = {"warn": warning, "fail": failure}.get(state) or (well, "")
        reasons, warnings = ({component: words}, {}) if state == "fail" else ({}, {component: words} if words else {})
        answers[name] = Answer({component: value}, reasons, warnings)
    return answers
