"""The addresses of the API. ``status.api.urls`` can be mounted alone, without the pages."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, URLResolver, include, path, re_path, register_converter
from django.urls.converters import StringConverter, get_converters
from django.urls.resolvers import RegexPattern
from django.views.generic import View

from status.api.fleet import FleetView
from status.api.views import BeatView, ReportView
from status.conf import conf
from status.registry import UnknownName, registry

report, beat, fleet = ReportView.as_view(is_root=True), BeatView.as_view(), FleetView.as_view()


class ConfiguredResource(StringConverter):
    """The name of a resource that there is. Other paths are the project's, and go on to its next pattern."""

    def to_python(self, value: str) -> str:
        try:
            registry.select(value)
        except UnknownName as error:
            raise ValueError from error
        return value


class NameWithSlash(StringConverter):
    """The name of a provider that holds a slash, as it stands in the settings."""

    regex = "[^/]+(?:/[^/]+)+"

    def to_python(self, value: str) -> str:
        if not any(value in checks for checks in registry.values()):
            raise ValueError
        return value


class NameOfBeat(StringConverter):
    """The name of a heartbeat, where the project has any; the address answers for one that there is not."""

    def to_python(self, value: str) -> str:
        if not conf.heartbeats:
            raise ValueError
        return value


class FleetOfStore(StringConverter):
    """``fleet``, where there is a store."""

    regex = "fleet"

    def to_python(self, value: str) -> str:
        if conf.store is None:
            raise ValueError
        return value


CONVERTERS = {
    "status_resource": ConfiguredResource,
    "status_slashed": NameWithSlash,
    "status_beat": NameOfBeat,
    "status_fleet": FleetOfStore,
}
for type_name, converter in CONVERTERS.items():
    if type_name not in get_converters():  # Django 6 refuses to register it again where a project reloads its urlconfs
        register_converter(converter, type_name)


class Names(URLResolver):
    """The names of all addresses, for ``reverse()``; the classic ones, such as ``api_health_ping``, as configured.

    No path is looked for in it, so that a thousand names make no request slower: its pattern asks what stands before,
    and Django matches each part of a path by itself. ``reverse()`` compares whole paths.

    before: a regular expression for that.
    prefix: what stands between it and the names of resources.
    """

    def __init__(self, before: str, prefix: str) -> None:
        super().__init__(RegexPattern(f"^(?<={before})"), [])
        self.prefix = prefix

    @property
    def url_patterns(self) -> list[Any]:
        """Return the patterns as the settings are.

        Django asks when it first reverses a name, not at import, and remembers the answer: ``apps.py`` has it forget
        that when a setting changes.
        """
        prefix, view = self.prefix, View.as_view()  # one that nobody ever gets to
        patterns = [
            path(prefix.rstrip("/"), view, name="api_root"),
            path(f"{prefix}<str:resource>", view, name="api_resource"),
            path(f"{prefix}<str:resource>/<path:provider>", view, name="api_provider"),
        ]
        for resource, checks in registry.items():
            patterns.append(path(f"{prefix}{resource}", view, name=f"api_{resource}_root"))
            patterns += [path(f"{prefix}{resource}/{name}", view, name=f"api_{resource}_{name}") for name in checks]
        return patterns


def addresses(prefix: str, resource: str) -> list[URLPattern | URLResolver]:
    """Return the addresses below ``prefix``, each with its slash and without: monitoring agents name these routes."""
    # Without a prefix, ``reverse()`` should find those of ``Names``.
    resource_name, provider_name = ("api_resource", "api_provider") if prefix else (None, None)
    # Below a prefix every path is the app's, and what is not there is told in JSON.
    slashed = "path" if prefix else "status_slashed"
    return [
        # What probes ask most comes first.
        path(f"{prefix}{resource}/<str:provider>", report, name=provider_name),
        path(f"{prefix}{resource}", report, name=resource_name),
        path(f"{prefix}{resource}/<str:provider>/", report),
        path(f"{prefix}{resource}/", report),
        path(prefix, report),
        path(f"{prefix}{resource}/<{slashed}:provider>/", report),
        path(f"{prefix}{resource}/<{slashed}:provider>", report, name=provider_name),
    ]


#: The addresses as ``status.urls`` has them, beside the pages.
with_api = [
    path("api/beat/<str:name>/", beat),
    path("api/beat/<str:name>", beat, name="api_beat"),
    path("api/fleet/", fleet),
    path("api/fleet", fleet, name="api_fleet"),
    *addresses("api/", "<str:resource>"),
    path("api", report, name="api_root"),
    Names(".", "api/"),
]
#: Without pages, they answer without ``api/`` as well, and are named so where the mount itself ends in ``api/``.
without_pages = [
    *with_api,
    *addresses("", "<status_resource:resource>"),
    path("beat/<status_beat:name>/", beat),
    path("beat/<status_beat:name>", beat),
    path("<status_fleet:name>/", fleet),
    path("<status_fleet:name>", fleet),
    re_path(r"^(?<=api/)$", report, name="api_root"),
    re_path(r"^(?<=api/)beat/(?P<name>[^/]+)$", beat, name="api_beat"),
    re_path(r"^(?<=api/)fleet$", fleet, name="api_fleet"),
    Names("api/", ""),
]
#: As in 2.x the module has no namespace of its own; the names are there in the namespace ``status`` and without it.
urlpatterns: list[URLPattern | URLResolver] = [
    path("", include((without_pages, "status"))),
    Names(".", "api/"),
    Names("api/", ""),
]
