"""The providers of a 2.x project. With them the answers in ``classic_answers.json`` were recorded."""

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
