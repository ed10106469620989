"""Render a page with the project's templates, or with the built-in ones.

A page that reports an outage must not need what is out. So the built-in templates need no database, cache, session or
static file host. A project's own templates under ``django_status/`` are rendered with the project's engine and context
processors; where they fail, the built-in ones take their place.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from django.http import HttpRequest
from django.template import Context, Engine, TemplateDoesNotExist, engines
from django.template.backends.django import DjangoTemplates
from django.utils.translation import gettext

from status.logs import log_once
from status.pages.page import Page

#: Where the templates are that come with the app.
TEMPLATE_FOLDER = Path(__file__).resolve().parent.parent / "templates"
#: A project that has any of these has changed the pages.
TEMPLATE_NAMES = ("base", "overview", "health", "stats", "fleet", "refused", "_signs", "_nothing")


@lru_cache(maxsize=1)
def built_in() -> Engine:
    """Return an engine for the app's own templates. It needs neither ``TEMPLATES`` nor ``INSTALLED_APPS``."""
    folder = files("status") / "templates" / "django_status"
    templates = {f"django_status/{file.name}": file.read_text("utf-8") for file in folder.iterdir()}
    return Engine(
        # Read as resources, because the app may be imported from a zip file.
        loaders=[("django.template.loaders.cached.Loader", [("django.template.loaders.locmem.Loader", templates)])],
        libraries={"i18n": "django.templatetags.i18n"},
    )


def render_page(request: HttpRequest, page: Page, context: Mapping[str, Any]) -> str:
    """Return ``page`` as HTML. ``context`` is what the templates use beside it."""
    name = f"django_status/{page.template}.html"
    context = {**context, "page": page}
    try:
        for engine in engines.all():
            if isinstance(engine, DjangoTemplates) and is_changed(engine):
                return str(engine.get_template(name).render(context, request))
    except Exception as error:
        log_once(f"The project's own {name} failed; the built-in page is shown instead", error, logging.ERROR)
        # Everyone reads this, so it does not quote the exception.
        notice = gettext("The project's own template failed (%s), so this is the built-in page.")
        context["notice"] = notice % type(error).__name__
    return str(built_in().get_template(name).render(Context(context)))


def is_changed(engine: DjangoTemplates) -> bool:
    """Return whether ``engine`` finds another template than the app's own under one of its names.

    It may find one at any time: Django looks for templates anew where one is changed while ``runserver`` runs.
    """
    for name in TEMPLATE_NAMES:
        try:
            origin = engine.get_template(f"django_status/{name}.html").origin
        except TemplateDoesNotExist:
            continue
        except Exception:
            # There is one, and it has a mistake: rendering it raises the error that is reported.
            return True
        if not is_own(str(origin)):
            return True
    return False


@lru_cache(maxsize=64)
def is_own(origin: str) -> bool:
    """Return whether a template comes with the app."""
    return TEMPLATE_FOLDER in Path(origin).resolve().parents
