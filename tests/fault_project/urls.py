"""The addresses of the project: the app, a page, and what the tests need to do inside a server."""

from __future__ import annotations

import os
import resource

from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from status.engine import engine

NOBODY = 65534


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("page")


def exhaust(request: HttpRequest) -> HttpResponse:
    """From now on this process gets no further thread. The limit on processes does not bind root, so that goes too."""
    engine.close()
    _, most = resource.getrlimit(resource.RLIMIT_NPROC)
    resource.setrlimit(resource.RLIMIT_NPROC, (1, most))
    if os.geteuid() == 0:
        os.setresuid(NOBODY, NOBODY, 0)
    return HttpResponse("exhausted")


def relax(request: HttpRequest) -> HttpResponse:
    if os.geteuid() == NOBODY:
        os.setresuid(0, 0, 0)
    _, most = resource.getrlimit(resource.RLIMIT_NPROC)
    resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
    return HttpResponse("relaxed")


urlpatterns = [
    path("page", page),
    path("exhaust", exhaust),
    path("relax", relax),
    path("status/", include("status.urls")),
]
