"""The line of ``docs/deadlines.rst`` for ``asgi.py``."""

from django.core.asgi import get_asgi_application

import status

application = get_asgi_application()
status.preload()
