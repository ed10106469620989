"""A Django project that asks its checks in a loop, and mails the admins when one changes, as the README says.

ALERT_CACHE     the store, an entry of CACHES as JSON; none without it
ALERT_FOLDER    where mails go; while ``NAME.down`` lies there, the check NAME fails
ALERT_CHECKS    the names of the checks, with spaces between
ALERT_INTERVAL  seconds between two changes of one check, 60 outside of tests

Prints the states of all checks, such as ``fail pass``, each time that they change and all is told or known to be told.
"""

from __future__ import annotations

import json
import os
import time
from functools import partial
from pathlib import Path

import django
from django.conf import settings
from django.core.mail import mail_admins
from django.dispatch import receiver

import status
from status import notifications
from status.report import Result
from status.signals import status_changed
from tests import base_settings
from tests.tellers import flush

FOLDER = Path(os.environ["ALERT_FOLDER"])


def is_up(name: str) -> bool:
    return not (FOLDER / f"{name}.down").exists()


@receiver(status_changed)
def tell_admins(resource: str, name: str, new: str, result: Result, **kwargs: object) -> None:
    mail_admins(f"{resource}/{name}: {new}", result.summary)


def loop() -> None:
    printed = ""
    while True:
        states = " ".join(result.state for result in status.ask("health").results)
        if states != printed and all(flush(teller, 0) for teller in notifications.tellers.get()):
            print(states, flush=True)
            printed = states
        time.sleep(0.02)


if __name__ == "__main__":
    store = json.loads(os.environ.get("ALERT_CACHE", "null"))
    settings.configure(
        SECRET_KEY=base_settings.SECRET_KEY,
        INSTALLED_APPS=["status"],
        ADMINS=["operator@example.com"] if django.VERSION >= (6, 0) else [("Operator", "operator@example.com")],
        EMAIL_BACKEND="django.core.mail.backends.filebased.EmailBackend",
        EMAIL_FILE_PATH=str(FOLDER / "mails"),
        DATABASES=json.loads(os.environ.get("ALERT_DATABASES", "{}")),
        CACHES={"default": store} if store else {},
        STATUS_STORE="default" if store else None,
        STATUS_PROVIDERS={"health": [(name, partial(is_up, name)) for name in os.environ["ALERT_CHECKS"].split()]},
    )
    django.setup()
    notifications.Teller.interval = float(os.environ["ALERT_INTERVAL"])
    loop()
