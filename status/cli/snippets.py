"""Configuration for other tools, with the addresses, names and timeouts of this project."""

from __future__ import annotations

import math
import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from status.cli.arguments import SNIPPETS, CannotAsk
from status.cli.target import api_url, mounted_path
from status.conf import conf
from status.registry import registry

TEMPLATE_FOLDER = Path(__file__).with_name("templates")
PLACEHOLDER = re.compile(r"@([a-zA-Z_]+)@")
#: What needs no quoting in any of the tools.
UNQUOTED = re.compile(r"[A-Za-z0-9_.~/:\[\]@-]*")
#: Where the project is taken to be served, unless ``--url`` says otherwise.
DEFAULT_SERVER = "http://localhost:8000"
#: Seconds on top of the timeouts of the checks, for the way there and back.
NETWORK_SECONDS = 1


def snippet(kind: str | None, url: str | None) -> str:
    """Return the configuration for one of ``SNIPPETS``. Raises CannotAsk where something that it needs is not there.

    url: where the app is mounted, as the tool reaches it; None stands for the address in this project.
    """
    if kind not in SNIPPETS:
        raise CannotAsk(f"snippet takes one of: {', '.join(SNIPPETS)}")
    path = mounted_path() if url is None else ""
    if path is None:
        remedy = "mount status.urls in ROOT_URLCONF, or give --url http://host:port/path/"
        raise CannotAsk(f"the app has no address here; {remedy}")
    api = api_url(url or f"{DEFAULT_SERVER}{path}")
    if not UNQUOTED.fullmatch(api):
        raise CannotAsk(f"{api} holds characters that would need quoting; give a plain address as --url")
    values = _placeholders(api)
    if url is None:
        hosts = [str(pattern).lstrip(".") for pattern in conf.read("ALLOWED_HOSTS", ())]
        values["host"] = next(filter(re.compile(r"[A-Za-z0-9.-]+").fullmatch, hosts), values["host"])
    template = (TEMPLATE_FOLDER / kind).read_text(encoding="utf-8")
    return PLACEHOLDER.sub(lambda placeholder: str(values[placeholder[1]]), template)


def _placeholders(api: str) -> dict[str, str | int]:
    """Return the addresses below ``api``, what to ask for, and seconds that fit the timeouts of the checks."""
    every = registry.select().checks
    judged = [check for check in every if check.judged]
    live = next((check for check in judged if check.name == "ping"), None)
    if live is None:
        raise CannotAsk('there is no check "ping" for liveness; add ("ping", "status.providers.health.ping")')
    resource = "health" if any(check.resource == "health" for check in judged) else judged[0].resource
    # The checks run side by side.
    timeout = math.ceil(max(check.timeout for check in judged if check.resource == resource)) + NETWORK_SECONDS
    all_timeout = math.ceil(max(check.timeout for check in every)) + NETWORK_SECONDS
    parts = urlsplit(api)
    host, port = parts.hostname or "", parts.port or {"http": 80, "https": 443}[parts.scheme]
    program = shutil.which("django_status")
    return {
        "url": api.removesuffix("api"),
        "mount": parts.path.removesuffix("api"),
        "metrics": parts.path,
        "live": f"{parts.path}/{live.resource}/{live.name}",
        "live_name": f"{live.resource}/{live.name}",
        "ready": f"{parts.path}/{resource}",
        "resource": resource,
        "scheme": parts.scheme,
        "SCHEME": parts.scheme.upper(),
        "host": host,
        "port": port,
        "server": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "ssl": " ssl verify required ca-file @system-ca" if parts.scheme == "https" else "",
        # With its path, as cron, systemd and Nagios do not search for it.
        "program": program if program and UNQUOTED.fullmatch(program) else "/usr/local/bin/django_status",
        "timeout": timeout,
        "all_timeout": all_timeout,
        "period": max(10, timeout),  # probes never overlap
        "interval": max(30, all_timeout),  # Prometheus wants no less than the timeout
        "patience": timeout + 3,  # for a command that starts first and has a timeout of its own
    }
