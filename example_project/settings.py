"""Settings of the example project. Nothing has to be installed or set: environment variables choose real servers.

DEBUG               0 shows what strangers see; default 1
DATABASE_URL        postgresql://user:password@host:port/name; default: SQLite
REDIS_URL           redis://host:port/number, for the cache; default: local memory
CELERY_BROKER_URL   redis://... or amqp://...; default: a broker made of files
CELERY_WORKERS      node names to watch, separated by commas, for example shop@localhost; default: none
ALLOWED_HOSTS       further host names, separated by commas
REPLICA_URL         postgresql://user:password@host:port/name of a replica to watch; default: none
MAIL_URL            smtp://user:password@host:port of a mail server to watch; default: none
TASKS_BACKEND       dotted path of a backend of Django's tasks to watch, for example
                    django_tasks_db.DatabaseBackend; default: none
WATCH_URL           an https address to watch: its name, port, certificate and answer; default: none
EXAMPLE_FOLDER      where the database, the broker and the switches keep their files; default: example_project/var
"""

from __future__ import annotations

import os
from pathlib import Path

from example_project import services

BASE_DIR = Path(__file__).resolve().parent.parent
FOLDER = Path(os.environ.get("EXAMPLE_FOLDER") or BASE_DIR / "example_project" / "var")
FOLDER.mkdir(parents=True, exist_ok=True)


def names(variable: str) -> list[str]:
    return [name.strip() for name in os.environ.get(variable, "").split(",") if name.strip()]


DEBUG = os.environ.get("DEBUG", "1").lower() not in ("", "0", "false", "no", "off")
SECRET_KEY = os.environ.get("SECRET_KEY", "an example: never use it where anybody else can reach it")
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", *names("ALLOWED_HOSTS")]

INSTALLED_APPS = [
    "status",
    "example_project.shop",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    # First: probes get their answer before hosts, sessions and logins matter.
    "status.middleware.StatusMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "example_project.urls"
WSGI_APPLICATION = "example_project.wsgi.application"
ASGI_APPLICATION = "example_project.asgi.application"
STATIC_URL = "static/"
MEDIA_ROOT = FOLDER / "media"
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

DATABASES = {"default": services.database(os.environ.get("DATABASE_URL", ""), FOLDER)}
DATABASES.update(services.replica(os.environ.get("REPLICA_URL", "")))
CACHES = {
    "default": services.cache(os.environ.get("REDIS_URL", "")),
    "status": services.store(os.environ.get("REDIS_URL", ""), FOLDER / "store"),
}
globals().update(services.mail(os.environ.get("MAIL_URL", "")))
TASKS_BACKEND = os.environ.get("TASKS_BACKEND", "")
if TASKS_BACKEND:
    TASKS = {"default": {"BACKEND": TASKS_BACKEND}}
globals().update(services.broker(os.environ.get("CELERY_BROKER_URL", ""), FOLDER / "broker"))

# What django-status shows beyond its default set. Each of these can be made to misbehave: manage.py switch -h
STATUS_CHECK_PROVIDERS = {
    "health": [
        # A function, called as storage("uploads", path=..., at_least=...).
        ("storage", "example_project.shop.providers.storage", ["uploads"], {"path": FOLDER, "at_least": 1_000_000}),
        # It would be there without this entry, and count: a job that is late only warns here.
        ("heartbeats", "status.providers.health.heartbeats", None, None, {"critical": False}),
    ],
    "shop": [
        # A class, with its deadline as a class attribute.
        ("payments", "example_project.shop.providers.Payments"),
        # A coroutine function, with options of its own.
        ("delivery", "example_project.shop.providers.delivery", None, None, {"timeout": 1, "max_age": 5}),
        # Its failure is a warning: the HTTP status stays 200.
        ("newsletter", "example_project.shop.providers.newsletter", (), {}, {"critical": False}),
        # What is uploaded, and what manage.py check says.
        ("uploads", "status.providers.django.health.storages"),
        ("settings", "status.providers.django.health.system_checks", None, None, {"timeout": 10}),
        # A warning until manage.py migrate has run.
        ("migrations", "status.providers.django.health.migrations", None, None, {"critical": False}),
        # A warning where the code on disk is not what runs.
        ("code", "status.providers.health.code"),
    ],
    "stats": [
        ("sales", "example_project.shop.providers.sales"),
    ],
    # They warn where little is left, and never fail unless told to.
    "host": [
        ("disk", "status.providers.host.disk", None, {"paths": ["/", str(FOLDER)], "inodes": True}),
        ("memory", "status.providers.host.memory"),
        ("load", "status.providers.host.load", None, {"warn_load": 8}),
        ("files", "status.providers.host.files"),
    ],
}
# A replica may lag, mail and tasks may wait: none of them takes the shop down.
STATUS_CHECK_PROVIDERS["shop"] += [
    (name, f"status.providers.django.health.{name}", None, kwargs, {"critical": False, "max_age": 10})
    for name, kwargs, watched in (
        ("replicas", {"aliases": ["replica"], "warn_lag": 10}, "replica" in DATABASES),
        ("mail", {}, os.environ.get("MAIL_URL")),
        ("tasks", {}, TASKS_BACKEND),
    )
    if watched
]
STATUS_CHECK_PROVIDERS.update(services.watched(os.environ.get("WATCH_URL", "")))
STATUS_CELERY_WORKERS = names("CELERY_WORKERS")
if STATUS_CELERY_WORKERS:
    # Any worker, and how many tasks wait for one.
    STATUS_CHECK_PROVIDERS["shop"] += [
        ("workers", "status.providers.celery.health.workers"),
        ("queues", "status.providers.celery.health.queues", None, {"warn_length": 1000}),
    ]
STATUS_CELERY_APP = "example_project.celery:app"
# What has to run regularly, and the seconds within which it does: manage.py closing, or manage.py status beat closing
STATUS_STORE = "status"
STATUS_HEARTBEATS = {"closing": 24 * 3600}
# The store is made of files, as the processes of this project are on one host.
SILENCED_SYSTEM_CHECKS = ["status.W032"]
