"""Which format a request wants: ``?format=`` first, else ``Accept``, read tolerantly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from status.exceptions import StatusError
from status.formats import FORMATS, JSON, Format

_OFFERED = tuple(known for known in FORMATS.values() if known.http)
_VERSION = r';\s*version="?([^";\s]+)'
#: One element of a list header: up to a comma that stands in no quotes (an opened quote ends with the header at last).
_ELEMENT = r'(?:[^,"]|"[^"]*"?)+'


class NotAcceptable(StatusError):
    """No format of ours is what the request asks for.

    known: the names of the formats there are, as ``?format=`` takes them.
    """

    def __init__(self, known: tuple[str, ...]) -> None:
        self.known = known
        super().__init__(f"The format should be one of {', '.join(known)}.")


class _Range(NamedTuple):
    """One media range of an ``Accept`` header: ``text/plain``, ``text/*`` or ``*/*``."""

    type: str
    subtype: str
    version: str | None
    quality: float
    position: int

    @property
    def precision(self) -> int:
        return (self.type != "*") + (self.subtype != "*") + (self.version is not None)

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
    """The format to answer with.

    request_format: the value of ``?format=``, if any; names the format as the command line does.
    accept: the ``Accept`` header, if any. No header, an empty one, and one without a readable media range mean the
        default, as ``*/*`` does: a probe with a broken header asks about health, not about its header.

    Raises ``NotAcceptable`` when there is no such format.
    """
    if request_format:
        return _named(request_format)
    ranges = list(_ranges(accept or ""))
    if not ranges:
        return JSON
    best: tuple[float, int, int] | None = None
    chosen = JSON
    for offer in _OFFERED:
        rank = _rank(offer, ranges)
        if rank is not None and (best is None or rank > best):
            best, chosen = rank, offer
    if best is None:
        raise NotAcceptable(tuple(known.name for known in _OFFERED))
    return chosen


def _named(name: str) -> Format:
    """The format of that name. In a query, a plus sign that was not escaped has become a space: ``health json``."""
    chosen = FORMATS.get(name.strip().lower().replace(" ", "+"))
    if chosen is None or not chosen.http:
        raise NotAcceptable(tuple(known.name for known in _OFFERED))
    return chosen


def _rank(offer: Format, ranges: list[_Range]) -> tuple[float, int, int] | None:
    """How much the header wants ``offer``, greater is more; None where it does not.

    The most precise range that admits it decides (RFC 9110, section 12.5.1). Among formats wanted equally, what is
    named wins over what a wildcard admits, then what is named first.
    """
    admitting = [candidate for candidate in ranges if candidate.admits(offer)]
    if not admitting:
        return None
    decisive = max(admitting, key=lambda candidate: (candidate.precision, -candidate.position))
    return (decisive.quality, decisive.precision, -decisive.position) if decisive.quality > 0 else None


def _ranges(accept: str) -> Iterator[_Range]:
    """The readable media ranges of the header; the others are passed over."""
    for position, element in enumerate(re.findall(_ELEMENT, accept)):
        media, _, parameters = element.partition(";")
        # Java's own client sends a bare asterisk.
        type_, slash, subtype = ("*/*" if media.strip() == "*" else media).strip().lower().partition("/")
        quality = _quality(parameters)
        if slash and type_ and subtype and quality is not None:
            yield _Range(type_, subtype, _version(f";{parameters}"), quality, position)


def _quality(parameters: str) -> float | None:
    """The weight among the parameters, 0 to 1; 1 where there is none, None where it is not a number."""
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
    found = re.search(_VERSION, parameters, re.IGNORECASE)
    return found[1] if found else None
