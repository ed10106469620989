"""``manage.py closing``, once a day: closes the books, and is missed when it does not."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from status import heartbeat


class Command(BaseCommand):
    help = "Close the books of the day."

    def handle(self, *args: Any, **options: Any) -> None:
        with heartbeat("closing"):
            self.stdout.write("The books are closed.")
