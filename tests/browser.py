"""A real Chromium for the tests and the screenshots, and a server for it that runs in this process."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler

from django.core.servers.basehttp import ThreadedWSGIServer

from tests import services

#: What a browser needs to run as root, without a display, and to ask for nothing on its own.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A headless browser, or a skipped test."""
    services.require_module("playwright", "pip install playwright")
    path = services.require("chromium")
    # Late: the other tests run without Playwright.
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


class Quiet(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


class Web:
    """The WSGI application of a project, at an address that stays the same when it is stopped and started again."""

    def __init__(self, application: Any) -> None:
        self.application = application
        self.port = 0
        self.server: ThreadedWSGIServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        ThreadedWSGIServer.allow_reuse_address = True
        self.server = ThreadedWSGIServer(("127.0.0.1", self.port), Quiet)
        self.server.daemon_threads = True
        self.server.set_app(self.application)
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.thread.join()
            self.server = None
