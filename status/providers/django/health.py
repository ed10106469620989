"""Checks of the databases and caches that Django is configured with: one component for each alias."""

from __future__ import annotations

from status.providers.django.caches import CacheCheck
from status.providers.django.databases import DatabaseCheck

databases = DatabaseCheck()
caches = CacheCheck()
