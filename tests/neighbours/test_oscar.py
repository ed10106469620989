"""The app in a site of Oscar."""

from __future__ import annotations

from django.test import SimpleTestCase, tag

from tests.neighbours import sites
from tests.neighbours.site_tests import SiteTests


@tag("neighbours")
class OscarTests(SiteTests, SimpleTestCase):
    made, package = sites.Oscar, "oscar"
