"""The tests of django-status. Run them with ``python runtests.py``."""
