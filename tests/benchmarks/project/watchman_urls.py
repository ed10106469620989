"""django-watchman, mounted as its documentation says."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("watchman/", include("watchman.urls"))]
