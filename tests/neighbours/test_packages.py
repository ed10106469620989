"""The app beside packages of other people, each set up as its own documentation says, and run by gunicorn."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping

from django.test import SimpleTestCase, tag

from tests import probes, services
from tests.neighbours import sites

OURS = '"status.middleware.StatusMiddleware"'
ORIGIN = "https://dashboard.example.com"


def exchange(port: int, method: str, path: str, **headers: str) -> tuple[int, Mapping[str, str], bytes]:
    """Return what comes back: HTTP status, headers and body. Headers are spelled with underscores."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    answer = response.status, response.headers, response.read()
    connection.close()
    return answer  # type: ignore[return-value]


@tag("neighbours")
class PackageTests(SimpleTestCase):
    def serve(self, site: sites.Site) -> services.Web:
        web = services.gunicorn(sites.WSGI, "--threads", "4", env=site.env)
        self.addCleanup(web.stop)
        started: services.Web = web.start()
        return started

    def site(self, lines: str, urls: str = "", **env: str) -> sites.Site:
        site = sites.Site(lines=lines, **env)
        site.append("urls.py", urls)
        return site

    def made(self, lines: str, urls: str = "") -> tuple[sites.Site, str]:
        """Return a site with its tables, and the cookie of a member of staff."""
        site = self.site(lines, urls)
        return site, site.log_in()

    def assertWell(self, web: services.Web, staff: str = "") -> None:
        for path in ("/status/", "/status/api/health", "/status/api/live"):
            for host in ("127.0.0.1", "10.1.2.3"):
                self.assertEqual(exchange(web.port, "GET", path, Host=host)[0], 200, (path, host, web.output))
        if staff:
            self.assertIn(b"Server-Timing", probes.get(web.port, "/status/api/health", staff).head)
        self.assertNotIn("Traceback", web.output)

    def test_cors_headers(self) -> None:
        """FAULTS A10"""
        lines = f"INSTALLED_APPS += ['corsheaders']\nCORS_ALLOWED_ORIGINS = ['{ORIGIN}']\n"
        cors = '"corsheaders.middleware.CorsMiddleware"'
        for before, after, allowed in ((cors, OURS, ORIGIN), (OURS, cors, None)):
            with self.subTest(first=before):
                site, staff = self.made(f"{lines}MIDDLEWARE = [{before}, {after}, *MIDDLEWARE[1:]]\n")
                web = self.serve(site)
                self.assertWell(web, staff)
                _, headers, _ = exchange(web.port, "GET", "/status/api/health", Origin=ORIGIN)
                self.assertEqual(headers.get("Access-Control-Allow-Origin"), allowed)
                asked = {"Origin": ORIGIN, "Access_Control_Request_Method": "GET"}
                status, headers, _ = exchange(web.port, "OPTIONS", "/status/api/health", **asked)
                self.assertEqual((status, headers["Access-Control-Allow-Origin"]), (200, ORIGIN))

    def test_hosts(self) -> None:
        """FAULTS A8: one urlconf has the app, the other a page of its own at the same path."""
        site = self.site(
            "INSTALLED_APPS += ['django_hosts']\nROOT_HOSTCONF, DEFAULT_HOST = 'mysite.hosts', 'www'\n"
            "ALLOWED_HOSTS = ['.example.com']\nSTATUS_URLCONFS = ('mysite.shop',)\n"
            "MIDDLEWARE = [MIDDLEWARE[0], 'django_hosts.middleware.HostsRequestMiddleware', *MIDDLEWARE[1:],\n"
            "              'django_hosts.middleware.HostsResponseMiddleware']\n"
        )
        site.append("hosts.py", "from django_hosts import host, patterns\n"
                    "host_patterns = patterns('', host('www', 'mysite.urls', name='www'),\n"
                    "                         host('shop', 'mysite.shop', name='shop'))\n")  # fmt: skip
        site.append("shop.py", "from django.http import HttpResponse\nfrom django.urls import path\n"
                    "urlpatterns = [path('status/', lambda request: HttpResponse('your order'))]\n")  # fmt: skip
        cookie, web = site.log_in().removeprefix("Cookie: ").strip(), self.serve(site)
        self.assertEqual(exchange(web.port, "GET", "/status/api/health", Host="10.1.2.3")[0], 200)
        self.assertEqual(exchange(web.port, "GET", "/status/api/health", Host="www.example.com")[0], 200)
        self.assertEqual(exchange(web.port, "GET", "/status/", Host="shop.example.com")[2], b"your order")
        self.assertIn(b"All 3 checks", exchange(web.port, "GET", "/status/", Host="www.example.com")[2])
        _, headers, _ = exchange(web.port, "GET", "/status/api/health", Host="www.example.com", Cookie=cookie)
        self.assertIn("Server-Timing", headers)

    def test_csp(self) -> None:
        """FAULTS A29: our policy is ours, or the project's own where it is left to it."""
        lines = (
            "INSTALLED_APPS += ['csp']\nMIDDLEWARE += ['csp.middleware.CSPMiddleware']\n"
            "CONTENT_SECURITY_POLICY = {'DIRECTIVES': {'default-src': [\"'self'\"]}}\n"
        )
        site, staff = self.made(lines)
        web = self.serve(site)
        self.assertWell(web, staff)
        for header in ("", staff):
            head = probes.get(web.port, "/status/", header).head
            self.assertEqual(head.count(b"Content-Security-Policy"), 1)
            self.assertIn(b"default-src 'none'", head)
        web = self.serve(self.made(f"{lines}STATUS_PAGE_POLICY = None\nMIDDLEWARE = MIDDLEWARE[1:]\n")[0])
        self.assertIn(b"Content-Security-Policy: default-src 'self'", probes.get(web.port, "/status/").head)

    def test_whitenoise(self) -> None:
        site = self.site(
            "MIDDLEWARE.insert(1, 'whitenoise.middleware.WhiteNoiseMiddleware')\nSTATIC_ROOT = BASE_DIR / 'static'\n"
            "STORAGES = {'staticfiles': {'BACKEND': 'whitenoise.storage.CompressedManifestStaticFilesStorage'}}\n"
        )
        site.manage("collectstatic", "--noinput")
        web = self.serve(site)
        self.assertWell(web, site.log_in())
        self.assertEqual(len(list((site.folder / "static" / "status").glob("status.*.css"))), 1)

    def test_debug_toolbar(self) -> None:
        """It puts its panel into pages of its site; ours is complete without."""
        site = self.site(
            "DEBUG = True\nINTERNAL_IPS = ['127.0.0.1']\nINSTALLED_APPS += ['debug_toolbar']\n"
            "MIDDLEWARE += ['debug_toolbar.middleware.DebugToolbarMiddleware']\n",
            "from debug_toolbar.toolbar import debug_toolbar_urls\nurlpatterns += debug_toolbar_urls()\n",
        )
        staff, web = site.log_in(), self.serve(site)
        self.assertWell(web, staff)
        for header in ("", staff):
            self.assertIn(b"All 3 checks", probes.get(web.port, "/status/", header).body)

    def test_axes(self) -> None:
        site = self.site(
            "INSTALLED_APPS += ['axes']\nMIDDLEWARE += ['axes.middleware.AxesMiddleware']\n"
            "AUTHENTICATION_BACKENDS = ['axes.backends.AxesStandaloneBackend',\n"
            "                           'django.contrib.auth.backends.ModelBackend']\n"
        )
        self.assertWell(self.serve(site), site.log_in())

    def test_admin_themes(self) -> None:
        """FAULTS A21: an entry in the index leads to the pages, whatever its template is."""
        for apps in (["jazzmin"], ["unfold"], ["grappelli"], ["admin_interface", "colorfield"]):
            with self.subTest(apps[0]):
                lines = f"INSTALLED_APPS = [*{apps}, *INSTALLED_APPS]\nX_FRAME_OPTIONS = 'SAMEORIGIN'\n"
                site, _ = self.made(lines)
                self.assertEqual(site.run("-c", ADMIN), "True /status/\n")

    def test_configurations(self) -> None:
        """FAULTS C13: the settings are a class, which their own entry point for servers chooses."""
        site = self.site("")
        site.append("configured.py", "from configurations import Configuration\nimport mysite.settings as plain\n"
                    "Base = type('Base', (Configuration,), {n: v for n, v in vars(plain).items() if n.isupper()})\n"
                    "class Production(Base):\n    STATUS_PUBLIC = ('health',)\n")  # fmt: skip
        site.log_in()
        site.env |= {"DJANGO_SETTINGS_MODULE": "mysite.configured", "DJANGO_CONFIGURATION": "Production"}
        (site.folder / "mysite" / "wsgi.py").write_text(
            "from configurations.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
        )
        web = services.gunicorn("mysite.wsgi", "--threads", "4", env=site.env)
        with web:
            self.assertEqual(probes.get(web.port, "/status/api/health").status, 200)
            self.assertIn(probes.get(web.port, "/status/api/stats").status, (401, 403))

    def test_environ_and_dj_database_url(self) -> None:
        """Their databases are a subclass of dict, and one that cannot be parsed is an empty one."""
        url = "sqlite:////tmp/of-a-neighbour/gone.sqlite3"
        for lines in (
            "from environ import Env\nDATABASES, CACHES = {'default': Env().db()}, {'default': Env().cache()}\n",
            "import dj_database_url\nDATABASES = {'default': dj_database_url.config()}\n",
        ):
            with self.subTest(lines):
                site = self.site(lines, DATABASE_URL=url, CACHE_URL="locmemcache://")
                answer = probes.get(self.serve(site).port, "/status/api/health")
                self.assertEqual((answer.status, answer.document["databases"]), (503, {"default": False}))
                self.assertEqual(answer.document["caches"], {"default": True})

    def test_pytest_django(self) -> None:
        """A suite of a project asks the app, with a database and without, and leaves nothing behind."""
        site = self.site("")
        (site.folder / "test_site.py").write_text(PYTEST)
        output = site.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "test_site.py")
        self.assertIn("4 passed", output)


#: Prints whether the index of the admin has our entry, and where that leads.
ADMIN = """
import django; django.setup()
from django.contrib.auth.models import User
from django.test import Client
client = Client(headers={"host": "127.0.0.1"})
client.force_login(User.objects.get())
link = "/admin/status/status/"
print(f'href="{link}"' in client.get("/admin/").content.decode(), client.get(link)["Location"])
"""
PYTEST = """
import pytest

def test_ping(client):
    assert client.get("/status/api/health/ping").json() == {"pong": True}

@pytest.mark.django_db
def test_health(client, settings):
    settings.STATUS_SYNCHRONOUS = True
    assert client.get("/status/api/health").json()["databases"] == {"default": True}

@pytest.mark.django_db(transaction=True)
def test_health_in_threads(client):
    assert client.get("/status/api/health").status_code == 200

@pytest.mark.django_db
def test_staff(admin_client, settings):
    settings.STATUS_SYNCHRONOUS = True
    assert "Server-Timing" in admin_client.get("/status/api/health").headers
"""


@tag("neighbours")
class TenantTests(SimpleTestCase):
    """FAULTS A23: django-tenants, whose middleware sets the schema on the connection of its thread."""

    SETTINGS = """
TENANT_MODEL, TENANT_DOMAIN_MODEL = "customers.Client", "customers.Domain"
SHARED_APPS = ["django_tenants", "customers", "django.contrib.contenttypes", "status"]
TENANT_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions"]
INSTALLED_APPS = SHARED_APPS + [app for app in TENANT_APPS if app not in SHARED_APPS]
DATABASES["default"]["ENGINE"] = "django_tenants.postgresql_backend"
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
MIDDLEWARE = [
    MIDDLEWARE[0], "django_tenants.middleware.main.TenantMainMiddleware",
    *(each for each in MIDDLEWARE[1:] if "messages" not in each),
]
TEMPLATES[0]["OPTIONS"]["context_processors"] = ["django.template.context_processors.request"]
ALLOWED_HOSTS = [".example.com"]
SESSION_SAVE_EVERY_REQUEST = False
"""
    MODELS = """
from django.db import models
from django_tenants.models import DomainMixin, TenantMixin

class Client(TenantMixin):
    auto_create_schema = True

class Domain(DomainMixin):
    pass
"""
    MAKE = """
import django; django.setup()
from importlib import import_module
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.core.management import call_command
from django_tenants.utils import schema_context
call_command("makemigrations", "customers", verbosity=0)
call_command("migrate_schemas", "--shared", verbosity=0)
from customers.models import Client, Domain
for name in ("one", "two"):
    client = Client(schema_name=name)
    client.save(verbosity=0)
    Domain(domain=name + ".example.com", tenant=client, is_primary=True).save()
with schema_context("two"):
    from django.contrib.auth.models import User
    user = User.objects.create_superuser("root", password="root")
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY], session[HASH_SESSION_KEY] = str(user.pk), user.get_session_auth_hash()
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session.save()
    print(session.session_key)
"""

    def test_user_is_looked_up_in_the_schema_of_the_tenant(self) -> None:
        services.require_module("django_tenants", "python -m tests.neighbours")
        with services.postgres(private=True) as postgres, services.redis(private=True) as redis:
            site = sites.Site(postgres, redis, self.SETTINGS)
            # The admin of the generated urlconf is not installed.
            urls = site.folder / "mysite" / "urls.py"
            urls.write_text("urlpatterns = []\n" + sites.README_URLS)
            (site.folder / "customers").mkdir()
            (site.folder / "customers" / "__init__.py").touch()
            (site.folder / "customers" / "models.py").write_text(self.MODELS)
            cookie = f"sessionid={site.run('-c', self.MAKE).splitlines()[-1]}"
            for kind in ("gunicorn gthread", "uvicorn"):
                with self.subTest(kind), site.server(kind) as web:
                    for _ in range(3):  # asking logs nobody out
                        self.assertEqual(self.knows(web, "two", cookie), (200, True), web.output)
                    self.assertEqual(self.knows(web, "one", cookie), (200, False), web.output)
                    self.assertEqual(self.knows(web, "two", cookie), (200, True), web.output)
                    self.assertEqual(exchange(web.port, "GET", "/status/api/health", Host="10.1.2.3")[0], 200)
                    answer = json.loads(exchange(web.port, "GET", "/status/api/health", Host="two.example.com")[2])
                    self.assertEqual(answer["databases"], {"default": True})
                    self.assertNotIn("Traceback", web.output)

    def knows(self, web: services.Web, tenant: str, cookie: str) -> tuple[int, bool]:
        """Return the HTTP status for this tenant, and whether the caller is staff there."""
        host = f"{tenant}.example.com"
        status, headers, _ = exchange(web.port, "GET", "/status/api/health", Host=host, Cookie=cookie)
        known = "Server-Timing" in headers
        if known:
            self.assertNotIn("Set-Cookie", headers)
        return status, known
