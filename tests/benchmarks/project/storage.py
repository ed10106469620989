"""Files on a disk that can hang."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from django.core.files.storage import FileSystemStorage


class Storage(FileSystemStorage):
    """Writes and reads wait for as long as the file ``switch`` is there."""

    def __init__(self, switch: str, **options: Any) -> None:
        super().__init__(**options)
        self.switch = Path(switch)

    def wait(self) -> None:
        while self.switch.exists():
            time.sleep(0.02)

    def _save(self, name: str, content: Any) -> str:
        self.wait()
        return super()._save(name, content)

    def _open(self, name: str, mode: str = "rb") -> Any:
        self.wait()
        return super()._open(name, mode)
