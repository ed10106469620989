"""``snippet``: configuration that the other tools accept, with the addresses and deadlines of the project."""

from __future__ import annotations

import configparser
import getpass
import grp
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import urllib.request
from typing import Any
from unittest import skipUnless

import hcl2
from django.test import LiveServerTestCase, SimpleTestCase, override_settings, tag
from django.urls import include, path, resolve

from status.cli.arguments import SNIPPETS
from status.cli.snippets import SNIPPET_FOLDER, UPSTREAMS
from status.formats.metrics import render_metrics
from status.report import Counts
from tests import services
from tests.commandline import ask, bare, command
from tests.reports import report, result
from tests.test_proxies import NGINX, Proxy

urlpatterns = [path("internal/status/", include("status.urls"))]

PING = ("ping", "status.providers.health.ping")
#: Kinds that name no address of the site, and no host.
WITHOUT_ADDRESS = ("prometheus-rules", "grafana")
WITHOUT_HOST = (*WITHOUT_ADDRESS, "alb")
#: Proxies that pass on for which host they were asked.
FORWARDING = ("apache", "nginx")
#: Proxies that ask the site over plain HTTP only.
WITHOUT_TLS = ("varnish",)
#: Where the site is: as a rule, behind TLS, and by an IPv6 address.
SITES = ("http://localhost:8000/status/", "https://127.0.0.1:8443/status/", "http://[::1]:8000/status/")

#: A report that has something for each panel of the dashboard.
SHOWN = report(
    result(name="ping", answer={"pong": True}),
    result(answer={"default": True, "replica": False}, reasons={"replica": "OperationalError"}),
    result("shop", "newsletter", {"queue": False}, critical=False),
    result("shop", "delivery", running=True, sound=False),
    result("stats", "code", {"commit": {"id": "a" * 40}, "checkout": {"id": "b" * 40}}),
    result("stats", "orders", {"open": 42}, metrics=("open",), ages={"backup": 60.0}),
)
UP = 'up{job="django-status",instance="a"}'
WHERE = 'job="django-status",instance="a",resource="health",check="%s"'
#: For a quarter of an hour, what one of two processes behind an address tells.
EVERY_OTHER = " ".join(["1", "_"] * 15)
LABELS = {"job": "django-status", "instance": "a", "resource": "health"}
#: Alert -> the series that it reads, at which times it fires or not, and its labels.
ALERTS: dict[str, tuple[dict[str, str], dict[str, bool], dict[str, str]]] = {
    "DjangoStatusDown": (
        {UP: "1 1 0x6 1x6"},
        {"1m": False, "3m": True, "6m": False},
        {"job": "django-status", "instance": "a", "severity": "critical"},
    ),
    "DjangoStatusAbsent": (
        {UP: "1 1 _x20 1x10"},
        {"1m": False, "9m": True, "14m": False},
        {"job": "django-status", "severity": "critical"},
    ),
    "DjangoStatusFailing": (
        {'django_status_check_state{%s,django_status_check_state="fail"}' % (WHERE % "db"): "0 0 1x6 0x6"},
        {"1m": False, "3m": True, "6m": False},
        {**LABELS, "check": "db", "django_status_check_state": "fail", "severity": "critical"},
    ),
    "DjangoStatusWarning": (
        {'django_status_check_state{%s,django_status_check_state="warn"}' % (WHERE % "db"): "0 0 1x30 0x6"},
        {"5m": False, "14m": True, "18m": False},
        {**LABELS, "check": "db", "django_status_check_state": "warn", "severity": "warning"},
    ),
    "DjangoStatusFlapping": (
        {"django_status_check_up{%s}" % (WHERE % "db"): "1 0 1 0 1x60"},
        {"1m": False, "3m": True, "20m": False},
        {**LABELS, "check": "db", "severity": "warning"},
    ),
    "DjangoStatusTwoCommits": (
        {
            'django_status_build_info{job="django-status",instance="a",commit="1"}': f"{EVERY_OTHER} _x40",
            'django_status_build_info{job="django-status",instance="a",commit="2"}': "1x70",
        },
        {"5m": False, "12m": True, "25m": False},
        {"job": "django-status", "severity": "warning"},
    ),
    "DjangoStatusStaleCode": (
        {'django_status_build_stale{job="django-status",instance="a",commit="1"}': f"0x20 {EVERY_OTHER} _x40"},
        {"10m": False, "15m": False, "22m": True, "35m": False},
        {"job": "django-status", "instance": "a", "commit": "1", "severity": "warning"},
    ),
    "DjangoStatusHeartbeatLate": (
        {'django_status_component_up{%s,component="backup"}' % (WHERE % "heartbeats"): "1 1 0x6 1x6"},
        {"1m": False, "3m": True, "6m": False},
        {**LABELS, "check": "heartbeats", "component": "backup", "severity": "critical"},
    ),
}
#: The times for the same series at the longest interval, of two minutes.
SLOWLY: dict[str, dict[str, bool]] = {
    "DjangoStatusDown": {"4m": False, "12m": True, "24m": False},
    "DjangoStatusAbsent": {"4m": False, "36m": True, "56m": False},
    "DjangoStatusFailing": {"4m": False, "12m": True, "24m": False},
    "DjangoStatusWarning": {"10m": False, "40m": True, "72m": False},
    "DjangoStatusFlapping": {"4m": False, "10m": True, "30m": False},
    "DjangoStatusTwoCommits": {"6m": False, "40m": True, "90m": False},
    "DjangoStatusStaleCode": {"40m": False, "48m": False, "70m": True, "130m": False},
    "DjangoStatusHeartbeatLate": {"4m": False, "12m": True, "24m": False},
}


def slow(timeout: float) -> Any:
    return ("slow", lambda: True, (), {}, {"timeout": timeout})


def own_url(kind: str) -> str:
    return f"{'http' if kind in WITHOUT_TLS else 'https'}://[fd00::1]:8443/up/"


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
        self.assertEqual({path.name for path in SNIPPET_FOLDER.iterdir()}, set(SNIPPETS))

    def test_every_snippet_has_the_real_addresses_and_nothing_left_to_fill_in(self):
        for kind in SNIPPETS:
            with self.subTest(kind):
                text = snippet(kind)
                self.assertNotRegex(text, "@[a-zA-Z_]+@")
                self.assertEqual("/internal/status" in text, kind not in WITHOUT_ADDRESS)
                self.assertEqual(bool(re.search("localhost|shop.example.com", text)), kind not in WITHOUT_HOST)
                for address in re.findall(r"/internal/status/[\w/-]*", text):
                    resolve(address)

    def test_timeouts_match_the_deadlines_of_the_checks(self):
        for kind, part in (
            ("k8s", "timeoutSeconds: 9\n"),
            ("compose", "-t 9 "),
            ("compose", "timeout: 12s"),
            ("haproxy", "timeout check 9s"),
            ("haproxy", "inter 10s"),
            ("nginx", "proxy_read_timeout 41s"),
            ("prometheus", "scrape_timeout: 41s"),
            ("prometheus", "scrape_interval: 41s"),
            ("nagios", "-t 9 "),
            ("prometheus-rules", "for: 82s"),
            ("varnish", ".timeout = 9s;"),
            ("caddy", "health_timeout 9s"),
            ("icinga2", '"-t", "9"'),
            ("alb", "timeout             = 9\n"),
            ("systemd", "TimeoutStartSec=12s"),
            ("cron", "-t 9 "),
            ("collectd", "-t 9 "),
            ("collectd", "Interval 10\n"),
        ):
            with self.subTest(kind, part=part):
                self.assertIn(part, snippet(kind))

    def test_a_load_balancer_of_aws_asks_less_often_than_it_waits(self):
        with override_settings(STATUS_PROVIDERS={"health": [PING, slow(20)]}):
            facts = dict(re.findall(r"(interval|timeout) += (\d+)", snippet("alb")))
        self.assertGreater(int(facts["interval"]), int(facts["timeout"]))

    def test_an_interval_may_be_chosen(self):
        for kind, part in (
            ("k8s", "periodSeconds: 60\n"),
            ("haproxy", "inter 60s"),
            ("prometheus", "scrape_interval: 60s"),
            ("prometheus-rules", "    interval: 60s\n"),
            ("prometheus-rules", "for: 120s"),
            ("docker", "--interval=60s"),
            ("compose", "interval: 60s"),
            ("icinga2", "check_interval = 60s"),
            ("systemd", "OnUnitActiveSec=60s"),
            ("supervisor", "--watch 60"),
            ("collectd", "Interval 60\n"),
            ("cron", "\n*/1 * * * * "),
            ("healthchecks", "\n*/1 * * * * "),
            ("uptime-kuma", "\n*/1 * * * * "),
        ):
            with self.subTest(kind, part=part):
                self.assertIn(part, snippet(kind, "--interval", "60"))
        self.assertIn("\n*/5 * * * * ", snippet("cron"))
        self.assertIn("\n*/1 * * * * ", snippet("uptime-kuma"))
        self.assertIn("\n*/15 * * * * ", snippet("uptime-kuma", "--interval", "900"))

    def test_an_interval_is_honoured_or_refused(self):
        for kind in SNIPPETS:
            with self.subTest(kind):
                code, out, err = ask("snippet", kind, "--interval", "120")
                if code:
                    self.assertIn(f"--interval does not go with snippet {kind}, which does not say how often", err)
                else:
                    self.assertRegex(out, r"(?<!\d)120(?!\d)|\*/2 ")
                    self.assertNotEqual(out, snippet(kind))

    def test_a_check_that_takes_longer_than_prometheus_may_wait_is_told(self):
        with override_settings(STATUS_PROVIDERS={"health": [PING], "stats": [slow(400)]}):
            for words in (("prometheus",), ("prometheus-rules", "--interval", "500")):
                code, out, err = ask("snippet", *words)
                self.assertEqual((code, out), (2, ""))
                self.assertIn("may take 401 s, and Prometheus has to ask every 120 s; give the slow checks", err)
            self.assertIn("periodSeconds: 10\n", snippet("k8s"))

    def test_probes_name_a_host_that_the_project_accepts(self):
        self.assertIn('value: "shop.example.com"', snippet("k8s"))
        with override_settings(ALLOWED_HOSTS=["*"]):
            self.assertIn('value: "localhost"', snippet("k8s"))

    def test_every_snippet_says_where_a_token_goes(self):
        """FAULTS O6: a closed site answers strangers 401."""
        for kind in SNIPPETS:
            with self.subTest(kind):
                # Docker asks for ping, which is open to everyone.
                self.assertEqual("token" in snippet(kind).lower(), kind not in ("prometheus-rules", "docker"))

    def test_commands_and_probes_send_a_host_that_the_project_accepts(self):
        """FAULTS O5: ``localhost`` alone is 400 where ``ALLOWED_HOSTS`` does not have it."""
        for kind in SNIPPETS:
            # A scraper cannot, and says so; nor can AWS.
            if kind not in (*WITHOUT_ADDRESS, *FORWARDING, "prometheus", "alb"):
                with self.subTest(kind):
                    self.assertIn("shop.example.com", snippet(kind))
                    self.assertIn("[fd00::1]", snippet(kind, "--url", own_url(kind)))

    def test_list_says_what_each_is_for(self):
        code, out, err = ask("snippet", "--list")
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(dict(re.findall(r"^(\S+) +(.+)$", out, re.M)), SNIPPETS)

    def test_each_probe_of_kubernetes_asks_what_it_is_for(self):
        self.assertEqual(re.findall(r'path: "/internal/status/api/(.+)"', snippet("k8s")), ["startup", "live", "ready"])
        with override_settings(STATUS_PROVIDERS={"health": [PING], "startup": [PING]}):  # of the project's
            self.assertEqual(
                re.findall(r'path: "/internal/status/api/(.+)"', snippet("k8s")), ["live", "live", "ready"]
            )

    def test_startup_waits_for_five_minutes(self):
        for timeout, lines in (
            (2, ("periodSeconds: 3\n", "failureThreshold: 100\n")),
            (40, ("failureThreshold: 8\n",)),
        ):
            with override_settings(STATUS_PROVIDERS={"health": [PING, slow(timeout)]}):
                for line in lines:
                    self.assertIn(line, snippet("k8s").partition("livenessProbe")[0])

    def test_a_proxy_forwards_for_which_host_it_was_asked(self):
        """That of a page elsewhere, whose name leads to this server, has to stay unknown."""
        self.assertIn("proxy_set_header Host $host;", snippet("nginx"))
        self.assertIn("ProxyPreserveHost On", snippet("apache"))

    def test_who_sends_requests_hears_of_a_drain(self):
        """A project's own resource of that name is no such thing."""
        self.assertIn("/status/api/ready ", snippet("haproxy"))
        own = {"health": [PING], "live": [PING], "ready": [PING]}
        with override_settings(STATUS_PROVIDERS=own):
            self.assertIn("/status/api/health ", snippet("haproxy"))
            self.assertIn('"/internal/status/api/health/ping"', snippet("k8s"))

    def test_a_url_of_the_users_own_wins(self):
        for kind in SNIPPETS:
            with self.subTest(kind):
                text = snippet(kind, "--url", own_url(kind))
                self.assertEqual("/up/" in text, kind not in WITHOUT_ADDRESS)
                self.assertNotIn("/internal/", text)
        self.assertIn('targets: ["[fd00::1]:8443"]', snippet("prometheus", "--url", "https://[fd00::1]:8443/up/"))
        self.assertIn("scheme: HTTPS\n", snippet("k8s", "--url", "https://shop.example.com/up/"))
        self.assertIn("port: 443\n", snippet("k8s", "--url", "https://shop.example.com/up/"))
        self.assertIn(" check ssl verify required", snippet("haproxy", "--url", "https://shop.example.com/up/"))

    def test_a_proxy_that_asks_over_tls_says_so(self):
        url = ("--url", "https://shop.example.com/up/")
        for kind, part in (
            ("nginx", "    proxy_ssl_server_name on;\n    proxy_ssl_name shop.example.com;\n"),
            ("apache", "SSLProxyEngine On\n<Location"),
        ):
            with self.subTest(kind):
                self.assertIn(part, snippet(kind, *url))
                for words in ([], [*url, "--socket", "/run/web.sock"]):
                    self.assertNotIn("ssl", snippet(kind, *words).lower())

    def test_a_proxy_may_reach_the_project_by_a_unix_socket(self):
        for kind, part in (
            ("nginx", "proxy_pass http://unix:/run/web.sock;"),
            ("apache", 'ProxyPass "unix:/run/web.sock|http://localhost/internal/status/"'),
            ("haproxy", "server web1 /run/web.sock check\n"),
            ("caddy", "reverse_proxy unix//run/web.sock {"),
        ):
            with self.subTest(kind):
                self.assertIn(part, snippet(kind, "--socket", "/run/web.sock"))

    def test_a_project_with_other_names_gets_those(self):
        with override_settings(STATUS_PROVIDERS={"stats": [PING], "wait": [PING, slow(1)]}):
            self.assertIn('path: "/internal/status/api/live"', snippet("k8s"))
            self.assertIn("django_status wait/ -e", snippet("compose"))

    def test_what_is_missing_is_told_in_one_line(self):
        for overrides, words, part in (
            ({"STATUS_PROVIDERS": {"health": []}}, ["k8s"], 'there is no check "ping" for liveness'),
            ({"ROOT_URLCONF": ()}, ["k8s"], "the app has no address here"),
            ({"ROOT_URLCONF": None}, ["k8s"], "the app has no address here"),
            ({}, ["docker", "--url", "http://a/%20/"], "would need quoting"),
            ({}, ["vagrant"], "snippet takes one of"),
            ({}, ["k8s", "--socket", "/run/a"], "--socket goes with snippet nginx, apache, haproxy, caddy, not"),
            ({}, ["k8s", "--interval", "40"], "--interval takes whole seconds from 41 to 1800 here, not 40"),
            ({}, ["k8s", "--interval", "41.5"], "from 41 to 1800 here, not 41.5"),
            ({}, ["k8s", "--interval", "3600"], "from 41 to 1800 here, not 3600"),
            ({}, ["alb", "--interval", "301"], "from 42 to 300 here, not 301"),
            ({}, ["prometheus", "--interval", "121"], "from 41 to 120 here, not 121"),
            ({}, ["prometheus-rules", "--interval", "300"], "from 41 to 120 here, not 300"),
            ({}, ["cron", "--interval", "50"], "--interval takes whole minutes that divide an hour, as 60, 300 or"),
            ({}, ["healthchecks", "--interval", "90"], "with snippet healthchecks, not 90"),
            ({}, ["uptime-kuma", "--interval", "420"], "with snippet uptime-kuma, not 420"),
            ({}, ["monit", "--interval", "60"], "--interval does not go with snippet monit"),
            ({}, ["varnish", "--url", "https://a/"], "Varnish asks no backend over TLS; give an http address as --url"),
            ({}, ["k8s", "--interval", "often"], "'often' is not a number of seconds"),
            ({}, ["nginx", "--socket", "run/a"], "--socket should be an absolute path"),
            ({}, ["nginx", "--socket", "/run/a b"], "that needs no quoting"),
            ({}, ["nginx", "-q"], "--quiet does not go with snippet"),
        ):
            with self.subTest(part), override_settings(**overrides):
                code, out, err = ask("snippet", *words)
                self.assertEqual((code, out, err.count("\n")), (2, "", 1))
                self.assertIn(part, err)

    def test_without_a_project_the_url_has_to_be_given(self):
        self.assertEqual(command("snippet", "k8s").code, 2)
        code, out, _ = command("snippet", "k8s", "--url", "http://shop:8000/status/")
        self.assertEqual(code, 0)
        self.assertIn("/status/api/live", out)


@override_settings(ROOT_URLCONF=__name__, DEBUG=True, STATUS_PROVIDERS={"health": [PING]})
@tag("server")
class ToolTests(SimpleTestCase):
    """FAULTS O12: each snippet in the hands of the tool it is made for."""

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
        self.assertEqual(web["test"][0], "CMD-SHELL")
        self.assertLessEqual(web.keys(), {"test", "interval", "timeout", "start_period", "start_interval", "retries"})
        self.assertEndsAsDockerWants(web["test"][1])

    def test_the_dockerfile_runs_a_command_line_that_is_understood(self):
        instruction = snippet("docker").replace("\\\n", " ").splitlines()[-1]
        self.assertRegex(instruction, r"^HEALTHCHECK( --[a-z-]+=\w+)+ +CMD django_status ")
        self.assertEndsAsDockerWants(instruction.partition("CMD ")[2])

    def assertEndsAsDockerWants(self, line: str) -> None:
        """FAULTS O10: 0 or 1, as Docker reserves 2; here where nobody listens, and where the command is mistaken."""
        self.assertUnderstood(shlex.split(line.removesuffix(" || exit 1"))[1:])
        program = f"{shlex.quote(sys.executable)} -m status"
        port = services.free_port()
        for mistake in ("", " --token ''"):
            shell = line.replace("localhost:8000", f"localhost:{port}").replace("django_status", program + mistake, 1)
            done = subprocess.run(["sh", "-c", shell], env=bare(), capture_output=True, timeout=60)
            self.assertEqual((done.returncode, done.stdout), (1, b""))
            self.assertEqual(b"the token should be" in done.stderr, bool(mistake))

    def assertUnderstood(self, words: list[str]) -> None:
        """Nobody listens at that address, and that is all there is to complain about."""
        port = services.free_port()
        code, _, err = ask(*(word.replace("localhost:8000", f"localhost:{port}") for word in words), in_django=False)
        self.assertEqual(code, 1)
        self.assertIn("cannot be reached: ", err)

    def test_nginx_accepts_it(self):
        nginx = services.require("nginx")
        for location in self.each_site("nginx"):
            text = f"""
                pid {self.folder}/nginx.pid; error_log {self.folder}/error.log;
                events {{}}
                http {{
                    access_log off; client_body_temp_path {self.folder}; proxy_temp_path {self.folder};
                    fastcgi_temp_path {self.folder}; uwsgi_temp_path {self.folder}; scgi_temp_path {self.folder};
                    server {{ listen 127.0.0.1:{services.free_port()}; {location} }}
                }}
            """
            output = self.check(nginx, "-t", "-p", str(self.folder), "-c", self.write("nginx.conf", text))
            self.assertIn("test is successful", output)

    def test_nginx_reaches_the_project_by_a_unix_socket(self):
        socket = str(self.folder / "web.sock")
        text = snippet("nginx", "--url", "http://localhost/status/", "--socket", socket)
        location = text.replace("{", "{{").replace("}", "}}")
        config = f"user {getpass.getuser()};\n" + NGINX.replace("location / ", f"{location} location / ")
        env = {"DJANGO_SETTINGS_MODULE": "tests.proxied_project", "DEAD_PORT": str(services.refused_port())}
        web = services.gunicorn("django.core.wsgi:get_wsgi_application()", "-b", f"unix:{socket}", env=env)
        with web, Proxy("nginx", "-c", config, services.refused_port()) as nginx:
            for url in (web.url, f"http://127.0.0.1:{nginx.port}"):  # the first waits until the code is loaded
                with urllib.request.urlopen(f"{url}/status/api/health/ping", timeout=30) as response:
                    self.assertEqual(response.read(), b'{"pong": true}')

    def test_haproxy_accepts_it(self):
        """FAULTS O4: by https it verifies the certificate, for the name that it asks for, and checks with GET."""
        https = snippet("haproxy", "--url", "https://shop.example.com/status/")
        for part in ("sni str(shop.example.com)", "check-sni shop.example.com", "verifyhost shop.example.com"):
            self.assertIn(part, https)
        self.assertRegex(https, r"option httpchk\n(.*\n)? *http-check send meth GET ")
        haproxy = services.require("haproxy")
        front = "global\ndefaults\n    mode http\n    timeout client 5s\n    timeout server 5s\n"
        front += f"frontend web\n    bind 127.0.0.1:{services.free_port()}\n    default_backend django\n"
        for text in self.each_site("haproxy"):
            self.check(haproxy, "-c", "-f", self.write("haproxy.cfg", front + text))

    def test_prometheus_accepts_it(self):
        promtool = services.require("promtool")
        with override_settings(STATUS_PROVIDERS={"health": [PING, slow(60)]}):
            self.check(promtool, "check", "config", self.write("prometheus.yml", snippet("prometheus")))

    @skipUnless(sys.version_info >= (3, 11), "Grafana's own library needs Python 3.11")
    def test_grafana_knows_every_word_of_the_dashboard(self):
        services.require_module("grafana_foundation_sdk", "pip install grafana-foundation-sdk")
        # Late: it may be missing.
        from grafana_foundation_sdk.cog.encoder import JSONEncoder
        from grafana_foundation_sdk.cog.plugins import register_default_plugins
        from grafana_foundation_sdk.models.dashboard import Dashboard

        register_default_plugins()
        document = json.loads(snippet("grafana"))
        # What it does not know, it does not write.
        written = json.loads(json.dumps(Dashboard.from_json(document), cls=JSONEncoder))
        self.assertContains(document, written)
        kinds = [panel["type"] for panel in document["panels"]]
        self.assertLessEqual({"state-timeline", "timeseries", "stat", "table"}, set(kinds))

    def assertContains(self, part: Any, whole: Any, where: str = "dashboard") -> None:
        """All of ``part`` is in ``whole``, which may have more keys, at any depth."""
        if isinstance(part, dict):
            for key, value in part.items():
                self.assertIn(key, whole, where)
                self.assertContains(value, whole[key], f"{where}.{key}")
        elif isinstance(part, list):
            self.assertEqual(len(part), len(whole), where)
            for number, (one, other) in enumerate(zip(part, whole, strict=True)):
                self.assertContains(one, other, f"{where}[{number}]")
        else:
            self.assertEqual(part, whole, where)

    def test_every_panel_of_the_dashboard_finds_what_it_shows(self):
        """In metrics as they are written, not as this test knows them."""
        promtool = services.require("promtool")
        panels = {panel["title"]: panel for panel in json.loads(snippet("grafana"))["panels"]}
        queries = {
            title: re.sub(r"\$__\w+", "5m", re.sub(r"\$(job|instance)", ".*", target["expr"]))
            for title, panel in panels.items()
            for target in panel["targets"]
        }
        tests = [
            {"expr": f"count({query}) > bool 0", "eval_time": "5m", "exp_samples": [{"labels": "{}", "value": 1}]}
            for query in queries.values()
        ]
        states = {
            ("health", "ping"): 0,
            ("health", "databases"): 3,
            ("shop", "newsletter"): 2,
            ("shop", "delivery"): 1,
        }
        samples = [
            {"labels": f'{{resource="{resource}",check="{check}"}}', "value": value}
            for (resource, check), value in states.items()
        ]
        tests.append({"expr": queries["Checks"], "eval_time": "5m", "exp_samples": samples})
        counted = {(one.resource, one.name): Counts(9, 3, 1.7e9) for one in SHOWN.results}
        written = render_metrics(SHOWN._replace(counts=counted), True, openmetrics=False)
        series = [
            {"series": sample.replace("{", '{job="django-status",instance="a",', 1), "values": f"{value}+0x20"}
            for sample, value in re.findall(r"^([a-z].*) (\S+)$", written, re.M)
        ]
        document = {"tests": [{"interval": "30s", "input_series": series, "promql_expr_test": tests}]}
        self.check(promtool, "test", "rules", self.write("tests.yml", json.dumps(document)))  # JSON is YAML

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
        self.assertEqual(directives["service"]["check_command"], directives["command"]["command_name"])
        words = shlex.split(directives["command"]["command_line"])
        port = services.free_port()
        code, out, _ = ask(
            *(word.replace("localhost:8000", f"localhost:{port}") for word in words[1:]), in_django=False
        )
        self.assertEqual(code, 2)
        self.assertTrue(out.startswith("STATUS CRITICAL - "), out)

    def each_site(self, kind: str) -> list[str]:
        """The snippet for each of ``SITES``, and for a Unix socket, with a program that is there."""
        texts = [snippet(kind, "--url", url) for url in SITES if kind not in WITHOUT_TLS or url.startswith("http:")]
        if kind in UPSTREAMS:
            texts.append(snippet(kind, "--socket", "/run/web.sock"))
        return [re.sub(r"/\S*/django_status", "/bin/true", text) for text in texts]

    def test_apache_accepts_it(self):
        apache = services.require("apache2")
        modules = "".join(
            f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"
            for name in ("mpm_event", "authz_core", "proxy", "proxy_http", "headers", "ssl")
        )
        for text in self.each_site("apache"):
            host = f"ServerName x\nListen 9\nErrorLog {self.folder}/log\n<VirtualHost *:9>\n{text}\n</VirtualHost>\n"
            self.check(apache, "-t", "-f", self.write("apache.conf", modules + host))

    def test_varnish_accepts_it(self):
        varnish = services.require("varnishd")
        for text in self.each_site("varnish"):
            self.check(
                varnish, "-j", "none", "-C", "-n", str(self.folder), "-f", self.write("site.vcl", f"vcl 4.1;\n{text}")
            )

    def test_caddy_accepts_it(self):
        caddy = services.require("caddy")
        for text in self.each_site("caddy"):
            self.check(caddy, "adapt", "--validate", "--adapter", "caddyfile", "--config", self.write("site", text))

    def test_monit_accepts_it(self):
        monit = services.require("monit")
        for text in self.each_site("monit"):
            file = self.write("monitrc", f"set daemon 60\nset idfile {self.folder}/id\n{text}")
            pathlib.Path(file).chmod(0o600)
            self.check(monit, "-t", "-c", file)

    def test_icinga_accepts_it(self):
        icinga = services.require("icinga2")
        node = 'const NodeName = "n"\nconst ZoneName = "z"\nobject Endpoint NodeName {}\n'
        node += "object Zone ZoneName { endpoints = [ NodeName ] }\ninclude <itl>\ninclude <plugins>\n"
        folders = [f"-D{name}={self.folder}" for name in ("PluginDir", "DataDir", "CacheDir", "LogDir", "SpoolDir")]
        folders += [f"-DRunAsUser={getpass.getuser()}", f"-DRunAsGroup={grp.getgrgid(os.getgid()).gr_name}"]
        for text in self.each_site("icinga2"):
            self.check(icinga, "daemon", "-C", *folders, "-c", self.write("site.conf", node + text))

    def test_zabbix_runs_it(self):
        zabbix = services.require("zabbix_agent2")
        for text in self.each_site("zabbix"):
            file = self.write("agent.conf", f"Server=127.0.0.1\nLogType=console\n{text}")
            self.assertIn("[s|0]", self.check(zabbix, "-c", file, "-t", "django.status"))

    def test_blackbox_exporter_accepts_it(self):
        exporter = services.require("prometheus-blackbox-exporter")
        for text in self.each_site("blackbox"):
            self.check(exporter, "--config.check", f"--config.file={self.write('blackbox.yml', text)}")

    def test_documents_are_what_their_readers_take(self):
        for text in self.each_site("traefik"):
            health = self.yaml(text)["http"]["services"]["django"]["loadBalancer"]["healthCheck"]
            self.assertEqual(health.keys(), {"scheme", "path", "hostname", "interval", "timeout"})
        for text in self.each_site("datadog"):
            (instance,) = self.yaml(text)["instances"]
            self.assertTrue(instance["openmetrics_endpoint"].endswith("/status/api?format=openmetrics"))
        for text in self.each_site("github-actions"):
            self.assertEqual(self.yaml(text)[0].keys(), {"name", "run"})
        for text in self.each_site("consul"):
            (service,) = hcl2.loads(text)["service"]
            (check,) = service["check"]
            self.assertIn("/status/api/ready", check["http"])
        for text in self.each_site("alb"):
            (resource,) = hcl2.loads(text)["resource"]
            self.assertIn("aws_lb_target_group", str(resource))
        for text in self.each_site("supervisor"):
            parser = configparser.RawConfigParser()
            parser.read_string(text)
            self.assertEqual(parser.sections(), ["program:django-status"])

    def test_shells_understand_the_lines_of_crontabs(self):
        for kind in ("healthchecks", "uptime-kuma"):
            for text in self.each_site(kind):
                line = text.splitlines()[-1]
                self.assertRegex(line, r"^\S+ \* \* \* \* ")
                self.assertNotIn("%", line)
                self.check("sh", "-n", "-c", line.split(maxsplit=5)[5])

    def test_alerts_fire_and_recover(self):
        """FAULTS O2: a dead server, an absent one, a failure, a warning, flapping, stale code, a late heartbeat."""
        rules = snippet("prometheus-rules")
        names = re.findall(r"alert: (\w+)", rules)
        self.assertEqual(names, list(ALERTS))
        written = render_metrics(SHOWN, True, openmetrics=False)
        for name in re.findall(r"django_status_\w+(?=[{[])", rules):
            self.assertIn(f"\n{name}{{", written)
        self.assertFires(rules, "30s", {name: moments for name, (_, moments, _) in ALERTS.items()})

    def test_alerts_fire_and_recover_at_the_longest_interval(self):
        self.assertFires(snippet("prometheus-rules", "--interval", "120"), "120s", SLOWLY)

    def assertFires(self, rules: str, interval: str, alerts: dict[str, dict[str, bool]]) -> None:
        """Each alert fires at the times at which it should and at no other, when it is asked so often."""
        promtool = services.require("promtool")
        tests = [
            {
                "interval": interval,
                "input_series": [{"series": series, "values": values} for series, values in ALERTS[name][0].items()],
                "alert_rule_test": [
                    {"alertname": name, "eval_time": at, "exp_alerts": [{"exp_labels": ALERTS[name][2]}] * fires}
                    for at, fires in moments.items()
                ],
            }
            for name, moments in alerts.items()
        ]
        # What an alert says is another matter.
        self.write("rules.yml", re.sub(r"\n +annotations:\n +summary: .*", "", rules))
        document = {"rule_files": ["rules.yml"], "evaluation_interval": interval, "tests": tests}
        self.check(promtool, "test", "rules", self.write("tests.yml", json.dumps(document)))  # JSON is YAML


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
