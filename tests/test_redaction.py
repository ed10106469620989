"""The last net: no secret that the settings hold leaves in any string."""

from __future__ import annotations

import os
import warnings
from typing import Any
from unittest import mock

from django.test import SimpleTestCase, override_settings

from status.engine import engine
from status.redaction import MASK, redact
from status.serialization import to_plain

SECRET = "c4n4ry-S3cret/with+odd@signs"


class Cursed(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError("not yours to look at")


@override_settings(STATUS_PROVIDERS={"health": [("ping", "status.providers.health.ping")]})
class LogTests(SimpleTestCase):
    def test_template_that_fails_with_a_secret_in_its_text_does_not_tell_it(self):
        loader = ("django.template.loaders.locmem.Loader", {"status/overview.html": "{% load c4n4ry_tags_99 %}"})
        templates = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": {"loaders": [loader]}}]
        self.addCleanup(engine.close)
        with override_settings(TEMPLATES=templates, SECRET_KEY="c4n4ry_tags_99"), self.assertLogs("status") as caught:
            response = self.client.get("/status/")
        self.assertIn("TemplateSyntaxError", caught.output[0])
        self.assertNotIn("c4n4ry", caught.output[0] + response.content.decode())


class RedactionTests(SimpleTestCase):
    def assertMasked(self, text: str, secret: str = SECRET, **settings: Any) -> None:
        with warnings.catch_warnings():
            # Newer versions of Django discourage some of these settings, which projects have all the same.
            warnings.simplefilter("ignore")
            with override_settings(**settings):
                masked = redact(text)
        self.assertNotIn(secret, masked)
        self.assertIn(MASK, masked)

    def assertKept(self, text: str, **settings: Any) -> None:
        with override_settings(**settings):
            self.assertEqual(redact(text), text)

    def test_secrets_of_any_setting_are_masked(self):
        for settings in (
            {"SECRET_KEY": SECRET}, {"SECRET_KEY": SECRET.encode()}, {"SECRET_KEY_FALLBACKS": [SECRET]},
            {"STATUS_TOKENS": (SECRET,)},
            {"EMAIL_HOST_PASSWORD": SECRET}, {"AWS_SECRET_ACCESS_KEY": SECRET}, {"STRIPE": {"api_key": SECRET}},
            {"MY_TOKENS": {SECRET}},
            {"SENTRY": {"options": [{"dsn": SECRET}]}}, {"X": {"a": {"b": {"c": {"d": {"password": SECRET}}}}}},
            {"MAILERS": {"default": {"OPTIONS": {"password": SECRET}}}},
            {"LOGIN": f"user=app password='{SECRET}' host=db"},
            {"STATUS_PROVIDERS": {"health": [("x", "y", (), {"token": SECRET})]}},
            {"JSON": f'{{"password": "{SECRET}"}}'},
        ):  # fmt: skip
            with self.subTest(settings=settings):
                self.assertMasked(f"it is {SECRET}.", **settings)

    def test_logins_of_addresses_are_masked_whatever_the_setting_is_called(self):
        for address in (
            "amqp://app:c4n4ryS3cret99@mq:5672//", "redis://:c4n4ryS3cret99@cache/0",
            "postgres://app:c4n4ryS3cret99@db/app?x=1",
            "amqp://a:b@one;amqp://a:c4n4ryS3cret99@two",
            "sentinel://:c4n4ryS3cret99@one:26379;sentinel://:x@two:26379",
            "redis://cache?password=c4n4ryS3cret99",
            "mysql://app:with@c4n4ryS3cret99@db/app", "Server=db;PWD=c4n4ryS3cret99;Database=x",
            "amqp://a:pa/c4n4ryS3cret99@mq//",
        ):  # fmt: skip
            with self.subTest(address=address):
                self.assertMasked("what about c4n4ryS3cret99?", "c4n4ryS3cret99", X=[{"y": address}])

    def test_long_user_name_in_an_address_may_be_a_token(self):
        self.assertMasked(
            "ghp_0123456789abcdef", "ghp_0123456789abcdef", X="https://ghp_0123456789abcdef@git.example/x.git"
        )

    def test_login_in_an_address_is_masked_also_where_nobody_knows_it(self):
        for text, expected in (
            ("amqp://user:hunter2@mq:5672//", f"amqp://{MASK}@mq:5672//"),
            ("fatal: https://ghp_x1@github.com/a/b", f"fatal: https://{MASK}@github.com/a/b"),
            ("redis://:p@ss@host/0 and x://y@z", f"redis://{MASK}@host/0 and x://{MASK}@z"),
        ):
            self.assertEqual(redact(text), expected)
        for text in ("https://example.com/a@b", "https://example.com?mail=a@b.c", "celery@host", "a://b c@d"):
            self.assertKept(text)

    def test_secret_is_known_as_it_is_quoted_and_escaped(self):
        secret = "c4n4ry ä'\"\\/@&"
        for spelling in (
            secret, "c4n4ry%20%C3%A4%27%22%5C/%40%26", "c4n4ry%20%C3%A4%27%22%5C%2F%40%26",
            "c4n4ry+%C3%A4%27%22%5C%2F%40%26",
            repr(secret)[1:-1],
        ):  # fmt: skip
            with self.subTest(spelling=spelling):
                self.assertMasked(f"x{spelling}x", spelling, X={"default": {"PASSWORD": secret}})

    def test_key_file_is_known_by_the_line(self):
        key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\nw0BAQEFAASCBKcwgg\n-----END KEY-----"
        self.assertMasked("bad line w0BAQEFAASCBKcwgg", "w0BAQEFAASCBKcwgg", SIGNING_KEY=key)

    def test_secrets_of_the_environment_are_masked(self):
        with mock.patch.dict(os.environ, {"PGPASSWORD": SECRET, "DATABASE_URL": "x://y:fr0mTheEnv1r0nment@z"}):
            self.assertMasked(SECRET)
            self.assertMasked("fr0mTheEnv1r0nment", "fr0mTheEnv1r0nment")
        with mock.patch.dict(os.environ, {"PWD": "/home/of/the/project"}):
            self.assertKept("/home/of/the/project")

    def test_short_secret_is_masked_as_a_word_only(self):
        with override_settings(X={"PASSWORD": "orange"}):
            self.assertEqual(redact("orange, an orange-tree, oranges"), f"{MASK}, an {MASK}-tree, oranges")

    def test_what_answers_are_made_of_is_kept(self):
        self.assertKept(
            "replica and default", CACHES={"replica": {"PASSWORD": "replica"}, "default": {"PASSWORD": "default"}}
        )
        self.assertKept("no", X={"PASSWORD": "no"})
        for name in (
            "CSRF_COOKIE_NAME",
            "CSRF_HEADER_NAME",
            "AUTH_USER_MODEL",
            "PASSWORD_HASHERS",
            "KEY_PREFIX",
            "API_URL",
        ):
            self.assertKept("harmless", **{name: "harmless" if name != "PASSWORD_HASHERS" else ["harmless"]})

    def test_setting_that_cannot_be_looked_through_hides_no_other(self):
        self.assertMasked(SECRET, ODD=Cursed(a=1), SECRET_KEY=SECRET)
        loop: dict[str, Any] = {"password": SECRET}
        loop["again"] = loop
        self.assertMasked(SECRET, LOOP=loop)

    def test_every_string_of_an_answer_passes_the_net(self):
        with override_settings(SECRET_KEY=SECRET):
            plain = to_plain({"a": [SECRET, {f"key {SECRET}": f"<{SECRET}>"}], SECRET: 1}).value
        self.assertNotIn(SECRET, str(plain))
        self.assertEqual(str(plain).count(MASK), 4)
