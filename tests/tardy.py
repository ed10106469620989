"""A module that nothing imports before a check does."""

from __future__ import annotations

from status.providers import Provider


class Tardy(Provider):
    timeout = 7

    def check(self) -> bool:
        return True
