"""Numbers and moments in words that people read: durations, sizes, dates. In the active language."""

from __future__ import annotations

from datetime import datetime, timezone, tzinfo
from functools import lru_cache

from django.utils import formats
from django.utils import timezone as clocks
from django.utils.translation import get_language, gettext

_SIZES = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def number(value: int | float) -> str:
    """The exact number, its digits in groups: ``12345.5`` is ``12,345.5``."""
    if isinstance(value, float):
        text = repr(value)
        if "e" in text:
            return text
        digits = len(text.partition(".")[2])
        return formats.number_format(text, decimal_pos=0 if text.endswith(".0") else digits, force_grouping=True)
    return formats.number_format(value, force_grouping=True) if not -10_000 < value < 10_000 else str(value)


@lru_cache(maxsize=64)
def _words(language: str | None) -> dict[str, str]:
    """The units of time, and the decimal sign, in the active language: a page needs them a hundred times."""
    return {
        "ms": gettext("%s ms"),
        "s": gettext("%s s"),
        "min": gettext("%s min"),
        "h": gettext("%s h"),
        "d": gettext("%s d"),
        ".": str(formats.get_format("DECIMAL_SEPARATOR", language)),
    }


def _short(value: float, decimal_sign: str) -> str:
    """Two digits, and no more of what is whole: ``0.42``, ``4.2``, ``42``, ``420``."""
    if value >= 9.95:
        return f"{value:.0f}"
    text = f"{value:.1f}" if value >= 0.095 else f"{value:.2f}"
    return (text.rstrip("0").rstrip(".") or "0").replace(".", decimal_sign)


def duration(seconds: float) -> str:
    """``0.0004`` is ``0.4 ms``, ``75`` is ``1 min 15 s``, ``90061`` is ``1 d 1 h``."""
    if seconds < 0:
        return f"−{duration(-seconds)}"
    words = _words(get_language())
    if seconds < 0.9995:
        return words["ms"] % _short(seconds * 1000, words["."])
    if seconds < 59.95:
        return words["s"] % _short(seconds, words["."])
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return _both(words["min"], minutes, words["s"], rest)
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return _both(words["h"], hours, words["min"], minutes)
    days, hours = divmod(hours, 24)
    return _both(words["d"], days, words["h"], hours if days < 100 else 0)


def _both(big: str, many: int, small: str, rest: int) -> str:
    return f"{big % number(many)} {small % rest}" if rest else big % number(many)


def size(count: float) -> str:
    """Bytes in binary units: ``1503238553`` is ``1.4 GiB``."""
    if abs(count) < 1024:
        return gettext("%s bytes") % number(count)
    units = iter(_SIZES)
    unit = ""
    while abs(count) >= 1023.5 and unit != _SIZES[-1]:
        unit = next(units)
        count /= 1024
    return f"{'−' if count < 0 else ''}{_short(abs(count), _words(get_language())['.'])} {unit}"


def moment(value: datetime) -> str:
    """A date and a time in the project's time zone, with its name: ``23 Nov 2026, 18:02:11 UTC``."""
    if value.tzinfo is None:
        return formats.date_format(value, "j M Y, H:i:s")
    local = clocks.localtime(value)
    return f"{formats.date_format(local, 'j M Y, H:i:s')} {local.tzname()}"


def clock(timestamp: float) -> str:
    """The time of day in the project's time zone, with its name: ``18:02:11 UTC``; from seconds since 1970."""
    return _clock(int(timestamp), clocks.get_current_timezone())


@lru_cache(maxsize=256)
def _clock(timestamp: int, zone: tzinfo) -> str:
    local = datetime.fromtimestamp(timestamp, zone)
    return f"{local:%H:%M:%S} {local.tzname()}"


@lru_cache(maxsize=256)
def _iso(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso(timestamp: float) -> str:
    """Seconds since 1970 as HTML's ``datetime`` attribute wants them."""
    return _iso(int(timestamp))
