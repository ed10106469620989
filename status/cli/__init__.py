"""The command line, one for both entrances: ``manage.py status`` and ``django_status``."""
