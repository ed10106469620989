"""An entry in the index of the admin that leads to the pages, whatever template or theme the index has.

Django imports this file where the admin is installed.
"""

from __future__ import annotations

from django.contrib.admin import ModelAdmin, register
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import get_resolver

from status.models import Status
from status.mounts import paths_of


@register(Status)
class StatusAdmin(ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs alone
    """Stands in the index for the pages; there is nothing to add, change or delete."""

    def changelist_view(self, request: HttpRequest, extra_context: object = None) -> HttpResponse:
        """Redirect to the pages."""
        return HttpResponseRedirect(_pages(request) or "..")

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Return whether there are pages; whoever is let into the admin may go there."""
        return _pages(request) is not None

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return self.has_module_permission(request)

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    has_change_permission = has_delete_permission = has_add_permission


def _pages(request: HttpRequest) -> str | None:
    return next(paths_of("root", get_resolver(getattr(request, "urlconf", None))), None)
