"""The full-size runs: ten thousand probes on each kind of server, and what they leave behind. Prints its figures."""

from __future__ import annotations

import threading
import time
from typing import Any

from django.test import SimpleTestCase, tag

from tests import probes, services
from tests.components import eventually
from tests.fault_project.servers import KINDS, Project

PROBES, HUNG, HERD = 10_000, 1_000, 500
#: Asked before anything is measured: caches fill, and memory finds its level.
WARM_UP = 2_000
#: How many of those ask the Celery worker too, which takes longer than all the rest.
REMOTE = 1_000
#: Clients at a time.
CROWD = 50
LOCAL = "/status/api?skip=celery"
#: Bytes by which a process may grow, and while a check hangs.
GROWTH, GROWTH_HUNG = 2_000_000, 5_000_000
#: Bytes from which freed memory goes back at once. Python copies its table of interned strings, of 2 MB here, every few
#: thousand requests under uWSGI, a plain page's too; what is freed then would else count as used, or not, by chance.
BLOCK = 500_000
#: Seconds until idle threads end, instead of a minute.
IDLE_SECONDS = 2.0
CLIENTS = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"


@tag("soak")
class SoakTests(SimpleTestCase):
    """All built-in checks against real services, of which the probes must leave nothing but the answers."""

    def setUp(self) -> None:
        self.postgres = services.postgres(max_connections=20)
        self.redis = services.redis()
        self.observer = self.postgres.connect()
        self.addCleanup(self.observer.close)
        self.client_ = self.redis.client()
        self.addCleanup(self.client_.close)
        self.worker = services.celery_worker("soak@test", self.redis.url)
        self.addCleanup(self.worker.stop)
        self.worker.start()

    def project_for(self, kind: str) -> Project:
        cache = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": self.redis.url}
        health = {
            "ping": "status.providers.health.ping",
            "databases": "status.providers.django.health.databases",
            "caches": "status.providers.django.health.caches",
            "hanging": "tests.fault_project.providers.hanging",
        }
        stats = {"code": "status.providers.stats.code", "databases": "status.providers.django.stats.databases"}
        return Project(
            kind,
            {
                "CELERY_TEST_BROKER": self.redis.url,
                "FAULT_IDLE_SECONDS": str(IDLE_SECONDS),
                "MALLOC_MMAP_THRESHOLD_": str(BLOCK),
            },
            DATABASES={"default": self.postgres.settings(CONN_MAX_AGE=60)},
            CACHES={"default": cache},
            STATUS_PROVIDERS={"health": list(health.items()), "stats": list(stats.items())},
            STATUS_CELERY_WORKERS=["soak@test"],
            STATUS_CELERY_APP="tests.celery_app:app",
        )

    def test_ten_thousand_probes_leave_nothing_behind(self) -> None:
        print(f"\n{'server':26} {'probes':>7} {'per s':>6} {'memory':>9} {'hung':>9} {'threads':>9} {'files':>9} herd")
        for kind in KINDS:
            with self.subTest(kind):
                project = self.project_for(kind)
                try:
                    self.soak(project.start())
                finally:
                    project.web.stop()

    def soak(self, project: Project) -> None:
        self.ask(project, WARM_UP, 200, LOCAL)
        self.ask(project, REMOTE // 2, 200)
        probes.at_once(project.port, "/nowhere", CROWD)  # for which Django keeps threads of its own under ASGI
        time.sleep(IDLE_SECONDS + 1)  # until the engine's threads have ended
        before = self.facts(project)
        self.ask(project, REMOTE // 2, 200)  # in threads and with connections like those that follow
        memory = project.memory

        started = time.monotonic()
        self.ask(project, PROBES - REMOTE, 200, LOCAL)
        rate = (PROBES - REMOTE) / (time.monotonic() - started)
        self.ask(project, REMOTE, 200)
        processes = len(project.workers)
        self.assertLessEqual(self.connections(), processes)
        grown = (project.memory - memory) / processes

        memory = project.memory
        project.switch("hang")
        self.ask(project, HUNG, 503, LOCAL)
        hung = (project.memory - memory) / processes
        project.switch("hang", None)

        peak = self.herd(project)
        settled = eventually(lambda: not self.more(project, before), IDLE_SECONDS + 10)
        after = self.facts(project)
        print(
            f"{project.kind:26} {PROBES:7} {rate:6.0f} {grown / 1e6:+6.2f} MB {hung / 1e6:+6.2f} MB "
            f"{before['threads']:>3} -> {after['threads']:<3} {before['files']:>3} -> {after['files']:<3} "
            f"{HERD} of {HERD}, {peak} connections"
        )
        self.assertTrue(settled, f"{before} became {after}")
        self.assertLess(grown, GROWTH)
        self.assertLess(hung, GROWTH_HUNG)

    def ask(self, project: Project, count: int, status: int, address: str = "/status/api") -> None:
        for _ in range(count // CROWD):
            answers = probes.at_once(project.port, address, CROWD)
            self.assertEqual({answer.status for answer in answers}, {status}, answers[0])

    def herd(self, project: Project) -> int:
        """The most connections at a time while so many ask at once."""
        peak, over = [0], threading.Event()

        def watch() -> None:
            while not over.wait(0.005):
                peak[0] = max(peak[0], self.connections())

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            answers = probes.at_once(project.port, "/status/api", HERD)
        finally:
            over.set()
            watching.join()
        self.assertEqual([answer.status for answer in answers], [200] * HERD)
        self.assertLessEqual(peak[0], len(project.workers))
        return peak[0]

    def connections(self) -> int:
        return int(self.observer.execute(CLIENTS).fetchone()[0])

    def more(self, project: Project, before: dict[str, Any]) -> list[str]:
        """What there is more of than before, or is not the same. Less, as of threads, is fine."""
        after = self.facts(project)
        same = ("pids", "keys")
        return [
            name for name in before if (after[name] != before[name] if name in same else after[name] > before[name])
        ]

    def facts(self, project: Project) -> dict[str, Any]:
        return {
            "pids": sorted(project.pids),
            "threads": project.threads,
            "files": project.files,
            "connections": self.connections(),
            "keys": sorted(key.decode() for key in self.client_.keys("*")),
            "clients": self.client_.info("clients")["connected_clients"],
        }
