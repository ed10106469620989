"""A broker connection of our own: the application's pools are never touched, and no wait on it is without a limit.

``app.control`` borrows two connections of the application's pool for each question, so that a dozen questions at once
block one another, and the application's own ``task.delay()``, for ever. And its timeout is only for the answers, not
for the broker.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from time import monotonic, sleep, time
from typing import Any
from uuid import uuid4

from status.providers.base import Unavailable
from status.providers.celery import transports

#: Bytes of one worker's reply that are read. Stats of a busy worker are some 10 kB.
MAX_REPLY = 1_000_000
#: Seconds after which brokers that can do so delete a reply queue that nobody consumes.
EXPIRES = 60
#: Seconds after which one of us deletes a reply queue that another left behind, killed in the middle of a question.
STALE_AFTER = 60
#: Seconds of one wait for replies. Transports overstay the wait they are told, at worst to twice its length.
SLICE = 0.1
#: Seconds that good manners towards the broker may take once the time is up.
GOODBYE = 0.05
#: Seconds between two looks at a broker made of files.
POLLING_INTERVAL = 0.02

PREFIX = "status"


class Line:
    """A connection to the broker of ``app`` and one channel on it, to ask workers by remote control.

    Not for two threads at a time, and not across a fork. After any exception it can only be dropped.
    """

    def __init__(self, app: Any, until: float) -> None:
        """Connect, until ``until`` on the clock of ``time.monotonic()`` at the latest."""
        # Late: kombu comes with celery.
        from kombu.pidbox import Mailbox

        self.app = app
        self.pid = os.getpid()
        self.url = app.conf.broker_write_url
        self.connection = transports.connection(app, max(until - monotonic(), 0.001))
        self.driver = self.connection.get_transport_cls().driver_type
        if not self.connection.supports_exchange_type("fanout"):
            raise Unavailable("The broker's transport carries no remote control.")
        # Only the names and kinds of the exchanges are wanted of the mailbox: its reply queue belongs to one thread.
        mailbox = Mailbox(app.conf.control_exchange, type="fanout")
        self.requests, self.replies = mailbox.exchange, mailbox.reply_exchange
        self.raw: Any = None
        self.swept = float("-inf")
        try:
            self._connect(until)
        except BaseException:
            self.drop()
            raise

    def _connect(self, until: float) -> None:
        # One attempt for each URL, without a pause.
        attempts = len(self.connection.alt) or 1
        self.connection.ensure_connection(max_retries=attempts - 1, reraise_as_library_errors=False)
        self.raw = self.connection.connection
        self.limit(until)
        self.channel = self.connection.channel()
        self.requests(self.channel).declare()
        self.replies(self.channel).declare()

    def serves(self, app: Any) -> bool:
        """Whether this is a line of this process to the broker that ``app`` has now."""
        return self.app is app and bool(self.url == app.conf.broker_write_url)

    @property
    def reach(self) -> str:
        """What limits who can answer; follows "no answer", mostly empty."""
        if self.driver == "memory":
            return "; the memory transport reaches workers of this process only"
        return ""

    def ask(self, method: str, nodes: Collection[str], until: float, answers: dict[str, Any]) -> bool:
        """Send the remote control command ``method`` to ``nodes``, and put what each answers into ``answers``.

        Returns with the last answer, or at ``until``: whether the line is of further use.
        """
        # Late: as above.
        from kombu import Consumer, Queue

        self.limit(until)
        self._sweep()
        ticket = uuid4().hex
        name = f"{PREFIX}.{int(time())}.{ticket}.{self.replies.name}"
        queue = Queue(
            name, self.replies, routing_key=name, durable=False, exclusive=True, auto_delete=True, expires=EXPIRES
        )

        def receive(message: Any) -> None:
            for node, value in _read(message, ticket).items():
                if node in nodes:
                    answers.setdefault(node, value)

        accept = self.app.conf.accept_content
        consumer = Consumer(self.channel, [queue], no_ack=True, accept=accept, on_message=receive)
        consumer.consume()
        self._publish(method, nodes, ticket, name, max(until - monotonic(), 0.001))
        while len(answers) < len(nodes) and (left := until - monotonic()) > 0:
            with suppress(TimeoutError):
                self._wait(name, min(left, SLICE))
        complete = len(answers) == len(nodes)
        if not complete and transports.is_amqp(self.raw):
            return False  # the queue is exclusive: it goes with the line, and whoever floods it is not listened to
        return self._forget(consumer, name, until) and complete

    def _forget(self, consumer: Any, queue: str, until: float) -> bool:
        """Delete the reply queue; whether the broker did so in time."""
        self.limit(max(until, monotonic() + GOODBYE))
        try:
            consumer.cancel()
            self.channel.after_reply_message_received(queue)
        except Exception:  # each transport has errors of its own, and the answers are there
            return False
        finally:
            self._clear(queue)
        return True

    def _clear(self, queue: str) -> None:
        """Take the queue out of what Kombu keeps, for ever, about every queue of a transport that is no AMQP."""
        exchange = getattr(getattr(self.channel, "state", None), "exchanges", {}).get(self.replies.name, {})
        table = exchange.get("table", [])
        for binding in [binding for binding in table if binding[-1] == queue]:
            with suppress(ValueError):
                table.remove(binding)
        getattr(self.channel, "_expires", {}).pop(queue, None)

    def _publish(self, method: str, nodes: Collection[str], ticket: str, queue: str, seconds: float) -> None:
        """Send the request, to be answered to ``queue``, and of interest for so many ``seconds``."""
        # Late: as above.
        from kombu import Producer

        request = {
            "method": method,
            "arguments": {},
            "destination": list(nodes),
            "pattern": None,
            "matcher": None,
            "ticket": ticket,
            "reply_to": {"exchange": self.replies.name, "routing_key": queue},
        }
        Producer(self.channel, auto_declare=False).publish(
            request,
            exchange=self.requests.name,
            serializer=self.app.conf.task_serializer,
            headers={"clock": 0, "expires": time() + seconds},
            expiration=seconds,  # a worker that is frozen now is not to answer by the dozen later
        )

    def _wait(self, queue: str, seconds: float) -> None:
        """For a reply, or ``TimeoutError``."""
        if self.driver == "filesystem":
            # There kombu takes a file that is still being written, and what it should have held is lost.
            sleep(min(POLLING_INTERVAL, seconds))
            if not self.channel.queue_declare(queue, passive=True).message_count:
                return
            sleep(POLLING_INTERVAL)
        # Not the connection's own method, which may take it upon itself to connect again.
        self.connection.transport.drain_events(self.raw, timeout=seconds)

    def _sweep(self) -> None:
        """Delete reply queues left behind by one of us that was killed, where the broker does not do so itself."""
        # Late: as above.
        from kombu import Queue

        if not hasattr(self.channel, "get_table") or monotonic() - self.swept < STALE_AFTER:
            return
        if self.driver == "memory":
            return  # nobody else's queues are there, and kombu's own table would grow while it is read
        self.swept = monotonic()
        for _, _, name in list(self.channel.get_table(self.replies.name)):
            prefix, _, rest = name.partition(".")
            made = rest.partition(".")[0]
            if prefix == PREFIX and made.isdecimal() and int(made) < time() - STALE_AFTER:
                stale = Queue(name, self.replies, routing_key=name, auto_delete=True)(self.channel)
                stale.declare()
                stale.delete()

    def limit(self, until: float) -> None:
        """Let no single operation take longer than until ``until``."""
        transports.limit(self.raw, max(until - monotonic(), 0.001))

    def close(self) -> None:
        """Hang up politely."""
        with suppress(Exception):  # it is given up in any case
            if transports.is_amqp(self.raw):
                transports.say_goodbye(self.raw, GOODBYE)
        self.drop()

    def drop(self) -> None:
        """Hang up without a word, at once."""
        transports.disconnect(self.raw)
        poller = getattr(getattr(self.connection._transport, "cycle", None), "poller", None)
        self.connection.release()
        if poller is not None:
            poller.close()

    def disown(self) -> None:
        """Let go of it in a forked child, without harm to the parent's connection."""
        transports.disown(self.raw)


def _read(message: Any, ticket: str) -> dict[str, Any]:
    """``{node: answer}`` of a reply to this question; empty for anything else."""
    if message.headers.get("ticket") != ticket or len(message.body or b"") > MAX_REPLY:
        return {}
    try:
        reply = message.decode()
    except Exception:  # whatever a stranger on the broker sends; each serializer has errors of its own
        return {}
    return reply if isinstance(reply, dict) else {}
