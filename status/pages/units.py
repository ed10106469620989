"""Numbers and moments in words, in the active language: durations, sizes, dates."""

from __future__ import annotations

from datetime import datetime

from django.utils import formats
from django.utils import timezone as django_timezone
from django.utils.translation import gettext

SIZE_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def number(value: int | float) -> str:
    """Return the exact number, its digits in groups: ``12345.5`` is ``12,345.5``."""
    if isinstance(value, float):
        text = repr(value)
        if "e" in text:
            return text
        digits = len(text.partition(".")[2])
        return formats.number_format(text, decimal_pos=0 if text.endswith(".0") else digits, force_grouping=True)
    return formats.number_format(value, force_grouping=True) if not -10_000 < value < 10_000 else str(value)


def _rounded(value: float) -> str:
    """Return two digits, or all digits of what is whole: ``0.42``, ``4.2``, ``42``, ``420``."""
    if value >= 9.95:
        return f"{value:.0f}"
    text = f"{value:.1f}" if value >= 0.095 else f"{value:.2f}"
    return (text.rstrip("0").rstrip(".") or "0").replace(".", str(formats.get_format("DECIMAL_SEPARATOR")))


def duration(seconds: float | None) -> str:
    """Return seconds in the two largest units: ``0.0004`` is ``0.4 ms``, ``75`` is ``1 min 15 s``, None is nothing."""
    if seconds is None:
        return ""
    if seconds < 0:
        return f"−{duration(-seconds)}"
    if seconds < 0.9995:
        return gettext("%s ms") % _rounded(seconds * 1000)
    if seconds < 59.95:
        return gettext("%s s") % _rounded(seconds)
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    days, hours_left = divmod(hours, 24)
    if minutes < 60:
        large, small = gettext("%s min") % minutes, gettext("%s s") % rest if rest else ""
    elif hours < 24:
        large, small = gettext("%s h") % hours, gettext("%s min") % minutes_left if minutes_left else ""
    else:
        large, small = gettext("%s d") % number(days), gettext("%s h") % hours_left if hours_left and days < 100 else ""
    return f"{large} {small}" if small else large


def elapsed(seconds: float) -> str:
    """Return whole seconds as ``duration`` does, and nothing for less than one."""
    return duration(int(seconds)) if seconds >= 1 else ""


def size(count: float) -> str:
    """Return bytes in binary units: ``1503238553`` is ``1.4 GiB``."""
    if abs(count) < 1024:
        return gettext("%s bytes") % number(count)
    power = 0
    while abs(count) >= 1023.5 and power < len(SIZE_UNITS):
        count, power = count / 1024, power + 1
    return f"{'−' if count < 0 else ''}{_rounded(abs(count))} {SIZE_UNITS[power - 1]}"


def moment(value: datetime) -> str:
    """Return date and time in the project's time zone, with its name: ``23 Nov 2026, 18:02:11 UTC``."""
    if value.tzinfo is None:
        return formats.date_format(value, "j M Y, H:i:s")
    local = django_timezone.localtime(value)
    return f"{formats.date_format(local, 'j M Y, H:i:s')} {local.tzname()}"


def clock(timestamp: float) -> str:
    """Return seconds since 1970 as the time of day in the project's time zone: ``18:02:11 UTC``."""
    local = datetime.fromtimestamp(int(timestamp), django_timezone.get_current_timezone())
    return f"{local:%H:%M:%S} {local.tzname()}"
