"""From what was typed to an exit code: the one command behind ``manage.py status`` and ``django_status``."""

from __future__ import annotations

import atexit
import json
import logging
import os
import re
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from io import StringIO, TextIOWrapper
from pathlib import Path
from signal import SIGINT, SIGTERM, signal
from time import monotonic, sleep, strftime
from typing import NoReturn, TextIO

from status.cli.arguments import HUMAN, CannotAsk, Options, help_text, parse_arguments
from status.cli.output import CLEAR_LINE, CLEAR_SCREEN, Terminal, fleet_text, human_text
from status.cli.settings import apply_settings
from status.cli.snippets import listed_snippets, snippet
from status.cli.target import Instance, Local, Target
from status.conf import conf
from status.engine import engine
from status.formats import FORMATS, nagios
from status.logs import logger
from status.providers.health import NoDrainFile, is_draining
from status.registry import registry
from status.report import Report, State, one_line, overall, summary

NAGIOS = "nagios"
#: Seconds that a process which has answered waits for threads that a check has left behind.
THREAD_SECONDS = 1.0


def answer_and_exit(argv: Sequence[str], prog: str, in_django: bool) -> NoReturn:
    """Answer ``argv`` on standard output and end the process with the exit code."""

    def end_at_once(number: int, frame: object) -> None:
        if os.isatty(2):
            os.write(2, CLEAR_LINE.encode())
        os._exit(128 + number)  # as shells count: 130 on Ctrl-C, 143 on SIGTERM

    for number in (SIGINT, SIGTERM):
        # Also as the first process of a container, where SIGTERM without a handler does nothing.
        signal(number, end_at_once)
    leave(answer_command(argv, prog, in_django, Terminal(*standard_streams())))


def answer_command(argv: Sequence[str], prog: str, in_django: bool, terminal: Terminal) -> int:
    """Return the exit code for ``argv``, after the answer or the one line that says why there is none.

    For a process of its own: ``call_command()``, which a server may use, does not come here.
    """
    options = None
    try:
        options = parse_arguments(argv, prog, in_django)
        terminal.colour &= not options.no_color
        # What settings and checks print is no part of the answer.
        with terminal.set_apart(options.quiet) as printed:
            return answer_options(options, prog, in_django, terminal, printed)
    except CannotAsk as error:
        if is_for_nagios(options, argv):
            code = nagios.CRITICAL if error.down else nagios.UNKNOWN
            terminal.tell(nagios.no_answer(code, str(error)))
            return code
        terminal.remark(f"{prog}: {error}")
        terminal.write_printed()
        return error.exit_code


def answer_options(options: Options, prog: str, in_django: bool, terminal: Terminal, printed: TextIO) -> int:
    """Return the exit code for ``options``, after the answer. Raises CannotAsk.

    printed: where tracebacks go that are asked for.
    """
    if options.help:
        resources: Mapping[str, Iterable[str]] = {}
        with suppress(CannotAsk):  # help is most needed where the settings are broken
            if not in_django:
                apply_settings(options.settings)
            resources = {**registry, **registry.presets()}
        terminal.write(help_text(options, prog, in_django, resources))
        return 0
    if not in_django and (options.url is None or options.verb == "snippet"):
        apply_settings(options.settings)
        if names := conf.in_lower_case():
            terminal.remark(f"{prog}: the settings should be in upper case: {', '.join(map(str.upper, names))}")
    # Who typed this reads the answer: nobody else is told, and his time is that of the checks.
    engine.observers.clear()
    engine.is_shared = False
    traceback = tracebacks_to(printed) if options.traceback else nullcontext()
    # What a check logs is no part of the answer either.
    with no_logging_to_console(), traceback:
        return run(options, terminal)


def is_for_nagios(options: Options | None, argv: Sequence[str]) -> bool:
    """Return whether Nagios asks. Where the arguments cannot be understood, so that there are no options, by a look."""
    if options is not None:
        return options.format == NAGIOS
    return re.search(rf"(^| )(-[A-Za-z]*f ?|--(f|o)[\w-]*[ =]){NAGIOS}\b", " ".join(argv)) is not None


def run(options: Options, terminal: Terminal) -> int:
    """Return the exit code for ``options``, after the answer. The settings are in force. Raises CannotAsk."""
    if options.verb == "snippet":
        terminal.write(
            listed_snippets() if options.list else snippet(options.name, options.url, options.socket, options.interval)
        )
        return 0
    if options.verb == "drain":
        text = drain(options.name)
        terminal.tell("" if options.quiet else text)
        return 0
    target = Local() if options.url is None else Instance(options, terminal.remark)
    if options.verb == "beat":
        if options.name is None:
            raise CannotAsk("beat takes a name of STATUS_HEARTBEATS")
        target.beat(options.name, options)
        terminal.tell("" if options.quiet else f"{options.name}: heard")
        return 0
    if options.verb == "fleet":
        terminal.write(_fleet(target, options))
        return 0
    if options.list:
        terminal.write(_listed(target, options))
        return 0
    if options.verb == "wait":
        return Wait(target, options, terminal).run()
    if options.watch is None:
        text, code = _ask_target(target, options, terminal)
        terminal.write(text)
        return code
    return _watch(target, options, terminal, options.watch)


def drain(state: str | None) -> str:
    """Make or remove the file that ``STATUS_DRAIN_FILE`` names, and return what that means. Raises CannotAsk."""
    if state not in ("on", "off"):
        raise CannotAsk("drain takes on or off")
    path = conf.drain_file
    if path is None:
        mistakes = (f"{one} {one.hint}" for one in conf.problems() if one.setting == "STATUS_DRAIN_FILE")
        raise CannotAsk(next(mistakes, "STATUS_DRAIN_FILE is not set: name a file that this host can make"))
    try:
        if state == "off" and is_draining():
            Path(path).unlink(missing_ok=True)
        elif state == "on" and not is_draining():
            with suppress(FileExistsError):  # somebody else makes it, or a link stands there
                open(path, "x").close()
            if not is_draining():
                raise CannotAsk(f"STATUS_DRAIN_FILE {path} is a link that leads nowhere: remove it")
    except NoDrainFile as error:
        raise CannotAsk(f"STATUS_DRAIN_FILE {path} {error}, so that nothing drains: name a file") from error
    except OSError as error:
        what = "made" if state == "on" else "removed"
        raise CannotAsk(f"STATUS_DRAIN_FILE {path} cannot be {what}: {error.strerror}") from error
    return "draining: ready answers 503 on this host" if state == "on" else "not draining"


def _ask_target(target: Target, options: Options, terminal: Terminal) -> tuple[str, int]:
    """Return what is to be printed, and the exit code. Raises CannotAsk."""
    known = FORMATS.get(options.format)
    with terminal.live_line(lambda waited: f"waiting for {', '.join(target.pending)} ({waited:.1f} s)"):
        if isinstance(target, Instance) and known is not None and known.http:
            text, state = target.document(options, known)
            return "" if is_silent(state, options) else text, int(options.error_on_fail and state == "fail")
        report = target.report(options)
    code = nagios.exit_code(report) if options.format == NAGIOS else int(options.error_on_fail and report.failing)
    if not code and is_silent(overall(report), options):
        return "", code
    if known is None:
        return human_text(report, terminal.colour, only_trouble=options.quiet), code
    return known.render(report, True), code


def is_silent(state: State, options: Options) -> bool:
    """Return whether nothing is printed of a report in that state: cron mails whatever is."""
    return options.quiet and (state == "pass" or (state == "warn" and not options.verbose))


def _watch(target: Target, options: Options, terminal: Terminal, pause: float) -> int:
    """Ask every ``pause`` seconds until interrupted or until nobody reads any more. Return the last exit code."""
    code = 0
    while not terminal.gone:
        try:
            text, code = _ask_target(target, options, terminal)
        except CannotAsk as error:
            if not error.transient:
                raise
            text, code = f"{error}\n", error.exit_code
        if options.format == HUMAN and text:
            text = f"{strftime('%Y-%m-%d %H:%M:%S')}\n{text}"
        terminal.write(CLEAR_SCREEN + text if terminal.interactive else text)
        if not terminal.gone:
            sleep(pause)
    return code


class Wait:
    """The sub-command ``wait NAME --for SECONDS --stable SECONDS``, for start scripts.

    default_limit: seconds until it gives up, unless ``--for`` says otherwise.
    interval: seconds from one question to the next, at most; shortest: at least.
    trouble, last: why it cannot be called healthy yet, in half a sentence, and the report that says so.
    """

    default_limit = 60.0
    interval = 1.0
    shortest = 0.01
    trouble = "no answer yet"
    last: Report | None = None

    def __init__(self, target: Target, options: Options, terminal: Terminal) -> None:
        self.target, self.options, self.terminal = target, options, terminal
        self.name = options.name or "everything"

    def run(self) -> int:
        """Return 0 once nothing has failed for ``--stable`` seconds on end, 1 when ``--for`` seconds are over before.

        Raises CannotAsk where it never becomes healthy, whatever happens meanwhile.
        """
        limit, stable, terminal = self.options.wait_for or self.default_limit, self.options.stable or 0.0, self.terminal
        if stable >= limit:
            raise CannotAsk(f"--stable {stable:g} never happens within --for {limit:g}")
        started = monotonic()
        with terminal.live_line(lambda waited: f"waiting for {self.name}, {waited:.0f} s: {self.trouble}"):
            healthy = self._until(started + limit, stable)
        if healthy:
            if not self.options.quiet:
                terminal.tell(f"{self.name}: healthy after {monotonic() - started:.1f} s")
            return 0
        terminal.remark(f"{self.name}: not healthy within {limit:g} s: {self.trouble}")
        if self.last is not None and self.last.failing:
            terminal.tell(human_text(self.last, terminal.colour, only_trouble=True))
        return 1

    def _until(self, deadline: float, stable: float) -> bool:
        """Return whether it became healthy, and stayed so, in time."""
        since: float | None = None
        asked = False
        while (left := deadline - monotonic()) > 0:
            trouble, report = self._ask(left)
            now = monotonic()
            if trouble is None:
                since = now if since is None else since
                if now - since >= stable:
                    return True
                trouble = f"healthy, but not yet for {stable:g} s"
            else:
                since = None
                if now >= deadline and asked:
                    return False  # what the deadline cut short says less than the answer before
            if trouble != self.trouble and not self.options.quiet and not self.terminal.watched:
                self.terminal.remark(f"waiting for {self.name}: {trouble}")
            self.trouble, self.last, asked = trouble, report, True
            # Shorter and shorter towards the end, so that no time is left over in which nobody asks.
            pause = max(self.shortest, min(self.interval, (deadline - now) / 2))
            sleep(pause if since is None else max(0.0, min(pause, since + stable - now)))
        return False

    def _ask(self, patience: float) -> tuple[str | None, Report | None]:
        """Return why it is not healthy now, None where it is, and the report where one came."""
        try:
            report = self.target.report(self.options, patience)
        except CannotAsk as error:
            if not error.transient:
                raise
            return str(error), None
        if not any(result.judged for result in report.results):
            raise CannotAsk(f"nothing of {self.name} is judged, so that it never becomes healthy")
        healthy = not report.failing and not any(result.running for result in report.results)
        return None if healthy else summary(report), report


def _fleet(target: Target, options: Options) -> str:
    """Return what is to be printed of the fleet. Raises CannotAsk."""
    if options.name is not None:
        raise CannotAsk("fleet takes no name")
    if options.format not in (HUMAN, "json"):
        raise CannotAsk(f"fleet prints {HUMAN} or json; its metrics are at /status/api/fleet?format=prometheus")
    document = target.fleet()
    if options.quiet and not document.get("warnings") and "error" not in document:
        return ""
    return json.dumps(document) if options.format == "json" else fleet_text(document)


def _listed(target: Target, options: Options) -> str:
    """Return what can be asked for, with the addresses."""
    if options.format not in (HUMAN, "json"):
        raise CannotAsk(f"--list prints {HUMAN} or json")
    listing = target.listing(options.name)
    if options.format == "json":
        return json.dumps(listing)
    lines = []
    width = max((len(one_line(name)) for providers in listing.values() for name in providers), default=0)
    for resource, providers in listing.items():
        lines.append(one_line(resource))
        lines.extend(f"  {one_line(name):<{width}}  {address or ''}".rstrip() for name, address in providers.items())
    return "".join(f"{line}\n" for line in lines)


@contextmanager
def no_logging_to_console() -> Iterator[None]:
    """Keep what is logged in the block off standard output and error, where the answer goes; other logs get it all.

    The answer says what fails, in words that are safe to mail.
    """

    def refuse(record: logging.LogRecord) -> bool:
        return False

    loggers = [logging.root, *logging.root.manager.loggerDict.values()]
    handlers = [logging.lastResort, *(handler for logger in loggers for handler in getattr(logger, "handlers", ()))]
    with ExitStack() as stack:
        for handler in handlers:
            with suppress(AttributeError, OSError, ValueError):  # it has no stream, or one that is closed or no file
                file = os.fstat(handler.stream.fileno())
                # Also where the file has another name.
                if any(os.path.samestat(file, os.fstat(number)) for number in (1, 2)):
                    handler.addFilter(refuse)
                    stack.callback(handler.removeFilter, refuse)
        yield


@contextmanager
def tracebacks_to(stream: TextIO) -> Iterator[None]:
    """Write there what the ``status`` logger gets in the block, tracebacks included."""
    handler, level = logging.StreamHandler(stream), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


def standard_streams() -> tuple[TextIO, TextIO]:
    """Return standard output and error, which are there and take every character whatever the locale."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    return sys.stdout or StringIO(), sys.stderr or StringIO()  # None where the caller has closed them


def leave(code: int) -> NoReturn:
    """End the process, at once where a check still runs: the interpreter might wait for what it has started.

    It waits for ever for threads that a check has left behind, before it does what is to be done at exit.
    """
    at_once = engine.busy
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        at_once = True  # the interpreter would flush again, and complain
    if at_once:
        os._exit(code)
    end = threading.Timer(THREAD_SECONDS, os._exit, (code,))
    end.daemon = True
    with suppress(RuntimeError):  # no thread can be had
        end.start()
    atexit.register(end.cancel)
    sys.exit(code)
