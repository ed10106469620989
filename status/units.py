"""Numbers and moments in words that people read: durations, sizes, dates. In the active language."""

from __future__ import annotations

from datetime import datetime, timezone

from django.utils import formats
from django.utils import timezone as clocks
from django.utils.translation import gettext

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


def _short(value: float) -> str:
    """Three digits are enough: ``0.42``, ``4.2``, ``42``, ``420``."""
    places = 0 if value >= 9.95 else 1 if value >= 0.095 else 2
    text = f"{value:.{places}f}"
    if places:
        text = text.rstrip("0").rstrip(".") or "0"
    return text if text.isdigit() else formats.number_format(text, decimal_pos=len(text.partition(".")[2]))


def duration(seconds: float) -> str:
    """``0.0004`` is ``0.4 ms``, ``75`` is ``1 min 15 s``, ``90061`` is ``1 d 1 h``."""
    if seconds < 0:
        return f"−{duration(-seconds)}"
    if seconds < 0.9995:
        return gettext("%s ms") % _short(seconds * 1000)
    if seconds < 59.95:
        return gettext("%s s") % _short(seconds)
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        big, small = (gettext("%s d") % number(days), gettext("%s h") % hours if hours and days < 100 else "")
    elif hours:
        big, small = (gettext("%s h") % hours, gettext("%s min") % minutes if minutes else "")
    else:
        big, small = gettext("%s min") % minutes, gettext("%s s") % rest if rest else ""
    return f"{big} {small}".rstrip()


def size(count: float) -> str:
    """Bytes in binary units: ``1503238553`` is ``1.4 GiB``."""
    if abs(count) < 1024:
        return gettext("%s bytes") % number(count)
    for unit in _SIZES:
        count /= 1024
        if abs(count) < 1023.5 or unit == _SIZES[-1]:
            break
    return f"{'−' if count < 0 else ''}{_short(abs(count))} {unit}"


def moment(value: datetime) -> str:
    """A date and a time in the project's time zone, with its name: ``23 Nov 2026, 18:02:11 UTC``."""
    if value.tzinfo is None:
        return formats.date_format(value, "j M Y, H:i:s")
    local = clocks.localtime(value)
    return f"{formats.date_format(local, 'j M Y, H:i:s')} {local.tzname()}"


def clock(timestamp: float) -> str:
    """The time of day in the project's time zone, with its name: ``18:02:11 UTC``; from seconds since 1970."""
    local = clocks.localtime(datetime.fromtimestamp(timestamp, timezone.utc))
    return f"{local:%H:%M:%S} {local.tzname()}"


def iso(timestamp: float) -> str:
    """Seconds since 1970 as HTML's ``datetime`` attribute wants them."""
    return datetime.fromtimestamp(timestamp, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
