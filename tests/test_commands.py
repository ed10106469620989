"""The command line: what may be typed, what is printed, and how it ends."""

from __future__ import annotations

import fcntl
import importlib.util
import io
import json
import os
import pathlib
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import textwrap
import threading
import time
from functools import partial
from typing import Any
from unittest import mock

from django.core.management import CommandError, call_command
from django.test import SimpleTestCase, override_settings
from django.urls import reverse

from status.cli.arguments import SNIPPETS, parse_arguments
from status.cli.command import Wait, leave, standard_streams
from status.cli.output import CLEAR_LINE, CLEAR_SCREEN, Terminal, human_text
from status.engine import engine
from status.providers.base import Answer
from status.report import summary
from tests import services
from tests.commandline import PATIENCE, Asked, Full, Screen, ask, bare, command
from tests.docs_commands import PAGE, section
from tests.reports import MIXED, report, result

released = threading.Event()


def broken() -> Answer:
    return Answer({"default": True, "replica": False}, {"replica": "OperationalError"})


def hanging() -> None:
    released.wait(PATIENCE)


def release() -> None:
    """Let what hangs return, and wait for it."""
    released.set()
    deadline = time.monotonic() + PATIENCE
    while engine.busy and time.monotonic() < deadline:
        time.sleep(0.01)
    released.clear()


def answers(**checks: Any) -> dict[str, Any]:
    """``STATUS_PROVIDERS`` with one check in ``health`` for each of these answers."""
    return {
        "health": [(name, check if callable(check) else lambda value=check: value) for name, check in checks.items()]
    }


ONE_FAILING = "1 of 1 check failing: health/db"
GOOD = answers(ping={"pong": True}, databases={"default": True})
BAD = answers(ping={"pong": True}, databases=broken)
WARNING = answers(ping={"pong": True}, disk=Answer({"free": 3}, warnings={"free": "less than 5 GB"}))


class NamesTests(SimpleTestCase):
    def test_a_resource_is_a_sub_command(self):
        self.assertEqual(
            ask("health", "-f", "json"), Asked(0, self.client.get("/status/api/health").content.decode() + "\n")
        )

    def test_no_name_asks_everything(self):
        self.assertEqual(list(json.loads(ask("-f", "json").out)), ["health", "stats"])

    def test_a_provider_is_accepted_in_place_of_a_resource(self):
        self.assertEqual(ask("ping", "-f", "json"), Asked(0, '{"pong": true}\n'))

    def test_a_name_in_several_resources_is_ambiguous_and_says_so(self):
        code, out, err = ask("databases")
        self.assertEqual((code, out), (2, ""))
        self.assertEqual(
            err, 'status: "databases" is in several resources; write health/databases or stats/databases\n'
        )

    def test_resource_and_provider_together_are_never_ambiguous(self):
        self.assertEqual(ask("stats/databases", "--list").out, "stats\n  databases  /status/api/stats/databases\n")

    @override_settings(
        STATUS_PROVIDERS={"shop": [("wait", lambda: {"open": True})], "wait": [("shop", lambda: {"a": 1})]}
    )
    def test_names_of_sub_commands_are_reached_with_a_slash(self):
        self.assertEqual(ask("wait/", "-f", "json").out, '{"shop": {"a": 1}}\n')
        self.assertEqual(ask("shop/wait", "-f", "json").out, '{"open": true}\n')
        self.assertIn("wait/", ask("-h").out)

    def test_live_and_ready_are_resources(self):
        self.assertEqual(ask("live", "-f", "json"), Asked(0, '{"ping": {"pong": true}}\n'))
        self.assertEqual(ask("ready", "-f", "json").out, ask("health", "-f", "json").out)
        self.assertIn("Ask ready, that is ping, databases, caches.", ask("ready", "-h").out)
        self.assertEqual(ask("wait", "live").code, 0)
        with override_settings(STATUS_PROVIDERS=BAD):
            self.assertEqual(ask("ready", "-e").code, 1)
            self.assertEqual(ask("ready", "-f", "nagios").code, 2)
            self.assertTrue(ask("ready").out.startswith("health\n  ping "))
            self.assertEqual(ask("ready/databases", "--list").out, "ready\n  databases  /status/api/ready/databases\n")
        self.assertEqual(command("live", "-f", "json"), Asked(0, '{"ping": {"pong": true}}\n'))

    def test_what_the_settings_call_live_or_ready_is_that(self):
        with override_settings(STATUS_PROVIDERS={"live": [("a", lambda: 1)], "shop": [("ready", lambda: {"b": 2})]}):
            self.assertEqual(ask("live", "-f", "json").out, '{"a": 1}\n')
            self.assertEqual(ask("ready", "-f", "json").out, '{"b": 2}\n')
            self.assertEqual(json.loads(ask("--list", "-f", "json").out).keys(), {"live", "shop", "startup"})
            line = 'status: there is no resource "ready"; there is: live, shop, startup\n'
            self.assertEqual(ask("ready/"), Asked(2, "", line))

    @override_settings(STATUS_PROVIDERS={"shop": [("shop", lambda: {"open": True})]})
    def test_a_resource_comes_before_a_provider_of_the_same_name(self):
        self.assertEqual(ask("shop", "-f", "json").out, '{"shop": {"open": true}}\n')

    def test_an_unknown_name_is_misuse_and_names_what_there_is(self):
        for words, line in (
            (
                ["nope"],
                'there is no resource or provider "nope"; there is: '
                "health, stats, live, ready, startup, ping, databases, caches, code",
            ),
            (["nope/ping"], 'there is no resource "nope"; there is: health, stats, live, ready, startup'),
            (["health/nope"], 'there is no provider "nope"; there is: ping, databases, caches'),
            (["health", "--check", "nope"], 'there is no provider "nope"; there is: ping, databases, caches'),
            (["health", "--skip", "nope"], 'there is no provider "nope"; there is: ping, databases, caches'),
        ):
            with self.subTest(words):
                self.assertEqual(ask(*words), Asked(2, "", f"status: {line}\n"))

    def test_check_and_skip_choose_providers(self):
        self.assertEqual(
            list(json.loads(ask("health", "--check", "caches", "--check", "ping", "-f", "json").out)),
            ["ping", "caches"],
        )
        self.assertEqual(list(json.loads(ask("health", "-f", "json", "--skip", "caches").out)), ["ping", "databases"])

    def test_where_nothing_is_left_to_ask_it_says_so(self):
        """R6, R7."""
        with override_settings(STATUS_PROVIDERS={**GOOD, "empty": []}):
            for words in (["ping", "--skip", "ping"], ["health/", "--check", "ping", "--skip", "ping"], ["empty"]):
                with self.subTest(words):
                    self.assertEqual(ask(*words, "-f", "json"), Asked(2, "", "status: nothing is left to ask\n"))
                    self.assertEqual(ask(*words, "-f", "nagios").code, 3)
                    self.assertEqual(ask("wait", *words).code, 2)


class UsageTests(SimpleTestCase):
    def test_wrong_usage_is_one_clear_line_and_exit_2(self):
        for words, line in (
            (["--nope"], "there is no option --nope"),
            (["health", "--tokne=hidden"], "there is no option --tokne"),
            (["health", "--to=hidden"], "ambiguous option: --to could match --token-file, --token"),
            (["health", "stats"], "one name at a time, not 2; --check chooses several providers"),
            (["health", "-f", "toml"], None),
            (["health", "-t", "soon"], "argument -t/--timeout: 'soon' is not a number of seconds"),
            (["health", "-t", "0"], "argument -t/--timeout: '0' is not a positive number of seconds"),
            (["health", "-t", "nan"], "argument -t/--timeout: 'nan' is not a number of seconds"),
            (["ping", "--watch", "9223372036"], "argument --watch: '9223372036' is not a number of seconds"),
            (["health", "--watch", "-1"], "argument --watch: '-1' is not a number of seconds"),
            (["health", "--for", "3"], "--for goes with wait only"),
            (["wait", "-f", "json"], "--format does not go with wait"),
            (["health", "--token", ""], "--token goes with --url"),
            (["wait", "--token-file", "/no/such"], "--token-file goes with --url"),
            (["beat", "backup", "--header", "Host: a"], "--header goes with --url"),
            (["fleet", "--insecure"], "--insecure goes with --url"),
            (["wait", "--for", "2", "--stable", "3"], "--stable 3 never happens within --for 2"),
            (["snippet", "k8s", "-e"], "--error-on-fail does not go with snippet"),
            (
                ["snippet"],
                f"snippet takes one of: {', '.join(SNIPPETS)}",
            ),
            (["health", "--list", "-f", "text"], "--list prints human or json"),
        ):
            with self.subTest(words):
                code, out, err = ask(*words)
                self.assertEqual((code, out, err.count("\n")), (2, "", 1))
                if line is not None:
                    self.assertEqual(err, f"status: {line}\n")

    def test_options_may_stand_anywhere(self):
        for words in (
            ["-f", "json", "ping"],
            ["ping", "-f", "json"],
            ["ping", "-fjson"],
            ["--format=json", "--", "ping"],
        ):
            with self.subTest(words):
                self.assertEqual(ask(*words).out, '{"pong": true}\n')

    def test_help_shows_resources_sub_commands_and_exit_codes(self):
        code, out, err = ask("-h")
        self.assertEqual((code, err), (0, ""))
        for part in (
            "usage: status ",
            "health               ping, databases, caches",
            "live                 ping",
            "ready                ping, databases, caches",
            "wait ",
            "snippet ",
            "exit codes: 0 ",
        ):
            self.assertIn(part, out)

    def test_every_sub_command_has_its_own_help(self):
        for words, part in (
            (["stats", "-h"], "Ask stats, that is databases, code."),
            (["ping", "--help"], "Ask ping."),
            (["wait", "-h"], "--stable SECONDS"),
            (["snippet", "-h"], "k8s, docker, compose"),
            (["snippet", "k8s", "-h"], "usage: status snippet "),
        ):
            with self.subTest(words):
                code, out, err = ask(*words)
                self.assertEqual((code, err), (0, ""))
                self.assertIn(part, out)

    def test_help_of_a_resource_does_not_offer_what_goes_with_wait_only(self):
        self.assertNotIn("--stable", ask("stats", "-h").out)
        self.assertNotIn("--watch", ask("wait", "-h").out)

    def test_help_is_there_where_the_settings_are_broken(self):
        code, out, _ = ask("-h", "-s", "no.such.module", in_django=False)
        self.assertEqual(code, 0)
        self.assertIn("none is configured", out)

    def test_options_of_manage_py_are_let_through(self):
        words = [
            "--settings=x",
            "--pythonpath",
            "y",
            "-v",
            "2",
            "--traceback",
            "--no-color",
            "--force-color",
            "--skip-checks",
        ]
        self.assertEqual(ask("ping", *words, "-f", "json").out, '{"pong": true}\n')
        self.assertEqual(ask("ping", "--skip-checks", in_django=False).code, 2)


class DocumentTests(SimpleTestCase):
    """``docs/commands.rst`` says what is so."""

    def test_the_page_is_what_the_commands_print(self):
        self.assertEqual(PAGE.shown(), section().strip(), "Run python -m tests.docs_commands")

    def test_every_command_line_in_it_is_understood(self):
        lines = re.findall(r"^ +(manage\.py status|django_status)\b(.*?)(?:#.*|&&.*)?$", section(), re.M)
        self.assertGreater(len(lines), 10)
        for entrance, words in lines:
            with self.subTest(words):
                parse_arguments(shlex.split(words), entrance, in_django=entrance != "django_status")


class ExitCodeTests(SimpleTestCase):
    @override_settings(STATUS_PROVIDERS=BAD)
    def test_a_failure_is_0_without_e_and_1_with_it(self):
        self.assertEqual(ask("health").code, 0)
        self.assertEqual(ask("health", "-e").code, 1)
        self.assertEqual(ask("ping", "-e").code, 0)

    @override_settings(
        STATUS_PROVIDERS={"stats": [("code", broken)], "health": [("queue", broken, (), {}, {"critical": False})]}
    )
    def test_what_only_warns_or_informs_is_0(self):
        self.assertEqual(ask("-e").code, 0)

    def test_nagios_ends_as_a_plugin_does(self):
        warning = {"health": [("queue", broken, (), {}, {"critical": False})]}
        for providers, code, word in ((GOOD, 0, "OK"), (warning, 1, "WARNING"), (BAD, 2, "CRITICAL")):
            with self.subTest(word), override_settings(STATUS_PROVIDERS=providers):
                asked = ask("health", "-f", "nagios")
                self.assertEqual(asked.code, code)
                self.assertTrue(asked.out.startswith(f"STATUS {word} - "), asked.out)

    def test_nagios_says_unknown_on_standard_output_where_it_cannot_ask(self):
        for words in (
            ["nope", "-f", "nagios"],
            ["nope", "-ef", "nagios"],
            ["nope", "--form", "nagios"],
            ["nope", "--output_f=nagios"],
            ["-fnagios", "--nope"],
            ["-qf", "nagios", "--nope"],
            ["--format=nagios", "--format", "x"],
        ):
            with self.subTest(words):
                code, out, err = ask(*words)
                self.assertEqual((code, err), (3, ""))
                self.assertTrue(out.startswith("STATUS UNKNOWN - "), out)

    def test_help_for_a_name_with_a_percent_sign(self):
        self.assertIn("Ask %(prog)d%.", ask("%(prog)d%", "-h").out)

    @override_settings(STATUS_PROVIDERS=answers(a=hanging), STATUS_TIMEOUT=60)
    def test_timeout_bounds_every_provider(self):
        self.addCleanup(release)
        started = time.monotonic()
        self.assertEqual(
            json.loads(ask("a", "-t", "0.05", "-f", "json").out), {"ok": False, "error": "timed out after 0.05 s"}
        )
        self.assertLess(time.monotonic() - started, 1)


class HumanTests(SimpleTestCase):
    maxDiff = None

    def test_everything_is_aligned_with_reasons_and_durations(self):
        self.assertEqual(
            human_text(MIXED),
            textwrap.dedent(
                """\
                health
                  ping            ok    0.000 s
                    pong          ok
                  databases       FAIL  0.041 s
                    default       ok
                    replica       FAIL  OperationalError
                  caches          ok    0.001 s, 2.5 s old
                    default       ok
                  celery          FAIL  2.000 s, timed out after 2 s
                shop
                  newsletter      warn  0.003 s
                    queue         warn
                  delivery        ...   0.250 s, still running
                stats
                  code                  0.003 s
                    debug               false
                    scm                 git
                    branch
                      local             main
                      remote            origin/main
                  databases             0.003 s
                    default
                      vendor            postgresql
                      autocommit        true
                """
            )
            + f"FAIL: {summary(MIXED)}\n",
        )

    def test_each_component_shows_its_own_time_where_they_differ(self):
        """FAULTS R8: one that is quick beside one that hangs."""
        times = {"default": 0.0012, "replica": 2.0001}
        slow = result(
            answer={"default": True, "replica": False},
            reasons={"replica": "timed out after 2 s"},
            durations=times,
            duration=2.0001,
        )
        same = result(name="caches", durations={"default": 0.0012}, duration=0.0012)
        self.assertEqual(
            human_text(report(slow, same)).splitlines()[1:-1],
            [
                "  databases  FAIL  2.000 s",
                "    default  ok    0.001 s",
                "    replica  FAIL  2.000 s, timed out after 2 s",
                "  caches     ok    0.001 s",
                "    default  ok",
            ],
        )

    def test_only_trouble_leaves_out_what_is_in_order(self):
        lines = human_text(MIXED, only_trouble=True).splitlines()
        self.assertEqual(
            [line.split()[0] for line in lines[:-1]],
            ["health", "databases", "replica", "celery", "shop", "newsletter", "queue", "delivery"],
        )

    def test_colour_changes_nothing_but_colour(self):
        coloured = human_text(MIXED, colour=True)
        self.assertIn("\x1b[1;31mFAIL\x1b[0m", coloured)
        plain = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
        self.assertEqual([line.rstrip() for line in plain.splitlines()], human_text(MIXED).splitlines())

    def test_any_answer_has_its_form(self):
        value = {
            "empty": {},
            "none": None,
            "text": "",
            "list": [1, "two", None],
            "deep": [{"a": []}, [2.5]],
            "yes": True,
        }
        for resource in ("stats", "health"):
            with self.subTest(resource):
                shown = human_text(report(result(resource, "a", value), resource=resource))
                for line in ("text", "1, two, null", "2.5", "{}"):
                    self.assertIn(line, shown)
        self.assertIn("null\n", human_text(report(result("stats", "a", [None]), resource="stats")))
        self.assertEqual(human_text(report(result("stats", "a", 3), resource="stats")).splitlines()[-1].split(), ["3"])
        self.assertEqual(human_text(report(result("health", "a", False))).splitlines()[1].split()[:2], ["a", "FAIL"])
        self.assertIn("7 values cut", human_text(report(result(cut=7))))

    def test_a_text_cannot_steer_the_terminal(self):
        shown = human_text(
            report(result("stats", "code", {"\x1b[2J": "\x1b]0;owned\x07\nsecond line"}), resource="stats")
        )
        self.assertNotIn("\x1b", shown)
        self.assertEqual(len(shown.splitlines()), 3)

    @override_settings(STATUS_PROVIDERS=BAD)
    def test_colours_are_for_terminals_only(self):
        with mock.patch.dict(os.environ, {"TERM": "xterm"}):
            self.assertIn("\x1b[", ask("health", out=Screen()).out)
            self.assertNotIn("\x1b[", ask("health").out)
            for option in ("--no-color", "--no_color", "--no-c"):
                with self.subTest(option):
                    self.assertNotIn("\x1b[", ask("health", option, out=Screen()).out)
            for variable in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
                with self.subTest(variable), mock.patch.dict(os.environ, variable):
                    self.assertNotIn("\x1b[", ask("health", out=Screen()).out)

    def test_quiet_is_silent_on_success(self):
        with override_settings(STATUS_PROVIDERS=GOOD):
            for words in (["health", "-q"], ["-q", "-f", "json"], ["-q", "-e"]):
                self.assertEqual(ask(*words), Asked(0, ""))
        with override_settings(STATUS_PROVIDERS=BAD):
            self.assertEqual(ask("health", "-q", "-e").code, 1)
            self.assertNotIn("ping", ask("health", "-q").out)
            self.assertIn("ping", ask("health", "-q", "-f", "json").out)

    def test_quiet_tells_of_a_warning_only_when_asked(self):
        """FAULTS O9: cron mailed each warning every five minutes."""
        with override_settings(STATUS_PROVIDERS=WARNING):
            for words in (["health", "-q"], ["health", "-q", "-e"], ["health", "-q", "-f", "json"]):
                self.assertEqual(ask(*words), Asked(0, ""))
                self.assertIn("disk", ask(*words, "-v", "2").out)
                self.assertIn("disk", ask(*words, "--verbose").out)
                self.assertIn("disk", ask(*words, "-v", in_django=False).out)
                self.assertEqual(ask(*words, "-v", "1"), Asked(0, ""))
            # A plugin that says nothing is none.
            self.assertEqual(ask("health", "-q", "-f", "nagios").out[:15], "STATUS WARNING ")
        with override_settings(STATUS_PROVIDERS=GOOD):
            self.assertEqual(ask("health", "-q", "-v", "2"), Asked(0, ""))


class ListTests(SimpleTestCase):
    @override_settings(STATUS_PROVIDERS=answers(ping=hanging, databases=hanging))
    def test_list_shows_addresses_and_runs_nothing(self):
        code, out, _ = ask("--list")
        self.assertEqual(
            (code, out),
            (
                0,
                "health\n  ping        /status/api/health/ping\n  databases   /status/api/health/databases\n"
                "live\n  ping        /status/api/live/ping\n"
                "ready\n  ping        /status/api/ready/ping\n  databases   /status/api/ready/databases\n"
                "startup\n  migrations  /status/api/startup/migrations\n",
            ),
        )
        self.assertEqual(
            json.loads(ask("ping", "--list", "-f", "json").out), {"health": {"ping": reverse("status:api_health_ping")}}
        )
        self.assertFalse(engine.busy)

    def test_list_without_addresses_shows_the_names(self):
        with (
            override_settings(ROOT_URLCONF="tests.components"),
            mock.patch("tests.components.urlpatterns", [], create=True),
        ):
            self.assertEqual(ask("ping", "--list").out, "health\n  ping\n")
        self.assertEqual(
            ask("ping", "--list", in_django=False).out,
            "health\n  ping  /status/api/health/ping\n",
        )

    def test_list_of_an_unknown_name_names_what_there_is(self):
        for words in (["health/nope"], ["nope/ping"], ["nope"], ["live/nope"]):
            with self.subTest(words):
                code, out, err = ask(*words, "--list")
                self.assertEqual((code, out), (2, ""))
                self.assertRegex(err, r'^status: there is no [a-z ]+ "nope"; there is: [a-z]+')

    @override_settings(ROOT_URLCONF="tests.no_such_urls")
    def test_list_says_in_one_line_why_the_addresses_cannot_be_known(self):
        self.assertEqual(
            ask("--list"), Asked(2, "", "status: ROOT_URLCONF names 'tests.no_such_urls': there is no such module\n")
        )


class WatchTests(SimpleTestCase):
    class Reader(Screen):
        """Goes away after two reports."""

        def write(self, text: str) -> int:
            if self.getvalue().count("ping") == 2:
                raise BrokenPipeError
            return super().write(text)

    def test_watch_redraws_a_terminal_until_nobody_reads(self):
        code, out, _ = ask("ping", "--watch", "0.01", out=self.Reader())
        self.assertEqual((code, out.count(CLEAR_SCREEN), out.count("\x1b[32mok")), (0, 2, 6))

    @override_settings(STATUS_PROVIDERS=BAD)
    def test_watch_ends_with_the_last_verdict(self):
        self.assertEqual(ask("-e", "--watch", "0.01", out=self.Reader()).code, 1)


class WaitTests(SimpleTestCase):
    def setUp(self) -> None:
        every = mock.patch.object(Wait, "interval", 0.02)
        every.start()
        self.addCleanup(every.stop)

    def test_wait_ends_as_soon_as_everything_is_healthy(self):
        states = iter([False, False, True])
        with override_settings(STATUS_PROVIDERS=answers(db=lambda: {"default": next(states)})):
            code, out, err = ask("wait", "health", "--for", "20")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"^health: healthy after \d+\.\d s\n$")
        self.assertEqual(err, "waiting for health: 1 of 1 check failing: health/db\n")

    @override_settings(STATUS_PROVIDERS=BAD)
    def test_wait_gives_up_in_time_and_says_what_is_wrong(self):
        started = time.monotonic()
        code, out, err = ask("wait", "--for", "0.1")
        self.assertLess(time.monotonic() - started, 2)
        self.assertEqual(code, 1)
        self.assertIn("replica  FAIL  OperationalError", out)
        self.assertEqual(
            err.splitlines()[-1], "everything: not healthy within 0.1 s: 1 of 2 checks failing: health/databases"
        )

    def test_wait_gives_up_in_time_on_what_hangs(self):
        self.addCleanup(release)
        with override_settings(STATUS_PROVIDERS=answers(a=hanging), STATUS_TIMEOUT=60):
            started = time.monotonic()
            code, _, err = ask("wait", "--for", "0.1")
        self.assertLess(time.monotonic() - started, 2)
        self.assertEqual(code, 1)
        self.assertIn("still running: health/a", err)

    def test_stable_wants_an_unbroken_row_of_good_answers(self):
        states = iter([True, False, *[True] * 100])
        with override_settings(STATUS_PROVIDERS=answers(db=lambda: {"default": next(states)})):
            started = time.monotonic()
            code, _, err = ask("wait", "--stable", "0.1", "--for", "20")
        self.assertEqual(code, 0)
        self.assertGreater(time.monotonic() - started, 0.1)
        self.assertEqual(
            [line.partition(": ")[2] for line in err.splitlines()],
            ["healthy, but not yet for 0.1 s", "1 of 1 check failing: health/db", "healthy, but not yet for 0.1 s"],
        )

    def test_wait_tries_until_the_time_is_over(self):
        """E15: also in the last interval, with the interval that it has."""
        for healthy_after, code in ((0.0, 0), (0.9, 0), (60.0, 1)):
            started = time.monotonic()
            due = started + healthy_after
            with (
                self.subTest(healthy_after),
                mock.patch.object(Wait, "interval", 0.7),
                override_settings(STATUS_PROVIDERS=answers(db=partial(lambda due: time.monotonic() >= due, due))),
            ):
                self.assertEqual(ask("wait", "--for", "1").code, code)
                self.assertGreaterEqual(time.monotonic() - started, min(1.0, healthy_after))

    def test_a_last_question_that_is_cut_short_hides_no_reason(self):
        """E15."""
        states = iter([False])
        released.clear()
        self.addCleanup(release)

        def first_failing_then_hanging() -> bool:
            for state in states:
                return state
            released.wait(PATIENCE)
            return True

        with override_settings(STATUS_PROVIDERS=answers(db=first_failing_then_hanging), STATUS_TIMEOUT=60):
            code, out, err = ask("wait", "--for", "0.3")
        self.assertEqual((code, err.splitlines()[-1]), (1, f"everything: not healthy within 0.3 s: {ONE_FAILING}"))
        self.assertRegex(out, "db +FAIL")

    @override_settings(STATUS_PROVIDERS={**GOOD, "stats": [("code", broken)]})
    def test_what_is_never_judged_is_never_called_healthy(self):
        """R7."""
        line = "nothing of stats is judged, so that it never becomes healthy"
        self.assertEqual(ask("wait", "stats"), Asked(2, "", f"status: {line}\n"))
        self.assertEqual(ask("wait", "-q"), Asked(0, ""))

    @override_settings(STATUS_PROVIDERS=GOOD)
    def test_quiet_wait_is_silent_on_success(self):
        self.assertEqual(ask("wait", "-q"), Asked(0, ""))

    def test_what_was_waited_for_does_not_change_where_it_cannot_be_written(self):
        for providers, code in ((GOOD, 0), (BAD, 1)):
            with self.subTest(code), override_settings(STATUS_PROVIDERS=providers):
                asked = ask("wait", "health", "--for", "0.1", out=Full())
                self.assertEqual(asked.code, code)
                self.assertTrue(asked.err.endswith("the answer cannot be written: No space left on device\n"))

    @override_settings(STATUS_PROVIDERS=BAD)
    def test_wait_does_not_wait_for_a_name_that_is_not_there(self):
        self.assertEqual(ask("wait", "nope").code, 2)
        self.assertEqual(ask("wait", "ping", "-q").code, 0)


class LiveTests(SimpleTestCase):
    def setUp(self) -> None:
        soon = mock.patch.object(Terminal, "live_seconds", 0.01)
        soon.start()
        self.addCleanup(soon.stop)

    def test_a_terminal_shows_what_is_waited_for_and_clears_it(self):
        screen = Screen()

        def slow() -> bool:
            deadline = time.monotonic() + PATIENCE
            while "waiting for health/slow (" not in screen.getvalue() and time.monotonic() < deadline:
                time.sleep(0.01)
            return True

        with override_settings(STATUS_PROVIDERS=answers(ping=True, slow=slow), STATUS_TIMEOUT=PATIENCE):
            code, out, err = ask("health", err=screen)
        self.assertEqual(code, 0)
        self.assertIn("waiting for health/slow (", err)
        self.assertTrue(err.endswith(CLEAR_LINE))
        self.assertNotIn("waiting", out)

    def test_a_quick_answer_needs_no_line(self):
        with mock.patch.object(Terminal, "live_seconds", PATIENCE):
            self.assertEqual(ask("ping", "-e", err=Screen()).err, "")

    def test_a_terminal_shows_why_wait_waits(self):
        screen = Screen()

        def until_seen() -> dict[str, bool]:
            return {"default": "check failing: health/db" in screen.getvalue()}

        with override_settings(STATUS_PROVIDERS=answers(db=until_seen)):
            self.assertEqual(ask("wait", "--for", "20", err=screen).code, 0)

    def test_a_terminal_that_goes_away_changes_nothing(self):
        class Gone(Screen):
            def write(self, text: str) -> int:
                raise OSError("gone")

        with override_settings(STATUS_PROVIDERS=answers(slow=lambda: bool(time.sleep(0.1)) or True)):
            self.assertEqual(ask("health", "-e", err=Gone()).code, 0)

    def test_the_line_is_no_longer_than_the_terminal(self):
        class Sized(Screen):
            shown: threading.Event

            def fileno(self) -> int:
                return slave

            def write(self, text: str) -> int:
                self.shown.set()
                return super().write(text)

        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        self.addCleanup(os.close, slave)
        for columns, length in ((40, 39), (0, 79)):
            screen, shown = Sized(), threading.Event()
            screen.shown = shown
            checks = answers(**{f"check-number-{number}": partial(shown.wait, PATIENCE) for number in range(9)})
            with self.subTest(columns), override_settings(STATUS_PROVIDERS=checks, STATUS_TIMEOUT=PATIENCE):
                fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
                self.assertEqual(len(ask("health", err=screen).err.split(CLEAR_LINE)[1]), length)


class TerminalTests(SimpleTestCase):
    def test_a_reader_that_leaves_does_not_change_the_verdict(self):
        class Gone(io.StringIO):
            def write(self, text: str) -> int:
                raise BrokenPipeError

        with override_settings(STATUS_PROVIDERS=BAD):
            self.assertEqual(ask("health", "-e", out=Gone()), Asked(1, ""))

    def test_an_answer_that_cannot_be_written_is_told(self):
        self.assertEqual(
            ask("ping", out=Full())[::2], (2, "status: the answer cannot be written: No space left on device\n")
        )
        # A plugin says with its code that nobody knows.
        for words in (["ping"], ["nope"]):
            told = "the answer cannot be written: No space left on device\n"
            self.assertEqual(ask(*words, "-f", "nagios", out=Full())[::2], (3, told))
        closed = io.StringIO()
        with mock.patch.object(closed, "getvalue", return_value=""):
            closed.close()
            self.assertEqual(ask("ping", out=closed).err, "status: the answer cannot be written: it is closed\n")

    def test_a_complaint_that_nobody_can_hear_changes_nothing(self):
        class Gone(io.StringIO):
            def write(self, text: str) -> int:
                raise OSError("gone")

        self.assertEqual(ask("nope", err=Gone()), Asked(2, ""))

    def test_no_standard_streams_are_no_reason_to_fail(self):
        with mock.patch.object(sys, "stdout", None), mock.patch.object(sys, "stderr", None):
            out, err = standard_streams()
        self.assertEqual((out.write("a"), err.write("b")), (1, 1))

    def test_the_process_leaves_at_once_only_where_something_is_left_running(self):
        with (
            mock.patch("os._exit") as at_once,
            mock.patch("threading.Timer"),
            self.assertRaises(SystemExit) as left,
        ):
            leave(1)
        self.assertEqual((left.exception.code, at_once.called), (1, False))
        for stream, busy in ((None, True), (mock.Mock(flush=mock.Mock(side_effect=OSError)), False)):
            with (
                self.subTest(stream),
                mock.patch.object(sys, "stdout", stream),
                mock.patch("status.cli.command.engine", busy=busy),
                mock.patch("os._exit", side_effect=SystemExit) as at_once,
            ):
                with self.assertRaises(SystemExit):
                    leave(1)
                at_once.assert_called_once_with(1)


class CallCommandTests(SimpleTestCase):
    def test_call_command_takes_options_by_name(self):
        out = io.StringIO()
        call_command("status", "ping", format="json", stdout=out)
        self.assertEqual(out.getvalue(), '{"pong": true}\n')

    def test_call_command_leaves_the_process_as_it_is(self):
        """Alerts and history of a server or a worker go on when it has called a command."""
        with mock.patch.object(engine, "observers", [print]):
            call_command("status", "ping", format="json", stdout=io.StringIO())
            self.assertEqual((engine.observers, engine.is_shared), ([print], True))

    @override_settings(STATUS_PROVIDERS=WARNING)
    def test_call_command_takes_the_verbosity_of_django(self):
        for verbosity, told in ((1, False), (2, True)):
            out = io.StringIO()
            call_command("status", "health", quiet=True, verbosity=verbosity, stdout=out)
            self.assertEqual("disk" in out.getvalue(), told)
        call_command("status", "wait", "health", quiet=True, verbosity=3)  # which has nothing more to say

    @override_settings(STATUS_PROVIDERS=BAD)
    def test_call_command_takes_numbers_and_single_names_as_text(self):
        for options in ({"check": "ping", "timeout": "2"}, {"check": ["ping"], "timeout": 2}):
            with self.subTest(options=options):
                out = io.StringIO()
                call_command("status", "health", format="json", stdout=out, **options)
                self.assertEqual(json.loads(out.getvalue())["ping"], {"pong": True})
        for options, words in (
            ({"timeout": "soon"}, "timeout: 'soon' is not a number of seconds"),
            ({"timeout": 0}, "timeout: '0' is not a positive number of seconds"),
            ({"watch": [2]}, "watch: '[2]' is not a number of seconds"),
        ):
            with self.subTest(options=options), self.assertRaisesMessage(CommandError, words):
                call_command("status", "health", stdout=io.StringIO(), **options)

    def test_call_command_takes_what_goes_with_url_only_as_no(self):
        call_command("status", "ping", insecure=False, stdout=io.StringIO())
        self.assertEqual(ask("ping", "-h", "--token", "a").code, 0)

    @override_settings(STATUS_PROVIDERS=BAD)
    def test_call_command_raises_what_the_shell_sees_as_exit_code(self):
        for words, options, code in (
            (["health"], {"error_on_fail": True}, 1),
            (["health", "-f", "nagios"], {}, 2),
        ):
            with self.subTest(words), self.assertRaises(SystemExit) as ended:
                call_command("status", *words, stdout=io.StringIO(), **options)
            self.assertEqual(ended.exception.code, code)
        refused = f"http://127.0.0.1:{services.refused_port()}/"
        for words, options, code in (
            (["nope"], {}, 2),
            (["--for", "3"], {}, 2),
            (["ping"], {"format": "xml"}, 2),
            (["ping"], {"output_format": 3}, 2),
            (["health/"], {"url": refused}, 1),
        ):
            with self.subTest(words), self.assertRaises(CommandError) as raised:
                call_command("status", *words, stdout=io.StringIO(), **options)
            self.assertEqual(raised.exception.returncode, code)

    def test_broken_settings_of_ours_do_not_keep_it_from_answering(self):
        with override_settings(STATUS_TIMEOUT="2", STATUS_PROVIDERS={"health": [("ping",)]}):
            out = io.StringIO()
            call_command("status", "health", stdout=out)
        self.assertIn("should be (name, provider", out.getvalue())


class SettingsTests(SimpleTestCase):
    """Where ``django_status`` finds its settings."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.write(
            "plain",
            "STATUS_PROVIDERS = {'a': [('ping', 'status.providers.health.ping')]}\n"
            "class Inner:\n    STATUS_PROVIDERS = {'b': []}\n",
        )
        self.write("project", "INSTALLED_APPS = ['status']\nSECRET_KEY = 'x'\nSTATUS_PROVIDERS = {'c': []}\n")

    def write(self, name: str, text: str) -> None:
        (self.folder / f"{name}.py").write_text(text)

    def resources(self, *words: str, **env: str) -> list[str] | str:
        """The resources that are configured, or the line that says why there are none."""
        code, out, err = command(
            *words,
            "--list",
            "-f",
            "json",
            env={**env, "PYTHONPATH": env.get("PYTHONPATH", bare()["PYTHONPATH"])},
            cwd=self.folder,
        )
        self.assertEqual(code, 2 if err else 0)
        if err:
            return err.removeprefix("python -m status: ").rstrip("\n")
        return [name for name in json.loads(out) if name not in ("live", "ready", "startup")]

    def test_without_any_the_standalone_defaults_hold(self):
        self.assertEqual(self.resources(), ["health", "stats"])

    def test_a_module_or_class_is_named_by_option_or_environment(self):
        self.assertEqual(self.resources("-s", "plain"), ["a"])
        self.assertEqual(self.resources("--settings=plain.Inner"), ["b"])
        self.assertEqual(self.resources(DJANGO_STATUS_SETTINGS="plain"), ["a"])
        self.assertEqual(self.resources(DJANGO_SETTINGS_MODULE="project"), ["c"])

    def test_the_option_comes_first_then_ours_then_that_of_django(self):
        both = {"DJANGO_STATUS_SETTINGS": "plain.Inner", "DJANGO_SETTINGS_MODULE": "project"}
        self.assertEqual(self.resources(**both), ["b"])
        self.assertEqual(self.resources("-s", "plain", **both), ["a"])

    def test_the_settings_of_a_django_project_work_by_any_way(self):
        self.assertEqual(self.resources("-s", "project"), ["c"])

    def test_the_installed_script_finds_what_is_in_the_working_directory(self):
        self.assertEqual(self.script("-s", "plain", "ping", "-f", "json"), (0, '{"pong": true}\n', ""))
        self.assertEqual(
            self.script("c", "--list", "-f", "json", DJANGO_SETTINGS_MODULE="project"), (0, '{"c": {}}\n', "")
        )

    def script(self, *words: str, **env: str) -> tuple[int, str, str]:
        """What comes of the installed script, which begins to look for modules where it is itself."""
        scripts = self.folder / "bin"
        scripts.mkdir(exist_ok=True)
        (scripts / "django_status.py").write_text("from status.__main__ import main\nmain()\n")
        command = [sys.executable, scripts / "django_status.py", *words]
        done = subprocess.run(command, env=bare(env), cwd=self.folder, capture_output=True, encoding="utf-8")
        return done.returncode, done.stdout, done.stderr

    def test_what_the_settings_print_is_no_part_of_the_answer(self):
        self.write("chatty", "print('loading')\nfrom plain import *")
        self.assertEqual(self.script("-s", "chatty", "ping", "-f", "json"), (0, '{"pong": true}\n', "loading\n"))
        code, out, err = self.script("-s", "chatty", "-h")
        self.assertEqual((code, out[:6], err), (0, "usage:", "loading\n"))
        self.assertEqual(self.script("-s", "chatty", "ping", "-q"), (0, "", ""))
        told = 'django_status.py: there is no resource or provider "nope"; there is: a, live, ping\nloading\n'
        self.assertEqual(self.script("-s", "chatty", "nope", "-q"), (2, "", told))

    def test_nothing_else_is_imported_from_a_directory_that_others_may_write(self):
        """FAULTS A20"""
        for name in (*sys.stdlib_module_names, "django", "git", "asgiref", "status"):
            if importlib.util.find_spec(name):  # not those of other systems
                self.write(name, "raise SystemExit('planted')")
        for words, code in (
            (("stats",), 0), (("-s", "nowhere", "ping"), 2),
            (("-s", "plain", "ping"), 0), (("-s", "project", "--list"), 0),
        ):  # fmt: skip
            with self.subTest(words):
                done = self.script(*words)
                self.assertEqual(done[0], code, done)
                self.assertNotIn("planted", done[1] + done[2])

    def test_a_working_directory_that_is_gone_hides_no_settings(self):
        gone, script = self.folder / "gone", self.folder / "bin" / "script.py"
        script.parent.mkdir()  # in which Python looks for modules, and not where it is started
        script.write_text("import os, status.__main__ as main; os.rmdir(os.getcwd()); main.main()")
        for name, code in (("tests.settings", 0), ("plain", 2)):
            with self.subTest(name):
                gone.mkdir()
                run = partial(subprocess.run, env=bare(), cwd=gone, capture_output=True, encoding="utf-8")
                done = run([sys.executable, str(script), "-s", name, "ping", "-f", "text"])
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertNotIn("Error", done.stderr)

    def test_safe_mode_of_python_keeps_the_working_directory_out(self):
        """FAULTS A20"""
        code, out, err = self.script("-s", "plain", "ping", PYTHONSAFEPATH="1")
        self.assertEqual((code, out), (2, ""))
        self.assertIn("-s names 'plain': there is no such module", err)

    def test_what_cannot_be_loaded_is_one_clear_line(self):
        self.write("needy", "import no_such_thing")
        self.write("no_such_things", "import no_such_thing")
        self.write("slip", "STATUS_TIMEOUT = = 2")
        self.write("secret", "raise ValueError('hunter2')")
        self.write("leaves", "import sys\nsys.exit(0)")
        self.write("keyless", "import os\nA = 1\nKEY = os.environ['NO_SUCH_KEY_HERE']")
        self.write("unset", "INSTALLED_APPS = ['no_such_app']")
        for name, line in (
            ("nope", "-s names 'nope': there is no such module"),
            ("nope.nope", "-s names 'nope.nope': there is no such module"),
            ("plain.Nope", "-s names 'plain.Nope', but plain has no Nope"),
            ("needy", "-s names 'needy': it needs no_such_thing, which is not installed"),
            ("no_such_things", "-s names 'no_such_things': it needs no_such_thing, which is not installed"),
            ("slip", "-s names 'slip': SyntaxError at {folder}/slip.py:1"),
            ("secret", "-s names 'secret', which cannot be loaded: ValueError at {folder}/secret.py:1"),
            ("leaves", "-s names 'leaves', which cannot be loaded: SystemExit at {folder}/leaves.py:2"),
            ("keyless", "-s names 'keyless', which cannot be loaded: KeyError at {folder}/keyless.py:3"),
            ("unset", "-s names 'unset': it needs no_such_app, which is not installed"),
        ):
            with self.subTest(name):
                self.assertEqual(self.resources("-s", name), line.format(folder=os.path.realpath(self.folder)))
        self.assertEqual(
            self.resources(DJANGO_SETTINGS_MODULE="nope"),
            "DJANGO_SETTINGS_MODULE names 'nope': there is no such module",
        )
        self.assertEqual(
            self.resources(DJANGO_STATUS_SETTINGS="nope"),
            "DJANGO_STATUS_SETTINGS names 'nope': there is no such module",
        )


class ProcessTests(SimpleTestCase):
    """The command as the shell sees it."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "checks.py").write_text(
            "import atexit, concurrent.futures, logging, time, warnings\n"
            "pool = concurrent.futures.ThreadPoolExecutor()\n"
            "def hang(): return pool.submit(time.sleep, 60).result()\n"
            "def left():\n"
            "    pool.submit(time.sleep, 60)\n"
            "    return True\n"
            "def idle():\n"
            "    atexit.register(print, 'ended by itself')\n"
            "    return pool.submit(bool, 1).result()\n"
            "def raises(): raise ConnectionError('shop:hunter2@db')\n"
            "def chatty(answer):\n"
            "    print('printed')\n"
            "    warnings.warn('warned')\n"
            "    logging.basicConfig()\n"
            "    logging.getLogger('shop').error('logged')\n"
            "    return answer\n"
            "def text(): return {'name': '\\u2713 \\x1b'}\n"
            "STATUS_TIMEOUT = 0.2\n"
            "STATUS_PROVIDERS = {\n"
            "    'hang': [('a', hang)], 'raise': [('a', raises)], 'stats': [('a', text)],\n"
            "    'left': [('a', left)], 'idle': [('a', idle)],\n"
            "    'good': [('a', chatty, (True,))], 'bad': [('a', chatty, (False,))],\n"
            "}\n"
        )

    def command(self, *words: str, **options: Any) -> Asked:
        return command("-s", "checks", *words, cwd=self.folder, **options)

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-m", "status", "-s", "checks", *words],
            cwd=self.folder,
            env=bare(),
            encoding="utf-8",
            **options,
        )
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        return child

    def test_ping_needs_no_settings_at_all(self):
        self.assertEqual(command("ping", "-f", "json"), Asked(0, '{"pong": true}\n'))

    def test_manage_py_has_the_same_command_line(self):
        env = {"DJANGO_SETTINGS_MODULE": "tests.settings"}
        self.assertEqual(
            command("status", "ping", "-f", "json", module="django", env=env), Asked(0, '{"pong": true}\n')
        )
        self.assertEqual(command("status", "nope", module="django", env=env).code, 2)
        for words in (["status", "-h"], ["help", "status"]):
            code, out, err = command(*words, module="django", env=env)
            self.assertEqual((code, err), (0, ""))
            self.assertTrue(out.startswith("usage: python -m django status "), out)

    def test_the_process_ends_with_the_deadline_although_a_check_hangs(self):
        started = time.monotonic()
        code, out, err = self.command("hang", "-e", "-f", "json")
        self.assertEqual((code, err), (1, ""))
        self.assertEqual(json.loads(out)["a"]["error"], "timed out after 0.2 s")
        self.assertLess(time.monotonic() - started, PATIENCE / 2)

    def test_the_process_ends_soon_although_a_check_leaves_a_thread_behind(self):
        self.assertEqual(self.command("left", "-f", "json"), Asked(0, '{"a": true}\n'))

    def test_a_pool_that_is_idle_keeps_nothing_from_being_done_at_the_end(self):
        self.assertEqual(self.command("idle", "-f", "json"), Asked(0, '{"a": true}\nended by itself\n'))

    def test_quiet_keeps_what_a_check_prints_until_something_fails(self):
        for words in (["good", "-q"], ["good", "-q", "-f", "json"], ["wait", "good", "-q"]):
            self.assertEqual(self.command(*words), Asked(0, ""))
        code, out, err = self.command("bad", "-q", "-f", "json")
        self.assertEqual((code, out), (0, '{"a": false}\n'))
        for told in ("printed\n", "UserWarning: warned\n", "ERROR:shop:logged\n"):
            self.assertIn(told, err)
            self.assertIn(told, self.command("good").err)

    def test_what_a_check_raises_is_shown_on_demand_only(self):
        self.assertEqual(self.command("raise", "-e").err, "")
        self.assertNotIn("hunter2", self.command("raise").out)
        self.assertIn("Traceback", self.command("raise", "--traceback").err)
        env = {"DJANGO_SETTINGS_MODULE": "checks", "PYTHONPATH": f"{bare()['PYTHONPATH']}:{self.folder}"}
        (self.folder / "checks.py").write_text(
            (self.folder / "checks.py").read_text() + "INSTALLED_APPS = ['status']\n"
        )
        self.assertEqual(command("status", "raise", "-e", module="django", env=env)[::2], (1, ""))

    def test_the_answer_comes_first_where_a_project_logs_to_the_console(self):
        """R11: what a check logs or prints stays behind the answer, whatever names the console."""
        (self.folder / "console.py").write_text(
            "import logging\n"
            "from status.providers import Answer\n"
            "def raises():\n"
            "    print('printed')\n"
            "    logging.getLogger('shop').error('logged')\n"
            "    logging.getLogger('git').warning('logged')\n"
            "    raise ConnectionError('shop:hunter2@db')\n"
            "def stream(name): return {'class': 'logging.StreamHandler', 'stream': f'ext://sys.{name}'}\n"
            "HANDLERS = {\n"
            "    'out': stream('stdout'), 'err': stream('stderr'), 'none': {'class': 'logging.NullHandler'},\n"
            "    'dev': {'class': 'logging.FileHandler', 'filename': '/dev/stderr'},\n"
            "    'file': {'class': 'logging.FileHandler', 'filename': 'status.log'},\n"
            "}\n"
            "LOGGING = {\n"
            "    'version': 1, 'disable_existing_loggers': False, 'handlers': HANDLERS,\n"
            "    'root': {'handlers': ['out', 'dev', 'none']},\n"
            "    'loggers': {\n"
            "        'status': {'handlers': ['err', 'file']}, 'shop': {'handlers': ['err'], 'propagate': False},\n"
            "    },\n"
            "}\n"
            "INSTALLED_APPS = ['status']\n"
            "STATUS_PROVIDERS = {'health': [('a', raises)]}\n"
        )
        (self.folder / "unlogged.py").write_text("from console import *\nLOGGING_CONFIG = None\n")
        for settings in ("console", "unlogged"):
            for words in (["-m", "django", "status"], ["-m", "status"]):
                with self.subTest(settings=settings, words=words):
                    command = [sys.executable, *words, "health", "-f", "nagios"]
                    env = bare({"DJANGO_SETTINGS_MODULE": settings})
                    env["PYTHONPATH"] = f"{bare()['PYTHONPATH']}:{self.folder}"
                    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8"}
                    run = partial(subprocess.run, env=env, cwd=self.folder, timeout=PATIENCE, **both)
                    done = run(command)
                    lines = [line for line in done.stdout.splitlines() if line != "printed"]
                    self.assertTrue(lines[0].startswith("STATUS CRITICAL - 1 of 1 check failing: health/a | "), lines)
                    self.assertEqual((done.returncode, lines[1:]), (2, ["fail health/a raised ConnectionError"]))
                    self.assertIn("Traceback", run([*command, "--traceback"]).stdout)
                    done = run([*command[:-2], "-f", "json"], stderr=subprocess.PIPE)
                    self.assertEqual(json.loads(done.stdout), {"a": {"ok": False, "error": "raised ConnectionError"}})
                    self.assertEqual(done.stderr, "printed\n")
        log = (self.folder / "status.log").read_text()
        self.assertIn("hunter2", log)
        self.assertNotIn("is failing", log)  # notifications are for processes that stay

    def test_a_secret_of_the_environment_is_masked_without_any_settings(self):
        """R5."""
        token = "9f8e7d6c5b4a39281706f5e4d3c2b1a0"
        (self.folder / "version.json").write_text(json.dumps({"build": f"ci-{token}", "version": "1.24.0"}))
        for form in ("json", "human", "text"):
            with self.subTest(form):
                code, out, err = command("stats", "-f", form, cwd=self.folder, env={"DEPLOY_TOKEN": token})
                self.assertEqual((code, err), (0, ""))
                self.assertIn("1.24.0", out)
                self.assertNotIn(token, out)

    def test_any_locale_will_do(self):
        for env in ({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"PYTHONIOENCODING": "ascii"}):
            with self.subTest(env):
                code, out, err = self.command("stats", env=env)
                self.assertEqual((code, err), (0, ""))
                self.assertIn("name", out)

    def test_a_pipe_that_closes_early_is_no_trouble(self):
        reading, writing = os.pipe()
        os.close(reading)
        with open(writing, "w") as pipe:
            child = self.start("raise", "-e", "-f", "text", stdout=pipe, stderr=subprocess.PIPE)
            _, err = child.communicate(timeout=PATIENCE)
        self.assertEqual((child.returncode, err), (1, ""))

    def test_a_full_disk_is_told(self):
        with open("/dev/full", "w") as full:
            child = self.start("stats", stdout=full, stderr=subprocess.PIPE)
            _, err = child.communicate(timeout=PATIENCE)
        self.assertEqual(
            (child.returncode, err), (2, "python -m status: the answer cannot be written: No space left on device\n")
        )

    def test_closed_streams_are_no_trouble(self):
        child = self.start("raise", "-e", preexec_fn=lambda: (os.close(1), os.close(2)))
        self.assertEqual(child.wait(PATIENCE), 1)

    def test_interruption_and_termination_are_quiet(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            with self.subTest(number):
                child = self.start(
                    "hang", "--watch", "60", "-f", "text", stdout=subprocess.PIPE, stderr=subprocess.PIPE
                )
                assert child.stdout is not None
                self.assertIn("hang/a", child.stdout.readline())
                self.assertIn("STATUS FAIL", child.stdout.readline())
                child.send_signal(number)
                self.assertEqual((*child.communicate(timeout=PATIENCE), child.returncode), ("", "", code))

    def test_an_interrupted_terminal_is_left_clean(self):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        child = self.start("wait", "hang", stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        shown = b""
        while b"waiting for hang" not in shown and select.select([master], [], [], PATIENCE)[0]:
            shown += os.read(master, 4096)
        child.send_signal(signal.SIGINT)
        self.assertEqual(child.wait(PATIENCE), 130)
        while select.select([master], [], [], 0.2)[0]:
            try:
                shown += os.read(master, 4096)
            except OSError:
                break
        self.assertTrue(shown.endswith(CLEAR_LINE.encode()), shown)

    def test_ping_loads_nothing_that_its_answer_does_not_need(self):
        script = (
            "import sys; sys.argv = ['django_status', 'ping', '-f', 'text']\n"
            "before = set(sys.modules)\n"
            "from status.__main__ import main\n"
            "try: main()\n"
            "except SystemExit: pass\n"
            "print(*{*sys.modules} - before)"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], env=bare(), capture_output=True, encoding="utf-8", timeout=PATIENCE
        )
        loaded = set(done.stdout.splitlines()[-1].split())
        self.assertEqual(loaded & {"asgiref", "asyncio", "celery", "django", "git", "http.client", "kombu"}, set())
