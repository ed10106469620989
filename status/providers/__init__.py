"""Named checks and statistics, and the base class of your own."""

from importlib import import_module
from typing import Any

from status.providers.base import Answer, Composite, Provider, Unavailable, deadline

__all__ = ["Answer", "Composite", "Provider", "Unavailable", "deadline"]


def __getattr__(name: str) -> Any:
    return import_module("status.classic").find(__name__, name)
