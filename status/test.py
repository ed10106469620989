"""For the tests of a project: ``from status.test import fake``, and the pytest fixture ``fake_status``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import isasyncgenfunction, isgeneratorfunction
from typing import Any, TypeVar
from unittest import TestCase

from django.test.utils import TestContextDecorator

from status.asking import NotConfigured
from status.conf import found
from status.entries import Check
from status.providers.base import Provider, as_provider
from status.registry import registry

DecoratedT = TypeVar("DecoratedT", bound=Callable[..., Any])
_lock = threading.Lock()


class fake(TestContextDecorator):
    """Answer in the place of checks: ``with fake({"health/databases": False}): ...``.

    answers: the name of a configured check -> what it answers: any value, an ``Answer``, an exception to raise, or a
        callable or ``Provider`` that is asked without arguments. Its timeout and whether it is critical stay.

    Also decorates functions, coroutine functions and subclasses of ``unittest.TestCase``. Holds in all threads of the
    process, also those that run already, and for settings that change meanwhile. The innermost of several counts.

    Raises ``NotConfigured``, a LookupError, where it begins, for a name that is not configured; TypeError for what it
    cannot decorate.
    """

    def __init__(self, answers: Mapping[str, Any]) -> None:
        super().__init__()
        if not isinstance(answers, Mapping):
            raise TypeError(f'answers should be like {{"health/databases": False}}, not {found(answers)}')
        self.answers = dict(answers)
        self._entered: list[dict[tuple[str, str], Check]] = []

    def enable(self) -> None:
        """Begin to answer."""
        checks = {f"{check.resource}/{check.name}": check for check in registry.select().checks}
        for name in self.answers:
            if name not in checks:
                raise NotConfigured(f"there is no check {name!r}; there is: {', '.join(checks) or 'none'}")
        stand_ins = {
            (checks[name].resource, checks[name].name): checks[name].stand_in(_provider(answer))
            for name, answer in self.answers.items()
        }
        self._entered.append(stand_ins)
        with _lock:
            registry.stand_ins = (*registry.stand_ins, stand_ins)

    def disable(self) -> None:
        """Let the checks of the project answer again."""
        ended = self._entered.pop()
        with _lock:
            registry.stand_ins = tuple(one for one in registry.stand_ins if one is not ended)

    def __call__(self, decorated: DecoratedT) -> DecoratedT:
        """Decorate. Raises TypeError for a generator function, which runs when the block is over, and other classes."""
        if isinstance(decorated, type) and not issubclass(decorated, TestCase):
            remedy = "have the tests of the class take the fixture fake_status"
            raise TypeError(f"fake() decorates subclasses of unittest.TestCase, not {decorated.__name__}; {remedy}")
        if isgeneratorfunction(decorated) or isasyncgenfunction(decorated):
            remedy = "write the block inside, around what yields"
            raise TypeError(f"fake() decorates no generator function such as {decorated.__name__}; {remedy}")
        return super().__call__(decorated)


def _provider(answer: Any) -> Provider:
    """Return what stands in for a check: a provider as it is, else one that answers or raises ``answer``."""
    raises = isinstance(answer, BaseException) or (isinstance(answer, type) and issubclass(answer, BaseException))
    if isinstance(answer, Provider) or (callable(answer) and not raises):
        return as_provider(answer)
    return Raising(answer) if raises else Answering(answer)


@dataclass(eq=False)
class Answering(Provider):
    """Answers always the same, at once."""

    answer: Any
    blocking = False

    def check(self) -> Any:
        return self.answer


@dataclass(eq=False)
class Raising(Provider):
    """Raises always the same, in a thread of its own: it may be what ends the caller's."""

    error: BaseException | type[BaseException]

    def check(self) -> Any:
        raise self.error
