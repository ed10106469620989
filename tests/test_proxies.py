"""Behind real proxies, with all that stands in the way of a probe: ping is alive, health honest, nothing redirects."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable

from django.test import SimpleTestCase, tag

from tests import services
from tests.commandline import ask as command

COOKIE = {"Cookie": f"sessionid={'x' * 32}"}
HAPROXY = """
global
    log stdout format raw local0
defaults
    mode http
    timeout connect 2s
    timeout client 10s
    timeout server 10s
    option forwardfor
frontend front
    bind 127.0.0.1:{port}
    use_backend ready if {{ path_beg /ready/ }}
    default_backend alive
backend alive
    option httpchk GET /status/api/health/ping
    http-check expect status 200
    server one 127.0.0.1:{web} check inter 100ms fall 1 rise 1
backend ready
    option httpchk
    http-check send meth GET uri /status/api/health ver HTTP/1.1 hdr Host 10.1.2.3
    http-check expect status 200
    server one 127.0.0.1:{web} check inter 100ms fall 1 rise 1
"""
NGINX = """
daemon off;
pid {folder}/pid;
error_log stderr;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{web};
            proxy_read_timeout {patience}s;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
}}
"""


class Proxy(services.Server):
    """HAProxy or nginx in front of the server on port ``web``, with its configuration in a file."""

    def __init__(self, program: str, option: str, configuration: str, web: int, patience: int = 60) -> None:
        super().__init__([services.require(program), option, "{configuration}"])
        self.configuration, self.web, self.patience = configuration, web, patience

    def prepare(self) -> list[str]:
        command = super().prepare()
        file = self.directory / "configuration"
        file.write_text(self.configuration.format(**vars(self), folder=self.directory))
        return [part.replace("{configuration}", str(file)) for part in command]


@tag("fault")
class ProxyTests(SimpleTestCase):
    def servers(self) -> list[Callable[..., services.Web]]:
        services.require_module("psycopg", "pip install psycopg[binary]")
        return [
            lambda env: services.gunicorn("django.core.wsgi:get_wsgi_application()", "--threads", "4", env=env),
            lambda env: services.uvicorn(
                "django.core.asgi:get_asgi_application", "--factory", "--no-proxy-headers", "--lifespan", "off", env=env
            ),
        ]

    def ask(self, port: int, address: str, origin: str = "127.0.0.1", method: str = "GET", **headers: str):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10, source_address=(origin, 0))
        try:
            connection.request(
                method, address, headers={name.replace("_", "-"): value for name, value in headers.items()}
            )
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def each(self, program: str, option: str, configuration: str, test: Callable[[int], None], **env: str) -> None:
        refused = str(services.refused_port())
        for start in self.servers():
            with (
                start({"DJANGO_SETTINGS_MODULE": "tests.proxied_project", "DEAD_PORT": refused, **env}) as web,
                Proxy(program, option, configuration, web.port) as proxy,
                self.subTest(server=web.command[2]),
            ):
                test(proxy.port)

    def hold(self, port: int) -> None:
        """What every probe gets, whatever it says about the host, and whoever it says it is."""
        for headers in (
            {},
            {"Host": "10.1.2.3"},
            {"Host": "shop.example"},
            {"Host": "evil.example"},
            {"User_Agent": "kube-probe/1.31"},
        ):
            status, answer, body = self.ask(port, "/status/api/health/ping", **headers)
            self.assertEqual((status, body, answer["Location"]), (200, b'{"pong": true}', None))
            status, answer, body = self.ask(port, "/status/api/health", **headers)
            self.assertEqual((status, answer["Location"]), (503, None))
            self.assertEqual(json.loads(body), {"ping": {"pong": True}, "databases": {"default": False}})
            self.assertEqual(self.ask(port, "/status/", **headers)[0], 503)
        status, answer, body = self.ask(port, "/status/api/health", method="HEAD")
        self.assertEqual((status, body), (503, b""))

    def browse(self, port: int) -> None:
        """What a browser gets whose session is in the database that is down."""
        for address, expected in (
            ("/status/api/health/ping", 200),
            ("/status/api/health", 503),
            ("/status/health/", 503),
        ):
            before = time.monotonic()
            status, answer, _ = self.ask(port, address, **COOKIE)
            self.assertEqual((status, answer["Location"], answer["Set-Cookie"]), (expected, None, None), address)
            self.assertLess(time.monotonic() - before, 4)

    def behind_nginx(self, port: int) -> None:
        self.hold(port)
        self.browse(port)
        self.assertEqual(self.ask(port, "/", Host="shop.example")[0], 301)  # the rest of the site does redirect
        # The proxy says who asks; what the caller says of it is worth nothing.
        self.assertEqual(self.ask(port, "/status/api/stats", origin="127.0.0.2")[0], 200)
        self.assertEqual(self.ask(port, "/status/api/stats", origin="127.0.0.3")[0], 403)
        self.assertEqual(self.ask(port, "/status/api/stats", origin="127.0.0.3", X_Forwarded_For="127.0.0.2")[0], 403)

    def behind_haproxy(self, port: int) -> None:
        deadline = time.monotonic() + 10
        while self.ask(port, "/ready/")[0] != 503 or self.ask(port, "/status/api/health/ping")[0] != 200:
            self.assertLess(time.monotonic(), deadline, "HAProxy should see a server that is alive and not ready")
            time.sleep(0.05)
        self.hold(port)

    def test_nginx(self):
        self.each("nginx", "-c", NGINX, self.behind_nginx)

    def test_nginx_with_a_database_that_never_answers(self):
        with services.blackhole() as port:
            self.each("nginx", "-c", NGINX, self.hold, DEAD_PORT=str(port))
            self.each("nginx", "-c", NGINX, self.browse, DEAD_PORT=str(port))

    def test_haproxy_finds_the_server_alive_and_not_ready(self):
        self.each("haproxy", "-f", HAPROXY, self.behind_haproxy)


@tag("fault")
class CommandTests(SimpleTestCase):
    """FAULTS O1: what cron, Docker and Nagios are told of a server by ``--url``, through nginx."""

    def assertEnds(self, code: int, nagios: str, part: str, *words: str) -> None:
        for more in ([], ["-e"], ["-f", "json"]):
            asked = command(*words, *more, in_django=False)
            self.assertEqual(asked.code, code, asked)
            self.assertIn(part, asked.out + asked.err)
        asked = command(*words, "-f", "nagios", in_django=False)
        self.assertEqual((asked.code, asked.err), (["OK", "WARNING", "CRITICAL", "UNKNOWN"].index(nagios), ""))
        self.assertTrue(asked.out.startswith(f"STATUS {nagios} - "), asked.out)

    def test_a_server_that_is_not_well_is_told_from_a_wrong_question(self):
        env = {"DJANGO_SETTINGS_MODULE": "tests.settings"}
        with services.gunicorn("django.core.wsgi:get_wsgi_application()", "--threads", "4", env=env) as web:
            with Proxy("nginx", "-c", NGINX, web.port, patience=1) as nginx:
                url = f"http://127.0.0.1:{nginx.port}/status/"
                ask = ["health/", "--url", url]
                self.assertEqual(command(*ask, "-e", in_django=False).code, 0)
                hint = "its ALLOWED_HOSTS may lack the host"
                self.assertEnds(2, "UNKNOWN", hint, *ask, "--header", "Host: other.example")
                self.assertEnds(2, "UNKNOWN", "answers 404 with text/html", "health/", "--url", f"{url}nowhere/")
                self.assertEnds(2, "UNKNOWN", "There is no resource", "nope/", "--url", url)
                with web.frozen():
                    self.assertEnds(1, "CRITICAL", "answers 504 with text/html", *ask)
                    with nginx.frozen():
                        self.assertEnds(1, "CRITICAL", "did not answer within 0.5 s", *ask, "-t", "0.5")
                self.assertEqual(command(*ask, "-e", in_django=False).code, 0)
                web.kill()
                self.assertEnds(1, "CRITICAL", "answers 502 with text/html", *ask)
            self.assertEnds(1, "CRITICAL", "cannot be reached: Connection refused", *ask)
