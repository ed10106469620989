"""What row 14 adds to a process: ``BENCHMARK_APP`` mounted as its own documentation says, or nothing."""

from __future__ import annotations

import os

from django.http import HttpRequest, JsonResponse
from django.urls import include, path


def bare(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"pong": True})


urlpatterns = [path("bare", bare)]
app = os.environ.get("BENCHMARK_APP")
if app == "status":
    urlpatterns.append(path("status/", include("status.urls")))
elif app == "watchman":
    urlpatterns.append(path("watchman/", include("watchman.urls")))
elif app == "health_check":
    # Late: this is what is measured.
    from health_check.views import HealthCheckView

    checks = ["health_check.Database", "health_check.Cache"]
    urlpatterns.append(path("health/", HealthCheckView.as_view(checks=checks)))
