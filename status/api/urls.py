"""The addresses of the API. ``status.api.urls`` can be mounted alone, without the pages."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path, re_path
from django.urls.resolvers import RegexPattern

from status.api.views import ReportView
from status.http import exempt
from status.registry import registry

app_name = "status"
report = exempt(ReportView.as_view())


class ConfiguredNames:
    """The classic name of each address that is configured, such as ``api_health_ping``, for ``reverse()``."""

    @property
    def urlpatterns(self) -> list[URLPattern]:
        """Read when Django first reverses a name, and not at import."""
        patterns = []
        for resource, checks in registry.items():
            kwargs = {"resource": resource}
            patterns.append(path(f"api/{resource}", report, kwargs, name=f"api_{resource}_root"))
            for name in checks:
                kwargs = {"resource": resource, "provider": name}
                patterns.append(path(f"api/{resource}/{name}", report, kwargs, name=f"api_{resource}_{name}"))
        return patterns


urlpatterns: list[URLPattern | URLResolver] = [
    re_path(r"^api/?$", report, name="api_root"),
    re_path(r"^api/(?P<resource>[^/]+)/?$", report, name="api_resource"),
    re_path(r"^api/(?P<resource>[^/]+)/(?P<provider>[^/]+)/?$", report, name="api_provider"),
    # Only looked into where one of those above matches, which then has answered: names alone make no request slower.
    URLResolver(RegexPattern(r"^(?=api/[^/]+(?:/[^/]+)?/?$)"), ConfiguredNames()),  # type: ignore[arg-type]  # as good as a module
]
