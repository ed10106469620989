"""The line of ``docs/deadlines.rst`` for ``gunicorn.conf.py``; it says when a worker is ready, too."""

from __future__ import annotations

from typing import Any

import status


def post_worker_init(worker: Any) -> None:
    status.preload()
    print("preloaded", flush=True)
