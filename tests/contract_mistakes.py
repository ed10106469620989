"""Mistakes in the settings that people make, and what each of them may cost: its own entry, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PING = ("ping", "status.providers.health.ping")
HERE = "tests.contract_providers."


@dataclass(frozen=True)
class Mistake:
    """One mistake.

    settings: with the mistake in them.
    setting: where ``manage.py check`` says it is; None where only a run can tell.
    cost: how many entries of ``health`` fail for it.
    warns: what fails is not critical.
    """

    what: str
    settings: dict[str, Any]
    setting: str | None
    cost: int = 1
    warns: bool = False

    @property
    def status(self) -> int:
        return 503 if self.cost and not self.warns else 200

    def shows(self, reply: Any) -> bool:
        """Ping answers, and as many entries as it costs fail, with a reason."""
        document = reply.json
        failing = [value for value in document.values() if isinstance(value, dict) and value.get("ok") is False]
        right = len(failing) == self.cost and all(value["error"] for value in failing)
        return right and document["ping"] == {"pong": True}


def among(*entries: Any, what: str, at: str | None, cost: int = 1) -> Mistake:
    """A mistake in one entry of a resource that has ping as well."""
    settings = {"STATUS_PROVIDERS": {"health": [PING, *entries]}, "STATUS_CHECK_PROVIDERS": {}}
    return Mistake(what, settings, f'STATUS_PROVIDERS["health"]{at}' if at and at.startswith("[") else at, cost)


def setting(name: str, value: Any) -> Mistake:
    """A setting of the wrong kind, which is answered as its default."""
    return Mistake(f"{name} = {value!r}", {name: value}, name, cost=0)


class Unusable:
    """Breaks whoever looks at it."""

    def __repr__(self) -> str:
        raise RuntimeError("cannot be shown")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("cannot be compared")

    __hash__ = object.__hash__


def options(**given: Any) -> tuple[Any, ...]:
    return ("bad", PING[1], None, None, given)


ENTRIES = [
    among("bad", what="a missing comma: ('bad') for ('bad',)", at="[1]"),
    among(("bad",), what="a name without a provider", at="[1]"),
    among((), what="an empty entry", at="[1]"),
    among((*options(), None), what="six elements", at="[1]"),
    among(None, what="None for an entry", at="[1]"),
    among(5, what="a number for an entry", at="[1]"),
    among({"bad": PING[1]}, what="a dict for an entry", at="[1]"),
    among((5, PING[1]), what="a number for a name", at="[1]"),
    among((None, PING[1]), what="None for a name", at="[1]"),
    among(("", PING[1]), what="an empty name", at="[1]"),
    among(("a//b", PING[1]), what="a name with two slashes", at="[1]"),
    among(("a/../b", PING[1]), what="a name with dots that lead up", at="[1]"),
    among(("a ", PING[1]), what="a name with a space at its end", at="[1]"),
    among(("-e", PING[1]), what="a name like an option", at="[1]"),
    among(("50%", PING[1]), what="a name with a percent sign", at="[1]"),
    among(("a?b=c", PING[1]), what="a name with a query", at="[1]"),
    among(('"><script>', PING[1]), what="a name with markup", at="[1]"),
    among(("line\nbreak", PING[1]), what="a name with a line break", at="[1]"),
    among(("x" * 5000, PING[1]), what="an endless name", at="[1]"),
    among(PING, what="the same name twice", at="[1]", cost=0),
    among(("bad", None), what="None for a provider", at="[1]"),
    among(("bad", ""), what="an empty path", at="[1]"),
    among(("bad", 5), what="a number for a provider", at="[1]"),
    among(("bad", Unusable()), what="an object that breaks whoever looks", at="[1]"),
    among(("bad", "ping"), what="a path without a module", at="[1]"),
    among(("bad", "no.such.module"), what="an unknown module", at="health/bad"),
    among(("bad", "status.providers.health.pong"), what="an unknown attribute", at="health/bad"),
    among(("bad", f"{HERE}NOT_A_PROVIDER"), what="the path of what is not callable", at="health/bad"),
    among(("bad", "tests.contract_broken.provider"), what="a module that raises when it is imported", at="health/bad"),
    among(("bad", "status.providers..health.ping"), what="a path with an empty part", at="[1]"),
    among(("bad", f"{HERE}wants_two", [1]), what="an argument too few", at=None),
    among(("bad", f"{HERE}wants_none", ["surplus"]), what="an argument too many", at=None),
    among(("bad", f"{HERE}wants_none", None, {"unknown": 1}), what="an unknown keyword", at=None),
    among(("odd", PING[1], "text"), what="text for args", at="[1][2]", cost=0),
    among(("odd", PING[1], {"a": 1}), what="a dict for args", at="[1][2]", cost=0),
    among(("odd", PING[1], {"a"}), what="a set for args", at="[1][2]", cost=0),
    among(("bad", PING[1], 5), what="a number for args", at="[1]"),
    among(("bad", PING[1], None, ["a"]), what="a list for kwargs", at="[1]"),
    among(("bad", PING[1], None, {5: 1}), what="a number for a keyword", at="[1]"),
    among(("bad", PING[1], None, None, ["timeout"]), what="a list for options", at="[1]"),
    among(options(timout=1), what="an unknown option", at="[1]"),
    *(
        among(options(timeout=value), what=f"timeout {value!r}", at="[1]")
        for value in (0, -1, "2", None, True, float("nan"), float("inf"))
    ),
    *(among(options(max_age=value), what=f"max_age {value!r}", at="[1]") for value in (-1, "2", None, float("nan"))),
    *(among(options(critical=value), what=f"critical {value!r}", at="[1]") for value in (0, "no", None)),
]

SETS = [
    *(
        Mistake(f"{value!r} for {name}", {"STATUS_CHECK_PROVIDERS": {}, name: value}, name, warns="CHECK" in name)
        for name in ("STATUS_PROVIDERS", "STATUS_CHECK_PROVIDERS")
        for value in (None, 5, "health", [PING], (PING,), {"health"})
    ),
    *(
        Mistake(
            f"{value!r} for the entries of a resource",
            {"STATUS_CHECK_PROVIDERS": {"health": value}},
            'STATUS_CHECK_PROVIDERS["health"]',
        )
        for value in (None, 5, "text", {"bad": PING[1]})
    ),
    Mistake(
        "the missing comma of a tuple with one entry",
        {"STATUS_CHECK_PROVIDERS": {"health": (("bad", PING[1]))}},
        'STATUS_CHECK_PROVIDERS["health"][0]',
        cost=2,
    ),
    *(
        Mistake(
            f"{name!r} for a resource", {"STATUS_CHECK_PROVIDERS": {name: [PING]}}, "STATUS_CHECK_PROVIDERS", cost=0
        )
        for name in (None, 5, "", "a/b", " b", "<b>", "?")
    ),
]

VALUES = [
    *(setting("STATUS_TIMEOUT", value) for value in (0, -1, "2", None, True, float("nan"), float("inf"))),
    *(setting("STATUS_MAX_AGE", value) for value in (-1, "2", None, float("nan"))),
    *(setting("STATUS_ERROR_CODE", value) for value in (0, 199, 600, "503", None, 503.0)),
    *(setting("STATUS_INFORMATIONAL", value) for value in ("stats", None, 5, [5])),
    *(setting("STATUS_CELERY_WORKERS", value) for value in ("celery@a", None, 5, [5])),
    *(setting("STATUS_CELERY_APP", value) for value in (5, ["a"])),
    *(setting("STATUS_TOKENS", value) for value in ("text", 5, [5])),
    *(setting("STATUS_NETWORKS", value) for value in ("127.0.0.1", 5, [5])),
    *(setting("STATUS_PERMISSION", value) for value in (5, "nodots")),
    *(setting("STATUS_SHOW_DETAILS", value) for value in (True, "sometimes", None)),
    *(setting("STATUS_SYNCHRONOUS", value) for value in (1, "yes", None)),
    *(setting("STATUS_HISTORY_CACHE", value) for value in (5, "")),
    *(setting("PROJECT_PATH", value) for value in (5, ["x"], b"/srv")),
]

MISTAKES: list[Mistake] = [*ENTRIES, *SETS, *VALUES]
