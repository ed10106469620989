from __future__ import annotations

import json
import os
import time
import urllib.parse
import urllib.request
from typing import Any
from unittest import mock

from django.test import SimpleTestCase, tag

from example_project.shop.switches import switch
from tests import services

#: Job -> its query.
JOBS = {"negotiated": {}, "openmetrics": {"format": ["openmetrics"]}, "prometheus": {"format": ["prometheus"]}}


def scrape_config(job: str, target: str) -> dict[str, Any]:
    every = {"scrape_interval": "500ms", "scrape_timeout": "500ms"}
    where = {"metrics_path": "/status/api", "params": JOBS[job], "static_configs": [{"targets": [target]}]}
    return {"job_name": job, **every, **where}


class Prometheus(services.Web):
    def ready(self) -> bool:
        return super().ready() and "Server is ready to receive web requests" in self.output


@tag("server")
class PrometheusServerTests(SimpleTestCase):
    """A real Prometheus scrapes the example project, as a stranger."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        program = services.require("prometheus")
        cls.folder = services.directory()
        cls.enter(mock.patch.dict(os.environ, {"EXAMPLE_FOLDER": str(cls.folder)}))
        env = {"DJANGO_SETTINGS_MODULE": "example_project.settings", "EXAMPLE_FOLDER": str(cls.folder), "DEBUG": "0"}
        site = services.gunicorn("example_project.wsgi", "--threads", "4", env=env)
        cls.addClassCleanup(site.stop)
        site.start()
        config = cls.folder / "prometheus.yml"  # JSON is YAML
        config.write_text(
            json.dumps({"scrape_configs": [scrape_config(job, f"127.0.0.1:{site.port}") for job in JOBS]})
        )
        command = [
            program,
            f"--config.file={config}",
            "--web.listen-address=127.0.0.1:{port}",
            f"--storage.tsdb.path={cls.folder / 'tsdb'}",
        ]
        cls.prometheus = Prometheus(command)
        cls.addClassCleanup(cls.prometheus.stop)
        cls.prometheus.start()

    @classmethod
    def enter(cls, context: Any) -> None:
        """``enterClassContext`` of Python 3.11."""
        context.__enter__()
        cls.addClassCleanup(context.__exit__, None, None, None)

    def query(self, expression: str) -> dict[str, float]:
        """What an instant query finds now: job -> value."""
        return {
            sample["metric"]["job"]: float(sample["value"][1])
            for sample in self.ask("query", query=expression)["result"]
        }

    def ask(self, address: str, **query: str) -> Any:
        """What Prometheus answers at an address of its API."""
        url = f"{self.prometheus.url}/api/v1/{address}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=5) as response:
            return json.load(response)["data"]

    def assertComesTo(self, expression: str, value: float) -> None:
        """All three jobs show ``value`` after some scrapes."""
        expected = dict.fromkeys(JOBS, value)
        until = time.monotonic() + 20
        while (found := self.query(expression)) != expected and time.monotonic() < until:
            time.sleep(0.05)
        self.assertEqual(found, expected, f"{expression}\n{self.ask('targets')}")

    def test_every_format_is_scraped_whole(self):
        self.assertComesTo("up", 1)
        self.assertComesTo('django_status_up{resource="health"}', 1)
        self.assertComesTo('django_status_check_up{resource="health",check="databases"}', 1)
        self.assertComesTo('django_status_component_up{resource="health",check="databases",component="default"}', 1)
        self.assertComesTo(
            'django_status_check_state{resource="stats",check="code",django_status_check_state="info"}', 1
        )
        self.assertComesTo('django_status_check_age_seconds{resource="health",check="ping"}', 0)

    def test_a_failure_is_a_sample_and_no_failed_scrape(self):
        self.addCleanup(switch, "health.storage", "ok")
        switch("health.storage", "fail")
        self.assertComesTo('django_status_check_up{resource="health",check="storage"}', 0)
        self.assertComesTo('django_status_up{resource="health"}', 0)
        self.assertComesTo('django_status_up{resource="shop"}', 1)
        self.assertComesTo("min_over_time(up[10s])", 1)
        switch("health.storage", "ok")
        self.assertComesTo('django_status_up{resource="health"}', 1)

    def test_it_negotiates_openmetrics_by_itself(self):
        self.assertComesTo("up", 1)
        described = self.ask("targets/metadata", metric="django_status_check_state")
        kinds = {entry["target"]["job"]: entry["type"] for entry in described}
        self.assertEqual(kinds, {"negotiated": "stateset", "openmetrics": "stateset", "prometheus": "gauge"})
