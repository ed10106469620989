"""What a check is: the contract between a provider and the engine that runs it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from status.exceptions import StatusError


class Answer(NamedTuple):
    """A value together with the sentences that the classic JSON has no room for.

    value: what JSON can hold.
    reasons: component -> safe sentence for each component that fails. Shown to callers who may see details, so it names
        classes, limits and names from the configuration, and never an exception's own text.
    warnings: component -> safe sentence for each component that is not well, but no reason to fail: it shows, the
        state is ``warn``, and the HTTP status stays 200.
    """

    value: Any
    reasons: Mapping[str, str] = MappingProxyType({})
    warnings: Mapping[str, str] = MappingProxyType({})


class Unavailable(StatusError):
    """A provider cannot answer, and says why in words that are safe to show to anyone."""


class Provider:
    """One named check or statistic. Subclass it and write ``check``.

    Class attributes are the options of an entry in ``STATUS_PROVIDERS``; the entry's own options win.

    timeout: seconds a run may take; None means ``STATUS_TIMEOUT``.
    max_age: seconds an answer may be reused; None means ``STATUS_MAX_AGE``.
    critical: False makes a failure a warning, which leaves the HTTP status at 200.
    blocking: False promises that ``check`` never waits for anything (no I/O, no lock): it runs without a thread.
    arguments: the arguments that ``check`` takes, in their order, where all others are ignored, as the built-in
        providers of 2.x did: names, and the types that a positional one must have. None hands over all arguments.
    """

    timeout: float | None = None
    max_age: float | None = None
    critical: bool = True
    blocking: bool = True
    arguments: Mapping[str, Any] | None = None

    def check(self, *args: Any, **kwargs: Any) -> Any:
        """Answer anything JSON can hold, or an ``Answer`` to give reasons too. Receives the entry's args and kwargs.

        ``false`` or ``null`` at any depth means failing. May be ``async def``. Whatever it raises becomes a failed
        answer; raise ``Unavailable`` to choose the words that are shown.
        """
        raise NotImplementedError(f"{type(self).__name__} should define check(self, *args, **kwargs)")

    def may_block(self, *args: Any, **kwargs: Any) -> bool:
        """Whether the next run may wait for anything; asked before every run, and must itself never wait."""
        return self.blocking

    def load(self, *args: Any, **kwargs: Any) -> None:
        """Import what a run needs. Called before the first run, in a thread where nothing else is imported."""

    def public(self, value: Any) -> Any:
        """The part of ``value``, an answer as plain JSON, that a stranger may see. Everything unless overridden."""
        return value

    def close(self) -> None:
        """Release what is kept between runs; called when nobody has asked for a while, perhaps beside a new run."""

    def accept(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any], tuple[str, ...]]:
        """Return the arguments to hand to ``check``, and what was ignored: names, and "number 1" for a position."""
        if self.arguments is None:
            return args, kwargs, ()
        known = {name: value for name, value in kwargs.items() if name in self.arguments}
        ignored = [name for name in kwargs if name not in known]
        names = list(self.arguments)
        for number, value in enumerate(args):
            name = names[number] if number < len(names) else None
            if name is not None and name not in known and isinstance(value, self.arguments[name]):
                known[name] = value
            else:
                ignored.append(f"number {number + 1}")
        return (), known, tuple(ignored)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the check like a plain function: the value alone, exceptions and all."""
        args, kwargs, _ = self.accept(args, kwargs)
        answer = self.check(*args, **kwargs)
        return answer.value if isinstance(answer, Answer) else answer


class Part:
    """One component of a ``Composite``, asked on its own; whoever asks meanwhile shares the question under way."""

    def __init__(self, provider: Composite, name: str) -> None:
        self.provider = provider
        self.resource = provider.label
        self.name = name
        #: What the log last said about its failing, None while it does not.
        self.logged: str | None = None

    def run(self) -> Any:
        return self.provider.ask(self.name)

    def may_block(self) -> bool:
        try:
            return self.provider.waits(self.name)
        except Exception:  # whatever it is, it happens again in the run, which reports it
            return True

    def public(self, value: Any) -> Any:
        return value  # whoever composes the answer decides


class Finding(NamedTuple):
    """What came of asking one part: its value, or the safe sentence that says why there is none."""

    value: Any = None
    reason: str | None = None


class Composite(Provider):
    """A provider of components that are asked side by side, each within the deadline and none in the way of the others.

    label: what its threads and log lines are called.
    """

    label: str

    def __init__(self) -> None:
        self._parts: dict[str, Part] = {}

    def part(self, name: str) -> Part:
        """The part of that name, always the same one."""
        return self._parts.get(name) or self._parts.setdefault(name, Part(self, name))

    def parts(self, *args: Any, **kwargs: Any) -> list[Part]:
        """The parts that an entry with these arguments asks, in their order. Must itself never wait."""
        raise NotImplementedError

    def ask(self, name: str) -> Any:
        """Ask one component; answer or raise what ``check`` may."""
        raise NotImplementedError

    def waits(self, name: str) -> bool:
        """Whether asking it may wait for anything. Must itself never wait."""
        return self.blocking

    def may_block(self, *args: Any, **kwargs: Any) -> bool:
        return any(part.may_block() for part in self.parts(*args, **kwargs))

    def compose(self, findings: Mapping[str, Finding]) -> Answer:
        """The answer, from what came of each part and nothing else: ``{name: bool}`` unless overridden. Never waits."""
        return Answer(
            {name: finding.reason is None for name, finding in findings.items()},
            {name: finding.reason for name, finding in findings.items() if finding.reason is not None},
        )

    def check(self, *args: Any, **kwargs: Any) -> Answer:
        """Ask one after the other, in the caller's thread: for direct calls."""
        return self.compose({part.name: _find(part) for part in self.parts(*args, **kwargs)})


def _find(part: Part) -> Finding:
    try:
        return Finding(part.run())
    except Unavailable as error:
        return Finding(reason=str(error))
    except Exception as error:  # one component must not hide the others here either
        return Finding(reason=f"raised {type(error).__name__}")


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
    if isinstance(candidate, type) and issubclass(candidate, Provider):
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


class running_until:
    """Make ``end`` what ``deadline()`` answers in this thread, for the time of a ``with`` block."""

    def __init__(self, end: float | None) -> None:
        self.end = end

    def __enter__(self) -> None:
        self.before = deadline()
        _run.deadline = self.end

    def __exit__(self, *error: object) -> None:
        _run.deadline = self.before
