"""Kinds of arguments that several providers take."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from status.conf import is_number, is_whole
from status.providers.base import Kind


def is_path(value: Any) -> bool:
    """Return whether ``value`` is an absolute path as text."""
    path = os.fspath(value) if isinstance(value, (str, os.PathLike)) else None
    return isinstance(path, str) and os.path.isabs(path) and "\0" not in path


def listed(value: Any) -> list[Any]:
    """Return the items of a list, tuple or set, or the one value that stands in the place of a list."""
    return list(value) if isinstance(value, (list, tuple, set, frozenset)) else [value]


def one_or_more(valid: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return what tells whether a value is valid, or a list that is not empty of valid ones."""
    return lambda value: bool(listed(value)) and all(map(valid, listed(value)))


#: Thresholds: None means that there is none.
AMOUNT = Kind("a number, 0 or more, or None", lambda value: value is None or is_number(value))
PERCENT = Kind("a number from 0 to 100, or None", lambda value: value is None or (is_number(value) and value <= 100))
SECONDS = Kind("a number of seconds, 0 or more, or None", AMOUNT.valid)
COUNT = Kind("a whole number, 0 or more", is_whole)
NAMES = Kind("a list of names, or one name", one_or_more(lambda value: isinstance(value, str)))
SWITCH = Kind("True or False", lambda value: isinstance(value, bool))
