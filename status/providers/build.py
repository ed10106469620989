"""What was written down about the code when it was built, for images and deployments without a git checkout."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from status.providers.checkout import small_text
from status.providers.git import iso_date, without_login

#: Facts and the variables that hold them; the first group that names a commit is believed, and no other.
#: After ours: what hosting platforms set, and what Dockerfiles by custom do.
VARIABLES: tuple[dict[str, str], ...] = (
    {
        "commit": "STATUS_BUILD_COMMIT",
        "summary": "STATUS_BUILD_SUMMARY",
        "author": "STATUS_BUILD_AUTHOR",
        "date": "STATUS_BUILD_DATE",
        "branch": "STATUS_BUILD_BRANCH",
        "tag": "STATUS_BUILD_TAG",
        "version": "STATUS_BUILD_VERSION",
        "source": "STATUS_BUILD_SOURCE",
        "build": "STATUS_BUILD_ID",
    },
    {"commit": "HEROKU_SLUG_COMMIT", "version": "HEROKU_RELEASE_VERSION"},
    {"commit": "RENDER_GIT_COMMIT", "branch": "RENDER_GIT_BRANCH"},
    {
        "commit": "RAILWAY_GIT_COMMIT_SHA",
        "summary": "RAILWAY_GIT_COMMIT_MESSAGE",
        "author": "RAILWAY_GIT_AUTHOR",
        "branch": "RAILWAY_GIT_BRANCH",
    },
    {"commit": "KAMAL_VERSION"},
    {"commit": "SOURCE_COMMIT", "branch": "SOURCE_BRANCH"},
    {"commit": "GIT_COMMIT", "branch": "GIT_BRANCH", "tag": "GIT_TAG"},
    {"commit": "COMMIT_SHA"},
)
#: Facts about the build itself, by the names they have in the answer.
BUILD = {"id": "build", "version": "version", "source": "source"}
COMMIT_ID = re.compile(r"[0-9a-fA-F]{7,64}")
#: Bytes; a file that holds more is no version file.
LARGE = 65_536
#: Characters of one fact that are kept.
LONG = 1_000


def build_facts(directory: str | os.PathLike[str], environment: Mapping[str, str]) -> dict[str, Any]:
    """``branch``, ``commit``, ``tag`` and ``build`` as they were written down, in the shape of the answer.

    Tried in turn: environment variables, then ``version.json`` and ``REVISION`` in ``directory``. All facts are
    those of the first that names a commit or, where none does, of the first that says anything.
    """
    best: dict[str, Any] = {}
    for candidate in _candidates(directory, environment):
        facts = _shape(candidate)
        if "commit" in facts:
            return facts
        best = best or facts
    return best


def _candidates(directory: str | os.PathLike[str], environment: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    for variables in VARIABLES:
        yield {fact: environment.get(name) for fact, name in variables.items()}
    yield _flat(_version_file(os.path.join(directory, "version.json")))
    revision = small_text(os.path.join(directory, "REVISION")) or ""
    yield {"commit": revision.partition("\n")[0]}


def _version_file(path: str) -> dict[str, Any]:
    try:
        document = json.loads(small_text(path, LARGE) or "{}")
    except (ValueError, RecursionError):
        return {}  # some other program's
    return document if isinstance(document, dict) else {}


def _flat(document: dict[str, Any]) -> dict[str, Any]:
    """The facts in a version file as Dockerflow defines it, or in one that this app printed when the image was built.

    https://github.com/mozilla-services/Dockerflow/blob/main/docs/version_object.md
    """
    facts = dict(document)
    for name, inner in (("branch", "local"), ("commit", "id"), ("build", "id")):
        if isinstance(document.get(name), dict):
            facts.update(document[name])
            facts[name] = document[name].get(inner)
    return facts


def _shape(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Loose facts in the shape of the answer, without those that cannot be what they are said to be."""
    known = {name: _clean(value) for name, value in facts.items() if isinstance(value, (str, int))}
    if not known:
        return {}
    shape: dict[str, Any] = {}
    if known.get("branch"):
        shape["branch"] = {"local": known["branch"], "remote": known.get("remote") or "unknown"}
    if COMMIT_ID.fullmatch(known.get("commit", "")):
        shape["commit"] = {"id": known["commit"]}
        for name in ("summary", "author", "date"):
            value = _TIDY[name](known.get(name, ""))
            if value:
                shape["commit"][name] = value
    if known.get("tag"):
        shape["tag"] = known["tag"]
    build = {name: known[key] for name, key in BUILD.items() if known.get(key)}
    if build:
        shape["build"] = build
    return shape


def _clean(value: str | int) -> str:
    return without_login(str(value).strip()[:LONG])


#: Of a commit, the first line and the name, as git's own answer has them.
_TIDY: dict[str, Callable[[str], str | None]] = {
    "summary": lambda value: value.partition("\n")[0],
    "author": lambda value: value.partition("<")[0].strip(),
    "date": iso_date,
}
