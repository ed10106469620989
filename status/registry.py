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
        self._seen: Any = None
        self._configured = Configured()

    def __getitem__(self, resource: str) -> Mapping[str, Check]:
        return self.current().resources[resource]

    def __iter__(self) -> Iterator[str]:
        return iter(self.current().resources)

    def __len__(self) -> int:
        return len(self.current().resources)

    @property
    def problems(self) -> list[Problem]:
        """What is wrong with the provider settings, one by one."""
        return self.current().problems

    @property
    def pings(self) -> frozenset[str]:
        """The resources whose ``ping`` is the built-in one, of which the answer is known."""
        return self.current().pings

    def current(self) -> Configured:
        """Return what the settings mean now; built anew when they differ from the last time."""
        settings = (self.conf.providers, self.conf.check_providers, self.conf.celery_workers)
        try:
            unchanged = bool(settings == self._seen)
        except Exception:  # an argument that cannot be compared, as arrays cannot
            unchanged = False
        if not unchanged:
            self._configured = Configured.of(*settings, self.conf.default_providers)
            self._seen = tuple(map(_snapshot, settings))
        return self._configured

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
        resources = {
            name: checks for name, checks in self.current().resources.items() if among is None or name in among
        }
        if resource is not None:
            if resource not in resources:
                raise UnknownName("resource", resource, resources)
            resources = {resource: resources[resource]}
            if provider is not None and provider not in resources[resource]:
                raise UnknownName("provider", provider, resources[resource])
        checks = [check for named in resources.values() for check in named.values() if provider in (None, check.name)]
        known = dict.fromkeys(check.name for check in checks)
        for name in (*only, *skip):
            if name not in known:
                raise UnknownName("provider", name, known)
        checks = [check for check in checks if (not only or check.name in only) and check.name not in skip]
        return Selection(tuple(checks), tuple(resources), resource, provider)


class Configured:
    """What one state of the settings means: resource -> name -> check, and the problems found on the way.

    pings: the resources whose ``ping`` is the built-in one.
    """

    def __init__(self) -> None:
        self.resources: dict[str, dict[str, Check]] = {}
        self.problems: list[Problem] = []
        self.pings: frozenset[str] = frozenset()

    @classmethod
    def of(cls, providers: Any, added: Any, workers: Sequence[str], defaults: Mapping[str, Any]) -> Configured:
        """Read ``STATUS_PROVIDERS``, ``STATUS_CHECK_PROVIDERS`` and ``STATUS_CELERY_WORKERS``."""
        configured = cls()
        if isinstance(providers, Mapping):
            configured.add_set("STATUS_PROVIDERS", providers)
        else:
            configured.add_set("STATUS_PROVIDERS", defaults)
            configured.refuse_set("STATUS_PROVIDERS", providers)
        if isinstance(added, Mapping):
            configured.add_set("STATUS_CHECK_PROVIDERS", added, replace=True)
        else:
            configured.refuse_set("STATUS_CHECK_PROVIDERS", added)
        for resource in ("health", "stats") if workers else ():
            path = f"status.providers.celery.{resource}.celery"
            check = Check(resource, "celery", path, kwargs={"workers": list(workers)})
            configured.resources.setdefault(resource, {}).setdefault("celery", check)
        resources = configured.resources.items()
        configured.pings = frozenset(name for name, checks in resources if "ping" in checks and checks["ping"].is_ping)
        return configured

    def refuse_set(self, setting: str, value: Any) -> None:
        hint = f'Write {setting} = {{"health": [("ping", "status.providers.health.ping")]}}.'
        problem = Problem(setting, "a dict of resource -> list of entries", found(value), hint)
        self.refuse(problem, "health", f"invalid-{setting}")

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


def _snapshot(value: Any) -> Any:
    """Return a copy, which differs when the user's own containers are changed in place. Leaves are shared."""
    if type(value) is dict:
        return {key: _snapshot(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_snapshot, value))
    return value


registry = ResourceRegistry()
