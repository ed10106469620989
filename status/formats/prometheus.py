"""Prometheus' own text format, version 0.0.4, for scrapers that do not know OpenMetrics.

The samples are those of OpenMetrics to the letter, so that a series goes on when a scraper changes its mind.
"""

from __future__ import annotations

from status.formats.exposition import families
from status.report import Report


def render(report: Report, details: bool) -> str:
    """HELP and TYPE before the samples of each family. This format knows gauges, but neither info nor stateset."""
    lines: list[str] = []
    for family in families(report, details):
        lines.append(f"# HELP {family.sample_name} {family.help}")
        lines.append(f"# TYPE {family.sample_name} gauge")
        lines.extend(family.lines())
    return "".join(f"{line}\n" for line in lines)
