"""The last net: secrets that the settings hold do not leave, whatever string they stand in.

Not the way secrets are kept: answers are built from allow-lists and sentences of our own. This is for the provider of
somebody else that answers with a connection string, and for the log, where an exception tells its own story.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from status.conf import conf

MASK = "********"
#: Shorter values are no secrets worth the name, and would mask half of every answer.
MIN_LENGTH = 6
#: From this length a secret is masked wherever it stands, also inside a longer word.
LONG = 12
#: Names of settings and options whose text is a secret; those of ``django.views.debug`` and a few that it misses.
SECRET = re.compile("API|AUTH(?!OR)|TOKEN|KEY|SECRET|PASS|PWD|SIGNATURE|CREDENTIAL|DSN|COOKIE_VALUE", re.IGNORECASE)
#: Named like secrets, and none: names of cookies and headers, dotted paths, switches.
HARMLESS = re.compile("_(NAME|PATH|CLASS|BACKENDS?|VALIDATORS|HASHERS|MODEL|URL|PREFIX|FUNCTION|AGE)$|^KEY_", re.IGNORECASE)
_USERINFO = re.compile(r"://[^\s/@:]*:([^\s@]+)@")
_PASSWORD = re.compile(r"(?:password|passwd|pwd)\s*=\s*(?:'([^']*)'|([^\s;&]+))", re.IGNORECASE)
_WORDS = re.compile(r"[^\s\"'=;,&@/:]+")


@dataclass(frozen=True)
class Secrets:
    """long: masked wherever they stand. short: with the expression that finds them as a word of their own."""

    long: tuple[str, ...]
    short: tuple[tuple[str, re.Pattern[str]], ...]


def redact(text: str) -> str:
    """``text`` with every known secret replaced by asterisks."""
    known = _known()
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
    found = {secret for name, value in conf.everything() for secret in _secrets(name, value)}
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
    """Words that answers are made of: a password that is one of them is none, and masking it would break every dashboard."""
    words = {"default", "password", "unknown"}
    for setting in ("DATABASES", "CACHES", "STATUS_PROVIDERS", "STATUS_CHECK_PROVIDERS"):
        value = conf.read(setting, {})
        words.update(key for key in value if isinstance(key, str)) if isinstance(value, Mapping) else None
    return words


def _secrets(name: str, value: Any, hidden: bool = False, depth: int = 0) -> Iterator[str]:
    """The secrets in a setting: texts under a telling name, and logins in any URL or connection string."""
    hidden = hidden or (bool(SECRET.search(name)) and not HARMLESS.search(name))
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        if hidden:
            yield value
        for match in (*_USERINFO.finditer(value), *_PASSWORD.finditer(value)):
            login = next(group for group in match.groups() if group is not None)
            # Late: urllib.parse is slow to import, and most processes have no such address in their settings.
            from urllib.parse import unquote

            yield from (login, unquote(login))
            # Drivers quote the piece of a connection string that they stumble over.
            yield from _WORDS.findall(login)
    elif isinstance(value, Mapping) and depth < 8:
        for key, item in value.items():
            yield from _secrets(str(key), item, hidden, depth + 1)
    elif isinstance(value, (list, tuple, set, frozenset)) and depth < 8:
        for item in value:
            yield from _secrets("", item, hidden, depth + 1)
