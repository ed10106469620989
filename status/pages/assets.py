"""The style sheet, the script and the icons of the pages, served by the app itself.

A page that reports an outage must not need the project's static file host, nor that ``collectstatic`` was ever run.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from django.http import HttpRequest, HttpResponse, HttpResponseNotFound, HttpResponseNotModified
from django.views.generic import View

from status.api.views import METHODS
from status.http import HEADERS

FOLDER = Path(__file__).resolve().parent.parent / "static" / "status"
YEAR = 365 * 24 * 3600


class Asset(NamedTuple):
    """One file, read once."""

    content: bytes
    content_type: str


@lru_cache(maxsize=1)
def assets() -> dict[str, Asset]:
    """File name -> what to answer."""
    types = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
    files = [path for path in sorted(FOLDER.iterdir()) if path.suffix in types]
    return {path.name: Asset(squeezed(path), types[path.suffix]) for path in files}


def squeezed(path: Path) -> bytes:
    """The file, a style sheet without its comments and indentation."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".css":
        text = re.sub(r"\s*([{};,])\s*", r"\1", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL))
    return text.encode()


@lru_cache(maxsize=1)
def version() -> str:
    """Changes when any of the files does; part of their addresses, so that browsers may keep them for ever."""
    digest = hashlib.sha256()
    for name, asset in assets().items():
        digest.update(f"{name}\0{len(asset.content)}\0".encode() + asset.content)
    return digest.hexdigest()[:12]


class AssetView(View):
    """One file. Under an address of another release (a rolling deployment) it is not to be kept."""

    http_method_names = METHODS

    def get(self, request: HttpRequest, version_asked: str, name: str) -> HttpResponse:
        asset = assets().get(name)
        if asset is None:
            return HttpResponseNotFound("There is no such file.", content_type="text/plain", headers=HEADERS)
        lasting = version_asked == version()
        headers = {
            **HEADERS,
            "Cache-Control": f"public, max-age={YEAR}, immutable" if lasting else "no-cache",
            "ETag": f'"{version()}"',
        }
        # Public and the same for everyone.
        del headers["Vary"]
        if request.headers.get("If-None-Match") == headers["ETag"]:
            return HttpResponseNotModified(headers=headers)
        return HttpResponse(asset.content, content_type=asset.content_type, headers=headers)

    # Lest Django ties the view to itself, see ``ReportView``.
    head = get
