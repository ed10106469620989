"""django-health-check, mounted as its documentation says."""

from __future__ import annotations

from django.urls import path
from health_check.views import HealthCheckView

urlpatterns = [path("health/", HealthCheckView.as_view(checks=["health_check.Database", "health_check.Cache"]))]
