"""The texts of the documents: pages, their sections, and the code in them."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from tests.processes import ROOT

README = (ROOT / "README.rst").read_text()
#: What is read where the code is, and what the site is made of.
TOP, PAGES = sorted(ROOT.glob("*.rst")), sorted((ROOT / "docs").glob("*.rst"))
DOCUMENTS = [*TOP, *PAGES]


def page(name: str) -> str:
    """Return the text of a page of the site."""
    return (ROOT / "docs" / f"{name}.rst").read_text()


def section(text: str, title: str) -> str:
    """Return the part of a document below this heading, up to the next one of any level."""
    after = re.split(rf"^{re.escape(title)}\n[=~-]{{3,}}\n", text, flags=re.MULTILINE)
    assert len(after) == 2, f"{title!r} should be a heading once"
    return re.split(r"^\S.*\n[=~-]{3,}\n", after[1], flags=re.MULTILINE)[0]


def blocks(text: str, language: str) -> list[str]:
    """Return the code blocks in that language."""
    options = r"(?:\1 +:.*\n)*"
    found = re.findall(
        rf"^( *)\.\. code-block:: {language}\n{options}\n((?:\1 +\S.*\n|\n)+)", text + "\n", flags=re.MULTILINE
    )
    return [textwrap.dedent(code).strip() for _, code in found]


def commands(text: str) -> list[str]:
    """Return what is typed in the console blocks."""
    return re.findall(r"^\$ (.+)$", "\n".join(blocks(text, "console")), flags=re.MULTILINE)


class Written:
    """The part of a page that a script writes, between two comments."""

    def __init__(self, name: str, script: str) -> None:
        self.path: Path = ROOT / "docs" / f"{name}.rst"
        self.start, self.end = f".. {name}: written by {script}\n", f".. {name}: end"

    def shown(self) -> str:
        """Return what the page says now."""
        return self.path.read_text().partition(self.start)[2].partition(self.end)[0].strip()

    def write(self, text: str) -> None:
        """Put ``text`` in its place."""
        before, _, rest = self.path.read_text().partition(self.start)
        self.path.write_text(f"{before}{self.start}\n{text}\n{self.end}{rest.partition(self.end)[2]}")
