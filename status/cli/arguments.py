"""What may be typed: the options, the sub-commands and their help."""

from __future__ import annotations

import argparse
import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, NoReturn

from status import __version__
from status.exceptions import StatusError
from status.formats import FORMATS

#: The format for people, which is not a document; it is the default.
HUMAN = "human"
VERBS = {
    "wait": "wait until a resource or provider is healthy, for start scripts",
    "snippet": "print configuration for other tools, with the addresses of this project",
}
SNIPPETS = ("k8s", "docker", "compose", "nginx", "haproxy", "prometheus", "nagios", "systemd", "cron")
#: What a sub-command understands, by the fields of ``Options``; everything else understands all but the first two.
WAITS = {"wait_for", "stable"}
UNDERSTOOD = {
    "wait": {
        *WAITS,
        "words",
        "settings",
        "quiet",
        "check",
        "skip",
        "timeout",
        "url",
        "token",
        "token_file",
        "header",
        "insecure",
    },
    "snippet": {"words", "settings", "url"},
}

EXIT_CODES = """\
exit codes: 0 asked and answered (with -e: nothing fails), 1 something judged fails (-e, wait),
2 the question could not be asked. With -f nagios: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN."""


class CannotAsk(StatusError):
    """The question could not be asked. The text is one clear line; the exit code is 2.

    transient: asking again later may help, so ``wait`` goes on.
    """

    def __init__(self, message: str, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


class Options(NamedTuple):
    """What was typed. The fields are named as the long options are, and ``call_command`` takes the same names."""

    words: Sequence[str] = ()
    settings: str | None = None
    format: str = HUMAN
    error_on_fail: bool = False
    quiet: bool = False
    check: Sequence[str] = ()
    skip: Sequence[str] = ()
    timeout: float | None = None
    list: bool = False
    watch: float | None = None
    url: str | None = None
    token: str | None = None
    token_file: str | None = None
    header: Sequence[str] = ()
    insecure: bool = False
    wait_for: float | None = None
    stable: float | None = None
    help: bool = False

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Options:
        """The options among ``given``, where None stands for not typed. Raises ``CannotAsk`` for senseless ones."""
        typed = {name: value for name, value in given.items() if name in cls._fields and value is not None}
        options = cls(**typed)
        understood = UNDERSTOOD[options.verb] if options.verb else {*cls._fields} - WAITS
        for name in typed:
            if name not in understood and not options.help:
                option = "--for" if name == "wait_for" else f"--{name.replace('_', '-')}"
                where = "goes with wait only" if name in WAITS else f"does not go with {options.verb}"
                raise CannotAsk(f"{option} {where}")
        operands = options.words if options.verb is None else options.words[1:]
        if len(operands) > 1:
            raise CannotAsk(f"one name at a time, not {len(operands)}; --check chooses several providers")
        return options

    @property
    def verb(self) -> str | None:
        """``wait`` or ``snippet``, else None."""
        return self.words[0] if self.words and self.words[0] in VERBS else None

    @property
    def name(self) -> str | None:
        """The resource or provider asked for, or the kind of a snippet."""
        operands = self.words if self.verb is None else self.words[1:]
        return operands[0] if operands else None


class Parser(argparse.ArgumentParser):
    """Tells errors in one line."""

    def error(self, message: str) -> NoReturn:
        raise CannotAsk(message)


def parse(argv: Sequence[str], prog: str, in_django: bool) -> Options:
    """What was typed after the program's name. Raises ``CannotAsk``; ``--version`` prints and exits.

    in_django: the entrance is ``manage.py``, which has taken its own options already; they are let through.
    """
    # With a width, as argparse formats every option while it is added, and would look for the terminal's.
    formatter = partial(argparse.HelpFormatter, width=80)
    parser = Parser(prog=prog, add_help=False, allow_abbrev=False, formatter_class=formatter)
    _add_options(parser)
    _add_entrance(parser, in_django)
    if in_django:
        for option in ("--settings", "--pythonpath", "-v", "--verbosity"):
            parser.add_argument(option, dest="_django")
        for flag in ("--force-color", "--skip-checks"):
            parser.add_argument(flag, dest="_django", action="store_true")
    given, words = parser.parse_known_args(list(argv))
    unknown = [word for word in words if word.startswith("-") and word != "--"]
    if unknown:
        parser.error(f"there is no option {unknown[0]}")
    return Options.of({**vars(given), "words": [word for word in words if word != "--"]})


def help_for(options: Options, prog: str, in_django: bool, resources: Mapping[str, Iterable[str]]) -> str:
    """The help of the whole command, or of the sub-command that was named."""
    name = options.name
    if options.verb == "snippet":
        parser = _help_parser(f"{prog} snippet", f"Print configuration for: {', '.join(SNIPPETS)}.")
        parser.add_argument("kind", metavar="KIND", help=", ".join(SNIPPETS))
        parser.add_argument("--url", help="where the app is mounted, as the other tool reaches it")
    elif options.verb == "wait":
        parser = _help_parser(f"{prog} wait", f"{VERBS['wait'].capitalize()}.")
        parser.add_argument("name", nargs="?", metavar="NAME", help=_choices(resources))
        _add_wait_options(parser)
        _add_question_options(parser)
    else:
        if name is None:
            parser = _help_parser(prog, "Ask the checks and statistics of this project.", _epilog(resources))
            parser.add_argument("words", nargs="*", metavar="NAME", help=_choices(resources))
        else:
            providers = ", ".join(resources.get(name.rstrip("/"), ()))
            about = f"Ask {name}, that is {providers}." if providers else f"Ask {name}."
            parser = _help_parser(f"{prog} {name}", about)
        _add_answer_options(parser)
        _add_question_options(parser)
    _add_entrance(parser, in_django)
    return parser.format_help()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What may be given to ``call_command``."""
    parser.add_argument("words", nargs="*", metavar="NAME")
    _add_options(parser)


def _add_options(parser: argparse.ArgumentParser) -> None:
    _add_answer_options(parser)
    _add_question_options(parser)
    _add_wait_options(parser)


def _add_entrance(parser: argparse.ArgumentParser, in_django: bool) -> None:
    parser.add_argument("-h", "--help", action="store_true", default=None, help="show this help and exit")
    parser.add_argument("--version", action="version", version=__version__, help="show the version and exit")
    parser.add_argument("--no-color", action="store_true", help="no colours, as with $NO_COLOR")
    parser.add_argument("--traceback", action="store_true", help="show what a check raised, on standard error")
    if not in_django:
        parser.add_argument(
            "-s",
            "--settings",
            metavar="MODULE",
            help="module or class with the settings; else $DJANGO_STATUS_SETTINGS, else $DJANGO_SETTINGS_MODULE",
        )


def _add_answer_options(parser: argparse.ArgumentParser) -> None:
    answer = parser.add_argument_group("answer")
    formats = (HUMAN, *FORMATS)
    answer.add_argument("-f", "--format", choices=formats, metavar="FORMAT", help=", ".join(formats))
    answer.add_argument(
        "-e", "--error-on-fail", action="store_true", default=None, help="exit 1 if something judged fails"
    )
    answer.add_argument("--watch", type=seconds, metavar="SECONDS", help="ask again and again until interrupted")
    answer.add_argument(
        "--list", action="store_true", default=None, help="show providers and their addresses; runs none of them"
    )


def _add_question_options(parser: argparse.ArgumentParser) -> None:
    question = parser.add_argument_group("question")
    question.add_argument(
        "-q", "--quiet", action="store_true", default=None, help="print nothing unless there is trouble"
    )
    question.add_argument("--check", action="append", metavar="NAME", help="run only this provider; repeatable")
    question.add_argument("--skip", action="append", metavar="NAME", help="do not run this provider; repeatable")
    question.add_argument(
        "-t",
        "--timeout",
        type=seconds,
        metavar="SECONDS",
        help="deadline of each provider instead of its own; with --url, of the whole exchange (10)",
    )
    remote = parser.add_argument_group("a running instance instead of this process")
    remote.add_argument("--url", help="where the app is mounted, for example http://localhost:8000/status/")
    remote.add_argument("--token-file", metavar="FILE", help="file with the bearer token; else $STATUS_TOKEN")
    remote.add_argument("--token", help="the bearer token itself; other users of the machine may see it")
    remote.add_argument("--header", action="append", metavar="'NAME: VALUE'", help="further header; repeatable")
    remote.add_argument("--insecure", action="store_true", default=None, help="do not verify the certificate")


def seconds(text: str) -> float:
    """A positive number of seconds, as typed."""
    value = seconds_or_zero(text)
    if not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")
    return value


def seconds_or_zero(text: str) -> float:
    """A number of seconds, 0 or more, as typed."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= threading.TIMEOUT_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value


def _add_wait_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("wait")
    group.add_argument("--for", type=seconds, dest="wait_for", metavar="SECONDS", help="give up after this time (60)")
    group.add_argument(
        "--stable", type=seconds_or_zero, metavar="SECONDS", help="healthy for that long without interruption (0)"
    )


def _help_parser(prog: str, description: str, epilog: str = EXIT_CODES) -> argparse.ArgumentParser:
    return Parser(
        prog=prog,
        description=description,
        epilog=epilog,
        add_help=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _choices(resources: Mapping[str, Iterable[str]]) -> str:
    names = ", ".join(spelled(name) for name in resources)
    return f"a resource ({names or 'none is configured'}), a provider, or resource/provider; without it everything"


def _epilog(resources: Mapping[str, Iterable[str]]) -> str:
    asked = [f"  {spelled(name):<20} {', '.join(providers)}" for name, providers in resources.items()]
    verbs = [f"  {verb:<20} {about}" for verb, about in VERBS.items()]
    return "\n".join(["resources:", *asked, "", "other sub-commands:", *verbs, "", EXIT_CODES])


def spelled(resource: str) -> str:
    """How a resource is typed: one that is called like a sub-command takes a slash, as in its address."""
    return f"{resource}/" if resource in VERBS else resource
