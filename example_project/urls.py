"""The addresses of the example project: the status pages and API, the admin, and the switches while debugging."""

from django.conf import settings
from django.contrib import admin
from django.urls import include, path

from example_project.shop import views

urlpatterns = [
    path("", views.home),
    path("status/", include("status.urls")),
    path("admin/", admin.site.urls),
]
if settings.DEBUG:
    urlpatterns.append(path("switches/", views.switches, name="switches"))
