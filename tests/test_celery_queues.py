"""``status.providers.celery.health.queues`` and ``workers``, at brokers in memory and Redis.

At RabbitMQ, and with real workers: ``test_celery_faults``.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any
from unittest import mock

from celery import _state
from kombu import Exchange, Queue
from kombu.common import Broadcast

from status.engine import Engine, engine
from status.entries import Check
from status.providers.base import call_until
from status.providers.celery import inspection
from status.providers.celery.health import queues, workers
from tests import services
from tests.processes import refused_port
from tests.test_celery import PONG, CeleryTestCase, Deaf, FakeWorker, pong


def ask(provider: Any, timeout: float = 2.0, **kwargs: Any) -> Any:
    return engine.run([Check("health", "celery", provider, kwargs=kwargs, options={"timeout": timeout})])[0]


class QueueTests(CeleryTestCase):
    def setUp(self) -> None:
        self.app = self.use("memory://")
        self.addCleanup(engine.close)

    def fill(self, queue: str, messages: int) -> None:
        """Declare the queue and put messages there, until the end of the test."""
        declared = Queue(queue, Exchange(queue), routing_key=queue)
        with self.app.connection_for_write() as connection:
            channel = connection.channel()
            declared(channel).declare()
            for number in range(messages):
                connection.Producer(channel).publish({"n": number}, exchange=queue, routing_key=queue)
        self.addCleanup(self.delete, self.app, declared)

    def delete(self, app: Any, queue: Queue) -> None:
        with app.connection_for_write() as connection:
            bound = queue(connection.channel())
            bound.declare()  # a connection to Redis deletes what it knows
            bound.delete()

    def test_queues_of_the_app_are_counted_and_those_of_the_entry(self) -> None:
        self.fill("celery", 2)
        self.fill("mail", 1)
        result = ask(queues)
        self.assertEqual((result.answer, result.state), ({"celery": {"ok": True, "messages": 2}}, "pass"))
        self.assertEqual(result.public_answer, {"celery": {"ok": True}})
        self.assertEqual(ask(queues, queues=["mail"]).answer, {"mail": {"ok": True, "messages": 1}})

    def test_queues_of_broadcasts_are_not_asked_for(self) -> None:
        """Each process makes up a name for its own."""
        self.app.conf.task_queues = (Queue("celery"), Broadcast("news"), Broadcast("alarms", queue="bell", unique=True))
        self.fill("celery", 1)
        result = ask(queues)
        self.assertEqual((result.answer, result.state), ({"celery": {"ok": True, "messages": 1}}, "pass"))

    def test_thresholds_warn_and_fail(self) -> None:
        self.fill("celery", 3)
        self.assertEqual(ask(queues, warn_length=3, fail_length=3).state, "pass")
        result = ask(queues, warn_length=2, fail_length=3)
        self.assertEqual((result.state, result.warnings), ("warn", {"celery": "3 messages wait, more than 2"}))
        result = ask(queues, warn_length=0, fail_length=2)
        self.assertEqual((result.state, result.reasons), ("fail", {"celery": "3 messages wait, more than 2"}))
        self.assertEqual((result.answer, result.warnings), ({"celery": {"ok": False, "messages": 3}}, {}))

    def test_a_queue_that_is_not_there_fails_and_is_not_made(self) -> None:
        for _ in range(2):
            result = ask(queues, queues="missing")
            self.assertEqual(result.answer, {"missing": {"ok": False}})
            self.assertEqual(result.reasons, {"missing": "there is no such queue"})

    def test_a_broker_that_is_not_there(self) -> None:
        self.use(f"redis://127.0.0.1:{services.refused_port()}/0")
        result = ask(queues, queues=["a", "b"])
        self.assertEqual(result.answer, {"a": {"ok": False}, "b": {"ok": False}})
        words = "broker refused the connection (ConnectionRefusedError)"
        self.assertEqual(result.reasons, {"a": words, "b": words})

    def test_consumers_are_asked_of_rabbitmq_only(self) -> None:
        self.fill("celery", 0)
        words = "Only RabbitMQ tells how many consumers a queue has. Ask for the workers instead."
        for name in ("warn_consumers", "fail_consumers"):
            self.assertEqual(ask(queues, **{name: 1}).error, words)

    def test_neither_remote_control_nor_broadcast_is_needed(self) -> None:
        self.app = self.use("memory://", worker_enable_remote_control=False)
        self.fill("celery", 1)
        with mock.patch("kombu.transport.memory.Transport", Deaf):
            self.assertEqual(ask(queues).answer, {"celery": {"ok": True, "messages": 1}})

    def test_an_app_without_queues_says_so(self) -> None:
        self.use("memory://", task_always_eager=True)
        self.assertIn("task_always_eager is on", ask(queues).error)

    def test_a_wrong_argument_is_told(self) -> None:
        for kwargs, words in (
            ({"warn_length": -1}, "The argument warn_length of the entry should be a whole number, 0 or more, not -1."),
            ({"queues": 1}, "The argument queues of the entry should be a list of names, or one name, not 1."),
            ({"queues": []}, "should be a list of names, or one name, not an empty list."),
            ({"length": 1}, "got an unexpected keyword argument 'length'"),
        ):
            self.assertIn(words, ask(queues, **kwargs).error)

    def test_an_error_of_the_channel_that_says_something_else_is_no_missing_queue(self) -> None:
        self.fill("celery", 1)
        error = _state.default_app.connection_for_write().channel_errors[0]("s3cret")
        with mock.patch("kombu.transport.memory.Channel.queue_declare", side_effect=error):
            result = ask(queues)
        self.assertRegex(result.reasons["celery"], r"^broker connection failed \(\w+\)$")

    def test_a_broker_that_takes_too_long_for_many_queues(self) -> None:
        def slow(*args: Any, **kwargs: Any) -> Any:
            time.sleep(0.2)  # each is within its time
            return mock.Mock(message_count=1, consumer_count=0)

        declare = mock.patch("kombu.transport.memory.Channel.queue_declare", slow)
        with declare:
            answer = call_until(time.monotonic() + 0.5, None, partial(queues.check, queues=["a", "b", "c", "d"]))
        self.assertEqual(answer.value["a"], {"ok": True, "messages": 1})
        self.assertEqual(answer.reasons, {"d": "broker did not answer in time (TimeoutError)"})

    def test_the_connection_is_shared_with_the_questions_to_workers(self) -> None:
        with pong("celery@w1"):
            self.fill("celery", 1)
            queues()
            (connection,) = inspection.idle.get()
            self.assertEqual(workers(), {"*@*": {"ok": True, "answered": 1}})
            self.assertEqual(inspection.idle.get(), [connection])


class RedisQueueTests(QueueTests):
    """The same at a real Redis, where a queue is there as long as a message is in it."""

    def setUp(self) -> None:
        self.app = self.use(services.redis().url)
        self.addCleanup(engine.close)

    def test_a_queue_that_is_not_there_fails_and_is_not_made(self) -> None:
        self.assertEqual(ask(queues, queues="missing").answer, {"missing": {"ok": True, "messages": 0}})

    test_neither_remote_control_nor_broadcast_is_needed = None  # type: ignore[assignment]
    test_an_error_of_the_channel_that_says_something_else_is_no_missing_queue = None  # type: ignore[assignment]
    test_a_broker_that_takes_too_long_for_many_queues = None  # type: ignore[assignment]
    test_the_connection_is_shared_with_the_questions_to_workers = None  # type: ignore[assignment]


class SentinelTests(CeleryTestCase):
    def test_sentinel_that_is_down_leaves_the_next_one_its_time(self) -> None:
        sentinel = self.enter(services.redis_sentinel(services.redis()))
        url = f"sentinel://127.0.0.1:{refused_port()};sentinel://127.0.0.1:{sentinel.port}"
        self.use(url, broker_transport_options={"master_name": "shop"})
        check = Check("health", "queues", "status.providers.celery.health.queues", kwargs={"queues": ["celery"]})
        engine = Engine()
        self.addCleanup(engine.close)
        (result,) = engine.run([check])
        self.assertEqual((result.state, dict(result.reasons)), ("pass", {}))


class WorkerTests(CeleryTestCase):
    """FAULTS P11: names of pods are random."""

    def setUp(self) -> None:
        self.use("memory://")
        self.addCleanup(engine.close)

    def test_patterns_count_who_answered(self) -> None:
        with pong("celery@web-7f4k2", "celery@web-x9d1p", "celery@beat", "mail@host1"):
            result = ask(workers, workers=["celery@web-*", "beat", "*@host?"])
        self.assertEqual(result.state, "pass")
        self.assertEqual(
            result.answer,
            {
                "celery@web-*": {"ok": True, "answered": 2},
                "beat": {"ok": True, "answered": 1},
                "*@host?": {"ok": True, "answered": 1},
            },
        )
        self.assertEqual(set(map(str, result.public_answer.values())), {"{'ok': True}"})

    def test_a_minimum_for_all_or_for_each(self) -> None:
        with pong("celery@web-1", "celery@web-2"):
            result = ask(workers, workers=["celery@web-*"], minimum=3, timeout=0.5)
            self.assertEqual(result.answer, {"celery@web-*": {"ok": False, "answered": 2}})
            hint = "the memory transport reaches workers of this process only"
            words = f"2 of at least 3: no answer within 0.5 s; {hint}"
            self.assertEqual(result.reasons, {"celery@web-*": words})
            result = ask(workers, workers={"celery@web-*": 2, "celery@spare-*": 0})
            self.assertEqual([entry["answered"] for entry in result.answer.values()], [2, 0])
            self.assertEqual(result.state, "pass")

    def test_without_names_any_worker_counts_and_without_any_it_fails(self) -> None:
        with pong("celery@one"):
            self.assertEqual(ask(workers).answer, {"*@*": {"ok": True, "answered": 1}})
        self.assertEqual(ask(workers, timeout=0.5).answer, {"*@*": {"ok": False, "answered": 0}})

    def test_what_is_no_pong_does_not_count(self) -> None:
        with FakeWorker(lambda request: [{"celery@a": {"error": "x"}}, {"celery@b": "pong"}, {"celery@c": PONG}]):
            result = ask(workers, workers=["celery@?"], minimum=2, timeout=0.5)
        self.assertEqual(result.answer, {"celery@?": {"ok": False, "answered": 1}})

    def test_the_answer_comes_soon_after_the_last_reply(self) -> None:
        with pong("celery@a", "celery@b"):
            before = time.monotonic()
            self.assertEqual(ask(workers, timeout=30).answer, {"*@*": {"ok": True, "answered": 2}})
            self.assertLess(time.monotonic() - before, 5)

    def test_a_broker_that_is_not_there(self) -> None:
        self.use(f"redis://127.0.0.1:{services.refused_port()}/0")
        words = "0 of at least 1: broker refused the connection (ConnectionRefusedError)"
        self.assertEqual(ask(workers).reasons, {"*@*": words})

    def test_a_wrong_argument_is_told(self) -> None:
        expected = "a list of node names or patterns, or a dict of them and a number each"
        for value, found in (
            ("w", "a str"),
            ([], "an empty list"),
            ({}, "an empty dict"),
            ({"w": "1"}, "a dict"),
            ({"w": 1.5}, "a dict with items of the type float"),
            ([1], "a list with items of the type int"),
            (1, "1"),
        ):
            error = ask(workers, workers=value).error
            self.assertEqual(error, f"The argument workers of the entry should be {expected}, not {found}.")
        self.assertIn("minimum of the entry should be a whole number", ask(workers, minimum=True).error)
