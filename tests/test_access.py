"""Who may see what: tokens, networks, permissions and users, each of which refuses whatever goes wrong."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import OperationalError
from django.http import HttpRequest
from django.test import RequestFactory, SimpleTestCase, override_settings

from status import access, logs
from status.access import (
    Access,
    aaccess_for,
    access_for,
    client_address,
    digests,
    has_token,
    is_near,
    may_change,
    networks,
    parse_address,
    user_lookups,
)

TOKEN = "tT0k3nThatIsLongEnough-and-random-9x7"
OTHER = "aN0therOneThatIsLongEnough-and-random"
HASHED = "sha256:" + hashlib.sha256(TOKEN.encode()).hexdigest()


def ask(**meta: Any) -> HttpRequest:
    return RequestFactory().get("/status/api", **meta)


def bearer(token: str, scheme: str = "Bearer") -> HttpRequest:
    return ask(HTTP_AUTHORIZATION=f"{scheme} {token}")


class QuietTestCase(SimpleTestCase):
    """Each test starts as if nothing had been refused for a long time."""

    def setUp(self) -> None:
        logs._logged_at.clear()
        self.addCleanup(logs._logged_at.clear)
        nowhere = logging.NullHandler()
        logs.logger.addHandler(nowhere)
        self.addCleanup(logs.logger.removeHandler, nowhere)


@override_settings(STATUS_TOKENS=[TOKEN])
class TokenTests(QuietTestCase):
    def test_right_token_has_authority(self):
        self.assertTrue(has_token(bearer(TOKEN)))
        self.assertEqual(access_for(bearer(TOKEN)), Access(details=True, resources=None))

    def test_scheme_is_read_in_any_case_and_with_any_space(self):
        for header in (f"bearer {TOKEN}", f"BEARER {TOKEN}", f"  Bearer   {TOKEN}  "):
            self.assertTrue(has_token(ask(HTTP_AUTHORIZATION=header)), header)

    def test_anything_else_is_refused(self):
        for header in (
            "", " ", "Bearer", "Bearer ", TOKEN, f"Basic {TOKEN}", f"Token {TOKEN}", f"Bearer {TOKEN}x",
            f"Bearer {TOKEN[:-1]}",
            f"Bearer {TOKEN.swapcase()}", f"Bearer {TOKEN},{TOKEN}", f"Bearer {TOKEN} {TOKEN}",
            "Bearer é\udce9\ud800\x00",
            f"Bearer {HASHED}", f"Bearer {HASHED[7:]}", "Bearer None", f'Bearer "{TOKEN}"',
        ):  # fmt: skip
            self.assertFalse(has_token(ask(HTTP_AUTHORIZATION=header)), header)

    def test_token_is_read_from_its_header_only(self):
        request = RequestFactory().get(f"/status/api?token={TOKEN}&access_token={TOKEN}", headers={"X-Token": TOKEN})
        request.COOKIES["Authorization"] = f"Bearer {TOKEN}"
        self.assertFalse(has_token(request))

    def test_second_header_carries_a_token_beside_another_login(self):
        """FAULTS A13"""
        for header in ("", "Basic dXNlcjpwYXNz", "Bearer of-something-else"):
            with self.subTest(header=header):
                self.assertTrue(has_token(ask(HTTP_AUTHORIZATION=header, HTTP_X_STATUS_TOKEN=f" {TOKEN} ")))
                self.assertFalse(has_token(ask(HTTP_AUTHORIZATION=header, HTTP_X_STATUS_TOKEN=OTHER)))
        with self.assertNoLogs("status"), override_settings(STATUS_TOKENS=[]):
            self.assertFalse(has_token(ask(HTTP_X_STATUS_TOKEN=TOKEN)))

    def test_several_tokens_are_good_while_one_takes_over_from_another(self):
        with override_settings(STATUS_TOKENS=(TOKEN, OTHER)):
            self.assertTrue(has_token(bearer(TOKEN)) and has_token(bearer(OTHER)))
        with override_settings(STATUS_TOKENS=(OTHER,)):
            self.assertFalse(has_token(bearer(TOKEN)))

    def test_hashed_token_is_as_good_and_lets_nobody_in_by_itself(self):
        for hashed in (HASHED, HASHED.upper().replace("SHA256", "sha256"), f" {HASHED} "):
            with override_settings(STATUS_TOKENS=[hashed]):
                self.assertTrue(has_token(bearer(TOKEN)))
                self.assertFalse(has_token(bearer(hashed.strip())))

    def test_every_token_is_compared_whichever_is_right(self):
        tokens = [TOKEN, OTHER, *(f"{number:040}" for number in range(5))]
        with override_settings(STATUS_TOKENS=tokens):
            for sent in (tokens[0], tokens[3], tokens[-1], "wrong", ""):
                with mock.patch.object(access, "constant_time_compare", wraps=access.constant_time_compare) as compare:
                    has_token(bearer(sent))
                self.assertEqual(compare.call_count, len(tokens), sent)
                for call in compare.call_args_list:
                    self.assertEqual([len(argument) for argument in call.args], [64, 64])  # hashes, of one length

    def test_what_can_be_guessed_or_opens_other_doors_is_no_token(self):
        for token in (
            "",
            " " * 40,
            "short",
            f"  {'x' * 31}  ",
            settings.SECRET_KEY,
            f" {settings.SECRET_KEY}",
            "sha256:",
            "sha256:xyz",
        ):
            with self.subTest(token=token), override_settings(STATUS_TOKENS=[token]):
                self.assertFalse(has_token(bearer(token)))
                self.assertFalse(access_for(bearer(token)).challenge)

    def test_former_secret_key_is_no_token(self):
        with override_settings(SECRET_KEY_FALLBACKS=[OTHER], STATUS_TOKENS=[OTHER]):
            self.assertFalse(has_token(bearer(OTHER)))

    def test_project_without_a_secret_key_has_tokens(self):
        with override_settings(SECRET_KEY=""):
            self.assertTrue(has_token(bearer(TOKEN)))

    def test_setting_of_the_wrong_kind_admits_nobody(self):
        for tokens in (TOKEN, {TOKEN}, {TOKEN: 1}, None, [None], [TOKEN, 5], [b"x" * 40]):
            with self.subTest(tokens=tokens), override_settings(STATUS_TOKENS=tokens):
                for sent in ("", TOKEN, "None", "5", TOKEN[0]):
                    self.assertFalse(access_for(bearer(sent)).details)

    def test_token_from_an_environment_that_is_not_text_breaks_nothing(self):
        with override_settings(STATUS_TOKENS=["x" * 40 + "\udcff", TOKEN]):
            self.assertTrue(has_token(bearer(TOKEN)))

    def test_wrong_token_is_logged_once_in_a_while_and_without_it(self):
        with self.assertLogs("status", "WARNING") as caught:
            for number in range(100):
                has_token(bearer(f"{OTHER}{number}"))
        (line,) = caught.output
        self.assertIn("wrong bearer token", line)
        self.assertNotIn(OTHER, line)
        now = time.monotonic() + logs.LOG_EVERY
        with self.assertLogs("status", "WARNING"), mock.patch.object(logs, "monotonic", return_value=now):
            has_token(bearer(OTHER))

    def test_request_without_a_token_is_not_logged(self):
        with self.assertNoLogs("status"):
            access_for(ask())
            access_for(bearer("", scheme="Basic"))

    @override_settings(STATUS_TOKENS=[])
    def test_nobody_is_asked_for_a_token_where_there_is_none(self):
        with self.assertNoLogs("status"):
            self.assertEqual(access_for(bearer(TOKEN)), Access(details=False, resources=None))


class NetworkTests(QuietTestCase):
    def near(self, *cidrs: str, trusted: Any = (), **meta: Any) -> bool:
        with override_settings(STATUS_NETWORKS=cidrs, STATUS_TRUSTED_PROXIES=trusted):
            return is_near(ask(**meta))

    def test_address_in_the_network_has_authority(self):
        for cidr, address in (
            ("10.0.0.0/8", "10.1.2.3"), ("10.1.2.3", "10.1.2.3"), (" 10.1.2.3/8 ", "10.9.9.9"),
            ("2001:db8::/32", "2001:db8::1"),
            ("10.0.0.0/8", "::ffff:10.1.2.3"), ("::ffff:10.0.0.0/104", "10.1.2.3"), ("::1", "::1"),
            ("fe80::/10", "fe80::1%eth0"),
            ("0.0.0.0/0", "8.8.8.8"), ("10.0.0.0/8", "10.1.2.3:54321"), ("2001:db8::/32", "[2001:db8::1]:443"),
        ):  # fmt: skip
            with self.subTest(cidr=cidr, address=address):
                self.assertTrue(self.near(cidr, REMOTE_ADDR=address))

    def test_any_other_address_has_none(self):
        for address in (
            "11.1.2.3", "::1", "::ffff:11.1.2.3", "2001:db8::1", "", " ", "unix:", "localhost", "10.1.2",
            "10.1.2.3.4", "010.1.2.3",
            "10.1.2.3/8", "10.1.2.256", "::ffff:10.1.2.3.4", "[10.1.2.3", "é", "10.1.2.3, 10.1.2.3", "\x00",
            "1" * 5_000, "10.1.2.3:1:2",
        ):  # fmt: skip
            with self.subTest(address=address):
                self.assertFalse(self.near("10.0.0.0/8", REMOTE_ADDR=address))

    def test_unix_socket_has_no_address_and_is_refused(self):
        for address in ("", None):
            self.assertFalse(self.near("0.0.0.0/0", "::/0", REMOTE_ADDR=address))

    def test_proxy_on_a_unix_socket_is_trusted_by_its_name(self):
        """FAULTS A12"""
        for address in ("", None):
            for forwarded, expected in (
                ("10.1.2.3", True), ("8.8.8.8", False), ("10.1.2.3, 8.8.8.8", False), ("10.1.2.3, 172.16.0.9", True),
                ("", False),
            ):  # fmt: skip
                with self.subTest(address=address, forwarded=forwarded):
                    meta = {"REMOTE_ADDR": address, "HTTP_X_FORWARDED_FOR": forwarded}
                    self.assertEqual(self.near("10.0.0.0/8", trusted=["unix", "172.16.0.9"], **meta), expected)
                    self.assertFalse(self.near("10.0.0.0/8", trusted=["172.16.0.9"], **meta))
        self.assertFalse(
            self.near("10.0.0.0/8", trusted=["unix"], REMOTE_ADDR="8.8.8.8", HTTP_X_FORWARDED_FOR="10.1.2.3")
        )

    def test_forwarded_address_is_ignored_unless_a_proxy_is_trusted(self):
        self.assertFalse(self.near("10.0.0.0/8", REMOTE_ADDR="8.8.8.8", HTTP_X_FORWARDED_FOR="10.1.2.3"))
        self.assertTrue(self.near("10.0.0.0/8", REMOTE_ADDR="10.1.2.3", HTTP_X_FORWARDED_FOR="8.8.8.8"))

    def test_forwarded_address_is_read_from_the_right_past_trusted_proxies(self):
        for forwarded, expected in (
            ("10.1.2.3", True), ("8.8.8.8", False), ("10.1.2.3, 8.8.8.8", False), ("8.8.8.8, 10.1.2.3", True),
            ("8.8.8.8, 10.1.2.3, 172.16.0.9", True), ("10.1.2.3, 8.8.8.8, 172.16.0.9", False), ("10.1.2.3,", True),
            ("10.1.2.3, unknown", False), ("10.1.2.3, unix:", False), ("nonsense, 10.1.2.3", True),
            ("10.1.2.3:4711", True),
            (" , ,10.1.2.3 , ", True), ("::ffff:10.1.2.3", True), ('for="10.1.2.3"', False),
            ("8.8.8.8" + ",172.16.0.9" * 500, False),
        ):  # fmt: skip
            with self.subTest(forwarded=forwarded):
                meta = {"REMOTE_ADDR": "172.16.0.1", "HTTP_X_FORWARDED_FOR": forwarded}
                self.assertEqual(self.near("10.0.0.0/8", trusted=["172.16.0.0/12"], **meta), expected)

    def test_header_of_somebody_who_is_no_trusted_proxy_is_ignored(self):
        meta = {"REMOTE_ADDR": "8.8.8.8", "HTTP_X_FORWARDED_FOR": "10.1.2.3"}
        self.assertFalse(self.near("10.0.0.0/8", trusted=["172.16.0.0/12"], **meta))

    def test_proxy_that_asks_by_itself_is_judged_by_its_own_address(self):
        with override_settings(STATUS_TRUSTED_PROXIES=["172.16.0.1"]):
            self.assertEqual(client_address(ask(REMOTE_ADDR="172.16.0.1")), parse_address("172.16.0.1"))

    def test_mistake_in_the_trusted_proxies_takes_no_proxy_for_its_callers(self):
        for trusted in ("10.0.0.1", ["10.0.0.1", "nonsense"], [None], 5, {"10.0.0.1"}):
            with self.subTest(trusted=trusted):
                meta = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "8.8.8.8"}
                self.assertFalse(self.near("10.0.0.0/8", trusted=trusted, **meta))

    def test_unreadable_networks_admit_nobody_and_leave_the_others(self):
        self.assertFalse(self.near("nonsense", "", "10.0.0.0/99", REMOTE_ADDR="10.1.2.3"))
        self.assertTrue(self.near("nonsense", "10.0.0.0/8", REMOTE_ADDR="10.1.2.3"))
        self.assertEqual(networks(("nonsense", "10.0.0.0/8")), networks(("10.0.0.0/8",)))

    def test_text_instead_of_a_list_admits_nobody(self):
        with override_settings(STATUS_NETWORKS="10.0.0.0/8"):
            self.assertFalse(is_near(ask(REMOTE_ADDR="10.1.2.3")))


class Person:
    """A user as the authentication of Django leaves it on the request."""

    is_active, is_staff, permissions = True, False, frozenset[str]()

    def __init__(self, **facts: Any) -> None:
        vars(self).update(facts)

    def has_perm(self, permission: str) -> bool:
        return permission in self.permissions


class Broken:
    @property
    def is_active(self) -> bool:
        raise OperationalError("the database is gone, and the password is hunter2")


class Hanging:
    """A user in a database that does not answer until the test is over."""

    is_staff = True

    def __init__(self, case: SimpleTestCase) -> None:
        self.over = threading.Event()
        case.addCleanup(self.over.set)

    @property
    def is_active(self) -> bool:
        self.over.wait()
        return True


def by(user: Any) -> HttpRequest:
    request = ask(HTTP_COOKIE="sessionid=x")
    request.user = user
    return request


def is_administrator(request: HttpRequest) -> bool:
    return request.META.get("HTTP_X_ROLE") == "admin"


async def admits_later(request: HttpRequest) -> bool:
    return True


class UserTests(QuietTestCase):
    def test_staff_and_holders_of_the_permission_have_authority(self):
        for person in (Person(is_staff=True), Person(permissions={"status.view_status"})):
            self.assertTrue(access_for(by(person)).details)

    def test_other_users_have_none(self):
        for person in (None, Person(), Person(is_staff=True, is_active=False), Person(permissions={"shop.view_order"})):
            self.assertFalse(access_for(by(person)).details)

    def test_user_is_not_looked_up_for_a_request_that_carries_nothing(self):
        request = ask()
        request.user = Broken()
        with self.assertNoLogs("status"):
            self.assertFalse(access_for(request).details)

    def test_user_whom_the_web_server_has_logged_in_counts(self):
        request = ask(REMOTE_USER="root")
        request.user = Person(is_staff=True)
        self.assertTrue(access_for(request).details)

    def test_dead_session_database_is_a_refusal_that_is_logged_once_in_a_while(self):
        with self.assertLogs("status", "WARNING") as caught:
            for _ in range(20):
                self.assertFalse(access_for(by(Broken())).details)
        self.assertEqual(len(caught.output), 1)
        self.assertIn("OperationalError", caught.output[0])

    def test_frozen_session_database_is_a_refusal_within_a_second(self):
        before = time.monotonic()
        self.assertFalse(access_for(by(Hanging(self))).details)
        self.assertLess(time.monotonic() - before, user_lookups.timeout + 0.5)

    def test_frozen_session_database_blocks_no_event_loop(self):
        gaps: list[float] = []

        async def tick() -> None:
            while True:
                before = time.monotonic()
                await asyncio.sleep(0.01)
                gaps.append(time.monotonic() - before)

        async def ask_meanwhile() -> Access:
            ticker = asyncio.create_task(tick())
            try:
                return await aaccess_for(by(Hanging(self)))
            finally:
                ticker.cancel()

        with mock.patch.object(user_lookups, "timeout", 0.2):
            self.assertFalse(asyncio.run(ask_meanwhile()).details)
        self.assertGreater(len(gaps), 5)

    def test_staff_have_authority_on_an_event_loop_too(self):
        self.assertTrue(asyncio.run(aaccess_for(by(Person(is_staff=True)))).details)
        with override_settings(STATUS_TOKENS=[TOKEN]):
            self.assertTrue(asyncio.run(aaccess_for(bearer(TOKEN))).details)

    def test_only_so_many_look_ups_hang_at_once(self):
        hanging = Hanging(self)
        with mock.patch.object(user_lookups, "timeout", 0.01), mock.patch.object(user_lookups, "retry_after", 0.0):
            for _ in range(user_lookups.limit + 3):
                self.assertFalse(access_for(by(hanging)).details)
            self.assertEqual(len(self.threads()), user_lookups.limit)
            self.assertFalse(asyncio.run(aaccess_for(by(Person(is_staff=True)))).details)
        self.settle(hanging)
        self.assertTrue(access_for(by(Person(is_staff=True))).details)

    def threads(self) -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "status-access"]

    def settle(self, *hanging: Hanging) -> None:
        for each in hanging:
            each.over.set()
        for thread in self.threads():
            thread.join()

    def test_nobody_waits_while_a_look_up_hangs_and_one_each_second_tries_again(self):
        """FAULTS A2"""
        hanging, staff = Hanging(self), Person(is_staff=True)
        with mock.patch.object(user_lookups, "timeout", 0.2):
            self.assertTrue(access_for(by(hanging)).unknown)
            before = time.monotonic()
            for _ in range(100):
                self.assertEqual(access_for(by(staff)), Access(details=False, resources=None, unknown=True))
            self.assertLess(time.monotonic() - before, 0.2)
            self.assertEqual(len(self.threads()), 1)
            with mock.patch.object(user_lookups, "retry_after", 0.0):
                access_for(by(staff))  # answered at once as well, and finds that the trouble is over
            for thread in self.threads()[1:]:
                thread.join()
            self.assertTrue(access_for(by(staff)).details)
            self.assertTrue(asyncio.run(aaccess_for(by(staff))).details)
        self.settle(hanging)

    def test_all_get_their_turn_within_the_limit(self):
        """FAULTS A1"""
        permission = lambda request: time.sleep(0.005) or True  # noqa: E731
        with override_settings(STATUS_PERMISSION=permission), ThreadPoolExecutor(100) as callers:
            found = list(callers.map(lambda number: access_for(ask()).details, range(100)))
        self.assertEqual(found, [True] * 100)

    def test_who_gets_no_turn_within_the_limit_is_a_stranger_and_leaves_the_queue(self):
        """FAULTS A1"""
        people = [Hanging(self) for _ in range(user_lookups.limit)]
        with ThreadPoolExecutor(user_lookups.limit) as callers, mock.patch.object(user_lookups, "timeout", 0.3):
            asking = [callers.submit(access_for, by(person)) for person in people]
            while len(self.threads()) < user_lookups.limit:
                time.sleep(0.001)
            self.assertTrue(access_for(by(Person(is_staff=True))).unknown)
            self.assertTrue(all(one.result().unknown for one in asking))
        self.settle(*people)
        self.assertTrue(access_for(by(Person(is_staff=True))).details)

    def test_caller_who_goes_while_he_waits_leaves_the_queue(self):
        """FAULTS A1: under ASGI, who hung up kept the place that he was given later, for ever."""
        people = [Hanging(self) for _ in range(user_lookups.limit)]

        async def go() -> Access:
            asking = [asyncio.ensure_future(aaccess_for(by(person))) for person in people]
            await asyncio.sleep(0)
            waiting = [asyncio.ensure_future(aaccess_for(by(Person()))) for _ in people]
            await asyncio.sleep(0)
            for one in waiting:
                one.cancel()
            await asyncio.wait(waiting)
            self.settle(*people)
            await asyncio.gather(*asking)
            return await aaccess_for(by(Person(is_staff=True)))

        self.assertTrue(asyncio.run(go()).details)

    def test_cookie_that_is_not_the_session_s_is_no_reason_to_look_anybody_up(self):
        """FAULTS A3"""
        request = ask(HTTP_COOKIE="_ga=1")
        request.user = Broken()
        with self.assertNoLogs("status"):
            self.assertFalse(access_for(request).details)
        with override_settings(STATUS_PERMISSION=is_administrator), self.assertLogs("status"):
            self.assertFalse(access_for(request).details)

    def test_nobody_is_looked_up_where_everybody_may_see_the_same(self):
        """FAULTS A2"""
        for show in ("always", "never"):
            with override_settings(STATUS_SHOW_DETAILS=show), self.assertNoLogs("status"):
                self.assertEqual(access_for(by(Broken())).details, show == "always")

    def test_forked_child_has_none_of_the_look_ups_of_its_parent(self):
        hanging = Hanging(self)
        with mock.patch.object(user_lookups, "timeout", 0.01):
            access_for(by(hanging))
            self.assertFalse(access_for(by(Person(is_staff=True))).details)
        pid = os.fork()
        if pid == 0:
            try:
                code = 0 if access_for(by(Person(is_staff=True))).details else 2
            except BaseException:
                code = 1
            os._exit(code)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)

    def test_no_thread_left_is_a_refusal(self):
        with mock.patch.object(threading.Thread, "start", side_effect=RuntimeError("can't start new thread")):
            for _ in range(user_lookups.limit + 1):
                self.assertFalse(access_for(by(Person(is_staff=True))).details)
        self.assertTrue(access_for(by(Person(is_staff=True))).details)  # the places were given back

    def test_answer_that_comes_after_its_event_loop_has_closed_is_dropped(self):
        hanging = Hanging(self)
        with mock.patch.object(user_lookups, "timeout", 0.01), self.assertNoLogs("status"):
            asyncio.run(aaccess_for(by(hanging)))
            hanging.over.set()
            for thread in threading.enumerate():
                if thread.name == "status-access":
                    thread.join()


class PermissionTests(QuietTestCase):
    def test_callable_admits_as_it_is_or_by_its_path(self):
        for permission in (is_administrator, f"{__name__}.is_administrator"):
            with override_settings(STATUS_PERMISSION=permission):
                self.assertTrue(access_for(ask(HTTP_X_ROLE="admin")).details)
                self.assertFalse(access_for(ask()).details)

    def test_nothing_but_true_admits(self):
        for verdict in (False, None, 1, "yes", [1], mock.Mock(), object()):
            permission = functools.partial(lambda verdict, request: verdict, verdict)
            with self.subTest(verdict=verdict), override_settings(STATUS_PERMISSION=permission):
                self.assertFalse(access_for(ask()).details)

    def test_mock_and_coroutine_function_admit_nobody_and_leave_nothing_unawaited(self):
        for permission in (mock.Mock(), admits_later, f"{__name__}.admits_later"):
            with override_settings(STATUS_PERMISSION=permission):
                self.assertFalse(access_for(ask()).details)

    def test_whatever_it_raises_is_a_refusal_and_the_user_still_counts(self):
        for error in (
            ValueError("x"),
            SystemExit(3),
            KeyboardInterrupt(),
            GeneratorExit(),
            RecursionError(),
            MemoryError(),
        ):
            logs._logged_at.clear()
            with (
                override_settings(STATUS_PERMISSION=mock.Mock(side_effect=error)),
                self.assertLogs("status", "WARNING"),
            ):
                self.assertFalse(access_for(ask()).details)
                self.assertTrue(access_for(by(Person(is_staff=True))).details)

    def test_path_that_leads_nowhere_admits_nobody(self):
        for path in ("nowhere.at_all", f"{__name__}.nothing", "tests.exiting.check"):
            logs._logged_at.clear()
            # Importing may take a while on a busy machine.
            patient = mock.patch.object(user_lookups, "timeout", 30)
            with override_settings(STATUS_PERMISSION=path), patient, self.assertLogs("status", "WARNING"):
                self.assertFalse(access_for(ask()).details)

    def test_it_finds_a_user_on_every_request(self):
        seen = []

        def permission(request: HttpRequest) -> bool:
            seen.append(request.user.is_authenticated)
            return False

        with override_settings(STATUS_PERMISSION=permission):
            access_for(ask())
        self.assertEqual(seen, [False])

    def test_it_is_asked_in_the_calling_thread_where_checks_are(self):
        threads = []
        permission = lambda request: threads.append(threading.current_thread()) or True  # noqa: E731
        with override_settings(STATUS_PERMISSION=permission, STATUS_SYNCHRONOUS=True):
            self.assertTrue(access_for(ask()).details)
            self.assertTrue(async_to_sync(aaccess_for)(ask()).details)
        self.assertEqual(threads, [threading.current_thread()] * 2)


class RuleTests(QuietTestCase):
    """What follows from having authority, or having none."""

    def test_details_follow_the_setting(self):
        for show, stranger, authorised in (
            ("when-authorized", False, True),
            ("always", True, True),
            ("never", False, False),
            ("Never", False, False),  # FAULTS A15: a mistake, which shows nothing
        ):
            with override_settings(STATUS_SHOW_DETAILS=show, STATUS_TOKENS=[TOKEN]):
                self.assertEqual((access_for(ask()).details, access_for(bearer(TOKEN)).details), (stranger, authorised))

    def test_unknown_host_is_that_of_a_stranger_unless_a_token_or_an_address_says_more(self):
        """FAULTS A4"""
        for place in ({"DEBUG": True}, {"STATUS_NETWORKS": ["127.0.0.1"]}, {"STATUS_PERMISSION": lambda request: True}):
            with self.subTest(**place), override_settings(STATUS_TOKENS=[TOKEN], **place):
                self.assertTrue(access_for(ask()).details)
                for host in ("evil.example", "testserver.evil.example", "10.1.2.3.evil.example", "a b", "[::1"):
                    self.assertFalse(access_for(ask(HTTP_HOST=host)).details, host)
                    self.assertTrue(access_for(ask(HTTP_HOST=host, HTTP_AUTHORIZATION=f"Bearer {TOKEN}")).details)
                # Nobody's page can make a browser write an address: probes do.
                for host in ("10.1.2.3:8000", "[2001:db8::1]:8000"):
                    self.assertTrue(access_for(ask(HTTP_HOST=host)).details, host)

    @override_settings(USE_X_FORWARDED_HOST=True, STATUS_NETWORKS=["127.0.0.1"])
    def test_unknown_host_is_the_one_that_a_proxy_was_asked_for(self):
        """Apache asks by its own address, and says in a header by which host it was asked."""
        for asked, details in (("evil.example", False), ("10.1.2.3:8000", True), ("testserver", True)):
            request = ask(HTTP_HOST="10.9.9.9:8000", HTTP_X_FORWARDED_HOST=asked)
            self.assertEqual((access_for(request).details, may_change(request)), (details, details), asked)

    def test_debug_gives_everyone_authority(self):
        with override_settings(DEBUG=True, STATUS_PUBLIC=()):
            self.assertEqual(access_for(ask()), Access(details=True, resources=None))

    def test_strangers_may_ask_for_what_is_public(self):
        for public, expected in ((None, None), ((), set()), (["health"], {"health"}), ({"a", "b"}, {"a", "b"})):
            with override_settings(STATUS_PUBLIC=public):
                self.assertEqual(access_for(ask()).resources, expected)

    def test_mistake_in_what_is_public_opens_nothing(self):
        for public in ("health", b"health", 5, False, [None], {"health": 1}, object()):
            with self.subTest(public=public), override_settings(STATUS_PUBLIC=public):
                self.assertEqual(access_for(ask()).resources, frozenset())

    def test_ping_is_always_open_and_nothing_else_is(self):
        access = Access(details=False, resources=frozenset())
        self.assertTrue(access.may_ask("health", "ping"))
        for resource, provider in (
            (None, None),
            ("health", None),
            ("health", "databases"),
            ("stats", "ping"),
            ("stats", None),
        ):
            self.assertFalse(access.may_ask(resource, provider))

    def test_root_is_open_as_soon_as_one_resource_is(self):
        self.assertTrue(Access(details=False, resources={"health"}).may_ask(None))

    def test_first_reason_is_enough_and_the_database_is_never_asked_needlessly(self):
        request = by(Broken())
        request.META["HTTP_AUTHORIZATION"] = f"Bearer {TOKEN}"
        with override_settings(STATUS_TOKENS=[TOKEN]), self.assertNoLogs("status"):
            self.assertTrue(access_for(request).details)
        request = by(Broken())
        with override_settings(STATUS_NETWORKS=["127.0.0.1"]), self.assertNoLogs("status"):
            self.assertTrue(access_for(request).details)

    def test_rule_that_breaks_is_a_refusal(self):
        request = ask()
        request.META = None
        with (
            override_settings(STATUS_TOKENS=[TOKEN], STATUS_NETWORKS=["127.0.0.1"]),
            self.assertLogs("status", "WARNING"),
        ):
            for rule in (has_token, is_near):
                self.assertFalse(access.admits(rule, request))

    def test_usable_tokens_are_worked_out_once(self):
        digests.cache_clear()
        with override_settings(STATUS_TOKENS=[TOKEN]):
            for _ in range(10):
                access_for(bearer(TOKEN))
        self.assertEqual(digests.cache_info().misses, 1)
