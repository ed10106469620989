"""The address of the fleet: every process's own view, in one answer."""

from __future__ import annotations

from typing import Any, cast

from django.core.exceptions import TooManyFieldsSent
from django.http import HttpRequest, HttpResponse

from status.access import access_for
from status.api.views import ReportView, StatusView, allow, problem, refused, tell_wrong_token
from status.formats import FORMATS
from status.formats.negotiation import NotAcceptable, choose
from status.http import StatusResponse
from status.registry import registry


class FleetView(StatusView):
    """Answers the members to callers with authority, and their numbers by role and state to the others. Always 200."""

    shows_fleet = True

    def dispatch(self, request: HttpRequest, **mounted: Any) -> HttpResponse:
        if "fleet" in registry:  # a resource of the project's
            return ReportView.as_view(is_root=True)(request, resource="fleet", **mounted)
        return cast("HttpResponse", super().dispatch(request, **mounted))

    def get(self, request: HttpRequest, **mounted: object) -> HttpResponse:
        access = access_for(request)
        if not access.may_ask("fleet"):
            return refused(access)
        if request.method == "OPTIONS":
            return tell_wrong_token(request, access, allow(StatusResponse("{}", "application/json")))
        # Late: most projects have no fleet.
        from status.fleet import fleet
        from status.formats.fleet import FLEET_FORMATS

        try:
            asked = request.GET.get("format")
            name = choose(asked, request.META.get("HTTP_ACCEPT")).name
        except NotAcceptable:
            name = ""
        except TooManyFieldsSent:  # Django would log it as an error and mail the admins
            return problem(400, error="The query has too many fields.")
        if name not in FLEET_FORMATS:
            if asked:
                known = tuple(FLEET_FORMATS)
                return problem(406, error=f"The format should be one of {', '.join(known)}.", formats=known)
            name = "json"
        content = FLEET_FORMATS[name](fleet(), access.details)
        response = StatusResponse(content.encode(), FORMATS[name].content_type)
        return tell_wrong_token(request, access, response)

    # Without its own ``head``, Django gives each view one that refers to the view, see ``ReportView``.
    head = options = get
