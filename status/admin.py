"""A link from the admin's index to the status pages. Django imports this file where the admin is installed."""

from __future__ import annotations

from django.contrib.admin import site

#: Extends whatever ``admin/index.html`` the project has, so no template of the project is replaced; where a project's
#: template loaders do not find ours, the admin takes its own. A project that names its own index template keeps it.
TEMPLATES = ["status/admin_index.html", "admin/index.html"]

if site.index_template is None:
    site.index_template = TEMPLATES  # type: ignore[assignment]  # TemplateResponse takes a list, too
