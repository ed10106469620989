"""Mask the secrets of the settings and the environment in answers and in the log, as the last of several measures.

Built-in providers answer from allow-lists and with fixed sentences. This is for foreign providers that answer with a
connection string, and for exceptions in the log. Only what is a secret beyond doubt is masked, by the name of its
setting and by its looks. A password that is a word stays: masking it would tell what it is, and rename databases,
hosts and workers that are called the same.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import chain
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from status.conf import LOGIN, MASK, conf

#: Shorter texts are not masked.
MIN_LENGTH = 8
#: A text of this length or more is no word.
MAX_WORD = 32
#: Longer settings and variables hold data, not a secret.
MAX_SETTING = 65_536
#: Containers in a setting are looked through to this depth.
MAX_NESTING = 8
#: A word or number such as OperationalError, PostgreSQL15, 24T10: it may begin and end with a few digits.
WORD = re.compile(r"[0-9]{0,4}[A-Z]*[a-z\u0080-\U0010ffff]*(?:[A-Z][a-z]+){0,4}[A-Z]*[0-9]{0,4}|[0-9]+")
#: No word: letters of both cases and digits, as in hoqcuN-7xohro-mawvyx.
MIXTURE = re.compile(r"(?=.*[A-Z])(?=.*[a-z])(?=.*[0-9]).{16}", re.DOTALL)
SEPARATORS = re.compile(r"[\x00-/:-@\[-`{-\x7f]+")
#: Names of settings and options whose texts are secrets, also those in a list or dict below them.
SECRET_SETTING = re.compile(
    r"(?i)(PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|SIGNATURE|CREDENTIAL)S?$"
    r"|(^|[ _-])(PASS|PWD|AUTH|DSN|PASSFILE|SSLKEY"
    r"|(SECRET|PRIVATE|API|ACCESS|ACCOUNT|AUTH|SIGNING|ENCRYPTION|MASTER|SSH|RAW)_?KEYS?(_FALLBACKS)?)$"
)
#: Names of environment variables that are secrets besides, whatever stands before the key, of one that is the working
#: directory although a setting of that name is a secret, and of those that may have a password in them.
SECRET_VARIABLE = re.compile(r"(?i)(PRIVATE|SECRET|ACCESS|API)_KEY$")
WORKING_DIRECTORY = "PWD"
URL_VARIABLE = re.compile(r"(?i)(URL|URI|DSN)S?$")
#: Settings whose keys are aliases, which answers name.
CONFIGURED = ("DATABASES", "CACHES", "STORAGES", "MAILERS", "TASKS")
#: Passwords in a URL: up to the first @, as the rule is, or to the last, as people forget to quote; long users alone.
#: Each within a length, as a setting may hold thousands of addresses and one @.
URL_PASSWORD = (
    re.compile(r"://[^\s/@:]{0,256}:([^\s@]{1,1024})@"),
    re.compile(r"://[^\s/@:]{0,256}:([^\s/]{1,1024})@"),
    re.compile(r"://([^\s/@:]{16,1024})@"),
)
#: Passwords in a connection string or in JSON.
NAMED_PASSWORD = re.compile(
    r"(?i)(?:password|passwd|pwd|secret|token|(?:api|access|private)_?key)[\"']?\s*[=:]\s*"
    r"(?:'([^']*)'|\"([^\"]*)\"|([^\s;&,]+))"
)
#: Drivers quote the piece of a connection string that they stumble over.
PIECES = re.compile(r"[^\s\"'=;,&@/:]+")


class Redactor:
    """Masks secrets in the texts of one answer. Reads the settings once, and only when a text may hold a secret."""

    mask = MASK

    def __init__(self) -> None:
        self._secrets: list[str] | None = None

    def redact(self, text: str) -> str:
        """Return ``text`` with asterisks for every known secret, and for every login in a URL."""
        if "://" in text and "@" in text:
            text = LOGIN.sub(f"{MASK}@", text)
        if is_word(text):
            return text  # it is too plain to hold a secret
        if self._secrets is None:
            self._secrets = secrets()
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, MASK)
        return text


def redact(text: str) -> str:
    """Return ``text`` with asterisks for every known secret, and for every login in a URL."""
    return Redactor().redact(text)


def is_word(text: str) -> bool:
    """Return whether ``text`` may be a word, a name, a number, a version or a host: too plain for a secret."""
    if len(text) < MIN_LENGTH:
        return True
    return len(text) < MAX_WORD and not MIXTURE.match(text) and all(map(WORD.fullmatch, SEPARATORS.split(text)))


def secrets() -> list[str]:
    """Return every secret of the settings and the environment in every spelling, the longest first."""
    known: set[str] = set()
    for name, value in conf.everything():
        try:
            known.update(_secrets_in(value, _is_secret(SECRET_SETTING, name)))
        except Exception:  # an object of the project that cannot be looked through must not take answers down
            continue
    for name in os.environ:
        hidden = _is_secret(SECRET_SETTING, name) or _is_secret(SECRET_VARIABLE, name)
        if name != WORKING_DIRECTORY and (hidden or _is_secret(URL_VARIABLE, name)):
            known.update(_secrets_in(os.environ.get(name), hidden))
    # The names of what is configured are no secrets, also where a secret is spelled the same.
    names = set(conf.celery_workers)
    for setting in (*CONFIGURED, "STATUS_PROVIDERS", "STATUS_CHECK_PROVIDERS"):
        value = conf.read(setting, {})
        names.update(map(str, value) if isinstance(value, Mapping) else ())
    return [secret for secret in _spellings(frozenset(known)) if secret not in names]


@lru_cache(maxsize=1_000)
def _is_secret(expression: re.Pattern[str], name: str) -> bool:
    return expression.search(name) is not None


def _secrets_in(value: Any, hidden: bool, depth: int = 0) -> Iterator[str]:
    """Yield the texts in a setting that are ``hidden`` by its name, and the passwords in any other."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str) and len(value) <= MAX_SETTING:
        if hidden:
            yield str(value)
        found = NAMED_PASSWORD.findall(value) if "=" in value or ":" in value else []
        if "://" in value and "@" in value:
            found += [(match,) for expression in URL_PASSWORD for match in expression.findall(value)]
        for password in filter(None, chain.from_iterable(found)):
            yield from (password, *PIECES.findall(password))
    elif isinstance(value, Mapping) and depth < MAX_NESTING:
        for key, item in value.items():
            yield from _secrets_in(item, hidden or _is_secret(SECRET_SETTING, str(key)), depth + 1)
    elif isinstance(value, (list, tuple, set, frozenset)) and depth < MAX_NESTING:
        for item in value:
            yield from _secrets_in(item, hidden, depth + 1)


@lru_cache(maxsize=2)
def _spellings(secrets: frozenset[str]) -> list[str]:
    """Return secrets as they may stand in a text: as they are, quoted for a URL, escaped, and by the line."""
    found: set[str] = set()
    for secret in secrets:
        # A variable of the environment may hold bytes that are not UTF-8. No answer holds those.
        plain = secret.encode("utf-8", "replace").decode()
        found.update((plain, quote(plain), quote(plain, safe=""), quote_plus(plain), unquote(plain), repr(plain)[1:-1]))
        found.update(plain.splitlines())
    return sorted((text for text in found if not is_word(text)), key=len, reverse=True)
