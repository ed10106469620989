"""The entry point ``manage.py status``."""

from __future__ import annotations

import os
from argparse import SUPPRESS, ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from status.cli.arguments import HUMAN, VERBS, CannotAsk, Options, add_options
from status.cli.command import answer_and_exit, run
from status.cli.output import Terminal
from status.formats import FORMATS


class Command(BaseCommand):
    """``call_command("status", "health", format="json")`` works too.

    Raises SystemExit with the exit code where something fails, and CommandError where the question cannot be asked.
    """

    help = "Ask the checks and statistics of this project."
    # A mistake in the settings shows in the answer; it is no reason not to answer.
    requires_system_checks: Sequence[str] = []  # type: ignore[assignment]

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("words", nargs="*", metavar="NAME")
        add_options(parser, *VERBS, None)
        # As 2.x spelled them. What is typed in a shell does not come here.
        parser.add_argument("--error_on_fail", action="store_true", default=None, help=SUPPRESS)
        parser.add_argument("--output_format", dest="format", choices=(HUMAN, *FORMATS), help=SUPPRESS)

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
            raise SystemExit(code)
