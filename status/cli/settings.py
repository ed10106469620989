"""Where the settings of ``django_status`` come from."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from status.cli.arguments import CannotAsk
from status.conf import conf

OURS = "DJANGO_STATUS_SETTINGS"
DJANGO = "DJANGO_SETTINGS_MODULE"


def adopt(path: str | None) -> None:
    """Make ``conf`` read what ``-s`` names, else ``DJANGO_STATUS_SETTINGS``, else ``DJANGO_SETTINGS_MODULE``.

    A module that is a Django project's settings is used as such, whichever of them names it. Raises ``CannotAsk`` with
    one clear line when what is named cannot be loaded.
    """
    if "" not in sys.path and os.getcwd() not in sys.path:
        # The installed script's first entry is its own directory; "-s settings" means the one in the working directory.
        sys.path.insert(0, os.getcwd())
    origin, name = next(
        ((origin, name) for origin, name in (("-s", path), (OURS, os.environ.get(OURS))) if name),
        (DJANGO, os.environ.get(DJANGO)),
    )
    if not name:
        return
    if origin == DJANGO:
        loaded(origin, name, _set_up_django)
        return
    source = loaded(origin, name, lambda: _find(origin, name))
    if hasattr(source, "INSTALLED_APPS") and hasattr(source, "__spec__"):
        os.environ[DJANGO] = name
        loaded(origin, name, _set_up_django)
    else:
        conf.source = source


def _find(origin: str, name: str) -> Any:
    """The module ``name``, or the class of that name in a module."""
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


def _set_up_django() -> None:
    # Late: a standalone answer is given without Django.
    import django

    django.setup()


def loaded(origin: str, name: str, load: Callable[[], Any]) -> Any:
    """What ``load()`` answers, with whatever goes wrong there told in one line.

    origin, name: what names it, and which module.

    The line holds no text of an exception other than the name of a missing module, as settings hold secrets.
    """
    try:
        return load()
    except CannotAsk:
        raise
    except ModuleNotFoundError as error:
        missing = error.name or "a module"
        what = "there is no such module" if name.startswith(missing) else f"it needs {missing}, which is not installed"
        raise CannotAsk(f"{origin} names {name!r}: {what}") from error
    except SyntaxError as error:
        raise CannotAsk(f"{origin} names {name!r}: SyntaxError at {error.filename}:{error.lineno}") from error
    except Exception as error:
        where = f"{type(error).__name__} at {_place(error)}"
        raise CannotAsk(f"{origin} names {name!r}, which cannot be loaded: {where}") from error


def _place(error: BaseException) -> str:
    """The file and line that raised ``error``."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "an unknown place" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
