"""Whether enough Celery workers answer, whatever they are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from time import monotonic
from types import MappingProxyType
from typing import Any

from status.conf import is_names, is_whole
from status.providers.base import Answer, Kind, verdicts
from status.providers.celery.inspection import BrokerProvider, is_pong, node_of, silence
from status.providers.kinds import COUNT

#: Seconds without another reply after which those that are there are counted. Workers that have nothing else to do
#: reply within some ten milliseconds.
QUIET_SECONDS = 0.25


def _is_workers(value: Any) -> bool:
    if isinstance(value, Mapping):
        return bool(value) and all(isinstance(name, str) and is_whole(count) for name, count in value.items())
    return bool(value) and is_names(value)


class WorkerCheck(BrokerProvider):
    """Answer ``{pattern: {"ok": bool, "answered": number}}``: whether enough workers of each name answer a ping.

    Entry arguments: ``workers``, a list of node names or patterns (``celery@web-*``), or a dict of them and how many
    have to answer; ``minimum``, how many of each where a list says nothing, by default one. Without ``workers``, any
    worker counts. A name without ``@`` is the host of a worker with Celery's default name, ``celery@host``.

    All workers are asked in one message. The answer comes once there are enough and no other has answered for a
    quarter of a second.
    """

    command = "ping"
    metrics = MappingProxyType({"answered": "gauge"})
    kinds = MappingProxyType(
        {
            "workers": Kind("a list of node names or patterns, or a dict of them and a number each", _is_workers),
            "minimum": COUNT,
        }
    )

    def check(self, workers: Iterable[str] | Mapping[str, int] | None = None, minimum: int = 1) -> Answer:
        names = ["*@*"] if workers is None else workers
        wanted = dict(names) if isinstance(names, Mapping) else dict.fromkeys(names, minimum)
        replies: dict[str, Any] = {}
        last = [0, monotonic()]

        def is_done() -> bool:
            if len(replies) > last[0]:
                last[:] = [len(replies), monotonic()]
            enough = all(_count_workers(name, replies) >= count for name, count in wanted.items())
            return enough and monotonic() - last[1] >= QUIET_SECONDS

        contact = self.ask_broker(lambda connection, until: connection.ask(self.command, None, until, replies, is_done))
        values, reasons = {}, {}
        for name, count in wanted.items():
            answered = _count_workers(name, replies)
            values[name] = {"ok": answered >= count, "answered": answered}
            if answered < count:
                reasons[name] = f"{answered} of at least {count}: {silence(contact)}"
        return Answer(values, reasons)

    def public(self, value: Any) -> Any:
        return verdicts(value)


def _count_workers(name: str, replies: Mapping[str, Any]) -> int:
    """Return how many workers of that name, or that match the pattern, answered with a pong."""
    return sum(fnmatchcase(node, node_of(name)) and is_pong(reply) for node, reply in replies.items())
