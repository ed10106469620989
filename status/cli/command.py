"""The command itself: from what was typed to an exit code."""

from __future__ import annotations

from collections.abc import Sequence
from time import sleep, strftime
from typing import NoReturn

from status.cli.arguments import HUMAN, CannotAsk, Options, help_for, parse
from status.cli.process import end_quietly, keep_log_off_stderr, leave, standard_streams
from status.cli.question import Local, Names, Question, Reply, Source
from status.cli.settings import adopt
from status.cli.terminal import CLEAR_SCREEN, Terminal
from status.engine import engine
from status.formats import FORMATS
from status.formats.components import overall

NAGIOS = "nagios"
#: The question could not be asked.
MISUSE = 2


def main(argv: Sequence[str], prog: str, in_django: bool) -> NoReturn:
    """Answer ``argv`` on standard output, and end the process with the exit code for it."""
    end_quietly()
    if "--traceback" not in argv:
        keep_log_off_stderr()
    terminal = Terminal(*standard_streams(), colour="--no-color" not in argv)
    # Who typed this reads the answer. What changed, and history, are for processes that stay.
    engine.observers.clear()
    code = answer(argv, prog, in_django, terminal)
    leave(code, at_once=engine.busy)


def answer(argv: Sequence[str], prog: str, in_django: bool, terminal: Terminal) -> int:
    """The exit code for ``argv``, after the answer or the one line that says why there is none."""
    try:
        return run(parse(argv, prog, in_django), prog, in_django, terminal)
    except CannotAsk as error:
        if not _wants_nagios(argv):
            terminal.remark(f"{prog}: {error}")
            return MISUSE
        # Late, as all formats: only the one that is asked for is loaded.
        from status.formats import nagios

        terminal.write(nagios.unknown(str(error)))
        return nagios.UNKNOWN


def run(options: Options, prog: str, in_django: bool, terminal: Terminal) -> int:
    """The exit code for ``options``, after the answer. Raises ``CannotAsk``."""
    if options.help:
        terminal.write(help_for(options, prog, in_django, _names_for_help(options, in_django)))
        return 0
    source = _source(options, in_django)
    if options.verb == "snippet":
        # Late, as the others below: ``ping`` is to start fast.
        from status.cli.snippets import snippet

        terminal.write(snippet(options))
        return 0
    if options.list:
        terminal.write(_listing(source, options))
        return 0
    question = Question(
        options.name,
        options.check,
        options.skip,
        options.timeout,
        options.format,
        judge=options.error_on_fail or options.quiet,
    )
    if options.verb == "wait":
        # Late, as above.
        from status.cli.waiting import Wait

        return Wait(source, question, options, terminal).run()
    if options.watch is not None:
        return _watch(source, question, options, terminal)
    reply = _ask(source, question, terminal)
    terminal.write(_written(reply, options, terminal))
    return _exit_code(reply, options)


def _source(options: Options, in_django: bool) -> Source:
    if options.url is not None and options.verb != "snippet":
        # Late: http.client and ssl take longer to import than everything else together.
        from status.cli.target import Remote

        return Remote.of(options)
    if not in_django:
        adopt(options.settings)
    return Local()


def _names_for_help(options: Options, in_django: bool) -> Names:
    """The resources and providers of this process; none where the settings are broken, as help is most needed then."""
    try:
        if not in_django:
            adopt(options.settings)
    except CannotAsk:
        return {}
    return Local().names()


def _ask(source: Source, question: Question, terminal: Terminal) -> Reply:
    with terminal.live(lambda waited: f"waiting for {', '.join(source.pending())} ({waited:.1f} s)"):
        return source.ask(question)


def _written(reply: Reply, options: Options, terminal: Terminal) -> str:
    """What is printed for ``reply``: nothing where ``-q`` wants to hear of trouble only, and there is none."""
    report = reply.report
    if options.quiet and not reply.failing and (report is None or overall(report) == "pass"):
        return ""
    if report is None:
        return reply.text or ""
    if options.format != HUMAN:
        return FORMATS[options.format].render(report, True)
    # Late: who asks for a document needs no layout.
    from status.cli.human import render

    return render(report, terminal.colour, only_trouble=options.quiet)


def _exit_code(reply: Reply, options: Options) -> int:
    if options.format == NAGIOS and reply.report is not None:
        # Late, as above.
        from status.formats import nagios

        return nagios.exit_code(reply.report)
    return 1 if options.error_on_fail and reply.failing else 0


def _watch(source: Source, question: Question, options: Options, terminal: Terminal) -> int:
    """Ask every ``--watch`` seconds, until interrupted or until nobody reads any more."""
    code = 0
    while not terminal.gone:
        try:
            reply = _ask(source, question, terminal)
            text, code = _written(reply, options, terminal), _exit_code(reply, options)
        except CannotAsk as error:
            if not error.transient:
                raise
            text, code = f"{error}\n", MISUSE
        if options.format == HUMAN and text:
            text = f"{strftime('%Y-%m-%d %H:%M:%S')}\n{text}"
        terminal.write(CLEAR_SCREEN + text if terminal.interactive else text)
        if not terminal.gone:
            sleep(options.watch or 0.0)
    return code


def _listing(source: Source, options: Options) -> str:
    if options.format not in (HUMAN, "json"):
        raise CannotAsk(f"--list prints {HUMAN} or json")
    listing = source.addresses(options.name)
    if options.format == "json":
        # Late: loading a JSON parser takes longer than parsing the command line.
        import json

        return json.dumps(listing)
    lines = []
    width = max((len(name) for providers in listing.values() for name in providers), default=0)
    for resource, providers in listing.items():
        lines.append(resource)
        lines.extend(f"  {name:<{width}}  {address or ''}".rstrip() for name, address in providers.items())
    return "".join(f"{line}\n" for line in lines)


def _wants_nagios(argv: Sequence[str]) -> bool:
    """Whether a plugin's output is expected, also from arguments that cannot be understood."""
    words = " ".join(argv).replace("--format=", "-f ").replace("--format ", "-f ")
    return f"-f {NAGIOS}" in words or f"-f{NAGIOS}" in words
