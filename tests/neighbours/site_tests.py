"""What must hold in each whole site of other people, on PostgreSQL and Redis."""

from __future__ import annotations

import http.client
from typing import Any
from unittest import mock

from tests import probes, services
from tests.neighbours import frozen, sites

#: Seconds until the first answer of a worker that has loaded its site: a connection to each service.
FIRST = 1.0


class SiteTests:
    """For a test case, which names the class of its site and the package without which it is skipped."""

    made: type[sites.Site]
    package: str
    site: sites.Site
    assertEqual: Any
    assertIn: Any
    assertLess: Any
    assertNotIn: Any
    assertTrue: Any
    subTest: Any

    @classmethod
    def setUpClass(cls) -> None:
        services.require_module(cls.package, "python -m tests.neighbours")
        super().setUpClass()  # type: ignore[misc]
        postgres, redis = services.postgres(private=True), services.redis(private=True)
        for server in (postgres, redis):
            cls.addClassCleanup(server.stop)  # type: ignore[attr-defined]
            server.start()
        cls.site = cls.made(postgres, redis)
        cls.staff = cls.site.log_in()

    def assertAnswers(self, port: int) -> None:
        for path in ("/status/api/health", "/status/api/stats", "/status/", "/status/health/", "/status/stats"):
            self.assertEqual(probes.get(port, path).status, 200, path)
            self.assertEqual(probes.get(port, path, self.staff).status, 200, path)
        self.assertIn(b"Server-Timing", probes.get(port, "/status/api/health", self.staff).head)
        self.assertNotIn(b"Server-Timing", probes.get(port, "/status/api/health").head)
        self.assertIn(probes.get(port, "/").status, (200, 302, 404))

    def test_probes_pages_and_staff(self) -> None:
        """FAULTS A29, A32: nothing fails after our page, and no probe waits for the site's own modules."""
        self.site.manage("check", "--fail-level", "WARNING")
        with self.site.server("gunicorn gthread") as web:
            busy = probes.Waiting(*web.tree())
            first = probes.get(web.port, "/status/api/health")
            self.assertEqual((first.status, first.document["databases"]), (200, {"default": True}))
            self.assertLess(first.seconds, FIRST + busy.seconds)
            self.assertAnswers(web.port)
            connection = http.client.HTTPConnection("127.0.0.1", web.port)
            connection.request("GET", "/status/api/health", headers={"Host": "10.1.2.3"})
            self.assertEqual(connection.getresponse().status, 200, "by address")
            connection.close()
            self.assertNotIn("Traceback", web.output)

    def test_without_the_middleware(self) -> None:
        """FAULTS A29: pretix answered 500 to our policy."""
        lines = "from mysite.settings import *\nMIDDLEWARE = MIDDLEWARE[1:]\n"
        (self.site.folder / "bare.py").write_text(lines)
        with mock.patch.dict(self.site.env, DJANGO_SETTINGS_MODULE="bare"):
            web = self.site.server("gunicorn gthread").start()
        with web:
            self.assertAnswers(web.port)
            self.assertNotIn("Traceback", web.output)

    def test_database_or_cache_frozen(self) -> None:
        """FAULTS A2: ``python -m tests.neighbours.frozen`` tries the other servers."""
        for kind, what in (("gunicorn sync", "database"), ("uvicorn", "cache")):
            with self.subTest(kind):
                outcome = frozen.measure(self.site, kind, what, ("_ga=1", "staff"))
                self.assertLess(outcome.excess, 0, outcome)
                seen = (outcome.statuses, outcome.told, outcome.unknown, outcome.killed, outcome.mails)
                self.assertEqual(seen, ({503}, True, 0, 0, 0), outcome)
