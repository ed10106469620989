from __future__ import annotations

import os
import re
import threading
import time
from typing import NamedTuple
from unittest import TestCase

from django.test import SimpleTestCase, tag

from tests import probes, processes, services
from tests.consumers import commands, monitoring, proxies
from tests.consumers.consumer import INTERVAL, Consumer, Words

DOCUMENT = processes.ROOT / "docs" / "consumers.rst"
#: Seconds that the machine may take for the programs that some consumers start, on top of what it takes from the site.
SLACK = 2.0
#: Seconds until everyone has asked a first time.
FIRST = 60
#: Seconds that a test waits beyond that for who is late, to tell how late.
PATIENCE = 10
#: Seconds from one look at a consumer to the next.
LOOK = 0.25


def all_of(site: int) -> list[Consumer]:
    """The consumers of the site on this port, in the order of the table, a whole before its parts."""
    prometheus, nagios, monit = monitoring.Prometheus(site), monitoring.Nagios(site), monitoring.Monit(site)
    return [
        proxies.Nginx(site),
        proxies.Apache(site),
        proxies.Haproxy(site),
        proxies.Varnish(site),
        proxies.Caddy(site),
        proxies.Kubelet(site),
        proxies.KubeletLiveness(site),
        prometheus,
        monitoring.Alertmanager(prometheus),
        monitoring.Blackbox(prometheus),
        nagios,
        monitoring.Nrpe(nagios),
        monit,
        monitoring.MonitProcess(monit),
        monitoring.Zabbix(site),
        monitoring.Collectd(site),
        commands.Systemd(site),
        commands.Cron(site),
        commands.Supervisor(site),
    ]


class Seen(NamedTuple):
    moment: float
    verdict: str


class Watcher:
    """Notes what a consumer says, again and again, in a thread: only when that changes."""

    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer
        self.over = threading.Event()
        self.seen: list[Seen] = []
        self.thread = threading.Thread(target=self.watch, name=consumer.name)

    def watch(self) -> None:
        while not self.over.wait(LOOK):
            try:
                verdict = self.consumer.verdict()
            except OSError:  # it does not listen yet, or no more
                verdict = "nothing"
            if not self.seen or self.seen[-1].verdict != verdict:
                self.seen.append(Seen(time.monotonic(), verdict))

    @property
    def verdict(self) -> str:
        return self.seen[-1].verdict if self.seen else "nothing yet"

    def stop(self) -> None:
        self.over.set()
        self.thread.join()


def rows(text: str) -> dict[str, tuple[str, ...]]:
    """The table of a document: consumer -> a cell for each state."""
    table = text.partition("   * - Consumer\n")[2]
    found = re.findall(r"^   \* - (.+)\n((?:     - .+\n)+)", table, re.M)
    return {name: tuple(re.findall(r"- (.+)\n", cells)) for name, cells in found}


def cells(says: Words) -> tuple[str, ...]:
    """A row of the table: the order is that of its heading."""
    return (says.good, says.warning, says.failing, says.hung, says.good, says.frozen, says.dead)


class DocumentTests(SimpleTestCase):
    def test_the_table_says_what_is_measured(self):
        """And ``ConsumerTests`` measures it."""
        expected = {consumer.name: cells(consumer.says) for consumer in all_of(0)}
        self.assertEqual(rows(DOCUMENT.read_text()), expected)


@tag("consumers")
class ConsumerTests(TestCase):
    """One site, and all consumers side by side: each change of its state is seen by all of them."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        if os.geteuid() != 0:
            services.missing("root is missing", "cron, NRPE and collectd start programs as others")
        cls.state = services.directory() / "state"
        cls.tell("good")
        env = {"DJANGO_SETTINGS_MODULE": "tests.consumers.site", "SITE_STATE": str(cls.state)}
        # Loaded before it listens: it refuses until it answers.
        app = "django.core.wsgi:get_wsgi_application()"
        cls.site = services.gunicorn(app, "--preload", "--threads", "16", env=env)
        cls.addClassCleanup(cls.site.stop)
        cls.site.start()
        cls.watchers = []
        for consumer in all_of(cls.site.port):
            cls.addClassCleanup(consumer.stop)
            consumer.start()
            cls.watchers.append(Watcher(consumer))
        # Watched once all run: what is started takes time from the others.
        for watcher in cls.watchers:
            cls.addClassCleanup(watcher.stop)
            watcher.thread.start()
        cls.wait_for("good", time.monotonic() + FIRST)

    @classmethod
    def tell(cls, state: str) -> None:
        """The site's check, whose file is never seen half written."""
        draft = cls.state.with_suffix(".new")
        draft.write_text(state)
        draft.replace(cls.state)

    @classmethod
    def wait_for(cls, state: str, deadline: float) -> None:
        """Until all say what they say of that state, or the time is over."""
        while time.monotonic() < deadline and any(
            watcher.verdict != getattr(watcher.consumer.says, state) for watcher in cls.watchers
        ):
            time.sleep(LOOK)

    def change(self, before: str, after: str) -> None:
        """Bring the site from one state into the other."""
        if before == "frozen":
            self.site.thaw()
        elif before == "dead":
            self.site.start()
        if after == "frozen":
            self.site.freeze()
        elif after == "dead":
            self.site.kill()
        else:
            self.tell(after)

    def assertAllChange(self, before: str, after: str) -> None:
        """In time, once, and with nothing else said on the way, nor within an interval after all have changed."""
        earlier = [len(watcher.seen) for watcher in self.watchers]
        waits = after in ("hung", "frozen")
        self.change(before, after)
        began, busy = time.monotonic(), probes.Waiting(*self.site.tree())
        self.wait_for(after, began + max(watcher.consumer.deadline(waits) for watcher in self.watchers) + PATIENCE)
        time.sleep(INTERVAL)
        for watcher, count in zip(self.watchers, earlier, strict=True):
            old, new = (getattr(watcher.consumer.says, state) for state in (before, after))
            with self.subTest(consumer=watcher.consumer.name, before=before, after=after):
                seen = watcher.seen[count:]
                self.assertEqual([one.verdict for one in seen], [new] if new != old else [])
                if seen:
                    limit = watcher.consumer.deadline(waits) + SLACK + busy.seconds
                    self.assertLess(seen[0].moment - began, limit)

    def assertNoticed(self, state: str) -> None:
        """Said by all in time, and so is that it is over."""
        for watcher in self.watchers:
            self.assertEqual(watcher.verdict, watcher.consumer.says.good, watcher.consumer.name)
        self.assertAllChange("good", state)
        self.assertAllChange(state, "good")

    def test_a_warning_shows_where_there_are_warnings_and_nowhere_else(self):
        """FAULTS O9."""
        self.assertNoticed("warning")

    def test_a_failing_check_is_noticed(self):
        """FAULTS O4, O7."""
        self.assertNoticed("failing")

    def test_a_check_that_hangs_is_noticed(self):
        """FAULTS O3."""
        self.assertNoticed("hung")

    def test_a_frozen_site_is_noticed(self):
        """FAULTS O1, O2."""
        self.assertNoticed("frozen")

    def test_a_dead_site_is_noticed(self):
        """FAULTS O1, O2, O7."""
        self.assertNoticed("dead")
