"""Message catalogues as a project would have them in its ``LOCALE_PATHS``."""

from __future__ import annotations

import pathlib
import struct


def write_catalogue(folder: pathlib.Path, language: str, messages: dict[str, str]) -> None:
    """Write what ``msgfmt`` makes of ``messages``: gettext's binary format, without its optional hash table."""
    messages = {"": "Content-Type: text/plain; charset=UTF-8\n", **messages}
    texts = [
        text.encode() for pairs in (sorted(messages), [messages[key] for key in sorted(messages)]) for text in pairs
    ]
    count = len(messages)
    place = 28 + 16 * count
    table, content = b"", b""
    for text in texts:
        table += struct.pack("<2I", len(text), place + len(content))
        content += text + b"\0"
    path = folder / language / "LC_MESSAGES" / "django.mo"
    path.parent.mkdir(parents=True)
    path.write_bytes(struct.pack("<7I", 0x950412DE, 0, count, 28, 28 + 8 * count, 0, 0) + table + content)
