"""``manage.py check``: every mistake and trap in the settings, what was expected, what was found and the remedy."""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from celery import _state
from django.conf import settings
from django.core.checks import CheckMessage, run_checks
from django.core.management import call_command
from django.test import SimpleTestCase, override_settings

from status import checks
from tests.processes import absent

TOKEN = "tT0k3nThatIsLongEnough-and-random-9x7"
PING = "status.providers.health.ping"


def not_importable() -> None:
    """Stands for a callable; see ``PermissionTests``."""


async def awaited() -> None:
    """Likewise."""


class Unreadable:
    """Names that nobody can read."""

    def __iter__(self) -> Iterator[str]:
        raise ValueError


class ChecksTestCase(SimpleTestCase):
    def messages(self, **changed: Any) -> list[CheckMessage]:
        with override_settings(**changed):
            found = run_checks(tags=["status"], include_deployment_checks=True)
            return [m for m in found if m.id != "status.I001"]

    def assertFinds(self, id: str, message: str, **changed: Any) -> None:
        found = self.messages(**changed)
        self.assertEqual([m.id for m in found], [f"status.{id}"])
        self.assertIn(message, found[0].msg)
        self.assertTrue(found[0].hint)
        self.assertFalse(found[0].is_serious())  # FAULTS A17: it stops no deployment

    def assertFindsNothing(self, **changed: Any) -> None:
        self.assertEqual(self.messages(**changed), [])


class ErrorTests(ChecksTestCase):
    def test_default_settings_are_fine(self) -> None:
        self.assertFindsNothing()

    def test_source_code_where_nothing_is(self) -> None:
        for place in (absent(), str(absent()), __file__, "x" * 5_000):
            message = "PROJECT_PATH should be the path of a directory, and there is none."
            self.assertFinds("W040", message, PROJECT_PATH=place)
        for place in ("", None):
            self.assertFindsNothing(PROJECT_PATH=place)

    def test_setting_of_the_wrong_kind(self) -> None:
        for setting, value, message in (
            ("STATUS_TIMEOUT", "2", "STATUS_TIMEOUT should be a positive number of seconds, not a str."),
            ("STATUS_TIMEOUT", 0, "not 0."),
            ("STATUS_TIMEOUT", -1, "not -1."),
            ("STATUS_TIMEOUT", float("inf"), "not inf."),
            ("STATUS_TIMEOUT", None, "not None."),
            ("STATUS_TIMEOUT", 10**5000, "not a number too long to be shown."),
            ("STATUS_MAX_AGE", -1, "STATUS_MAX_AGE should be a number of seconds, 0 or more, not -1."),
            ("STATUS_ERROR_CODE", 42, "STATUS_ERROR_CODE should be an HTTP status between 200 and 599, not 42."),
            ("STATUS_ERROR_CODE", "503", "not a str."),
            ("PROJECT_PATH", ["x"], "PROJECT_PATH should be the path of a directory, or None, not a list."),
            ("PROJECT_PATH", b"x", "not a bytes."),
            ("PROJECT_PATH", "null\0", "not a str."),
            ("BASE_DIR", 5, "BASE_DIR should be the path of a directory, or None, not 5."),
            ("STATUS_INFORMATIONAL", "stats", "STATUS_INFORMATIONAL should be a list of resource names, not a str."),
            (
                "STATUS_CELERY_WORKERS",
                "celery@a",
                "STATUS_CELERY_WORKERS should be a list of Celery node names, not a str",
            ),
            ("STATUS_CELERY_APP", 5, "STATUS_CELERY_APP should be a dotted path"),
            ("STATUS_PUBLIC", "health", "STATUS_PUBLIC should be a list of resource names, not a str."),
            ("STATUS_SHOW_DETAILS", "sometimes", "STATUS_SHOW_DETAILS should be"),
            ("STATUS_SHOW_DETAILS", "sometimes", "not 'sometimes'."),
            ("STATUS_SHOW_DETAILS", ["always"], "STATUS_SHOW_DETAILS should be"),
            ("STATUS_TOKENS", TOKEN, "STATUS_TOKENS should be a list of tokens, not a str."),
            ("STATUS_TOKENS", [TOKEN, None], "not a list with items of the types NoneType, str."),
            ("STATUS_NETWORKS", "10.0.0.0/8", "STATUS_NETWORKS should be a list of networks, not a str."),
            ("STATUS_TRUSTED_PROXIES", "10.0.0.1", "STATUS_TRUSTED_PROXIES should be a list of networks, not a str."),
            ("STATUS_PERMISSION", 5, "STATUS_PERMISSION should be a callable"),
            ("STATUS_PERMISSION", "may_see", "not 'may_see'."),
            ("STATUS_DRAIN_FILE", "run/draining", "not 'run/draining'."),
            ("STATUS_DRAIN_FILE", Path("run/draining"), "not 'run/draining'."),
            ("STATUS_DRAIN_FILE", "/run/\n\xe9" + "x" * 99, "not '/run/\\n\\xe9" + "x" * 33 + "'."),
            ("STATUS_DRAIN_FILE", b"/run/draining", "not a bytes."),
            ("STATUS_PAGE_POLICY", "default-src\n", "not 'default-src\\n'."),
            ("STATUS_SYNCHRONOUS", "yes", "STATUS_SYNCHRONOUS should be True or False, not a str."),
        ):
            with self.subTest(setting=setting, value=value):
                self.assertFinds("E001", message, **{setting: value})

    def test_project_without_a_secret_key_is_checked(self) -> None:
        """FAULTS A15"""
        self.assertFindsNothing(SECRET_KEY="", STATUS_TOKENS=[TOKEN], SECURE_SSL_REDIRECT=True,
                                SECURE_REDIRECT_EXEMPT=["^status/"])  # fmt: skip

    def test_proxy_on_a_unix_socket(self) -> None:
        """FAULTS A12"""
        self.assertFindsNothing(STATUS_TRUSTED_PROXIES=["unix", "10.0.0.1/32"])
        self.assertFinds("E005", "STATUS_NETWORKS[0] should be a network", STATUS_NETWORKS=["unix"])
        self.assertFinds("E005", "or \"unix\" for a Unix socket, not 'Unix'", STATUS_TRUSTED_PROXIES=["Unix"])

    def test_value_that_may_be_a_secret_is_not_shown(self) -> None:
        (message,) = self.messages(STATUS_TOKENS="hunter2hunter2")
        self.assertNotIn("hunter2", f"{message.msg} {message.hint}")

    def test_malformed_entry(self) -> None:
        providers = {"health": ["ping"]}
        self.assertFinds("E002", 'STATUS_PROVIDERS["health"][0] should be (name, provider', STATUS_PROVIDERS=providers)

    def test_provider_that_is_not_there(self) -> None:
        for path, message in (
            ("nowhere.ping", "health/a should name a provider, but nowhere cannot be imported."),
            ("status.providers.health.pong", "status.providers.health has no pong."),
            ("tests.test_checks.PING", "tests.test_checks.PING should be a callable or a Provider, not str."),
            ("tests.exiting.check", "importing it raises SystemExit."),
        ):
            with self.subTest(path=path):
                providers = {"health": [("a", path)]}
                self.assertFinds("E003", message, STATUS_PROVIDERS=providers)

    def test_token_that_nobody_can_send(self) -> None:
        for token, message in (
            ("", "STATUS_TOKENS[1] should be a token or sha256:"),
            ("   ", "not an empty text."),
            ("äöüßéèêñ" * 5, "not one with characters outside of ASCII."),
            ("sha256:abc", "not 3 characters after sha256:."),
        ):
            with self.subTest(token=token):
                self.assertFinds("E004", message, STATUS_TOKENS=[TOKEN, token], SECURE_SSL_REDIRECT=True,
                                 SECURE_REDIRECT_EXEMPT=["^status/"])  # fmt: skip

    def test_setting_that_is_nearly_spelled_as_one(self) -> None:
        for name, meant in (
            ("STATUS_PUBLC", "STATUS_PUBLIC"),
            ("STATUS_TOKEN", "STATUS_TOKENS"),
            ("STATUS_PROVIDER", "STATUS_PROVIDERS"),
            ("STATUS_TIMOUT", "STATUS_TIMEOUT"),
            ("STATUS_SHOW_DETAIL", "STATUS_SHOW_DETAILS"),
        ):
            self.assertFinds("W043", f"{name} should be spelled {meant}.", **{name: ()})
        for name in ("STATUS_CHOICES", "STATUS_CODES", "STATUS_PAGE", "STATUSES", "STATUS_", "MY_STATUS_PUBLC"):
            self.assertFindsNothing(**{name: ()})

    def test_network_that_cannot_be_read(self) -> None:
        for setting in ("STATUS_NETWORKS", "STATUS_TRUSTED_PROXIES"):
            self.assertFinds("E005", f"{setting}[1] should be a network", **{setting: ["10.0.0.0/8", "10.0.0.0/99"]})

    def test_permission_that_is_not_there(self) -> None:
        for path, what in (
            ("nowhere.may_see", "a path that raises ModuleNotFoundError"),
            ("tests.test_checks.nothing", "a path that raises ImportError"),
            ("tests.test_checks.PING", "a str"),
        ):
            with self.subTest(path=path):
                self.assertFinds("E006", f"not {what}.", STATUS_PERMISSION=path)

    def test_permission_that_nobody_would_await(self):
        for permission in (awaited, "tests.test_checks.awaited"):
            self.assertFinds("E006", "not a coroutine function.", STATUS_PERMISSION=permission)

    def test_permission_by_path_or_as_it_is_is_fine(self) -> None:
        self.assertFindsNothing(STATUS_PERMISSION="tests.test_checks.not_importable")
        self.assertFindsNothing(STATUS_PERMISSION=not_importable)

    def test_arguments_that_a_classic_provider_ignores(self) -> None:
        """P12. By position or name, never by value."""
        entry = ("databases", "status.providers.django.health.databases", [["default"], "s3cret"], {"foo": "s3cret"})
        providers = {"health": [entry, ("ping", PING, [1])]}
        with override_settings(STATUS_PROVIDERS=providers):
            found = run_checks(tags=["status"])
        self.assertEqual(
            [(message.id, message.msg, message.hint) for message in found],
            [
                (
                    "status.W013",
                    "health/databases should be given arguments that it knows: it ignores foo, number 2.",
                    "It takes aliases, by name. Remove the others.",
                ),
                (
                    "status.W013",
                    "health/ping should be given arguments that it knows: it ignores number 1.",
                    "It takes none, by name. Remove the others.",
                ),
            ],
        )

    def test_arguments_that_a_provider_refuses(self) -> None:
        """By name, never by value; and the check itself fails with the same words."""
        providers = {"health": [("code", "status.providers.health.code", [], {"foo": "s3cret"})]}
        wrong = (
            "The arguments of the entry should be those that it takes: got an unexpected keyword argument 'foo'. "
            "It takes parents."
        )
        with override_settings(STATUS_PROVIDERS=providers, STATUS_SYNCHRONOUS=True):
            (found,) = run_checks(tags=["status"])
            with self.assertLogs("status"):
                answer = self.client.get("/status/api/health/code")
        self.assertEqual((found.id, found.msg), ("status.W013", f"health/code: {wrong}"))
        self.assertEqual(found.hint, "Until then the check fails. Correct 'code' in the settings.")
        self.assertEqual((answer.status_code, answer.json()), (503, {"ok": False, "error": wrong}))

    def test_switch_of_the_running_code_that_is_none(self) -> None:
        for parents in ("no", 1, []):
            entry = ("code", "status.providers.health.code", None, {"parents": parents})
            words = "health/code: The argument parents of the entry should be True or False, not"
            self.assertFinds("W013", words, STATUS_PROVIDERS={"health": [entry]})

    def test_aliases_that_are_not_configured(self) -> None:
        for provider, aliases, words in (
            ("databases", ["default", "nope"], "health/one: 'nope' should be configured in DATABASES."),
            ("caches", "nope", "health/one: 'nope' should be configured in CACHES."),
            ("storages", ["nope", "n\n"], "health/one: 'nope', 'n\\n' should be configured in STORAGES."),
            ("mail", "nope", "health/one: 'nope' should be configured in MAILERS"),
            ("replicas", None, "health/one: No database is a replica"),
            ("replicas", ["default"], None),
            ("databases", [{}], "should be a list of names, or one name, not a list with items of the type dict."),
            ("databases", 1, "health/one: The argument aliases of the entry should be a list of names, or one name"),
            ("caches", [None], "not a list with items of the type NoneType."),
            ("databases", [], None),
            ("databases", {"default": 1}.keys(), None),
            ("databases", Unreadable(), None),  # it is read in the run
        ):
            entry = ("one", f"status.providers.django.health.{provider}", None, {"aliases": aliases})
            with self.subTest(provider=provider, aliases=aliases):
                if words is None:
                    self.assertFindsNothing(STATUS_PROVIDERS={"health": [entry]})
                else:
                    self.assertFinds("W013", words, STATUS_PROVIDERS={"health": [entry]})
        entry = ("one", "status.providers.django.health.storages", (["nope"], True))
        self.assertFinds("W013", "health/one: 'nope' should be configured", STATUS_PROVIDERS={"health": [entry]})


class WarningTests(ChecksTestCase):
    def test_project_that_did_what_the_readme_says_is_ready_for_deployment(self) -> None:
        """FAULTS A16"""
        secure = {
            "SECURE_SSL_REDIRECT": True, "SECURE_HSTS_SECONDS": 3600, "SECURE_HSTS_INCLUDE_SUBDOMAINS": True,
            "MAILERS": {"default": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend"}},
            "SECURE_HSTS_PRELOAD": True, "SESSION_COOKIE_SECURE": True, "CSRF_COOKIE_SECURE": True,
        }  # fmt: skip
        frame_options = "django.middleware.clickjacking.XFrameOptionsMiddleware"
        stack = [checks.access.MIDDLEWARE, *settings.MIDDLEWARE, frame_options]
        with override_settings(MIDDLEWARE=stack, **secure):
            call_command("check", deploy=True, fail_level="WARNING", stdout=io.StringIO())

    def test_warnings_are_for_deployment(self) -> None:
        self.assertEqual(run_checks(tags=["status"]), [])

    def test_details_for_everyone(self) -> None:
        self.assertFinds("W002", 'not "always"', STATUS_SHOW_DETAILS="always")

    def test_weak_token(self) -> None:
        secure = {"SECURE_PROXY_SSL_HEADER": ("X", "https")}
        for token, message in (
            ("short", "not one of 5 characters, which is not accepted (at least 32)."),
            (settings.SECRET_KEY, "not the SECRET_KEY, which is not accepted."),
            ("x" * 40, "not one that anybody might guess."),
            ("my-example-token-0123456789-abcdefghi", "not one that anybody might guess."),
        ):
            with self.subTest(token=token):
                self.assertFinds("W003", message, STATUS_TOKENS=[token], **secure)
        self.assertFindsNothing(STATUS_TOKENS=[TOKEN, "sha256:" + "0a" * 32], **secure)

    def test_tokens_over_plain_http(self) -> None:
        self.assertFinds("W004", "STATUS_TOKENS should only be used over HTTPS", STATUS_TOKENS=[TOKEN])

    def test_everybody_is_near_behind_a_proxy_on_this_machine(self) -> None:
        for network in ("127.0.0.0/8", "127.0.0.1", "::1/128", "0.0.0.0/0"):
            with self.subTest(network=network):
                self.assertFinds("W037", "STATUS_TRUSTED_PROXIES should name a proxy", STATUS_NETWORKS=[network])
                self.assertFindsNothing(STATUS_NETWORKS=[network], STATUS_TRUSTED_PROXIES=["unix"])
        self.assertFindsNothing(STATUS_NETWORKS=["10.0.0.0/8"])

    def test_any_host(self) -> None:
        self.assertFinds("W005", "ALLOWED_HOSTS should name the hosts", ALLOWED_HOSTS=["*"])

    def test_long_deadline(self) -> None:
        self.assertFinds(
            "W006", "health/a should end within 10 seconds, not within 11.",
            STATUS_PROVIDERS={"health": [("a", PING, None, None, {"timeout": 11})]},
        )  # fmt: skip

    def test_code_facts_without_git(self) -> None:
        with mock.patch.object(shutil, "which", return_value=None):
            self.assertFinds("W007", "find a git program", PROJECT_PATH=self.checkout())
            self.assertFindsNothing(PROJECT_PATH=Path(__file__).parent)
        self.assertFindsNothing(PROJECT_PATH=self.checkout())

    def test_a_working_directory_that_is_gone(self) -> None:
        self.addCleanup(os.chdir, os.getcwd())
        gone = self.checkout()
        os.chdir(gone)
        shutil.rmtree(gone)
        self.assertEqual(self.messages(PROJECT_PATH=None, BASE_DIR=None), [])
        gone.mkdir()  # for the cleanup

    def checkout(self) -> Path:
        """A folder that looks like a checkout."""
        import tempfile

        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        (Path(folder.name) / ".git").mkdir()
        return Path(folder.name)

    def test_workers_without_celery(self) -> None:
        with mock.patch("importlib.util.find_spec", return_value=None):
            self.assertFinds("W008", "celery is not installed", STATUS_CELERY_WORKERS=["celery@a"])

    def test_workers_without_an_app(self) -> None:
        with mock.patch.object(_state, "default_app", None):
            self.assertFinds("W008", "no default Celery app", STATUS_CELERY_WORKERS=["celery@a"])
            self.assertFindsNothing(STATUS_CELERY_WORKERS=["celery@a"], STATUS_CELERY_APP="tests.celery_app:app")
            for name in ("queues", "workers"):
                providers = {"health": [("one", f"status.providers.celery.health.{name}")]}
                words = "health/one asks Celery, and there is no default Celery app"
                self.assertFinds("W008", words, STATUS_PROVIDERS=providers)
            providers = {"health": [("one", "status.providers.celery.health.celery")]}
            self.assertFindsNothing(STATUS_PROVIDERS=providers)
        with mock.patch.object(_state, "default_app", object()):
            self.assertFindsNothing(STATUS_CELERY_WORKERS=["celery@a"])

    def test_front_door_behind_another(self) -> None:
        behind = [*settings.MIDDLEWARE, checks.access.MIDDLEWARE]
        self.assertFinds("W009", "should stand before django.contrib.sessions.middleware.Sess", MIDDLEWARE=behind)
        self.assertFindsNothing(MIDDLEWARE=[checks.access.MIDDLEWARE, *settings.MIDDLEWARE])

    def test_front_door_behind_what_only_adds_headers(self) -> None:
        """FAULTS A10"""
        stack = [
            *checks.access.HARMLESS_IN_FRONT,
            checks.access.SECURITY,
            checks.access.MIDDLEWARE,
            *settings.MIDDLEWARE[1:],
        ]
        self.assertFindsNothing(MIDDLEWARE=stack)
        self.assertFinds("W009", f"before {checks.access.SECURITY}", MIDDLEWARE=stack, SECURE_SSL_REDIRECT=True)
        self.assertFindsNothing(MIDDLEWARE=stack, SECURE_SSL_REDIRECT=True, SECURE_REDIRECT_EXEMPT=["^status/"])

    def test_probes_that_are_redirected(self) -> None:
        self.assertFinds("W010", "SECURE_SSL_REDIRECT should not hit probes", SECURE_SSL_REDIRECT=True)
        self.assertFindsNothing(SECURE_SSL_REDIRECT=True, MIDDLEWARE=[checks.access.MIDDLEWARE, *settings.MIDDLEWARE])

    def test_resource_that_is_not_there(self) -> None:
        for setting in ("STATUS_PUBLIC", "STATUS_INFORMATIONAL"):
            self.assertFinds(
                "W011", f"{setting} should name resources that are configured, not 'helth'.", **{setting: ["helth"]}
            )
            self.assertFindsNothing(**{setting: ["health"]})

    def test_settings_in_lower_case(self) -> None:
        module = types.ModuleType("classic_settings")
        module.status_providers = {}  # type: ignore[attr-defined]
        with mock.patch.dict(sys.modules, {os.environ["DJANGO_SETTINGS_MODULE"]: module}):
            self.assertFinds("W012", "status_providers should be written STATUS_PROVIDERS.")


class StoreTests(ChecksTestCase):
    heartbeats = {"STATUS_HEARTBEATS": {"backup": 86_400}}

    def test_heartbeats_without_a_store(self) -> None:
        self.assertFinds("W031", "STATUS_HEARTBEATS should come with STATUS_STORE", **self.heartbeats)

    def test_heartbeats_that_cannot_be_used(self) -> None:
        for entries, message in (
            ({"backup": 0}, 'STATUS_HEARTBEATS["backup"] should be a positive number of seconds, not 0.'),
            ({5: 5}, "key 0 should be a name of 1 to 100 printable characters without a slash, not 5."),
            ({"a/b": 5}, "STATUS_HEARTBEATS key 0 should be a name of 1 to 100 printable characters without a slash"),
            ({"a/b": 5}, "not 'a/b'."),
            ({"x" * 101: 5}, f"not '{'x' * 40}'."),
            ({"two\nlines": 5}, "not 'two\\nlines'."),
        ):
            shared = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://"}}
            self.assertFinds("W030", message, STATUS_HEARTBEATS=entries, STATUS_STORE="default", CACHES=shared)
        self.assertFinds("E001", "STATUS_HEARTBEATS should be a dict of name -> seconds", STATUS_HEARTBEATS=["backup"])

    def test_a_store_that_is_none(self) -> None:
        for alias, backend, message in (
            ("nowhere", "locmem.LocMemCache", 'CACHES["nowhere"] is none.'),
            ("default", "locmem.LocMemCache", 'CACHES["default"] is one of LocMemCache.'),
            ("default", "dummy.DummyCache", 'CACHES["default"] is one of DummyCache.'),
            ("default", "db.DatabaseCache", "a table that is culled at 300 entries, so that heartbeats get lost"),
            ("default", "filebased.FileBasedCache", "files, which are for one host and a demonstration"),
        ):
            caches = {"default": {"BACKEND": f"django.core.cache.backends.{backend}", "LOCATION": "/nowhere"}}
            self.assertFinds("W032", message, STATUS_STORE=alias, CACHES=caches, **self.heartbeats)
        table = {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "store"}
        for shared in (
            {**table, "OPTIONS": {"MAX_ENTRIES": 10_000}}, {**table, "MAX_ENTRIES": 10_000},
            {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://"},
        ):  # fmt: skip
            self.assertFindsNothing(STATUS_STORE="default", CACHES={"default": shared}, **self.heartbeats)

    def test_a_cache_for_the_recent_past_that_is_none(self) -> None:
        for alias, message in (
            ("nope", 'STATUS_HISTORY_CACHE should name a cache that all processes share; CACHES["nope"] is none.'),
            ("default", 'CACHES["default"] is one of LocMemCache.'),
        ):
            caches = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
            self.assertFinds("W041", message, STATUS_HISTORY_CACHE=alias, CACHES=caches)
        shared = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://"}}
        self.assertFindsNothing(STATUS_HISTORY_CACHE="default", CACHES=shared)

    def test_a_resource_that_is_called_like_an_address_or_sub_command(self) -> None:
        for name in ("beat", "wait"):
            message = f'The resource "{name}" should be called differently'
            self.assertFinds("W033", message, STATUS_CHECK_PROVIDERS={name: [("ping", PING)]})


class ProcessTests(ChecksTestCase):
    def test_a_file_that_drains_nothing(self) -> None:
        message = "STATUS_DRAIN_FILE should come with the built-in ready"
        own = {"ready": [("ping", PING)]}
        self.assertFinds("W034", message, STATUS_DRAIN_FILE="/run/draining", STATUS_CHECK_PROVIDERS=own)
        self.assertFindsNothing(STATUS_DRAIN_FILE="/run/draining")
        self.assertFinds(
            "E001", "STATUS_DRAIN_FILE should be the absolute path of a file", STATUS_DRAIN_FILE="draining"
        )

    def test_a_drain_file_that_is_none(self) -> None:
        message = "STATUS_DRAIN_FILE should be the path of a file, and what stands there is a directory."
        self.assertFinds("W039", message, STATUS_DRAIN_FILE=Path(__file__).parent)
        self.assertFindsNothing(STATUS_DRAIN_FILE=__file__)

    def test_an_entry_that_is_called_like_a_check_of_the_app_s_own(self) -> None:
        added = {
            "STATUS_CELERY_WORKERS": ["celery@a"], "STATUS_CELERY_APP": "tests.celery_app:app",
            "STATUS_HEARTBEATS": {"backup": 60}, "STATUS_DRAIN_FILE": "/run/draining", "STATUS_STORE": "default",
            "CACHES": {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://"}},
        }  # fmt: skip
        for name, path in (
            ("celery", "status.providers.celery.health.celery"),
            ("heartbeats", "status.providers.health.heartbeats"),
        ):
            self.assertFindsNothing(STATUS_CHECK_PROVIDERS={"health": [(name, path)]}, **added)
            message = f"health/{name} should be named differently from the check"
            self.assertFinds("W038", message, STATUS_CHECK_PROVIDERS={"health": [(name, PING)]}, **added)
            self.assertFindsNothing(STATUS_CHECK_PROVIDERS={"health": [(name, PING)]})
        old = ("celery", "status.providers.health.celery")
        with self.assertWarns(DeprecationWarning):
            self.assertFinds("W023", old[1], STATUS_CHECK_PROVIDERS={"health": [old]}, **added)
        message = "health/drain should be named differently from a check of the app, which is ready/status-drain now."
        own = {"health": [("drain", PING)]}
        self.assertFinds("W038", message, STATUS_CHECK_PROVIDERS=own, **added)
        self.assertFindsNothing(STATUS_CHECK_PROVIDERS=own)
        message = "health/loops should be named differently from a check of the app, which is health/status-loops now."
        self.assertFinds("W038", message, STATUS_CHECK_PROVIDERS={"health": [("loops", PING)]})

    def test_addresses_that_nobody_can_answer_at(self) -> None:
        address = "127.0.0.1:8090"
        for addresses, message in (
            ({"web": address}, "STATUS_SERVE key should be 'worker' or 'beat', not 'web'."),
            ({"worker": "localhost:80"}, 'STATUS_SERVE["worker"] should be an IP address and a port, such as'),
            ({"worker": "localhost:80"}, "not 'localhost:80'."),
            ({("a", "b"): address}, "not a tuple."),
            (
                {"worker": address, "beat": address},
                "should be another address than that of the other role",
            ),
        ):
            self.assertFinds("W035", message, STATUS_SERVE=addresses)
        self.assertFindsNothing(STATUS_SERVE={"worker": address, "beat": "[::1]:8090"})
        self.assertFinds("E001", "STATUS_SERVE should be a dict of role -> address", STATUS_SERVE=address)
        with mock.patch("importlib.util.find_spec", return_value=None):
            self.assertFinds("W035", "celery is not installed", STATUS_SERVE={"worker": address})


class IdTests(SimpleTestCase):
    def test_each_id_belongs_to_one_check(self) -> None:
        source = "\n".join(path.read_text() for path in Path(checks.__file__).parent.glob("*.py"))
        bodies = re.split(r"^def ", source, flags=re.MULTILINE)
        owners: dict[str, set[str]] = {}
        for body in bodies:
            for id in re.findall(r'"(status\.[EW]\d{3})"', body):
                owners.setdefault(id, set()).add(body.split("(")[0])
        self.assertEqual({id: names for id, names in owners.items() if len(names) > 1}, {})
        registered = {check.__name__ for check in (*checks.MISTAKES, *checks.RISKS)}
        for letter, end in (("E", "_mistakes"), ("W", "_warnings")):
            names = {name for id, names in owners.items() if id.startswith(f"status.{letter}") for name in names}
            self.assertEqual(names, {name for name in registered if name.endswith(end)})

    def test_no_check_opens_a_socket(self) -> None:
        with mock.patch("socket.socket", side_effect=AssertionError("a socket")):
            run_checks(tags=["status"], include_deployment_checks=True)
