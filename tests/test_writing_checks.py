"""``docs/writing-checks.rst``: the check that it builds, run with services that answer, refuse and hang."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Any

from django.test import override_settings

from status import ask
from tests import services
from tests.components import ComponentsTestCase
from tests.documents import blocks, page, section


class PageTests(ComponentsTestCase):
    def setUp(self) -> None:
        super().setUp()
        code, setting = blocks(section(page("writing-checks"), "Several services, side by side"), "python")
        self.shown: dict[str, Any] = {}
        exec(f"{code}\n{setting}", self.shown)

    def test_what_hangs_is_false_at_the_deadline_and_hides_no_other(self):
        stack = self.enter(contextlib.ExitStack())
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        hung = stack.enter_context(services.blackhole())
        ports = {"good": listener.getsockname()[1], "refused": services.refused_port(), "hung": hung}
        names = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        entry = ("warehouses", self.shown["Warehouses"], [list(names.values())], {}, {"timeout": 0.4})
        with override_settings(STATUS_PROVIDERS={"health": [entry]}):
            began = time.monotonic()
            (result,) = ask("health/warehouses").results
            self.assertLess(time.monotonic() - began, 0.9)
            response = self.client.get("/status/api/health/warehouses")
        self.assertEqual(
            (response.status_code, response.json()),
            (503, {names["good"]: True, names["refused"]: False, names["hung"]: False}),
        )
        self.assertEqual(result.reasons[names["refused"]], "nobody listens there")
        self.assertIn(result.reasons[names["hung"]], ("timed out after 0.4 s", "raised TimeoutError"))
        self.assertLess(result.durations[names["good"]], result.durations[names["hung"]])

    def test_the_setting_names_parts_and_it_may_be_called_directly(self):
        ((_, path, (addresses,)),) = self.shown["STATUS_CHECK_PROVIDERS"]["health"]
        self.assertEqual(path.rpartition(".")[2], "Warehouses")
        warehouses = self.shown["Warehouses"]()
        self.assertEqual([part.name for part in warehouses.parts(addresses)], addresses)
        refused = f"127.0.0.1:{services.refused_port()}"
        self.assertEqual(warehouses([refused]), {refused: False})
