"""What a check is: the contract between a provider and the engine that runs it."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Answer:
    """A value together with the reasons that the classic JSON has no room for.

    value: what JSON can hold.
    reasons: component -> safe sentence for each component that fails. Shown to callers who may see details, so it names
        classes, limits and names from the configuration, and never an exception's own text.
    """

    value: Any
    reasons: Mapping[str, str] = field(default_factory=dict)


class Unavailable(Exception):
    """A provider cannot answer, and says why in words that are safe to show to anyone."""


class Provider:
    """One named check or statistic. Subclass it and write ``check``.

    Class attributes are the options of an entry in ``STATUS_PROVIDERS``; the entry's own options win.

    timeout: seconds a run may take; None means ``STATUS_TIMEOUT``.
    max_age: seconds an answer may be reused; None means ``STATUS_MAX_AGE``.
    critical: False makes a failure a warning, which leaves the HTTP status at 200.
    blocking: False promises that ``check`` never waits for anything (no I/O, no lock), so that it runs without a thread.
    """

    timeout: float | None = None
    max_age: float | None = None
    critical: bool = True
    blocking: bool = True

    def check(self, *args: Any, **kwargs: Any) -> Any:
        """Answer anything JSON can hold, or an ``Answer`` to give reasons too. Receives the entry's args and kwargs.

        ``false`` or ``null`` at any depth means failing. May be ``async def``. Whatever it raises becomes a failed
        answer; raise ``Unavailable`` to choose the words that are shown.
        """
        raise NotImplementedError(f"{type(self).__name__} should define check(self, *args, **kwargs)")

    def may_block(self, *args: Any, **kwargs: Any) -> bool:
        """Whether the next run may wait for anything; asked before every run, and must itself never wait."""
        return self.blocking

    def public(self, value: Any) -> Any:
        """The part of ``value``, an answer as plain JSON, that a stranger may see. Everything unless overridden."""
        return value

    def late(self, reason: str, *args: Any, **kwargs: Any) -> Answer | None:
        """The answer when a run is not over by its deadline, for ``reason``; None stands for a failure of the provider.

        Asked in the thread of whoever waits, so it must itself never wait.
        """
        return None

    def close(self) -> None:
        """Release what is kept between runs; called when nobody has asked for a while, perhaps beside a new run."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the check like a plain function: the value alone, exceptions and all."""
        answer = self.check(*args, **kwargs)
        return answer.value if isinstance(answer, Answer) else answer


class FunctionProvider(Provider):
    """A plain callable, as ``STATUS_PROVIDERS`` may name it."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def check(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


def as_provider(candidate: Any) -> Provider:
    """A ``Provider`` for what a setting names: an instance, a subclass, or any callable. Raises TypeError otherwise."""
    if isinstance(candidate, Provider):
        return candidate
    if inspect.isclass(candidate) and issubclass(candidate, Provider):
        return candidate()
    if callable(candidate):
        return FunctionProvider(candidate)
    raise TypeError(f"a callable or a Provider, not {type(candidate).__name__}")


_run = threading.local()


def deadline() -> float | None:
    """When the run in this thread is to be over, on the clock of ``time.monotonic()``; None outside a run.

    A provider that asks several services reads it to answer for those that came in time.
    """
    return getattr(_run, "deadline", None)


@contextmanager
def running_until(end: float | None) -> Iterator[None]:
    """Make ``end`` what ``deadline()`` answers in this thread."""
    before = deadline()
    _run.deadline = end
    try:
        yield
    finally:
        _run.deadline = before
