"""The last net: secrets that the settings hold do not leave, whatever string they stand in.

Not the way secrets are kept: answers are built from allow-lists and sentences of our own. This is for the provider of
somebody else that answers with a connection string, and for the log, where an exception tells its own story.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from status.conf import conf

MASK = "********"
#: Shorter values are no secrets worth the name, and would mask half of every answer.
MIN_LENGTH = 6
#: From this length a secret is masked wherever it stands, also inside a longer word.
LONG = 12
# Expressions are compiled when they are first used: most processes are asked long after they started.
#: Names of settings and options whose text is a secret; those of ``django.views.debug`` and a few that it misses.
SECRET = "(?i)API|AUTH(?!OR)|TOKEN|KEY|SECRET|PASS|PWD|SIGNATURE|CREDENTIAL|DSN|COOKIE_VALUE"
#: Named like secrets, and none: names of cookies and headers, places of files, dotted paths, switches.
HARMLESS = (
    "(?i)^KEY_|_(NAME|PATH|DIR|SOCK|HOST|PORT|CLASS|BACKENDS?|VALIDATORS|HASHERS|MODEL|URL|PREFIX|FUNCTION|AGE"
    "|TIMEOUT)$"
)
#: Where a shell is and was; no password, as the name would have it.
FOLDERS = {"PWD", "OLDPWD"}
#: Whatever stands before the host in an address is a login, also where nobody knows it.
LOGIN = r"(?<=://)[^\s/?#\"'<>]+@"
#: Logins in a setting: up to the first @, as the rule is, or to the last, as people forget to quote; a long user alone.
_USERINFO = (
    r"://[^\s/@:]*:([^\s@]+)@",
    r"://[^\s/@:]*:([^\s/]+)@",
    r"://([^\s/@:]{16,})@",
)
_PASSWORD = (
    r"(?i)(?:password|passwd|pwd|secret|token|api_?key|access_?key)[\"']?\s*[=:]\s*"
    r"(?:'([^']*)'|\"([^\"]*)\"|([^\s;&,]+))"
)
_WORDS = r"[^\s\"'=;,&@/:]+"
_PLAIN = r"(?a)[\w.~-]*"


class Secrets(NamedTuple):
    """long: masked wherever they stand. short: with the expression that finds them as a word of their own."""

    long: tuple[str, ...]
    short: tuple[tuple[str, re.Pattern[str]], ...]


def redact(text: str) -> str:
    """``text`` with asterisks for every known secret, and for whatever stands before the host in an address."""
    if len(text) < MIN_LENGTH:
        return text
    known = _known()
    if "://" in text and "@" in text:
        text = re.sub(LOGIN, f"{MASK}@", text)
    for secret in known.long:
        if secret in text:
            text = text.replace(secret, MASK)
    for secret, word in known.short:
        if secret in text:
            text = word.sub(MASK, text)
    return text


_cache: tuple[object, Secrets] = (None, Secrets((), ()))


def _known() -> Secrets:
    global _cache
    generation = conf.generation
    if _cache[0] is not generation:
        _cache = (generation, _collect())
    return _cache[1]


def _collect() -> Secrets:
    environment = (item for item in os.environ.items() if item[0] not in FOLDERS)
    found = {secret for name, value in (*conf.everything(), *environment) for secret in _secrets_in(name, value)}
    found = {spelling for secret in found for spelling in _spellings(secret)}
    found = {secret for secret in found if len(secret) >= MIN_LENGTH} - _vocabulary()
    ordered = sorted(found, key=len, reverse=True)
    return Secrets(
        tuple(secret for secret in ordered if len(secret) >= LONG),
        tuple(
            (secret, re.compile(rf"(?<![A-Za-z0-9]){re.escape(secret)}(?![A-Za-z0-9])"))
            for secret in ordered
            if len(secret) < LONG
        ),
    )


def _vocabulary() -> set[str]:
    """Words that answers are made of: a password that is one of them is none, and masking it would break dashboards."""
    words = {"default", "password", "unknown"}
    for setting in ("DATABASES", "CACHES", "STATUS_PROVIDERS", "STATUS_CHECK_PROVIDERS"):
        value = conf.read(setting, {})
        words.update(key for key in value if isinstance(key, str)) if isinstance(value, Mapping) else None
    return words


def _spellings(secret: str) -> Iterator[str]:
    """How ``secret`` may stand in a text: as it is, quoted for an address, escaped as Python shows it."""
    yield secret
    if not re.fullmatch(_PLAIN, secret):
        # Late: urllib.parse is slow to import, and most processes have no such secret.
        from urllib.parse import quote, quote_plus, unquote

        yield from (quote(secret), quote(secret, safe=""), quote_plus(secret), unquote(secret), repr(secret)[1:-1])
        # Files of keys are quoted by the line.
        yield from (line for line in secret.splitlines() if len(line) >= LONG)


def _secrets_in(name: str, value: Any) -> list[str]:
    try:
        return list(_secrets(name, value))
    except Exception:  # an object of the project's own that cannot be looked through must not take answers down
        return []


def _secrets(name: str, value: Any, hidden: bool = False, depth: int = 0) -> Iterator[str]:
    """The secrets in a setting: texts under a telling name, and logins in any URL or connection string."""
    hidden = hidden or (bool(re.search(SECRET, name)) and not re.search(HARMLESS, name))
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        if hidden:
            yield str(value)
        yield from _logins(value)
    elif isinstance(value, Mapping) and depth < 8:
        for key, item in value.items():
            yield from _secrets(str(key), item, hidden, depth + 1)
    elif isinstance(value, (list, tuple, set, frozenset)) and depth < 8:
        for item in value:
            yield from _secrets("", item, hidden, depth + 1)


def _logins(text: str) -> Iterator[str]:
    for expression in (*_USERINFO, _PASSWORD):
        for match in re.finditer(expression, text):
            login = next(group for group in match.groups() if group is not None)
            yield login
            # Drivers quote the piece of a connection string that they stumble over.
            yield from re.findall(_WORDS, login)
