"""Reports made by hand, for tests of whatever renders one."""

from __future__ import annotations

from typing import Any

from status.report import Report, Result, failure, is_sound

STARTED = 1_700_000_000.0  # 2023-11-14T22:13:20Z


def result(resource: str = "health", name: str = "databases", answer: Any = None, **fields: Any) -> Result:
    """A result as the engine makes it: sound if its answer is, with its public answer the same unless given."""
    if "error" in fields:
        answer = failure(fields["error"])
    elif answer is None and not fields.get("running"):
        answer = {"default": True}
    fields = {
        "public_answer": answer,
        "sound": is_sound(answer),
        "judged": resource != "stats",
        "duration": 0.0032,
        "started_at": STARTED,
        **fields,
    }
    return Result(resource=resource, name=name, answer=answer, **fields)


def report(*results: Result, resource: str | None = None, provider: str | None = None) -> Report:
    """The report of these results, asked for as the addresses do."""
    resources = (resource,) if resource is not None else tuple(dict.fromkeys(result.resource for result in results))
    return Report(results, resources, resource, provider)


#: Something of everything.
MIXED = report(
    result(name="ping", answer={"pong": True}, duration=0.00001),
    result(answer={"default": True, "replica": False}, reasons={"replica": "OperationalError"}, duration=0.0412),
    result(name="caches", answer={"default": True}, duration=0.0009, age=2.5),
    result(name="celery", error="timed out after 2 s", duration=2.0003),
    result("shop", "newsletter", {"queue": False}, critical=False),
    result("shop", "delivery", running=True, sound=False, duration=0.25),
    result("stats", "code", {"debug": False, "scm": "git", "branch": {"local": "main", "remote": "origin/main"}}),
    result("stats", "databases", {"default": {"vendor": "postgresql", "autocommit": True}}),
)
