"""What the checks of Celery share: asking the broker and the workers behind it, and what their silence means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from time import monotonic
from types import MappingProxyType
from typing import Any, NamedTuple

from status.conf import conf, is_names
from status.logs import FailureLog
from status.providers.base import Answer, Kind, Provider, Unavailable, seconds_left
from status.threads import PerProcess

#: Seconds before the deadline at which the replies are told that have come, and the same as a part of short deadlines.
RESERVE_SECONDS = 0.15
RESERVE_PART = 0.1

#: What is told of a broker that takes no messages, so that no worker hears the question.
BLOCKED = "broker takes no messages (memory or disk is short)"

#: The broker connection that is kept between questions, whichever check opened it: none, or one.
idle: PerProcess[list[Any]] = PerProcess(list)


class Contact(NamedTuple):
    """How asking the broker went.

    seconds: that there were.
    driver: the kind of its transport; None where it cannot be reached.
    trouble: why not, or why it passes nothing on, as a safe sentence.
    """

    seconds: float
    driver: str | None = None
    trouble: str | None = None


class BrokerProvider(Provider):
    """Asks the broker of the Celery app, or workers by way of it, and ends in time for the answer to be told."""

    #: How the log calls the question.
    command = ""
    #: Whether it is workers that are asked.
    remote_control = True

    def __init__(self) -> None:
        self.failures = FailureLog("celery", self.command)

    def load(self, *args: Any, **kwargs: Any) -> None:
        """Import what the app's broker is talked to with."""
        import_broker().celery_app(self.remote_control).connection_for_write().get_transport_cls()

    def ask_broker(self, question: Callable[[Any, float], bool]) -> Contact:
        """Call ``question`` with the idle connection and, where that has gone bad, again with a new one.

        question: gets a ``BrokerConnection`` and until when it is to answer (monotonic). Returns whether the
            connection is of further use.

        Raises ``Unavailable`` where there is nobody to ask.
        """
        broker = import_broker()
        app, seconds = broker.celery_app(self.remote_control), seconds_left()
        until = monotonic() + seconds - min(RESERVE_SECONDS, seconds * RESERVE_PART)
        kept = _take_idle(app)
        for attempt in (kept, None) if kept else (None,):
            try:
                connection = attempt or broker.BrokerConnection(app, until)
                try:
                    usable = question(connection, until)
                except BaseException:
                    connection.drop()
                    raise
            except Unavailable:
                raise
            except Exception as error:  # each transport has errors of its own
                failure = error
                if monotonic() >= until:
                    break
            else:
                self.failures.passed()
                if usable and not idle.get():
                    idle.get().append(connection)
                else:
                    connection.close()
                return Contact(round(seconds, 1), connection.driver, BLOCKED if connection.blocked else None)
        trouble = describe_failure(failure)
        self.failures.failed(trouble, failure)
        return Contact(round(seconds, 1), trouble=trouble)

    def close(self) -> None:
        with suppress(IndexError):
            while True:
                idle.get().pop().close()


class Inspection(BrokerProvider):
    """Send one remote control command to workers by name, and end with the last reply.

    Entry argument ``workers``: Celery node names, ``STATUS_CELERY_WORKERS`` when left out; a name without ``@`` is the
    host of a worker with Celery's default name, ``celery@host``.
    """

    arguments = MappingProxyType({"workers": (list, tuple, set, frozenset)})
    kinds: Mapping[str, Kind] = MappingProxyType({"workers": Kind("a list of Celery node names", is_names)})

    def value(self, reply: Any) -> Any:
        """Return what is told of one worker's reply, None if it gave none. Whatever is false is a failure."""
        raise NotImplementedError

    def may_block(self, workers: Any = None) -> bool:
        return bool(conf.celery_workers if workers is None else workers)

    def load(self, workers: Any = None) -> None:
        if self.may_block(workers):
            super().load()

    def check(self, workers: Any = None) -> Any:
        names = conf.celery_workers if workers is None else workers
        if not names:
            return {}
        nodes = {name: node_of(name) for name in names}
        replies: dict[str, Any] = {}
        wanted = set(nodes.values())

        def is_done() -> bool:
            return len(replies) == len(wanted)

        contact = self.ask_broker(
            lambda connection, until: connection.ask(self.command, wanted, until, replies, is_done)
        )
        values, reasons = {}, {}
        for name, node in nodes.items():
            values[name] = self.value(replies.get(node))
            if not values[name]:
                reasons[name] = "answered with an error" if node in replies else silence(contact)
        return Answer(values, reasons)


def node_of(name: str) -> str:
    """Return the node name of a worker that is called by its host, or as it is."""
    return name if "@" in name else f"celery@{name}"


def is_pong(reply: Any) -> bool:
    """Return whether it is what a worker replies to a ping."""
    return isinstance(reply, dict) and reply.get("ok") == "pong"


def silence(contact: Contact) -> str:
    """Return why a worker did not answer."""
    hint = "; the memory transport reaches workers of this process only" if contact.driver == "memory" else ""
    return contact.trouble or f"no answer within {contact.seconds:g} s{hint}"


def import_broker() -> Any:
    """Return the module that asks. Raises ``Unavailable`` where Celery is not installed, or only in part."""
    try:
        # Late: celery is an extra, and costs its import only where workers are asked.
        from status.providers.celery import broker
    except ImportError as error:
        if error.name == "celery":
            raise Unavailable("Celery is not installed: pip install django-status[celery]") from error
        raise Unavailable(f"Celery cannot be imported ({error.name} is missing).") from error
    return broker


def _take_idle(app: Any) -> Any:
    """Return the idle connection, which is the caller's now; None where there is none to the broker of ``app``."""
    try:
        connection = idle.get().pop()
    except IndexError:
        return None
    if connection.app is app and connection.url == app.conf.broker_write_url:
        return connection
    connection.close()
    return None


def describe_failure(error: BaseException) -> str:
    """Return what went wrong at the broker, in words that are safe to show."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return "broker refused the connection (ConnectionRefusedError)"
    if any(isinstance(cause, TimeoutError) or type(cause).__name__ == "TimeoutError" for cause in causes):
        return "broker did not answer in time (TimeoutError)"
    return f"broker connection failed ({type(error).__name__})"
