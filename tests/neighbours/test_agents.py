"""What agents of monitoring services see of the app, and what they do to it; each from the registry.

Nothing leaves the machine: what an agent would send is written to the server's output, or to a file.
"""

from __future__ import annotations

import http.client
import re
from typing import ClassVar

from django.test import SimpleTestCase, tag

from tests import probes, services
from tests.neighbours import sites
from tests.processes import ROOT

PATHS = ("/status/api/health/databases", "/status/api/health", "/status/api/live", "/status/", "/admin/login/")
ENTRANCE = """
import {agent}
from django.core.{kind} import get_{kind}_application
application = get_{kind}_application()
"""


def line_of(title: str) -> str:
    """Return the code that the documents tell for the agent of this name."""
    section = (ROOT / "docs" / "agents.rst").read_text().split(f"\n{title}\n---")[1].split("\n---")[0]
    block = re.split(r"\.\. code-block:: \w+\n\n", section)[1]
    return "\n".join(line.removeprefix("    ") for line in block.splitlines() if not line or line.startswith("    "))


def status_by_address(port: int, path: str) -> int:
    """Return the HTTP status of a probe by an IP address that is no allowed host."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers={"Host": "10.1.2.3"})
    status = connection.getresponse().status
    connection.close()
    return status


class AgentTestCase(SimpleTestCase):
    """agent: the module that starts the agent, as its documentation says, and has it tell what it saw."""

    agent = ""
    env: ClassVar[dict[str, str]] = {}

    def told(self, lines: str = "", status: int = 200, **env: str) -> set[str]:
        """Ask for each of ``PATHS`` under WSGI and ASGI. Return what the agent made of them."""
        site = sites.Site(**self.env, **env)
        (site.folder / "agent.py").write_text(self.agent.format(folder=site.folder) + lines)
        for kind in ("wsgi", "asgi"):
            (site.folder / f"{kind}_entrance.py").write_text(ENTRANCE.format(agent="agent", kind=kind))
        staff, seen = site.log_in(), []
        for web in (
            services.gunicorn("wsgi_entrance:application", "--threads", "4", env=site.env),
            services.uvicorn("asgi_entrance:application", "--lifespan", "off", "--no-access-log", env=site.env),
        ):
            with web:
                self.assertEqual([probes.get(web.port, path).status for path in PATHS], [200] * 5, web.output)
                self.assertEqual([status_by_address(web.port, path) for path in PATHS[:4]], [status] * 4, web.output)
                self.assertIn(b"Server-Timing", probes.get(web.port, "/status/api/health", staff).head)
                web.terminate(20)
            seen.append(self.read(web.output, str(site.folder)))
        self.assertEqual(seen[0], seen[1], "WSGI and ASGI")
        return seen[0]

    def read(self, output: str, folder: str) -> set[str]:
        return set(re.findall(r"^SEEN (.*)$", output, re.MULTILINE))


@tag("neighbours")
class OpenTelemetryTests(AgentTestCase):
    """FAULTS A11, A19"""

    agent = """
from opentelemetry import trace
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
exporter = ConsoleSpanExporter(formatter=lambda span: "SEEN " + span.name + chr(10))
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))
DjangoInstrumentor().instrument()
"""

    def test_names_are_readable_and_probes_by_address_get_what_its_middleware_says(self) -> None:
        self.assertEqual(
            self.told(status=400),
            {
                "GET status/api/<str:resource>/<str:provider>",
                "GET status/api/<str:resource>",
                "GET status/$",
                "GET admin/login/",
            },
        )

    def test_line_of_the_documents_lets_probes_in_and_leaves_them_out(self) -> None:
        name, value = line_of("OpenTelemetry").strip().removeprefix("export ").split("=")
        # Whoever is logged in passes it on the way to the view.
        self.assertEqual(self.told(**{name: value}), {"GET admin/login/", "GET status/api/<str:resource>"})


@tag("neighbours")
class SentryTests(AgentTestCase):
    """FAULTS A11, A19"""

    agent = """
import sentry_sdk
def tell(envelope):
    for item in envelope.items:
        if item.get_transaction_event():
            print("SEEN", item.get_transaction_event()["transaction"], flush=True)
class Transport(sentry_sdk.Transport):
    def capture_envelope(self, envelope):
        tell(envelope)
real_init = sentry_sdk.init
class sentry_sdk:
    @staticmethod
    def init(**options):
        real_init(dsn="http://key@127.0.0.1:1/1", traces_sample_rate=1.0, transport=Transport, **options)
"""

    def test_names_are_readable(self) -> None:
        self.assertEqual(
            self.told("sentry_sdk.init()"),
            {"/status/api/{resource}/{provider}", "/status/api/{resource}", "/status/", "/admin/login/"},
        )

    def test_line_of_the_documents_leaves_probes_out(self) -> None:
        self.assertEqual(self.told(line_of("Sentry")), {"/admin/login/"})


@tag("neighbours")
class DatadogTests(AgentTestCase):
    """FAULTS A11, A19"""

    env: ClassVar[dict[str, str]] = {
        "DD_TRACE_AGENT_URL": "http://127.0.0.1:1",
        "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
        "DD_REMOTE_CONFIGURATION_ENABLED": "false",
        "DD_SYMBOL_DATABASE_UPLOAD_ENABLED": "false",
    }
    agent = """
import ddtrace.auto
from ddtrace.trace import TraceFilter, tracer
class Tell(TraceFilter):
    def process_trace(self, trace):
        if trace[0].name == "django.request":
            print("SEEN", trace[0].resource, flush=True)
filters = [Tell()]
configure = tracer.configure
def append(trace_processors):
    configure(trace_processors=trace_processors + [Tell()])
tracer.configure = append
"""

    def test_names_are_readable(self) -> None:
        self.assertEqual(
            self.told("tracer.configure([])"),
            {
                "GET status/api/<str:resource>/<str:provider>",
                "GET status/api/<str:resource>",
                "GET status/$",
                "GET admin/login/",
            },
        )

    def test_lines_of_the_documents_leave_probes_out(self) -> None:
        self.assertEqual(self.told(line_of("Datadog")), {"GET admin/login/"})


@tag("neighbours")
class NewRelicTests(AgentTestCase):
    """FAULTS A11, A25: it wraps views, and ping answers all the same."""

    agent = """
import newrelic.agent
with open("{folder}/newrelic.ini", "w") as file:
    file.write("[newrelic]\\nlicense_key=x\\napp_name=x\\ndeveloper_mode=true\\naudit_log_file={folder}/sent\\n")
newrelic.agent.initialize("{folder}/newrelic.ini")
"""

    def read(self, output: str, folder: str) -> set[str]:
        with open(f"{folder}/sent") as file:
            return set(re.findall(r"'WebTransaction/Function/([^']*)'", file.read()))

    def test_names_are_readable(self) -> None:
        self.assertLessEqual(
            {"status.api.views:ReportView.get", "status.views:PageView.get"},
            self.told(),
        )

    def test_lines_of_the_documents_leave_probes_out(self) -> None:
        self.assertEqual(self.told(line_of("New Relic")), {"django.contrib.admin.sites:AdminSite.login"})
