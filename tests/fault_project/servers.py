"""The project behind each kind of server that people run Django with."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any

import psutil

from tests import probes, services
from tests.components import eventually

WSGI = "tests.fault_project.wsgi"
ASGI = "tests.fault_project.asgi:application"


def gunicorn(*options: str) -> Callable[[dict[str, str]], services.Web]:
    return lambda env: services.gunicorn(WSGI, "--worker-tmp-dir", "/dev/shm", *options, env=env)


def uwsgi(*options: str) -> Callable[[dict[str, str]], services.Web]:
    return lambda env: services.uwsgi(f"{WSGI}:application", "--disable-logging", *options, env=env)


def gevent(env: dict[str, str]) -> services.Web:
    services.require_module("gevent", "pip install gevent")
    return gunicorn("--worker-class", "gevent")(env)


#: Name -> how it is started. One process each that serves, but for --preload, which serves from two.
KINDS: dict[str, Callable[[dict[str, str]], services.Web]] = {
    "gunicorn sync": gunicorn("--worker-class", "sync"),
    "gunicorn gthread": gunicorn("--threads", "4"),
    "gunicorn gthread --preload": gunicorn("--threads", "4", "--preload", "--workers", "2"),
    "gunicorn gevent": gevent,
    "uvicorn": lambda env: services.uvicorn(ASGI, "--no-access-log", env=env),
    # Without enable-threads, which nobody thinks of.
    "uwsgi": uwsgi(),
    # Without these hooks, uWSGI's children wait for ever when any thread of the parent happens to have the GIL.
    "uwsgi --py-call-uwsgi-fork-hooks": uwsgi("--py-call-uwsgi-fork-hooks"),
}


class Project:
    """A server of one kind, and the switches of its project."""

    def __init__(self, kind: str, env: dict[str, str] | None = None, **settings: Any) -> None:
        self.kind = kind
        self.folder = pathlib.Path(services.directory())
        self.env = {
            "DJANGO_SETTINGS_MODULE": "tests.fault_project.settings",
            "FAULT_FOLDER": str(self.folder),
            "FAULT_SETTINGS": json.dumps(settings),
            **(env or {}),
        }
        self.web = KINDS[kind](self.env)

    @property
    def port(self) -> int:
        return self.web.port

    def start(self) -> Project:
        self.web.start()
        # Some servers listen before they have loaded the project.
        if not eventually(lambda: probes.get(self.port, "/page").status == 200, 60):
            raise AssertionError(f"{self.kind} does not serve:\n{self.web.output[-4000:]}")
        return self

    def switch(self, name: str, value: str | None = "") -> None:
        """Turn a switch on, or with None off."""
        if value is None:
            (self.folder / name).unlink(missing_ok=True)
        else:
            (self.folder / f".{name}").write_text(value)
            (self.folder / f".{name}").replace(self.folder / name)

    def calm(self) -> None:
        for switch in self.folder.iterdir():
            switch.unlink()

    @property
    def workers(self) -> list[psutil.Process]:
        """The processes that serve: the children, or the one process where it has none."""
        return psutil.Process(self.web.pid).children(recursive=True) or [psutil.Process(self.web.pid)]

    @property
    def pids(self) -> set[int]:
        return {process.pid for process in self.workers}

    @property
    def threads(self) -> int:
        return sum(process.num_threads() for process in self.workers)

    @property
    def files(self) -> int:
        """Open files, sockets included."""
        return sum(process.num_fds() for process in self.workers)

    @property
    def memory(self) -> int:
        """Bytes in memory. What a worker shares with its parent counts too, or else each page it first writes would."""
        return sum(process.memory_info().rss for process in self.workers)
