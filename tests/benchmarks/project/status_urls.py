"""The app, mounted as its documentation says."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("status/", include("status.urls"))]
