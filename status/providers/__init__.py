"""Named checks and statistics, and the base class of your own."""

from status.providers.base import Answer, Composite, Provider, Unavailable, deadline

__all__ = ["Answer", "Composite", "Provider", "Unavailable", "deadline"]
