"""A project full of secrets, for ``test_secrets``: settings with one in every place,
and providers that tell them all."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Mapping
from typing import Any

from django import VERSION
from django.urls import include, path

from status.providers import Provider
from status.providers.base import Answer, Composite, Finding, Part, Unavailable
from tests.base_settings import *  # noqa: F403
from tests.base_settings import STATUS_MIDDLEWARE

#: place -> the secret that is planted there.
PLACES: dict[str, str] = {}


def plant(place: str) -> str:
    assert place not in PLACES, place
    PLACES[place] = f"c4n4ry{len(PLACES):02}x{7919 * (len(PLACES) + 13) % 1_000_003:06}z"
    return PLACES[place]


ROOT_URLCONF = __name__
MIDDLEWARE = [STATUS_MIDDLEWARE]
PROJECT_PATH = os.environ.get("SECRETS_FOLDER", os.devnull)
#: Refuses connections.
PORT = os.environ.get("SECRETS_PORT", "1")

SECRET_KEY = plant("SECRET_KEY") * 4
SECRET_KEY_FALLBACKS = [plant("SECRET_KEY_FALLBACKS") * 4]
TOKEN = f"{plant('STATUS_TOKENS')}-0123456789-abcdefgh"
STATUS_TOKENS = [TOKEN]
if VERSION < (6, 1):
    EMAIL_HOST_PASSWORD = plant("EMAIL_HOST_PASSWORD")
else:  # which refuses to have both
    MAILERS = {"default": {"BACKEND": "x", "OPTIONS": {"password": plant("MAILERS")}}}
CLOSED = {"HOST": "127.0.0.1", "PORT": PORT}
POSTGRES = {"ENGINE": "django.db.backends.postgresql", "NAME": "app", **CLOSED}
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": ":memory:",
        "PASSWORD": plant("DATABASES PASSWORD, SQLite"),
    },
    "password": {**POSTGRES, "USER": "app", "PASSWORD": plant("DATABASES PASSWORD")},
    "url": {**POSTGRES, "NAME": f"postgresql://app:{plant('DATABASES NAME, URL')}@127.0.0.1:{PORT}/app"},
    "words": {**POSTGRES, "NAME": f"dbname=app password={plant('DATABASES NAME, words')} host=127.0.0.1 port={PORT}"},
    "quoted": {**POSTGRES, "NAME": f"dbname=app password='{plant('DATABASES NAME, quoted')}' x"},
    "options": {
        **POSTGRES,
        "OPTIONS": {
            "sslpassword": plant("OPTIONS sslpassword"),
            "passfile": f"{PROJECT_PATH}/absent/{plant('OPTIONS passfile')}",
            "sslkey": f"{PROJECT_PATH}/absent/{plant('OPTIONS sslkey')}",
            "options": f"-c app.password={plant('OPTIONS options')}",
        },
    },
    "unknown option": {**POSTGRES, "OPTIONS": {"pwd": plant("OPTIONS pwd")}},
    "dsn": {**POSTGRES, "OPTIONS": {"dsn": f"host=x {plant('OPTIONS dsn')}"}},
    "strange": {
        "ENGINE": "nowhere.backend",
        "PASSWORD": plant("DATABASES PASSWORD, strange engine"),
        "TEST": {"NAME": "test", "USER_PASSWORD": plant("TEST PASSWORD")},
        "OPTIONS": {
            "connection_string": f"Driver=x;Server=y;PWD={plant('OPTIONS connection_string')};",
            "extra_params": f"Encrypt=yes;password={plant('OPTIONS extra_params')}",
            "init_command": f"SET PASSWORD = '{plant('OPTIONS init_command')}'",
            "credentials": {"deep": [{"er": plant("OPTIONS credentials")}]},
            "auth": ("user", plant("OPTIONS auth")),
        },
    },
}
REDIS = "django.core.cache.backends.redis.RedisCache"
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "redis": {"BACKEND": REDIS, "LOCATION": f"redis://:{plant('CACHES LOCATION')}@127.0.0.1:{PORT}/0"},
    "several": {
        "BACKEND": REDIS,
        "LOCATION": [f"redis://127.0.0.1:{PORT}", f"redis://a:{plant('CACHES LOCATION, list')}@127.0.0.1:{PORT}"],
    },
    "options": {
        "BACKEND": REDIS,
        "LOCATION": f"redis://127.0.0.1:{PORT}",
        "OPTIONS": {"password": plant("CACHES OPTIONS")},
    },
    "telling": {"BACKEND": f"{__name__}.TellingCache", "OPTIONS": {"SASL_PASSWORD": plant("CACHES SASL")}},
    "strange": {"BACKEND": "nowhere.Cache", "LOCATION": f"memcached://a:{plant('CACHES LOCATION, strange')}@x"},
}
CELERY_BROKER_URL = f"amqp://app:{plant('CELERY_BROKER_URL')}@127.0.0.1:{PORT}//"
CELERY_BROKER_READ_URL = f"amqp://a:b@127.0.0.1:{PORT}//;amqp://a:{plant('CELERY_BROKER_READ_URL')}@127.0.0.1:{PORT}//"
CELERY_RESULT_BACKEND = f"redis://:{plant('CELERY_RESULT_BACKEND')}@127.0.0.1:{PORT}/1"
CELERY_BROKER_USE_SSL = {"keyfile_password": plant("CELERY_BROKER_USE_SSL")}
CELERY_BROKER_TRANSPORT_OPTIONS = {"sentinel_kwargs": {"password": plant("CELERY_BROKER_TRANSPORT_OPTIONS")}}
STATUS_CELERY_WORKERS = ["celery@nowhere"]
STATUS_CELERY_APP = f"{__name__}:app"
SENTRY_DSN = f"https://{plant('SENTRY_DSN')}0123456789@o1.ingest.example/1"
AWS_SECRET_ACCESS_KEY = plant("AWS_SECRET_ACCESS_KEY")
STRIPE_API_KEY = plant("STRIPE_API_KEY")
SOCIAL_AUTH_GITHUB_SECRET = plant("SOCIAL_AUTH_GITHUB_SECRET")
SIMPLE_JWT = {"SIGNING_KEY": plant("SIMPLE_JWT")}
AUTH_LDAP_BIND_PASSWORD = plant("AUTH_LDAP_BIND_PASSWORD")
OAUTH = {"clients": [{"id": 1, "client_secret": plant("OAUTH")}]}
CHANNEL_LAYERS = {"default": {"CONFIG": {"hosts": [f"redis://:{plant('CHANNEL_LAYERS')}@127.0.0.1:{PORT}/2"]}}}
WEBHOOK_URL = f"https://hook:{plant('WEBHOOK_URL')}@hooks.example/x"
HTTP_PROXY = f"http://proxy:{plant('HTTP_PROXY')}@proxy.example:3128"
LEGACY = {"dsn": f"Server=x;Uid=y;Pwd={plant('LEGACY dsn')};"}
GOOGLE = f'{{"type": "service_account", "private_key": "{plant("GOOGLE private_key")}"}}'
SSH_KEY = f"-----BEGIN KEY-----\n{plant('SSH_KEY, first line')}\n{plant('SSH_KEY, second line')}\n-----END KEY-----"
RAW_KEY = plant("RAW_KEY, bytes").encode()
PEPPER = {"signature": frozenset({plant("PEPPER")})}
ENVIRONMENT = {
    "PGPASSWORD": plant("environment PGPASSWORD"),
    "DATABASE_URL": f"mysql://a:{plant('environment DATABASE_URL')}@x/y",
    "AWS_SESSION_TOKEN": plant("environment AWS_SESSION_TOKEN"),
    "REDIS_URL": f"redis://:{plant('environment REDIS_URL')}@x",
}
KWARGS = {"api_key": plant("STATUS_PROVIDERS kwargs")}
#: Nothing in the settings names these, so only the built-in providers could tell them, which must not.
UNKNOWN = {
    place: plant(place)
    for place in ("git remote", "git insteadOf", "git author e-mail", "git tag message", "git credential.helper")
}
TOLD = [value for place, value in PLACES.items() if place not in UNKNOWN]


def everything() -> str:
    return " ".join(TOLD)


class Told(Exception):
    """An exception that tells in every way there is."""

    def __init__(self) -> None:
        super().__init__(everything(), {"url": f"x://y:{TOLD[0]}@z"})
        self.__cause__ = KeyError(everything())
        self.__notes__ = [everything()]


class TellingCache:
    """A cache that fails with its login in the text, as clients do."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise Told


class Telling:
    def __repr__(self) -> str:
        return everything()

    __str__ = __repr__


def answers(**kwargs: str) -> Any:
    keys = {f"key {value}": True for value in TOLD}
    return {
        "text": everything(),
        "list": TOLD,
        "keys": keys,
        "kwargs": kwargs,
        "url": [f"x://y:{value}@z" for value in TOLD],
    }


def answers_text() -> str:
    return everything()


def answers_reasons() -> Answer:
    return Answer(
        {f"part {value}": False for value in TOLD}, {f"part {value}": f"because of {value}" for value in TOLD}
    )


def answers_an_object() -> Any:
    return {"object": Telling()}


def raises(**kwargs: str) -> None:
    raise Told


def exits() -> None:
    raise SystemExit(everything())


def is_unavailable() -> None:
    raise Unavailable(everything())


async def raises_later() -> None:
    await asyncio.sleep(0)
    raise Told


def hangs() -> None:
    threading.Event().wait()


class FailsInPublic(Provider):
    def check(self) -> Any:
        return {"text": everything()}

    def public(self, value: Any) -> Any:
        raise Told


class Late(Provider):
    timeout = 0.2

    def check(self) -> Any:
        threading.Event().wait()

    def late(self, reason: str) -> Answer:
        return Answer({f"late {TOLD[1]}": False}, {f"late {TOLD[1]}": everything()})


class Parts(Composite):
    """Components, and heartbeats, that are called like secrets."""

    label = "parts"
    impact = everything()

    def parts(self) -> list[Part]:
        return [self.part(f"part {value}") for value in TOLD[:5]]

    def ask(self, name: str) -> Any:
        if name.endswith(TOLD[0]):
            raise Told
        return True

    def compose(self, findings: Mapping[str, Finding]) -> Answer:
        return super().compose(findings)._replace(ages={everything(): 1.0})


TELLING = [
    (function.__name__, f"{__name__}.{function.__name__}")
    for function in (
        answers_text,
        answers_reasons,
        answers_an_object,
        exits,
        is_unavailable,
        raises_later,
        FailsInPublic,
        Late,
        Parts,
    )
]
STATUS_PROVIDERS = {
    "health": [
        ("ping", "status.providers.health.ping"),
        ("databases", "status.providers.django.health.databases"),
        ("caches", "status.providers.django.health.caches"),
        ("answers", f"{__name__}.answers", (), KWARGS),
        ("raises", f"{__name__}.raises", (), KWARGS),
        ("hangs", f"{__name__}.hangs", (), KWARGS, {"timeout": 0.2}),
        ("missing", f"{__name__}.nothing", (), KWARGS),
        ("nowhere", "nowhere.at_all", (), KWARGS),
        ("mistaken", f"{__name__}.answers", (), {**KWARGS, "unexpected": 1}, {"timeout": everything()}),
        *TELLING,
    ],
    "stats": [
        ("databases", "status.providers.django.stats.databases"),
        ("code", "status.providers.stats.code"),
        ("answers", f"{__name__}.answers", (), KWARGS),
    ],
}

urlpatterns = [path("status/", include("status.urls"))]


def __getattr__(name: str) -> Any:
    """The Celery app, when it is first wanted: this module is the settings too."""
    if name != "app":
        raise AttributeError(name)
    # Late: see above.
    from celery import Celery

    app = Celery("secrets")
    app.config_from_object(__name__, namespace="CELERY")
    return globals().setdefault("app", app)
