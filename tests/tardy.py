"""A module that nothing imports before a check does."""

from __future__ import annotations

import threading

from status.providers import Provider

release = threading.Event()


class Tardy(Provider):
    timeout = 7

    def check(self) -> bool:
        return True


class Patient(Provider):
    timeout = 7

    def check(self) -> bool:
        release.wait(0.3)
        return True


class Hurried(Provider):
    timeout = 0.1

    def check(self) -> bool:
        return release.wait(7)
