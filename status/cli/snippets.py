"""Configuration for other tools, with the addresses, names and deadlines of this project."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from status.cli.arguments import SNIPPETS, CannotAsk, Options
from status.cli.client import DEFAULT_PORTS, checked_url
from status.cli.question import api_root
from status.entries import Check
from status.registry import registry

TEMPLATES = Path(__file__).with_name("templates")
TOKEN = re.compile(r"@([a-zA-Z_]+)@")
#: What needs no quoting in any of the tools.
HARMLESS = re.compile(r"[A-Za-z0-9_.~/:\[\]@-]*")
#: Where the project is taken to be served, unless ``--url`` says otherwise.
SERVER = "http://localhost:8000"
#: Seconds on top of a deadline for the way there and back.
MARGIN = 1


def snippet(options: Options) -> str:
    """The configuration that ``snippet KIND`` prints. Raises ``CannotAsk`` where something of it is not there."""
    kind = options.name
    if kind not in SNIPPETS:
        raise CannotAsk(f"snippet takes one of: {', '.join(SNIPPETS)}")
    template = (TEMPLATES / kind).read_text(encoding="utf-8")
    values = Values.of(options.url)
    return TOKEN.sub(lambda token: str(getattr(values, token[1])), template)


class Values(NamedTuple):
    """What the templates name.

    api: the address of the API, without the last slash.
    host: a name under which the project accepts requests.
    live_name: the check for liveness; resource: the resource for everything else.
    timeout, all_timeout: seconds until ``resource``, and until everything, has answered for certain.
    """

    api: str
    host: str
    live_name: str
    resource: str
    timeout: int
    all_timeout: int

    @classmethod
    def of(cls, url: str | None) -> Values:
        api = checked_url(url or _project_url())
        if not HARMLESS.fullmatch(api):
            raise CannotAsk(f"{api} holds characters that would need quoting; give a plain address as --url")
        judged = [check for checks in registry.values() for check in checks.values() if check.judged]
        live = next((check for check in judged if check.name == "ping"), None)
        if live is None:
            raise CannotAsk('there is no check "ping" for liveness; add ("ping", "status.providers.health.ping")')
        resource = "health" if any(check.resource == "health" for check in judged) else judged[0].resource
        ready = [check for check in judged if check.resource == resource]
        every = [check for checks in registry.values() for check in checks.values()]
        host = urlsplit(api).hostname or ""
        return cls(
            api=api,
            host=host if url is not None else _allowed_host(host),
            live_name=f"{live.resource}/{live.name}",
            resource=resource,
            timeout=_seconds(ready),
            all_timeout=_seconds(every),
        )

    @property
    def url(self) -> str:
        """Where the app is mounted."""
        return self.api.removesuffix("api")

    @property
    def scheme(self) -> str:
        return urlsplit(self.api).scheme

    @property
    def SCHEME(self) -> str:
        """As Kubernetes spells it."""
        return self.scheme.upper()

    @property
    def port(self) -> int:
        return urlsplit(self.api).port or DEFAULT_PORTS[self.scheme]

    @property
    def server(self) -> str:
        """Host and port."""
        host = urlsplit(self.api).hostname or ""
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def ssl(self) -> str:
        return " ssl verify required ca-file @system-ca" if self.scheme == "https" else ""

    @property
    def mount(self) -> str:
        return urlsplit(self.url).path

    @property
    def metrics(self) -> str:
        return urlsplit(self.api).path

    @property
    def live(self) -> str:
        return f"{self.metrics}/{self.live_name}"

    @property
    def ready(self) -> str:
        return f"{self.metrics}/{self.resource}"

    @property
    def period(self) -> int:
        """Seconds from one probe to the next, so that they never overlap."""
        return max(10, self.timeout)

    @property
    def interval(self) -> int:
        """Seconds from one scrape to the next; Prometheus wants no less than the timeout."""
        return max(30, self.all_timeout)

    @property
    def patience(self) -> int:
        """Seconds for a command that itself gives up after ``timeout``, and has to start first."""
        return self.timeout + 3

    @property
    def program(self) -> str:
        """The installed command, with its path: these tools search none."""
        found = shutil.which("django_status")
        return found if found and HARMLESS.fullmatch(found) else "/usr/local/bin/django_status"


def _project_url() -> str:
    """Where a server on this machine would answer. Raises ``CannotAsk`` where the project does not say."""
    root = api_root()
    if root is None:
        remedy = "mount status.urls in ROOT_URLCONF, or give --url http://host:port/path/"
        raise CannotAsk(f"the app has no address here; {remedy}")
    return f"{SERVER}{root}"


def _allowed_host(default: str) -> str:
    """The first host name in ``ALLOWED_HOSTS``, which is there as this project has an address."""
    # Late: importing this file needs no Django.
    from django.conf import settings

    for pattern in settings.ALLOWED_HOSTS:
        host = str(pattern).lstrip(".")
        if host != "*" and re.fullmatch(r"[A-Za-z0-9.-]+", host):
            return host
    return default


def _seconds(checks: Iterable[Check]) -> int:
    """Whole seconds after which all of ``checks`` have answered, run side by side."""
    return math.ceil(max(check.timeout for check in checks)) + MARGIN
