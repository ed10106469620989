"""Named checks and statistics, and the base class of your own."""

from status.providers.base import Answer, Provider, Unavailable

__all__ = ["Answer", "Provider", "Unavailable"]
