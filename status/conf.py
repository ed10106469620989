"""The settings of this app: one descriptor each, with its default beside it, read on every access.

The values come from a plain module or class (``DJANGO_STATUS_SETTINGS``) where the command named one, else from
Django's settings where Django is configured, else the defaults are in force. A value of the wrong kind counts as its
default, and ``manage.py check`` reports it.
"""

from __future__ import annotations

import math
import os
import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from copy import copy
from importlib import import_module
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

#: ``STATUS_PROVIDERS`` of a Django project that does not set it.
DJANGO_PROVIDERS: dict[str, list[Any]] = {
    "health": [
        ("ping", "status.providers.health.ping"),
        ("databases", "status.providers.django.health.databases"),
        ("caches", "status.providers.django.health.caches"),
    ],
    "stats": [("databases", "status.providers.django.stats.databases"), ("code", "status.providers.stats.code")],
}
#: The same where there is no Django project.
STANDALONE_PROVIDERS: dict[str, list[Any]] = {
    "health": [("ping", "status.providers.health.ping")],
    "stats": [("code", "status.providers.stats.code")],
}

#: The kinds of Celery processes that ``STATUS_SERVE`` knows.
ROLES = ("worker", "beat")
#: What may stand there, and in ``status.serve()``.
ADDRESS = 'an IP address and a port, such as "127.0.0.1:8090" or "[::1]:8090"'

#: Settings that 2.3 read from plain modules, and in lower case only.
LOWER_IN_CLASSIC = ("STATUS_PROVIDERS", "STATUS_CHECK_PROVIDERS", "STATUS_CELERY_WORKERS", "PROJECT_PATH", "BASE_DIR")

#: ``STATUS_PAGE_POLICY`` unless it is set: the pages load their own files, and ask their own site again. Middleware of
#: projects parses it, and stumbles over directives that are less known: frames are kept out by ``X-Frame-Options``.
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'none'"
)

MASK = "********"
#: A login in a URL: it is masked also where no setting holds it.
LOGIN = re.compile(r"(?<=://)[^\s/?#\"'<>]+@")


class Problem(NamedTuple):
    """A mistake in the settings.

    setting: where it is, as the user spells it.
    expected: what should stand there, in words that follow "should be".
    found: what stands there, without its value where that may be a secret.
    hint: the remedy.
    """

    setting: str
    expected: str
    found: str
    hint: str

    def __str__(self) -> str:
        return f"{self.setting} should be {self.expected}, not {self.found}."


def found(value: Any) -> str:
    """Return what a setting holds in words that show no secret: its type; the value only of numbers and switches."""
    if value is not None and not isinstance(value, (bool, int, float)):
        empty = isinstance(value, (str, bytes, list, tuple, dict, set, frozenset)) and not value
        return f"{'an empty' if empty else 'a'} {type(value).__name__}"
    try:
        return repr(value)
    except ValueError:  # Python declines to print more than 4,300 digits
        return "a number too long to be shown"


def shown(value: Any) -> str:
    """Return the same for what is no secret, such as a name: text is shown, short and in printable characters.

    A URL with a login may stand there by mistake.
    """
    return ascii(LOGIN.sub(f"{MASK}@", str(value))[:40]) if isinstance(value, (str, Path)) else found(value)


def found_in(value: Any) -> str:
    """Return the same with the types in a list or dict, unless all is text: often a variable is missing, and None."""
    items: Iterable[Any] = value if isinstance(value, (list, tuple, set, frozenset)) else ()
    if isinstance(value, dict):
        items = value.values()
    types = sorted({type(item).__name__ for item in items})
    if set(types) <= {"str"}:
        return found(value)
    return f"{found(value)} with items of the type{'s' * (len(types) > 1)} {', '.join(types)}"


class Setting:
    """A setting as an attribute of ``Conf``: read on access, and its default where the value is of the wrong kind.

    name: as the user spells it.
    default: the value where it is not set, or of the wrong kind.
    expected: the right kind, in words that follow "should be".
    valid: returns whether a value is of the right kind; must not raise for any value.
    hint: the remedy.
    describe: returns how a message shows a value of the wrong kind.
    """

    def __init__(
        self,
        name: str,
        default: Any,
        expected: str,
        valid: Callable[[Any], bool],
        hint: str,
        describe: Callable[[Any], str] = found_in,
    ) -> None:
        self.name, self.default, self.expected = name, default, expected
        self.valid, self.hint, self.describe = valid, hint, describe

    def __get__(self, conf: Conf | None, owner: type[Conf]) -> Any:
        if conf is None:
            return self
        value = conf.read(self.name, self.default)
        return value if value is self.default or self.valid(value) else self.default


def host_and_port(address: Any) -> tuple[str, int] | None:
    """Return the two parts of ``127.0.0.1:8090`` or ``[::1]:8090``; None for what is no such address."""
    host, _, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
    in_brackets = host.startswith("[") and host.endswith("]")
    try:
        version = ip_address(host[1:-1] if in_brackets else host).version
    except ValueError:
        return None
    is_port = port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65_536
    if (version == 6) != in_brackets or not is_port:
        return None
    return host.strip("[]"), int(port)


def _is_alias(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value != "")


def is_timeout(value: Any) -> bool:
    """Return whether ``value`` is a number of seconds that a thread can wait for."""
    return is_number(value) and 0 < value <= threading.TIMEOUT_MAX


#: What ``is_short_name`` expects.
SHORT_NAME = "a name of 1 to 100 printable characters without a slash"


def is_short_name(value: Any) -> bool:
    """Return whether ``value`` can be the name of a heartbeat or a loop."""
    return isinstance(value, str) and value.isprintable() and 0 < len(value) <= 100 and "/" not in value


def is_number(value: Any) -> bool:
    """Return whether ``value`` is a finite number, 0 or more."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= sys.float_info.max


def is_whole(value: Any, least: int = 0, most: float = math.inf) -> bool:
    """Return whether ``value`` is a whole number from ``least`` to ``most``."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_directory_path(value: Any) -> bool:
    """Return whether ``value`` can be the path of a directory; None and an empty text count as not set."""
    try:
        return value is None or "\0" not in os.fspath(value)
    except Exception:  # no path, or a class of the project's whose method raises
        return False


def is_absolute_path(text: str) -> bool:
    """Return whether the text is a path that means the same in every working directory."""
    return os.path.isabs(text) and text.isprintable()


def is_names(value: Any) -> bool:
    """Return whether ``value`` is a list, tuple or set of text."""
    return isinstance(value, (list, tuple, set, frozenset)) and all(isinstance(item, str) for item in value)


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and is_names(value)


class Conf:
    """The settings of the app, read when they are asked for.

    source: a module or class that is read instead of Django's settings. The standalone command sets it.
    """

    source: object | None = None
    #: Django's settings, once they are configured.
    _of_django: Any = None

    code_path = Setting(
        "PROJECT_PATH",
        None,
        "the path of a directory, or None",
        is_directory_path,
        "Name the directory where the source code is, or leave it to BASE_DIR.",
    )
    base_dir = Setting(
        "BASE_DIR",
        None,
        "the path of a directory, or None",
        is_directory_path,
        "It counts where PROJECT_PATH is not set. Set that, or correct it.",
    )
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
        is_number,
        "Give the seconds an answer may be reused, for example 5; 0 asks anew each time.",
    )
    error_code = Setting(
        "STATUS_ERROR_CODE",
        503,
        "an HTTP status between 200 and 599",
        lambda value: is_whole(value, 200, 599),
        "Use 503, or 200 for the classic behaviour.",
    )
    informational = Setting(
        "STATUS_INFORMATIONAL",
        ("stats",),
        "a list of resource names",
        is_names,
        'Write a tuple with its comma: ("stats",).',
    )
    celery_workers = Setting(
        "STATUS_CELERY_WORKERS",
        (),
        "a list of Celery node names",
        is_names,
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
        lambda value: value is None or is_names(value),
        'Name the resources that strangers may ask for, for example ("health",); () closes all but ping and live.',
    )
    show_details = Setting(
        "STATUS_SHOW_DETAILS",
        "when-authorized",
        '"when-authorized", "never" or "always"',
        lambda value: value in ("when-authorized", "never", "always"),
        "Choose who sees reasons, durations and full answers.",
        shown,
    )
    tokens = Setting(
        "STATUS_TOKENS",
        (),
        "a list of tokens",
        _is_list_of_text,
        "Write a tuple with its comma, also for one token, and keep the tokens themselves out of the source code.",
    )
    networks = Setting(
        "STATUS_NETWORKS", (), "a list of networks", _is_list_of_text, 'Write a tuple with its comma: ("10.0.0.0/8",).'
    )
    trusted_proxies = Setting(
        "STATUS_TRUSTED_PROXIES",
        (),
        "a list of networks",
        _is_list_of_text,
        'Write a tuple with its comma: ("10.0.0.1/32",), or ("unix",) for a proxy on a Unix socket.',
    )
    permission = Setting(
        "STATUS_PERMISSION",
        None,
        "a callable f(request) -> bool, or the dotted path to one",
        lambda value: value is None or callable(value) or (isinstance(value, str) and "." in value),
        'Name the callable, for example "proj.status.may_see".',
        shown,
    )
    urlconfs = Setting(
        "STATUS_URLCONFS",
        (),
        "a list of urlconfs",
        _is_list_of_text,
        'Write a tuple with its comma: ("shop.urls",).',
    )
    history_cache = Setting(
        "STATUS_HISTORY_CACHE",
        None,
        "the alias of a cache in CACHES, or None",
        _is_alias,
        'Name the cache through which the processes share what the pages remember, for example "default".',
    )
    store = Setting(
        "STATUS_STORE",
        None,
        "the alias of a cache in CACHES, or None",
        _is_alias,
        'Name a cache that all processes share, best one of its own: STATUS_STORE = "status".',
    )
    heartbeats = Setting(
        "STATUS_HEARTBEATS",
        {},
        "a dict of name -> seconds",
        lambda value: isinstance(value, Mapping),
        'Write {"backup": 24 * 3600}: the name of each job, and the seconds within which it comes again.',
    )
    drain_file = Setting(
        "STATUS_DRAIN_FILE",
        None,
        "the absolute path of a file, or None",
        lambda value: value is None or (isinstance(value, (str, Path)) and is_absolute_path(str(value))),
        'Name a file in a directory that the project may write to, for example "/run/shop/draining".',
        shown,
    )
    serve = Setting(
        "STATUS_SERVE",
        {},
        "a dict of role -> address",
        lambda value: isinstance(value, Mapping),
        'Write {"worker": "127.0.0.1:8090", "beat": "127.0.0.1:8091"}.',
    )
    page_policy = Setting(
        "STATUS_PAGE_POLICY",
        PAGE_POLICY,
        "a Content-Security-Policy, or None",
        lambda value: value is None or (isinstance(value, str) and value.isprintable()),
        "Give the policy that your own templates of the pages need, or None to leave it to your middleware.",
        shown,
    )
    synchronous = Setting(
        "STATUS_SYNCHRONOUS",
        False,
        "True or False",
        lambda value: isinstance(value, bool),
        "Set it to True in test settings only: checks then run in the calling thread, without a deadline.",
    )

    def heartbeat_periods(self) -> tuple[dict[str, float], dict[str, Problem]]:
        """Return name -> seconds of ``STATUS_HEARTBEATS``, and name -> the mistake of entries that cannot be used."""
        periods, problems = {}, {}
        for number, (name, seconds) in enumerate(self.heartbeats.items()):
            if not is_short_name(name):
                where = f"STATUS_HEARTBEATS key {number}"
                problems[f"invalid-{number}"] = Problem(where, SHORT_NAME, shown(name), "Rename the heartbeat.")
            elif not is_timeout(seconds):
                hint = "Give the seconds within which it comes again."
                problem = Problem(f'STATUS_HEARTBEATS["{name}"]', "a positive number of seconds", found(seconds), hint)
                problems[name] = problem
            else:
                periods[name] = float(seconds)
        return periods, problems

    def serve_problems(self) -> list[Problem]:
        """Return the mistakes in entries of ``STATUS_SERVE``."""
        problems, seen = [], set[Any]()
        for role, address in self.serve.items():
            if role not in ROLES:
                hint = "These are the processes of Celery; others call status.serve()."
                problems.append(Problem("STATUS_SERVE key", " or ".join(map(repr, ROLES)), shown(role), hint))
                continue
            parsed = host_and_port(address)
            where = f'STATUS_SERVE["{role}"]'
            if parsed is None:
                problems.append(Problem(where, ADDRESS, shown(address), "Names are not looked up."))
            elif parsed in seen:
                hint = "Both may run on one host. Give each a port of its own."
                problems.append(Problem(where, "another address than that of the other role", "the same", hint))
            seen.add(parsed)
        return problems

    @property
    def project_path(self) -> Path:
        """Return where the source code is: ``PROJECT_PATH``, else ``BASE_DIR``, else the working directory."""
        for value in (self.code_path, self.base_dir):
            if value is not None and os.fspath(value):
                return Path(value)
        return Path.cwd()

    @property
    def in_django(self) -> bool:
        """Return whether the settings are those of a Django project."""
        return self.source is None and self._settings() is not None

    def read(self, name: str, default: Any) -> Any:
        """Return the setting ``name`` exactly as it is written, or ``default``."""
        settings = self._settings()
        if self.source is not None and name.lower() in self.in_lower_case():
            name = name.lower()
        return getattr(settings, name, default)

    def give_defaults_to_django(self) -> None:
        """Set what the project does not set to its default in Django's settings, unless they refuse that.

        Django needs several times as long to find out that a setting is missing as to read one, and one answer reads
        twenty, most of which no project sets.
        """
        if not self.in_django:
            return
        settings = self._settings()
        defaults = {setting.name: setting.default for setting in self.declared()} | {"STATUS_CHECK_PROVIDERS": {}}
        # ``modify_settings`` makes a list of what is not set, and cannot of None.
        del defaults["STATUS_PUBLIC"]
        for name, default in defaults.items():
            with suppress(Exception):  # of an object of the project's that stands in for Django's
                if name.startswith("STATUS_") and not hasattr(settings, name):
                    setattr(settings, name, copy(default))

    def declared(self) -> list[Setting]:
        """Return the settings above."""
        return [one for one in vars(type(self)).values() if isinstance(one, Setting)]

    def names(self) -> list[str]:
        """Return the names of all settings, also of those that the registry reads."""
        return ["STATUS_PROVIDERS", "STATUS_CHECK_PROVIDERS", *(setting.name for setting in self.declared())]

    def in_lower_case(self) -> list[str]:
        """Return the settings that a plain module has in lower case only, as it was written for 2.3."""
        return [
            name.lower()
            for name in LOWER_IN_CLASSIC
            if hasattr(self.source, name.lower()) and not hasattr(self.source, name)
        ]

    def everything(self) -> Iterator[tuple[str, Any]]:
        """Yield every setting of the project as ``(name, value)``, also those of other apps; not Django's defaults."""
        settings = self._settings()
        defaults = sys.modules.get("django.conf.global_settings")
        for name in () if settings is None else dir(settings):
            # To read one of the two URLs, Django imports its urlconf machinery, and a check may wait for that.
            if name.isupper() and name not in ("MEDIA_URL", "STATIC_URL"):
                try:
                    value = getattr(settings, name, None)
                except Exception:  # Django refuses to show an empty SECRET_KEY
                    continue
                if value is not getattr(defaults, name, None):
                    yield name, value

    def problems(self) -> list[Problem]:
        """Return the mistakes in the settings above; the registry knows those in the settings of providers."""
        problems = []
        for setting in self.declared():
            value = self.read(setting.name, setting.default)
            if not setting.valid(value):
                what = setting.describe(value)
                problems.append(Problem(setting.name, setting.expected, what, setting.hint))
        return problems

    def _settings(self) -> Any:
        """Return what holds the settings; None where there is no ``source`` and no Django project."""
        if self.source is None and self._of_django is None:
            module = sys.modules.get("django.conf")
            if module is None or not module.settings.configured:
                if not os.environ.get("DJANGO_SETTINGS_MODULE"):
                    return None
                module = import_module("django.conf")
                _ = module.settings.INSTALLED_APPS  # a settings module that cannot be loaded raises here
            self._of_django = module.settings
        return self._of_django if self.source is None else self.source


conf = Conf()
