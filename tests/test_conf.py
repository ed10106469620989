"""Settings, wherever Django or a caller keeps them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from django.conf import UserSettingsHolder, settings
from django.test import SimpleTestCase, modify_settings, override_settings

from status.conf import Conf, Setting, conf
from tests.processes import environment


class ConfTests(SimpleTestCase):
    def test_property_of_the_class_describes_the_setting(self) -> None:
        self.assertIsInstance(Conf.timeout, Setting)
        self.assertEqual(Conf.timeout.name, "STATUS_TIMEOUT")

    @override_settings(STATUS_TIMEOUT=7)
    def test_setting_that_was_deleted_has_its_default(self) -> None:
        with override_settings():
            del settings.STATUS_TIMEOUT
            self.assertEqual(conf.timeout, 2)
        self.assertEqual(conf.timeout, 7)

    def test_what_a_project_does_not_set_has_its_default_in_the_settings_of_django(self) -> None:
        declared = ("STATUS_CHECK_PROVIDERS", *(setting.name for setting in conf.declared()))
        names = [name for name in declared if name.startswith("STATUS_") and name != "STATUS_PUBLIC"]
        with override_settings(STATUS_TIMEOUT=7):
            for name in names:
                if name != "STATUS_TIMEOUT" and hasattr(settings, name):
                    delattr(settings, name)
            conf.give_defaults_to_django()
            self.assertEqual([name for name in names if not hasattr(settings, name)], [])
            self.assertEqual((settings.STATUS_TIMEOUT, settings.STATUS_ERROR_CODE), (7, 503))
            settings.STATUS_ERROR_CODE = 500
            self.assertEqual(conf.error_code, 500)
            settings.STATUS_HEARTBEATS["job"] = 60
        self.assertEqual(Conf.heartbeats.default, {})

    def test_what_a_plain_module_leaves_out_stays_out(self) -> None:
        plain = Conf()
        plain.source = SimpleNamespace(status_check_providers={"health": []})
        plain.give_defaults_to_django()
        self.assertEqual(plain.read("STATUS_CHECK_PROVIDERS", None), {"health": []})

    def test_a_test_may_add_to_who_may_ask(self) -> None:
        with override_settings(), modify_settings(STATUS_PUBLIC={"append": "health"}):
            self.assertEqual(conf.public, ["health"])

    def test_settings_that_cannot_be_set_are_left_alone(self) -> None:
        class Sealed:
            def __setattr__(self, name: str, value: object) -> None:
                raise RuntimeError(name)

        sealed = Conf()
        sealed._of_django = Sealed()
        sealed.give_defaults_to_django()
        self.assertEqual(sealed.timeout, 2)

    def test_settings_kept_in_any_other_way_are_found(self) -> None:
        """``settings.configure(default_settings=...)`` takes any object."""
        holder = settings._wrapped
        try:
            settings._wrapped = UserSettingsHolder(SimpleNamespace(STATUS_TIMEOUT=5))
            self.assertEqual((conf.timeout, conf.max_age), (5, 0))
        finally:
            settings._wrapped = holder

    def test_source_code_is_where_the_process_is_unless_a_setting_says_otherwise(self) -> None:
        with override_settings(PROJECT_PATH="/srv/shop"):
            self.assertEqual(conf.project_path, Path("/srv/shop"))
        with override_settings(PROJECT_PATH=7, BASE_DIR=None):
            self.assertEqual(conf.project_path, Path.cwd())

    def test_environment_says_where_the_settings_are_before_anyone_looked(self) -> None:
        code = "from status.conf import conf; print(conf.timeout, conf.in_django)"
        env = environment({"DJANGO_SETTINGS_MODULE": "tests.settings"})
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
        self.assertEqual((done.stdout, done.stderr), ("2 True\n", ""))
