"""What ``manage.py check`` says of our settings: errors for mistakes, and with ``--deploy`` warnings for traps.

None of them opens a socket: they run in ``migrate``, in tests, and in containers without services.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.utils.module_loading import import_string

from status.access import HASHED, MIN_TOKEN, is_digest, networks
from status.conf import DJANGO_PROVIDERS, conf, found
from status.entries import Check
from status.providers.base import Unavailable
from status.registry import registry

FRONT_DOOR = "status.middleware.StatusMiddleware"
NEW_TOKEN = "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
#: Longer than this, gunicorn and Kubernetes have given up before the answer comes.
LONG_TIMEOUT = 10
#: Tokens that stand in somebody's documentation.
EXAMPLES = ("example", "changeme", "change-me", "secret", "token", "xxxx", "1234")
#: What 2.x read in lower case; Django never loads such names.
CLASSIC = ("status_providers", "status_check_providers", "status_celery_workers", "project_path", "base_dir")


def check_kinds(app_configs: Iterable[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Settings of the wrong kind."""
    return [Error(str(problem), hint=problem.hint, id="status.E001") for problem in conf.problems()]


def check_entries(app_configs: Iterable[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Entries that are no (name, provider, args, kwargs, options)."""
    return [Error(str(problem), hint=problem.hint, id="status.E002") for problem in registry.problems]


def check_providers(app_configs: Iterable[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Dotted paths that lead to no provider."""
    return [
        Error(
            f"{check.resource}/{check.name} should name a provider, but {reason}",
            hint=f"Correct {check.source!r} in STATUS_PROVIDERS or STATUS_CHECK_PROVIDERS.",
            id="status.E003",
        )
        for check in _configured()
        if (reason := _unloadable(check))
    ]


def check_tokens(app_configs: Iterable[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Tokens that nobody can send."""
    return [
        Error(
            f"STATUS_TOKENS[{number}] should be a token or sha256: and 64 hexadecimal digits, not {what}.",
            hint=f"It lets nobody in. Remove it, or make one: {NEW_TOKEN}",
            id="status.E004",
        )
        for number, token in enumerate(conf.tokens)
        if (what := _unusable(token))
    ]


def check_networks(app_configs: Iterable[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Networks that cannot be read."""
    return [
        Error(
            f"{setting}[{number}] should be a network such as 10.0.0.0/8 or 2001:db8::/32, not {cidr[:40]!a}.",
            hint="It matches no address. Correct or remove it.",
            id="status.E005",
        )
        for setting, cidrs in (("STATUS_NETWORKS", conf.networks), ("STATUS_TRUSTED_PROXIES", conf.trusted_proxies))
        for number, cidr in enumerate(cidrs)
        if not networks((cidr,))
    ]


def check_permission(app_configs: Iterable[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """A permission that is not there, or that nobody would await."""
    permission, what = conf.permission, ""
    try:
        judge = import_string(permission) if isinstance(permission, str) else permission
        if iscoroutinefunction(judge):
            what = "a coroutine function"
        elif judge is not None and not callable(judge):
            what = found(judge)
    except Exception as error:
        what = f"a path that raises {type(error).__name__}"
    hint = "It lets nobody in. Name a function of your project: STATUS_PERMISSION = 'proj.status.may_see'."
    message = f"STATUS_PERMISSION should name a callable f(request) -> bool, not {what}."
    return [Error(message, hint=hint, id="status.E006")] if what else []


def check_public_stats(app_configs: Iterable[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Statistics that strangers may ask for."""
    if conf.public is not None and not set(conf.public) & set(conf.informational):
        return []
    return _warning(
        "STATUS_PUBLIC should leave out the resources that only inform: strangers may ask for them.",
        'Set STATUS_PUBLIC = ("health",) to close them, or silence this if strangers may know.',
        "status.W001",
    )


def check_details(app_configs: Iterable[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Details for everyone."""
    if conf.show_details != "always":
        return []
    return _warning(
        'STATUS_SHOW_DETAILS should be "when-authorized" or "never", not "always", on a site that strangers reach.',
        "Reasons, host names and versions help an attacker. Give those who need them a token instead.",
        "status.W002",
    )


def check_weak_tokens(app_configs: Iterable[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Tokens that can be guessed, or open other doors as well."""
    return [
        Warning(
            f"STATUS_TOKENS[{number}] should be a random token of its own, not {what}.",
            hint=f"Make one: {NEW_TOKEN}",
            id="status.W003",
        )
        for number, token in enumerate(conf.tokens)
        if (what := _guessable(token))
    ]


def check_plain_http(app_configs: Iterable[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Tokens that travel in clear text."""
    if not conf.tokens or settings.SECURE_SSL_REDIRECT or settings.SECURE_PROXY_SSL_HEADER:
        return []
    return _warning(
        "STATUS_TOKENS should only be used over HTTPS, and nothing says that this site is.",
        "Set SECURE_SSL_REDIRECT = True, or SECURE_PROXY_SSL_HEADER behind a proxy that ends TLS.",
        "status.W004",
    )


def check_hosts(app_configs: Iterable[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Any host at all."""
    if "*" not in settings.ALLOWED_HOSTS:
        return []
    return _warning(
        'ALLOWED_HOSTS should name the hosts of the site, not "*".',
        f"Probes by IP address need no wildcard: put {FRONT_DOOR} first in MIDDLEWARE.",
        "status.W005",
    )


def check_timeouts(app_configs: Iterable[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Deadlines longer than those who ask will wait."""
    return [
        Warning(
            f"{check.resource}/{check.name} should end within {LONG_TIMEOUT} seconds, not within {check.timeout:g}.",
            hint="Whoever probes has given up by then. Lower STATUS_TIMEOUT or the option timeout of the entry.",
            id="status.W006",
        )
        for check in _configured()
        if check.timeout > LONG_TIMEOUT
    ]


def check_git(app_configs: Iterable[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Code facts without git."""
    asked = any(check.source == dict(DJANGO_PROVIDERS["stats"])["code"] for check in _configured())
    if not asked or not (conf.project_path / ".git").exists() or shutil.which("git"):
        return []
    return _warning(
        "The provider code should find a git program, and there is none on the PATH.",
        "Install git, or ship a version.json with the image and leave .git out of it.",
        "status.W007",
    )


def check_celery(app_configs: Iterable[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Workers to ask, and nothing to ask them with."""
    if not conf.celery_workers:
        return []
    if importlib.util.find_spec("celery") is None:
        message = "STATUS_CELERY_WORKERS names workers, and celery is not installed."
        return _warning(message, "pip install django-status[celery]", "status.W008")
    # Late: celery is imported only where workers are named.
    from celery import _state

    if conf.celery_app or _state.default_app is not None:
        return []
    return _warning(
        "STATUS_CELERY_WORKERS names workers, and there is no default Celery app to ask them with.",
        'Set STATUS_CELERY_APP = "proj.celery:app", or import your app in the __init__ of the project.',
        "status.W008",
    )


def check_front_door(app_configs: Iterable[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """A front door behind other doors."""
    middleware = list(settings.MIDDLEWARE)
    if FRONT_DOOR not in middleware or middleware[0] == FRONT_DOOR:
        return []
    return _warning(
        f"{FRONT_DOOR} should be the first in MIDDLEWARE, not number {middleware.index(FRONT_DOOR) + 1}.",
        "What stands before it answers probes by IP address with 400, and those over plain HTTP with a redirect.",
        "status.W009",
    )


def check_redirects(app_configs: Iterable[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Probes that are redirected, which many take for success."""
    if not settings.SECURE_SSL_REDIRECT or FRONT_DOOR in settings.MIDDLEWARE or settings.SECURE_REDIRECT_EXEMPT:
        return []
    return _warning(
        "SECURE_SSL_REDIRECT should not hit probes: those over plain HTTP get a redirect, which many take for success.",
        f"Put {FRONT_DOOR} first in MIDDLEWARE.",
        "status.W010",
    )


def check_resources(app_configs: Iterable[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Resources that are not there."""
    return [
        Warning(
            f"{setting} should name resources that are configured, not {name[:40]!a}.",
            hint=f"There is: {', '.join(registry)}.",
            id="status.W011",
        )
        for setting, names in (("STATUS_PUBLIC", conf.public), ("STATUS_INFORMATIONAL", conf.informational))
        for name in names or ()
        if name not in registry and (setting, name) != ("STATUS_INFORMATIONAL", "stats")
    ]


def check_classic_names(app_configs: Iterable[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Settings in lower case, as 2.x wrote them. Django does not load such names."""
    module = sys.modules.get(os.environ.get("DJANGO_SETTINGS_MODULE", ""))
    return [
        Warning(
            f"{name} should be written {name.upper()}.", hint="Django ignores settings in lower case.", id="status.W012"
        )
        for name in CLASSIC
        if hasattr(module, name)
    ]


ERRORS = (check_kinds, check_entries, check_providers, check_tokens, check_networks, check_permission)
WARNINGS = (
    check_public_stats,
    check_details,
    check_weak_tokens,
    check_plain_http,
    check_hosts,
    check_timeouts,
    check_git,
    check_celery,
    check_front_door,
    check_redirects,
    check_resources,
    check_classic_names,
)


def _warning(message: str, hint: str, id: str) -> list[CheckMessage]:
    return [Warning(message, hint=hint, id=id)]


def _configured() -> Iterator[Check]:
    for checks in registry.values():
        yield from checks.values()


def _unloadable(check: Check) -> str:
    try:
        check.load()
    except Unavailable as error:
        return str(error)
    except BaseException as error:  # the module of somebody else, which may do anything when it is imported
        return f"importing it raises {type(error).__name__}."
    return ""


def _unusable(token: str) -> str:
    if not token.strip():
        return "an empty text"
    if token.startswith(HASHED) and not is_digest(token.removeprefix(HASHED)):
        return f"{len(token) - len(HASHED)} characters after sha256:"
    return ""


def _guessable(token: str) -> str:
    if _unusable(token) or token.startswith(HASHED):
        return ""
    if len(token.strip()) < MIN_TOKEN:
        return f"one of {len(token.strip())} characters, which is not accepted (at least {MIN_TOKEN})"
    if token == settings.SECRET_KEY:
        return "the SECRET_KEY, which is not accepted"
    if len(set(token)) < 8 or any(word in token.lower() for word in EXAMPLES):
        return "one that anybody might guess"
    return ""
