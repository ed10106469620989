"""A check of rows 18 and 19."""

from __future__ import annotations

from django.conf import settings


def third() -> dict[str, bool]:
    # Late, as many projects import what only one function needs.
    from redis.client import Redis

    with Redis.from_url(settings.CACHES["default"]["LOCATION"]) as client:
        return {"third": bool(client.ping())}
