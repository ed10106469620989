"""Kinds of arguments that several providers take."""

from __future__ import annotations

from typing import Any

from status.conf import is_max_age
from status.providers.base import Kind


def is_count(value: Any) -> bool:
    """Return whether ``value`` is a whole number, 0 or more."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_list_of_text(value: Any) -> bool:
    """Return whether ``value`` is a list, tuple or set of text. An empty one would ask nothing, and be well."""
    return (
        bool(value)
        and isinstance(value, (list, tuple, set, frozenset))
        and all(isinstance(item, str) for item in value)
    )


COUNT = Kind("a whole number, 0 or more", is_count)
NAMES = Kind("a list of names, or one name", lambda value: isinstance(value, str) or is_list_of_text(value))
SECONDS = Kind("a number of seconds, 0 or more, or None", lambda value: value is None or is_max_age(value))
SWITCH = Kind("True or False", lambda value: isinstance(value, bool))


def listed(names: Any) -> list[str]:
    """Return ``NAMES`` as a list, each once."""
    return [names] if isinstance(names, str) else list(dict.fromkeys(names))
