"""The app in a site of Pretix."""

from __future__ import annotations

from django.test import SimpleTestCase, tag

from tests.neighbours import sites
from tests.neighbours.site_tests import SiteTests


@tag("neighbours")
class PretixTests(SiteTests, SimpleTestCase):
    made, package = sites.Pretix, "pretix"
