"""System checks of the addresses of the app, and of what else is called ``status``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Warning
from django.core.management import get_commands
from django.template import TemplateSyntaxError
from django.template.loader import get_template
from django.urls import NoReverseMatch, Resolver404, URLResolver, get_resolver, get_script_prefix, reverse

from status.checks.access import MIDDLEWARE
from status.cli.arguments import VERBS
from status.conf import conf
from status.mounts import Mount, mounts_of
from status.registry import registry

#: The first word of addresses below ``api/`` that are no resource.
RESERVED = ("beat",)
#: What templates of the pages were called in 2.x, or would be if they had stayed in its folder.
OLD_TEMPLATES = tuple(f"status/{name}.html" for name in ("base", "main", "overview", "health", "stats"))


def reserved_warnings() -> Iterator[CheckMessage]:
    """Yield resources that are called like an address or a sub-command of the app's own."""
    for name in registry:
        if name in VERBS or name in RESERVED:
            message = (
                f'The resource "{name}" should be called differently: the app has a sub-command or address "{name}".'
            )
            hint = f"It wins in addresses; on the command line it is asked for as {name}/."
            yield Warning(message, hint, id="status.W033")


def address_warnings() -> Iterator[CheckMessage]:
    """Yield addresses of the app that a pattern of the project's stands in front of."""
    for resolver, mount in each_mount():
        taken: dict[str, list[str]] = {}
        for path in addresses_at(mount):
            with suppress(Resolver404):
                match = resolver.resolve(f"/{path.removeprefix(get_script_prefix())}")
                if not hasattr(match.func, "answered_by_middleware"):
                    taken.setdefault(match.route, []).append(path)
        for route, paths in taken.items():
            more = f" and {len(paths) - 1} more addresses" if len(paths) > 1 else ""
            message = f"{paths[0]}{more} should lead to this app, and the pattern {route!a} stands in front of it."
            yield Warning(message, "Move the line that mounts the app up in its urlconf.", id="status.W015")


def slash_warnings() -> Iterator[CheckMessage]:
    """Yield mounts whose path does not end in a slash, so that ``/statusapi`` is an address."""
    for _, mount in each_mount():
        api = mount.path("api_root")
        if api is not None and not api.rstrip("/").endswith("/api"):
            message = f"The app should be mounted below a path that ends in a slash: {api} is its address now."
            yield Warning(message, 'Write path("status/", include("status.urls")).', id="status.W036")


def mount_warnings() -> Iterator[CheckMessage]:
    """Yield mounts whose path takes an argument that the views of the API take too, from the path below the mount."""
    for _, mount in each_mount():
        if not any(view.name == "api_root" for view in mount.views):
            continue  # a view of the API in a urlconf of the project's, which may mean it so
        route = "".join(map(str, mount.way[1:]))
        for name in ("resource", "provider"):
            if any(name in pattern.regex.groupindex for pattern in mount.way):
                message = (
                    f'The argument "{name}" of the path {route!a} should be called differently: the API has it too.'
                )
                hint = "Rename it, to <slug:tenant> for example: liveness and readiness are 404 with it."
                yield Warning(message, hint, id="status.W042")


def each_mount() -> Iterator[tuple[URLResolver, Mount]]:
    """Yield each mount of the app, with its urlconf. Other checks tell of a urlconf that cannot be loaded."""
    for name in (None, *conf.urlconfs):
        with suppress(Exception):
            resolver = get_resolver(name)
            yield from [(resolver, mount) for mount in mounts_of(resolver)]


def addresses_at(mount: Mount) -> Iterator[str]:
    """Yield each path of the pages and the API at this mount, with its slash and without where both are possible."""
    root, api = mount.path("root"), mount.path("api_root")
    if root is not None:
        yield root
    paths = [mount.path("health"), mount.path("stats"), mount.path("fleet"), api]
    if api is not None:
        paths += [f"{api}/fleet", *(f"{api}/beat/{name}" for name in conf.heartbeats)]
        paths += [f"{api}/{resource}" for resource in registry]
        paths += [f"{api}/{check.resource}/{check.name}" for check in registry.select().checks]
    for path in filter(None, paths):
        yield path.rstrip("/")
        yield f"{path.rstrip('/')}/"


def urlconf_warnings() -> Iterator[CheckMessage]:
    """Yield urlconfs in ``STATUS_URLCONFS`` that do not lead to the app, and settings that name others."""
    for name in conf.urlconfs:
        what = "one that does not mount the app"
        try:
            if mounts_of(get_resolver(name)):
                continue
        except Exception as failure:  # a module of the project may raise anything
            what = f"one that raises {type(failure).__name__}"
        message = f"STATUS_URLCONFS should name urlconfs that mount the app, not {what}: {name[:100]!a}."
        yield Warning(message, 'Put path("status/", include("status.urls")) there, or remove it.', id="status.W016")
    if MIDDLEWARE not in settings.MIDDLEWARE or conf.urlconfs:
        return
    for name, value in conf.everything():
        # As those of django-hosts, django-tenants and django-subdomains are called.
        if not name.endswith(("URLCONF", "URLCONFS", "HOSTCONF")) or name == "STATUS_URLCONFS":
            continue
        if value and value != settings.ROOT_URLCONF:
            message = f"STATUS_URLCONFS should name the urlconfs that {name} leads to, where they mount the app."
            hint = "The middleware knows ROOT_URLCONF alone. Name them, or silence this if the app is in that one only."
            yield Warning(message, hint, id="status.W017")


def name_clash_warnings() -> Iterator[CheckMessage]:
    """Yield what else is called ``status``: templates that once changed the pages, a command, a namespace."""
    if templates := [name for name in OLD_TEMPLATES if _has_template(name)]:
        message = f"Templates that change the pages should be in django_status/, and {', '.join(templates)} are not."
        hint = "Move them if they do: docs/pages.rst has the blocks. Silence this if they belong to something else."
        yield Warning(message, hint, id="status.W018")
    owner = get_commands().get("status")
    app = apps.get_containing_app_config(__package__)
    if app is not None and owner != app.name:
        message = f"manage.py status should be the command of this app, and it is that of {owner}."
        yield Warning(message, "Put this app before it in INSTALLED_APPS, or call django_status.", id="status.W019")
    with suppress(Exception):  # Django's own checks tell of a urlconf that cannot be loaded
        mounts = [mount for mount in mounts_of(get_resolver()) if mount.path("api_root")]
        for mount in mounts:
            if _reversed(*mount.namespaces, "api_root") not in [one.path("api_root") for one in mounts]:
                message = (
                    f"The namespace {':'.join(mount.namespaces)} should be this app's, and another one has that name."
                )
                hint = 'Mount the app as include("status.urls", namespace="django_status"), and reverse with that name.'
                yield Warning(message, hint, id="status.W021")


def _reversed(*names: str) -> str | None:
    with suppress(NoReverseMatch):
        return reverse(":".join(names))
    return None


def _has_template(name: str) -> bool:
    try:
        get_template(name)
    except TemplateSyntaxError:
        return True
    except Exception:  # there is none, or no engine that could have it
        return False
    return True
