"""System checks of the settings of this app: errors and warnings for mistakes, and with ``--deploy`` for risks.

None of them opens a socket: they run in ``migrate``, in tests, and in containers without services.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.db import connections
from django.utils.module_loading import import_string

from status.access import HASHED, MIN_TOKEN, UNIX, is_digest, networks, secret_keys
from status.conf import DJANGO_PROVIDERS, conf, found
from status.entries import Check
from status.providers.base import Unavailable
from status.providers.django.databases import NO_ENGINE, DatabaseCheck
from status.registry import registry

MIDDLEWARE = "status.middleware.StatusMiddleware"
NEW_TOKEN = "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
#: Seconds after which gunicorn and Kubernetes have given up before the answer comes.
LONG_TIMEOUT = 10
#: Tokens that stand in somebody's documentation.
EXAMPLES = ("example", "changeme", "change-me", "secret", "token", "xxxx", "1234")
#: Settings that 2.x read in lower case. Django does not load such names.
CLASSIC = ("status_providers", "status_check_providers", "status_celery_workers", "project_path", "base_dir")


def error(id: str, message: str, hint: str) -> CheckMessage:
    """Return the message for a setting that cannot be used."""
    return Error(message, hint=hint, id=id)


def warning(id: str, message: str, hint: str) -> CheckMessage:
    """Return the message for a setting that works, and is a risk."""
    return Warning(message, hint=hint, id=id)


def setting_errors() -> Iterator[CheckMessage]:
    """Yield settings of the wrong kind."""
    for problem in conf.problems():
        yield error("status.E001", str(problem), problem.hint)


def entry_warnings() -> Iterator[CheckMessage]:
    """Yield entries that are no (name, provider, args, kwargs, options), and dotted paths that lead to no provider.

    A check that cannot be asked fails. It is no reason for ``migrate`` or ``test`` not to run. The ids are those of the
    errors that these once were, which projects may have silenced.
    """
    for problem in registry.problems:
        yield warning("status.E002", str(problem), problem.hint)
    for check in _configured_checks():
        try:
            check.load()
        except Unavailable as failure:
            reason = str(failure)
        except BaseException as failure:  # a foreign module, which may do anything when it is imported
            reason = f"importing it raises {type(failure).__name__}."
        else:
            continue
        hint = f"Correct {check.source!r} in STATUS_PROVIDERS or STATUS_CHECK_PROVIDERS."
        yield warning("status.E003", f"{check.resource}/{check.name} should name a provider, but {reason}", hint)


def access_errors() -> Iterator[CheckMessage]:
    """Yield tokens that nobody can send, networks that cannot be read, and a permission that cannot be asked."""
    for number, token in enumerate(conf.tokens):
        if what := _why_unusable(token):
            message = f"STATUS_TOKENS[{number}] should be a token or sha256: and 64 hexadecimal digits, not {what}."
            yield error("status.E004", message, f"It lets nobody in. Remove it, or make one: {NEW_TOKEN}")
    for setting, cidrs in (("STATUS_NETWORKS", conf.networks), ("STATUS_TRUSTED_PROXIES", conf.trusted_proxies)):
        for number, cidr in enumerate(cidrs):
            if not networks((cidr,)) and (setting, cidr) != ("STATUS_TRUSTED_PROXIES", UNIX):
                expected = "a network such as 10.0.0.0/8 or 2001:db8::/32"
                message = f"{setting}[{number}] should be {expected}, not {cidr[:40]!a}."
                yield error("status.E005", message, "It matches no address. Correct or remove it.")
    what, permission = "", conf.permission
    try:
        judge = import_string(permission) if isinstance(permission, str) else permission
        if iscoroutinefunction(judge):
            what = "a coroutine function"
        elif judge is not None and not callable(judge):
            what = found(judge)
    except Exception as failure:
        what = f"a path that raises {type(failure).__name__}"
    if what:
        message = f"STATUS_PERMISSION should name a callable f(request) -> bool, not {what}."
        hint = "It lets nobody in. Name a function of your project: STATUS_PERMISSION = 'proj.status.may_see'."
        yield error("status.E006", message, hint)


def access_warnings() -> Iterator[CheckMessage]:
    """Yield what anonymous callers are told without need, and tokens that others may know or read."""
    if conf.public is None or set(conf.public) & set(conf.informational):
        yield warning(
            "status.W001",
            "STATUS_PUBLIC should leave out the resources that only inform: strangers may ask for them.",
            'Set STATUS_PUBLIC = ("health",) to close them, or silence this if strangers may know.',
        )
    if conf.show_details == "always":
        yield warning(
            "status.W002",
            'STATUS_SHOW_DETAILS should be "when-authorized" or "never", not "always", on a site that strangers reach.',
            "Reasons, host names and versions help an attacker. Give those who need them a token instead.",
        )
    for number, token in enumerate(conf.tokens):
        if what := _why_weak(token):
            message = f"STATUS_TOKENS[{number}] should be a random token of its own, not {what}."
            yield warning("status.W003", message, f"Make one: {NEW_TOKEN}")
    if conf.tokens and not settings.SECURE_SSL_REDIRECT and not settings.SECURE_PROXY_SSL_HEADER:
        yield warning(
            "status.W004",
            "STATUS_TOKENS should only be used over HTTPS, and nothing says that this site is.",
            "Set SECURE_SSL_REDIRECT = True, or SECURE_PROXY_SSL_HEADER behind a proxy that ends TLS.",
        )


def middleware_warnings() -> Iterator[CheckMessage]:
    """Yield what answers probes before this app does, or keeps its doors open for them."""
    middleware = list(settings.MIDDLEWARE)
    if "*" in settings.ALLOWED_HOSTS:
        yield warning(
            "status.W005",
            'ALLOWED_HOSTS should name the hosts of the site, not "*".',
            f"Probes by IP address need no wildcard: put {MIDDLEWARE} first in MIDDLEWARE.",
        )
    if MIDDLEWARE in middleware[1:]:
        yield warning(
            "status.W009",
            f"{MIDDLEWARE} should be the first in MIDDLEWARE, not number {middleware.index(MIDDLEWARE) + 1}.",
            "What stands before it answers probes by IP address with 400, and those over plain HTTP with a redirect.",
        )
    if settings.SECURE_SSL_REDIRECT and MIDDLEWARE not in middleware and not settings.SECURE_REDIRECT_EXEMPT:
        what = "those over plain HTTP get a redirect, which many take for success."
        message = f"SECURE_SSL_REDIRECT should not hit probes: {what}"
        yield warning("status.W010", message, f"Put {MIDDLEWARE} first in MIDDLEWARE.")


def provider_warnings() -> Iterator[CheckMessage]:
    """Yield timeouts longer than those who ask will wait, and facts about the code that git is not there to tell."""
    checks = list(_configured_checks())
    for check in checks:
        if check.timeout > LONG_TIMEOUT:
            expected = f"should end within {LONG_TIMEOUT} seconds, not within {check.timeout:g}."
            hint = "Whoever probes has given up by then. Lower STATUS_TIMEOUT or the option timeout of the entry."
            yield warning("status.W006", f"{check.resource}/{check.name} {expected}", hint)
    asked = any(check.source == dict(DJANGO_PROVIDERS["stats"])["code"] for check in checks)
    if asked and (conf.project_path / ".git").exists() and not shutil.which("git"):
        yield warning(
            "status.W007",
            "The provider code should find a git program, and there is none on the PATH.",
            "Install git, or ship a version.json with the image and leave .git out of it.",
        )


def celery_warnings() -> Iterator[CheckMessage]:
    """Yield that workers are named, and there is nothing to ask them with."""
    problem = hint = ""
    if conf.celery_workers and importlib.util.find_spec("celery") is None:
        problem, hint = "celery is not installed", "pip install django-status[celery]"
    elif conf.celery_workers and not conf.celery_app:
        # Late: celery is imported only where workers are named.
        from celery import _state

        if _state.default_app is None:
            problem = "there is no default Celery app to ask them with"
            hint = 'Set STATUS_CELERY_APP = "proj.celery:app", or import your app in the __init__ of the project.'
    if problem:
        yield warning("status.W008", f"STATUS_CELERY_WORKERS names workers, and {problem}.", hint)


def name_warnings() -> Iterator[CheckMessage]:
    """Yield names of resources that are not there, and settings in lower case, as 2.x wrote them."""
    informational = set(conf.informational) - {"stats"}
    for setting, names in (("STATUS_PUBLIC", conf.public or ()), ("STATUS_INFORMATIONAL", informational)):
        for name in names:
            if name not in registry:
                message = f"{setting} should name resources that are configured, not {name[:40]!a}."
                yield warning("status.W011", message, f"There is: {', '.join(registry)}.")
    module = sys.modules.get(os.environ.get("DJANGO_SETTINGS_MODULE", ""))
    for name in CLASSIC:
        if hasattr(module, name):
            message = f"{name} should be written {name.upper()}."
            yield warning("status.W012", message, "Django ignores settings in lower case.")


def argument_warnings() -> Iterator[CheckMessage]:
    """Yield arguments that a built-in provider ignores, as that of 2.x did."""
    for check in _configured_checks():
        if check.provider is not None and check.ignored:
            message = f"should be given arguments that it knows: it ignores {', '.join(check.ignored)[:200]}."
            hint = f"It takes {', '.join(check.provider.arguments or ()) or 'none'}, by name. Remove the others."
            yield warning("status.W013", f"{check.resource}/{check.name} {message}", hint)


def database_warnings() -> Iterator[CheckMessage]:
    """Yield databases that models are kept in and that DATABASES leaves empty: often DATABASE_URL is not set."""
    for alias in DatabaseCheck().configured():
        if connections.settings[alias]["ENGINE"] == NO_ENGINE:
            hint = "Set the environment variable that it is read from, or leave the models out of INSTALLED_APPS."
            yield warning("status.W014", f'DATABASES["{alias}"] should name an ENGINE, and is empty.', hint)


ERRORS = (setting_errors, entry_warnings, access_errors)
WARNINGS = (access_warnings, middleware_warnings, provider_warnings, celery_warnings, name_warnings)


def mistakes(**kwargs: Any) -> list[CheckMessage]:
    """Return what ``manage.py check`` says of settings and entries that cannot be used, or have no effect."""
    return [message for check in (*ERRORS, argument_warnings, database_warnings) for message in check()]


def risks(**kwargs: Any) -> list[CheckMessage]:
    """Return what ``manage.py check --deploy`` says besides."""
    return [message for check in WARNINGS for message in check()]


def _configured_checks() -> Iterator[Check]:
    for checks in registry.values():
        yield from checks.values()


def _why_unusable(token: str) -> str:
    if not token.strip():
        return "an empty text"
    if token.startswith(HASHED) and not is_digest(token.removeprefix(HASHED)):
        return f"{len(token) - len(HASHED)} characters after sha256:"
    return ""


def _why_weak(token: str) -> str:
    if _why_unusable(token) or token.startswith(HASHED):
        return ""
    if len(token.strip()) < MIN_TOKEN:
        return f"one of {len(token.strip())} characters, which is not accepted (at least {MIN_TOKEN})"
    if token.strip() in secret_keys():
        return "the SECRET_KEY, which is not accepted"
    if len(set(token)) < 8 or any(word in token.lower() for word in EXAMPLES):
        return "one that anybody might guess"
    return ""
