"""The contract between a provider and the engine that runs it."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping
from importlib import import_module
from inspect import signature
from time import monotonic
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

from status.conf import conf, found_in
from status.exceptions import StatusError
from status.logs import FailureLog


class Answer(NamedTuple):
    """A value together with sentences about it, for which the JSON of a check has no room.

    value: what JSON can hold.
    reasons: component -> safe sentence, for components that fail. For callers who may see details, so it names classes,
        limits and names from the configuration, and never an exception's own text.
    warnings: component -> safe sentence, for components that are not well: the state is ``warn``, the HTTP status 200.
    ages: heartbeat -> seconds since it was last heard, for the metrics of callers who may see details.
    """

    value: Any
    reasons: Mapping[str, str] = MappingProxyType({})
    warnings: Mapping[str, str] = MappingProxyType({})
    ages: Mapping[str, float] = MappingProxyType({})


class Unavailable(StatusError):
    """A provider cannot answer. The text is shown to anyone, so it holds no secret and no exception's own text."""


class Kind(NamedTuple):
    """What the value of an argument has to be.

    expected: in words that follow "should be".
    valid: returns whether a value is of the kind; must not raise for any value. The default of the argument is valid in
        any case, and not handed to it.
    """

    expected: str
    valid: Callable[[Any], bool]


class Provider:
    """One named check or statistic. Subclass it and write ``check``.

    Class attributes are the options of an entry in ``STATUS_PROVIDERS``; the entry's own options win.

    timeout: seconds a run may take; None means ``STATUS_TIMEOUT``.
    max_age: seconds an answer may be reused; None means ``STATUS_MAX_AGE``.
    critical: False makes a failure a warning, which leaves the HTTP status at 200.
    blocking: False promises that ``check`` never waits for anything (no I/O, no lock): it runs without a thread.
    metrics: numbers of the answer that metrics show, name -> ``"gauge"``.
    impact: whom a failure hurts, in a sentence that the pages show to all who see the failure.
    native: True has gevent run ``check`` on a thread of the operating system, for a driver in C that does not know
        gevent. What runs there may wait for no lock that others take, and so should not log.
    arguments: the arguments of ``check`` in their order, name -> types that a positional one must have. All others are
        ignored, as the built-in providers of 2.x did. None hands over whatever the entry gives.
    kinds: argument -> what its value has to be, where the provider is one of this package.
    """

    timeout: float | None = None
    max_age: float | None = None
    critical: bool = True
    blocking: bool = True
    metrics: Mapping[str, str] = MappingProxyType({})
    impact: str = ""
    native: bool = False
    arguments: Mapping[str, Any] | None = None
    kinds: Mapping[str, Kind] = MappingProxyType({})

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is Provider and (args or kwargs):  # as 2.x called it
            return import_module("status.classic").provider_of_entry(*args, **kwargs)
        return super().__new__(cls)

    def check(self, *args: Any, **kwargs: Any) -> Any:
        """Return anything JSON can hold, or an ``Answer`` to give reasons too. Receives the entry's args and kwargs.

        ``false`` or ``null`` at any depth means failing. May be ``async def``. Whatever it raises becomes a failed
        answer; raise ``Unavailable`` to choose the words that are shown.
        """
        raise NotImplementedError(f"{type(self).__name__} should define check(self, *args, **kwargs)")

    def may_block(self, *args: Any, **kwargs: Any) -> bool:
        """Return whether the next run may wait for anything. Called before every run; must not wait itself."""
        return self.blocking

    def load(self, *args: Any, **kwargs: Any) -> None:
        """Import what a run needs. Called before the first run, in a thread where nothing else is imported."""

    def public(self, value: Any) -> Any:
        """Return the part of ``value``, an answer as plain JSON, that anonymous callers may see; by default all."""
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

    def takes(self) -> Callable[..., Any]:
        """Return the method whose signature tells the arguments."""
        return self.check

    def mistake(self, *args: Any, **kwargs: Any) -> str | None:
        """Return what is wrong with these arguments, as a safe sentence; None where ``check`` takes them.

        It knows of the providers of this package. Those of a project may be decorated, and take what their signature
        does not tell.
        """
        if not type(self).__module__.startswith("status."):
            return None
        taken = signature(self.takes())
        try:
            given = taken.bind(*args, **kwargs).arguments
        except TypeError as error:
            names = ", ".join(taken.parameters) or "no arguments"
            return f"The arguments of the entry should be those that it takes: {error}. It takes {names}."
        for name, kind in self.kinds.items():
            value = given.get(name, taken.parameters[name].default)
            if value is not taken.parameters[name].default and not kind.valid(value):
                return f"The argument {name} of the entry should be {kind.expected}, not {found_in(value)}."
        return None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the value alone, as a plain function would. Raises what ``check`` raises."""
        args, kwargs, _ = self.accept(args, kwargs)
        if wrong := self.mistake(*args, **kwargs):
            raise Unavailable(wrong)
        answer = self.check(*args, **kwargs)
        return answer.value if isinstance(answer, Answer) else answer


class Part:
    """One component of a ``Composite``. The engine runs it like a check: one run at a time, shared by all who ask.

    resource, name: how the thread of its runs is called, and the log lines about it.
    options: what ``Composite.ask`` gets besides the name.
    """

    def __init__(
        self, resource: str, name: str, provider: Composite, *, options: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        self.resource, self.name, self.provider, self.options = resource, name, provider, options
        self.failures = FailureLog(resource, name)

    def run(self) -> Any:
        """Ask the component; return or raise what ``Composite.ask`` does."""
        return self.provider.ask(self.name, **self.options)

    def may_block(self) -> bool:
        """Return whether the next run may wait for anything."""
        try:
            return self.provider.waits(self.name)
        except (Exception, SystemExit):  # whatever it is, it happens again in the run, which reports it
            return True

    @property
    def native(self) -> bool:
        """Whether gevent is to ask on a thread of the operating system."""
        return self.provider.asks_natively(self.name)

    def public(self, value: Any) -> Any:
        """Return ``value``: what anonymous callers may see is decided about the whole answer."""
        return value


class Finding(NamedTuple):
    """What came of asking one part.

    value: None where there is none.
    reason: the safe sentence that says why it fails.
    warning: the safe sentence that says why it is not well.
    """

    value: Any = None
    reason: str | None = None
    warning: str | None = None

    @classmethod
    def of(cls, value: Any, reasons: Mapping[str, str], warnings: Mapping[str, str]) -> Finding:
        """Return the finding of a part that answered ``value``, with what it said about it under whatever name."""
        return cls(value, next(iter(reasons.values()), None), next(iter(warnings.values()), None))


class Composite(Provider):
    """A provider of components that are asked side by side, each within the deadline and none in the way of the others.

    label: what its threads and log lines are called.
    unanswered: the value of a part that has a reason instead.
    """

    label: str
    unanswered: ClassVar[Any] = False

    def __init__(self) -> None:
        self._parts: dict[str, Part] = {}

    def part(self, name: str, **options: Any) -> Part:
        """Return the part of that name and those options, always the same one, so that its runs are shared."""
        key = repr((name, *sorted(options.items())))
        return self._parts.get(key) or self._parts.setdefault(key, Part(self.label, name, self, options=options))

    def takes(self) -> Callable[..., Any]:
        return self.parts

    def parts(self, *args: Any, **kwargs: Any) -> list[Part]:
        """Return the parts that an entry with these arguments asks, in their order. Must not wait."""
        raise NotImplementedError

    def ask(self, name: str, **options: Any) -> Any:
        """Ask one component; return or raise what ``check`` may. ``options`` are those that its part was made with."""
        raise NotImplementedError

    def waits(self, name: str) -> bool:
        """Return whether asking it may wait for anything. Must not wait itself."""
        return self.blocking

    def asks_natively(self, name: str) -> bool:
        """Return whether gevent is to ask it on a thread of the operating system. Must not wait."""
        return self.native

    def may_block(self, *args: Any, **kwargs: Any) -> bool:
        return any(part.may_block() for part in self.parts(*args, **kwargs))

    def compose(self, findings: Mapping[str, Finding]) -> Answer:
        """Return the answer, made of what came of each part: ``{name: value}`` unless overridden. Must not wait.

        The value is ``unanswered`` where a part has a reason instead.
        """
        reasons = {name: finding.reason for name, finding in findings.items() if finding.reason is not None}
        warnings = {name: finding.warning for name, finding in findings.items() if finding.warning is not None}
        values = {
            name: copy.copy(self.unanswered) if finding.value is None and name in reasons else finding.value
            for name, finding in findings.items()
        }
        return Answer(values, reasons, warnings)

    def check(self, *args: Any, **kwargs: Any) -> Answer:
        """Ask one component after the other, in the caller's thread: for direct calls."""
        findings = {}
        for part in self.parts(*args, **kwargs):
            if (name := str(part.name)) in findings:
                raise Unavailable(f"two of its parts are called {name}")
            try:
                value = part.run()
                answer = value if isinstance(value, Answer) else Answer(value)
                findings[name] = Finding.of(answer.value, answer.reasons, answer.warnings)
            except Unavailable as error:
                findings[name] = Finding(reason=str(error))
            except Exception as error:  # one component must not hide the others here either
                findings[name] = Finding(reason=f"raised {type(error).__name__}")
        return self.compose(findings)


def verdicts(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return an answer ``{name: {"ok": bool, ...}}`` without what stands beside the verdicts."""
    return {
        name: {"ok": entry["ok"]} if isinstance(entry, Mapping) and "ok" in entry else entry
        for name, entry in value.items()
    }


class FunctionProvider(Provider):
    """A plain callable, as ``STATUS_PROVIDERS`` may name it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def check(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


def as_provider(candidate: Any) -> Provider:
    """Return a ``Provider`` for an instance, a subclass, or any callable. Raises TypeError for anything else."""
    if isinstance(candidate, Provider):
        return candidate
    if isinstance(candidate, type) and issubclass(candidate, Provider):
        made: Provider = candidate()
        return made
    if callable(candidate):
        return FunctionProvider(candidate)
    raise TypeError(f"a callable or a Provider, not {type(candidate).__name__}")


_run = threading.local()


def deadline() -> float | None:
    """Return when the run in this thread is to be over, on the clock of ``time.monotonic()``; None outside a run.

    A provider that asks several services reads it to answer for those that came in time.
    """
    return getattr(_run, "deadline", None)


def seconds_left() -> float:
    """Return the seconds until the run in this thread is to be over; ``STATUS_TIMEOUT`` outside a run."""
    end = deadline()
    return float(conf.timeout) if end is None else end - monotonic()


def runs_here(check: Any) -> bool:
    """Return whether a run of ``check``, or of one of its parts, is under way in this thread."""
    running = getattr(_run, "checks", ())
    return any(one is check or (isinstance(one, Part) and one.provider is check.provider) for one in running)


def call_until(end: float | None, check: Any, function: Callable[..., Any], *args: Any) -> Any:
    """Return what ``function`` answers, which runs ``check``. ``deadline()`` returns ``end`` in it, in this thread."""
    before = deadline(), getattr(_run, "checks", ())
    try:
        _run.deadline, _run.checks = end, (*before[1], check)
        return function(*args)
    finally:  # no call is in it, at which an alarm may strike
        _run.deadline, _run.checks = before


def __getattr__(name: str) -> Any:
    return import_module("status.classic").find(__name__, name)
