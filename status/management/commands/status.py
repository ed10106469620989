"""The entry point ``manage.py status``."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from status.cli.arguments import CannotAsk, Options, add_arguments
from status.cli.command import MISUSE, answer_and_exit, run
from status.cli.output import Terminal


class Command(BaseCommand):
    """``call_command("status", "health", format="json")`` works too; other exit codes than 0 raise CommandError."""

    help = "Ask the checks and statistics of this project."
    # A mistake in the settings shows in the answer; it is no reason not to answer.
    requires_system_checks: Sequence[str] = []  # type: ignore[assignment]

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_arguments(parser)

    def run_from_argv(self, argv: list[str]) -> None:
        answer_and_exit(argv[2:], _shown_program(argv[0], argv[1]), in_django=True)

    def print_help(self, prog_name: str, subcommand: str) -> None:
        answer_and_exit(["--help"], _shown_program(prog_name, subcommand), in_django=True)

    def handle(self, *args: str, **options: Any) -> None:
        terminal = Terminal(self.stdout, self.stderr, colour=not options["no_color"])  # type: ignore[arg-type]
        try:
            code = run(Options.of(options), terminal)
        except CannotAsk as error:
            raise CommandError(str(error), returncode=MISUSE) from error
        if code:
            raise CommandError("not everything that was asked for is healthy", returncode=code)


def _shown_program(path: str, subcommand: str) -> str:
    name = os.path.basename(path)
    return f"{'python -m django' if name == '__main__.py' else name} {subcommand}"
