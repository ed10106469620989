from __future__ import annotations

import random
from collections import Counter
from unittest import mock

from django.test import SimpleTestCase, override_settings, tag
from django.urls import include, path

from status.engine import engine

urlpatterns = [path("status/", include("status.api.urls"))]

#: What questions are made of. Put together at random, hardly anything of it makes sense.
PATHS = [
    *("/", "//", "health", "ping", "stats", "api", ".", "..", "%00", "%0d%0a", "%2e%2e", "%ff", "é"),
    *("'", '"', "<b>", "{0}", "x" * 300, ";", "\\"),
]
QUERY = [
    *("format", "check", "skip", "format=x", "=", "&", "json", "health+json", "text", "nagios", "ping", "[]"),
    *("%00", "%0d%0aX-Evil: 1", "%ff", "é", "x" * 4_000, "&a" * 600),
]
ACCEPT = [
    *("application/json", "text/plain", "application/health+json", "text/html", "*/*", "*", "/", ",", ";", "=", " "),
    *("q=", "q=0", "q=nan", "q=1e999", "version=0.0.4", '"', "\\", "\t", "é", "\x7f", "x" * 2_000),
]


@override_settings(
    ROOT_URLCONF=__name__,
    STATUS_PROVIDERS={"health": [("ping", "status.providers.health.ping")], "stats": [("n", lambda: 1)]},
)
class FuzzTests(SimpleTestCase):
    """Whatever is asked: a healthy site never answers 5xx, and nothing of the question becomes a header."""

    def ask(self, times: int, seed: int) -> Counter[int]:
        observers = mock.patch.object(engine, "observers", [])
        observers.start()
        self.addCleanup(observers.stop)
        chance = random.Random(seed)

        def some(pieces: list[str], most: int) -> str:
            return "".join(chance.choices(pieces, k=chance.randrange(most)))

        seen: Counter[int] = Counter()
        for number in range(times):
            address = f"/status/api{some(PATHS, 5)}" if number % 2 else "/status/api/health"
            method = chance.choice(["GET", "GET", "GET", "HEAD", "OPTIONS", "POST"])
            query, accept = some(QUERY, 6), some(ACCEPT, 6)
            headers = {"accept": accept} if accept else {}
            response = self.client.generic(method, f"{address}?{query}", headers=headers)
            asked = f"{method} {address!r} ?{query[:500]!r} Accept: {accept[:500]!r}"
            self.assertLess(response.status_code, 500, asked)
            self.assertNotIn("X-Evil", response.headers, asked)
            seen[response.status_code] += 1
        engine.close()
        return seen

    def test_a_thousand_random_questions(self):
        with self.assertNoLogs("django", "ERROR"):
            seen = self.ask(1_000, seed=1)
        self.assertEqual(set(seen), {200, 400, 404, 405, 406})

    def test_a_question_with_too_many_fields_mails_nobody(self):
        with self.assertNoLogs("django"):
            response = self.client.get(f"/status/api/health?{'&a' * 1_200}")
        self.assertEqual((response.status_code, response.json()), (400, {"error": "The query has too many fields."}))

    @tag("soak")
    def test_fifty_thousand_random_questions(self):
        self.ask(50_000, seed=2)
