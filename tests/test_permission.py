"""The permission ``view_status``: it is there after ``migrate``, is granted in the admin, and belongs to this app."""

from __future__ import annotations

import io
from typing import Any
from unittest import mock

from django.apps import AppConfig, apps
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.db import connection
from django.http import HttpRequest
from django.test import RequestFactory, SimpleTestCase, TestCase, override_settings
from django.urls import include, path

from status.access import access_for

urlpatterns = [path("admin/", admin.site.urls), path("status/", include("status.urls"))]


def by(user: Any) -> HttpRequest:
    request = RequestFactory().get("/status/api/health", headers={"cookie": "sessionid=x"})
    request.user = user
    return request


@override_settings(
    ROOT_URLCONF=__name__, STATUS_SYNCHRONOUS=True, STATUS_PROVIDERS={"health": [("fine", lambda: True)]}
)
class GrantTests(TestCase):
    def test_permission_is_granted_in_the_admin(self):
        """FAULTS A6"""
        user = User.objects.create(username="operator")
        permission = Permission.objects.get(content_type__app_label="status", codename="view_status")
        self.client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
        address = f"/admin/auth/user/{user.pk}/change/"
        self.assertContains(self.client.get(address), str(permission))
        joined = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
        form = {"username": "operator", "is_active": "on", "user_permissions": [permission.pk], **joined}
        self.assertRedirects(self.client.post(address, form), "/admin/auth/user/")
        self.client.force_login(user)
        self.assertIn("Server-Timing", self.client.get("/status/api/health"))

    def test_user_without_it_is_a_stranger(self):
        self.client.force_login(User.objects.create(username="operator"))
        self.assertNotIn("Server-Timing", self.client.get("/status/api/health"))

    def test_there_is_no_table_and_nothing_misses_it(self):
        """FAULTS A6: what walks over all models must not stumble over the one without a table."""
        self.assertEqual([name for name in connection.introspection.table_names() if name.startswith("status")], [])
        for command, *words in (
            ("dumpdata", "status"), ("dumpdata", "status", "--all"), ("makemigrations", "--check", "--dry-run"),
        ):  # fmt: skip
            call_command(command, *words, stdout=io.StringIO())
        model = apps.get_model("status", "Status")
        self.assertEqual([*model.objects.all(), *model._base_manager.all()], [])
        self.assertEqual(str(model()), "status")


class Bare:
    """A user of a model that has nothing to do with Django's."""

    is_active = True


class Permitted(Bare):
    def __init__(self, *permissions: str) -> None:
        self.has_perm = permissions.__contains__


class UserModelTests(SimpleTestCase):
    def test_user_model_without_staff_and_permissions_is_a_stranger(self):
        """FAULTS A6"""
        with self.assertNoLogs("status"):
            for user in (object(), Bare(), Permitted()):
                self.assertFalse(access_for(by(user)).details)

    def test_user_model_without_staff_may_have_the_permission(self):
        """FAULTS A6"""
        self.assertTrue(access_for(by(Permitted("status.view_status"))).details)

    def test_permission_belongs_to_this_app_and_not_to_its_label(self):
        """FAULTS A6"""
        app = mock.Mock(spec=AppConfig, label="django_status")
        with mock.patch.object(apps, "get_containing_app_config", return_value=app):
            self.assertFalse(access_for(by(Permitted("status.view_status"))).details)
            self.assertTrue(access_for(by(Permitted("django_status.view_status"))).details)
        with mock.patch.object(apps, "get_containing_app_config", return_value=None):
            self.assertFalse(access_for(by(Permitted("status.view_status"))).details)
