"""Where ``django_status`` finds its settings."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

from status.cli.arguments import CannotAsk
from status.conf import conf

Loaded = TypeVar("Loaded")


def apply_settings(path: str | None) -> None:
    """Make ``conf`` read what ``-s`` names, else ``DJANGO_STATUS_SETTINGS``, else ``DJANGO_SETTINGS_MODULE``.

    A module that is a Django project's settings is used as such, whichever of them names it. Raises CannotAsk where
    what is named cannot be loaded.
    """
    if "" not in sys.path and os.getcwd() not in sys.path:
        # The installed script's first entry is its own directory; "-s settings" means the one in the working directory.
        sys.path.insert(0, os.getcwd())
    names = {
        "-s": path,
        "DJANGO_STATUS_SETTINGS": os.environ.get("DJANGO_STATUS_SETTINGS"),
        "DJANGO_SETTINGS_MODULE": os.environ.get("DJANGO_SETTINGS_MODULE"),
    }
    origin, name = next(((origin, name) for origin, name in names.items() if name), ("", ""))
    if not name:
        return
    if origin != "DJANGO_SETTINGS_MODULE":
        source = load(origin, name, lambda: _import(origin, name))
        if not (hasattr(source, "INSTALLED_APPS") and hasattr(source, "__spec__")):
            conf.source = source
            return
        os.environ["DJANGO_SETTINGS_MODULE"] = name
    # Late: a standalone answer is given without Django, whose import takes far longer.
    import django

    load(origin, name, django.setup)


def _import(origin: str, name: str) -> Any:
    """Return the module ``name``, or the class of that name in a module."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        module, _, attribute = name.rpartition(".")
        if error.name != name or not module:
            raise
        owner = import_module(module)
        if not hasattr(owner, attribute):
            raise CannotAsk(f"{origin} names {name!r}, but {module} has no {attribute}") from error
        return getattr(owner, attribute)


def load(origin: str, name: str, function: Callable[[], Loaded]) -> Loaded:
    """Return what ``function`` does, which loads the module ``name`` that ``origin`` names.

    Raises CannotAsk where that fails, with one line that holds no text of an exception but the name of a missing
    module: settings hold secrets.
    """
    try:
        return function()
    except CannotAsk:
        raise
    except ModuleNotFoundError as error:
        missing = error.name or "a module"
        what = "there is no such module" if name.startswith(missing) else f"it needs {missing}, which is not installed"
        raise CannotAsk(f"{origin} names {name!r}: {what}") from error
    except SyntaxError as error:
        raise CannotAsk(f"{origin} names {name!r}: SyntaxError at {error.filename}:{error.lineno}") from error
    except Exception as error:
        trace, place = error.__traceback__, "an unknown place"
        while trace is not None:
            place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
            trace = trace.tb_next
        what = f"which cannot be loaded: {type(error).__name__} at {place}"
        raise CannotAsk(f"{origin} names {name!r}, {what}") from error
