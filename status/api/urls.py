"""The addresses of the API. ``status.api.urls`` can be mounted alone, without the pages."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, URLResolver, path
from django.urls.resolvers import RegexPattern

from status.api.views import ReportView
from status.registry import registry

app_name = "status"
report = ReportView.as_view()


class ConfiguredNames(URLResolver):
    """The classic name of each address that is configured, such as ``api_health_ping``, for ``reverse()``."""

    @property
    def url_patterns(self) -> list[Any]:
        """Return the patterns as the settings are. Django asks when it first reverses a name; not at import."""
        patterns = []
        for resource, checks in registry.items():
            kwargs = {"resource": resource}
            patterns.append(path(f"api/{resource}", report, kwargs, name=f"api_{resource}_root"))
            for name in checks:
                address, named = f"api/{resource}/{name}", f"api_{resource}_{name}"
                patterns.append(path(address, report, {**kwargs, "provider": name}, name=named))
        return patterns


urlpatterns: list[URLPattern | URLResolver] = [
    # Each with its slash and without, as monitoring agents make their names of these routes.
    path("api/", report),
    path("api", report, name="api_root"),
    path("api/<str:resource>/", report),
    path("api/<str:resource>", report, name="api_resource"),
    path("api/<str:resource>/<str:provider>/", report),
    path("api/<str:resource>/<str:provider>", report, name="api_provider"),
    # Only looked into where one of those above matches, which then has answered: names alone make no request slower.
    ConfiguredNames(RegexPattern(r"^(?=api/[^/]+(?:/[^/]+)?/?$)"), []),
]
