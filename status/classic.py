"""Names of 2.x that still work, each with a DeprecationWarning, and nothing else.

The modules in which they stood look them up here when somebody asks for them. So this one imports the rest of the
package late: those modules may be half imported.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any

#: What stood where -> where it is now.
NEW_NAMES = {
    "status.default_app_config": "status.classic.default_app_config",
    "status.apps.Status": "status.apps.StatusConfig",
    "status.api.views.RootAPIView": "status.api.views.ReportView",
    "status.api.views.ResourceAPIView": "status.api.views.ReportView",
    "status.api.views.ProviderAPIView": "status.api.classic.ProviderAPIView",
    "status.providers.Resource": "status.classic.Resource",
    "status.providers.base.Resource": "status.classic.Resource",
    "status.providers.health.databases": "status.providers.django.health.databases",
    "status.providers.health.caches": "status.providers.django.health.caches",
    "status.providers.health.celery": "status.providers.celery.health.celery",
    "status.providers.stats.databases": "status.providers.django.stats.databases",
    "status.providers.stats.celery": "status.providers.celery.stats.celery",
}
#: What takes the place of those that are in modules for 2.x alone.
INSTEAD = {
    "default_app_config": "nothing: Django finds the configuration by itself",
    "ProviderAPIView": "status.api.views.ReportView with resource and provider",
    "Resource": 'status.ask("health")',
}
default_app_config = "status.apps.Status"


def find(module: str, name: str) -> Any:
    """Return what ``module.name`` was in 2.x. Raises AttributeError for any other name, as a module does."""
    where, _, attribute = NEW_NAMES.get(f"{module}.{name}", "").rpartition(".")
    if not where:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    deprecate(f"{module}.{name}", INSTEAD.get(attribute, f"{where}.{attribute}"))
    return getattr(import_module(where), attribute)


def deprecate(name: str, instead: str) -> None:
    """Warn who asked for a name of 2.x, two calls up."""
    warnings.warn(f"{name} is a name of django-status 2.x; use {instead}.", DeprecationWarning, stacklevel=4)


class Resource:
    """``Resource("health")()``: the answers of a resource by name. Raises ValueError where there is no such resource.

    providers: those of the resource by name, each of which can be called.
    """

    def __init__(self, name: str) -> None:
        # Late, as the first lines say.
        from status.registry import registry

        if name not in registry:
            raise ValueError(f"There is no resource {name!r}. There is: {', '.join(registry)}.")
        self.name = name
        self.providers = {
            each: ProviderOfEntry(each, check.source, check.args, check.kwargs)
            for each, check in registry[name].items()
        }

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # Late, as the first lines say.
        from status.engine import engine
        from status.registry import registry

        return engine.report(registry.select(self.name)).document(True)


class ProviderOfEntry:
    """``Provider(name, path, args, kwargs)()``: an entry of ``STATUS_PROVIDERS``, called in the caller's thread."""

    def __init__(self, name: str, provider: Any, args: Any = None, kwargs: Any = None) -> None:
        if isinstance(provider, str):
            module, _, attribute = provider.rpartition(".")
            path, provider = provider, getattr(import_module(module), attribute, None)
            if provider is None:
                raise ValueError(f"There is no provider {path}.")
        self.name, self.provider, self.args, self.kwargs = name, provider, args or (), kwargs or {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # Late, as the first lines say.
        from status.providers.base import as_provider

        return as_provider(self.provider)(*(args or self.args), **(kwargs or self.kwargs))


def provider_of_entry(*args: Any, **kwargs: Any) -> ProviderOfEntry:
    """Return what ``Provider`` made of an entry in 2.x."""
    deprecate("Provider(name, path, args, kwargs)", 'status.ask("health/NAME"), or call the provider itself')
    return ProviderOfEntry(*args, **kwargs)


class Settings:
    """``status.settings.settings`` of 2.2. In 2.1 ``status.settings`` itself had the same names, in capitals."""

    def __getattr__(self, name: str) -> Any:
        # Late, as the first lines say.
        from status.conf import conf
        from status.registry import registry

        if name.upper() == "PROVIDERS":
            return {
                resource: tuple((one.name, one.source, one.args or None, one.kwargs or None) for one in checks.values())
                for resource, checks in registry.items()
            }
        if name.upper() == "CELERY_WORKERS":
            return conf.celery_workers
        if name.upper() in ("DEBUG", "BASE_DIR", "INSTALLED_APPS", "CACHES"):
            return conf.read(name.upper(), None)
        raise AttributeError(f"module 'status.settings' has no attribute {name!r}")


def setting(name: str) -> Any:
    """Return what ``status.settings`` had of that name. Raises AttributeError for any other name, as a module does."""
    value = Settings() if name == "settings" else getattr(Settings(), name)
    deprecate(f"status.settings.{name}", "django.conf.settings")
    return value
