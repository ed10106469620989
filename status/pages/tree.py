"""A provider's answer, of any shape and size, as HTML that people read: lists of facts, tables, folded branches.

Everything that comes from the answer passes through ``escape``; all else is written here. Built in Python rather than
by templates that include themselves: an answer may hold thousands of values, and a page must arrive at once.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone

from django.utils.html import escape
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

from status.pages import units
from status.serialization import CUT, JSON

#: Branches up to this many values, leaves counted, stand open; longer ones are folded.
OPEN = 24
#: Text longer than this is folded behind its beginning.
LONG = 300
#: A table with more columns than this is harder to read than a list.
COLUMNS = 12

_DATE = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?\s?(Z|[+-]\d\d:?\d\d)?\Z", re.ASCII)
_BYTES = re.compile(r"(^|[_ .-])(bytes|size|memory|mem|rss|vms|disk|heap|maxrss)([_ .-]|$)", re.IGNORECASE)
_SECONDS = re.compile(
    r"(^|[_ .-])(s|sec|secs|seconds?|duration|uptime|elapsed|age|timeout|latency|lag|ttl)([_ .-]|$)", re.IGNORECASE
)
_MILLISECONDS = re.compile(r"(^|[_ .-])(ms|millis|milliseconds?)([_ .-]|$)", re.IGNORECASE)
_EPOCH = re.compile(r"(_at|_on|timestamp|_time)$", re.IGNORECASE)
#: Seconds since 1970 of the years 2001 to 2100: smaller numbers are hardly moments.
_MOMENTS = range(10**9, 4_102_444_800)


def tree(value: JSON) -> SafeString:
    """The whole answer as HTML."""
    if isinstance(value, (dict, list)) and value:
        return SafeString(_branch(value, ""))
    return SafeString(f"<div class=lone>{leaf(value, '')}</div>")


def leaf(value: JSON, key: str) -> str:
    """One value without entries as HTML; ``key`` tells in which unit a number is."""
    if value is True:
        return _word(gettext("yes"))
    if value is False:
        return _word(gettext("no"))
    if value is None:
        return _nothing(gettext("none"))
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (int, float)):
        return _number(value, key)
    return _nothing(gettext("empty"))


def _word(text: str) -> str:
    return f"<b class=word>{escape(text)}</b>"


def _nothing(text: str) -> str:
    return f"<i class=word>{escape(text)}</i>"


def _text(value: str) -> str:
    if not value:
        return _nothing(gettext("empty"))
    if len(value) > LONG:
        return f"<details class=long><summary>{escape(value[:80])}…</summary>{escape(value)}</details>"
    if value[0].isdigit() and _DATE.match(value):
        try:
            when = datetime.fromisoformat(_old_iso(value))
            return f"<time>{escape(units.moment(when))}</time> {_exact(value)}"
        except (ValueError, OverflowError):
            pass
    return escape(value)


def _old_iso(value: str) -> str:
    """What ``fromisoformat`` of Python 3.10 reads: no Z, six digits of a second or none, a colon in the offset."""
    value = value.replace("Z", "+00:00").replace(" +", "+").replace(" -", "-")
    value = re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", value) if len(value) > 10 and ":" in value else value
    return re.sub(r"\.(\d+)", lambda match: f".{match[1][:6]:0<6}", value)


def _number(value: int | float, key: str) -> str:
    human = _in_units(value, key)
    exact = units.number(value)
    return exact if human is None else f"{human} {_exact(exact)}"


def _in_units(value: int | float, key: str) -> str | None:
    """The number in the unit that its name tells, or None where it tells none or the number speaks for itself."""
    if not value:
        return None
    if _MILLISECONDS.search(key):
        return units.duration(value / 1000) if abs(value) < 1e15 else None
    if _EPOCH.search(key) and int(value) in _MOMENTS:
        return escape(units.moment(datetime.fromtimestamp(value, timezone.utc)))
    if _SECONDS.search(key):
        return units.duration(value) if abs(value) < 1e12 else None
    if _BYTES.search(key):
        return units.size(value) if 1024 <= abs(value) < 1e21 else None
    return None


def _exact(text: str) -> str:
    return f"<small>{escape(text)}</small>"


def _branch(value: JSON, key: str) -> str:
    if isinstance(value, list):
        return _list(value, key)
    assert isinstance(value, dict)
    columns = _columns(list(value.values()))
    if columns and len(value) > 1 and all(_flat(row) for row in value.values()):
        return _table([(name, row) for name, row in value.items()], columns, key)
    return _rows([(name, name, item) for name, item in value.items()], "dl")


def _list(value: list[JSON], key: str) -> str:
    columns = _columns(value)
    if columns:
        return _table([(None, row) for row in value], columns, key)
    if not any(isinstance(item, (dict, list)) and item for item in value):
        return f"<ul class=leaves>{''.join([f'<li>{leaf(item, key)}' for item in value])}</ul>"
    return _rows([(str(index), key, item) for index, item in enumerate(value, 1)], "ol")


def _columns(rows: list[JSON]) -> list[str]:
    """The columns of equal objects: what all of them hold, in their order. Empty when they are not equal."""
    first = rows[0] if rows else None
    if not isinstance(first, dict) or not 0 < len(first) <= COLUMNS:
        return []
    names = first.keys()
    return list(names) if all(isinstance(row, dict) and row.keys() == names for row in rows) else []


def _flat(row: JSON) -> bool:
    return isinstance(row, dict) and not any(isinstance(item, (dict, list)) and item for item in row.values())


def _rows(entries: list[tuple[str, str, JSON]], kind: str) -> str:
    """Facts one below the other: name, value; branches in themselves folded or open."""
    parts = [f'<dl class="facts {kind}">']
    for name, key, item in entries:
        label = escape(name)
        if isinstance(item, (dict, list)) and item:
            parts.append(f"<div class=in><dt class=sr>{label}<dd>{_folded(item, key, label)}</div>")
        elif name == CUT:
            parts.append(f"<div class=cut><dt>{CUT}<dd>{leaf(item, key)}</div>")
        else:
            parts.append(f"<div><dt>{label}<dd>{leaf(item, key)}</div>")
    parts.append("</dl>")
    return "".join(parts)


def _folded(item: JSON, key: str, label: str) -> str:
    total = _count(item, OPEN + 1)
    assert isinstance(item, (dict, list))
    entries = ngettext("%s entry", "%s entries", len(item)) % units.number(len(item))
    is_open = " open" if total <= OPEN else ""
    summary = f"<summary><b>{label}</b> {entries}</summary>"
    return f'<details{is_open} data-key="{label}">{summary}{_branch(item, key)}</details>'


def _count(value: JSON, limit: int) -> int:
    """How many leaves stand below; stops counting at ``limit``."""
    if not isinstance(value, (dict, list)):
        return 1
    total = 0
    for item in value.values() if isinstance(value, dict) else value:
        total += _count(item, limit - total)
        if total >= limit:
            break
    return total


def _table(rows: list[tuple[str | None, JSON]], columns: list[str], key: str) -> str:
    named = rows[0][0] is not None
    label = escape(key or gettext("Table"))
    name = gettext("Name")
    corner = f"<td><span class=sr>{escape(name)}</span></td>" if named else ""
    head = "".join([f"<th scope=col>{escape(name)}" for name in columns])
    body = "".join([_row(name, row, columns) for name, row in rows])
    return (
        f'<div class=scroll tabindex=0 role=region aria-label="{label}"><table><thead><tr>{corner}{head}'
        f"<tbody>{body}</table></div>"
    )


def _row(name: str | None, row: JSON, columns: list[str]) -> str:
    assert isinstance(row, dict)
    cells = [f"<td>{_cell(row[column], column)}" for column in columns]
    head = "" if name is None else f"<th scope=row>{escape(name)}"
    return f"<tr>{head}{''.join(cells)}"


def _cell(value: JSON, key: str) -> str:
    return _branch(value, key) if isinstance(value, (dict, list)) and value else leaf(value, key)
