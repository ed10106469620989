"""``snippet``: configuration that the other tools accept, with the addresses and deadlines of the project."""

from __future__ import annotations

import json
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
from typing import Any

from django.test import LiveServerTestCase, SimpleTestCase, override_settings
from django.urls import include, path, resolve

from status.cli.arguments import SNIPPETS
from status.cli.snippets import TEMPLATE_FOLDER
from tests import services
from tests.commandline import ask, bare, command

urlpatterns = [path("internal/status/", include("status.urls"))]

PING = ("ping", "status.providers.health.ping")


def slow(timeout: float) -> Any:
    return ("slow", lambda: True, (), {}, {"timeout": timeout})


def snippet(kind: str, *words: str, **options: Any) -> str:
    code, out, err = ask("snippet", kind, *words, **options)
    assert (code, err) == (0, ""), err
    return out


@override_settings(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*", ".shop.example.com"],
    STATUS_PROVIDERS={"health": [PING, slow(7.5)], "stats": [slow(40)]},
)
class ContentTests(SimpleTestCase):
    def test_there_is_a_template_for_each_kind(self):
        self.assertEqual({path.name for path in TEMPLATE_FOLDER.iterdir()}, set(SNIPPETS))

    def test_every_snippet_has_the_real_addresses_and_nothing_left_to_fill_in(self):
        for kind in SNIPPETS:
            with self.subTest(kind):
                text = snippet(kind)
                self.assertNotRegex(text, "@[a-zA-Z_]+@")
                self.assertIn("/internal/status", text)
                self.assertRegex(text, "localhost|shop.example.com")
                for address in re.findall(r"/internal/status/[\w/-]*", text):
                    resolve(address)

    def test_timeouts_match_the_deadlines_of_the_checks(self):
        for kind, part in (
            ("k8s", "timeoutSeconds: 9\n"),
            ("compose", '"-t", "9"'),
            ("compose", "timeout: 12s"),
            ("haproxy", "timeout check 9s"),
            ("haproxy", "inter 10s"),
            ("nginx", "proxy_read_timeout 41s"),
            ("prometheus", "scrape_timeout: 41s"),
            ("prometheus", "scrape_interval: 41s"),
            ("nagios", "-t 9 "),
            ("systemd", "TimeoutStartSec=12s"),
            ("cron", "-t 9 "),
        ):
            with self.subTest(kind, part=part):
                self.assertIn(part, snippet(kind))

    def test_probes_name_a_host_that_the_project_accepts(self):
        self.assertIn('value: "shop.example.com"', snippet("k8s"))
        with override_settings(ALLOWED_HOSTS=["*"]):
            self.assertIn('value: "localhost"', snippet("k8s"))

    def test_liveness_asks_for_nothing_but_ping(self):
        lines = [line.strip() for line in snippet("k8s").splitlines() if "path:" in line]
        self.assertEqual(
            lines, ['path: "/internal/status/api/health/ping"'] * 2 + ['path: "/internal/status/api/health"']
        )

    def test_a_url_of_the_users_own_wins(self):
        for kind in SNIPPETS:
            with self.subTest(kind):
                text = snippet(kind, "--url", "https://[fd00::1]:8443/up/")
                self.assertIn("/up/", text)
                self.assertNotIn("/internal/", text)
        self.assertIn('targets: ["[fd00::1]:8443"]', snippet("prometheus", "--url", "https://[fd00::1]:8443/up/"))
        self.assertIn("scheme: HTTPS\n", snippet("k8s", "--url", "https://shop.example.com/up/"))
        self.assertIn("port: 443\n", snippet("k8s", "--url", "https://shop.example.com/up/"))
        self.assertIn(" check ssl verify required", snippet("haproxy", "--url", "https://shop.example.com/up/"))

    def test_a_project_with_other_names_gets_those(self):
        with override_settings(STATUS_PROVIDERS={"stats": [PING], "wait": [PING, slow(1)]}):
            self.assertIn('path: "/internal/status/api/wait/ping"', snippet("k8s"))
            self.assertIn('"wait/"', snippet("compose"))

    def test_what_is_missing_is_told_in_one_line(self):
        for overrides, words, part in (
            ({"STATUS_PROVIDERS": {"health": []}}, ["k8s"], 'there is no check "ping" for liveness'),
            ({"ROOT_URLCONF": ()}, ["k8s"], "the app has no address here"),
            ({"ROOT_URLCONF": None}, ["k8s"], "the app has no address here"),
            ({}, ["docker", "--url", "http://a/%20/"], "would need quoting"),
            ({}, ["vagrant"], "snippet takes one of"),
        ):
            with self.subTest(part), override_settings(**overrides):
                code, out, err = ask("snippet", *words)
                self.assertEqual((code, out, err.count("\n")), (2, "", 1))
                self.assertIn(part, err)

    def test_without_a_project_the_url_has_to_be_given(self):
        self.assertEqual(command("snippet", "k8s").code, 2)
        code, out, _ = command("snippet", "k8s", "--url", "http://shop:8000/status/")
        self.assertEqual(code, 0)
        self.assertIn("/status/api/health/ping", out)


@override_settings(ROOT_URLCONF=__name__, DEBUG=True, STATUS_PROVIDERS={"health": [PING]})
class ToolTests(SimpleTestCase):
    """Each snippet in the hands of the tool it is made for."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, name: str, text: str) -> str:
        file = self.folder / name
        file.write_text(text)
        return str(file)

    def check(self, *words: str) -> str:
        done = subprocess.run(words, capture_output=True, encoding="utf-8", cwd=self.folder, timeout=60)
        output = done.stdout + done.stderr
        self.assertEqual(done.returncode, 0, output)
        return output

    def yaml(self, text: str) -> Any:
        services.require_module("yaml", "pip install PyYAML")
        # Late: it may be missing.
        import yaml

        return yaml.safe_load(text)

    def test_kubernetes_probes_are_what_a_container_takes(self):
        probes = self.yaml(snippet("k8s"))
        self.assertEqual(list(probes), ["startupProbe", "livenessProbe", "readinessProbe"])
        for probe in probes.values():
            self.assertLessEqual(probe.keys(), {"httpGet", "periodSeconds", "timeoutSeconds", "failureThreshold"})
            self.assertEqual(probe["httpGet"].keys(), {"scheme", "port", "path", "httpHeaders"})
            self.assertIsInstance(probe["httpGet"]["port"], int)
            self.assertLessEqual(probe["timeoutSeconds"], probe["periodSeconds"])

    def test_compose_runs_a_command_line_that_is_understood(self):
        web = self.yaml(snippet("compose"))["services"]["web"]["healthcheck"]
        self.assertEqual(web["test"][:2], ["CMD", "django_status"])
        self.assertLessEqual(web.keys(), {"test", "interval", "timeout", "start_period", "retries"})
        self.assertUnderstood(web["test"][2:])

    def test_the_dockerfile_runs_a_command_line_that_is_understood(self):
        instruction = snippet("docker").replace("\\\n", " ").splitlines()[-1]
        words = json.loads(instruction.partition("CMD ")[2])
        self.assertRegex(instruction, r"^HEALTHCHECK( --[a-z-]+=\w+)+ +CMD \[")
        self.assertUnderstood(words[1:])

    def assertUnderstood(self, words: list[str]) -> None:
        """Nobody listens at that address, and that is all there is to complain about."""
        port = services.free_port()
        code, _, err = ask(*(word.replace("localhost:8000", f"localhost:{port}") for word in words), in_django=False)
        self.assertEqual(code, 2)
        self.assertIn("cannot be reached: ", err)

    def test_nginx_accepts_it(self):
        nginx = services.require("nginx")
        text = f"""
            pid {self.folder}/nginx.pid; error_log {self.folder}/error.log;
            events {{}}
            http {{
                access_log off; client_body_temp_path {self.folder}; proxy_temp_path {self.folder};
                fastcgi_temp_path {self.folder}; uwsgi_temp_path {self.folder}; scgi_temp_path {self.folder};
                server {{ listen 127.0.0.1:{services.free_port()}; {snippet("nginx")} }}
            }}
        """
        self.assertIn(
            "test is successful", self.check(nginx, "-t", "-p", str(self.folder), "-c", self.write("nginx.conf", text))
        )

    def test_haproxy_accepts_it(self):
        haproxy = services.require("haproxy")
        front = "global\ndefaults\n    mode http\n    timeout client 5s\n    timeout server 5s\n"
        front += f"frontend web\n    bind 127.0.0.1:{services.free_port()}\n    default_backend django\n"
        for words in ([], ["--url", "https://127.0.0.1:8443/status/"]):
            with self.subTest(words):
                self.check(haproxy, "-c", "-f", self.write("haproxy.cfg", front + snippet("haproxy", *words)))

    def test_prometheus_accepts_it(self):
        promtool = services.require("promtool")
        with override_settings(STATUS_PROVIDERS={"health": [PING, slow(60)]}):
            self.check(promtool, "check", "config", self.write("prometheus.yml", snippet("prometheus")))

    def test_systemd_accepts_both_units(self):
        systemd = services.require("systemd-analyze")
        text = re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", snippet("systemd"))
        service, timer = text.split("# /etc/systemd/system/django-status.timer\n")
        self.write("django-status.service", service)
        output = self.check(systemd, "verify", "--man=no", self.write("django-status.timer", timer))
        self.assertNotIn("django-status", output)

    def test_the_cron_line_runs_a_command_line_that_is_understood(self):
        line = snippet("cron").splitlines()[-1]
        self.assertRegex(line, r"^\*/5 \* \* \* \* nobody /\S+/django_status ")
        self.assertNotIn("%", line)
        self.assertUnderstood(shlex.split(line)[7:])

    def test_nagios_has_objects_that_belong_together(self):
        text = snippet("nagios")
        objects = dict(re.findall(r"^define (\w+) \{\n(.*?)^\}", text, re.M | re.S))
        directives = {kind: dict(re.findall(r"^ +(\w+) +(.*)$", body, re.M)) for kind, body in objects.items()}
        name, argument = directives["service"]["check_command"].split("!")
        self.assertEqual(name, directives["command"]["command_name"])
        words = shlex.split(directives["command"]["command_line"].replace("$ARG1$", argument))
        port = services.free_port()
        code, out, _ = ask(
            *(word.replace("localhost:8000", f"localhost:{port}") for word in words[1:]), in_django=False
        )
        self.assertEqual(code, 3)
        self.assertTrue(out.startswith("STATUS UNKNOWN - "), out)


@override_settings(STATUS_PROVIDERS={"health": [PING, ("db", lambda: {"default": False})], "a": [PING]})
class PluginTests(LiveServerTestCase):
    """The installed command as a plugin, under the tools that come with Nagios."""

    def test_negate_reads_the_codes_of_the_plugin(self):
        negate = services.require("negate")
        for name, code, word in (("a/", 2, "OK"), ("health/", 0, "CRITICAL"), ("nope/", 3, "UNKNOWN")):
            with self.subTest(name):
                done = subprocess.run(
                    [
                        negate,
                        "-t",
                        "20",
                        sys.executable,
                        "-m",
                        "status",
                        name,
                        "-f",
                        "nagios",
                        "--url",
                        f"{self.live_server_url}/status/",
                    ],
                    env=bare(),
                    capture_output=True,
                    encoding="utf-8",
                    timeout=60,
                )
                self.assertEqual(done.returncode, code, done.stdout + done.stderr)
                self.assertIn(f"STATUS {word} - ", done.stdout)
