"""One entry of ``STATUS_PROVIDERS``: read, bound to its provider, ready to run."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

from status.conf import Problem, conf, found, is_number, is_timeout, shown
from status.exceptions import StatusError
from status.logs import FailureLog
from status.providers.base import Composite, Part, Provider, Unavailable, as_provider
from status.providers.health import Drain, Ping

PUNCTUATION = "_ . : + @ , ; = & ( ) ! ' * ~ -"
#: One part of a name, which begins with no space, dot or hyphen.
_PART = rf"(?![ .-])[\w {PUNCTUATION.replace(' ', '')}]+"
#: Names go into addresses, where they are percent-encoded, into metric labels and command lines. Those of providers may
#: hold slashes, as in 2.x; in those of resources nobody could tell where the provider's begins.
RESOURCE = re.compile(rf"(?=.{{1,100}}\Z){_PART}(?<! )")
NAME = re.compile(rf"(?=.{{1,100}}\Z){_PART}(?:/{_PART})*(?<! )")

DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")

#: What the last three elements of an entry are, in words that follow "should be".
PARTS = {
    2: "a list of arguments, or None",
    3: "a dict of named arguments, or None",
    4: "a dict of options, or None",
}
#: What args may be; 2.x put an asterisk before anything.
ITEMS = (list, tuple, set, frozenset, range, dict, str)
ENTRY = "(name, provider, args, kwargs, options), the last three optional"

OPTIONS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "timeout": ("a positive number of seconds", is_timeout),
    "max_age": ("a number of seconds, 0 or more", is_number),
    "critical": ("True or False", lambda value: isinstance(value, bool)),
    "metrics": (
        'a dict of name -> "gauge"',
        lambda value: (
            isinstance(value, Mapping)
            and all(isinstance(name, str) and kind == "gauge" for name, kind in value.items())
        ),
    ),
    "impact": ("a sentence", lambda value: isinstance(value, str)),
}


class Check:
    """One entry of the settings, bound and ready to run. Compared by identity: it stands for what runs.

    resource, name: how it is asked for.
    source: the provider, or the dotted path to it, which is imported when it first runs.
    args, kwargs: what the entry hands to the provider.
    options: the entry's own options and, once it is loaded, those of the provider that the entry does not have.
    """

    def __init__(
        self,
        resource: str,
        name: str,
        source: Provider | str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.resource = resource
        self.name = name
        self.source = source
        self.args = tuple(args)
        self.kwargs = dict(kwargs or {})
        self.options = dict(options or {})
        #: The provider, once it is loaded.
        self.provider: Provider | None = None
        #: The arguments of the entry that the provider ignores: names, and numbers of positional ones.
        self.ignored: tuple[str, ...] = ()
        #: What is wrong with the arguments, so that the provider is not asked; None where nothing is.
        self.mistake: str | None = None
        #: Why it cannot be loaded, as far as that was tried.
        self.load_error: Unavailable | None = None
        self.failures = FailureLog(resource, name)
        if isinstance(source, Provider) and type(source).load is Provider.load:
            self.try_to_load()

    def __repr__(self) -> str:
        return f"<Check {self.resource}/{self.name}>"

    @property
    def is_ping(self) -> bool:
        """Return whether it is the built-in ping, however it is configured."""
        return self.source == Ping.path or type(self.source) is Ping

    @property
    def is_drain(self) -> bool:
        """Return whether it tells that this process drains."""
        return type(self.source) is Drain

    def load(self) -> Provider:
        """Return the provider, imported if need be. Raises ``Unavailable`` where there is none."""
        if self.provider is None:
            provider = self.source if isinstance(self.source, Provider) else import_provider(self.source)
            args, kwargs, ignored = provider.accept(self.args, self.kwargs)
            with suppress(Exception):  # whatever it is, it happens again in the run, which reports it
                provider.load(*args, **kwargs)
            self.mistake = provider.mistake(*args, **kwargs)
            self.options = {**usable_options(provider), **self.options}
            self.args, self.kwargs, self.ignored, self.provider = args, kwargs, ignored, provider
        return self.provider

    def try_to_load(self) -> None:
        """Import the provider, or keep the reason why that fails in ``load_error``."""
        try:
            self.load()
        except Unavailable as error:
            self.load_error = error
        except BaseException as error:  # a module may raise anything, or call sys.exit()
            told = Unavailable(f"{self.source} cannot be imported: it raised {type(error).__name__}.")
            told.__cause__ = error
            self.load_error = told

    def may_block(self) -> bool:
        """Return whether the next run may wait for anything, an import included."""
        try:
            return self.provider is None or self.provider.may_block(*self.args, **self.kwargs)
        except (Exception, SystemExit):  # whatever it is, it happens again in the run, which reports it
            return True

    @property
    def native(self) -> bool:
        """Whether gevent is to run it on a thread of the operating system."""
        return self.provider is not None and self.provider.native

    def run(self) -> Any:
        """Return or raise what the provider does. It gets copies of its arguments: what it does to them ends here."""
        provider = self.load()
        if self.mistake is not None:
            raise Unavailable(self.mistake)
        args, kwargs = self.args, self.kwargs
        if args or kwargs:
            with suppress(Exception):  # a lock, a socket, a module: then the provider shares it with later runs
                args, kwargs = copy.deepcopy((args, kwargs))
        return provider.check(*args, **kwargs)

    def stand_in(self, provider: Provider) -> Check:
        """Return a check of the same name and with the same options, which runs ``provider`` without arguments."""
        self.try_to_load()  # the class of a provider may have options too
        return Check(self.resource, self.name, provider, options=self.options)

    def parts(self) -> list[Part] | None:
        """Return the parts of which the answer is composed; None where the provider is asked as a whole."""
        if isinstance(self.provider, Composite) and self.mistake is None:
            with suppress(Exception, SystemExit):  # whatever it is, it happens again in the run, which reports it
                parts = list(self.provider.parts(*self.args, **self.kwargs))
                if len({str(part.name) for part in parts if isinstance(part, Part)}) == len(parts):
                    return parts
        return None

    def public(self, value: Any) -> Any:
        """Return the part of ``value``, plain JSON, for anonymous callers; ``value`` itself where that is all of it."""
        provider = self.load()
        return value if type(provider).public is Provider.public else provider.public(copy.deepcopy(value))

    @property
    def timeout(self) -> float:
        """Return the seconds a run may take."""
        return float(self.options.get("timeout") or conf.timeout)

    @property
    def max_age(self) -> float:
        """Return the seconds an answer may be reused."""
        max_age = self.options.get("max_age")
        return float(conf.max_age if max_age is None else max_age)

    @property
    def critical(self) -> bool:
        """Return whether a failure counts; otherwise it is a warning."""
        return self.options.get("critical") is not False

    @property
    def metrics(self) -> Mapping[str, str]:
        """Return the names of the numbers in the answer that metrics show, each with its type."""
        return self.options.get("metrics") or {}

    @property
    def impact(self) -> str:
        """Return whom a failure hurts, in a sentence; empty where nobody said."""
        return self.options.get("impact") or ""

    @property
    def judged(self) -> bool:
        """Return whether the answer decides about pass and fail at all."""
        return self.resource not in conf.informational


class Misconfigured(Provider):
    """Stands in for an entry that cannot be used, so that the mistake costs this entry alone and is seen."""

    blocking = False

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    def check(self, *args: Any, **kwargs: Any) -> Any:
        raise Unavailable(f"{self.problem} {self.problem.hint}")


def usable_options(provider: Provider) -> dict[str, Any]:
    """Return the options that a provider has as attributes, but for those that are None or not valid."""
    options = {}
    for name, (_, valid) in OPTIONS.items():
        with suppress(Exception):  # a property of the project's may raise anything
            value = getattr(provider, name, None)
            if value is not None and valid(value):
                options[name] = value
    return options


def import_provider(path: str) -> Provider:
    """Return the provider at a dotted path. Raises ``Unavailable`` with a sentence that is safe to show."""
    module_path, _, attribute = path.rpartition(".")
    try:
        module = import_module(module_path)
    except ImportError as error:
        needed = error.name if isinstance(error, ModuleNotFoundError) else None
        missing = f" ({needed} is not installed)" if needed and not f"{module_path}.".startswith(f"{needed}.") else ""
        reason = f"{module_path} cannot be imported{missing}. Check the dotted path in the settings."
        raise Unavailable(reason) from error
    try:
        return as_provider(getattr(module, attribute))
    except AttributeError as error:
        raise Unavailable(f"{module_path} has no {attribute}. Check the dotted path in the settings.") from error
    except TypeError as error:
        raise Unavailable(f"{path} should be {error}.") from error


class Mistake(StatusError):
    """An entry cannot be used. ``name`` is its own name where that at least is usable."""

    def __init__(self, problem: Problem, name: str | None = None) -> None:
        super().__init__(str(problem))
        self.problem, self.name = problem, name


def bind(where: str, resource: str, entry: Any) -> Check:
    """Return the ``Check`` for one entry of the settings. ``where`` is how messages call it. Raises ``Mistake``."""
    if not isinstance(entry, (list, tuple)) or not 2 <= len(entry) <= 5:
        length = f" of {len(entry)}" if entry and isinstance(entry, (list, tuple)) else ""
        hint = "Add a trailing comma if a tuple with one entry was meant, and give each entry a name and a provider."
        raise Mistake(Problem(where, ENTRY, found(entry) + length, hint))
    name, source, args, kwargs, options = [*entry, None, None, None][:5]
    if not isinstance(name, str) or not NAME.fullmatch(name):
        hint = "The name becomes part of the address; rename the provider."
        expected = f"a name made of letters, digits, spaces and {PUNCTUATION} /"
        raise Mistake(Problem(f"{where}[0]", expected, shown(name), hint))
    # As in 2.x: what is empty, such as () for kwargs, means no arguments.
    args, kwargs = (None if isinstance(value, ITEMS) and not value else value for value in (args, kwargs))
    for position, value, kind in ((2, args, ITEMS), (3, kwargs, Mapping), (4, options, Mapping)):
        named = position == 2 or (isinstance(value, Mapping) and all(isinstance(key, str) for key in value))
        if value is not None and not (isinstance(value, kind) and named):
            hint = f"Write {name!r} as {ENTRY}."
            raise Mistake(Problem(f"{where}[{position}]", PARTS[position], found(value), hint), name)
    for option, value in (options or {}).items():
        if option not in OPTIONS:
            expected = f"a dict of the options {', '.join(OPTIONS)}"
            raise Mistake(Problem(f"{where}[4]", expected, repr(option), "Remove or correct it."), name)
        expected, valid = OPTIONS[option]
        if not valid(value):
            hint = f"Correct the option {option} of {name!r}."
            raise Mistake(Problem(f'{where}[4]["{option}"]', expected, found(value), hint), name)
    try:
        provider = source if isinstance(source, str) and DOTTED.fullmatch(source) else as_provider(source)
    except BaseException as error:  # a class may do anything when it is called, sys.exit() included
        hint = 'Name the provider by its dotted path, for example "status.providers.health.ping".'
        problem = Problem(f"{where}[1]", "a dotted path, a callable or a Provider", shown(source), hint)
        raise Mistake(problem, name) from error
    return Check(resource, name, provider, args or (), kwargs, options)


def remark(where: str, entry: Sequence[Any]) -> Problem | None:
    """Return what is accepted of a bound entry, as 2.x did, and is hardly what was meant: args that are no list."""
    args = entry[2] if len(entry) > 2 else None
    if not args or isinstance(args, (list, tuple)):
        return None
    hint = f"Each of its {len(args)} items is an argument. Mind the comma of a tuple with one element."
    return Problem(f"{where}[2]", PARTS[2], found(args), hint)
