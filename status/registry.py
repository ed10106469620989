"""Which providers there are: settings -> resource -> named, bound checks."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from status.conf import Conf, Problem, conf, found, is_max_age, is_timeout
from status.providers.base import Provider, Unavailable, as_provider

#: Names go into addresses, metric labels and command lines as they are.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,99}")

ENTRY = "(name, provider, args, kwargs, options), the last three optional"

OPTIONS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "timeout": ("a positive number of seconds", is_timeout),
    "max_age": ("a number of seconds, 0 or more", is_max_age),
    "critical": ("True or False", lambda value: isinstance(value, bool)),
}


@dataclass(frozen=True, eq=False)
class Check:
    """One entry of the configuration, bound and ready to run. Compared by identity: it stands for what runs.

    resource, name: how it is asked for.
    provider: what answers.
    args, kwargs: what the entry hands to it.
    options: the entry's own options; ``timeout``, ``max_age`` and ``critical`` look here first, then at the provider.
    """

    resource: str
    name: str
    provider: Provider
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def _option(self, name: str, default: Any) -> Any:
        expected, valid = OPTIONS[name]
        for value in (self.options.get(name), getattr(self.provider, name, None)):
            if value is not None and valid(value):
                return value
        return default

    @property
    def timeout(self) -> float:
        """Seconds a run may take."""
        return float(self._option("timeout", conf.timeout))

    @property
    def max_age(self) -> float:
        """Seconds an answer may be reused."""
        return float(self._option("max_age", conf.max_age))

    @property
    def critical(self) -> bool:
        return bool(self._option("critical", True))

    @property
    def judged(self) -> bool:
        return self.resource not in conf.informational


class UnknownName(LookupError):
    """Nothing of that name is configured.

    kind: ``"resource"`` or ``"provider"``; name: what was asked for; known: the names that exist there.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, tuple(known)
        super().__init__(f"There is no {kind} of that name. There is: {', '.join(self.known) or 'none'}.")


@dataclass(frozen=True)
class Selection:
    """What a question names: the checks to run, and the shape of the answer."""

    checks: tuple[Check, ...]
    resources: tuple[str, ...]
    resource: str | None = None
    provider: str | None = None


class Misconfigured(Provider):
    """Stands in for an entry that cannot be used, so that the mistake costs this entry alone and is seen."""

    blocking = False

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    def check(self, *args: Any, **kwargs: Any) -> Any:
        raise Unavailable(f"{self.problem} {self.problem.hint}")


class Imported(Provider):
    """A provider named by its dotted path, imported when it first runs, within that run's deadline."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.target: Provider | None = None

    def load(self) -> Provider:
        """The provider behind the path. Raises ``Unavailable`` with the remedy where there is none."""
        if self.target is None:
            self.target = import_provider(self.path)
        return self.target

    def __getattribute__(self, name: str) -> Any:
        # Options may stand on the class behind the path; they count as soon as it is known.
        if name in OPTIONS:
            return getattr(object.__getattribute__(self, "target"), name, None)
        return object.__getattribute__(self, name)

    def check(self, *args: Any, **kwargs: Any) -> Any:
        return self.load().check(*args, **kwargs)

    def may_block(self, *args: Any, **kwargs: Any) -> bool:
        return self.target is None or self.target.may_block(*args, **kwargs)

    def public(self, value: Any) -> Any:
        return value if self.target is None else self.target.public(value)

    def close(self) -> None:
        if self.target is not None:
            self.target.close()


def import_provider(path: str) -> Provider:
    """The provider at a dotted path. Raises ``Unavailable`` with a sentence that is safe to show."""
    module_path, _, attribute = path.rpartition(".")
    try:
        module = import_module(module_path)
    except ImportError as error:
        missing = f" ({error.name} is not installed)" if error.name and not module_path.startswith(error.name) else ""
        raise Unavailable(f"{module_path} cannot be imported{missing}. Check the dotted path in the settings.") from error
    try:
        return as_provider(getattr(module, attribute))
    except AttributeError as error:
        raise Unavailable(f"{module_path} has no {attribute}. Check the dotted path in the settings.") from error
    except TypeError as error:
        raise Unavailable(f"{path} should be {error}.") from error
