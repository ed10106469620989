"""Celery workers, asked by name."""
