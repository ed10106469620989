"""The report of a running instance, read from the health+json document that it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from status.cli.arguments import CannotAsk
from status.report import Report, Result, failure, is_sound, one_line
from status.serialization import JSON, NotPlain, to_plain

if TYPE_CHECKING:
    from status.cli.client import ServerResponse

#: Providers that one report of an instance may hold.
MAX_RESULTS = 5_000


def read_report(response: ServerResponse, resource: str | None = None, provider: str | None = None) -> Report:
    """Return the report behind a health+json document. Raises CannotAsk where it is none, and where no check is in it.

    resource, provider: what was asked for.
    """
    no_report = CannotAsk("the instance answers something that is not a health report", down=response.status >= 500)
    document = response.json() or {}
    checks = document.get("checks")
    if not isinstance(checks, dict) or not all(isinstance(entries, list) for entries in checks.values()):
        raise no_report
    grouped: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for key, entries in checks.items():
        for entry in (entry for entry in entries if isinstance(entry, dict)):
            home = _text(entry.get("resource")) or resource or ""
            grouped.setdefault((home, (_text(key) or "").partition(":")[0]), []).append(entry)
    stated = [document, *(entry for entries in grouped.values() for entry in entries)]
    if len(grouped) > MAX_RESULTS or any(entry.get("status") not in (None, "pass", "warn", "fail") for entry in stated):
        raise no_report
    try:
        results = [_result(home, name, entries) for (home, name), entries in grouped.items()]
    except NotPlain as error:
        raise CannotAsk(f"the instance answers {error}, which is not from django-status") from error
    fails = response.status >= 300 or document.get("status") == "fail"
    if fails and not any(result.state == "fail" for result in results):
        reason = one_line(_text(document.get("output")) or f"answers {response.status} without a reason")
        answer = failure(reason)
        results.append(Result(resource or "", provider or "status", answer, answer, sound=False, error=reason))
    if not results:
        raise CannotAsk("nothing is left to ask")
    resources = tuple(dict.fromkeys(result.resource for result in results))  # what "ready" asks is of "health"
    return Report(tuple(results), resources, resource, provider)


def _result(resource: str, name: str, entries: list[dict[str, Any]]) -> Result:
    """Return the result behind the entries of one provider: one for each component, or one for all there is."""
    states = [entry["status"] for entry in entries if entry.get("status") is not None]
    components = {key: entry for entry in entries if (key := _text(entry.get("componentId"))) is not None}
    values = {key: to_plain(entry.get("observedValue")).value for key, entry in components.items()}
    outputs = {key: text for key, entry in components.items() if (text := _text(entry.get("output"))) is not None}
    times = {_text(entry.get("componentId")): _number(entry.get("responseTime")) for entry in entries}
    seconds = {key: time / 1000 for key, time in times.items() if time is not None}
    # A component that is well in itself and yet warns was warned of by its check.
    warned = [key for key, entry in components.items() if entry.get("status") == "warn" and is_sound(values[key])]
    answer: JSON = dict(values)
    error = None
    if not components and "observedValue" in entries[0]:
        answer = to_plain(entries[0]["observedValue"]).value
    elif not components:
        error = one_line(_text(entries[0].get("output")) or "no reason is given")
    return Result(
        resource,
        name,
        answer,
        answer,
        sound=len(states) == len(warned) + states.count("pass"),
        judged=bool(states),
        critical="fail" in states,
        error=error,
        reasons={key: text for key, text in outputs.items() if key not in warned},
        warnings={key: outputs.get(key, "") for key in warned},
        duration=max(seconds.values(), default=None),
        durations={key: time for key, time in seconds.items() if key is not None},
        age=_number(entries[0].get("age")) or 0.0,
    )


def _text(value: object) -> str | None:
    """Return a text of the document as it can be written everywhere, None for anything else."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None


def _number(value: object) -> float | None:
    """Return a number of the document, None for anything else and for what no duration or age can be."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e12:
        return None
    return float(value)
