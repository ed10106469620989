"""Where the app is mounted, as the middleware, the commands, the admin and the system checks find it."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from collections.abc import Callable
from typing import Any
from unittest import mock

from django.apps import apps
from django.conf import settings
from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.http import HttpRequest, HttpResponse
from django.test import Client, SimpleTestCase, TestCase, override_settings
from django.urls import get_script_prefix, include, path, re_path, reverse, set_script_prefix

from status import checks
from status.api.views import ReportView
from tests import services
from tests.commandline import ask
from tests.test_checks import ChecksTestCase
from tests.test_middleware import BEHIND, DOOR, DoorTestCase, Urls, home, mounted

ADMIN = path("admin/", admin.site.urls)
#: A project that knows nothing of the app under these names.
FOREIGN = path("shop/", include(([path("", home, name="api_root"), path("root", home, name="root")], "status")))


def module(name: str, *urlpatterns: Any) -> Any:
    """Have a urlconf of that name for the time of a test."""
    urlconf = types.ModuleType(name)
    urlconf.urlpatterns = list(urlpatterns)  # type: ignore[attr-defined]
    return mock.patch.dict("sys.modules", {name: urlconf})


def by_host(get_response: Callable[..., Any]) -> Callable[..., Any]:
    """Choose the urlconf of a shop, as middleware for several hosts or tenants does."""

    def choose(request: HttpRequest) -> HttpResponse:
        if request.headers.get("Host", "").startswith("shop."):
            request.urlconf = "tests_shop_urls"
        return get_response(request)

    return choose


class UrlconfTests(DoorTestCase):
    CHOOSER = f"{__name__}.by_host"

    def setUp(self) -> None:
        super().setUp()
        shop = module("tests_shop_urls", path("status/", home), mounted("shop-status/"))
        shop.start()
        self.addCleanup(shop.stop)
        hosts = override_settings(ALLOWED_HOSTS=["shop.example", "www.example"])
        hosts.enable()
        self.addCleanup(hosts.disable)

    def test_urlconf_that_a_middleware_in_front_has_chosen_counts(self):
        """FAULTS A8"""
        with override_settings(MIDDLEWARE=[self.CHOOSER, DOOR, *BEHIND]):
            self.assertAnswers("/status/", HTTP_HOST="www.example")
            self.assertEqual(self.client.get("/status/", HTTP_HOST="shop.example").content, b"home")
            self.assertAnswers("/shop-status/", HTTP_HOST="shop.example")
            self.assertEqual(self.client.get("/shop-status/", HTTP_HOST="www.example").status_code, 404)

    @override_settings(STATUS_URLCONFS=("tests_shop_urls",))
    def test_urlconf_that_a_middleware_behind_chooses_is_known_to_probes_by_address(self):
        """FAULTS A8"""
        with override_settings(MIDDLEWARE=[DOOR, f"{__name__}.refuse_unknown", self.CHOOSER, *BEHIND]):
            for address in ("/shop-status/api/health", "/status/api/health"):
                self.assertAnswers(address, HTTP_HOST="10.1.2.3")
            self.assertEqual(self.client.get("/elsewhere", HTTP_HOST="10.1.2.3").status_code, 400)

    @override_settings(STATUS_URLCONFS=("tests_shop_urls",))
    def test_path_that_is_the_app_s_in_some_urlconfs_is_left_to_the_project(self):
        """FAULTS A8: it alone knows which of them the request will have."""
        with override_settings(MIDDLEWARE=[DOOR, self.CHOOSER, *BEHIND]):
            for cookie in ("", "sessionid=x"):
                client = Client(headers={"cookie": cookie})
                self.assertEqual(client.get("/status/", HTTP_HOST="shop.example").content, b"home")
                self.assertAnswers("/status/", client=client, HTTP_HOST="www.example")
                self.assertAnswers("/shop-status/", client=client, HTTP_HOST="shop.example")
                self.assertEqual(client.get("/shop-status/", HTTP_HOST="www.example").status_code, 404)

    @override_settings(STATUS_URLCONFS=("tests_shop_urls",))
    def test_path_that_is_the_app_s_in_all_urlconfs_is_answered_at_once(self):
        """FAULTS A8"""
        with override_settings(ROOT_URLCONF=Urls(mounted("shop-status/"))):  # behind it stands ``unreachable``
            for host in ("shop.example", "www.example", "10.1.2.3"):
                self.assertAnswers("/shop-status/api/health", HTTP_HOST=host)

    def test_urlconf_that_cannot_be_loaded_costs_nothing_but_itself(self):
        """FAULTS A8"""
        broken = override_settings(STATUS_URLCONFS=["no.such.urls", "tests_shop_urls"])
        with broken, self.assertLogs("status", "WARNING") as caught:
            for _ in range(3):
                self.assertAnswers("/shop-status/", HTTP_HOST="10.1.2.3")
                self.assertAnswers("/status/", HTTP_HOST="10.1.2.3")
        self.assertIn("STATUS_URLCONFS names 'no.such.urls', which cannot be loaded", caught.output[0])
        self.assertEqual(len(caught.output), 1)
        with override_settings(STATUS_URLCONFS="tests_shop_urls"), self.assertNoLogs("status"):
            self.assertAnswers("/status/", HTTP_HOST="10.1.2.3")
            self.assertPassedOn("/shop-status/", HTTP_HOST="10.1.2.3")


def refuse_unknown(get_response: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse hosts that the project does not know, as looking up a tenant does."""

    def refuse(request: HttpRequest) -> HttpResponse:
        known = request.headers.get("Host") != "10.1.2.3"
        return get_response(request) if known else HttpResponse("no such tenant", status=400)

    return refuse


#: Urlconf -> where the API is in it; None where the way takes arguments.
WAYS = (
    (Urls(path("plugins/", include(([mounted("status/")], "plugins"), namespace="plugins"))), "/plugins/status/api"),
    (Urls(FOREIGN, mounted("status/")), "/status/api"),
    (Urls(path("", include([FOREIGN])), path("ops/", include("status.urls", namespace="ops"))), "/ops/api"),
    (Urls(*i18n_patterns(mounted("status/"))), "/en/status/api"),
    (Urls(re_path(r"^deep/status/", include("status.urls"))), "/deep/status/api"),
    (Urls(path("<slug:tenant>/", include([mounted("status/")]))), None),
    (Urls(FOREIGN), None),
)


@override_settings(STATUS_PROVIDERS={"health": [("ping", "status.providers.health.ping")]}, LANGUAGE_CODE="en")
class AddressTests(SimpleTestCase):
    def listed(self) -> Any:
        return json.loads(ask("--list", "-f", "json").out)["health"]["ping"]

    def test_list_and_snippets_find_the_app_below_namespaces(self):
        """FAULTS A24"""
        for urlconf, api in WAYS:
            with self.subTest(api=api), override_settings(ROOT_URLCONF=urlconf):
                self.assertEqual(self.listed(), api and f"{api}/health/ping")
                snippet = ask("snippet", "k8s")
                self.assertEqual(snippet.code, 0 if api else 2)
                self.assertIn(f"{api}/ready" if api else "mount status.urls", snippet.out or snippet.err)

    def test_list_and_snippets_find_the_app_in_a_further_urlconf(self):
        """FAULTS A24"""
        names = override_settings(ROOT_URLCONF=Urls(path("", home)), STATUS_URLCONFS=("tests_host_urls",))
        with names, module("tests_host_urls", mounted("there/")):
            self.assertEqual(self.listed(), "/there/api/health/ping")
            self.assertIn("/there/api/live", ask("snippet", "k8s").out)


@override_settings(LANGUAGE_CODE="en")
class AdminTests(TestCase):
    def index(self, *urlpatterns: Any) -> Any:
        user, _ = User.objects.get_or_create(username="staff", is_staff=True)
        self.client.force_login(user)
        with override_settings(ROOT_URLCONF=Urls(ADMIN, *urlpatterns)):
            index = self.client.get("/admin/")
            return index, self.client.get("/admin/status/status/")

    def test_index_of_the_admin_leads_to_the_pages(self):
        """FAULTS A21, A24: by an entry, which no theme of the admin leaves out."""
        for urlconf, api in WAYS:
            with self.subTest(api=api):
                index, entry = self.index(*urlconf.urlpatterns)
                if api:
                    self.assertContains(index, '<a href="/admin/status/status/"')
                    self.assertRedirects(entry, api.removesuffix("api"), fetch_redirect_response=False)
                else:
                    self.assertNotContains(index, "/admin/status/")

    def test_there_is_nothing_to_change(self):
        self.index(mounted("status/"))
        with override_settings(ROOT_URLCONF=Urls(ADMIN, mounted("status/"))):
            for address in ("add/", "1/delete/"):
                self.assertEqual(self.client.get(f"/admin/status/status/{address}").status_code, 403, address)

    def test_address_is_that_of_the_urlconf_in_force(self):
        """FAULTS A24"""
        with (
            module("tests_shop_urls", ADMIN, mounted("shop-status/")),
            override_settings(
                MIDDLEWARE=[f"{__name__}.by_host", *BEHIND], ALLOWED_HOSTS=["shop.example"], ROOT_URLCONF=Urls()
            ),
        ):
            self.client.force_login(User.objects.create(username="root", is_staff=True))
            entry = self.client.get("/admin/status/status/", HTTP_HOST="shop.example")
        self.assertEqual(entry["Location"], "/shop-status/")


class AddressCheckTests(ChecksTestCase):
    def test_pattern_that_stands_in_front_of_the_app(self) -> None:
        """FAULTS A28"""
        catch_all = re_path(r"^((?:[\w-]+/)*)$", home, name="page")  # as Wagtail has it: only with a slash
        for urlconf, message in (
            (
                (catch_all, mounted("status/")),
                "/status/ and 12 more addresses should lead to this app",
            ),
            ((path("status/health/", home), mounted("status/")), "/status/health/ should lead to this app"),
            ((path("<path:any>", home), mounted("status/")), "'<path:any>' stands in front of it."),
            ((path("a/<path:any>", home), path("a/", include([mounted("status/")]))), "/a/status/ and"),
            ((path("status/fleet/", home), mounted("status/")), "/status/fleet/ should lead to this app"),
            ((path("status/api/fleet", home), mounted("status/")), "/status/api/fleet should lead to this app"),
        ):
            with self.subTest(message):
                self.assertFinds("W015", message, ROOT_URLCONF=Urls(*urlconf))
        self.assertFinds(
            "W015",
            "/status/api/beat/backup and 1 more addresses",
            ROOT_URLCONF=Urls(re_path("^status/api/beat/", home), mounted("status/")),
            STATUS_HEARTBEATS={"backup": 60},
            STATUS_STORE="default",
            CACHES={"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://store"}},
        )
        with override_settings(FORCE_SCRIPT_NAME="/shop"):
            self.addCleanup(set_script_prefix, get_script_prefix())
            set_script_prefix("/shop")
            self.assertFinds("W015", "/shop/status/ and", ROOT_URLCONF=Urls(catch_all, mounted("status/")))
            self.assertFindsNothing(ROOT_URLCONF=Urls(mounted("status/"), catch_all))

    def test_app_that_nothing_stands_in_front_of(self) -> None:
        """FAULTS A28"""
        catch_all = path("<path:any>", home)
        for urlconf in (
            (mounted("status/"), catch_all), (mounted("status/", "status.api.urls"), catch_all), (catch_all,),
            (catch_all, mounted("<slug:tenant>/status/")), (path("status", home), mounted("status/")),
            i18n_patterns(mounted("status/"), catch_all), (mounted("a/"), mounted("b/"), catch_all),
        ):  # fmt: skip
            with self.subTest(urlconf):
                self.assertFindsNothing(ROOT_URLCONF=Urls(*urlconf))

    def test_path_that_does_not_end_in_a_slash(self) -> None:
        for mount, address in (
            (path("status", include("status.urls")), "/statusapi"),
            (re_path("^status", include("status.api.urls")), "/statusapi"),
            (path("status/api", include("status.api.urls")), "/status/apiapi"),
        ):
            message = f"should be mounted below a path that ends in a slash: {address} is its address now."
            self.assertFinds("W036", message, ROOT_URLCONF=Urls(mount))
        for mount in (path("status/api/", include("status.api.urls")), path("", include("status.urls"))):
            self.assertFindsNothing(ROOT_URLCONF=Urls(mount))

    def test_path_that_takes_an_argument_of_the_app(self) -> None:
        for urlconf, name in (
            ((mounted("<slug:provider>/status/"),), "provider"),
            ((re_path("^(?P<resource>[a-z]+)/", include("status.api.urls")),), "resource"),
            (i18n_patterns(path("<slug:provider>/", include([mounted("status/")]))), "provider"),
        ):
            message = f'The argument "{name}" of the path '
            self.assertFinds("W042", message, ROOT_URLCONF=Urls(*urlconf))
        own = path("<slug:resource>/", include([path("", ReportView.as_view())]))  # as the project means it
        self.assertFindsNothing(ROOT_URLCONF=Urls(own, mounted("<slug:tenant>/<slug:name>/status/")))

    def test_urlconf_that_cannot_be_loaded_is_for_django_to_tell(self) -> None:
        self.assertFindsNothing(ROOT_URLCONF="no.such.urls")

    def test_urlconf_that_does_not_lead_to_the_app(self) -> None:
        """FAULTS A8"""
        for name, message in (
            ("no.such.urls", "not one that raises ModuleNotFoundError: 'no.such.urls'."),
            ("django.contrib.auth.urls", "not one that does not mount the app: 'django.contrib.auth.urls'."),
        ):
            self.assertFinds("W016", message, STATUS_URLCONFS=[name])
        self.assertFindsNothing(STATUS_URLCONFS=["tests.urls"])

    def test_setting_that_names_other_urlconfs(self) -> None:
        """FAULTS A8"""
        stack = [checks.access.MIDDLEWARE, *settings.MIDDLEWARE]
        for name, value in (
            ("PUBLIC_SCHEMA_URLCONF", "public.urls"),
            ("ROOT_HOSTCONF", "hosts"),
            ("SUBDOMAIN_URLCONFS", {"a": "a.urls"}),
        ):
            self.assertFinds("W017", f"that {name} leads to", MIDDLEWARE=stack, **{name: value})
            self.assertFindsNothing(**{name: value})
            self.assertFindsNothing(MIDDLEWARE=stack, STATUS_URLCONFS=["tests.urls"], **{name: value})
        self.assertFindsNothing(MIDDLEWARE=stack, PUBLIC_SCHEMA_URLCONF=settings.ROOT_URLCONF)
        self.assertFinds("E001", "with items of the types int, str.", MIDDLEWARE=stack, STATUS_URLCONFS=("urls", 3))


class NameTests(ChecksTestCase):
    """What else a project may call ``status``."""

    def test_second_mount_has_a_namespace_of_its_own(self) -> None:
        """As docs/names.rst says."""
        second = path("b/", include("status.urls", namespace="second_status"))
        for urlconf, ids in (
            ((mounted("a/"), mounted("b/")), ["urls.W005"]),
            ((mounted("a/"), second), []),
        ):
            with override_settings(ROOT_URLCONF=Urls(*urlconf)):
                found = [message.id for message in run_checks(tags=["urls", "status"])]
                self.assertEqual(found, ids)
        with override_settings(ROOT_URLCONF=Urls(mounted("a/"), second)):
            for name, address in (("status", "/a/api/health"), ("second_status", "/b/api/health")):
                self.assertEqual(reverse(f"{name}:api_health_root"), address)
                self.assertEqual(self.client.get(f"{address}/ping").json(), {"pong": True})

    def test_namespace_of_the_project_that_comes_first(self) -> None:
        """FAULTS A27"""
        other = path("shop/", include(([path("", home, name="home")], "status")))
        for first in (FOREIGN, other):
            self.assertFinds("W021", "The namespace status should", ROOT_URLCONF=Urls(first, mounted("status/")))
            below = path("plugins/", include(([mounted("status/")], "plugins")))
            for ours in (path("status/", include("status.urls", namespace="django_status")), below):
                self.assertFindsNothing(ROOT_URLCONF=Urls(first, ours))
        self.assertFindsNothing(ROOT_URLCONF=Urls(mounted("status/"), FOREIGN))
        self.assertFindsNothing(ROOT_URLCONF=Urls(FOREIGN))
        self.assertFindsNothing(ROOT_URLCONF=Urls(mounted("<slug:tenant>/")))
        self.assertFindsNothing(ROOT_URLCONF=Urls(path("", include([mounted("status/")]))))

    def test_command_of_another_app(self) -> None:
        """FAULTS A27"""
        with mock.patch.object(checks.addresses, "get_commands", return_value={"status": "shop"}):
            self.assertFinds("W019", "manage.py status should be the command of this app, and it is that of shop.")
            with mock.patch.object(apps, "get_containing_app_config", return_value=None):
                self.assertFindsNothing()

    def test_templates_that_the_pages_do_not_use(self) -> None:
        """FAULTS A27, C7"""
        for templates, names in (
            (
                {"status/base.html": "old", "status/main.html": "{% nonsense %}"},
                "status/base.html, status/main.html are",
            ),
            ({"status/health.html": "{% block content %}Shop{% endblock %}"}, "status/health.html are"),
        ):
            engine = {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", templates)]},
            }
            self.assertFinds("W018", f"should be in django_status/, and {names} not.", TEMPLATES=[engine])
            with override_settings(TEMPLATES=[engine], STATUS_PROVIDERS={"health": [("fine", lambda: True)]}):
                for page in ("/status/", "/status/health/"):
                    self.assertContains(self.client.get(page), "<title>✓ The only check passes</title>")
        self.assertFindsNothing(TEMPLATES=[{"BACKEND": "no.such.Engine"}])

    def test_another_app_of_that_label(self) -> None:
        """FAULTS A27: as the documents say, with another label for this one."""
        folder = services.directory()
        (folder / "shop.py").write_text(SHOP)
        command = [sys.executable, "shop.py"]
        done = subprocess.run(command, cwd=folder, env=services.environment(), capture_output=True, text=True)
        self.assertEqual((done.stdout, done.stderr), ("django_status.view_status\n200\n", ""))


SHOP = """
from django.apps import AppConfig
from django.conf import settings
from django.core.management import call_command
from django.test import Client
from django.urls import include, path
from status.apps import StatusConfig

class Pages(StatusConfig):
    label = "django_status"

class Shop(AppConfig):
    name, label, path = "shop", "status", "."

urlpatterns = [path("status/", include("status.urls"))]

if __name__ == "__main__":
    import django, sys
    sys.modules["shop"] = sys.modules["__main__"]
    auth = ["django.contrib.auth", "django.contrib.contenttypes"]
    settings.configure(
        INSTALLED_APPS=["shop.Pages", "shop.Shop", *auth], ROOT_URLCONF="shop", SECRET_KEY="x" * 50, USE_TZ=True,
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        MIDDLEWARE=["status.middleware.StatusMiddleware"], ALLOWED_HOSTS=["testserver"],
        STATUS_PROVIDERS={"health": [("fine", lambda: True)]},
    )
    django.setup()
    call_command("migrate", verbosity=0)
    from django.contrib.auth.models import Permission
    (found,) = Permission.objects.filter(codename="view_status")
    print(f"{found.content_type.app_label}.{found.codename}")
    print(Client().get("/status/").status_code)
"""
