"""Celery workers and queues."""
