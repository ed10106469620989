"""Sites of other people's packages, made as their documentation says, with this app mounted as the README says."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

from tests import services
from tests.processes import ROOT

WSGI = "django.core.wsgi:get_wsgi_application()"
#: Kind of server -> what gunicorn is told.
KINDS = {"gunicorn sync": ("--workers", "2"), "gunicorn gthread": ("--workers", "1", "--threads", "24"), "uvicorn": ()}
#: Steps 2 and 3 of the README.
README_SETTINGS = """
INSTALLED_APPS = ["status", *INSTALLED_APPS]
MIDDLEWARE = ["status.middleware.StatusMiddleware", *MIDDLEWARE]
"""
README_URLS = """
from django.urls import include, path
urlpatterns = [path("status/", include("status.urls")), *urlpatterns]
"""
#: What a site in production has. Each mail becomes a file in ``SITE_MAILS``.
PRODUCTION = """
import json, os
import django
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
ADMINS = ["admin@example.com"] if django.VERSION >= (6,) else [("admin", "admin@example.com")]
if "MAILERS" in globals():
    MAILERS = {"default": {"BACKEND": "django.core.mail.backends.filebased.EmailBackend",
                           "OPTIONS": {"file_path": os.environ["SITE_MAILS"]}}}
else:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = os.environ["SITE_MAILS"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
SESSION_SAVE_EVERY_REQUEST = True
if "SITE_SESSIONS" in os.environ:
    SESSION_ENGINE = f"django.contrib.sessions.backends.{os.environ['SITE_SESSIONS']}"
STATUS_TIMEOUT = 1
"""
SERVICES = """
DATABASES = {"default": json.loads(os.environ["SITE_DATABASE"])}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": os.environ["SITE_REDIS"]}}
"""
#: The tables as the models have them: hundreds of migrations would take minutes.
NO_MIGRATIONS = """
class NoMigrations:
    def __contains__(self, label): return True
    def __getitem__(self, label): return None
    def setdefault(self, label, default): return None
MIGRATION_MODULES = NoMigrations()
"""
#: Prints the key of a new session of a member of staff.
LOG_IN = """
import os
import django; django.setup()
from importlib import import_module
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.core.management import call_command
if "SITE_MADE" not in os.environ:
    call_command("migrate", verbosity=0, run_syncdb=True)
users, name = get_user_model().objects, get_user_model().USERNAME_FIELD
given = {"email": "root@example.com", name: "root@example.com", "password": "root"}
user = users.filter(**{name: "root@example.com"}).first() or users.create_superuser(**given)
session = import_module(settings.SESSION_ENGINE).SessionStore()
session[SESSION_KEY], session[HASH_SESSION_KEY] = str(user.pk), user.get_session_auth_hash()
session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[-1]
session.save()
print(settings.SESSION_COOKIE_NAME + "=" + session.session_key)
"""


class Preloaded(services.Web):
    """gunicorn, which listens before its workers are there."""

    def ready(self) -> bool:
        workers = int(self.command[self.command.index("--workers") + 1])
        return self.output.count("preloaded") == workers and super().ready()


class Site:
    """One site. ``mysite/settings.py`` and ``mysite/urls.py`` are what a subclass generates, and the lines above.

    postgres, redis: the servers that it uses; without them its database is a file and its cache local memory.
    lines: further lines of its settings.
    """

    #: What stands in the way of the README's lines, before and after them.
    before = after = ""
    urls = ""
    migrates = True

    def __init__(
        self,
        postgres: services.Postgres | None = None,
        redis: services.Redis | None = None,
        lines: str = "",
        **env: str,
    ) -> None:
        self.folder, self.mails = pathlib.Path(services.directory()), pathlib.Path(services.directory())
        self.postgres, self.redis = postgres, redis
        self.env = {
            "DJANGO_SETTINGS_MODULE": "mysite.settings",
            "PYTHONPATH": os.pathsep.join((str(self.folder), str(ROOT))),
            "SITE_MAILS": str(self.mails),
            "SITE_DATABASE": json.dumps(postgres.settings()) if postgres else "",
            "SITE_REDIS": redis.url if redis else "",
            **env,
        }
        self.generate()
        parts = [self.before, README_SETTINGS, PRODUCTION, SERVICES if postgres else "", self.after, lines]
        self.append("settings.py", "\n".join(parts + [NO_MIGRATIONS] * (not self.migrates)))
        self.append("urls.py", self.urls + README_URLS)

    def generate(self) -> None:
        """Make the project, by the command of its package."""
        self.run("-m", "django", "startproject", "mysite", str(self.folder), DJANGO_SETTINGS_MODULE="")

    def append(self, name: str, text: str) -> None:
        with open(self.folder / "mysite" / name, "a") as file:
            file.write(text)

    def run(self, *arguments: str, **env: str) -> str:
        """Run Python in the site's folder, and return what it printed."""
        done = subprocess.run(
            [sys.executable, *arguments],
            env=services.environment({**self.env, **env}),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"{arguments} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}")
        return done.stdout

    def manage(self, *arguments: str) -> str:
        return self.run("-m", "django", *arguments)

    def log_in(self) -> str:
        """Make the tables, the first time, and a session of a member of staff; return the header of its cookie."""
        cookie = self.run("-c", LOG_IN).splitlines()[-1]
        self.env["SITE_MADE"] = "yes"
        return f"Cookie: {cookie}\r\n"

    def server(self, kind: str, *options: str) -> services.Web:
        """One of the ``KINDS``, whose workers have loaded the site before they serve, as the documents say."""
        if kind == "uvicorn":
            return services.uvicorn("tests.neighbours.asgi:application", "--no-access-log", *options, env=self.env)
        config = ("-c", "python:tests.neighbours.preloading", "--timeout", "20")
        return Preloaded(services.gunicorn(WSGI, *config, *KINDS[kind], *options, env=self.env).command, env=self.env)


class Startproject(Site):
    """What Django generates, with a middleware that reads the user and changes the session of every request."""

    before = 'MIDDLEWARE = [*MIDDLEWARE, "mysite.visits.visits"]\n'

    def generate(self) -> None:
        super().generate()
        self.append("visits.py", VISITS)


VISITS = """
def visits(get_response):
    def visit(request):
        if request.user.is_authenticated:
            request.session["visits"] = request.session.get("visits", 0) + 1
        return get_response(request)
    return visit
"""


class Wagtail(Site):
    before = 'SECRET_KEY = "of-a-wagtail-site-that-is-made-for-one-test-only"\n'

    def generate(self) -> None:
        self.run("-c", "from wagtail.bin.wagtail import main; main()", "start", "mysite", str(self.folder))
        settings = self.folder / "mysite" / "settings"
        (settings / "__init__.py").write_text("from mysite.settings.base import *\n")
        self.append("settings.py", "")

    def append(self, name: str, text: str) -> None:
        super().append("settings/__init__.py" if name == "settings.py" else name, text)


class Oscar(Site):
    """As "Building your own shop" in the documentation of django-oscar says."""

    before = """
from oscar.defaults import *
SITE_ID = 1
INSTALLED_APPS += [
    "django.contrib.sites", "django.contrib.flatpages", "oscar.config.Shop",
    "oscar.apps.analytics.apps.AnalyticsConfig", "oscar.apps.checkout.apps.CheckoutConfig",
    "oscar.apps.address.apps.AddressConfig", "oscar.apps.shipping.apps.ShippingConfig",
    "oscar.apps.catalogue.apps.CatalogueConfig", "oscar.apps.catalogue.reviews.apps.CatalogueReviewsConfig",
    "oscar.apps.communication.apps.CommunicationConfig", "oscar.apps.partner.apps.PartnerConfig",
    "oscar.apps.basket.apps.BasketConfig", "oscar.apps.payment.apps.PaymentConfig",
    "oscar.apps.offer.apps.OfferConfig", "oscar.apps.order.apps.OrderConfig",
    "oscar.apps.customer.apps.CustomerConfig", "oscar.apps.search.apps.SearchConfig",
    "oscar.apps.voucher.apps.VoucherConfig", "oscar.apps.wishlists.apps.WishlistsConfig",
    "oscar.apps.dashboard.apps.DashboardConfig", "oscar.apps.dashboard.reports.apps.ReportsDashboardConfig",
    "oscar.apps.dashboard.users.apps.UsersDashboardConfig",
    "oscar.apps.dashboard.orders.apps.OrdersDashboardConfig",
    "oscar.apps.dashboard.catalogue.apps.CatalogueDashboardConfig",
    "oscar.apps.dashboard.offers.apps.OffersDashboardConfig",
    "oscar.apps.dashboard.partners.apps.PartnersDashboardConfig",
    "oscar.apps.dashboard.pages.apps.PagesDashboardConfig",
    "oscar.apps.dashboard.ranges.apps.RangesDashboardConfig",
    "oscar.apps.dashboard.reviews.apps.ReviewsDashboardConfig",
    "oscar.apps.dashboard.vouchers.apps.VouchersDashboardConfig",
    "oscar.apps.dashboard.communications.apps.CommunicationsDashboardConfig",
    "oscar.apps.dashboard.shipping.apps.ShippingDashboardConfig", "widget_tweaks", "haystack", "treebeard",
    "sorl.thumbnail", "django_tables2",
]
MIDDLEWARE += [
    "oscar.apps.basket.middleware.BasketMiddleware", "django.contrib.flatpages.middleware.FlatpageFallbackMiddleware",
]
TEMPLATES[0]["OPTIONS"]["context_processors"] += [
    "oscar.apps.search.context_processors.search_form", "oscar.apps.checkout.context_processors.checkout",
    "oscar.apps.communication.notifications.context_processors.notifications", "oscar.core.context_processors.metadata",
]
AUTHENTICATION_BACKENDS = [
    "oscar.apps.customer.auth_backends.EmailBackend", "django.contrib.auth.backends.ModelBackend",
]
HAYSTACK_CONNECTIONS = {"default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}}
"""
    urls = """
from django.apps import apps
from django.urls import include, path
urlpatterns = [path("", include(apps.get_app_config("oscar").urls[0]))]
"""


class Pretix(Site):
    """Configured by its file. Its middleware chooses the urlconf, into which plugins bring their addresses."""

    migrates = False
    after = "del DATABASES, CACHES\nfrom pretix.settings import CACHES, DATABASES\nINSTALLED_APPS.append('mysite')\n"

    def generate(self) -> None:
        assert self.postgres and self.redis
        configuration = self.folder / "pretix.cfg"
        configuration.write_text(
            f"[pretix]\nurl=http://127.0.0.1\ndatadir={self.folder}\n[django]\nsecret={'of-a-site-' * 5}\n"
            f"[database]\nbackend=postgresql\nname=postgres\nuser=postgres\n"
            f"host={self.postgres.host}\nport={self.postgres.port}\n[redis]\nlocation={self.redis.url}\n"
        )
        self.env["PRETIX_CONFIG_FILE"] = str(configuration)
        (self.folder / "mysite").mkdir()
        self.append("__init__.py", "")
        self.append("apps.py", PRETIX_PLUGIN)
        self.append("settings.py", "from pretix.settings import *\n")
        self.append("urls.py", "urlpatterns = []\n")


PRETIX_PLUGIN = """
from pretix.base.plugins import PluginConfig

class MySite(PluginConfig):
    name = "mysite"

    class PretixPluginMeta:
        name, version, visible = "mysite", "1", False
"""


class NetBox(Site):
    """Set up by its own command, from a wheel; its settings and urlconf are extended by modules of the site's own."""

    migrates = False
    after = "del DATABASES, CACHES\nfrom netbox.settings import CACHES, DATABASES\n"

    def generate(self) -> None:
        assert self.postgres and self.redis
        # As its migrations do. The PostgreSQL of the wheels has neither.
        self.postgres.execute("CREATE COLLATION IF NOT EXISTS natural_sort (provider = icu, locale = 'und-u-kn-true')")
        self.postgres.execute("CREATE EXTENSION IF NOT EXISTS ltree")
        self.env["NETBOX_ROOT"] = str(self.folder)
        self.run("-m", "netbox", "setup", "--target", str(self.folder))
        redis = {"HOST": self.redis.host, "PORT": self.redis.port, "DATABASE": 0, "SSL": False}
        configuration = {
            "ALLOWED_HOSTS": ["127.0.0.1"],
            "DATABASES": {"default": self.postgres.settings()},
            "REDIS": {"tasks": redis, "caching": redis},
            "SECRET_KEY": "of-a-site-" * 5,
            "API_TOKEN_PEPPERS": {1: "of-a-site-" * 5},
        }
        with open(self.folder / "conf" / "configuration.py", "a") as file:
            file.writelines(f"{name} = {value!r}\n" for name, value in configuration.items())
        (self.folder / "mysite").mkdir()
        self.append("__init__.py", "")
        self.append("settings.py", "from netbox.settings import *\nROOT_URLCONF = 'mysite.urls'\n")
        self.append("urls.py", "from netbox.urls import *\n")
