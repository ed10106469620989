"""Every setting of the app: one property each, its default beside it, read when it is needed.

The values come from Django's settings where Django is configured, else from a plain module or class
(``DJANGO_STATUS_SETTINGS``), else from the defaults alone. A value of the wrong kind is answered as its default; what
is wrong with it is told by ``problems()``, which ``manage.py check`` reports.
"""

from __future__ import annotations

import math
import os
import sys
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

#: What the app asks of a Django project that configures nothing.
DJANGO_PROVIDERS: dict[str, list[Any]] = {
    "health": [
        ("ping", "status.providers.health.ping"),
        ("databases", "status.providers.django.health.databases"),
        ("caches", "status.providers.django.health.caches"),
    ],
    "stats": [("databases", "status.providers.django.stats.databases"), ("code", "status.providers.stats.code")],
}
#: What it asks where there is no Django project.
STANDALONE_PROVIDERS: dict[str, list[Any]] = {
    "health": [("ping", "status.providers.health.ping")],
    "stats": [("code", "status.providers.stats.code")],
}

#: What the pages may load and do unless STATUS_PAGE_POLICY says otherwise: their own files, and ask again.
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Problem(NamedTuple):
    """A mistake in the settings: where, what should stand there, what does, and what to do about it."""

    setting: str
    expected: str
    found: str
    hint: str

    def __str__(self) -> str:
        return f"{self.setting} should be {self.expected}, not {self.found}."


class Setting:
    """One setting, as a property of ``Conf``: read on access, and its default where the value is of the wrong kind.

    name: as the user spells it.
    default: what an absent or unusable setting means.
    expected: the right kind, in words that follow "should be".
    valid: tells the right kind; must not raise for any value.
    hint: the remedy.
    """

    def __init__(self, name: str, default: Any, expected: str, valid: Callable[[Any], bool], hint: str) -> None:
        self.name, self.default, self.expected, self.valid, self.hint = name, default, expected, valid, hint

    def __get__(self, conf: Conf, owner: type[Conf]) -> Any:
        if conf is None:
            return self
        value = conf.read(self.name, self.default)
        return value if value is self.default or self.valid(value) else self.default

    def problem(self, conf: Conf) -> Problem | None:
        value = conf.read(self.name, self.default)
        return None if self.valid(value) else Problem(self.name, self.expected, found(value), self.hint)


def found(value: Any) -> str:
    """What a setting holds, in words that show no secret: its type, and the value only where it is a mere switch."""
    if value is None or isinstance(value, (bool, int, float)):
        return repr(value)
    return f"a {type(value).__name__}"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def is_timeout(value: Any) -> bool:
    return _is_number(value) and 0 < value <= threading.TIMEOUT_MAX


def is_max_age(value: Any) -> bool:
    return _is_number(value) and value >= 0


def _is_names(value: Any) -> bool:
    return isinstance(value, (list, tuple, set, frozenset)) and all(isinstance(item, str) for item in value)


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)


def _is_path(value: Any) -> bool:
    return value is None or (isinstance(value, (str, os.PathLike)) and str(value) != "")


#: What ``django.conf.settings`` keeps, from the first time that it was seen configured; it never goes back.
_configured: dict[str, Any] | None = None


def _django_settings() -> Any:
    """The object that holds Django's settings, where they are configured or the environment says where; else None."""
    global _configured
    if _configured is None:
        module = sys.modules.get("django.conf")
        if module is None and os.environ.get("DJANGO_SETTINGS_MODULE"):
            module = import_module("django.conf")
        if module is None or not (module.settings.configured or os.environ.get("DJANGO_SETTINGS_MODULE")):
            return None
        _ = module.settings.INSTALLED_APPS  # loads them
        _configured = object.__getattribute__(module.settings, "__dict__")
    return _configured["_wrapped"]


def _look_up(holder: Any, name: str, default: Any) -> Any:
    """``getattr(settings, name, default)``, ten times faster where the setting is absent, as most of ours are.

    A probe reads a dozen of them, and ``LazySettings`` raises and catches an exception or two for each. So look where
    Django keeps them, and ask it itself where they are kept in any other way.
    """
    while type(holder).__module__ == "django.conf":
        values = holder.__dict__
        if name in values:
            return values[name]
        if "default_settings" not in values or name in values["_deleted"]:
            return default
        holder = values["default_settings"]
    return getattr(holder, name, default)


class Conf:
    """The settings of the app, read when they are asked for.

    source: a module or class that holds them, instead of Django's settings. The commands set it; nobody else needs to.
    """

    source: object | None = None
    #: Whether warnings may go to standard error where nobody has configured the log. The commands say no.
    log_to_stderr = True

    timeout = Setting(
        "STATUS_TIMEOUT",
        2,
        "a positive number of seconds",
        is_timeout,
        "Give the deadline of each provider in seconds, for example 2.",
    )
    max_age = Setting(
        "STATUS_MAX_AGE",
        0,
        "a number of seconds, 0 or more",
        is_max_age,
        "Give the seconds an answer may be reused, for example 5; 0 asks anew each time.",
    )
    error_code = Setting(
        "STATUS_ERROR_CODE",
        503,
        "an HTTP status between 200 and 599",
        lambda value: isinstance(value, int) and not isinstance(value, bool) and 200 <= value <= 599,
        "Use 503, or 200 for the classic behaviour.",
    )
    informational = Setting(
        "STATUS_INFORMATIONAL",
        ("stats",),
        "a list of resource names",
        _is_names,
        'Write a tuple with its comma: ("stats",).',
    )
    celery_workers = Setting(
        "STATUS_CELERY_WORKERS",
        (),
        "a list of Celery node names",
        _is_names,
        'Write a tuple with its comma: ("celery@web1",).',
    )
    celery_app = Setting(
        "STATUS_CELERY_APP",
        None,
        'a dotted path "module:attribute" or None',
        lambda value: value is None or isinstance(value, str),
        'Name your Celery app, for example "proj.celery:app".',
    )
    public = Setting(
        "STATUS_PUBLIC",
        None,
        "a list of resource names",
        lambda value: value is None or _is_names(value),
        'Name the resources that strangers may ask for, for example ("health",); () closes all but ping.',
    )
    show_details = Setting(
        "STATUS_SHOW_DETAILS",
        "when-authorized",
        '"when-authorized", "never" or "always"',
        lambda value: value in ("when-authorized", "never", "always"),
        "Choose who sees reasons, durations and full answers.",
    )
    tokens = Setting(
        "STATUS_TOKENS",
        (),
        "a list of tokens",
        _is_list_of_text,
        "Write a tuple with its comma, also for one token, and keep the tokens themselves out of the source code.",
    )
    networks = Setting(
        "STATUS_NETWORKS",
        (),
        "a list of networks",
        _is_list_of_text,
        'Write a tuple with its comma: ("10.0.0.0/8",).',
    )
    trusted_proxies = Setting(
        "STATUS_TRUSTED_PROXIES",
        (),
        "a list of networks",
        _is_list_of_text,
        'Write a tuple with its comma: ("10.0.0.1/32",).',
    )
    permission = Setting(
        "STATUS_PERMISSION",
        None,
        "a callable f(request) -> bool, or the dotted path to one",
        lambda value: value is None or callable(value) or (isinstance(value, str) and "." in value),
        'Name the callable, for example "proj.status.may_see".',
    )
    history_cache = Setting(
        "STATUS_HISTORY_CACHE",
        None,
        "the alias of a cache in CACHES, or None",
        lambda value: value is None or (isinstance(value, str) and value != ""),
        'Name the cache through which the processes share what the pages remember, for example "default".',
    )
    page_policy = Setting(
        "STATUS_PAGE_POLICY",
        PAGE_POLICY,
        "a Content-Security-Policy, or None",
        lambda value: value is None or (isinstance(value, str) and value.isprintable()),
        "Give the policy that your own templates of the pages need, or None to leave it to your middleware.",
    )
    synchronous = Setting(
        "STATUS_SYNCHRONOUS",
        False,
        "True or False",
        lambda value: isinstance(value, bool),
        "Set it to True in test settings only: checks then run in the calling thread, without a deadline.",
    )

    @property
    def providers(self) -> Any:
        """The set in force before additions: resource -> entries, as the user wrote it, unchecked."""
        return self.read("STATUS_PROVIDERS", self.default_providers)

    @property
    def default_providers(self) -> dict[str, list[Any]]:
        """The set that is in force where ``STATUS_PROVIDERS`` is not set."""
        return DJANGO_PROVIDERS if self.in_django else STANDALONE_PROVIDERS

    @property
    def check_providers(self) -> Any:
        """What is added to the set in force: resource -> entries, as the user wrote it, unchecked."""
        return self.read("STATUS_CHECK_PROVIDERS", {})

    @property
    def project_path(self) -> Path:
        """Where the source code is: ``PROJECT_PATH``, else ``BASE_DIR``, else the working directory."""
        # Late: few questions are about the source code, and pathlib is slow to import.
        from pathlib import Path

        for name in ("PROJECT_PATH", "BASE_DIR"):
            value = self.read(name, None)
            if value is not None and _is_path(value):
                return Path(value)
        return Path.cwd()

    @property
    def in_django(self) -> bool:
        """Whether the settings are those of a Django project."""
        return self.source is None and _django_settings() is not None

    def read(self, name: str, default: Any) -> Any:
        """The setting ``name`` exactly as it is written, or ``default``."""
        if self.source is not None:
            return getattr(self.source, name, default)
        settings = _django_settings()
        return default if settings is None else _look_up(settings, name, default)

    @property
    def generation(self) -> object:
        """Something that is another object when other settings are in force."""
        return _django_settings() if self.source is None else self.source

    def everything(self) -> Iterator[tuple[str, Any]]:
        """Every setting there is, those of Django and of the project included: ``(name, value)``."""
        holder = _django_settings() if self.source is None else self.source
        for name in dir(holder) if holder is not None else ():
            if name.isupper():
                yield name, self.read(name, None)

    def problems(self) -> list[Problem]:
        """The settings of the wrong kind. Those of the providers are told by the registry, which reads them."""
        settings = [value for value in vars(type(self)).values() if isinstance(value, Setting)]
        return [problem for problem in (setting.problem(self) for setting in settings) if problem is not None]


conf = Conf()
