"""Checks that need nothing but a running process."""

from __future__ import annotations

from status.providers.base import Provider


class Ping(Provider):
    """``{"pong": true}``: the process is alive and answers. Does no I/O, so it suits liveness probes."""

    path = "status.providers.health.ping"
    blocking = False

    def check(self) -> dict[str, bool]:
        return {"pong": True}


ping = Ping()
