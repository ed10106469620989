"""Settings of the documentation: ``python -m sphinx -W -n docs DIRECTORY`` builds it."""

import re
from typing import Any

import django
from django.conf import settings

import status

settings.configure(ROOT_URLCONF="status.urls")
django.setup()

project = "django-status"
release = version = status.__version__
html_theme = "furo"
html_title = f"{project} {release}"
html_show_copyright = False
smartquotes = False  # what is quoted is to be found by searching for it
extensions = ["sphinx.ext.autodoc"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the text says what each argument is


def show_arguments_as_fields(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Write ``timeout: seconds``, as the docstrings have it, as a field of a field list."""
    lines[:] = [re.sub(r"^([a-z_]+(?:, [a-z_]+)*): ", r":``\1``: ", line) for line in lines]


def setup(app: Any) -> None:
    """Connect what changes the text of docstrings."""
    app.connect("autodoc-process-docstring", show_arguments_as_fields)
