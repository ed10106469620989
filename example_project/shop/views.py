"""The front page, and the page that switches providers by hand."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from example_project.shop.switches import MODES, NAMES, read, switch


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    return render(request, "shop/home.html", {"debug": settings.DEBUG})


@require_http_methods(["GET", "HEAD", "POST"])
def switches(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return render(request, "shop/switches.html", {"switches": {name: read(name) for name in NAMES}, "modes": MODES})
    try:
        switch(request.POST.get("name", ""), request.POST.get("mode", ""))
    except ValueError as error:
        return HttpResponseBadRequest(str(error), content_type="text/plain")
    return redirect("switches")
