"""The check of a server's certificate."""

from __future__ import annotations

import os
import ssl
import time
from contextlib import closing
from types import MappingProxyType

from status.providers.base import Answer, Kind, Unavailable
from status.providers.figures import Figure, Measurement, failed, gauges, judge
from status.providers.kinds import AMOUNT, is_path
from status.providers.network.ports import (
    HOST,
    NETWORK_ERRORS,
    PORT,
    connect,
    endpoint,
    give_up,
    is_host,
    left,
    words_of,
)
from status.report import iso

CA_FILE = Kind("the absolute path of a file, or None", is_path)
SECONDS_PER_DAY = 86_400


class CertificateCheck(Measurement):
    """Answer ``{"host:port": {"ok": bool, "days_left": ..., "expires": ...}}``.

    The certificate has to be valid now, for the name that is asked, and from an authority that this machine trusts, or
    that is in ``ca_file``. After the handshake the connection is closed; nothing is sent over it.
    """

    subject = "certificate"
    metrics = gauges("days_left")
    kinds = MappingProxyType(
        {
            "host": HOST,
            "port": PORT,
            "warn_days": AMOUNT,
            "fail_days": AMOUNT,
            "server_name": Kind(f"{HOST.expected}, or None", is_host),
            "ca_file": CA_FILE,
        }
    )

    def check(
        self,
        host: str,
        port: int = 443,
        *,
        warn_days: float | None = 14,
        fail_days: float | None = None,
        server_name: str | None = None,
        ca_file: str | os.PathLike[str] | None = None,
    ) -> Answer:
        """Connect to ``host``, and ask for the certificate of ``server_name``, which by default is the same."""
        target, until = endpoint(host, port), give_up()
        try:
            context = context_of(ca_file)
            with closing(connect(host, port, until)) as plain:
                plain.settimeout(left(until))
                with context.wrap_socket(plain, server_hostname=(server_name or host).removesuffix(".")) as connection:
                    expires = ssl.cert_time_to_seconds(str((connection.getpeercert() or {})["notAfter"]))
        except NETWORK_ERRORS as error:
            return failed(target, words_of(error))
        days = (expires - time.time()) / SECONDS_PER_DAY
        written = iso(expires)
        figure = Figure(days, "left of its certificate", in_days, warn_days, fail_days)
        return judge(target, {"days_left": round(days, 1), "expires": written}, [figure])


def in_days(value: float) -> str:
    """Return days in words."""
    days = f"{value:.1f}".removesuffix(".0")
    return f"{days} day" if days == "1" else f"{days} days"


def context_of(ca_file: str | os.PathLike[str] | None) -> ssl.SSLContext:
    """Return a context that trusts the authorities in a file, or those of this machine.

    Raises ``Unavailable`` where the file holds none.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        why = "holds no certificate" if isinstance(error, ssl.SSLError) else f"cannot be read ({error.strerror})"
        raise Unavailable(f"the file that ca_file names {why}") from error
    context.hostname_checks_common_name = False  # as browsers, and RFC 9525
    if ca_file is not None:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it may hold an intermediate authority alone
    return context
