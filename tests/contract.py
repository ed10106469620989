"""The public contract over HTTP, one row for each promise: what is asked, under which settings, and what must come."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests import contract_providers
from tests.contract_mistakes import MISTAKES

HERE = "tests.contract_providers."
TOKEN = "a-token-of-more-than-thirty-two-characters"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
ALLOWED = {"Allow": "GET, HEAD, OPTIONS"}
#: A directory that is not there, in the folder of the server under test.
ABSENT = f"{os.environ.get('EXAMPLE_FOLDER')}/absent"
ADDRESSES = ("", "/health", "/health/ping", "/stats", "/stats/code", "/shop", "/shop/payments")


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    text: str
    seconds: float = 0.0

    @property
    def json(self) -> Any:
        """The body as strict JSON: no NaN, and no key twice."""

        def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            assert len(dict(pairs)) == len(pairs), f"a key comes twice: {pairs}"
            return dict(pairs)

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is not JSON")

        return json.loads(self.text, object_pairs_hook=unique, parse_constant=refuse)


@dataclass(frozen=True)
class Row:
    """One promise.

    promise: what is promised; unique, as it names the row.
    path: below the site's root.
    settings: what the project sets, beside what the example project does.
    status: of the answer.
    answer: the whole JSON document, where it is always the same.
    keys: of the JSON document, in their order.
    headers: that the answer has.
    holds: anything else that must be true of the reply.
    sent: headers of the request.
    front_door: False where the promise holds without the middleware too, which is nearly always.
    """

    promise: str
    path: str
    settings: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    answer: Any = ...
    keys: tuple[str, ...] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    holds: Callable[[Reply], Any] = lambda reply: True
    sent: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    front_door: bool = False


def entry(*parts: Any, resource: str = "health") -> dict[str, Any]:
    """Settings with this one entry, whatever else the example project adds."""
    return {"STATUS_PROVIDERS": {resource: [parts]}, "STATUS_CHECK_PROVIDERS": {}}


def answers(value: Any, **options: Any) -> dict[str, Any]:
    """Settings with one provider, which answers ``value``."""
    # The text beside it keeps apart what Python takes for equal: False, 0 and 0.0 in settings that follow each other.
    return entry("one", f"{HERE}answer", [value, repr(value)], None, options)


def failed(reply: Reply, name: str) -> bool:
    """Whether the provider ``name`` failed itself, told why, and did not break the others."""
    document = reply.json
    return (
        set(document[name]) == {"ok", "error"} and document[name]["ok"] is False and document["ping"] == {"pong": True}
    )


def beside_ping(*parts: Any) -> dict[str, Any]:
    return {
        "STATUS_PROVIDERS": {"health": [("ping", "status.providers.health.ping"), parts]},
        "STATUS_CHECK_PROVIDERS": {},
    }


def is_page(reply: Reply) -> bool:
    return reply.headers["Content-Type"].startswith("text/html") and "<html" in reply.text


def is_commit(reply: Reply) -> bool:
    return bool(re.fullmatch("[0-9a-f]{40}", reply.json["commit"]["id"]))


DEFAULTS = {"STATUS_CHECK_PROVIDERS": {}}
ECHO = {"args": [1, "two"], "kwargs": {"three": 3}}
HEALTH = ("ping", "databases", "caches", "storage")
SHOP_CHECKS = ("payments", "delivery", "newsletter", "uploads", "settings", "migrations", "code")
FALSE = answers({"up": False})

ADDRESS_ROWS = [
    *(
        Row(
            f"the page /status{page} answers {with_slash} its slash",
            f"/status{page}{slash}",
            holds=is_page,
            front_door=not page and not slash,
        )
        for page in ("", "/health", "/stats")
        for with_slash, slash in (("with", "/"), ("without", ""))
    ),
    *(
        Row(
            f"the address /status/api{address} answers {with_slash} its slash and no redirect",
            f"/status/api{address}{slash}",
            headers={"Content-Type": "application/json"},
            holds=lambda reply: isinstance(reply.json, dict),
        )
        for address in ADDRESSES
        for with_slash, slash in (("with", "/"), ("without", ""))
    ),
    Row(
        "the API shows every resource, every provider and its answer",
        "/status/api",
        keys=("health", "stats", "shop", "host"),
    ),
    Row("a resource shows its providers and their answers", "/status/api/health", keys=HEALTH),
    Row("a provider shows its answer", "/status/api/health/ping", answer={"pong": True}),
    Row("a resource may have any name", "/status/api/shop", keys=SHOP_CHECKS),
    Row("the API alone, mounted elsewhere, has the same addresses", "/alone/api/health/ping", answer={"pong": True}),
    Row("the API alone answers resources", "/alone/api/health/", keys=HEALTH),
    Row("the API alone answers its root", "/alone/api", keys=("health", "stats", "shop", "host")),
    Row("the API alone answers without api/ as well", "/alone/health/ping", answer={"pong": True}),
    Row("the API alone has no pages", "/alone/health/", keys=HEALTH),
    Row("re_path mounts the app as well", "/classic/api/health/ping/", answer={"pong": True}),
    Row("re_path mounts the pages as well", "/classic/health/", holds=is_page),
    Row(
        "an unknown resource is 404 as JSON and names the resources",
        "/status/api/healt",
        status=404,
        headers={"Content-Type": "application/json"},
        holds=lambda reply: all(name in str(reply.json) for name in ("health", "stats", "shop", "host")),
    ),
    Row(
        "an unknown provider is 404 as JSON and names the providers",
        "/status/api/health/pong/",
        status=404,
        headers={"Content-Type": "application/json"},
        holds=lambda reply: all(name in str(reply.json) for name in HEALTH),
    ),
    Row(
        "answers are never cached and never indexed",
        "/status/api/health",
        headers={"Cache-Control": "no-store", "X-Robots-Tag": "noindex"},
        holds=lambda reply: "Set-Cookie" not in reply.headers,
    ),
    Row(
        "pages are never cached either",
        "/status/",
        headers={"Cache-Control": "no-store", "X-Robots-Tag": "noindex"},
        holds=lambda reply: "Set-Cookie" not in reply.headers,
    ),
    Row(
        "ping is never cached either",
        "/status/api/health/ping",
        headers={"Cache-Control": "no-store", "X-Robots-Tag": "noindex"},
    ),
]

METHOD_ROWS = [
    *(
        Row(f"HEAD answers {path} without a body", path, method="HEAD", holds=lambda reply: reply.text == "")
        for path in ("/status/", "/status/api", "/status/api/health", "/status/api/health/ping")
    ),
    Row("HEAD has the status of GET", "/status/api/health", FALSE, status=503, method="HEAD"),
    Row(
        "OPTIONS at the root answers the addresses of every provider",
        "/status/api",
        entry("ping", "status.providers.health.ping"),
        method="OPTIONS",
        headers=ALLOWED,
        sent={"Host": "shop.example"},
        answer={"health": {"ping": "http://shop.example/status/api/health/ping"}},
    ),
    Row(
        "OPTIONS at a resource answers the addresses of its providers",
        "/status/api/health/",
        entry("ping", "status.providers.health.ping"),
        method="OPTIONS",
        headers=ALLOWED,
        sent={"Host": "shop.example"},
        answer={"ping": "http://shop.example/status/api/health/ping"},
    ),
    Row(
        "OPTIONS shows only the path where the host is not one of the project's",
        "/status/api/health",
        entry("ping", "status.providers.health.ping"),
        method="OPTIONS",
        sent={"Host": "evil.example"},
        answer={"ping": "/status/api/health/ping"},
        front_door=True,
    ),
    Row("OPTIONS at an unknown resource is 404", "/status/api/healt", status=404, method="OPTIONS"),
    Row(
        "OPTIONS at the root shows the resources that the caller may ask for",
        "/status/api",
        {"STATUS_PUBLIC": ("health",)},
        method="OPTIONS",
        keys=("health",),
    ),
    *(
        Row(f"{method} at {path} is 405", path, status=405, method=method, headers=ALLOWED)
        for path in ("/status/", "/status/api", "/status/api/health", "/status/api/health/ping")
        for method in ("POST", "PUT", "PATCH", "DELETE", "PROPFIND")
    ),
]

JSON_ROWS = [
    Row(
        "any accepted type gets JSON",
        "/status/api/health",
        sent={"Accept": "*/*"},
        headers={"Content-Type": "application/json"},
    ),
    Row("databases are booleans by alias", "/status/api/health/databases", answer={"default": True}),
    Row("caches are booleans by alias", "/status/api/health/caches", answer={"default": True}),
    Row("no Celery workers, no celery in health", "/status/api/health/celery", status=404),
    Row("no Celery workers, no celery in stats", "/status/api/stats/celery", status=404),
    Row(
        "Celery workers are booleans by name",
        "/status/api/health/celery",
        {"STATUS_CELERY_WORKERS": ("nobody@nowhere",)},
        status=503,
        answer={"nobody@nowhere": False},
    ),
    Row(
        "Celery workers join health last",
        "/status/api/health",
        {"STATUS_CELERY_WORKERS": ["a@b"]},
        503,
        keys=(*HEALTH, "celery"),
    ),
    Row(
        "Celery workers join stats, whose answer by worker is never judged",
        "/status/api/stats/celery",
        {"STATUS_CELERY_WORKERS": ("nobody@nowhere",)},
        keys=("nobody@nowhere",),
    ),
    Row(
        "stats about databases are facts by alias",
        "/status/api/stats/databases",
        holds=lambda reply: (
            set(reply.json["default"])
            == {
                "vendor",
                "is_usable",
                "allow_thread_sharing",
                "autocommit",
                "commit_on_exit",
                "in_atomic_block",
                "settings",
            }
        ),
    ),
    Row(
        "settings of a database hold ENGINE and no secret for strangers",
        "/status/api/stats/databases",
        holds=lambda reply: (
            reply.json["default"]["settings"]["ENGINE"] == "django.db.backends.sqlite3"
            and not {"NAME", "HOST", "USER", "PASSWORD"} & set(reply.json["default"]["settings"])
        ),
    ),
    Row(
        "settings of a database hold NAME and HOST, never USER or PASSWORD, for those with authority",
        "/status/api/stats/databases",
        {"STATUS_TOKENS": (TOKEN,)},
        sent=BEARER,
        holds=lambda reply: (
            {"ENGINE", "NAME", "HOST"} <= set(reply.json["default"]["settings"])
            and not {"USER", "PASSWORD"} & set(reply.json["default"]["settings"])
        ),
    ),
    Row(
        "a provider that raises answers a safe reason and breaks no other",
        "/status/api/health",
        beside_ping("bad", f"{HERE}fail"),
        503,
        holds=lambda reply: failed(reply, "bad") and "hunter2" not in reply.text,
    ),
    Row(
        "a provider that hangs answers a reason by its deadline and breaks no other",
        "/status/api/health",
        beside_ping("bad", f"{HERE}hang", None, None, {"timeout": 0.3}),
        503,
        holds=lambda reply: failed(reply, "bad") and 0.25 < reply.seconds < 1,
    ),
    Row(
        "a provider that cannot be imported answers a reason and breaks no other",
        "/status/api/health",
        beside_ping("bad", "no.such.module"),
        503,
        holds=lambda reply: failed(reply, "bad"),
    ),
    Row(
        "a provider that answers no JSON answers a reason and breaks no other",
        "/status/api/health",
        beside_ping("bad", f"{HERE}answer", [{1, 2}]),
        503,
        holds=lambda reply: failed(reply, "bad"),
    ),
    *(
        Row(f"{json.dumps(value)} fails", "/status/api/health/one", answers(value), 503, answer=value)
        for value in (False, None, {"a": False}, {"a": None}, [True, [0, {"deep": [None]}]], {"a": {"b": {"c": False}}})
    ),
    *(
        Row(f"{json.dumps(value)} does not fail", "/status/api/health/one", answers(value), answer=value)
        for value in (True, 0, -1, 0.0, "", "false", "null", {}, [], {"a": {}, "b": []}, {"a": 0, "b": "no"})
    ),
    Row(
        "stats inform and are never judged",
        "/status/api/stats/one",
        entry("one", f"{HERE}answer", [False], resource="stats"),
        answer=False,
    ),
    Row(
        "a failed provider in stats is not judged either",
        "/status/api/stats",
        entry("one", f"{HERE}fail", resource="stats"),
    ),
    Row(
        "every other resource is judged", "/status/api/any", entry("one", f"{HERE}answer", [False], resource="any"), 503
    ),
    Row("one failing resource fails the whole", "/status/api", FALSE, 503),
]


def checkout(name: str) -> dict[str, Any]:
    """Settings that point to one of the repositories that the test has made."""
    return {"PROJECT_PATH": f"{os.environ.get('EXAMPLE_FOLDER')}/{name}", "STATUS_TOKENS": [TOKEN]}


COMMIT = {"id": "", "summary": "Commit 1", "author": "Ann Author", "date": "2024-02-03T04:05:06+05:30"}
BRANCH = {"local": "main", "remote": "origin/main"}
CODE_ROWS = [
    Row(
        "code is facts from git",
        "/status/api/stats/code",
        checkout("tagged"),
        sent=BEARER,
        keys=("debug", "scm", "branch", "commit", "tag"),
        holds=lambda reply: (
            is_commit(reply)
            and {**reply.json, "commit": {**reply.json["commit"], "id": ""}}
            == {"debug": False, "scm": "git", "branch": BRANCH, "commit": COMMIT, "tag": "v1.2.0"}
        ),
    ),
    Row(
        "strangers see neither the author nor the remote branch",
        "/status/api/stats/code",
        checkout("tagged"),
        holds=lambda reply: is_commit(reply) and "author" not in reply.text and "origin" not in reply.text,
    ),
    Row(
        "without an upstream the remote branch is unknown, and without a tag there is none",
        "/status/api/stats/code",
        checkout("untagged"),
        sent=BEARER,
        keys=("debug", "scm", "branch", "commit"),
        holds=lambda reply: reply.json["branch"] == {"local": "main", "remote": "unknown"},
    ),
    Row(
        "a detached HEAD has no branch",
        "/status/api/stats/code",
        checkout("detached"),
        keys=("debug", "scm", "commit"),
        holds=is_commit,
    ),
    Row(
        "outside a checkout only debug is left", "/status/api/stats/code", checkout("switches"), answer={"debug": False}
    ),
    Row(
        "debug is the project's",
        "/status/api/stats/code",
        {**checkout("switches"), "DEBUG": True},
        answer={"debug": True},
    ),
]

STATUS_ROWS = [
    Row("what fails is 503", "/status/api/health", FALSE, 503),
    Row(
        "STATUS_ERROR_CODE 200 restores the classic status",
        "/status/api/health",
        {**FALSE, "STATUS_ERROR_CODE": 200},
        answer={"one": {"up": False}},
    ),
    Row("STATUS_ERROR_CODE chooses the status", "/status/api/health", {**FALSE, "STATUS_ERROR_CODE": 500}, 500),
    Row(
        "STATUS_ERROR_CODE holds for pages too",
        "/status/health/",
        {**FALSE, "STATUS_ERROR_CODE": 500},
        500,
        holds=is_page,
    ),
    Row("a page whose checks fail is 503", "/status/health", FALSE, 503, holds=is_page),
    Row(
        "what is not critical shows and stays 200",
        "/status/api/health",
        answers({"up": False}, critical=False),
        answer={"one": {"up": False}},
    ),
    Row(
        "a class that is not critical stays 200",
        "/status/api/health",
        entry("one", f"{HERE}Optional"),
        answer={"one": {"up": False}},
    ),
    Row(
        "the option critical of the entry wins over the class",
        "/status/api/health",
        entry("one", f"{HERE}Optional", None, None, {"critical": True}),
        503,
    ),
    *(
        Row(
            f"{name} is 200 whatever fails",
            f"/status/api/health?format={name}",
            FALSE,
            holds=lambda reply: 'check="one"} 0' in reply.text,
        )
        for name in ("openmetrics", "prometheus")
    ),
    Row("health+json is 503 when something fails", "/status/api/health?format=health%2Bjson", FALSE, 503),
]

SETTING_ROWS = [
    Row(
        "the default set is in force where nothing is set",
        "/status/api",
        DEFAULTS,
        holds=lambda reply: (
            {resource: list(names) for resource, names in reply.json.items()}
            == {"health": ["ping", "databases", "caches"], "stats": ["databases", "code"]}
        ),
    ),
    Row(
        "STATUS_PROVIDERS replaces the whole default set",
        "/status/api",
        entry("only", "status.providers.health.ping", resource="mine"),
        answer={"mine": {"only": {"pong": True}}},
    ),
    Row(
        "STATUS_CHECK_PROVIDERS adds to STATUS_PROVIDERS",
        "/status/api",
        {
            "STATUS_PROVIDERS": {"health": [("a", f"{HERE}answer", [1])]},
            "STATUS_CHECK_PROVIDERS": {"health": [("b", f"{HERE}answer", [2])], "mine": [("c", f"{HERE}answer", [3])]},
        },
        answer={"health": {"a": 1, "b": 2}, "mine": {"c": 3}},
    ),
    Row(
        "STATUS_CHECK_PROVIDERS replaces what has the same name",
        "/status/api/health/ping",
        {"STATUS_CHECK_PROVIDERS": {"health": [("ping", f"{HERE}answer", ["mine"])]}},
        answer="mine",
    ),
    Row(
        "PROJECT_PATH says where the code is",
        "/status/api/stats/code",
        {"PROJECT_PATH": ABSENT},
        answer={"debug": False},
    ),
    Row(
        "BASE_DIR says it where PROJECT_PATH does not",
        "/status/api/stats/code",
        {"BASE_DIR": ABSENT},
        answer={"debug": False},
    ),
    Row(
        "PROJECT_PATH wins over BASE_DIR",
        "/status/api/stats/code",
        {"PROJECT_PATH": ABSENT, "BASE_DIR": checkout("tagged")["PROJECT_PATH"]},
        answer={"debug": False},
    ),
    Row(
        "STATUS_TIMEOUT is the deadline of each provider",
        "/status/api/health",
        {**beside_ping("bad", f"{HERE}hang"), "STATUS_TIMEOUT": 0.3},
        503,
        holds=lambda reply: failed(reply, "bad") and 0.25 < reply.seconds < 1,
    ),
    Row(
        "the option timeout of an entry wins over STATUS_TIMEOUT",
        "/status/api/health",
        # No other row has this entry: one that still runs from another row would be answered at once.
        {**beside_ping("bad", f"{HERE}hang", None, None, {"timeout": 0.35}), "STATUS_TIMEOUT": 30},
        503,
        holds=lambda reply: 0.25 < reply.seconds < 1,
    ),
    Row(
        "the timeout of a class wins over STATUS_TIMEOUT",
        "/status/api/health",
        {**beside_ping("bad", f"{HERE}Hurried"), "STATUS_TIMEOUT": 30},
        503,
        holds=lambda reply: 0.15 < reply.seconds < 1,
    ),
    Row(
        "the option timeout of an entry wins over the class",
        "/status/api/health",
        beside_ping("bad", f"{HERE}Hurried", (), {}, {"timeout": 0.6}),
        503,
        holds=lambda reply: 0.55 < reply.seconds < 1.2,
    ),
    Row(
        "STATUS_INFORMATIONAL names what is never judged",
        "/status/api/any",
        {**entry("one", f"{HERE}answer", [False], resource="any"), "STATUS_INFORMATIONAL": ["any"]},
        answer={"one": False},
    ),
    Row(
        "STATUS_INFORMATIONAL empty judges stats too",
        "/status/api/stats",
        {**entry("one", f"{HERE}answer", [False], resource="stats"), "STATUS_INFORMATIONAL": ()},
        503,
    ),
    Row(
        "STATUS_PUBLIC leaves strangers what it names",
        "/status/api/health",
        {"STATUS_PUBLIC": ("health",)},
        keys=HEALTH,
    ),
    Row(
        "STATUS_PUBLIC shows strangers the rest of the root",
        "/status/api",
        {"STATUS_PUBLIC": ("health",)},
        keys=("health",),
    ),
    Row("STATUS_PUBLIC closes what it does not name", "/status/api/stats", {"STATUS_PUBLIC": ("health",)}, 403),
    Row("STATUS_PUBLIC does not tell what exists", "/status/api/nothing", {"STATUS_PUBLIC": ("health",)}, 403),
    Row("STATUS_PUBLIC empty closes the root", "/status/api", {"STATUS_PUBLIC": ()}, 403),
    Row("STATUS_PUBLIC empty closes pages", "/status/", {"STATUS_PUBLIC": ()}, 403),
    Row("STATUS_PUBLIC empty leaves ping", "/status/api/health/ping", {"STATUS_PUBLIC": ()}, answer={"pong": True}),
    Row(
        "STATUS_TOKENS asks strangers for a token",
        "/status/api/stats",
        {"STATUS_PUBLIC": (), "STATUS_TOKENS": [TOKEN]},
        401,
        holds=lambda reply: reply.headers["WWW-Authenticate"].startswith("Bearer"),
    ),
    Row(
        "STATUS_TOKENS admits who has one",
        "/status/api/stats",
        {"STATUS_PUBLIC": (), "STATUS_TOKENS": ["x" * 40, TOKEN]},
        keys=("databases", "code", "sales"),
        sent=BEARER,
    ),
    Row(
        "STATUS_TOKENS refuses a wrong token",
        "/status/api/stats",
        {"STATUS_PUBLIC": (), "STATUS_TOKENS": ["x" * 40]},
        401,
        sent=BEARER,
    ),
    Row(
        "STATUS_NETWORKS admits by address",
        "/status/api/stats",
        {"STATUS_PUBLIC": (), "STATUS_NETWORKS": ("127.0.0.0/8",)},
        keys=("databases", "code", "sales"),
    ),
    Row(
        "STATUS_NETWORKS refuses other addresses",
        "/status/api/stats",
        {"STATUS_PUBLIC": (), "STATUS_NETWORKS": ("10.0.0.0/8",)},
        403,
    ),
    Row(
        "STATUS_PERMISSION admits whom it likes",
        "/status/api/stats",
        {"STATUS_PUBLIC": (), "STATUS_PERMISSION": contract_providers.admits},
        keys=("databases", "code", "sales"),
        sent={"X-Friend": "yes"},
    ),
    Row(
        "STATUS_PERMISSION refuses the others",
        "/status/api/stats",
        {"STATUS_PUBLIC": (), "STATUS_PERMISSION": f"{HERE}admits"},
        403,
    ),
    Row(
        "STATUS_PERMISSION admits with True only",
        "/status/api/stats",
        {"STATUS_PUBLIC": (), "STATUS_PERMISSION": f"{HERE}admits_with_a_mere_one"},
        403,
    ),
    Row(
        "details go to those with authority",
        "/status/api/health?format=health%2Bjson",
        {**FALSE, "STATUS_TOKENS": [TOKEN]},
        503,
        sent=BEARER,
        holds=lambda reply: "responseTime" in reply.text and "Server-Timing" in reply.headers,
    ),
    Row(
        "details do not go to strangers",
        "/status/api/health?format=health%2Bjson",
        FALSE,
        503,
        holds=lambda reply: "responseTime" not in reply.text and "Server-Timing" not in reply.headers,
    ),
    Row(
        "STATUS_SHOW_DETAILS never keeps them from all",
        "/status/api/health?format=health%2Bjson",
        {"STATUS_TOKENS": [TOKEN], "STATUS_SHOW_DETAILS": "never"},
        sent=BEARER,
        holds=lambda reply: "responseTime" not in reply.text,
    ),
    Row(
        "STATUS_SHOW_DETAILS always shows them to all",
        "/status/api/health?format=health%2Bjson",
        {"STATUS_SHOW_DETAILS": "always"},
        holds=lambda reply: "responseTime" in reply.text,
    ),
    Row(
        "an explicit STATUS_CELERY_APP that cannot be imported says so",
        "/status/api/health/celery",
        {"STATUS_CELERY_WORKERS": ("a@b",), "STATUS_CELERY_APP": "no.such:app"},
        503,
        holds=lambda reply: True not in reply.json.values(),
    ),
]

ENTRY_ROWS = [
    Row(
        "an entry may have 2 elements",
        "/status/api/health/one",
        entry("one", "status.providers.health.ping"),
        answer={"pong": True},
    ),
    Row("an entry may have 3 elements", "/status/api/health/one", entry("one", f"{HERE}answer", [5]), answer=5),
    Row(
        "an entry may have 4 elements",
        "/status/api/health/one",
        entry("one", f"{HERE}echo", (1, "two"), {"three": 3}),
        answer=ECHO,
    ),
    Row(
        "an entry may have 5 elements",
        "/status/api/health/one",
        entry("one", f"{HERE}echo", (1, "two"), {"three": 3}, {"timeout": 1, "max_age": 0, "critical": True}),
        answer=ECHO,
    ),
    Row(
        "args and kwargs may be None",
        "/status/api/health/one",
        entry("one", f"{HERE}echo", None, None, None),
        answer={"args": [], "kwargs": {}},
    ),
    Row(
        "an entry may be a list",
        "/status/api/health/one",
        {"STATUS_PROVIDERS": {"health": (["one", "status.providers.health.ping"],)}},
        answer={"pong": True},
    ),
    *(
        Row(
            f"a provider may be {kind}",
            "/status/api/health/one",
            entry("one", provider, (1, "two"), {"three": 3}),
            answer=ECHO,
        )
        for kind, provider in {
            "a path to a function": f"{HERE}echo",
            "a path to a coroutine function": f"{HERE}echo_later",
            "a path to a subclass": f"{HERE}Echo",
            "a path to a subclass with an async check": f"{HERE}AsyncEcho",
            "a path to a plain object": f"{HERE}plain_object",
            "a function": contract_providers.echo,
            "a lambda": lambda *args, **kwargs: contract_providers.echo(*args, **kwargs),
            "a subclass": contract_providers.Echo,
            "an instance": contract_providers.Echo(),
            "a plain object": contract_providers.plain_object,
        }.items()
    ),
]

MISTAKE_ROWS = [
    Row(
        f"a mistake costs only its entry: {mistake.what}",
        "/status/api/health",
        mistake.settings,
        mistake.status,
        holds=mistake.shows,
    )
    for mistake in MISTAKES
]
ROWS = [*ADDRESS_ROWS, *METHOD_ROWS, *JSON_ROWS, *CODE_ROWS, *STATUS_ROWS, *SETTING_ROWS, *ENTRY_ROWS, *MISTAKE_ROWS]
SETTINGS = {row.promise: row.settings for row in ROWS}
#: Rows of their own tests.
SETTINGS["counts"] = entry("one", f"{HERE}count")
SETTINGS["remembers by setting"] = {**entry("one", f"{HERE}count"), "STATUS_MAX_AGE": 60}
SETTINGS["remembers by class"] = entry("one", f"{HERE}Remembered")
SETTINGS["remembers by entry"] = entry("one", f"{HERE}count", None, None, {"max_age": 60})
SETTINGS["forgets by entry"] = entry("one", f"{HERE}Remembered", None, None, {"max_age": 0})
SETTINGS["stuck"] = beside_ping("one", f"{HERE}Hurried")
SHOP = "example_project.shop.providers."
SETTINGS["switches"] = {
    "STATUS_CHECK_PROVIDERS": {
        "health": [("storage", f"{SHOP}storage", ["uploads"], {"path": "/"})],
        "shop": [
            ("payments", f"{SHOP}Payments"),
            ("delivery", f"{SHOP}delivery"),
            ("newsletter", f"{SHOP}newsletter", None, None, {"critical": False}),
        ],
        "stats": [("sales", f"{SHOP}sales")],
    }
}
