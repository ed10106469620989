"""Pages and API together, for ``path("status/", include("status.urls"))``."""

from __future__ import annotations

from django.urls import re_path

from status.api.urls import Addresses, app_name
from status.http import harmless, late

__all__ = ["app_name", "urlpatterns"]

urlpatterns = Addresses(
    re_path(r"^$", harmless(late("status.views", "PageView")), name="root"),
    re_path(r"^health/?$", harmless(late("status.views", "HealthView")), name="health"),
    re_path(r"^stats/?$", harmless(late("status.views", "StatsView")), name="stats"),
    re_path(
        r"^assets/(?P<version_asked>[0-9a-f]+)/(?P<name>[a-z]+\.[a-z]+)/?$",
        harmless(late("status.views", "AssetView")),
        name="asset",
    ),
)
