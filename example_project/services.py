"""Which servers the project uses: none at all, or those that environment variables name."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import django

ENGINES = {"postgres": "postgresql", "postgresql": "postgresql", "mysql": "mysql"}


def database(url: str, folder: Path) -> dict[str, Any]:
    """The database of ``DATABASE_URL`` (``postgresql://user:password@host:port/name``), or SQLite in ``folder``."""
    if not url:
        with contextlib.closing(sqlite3.connect(folder / "db.sqlite3")) as file:
            file.execute("PRAGMA user_version = 1")  # a file without a byte counts as a database that is gone
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "db.sqlite3"}
    parts = urlsplit(url)
    if parts.scheme not in ENGINES:
        raise ValueError(f"DATABASE_URL should begin with one of {', '.join(ENGINES)}, not {parts.scheme!r}.")
    return {
        "ENGINE": f"django.db.backends.{ENGINES[parts.scheme]}",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": parts.port or "",
    }


def replica(url: str) -> dict[str, Any]:
    """The further database of ``REPLICA_URL``, written like ``DATABASE_URL``; none where it is empty."""
    return {"replica": {**database(url, Path()), "TEST": {"MIRROR": "default"}}} if url else {}


def mail(url: str) -> dict[str, Any]:
    """The settings for the mail server of ``MAIL_URL`` (``smtp://user:password@host:port``); none where it is empty."""
    if not url:
        return {}
    parts = urlsplit(url)
    if parts.scheme != "smtp" or not parts.hostname:
        raise ValueError("MAIL_URL should begin with smtp:// and name a host.")
    options = {
        "host": parts.hostname,
        "port": parts.port or 25,
        "username": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
    }
    if django.VERSION >= (6, 1):
        return {"MAILERS": {"default": {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": options}}}
    names = {"username": "HOST_USER", "password": "HOST_PASSWORD"}
    return {f"EMAIL_{names.get(name, name.upper())}": value for name, value in options.items()}


def cache(url: str) -> dict[str, Any]:
    """The cache of ``REDIS_URL`` (``redis://host:port/number``), or this process's own memory."""
    if not url:
        return {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    return {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url}


def watched(url: str) -> dict[str, Any]:
    """The checks by the network of ``WATCH_URL``, an https address; none where it is empty."""
    if not url:
        return {}
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError("WATCH_URL should begin with https:// and name a host.")
    host, port = parts.hostname, parts.port or 443
    return {
        "network": [
            ("name", "status.providers.network.dns", None, {"name": host}),
            ("port", "status.providers.network.tcp", None, {"host": host, "port": port}),
            # A certificate changes rarely, so its answer is reused for ten minutes.
            ("certificate", "status.providers.network.tls", None, {"host": host, "port": port}, {"max_age": 600}),
            ("page", "status.providers.network.http", None, {"url": url, "warn_seconds": 1}),
        ]
    }


def store(url: str, folder: Path) -> dict[str, Any]:
    """The cache that all processes share: that of ``REDIS_URL``, or files, which is enough for one host."""
    if not url:
        return {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": folder}
    return {**cache(url), "KEY_PREFIX": "status"}


def broker(url: str, folder: Path) -> dict[str, Any]:
    """The Celery settings for ``CELERY_BROKER_URL`` (``redis://`` or ``amqp://``), or for a broker made of files.

    The files carry remote control between processes too, so that a worker on this machine answers pings. Each process
    looks for new files ten times a second.
    """
    if url:
        return {"CELERY_BROKER_URL": url}
    messages, control = folder / "messages", folder / "control"
    for path in (messages, control):
        path.mkdir(parents=True, exist_ok=True)
    return {
        "CELERY_BROKER_URL": "filesystem://localhost",
        "CELERY_BROKER_TRANSPORT_OPTIONS": {
            "data_folder_in": str(messages),
            "data_folder_out": str(messages),
            "control_folder": str(control),
            "polling_interval": 0.1,
        },
    }
