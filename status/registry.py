"""Which checks there are: the settings of the project as resource -> name -> ``Check``."""

from __future__ import annotations

import copy
from collections import ChainMap
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from threading import RLock
from typing import Any, NamedTuple

from status.conf import DJANGO_PROVIDERS, STANDALONE_PROVIDERS, Conf, Problem, conf, found, shown
from status.entries import ENTRY, PUNCTUATION, RESOURCE, Check, Misconfigured, Mistake, bind, remark
from status.exceptions import StatusError
from status.loops import touched
from status.providers.base import Provider
from status.providers.health import Drain, Loops, Ping
from status.threads import PerProcess

#: Resources that are there without configuration, and no part of the whole: whether the process answers, whether what
#: is under ``health`` is well, and whether the databases are as the code wants them. The settings may have resources of
#: these names instead.
LIVE, READY, STARTUP = "live", "ready", "startup"
PRESETS = (LIVE, READY, STARTUP)
LIVE_CHECKS = {"ping": Check(LIVE, "ping", Ping.path)}
#: Part of ``live`` besides, in a process whose loops call ``touch()``.
LOOPS_CHECK = Check(LIVE, "loops", Loops())
STARTUP_CHECKS = {"migrations": Check(STARTUP, "migrations", "status.providers.django.health.migrations")}


class UnknownName(StatusError, LookupError):
    """Nothing of that name is configured.

    kind: ``"resource"`` or ``"provider"``.
    name: what was asked for.
    known: the names that exist there.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, tuple(known)
        super().__init__(f"There is no {kind} of that name. There is: {', '.join(self.known) or 'none'}.")


class Selection(NamedTuple):
    """What a question names.

    checks: those to run, in the order of the settings.
    resources: the names of the resources asked for, also those without a check.
    resource, provider: what the question named; None where it did not.
    """

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
        #: Checks that stand in for configured ones of their resource and name, the latest last. For ``status.test``.
        self.stand_ins: tuple[dict[tuple[str, str], Check], ...] = ()
        self._lock = PerProcess(RLock)  # a provider may look while it is made
        self._seen: Any = None
        self._configured: Configured

    def __getitem__(self, resource: str) -> Mapping[str, Check]:
        return self.current().resources[resource]

    def __iter__(self) -> Iterator[str]:
        return iter(self.current().resources)

    def __len__(self) -> int:
        return len(self.current().resources)

    def is_live(self, resource: str | None) -> bool:
        """Return whether ``resource`` is the built-in ``live``, which is open to everyone and waits for nothing."""
        return resource == LIVE and self.is_preset(resource)

    def is_preset(self, resource: str | None) -> bool:
        """Return whether ``resource`` is one of ``PRESETS`` as it is without configuration."""
        return resource in PRESETS and resource not in self.current().resources

    def presets(self) -> dict[str, Mapping[str, Check]]:
        """Return those of ``PRESETS`` that there are, with their checks: not what the settings name so themselves."""
        configured = self.current().resources
        loops = {LOOPS_CHECK.name: LOOPS_CHECK} if touched() else {}
        presets: dict[str, Mapping[str, Check]] = {LIVE: {**LIVE_CHECKS, **loops}}
        if "health" in configured:
            drain = self.current().drain
            drains = {} if self.conf.drain_file is None else {drain.name: drain}
            presets[READY] = {**configured["health"], **drains}
        if self.conf.in_django:
            presets[STARTUP] = STARTUP_CHECKS
        return {name: checks for name, checks in presets.items() if name not in configured}

    def current(self) -> Configured:
        """Return what the settings mean now; built anew when they differ from the last time."""
        conf = self.conf
        defaults = DJANGO_PROVIDERS if conf.in_django else STANDALONE_PROVIDERS
        providers, added = conf.read("STATUS_PROVIDERS", defaults), conf.read("STATUS_CHECK_PROVIDERS", {})
        settings = (providers, added, conf.celery_workers, bool(conf.heartbeats))
        if not self._is_seen(settings):
            with self._lock.get():  # who asks at the same time gets the same checks
                if not self._is_seen(settings):
                    self._configured = Configured(*settings, defaults)
                    self._seen = _snapshot(settings)
        configured = self._configured.with_loops if touched() else self._configured
        return configured.replaced(ChainMap(*self.stand_ins[::-1])) if self.stand_ins else configured

    def _is_seen(self, settings: tuple[Any, ...]) -> bool:
        """Return whether these are the settings that were seen last."""
        try:
            return bool(settings == self._seen)
        except Exception:  # an argument that cannot be compared, as arrays cannot
            return False

    def _open(self, resource: str | None, among: Collection[str] | None) -> dict[str, Mapping[str, Check]]:
        """Return the resources that a question for ``resource`` may choose from. ``ready`` is ``health``, with more."""
        configured = self.current().resources
        resources: dict[str, Mapping[str, Check]] = {
            name: checks for name, checks in configured.items() if among is None or name in among
        }
        if resource not in PRESETS or resource not in (presets := self.presets()):
            return resources
        may_ask = resource == LIVE or among is None or "health" in among
        if resource == READY:
            return {**resources, "health": presets[READY]} if may_ask else resources
        return {resource: presets[resource]} if may_ask else {}

    def select(
        self,
        resource: str | None = None,
        provider: str | None = None,
        *,
        only: Collection[str] = (),
        skip: Collection[str] = (),
        among: Collection[str] | None = None,
    ) -> Selection:
        """Return the checks that a question names.

        resource, provider: as in the address; None asks for all.
        only, skip: names of providers to run, or not to run.
        among: the resources the caller may ask for; None means every one.

        Raises ``UnknownName`` for any name that is not configured.
        """
        resources, asked = self._open(resource, among), resource
        if resource == READY and self.is_preset(resource):
            resource = "health"
        if resource is not None:
            if resource not in resources:
                raise UnknownName("resource", str(asked), [*resources, *(self.presets() if among is None else ())])
            resources = {resource: resources[resource]}
            if provider is not None and provider not in resources[resource]:
                raise UnknownName("provider", provider, resources[resource])
        if provider is None:
            checks = [check for named in resources.values() for check in named.values()]
        else:
            checks = [named[provider] for named in resources.values() if provider in named]
        known = dict.fromkeys(check.name for check in checks)
        for name in (*only, *skip):
            if name not in known:
                raise UnknownName("provider", name, known)
        # Whoever asks for a part of ``ready`` sends requests to all of the process.
        chosen = {*only, *(check.name for check in checks if check.is_drain)} if only else known
        checks = [check for check in checks if check.name in chosen and check.name not in skip]
        names = dict.fromkeys([*resources, *(check.resource for check in checks)])
        return Selection(tuple(checks), tuple(names), resource, provider)


class Configured:
    """What one state of the settings means: resource -> name -> check, and what was found on the way.

    problems: what cannot be used, and fails. remarks: what is accepted, as 2.x did, and hardly meant so.
    clashes: entries that are called like a check that the app adds, each with that check.
    drain: part of ``ready`` besides what is under ``health``; asked where ``STATUS_DRAIN_FILE`` is set.
    loops: part of ``health`` besides, where a loop of this process calls ``touch()``.
    with_loops: the same with that check, made once: loops come and go, and all checks stay the same objects.

    providers, added: ``STATUS_PROVIDERS`` and ``STATUS_CHECK_PROVIDERS`` as they are written.
    workers: ``STATUS_CELERY_WORKERS``.
    heartbeats: whether there are any in ``STATUS_HEARTBEATS``.
    defaults: the set in force where ``providers`` cannot be used.
    """

    def __init__(
        self,
        providers: Any,
        added: Any,
        workers: Sequence[str],
        heartbeats: bool,
        defaults: Mapping[str, Any],
    ) -> None:
        self.resources: dict[str, dict[str, Check]] = {}
        self.problems: list[Problem] = []
        self.remarks: list[Problem] = []
        self.clashes: list[tuple[Check, Check]] = []
        for setting, value, fallback in (
            ("STATUS_PROVIDERS", providers, defaults),
            ("STATUS_CHECK_PROVIDERS", added, {}),
        ):
            usable = isinstance(value, Mapping)
            self._add(setting, value if usable else fallback)
            if not usable:
                hint = f'Write {setting} = {{"health": [("ping", "status.providers.health.ping")]}}.'
                problem = Problem(setting, "a dict of resource -> list of entries", found(value), hint)
                # 2.x did not read the second one, where a tuple of 1.x may be left over: it warns, and stays 200.
                critical = setting == "STATUS_PROVIDERS"
                self._refuse(problem, "health", f"invalid-{setting}", critical)
        joining = [
            Check(resource, "celery", f"status.providers.celery.{resource}.celery", kwargs={"workers": list(workers)})
            for resource in (("health", "stats") if workers else ())
        ]
        joining += [Check("health", "heartbeats", "status.providers.health.heartbeats")] if heartbeats else []
        for check in joining:
            asked = self.resources.setdefault(check.resource, {}).setdefault(check.name, check)
            if asked is not check:
                self.clashes.append((asked, check))
        self.loops = self._beside("health", "loops", Loops())
        self.drain = self._beside(READY, "drain", Drain())
        self.with_loops = copy.copy(self)
        health = {**self.resources.get("health", {}), self.loops.name: self.loops}
        self.with_loops.resources = {**self.resources, "health": health}

    def replaced(self, stand_ins: Mapping[tuple[str, str], Check]) -> Configured:
        """Return the same with other checks in the place of those of their resource and name."""
        configured = copy.copy(self)
        configured.resources = {
            resource: {name: stand_ins.get((resource, name), check) for name, check in checks.items()}
            for resource, checks in self.resources.items()
        }
        return configured

    def _beside(self, resource: str, name: str, provider: Provider) -> Check:
        """Return a check that no entry replaces: under another name where ``health`` has an entry of that name."""
        health, free = self.resources.get("health", {}), name
        while free in health:
            free = f"status-{free}"
        check = Check(resource, free, provider)
        if free != name:
            self.clashes.append((health[name], check))
        return check

    def _refuse(self, problem: Problem, resource: str, name: str, critical: bool = True) -> None:
        """Note the mistake, and put a check that fails with it in the place of what cannot be used."""
        self.problems.append(problem)
        check = Check(resource, name, Misconfigured(problem), options={"critical": critical})
        self.resources.setdefault(resource, {})[name] = check

    def _add(self, setting: str, resources: Mapping[Any, Any]) -> None:
        """Add the checks of one setting. Those of the same name that are there already are replaced."""
        for number, (resource, entries) in enumerate(resources.items()):
            if not isinstance(resource, str) or not RESOURCE.fullmatch(resource):
                expected = f"a resource name made of letters, digits, spaces and {PUNCTUATION}"
                hint = "The name becomes part of the address; rename the resource."
                problem = Problem(f"{setting} key {number}", expected, shown(resource), hint)
                self._refuse(problem, f"invalid-{number}", "invalid")
                continue
            where = f'{setting}["{resource}"]'
            if not isinstance(entries, (list, tuple, set, frozenset)):
                hint = "Put the entries in a list, and mind the comma of a tuple with one element."
                self._refuse(Problem(where, f"a list of {ENTRY}", found(entries), hint), resource, "invalid")
                continue
            checks = self.resources.setdefault(resource, {})
            taken: set[str] = set()
            for position, entry in enumerate(_in_order(entries)):
                place = f"{where}[{position}]"
                try:
                    check = bind(place, resource, entry)
                    name = check.name
                    if name in taken:
                        expected, twice = "named differently from the entries before it", f"a second {name!r}"
                        hint = "Only the last one is asked. Give each provider of a resource a name of its own."
                        self.remarks.append(Problem(place, expected, twice, hint))
                    if odd := remark(place, entry):
                        self.remarks.append(odd)
                    checks[name] = check
                except Mistake as mistake:
                    name = mistake.name if mistake.name and mistake.name not in taken else f"invalid-{position}"
                    self._refuse(mistake.problem, resource, name)
                taken.add(name)


def _in_order(entries: Collection[Any]) -> Collection[Any]:
    """Return entries as they are written; those of a set, which has no order, by their names."""
    if isinstance(entries, (list, tuple)):
        return entries
    return sorted(entries, key=lambda entry: str(entry[0]) if isinstance(entry, tuple) and entry else "")


def _snapshot(value: Any) -> Any:
    """Return a copy, which differs when the user's own containers are changed in place. Leaves are shared.

    The value itself where it holds itself, or is nested too deep to be copied.
    """
    try:
        return _copy(value)
    except RecursionError:
        return value


def _copy(value: Any) -> Any:
    # Plain ones, which are equal to those of classes that are derived from them.
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list):
        return list(map(_copy, value))
    if isinstance(value, tuple):
        return tuple(map(_copy, value))
    if isinstance(value, set):
        return set(value)
    return value


registry = ResourceRegistry()
