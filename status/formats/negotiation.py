"""Which format a request wants: ``?format=`` first, else the ``Accept`` header, read tolerantly."""

from __future__ import annotations

import re
from functools import lru_cache

from status.exceptions import StatusError
from status.formats import FORMATS, Format

OFFERED = tuple(known for known in FORMATS.values() if known.http)
#: One element of a list header: up to a comma that stands in no quotes (an opened quote ends with the header at last).
_ELEMENT = r'(?:[^,"]|"[^"]*"?)+'
_QUALITY = r"(?i);\s*q\s*(?:=|(?=;|$))([^;]*)"
_VERSION = r'(?i);\s*version="?([^";\s]+)'
#: A media range without its parameters, ``text/plain``, ``text/*`` or ``*/*``, and its version where it names one.
MediaRange = tuple[str, str | None]


class NotAcceptable(StatusError):
    """The query names no format that there is.

    known: the names of the formats there are, as ``?format=`` takes them.
    """

    def __init__(self) -> None:
        self.known = tuple(offer.name for offer in OFFERED)
        super().__init__(f"The format should be one of {', '.join(self.known)}.")


@lru_cache(maxsize=64)  # probes send the same few headers for ever
def choose(request_format: str | None, accept: str | None) -> Format:
    """Return the format to answer with.

    request_format: the value of ``?format=``, if any.
    accept: the ``Accept`` header, if any. One that cannot be read, or that names nothing we write, means the default,
        as ``*/*`` does: a probe asks about health, not about its header, and takes a 406 for a host that is down.

    Raises ``NotAcceptable`` when there is no format of the name in the query.
    """
    if request_format:
        # In a query, a plus sign that was not escaped has become a space: ``health json``.
        named = FORMATS.get(request_format.strip().lower().replace(" ", "+"))
        if named is None or not named.http:
            raise NotAcceptable
        return named
    ranges = media_ranges(accept or "")
    wanted = []
    for offer in OFFERED:
        media, version = offer.media_type, _version(offer.content_type)
        admitting = dict.fromkeys(
            [("*/*", None), (f"{media.partition('/')[0]}/*", None), (media, None), (media, version)]
        )
        ranks = [(precision, *ranges[one]) for precision, one in enumerate(admitting) if one in ranges]
        # The most precise range that admits a format decides about it (RFC 9110, section 12.5.1). Among formats wanted
        # equally, what is named wins over what a wildcard admits, then what is named first.
        if ranks and ranks[-1][1] > 0:
            precision, quality, position = ranks[-1]
            wanted.append(((quality, precision, -position), offer))
    return max(wanted, key=lambda ranked: ranked[0])[1] if wanted else OFFERED[0]


def media_ranges(accept: str) -> dict[MediaRange, tuple[float, int]]:
    """Return the quality, 0 to 1, and the position of each readable media range; the others are passed over.

    Parameters other than ``q`` and ``version`` do not matter: ``application/json; charset=utf-8`` is JSON.
    """
    ranges: dict[MediaRange, tuple[float, int]] = {}
    for position, element in enumerate(re.findall(_ELEMENT, accept)):
        media, _, parameters = element.partition(";")
        media = media.strip().lower()
        if media == "*":  # Java's own client
            media = "*/*"
        type_, _, subtype = media.partition("/")
        weight = re.search(_QUALITY, f";{parameters}")
        try:
            quality = float(weight[1]) if weight else 1.0
        except ValueError:
            continue
        if type_ and subtype and quality >= 0:  # and not NaN, to which no number compares
            version = None if subtype == "*" else _version(f";{parameters}")
            ranges.setdefault((media, version), (min(quality, 1.0), position))
    return ranges


def _version(parameters: str) -> str | None:
    found = re.search(_VERSION, parameters)
    return found[1] if found else None
