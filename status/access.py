"""Who may see what: the one rule that API, pages, OPTIONS and formats obey.

A caller has authority by a bearer token, a network, a callable of the project's own, or as a staff user, tried in this
order: the first two read the request alone, the last one may need the database that is down. Whatever goes wrong on the
way is a refusal, and never an error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from functools import lru_cache, partial
from inspect import iscoroutine
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare
from django.utils.module_loading import import_string

from status.conf import conf
from status.engine.worker import LimitedCalls
from status.logs import log_once

#: Open to everyone whatever ``STATUS_PUBLIC`` says: liveness probes carry no token.
ALWAYS_OPEN = ("health", "ping")
#: Shorter tokens can be guessed, and are not accepted.
MIN_TOKEN = 32
#: What a token in the settings begins with when it is given as its SHA-256, in 64 hexadecimal digits.
HASHED = "sha256:"
#: The permission that gives authority to users who are not staff.
PERMISSION = "status.view_status"
#: Who somebody is may take a database that hangs.
_lookups = LimitedCalls("status-access", limit=8, timeout=1.0)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Access(NamedTuple):
    """What one caller may do.

    details: whether to show reasons, durations and the full answers.
    resources: the resources the caller may ask for; None means every one.
    """

    details: bool
    resources: Collection[str] | None

    @property
    def challenge(self) -> bool:
        """Whether a bearer token could help a caller who is refused."""
        return bool(_known_digests())

    def may_ask(self, resource: str | None, provider: str | None = None) -> bool:
        """Whether the caller may ask at this address; decided by names alone, so that refusals betray nothing."""
        if self.resources is None or (resource, provider) == ALWAYS_OPEN:
            return True
        return bool(self.resources) if resource is None else resource in self.resources


def access_for(request: HttpRequest) -> Access:
    """The rights of whoever sent ``request``."""
    authority = admits(has_token, request) or admits(is_near, request)
    if not authority and may_be_known(request):
        knows = partial(is_known, request)
        authority = knows() if conf.synchronous else _lookups.call(knows, False)
    return _access(authority)


async def aaccess_for(request: HttpRequest) -> Access:
    """The same on an event loop, without blocking it."""
    authority = admits(has_token, request) or admits(is_near, request)
    if not authority and may_be_known(request):
        authority = await _lookups.acall(partial(is_known, request), False)
    return _access(authority)


def _access(authority: bool) -> Access:
    authority = authority or settings.DEBUG
    details = conf.show_details == "always" or (authority and conf.show_details == "when-authorized")
    return Access(details, None if authority else _open_to_all())


def _open_to_all() -> Collection[str] | None:
    """``STATUS_PUBLIC``. One with a mistake in it opens nothing: whoever wrote it meant to close something."""
    public = conf.public
    if public is None and conf.read("STATUS_PUBLIC", None) is None:
        return None
    return frozenset(public or ())


def admits(rule: Callable[[HttpRequest], bool], request: HttpRequest) -> bool:
    """Whether ``rule`` says True. Whatever it raises is a refusal, and goes to the log: some are the project's own."""
    try:
        return rule(request) is True
    except BaseException as error:
        log_once(f"{rule.__name__} could not tell who asks, which is a refusal", error)
        return False


def has_token(request: HttpRequest) -> bool:
    """Whether the request carries one of ``STATUS_TOKENS`` as a bearer token (RFC 6750)."""
    scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    if scheme.lower() != "bearer" or not (known := _known_digests()):
        return False
    digest = _digest(token)
    # Every one of them, in constant time: how long it takes tells nothing about which was close.
    if sum([constant_time_compare(digest, one) for one in known]):
        return True
    log_once("A wrong bearer token was sent")
    return False


def _known_digests() -> tuple[str, ...]:
    return digests(tuple(conf.tokens), *_secret_keys())


@lru_cache(maxsize=8)
def digests(tokens: tuple[str, ...], *other_doors: str) -> tuple[str, ...]:
    """The SHA-256 of each usable token; what could be guessed, or opens other doors too, is not usable."""
    usable = []
    for token in map(str.strip, tokens):
        if token.startswith(HASHED) and is_digest(token.removeprefix(HASHED)):
            usable.append(token.removeprefix(HASHED).lower())
        elif not token.startswith(HASHED) and len(token) >= MIN_TOKEN and token not in other_doors:
            usable.append(_digest(token))
    return tuple(usable)


def _digest(token: str) -> str:
    # An environment variable that is not UTF-8 reaches the settings with surrogates in it.
    return hashlib.sha256(token.strip().encode("utf-8", "surrogatepass")).hexdigest()


def _secret_keys() -> tuple[str, ...]:
    try:
        keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    except ImproperlyConfigured:  # a project without one
        return ()
    return tuple(key.strip() for key in keys if isinstance(key, str))


def is_digest(text: str) -> bool:
    return len(text) == 64 and set(text.lower()) <= set("0123456789abcdef")


def is_near(request: HttpRequest) -> bool:
    """Whether the request comes from one of ``STATUS_NETWORKS``."""
    near = networks(tuple(conf.networks))
    address = client(request) if near else None
    return address is not None and any(address in network for network in near)


def client(request: HttpRequest) -> Address | None:
    """Where the request comes from: the peer, or what stands behind ``STATUS_TRUSTED_PROXIES``.

    ``X-Forwarded-For`` is read from the right, past the proxies that are trusted: what is further left can be made up.
    None where there is no address (a Unix socket) or no readable one.
    """
    trusted = networks(tuple(conf.trusted_proxies))
    if conf.read("STATUS_TRUSTED_PROXIES", ()) != conf.trusted_proxies or len(trusted) != len(conf.trusted_proxies):
        return None  # a mistake in the setting: a proxy of the project may be taken for whoever asks through it
    hops = [request.META.get("REMOTE_ADDR") or ""]
    if trusted:
        forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
        hops += [hop for hop in reversed(forwarded.split(",")) if hop.strip()]
    address = None
    for hop in hops:
        address = parse(hop)
        if address is None or not any(address in network for network in trusted):
            return address
    return address


def parse(hop: str) -> Address | None:
    """An address, also with a port as some proxies write it, and IPv4 in its IPv6 clothes as IPv4."""
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
    """The readable ones among ``cidrs``."""
    readable = []
    for cidr in cidrs:
        try:
            readable.append(_plain(ip_network(cidr.strip(), strict=False)))
        except ValueError:
            continue
    return tuple(readable)


def _plain(network: Network) -> Network:
    """IPv4 in its IPv6 clothes as IPv4, like the addresses that are compared with it."""
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    return network if mapped is None else IPv4Network((mapped, network.prefixlen - 96))


def may_be_known(request: HttpRequest) -> bool:
    """Whether it is worth asking who this is: probes carry nothing that could tell."""
    if conf.permission is not None:
        return True
    return hasattr(request, "user") and bool(request.COOKIES or request.META.get("REMOTE_USER"))


def is_known(request: HttpRequest) -> bool:
    """Whether ``STATUS_PERMISSION`` admits the request, or its user is trusted. May hang."""
    return admits(is_permitted, request) or admits(is_trusted_user, request)


def is_permitted(request: HttpRequest) -> bool:
    """What ``STATUS_PERMISSION`` says. May raise, and may hang."""
    permission = conf.permission
    if permission is None:
        return False
    if not hasattr(request, "user") and apps.is_installed("django.contrib.auth"):
        # Late: its models can only be imported where it is installed.
        from django.contrib.auth.models import AnonymousUser

        request.user = AnonymousUser()  # at the front door nobody has looked; what asks for a user gets one
    judge = import_string(permission) if isinstance(permission, str) else permission
    verdict = judge(request)
    if iscoroutine(verdict):
        verdict.close()
        raise TypeError("STATUS_PERMISSION should be a plain function: nobody awaits a coroutine")
    # Only the literal True: a mock is true as well.
    return verdict is True


def is_trusted_user(request: HttpRequest) -> bool:
    """Whether the request's user is staff or has the permission. May raise, and may hang: the database may be down."""
    user = getattr(request, "user", None)
    return user is not None and bool(user.is_active and (user.is_staff or user.has_perm(PERMISSION)))
