from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from time import monotonic
from types import SimpleNamespace
from typing import Any
from unittest import mock

from celery import Celery, _state
from django.test import SimpleTestCase, override_settings
from kombu import Consumer, Exchange, Producer, Queue
from kombu.transport import memory

from status.engine import engine
from status.providers import celery as package
from status.providers.base import Unavailable, call_until
from status.providers.celery import broker, inspection
from status.providers.celery.health import celery as health
from status.providers.celery.stats import celery as stats
from status.registry import registry
from tests import services
from tests.components import EnteringTestCase
from tests.processes import ROOT, environment

PONG = {"ok": "pong"}


class CeleryTestCase(EnteringTestCase):
    """Asks by way of a default app of its own."""

    def use(self, where: str | list[str] | services.Broker, **config: Any) -> Celery:
        """Make the default app one with this broker."""
        app = Celery("test", set_as_current=False)
        app.conf.update(
            {**(where.settings() if isinstance(where, services.Broker) else {"broker_url": where}), **config}
        )
        self.enter(mock.patch.object(_state, "default_app", app))
        self.addCleanup(app.close)
        self.addCleanup(health.close)
        return app

    def assertUnavailable(self, words: str, workers: Any = ("w@test",)) -> None:
        for provider in (health, stats):
            with self.assertRaisesMessage(Unavailable, words):
                provider(workers=workers)


class FakeWorker:
    """Answers remote control in a thread of this process, over the memory transport, with whatever it is told to.

    replies: what it sends for a request, each either a payload, or a dict of arguments for ``Producer.publish``.
    """

    def __init__(self, replies: Callable[[dict[str, Any]], list[dict[str, Any]]]) -> None:
        self.replies = replies
        self.requests: list[dict[str, Any]] = []
        self.ready, self.stopped = threading.Event(), threading.Event()

    def __enter__(self) -> FakeWorker:
        self.thread = threading.Thread(target=self.work)
        self.thread.start()
        self.ready.wait()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stopped.set()
        self.thread.join()

    def work(self) -> None:
        app = Celery("fake", set_as_current=False, broker="memory://")
        with app.connection_for_write(transport_options={"polling_interval": 0.005}) as connection:
            queue = Queue(
                f"{id(self)}.celery.pidbox", Exchange("celery.pidbox", "fanout", durable=False), durable=False
            )
            channel = connection.channel()
            with Consumer(channel, [queue], no_ack=True, callbacks=[self.answer]):
                self.ready.set()
                while not self.stopped.is_set():
                    with contextlib.suppress(TimeoutError):
                        connection.drain_events(timeout=0.02)
            queue(channel).delete()

    def answer(self, body: dict[str, Any], message: Any) -> None:
        self.requests.append(body)
        for reply in self.replies(body):
            arguments = reply if "body" in reply else {"body": reply}
            headers = {"ticket": body["ticket"], "clock": 1}
            producer = Producer(message.channel, auto_declare=False)
            producer.publish(**{"headers": headers, **body["reply_to"], **arguments})


def pong(*names: str) -> FakeWorker:
    return FakeWorker(lambda request: [{name: PONG} for name in names])


class Deaf(memory.Transport):
    """A transport without broadcast."""

    implements = memory.Transport.implements.extend(exchange_type=frozenset(["direct"]))


class ConfigurationTests(CeleryTestCase):
    def test_without_workers_the_answer_is_an_empty_object_and_the_broker_is_left_alone(self):
        with mock.patch.object(_state, "default_app", None):
            self.assertEqual(health(), {})
            self.assertEqual(stats(workers=[]), {})
            self.assertIsNone(_state.default_app)

    def test_without_workers_no_thread_is_needed(self):
        self.assertFalse(health.may_block())
        self.assertTrue(health.may_block(workers=["w@test"]))

    def test_what_a_run_needs_is_imported_before_the_first_one(self):
        code = (
            "import sys; from django.conf import settings\n"
            "settings.configure(STATUS_CELERY_APP='tests.celery_app:app', STATUS_TIMEOUT=3)\n"
            "from status.entries import Check; from status.engine import engine\n"
            "def load(workers):\n"
            "    check = Check('health', 'celery', 'status.providers.celery.health.celery', (), {'workers': workers})\n"
            "    check.load()\n"
            "    return check\n"
            "load([])\n"
            "assert 'celery' not in sys.modules\n"
            "check = load(['w@test'])\n"
            "before = set(sys.modules)\n"
            "assert engine.run([check])[0].answer == {'w@test': False}\n"
            "late = [m for m in set(sys.modules) - before if m.split('.')[0] in ('celery', 'kombu', 'amqp', 'redis')]\n"
            "sys.exit(str(late) if late else 0)\n"
        )
        for url in ("memory://", "redis://127.0.0.1:1", "amqp://127.0.0.1:1"):
            with self.subTest(url):
                env = environment({"CELERY_TEST_BROKER": url})
                done = subprocess.run([sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_without_workers_nothing_is_loaded(self):
        with mock.patch.object(inspection, "import_broker") as load:
            health.load(workers=[])
            stats.load()
        load.assert_not_called()

    @override_settings(STATUS_CELERY_WORKERS=("w@test",))
    def test_called_without_workers_asks_those_of_the_setting(self):
        self.use("memory://")
        with pong("w@test"):
            self.assertEqual(health(), {"w@test": True})

    def test_a_single_name_is_no_list_of_names(self):
        self.use("memory://")
        self.assertUnavailable(
            "workers of the entry should be a list of Celery node names, not a str.", workers="w@test"
        )
        self.assertUnavailable("not a list with items of the type int.", workers=[1])

    def test_not_installed_says_how_to_install(self):
        with self.importing_anew(celery=None):
            self.assertUnavailable("Celery is not installed: pip install django-status[celery]")

    def test_installed_in_part_names_what_is_missing(self):
        with self.importing_anew(**{"celery.app.utils": None}):
            self.assertUnavailable("Celery cannot be imported (celery.app.utils is missing).")

    @contextlib.contextmanager
    def importing_anew(self, **modules: Any) -> Iterator[None]:
        """Forget the module that imports Celery, and have these modules instead of what is installed."""
        with mock.patch.dict(sys.modules, modules), mock.patch.object(package, "broker"):
            del sys.modules[broker.__name__], package.broker
            yield
            package.broker = broker

    def test_no_default_app_is_an_error_and_no_connection_to_localhost(self):
        with mock.patch.object(_state, "default_app", None):
            self.assertUnavailable('There is no default Celery app: set STATUS_CELERY_APP = "proj.celery:app".')
            self.assertIsNone(_state.default_app)

    def test_the_app_that_celery_makes_up_for_itself_is_no_default_app(self):
        with mock.patch.object(_state, "default_app", None):
            self.addCleanup(_state._get_current_app().close)
            self.assertIsNotNone(_state.default_app)
            self.assertUnavailable("There is no default Celery app")

    def test_the_app_is_named_by_its_path(self):
        for path in ("tests.celery_app:app", "tests.celery_app.app", "tests.celery_app"):
            with self.subTest(path), override_settings(STATUS_CELERY_APP=path, STATUS_TIMEOUT=1), pong("w@test"):
                self.addCleanup(health.close)
                self.assertEqual(health(workers=["w@test"]), {"w@test": True})

    def test_an_app_that_cannot_be_imported_is_told_by_the_kind_of_error(self):
        for path, words in {
            "no.such:app": "STATUS_CELERY_APP names nothing that can be imported (ModuleNotFoundError).",
            "tests.celery_app:none": "STATUS_CELERY_APP names nothing that can be imported (ModuleNotFoundError).",
            "tests.celery_app:OPTIONS": "STATUS_CELERY_APP should name a Celery app, not a tuple.",
        }.items():
            with self.subTest(path), override_settings(STATUS_CELERY_APP=path):
                self.assertUnavailable(words)

    def test_eager_tasks_leave_no_worker_to_ask(self):
        self.use("redis://127.0.0.1:1", task_always_eager=True)
        self.assertUnavailable("task_always_eager is on")

    def test_without_remote_control_no_worker_can_answer(self):
        self.use("redis://127.0.0.1:1", worker_enable_remote_control=False)
        self.assertUnavailable("worker_enable_remote_control is off")

    def test_a_transport_without_broadcast_carries_no_remote_control(self):
        self.use("memory://", broker_transport="tests.test_celery:Deaf", broker_url=None)
        self.assertUnavailable("The broker's transport carries no remote control.")

    def test_importing_the_providers_imports_neither_celery_nor_kombu(self):
        code = (
            "import sys, status.providers.celery.health, status.providers.celery.stats;"
            "sys.exit(bool({'celery', 'kombu', 'amqp', 'redis'} & set(sys.modules)))"
        )
        subprocess.run([sys.executable, "-c", code], check=True, env=environment(), cwd=ROOT)


class AnswerTests(CeleryTestCase):
    @contextlib.contextmanager
    def answering(self, *replies: dict[str, Any], timeout: float = 0.3) -> Iterator[FakeWorker]:
        self.use("memory://")
        with override_settings(STATUS_TIMEOUT=timeout), FakeWorker(lambda request: list(replies)) as worker:
            yield worker

    def test_each_worker_is_told_by_name(self):
        with self.answering({"a@test": PONG}):
            answer = health.check(workers=["a@test", "b@test"])
        self.assertEqual(answer.value, {"a@test": True, "b@test": False})
        self.assertEqual(
            answer.reasons,
            {"b@test": "no answer within 0.3 s; the memory transport reaches workers of this process only"},
        )

    def test_a_name_without_at_is_the_host_of_a_worker_with_the_default_name(self):
        with self.answering({"celery@web1": PONG}) as worker:
            self.assertEqual(health(workers=["web1"]), {"web1": True})
        self.assertEqual(worker.requests[-1]["destination"], ["celery@web1"])

    def test_the_question_ends_with_the_last_answer(self):
        with self.answering({"a@test": PONG}, {"b@test": PONG}, timeout=30):
            before = monotonic()
            self.assertEqual(health(workers=["a@test", "b@test"]), {"a@test": True, "b@test": True})
            self.assertLess(monotonic() - before, 5)

    def test_no_question_leaves_an_entry_in_the_tables_of_the_transport(self):
        def bindings() -> list[Any]:
            return list(memory.Transport.global_state.exchanges["reply.celery.pidbox"]["table"])

        with self.answering({"a@test": PONG}, timeout=30):
            health(workers=["a@test"])
            before = bindings()
            for _ in range(3):
                self.assertEqual(health(workers=["a@test"]), {"a@test": True})
            self.assertEqual(bindings(), before)

    def test_a_question_in_memory_ends_when_earlier_ones_are_old(self):
        with self.answering({"a@test": PONG}, timeout=30), mock.patch.object(broker, "STALE_AFTER", -1):
            for _ in range(3):
                self.assertEqual(health(workers=["a@test"]), {"a@test": True})
                health.close()

    def test_answers_that_came_are_told_before_the_deadline(self):
        with self.answering({"a@test": PONG}):
            end = monotonic() + 0.4
            answer = call_until(end, None, partial(health, workers=["a@test", "b@test"]))
            self.assertEqual(answer, {"a@test": True, "b@test": False})
            self.assertLess(monotonic(), end)
            self.assertGreater(monotonic(), end - 0.2)

    def test_an_answer_other_than_pong_is_none(self):
        for reply in ({"error": "KeyError('ping')"}, "pong", None, [], {"ok": "no"}):
            with self.subTest(reply), self.answering({"a@test": reply}):
                answer = health.check(workers=["a@test"])
                self.assertEqual(answer.value, {"a@test": False})
                self.assertEqual(answer.reasons, {"a@test": "answered with an error"})

    def test_replies_that_are_too_large_or_no_replies_at_all_are_not_answers(self):
        for name, reply in {
            "large": {"body": {"a@test": {**PONG, "x": "x" * broker.MAX_REPLY}}},
            "no JSON": {"body": b"{", "content_type": "application/json", "content_encoding": "utf-8"},
            "pickle": {"body": {"a@test": PONG}, "serializer": "pickle"},
            "unknown encoding": {"body": b"x", "content_type": "text/plain", "content_encoding": "no-such"},
            "no object": {"body": [["a@test", PONG]]},
            "a worker nobody asked": {"body": {"b@test": PONG}},
            "another question": {"body": {"a@test": PONG}, "headers": {"ticket": "other"}},
            "no question": {"body": {"a@test": PONG}, "headers": {}},
        }.items():
            with self.subTest(name), self.answering(reply):
                answer = health.check(workers=["a@test"])
                self.assertEqual(answer.value, {"a@test": False})
                self.assertIn("no answer within", answer.reasons["a@test"])

    def test_of_two_answers_of_one_worker_the_first_counts(self):
        with self.answering({"a@test": PONG}, {"a@test": {"error": "twice"}}, {"b@test": PONG}):
            self.assertEqual(health(workers=["a@test", "b@test"]), {"a@test": True, "b@test": True})

    def test_the_application_pools_are_not_touched(self):
        with self.answering({"a@test": PONG}):
            health(workers=["a@test"])
            app = _state.default_app
            self.assertIsNone(app._pool)
            self.assertIsNone(app.amqp._producer_pool)
            self.assertNotIn("control", vars(app))

    def test_the_connection_is_kept_between_questions_and_shared(self):
        with self.answering({"a@test": PONG}):
            health(workers=["a@test"])
            (connection,) = inspection.idle.get()
            stats(workers=["a@test"])
            self.assertEqual(inspection.idle.get(), [connection])
            stats.close()
            self.assertEqual(inspection.idle.get(), [])
            stats.close()

    def test_the_connection_is_closed_after_a_question_that_was_not_answered(self):
        with self.answering():
            health(workers=["a@test"])
        self.assertEqual(inspection.idle.get(), [])

    def test_only_one_connection_is_kept(self):
        with self.answering({"a@test": PONG}):
            health(workers=["a@test"])
            (first,) = inspection.idle.get()

            def ask_again(message: Any, ticket: str) -> dict[str, Any]:
                with mock.patch.object(broker, "read_reply", read_reply):
                    health(workers=["a@test"])
                return read_reply(message, ticket)

            read_reply = broker.read_reply
            with mock.patch.object(broker, "read_reply", ask_again):
                health(workers=["a@test"])
            (kept,) = inspection.idle.get()
            self.assertIsNot(kept, first)

    def test_another_app_gets_another_connection(self):
        with self.answering({"a@test": PONG}):
            health(workers=["a@test"])
            (connection,) = inspection.idle.get()
            self.use("memory://")
            health(workers=["a@test"])
            self.assertIsNot(inspection.idle.get()[0], connection)

    def test_a_connection_that_went_bad_is_replaced_within_the_question(self):
        with self.answering({"a@test": PONG}):
            health(workers=["a@test"])
            (connection,) = inspection.idle.get()
            connection.channel.close()
            self.assertEqual(health(workers=["a@test"]), {"a@test": True})
            self.assertIsNot(inspection.idle.get()[0], connection)

    def test_a_question_cut_short_leaves_no_connection(self):
        with self.answering({"a@test": PONG}):
            with (
                mock.patch("status.providers.celery.broker.read_reply", side_effect=SystemExit),
                self.assertRaises(SystemExit),
            ):
                health(workers=["a@test"])
            self.assertEqual(inspection.idle.get(), [])

    def test_a_broker_of_an_unknown_kind_is_told_and_logged_once(self):
        self.use("redis://127.0.0.1:1", broker_transport="nothing", broker_url=None)
        with self.assertLogs("status", "DEBUG") as logs:
            for _ in range(3):
                answer = health.check(workers=["a@test"])
        self.assertEqual(answer.reasons, {"a@test": "broker connection failed (KeyError)"})
        self.assertEqual(len(logs.output), 1)
        self.assertIn("celery/ping failed: broker connection failed (KeyError)", logs.output[0])

    @override_settings(STATUS_CELERY_WORKERS=("a@test", "b@test"))
    def test_the_setting_puts_it_in_health_and_stats(self):
        self.addCleanup(engine.close)
        with self.answering({"a@test": PONG}, timeout=2):
            report = engine.report(registry.select(only=("celery",)))
        self.assertEqual(
            report.document(details=False),
            {
                "health": {"celery": {"a@test": True, "b@test": False}},
                "stats": {"celery": {"a@test": False, "b@test": False}},
            },
        )
        self.assertEqual(report.state, "fail")


class StatsTests(CeleryTestCase):
    STATS = {
        "total": {"shop.tasks.add": 3},
        "pid": 4711,
        "clock": "12",
        "uptime": 60,
        "prefetch_count": 8,
        "pool": {"max-concurrency": 2},
        "rusage": {"utime": 0.5},
        "broker": {
            "transport": "amqp", "hostname": "mq1", "port": 5672, "virtual_host": "/", "userid": "u5er",
            "password": "pa55", "transport_options": {"sentinel_kwargs": {"password": "pa55"}},
            "alternates": ["amqp://u5er:pa55@mq2"], "login_method": "PLAIN", "ssl": {"keyfile": "/etc/pa55"},
            "uri_prefix": None, "connect_timeout": 4,
        },
        "unknown": "pa55",
    }  # fmt: skip

    def test_the_broker_login_is_left_out(self):
        value = stats.value(self.STATS)
        self.assertEqual(value["broker"], {
            "transport": "amqp", "hostname": "mq1", "port": 5672, "virtual_host": "/", "connect_timeout": 4,
        })  # fmt: skip
        self.assertEqual(value["total"], {"shop.tasks.add": 3})
        for secret in ("pa55", "u5er"):
            self.assertNotIn(secret, json.dumps(value))

    def test_a_broker_host_that_is_a_url_is_left_out(self):
        for hostname in ("mysql://u5er:pa55@db", "/var/run/redis.sock", "u5er:pa55@mq", None, ["mq1"]):
            with self.subTest(hostname):
                told = stats.value({**self.STATS, "broker": {"hostname": hostname, "port": 1}})["broker"]
                self.assertEqual(told, {"port": 1})

    def test_anything_else_than_stats_is_no_answer(self):
        for answer in (None, "stats", [], {}, {"error": "KeyError()"}, {"unknown": 1}):
            with self.subTest(answer):
                self.assertIsNone(stats.value(answer))
        self.assertEqual(stats.value({"pid": 1, "broker": "amqp://"}), {"pid": 1, "broker": {}})

    def test_a_stranger_sees_who_answered(self):
        self.assertEqual(stats.public({"a@test": {"pid": 1}, "b@test": None}), {"a@test": True, "b@test": False})


class WorkerTests(CeleryTestCase):
    def test_a_real_worker_answers_over_a_broker_made_of_files(self):
        files = services.filesystem_broker()
        app = self.use(files)
        with services.celery_worker("a@test", files):
            self.assertEqual(health(workers=["a@test"]), {"a@test": True})
            answer = stats(workers=["a@test"])["a@test"]
            self.assertEqual(answer["broker"]["transport"], "filesystem")
            self.assertEqual(answer["pool"]["max-concurrency"], 1)
            self.assertEqual(health(workers=["a@test", "never@test"]), {"a@test": True, "never@test": False})
            self.assertIsNone(app._pool)


def redis_connections(channel: Any) -> list[Any]:
    """The connections of a channel of kombu's Redis transport."""
    pools = (channel.pool, channel.async_pool)
    return [one for pool in pools for one in (*pool._available_connections, *pool._in_use_connections)]


class LimitTests(CeleryTestCase):
    def test_limits_reach_the_open_sockets_of_redis_and_stay(self):
        """Fails when redis-py keeps its sockets and their timeouts under other names."""
        connection = broker.BrokerConnection(self.use(services.redis().url), monotonic() + 5)
        self.addCleanup(connection.drop)
        self.assertFalse(connection.ask("ping", ["never@test"], monotonic() + 0.3, {}, lambda: False))
        for seconds in (300, 700):
            connection.limit(monotonic() + seconds)
            connections = redis_connections(connection.channel)
            self.assertEqual(len(connections), 2)
            for each in connections:
                self.assertAlmostEqual(each._sock.gettimeout(), seconds, delta=1)
                # A read with a timeout of its own sets the socket back to what redis-py remembers.
                each.send_command("PING")
                each.read_response(timeout=5)
                self.assertAlmostEqual(each._sock.gettimeout(), seconds, delta=1)
        connection.channel.pool.disconnect()
        connection.limit(monotonic() + 500)
        self.assertEqual([round(each.socket_timeout) for each in connections], [500, 500])

    def test_limits_reach_what_hiredis_remembers_where_it_is_installed(self):
        parser = SimpleNamespace(_socket_timeout=None)
        connection = broker.BrokerConnection(self.use(services.redis().url), monotonic() + 5)
        self.addCleanup(connection.drop)
        each = redis_connections(connection.channel)[0]
        with mock.patch.object(each, "_parser", parser):
            connection.limit(monotonic() + 300)
        self.assertAlmostEqual(parser._socket_timeout, 300, delta=1)

    def test_options_of_the_project_stay_below_the_limits(self):
        options = {
            "visibility_timeout": 60,
            "socket_timeout": 300,
            "retry_on_timeout": True,
            "sentinel_kwargs": {"db": 1},
        }
        app = self.use("redis://127.0.0.1:1", broker_transport_options=options)
        ours = broker.limited_connection(app, 1.0).transport_options
        self.assertEqual(ours["visibility_timeout"], 60)
        self.assertEqual(ours["socket_timeout"], broker.CONNECT_PART)
        self.assertIsNotNone(ours["sentinel_kwargs"].pop("retry"))
        self.assertEqual(
            ours["sentinel_kwargs"],
            {"db": 1, "socket_timeout": ours["socket_timeout"], "socket_connect_timeout": ours["socket_timeout"]},
        )
        self.assertFalse(ours["retry_on_timeout"])
        self.assertEqual(app.conf.broker_transport_options, options)

    def test_several_brokers_share_the_time(self):
        for url in ("amqp://a;amqp://b", ["amqp://a", "amqp://b"]):
            with self.subTest(url):
                connection = broker.limited_connection(self.use(url), 1.0)
                self.assertEqual(connection.connect_timeout, broker.CONNECT_PART / 2)
                self.assertEqual(connection.transport_options["read_timeout"], connection.connect_timeout)


class FailureTests(SimpleTestCase):
    def test_an_inspection_says_what_an_answer_is_worth(self):
        with self.assertRaises(NotImplementedError):
            inspection.Inspection().value(None)

    def test_the_cause_is_found_behind_the_errors_of_the_libraries(self):
        for cause, words in {
            ConnectionRefusedError("redis://u5er:pa55@mq"): "broker refused the connection (ConnectionRefusedError)",
            TimeoutError(): "broker did not answer in time (TimeoutError)",
            type("TimeoutError", (Exception,), {})(): "broker did not answer in time (TimeoutError)",
            PermissionError("pa55"): "broker connection failed (OSError)",
        }.items():
            with self.subTest(cause):
                error = OSError("pa55")
                error.__cause__ = RuntimeError()
                error.__cause__.__context__ = cause
                cause.__context__ = error
                self.assertEqual(inspection.describe_failure(error), words)
