"""The settings as 2.1 and 2.2 had them: ``PROVIDERS`` here, or ``providers`` of ``settings``."""

from __future__ import annotations

from typing import Any

from status.classic import setting


def __getattr__(name: str) -> Any:
    return setting(name)
