"""The check of a name in the DNS."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import ip_address
from time import monotonic
from types import MappingProxyType

from status.providers.base import Answer, Kind
from status.providers.figures import Measurement, failed
from status.providers.kinds import AMOUNT, listed, one_or_more
from status.providers.network.ports import HOST, NETWORK_ERRORS, is_address, judge_time, words_of

#: Addresses that an answer tells.
MAX_ADDRESSES = 20


class NameCheck(Measurement):
    """Answer ``{name: {"ok": bool, "addresses": [...], "seconds": ...}}``, as this machine looks names up.

    ``expected`` are the addresses that the name has to lead to, all of them and no other.
    """

    subject = "name"
    kinds = MappingProxyType(
        {
            "name": HOST,
            "expected": Kind("an IP address, or a list of them, or None", one_or_more(is_address)),
            "warn_seconds": AMOUNT,
        }
    )

    def check(
        self, name: str, expected: str | Sequence[str] | None = None, *, warn_seconds: float | None = None
    ) -> Answer:
        began = monotonic()
        try:
            found = {str(ip_address(told[4][0])) for told in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
        except NETWORK_ERRORS as error:
            return failed(name, words_of(error))
        addresses = sorted(found)[:MAX_ADDRESSES]
        if expected is not None:
            wanted = {str(ip_address(address)) for address in listed(expected)}
            wrong = [f"leads to {address}, which is not expected" for address in sorted(found - wanted)[:MAX_ADDRESSES]]
            wrong += [f"does not lead to {address}" for address in sorted(wanted - found)]
            if wrong:
                return Answer({name: {"ok": False, "addresses": addresses}}, {name: "; ".join(wrong)})
        return judge_time(name, {"addresses": addresses}, began, warn_seconds)
