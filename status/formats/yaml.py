"""YAML for the command line, as scripts written for 2.x read it; written here, so that nothing has to be installed.

What is written means the same in YAML 1.1 and 1.2, and is ASCII: text that another version, or another locale, might
read differently stands in double quotes.
"""

from __future__ import annotations

import json
import re

from status.report import Report
from status.serialization import JSON

#: Text that needs no quotes, unless it is one of ``AMBIGUOUS_WORDS``.
PLAIN = r"[A-Za-z_](?:[A-Za-z0-9_./@ -]*[A-Za-z0-9_./@-])?"
#: What YAML 1.1 reads as true, false or nothing.
AMBIGUOUS_WORDS = ("y", "n", "yes", "no", "true", "false", "on", "off", "null")
#: Longer keys are marked as such; YAML looks no more than 1,024 characters ahead.
LONG = 1_000


def render_yaml(report: Report, details: bool) -> str:
    """Return the classic document as 2.x printed it: in blocks, with the names in order."""
    return "".join(f"{line}\n" for line in _lines(report.document(details)))


def _lines(value: JSON) -> list[str]:
    """Return the lines of a value, not indented."""
    if isinstance(value, list) and value:
        return [line for item in value for line in _marked("-", item)]
    if not isinstance(value, dict) or not value:
        return [_scalar(value)]
    lines = []
    for name, item in sorted(value.items()):
        key = _scalar(name)
        if len(key) > LONG:
            lines += [f"? {key}", *_marked(":", item)]
        elif isinstance(item, (dict, list)) and item:
            indent = "  " if isinstance(item, dict) else ""
            lines += [f"{key}:", *(f"{indent}{line}" for line in _lines(item))]
        else:
            lines.append(f"{key}: {_scalar(item)}")
    return lines


def _marked(mark: str, value: JSON) -> list[str]:
    """Return the lines of a value, the first one after a mark, the others below it."""
    first, *rest = _lines(value)
    return [f"{mark} {first}", *(f"  {line}" for line in rest)]


def _scalar(value: JSON) -> str:
    """Return what fits into its line: text, a number, ``true``, ``false``, ``null``, or an empty container."""
    if isinstance(value, str):
        if re.fullmatch(PLAIN, value) and value.lower() not in AMBIGUOUS_WORDS:
            return value
        quoted = json.dumps(value, ensure_ascii=False)
        return re.sub("[^ -~]", lambda found: f"\\U{ord(found[0]):08X}", quoted)
    text = json.dumps(value)
    # YAML 1.1 takes 1e+20 for text.
    return text.replace("e", ".0e") if isinstance(value, float) and "." not in text else text
