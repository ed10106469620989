"""Monitoring: what keeps what it was answered, and alerts."""

from __future__ import annotations

import getpass
import re
import socket
import struct
import time
import urllib.parse
from typing import Any

from tests import services
from tests.consumers.consumer import (
    INTERVAL,
    Consumer,
    Part,
    Words,
    answer,
    document,
    snippet,
    words,
)


class Prometheus(Consumer):
    """Asks itself, and through the blackbox exporter, and tells the Alertmanager."""

    name = "Prometheus"
    says = Words(
        "no alert",
        "DjangoStatusWarning",
        "DjangoStatusFailing",
        "DjangoStatusFailing",
        "DjangoStatusDown",
        "DjangoStatusDown",
    )
    around = """
  - job_name: blackbox
    metrics_path: /probe
    params: {{module: [django_status], target: ["http://127.0.0.1:{site}/status/api/health"]}}
    scrape_interval: {interval}s
    scrape_timeout: {interval}s
    static_configs: [{{targets: ["127.0.0.1:{blackbox}"]}}]
rule_files: ["{rules}"]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ["127.0.0.1:{manager}"]}}]}}]}}
"""

    def start(self) -> None:
        blackbox = self.run(
            services.require("prometheus-blackbox-exporter"),
            f"--config.file={self.write('blackbox.yml', snippet('blackbox', self.site))}",
            "--web.listen-address=127.0.0.1:{port}",
            kind=services.Web,
        )
        receiver = self.write("alertmanager.yml", "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
        self.alertmanager = self.run(
            services.require("prometheus-alertmanager"),
            f"--config.file={receiver}",
            "--web.listen-address=127.0.0.1:{port}",
            f"--storage.path={self.directory / 'alertmanager'}",
            "--cluster.listen-address=",
            kind=services.Web,
        )
        rules = self.write("django-status.rules.yml", snippet("prometheus-rules", self.site))
        around = self.around.format(
            interval=INTERVAL, site=self.site, blackbox=blackbox.port, manager=self.alertmanager.port, rules=rules
        )
        self.prometheus = self.run(
            services.require("prometheus"),
            f"--config.file={self.write('prometheus.yml', snippet('prometheus', self.site) + around)}",
            "--web.listen-address=127.0.0.1:{port}",
            f"--storage.tsdb.path={self.directory / 'tsdb'}",
            kind=services.Web,
        )

    def query(self, expression: str) -> list[dict[str, Any]]:
        return list(
            document(self.prometheus.port, f"/api/v1/query?query={urllib.parse.quote(expression)}")["data"]["result"]
        )

    def verdict(self) -> str:
        alerts = document(self.prometheus.port, "/api/v1/alerts")["data"]["alerts"]
        return said(alert["labels"]["alertname"] for alert in alerts)


def said(names: Any) -> str:
    """The alerts, apart from the one about a site whose state changes as often as it does here."""
    return ", ".join(sorted(set(names) - {"DjangoStatusFlapping"})) or "no alert"


class Alertmanager(Part):
    """Hears of an alert once its ``for`` is over: two intervals at most, and of a warning after ten minutes."""

    name = "Alertmanager"
    says = Prometheus.says._replace(warning="no alert")
    intervals = 4

    def verdict(self) -> str:
        alerts = document(self.whole.alertmanager.port, "/api/v2/alerts")
        return said(alert["labels"]["alertname"] for alert in alerts)


class Blackbox(Part):
    name = "blackbox exporter"
    says = words("probe_success 1", "probe_success 0")

    def verdict(self) -> str:
        return "".join(f"probe_success {sample['value'][1]}" for sample in self.whole.query("probe_success"))


class Nagios(Consumer):
    """Asks directly, and over NRPE."""

    name = "Nagios"
    says = words("OK", "CRITICAL", warning="WARNING")
    around = """
        define command {{
            command_name nothing
            command_line /bin/true
        }}
        define contact {{
            contact_name nobody
            host_notification_commands nothing
            service_notification_commands nothing
        }}
        define host {{
            host_name 127.0.0.1
            address 127.0.0.1
            max_check_attempts 1
            contacts nobody
        }}
        define service {{
            name generic-service
            register 0
            check_interval {interval}
            retry_interval {interval}
            max_check_attempts 3
            contacts nobody
        }}
        define command {{
            command_name check_nrpe
            command_line {check_nrpe} -H 127.0.0.1 -p {port} -c check_django_status
        }}
        define service {{
            use generic-service
            host_name 127.0.0.1
            service_description nrpe
            check_command check_nrpe
        }}
    """

    def start(self) -> None:
        user = getpass.getuser()
        port = services.free_port()
        nrpe = f"server_address=127.0.0.1\nserver_port={port}\nnrpe_user=nobody\nnrpe_group=nogroup\n"
        nrpe += f"pid_file={self.directory}/nrpe.pid\n{snippet('nrpe', self.site)}"
        self.run_for_others(f"{services.require('nrpe')} -n -f -c {self.write('nrpe.cfg', nrpe)}", {})
        around = self.around.format(interval=INTERVAL, port=port, check_nrpe=f"{services.require('check_nrpe')} -n")
        objects = self.write("objects.cfg", around + snippet("nagios", self.site))
        (self.directory / "results").mkdir()
        self.state = self.directory / "status.dat"
        values = {
            "cfg_file": objects,
            "status_file": self.state,
            "object_cache_file": f"{self.directory}/objects.cache",
            "precached_object_file": f"{self.directory}/objects.precache",
            "check_result_path": f"{self.directory}/results",
            "temp_file": f"{self.directory}/temp",
            "temp_path": self.directory,
            "log_file": f"{self.directory}/log",
            "lock_file": f"{self.directory}/lock",
            "command_file": f"{self.directory}/command",
            "query_socket": f"{self.directory}/query",
            "nagios_user": user,
            "nagios_group": user,
            "interval_length": 1,
            "status_update_interval": 1,
        }
        text = "".join(f"{name}={value}\n" for name, value in values.items())
        self.run(services.require("nagios4"), self.write("nagios.cfg", text))

    def verdict(self) -> str:
        return self.state_of("django-status")

    def state_of(self, service: str) -> str:
        """The state in the file that Nagios writes each second."""
        blocks = self.state.read_text().split("servicestatus {")[1:] if self.state.exists() else []
        block = next((block for block in blocks if f"service_description={service}\n" in block), "")
        found = dict(re.findall(r"^\s*(\w+)=(.*)$", block, re.M))
        if found.get("has_been_checked") != "1":
            return "PENDING"
        return ("OK", "WARNING", "CRITICAL", "UNKNOWN")[int(found["current_state"])]


class Nrpe(Part):
    name = "Nagios with NRPE"
    says = Nagios.says

    def verdict(self) -> str:
        return self.whole.state_of("nrpe")


class Monit(Consumer):
    name = "monit, site"
    says = words("OK", "failed")
    #: Its own test of the process waits that long, before the next cycle begins.
    timeout = 5

    def start(self) -> None:
        self.port = services.free_port()
        around = f"set daemon {INTERVAL}\nset idfile {self.directory}/id\nset statefile {self.directory}/state\n"
        around += f"set pidfile {self.directory}/pid\nset httpd port {self.port} address 127.0.0.1 allow 127.0.0.1\n"
        file = self.write("monitrc", around + snippet("monit", self.site), 0o600)
        self.run(services.require("monit"), "-I", "-c", file)

    def verdict(self) -> str:
        return self.state_of("django-status")

    def state_of(self, service: str) -> str:
        text = answer(self.port, "/_status?format=xml")[1]
        found = re.search(rf"<name>{service}</name>.*?<status>(\d+)</status>", text, re.S)
        return "nothing" if found is None else "OK" if found[1] == "0" else "failed"


class MonitProcess(Part):
    name = "monit, process"
    says = Words("OK", "OK", "OK", "OK", "failed", "failed")
    timeout = Monit.timeout

    def verdict(self) -> str:
        return self.whole.state_of("django-status-live")


class Zabbix(Consumer):
    """The agent, which a server asks for the item at each interval."""

    name = "Zabbix agent"
    says = words("0", "1")

    def start(self) -> None:
        self.port = services.free_port()
        around = f"Server=127.0.0.1\nListenIP=127.0.0.1\nListenPort={self.port}\nHostname=site\nLogType=console\n"
        around += f"ControlSocket={self.directory}/socket\nPidFile={self.directory}/pid\n"
        file = self.write("agent.conf", around + snippet("zabbix", self.site))
        self.run(services.require("zabbix_agent2"), "-f", "-c", file)

    def verdict(self) -> str:
        time.sleep(INTERVAL / 2)
        key = b"django.status"
        with socket.create_connection(("127.0.0.1", self.port), 30) as connection:
            connection.sendall(b"ZBXD\x01" + struct.pack("<Q", len(key)) + key)
            return b"".join(iter(lambda: connection.recv(65536), b""))[13:].decode()


class Collectd(Consumer):
    name = "collectd"
    says = words("OKAY", "FAILURE")

    def start(self) -> None:
        self.log = self.directory / "notifications"
        around = f'Hostname "site"\nBaseDir "{self.directory}"\nPIDFile "{self.directory}/pid"\nInterval {INTERVAL}\n'
        around += 'TypesDB "/usr/share/collectd/types.db"\nLoadPlugin logfile\n'
        around += f'<Plugin logfile>\n    LogLevel "info"\n    File "{self.log}"\n</Plugin>\n'
        file = self.write("collectd.conf", around + snippet("collectd", self.site))
        self.run_for_others(f"{services.require('collectd')} -f -C {file}", {})

    def verdict(self) -> str:
        """The last notification: the threshold tells what changes."""
        told = re.findall(r"Notification: severity = (\w+),", self.log.read_text() if self.log.exists() else "")
        return told[-1] if told else "OKAY"
