"""Named health checks and statistics for Django, answered as JSON, pages and commands."""

__version__ = "3.0.0"
