"""The app, its peers, and what a project would write by hand."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import engines
from django.urls import include, path
from health_check.views import HealthCheckView

from tests.benchmarks.project.checks import Hang, Slow

DATABASE = "health_check.checks.Database"
CACHE = "health_check.checks.Cache"


def bare(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"pong": True})


PAGE = engines["django"].from_string(
    "<title>{{ title }}</title><table>"
    "{% for item in items %}<tr><td>{{ item.name }}<td>{{ item.price|floatformat:2 }}</tr>{% endfor %}</table>"
)


def page(request: HttpRequest) -> HttpResponse:
    """An ordinary page: one query, and a template with a list."""
    items = [{"name": f"Article {number}", "price": number * 1.5} for number in range(50)]
    return HttpResponse(PAGE.render({"title": f"Shop {select_one()}", "items": items}, request))


def by_hand(request: HttpRequest) -> JsonResponse:
    cache.set("by-hand", "value", 30)
    return JsonResponse(
        {"databases": {"default": select_one()}, "caches": {"default": cache.get("by-hand") == "value"}}
    )


def database_by_hand(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"default": select_one()})


def select_one() -> bool:
    # With SQLite, as the check asks it: ``SELECT 1`` would not touch the file.
    sqlite = connection.vendor == "sqlite"
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) >= 0 FROM sqlite_master" if sqlite else "SELECT 1")
        return cursor.fetchone() == (1,)


def peer_options() -> dict[str, Any]:
    """The arguments of the peer's check, which takes a Celery app itself."""
    if not settings.PEER_CHECK.endswith(".celery.Ping"):
        return {}
    # Late: the other rows load no Celery.
    from tests.celery_app import app

    return {"app": app}


urlpatterns = [
    path("bare", bare),
    path("page", page),
    path("by-hand", by_hand),
    path("database-by-hand", database_by_hand),
    path("status/", include("status.urls")),
    path("watchman/", include("watchman.urls")),
    path("health_check/ping", HealthCheckView.as_view(checks=[]), name="peer_ping"),
    path("health_check/services", HealthCheckView.as_view(checks=[DATABASE, CACHE])),
    path("health_check/database", HealthCheckView.as_view(checks=[DATABASE])),
    path("health_check/slow", HealthCheckView.as_view(checks=[(Slow, {"number": number}) for number in range(10)])),
    path("health_check/it", HealthCheckView.as_view(checks=[(settings.PEER_CHECK, peer_options())])),
    path("health_check/hanging", HealthCheckView.as_view(checks=[Hang])),
]
