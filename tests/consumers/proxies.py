"""Proxies and balancers, which ask before they pass requests on, and the kubelet."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
from typing import Any

from tests import services
from tests.consumers.consumer import (
    Consumer,
    Repeating,
    Words,
    answer,
    snippet,
    words,
)


class Nginx(Consumer):
    """Asks nothing by itself: its answer is that of the site, or a 50x of its own."""

    name = "nginx"
    says = Words("200", "200", "503", "503", "504", "502")
    text = """
        daemon off; pid {folder}/pid; error_log stderr;
        events {{ }}
        http {{
            client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
            uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
            server {{ listen 127.0.0.1:{port};
            {snippet}
            }}
        }}
    """

    def start(self) -> None:
        self.port = services.free_port()
        text = self.text.format(folder=self.directory, port=self.port, snippet=snippet("nginx", self.site))
        self.run(services.require("nginx"), "-c", self.write("nginx.conf", text))

    def verdict(self) -> str:
        # What was on its way when the site was stopped is cut off, and says nothing.
        return str(answer(self.port, "/status/api/health")[0] or answer(self.port, "/status/api/health")[0])


class Apache(Nginx):
    name = "Apache"
    says = Words("200", "200", "503", "503", "502", "503")
    text = """
        ServerName localhost
        Listen 127.0.0.1:{port}
        PidFile {folder}/pid
        ErrorLog {folder}/log
        <VirtualHost 127.0.0.1:{port}>
        {snippet}
        </VirtualHost>
    """

    def start(self) -> None:
        self.port = services.free_port()
        modules = "".join(
            f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"
            for name in ("mpm_event", "authz_core", "proxy", "proxy_http", "headers")
        )
        text = self.text.format(folder=self.directory, port=self.port, snippet=snippet("apache", self.site))
        self.run(services.require("apache2"), "-D", "FOREGROUND", "-f", self.write("apache.conf", modules + text))


class Haproxy(Consumer):
    name = "HAProxy"
    says = words("UP", "DOWN")

    def start(self) -> None:
        self.socket = self.directory / "socket"
        front = f"global\n    stats socket {self.socket}\n"
        front += "defaults\n    mode http\n    timeout client 5s\n    timeout server 5s\n"
        front += f"frontend web\n    bind 127.0.0.1:{services.free_port()}\n    default_backend django\n"
        file = self.write("haproxy.cfg", front + snippet("haproxy", self.site))
        self.run(services.require("haproxy"), "-f", file)

    def verdict(self) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.socket))
            connection.sendall(b"show stat\n")
            lines = b"".join(iter(lambda: connection.recv(65536), b"")).decode().splitlines()
        names = lines[0].lstrip("# ").split(",")
        rows = [dict(zip(names, line.split(","), strict=False)) for line in lines[1:]]
        return next(row["status"] for row in rows if row.get("svname") == "web1").split()[0]


class Varnish(Consumer):
    name = "Varnish"
    says = words("healthy", "sick")

    def start(self) -> None:
        file = self.write("site.vcl", f"vcl 4.1;\n{snippet('varnish', self.site)}")
        self.state = self.directory / "state"
        listen = f"127.0.0.1:{services.free_port()}"
        self.run(services.require("varnishd"), "-F", "-j", "none", "-n", self.state, "-a", listen, "-f", file)

    def verdict(self) -> str:
        command = [services.require("varnishadm"), "-n", str(self.state), "backend.list", "-j"]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60)
        found = next(part for part in json.loads(done.stdout) if isinstance(part, dict))
        return str(next(value["probe_message"][2] for name, value in found.items() if name.endswith(".django")))


class Caddy(Consumer):
    """Passes requests on to a server that it takes for well, and answers 503 by itself where there is none."""

    name = "Caddy"
    says = words("passes on", "503")

    def start(self) -> None:
        self.port = services.free_port()
        options = f"{{\nadmin off\nauto_https disable_redirects\nhttp_port {services.free_port()}\n"
        options += f"https_port {self.port}\nlocal_certs\nskip_install_trust\n"
        options += f"storage file_system {self.directory}\n}}\n"
        file = self.write("Caddyfile", options + snippet("caddy", self.site))
        self.run(services.require("caddy"), "run", "--adapter", "caddyfile", "--config", file)

    def verdict(self) -> str:
        if not services.accepts(self.port):
            return "nothing"
        status, _ = answer(self.port, "/", timeout=1, tls=True)
        return "503" if status == 503 else "passes on"


class Kubelet(Repeating):
    """Follows what Kubernetes documents about HTTP probes: 200 to 399 in time is well, and thresholds count."""

    name = "kubelet, readiness"
    probe = "readinessProbe"
    says = words("ready", "not ready")

    def start(self) -> None:
        services.require_module("yaml", "pip install PyYAML")
        # Late: it may be missing.
        import yaml

        self.rules = yaml.safe_load(snippet("k8s", self.site))[self.probe]
        self.failures = 0
        self.repeat(self.rules["periodSeconds"])

    def ask(self) -> str:
        self.failures = 0 if self.passes(self.rules["httpGet"]) else self.failures + 1
        if not self.failures:
            return self.says.good
        return self.says.dead if self.failures >= self.rules["failureThreshold"] else self.state

    def passes(self, ask: dict[str, Any]) -> bool:
        headers = {"User-Agent": "kube-probe/1.34", "Accept": "*/*", "Connection": "close"}
        headers.update((header["name"], header["value"]) for header in ask["httpHeaders"])
        connection = http.client.HTTPConnection("127.0.0.1", ask["port"], timeout=self.rules["timeoutSeconds"])
        with contextlib.closing(connection):
            try:
                connection.request("GET", ask["path"], headers=headers)
                return 200 <= connection.getresponse().status < 400
            except (OSError, http.client.HTTPException):
                return False


class KubeletLiveness(Kubelet):
    """Three failures, as a restart is a grave step."""

    name = "kubelet, liveness"
    probe = "livenessProbe"
    says = Words("lives", "lives", "lives", "lives", "restarts", "restarts")
    intervals = 3
