"""Where the project has mounted the app, as its urlconfs say: below any prefix and namespace, as often as it likes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple

from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, get_script_prefix
from django.urls.resolvers import LocalePrefixPattern, RegexPattern

from status.conf import conf
from status.logs import log_once


class Mount(NamedTuple):
    """One place in a urlconf where views of the app are.

    way: the patterns from the root to there.
    namespaces: those on the way.
    views: the patterns of the views themselves.
    """

    way: tuple[Any, ...]
    namespaces: tuple[str, ...]
    views: tuple[URLPattern, ...]

    def leads_to(self, path: str) -> bool:
        """Return whether ``path`` may be one of the app's: the cheap look at every request."""
        for pattern in self.way:
            found = pattern.match(path)
            if not found:
                return False
            path = found[0]
        return any(view.pattern.match(path) for view in self.views)

    def path(self, name: str) -> str | None:
        """Return the path of the view of that name; None where there is none, or where the way takes arguments.

        The urlconf itself may know something else under that name and namespace.
        """
        patterns: list[Any] = list(self.views)
        for pattern in reversed(self.way[1:]):
            patterns = [URLResolver(pattern, patterns)]
        with suppress(NoReverseMatch):
            return get_script_prefix() + str(URLResolver(RegexPattern(r"^/"), patterns).reverse(name))
        return None


@lru_cache(maxsize=8)
def mounts_of(resolver: URLResolver) -> tuple[Mount, ...]:
    """Return every place below ``resolver`` where views of the app are."""
    mounts = []
    found: list[tuple[tuple[URLResolver, ...], URLResolver]] = [((resolver,), resolver)]
    for way, each in found:  # which grows meanwhile
        patterns = list(each.url_patterns)
        found += [((*way, one), one) for one in patterns if isinstance(one, URLResolver)]
        views = [one for one in patterns if isinstance(one, URLPattern)]
        ours = tuple(view for view in views if hasattr(view.callback, "answered_by_middleware"))
        if ours:
            namespaces = tuple(one.namespace for one in way if one.namespace)
            mounts.append(Mount(tuple(one.pattern for one in way), namespaces, ours))
    return tuple(mounts)


@lru_cache(maxsize=8)
def language_prefix_of(resolver: URLResolver) -> LocalePrefixPattern | None:
    """Return the pattern of ``i18n_patterns``, which are at the root of a urlconf; None where there are none."""
    patterns = (one.pattern for one in resolver.url_patterns)
    return next((pattern for pattern in patterns if isinstance(pattern, LocalePrefixPattern)), None)


def resolvers() -> list[URLResolver]:
    """Return those of ``ROOT_URLCONF`` and ``STATUS_URLCONFS``. What of the latter cannot be loaded is left out."""
    loaded = [get_resolver()]
    for name in conf.urlconfs:
        try:
            resolver = get_resolver(name)
            mounts_of(resolver)
        except Exception as error:  # a module of the project may raise anything
            log_once(f"STATUS_URLCONFS names {name[:100]!a}, which cannot be loaded", error)
        else:
            loaded.append(resolver)
    return loaded


def paths_of(name: str, *among: URLResolver) -> Iterator[str]:
    """Yield the path of the view of that name at each mount in these urlconfs; in all of the project's if none."""
    for resolver in among or resolvers():
        for mount in mounts_of(resolver):
            path = mount.path(name)
            if path is not None:
                yield path
