"""The view of 2.x that is no ``ReportView`` by another name. ``status.classic`` finds it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse

from status.api.views import ReportView
from status.entries import Check, Misconfigured, Mistake, bind
from status.registry import Selection, registry


class ProviderAPIView(ReportView):
    """``ProviderAPIView.as_view(provider_name=..., provider=...)``: the view of a provider that no setting names."""

    selection = Selection((), (), None, None)

    @classmethod
    def as_view(  # type: ignore[override]  # the arguments of 2.x
        cls,
        provider_name: str,
        provider: Any,
        provider_args: Any = None,
        provider_kwargs: Any = None,
        **initkwargs: Any,
    ) -> Callable[..., HttpResponse]:
        asked = provider_name, provider
        homes = (check.resource for check in registry.select().checks if (check.name, check.source) == asked)
        home = next(homes, None)
        resource = home or "health"
        try:
            check = bind("ProviderAPIView", resource, (provider_name, provider, provider_args, provider_kwargs))
        except Mistake as mistake:  # it fails, and the urlconf of the project does not
            check = Check(resource, provider_name, Misconfigured(mistake.problem))
        # One that no setting names has the rights of its resource, and is not the ping of that resource by its name.
        selection = Selection((check,), (resource,), resource, provider_name)
        return super().as_view(selection=selection, resource=resource, provider=home and provider_name, **initkwargs)

    def get_selection(self, *args: Any) -> Selection:
        return self.selection
