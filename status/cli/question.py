"""Who is asked: this process. A question is the same for a running instance, see ``remote``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from status.cli.arguments import CannotAsk, spelled
from status.cli.settings import loaded
from status.conf import conf
from status.engine import engine
from status.entries import Check
from status.registry import Selection, UnknownName, registry
from status.report import Report, Result

Names = Mapping[str, Iterable[str]]


class Question(NamedTuple):
    """What is asked, in the words of the command line.

    name: a resource, a provider, ``resource/provider``, or None for everything.
    check, skip: providers to run, or not to run.
    timeout: seconds, instead of each provider's own deadline.
    format: of the answer, as ``-f`` names it.
    judge: whether the asker wants to know if anything fails.
    """

    name: str | None = None
    check: Sequence[str] = ()
    skip: Sequence[str] = ()
    timeout: float | None = None
    format: str = "human"
    judge: bool = True


class Reply(NamedTuple):
    """What came back: a report to be written, or the text that the instance has written already."""

    failing: bool
    report: Report | None = None
    text: str | None = None


class Source(Protocol):
    """Whoever can be asked."""

    def names(self) -> Names:
        """Resource -> its providers. Runs nothing."""

    def addresses(self, name: str | None) -> Mapping[str, Mapping[str, str | None]]:
        """Resource -> provider -> where it is asked over HTTP, None where nowhere. Runs nothing."""

    def ask(self, question: Question, patience: float | None = None) -> Reply:
        """Raises ``CannotAsk``. ``patience``: seconds after which the asker goes away."""

    def pending(self) -> list[str]:
        """What the question that is being asked still waits for."""


class Local:
    """This process: its settings, its engine."""

    def __init__(self) -> None:
        self._asked: list[Check] = []
        self._answered: set[Check] = set()

    def names(self) -> Names:
        return registry

    def select(self, name: str | None, check: Sequence[str] = (), skip: Sequence[str] = ()) -> Selection:
        resource, provider = resolve(name, registry)
        try:
            return registry.select(resource, provider, only=check, skip=skip)
        except UnknownName as error:
            raise CannotAsk(no_such(error.kind, error.name, error.known)) from error

    def addresses(self, name: str | None) -> Mapping[str, Mapping[str, str | None]]:
        selection, root = self.select(name), api_root()
        listing: dict[str, dict[str, str | None]] = {resource: {} for resource in selection.resources}
        for check in selection.checks:
            listing[check.resource][check.name] = None if root is None else f"{root}/{check.resource}/{check.name}"
        return listing

    def ask(self, question: Question, patience: float | None = None) -> Reply:
        selection = self.select(question.name, question.check, question.skip)
        self._asked, self._answered = list(selection.checks), set()
        engine.observers.append(self._observe)
        try:
            report = engine.report(selection, question.timeout, patience)
        finally:
            engine.observers.remove(self._observe)
        return Reply(report.failing, report)

    def pending(self) -> list[str]:
        return [f"{check.resource}/{check.name}" for check in self._asked if check not in self._answered]

    def _observe(self, check: Check, result: Result) -> None:
        self._answered.add(check)


def resolve(name: str | None, names: Names) -> tuple[str | None, str | None]:
    """``(resource, provider)`` for what was typed. Raises ``CannotAsk`` for a bare name unknown or ambiguous."""
    if name is None:
        return None, None
    resource, slash, provider = name.partition("/")
    if slash:
        return resource, provider.rstrip("/") or None
    if name in names:
        return name, None
    homes = [resource for resource in names if name in names[resource]]
    if not homes:
        known = [*map(spelled, names), *dict.fromkeys(provider for resource in names for provider in names[resource])]
        raise CannotAsk(no_such("resource or provider", name, known))
    if len(homes) > 1:
        choices = " or ".join(f"{home}/{name}" for home in homes)
        raise CannotAsk(f'"{name}" is in several resources; write {choices}')
    return homes[0], name


def no_such(kind: str, name: str, known: Iterable[str]) -> str:
    return f'there is no {kind} "{name}"; there is: {", ".join(known) or "none"}'


def api_root() -> str | None:
    """The path of the API without its last slash, where this is a Django project that has mounted it."""
    if not conf.in_django:
        return None
    # Late: a standalone answer is given without Django.
    from django.conf import settings
    from django.urls import NoReverseMatch, reverse

    def root() -> str | None:
        try:
            return reverse("status:api_root").rstrip("/")
        except NoReverseMatch:
            return None

    urlconf = getattr(settings, "ROOT_URLCONF", None)
    return None if urlconf is None else loaded("ROOT_URLCONF", urlconf, root)
