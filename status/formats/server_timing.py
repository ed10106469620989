"""The ``Server-Timing`` header: https://www.w3.org/TR/server-timing/"""

from __future__ import annotations

import re

from status.report import Report

#: Characters of the whole header; servers and proxies refuse responses with longer ones.
MAX_HEADER = 4096
_NOT_TOKEN = r"[^A-Za-z0-9!#$%&'*+.^_`|~-]"


def server_timing(report: Report) -> str:
    """Return ``databases;dur=3.2, caches;dur=0.9``: the milliseconds of each run. Only for callers who may see details.

    A name is ``resource.provider`` where the report covers more than one resource, with ``_`` for what a header's token
    may not hold. Empty for an empty report. Metrics beyond the length limit are left out.
    """
    metrics: list[str] = []
    room = MAX_HEADER
    for result in report.results:
        if result.duration is None:
            continue
        name = result.name if report.resource is not None else f"{result.resource}.{result.name}"
        reused = ';desc="reused"' if result.age else ""
        metric = f"{re.sub(_NOT_TOKEN, '_', name)};dur={result.duration * 1000:.1f}{reused}"
        room -= len(metric) + 2
        if room < 0:
            break
        metrics.append(metric)
    return ", ".join(metrics)
