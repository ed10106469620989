"""System checks of the entries in the settings, and of what their providers need."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning
from django.db import connections

from status.classic import NEW_NAMES
from status.conf import LOWER_IN_CLASSIC, conf, shown
from status.providers.base import Unavailable
from status.providers.celery.queues import QueueCheck
from status.providers.celery.workers import WorkerCheck
from status.providers.django.aliases import AliasCheck
from status.providers.django.caches import MEMORY_CACHES
from status.providers.django.databases import NO_ENGINE, DatabaseCheck
from status.providers.health import NoDrainFile, is_draining
from status.redaction import redact
from status.registry import READY, registry

#: Seconds after which gunicorn and Kubernetes have given up before the answer comes.
LONG_TIMEOUT = 10
#: What the names of most settings begin with, and how much alike two names are of which one is a mistake.
PREFIX, CLOSE = "STATUS_", 0.8


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


def spelling_warnings() -> Iterator[CheckMessage]:
    """Yield settings that are none, and spelled nearly as one: what they should close, for example, is open."""
    known = {name.removeprefix(PREFIX) for name in conf.names() if name.startswith(PREFIX)}
    for name, _ in conf.everything():
        word = name.removeprefix(PREFIX)
        if name.startswith(PREFIX) and word not in known and (near := get_close_matches(word, known, 1, CLOSE)):
            hint = "It has no effect. Correct it, or silence this where it is a setting of yours."
            yield Warning(f"{name[:40]} should be spelled {PREFIX}{near[0]}.", hint, id="status.W043")


def provider_warnings() -> Iterator[CheckMessage]:
    """Yield timeouts longer than callers wait, and providers without what they ask: git, Celery, or its app."""
    checks = registry.select().checks
    for check in checks:
        if check.timeout > LONG_TIMEOUT:
            expected = f"should end within {LONG_TIMEOUT} seconds, not within {check.timeout:g}."
            hint = "Whoever probes has given up by then. Lower STATUS_TIMEOUT or the option timeout of the entry."
            yield Warning(f"{check.resource}/{check.name} {expected}", hint, id="status.W006")
    asked = any(check.source == "status.providers.stats.code" for check in checks)
    if asked and _has_checkout() and not shutil.which("git"):
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


def _has_checkout() -> bool:
    """Return whether there is a checkout at the project path."""
    try:
        return os.path.exists(conf.project_path / ".git")
    except FileNotFoundError:  # the working directory does not exist any more
        return False


def name_warnings() -> Iterator[CheckMessage]:
    """Yield names of resources that are not there, and settings in lower case, as 2.x wrote them."""
    informational = set(conf.informational) - {"stats"}
    for setting, names in (("STATUS_PUBLIC", conf.public or ()), ("STATUS_INFORMATIONAL", informational)):
        for name in names:
            if name not in registry:
                message = f"{setting} should name resources that are configured, not {shown(name)}."
                yield Warning(message, f"There is: {', '.join(registry)}.", id="status.W011")
    module = sys.modules.get(os.environ.get("DJANGO_SETTINGS_MODULE", ""))
    for name in LOWER_IN_CLASSIC:
        if hasattr(module, name.lower()):
            message = f"{name.lower()} should be written {name}."
            yield Warning(message, "Django ignores settings in lower case.", id="status.W012")


def argument_warnings() -> Iterator[CheckMessage]:
    """Yield arguments that a built-in provider refuses, or ignores as that of 2.x did."""
    for check in registry.select().checks:
        mistake = check.mistake
        if mistake is None and isinstance(check.provider, AliasCheck):
            mistake = _alias_mistake(check.provider, check.args, check.kwargs)
        if mistake:
            hint = f"Until then the check fails. Correct {check.name!r} in the settings."
            yield Warning(f"{check.resource}/{check.name}: {mistake}", hint, id="status.W013")
        if check.provider is not None and check.ignored:
            message = f"should be given arguments that it knows: it ignores {', '.join(check.ignored)[:200]}."
            hint = f"It takes {', '.join(check.provider.arguments or ()) or 'none'}, by name. Remove the others."
            yield Warning(f"{check.resource}/{check.name} {message}", hint, id="status.W013")


def _alias_mistake(provider: AliasCheck, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Return what is wrong with the aliases of an entry, empty where nothing is."""
    try:
        unknown = provider.unknown(*args, **kwargs)
    except Unavailable as failure:
        return str(failure)
    except Exception:  # it happens again in the run, which reports it
        return ""
    named = ", ".join(shown(name) for name in unknown[:3])
    return f"{named} should be configured in {provider.setting}." if unknown else ""


def entry_warnings() -> Iterator[CheckMessage]:
    """Yield entries that are accepted, as 2.x did, and hardly meant so: a name that comes twice, text for args."""
    for problem in registry.current().remarks:
        yield Warning(str(problem), problem.hint, id="status.W020")


def joining_warnings() -> Iterator[CheckMessage]:
    """Yield entries that are called like a check that the app adds: it is not asked, or has another name."""
    for entry, added in registry.current().clashes:
        if added.is_drain and conf.drain_file is None:
            continue
        name = f"{entry.resource}/{entry.name}"
        for check in (entry, added):
            check.try_to_load()
        if entry.provider is added.provider:
            continue
        if entry.name == added.name:
            message = f"{name} should be named differently from the check that the app adds, which is not asked."
            hint = f"Rename it, or have it name {added.source}. Silence this if yours is to replace that one."
        else:
            others = f"{added.resource}/{added.name}"
            message = f"{name} should be named differently from a check of the app, which is {others} now."
            hint = "Both are asked. Rename it, or silence this."
        yield Warning(message, hint, id="status.W038")


def path_warnings() -> Iterator[CheckMessage]:
    """Yield dotted paths of 2.0 and 2.1, which still work."""
    for check in registry.select().checks:
        if isinstance(check.source, str) and check.source in NEW_NAMES:
            message = f"{check.resource}/{check.name} should name {NEW_NAMES[check.source]}, not {check.source}."
            yield Warning(message, "The old path is deprecated. Write the new one in the settings.", id="status.W023")


def directory_warnings() -> Iterator[CheckMessage]:
    """Yield a directory of the source code that is not there."""
    if conf.code_path and not os.path.isdir(conf.code_path):
        message = "PROJECT_PATH should be the path of a directory, and there is none."
        yield Warning(message, "Correct it, or leave it to BASE_DIR.", id="status.W040")


def history_warnings() -> Iterator[CheckMessage]:
    """Yield a cache for the recent past that is none, or that processes do not share."""
    alias = conf.history_cache
    what, hint = ("", "") if alias is None else _why_unshared(alias)
    if what:
        yield Warning(_unshared("STATUS_HISTORY_CACHE", alias, what), hint, id="status.W041")


def _unshared(setting: str, alias: str, what: str) -> str:
    """Return the sentence about a setting that names such a cache. A URL with a login may stand there by mistake."""
    return f'{setting} should name a cache that all processes share; CACHES["{redact(alias)[:40]}"] is {what}.'


def _why_unshared(alias: str) -> tuple[str, str]:
    """Return what a cache is and the remedy where there is none, or each process has its own; else empty texts."""
    if alias not in settings.CACHES:
        return "none", f"There is: {', '.join(settings.CACHES)}."
    backend = settings.CACHES[alias].get("BACKEND")
    if backend in MEMORY_CACHES:
        return f"one of {backend.rpartition('.')[2]}", "Name one of Redis, Memcached or a database."
    return "", ""


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
    cache = settings.CACHES.get(alias, {})
    backend = cache.get("BACKEND")
    what, hint = _why_unshared(alias)
    if backend == "django.core.cache.backends.filebased.FileBasedCache":
        what = "files, which are for one host and a demonstration"
        hint = "They are culled at MAX_ENTRIES (300), and two processes may both win add(). Use Redis or a database."
    elif backend == "django.core.cache.backends.db.DatabaseCache" and not _max_entries(cache):
        what = "a table that is culled at 300 entries, so that heartbeats get lost"
        hint = 'Add "OPTIONS": {"MAX_ENTRIES": 10_000} to it, or use Redis.'
    if what:
        yield Warning(_unshared("STATUS_STORE", alias, what), hint, id="status.W032")


def _max_entries(cache: Mapping[str, Any]) -> Any:
    """Return the size at which a cache is culled, as its entry says it in one of two places; None where it does not."""
    options = cache.get("OPTIONS") or {}
    return cache.get("MAX_ENTRIES", options.get("MAX_ENTRIES"))


def process_warnings() -> Iterator[CheckMessage]:
    """Yield a file that drains nothing, and addresses at which no process can answer."""
    for problem in conf.serve_problems():
        yield Warning(str(problem), problem.hint, id="status.W035")
    if conf.serve and importlib.util.find_spec("celery") is None:
        message = "STATUS_SERVE should come with Celery, and celery is not installed."
        yield Warning(message, "pip install django-status[celery], or call status.serve().", id="status.W035")
    if conf.drain_file is not None and READY not in registry.presets():
        message = "STATUS_DRAIN_FILE should come with the built-in ready, and that is not there."
        hint = "It needs the resource health, and no resource of yours called ready. Remove the setting, or mend that."
        yield Warning(message, hint, id="status.W034")
    try:
        is_draining()
    except NoDrainFile as error:
        message = f"STATUS_DRAIN_FILE should be the path of a file, and what stands there {error}. Nothing drains."
        yield Warning(message, "Name a file that this host can make and remove.", id="status.W039")


def database_warnings() -> Iterator[CheckMessage]:
    """Yield databases that models are kept in and that DATABASES leaves empty: often DATABASE_URL is not set."""
    for alias in DatabaseCheck().configured():
        if connections.settings[alias]["ENGINE"] == NO_ENGINE:
            hint = "Set the environment variable that it is read from, or leave the models out of INSTALLED_APPS."
            yield Warning(f'DATABASES["{alias}"] should name an ENGINE, and is empty.', hint, id="status.W014")
