"""Where ``django_status`` finds its settings."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import find_spec
from traceback import walk_tb
from types import FrameType
from typing import Any

from status.cli.arguments import CannotAsk
from status.conf import conf


def apply_settings(path: str | None) -> None:
    """Make ``conf`` read what ``-s`` names, else ``DJANGO_STATUS_SETTINGS``, else ``DJANGO_SETTINGS_MODULE``.

    A module that is a Django project's settings is used as such, whichever of them names it. Raises CannotAsk where
    what is named cannot be loaded.
    """
    variables = ("DJANGO_STATUS_SETTINGS", "DJANGO_SETTINGS_MODULE")
    names = {"-s": path, **{variable: os.environ.get(variable) for variable in variables}}
    origin, name = next(((origin, name) for origin, name in names.items() if name), ("", ""))
    if not name:
        return
    with loading(origin, name):
        look_into_working_directory(name)
        if origin != "DJANGO_SETTINGS_MODULE":
            try:
                source = _import(origin, name)
            except Exception as error:
                # django-configurations, which wants to import the module itself.
                if not os.environ.get("DJANGO_CONFIGURATION") or type(error).__name__ != "ImproperlyConfigured":
                    raise
            else:
                if not (hasattr(source, "INSTALLED_APPS") and hasattr(source, "__spec__")):
                    conf.source = source
                    return
            os.environ["DJANGO_SETTINGS_MODULE"] = name
        _set_up_django()


def _set_up_django() -> None:
    """Load the project that the environment names; where it names a class of django-configurations, that one's."""
    configuration = os.environ.get("DJANGO_CONFIGURATION")
    if configuration and find_spec("configurations"):
        try:
            import_module("configurations").setup()
        except AttributeError as error:
            if "find configuration" not in str(error):
                raise
            module = os.environ["DJANGO_SETTINGS_MODULE"]
            raise CannotAsk(f"DJANGO_CONFIGURATION names {configuration!r}, but {module} has no such class") from error
        return
    # Late: a standalone answer is given without Django, whose import takes far longer.
    import django

    django.setup()


def look_into_working_directory(name: str) -> None:
    """Let Python import from the working directory where the module ``name`` is there, and nowhere else.

    As the last place, and not in Python's safe mode: others may be able to write there, and call a file ``json.py``.
    """
    package = name.partition(".")[0]
    safe = getattr(sys.flags, "safe_path", False) or os.environ.get("PYTHONSAFEPATH")  # the flag is of Python 3.11
    if safe or find_spec(package) is not None:
        return
    with suppress(OSError):  # it is not there any more
        here = os.getcwd()
        if PathFinder.find_spec(package, [here]):
            sys.path.append(here)


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


def is_of_python(frame: FrameType) -> bool:
    """Return whether the frame is one of the standard library's."""
    return frame.f_globals.get("__name__", "").partition(".")[0] in sys.stdlib_module_names


@contextmanager
def loading(origin: str, name: str) -> Iterator[None]:
    """Raise CannotAsk where the block fails, which loads the module ``name`` that ``origin`` names.

    The message holds no text of an exception but the name of a missing module: settings hold secrets.
    """
    try:
        yield
    except CannotAsk:
        raise
    except ModuleNotFoundError as error:
        missing = error.name or "a module"
        is_itself = f"{name}.".startswith(f"{missing}.")
        what = "there is no such module" if is_itself else f"it needs {missing}, which is not installed"
        raise CannotAsk(f"{origin} names {name!r}: {what}") from error
    except SyntaxError as error:
        raise CannotAsk(f"{origin} names {name!r}: SyntaxError at {error.filename}:{error.lineno}") from error
    except (Exception, SystemExit) as error:  # settings that refuse to be loaded may call sys.exit()
        # What the settings call of the standard library is not where the mistake is.
        places = [place for place in walk_tb(error.__traceback__) if not is_of_python(place[0])]
        frame, line = places[-1]
        what = f"which cannot be loaded: {type(error).__name__} at {frame.f_code.co_filename}:{line}"
        raise CannotAsk(f"{origin} names {name!r}, {what}") from error
