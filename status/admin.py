"""A link from the index of the admin to the status pages. Django imports this file where the admin is installed."""

from __future__ import annotations

from django.contrib.admin import site

#: The first extends whatever ``admin/index.html`` the project has; where the project's template loaders do not find it,
#: the admin takes the second. A project that names its own index template keeps it.
INDEX_TEMPLATES = ["status/admin_index.html", "admin/index.html"]

if site.index_template is None:
    site.index_template = INDEX_TEMPLATES  # type: ignore[assignment]  # TemplateResponse takes a list, too
