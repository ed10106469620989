"""The permission to see details, which the admin can grant once ``migrate`` has run. There is no table."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy


class NoRows(models.Manager["Status"]):
    """A manager for a model without a table, so that ``dumpdata`` and the like find nothing instead of failing."""

    def get_queryset(self) -> models.QuerySet[Status]:
        """Return no rows, without a query."""
        return super().get_queryset().none()


class Status(models.Model):
    """What the permission ``status.view_status`` is about."""

    objects = NoRows()

    class Meta:
        managed = False
        base_manager_name = "objects"
        default_permissions = ("view",)
        verbose_name = "status"
        verbose_name_plural = gettext_lazy("Status")

    def __str__(self) -> str:
        return "status"
