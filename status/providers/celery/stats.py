"""What the configured Celery workers tell of themselves."""

from __future__ import annotations

from typing import Any

from status.providers.celery.inspection import Inspection

#: https://docs.celeryq.dev/en/stable/userguide/workers.html#statistics
FIELDS = ("broker", "clock", "pid", "pool", "prefetch_count", "rusage", "total", "uptime")
#: Of the broker. Left out: the user, and what may hold a password: transport options, login method, alternate URLs.
BROKER_FIELDS = ("transport", "hostname", "port", "virtual_host", "connect_timeout", "heartbeat", "failover_strategy")


class CeleryStats(Inspection):
    """Answer ``{worker: Celery's own stats}`` for the workers in ``workers``, None for one that does not reply in time.

    Anonymous callers get ``{worker: bool}``: whether it replied.
    """

    command = "stats"

    def value(self, reply: Any) -> dict[str, Any] | None:
        if not isinstance(reply, dict) or "error" in reply:
            return None
        stats = {name: reply[name] for name in FIELDS if name in reply}
        if "broker" in stats:
            broker = stats["broker"] if isinstance(stats["broker"], dict) else {}
            facts = {name: broker[name] for name in BROKER_FIELDS if name in broker}
            # Some transports (SQL, unix sockets) keep a whole URL here, user and password included.
            if not isinstance(facts.get("hostname"), str) or any(sign in facts["hostname"] for sign in "@:/"):
                facts.pop("hostname", None)
            stats["broker"] = facts
        return stats or None

    def public(self, value: Any) -> Any:
        return {worker: stats is not None for worker, stats in value.items()}


celery = CeleryStats()
