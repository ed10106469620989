"""Pages and API together, for ``path("status/", include("status.urls"))``."""

from __future__ import annotations

from django.urls import re_path

from status.api.urls import with_api
from status.views import AssetView, FleetPageView, HealthView, PageView, StatsView

app_name = "status"
urlpatterns = [
    *with_api,
    re_path(r"^$", PageView.as_view(), name="root"),
    re_path(r"^health/?$", HealthView.as_view(), name="health"),
    re_path(r"^stats/?$", StatsView.as_view(), name="stats"),
    re_path(r"^fleet/?$", FleetPageView.as_view(), name="fleet"),
    re_path(
        r"^assets/(?P<version_asked>[0-9a-f]+)/(?P<name>(?:schemas/)?[a-z]+\.[a-z]+)/?$",
        AssetView.as_view(),
        name="asset",
    ),
]
