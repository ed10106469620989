"""Runs checks: each within its timeout, one run at a time, side by side, isolated from each other."""

from status.engine.engine import Engine, engine

__all__ = ["Engine", "engine"]
