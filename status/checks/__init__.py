"""System checks of the settings of this app: warnings for mistakes, and with ``--deploy`` for risks.

None of them is an error, as monitoring is no reason for ``migrate`` or ``test`` not to run, and a mistake in what
closes something closes it altogether. The ids that begin with E are those of the errors that these once were, which
projects may have silenced. None opens a socket: they also run in containers without services.
"""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage

from status.checks import access, addresses, entries

MISTAKES = (
    entries.provider_mistakes,
    entries.spelling_warnings,
    access.access_mistakes,
    entries.argument_warnings,
    entries.entry_warnings,
    entries.joining_warnings,
    entries.path_warnings,
    entries.directory_warnings,
    entries.database_warnings,
    addresses.address_warnings,
    addresses.slash_warnings,
    addresses.mount_warnings,
    addresses.urlconf_warnings,
    addresses.name_clash_warnings,
    entries.store_warnings,
    entries.history_warnings,
    entries.process_warnings,
    addresses.reserved_warnings,
)
RISKS = (access.access_warnings, access.middleware_warnings, entries.provider_warnings, entries.name_warnings)


def mistakes(**kwargs: Any) -> list[CheckMessage]:
    """Return what ``manage.py check`` says of settings and entries that cannot be used, or have no effect."""
    return [message for check in MISTAKES for message in check()]


def risks(**kwargs: Any) -> list[CheckMessage]:
    """Return what ``manage.py check --deploy`` says besides."""
    return [message for check in RISKS for message in check()]
