"""The base of every exception that this app defines."""

from __future__ import annotations


class StatusError(Exception):
    """Base class: ``except StatusError`` catches whatever the app itself raises, and nothing else."""
