"""Who may see what: the one rule that API, pages, OPTIONS and formats obey.

A caller is authorized by a bearer token, a network, a callable of the project's own, or as a staff user, tried in this
order: the first two read the request alone, the last one may need the database that is down. Whatever goes wrong on the
way is a refusal, and never an error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from functools import lru_cache, partial
from inspect import iscoroutine
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, NamedTuple

from asgiref.sync import sync_to_async
from django.apps import apps
from django.conf import settings
from django.core.exceptions import DisallowedHost, ImproperlyConfigured
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare
from django.utils.module_loading import import_string

from status.conf import conf
from status.http import UserLookup
from status.limited_calls import LimitedCalls
from status.logs import log_once
from status.registry import READY, STARTUP, registry

#: Open to everyone whatever ``STATUS_PUBLIC`` says: liveness probes carry no token.
ALWAYS_OPEN = ("health", "ping")
#: Characters. Shorter tokens can be guessed, and are not accepted.
MIN_TOKEN = 32
#: What a token in the settings begins with when it is given as its SHA-256, in 64 hexadecimal digits.
HASHED = "sha256:"
#: What ``STATUS_TRUSTED_PROXIES`` names where the proxy asks over a Unix socket, and so has no address.
UNIX = "unix"
#: The permission that authorizes users who are not staff, without the label of the app.
PERMISSION = "view_status"
#: Calls that find out who somebody is: they may wait for a database that hangs.
user_lookups = LimitedCalls("status-access", limit=8, timeout=0.75)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Access(NamedTuple):
    """What one caller may do.

    details: whether to show reasons, durations and the full answers.
    resources: the resources the caller may ask for; None means every one.
    unknown: whether the caller is taken for anonymous because looking anybody up takes too long.
    """

    details: bool
    resources: Collection[str] | None
    unknown: bool = False

    @property
    def challenge(self) -> bool:
        """Return whether a bearer token could help a caller who is refused."""
        return bool(_accepted_digests())

    def may_ask(self, resource: str | None, provider: str | None = None) -> bool:
        """Return whether the caller may ask at this address: decided by names alone, so a refusal tells nothing."""
        if self.resources is None or (resource, provider) == ALWAYS_OPEN or registry.is_live(resource):
            return True
        if resource in (READY, STARTUP) and resource not in registry:
            resource = "health"
        return bool(self.resources) if resource is None else resource in self.resources


def access_for(request: HttpRequest) -> Access:
    """Return the rights of whoever sent ``request``. Takes a second at most, unless the middleware sees to that."""
    access = settled_access(request)
    lookup: UserLookup | None = getattr(request, "status_lookup", None)
    if access is None:
        find = partial(is_known, request)
        # Behind the middleware, this thread and its connections are those that may hang, and that a tenant is set on.
        access = looked_up(find() if lookup or conf.synchronous else user_lookups.call(find, None))
    if lookup:
        lookup.find()
    return access


async def aaccess_for(request: HttpRequest) -> Access:
    """Do the same on an event loop, without blocking it. Not for requests that the middleware sends on."""
    if conf.synchronous:
        return await sync_to_async(access_for)(request)
    return settled_access(request) or looked_up(await user_lookups.acall(partial(is_known, request), None))


def settled_access(request: HttpRequest) -> Access | None:
    """Return the rights of whoever sent ``request``, or None where somebody has to be looked up for that."""
    given: Access | None = getattr(request, "status_access", None)
    if given is not None:
        return given
    if admits(has_token, request):
        return access_of(True)
    anonymous = access_of(False)
    near = settings.DEBUG or admits(is_near, request)
    # Most requests carry nothing that could tell, and where everybody may see the same, nobody is looked up.
    asked = conf.permission is not None or carries_user(request)
    if not near and not (asked and anonymous != access_of(True)):
        return anonymous
    # A page of a stranger can send the browser of somebody near here, by a name that leads to this server (DNS
    # rebinding), but not by an address. Probes ask by address.
    if not has_allowed_host(request) and parse_address(host_asked(request)) is None:
        return anonymous
    return access_of(True) if near else None


def may_change(request: HttpRequest) -> bool:
    """Return whether the caller has authority, and is no page of another site that sends somebody's browser here.

    Takes a second at most. That a caller may see everything is not enough.
    """
    settled = settled_change(request)
    if settled is not None:
        return settled
    find = partial(is_known, request)
    return (find() if conf.synchronous else user_lookups.call(find, None)) is True


async def amay_change(request: HttpRequest) -> bool:
    """Do the same on an event loop, without blocking it. Not for ``STATUS_SYNCHRONOUS``."""
    settled = settled_change(request)
    if settled is not None:
        return settled
    return await user_lookups.acall(partial(is_known, request), None) is True


def settled_change(request: HttpRequest) -> bool | None:
    """Return whether the caller may change something, or None where somebody has to be looked up for that."""
    if admits(has_token, request):
        return True
    is_ours = has_allowed_host(request)
    host = request.get_host() if is_ours else host_asked(request)
    page = request.META.get("HTTP_ORIGIN")  # browsers send it with every POST, scripts do not
    if not (is_ours or parse_address(host)) or (page is not None and page.partition("//")[2] != host):
        return False
    if settings.DEBUG or admits(is_near, request):
        return True
    return None if conf.permission is not None or carries_user(request) else False


def access_of(authorized: bool) -> Access:
    """Return the rights of an authorized or an anonymous caller."""
    # As they are written: a mistake in ``STATUS_SHOW_DETAILS`` shows nothing to anybody, and one in ``STATUS_PUBLIC``
    # opens nothing, as whoever wrote it meant to close something.
    show = conf.read("STATUS_SHOW_DETAILS", "when-authorized")
    details = show == "always" or (authorized and show == "when-authorized")
    if authorized or conf.read("STATUS_PUBLIC", None) is None:
        return Access(details, None)
    return Access(details, frozenset(conf.public or ()))


def looked_up(known: bool | None) -> Access:
    """Return the rights of a caller who was looked up; None where that took too long."""
    return access_of(known is True)._replace(unknown=known is None)


def has_allowed_host(request: HttpRequest) -> bool:
    """Return whether the request is for a host of the site."""
    try:
        request.get_host()
    except DisallowedHost:
        return False
    return True


def host_asked(request: HttpRequest) -> str:
    """Return the host that was asked for, where Django looks for it. It need not be one of the site."""
    forwarded = request.META.get("HTTP_X_FORWARDED_HOST") if settings.USE_X_FORWARDED_HOST else None
    return str(request.META.get("HTTP_HOST", "") if forwarded is None else forwarded)


def admits(rule: Callable[[HttpRequest], bool], request: HttpRequest) -> bool:
    """Return whether ``rule`` says True. Whatever it raises is a refusal, which is logged: it may be the project's."""
    try:
        return rule(request) is True
    except BaseException as error:
        log_once(f"{rule.__name__} could not tell who asks, which is a refusal", error)
        return False


def has_token(request: HttpRequest) -> bool:
    """Return whether the request carries one of ``STATUS_TOKENS`` as a bearer token (RFC 6750).

    Or as ``X-Status-Token``, where the web server wants ``Authorization`` for itself.
    """
    sent = _sent_tokens(request)
    accepted = _accepted_digests() if sent else ()
    # Every one of them, in constant time: how long it takes does not tell which was close.
    if sum([constant_time_compare(_digest(token), one) for token in sent for one in accepted]):
        return True
    if accepted:
        log_once("A wrong bearer token was sent")
    return False


def has_wrong_token(request: HttpRequest) -> bool:
    """Return whether the request carries a bearer token, and none of ``STATUS_TOKENS``, where there are any."""
    return bool(_sent_tokens(request) and _accepted_digests()) and not admits(has_token, request)


def _sent_tokens(request: HttpRequest) -> list[str]:
    scheme, _, bearer = request.META.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    sent = [bearer] if scheme.lower() == "bearer" else []
    sent += [request.META["HTTP_X_STATUS_TOKEN"]] if "HTTP_X_STATUS_TOKEN" in request.META else []
    return sent


def _accepted_digests() -> tuple[str, ...]:
    return digests(tuple(conf.tokens), *secret_keys())


def secret_keys() -> tuple[str, ...]:
    """Return the ``SECRET_KEY`` and those before it; nothing where the project has none."""
    try:
        keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    except ImproperlyConfigured:
        return ()
    return tuple(key.strip() for key in keys if isinstance(key, str))


@lru_cache(maxsize=8)
def digests(tokens: tuple[str, ...], *secret_keys: str) -> tuple[str, ...]:
    """Return the SHA-256 of each usable token: not one that can be guessed, or that is a secret key."""
    usable = []
    for token in map(str.strip, tokens):
        if token.startswith(HASHED) and is_digest(token.removeprefix(HASHED)):
            usable.append(token.removeprefix(HASHED).lower())
        elif not token.startswith(HASHED) and len(token) >= MIN_TOKEN and token not in secret_keys:
            usable.append(_digest(token))
    return tuple(usable)


def _digest(token: str) -> str:
    # An environment variable that is not UTF-8 reaches the settings with surrogates in it.
    return hashlib.sha256(token.strip().encode("utf-8", "surrogatepass")).hexdigest()


def is_digest(text: str) -> bool:
    """Return whether the text is a SHA-256 in hexadecimal digits."""
    return len(text) == 64 and set(text.lower()) <= set("0123456789abcdef")


def is_near(request: HttpRequest) -> bool:
    """Return whether the request comes from one of ``STATUS_NETWORKS``."""
    near = networks(tuple(conf.networks))
    address = client_address(request) if near else None
    return address is not None and any(address in network for network in near)


def client_address(request: HttpRequest) -> Address | None:
    """Return where the request comes from: the peer, or what stands behind ``STATUS_TRUSTED_PROXIES``.

    ``X-Forwarded-For`` is read from the right, past the proxies that are trusted: what is further left can be made up.
    None where there is no address (a Unix socket of nobody whom the setting trusts) or no readable one.
    """
    proxies = [proxy for proxy in conf.trusted_proxies if proxy != UNIX]
    trusted = networks(tuple(proxies))
    if conf.read("STATUS_TRUSTED_PROXIES", ()) != conf.trusted_proxies or len(trusted) != len(proxies):
        return None  # a mistake in the setting: a proxy of the project may be taken for whoever asks through it
    hops = [request.META.get("REMOTE_ADDR") or ""]
    if conf.trusted_proxies:
        forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
        hops += [hop for hop in reversed(forwarded.split(",")) if hop.strip()]
    if not hops[0] and UNIX in conf.trusted_proxies:
        del hops[0]
    address = None
    for hop in hops:
        address = parse_address(hop)
        if address is None or not any(address in network for network in trusted):
            return address
    return address


def parse_address(hop: str) -> Address | None:
    """Return the address, also with a port as some proxies write it; an IPv4-mapped IPv6 address as IPv4."""
    text = hop.strip()
    if text.startswith("[") and "]" in text:
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(maxsize=8)
def networks(cidrs: tuple[str, ...]) -> tuple[Network, ...]:
    """Return the readable ones among ``cidrs``; IPv4-mapped IPv6 as IPv4, like the addresses compared with them."""
    readable: list[Network] = []
    for cidr in cidrs:
        try:
            network = ip_network(cidr.strip(), strict=False)
        except ValueError:
            continue
        mapped = getattr(network.network_address, "ipv4_mapped", None)
        readable.append(network if mapped is None else IPv4Network((mapped, network.prefixlen - 96)))
    return tuple(readable)


def carries_user(request: HttpRequest) -> bool:
    """Return whether the request may be that of somebody who is logged in."""
    if settings.SESSION_COOKIE_NAME in request.COOKIES or request.META.get("REMOTE_USER"):
        return True
    # A permission may judge by a cookie of its own, or by a user whom the project knows by another token.
    return conf.permission is not None and bool(request.COOKIES or request.META.get("HTTP_AUTHORIZATION"))


def is_known(request: HttpRequest) -> bool:
    """Return whether ``STATUS_PERMISSION`` admits the request, or its user is trusted. May hang."""
    return admits(is_permitted, request) or admits(is_trusted_user, request)


def is_permitted(request: HttpRequest) -> bool:
    """Return what ``STATUS_PERMISSION`` says. May raise anything, and may hang."""
    permission = conf.permission
    if permission is None:
        return False
    if not hasattr(request, "user") and apps.is_installed("django.contrib.auth"):
        # Late: its models can only be imported where it is installed.
        from django.contrib.auth.models import AnonymousUser

        request.user = AnonymousUser()  # no middleware has run; a permission that asks for a user gets one
    judge = import_string(permission) if isinstance(permission, str) else permission
    verdict = judge(request)
    if iscoroutine(verdict):
        verdict.close()
        raise TypeError("STATUS_PERMISSION should be a plain function: nobody awaits a coroutine")
    # Only the literal True: a mock is true as well.
    return verdict is True


def is_trusted_user(request: HttpRequest) -> bool:
    """Return whether the user is staff or has the permission. May raise, and may hang: the database may be down."""
    user: Any = getattr(request, "user", None) if carries_user(request) else None
    # A user model of the project need not have any of these attributes.
    if not getattr(user, "is_active", False):
        return False
    if getattr(user, "is_staff", False):
        return True
    # Another app may have the label "status", and then this one has a different label.
    app = apps.get_containing_app_config(__package__)
    return app is not None and hasattr(user, "has_perm") and bool(user.has_perm(f"{app.label}.{PERMISSION}"))
