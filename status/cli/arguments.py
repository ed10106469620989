"""What may be typed: options, sub-commands and their help."""

from __future__ import annotations

import argparse
import math
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, NoReturn

from status import __version__
from status.exceptions import StatusError
from status.formats import FORMATS

#: The format for people, which is not a document; it is the default.
HUMAN = "human"
#: Sub-commands that are not the name of a resource or provider.
VERBS = {
    "wait": "wait until a resource or provider is healthy, for start scripts",
    "snippet": "print configuration for other tools, with the addresses of this project",
    "beat": "tell that a job has run, for cron and shell scripts",
    "fleet": "show all processes of the project that report themselves",
    "drain": "have ready answer 503 on this host, before it is stopped, or no more",
}
#: What there is a snippet for, and what that is.
SNIPPETS = {
    "k8s": "probes of a container in Kubernetes",
    "docker": "HEALTHCHECK of a Dockerfile",
    "compose": "healthcheck and depends_on of a compose file",
    "nginx": "location in the server block of the site",
    "apache": "location in the virtual host of the site",
    "haproxy": "backend with a health check",
    "varnish": "backend with a probe",
    "caddy": "reverse proxy with a health check",
    "traefik": "load balancer with a health check",
    "alb": "target group of an AWS load balancer, in Terraform",
    "consul": "service with a check",
    "prometheus": "scrape job",
    "prometheus-rules": "alerts for that scrape job",
    "grafana": "dashboard for that scrape job",
    "blackbox": "module of the Prometheus blackbox exporter",
    "telegraf": "input",
    "datadog": "OpenMetrics check of the agent",
    "nagios": "command and service",
    "nrpe": "command on the site's own machine",
    "icinga2": "command, host and service",
    "zabbix": "user parameter of the agent",
    "monit": "checks of the site and of the process",
    "systemd": "service and timer",
    "supervisor": "program that asks again and again",
    "collectd": "program of the exec plugin, with its threshold",
    "cron": "line of /etc/cron.d",
    "github-actions": "step that waits for the site",
    "healthchecks": "line of a crontab that tells Healthchecks",
    "uptime-kuma": "line of a crontab that tells Uptime Kuma",
}
#: Options that are a number of seconds, and whether that may be 0.
SECONDS_OPTIONS = {"timeout": False, "watch": False, "wait_for": False, "stable": True}
#: The most that one of them takes. A system may not wait for as long as Python's own ``threading.TIMEOUT_MAX``.
MAX_SECONDS = min(threading.TIMEOUT_MAX, 1e9)
#: Characters of a line that says why there is no answer.
MAX_MESSAGE = 2_000
#: The exit code where the question could not be asked.
MISUSE = 2
EXIT_CODES = """\
exit codes: 0 asked and answered (with -e: nothing fails), 1 something judged fails (-e, wait), or the
server that --url names is not there or not well, 2 the question could not be asked.
With -f nagios: 0 OK, 1 WARNING, 2 CRITICAL (also where 1 means the server), 3 UNKNOWN."""


class CannotAsk(StatusError):
    """The question could not be asked. The text becomes one printable line; the exit code is 2.

    down: the question is right and the server is not well, so the exit code is 1, and CRITICAL for Nagios.
    transient: asking again later may help, so ``wait`` and ``--watch`` go on.
    """

    def __init__(self, message: str, transient: bool = False, down: bool = False) -> None:
        # Names and reasons come from the command line and from servers.
        super().__init__("".join(char if char.isprintable() else "_" for char in message[:MAX_MESSAGE]))
        self.transient = transient or down
        self.down = down

    @property
    def exit_code(self) -> int:
        """Return what a shell sees."""
        return 1 if self.down else MISUSE


class Options(NamedTuple):
    """What was typed. The fields after the first two are named as the long options, also in ``call_command``.

    verb: one of ``VERBS``, else None.
    name: the resource or provider that was named, the kind of a snippet, the name of a heartbeat, or on or off.
    """

    verb: str | None = None
    name: str | None = None
    settings: str | None = None
    format: str = HUMAN
    error_on_fail: bool = False
    quiet: bool = False
    verbose: bool = False
    check: Sequence[str] = ()
    skip: Sequence[str] = ()
    timeout: float | None = None
    list: bool = False
    watch: float | None = None
    url: str | None = None
    socket: str | None = None
    token: str | None = None
    token_file: str | None = None
    header: Sequence[str] = ()
    insecure: bool = False
    wait_for: float | None = None
    stable: float | None = None
    interval: float | None = None
    help: bool = False
    traceback: bool = False
    no_color: bool = False

    @classmethod
    def of(cls, words: Sequence[str], given: Mapping[str, Any]) -> Options:
        """Return the options for ``words``, that is a sub-command or names, and what else is given; None is not typed.

        Raises CannotAsk for an option that the sub-command does not have, and for more than one name.
        """
        verb = words[0] if words and words[0] in VERBS else None
        names = words if verb is None else words[1:]
        typed = {name: value for name, value in given.items() if name in cls._fields and value is not None}
        if verb is None and given.get("verbosity", 1) > 1:  # as Django spells it
            typed["verbose"] = True
        parser = argparse.ArgumentParser(add_help=False)
        add_options(parser, verb)
        known = {"settings", "traceback", "no_color", *vars(parser.parse_args([]))}
        for name in typed:
            if name not in known and not typed.get("help"):
                owner = "snippet" if name in ("interval", "socket") else "wait"
                where = f"goes with {owner} only" if verb is None else f"does not go with {verb}"
                raise CannotAsk(f"{option_of(name)} {where}")
        for name in ("token", "token_file", "header", "insecure"):
            if typed.get(name, False) is not False and "url" not in typed and not typed.get("help"):
                raise CannotAsk(f"{option_of(name)} goes with --url")
        # Of ``call_command``, which argparse has not seen.
        for name in typed.keys() & SECONDS_OPTIONS:
            try:
                typed[name] = seconds(str(typed[name]), zero=SECONDS_OPTIONS[name])
            except argparse.ArgumentTypeError as error:
                raise CannotAsk(f"{name}: {error}") from error
        for name in typed.keys() & {"check", "skip", "header"}:
            if isinstance(typed[name], str):
                typed[name] = [typed[name]]
        formats = (HUMAN, *FORMATS)
        if typed.get("format", HUMAN) not in formats:
            raise CannotAsk(f"format should be one of {', '.join(formats)}, not {typed['format']!a}")
        if len(names) > 1:
            raise CannotAsk(f"one name at a time, not {len(names)}; --check chooses several providers")
        return cls(verb, names[0] if names else None, **typed)


class OneLineParser(argparse.ArgumentParser):
    """Raises CannotAsk instead of printing the usage and ending the process."""

    def error(self, message: str) -> NoReturn:
        # argparse quotes an option that may be several with its value, which may be a token.
        raise CannotAsk(re.sub("=.* could match", " could match", message))


def parse_arguments(argv: Sequence[str], prog: str, in_django: bool) -> Options:
    """Return what was typed after the program's name. Raises CannotAsk; ``--version`` prints and exits.

    in_django: the entry point is ``manage.py``, which has applied its own options already; they are ignored here.
    """
    parser = OneLineParser(prog=prog, add_help=False)
    add_options(parser, *VERBS, None)
    add_general_options(parser, in_django)
    if in_django:
        for option in ("--settings", "--pythonpath"):
            parser.add_argument(option, dest="_django")
        parser.add_argument("-v", "--verbosity", type=int, default=1)
        for flag in ("--force-color", "--skip-checks"):
            parser.add_argument(flag, dest="_django", action="store_true")
    else:
        parser.add_argument("-v", dest="verbose", action="store_true", default=None)
    # Names are what is left, so that they may stand between options.
    given, words = parser.parse_known_args([_with_dashes(word) for word in argv])
    unknown = [word for word in words if word.startswith("-") and word != "--"]
    if unknown:
        parser.error(f"there is no option {unknown[0].partition('=')[0]}")
    return Options.of([word for word in words if word != "--"], vars(given))


def _with_dashes(word: str) -> str:
    """Return an option that is spelled as in 2.x, such as ``--error_on_fail``, as it is spelled here."""
    option, *value = word.partition("=")
    return option.replace("_", "-") + "".join(value) if word.startswith("--") else word


def help_text(options: Options, prog: str, in_django: bool, resources: Mapping[str, Iterable[str]]) -> str:
    """Return the help of the whole command, or of the sub-command that was named.

    resources: the names of the providers by resource; empty where the settings are broken.
    """
    names = ", ".join(map(typed_name, resources)) or "none is configured"
    choices = f"a resource ({names}), a provider, or resource/provider; without it everything"
    verb, name, epilog = options.verb, options.name, EXIT_CODES
    if verb is not None:
        prog, about = f"{prog} {verb}", f"{VERBS[verb].capitalize()}."
    elif name is not None:
        providers = ", ".join(resources.get(name.rstrip("/"), ()))
        prog, about = f"{prog} {name}", f"Ask {name}, that is {providers}." if providers else f"Ask {name}."
    else:
        about = "Ask the checks and statistics of this project."
        asked = [f"  {typed_name(resource):<20} {', '.join(resources[resource])}" for resource in resources]
        verbs = [f"  {word:<20} {purpose}" for word, purpose in VERBS.items()]
        epilog = "\n".join(["resources:", *asked, "", "other sub-commands:", *verbs, "", EXIT_CODES])
    if "%(prog)" in about:  # which argparse would fill in
        about = about.replace("%", "%%")
    parser = argparse.ArgumentParser(
        prog, None, about, epilog, formatter_class=argparse.RawDescriptionHelpFormatter, add_help=False
    )
    if verb == "snippet":
        parser.add_argument("kind", metavar="KIND", help=", ".join(SNIPPETS))
    elif verb == "beat":
        parser.add_argument("name", metavar="NAME", help="as in STATUS_HEARTBEATS")
    elif verb == "drain":
        parser.add_argument("state", metavar="on|off", help="make or remove the file that STATUS_DRAIN_FILE names")
    elif verb == "wait" or name is None:
        parser.add_argument("name", nargs="?", metavar="NAME", help=choices)
    add_options(parser, verb)
    add_general_options(parser, in_django)
    return parser.format_help()


def typed_name(resource: str) -> str:
    """Return what is typed for a resource: one that is called like a sub-command takes a slash, as in its address."""
    return f"{resource}/" if resource in VERBS else resource


def option_of(name: str) -> str:
    """Return an option of ``Options`` as it is typed."""
    return "--for" if name == "wait_for" else f"--{name.replace('_', '-')}"


def seconds(text: str, zero: bool = False) -> float:
    """Return the number of seconds that was typed. It is positive, or may be 0 with ``zero``."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    if not value and not zero:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")
    return value


def add_options(parser: argparse.ArgumentParser, *verbs: str | None) -> None:
    """Add the options that these sub-commands have; None stands for a resource or provider. None means not typed."""
    flag: dict[str, Any] = {"action": "store_true", "default": None}
    if None in verbs:
        group = parser.add_argument_group("answer")
        formats = (HUMAN, *FORMATS)
        group.add_argument("-f", "--format", choices=formats, metavar="FORMAT", help=", ".join(formats))
        # As 2.x called it.
        group.add_argument("--output-format", dest="format", choices=formats, help=argparse.SUPPRESS)
        group.add_argument("-e", "--error-on-fail", help="exit 1 if something judged fails", **flag)
        group.add_argument("--verbose", help="with -q, print warnings too; short -v, or -v 2 with manage.py", **flag)
        group.add_argument("--watch", type=seconds, metavar="SECONDS", help="ask again and again until interrupted")
        group.add_argument("--list", help="show providers and their addresses; runs none of them", **flag)
    if set(verbs) == {"fleet"}:
        group = parser.add_argument_group("answer")
        group.add_argument("-f", "--format", choices=(HUMAN, "json"), metavar="FORMAT", help=f"{HUMAN}, json")
    if "wait" in verbs:
        group = parser.add_argument_group("wait")
        text = "give up after this time (60)"
        group.add_argument("--for", type=seconds, dest="wait_for", metavar="SECONDS", help=text)
        text = "healthy for that long without interruption (0)"
        group.add_argument("--stable", type=partial(seconds, zero=True), metavar="SECONDS", help=text)
    if "snippet" in verbs:
        parser.add_argument("--socket", metavar="PATH", help="Unix socket on which a proxy reaches the project")
        text = "how often the tool asks (what is usual for it)"
        parser.add_argument("--interval", type=seconds, metavar="SECONDS", help=text)
    if set(verbs) == {"snippet"}:
        parser.add_argument("--url", help="where the app is mounted, as the other tool reaches it")
        parser.add_argument("--list", help="show what there is a snippet for", **flag)
        return
    group = parser.add_argument_group("question")
    group.add_argument("-q", "--quiet", help="print nothing unless something fails", **flag)
    if set(verbs) == {"drain"}:
        return
    if {None, "wait"} & set(verbs):
        group.add_argument("--check", action="append", metavar="NAME", help="run only this provider; repeatable")
        group.add_argument("--skip", action="append", metavar="NAME", help="do not run this provider; repeatable")
    text = "deadline of each provider instead of its own; with --url, of the whole exchange (10)"
    group.add_argument("-t", "--timeout", type=seconds, metavar="SECONDS", help=text)
    _add_url_options(parser)


def _add_url_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that ask a running instance."""
    group = parser.add_argument_group("a running instance instead of this process")
    group.add_argument("--url", help="where the app is mounted, for example http://localhost:8000/status/")
    group.add_argument("--token-file", metavar="FILE", help="file with the bearer token; else $STATUS_TOKEN")
    group.add_argument("--token", help="the bearer token itself; other users of the machine may see it")
    group.add_argument("--header", action="append", metavar="'NAME: VALUE'", help="further header; repeatable")
    group.add_argument("--insecure", help="do not verify the certificate", action="store_true", default=None)


def add_general_options(parser: argparse.ArgumentParser, in_django: bool) -> None:
    """Add the options that every sub-command has; those of Django's own are not among them."""
    parser.add_argument("-h", "--help", action="store_true", default=None, help="show this help and exit")
    parser.add_argument("--version", action="version", version=__version__, help="show the version and exit")
    parser.add_argument("--no-color", action="store_true", help="no colours, as with $NO_COLOR")
    parser.add_argument("--traceback", action="store_true", help="show what a check raised, on standard error")
    if not in_django:
        text = "module or class with the settings; else $DJANGO_STATUS_SETTINGS, else $DJANGO_SETTINGS_MODULE"
        parser.add_argument("-s", "--settings", metavar="MODULE", help=text)
