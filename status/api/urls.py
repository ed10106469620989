"""The addresses of the API. ``status.api.urls`` can be mounted alone, without the pages."""

from __future__ import annotations

from collections.abc import Iterator

from django.urls import URLPattern, URLResolver, path, re_path
from django.urls.resolvers import RegexPattern

from status.api.views import ReportView
from status.http import exempt
from status.registry import registry

app_name = "status"
report = exempt(ReportView.as_view())


class ConfiguredNames:
    """The classic name of each address that is configured, such as ``api_health_ping``, for ``reverse()``.

    Django iterates over it when it first reverses a name, and again after ``clear_url_caches()``; not at import.
    """

    def __iter__(self) -> Iterator[URLPattern]:
        for resource, checks in registry.items():
            kwargs = {"resource": resource}
            yield path(f"api/{resource}", report, kwargs, name=f"api_{resource}_root")
            for name in checks:
                yield path(
                    f"api/{resource}/{name}", report, {**kwargs, "provider": name}, name=f"api_{resource}_{name}"
                )

    def __reversed__(self) -> Iterator[URLPattern]:
        return reversed(list(self))


urlpatterns: list[URLPattern | URLResolver] = [
    re_path(r"^api/?$", report, name="api_root"),
    re_path(r"^api/(?P<resource>[^/]+)/?$", report, name="api_resource"),
    re_path(r"^api/(?P<resource>[^/]+)/(?P<provider>[^/]+)/?$", report, name="api_provider"),
    # Only looked into where one of those above matches, which then has answered: names alone make no request slower.
    URLResolver(RegexPattern(r"^(?=api/[^/]+(?:/[^/]+)?/?$)"), ConfiguredNames()),  # type: ignore[arg-type]  # Django only iterates
]
