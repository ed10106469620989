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
from status.registry import LIVE, READY, STARTUP, registry

SNIPPET_FOLDER = Path(__file__).with_name("templates")
PLACEHOLDER = re.compile(r"@([a-zA-Z_]+)@")
#: What needs no quoting in any of the tools.
UNQUOTED = re.compile(r"[A-Za-z0-9_.~/:\[\]@-]*")
HOST_NAME = re.compile(r"[A-Za-z0-9.-]+")
#: How a proxy spells where the project listens: at an address, and on a Unix socket.
UPSTREAMS = {
    "nginx": ("{scheme}://{server}", "http://unix:{socket}"),
    "apache": ("{scheme}://{server}", "unix:{socket}|http://localhost"),
    "haproxy": ("{server} check{ssl}", "{socket} check"),
    "caddy": ("{scheme}://{server}", "unix/{socket}"),
}
#: What a proxy needs besides to ask the project over TLS.
TLS = {
    "nginx": "    proxy_ssl_server_name on;\n    proxy_ssl_name {host};\n",
    "apache": "# Over TLS, which needs mod_ssl.\nSSLProxyEngine On\n",
}
#: Where the project is taken to be served, unless ``--url`` says otherwise.
DEFAULT_SERVER = "http://localhost:8000"
#: Seconds on top of the timeouts of the checks, for the way there and back.
NETWORK_SECONDS = 1
#: The longest ``--interval``, in seconds.
MAX_INTERVAL = 1800
#: Prometheus takes a sample for five minutes, and one may be missing. The rules have windows for as many.
PROMETHEUS_INTERVAL = 120
PROMETHEUS = ("prometheus", "prometheus-rules", "grafana")
#: Where the tool itself takes less: https://docs.aws.amazon.com/elasticloadbalancing/latest/APIReference/
LONGEST = {**dict.fromkeys(PROMETHEUS, PROMETHEUS_INTERVAL), "alb": 300}
#: Lines of a crontab, which knows minutes, and begins anew with each hour.
CRONTABS = ("cron", "healthchecks", "uptime-kuma")
#: The placeholders that ``--interval`` decides.
PERIODS = frozenset({"interval", "twice", "period", "command_interval", "minutes"})
#: Seconds that a container may wait for its migrations.
STARTUP_SECONDS = 300


def snippet(kind: str | None, url: str | None, socket: str | None = None, interval: float | None = None) -> str:
    """Return the configuration for one of ``SNIPPETS``. Raises CannotAsk where something that it needs is not there.

    url: where the app is mounted, as the tool reaches it; None stands for the address in this project.
    socket: the path of the Unix socket by which a proxy reaches the project.
    interval: whole seconds from one question of the tool to the next; None leaves it to the snippet.
    """
    if kind not in SNIPPETS:
        raise CannotAsk(f"snippet takes one of: {', '.join(SNIPPETS)}")
    if socket is not None and kind not in UPSTREAMS:
        raise CannotAsk(f"--socket goes with snippet {', '.join(UPSTREAMS)}, not with {kind}")
    if socket is not None and not (socket.startswith("/") and UNQUOTED.fullmatch(socket)):
        raise CannotAsk("--socket should be an absolute path that needs no quoting")
    template = (SNIPPET_FOLDER / kind).read_text(encoding="utf-8")
    if interval is not None and PERIODS.isdisjoint(PLACEHOLDER.findall(template)):
        raise CannotAsk(f"--interval does not go with snippet {kind}, which does not say how often it asks")
    path = mounted_path() if url is None else ""
    if path is None:
        remedy = "mount status.urls in ROOT_URLCONF, or give --url http://host:port/path/"
        raise CannotAsk(f"the app has no address here; {remedy}")
    api = api_url(url or f"{DEFAULT_SERVER}{path}")
    if not UNQUOTED.fullmatch(api):
        raise CannotAsk(f"{api} holds characters that would need quoting; give a plain address as --url")
    if kind == "varnish" and api.startswith("https:"):
        raise CannotAsk("Varnish asks no backend over TLS; give an http address as --url")
    # A probe has to name a host that the project accepts; a URL that was given does.
    hosts = [] if url else [str(pattern).lstrip(".") for pattern in conf.read("ALLOWED_HOSTS", ())]
    values = _placeholders(kind, api, next(filter(HOST_NAME.fullmatch, hosts), None), interval)
    if kind in UPSTREAMS:
        over_tls = api.startswith("https:") and socket is None
        values["tls"] = TLS.get(kind, "").format(**values) if over_tls else ""
        values["upstream"] = UPSTREAMS[kind][socket is not None].format(**values, socket=socket)
    return PLACEHOLDER.sub(lambda placeholder: str(values[placeholder[1]]), template)


def listed_snippets() -> str:
    """Return a line for each snippet: its name, and what it is."""
    width = max(map(len, SNIPPETS))
    return "".join(f"{kind:<{width}}  {purpose}\n" for kind, purpose in SNIPPETS.items())


def _program() -> str:
    """Return ``django_status`` with its path, as cron, systemd and Nagios do not search for it."""
    found = shutil.which("django_status")
    return found if found and UNQUOTED.fullmatch(found) else "/usr/local/bin/django_status"


def _checked(kind: str, interval: float | None, least: int) -> float | None:
    """Return the ``--interval``. Raises CannotAsk where it is shorter than ``least``, or longer than the tool takes."""
    longest = LONGEST.get(kind, MAX_INTERVAL)
    if kind == "alb":  # AWS wants an interval that is longer than the timeout
        least += 1
    if kind in PROMETHEUS and least > longest:
        what = f"an answer may take {least} s, and Prometheus has to ask every {longest} s"
        raise CannotAsk(f"{what}; give the slow checks a shorter timeout")
    if interval is None:
        return None
    if not (least <= interval <= longest and interval == int(interval)):
        raise CannotAsk(f"--interval takes whole seconds from {least} to {longest} here, not {interval:g}")
    if kind in CRONTABS and (interval % 60 or 3600 % interval):
        what = "whole minutes that divide an hour, as 60, 300 or 900"
        raise CannotAsk(f"--interval takes {what}, with snippet {kind}, not {interval:g}")
    return interval


def _placeholders(kind: str, api: str, name: str | None, given: float | None) -> dict[str, str | int]:
    """Return the addresses below ``api``, what to ask for, and seconds that fit the timeouts of the checks.

    name: what to send as ``Host``, where it is not the host of ``api``.
    given: the ``--interval``, None where there is none.
    """
    every = registry.select().checks
    judged = [check for check in every if check.judged and UNQUOTED.fullmatch(check.resource)]
    live = next((check for check in judged if check.name == "ping"), None)
    if live is None:
        raise CannotAsk('there is no check "ping" for liveness; add ("ping", "status.providers.health.ping")')
    live_name, presets = f"{live.resource}/{live.name}", registry.presets()
    asks_whether_alive = LIVE if LIVE in presets else live_name
    resource = "health" if any(check.resource == "health" for check in judged) else judged[0].resource
    timeout = math.ceil(max(check.timeout for check in judged if check.resource == resource)) + NETWORK_SECONDS
    all_timeout = math.ceil(max(check.timeout for check in every)) + NETWORK_SECONDS
    interval = int(_checked(kind, given, all_timeout) or max(30, all_timeout))
    server, program = _server(api, name), _program()
    return {
        **server,
        "ask": f"{program} {resource}/ -t {timeout} --url {server['url']} --header Host:{server['host']}",
        "live": f"{server['metrics']}/{asks_whether_alive}",
        "startup": f"{server['metrics']}/{STARTUP if STARTUP in presets else asks_whether_alive}",
        "startup_failures": math.ceil(STARTUP_SECONDS / timeout),
        "live_name": live_name,
        # Who sends requests there hears of a drain as well.
        "ready": f"{server['metrics']}/{READY if resource == 'health' and READY in presets else resource}",
        "judged": f"{server['metrics']}/{resource}",
        "resource": resource,
        "program": program,
        "timeout": timeout,
        "all_timeout": all_timeout,
        "period": int(given or max(10, timeout + 1)),  # probes never overlap
        "command_interval": int(given or 60),  # for what starts a command
        "minutes": int((given or (60 if kind == "uptime-kuma" else 300)) / 60),
        "interval": interval,
        "twice": 2 * interval,
        "zabbix_timeout": min(30, timeout + 3),  # the most that the agent takes
        "patience": timeout + 3,  # for a command that starts first and has a timeout of its own
    }


def _server(api: str, name: str | None) -> dict[str, str | int]:
    """Return the address ``api`` as a whole and in parts. The arguments are those of ``_placeholders``."""
    parts = urlsplit(api)
    address, port = parts.hostname or "", parts.port or {"http": 80, "https": 443}[parts.scheme]
    bracketed = f"[{address}]" if ":" in address else address
    host = name or bracketed
    verify = f" ssl verify required ca-file @system-ca sni str({host}) check-sni {host} verifyhost {host}"
    return {
        "url": api.removesuffix("api"),
        "mount": parts.path.removesuffix("api"),
        "metrics": parts.path,
        "scheme": parts.scheme,
        "SCHEME": parts.scheme.upper(),
        "address": address,
        "host": host,
        "port": port,
        "server": f"{bracketed}:{port}",
        "ssl": verify if parts.scheme == "https" else "",
    }
