"""OpenMetrics 1.0, the text format (https://prometheus.io/docs/specs/om/open_metrics_spec/)."""

from __future__ import annotations

from status.formats.exposition import families
from status.report import Report


def render(report: Report, details: bool) -> str:
    """TYPE, UNIT and HELP before the samples of each family, no empty line, and ``# EOF`` at the end."""
    lines: list[str] = []
    for family in families(report, details):
        lines.append(f"# TYPE {family.name} {family.type}")
        if family.unit:
            lines.append(f"# UNIT {family.name} {family.unit}")
        lines.append(f"# HELP {family.name} {family.help}")
        lines.extend(family.lines())
    lines.append("# EOF")
    return "".join(f"{line}\n" for line in lines)
