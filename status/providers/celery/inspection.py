"""Asking the configured workers, and what their silence means."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from status.conf import conf
from status.logs import log_failure
from status.providers.base import Answer, Provider, Unavailable, deadline
from status.providers.celery.app import celery_app
from status.providers.celery.line import Line

#: Seconds before the deadline at which the answers are told that have come, and the same as a part of short deadlines.
MARGIN = 0.15
MARGIN_PART = 0.1


class Inspection(Provider):
    """Sends one remote control command to workers by name and ends with the last answer.

    Entry argument ``workers``: Celery node names, ``STATUS_CELERY_WORKERS`` when left out; a name without ``@`` is the
    host of a worker with Celery's default name, ``celery@host``.
    """

    command = ""
    #: The kind of broker failure that the log was last told of, None after an answer.
    logged: type[BaseException] | None = None

    def may_block(self, workers: Any = None) -> bool:
        return bool(self._names(workers))

    def check(self, workers: Any = None) -> Any:
        names = self._names(workers)
        if not isinstance(names, (list, tuple, set, frozenset)) or not all(isinstance(name, str) for name in names):
            raise Unavailable(f"workers should be a list of Celery node names, not a {type(names).__name__}.")
        if not names:
            return {}
        question = Question(celery_app(), self.command, {name: node_name(name) for name in names})
        question.put()
        self._log(question)
        values, reasons = {}, {}
        for name, node in question.nodes.items():
            answered = node in question.answers
            values[name] = self.value(question.answers[node]) if answered else self.value(None)
            if not values[name]:
                reasons[name] = "answered with an error" if answered else question.silence
        return Answer(values, reasons)

    def value(self, answer: Any) -> Any:
        """What is told of one worker's answer, None if it gave none. Whatever is false is a failure."""
        raise NotImplementedError

    def close(self) -> None:
        idle.close()

    def _log(self, question: Question) -> None:
        """The broker's failure in full: once, not at every probe, for as long as the same thing goes wrong."""
        error = question.error
        if error is not None and type(error) is not self.logged:
            log_failure("celery", self.command, question.silence, error)
        self.logged = None if error is None else type(error)

    def _names(self, workers: Any) -> Any:
        return conf.celery_workers if workers is None else workers


def node_name(worker: str) -> str:
    """The node name of a worker that is named in full, or by its host alone."""
    return worker if "@" in worker else f"celery@{worker}"


@dataclass
class Question:
    """One command to several workers, with the answers that came in time.

    nodes: name in the settings -> node name.
    answers: node name -> answer.
    silence: why the others are missing, safe to show.
    error: the broker's failure, if that is why.
    """

    app: Any
    command: str
    nodes: dict[str, str]
    answers: dict[str, Any] = field(default_factory=dict)
    silence: str = ""
    error: Exception | None = None

    def put(self) -> None:
        """Ask on the idle line, and where that has gone bad meanwhile on a new one. Raises ``Unavailable``."""
        started = monotonic()
        end = deadline()
        if end is None:
            end = started + float(conf.timeout)
        until = end - min(MARGIN, (end - started) * MARGIN_PART)
        nodes = set(self.nodes.values())
        line = idle.take(self.app)
        for attempt in (line, None) if line is not None else (None,):
            try:
                self._ask(attempt, nodes, until)
            except Unavailable:
                raise
            except Exception as error:  # each transport has errors of its own
                self.error = error
                self.silence = _broker_failed(error)
                if monotonic() >= until:
                    return
            else:
                self.error = None
                self.silence = f"no answer within {round(end - started, 1):g} s{self.silence}"
                return

    def _ask(self, line: Line | None, nodes: Collection[str], until: float) -> None:
        if line is None:
            line = Line(self.app, until)
        try:
            usable = line.ask(self.command, nodes, until, self.answers)
        except BaseException:
            line.drop()
            raise
        self.silence = line.reach
        if usable:
            idle.put(line)
        else:
            line.close()


class Idle:
    """The one line that is kept between questions, by whatever provider it was opened."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def take(self, app: Any) -> Line | None:
        """The kept line, where there is one that is of use; it is the caller's now."""
        line = self._pop()
        if line is not None and not line.serves(app):
            line.close()
            return None
        return line

    def put(self, line: Line) -> None:
        surplus = self._pop()
        self.lines.append(line)
        if surplus is not None:
            surplus.close()

    def close(self) -> None:
        line = self._pop()
        if line is not None:
            line.close()

    def _pop(self) -> Line | None:
        """What is kept. After a fork, what the parent keeps is none of ours."""
        try:
            line = self.lines.pop()
        except IndexError:  # another thread has it
            return None
        if line.pid != os.getpid():
            line.disown()
            return None
        return line


idle = Idle()


def _broker_failed(error: BaseException) -> str:
    """What went wrong, in words that are safe to show."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    for cause in causes:
        if isinstance(cause, ConnectionRefusedError):
            return "broker refused the connection (ConnectionRefusedError)"
    for cause in causes:
        if isinstance(cause, TimeoutError) or type(cause).__name__ == "TimeoutError":
            return "broker did not answer in time (TimeoutError)"
    return f"broker connection failed ({type(error).__name__})"
