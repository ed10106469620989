"""The classic document: what dashboards and scripts have always parsed, byte for byte."""

from __future__ import annotations

import json

from status.report import Report

_ENCODER = json.JSONEncoder(allow_nan=False)


def render(report: Report, details: bool) -> str:
    """The document of the report, spelled as Django's ``JsonResponse`` spells it, without a line end.

    Always valid JSON: a report holds plain values only. A ``ValueError`` would mean that it does not: our mistake.
    """
    return _ENCODER.encode(report.document(details))
