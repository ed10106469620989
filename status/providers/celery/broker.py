"""The Celery app that is asked, and a broker connection of this package's own, on which no wait is without a limit.

``app.control`` borrows two connections of the application's pool for each question, so that a dozen questions at once
block one another, and the application's own ``task.delay()``, for ever. Its timeout is for the replies only, not for
the broker. Here py-amqp and redis-py are told a limit before each step. Other transports (files, memory, SQL) have
none, and are left to the deadline of the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from importlib import import_module
from time import monotonic, sleep, time
from typing import Any
from uuid import uuid4

from amqp import spec
from celery import Celery
from celery.app import default_app
from celery.app.utils import find_app
from kombu import Consumer, Producer, Queue
from kombu.common import Broadcast
from kombu.pidbox import Mailbox
from kombu.transport import virtual

from status.conf import conf
from status.providers.base import Unavailable

#: Bytes of one worker's reply that are read. Stats of a busy worker are some 10 kB.
MAX_REPLY = 1_000_000
#: Seconds after which reply queues are deleted that a process left behind, killed in the middle of a question.
STALE_AFTER = 60
#: The part of the time that is left which opening a connection may take.
CONNECT_PART = 0.8
#: Seconds of one wait for replies. Transports overstay the wait they are told, at worst to twice its length.
WAIT_SECONDS = 0.1
#: Seconds that tidying up at the broker may take once the time is up.
TIDY_SECONDS = 0.05
#: Seconds between two looks at a broker in memory or made of files; kombu's own default is a second.
POLLING_INTERVAL = 0.02
#: What AMQP answers about a queue that is not there.
NOT_FOUND = "404"
#: Bytes of the longest name that AMQP can tell.
MAX_NAME = 255
#: What names of reply queues begin with.
QUEUE_PREFIX = "status"


def celery_app(remote_control: bool) -> Any:
    """Return the app that ``STATUS_CELERY_APP`` names, else Celery's default app.

    remote_control: whether workers are to be asked.

    Raises ``Unavailable`` where there is none, or where its configuration leaves no worker to ask.
    """
    path = conf.celery_app
    if path is None:
        # The app itself, whose method this is: ``default_app`` stands for whatever is the default when it is used.
        app = default_app.finalize.__self__ if default_app else None
        # Where somebody used ``current_app`` and there was none, Celery makes up one that talks to localhost.
        if app is None or (app.main == "default" and not app.set_as_current and app.fixups == []):
            raise Unavailable('There is no default Celery app: set STATUS_CELERY_APP = "proj.celery:app".')
    else:
        try:
            app = find_app(path, imp=import_module)
        except Exception as error:  # whatever the project's own module raises
            kind = type(error).__name__
            raise Unavailable(f"STATUS_CELERY_APP names nothing that can be imported ({kind}).") from error
        if not isinstance(app, Celery):
            raise Unavailable(f"STATUS_CELERY_APP should name a Celery app, not a {type(app).__name__}.")
    if app.conf.task_always_eager:
        raise Unavailable(
            "Celery's task_always_eager is on: tasks run where they are called, and no worker takes part. "
            "Leave STATUS_CELERY_WORKERS empty, and ask for neither workers nor queues."
        )
    if remote_control and not app.conf.worker_enable_remote_control:
        raise Unavailable("Celery's worker_enable_remote_control is off, so no worker can answer.")
    return app


def queue_names(app: Any) -> list[str]:
    """Return the queues that the app consumes, but for those of broadcasts: each process makes up a name for them."""
    return [name for name, queue in app.amqp.queues.items() if not isinstance(queue, Broadcast)]


class BrokerConnection:
    """A connection to the broker of ``app`` and one channel on it, to ask it for queues, or workers by remote control.

    Not for two threads at a time. After any exception it can only be dropped.

    app: the Celery app.
    until: when it is to be open at the latest, on the clock of ``time.monotonic()``.

    ``blocked`` holds something while the broker says that it takes no messages: https://www.rabbitmq.com/docs/connection-blocked
    """

    def __init__(self, app: Any, until: float) -> None:
        self.app = app
        self.url = app.conf.broker_write_url
        self.connection = limited_connection(app, max(until - monotonic(), 0.001))
        # Only the names and kinds of the exchanges are wanted of the mailbox: its reply queue belongs to one thread.
        mailbox = Mailbox(app.conf.control_exchange, type="fanout")
        self.requests, self.replies = mailbox.exchange, mailbox.reply_exchange
        self.declared = False
        self.raw: Any = None
        self.channel: Any = None
        self.blocked: list[str] = []
        self.swept = float("-inf")
        try:
            # One attempt for each URL, without a pause.
            attempts = len(self.connection.alt) or 1
            self.connection.ensure_connection(max_retries=attempts - 1, reraise_as_library_errors=False)
            self.raw = self.connection.connection
            if self.driver == "amqp":
                self.raw.on_blocked, self.raw.on_unblocked = self.blocked.append, self.blocked.clear
            self.limit(until)
            self.channel = self.connection.channel()
        except BaseException:
            self.drop()
            raise

    @property
    def driver(self) -> str:
        """The kind of transport: ``amqp``, ``redis``, ``memory``, ..."""
        return str(self.connection.get_transport_cls().driver_type)

    def count(self, queue: str, until: float) -> tuple[int, int] | None:
        """Return how many messages wait in the queue, and how many consumers it has; None where there is none.

        Only AMQP counts consumers. Redis deletes a queue with its last message. Raises ``Unavailable`` where the broker
        does not tell of this queue, and may tell of others.
        """
        self.limit(until)
        is_amqp = self.driver == "amqp"
        if is_amqp and len(queue.encode("utf-8", "replace")) > MAX_NAME:
            raise Unavailable("no queue has such a long name")
        try:
            found = self.channel.queue_declare(queue, passive=True)
        except self.connection.channel_errors as error:
            if is_amqp:  # the broker has closed the channel
                self.channel = self.connection.channel()
            if str(getattr(error, "reply_code", "")) == NOT_FOUND:
                return None
            if is_amqp:
                raise Unavailable(f"the broker does not tell ({type(error).__name__})") from error
            raise
        return found.message_count, found.consumer_count

    def ask(
        self,
        command: str,
        nodes: Collection[str] | None,
        until: float,
        replies: dict[str, Any],
        is_done: Callable[[], bool],
    ) -> bool:
        """Send a remote control command to ``nodes``, None for all, and put what each replies into ``replies``.

        Return once ``is_done``, or at ``until``: whether the connection is of further use.
        """
        self.limit(until)
        self._declare()
        self._delete_stale_queues()
        ticket = uuid4().hex
        name = f"{QUEUE_PREFIX}.{int(time())}.{ticket}.{self.replies.name}"
        queue = Queue(name, self.replies, routing_key=name, durable=False, exclusive=True, auto_delete=True)

        def receive(message: Any) -> None:
            for node, value in read_reply(message, ticket).items():
                if nodes is None or node in nodes:
                    replies.setdefault(node, value)

        accept = self.app.conf.accept_content
        consumer = Consumer(self.channel, [queue], no_ack=True, accept=accept, on_message=receive)
        consumer.consume()
        self._publish(command, nodes, ticket, name, max(until - monotonic(), 0.001))
        while not (complete := is_done()) and (left := until - monotonic()) > 0:
            with suppress(TimeoutError):
                self._wait(name, min(left, WAIT_SECONDS))
        if not complete and self.driver == "amqp":
            return False  # the queue is exclusive: it goes with the connection, and who floods it is not listened to
        self.limit(max(until, monotonic() + TIDY_SECONDS))
        try:
            consumer.cancel()
            self._delete(queue)
        except Exception:  # each transport has errors of its own, and the replies are there
            return False
        return complete

    def _declare(self) -> None:
        """Declare the exchanges of remote control, where that is still to be done."""
        if not self.connection.supports_exchange_type("fanout"):
            raise Unavailable("The broker's transport carries no remote control.")
        if not self.declared:
            self.requests(self.channel).declare()
            self.replies(self.channel).declare()
            self.declared = True

    def _publish(self, command: str, nodes: Collection[str] | None, ticket: str, queue: str, seconds: float) -> None:
        """Send the request, to be answered to ``queue``, and of interest for so many ``seconds``."""
        request = {
            "method": command,
            "arguments": {},
            "destination": None if nodes is None else list(nodes),
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
        """Wait for a reply. Raises ``TimeoutError``."""
        if self.driver == "filesystem":
            # There kombu takes a file that is still being written, and what it should have held is lost.
            sleep(min(POLLING_INTERVAL, seconds))
            if not self.channel.queue_declare(queue, passive=True).message_count:
                return
            sleep(POLLING_INTERVAL)
        # Not the connection's own method, which may take it upon itself to connect again.
        self.connection.transport.drain_events(self.raw, timeout=seconds)

    def _delete(self, queue: Any) -> None:
        """Delete a reply queue, also from the table of bindings that kombu keeps for transports without real queues."""
        if isinstance(self.channel, virtual.Channel):
            table = self.channel.state.exchanges[self.replies.name]["table"]
            for binding in [binding for binding in table if binding[-1] == queue.name]:
                table.remove(binding)
        queue(self.channel).delete()

    def _delete_stale_queues(self) -> None:
        """Delete the reply queues of processes that were killed, where the broker does not do so itself."""
        expires_itself = self.driver == "memory" or not isinstance(self.channel, virtual.Channel)
        if expires_itself or monotonic() - self.swept < STALE_AFTER:
            return
        self.swept = monotonic()
        for _, _, name in list(self.channel.get_table(self.replies.name)):
            prefix, _, rest = name.partition(".")
            made = rest.partition(".")[0]
            if prefix == QUEUE_PREFIX and made.isdecimal() and int(made) < time() - STALE_AFTER:
                stale = Queue(name, self.replies, routing_key=name, auto_delete=True)
                stale(self.channel).declare()
                self._delete(stale)

    def limit(self, until: float) -> None:
        """Let no single operation take longer than until ``until``.

        redis-py has no public way to change the timeout of an open connection.
        """
        seconds = max(until - monotonic(), 0.001)
        if self.driver == "amqp" and self.raw.connected:
            self.raw.sock.settimeout(seconds)
        for pool in self._redis_pools():
            for connection in (*pool._available_connections, *pool._in_use_connections):
                connection.socket_timeout = connection.socket_connect_timeout = seconds
                if connection._sock is not None:
                    connection._sock.settimeout(seconds)
                    # redis-py sets the socket back to what its parser remembers: hiredis itself, Python's its buffer.
                    parser = connection._parser
                    if hasattr(parser, "_socket_timeout"):
                        parser._socket_timeout = seconds
                    else:
                        parser._buffer.socket_timeout = seconds

    def _redis_pools(self) -> list[Any]:
        return [self.channel.pool, self.channel.async_pool] if self.driver == "redis" and self.channel else []

    def close(self) -> None:
        """Tell an AMQP broker that the connection ends, wait a moment for its word, and drop the connection.

        py-amqp's own ``close()`` limits each read alone, and reads all that the broker has still to deliver.
        """
        with suppress(Exception):  # it is given up in any case
            if self.driver == "amqp":
                until = monotonic() + TIDY_SECONDS
                self.limit(until)
                self.raw.send_method(spec.Connection.Close, "BsBB", (0, "", 0, 0))
                while self.raw.connected and (left := until - monotonic()) > 0:
                    self.raw.drain_events(timeout=left)  # closes it at the broker's word
        self.drop()

    def drop(self) -> None:
        """Close the sockets at once, without a word to the broker."""
        if self.driver == "amqp" and self.raw is not None:
            self.limit(monotonic())  # for the farewell of TLS
            self.raw.collect()
        for pool in self._redis_pools():
            pool.disconnect()
        poller = self.connection.transport.cycle.poller if self.driver == "redis" else None
        self.connection.release()
        if poller is not None:
            poller.close()  # kombu leaves it to the garbage collector


def limited_connection(app: Any, seconds: float) -> Any:
    """Return a new kombu connection to the broker of ``app``, not yet open, that opens within ``seconds``."""
    url, configured = app.conf.broker_write_url, app.conf.broker_transport_options or {}
    urls = len(url) if isinstance(url, (list, tuple)) else str(url).count(";") + 1
    limit = seconds * CONNECT_PART / urls
    driver = app.connection_for_write().get_transport_cls().driver_type
    options: dict[str, Any] = {}
    if driver == "amqp":
        options = {"read_timeout": limit, "write_timeout": limit}
    elif driver == "redis":
        limits = {"socket_timeout": limit, "socket_connect_timeout": limit}
        # Without emulated acknowledgements kombu does not put back, from here, tasks that workers are busy with.
        options = {**limits, "retry_on_timeout": False, "ack_emulation": False}
        # The client of a sentinel that is down tries again and again, while the next one could tell.
        once = import_module("redis.retry").Retry(import_module("redis.backoff").NoBackoff(), 0)
        options["sentinel_kwargs"] = {**(configured.get("sentinel_kwargs") or {}), **limits, "retry": once}
    elif driver == "memory":
        options = {"polling_interval": POLLING_INTERVAL}
    return app.connection_for_write(connect_timeout=limit, transport_options=options)


def read_reply(message: Any, ticket: str) -> dict[str, Any]:
    """Return ``{node: answer}`` of a reply to the question of that ticket; empty for anything else."""
    if message.headers.get("ticket") != ticket or len(message.body or b"") > MAX_REPLY:
        return {}
    try:
        reply = message.decode()
    except Exception:  # whatever a stranger on the broker sends; each serializer has errors of its own
        return {}
    return reply if isinstance(reply, dict) else {}
