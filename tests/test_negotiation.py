from __future__ import annotations

import random

from django.test import SimpleTestCase
from hypothesis import given, settings
from hypothesis import strategies as st

from status.formats import FORMATS
from status.formats.negotiation import NotAcceptable, choose

CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
JAVA = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
PROMETHEUS_1 = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,"
    "text/plain;version=0.0.4;q=0.3"
)


class AcceptTests(SimpleTestCase):
    def assertChosen(self, accept: str | None, name: str) -> None:
        with self.subTest(accept=accept):
            self.assertEqual(choose(None, accept).name, name)

    def test_who_does_not_care_gets_the_classic_json(self):
        for accept in (None, "", "   ", "*/*", "*", "application/*", "*/*;q=0.1", CHROME, JAVA):
            self.assertChosen(accept, "json")

    def test_each_format_has_its_media_type(self):
        for name in ("json", "health+json", "openmetrics", "prometheus"):
            self.assertChosen(FORMATS[name].content_type, name)
        self.assertChosen("application/json", "json")
        self.assertChosen("application/health+json", "health+json")
        self.assertChosen("application/openmetrics-text", "openmetrics")

    def test_text_without_a_version_is_for_people(self):
        for accept in ("text/plain", "text/*", "TEXT/Plain; Charset=UTF-8", "text/plain; charset=utf-8"):
            self.assertChosen(accept, "text")

    def test_every_prometheus_gets_the_best_format_it_knows(self):
        self.assertChosen(PROMETHEUS_1, "prometheus")
        self.assertChosen(PROMETHEUS_2, "openmetrics")
        self.assertChosen(PROMETHEUS_3, "openmetrics")
        self.assertChosen('text/plain; version="0.0.4"', "prometheus")
        self.assertChosen("application/openmetrics-text;version=2.0.0,text/plain;VERSION=0.0.4;q=0.1", "prometheus")

    def test_the_greater_weight_wins(self):
        self.assertChosen("application/json;q=0.5, text/plain;q=0.6", "text")
        self.assertChosen("text/plain;q=0.5, application/json;q=0.6", "json")
        self.assertChosen("text/plain;q=.1, application/health+json;q=0.101", "health+json")

    def test_of_equal_weights_the_one_named_beats_the_wildcard(self):
        self.assertChosen("*/*, application/health+json", "health+json")
        self.assertChosen("application/*, text/plain", "text")

    def test_of_equal_weights_and_precision_the_first_wins(self):
        self.assertChosen("text/plain, application/json", "text")
        self.assertChosen("application/json, text/plain", "json")

    def test_the_most_precise_range_decides_even_if_it_forbids(self):
        self.assertChosen("application/json;q=0, */*", "health+json")
        self.assertChosen("*/*, application/json;q=0, application/health+json;q=0.0", "text")
        self.assertChosen("text/plain;q=0, text/plain;version=0.0.4;q=0.2, */*;q=0.1", "prometheus")

    def test_what_nobody_can_read_is_passed_over(self):
        for accept in (
            "not a media type",
            ",;,",
            "/",
            "application/",
            "/json",
            "text/plain;q=high",
            "text/plain;q=nan",
            "text/plain;q=-1",
            "\x00\xff",
        ):
            self.assertChosen(accept, "json")
            self.assertChosen(f"{accept}, application/health+json", "health+json")

    def test_a_comma_in_quotes_separates_nothing(self):
        self.assertChosen('text/plain;note="a, application/health+json"', "text")
        self.assertChosen('text/plain;note="a, application/health+json', "text")

    def test_a_weight_above_one_counts_as_one(self):
        self.assertChosen("text/plain;q=1, application/json;q=7", "text")

    def test_what_we_do_not_write_is_answered_as_json(self):
        """FAULTS C10: balancers send ``text/html`` alone, and take 406 for a host that is down."""
        for accept in ("application/xml", "text/html", "text/plain;version=1.0.0", "*/*;q=0", "application/json;q=0"):
            self.assertChosen(accept, "json")

    @settings(max_examples=500, deadline=None)
    @given(st.text(max_size=300))
    def test_no_header_is_an_error(self, accept):
        self.assertIn(choose(None, accept), FORMATS.values())

    def test_ten_thousand_headers_of_broken_pieces_are_no_error(self):
        pieces = [
            *CHROME,
            *PROMETHEUS_3.split(";"),
            "application/json",
            "text/*",
            "q=",
            ";q=1e999",
            '"',
            "\\",
            ",",
            "\t",
            "é",
            "\ud800",
        ]
        chance = random.Random(4)
        for _ in range(10_000):
            accept = "".join(chance.choices(pieces, k=chance.randrange(30)))
            choose(None, accept)

    def test_a_long_header_is_read_quickly(self):
        # Regular expressions that go back and forth would need minutes for these.
        for accept in (
            '"' * 100_000,
            "text/plain;" * 9_000,
            " " * 100_000,
            ",;" * 50_000,
            "a/b," * 20_000,
            ';version="' * 10_000,
        ):
            choose(None, accept + ",*/*")


class QueryTests(SimpleTestCase):
    def test_the_query_is_stronger_than_the_header(self):
        self.assertEqual(choose("text", "application/json").name, "text")
        self.assertEqual(choose("json", "application/xml").name, "json")

    def test_an_empty_query_leaves_it_to_the_header(self):
        self.assertEqual(choose("", "text/plain").name, "text")

    def test_a_plus_sign_may_have_become_a_space(self):
        self.assertEqual(choose("health json", None).name, "health+json")
        self.assertEqual(choose(" Health+JSON ", None).name, "health+json")

    def test_an_unknown_name_names_what_there_is(self):
        for name in ("yaml", "nagios", "json/", "\x00", "__init__"):
            with self.subTest(name=name), self.assertRaises(NotAcceptable) as caught:
                choose(name, None)
            self.assertEqual(caught.exception.known, ("json", "health+json", "text", "openmetrics", "prometheus"))
            self.assertIn("json, health+json, text", str(caught.exception))
