"""The app in a site that Django generates, whose middleware reads the user of every request."""

from __future__ import annotations

from django.test import SimpleTestCase, tag

from tests.neighbours import sites
from tests.neighbours.site_tests import SiteTests


@tag("neighbours")
class StartprojectTests(SiteTests, SimpleTestCase):
    made, package = sites.Startproject, "django"
