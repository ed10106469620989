"""A provider's answer, of any shape and size, as HTML: lists of facts, tables, folded branches.

Everything that comes from the answer passes through ``escape``; all else is written here. It is built in Python, as
templates that include themselves would take too long: an answer may hold thousands of values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from itertools import islice
from typing import TypeGuard

from django.utils.html import escape
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

from status.pages import units
from status.serialization import CUT, JSON

#: Branches of up to this many values are open; larger ones are folded.
MAX_OPEN = 24
#: Characters of text that are not folded.
MAX_TEXT = 300
#: A table with more columns than this is harder to read than a list.
MAX_COLUMNS = 12

_DATE = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?\s?(Z|[+-]\d\d:?\d\d)?\Z", re.ASCII)
_PERCENT = re.compile(r"(^|[_ .-])(percent|percentage)$", re.IGNORECASE)
_EPOCH = re.compile(r"(_at|_on|timestamp|_time)$", re.IGNORECASE)
#: Seconds since 1970 of the years 2001 to 2100: other numbers are hardly moments.
_MOMENTS = range(10**9, 4_102_444_800)
_WORD_BREAKS = re.compile(r"[_ .-]+")
#: Words of a name that are units; the last one decides. The numbers of those without one here stand as they are.
_UNIT_WORDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "seconds"),
    **dict.fromkeys(("ms", "millis", "millisecond", "milliseconds"), "milliseconds"),
    **dict.fromkeys(("byte", "bytes"), "bytes"),
    **dict.fromkeys(("ns", "nanos", "nanoseconds", "us", "micros", "microseconds", "min", "mins"), ""),
    **dict.fromkeys(("minute", "minutes", "hour", "hours", "day", "days", "week", "weeks", "month", "months"), ""),
    **dict.fromkeys(("year", "years", "kb", "mb", "gb", "tb", "kib", "mib", "gib", "tib", "bit", "bits"), ""),
    **dict.fromkeys(("percent", "percentage", "ratio", "share", "count", "pages", "objects"), ""),
}
#: Words for what is measured, and the unit that it has where the name tells none.
_QUANTITY_WORDS = {
    **dict.fromkeys(("duration", "uptime", "elapsed", "age", "timeout", "latency", "lag", "ttl"), "seconds"),
    **dict.fromkeys(("memory", "mem", "rss", "vms", "disk", "heap"), "bytes"),
}


def tree(value: JSON) -> SafeString:
    """Return a whole answer as HTML."""
    return SafeString(_branch_html(value, "") if _has_entries(value) else f"<div class=lone>{leaf(value, '')}</div>")


def leaf(value: JSON, key: str) -> str:
    """Return one value without entries as HTML; ``key`` tells the unit of a number."""
    if value is True or value is False:
        return f"<b class=word>{escape(gettext('yes') if value else gettext('no'))}</b>"
    if isinstance(value, (int, float)):
        if _EPOCH.search(key) and int(value) in _MOMENTS:
            return _time(datetime.fromtimestamp(value, timezone.utc), units.number(value))
        human, exact = _in_units(value, key), units.number(value)
        if _PERCENT.search(key):
            return f"{exact} %"
        if human.partition(" ")[0] == exact:  # the same number, with its unit
            return escape(human)
        return f"{escape(human)} <small>{escape(exact)}</small>" if human else exact
    if not isinstance(value, str) or not value:
        return f"<i class=word>{escape(gettext('none') if value is None else gettext('empty'))}</i>"
    if len(value) > MAX_TEXT:
        return f"<details class=long><summary>{escape(value[:80])}…</summary>{escape(value)}</details>"
    return _moment(value) or escape(value)


def leaves(value: JSON, name: str = "", key: str = "") -> Iterator[tuple[str, str, JSON]]:
    """Yield ``(name, key, value)`` for each value below ``value`` that has no entries; its name is the way there."""
    if _has_entries(value):
        entries = value.items() if isinstance(value, dict) else ((key, item) for item in value)
        for below, item in entries:
            yield from leaves(item, f"{name} › {below}" if name and isinstance(value, dict) else name or below, below)
    else:
        yield name, key, value


def _in_units(value: int | float, key: str) -> str:
    """Return a number in the unit that its name tells; nothing where it tells none or the number needs none."""
    unit = _unit_of(key) if value else ""
    if unit == "milliseconds":
        return units.duration(value / 1000) if abs(value) < 1e15 else ""
    if unit == "seconds":
        return units.duration(value) if abs(value) < 1e12 else ""
    if unit == "bytes":
        return units.size(value) if 1024 <= abs(value) < 1e21 else ""
    return ""


def _unit_of(key: str) -> str:
    """Return the unit that a name tells: ``seconds``, ``milliseconds``, ``bytes``, or nothing for any other."""
    words = _WORD_BREAKS.split(key.lower())
    if "per" in words:  # a rate
        return ""
    for known in (_UNIT_WORDS, _QUANTITY_WORDS):
        for word in reversed(words):
            if word in known:
                return known[word]
    return "bytes" if words == ["size"] else ""


def _time(when: datetime, exact: str) -> str:
    """Return a moment in words and as it was answered. Where its time zone is known, the script shows the reader's."""
    machine = f' data-moment datetime="{when.isoformat()}"' if when.tzinfo else ""
    return f"<time{machine}>{escape(units.moment(when))}</time> <small>{escape(exact)}</small>"


def _moment(value: str) -> str:
    """Return a date and time of ISO 8601 as HTML; nothing for any other text."""
    if not value[0].isdigit() or not _DATE.match(value):
        return ""
    # Python 3.10 reads no Z, six digits of a second or none, and an offset with a colon only.
    text = value.replace("Z", "+00:00").replace(" +", "+").replace(" -", "-")
    text = re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", text)
    text = re.sub(r"\.(\d+)", lambda match: f".{match[1][:6]:0<6}", text)
    try:
        return _time(datetime.fromisoformat(text), value)
    except (ValueError, OverflowError):
        return ""


def _has_entries(value: JSON) -> TypeGuard[dict[str, JSON] | list[JSON]]:
    return isinstance(value, (dict, list)) and bool(value)


def _branch_html(value: dict[str, JSON] | list[JSON], key: str) -> str:
    """Return an object or a list that has entries as a table, a list of leaves, or one entry below the other."""
    items = list(value.values()) if isinstance(value, dict) else value
    columns = _columns(items)
    if isinstance(value, dict):
        flat = not any(_has_entries(item) for row in items if isinstance(row, dict) for item in row.values())
        if columns and flat and len(items) > 1:
            return _table(list(value), items, columns, key)
        return _entries("dl", [(name, name, item) for name, item in value.items()])
    if columns:
        return _table(None, items, columns, key)
    if not any(map(_has_entries, items)):
        return f"<ul class=leaves>{''.join([f'<li>{leaf(item, key)}' for item in items])}</ul>"
    return _entries("ol", [(str(place), key, item) for place, item in enumerate(items, 1)])


def _columns(rows: Sequence[JSON]) -> list[str]:
    """Return the keys that the objects in ``rows`` have in common; none where their keys differ, or are too many."""
    first = rows[0]
    if not isinstance(first, dict) or not 0 < len(first) <= MAX_COLUMNS:
        return []
    return list(first) if all(isinstance(row, dict) and row.keys() == first.keys() for row in rows) else []


def _entries(kind: str, entries: Sequence[tuple[str, str, JSON]]) -> str:
    """Return entries (name, key, value) one below the other, each branch folded or open."""
    parts = [f'<dl class="facts {kind}">']
    for name, key, item in entries:
        label = escape(name)
        if _has_entries(item):
            count = ngettext("%s entry", "%s entries", len(item)) % units.number(len(item))
            is_open = "" if any(islice(leaves(item), MAX_OPEN, None)) else " open"
            parts.append(
                f"<div class=in><dt class=sr>{label}<dd>"
                f'<details{is_open} data-key="{label}"><summary><b>{label}</b> {count}</summary>'
                f"{_branch_html(item, key)}</details></div>"
            )
        else:
            parts.append(f"<div{' class=cut' if name == CUT else ''}><dt>{label}<dd>{leaf(item, key)}</div>")
    return "".join([*parts, "</dl>"])


def _table(names: Sequence[str] | None, rows: Sequence[JSON], columns: Sequence[str], key: str) -> str:
    """Return equal objects as a table; ``names`` are the headings of its rows."""
    label = escape(key or gettext("Table"))
    corner = "" if names is None else f"<td><span class=sr>{escape(gettext('Name'))}</span></td>"
    parts = [f'<div class=scroll tabindex=0 role=region aria-label="{label}"><table><thead><tr>{corner}']
    parts += [f"<th scope=col>{escape(column)}" for column in columns]
    parts.append("<tbody>")
    for place, row in enumerate(rows):
        assert isinstance(row, dict)
        parts.append("<tr>" if names is None else f"<tr><th scope=row>{escape(names[place])}")
        for column in columns:
            value = row[column]
            parts.append(f"<td>{_branch_html(value, column) if _has_entries(value) else leaf(value, column)}</td>")
    return "".join([*parts, "</table></div>"])
