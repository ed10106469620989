"""How long the queues of Celery are, and whether anybody consumes them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from time import monotonic
from types import MappingProxyType
from typing import Any

from status.providers.base import Answer, Unavailable, verdicts
from status.providers.celery.inspection import BrokerProvider, import_broker
from status.providers.kinds import COUNT, NAMES, listed


class QueueCheck(BrokerProvider):
    """Answer ``{queue: {"ok": bool, "messages": number, "consumers": number}}`` for queues of the Celery app's broker.

    Entry arguments: ``queues``, a list of names, by default those that the app consumes, without those of broadcasts,
    which each process names anew; ``warn_length`` and ``fail_length``, numbers of waiting messages above which a queue
    warns or fails; ``warn_consumers`` and ``fail_consumers``, numbers of consumers below which it does. Without them a
    queue fails only where it is not there.

    Queues are declared passively: none is made, no message is taken. Consumers are counted by RabbitMQ alone, and left
    out of the answer elsewhere.
    """

    command = "queues"
    remote_control = False
    metrics = MappingProxyType({"messages": "gauge", "consumers": "gauge"})
    kinds = MappingProxyType(
        {
            "queues": NAMES,
            **dict.fromkeys(("warn_length", "fail_length", "warn_consumers", "fail_consumers"), COUNT),
        }
    )

    def check(
        self,
        queues: Iterable[str] | str | None = None,
        warn_length: int | None = None,
        fail_length: int | None = None,
        warn_consumers: int | None = None,
        fail_consumers: int | None = None,
    ) -> Answer:
        broker = import_broker()
        app = broker.celery_app(self.remote_control)
        names = broker.queue_names(app) if queues is None else listed(queues)
        counts: dict[str, tuple[int, int] | None] = {}
        refused: dict[str, str] = {}
        contact = self.ask_broker(partial(_count_queues, names, counts, refused))
        if contact.driver not in (None, "amqp") and (warn_consumers, fail_consumers) != (None, None):
            raise Unavailable("Only RabbitMQ tells how many consumers a queue has. Ask for the workers instead.")
        values: dict[str, Any] = {}
        reasons: dict[str, str] = {}
        warnings: dict[str, str] = {}
        for name in names:
            found = counts.get(name)
            if found is None and contact.driver == "redis":  # where a queue goes with its last message
                found = (0, 0)
            if found is None:
                values[name] = {"ok": False}
                reasons[name] = refused.get(name) or contact.trouble or "there is no such queue"
                continue
            messages, consumers = found
            facts = {"messages": messages, **({"consumers": consumers} if contact.driver == "amqp" else {})}
            reason = _judge(messages, fail_length, consumers, fail_consumers)
            warning = _judge(messages, warn_length, consumers, warn_consumers)
            values[name] = {"ok": reason is None, **facts}
            if reason is not None:
                reasons[name] = reason
            elif warning is not None:
                warnings[name] = warning
        return Answer(values, reasons, warnings)

    def public(self, value: Any) -> Any:
        return verdicts(value)


def _count_queues(
    names: Iterable[str],
    counts: dict[str, tuple[int, int] | None],
    refused: dict[str, str],
    connection: Any,
    until: float,
) -> bool:
    """Put messages and consumers of each queue into ``counts``, or into ``refused`` why the broker tells none.

    Raises ``TimeoutError`` where that takes too long.
    """
    for name in names:
        try:
            counts[name] = connection.count(name, until)
        except Unavailable as error:
            refused[name] = str(error)
        if monotonic() >= until:
            raise TimeoutError
    return True


def _judge(messages: int, most: int | None, consumers: int, fewest: int | None) -> str | None:
    """Return what is wrong with the queue as a safe sentence, None where nothing is."""
    if most is not None and messages > most:
        return f"{messages:,} messages wait, more than {most:,}"
    if fewest is not None and consumers < fewest:
        return f"{consumers} consumers, fewer than {fewest}"
    return None
