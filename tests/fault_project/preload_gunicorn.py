"""``gunicorn -c tests/fault_project/preload_gunicorn.py``, as ``docs/deadlines.rst`` says it."""

from __future__ import annotations

from typing import Any

import status


def post_worker_init(worker: Any) -> None:
    status.preload()
