"""System checks of the settings of this app: warnings for mistakes, and with ``--deploy`` for risks.

None of them is an error, as monitoring is no reason for ``migrate`` or ``test`` not to run, and a mistake in what
closes something closes it altogether. The ids that begin with E are those of the errors that these once were, which
projects may have silenced. None opens a socket: they also run in containers without services.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Info, Warning
from django.core.management import get_commands
from django.db import connections
from django.template import TemplateSyntaxError
from django.template.loader import get_template
from django.urls import NoReverseMatch, Resolver404, get_resolver, get_script_prefix, reverse
from django.utils.module_loading import import_string

from status.access import HASHED, MIN_TOKEN, UNIX, is_digest, networks, secret_keys
from status.classic import NEW_NAMES
from status.cli.arguments import VERBS
from status.conf import DJANGO_PROVIDERS, LOWER_IN_CLASSIC, conf, found
from status.mounts import Mount, mounts_of
from status.providers.base import Unavailable
from status.providers.celery.queues import QueueCheck
from status.providers.celery.workers import WorkerCheck
from status.providers.django.aliases import AliasCheck
from status.providers.django.caches import MEMORY_CACHES
from status.providers.django.databases import NO_ENGINE, DatabaseCheck
from status.registry import registry

MIDDLEWARE = "status.middleware.StatusMiddleware"
#: Middleware that may stand in front of it: these add headers, or answer for static files, and refuse nothing.
HARMLESS_IN_FRONT = (
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
)
SECURITY = "django.middleware.security.SecurityMiddleware"
NEW_TOKEN = "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
#: The first word of addresses below ``api/`` that are no resource.
RESERVED = ("beat",)
#: Seconds after which gunicorn and Kubernetes have given up before the answer comes.
LONG_TIMEOUT = 10
#: Tokens that stand in somebody's documentation.
EXAMPLES = ("example", "changeme", "change-me", "secret", "token", "xxxx", "1234")
#: What templates of the pages were called in 2.x, or would be if they had stayed in its folder.
OLD_TEMPLATES = tuple(f"status/{name}.html" for name in ("base", "main", "overview", "health", "stats"))


def provider_mistakes() -> Iterator[CheckMessage]:
    """Yield settings of the wrong kind, entries that cannot be used, and dotted paths that lead to no provider."""
    for problem in conf.problems():
        yield Warning(str(problem), problem.hint, id="status.E001")
    for problem in registry.current().problems:
        yield Warning(str(problem), problem.hint, id="status.E002")
    for check in registry.select().checks:
        try:
            check.load()
        except Unavailable as failure:
            reason = str(failure)
        except BaseException as failure:  # a foreign module, which may do anything when it is imported
            reason = f"importing it raises {type(failure).__name__}."
        else:
            continue
        hint = f"Correct {check.source!r} in STATUS_PROVIDERS or STATUS_CHECK_PROVIDERS."
        yield Warning(f"{check.resource}/{check.name} should name a provider, but {reason}", hint, id="status.E003")


def access_mistakes() -> Iterator[CheckMessage]:
    """Yield tokens that nobody can send, networks that cannot be read, and a permission that cannot be asked."""
    for number, token in enumerate(conf.tokens):
        what = "" if token.strip() else "an empty text"
        if token.startswith(HASHED) and not is_digest(token.removeprefix(HASHED)):
            what = f"{len(token) - len(HASHED)} characters after sha256:"
        if what:
            message = f"STATUS_TOKENS[{number}] should be a token or sha256: and 64 hexadecimal digits, not {what}."
            yield Warning(message, f"It lets nobody in. Remove it, or make one: {NEW_TOKEN}", id="status.E004")
    for setting, cidrs in (("STATUS_NETWORKS", conf.networks), ("STATUS_TRUSTED_PROXIES", conf.trusted_proxies)):
        for number, cidr in enumerate(cidrs):
            if not networks((cidr,)) and (setting, cidr) != ("STATUS_TRUSTED_PROXIES", UNIX):
                expected = "a network such as 10.0.0.0/8 or 2001:db8::/32"
                message = f"{setting}[{number}] should be {expected}, not {cidr[:40]!a}."
                yield Warning(message, "It matches no address. Correct or remove it.", id="status.E005")
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
        yield Warning(message, hint, id="status.E006")


def access_warnings() -> Iterator[CheckMessage]:
    """Yield what anonymous callers are told without need, and tokens that others may know or read."""
    if conf.show_details == "always":
        yield Warning(
            'STATUS_SHOW_DETAILS should be "when-authorized" or "never", not "always", on a site that strangers reach.',
            "Reasons, host names and versions help an attacker. Give those who need them a token instead.",
            id="status.W002",
        )
    for number, token in enumerate(conf.tokens):
        what, length = "", len(token.strip())
        if not length or token.startswith(HASHED):
            continue
        if length < MIN_TOKEN:
            what = f"one of {length} characters, which is not accepted (at least {MIN_TOKEN})"
        elif token.strip() in secret_keys():
            what = "the SECRET_KEY, which is not accepted"
        elif len(set(token)) < 8 or any(word in token.lower() for word in EXAMPLES):
            what = "one that anybody might guess"
        if what:
            message = f"STATUS_TOKENS[{number}] should be a random token of its own, not {what}."
            yield Warning(message, f"Make one: {NEW_TOKEN}", id="status.W003")
    if conf.tokens and not settings.SECURE_SSL_REDIRECT and not settings.SECURE_PROXY_SSL_HEADER:
        yield Warning(
            "STATUS_TOKENS should only be used over HTTPS, and nothing says that this site is.",
            "Set SECURE_SSL_REDIRECT = True, or SECURE_PROXY_SSL_HEADER behind a proxy that ends TLS.",
            id="status.W004",
        )


def middleware_warnings() -> Iterator[CheckMessage]:
    """Yield what answers probes before this app does, or keeps its doors open for them."""
    middleware = list(settings.MIDDLEWARE)
    if "*" in settings.ALLOWED_HOSTS:
        yield Warning(
            'ALLOWED_HOSTS should name the hosts of the site, not "*".',
            f"Probes by IP address need no wildcard: put {MIDDLEWARE} first in MIDDLEWARE.",
            id="status.W005",
        )
    redirects = settings.SECURE_SSL_REDIRECT and not settings.SECURE_REDIRECT_EXEMPT
    harmless = HARMLESS_IN_FRONT if redirects else (*HARMLESS_IN_FRONT, SECURITY)
    before = middleware[: middleware.index(MIDDLEWARE)] if MIDDLEWARE in middleware else []
    if others := [name for name in before if name not in harmless]:
        yield Warning(
            f"{MIDDLEWARE} should stand before {others[0]} in MIDDLEWARE.",
            "What stands before it answers probes by IP address with 400, those over plain HTTP with a redirect, and "
            "hangs when a database does. Silence this where it only adds headers.",
            id="status.W009",
        )
    if MIDDLEWARE not in middleware:
        what = "without it, /status without its slash is a redirect or 404."
        hint = "It also answers probes by IP address, and beside a frozen database. Silence this if none matters."
        yield Info(f"{MIDDLEWARE} should be the first in MIDDLEWARE: {what}", hint, id="status.I001")
    if redirects and MIDDLEWARE not in middleware:
        what = "those over plain HTTP get a redirect, which many take for success."
        message = f"SECURE_SSL_REDIRECT should not hit probes: {what}"
        yield Warning(message, f"Put {MIDDLEWARE} first in MIDDLEWARE.", id="status.W010")


def provider_warnings() -> Iterator[CheckMessage]:
    """Yield timeouts longer than callers wait, and providers without what they ask: git, Celery, or its app."""
    checks = registry.select().checks
    for check in checks:
        if check.timeout > LONG_TIMEOUT:
            expected = f"should end within {LONG_TIMEOUT} seconds, not within {check.timeout:g}."
            hint = "Whoever probes has given up by then. Lower STATUS_TIMEOUT or the option timeout of the entry."
            yield Warning(f"{check.resource}/{check.name} {expected}", hint, id="status.W006")
    asked = any(check.source == dict(DJANGO_PROVIDERS["stats"])["code"] for check in checks)
    if asked and (conf.project_path / ".git").exists() and not shutil.which("git"):
        yield Warning(
            "The provider code should find a git program, and there is none on the PATH.",
            "Install git, or ship a version.json with the image and leave .git out of it.",
            id="status.W007",
        )
    problem = hint = ""
    entries = [check for check in checks if isinstance(check.provider, (QueueCheck, WorkerCheck))]
    asking = "STATUS_CELERY_WORKERS names workers" if conf.celery_workers else ""
    asking = asking or (f"{entries[0].resource}/{entries[0].name} asks Celery" if entries else "")
    if asking and importlib.util.find_spec("celery") is None:
        problem, hint = "celery is not installed", "pip install django-status[celery]"
    elif asking and not conf.celery_app:
        # Late: celery is imported only where workers are named.
        from celery.app import default_app

        if not default_app:
            problem = "there is no default Celery app to ask them with"
            hint = 'Set STATUS_CELERY_APP = "proj.celery:app", or import your app in the __init__ of the project.'
    if problem:
        yield Warning(f"{asking}, and {problem}.", hint, id="status.W008")


def name_warnings() -> Iterator[CheckMessage]:
    """Yield names of resources that are not there, and settings in lower case, as 2.x wrote them."""
    informational = set(conf.informational) - {"stats"}
    for setting, names in (("STATUS_PUBLIC", conf.public or ()), ("STATUS_INFORMATIONAL", informational)):
        for name in names:
            if name not in registry:
                message = f"{setting} should name resources that are configured, not {name[:40]!a}."
                yield Warning(message, f"There is: {', '.join(registry)}.", id="status.W011")
    module = sys.modules.get(os.environ.get("DJANGO_SETTINGS_MODULE", ""))
    for name in LOWER_IN_CLASSIC:
        if hasattr(module, name.lower()):
            message = f"{name.lower()} should be written {name}."
            yield Warning(message, "Django ignores settings in lower case.", id="status.W012")


def argument_warnings() -> Iterator[CheckMessage]:
    """Yield arguments that a built-in provider refuses, or ignores as that of 2.x did."""
    for check in registry.select().checks:
        if check.mistake is not None:
            hint = f"Until then the check fails. Correct {check.name!r} in the settings."
            yield Warning(f"{check.resource}/{check.name}: {check.mistake}", hint, id="status.W013")
        if check.provider is not None and check.ignored:
            message = f"should be given arguments that it knows: it ignores {', '.join(check.ignored)[:200]}."
            hint = f"It takes {', '.join(check.provider.arguments or ()) or 'none'}, by name. Remove the others."
            yield Warning(f"{check.resource}/{check.name} {message}", hint, id="status.W013")
        if check.mistake is None and isinstance(check.provider, AliasCheck):
            words = _alias_mistake(check.provider, check.args, check.kwargs)
            if words:
                hint = f"Until then the check fails. Correct {check.name!r} in the settings."
                yield Warning(f"{check.resource}/{check.name}: {words}", hint, id="status.W013")


def _alias_mistake(provider: AliasCheck, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Return what is wrong with the aliases of an entry, empty where nothing is."""
    try:
        unknown = provider.unknown(*args, **kwargs)
    except Unavailable as failure:
        return str(failure)
    except Exception:  # it happens again in the run, which reports it
        return ""
    named = ", ".join(ascii(str(name)[:40]) for name in unknown[:3])
    return f"{named} should be configured in {provider.setting}." if unknown else ""


def entry_warnings() -> Iterator[CheckMessage]:
    """Yield entries that are accepted, as 2.x did, and hardly meant so: a name that comes twice, text for args."""
    for problem in registry.current().remarks:
        yield Warning(str(problem), problem.hint, id="status.W020")


def path_warnings() -> Iterator[CheckMessage]:
    """Yield dotted paths of 2.0 and 2.1, which still work."""
    for check in registry.select().checks:
        if isinstance(check.source, str) and check.source in NEW_NAMES:
            message = f"{check.resource}/{check.name} should name {NEW_NAMES[check.source]}, not {check.source}."
            yield Warning(message, "The old path is deprecated. Write the new one in the settings.", id="status.W023")


def store_warnings() -> Iterator[CheckMessage]:
    """Yield a store that is none, or not for every host, and heartbeats that cannot be used or have no store."""
    for problem in conf.heartbeat_periods()[1].values():
        yield Warning(str(problem), problem.hint, id="status.W030")
    alias = conf.store
    if alias is None:
        if conf.heartbeats:
            hint = "Set it to the alias of a cache that all processes share."
            yield Warning("STATUS_HEARTBEATS should come with STATUS_STORE, and it is not set.", hint, id="status.W031")
        return
    backend = settings.CACHES.get(alias, {}).get("BACKEND")
    what = hint = ""
    if alias not in settings.CACHES:
        what, hint = "none", f"There is: {', '.join(settings.CACHES)}."
    elif backend in MEMORY_CACHES:
        what, hint = f"one of {backend.rpartition('.')[2]}", "Name one of Redis, Memcached or a database."
    elif backend == "django.core.cache.backends.filebased.FileBasedCache":
        what = "files, which are for one host and a demonstration"
        hint = "They are culled at MAX_ENTRIES (300), and two processes may both win add(). Use Redis or a database."
    if what:
        message = f'STATUS_STORE should name a cache that all processes share; CACHES["{alias[:40]}"] is {what}.'
        yield Warning(message, hint, id="status.W032")


def reserved_warnings() -> Iterator[CheckMessage]:
    """Yield resources that are called like an address or a sub-command of the app's own."""
    for name in registry:
        if name in VERBS or name in RESERVED:
            message = (
                f'The resource "{name}" should be called differently: the app has a sub-command or address "{name}".'
            )
            hint = f"It wins in addresses; on the command line it is asked for as {name}/."
            yield Warning(message, hint, id="status.W033")


def database_warnings() -> Iterator[CheckMessage]:
    """Yield databases that models are kept in and that DATABASES leaves empty: often DATABASE_URL is not set."""
    for alias in DatabaseCheck().configured():
        if connections.settings[alias]["ENGINE"] == NO_ENGINE:
            hint = "Set the environment variable that it is read from, or leave the models out of INSTALLED_APPS."
            yield Warning(f'DATABASES["{alias}"] should name an ENGINE, and is empty.', hint, id="status.W014")


def address_warnings() -> Iterator[CheckMessage]:
    """Yield addresses of the app that a pattern of the project's stands in front of."""
    for name in (None, *conf.urlconfs):
        try:
            resolver = get_resolver(name)
            mounts = mounts_of(resolver)
        except Exception:  # Django's own checks tell of the first, and the next ones here of the others
            continue
        for mount in mounts:
            taken: dict[str, list[str]] = {}
            for path in addresses_at(mount):
                with suppress(Resolver404):
                    match = resolver.resolve(f"/{path.removeprefix(get_script_prefix())}")
                    if not hasattr(match.func, "answered_by_middleware"):
                        taken.setdefault(match.route, []).append(path)
            for route, paths in taken.items():
                more = f" and {len(paths) - 1} more addresses" if len(paths) > 1 else ""
                message = f"{paths[0]}{more} should lead to this app, and the pattern {route!a} stands in front of it."
                yield Warning(message, "Move the line that mounts the app up in its urlconf.", id="status.W015")


def addresses_at(mount: Mount) -> Iterator[str]:
    """Yield each path of the pages and the API at this mount, with its slash and without where both are possible."""
    root, api = mount.path("root"), mount.path("api_root")
    if root is not None:
        yield root
    paths = [mount.path("health"), mount.path("stats"), api]
    if api is not None:
        paths += [f"{api}/{resource}" for resource in registry]
        paths += [f"{api}/{check.resource}/{check.name}" for check in registry.select().checks]
    for path in filter(None, paths):
        yield path.rstrip("/")
        yield f"{path.rstrip('/')}/"


def urlconf_warnings() -> Iterator[CheckMessage]:
    """Yield urlconfs in ``STATUS_URLCONFS`` that do not lead to the app, and settings that name others."""
    for name in conf.urlconfs:
        what = "one that does not mount the app"
        try:
            if mounts_of(get_resolver(name)):
                continue
        except Exception as failure:  # a module of the project may raise anything
            what = f"one that raises {type(failure).__name__}"
        message = f"STATUS_URLCONFS should name urlconfs that mount the app, not {what}: {name[:100]!a}."
        yield Warning(message, 'Put path("status/", include("status.urls")) there, or remove it.', id="status.W016")
    if MIDDLEWARE not in settings.MIDDLEWARE or conf.urlconfs:
        return
    for name, value in conf.everything():
        # As those of django-hosts, django-tenants and django-subdomains are called.
        if not name.endswith(("URLCONF", "URLCONFS", "HOSTCONF")) or name == "STATUS_URLCONFS":
            continue
        if value and value != settings.ROOT_URLCONF:
            message = f"STATUS_URLCONFS should name the urlconfs that {name} leads to, where they mount the app."
            hint = "The middleware knows ROOT_URLCONF alone. Name them, or silence this if the app is in that one only."
            yield Warning(message, hint, id="status.W017")


def name_clash_warnings() -> Iterator[CheckMessage]:
    """Yield what else is called ``status``: templates that once changed the pages, a command, a namespace."""
    if templates := [name for name in OLD_TEMPLATES if _has_template(name)]:
        message = f"Templates that change the pages should be in django_status/, and {', '.join(templates)} are not."
        hint = "Move them if they do: docs/pages.rst has the blocks. Silence this if they belong to something else."
        yield Warning(message, hint, id="status.W018")
    owner = get_commands().get("status")
    app = apps.get_containing_app_config(__package__)
    if app is not None and owner != app.name:
        message = f"manage.py status should be the command of this app, and it is that of {owner}."
        yield Warning(message, "Put this app before it in INSTALLED_APPS, or call django_status.", id="status.W019")
    with suppress(Exception):  # Django's own checks tell of a urlconf that cannot be loaded
        mounts = [mount for mount in mounts_of(get_resolver()) if mount.path("api_root")]
        for mount in mounts:
            if _reversed(*mount.namespaces, "api_root") not in [one.path("api_root") for one in mounts]:
                message = (
                    f"The namespace {':'.join(mount.namespaces)} should be this app's, and another one has that name."
                )
                hint = 'Mount the app as include("status.urls", namespace="django_status"), and reverse with that name.'
                yield Warning(message, hint, id="status.W021")


def _reversed(*names: str) -> str | None:
    with suppress(NoReverseMatch):
        return reverse(":".join(names))
    return None


def _has_template(name: str) -> bool:
    try:
        get_template(name)
    except TemplateSyntaxError:
        return True
    except Exception:  # there is none, or no engine that could have it
        return False
    return True


MISTAKES = (provider_mistakes, access_mistakes)
HINTS = (
    argument_warnings,
    entry_warnings,
    path_warnings,
    database_warnings,
    address_warnings,
    urlconf_warnings,
    name_clash_warnings,
    store_warnings,
    reserved_warnings,
)
WARNINGS = (access_warnings, middleware_warnings, provider_warnings, name_warnings)


def mistakes(**kwargs: Any) -> list[CheckMessage]:
    """Return what ``manage.py check`` says of settings and entries that cannot be used, or have no effect."""
    return [message for check in (*MISTAKES, *HINTS) for message in check()]


def risks(**kwargs: Any) -> list[CheckMessage]:
    """Return what ``manage.py check --deploy`` says besides."""
    return [message for check in WARNINGS for message in check()]
