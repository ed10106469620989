"""Settings without a Django project: ``DJANGO_STATUS_SETTINGS=example_project.plain django_status health``"""

from pathlib import Path

PROJECT_PATH = Path(__file__).resolve().parent.parent
STATUS_TIMEOUT = 1
STATUS_CHECK_PROVIDERS = {
    "health": [
        ("storage", "example_project.shop.providers.storage", ["uploads"], {"path": PROJECT_PATH, "at_least": 1}),
    ],
    "shop": [
        ("payments", "example_project.shop.providers.Payments"),
    ],
}
