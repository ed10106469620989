"""Pages and API together, for ``path("status/", include("status.urls"))``."""

from __future__ import annotations

from django.urls import re_path

from status.api.urls import app_name
from status.api.urls import urlpatterns as api_urlpatterns
from status.http import exempt
from status.views import AssetView, HealthView, PageView, StatsView

__all__ = ["app_name", "urlpatterns"]

urlpatterns = [
    *api_urlpatterns,
    re_path(r"^$", exempt(PageView.as_view()), name="root"),
    re_path(r"^health/?$", exempt(HealthView.as_view()), name="health"),
    re_path(r"^stats/?$", exempt(StatsView.as_view()), name="stats"),
    re_path(
        r"^assets/(?P<version_asked>[0-9a-f]+)/(?P<name>[a-z]+\.[a-z]+)/?$", exempt(AssetView.as_view()), name="asset"
    ),
]
