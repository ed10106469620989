"""The check of what ``manage.py check`` says about the project."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from types import MappingProxyType
from typing import Any

from django.core import checks

from status.conf import shown
from status.providers.base import Answer, Provider, verdicts
from status.providers.kinds import NAMES, SWITCH, listed

#: The one component of the answer.
COMPONENT = "project"
#: Kinds of messages that a reason names.
KINDS_NAMED = 5


class SystemChecks(Provider):
    """Answer ``{"project": {"ok": bool, "errors": number, "warnings": number}}``: what ``manage.py check`` finds.

    Entry arguments: ``tags``, as ``--tag``; with ``deploy`` the checks for deployment too, as ``--deploy``. Errors
    fail, warnings warn, and what ``SILENCED_SYSTEM_CHECKS`` names does not count. The code does not change while it
    runs, and the checks take time: the answer is reused for five minutes. Databases are not asked.
    """

    max_age = 300
    metrics = MappingProxyType({"errors": "gauge", "warnings": "gauge"})
    kinds = MappingProxyType({"tags": NAMES, "deploy": SWITCH})

    def mistake(self, *args: Any, **kwargs: Any) -> str | None:
        return super().mistake(*args, **kwargs) or self._wrong_tag(*args, **kwargs)

    def _wrong_tag(self, tags: Iterable[str] | str | None = None, deploy: bool = False) -> str | None:
        for name in () if tags is None else listed(tags):
            if not checks.tag_exists(name, include_deployment_checks=deploy):
                hint = "" if deploy or not checks.tag_exists(name, True) else " without deploy"
                return f"There are no system checks with the tag {shown(name)}{hint}."
            if name == checks.Tags.database:
                return "Checks that ask databases are left out. Remove the tag database."
        return None

    def check(self, tags: Iterable[str] | str | None = None, deploy: bool = False) -> Answer:
        chosen = None if tags is None else listed(tags)
        messages = checks.run_checks(tags=chosen, include_deployment_checks=deploy)
        told = [message for message in messages if not message.is_silenced()]
        errors = [message for message in told if message.level >= checks.ERROR]
        warnings = [message for message in told if checks.WARNING <= message.level < checks.ERROR]
        return Answer(
            {COMPONENT: {"ok": not errors, "errors": len(errors), "warnings": len(warnings)}},
            {COMPONENT: _summary(errors)} if errors else {},
            {COMPONENT: _summary(warnings)} if warnings and not errors else {},
        )

    def public(self, value: Any) -> Any:
        return verdicts(value)


def _summary(messages: list[Any]) -> str:
    """Return the ids, which say what is wrong. The texts may hold anything."""
    counted = Counter(str(message.id or "a message without id") for message in messages)
    named = [f"{name} ({count} times)" if count > 1 else name for name, count in counted.most_common(KINDS_NAMED)]
    return ", ".join([*named, f"and {len(counted) - KINDS_NAMED} more"] if len(counted) > KINDS_NAMED else named)
