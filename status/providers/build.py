"""What was written down about the code when it was built, for images and deployments without a git checkout."""

from __future__ import annotations

import codecs
import json
import os
import re
from collections.abc import Mapping
from typing import Any

from status.providers.git import iso_date, read_start

#: Facts and the variables that hold them; the first group that names a commit is believed, and no other.
#: After those of this app: what hosting platforms set, what build servers set, and what Dockerfiles by custom do.
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
    {"commit": "HEROKU_BUILD_COMMIT", "version": "HEROKU_RELEASE_VERSION"},
    {"commit": "HEROKU_SLUG_COMMIT", "version": "HEROKU_RELEASE_VERSION"},
    {"commit": "RENDER_GIT_COMMIT", "branch": "RENDER_GIT_BRANCH"},
    {
        "commit": "RAILWAY_GIT_COMMIT_SHA",
        "summary": "RAILWAY_GIT_COMMIT_MESSAGE",
        "author": "RAILWAY_GIT_AUTHOR",
        "branch": "RAILWAY_GIT_BRANCH",
    },
    {"commit": "VERCEL_GIT_COMMIT_SHA", "branch": "VERCEL_GIT_COMMIT_REF"},
    {"commit": "KAMAL_VERSION"},
    {"commit": "GIT_REV"},
    {"commit": "CI_COMMIT_SHA", "branch": "CI_COMMIT_BRANCH", "tag": "CI_COMMIT_TAG"},
    {"commit": "GITHUB_SHA"},
    {"commit": "BITBUCKET_COMMIT", "branch": "BITBUCKET_BRANCH", "tag": "BITBUCKET_TAG"},
    {"commit": "CIRCLE_SHA1", "branch": "CIRCLE_BRANCH", "tag": "CIRCLE_TAG"},
    {"commit": "SOURCE_COMMIT", "branch": "SOURCE_BRANCH"},
    {"commit": "SOURCE_VERSION"},
    {"commit": "GIT_COMMIT", "branch": "GIT_BRANCH", "tag": "GIT_TAG"},
    {"commit": "COMMIT_SHA"},
    {"build": "K_REVISION"},
)
#: Facts about the build itself, by the names that they have in the answer.
BUILD = {"id": "build", "version": "version", "source": "source"}
#: Kamal names an image that was built from more than the commit by what follows its id.
COMMIT = re.compile(r"([0-9a-fA-F]{7,64})(_uncommitted_\w+)?")
#: The files that may record them, in the order in which they are tried.
RECORDS = ("version.json", "REVISION")
#: Bytes; a file that holds more is no version file.
MAX_FILE = 65_536
#: Characters of one fact that are kept.
MAX_FACT = 1_000


def build_facts(directory: str, environment: Mapping[str, str]) -> tuple[dict[str, Any], str | None]:
    """Return ``branch``, ``commit``, ``tag`` and ``build`` as they were written down, and why there is no commit.

    Tried in turn: environment variables, then ``version.json`` and ``REVISION`` in ``directory``. All facts are
    those of the first that names a commit or, where none does, of the first that says anything.
    """
    # Most are not set, and to ask ``os.environ`` for what is not set costs an exception each.
    names = set(environment)
    records: list[Mapping[str, Any]] = [
        {fact: environment.get(name) for fact, name in variables.items() if name in names} for variables in VARIABLES
    ]
    reason = "no checkout at the project path, and no record of the build"
    if os.path.basename(directory) in ("site-packages", "dist-packages"):
        reason = "the files at the project path belong to any package: set PROJECT_PATH, or record the build"
    else:
        for name in RECORDS:
            if (record := _read_record(os.path.join(directory, name))) is not None:
                records.append(record)
                reason = f"{name} names no commit"
    best: dict[str, Any] = {}
    for record in filter(None, records):
        facts = _facts_in(record)
        if "commit" in facts:
            return facts, None
        best = best or facts
    return best, reason


def _read_record(path: str) -> Mapping[str, Any] | None:
    """Return the loose facts in ``version.json`` or ``REVISION``; None where there is no such file.

    A version file is as Dockerflow defines it, or a saved answer of this app:
    https://github.com/mozilla-services/Dockerflow/blob/main/docs/version_object.md
    """
    content = read_start(path, MAX_FILE)
    if content is None:
        return None
    # Windows writes UTF-16, or UTF-8 with a byte order mark.
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = content.decode("utf-16" if wide else "utf-8-sig", "replace")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        return {"commit": text.strip().partition("\n")[0]}
    facts = dict(document)
    for name, inner in (("branch", "local"), ("commit", "id"), ("build", "id")):
        if isinstance(document.get(name), dict):
            facts.update(document[name])
            facts[name] = document[name].get(inner)
    return facts


def _facts_in(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return loose facts in the shape of the answer, without those that cannot be what they are said to be."""
    # What stands before the host in a URL may be a password.
    known = {
        name: re.sub(r"//[^/\s]*@", "//", str(value).strip()[:MAX_FACT])
        for name, value in record.items()
        if isinstance(value, (str, int))
    }
    facts: dict[str, Any] = {}
    if known.get("branch"):
        facts["branch"] = {"local": known["branch"], "remote": known.get("remote") or "unknown"}
    if match := COMMIT.fullmatch(known.get("commit", "")):
        # Of the commit's own facts, the first line and the name, as git's answer has them.
        parts = {
            "id": match[1],
            "summary": known.get("summary", "").partition("\n")[0],
            "author": known.get("author", "").partition("<")[0].strip(),
            "date": iso_date(known.get("date", "")),
        }
        facts["commit"] = {name: part for name, part in parts.items() if part}
        if match[2]:
            known.setdefault("version", match[0])
    if known.get("tag"):
        facts["tag"] = known["tag"]
    build = {name: known[fact] for name, fact in BUILD.items() if known.get(fact)}
    return {**facts, "build": build} if build else facts
