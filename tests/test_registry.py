"""Settings become checks; every mistake in them costs one entry and is told with its remedy."""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict, defaultdict
from types import SimpleNamespace
from typing import Any, ClassVar
from unittest import mock

from django.test import SimpleTestCase, override_settings

from status.conf import DJANGO_PROVIDERS, STANDALONE_PROVIDERS, Conf
from status.engine import Engine
from status.entries import Check, import_provider
from status.providers.base import FunctionProvider, Provider, Unavailable
from status.providers.health import Ping, ping
from status.registry import ResourceRegistry, UnknownName, registry
from tests.processes import directory

PING = "status.providers.health.ping"


class Strict(Provider):
    def check(self) -> bool:
        return True


class Greeting(Provider):
    timeout = 7
    critical = False

    def check(self, *names: str, **options: Any) -> str:
        return " ".join(("hello", *names, *options.values()))


not_callable = 5


def settings_of(**settings: Any) -> ResourceRegistry:
    """The registry of a plain settings module."""
    conf = Conf()
    conf.source = SimpleNamespace(**settings)
    return ResourceRegistry(conf)


def health(*entries: Any) -> ResourceRegistry:
    return settings_of(STATUS_PROVIDERS={"health": [*entries]})


def pings_of(registry: ResourceRegistry) -> set[str]:
    """The resources whose ``ping`` is the built-in one."""
    return {resource for resource, checks in registry.items() if "ping" in checks and checks["ping"].is_ping}


class DefaultsTests(SimpleTestCase):
    def test_django_project_has_ping_databases_caches_and_two_statistics(self) -> None:
        registry = ResourceRegistry()
        self.assertEqual({name: list(checks) for name, checks in registry.items()}, {
            "health": ["ping", "databases", "caches"], "stats": ["databases", "code"],
        })  # fmt: skip
        sources = {name: [(check.name, check.source) for check in checks.values()] for name, checks in registry.items()}
        self.assertEqual(sources, DJANGO_PROVIDERS)

    def test_without_django_there_is_ping_and_code(self) -> None:
        self.assertEqual(settings_of().current().resources.keys(), STANDALONE_PROVIDERS.keys())
        self.assertEqual([list(checks) for checks in settings_of().values()], [["ping"], ["code"]])

    def test_named_workers_put_celery_into_both_resources(self) -> None:
        registry = settings_of(STATUS_CELERY_WORKERS=("celery@a", "celery@b"))
        for resource in ("health", "stats"):
            check = registry[resource]["celery"]
            self.assertEqual(check.source, f"status.providers.celery.{resource}.celery")
            self.assertEqual(check.kwargs, {"workers": ["celery@a", "celery@b"]})

    def test_celery_entry_of_the_users_own_is_kept(self) -> None:
        registry = settings_of(STATUS_PROVIDERS={"health": [("celery", PING)]}, STATUS_CELERY_WORKERS=["celery@a"])
        self.assertEqual(registry["health"]["celery"].source, PING)


class EntryTests(SimpleTestCase):
    def test_entries_of_two_to_five_elements(self) -> None:
        registry = health(
            ("two", PING), ("three", PING, None), ("four", Greeting, ["a"], None),
            ["five", Greeting, (), {"b": "c"}, {"timeout": 3, "max_age": 4, "critical": True, "impact": "No hello."}],
        )  # fmt: skip
        self.assertEqual(registry.current().problems, [])
        five = registry["health"]["five"]
        self.assertEqual((five.timeout, five.max_age, five.critical, five.impact), (3.0, 4.0, True, "No hello."))
        self.assertEqual(registry["health"]["four"].run(), "hello a")
        self.assertEqual(five.run(), "hello c")

    def test_provider_may_be_a_path_an_instance_a_class_or_a_callable(self) -> None:
        registry = health(("path", PING), ("instance", ping), ("class", Greeting), ("callable", len, ["abc"]))
        self.assertEqual(
            [check.run() for check in registry["health"].values()], [{"pong": True}, {"pong": True}, "hello", 3]
        )

    def test_options_of_the_class_count_where_the_entry_has_none(self) -> None:
        check = health(("hi", Greeting))["health"]["hi"]
        self.assertEqual((check.timeout, check.critical, check.judged), (7.0, False, True))

    def test_options_of_the_class_behind_a_path_count_once_it_is_loaded(self) -> None:
        sys.modules.pop("tests.tardy", None)
        check = health(("late", "tests.tardy.Tardy"))["health"]["late"]
        self.assertEqual(check.timeout, 2.0)
        check.load()
        self.assertEqual(check.timeout, 7.0)

    def test_unusable_option_of_a_class_is_passed_over(self) -> None:
        class Odd(Provider):
            timeout = "soon"  # type: ignore[assignment]

        self.assertEqual(health(("odd", Odd))["health"]["odd"].timeout, 2.0)

    def test_statistics_are_not_judged(self) -> None:
        registry = settings_of(STATUS_PROVIDERS={"stats": [("a", PING)], "mine": [("a", PING)]})
        self.assertEqual([registry[name]["a"].judged for name in ("stats", "mine")], [False, True])

    def test_nothing_is_imported_before_the_first_run(self) -> None:
        sys.modules.pop("tests.reports", None)
        check = health(("late", "tests.reports.report"))["health"]["late"]
        self.assertIsNone(check.provider)
        self.assertTrue(check.may_block())
        self.assertNotIn("tests.reports", sys.modules)

    def test_provider_that_cannot_say_whether_it_blocks_is_taken_to(self) -> None:
        class Moody(Provider):
            def may_block(self, *args: Any, **kwargs: Any) -> bool:
                raise ValueError

        self.assertTrue(health(("moody", Moody))["health"]["moody"].may_block())

    def test_check_is_shown_by_its_address(self) -> None:
        self.assertEqual(repr(Check("health", "ping", ping)), "<Check health/ping>")


class MistakeTests(SimpleTestCase):
    MISTAKES: tuple[tuple[Any, str, str], ...] = (
        ("ping", "[1] should be (name, provider, args, kwargs, options)", "not a str."),
        (None, "[1] should be (name, provider", "not None."),
        (5, "[1] should be (name, provider", "not 5."),
        ({"a": 1}, "[1] should be (name, provider", "not a dict."),
        ((), "[1] should be (name, provider", "not an empty tuple."),
        (("one",), "[1] should be (name, provider", "not a tuple of 1."),
        (("a", PING, (), {}, {}, 6), "[1] should be (name, provider", "not a tuple of 6."),
        ((5, PING), "[1][0] should be a name made of letters", "not 5."),
        ((None, PING), "[1][0] should be a name", "not None."),
        (("", PING), "[1][0] should be a name", "not ''."),
        (("a//b", PING), "[1][0] should be a name", "not 'a//b'."),
        ((" a", PING), "[1][0] should be a name", "not ' a'."),
        (('"><script>', PING), "[1][0] should be a name", "not '\"><script>'."),
        (("n–me", PING), "[1][0] should be a name", r"not 'n\u2013me'."),
        (("x" * 101, PING), "[1][0] should be a name", "xxx'."),
        (("a", 5), "[1][1] should be a dotted path, a callable or a Provider", "not 5."),
        (("a", None), "[1][1] should be a dotted path", "not None."),
        (("a", "nodots"), "[1][1] should be a dotted path", "not 'nodots'."),
        (("a", "a..b"), "[1][1] should be a dotted path", "not 'a..b'."),
        (("a", ["x"]), "[1][1] should be a dotted path", "not a list."),
        (("a", PING, 5), "[1][2] should be a list of arguments, or None", "not 5."),
        (("a", PING, (one for one in "ab")), "[1][2] should be a list of arguments, or None", "not a generator."),
        (("a", PING, None, ["kwargs"]), "[1][3] should be a dict of named arguments, or None", "not a list."),
        (("a", PING, None, {1: 2}), "[1][3] should be a dict of named arguments, or None", "not a dict."),
        (("a", PING, None, None, 5), "[1][4] should be a dict of options, or None", "not 5."),
        (("a", PING, None, None, {"timeot": 5}), "[1][4] should be a dict of the options timeout", "not 'timeot'."),
        (("a", PING, None, None, {"timeout": 0}), '[1][4]["timeout"] should be a positive number', "not 0."),
        (("a", PING, None, None, {"timeout": -1}), '[1][4]["timeout"] should be a positive number', "not -1."),
        (("a", PING, None, None, {"timeout": "5"}), '[1][4]["timeout"] should be a positive number', "not a str."),
        (("a", PING, None, None, {"timeout": True}), '[1][4]["timeout"] should be a positive number', "not True."),
        (("a", PING, None, None, {"timeout": float("nan")}), '[1][4]["timeout"] should be a positive', "not nan."),
        (("a", PING, None, None, {"timeout": 1e300}), '[1][4]["timeout"] should be a positive', "not 1e+300."),
        (("a", PING, None, None, {"max_age": 10**400}), '[1][4]["max_age"] should be a number of seconds', "000."),
        (
            ("a", PING, None, None, {"max_age": 10**5000}),
            '[1][4]["max_age"] should be',
            "not a number too long to be shown.",
        ),
        (("a", PING, None, None, {"max_age": -1}), '[1][4]["max_age"] should be a number of seconds', "not -1."),
        (("a", PING, None, None, {"critical": "no"}), '[1][4]["critical"] should be True or False', "not a str."),
    )

    def test_mistake_costs_its_own_entry_and_says_what_to_do(self) -> None:
        for entry, expected, found in self.MISTAKES:
            with self.subTest(found=found):
                registry = health(("first", PING), entry, ("last", PING))
                (problem,) = registry.current().problems
                self.assertIn(f'STATUS_PROVIDERS["health"]{expected}', str(problem))
                self.assertTrue(str(problem).endswith(found), str(problem))
                self.assertTrue(problem.hint.endswith("."))
                first, broken, last = Engine().run(registry["health"].values())
                self.assertEqual((first.answer, last.answer), ({"pong": True}, {"pong": True}))
                self.assertEqual(broken.error, f"{problem} {problem.hint}")
                self.assertEqual(broken.state, "fail")

    def test_entry_whose_name_is_fine_is_seen_under_it(self) -> None:
        self.assertEqual(list(health(("a", 5), 6)["health"]), ["a", "invalid-1"])

    def test_resource_that_is_no_list_costs_that_resource(self) -> None:
        for entries in (None, 5, "ping", {"ping": PING}, ping):
            with self.subTest(entries=entries):
                registry = settings_of(STATUS_PROVIDERS={"bad": entries, "health": [("ping", PING)]})
                self.assertEqual({name: list(checks) for name, checks in registry.items()}, {
                    "bad": ["invalid"], "health": ["ping"],
                })  # fmt: skip
                self.assertIn('STATUS_PROVIDERS["bad"] should be a list of', str(registry.current().problems[0]))

    def test_resource_without_a_usable_name_costs_that_resource(self) -> None:
        for name in (5, None, "", "a/b", " b", "?"):
            with self.subTest(name=name):
                registry = settings_of(STATUS_PROVIDERS={"health": [("ping", PING)], name: [("ping", PING)]})
                self.assertEqual(list(registry), ["health", "invalid-1"])
                self.assertIn("STATUS_PROVIDERS key 1 should be a resource name", str(registry.current().problems[0]))

    def test_set_that_is_no_dict_leaves_the_defaults_and_a_failing_check(self) -> None:
        for setting in ("STATUS_PROVIDERS", "STATUS_CHECK_PROVIDERS"):
            for value in (None, 5, "health", [("ping", PING)]):
                with self.subTest(setting=setting, value=value):
                    registry = settings_of(**{setting: value})
                    self.assertEqual(list(registry["health"]), ["ping", f"invalid-{setting}"])
                    self.assertIn(
                        f"{setting} should be a dict of resource -> list of entries",
                        str(registry.current().problems[0]),
                    )

    def test_found_values_that_could_be_secrets_are_not_shown(self) -> None:
        registry = health(("a", PING, "hunter2"), ("b", PING, None, None, {"timeout": "hunter2"}))
        self.assertNotIn("hunter2", " ".join(map(str, registry.current().problems)))


class ImportTests(SimpleTestCase):
    def test_path_that_leads_nowhere_says_so_without_exception_text(self) -> None:
        hint = "Check the dotted path in the settings."
        for path, reason in (
            ("tests.nowhere.check", f"tests.nowhere cannot be imported. {hint}"),
            ("nowhere.check", f"nowhere cannot be imported. {hint}"),
            ("tests.needy.check", f"tests.needy cannot be imported (frobnicate is not installed). {hint}"),
            ("tests.test_registry.nothing", f"tests.test_registry has no nothing. {hint}"),
            (
                "tests.test_registry.not_callable",
                f"{__name__}.not_callable should be a callable or a Provider, not int.",
            ),
        ):
            with self.subTest(path=path), self.assertRaises(Unavailable) as caught:
                import_provider(path)
            self.assertEqual(str(caught.exception), reason)

    def why_absent(self, module: str, code: str) -> str:
        """Return why a provider cannot be had of a module with that code."""
        folder = directory()
        (folder / f"{module}.py").write_text(code)
        with mock.patch.object(sys, "path", [*sys.path, str(folder)]), self.assertRaises(Unavailable) as caught:
            import_provider(f"{module}.check")
        return str(caught.exception)

    def test_module_that_is_called_like_what_it_needs_tells_what_that_is(self) -> None:
        reason = self.why_absent("frobnicate_checks", "import frobnicate\n")
        self.assertIn("frobnicate_checks cannot be imported (frobnicate is not installed).", reason)

    def test_module_that_lacks_a_name_is_not_told_to_be_absent(self) -> None:
        reason = self.why_absent("outdated_checks", "from json import no_such_function\n")
        self.assertIn("outdated_checks cannot be imported. Check", reason)

    def test_function_behind_a_path_becomes_a_provider(self) -> None:
        self.assertIsInstance(import_provider("os.getpid"), FunctionProvider)


class ChangeTests(SimpleTestCase):
    def test_same_settings_give_the_same_checks(self) -> None:
        registry = ResourceRegistry()
        self.assertIs(registry["health"]["ping"], registry["health"]["ping"])

    def test_who_looks_first_at_the_same_time_gets_the_same_checks(self) -> None:
        """Else a check would run several times at once."""
        barrier, found = threading.Barrier(8), []

        def look(registry: ResourceRegistry) -> None:
            barrier.wait()
            found.append(registry["health"]["first"])

        with override_settings(
            STATUS_PROVIDERS={"health": [(f"number{n}", len) for n in range(300)] + [("first", len)]}
        ):
            for _ in range(10):
                found.clear()
                lookers = [threading.Thread(target=look, args=[registry]) for registry in [ResourceRegistry()] * 8]
                for looker in lookers:
                    looker.start()
                for looker in lookers:
                    looker.join()
                self.assertEqual(len(set(map(id, found))), 1)

    def test_overridden_settings_count_at_once_and_no_longer_than_that(self) -> None:
        registry = ResourceRegistry()
        with override_settings(STATUS_PROVIDERS={"mine": [("ping", PING)]}):
            self.assertEqual(list(registry), ["mine"])
        self.assertEqual(list(registry), ["health", "stats"])

    def test_setting_changed_in_place_counts(self) -> None:
        for kind in (dict, OrderedDict, lambda entries: defaultdict(list, entries)):
            providers: dict[str, list[Any]] = kind({"health": [("ping", PING)]})
            registry = settings_of(STATUS_PROVIDERS=providers)
            self.assertEqual(list(registry["health"]), ["ping"])
            providers["health"].append(("again", PING))
            self.assertEqual(list(registry["health"]), ["ping", "again"])
            self.assertEqual(len(registry), 1)

    def test_built_in_pings_are_known_by_their_resource_as_the_settings_are_now(self) -> None:
        registry = ResourceRegistry()
        self.assertEqual(pings_of(registry), {"health"})
        asked = {"a": [("ping", Ping())], "b": [("ping", Greeting)], "c": [("other", PING)], "d": [("ping", PING)]}
        for settings, pings in (
            ({"STATUS_PROVIDERS": asked}, {"a", "d"}),
            ({"STATUS_PROVIDERS": {}}, set()),
            ({"STATUS_CHECK_PROVIDERS": {"health": [("ping", Greeting)], "e": [("ping", PING)]}}, {"e"}),
            ({"STATUS_CELERY_WORKERS": ["a@b"]}, {"health"}),
        ):
            with self.subTest(settings=settings), override_settings(**settings):
                self.assertEqual(pings_of(registry), pings)
        self.assertEqual(pings_of(registry), {"health"})

    def test_ping_changed_in_place_counts_once_anything_else_was_asked(self) -> None:
        providers: dict[str, list[Any]] = {"health": [("ping", PING)]}
        registry = settings_of(STATUS_PROVIDERS=providers)
        self.assertEqual(pings_of(registry), {"health"})
        providers["health"][0] = ("ping", Greeting)
        registry.select("health")
        self.assertEqual(pings_of(registry), set())

    def test_added_providers_join_the_set_in_force_and_replace_by_name(self) -> None:
        registry = settings_of(
            STATUS_PROVIDERS={"health": [("ping", PING), ("other", PING)]},
            STATUS_CHECK_PROVIDERS={"health": [("ping", Greeting)], "mine": [("a", PING)]},
        )
        self.assertEqual({name: list(checks) for name, checks in registry.items()}, {
            "health": ["ping", "other"], "mine": ["a"],
        })  # fmt: skip
        self.assertEqual(registry["health"]["ping"].run(), "hello")


class SelectTests(SimpleTestCase):
    def setUp(self) -> None:
        self.registry = settings_of(
            STATUS_PROVIDERS={"health": [("ping", PING), ("b", PING)], "stats": [("b", PING), ("c", PING)], "empty": []}
        )

    def names(self, *args: Any, **kwargs: Any) -> list[str]:
        return [f"{check.resource}/{check.name}" for check in self.registry.select(*args, **kwargs).checks]

    def test_everything_a_resource_or_a_provider(self) -> None:
        self.assertEqual(self.names(), ["health/ping", "health/b", "stats/b", "stats/c"])
        self.assertEqual(self.registry.select().resources, ("health", "stats", "empty"))
        self.assertEqual(self.names("stats"), ["stats/b", "stats/c"])
        self.assertEqual(self.names("stats", "b"), ["stats/b"])
        self.assertEqual(self.names("empty"), [])

    def test_only_and_skip_choose_by_name(self) -> None:
        self.assertEqual(self.names(only=["b"]), ["health/b", "stats/b"])
        self.assertEqual(self.names("health", skip=["b"]), ["health/ping"])
        self.assertEqual(self.names(only=["ping", "b"], skip=["b"]), ["health/ping"])

    def test_unknown_names_tell_which_there_are(self) -> None:
        for args, kwargs, kind, known in (
            (("nope",), {}, "resource", ("health", "stats", "empty", "live", "ready")),
            (("health", "nope"), {}, "provider", ("ping", "b")),
            ((), {"only": ["nope"]}, "provider", ("ping", "b", "c")),
            (("stats",), {"skip": ["ping"]}, "provider", ("b", "c")),
        ):
            with self.subTest(args=args, kwargs=kwargs), self.assertRaises(UnknownName) as caught:
                self.registry.select(*args, **kwargs)
            self.assertEqual((caught.exception.kind, caught.exception.known), (kind, known))
            self.assertNotIn("nope", str(caught.exception))

    def test_resources_the_caller_may_not_ask_for_do_not_exist_for_it(self) -> None:
        self.assertEqual(self.names(among=["stats"]), ["stats/b", "stats/c"])
        with self.assertRaises(UnknownName) as caught:
            self.registry.select("health", among=["stats"])
        self.assertEqual(caught.exception.known, ("stats",))


class ArgumentsTests(SimpleTestCase):
    """The built-in providers of 2.x ignore arguments that they do not know; all others are strict."""

    CLASSIC: ClassVar[dict[str, str]] = {
        "ping": PING,
        "databases": "status.providers.django.health.databases",
        "caches": "status.providers.django.health.caches",
        "celery": "status.providers.celery.health.celery",
        "database-facts": "status.providers.django.stats.databases",
        "code": "status.providers.stats.code",
        "celery-facts": "status.providers.celery.stats.celery",
    }
    databases = {"default"}

    def answers(self, *entries: Any) -> Any:
        """Return the answer of all entries, which must be the one that each of them gives alone, and its status."""
        settings = {"STATUS_PROVIDERS": {"some": list(entries)}, "STATUS_SHOW_DETAILS": "always"}
        with override_settings(**settings):
            together = self.client.get("/status/api/some")
            alone = [self.client.get(f"/status/api/some/{entry[0]}") for entry in entries]
        self.assertEqual([reply.json() for reply in alone], list(together.json().values()))
        self.assertEqual(max(reply.status_code for reply in alone), together.status_code)
        return together

    def test_provider_may_look_at_the_registry_while_it_is_made(self) -> None:
        class Curious(Provider):
            def __init__(self) -> None:
                self.seen = list(registry)

            def check(self) -> bool:
                return True

        done = threading.Thread(target=lambda: self.answers(("curious", Curious)), daemon=True)
        done.start()
        done.join(20)
        self.assertFalse(done.is_alive())

    def test_entries_that_raise_anything_fail_alone(self) -> None:
        class Exits(Provider):
            def __init__(self) -> None:
                sys.exit(3)

        class Odd(Provider):
            arguments: Any = ("path",)

        class Refuses(Provider):
            def accept(self, *args: Any) -> Any:
                raise ValueError("hunter2")

        own: list[Any] = []
        own.append(own)
        deep: list[Any] = []
        for _ in range(1200):  # more than Python goes into
            deep = [deep]
        for entry in (Exits, Refuses(), (Odd(), [1])):
            provider, args = entry if isinstance(entry, tuple) else (entry, ())
            reply = self.answers(("bad", provider, args), ("fine", bool, [1])).json()
            self.assertEqual((reply["fine"], reply["bad"]["ok"]), (True, False), entry)
        for argument in (own, deep):
            self.assertEqual(self.answers(("list", len, [argument]), ("fine", bool, [1])).json()["fine"], True)

    def test_classic_providers_ignore_what_they_do_not_know(self) -> None:
        """P12. In a group, alone, and as plain functions."""
        plain = self.answers(*((name, path) for name, path in self.CLASSIC.items()))
        given = self.answers(*((name, path, [1], {"foo": "bar"}) for name, path in self.CLASSIC.items()))
        self.assertEqual((given.status_code, given.json()), (plain.status_code, plain.json()))
        self.assertNotIn("'error'", str(given.json()))  # a commit may speak of errors
        for path in self.CLASSIC.values():
            provider = import_provider(path)
            self.assertEqual(provider(1, foo="bar"), provider())

    def test_classic_providers_still_obey_what_they_know(self) -> None:
        """P12."""
        path = self.CLASSIC["databases"]
        for args, kwargs in (([1, ["none"]], {"aliases": []}), ([[]], {"foo": 1}), ([[], ["default"]], {})):
            self.assertEqual(self.answers(("databases", path, args, kwargs)).json(), {"databases": {}})

    def test_other_providers_are_strict(self) -> None:
        """P12."""
        with self.assertLogs("status", "DEBUG"):
            reply = self.answers(("code", "status.providers.health.code", [1]), ("mine", Strict, (), {"foo": "bar"}))
        self.assertEqual(reply.status_code, 503)
        refused = "The arguments of the entry should be those that it takes: too many positional arguments. "
        errors = {name: answer["error"] for name, answer in reply.json().items()}
        self.assertEqual(errors, {"code": f"{refused}It takes parents.", "mine": "raised TypeError"})
