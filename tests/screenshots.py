"""The screenshots of the documentation: ``python -m tests.screenshots [folder]``, by default into docs/screenshots.

Drives the example project with its switches, in this process, and looks at it with a real Chromium.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import sys
import tempfile
import time
from typing import Any
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parent.parent
WIDE = {"width": 1180, "height": 900}
PHONE = {"width": 390, "height": 844}

#: File name -> path, switches, colour scheme, size.
PICTURES: dict[str, tuple[str, dict[str, str], str, dict[str, int]]] = {
    "overview-good": ("/status/", {}, "light", WIDE),
    "overview-good-dark": ("/status/", {}, "dark", WIDE),
    "overview-failing": ("/status/", {"shop.payments": "fail", "shop.newsletter": "raise"}, "light", WIDE),
    "overview-wall": ("/status/?wall", {"shop.payments": "fail"}, "dark", {"width": 1920, "height": 1080}),
    "overview-phone": ("/status/", {"shop.payments": "fail"}, "light", PHONE),
    "health-good": ("/status/health/", {}, "light", WIDE),
    "health-failing": ("/status/health/", {"shop.payments": "fail", "health.storage": "unavailable"}, "light", WIDE),
    "health-failing-dark": ("/status/health/", {"shop.payments": "fail", "shop.newsletter": "null"}, "dark", WIDE),
    "health-hung": ("/status/health/", {"shop.payments": "hang"}, "light", WIDE),
    "health-phone": ("/status/health/", {"shop.payments": "fail"}, "dark", PHONE),
    "fleet-good": ("/status/fleet/", {}, "light", WIDE),
    "fleet-several": ("/status/fleet/", {}, "light", WIDE),
    "fleet-several-dark": ("/status/fleet/", {}, "dark", WIDE),
    "fleet-several-phone": ("/status/fleet/", {}, "light", PHONE),
    "fleet-lost": ("/status/fleet/", {}, "light", WIDE),
    "fleet-drift": ("/status/fleet/", {}, "dark", WIDE),
    "fleet-down": ("/status/fleet/", {}, "light", WIDE),
    "stats": ("/status/stats/", {}, "light", WIDE),
    "stats-dark": ("/status/stats/", {}, "dark", WIDE),
    "stats-phone": ("/status/stats/", {}, "light", PHONE),
}
#: The same of all the checks of docs/checks.rst in one state.
EVERY_CHECK: dict[str, tuple[str, str, dict[str, int]]] = {
    "checks-good": ("pass", "light", WIDE),
    "checks-warning": ("warn", "light", WIDE),
    "checks-failing-dark": ("fail", "dark", WIDE),
    "checks-failing-phone": ("fail", "light", PHONE),
}


def remember(name: str, mode: str) -> None:
    """An hour as it might have been, so that the strips have something to show."""
    from django.core.cache import caches

    from status.history import SLOTS, Slot, history
    from status.registry import registry

    now = time.time()
    history.slots.clear()
    caches["status"].clear()  # in which all processes keep theirs
    for resource, checks in registry.items():
        for place, check in enumerate(checks):
            took = 0.0004 * 7**place / (place + 1)
            slots = []
            for minute in range(SLOTS - 1, 0, -1):
                at = now - minute * 60
                wave = 1 + 0.35 * ((minute * (7 + place) % 11) / 11) + (2.2 if minute % (17 + place) == 3 else 0)
                bad = (resource, check) == ("shop", "delivery") and minute in (31, 32, 33, 44)
                state = "info" if resource == "stats" else "fail" if bad else "pass"
                slots.append(Slot(at, at, state, took * wave, took * wave))
            if mode.startswith("failing") and (resource, check) == ("shop", "payments"):
                slots[-14:] = [slot._replace(state="fail", slowest=1.5) for slot in slots[-14:]]
            history.slots[resource, check] = slots


def draw(folder: pathlib.Path) -> None:
    from django.core.management import call_command
    from django.core.wsgi import get_wsgi_application
    from django.test import override_settings

    from example_project.shop import switches
    from status.engine import engine
    from status.registry import registry
    from status.test import fake
    from tests.browser import Web, chromium
    from tests.every_check import answers, providers
    from tests.members import fleets

    web = Web(get_wsgi_application())
    web.start()
    call_command("migrate", verbosity=0)
    engine.report(registry.select())  # pages do not wait for what takes its time at first
    folder.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for name, (path, modes, scheme, size) in PICTURES.items():
            for switch in switches.NAMES:
                switches.switch(switch, modes.get(switch, "ok"))
            remember(name, "failing" if "fail" in modes.values() else "good")
            # The processes of a fleet are made up: those of the example project would be one.
            fleet = fleets().get(name.split("-")[1]) if path == "/status/fleet/" else None
            with mock.patch("status.fleet.fleet", lambda fleet=fleet: fleet):
                shoot(browser, web.url + path, folder / f"{name}.png", scheme, size)
            print(name)
        with override_settings(STATUS_PROVIDERS=providers(), STATUS_CHECK_PROVIDERS={}, STATUS_HEARTBEATS={}):
            for name, (state, scheme, size) in EVERY_CHECK.items():
                with fake(answers(state)):
                    remember(name, "good")
                    shoot(browser, f"{web.url}/status/health/", folder / f"{name}.png", scheme, size)
                print(name)
    for switch in switches.NAMES:
        switches.switch(switch, "ok")
    web.stop()


def shoot(browser: Any, url: str, file: pathlib.Path, scheme: str, size: dict[str, int]) -> None:
    context = browser.new_context(
        viewport=size,
        color_scheme=scheme,
        device_scale_factor=2 if size is PHONE else 1,
        locale="en-GB",
        timezone_id="UTC",
    )
    page = context.new_page()
    page.goto(url)
    page.wait_for_timeout(150)
    page.screenshot(path=str(file), full_page=True)
    context.close()


def main() -> None:
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "screenshots"
    # Its name can be read in the pictures.
    shop = pathlib.Path(tempfile.gettempdir(), "shop")
    shutil.rmtree(shop, ignore_errors=True)
    (shop / "media").mkdir(parents=True)  # into which something was uploaded
    os.environ["EXAMPLE_FOLDER"] = str(shop)
    os.environ["DJANGO_SETTINGS_MODULE"] = "example_project.settings"
    import django

    django.setup()
    draw(folder)


if __name__ == "__main__":
    main()
