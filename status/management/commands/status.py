"""The entry point ``manage.py status``."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from status.cli.arguments import VERBS, CannotAsk, Options, add_options
from status.cli.command import answer_and_exit, run
from status.cli.output import Terminal


class Command(BaseCommand):
    """``call_command("status", "health", format="json")`` works too; other exit codes than 0 raise CommandError."""

    help = "Ask the checks and statistics of this project."
    # A mistake in the settings shows in the answer; it is no reason not to answer.
    requires_system_checks: Sequence[str] = []  # type: ignore[assignment]

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("words", nargs="*", metavar="NAME")
        add_options(parser, *VERBS, None)

    def run_from_argv(self, argv: list[str]) -> None:
        name = os.path.basename(argv[0])
        program = "python -m django" if name == "__main__.py" else name
        answer_and_exit(argv[2:], f"{program} {argv[1]}", in_django=True)

    def print_help(self, prog_name: str, subcommand: str) -> None:
        self.run_from_argv([prog_name, subcommand, "--help"])

    def handle(self, *args: str, **options: Any) -> None:
        terminal = Terminal(self.stdout, self.stderr, colour=not options["no_color"])  # type: ignore[arg-type]
        try:
            code = run(Options.of(options["words"], options), terminal)
        except CannotAsk as error:
            raise CommandError(str(error), returncode=error.exit_code) from error
        if code:
            raise CommandError("not everything that was asked for is healthy", returncode=code)
