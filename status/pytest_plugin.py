"""The fixture ``fake_status``. pytest finds this module where it is installed; nothing else imports it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest


@pytest.fixture
def fake_status() -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Answer in the place of checks until the test ends: ``fake_status({"health/databases": False})``."""
    # Late: pytest loads this before Django's settings are known.
    from status.test import fake

    with ExitStack() as stack:

        def begin(answers: Mapping[str, Any]) -> None:
            stack.enter_context(fake(answers))

        yield begin
