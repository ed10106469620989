"""Turns a page into HTML with nothing that could be out of order: no database, cache, session or static file host.

Where the project has templates of its own under ``status/``, they are used with the project's engine and its context
processors. If they fail, because what they need is out, the built-in ones take their place: a page that reports an
outage must not need what is out.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.http import HttpRequest
from django.template import Context, Engine, TemplateDoesNotExist, engines
from django.template.backends.django import DjangoTemplates, Template
from django.utils import translation
from django.utils.translation import gettext

from status.logs import logger, trace_of
from status.pages.page import Page
from status.pages.stencil import fill

#: Where the templates are that come with the app.
FOLDER = Path(__file__).resolve().parent.parent / "templates"
#: A project that has any of these has changed the pages.
NAMES = ("base", "overview", "health", "stats", "refused", "_signs", "_nothing")


@lru_cache(maxsize=1)
def built_in() -> Engine:
    """An engine for the app's own templates only, each read once. Needs no ``TEMPLATES`` nor ``INSTALLED_APPS``."""
    return Engine(
        dirs=[str(FOLDER)],
        loaders=[("django.template.loaders.cached.Loader", ["django.template.loaders.filesystem.Loader"])],
        libraries={"i18n": "django.templatetags.i18n"},
    )


def render(request: HttpRequest, page: Page, context: Mapping[str, Any]) -> str:
    """``page`` as text, with what else the templates want to know; ``context`` holds nothing that cannot be hashed."""
    name = f"status/{page.template}.html"
    try:
        changed = changed_template(name)
        if changed is not None:
            return str(changed.render({**context, "page": page}, request))
    except Exception as error:
        logger.error("The project's own %s failed; the built-in page is shown instead.\n%s", name, trace_of(error))
        context = {**context, "notice": notice(error)}
    template = built_in().get_template(name)
    key = (translation.get_language(), *context.items())
    return fill(page, key, lambda page: str(template.render(Context({**context, "page": page}))))


def notice(error: Exception) -> str:
    """What the reader is told when the project's own templates could not be used; never the exception's own text."""
    return gettext("The project's own template failed (%s), so this is the built-in page.") % type(error).__name__


def changed_template(name: str) -> Template | None:
    """The project's template of that name if it has changed any of the app's; None where it has not."""
    for engine in engines.all():
        if isinstance(engine, DjangoTemplates) and is_changed(engine):
            return engine.get_template(name)
    return None


@lru_cache(maxsize=8)
def is_changed(engine: DjangoTemplates) -> bool:
    """Whether ``engine`` finds another template than the app's own under one of its names."""
    for name in NAMES:
        try:
            origin = engine.get_template(f"status/{name}.html").origin
        except TemplateDoesNotExist:
            continue
        except Exception:
            # There is one, and it has a mistake: rendering will tell which.
            return True
        if FOLDER not in Path(str(origin)).resolve().parents:
            return True
    return False
