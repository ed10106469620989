"""``docs/commands.rst``, with what the commands really print. ``python -m tests.docs_commands`` writes it anew."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Mapping
from typing import Any

from status.cli.arguments import EXIT_CODES, SNIPPETS, VERBS, add_general_options, add_options
from status.cli.output import human_text
from tests.documents import Written
from tests.reports import report, result

PAGE = Written("commands", "tests/docs_commands.py")

ASKED = report(
    result(name="ping", answer={"pong": True}, duration=0.000011),
    result(
        answer={"default": True, "replica": False},
        reasons={"replica": "OperationalError"},
        duration=0.0412,
        durations={"default": 0.0011, "replica": 0.0412},
    ),
    result(name="celery", error="timed out after 2 s", duration=2.0002),
    result(name="caches", answer={"default": True}, duration=0.0009),
    resource="health",
)


def section() -> str:
    """Return what stands between the two comments."""
    return TEMPLATE.format(
        health=_block(human_text(ASKED)),
        exit_codes=_block(EXIT_CODES),
        snippets=_table(SNIPPETS),
        options=_options(),
    )


class Recorder:
    """Stands in for a parser, and notes the options that it is given: their names -> what they are for."""

    def __init__(self) -> None:
        self.options: dict[str, str] = {}

    def add_argument_group(self, title: str) -> Recorder:
        return self

    def add_argument(self, *names: str, **given: Any) -> None:
        if given["help"] != argparse.SUPPRESS:
            value = f" {given.get('metavar') or names[-1].strip('-').upper()}" if "action" not in given else ""
            value = f" {given['metavar']}" if given.get("action") == "append" else value
            self.options[", ".join(names) + value] = given["help"]


def _options() -> str:
    """Return a table of all options, with the sub-commands that have them."""
    rows: dict[str, str] = {}
    where: dict[str, list[str]] = {}
    for verb in (None, *VERBS):
        recorder = Recorder()
        add_options(recorder, verb)  # type: ignore[arg-type]
        for names, meaning in recorder.options.items():
            rows.setdefault(names, meaning)
            where.setdefault(names, []).append(f"``{verb}``" if verb else "questions")
    told = {names: f"{meaning} ({', '.join(where[names])})" for names, meaning in rows.items()}
    general = Recorder()
    add_general_options(general, in_django=False)  # type: ignore[arg-type]
    return _table({**told, **general.options})


def _table(rows: Mapping[str, str]) -> str:
    cells = [(f"``{name}``", meaning) for name, meaning in rows.items()]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    lines = [f"{name.ljust(widths[0])}  {meaning}" for name, meaning in cells]
    return "\n".join([rule, *lines, rule])


def _block(text: str) -> str:
    return f".. code-block:: text\n\n{textwrap.indent(text.rstrip(), '    ')}"


TEMPLATE = """\
One command line with two entrances: ``manage.py status`` inside a Django project, and ``django_status``, also spelled
``python -m status``, anywhere. The shell is the authority, so reasons and durations are shown.

.. code-block:: shell

    manage.py status                             # everything
    manage.py status health                      # one resource
    manage.py status ping                        # one provider
    manage.py status ready                       # what a load balancer asks; live and startup are there, too
    manage.py status health/databases -f json    # which one, where the name is in several resources
    manage.py status health --skip caches -t 1   # without one, and none may take longer than a second
    manage.py status --list                      # what there is, and where; runs nothing
    manage.py status stats -h                    # each has its own help

{health}

On a terminal it has colours (not with ``NO_COLOR``), and a line tells what is still waited for. ``-f`` writes any of
the :doc:`formats`; ``-f json`` is the document that the address answers. ``-q`` prints nothing unless something fails,
so that cron mails only that; with ``-v`` (``-v 2`` of ``manage.py``) it tells warnings too. What a check prints goes to
standard error, with ``-q`` only where there is an answer; what programs print that a check starts is out of reach.
``--watch SECONDS`` asks again and again. ``--traceback`` shows what a check raised, which is otherwise only logged.
Long options may be cut short and spelled as in 2.x (``--error_on_fail``, ``--output_format``).

Exit codes
----------

{exit_codes}

Where the settings cannot be loaded, ``manage.py`` ends with Django's own traceback and 1 before it finds the command.
``django_status -s shop.settings`` says so in one line, with 2, or UNKNOWN and 3 for Nagios: monitors had better use it.

Options
-------

In brackets: which sub-commands have it. Questions are those that name a resource, a provider or nothing; the last five
go with all, ``-s`` not with ``manage.py``. ``fleet`` and ``--list`` print as human or json, and ``fleet`` waits two
seconds at most for its own store, whatever ``-t`` says for ``--url``.

{options}

A resource that is called ``wait``, ``snippet``, ``beat``, ``fleet`` or ``drain`` is asked for with a slash, as
``wait/``.

Settings of django_status
-------------------------

``-s MODULE``, else ``DJANGO_STATUS_SETTINGS``, else ``DJANGO_SETTINGS_MODULE``, else the
defaults: ``ping`` and ``code``. A plain module, or a class in one, holds the same settings as a Django project would.
With django-configurations ``DJANGO_CONFIGURATION`` names the class, as everywhere:

.. code-block:: shell

    django_status health -s ops.checks           # ops/checks.py; or ops.checks.Production, a class in it

Python looks for modules in the working directory last, and only where the named one is there: nobody who may write
there can stand in for another. Under ``PYTHONSAFEPATH`` it does not look there at all; ``PYTHONPATH`` names other
places. (``python -m`` puts the working directory first by itself; ``python -P -m status`` does not.)

A running instance
------------------

With ``--url`` it is not this process that is asked, but a server, over HTTP:

.. code-block:: shell

    django_status health/ping -e -q --url http://localhost:8000/status/
    django_status health --url https://shop.example.com/status/ --token-file /run/secrets/status

``-t`` bounds the whole exchange (10 seconds unless given), also where the server sends one byte a second. The token
comes from ``--token-file``, from ``STATUS_TOKEN`` in the environment, or from ``--token``, which other users of the
machine may see. ``--header 'Host: shop.example.com'`` adds a header, ``--insecure`` accepts any certificate. Beside a
``--header 'Authorization: ...'`` the token goes as ``X-Status-Token``. Redirects to another server are refused, and
proxies are not used. A name with a slash saves the request that finds out whether ``ping`` is a resource or a provider.

A server that cannot be found, refuses, does not answer in time, has a wrong certificate, or whose proxy answers 502 to
504, is not well: exit code 1 with or without ``-e``, and CRITICAL for Nagios. A wrong address, name or token, and an
answer of some other application, are a wrong question: 2, UNKNOWN, and a hint. Where strangers may ask as well, a wrong
token changes no exit code, and is told on standard error.

Wait
----

For start scripts, init containers and compose:

.. code-block:: shell

    manage.py status wait health --for 60 --stable 3 && exec gunicorn shop.wsgi

Exit code 0 as soon as nothing fails, here for three seconds without interruption; 1 when 60 seconds are over. With
``--url`` it waits for a server to come up.

Beat
----

For cron and shell scripts, which tell so that they have run; see :doc:`heartbeats`:

.. code-block:: shell

    pg_dump shop > shop.sql && manage.py status beat backup
    django_status beat backup --url https://shop.example.com/status/ --token-file /run/secrets/status

Exit code 0 once the beat is kept, 1 where it is lost, 2 for a name that is not in ``STATUS_HEARTBEATS``.

Fleet
-----

``manage.py status fleet`` shows all processes of the project that report themselves to the store, and what is not well
with them; ``--url`` asks a server for it. It informs: exit code 0 whatever they say, and 1 where the store or
the server does not tell. See :doc:`fleet`.

Drain
-----

``manage.py status drain on`` has ``ready`` answer 503 on this host before a server stops, ``drain off`` no
more; see :doc:`processes`. Exit code 2 where ``STATUS_DRAIN_FILE`` is not set or cannot be made.

Snippets
--------

``manage.py status snippet KIND`` prints configuration that is ready to paste, with the addresses of your
project and with timeouts that match the deadlines of your checks. The server is taken to be
``localhost:8000``; ``--url`` tells better.

.. code-block:: shell

    manage.py status snippet --list              # what each of them is for
    manage.py status snippet k8s --url http://localhost:8080/status/
    manage.py status snippet nginx --socket /run/gunicorn.sock
    manage.py status snippet haproxy --interval 15   # seconds from one question to the next

{snippets}
"""


if __name__ == "__main__":
    PAGE.write(section())
