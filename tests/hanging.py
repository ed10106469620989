"""Tests that hang, for ``test_runner``. The name keeps them out of every other run."""

from __future__ import annotations

import threading

from django.test import SimpleTestCase


def lasts_for_ever() -> None:
    threading.Event().wait()


class HangingTests(SimpleTestCase):
    def test_that_hangs(self) -> None:
        threading.Thread(target=lasts_for_ever, daemon=True).start()
        threading.Event().wait()


class HangingClassTests(SimpleTestCase):
    @classmethod
    def tearDownClass(cls) -> None:
        threading.Event().wait()

    def test_that_is_fine(self) -> None:
        pass


class FineTests(SimpleTestCase):
    def test_that_is_fine(self) -> None:
        pass
