"""Runs checks: each within its timeout, one run at a time, side by side, isolated from each other.

``status.engine.engine`` is the one engine of the process, which hides the module of that name.
"""

from status.engine.engine import Engine, engine

__all__ = ["Engine", "engine"]
