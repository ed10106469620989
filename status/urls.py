"""Pages and API together, for ``path("status/", include("status.urls"))``."""

from __future__ import annotations

from django.urls import re_path

from status.api.urls import Addresses, app_name
from status.manners import harmless
from status.pages.assets import AssetView
from status.views import HealthView, PageView, StatsView

__all__ = ["app_name", "urlpatterns"]

urlpatterns = Addresses(
    re_path(r"^$", harmless(PageView.as_view()), name="root"),
    re_path(r"^health/?$", harmless(HealthView.as_view()), name="health"),
    re_path(r"^stats/?$", harmless(StatsView.as_view()), name="stats"),
    re_path(
        r"^assets/(?P<version_asked>[0-9a-f]+)/(?P<name>[a-z]+\.[a-z]+)/?$", harmless(AssetView.as_view()), name="asset"
    ),
)
