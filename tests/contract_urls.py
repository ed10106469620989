"""The example project with the app mounted in every way that the contract names."""

from django.urls import include, path, re_path

from example_project.urls import urlpatterns as of_the_project

urlpatterns = [
    *of_the_project,
    path("alone/", include("status.api.urls")),
    re_path(r"^classic/", include("status.urls")),
]
