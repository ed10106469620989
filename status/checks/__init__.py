"""System checks of the settings of this app: warnings for mistakes, and with ``--deploy`` for risks.

None of them is an error, as monitoring is no reason for ``migrate`` or ``test`` not to run, and a mistake in what
closes something closes it altogether. The ids that begin with E are those of the errors that these once were, which
projects may have silenced. None opens a socket: they also run in containers without services.
"""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage

from status.checks.access import access_mistakes, access_warnings, middleware_warnings
from status.checks.addresses import (
    address_warnings,
    name_clash_warnings,
    reserved_warnings,
    slash_warnings,
    urlconf_warnings,
)
from status.checks.entries import (
    argument_warnings,
    database_warnings,
    entry_warnings,
    name_warnings,
    path_warnings,
    process_warnings,
    provider_mistakes,
    provider_warnings,
    store_warnings,
)

MISTAKES = (
    provider_mistakes,
    access_mistakes,
    argument_warnings,
    entry_warnings,
    path_warnings,
    database_warnings,
    address_warnings,
    slash_warnings,
    urlconf_warnings,
    name_clash_warnings,
    store_warnings,
    process_warnings,
    reserved_warnings,
)
RISKS = (access_warnings, middleware_warnings, provider_warnings, name_warnings)


def mistakes(**kwargs: Any) -> list[CheckMessage]:
    """Return what ``manage.py check`` says of settings and entries that cannot be used, or have no effect."""
    return [message for check in MISTAKES for message in check()]


def risks(**kwargs: Any) -> list[CheckMessage]:
    """Return what ``manage.py check --deploy`` says besides."""
    return [message for check in RISKS for message in check()]
