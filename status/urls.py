"""Pages and API together, for ``path("status/", include("status.urls"))``."""

from status.api.urls import Addresses, app_name

__all__ = ["app_name", "urlpatterns"]

urlpatterns = Addresses()
