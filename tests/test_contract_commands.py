"""The part of the public contract that is typed: one row for each promise, in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.test import SimpleTestCase, tag

from tests import services
from tests.processes import ROOT

EXAMPLE = {"DJANGO_SETTINGS_MODULE": "tests.contract_settings"}
PLAIN = {"DJANGO_STATUS_SETTINGS": "tests.test_contract_commands.Plain"}
MANAGE = (str(ROOT / "example_project" / "manage.py"), "status")
MODULE = ("-m", "status")
#: What the installed script runs.
SCRIPT = ("-c", "import sys; from status.__main__ import main; sys.argv[0] = 'django_status'; sys.exit(main())")


class Plain:
    """Settings without a Django project."""

    STATUS_PROVIDERS = {
        "health": [("ping", "status.providers.health.ping"), ("twin", "status.providers.health.ping")],
        "mine": [("bad", "tests.contract_providers.answer", [False]), ("twin", "status.providers.health.ping")],
    }


class Slow:
    STATUS_PROVIDERS = {"health": [("hang", "tests.contract_providers.hang")]}
    STATUS_TIMEOUT = 0.3


@dataclass(frozen=True)
class Row:
    """One promise. ``document`` is what ``-f json`` prints, ``says`` stands in what is printed or complained."""

    promise: str
    program: tuple[str, ...]
    words: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    code: int = 0
    document: Any = ...
    says: tuple[str, ...] = ()
    complains: bool = False
    holds: Callable[[Any], bool] = lambda document: True


def promised(promise: str, program: tuple[str, ...], typed: str, env: dict[str, str] | None = None, **rest: Any) -> Row:
    return Row(promise, program, tuple(typed.split()), env or {}, **rest)


PONG = {"pong": True}
ROWS = [
    promised("manage.py status asks a resource", MANAGE, "shop", EXAMPLE, says=("payments", "delivery")),
    promised("manage.py status -h", MANAGE, "-h", EXAMPLE, says=("health", "stats", "shop", "--error-on-fail")),
    promised("a resource has a help of its own", MANAGE, "shop -h", EXAMPLE, says=("payments",)),
    promised(
        "-f json prints the document",
        MANAGE,
        "health -f json",
        EXAMPLE,
        holds=lambda document: list(document) == ["ping", "databases", "caches", "storage"],
    ),
    promised(
        "a name in several resources is exit 2",
        MANAGE,
        "databases",
        EXAMPLE,
        code=2,
        says=("health/databases", "stats/databases"),
    ),
    promised(
        "and is spelled with its resource", MANAGE, "health/databases -f json -e", EXAMPLE, document={"default": True}
    ),
    promised("django_status ping works without any settings", SCRIPT, "ping -f json", document=PONG),
    promised("python -m status is the same", MODULE, "ping -f json", document=PONG),
    promised("standalone, health is ping", MODULE, "health -f json", document={"ping": PONG}),
    promised("standalone, stats is code", MODULE, "stats -f json", holds=lambda document: list(document) == ["code"]),
    promised(
        "-s names a plain class",
        SCRIPT,
        "health -f json -s tests.test_contract_commands.Plain",
        document={"ping": PONG, "twin": PONG},
    ),
    promised(
        "-s names a plain module",
        SCRIPT,
        "shop -f json -s example_project.plain",
        document={"payments": {"card": True, "invoice": True}},
    ),
    promised(
        "DJANGO_STATUS_SETTINGS names one as well",
        SCRIPT,
        "health -f json",
        PLAIN,
        document={"ping": PONG, "twin": PONG},
    ),
    promised("-s wins over DJANGO_STATUS_SETTINGS", SCRIPT, "shop -s example_project.plain", PLAIN, says=("payments",)),
    promised(
        "DJANGO_STATUS_SETTINGS wins over DJANGO_SETTINGS_MODULE",
        SCRIPT,
        "mine -f json",
        {**EXAMPLE, **PLAIN},
        document={"bad": False, "twin": PONG},
    ),
    promised(
        "DJANGO_SETTINGS_MODULE names a project",
        SCRIPT,
        "health/databases -f json",
        EXAMPLE,
        document={"default": True},
    ),
    promised("what fails is exit 0 without -e", MODULE, "mine", PLAIN),
    promised("what fails is exit 1 with -e", MODULE, "mine -e", PLAIN, code=1),
    promised("--error-on-fail is the same", MODULE, "mine/bad --error-on-fail", PLAIN, code=1),
    promised("what is well is exit 0 with -e", MODULE, "health -e", PLAIN),
    promised(
        "what hangs is reported in time and fails",
        MODULE,
        "-e -f json -s tests.test_contract_commands.Slow",
        code=1,
        document={"health": {"hang": {"ok": False, "error": "timed out after 0.3 s"}}},
    ),
    promised(
        "an unknown name is exit 2 and names what there is",
        MODULE,
        "helth",
        PLAIN,
        code=2,
        says=("helth", "health", "mine"),
    ),
    promised("an unknown option is exit 2", MODULE, "health --helth", PLAIN, code=2, says=("--helth",)),
    promised(
        "an unknown format is exit 2 and names those there are",
        MODULE,
        "health -f toml",
        PLAIN,
        code=2,
        says=("toml", "json"),
    ),
    promised("settings that there are not are exit 2", MODULE, "health -s no.such", code=2, says=("no.such",)),
    promised(
        "settings that cannot be loaded are exit 2",
        MODULE,
        "health -s tests.contract_broken",
        code=2,
        says=("tests.contract_broken",),
    ),
    promised(
        "a server that does not answer is exit 1, without -e too",
        MODULE,
        f"health --url http://127.0.0.1:{services.refused_port()}/status/",
        code=1,
        says=("127.0.0.1",),
        complains=True,
    ),
]


@tag("server")
class PromiseTests(SimpleTestCase):
    def test_every_promise_is_kept(self):
        folder = services.directory()
        unset = [name for name in os.environ if "SETTINGS" in name or name in ("DATABASE_URL", "REDIS_URL", "DEBUG")]
        environment = {name: value for name, value in os.environ.items() if name not in unset}
        environment.update(PYTHONPATH=str(ROOT), EXAMPLE_FOLDER=str(folder), PYTHONWARNINGS="error")
        for row in ROWS:
            with self.subTest(promise=row.promise):
                command = [sys.executable, *row.program, *row.words]
                env = {**environment, **row.env}
                done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, row.code, done.stdout + done.stderr)
                for word in row.says:
                    self.assertIn(word, done.stdout + done.stderr)
                if row.code == 2 or row.complains:
                    self.assertEqual((done.stdout, done.stderr.count("\n")), ("", 1), "one clear line")
                else:
                    self.assertEqual(done.stderr, "")
                if "json" in row.words and row.code != 2:
                    document = json.loads(done.stdout)
                    self.assertTrue(row.holds(document), document)
                    self.assertEqual(document, document if row.document is ... else row.document)
