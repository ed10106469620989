"""System checks of who may see what, and of the middleware."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.core.checks import CheckMessage, Info, Warning
from django.utils.module_loading import import_string

from status.access import HASHED, MIN_TOKEN, UNIX, is_digest, networks, secret_keys
from status.conf import conf, found, shown

MIDDLEWARE = "status.middleware.StatusMiddleware"
#: Middleware that may stand in front of it: these add headers, or answer for static files, and refuse nothing.
HARMLESS_IN_FRONT = (
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.middleware.http.ConditionalGetMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
)
SECURITY = "django.middleware.security.SecurityMiddleware"
#: Where everybody seems to come from behind a proxy on the same machine.
LOOPBACK = (ip_address("127.0.0.1"), ip_address("::1"))
NEW_TOKEN = "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
#: Tokens that stand in somebody's documentation.
EXAMPLES = ("example", "changeme", "change-me", "secret", "token", "xxxx", "1234")


def access_mistakes() -> Iterator[CheckMessage]:
    """Yield tokens that nobody can send, networks that cannot be read, and a permission that cannot be asked."""
    for number, token in enumerate(conf.tokens):
        what = "" if token.strip() else "an empty text"
        if token.startswith(HASHED) and not is_digest(token.removeprefix(HASHED)):
            what = f"{len(token) - len(HASHED)} characters after sha256:"
        elif not token.isascii():  # headers carry no other characters
            what = "one with characters outside of ASCII"
        if what:
            message = f"STATUS_TOKENS[{number}] should be a token or sha256: and 64 hexadecimal digits, not {what}."
            yield Warning(message, f"It lets nobody in. Remove it, or make one: {NEW_TOKEN}", id="status.E004")
    for setting, cidrs in (("STATUS_NETWORKS", conf.networks), ("STATUS_TRUSTED_PROXIES", conf.trusted_proxies)):
        for number, cidr in enumerate(cidrs):
            if not networks((cidr,)) and (setting, cidr) != ("STATUS_TRUSTED_PROXIES", UNIX):
                expected = "a network such as 10.0.0.0/8 or 2001:db8::/32"
                expected += f', or "{UNIX}" for a Unix socket' if setting == "STATUS_TRUSTED_PROXIES" else ""
                message = f"{setting}[{number}] should be {expected}, not {shown(cidr)}."
                yield Warning(message, "It matches no address. Correct or remove it.", id="status.E005")
    what, permission = "", conf.permission
    try:
        judge = import_string(permission) if isinstance(permission, str) else permission
        if iscoroutinefunction(judge):
            what = "a coroutine function"
        elif judge is not None and not callable(judge):
            what = found(judge)
    except Exception as failure:
        what = f"a path that raises {type(failure).__name__}"
    if what:
        message = f"STATUS_PERMISSION should name a callable f(request) -> bool, not {what}."
        hint = "It lets nobody in. Name a function of your project: STATUS_PERMISSION = 'proj.status.may_see'."
        yield Warning(message, hint, id="status.E006")


def access_warnings() -> Iterator[CheckMessage]:
    """Yield what anonymous callers are told without need, and tokens that others may know or read."""
    if conf.show_details == "always":
        yield Warning(
            'STATUS_SHOW_DETAILS should be "when-authorized" or "never", not "always", on a site that strangers reach.',
            "Reasons, host names and versions help an attacker. Give those who need them a token instead.",
            id="status.W002",
        )
    for number, token in enumerate(conf.tokens):
        what, length = "", len(token.strip())
        if not length or token.startswith(HASHED):
            continue
        if length < MIN_TOKEN:
            what = f"one of {length} characters, which is not accepted (at least {MIN_TOKEN})"
        elif token.strip() in secret_keys():
            what = "the SECRET_KEY, which is not accepted"
        elif len(set(token)) < 8 or any(word in token.lower() for word in EXAMPLES):
            what = "one that anybody might guess"
        if what:
            message = f"STATUS_TOKENS[{number}] should be a random token of its own, not {what}."
            yield Warning(message, f"Make one: {NEW_TOKEN}", id="status.W003")
    near = networks(tuple(conf.networks))
    if not conf.trusted_proxies and any(address in network for address in LOOPBACK for network in near):
        yield Warning(
            "STATUS_TRUSTED_PROXIES should name a proxy on this machine, as STATUS_NETWORKS trusts loopback addresses.",
            "Else whoever comes through the proxy sees everything. Silence this where nothing forwards requests.",
            id="status.W037",
        )
    if conf.tokens and not settings.SECURE_SSL_REDIRECT and not settings.SECURE_PROXY_SSL_HEADER:
        yield Warning(
            "STATUS_TOKENS should only be used over HTTPS, and nothing says that this site is.",
            "Set SECURE_SSL_REDIRECT = True, or SECURE_PROXY_SSL_HEADER behind a proxy that ends TLS.",
            id="status.W004",
        )


def middleware_warnings() -> Iterator[CheckMessage]:
    """Yield what answers probes before this app does, or keeps its doors open for them."""
    middleware = list(settings.MIDDLEWARE)
    if "*" in settings.ALLOWED_HOSTS:
        yield Warning(
            'ALLOWED_HOSTS should name the hosts of the site, not "*".',
            f"Probes by IP address need no wildcard: put {MIDDLEWARE} first in MIDDLEWARE.",
            id="status.W005",
        )
    redirects = settings.SECURE_SSL_REDIRECT and not settings.SECURE_REDIRECT_EXEMPT
    harmless = HARMLESS_IN_FRONT if redirects else (*HARMLESS_IN_FRONT, SECURITY)
    before = middleware[: middleware.index(MIDDLEWARE)] if MIDDLEWARE in middleware else []
    if others := [name for name in before if name not in harmless]:
        yield Warning(
            f"{MIDDLEWARE} should stand before {others[0]} in MIDDLEWARE.",
            "What stands before it answers probes by IP address with 400, those over plain HTTP with a redirect, and "
            "hangs when a database does. Silence this where it only adds headers.",
            id="status.W009",
        )
    if MIDDLEWARE not in middleware:
        what = "without it, /status without its slash is a redirect or 404."
        hint = "It also answers probes by IP address, and beside a frozen database. Silence this if none matters."
        yield Info(f"{MIDDLEWARE} should be the first in MIDDLEWARE: {what}", hint, id="status.I001")
    if redirects and MIDDLEWARE not in middleware:
        what = "those over plain HTTP get a redirect, which many take for success."
        message = f"SECURE_SSL_REDIRECT should not hit probes: {what}"
        yield Warning(message, f"Put {MIDDLEWARE} first in MIDDLEWARE.", id="status.W010")
