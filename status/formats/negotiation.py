"""Which format a request wants: ``?format=`` first, else the ``Accept`` header, read tolerantly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from status.exceptions import StatusError
from status.formats import FORMATS, Format

OFFERED = tuple(known for known in FORMATS.values() if known.http)
#: One element of a list header: up to a comma that stands in no quotes (an opened quote ends with the header at last).
_ELEMENT = r'(?:[^,"]|"[^"]*"?)+'
_VERSION = re.compile(r';\s*version="?([^";\s]+)', re.IGNORECASE)


class NotAcceptable(StatusError):
    """The request asks for no format that there is.

    known: the names of the formats there are, as ``?format=`` takes them.
    """

    def __init__(self) -> None:
        self.known = tuple(offer.name for offer in OFFERED)
        super().__init__(f"The format should be one of {', '.join(self.known)}.")


class MediaRange(NamedTuple):
    """One media range of an ``Accept`` header: ``text/plain``, ``text/*`` or ``*/*``."""

    type: str
    subtype: str
    version: str | None
    quality: float
    position: int

    @property
    def precision(self) -> tuple[int, int]:
        """Sort by how much the range says, then by its place in the header."""
        return (self.type != "*") + (self.subtype != "*") + (self.version is not None), -self.position

    def admits(self, offer: Format) -> bool:
        """Parameters other than ``version`` do not matter: ``application/json; charset=utf-8`` is JSON."""
        type_, _, subtype = offer.media_type.partition("/")
        return (
            self.type in ("*", type_)
            and self.subtype in ("*", subtype)
            and self.version in (None, _version(offer.content_type))
        )


@lru_cache(maxsize=64)  # probes send the same few headers for ever
def choose(request_format: str | None, accept: str | None) -> Format:
    """Return the format to answer with.

    request_format: the value of ``?format=``, if any; names the format as the command line does.
    accept: the ``Accept`` header, if any. No header, an empty one, and one without a readable media range mean the
        default, as ``*/*`` does: a probe with a broken header asks about health, not about its header.

    Raises ``NotAcceptable`` when there is no such format.
    """
    if request_format:
        # In a query, a plus sign that was not escaped has become a space: ``health json``.
        named = FORMATS.get(request_format.strip().lower().replace(" ", "+"))
        if named is None or not named.http:
            raise NotAcceptable
        return named
    ranges = list(_media_ranges(accept or ""))
    if not ranges:
        return OFFERED[0]
    ranked = []
    for offer in OFFERED:
        admitting = [candidate for candidate in ranges if candidate.admits(offer)]
        if admitting:
            # The most precise range that admits a format decides about it (RFC 9110, section 12.5.1). Among formats
            # wanted equally, what is named wins over what a wildcard admits, then what is named first.
            decisive = max(admitting, key=lambda candidate: candidate.precision)
            if decisive.quality > 0:
                ranked.append(((decisive.quality, *decisive.precision), offer))
    if not ranked:
        raise NotAcceptable
    return max(ranked, key=lambda ranking: ranking[0])[1]


def _media_ranges(accept: str) -> Iterator[MediaRange]:
    """Yield the readable media ranges of the header; the others are passed over."""
    for position, element in enumerate(re.findall(_ELEMENT, accept)):
        media, _, parameters = element.partition(";")
        # Java's own client sends a bare asterisk.
        type_, slash, subtype = ("*/*" if media.strip() == "*" else media).strip().lower().partition("/")
        quality = _quality(parameters)
        if slash and type_ and subtype and quality is not None:
            yield MediaRange(type_, subtype, _version(f";{parameters}"), quality, position)


def _quality(parameters: str) -> float | None:
    """Return the weight among the parameters, 0 to 1; 1 where there is none, None where it is not a number."""
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                quality = float(value)
            except ValueError:
                return None
            # Not the other way round: a comparison with NaN is never true.
            return min(quality, 1.0) if quality >= 0 else None
    return 1.0


def _version(parameters: str) -> str | None:
    found = _VERSION.search(parameters)
    return found[1] if found else None
