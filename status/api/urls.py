"""The addresses of the API. ``status.api.urls`` can be mounted alone, without the pages."""

from __future__ import annotations

from collections.abc import Iterator

from django.urls import URLPattern, re_path

from status.http import harmless, late
from status.registry import registry

app_name = "status"

report = harmless(late("status.api.views", "ReportView"))
NAME = r"[^/]+"


class Addresses:
    """The patterns, and besides them the classic name of each address that is configured, for ``reverse()``.

    Iterated by Django when it needs them and not at import, so that no setting is read before it is needed.
    """

    def __init__(self, *patterns: URLPattern) -> None:
        # One expression for the whole API, and first: probes ask here more often than people look at pages.
        anywhere = rf"^api(?:/(?P<resource>{NAME})(?:/(?P<provider>{NAME}))?)?/?$"
        self.patterns = (re_path(anywhere, report), *patterns)

    def __iter__(self) -> Iterator[URLPattern]:
        yield from self.patterns
        yield re_path(r"^api$", report, name="api_root")
        yield re_path(rf"^api/(?P<resource>{NAME})$", report, name="api_resource")
        yield re_path(rf"^api/(?P<resource>{NAME})/(?P<provider>{NAME})$", report, name="api_provider")
        for resource, checks in registry.items():
            yield re_path(rf"^api/{resource}$", report, {"resource": resource}, name=f"api_{resource}_root")
            for name in checks:
                yield re_path(
                    rf"^api/{resource}/{name}$",
                    report,
                    {"resource": resource, "provider": name},
                    name=f"api_{resource}_{name}",
                )

    def __reversed__(self) -> Iterator[URLPattern]:
        return reversed(list(self))


urlpatterns = Addresses()
