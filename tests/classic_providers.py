"""The providers of a 2.x project, and settings that name them. With them ``classic_answers.json`` was recorded."""

from __future__ import annotations

from typing import Any


def given(*args: Any, **kwargs: Any) -> dict[str, Any]:
    return {"args": list(args), "kwargs": kwargs}


def mixed(*args: Any, **kwargs: Any) -> dict[str, bool]:
    return {"good": True, "bad": False}


def shop(*args: Any, **kwargs: Any) -> dict[str, Any]:
    return {
        "orders": {"today": 17, "rate": 0.5, "open": [1, 2], "none": []},
        "name": "Blümchen",
        "yes": "yes",
        "version": "1.10",
        "empty": {},
        "sum": 1e20,
        "nested": [{"a": 1, "b": [True]}, [2, 3]],
    }


def empty(*args: Any, **kwargs: Any) -> dict[str, Any]:
    return {"queue": 0, "errors": []}


#: ``STATUS_PROVIDERS`` of a 2.x project.
CLASSIC = {
    "health": (
        ("ping", "status.providers.health.ping", None, None),
        ("mixed", "tests.classic_providers.mixed", None, None),
    ),
    "stats": (("shop", "tests.classic_providers.shop", None, None),),
}

GIVEN = "tests.classic_providers.given"
#: Names that 2.x had no address for.
WITHOUT_ADDRESS = ("a+b", "(root) it's, 1 & 2; x=y! *~")
#: The same with names and arguments as odd as 2.x took them.
ENTRIES = {
    "health": [
        ("my check", GIVEN, None, None),
        ("a:b", GIVEN, None, None),
        ("a/b", GIVEN, None, None),
        *((name, GIVEN, None, None) for name in WITHOUT_ADDRESS),
        ("text", GIVEN, "abc", None),
        ("set", GIVEN, {"a"}, None),
        ("range", GIVEN, range(3), None),
        ("twice", GIVEN, (1,), None),
        ("twice", GIVEN, (2,), None),
        ("größe", GIVEN, None, {"a": 1}),
    ],
    "my set": {("ping", "status.providers.health.ping", None, None)},
}
