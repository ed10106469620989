"""A small real project around ``django-status``: the README and the tests use it."""
