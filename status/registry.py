"""Which providers there are: settings -> resource -> named, bound checks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from status.conf import Conf, Problem, conf, found
from status.entries import ENTRY, NAME, PUNCTUATION, Check, Misconfigured, Mistake, bind, shown
from status.exceptions import StatusError


class UnknownName(StatusError, LookupError):
    """Nothing of that name is configured.

    kind: ``"resource"`` or ``"provider"``; name: what was asked for; known: the names that exist there.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, tuple(known)
        super().__init__(f"There is no {kind} of that name. There is: {', '.join(self.known) or 'none'}.")


class Selection(NamedTuple):
    """What a question names: the checks to run, and the shape of the answer."""

    checks: tuple[Check, ...]
    resources: tuple[str, ...]
    resource: str | None = None
    provider: str | None = None


class ResourceRegistry(Mapping[str, Mapping[str, Check]]):
    """Resource -> name -> ``Check``, in the order of the settings and always as they are now.

    Nothing is read or imported before the first look. A setting that did not change gives the same ``Check`` objects,
    so that what the engine knows of them (a run in flight, a reusable answer) stays with them.
    """

    def __init__(self, conf: Conf = conf) -> None:
        self.conf = conf
        self._built = Built()
        self._seen: Any = None
        self._generation = object()

    def __getitem__(self, resource: str) -> Mapping[str, Check]:
        return self._current().resources[resource]

    def __iter__(self) -> Iterator[str]:
        return iter(self._current().resources)

    def __len__(self) -> int:
        return len(self._current().resources)

    @property
    def problems(self) -> list[Problem]:
        """What is wrong with the provider settings, one by one."""
        return self._current().problems

    @property
    def pings(self) -> Collection[str]:
        """The resources whose ``ping`` is the built-in one, of which the answer is known.

        Other settings count at once. A setting that is changed in place does once anybody asks for anything else.
        """
        generation = self.conf.generation
        if generation is not self._generation:
            self._current()
            self._generation = generation
        return self._built.pings

    def _current(self) -> Built:
        providers, added, workers = (self.conf.providers, self.conf.check_providers, self.conf.celery_workers)
        if self._seen is None or not _same(self._seen, (providers, added, workers)):
            self._built = Built.of(providers, added, workers, self.conf.default_providers)
            self._seen = (_snapshot(providers), _snapshot(added), workers)
        return self._built

    def select(
        self,
        resource: str | None = None,
        provider: str | None = None,
        *,
        only: Collection[str] = (),
        skip: Collection[str] = (),
        among: Collection[str] | None = None,
    ) -> Selection:
        """The checks that a question names.

        resource, provider: as in the address; None asks for all.
        only, skip: names of providers to run, or not to run.
        among: the resources the caller may ask for; None means every one.

        Raises ``UnknownName`` for any name that is not configured.
        """
        built = self._current()
        in_full = among is None and not only and not skip
        if in_full and (resource, provider) in built.selections:
            return built.selections[resource, provider]
        resources = {name: checks for name, checks in built.resources.items() if among is None or name in among}
        if resource is not None:
            if resource not in resources:
                raise UnknownName("resource", resource, resources)
            resources = {resource: resources[resource]}
            if provider is not None and provider not in resources[resource]:
                raise UnknownName("provider", provider, resources[resource])
        checks = [check for named in resources.values() for check in named.values()]
        if provider is not None:
            checks = [check for check in checks if check.name == provider]
        known = {check.name for check in checks}
        for name in (*only, *skip):
            if name not in known:
                raise UnknownName("provider", name, dict.fromkeys(check.name for check in checks))
        checks = [check for check in checks if (not only or check.name in only) and check.name not in skip]
        selection = Selection(tuple(checks), tuple(resources), resource, provider)
        if in_full:
            built.selections[resource, provider] = selection
        return selection


class Built:
    """What one state of the settings means: the checks, and the problems found on the way."""

    def __init__(self) -> None:
        self.resources: dict[str, dict[str, Check]] = {}
        #: What was asked for in full, by resource and provider: probes ask the same for ever.
        self.selections: dict[tuple[str | None, str | None], Selection] = {}
        self.problems: list[Problem] = []
        self.pings: set[str] = set()

    @classmethod
    def of(cls, providers: Any, added: Any, workers: Sequence[str], defaults: Mapping[str, Any]) -> Built:
        built = cls()
        if isinstance(providers, Mapping):
            built.add_set("STATUS_PROVIDERS", providers)
        else:
            built.add_set("STATUS_PROVIDERS", defaults)
            built.refuse(_not_a_set("STATUS_PROVIDERS", providers), "health", "invalid-STATUS_PROVIDERS")
        if isinstance(added, Mapping):
            built.add_set("STATUS_CHECK_PROVIDERS", added, replace=True)
        else:
            built.refuse(_not_a_set("STATUS_CHECK_PROVIDERS", added), "health", "invalid-STATUS_CHECK_PROVIDERS")
        if workers:
            for resource in ("health", "stats"):
                path = f"status.providers.celery.{resource}.celery"
                check = Check(resource, "celery", path, kwargs={"workers": list(workers)})
                built.resources.setdefault(resource, {}).setdefault("celery", check)
        built.pings = {name for name, checks in built.resources.items() if "ping" in checks and checks["ping"].is_ping}
        return built

    def refuse(self, problem: Problem, resource: str, name: str) -> None:
        """Keep the mistake in view as a failing check."""
        self.problems.append(problem)
        self.resources.setdefault(resource, {})[name] = Check(resource, name, Misconfigured(problem))

    def add_set(self, setting: str, resources: Mapping[Any, Any], replace: bool = False) -> None:
        for number, (resource, entries) in enumerate(resources.items()):
            if not isinstance(resource, str) or not NAME.fullmatch(resource):
                problem = Problem(
                    f"{setting} key {number}",
                    f"a resource name made of letters, digits and {PUNCTUATION}",
                    shown(resource),
                    "The name becomes part of the address; rename the resource.",
                )
                self.refuse(problem, f"invalid-{number}", "invalid")
            elif not isinstance(entries, (list, tuple)):
                problem = Problem(
                    f'{setting}["{resource}"]',
                    f"a list of {ENTRY}",
                    found(entries),
                    "Put the entries in a list, and mind the comma of a tuple with one element.",
                )
                self.refuse(problem, resource, "invalid")
            else:
                self.add_entries(f'{setting}["{resource}"]', resource, entries, replace)

    def add_entries(self, setting: str, resource: str, entries: Sequence[Any], replace: bool) -> None:
        checks = self.resources.setdefault(resource, {})
        taken: set[str] = set()
        for number, entry in enumerate(entries):
            where = f"{setting}[{number}]"
            try:
                check = bind(where, resource, entry)
                if check.name in taken:
                    raise Mistake(
                        Problem(
                            where,
                            "named differently from the entries before it",
                            f"a second {check.name!r}",
                            "Give each provider of a resource a name of its own.",
                        )
                    )
                taken.add(check.name)
                checks[check.name] = check
            except Mistake as mistake:
                name = mistake.name if mistake.name and mistake.name not in taken else f"invalid-{number}"
                taken.add(name)
                self.refuse(mistake.problem, resource, name)


def _not_a_set(setting: str, value: Any) -> Problem:
    hint = f'Write {setting} = {{"health": [("ping", "status.providers.health.ping")]}}.'
    return Problem(setting, "a dict of resource -> list of entries", found(value), hint)


def _same(before: Any, now: Any) -> bool:
    try:
        return bool(before == now)
    except Exception:  # an argument that cannot be compared, as arrays cannot
        return False


def _snapshot(value: Any) -> Any:
    """A copy that notices when the user's own dict or lists are changed in place."""
    if not isinstance(value, Mapping):
        return value
    return {key: list(item) if type(item) is list else item for key, item in value.items()}


registry = ResourceRegistry()
