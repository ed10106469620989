"""``manage.py switch shop.payments hang``"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from example_project.shop.switches import MODES, NAMES, read, switch


class Command(BaseCommand):
    help = "Make a provider of the example project misbehave, in every process, until it is switched back to ok."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "name", nargs="?", choices=[*NAMES, "all"], metavar="name", help=", ".join(NAMES) + " or all"
        )
        modes = "; ".join(f"{mode}: {text}" for mode, text in MODES.items())
        parser.add_argument("mode", nargs="?", choices=MODES, default="ok", metavar="mode", help=modes)

    def handle(self, *args: Any, name: str | None, mode: str, **options: Any) -> None:
        for each in NAMES if name == "all" else filter(None, [name]):
            switch(each, mode)
        for each in NAMES:
            self.stdout.write(f"{each} {read(each)}")
