from __future__ import annotations

import gc
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from time import monotonic
from typing import Any
from unittest import mock

import psutil
from celery import Celery
from django.conf import settings
from django.test import override_settings, tag
from kombu import Consumer, Exchange, Producer, Queue

from status.engine import engine
from status.providers.celery import broker as broker_module
from status.providers.celery import inspection
from status.providers.celery.health import celery as health
from status.providers.celery.health import queues
from status.providers.celery.health import workers as pools
from status.providers.celery.stats import celery as stats
from status.registry import registry
from tests import services
from tests.processes import ROOT, environment, refused_port
from tests.test_celery import PONG, CeleryTestCase, redis_connections

A, B = "a@test", "b@test"
#: ``STATUS_TIMEOUT`` in these tests; every answer has to come within it.
T = 1.5


class Faults:
    """What every broker must stand. Two workers, ``A`` and ``B``, shared by the tests of a class."""

    broker: Any
    workers: dict[str, Any]
    #: Those of one connection to the broker.
    sockets: int

    @classmethod
    def make_broker(cls) -> Any:
        raise NotImplementedError

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        override = override_settings(STATUS_TIMEOUT=T)
        override.enable()
        cls.addClassCleanup(override.disable)
        with ExitStack() as stack:
            cls.broker = cls.make_broker()
            cls.workers = {name: stack.enter_context(services.celery_worker(name, cls.broker.url)) for name in (A, B)}
            cls.addClassCleanup(stack.pop_all().close)

    def setUp(self) -> None:
        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)
        self.app = self.use(self.broker.url)

    def url(self, port: int) -> str:
        return self.broker.url.replace(str(self.broker.port), str(port))

    def ask(self, provider: Any = health, workers: tuple[str, ...] = (A, B)) -> Any:
        """The answer, which came in time and left the application's pools alone."""
        before = monotonic()
        answer = provider.check(workers=list(workers))
        self.seconds = monotonic() - before
        self.assertLess(self.seconds, settings.STATUS_TIMEOUT)
        return answer

    def assertAlive(self) -> None:
        self.assertEqual(self.ask().value, {A: True, B: True})
        self.assertLess(self.seconds, T / 2)

    def assertDead(self, reason: str) -> None:
        """Neither answers, for a reason that matches."""
        answer = self.ask()
        self.assertEqual(answer.value, {A: False, B: False})
        self.assertEqual(set(answer.reasons), {A, B})
        for said in answer.reasons.values():
            self.assertRegex(said, reason)

    def sockets_of(self, connection: Any) -> list[socket.socket]:
        """Its open sockets."""
        raise NotImplementedError

    no_answer = r"^broker did not answer in time \(TimeoutError\)$"

    def test_living_workers_answer_at_once(self):
        self.assertAlive()
        value = self.ask(stats).value
        self.assertEqual([value[name]["pid"] for name in (A, B)], [self.workers[name].pid for name in (A, B)])

    def test_of_two_workers_the_frozen_one_is_false_until_it_thaws(self):
        for frozen, other in ((A, B), (B, A)):
            with self.workers[frozen].frozen():
                for _ in range(2):
                    answer = self.ask()
                    self.assertEqual(answer.value, {frozen: False, other: True})
                    self.assertEqual(answer.reasons, {frozen: "no answer within 1.5 s"})
            self.assertAlive()

    def test_workers_by_pattern_are_counted_until_one_is_frozen(self):
        """FAULTS P11."""
        both = {"?@test": {"ok": True, "answered": 2}}
        for frozen in (A, B):
            self.assertEqual(self.ask(pools, ("?@test",)).value, both)
            self.assertLess(self.seconds, T / 2)
            with self.workers[frozen].frozen():
                self.assertEqual(self.ask(pools, ("?@test",)).value, {"?@test": {"ok": True, "answered": 1}})
                answer = pools.check(workers=["?@test"], minimum=2)
                self.assertEqual(answer.value, {"?@test": {"ok": False, "answered": 1}})
                self.assertEqual(answer.reasons, {"?@test": "1 of at least 2: no answer within 1.5 s"})
        self.assertAlive()

    def test_queues_are_counted_until_the_broker_is_frozen(self):
        queue = Queue("letters", Exchange("letters"), routing_key="letters")
        with self.app.connection_for_write() as connection:
            channel = connection.channel()
            queue(channel).declare()
            connection.Producer(channel).publish({}, exchange="letters", routing_key="letters")
            self.addCleanup(self.delete, queue)
            found = queues.check(queues=["letters", "celery"]).value
            self.assertEqual(found["letters"]["messages"], 1)
            self.assertEqual(found["celery"].get("consumers", 2), 2)
            missing = queues.check(queues=["missing", "letters"])
            self.assertEqual(missing.value["letters"], found["letters"])
            self.assertEqual(missing.value["missing"]["ok"], "consumers" not in found["letters"])
            with self.broker.frozen():
                before = monotonic()
                answer = queues.check(queues=["letters"])
                self.assertLess(monotonic() - before, T)
                self.assertEqual(answer.value, {"letters": {"ok": False}})
                self.assertRegex(answer.reasons["letters"], self.no_answer)
            self.assertEqual(queues.check(queues=["letters"]).value["letters"]["messages"], 1)

    def delete(self, queue: Any) -> None:
        with self.app.connection_for_write() as connection:
            bound = queue(connection.channel())
            bound.declare()  # a connection to Redis deletes what it knows
            bound.delete()

    def test_all_workers_frozen(self):
        with self.workers[A].frozen(), self.workers[B].frozen():
            self.assertDead("no answer within 1.5 s")
        self.assertAlive()

    def test_a_worker_that_never_was_is_false(self):
        self.assertEqual(self.ask(workers=(A, "never@test")).value, {A: True, "never@test": False})
        self.assertEqual(self.ask(stats, workers=(B, "web1")).value["web1"], None)

    def test_broker_refuses(self):
        self.use(self.url(refused_port()))
        self.assertDead(r"broker refused the connection \(ConnectionRefusedError\)")
        self.assertLess(self.seconds, T / 2)

    def test_broker_in_a_black_hole(self):
        with services.blackhole() as port:
            self.use(self.url(port))
            self.assertDead(self.no_answer)

    def test_broker_that_never_says_a_word(self):
        with services.silent() as port:
            for url in (self.url(port), self.url(port).replace("://", "s://", 1)):
                with self.subTest(url):
                    self.use(url, broker_use_ssl={"ssl_cert_reqs": "none"} if "rediss" in url else None)
                    self.assertDead(self.no_answer)

    def test_broker_frozen_before_the_first_question(self):
        with self.broker.frozen():
            self.assertDead(self.no_answer)
        self.assertAlive()

    def test_broker_frozen_while_the_connection_is_kept(self):
        self.assertAlive()
        with self.broker.frozen():
            for _ in range(3):
                self.assertDead(self.no_answer)
        self.assertAlive()

    def test_broker_frozen_between_two_answers(self):
        self.assertAlive()
        with self.workers[B].frozen(), ExitStack() as stack:
            timer = threading.Timer(T / 3, lambda: stack.enter_context(self.broker.frozen()))
            timer.start()
            answer = self.ask()
            timer.join()
        self.assertEqual(answer.value, {A: True, B: False})
        self.assertAlive()

    def test_a_connection_that_was_cut_is_renewed_within_the_question(self):
        self.assertAlive()
        for _ in range(3):
            for sock in self.sockets_of(inspection.idle.get()[0]):
                sock.shutdown(socket.SHUT_RDWR)
            self.assertAlive()

    def test_the_next_broker_of_the_list_is_tried(self):
        for url in (";".join((self.url(refused_port()), self.broker.url)), [self.url(refused_port()), self.broker.url]):
            with self.subTest(url):
                self.use(url)
                self.assertAlive()

    def test_a_hundred_questions_at_once_leave_the_application_alone(self):
        for _ in range(5):
            with override_settings(STATUS_TIMEOUT=20), ThreadPoolExecutor(100) as pool:
                answers = list(pool.map(lambda _: health(workers=[A, B]), range(100)))
            self.assertEqual(answers, [{A: True, B: True}] * 100)
            self.assertIsNone(self.app._pool)
            before = monotonic()
            self.app.send_task("tests.celery_app.add", (1, 2), ignore_result=True)
            self.assertLess(monotonic() - before, 0.5)
            self.app.close()

    def test_through_the_engine_a_hundred_callers_share_the_answer(self):
        self.addCleanup(engine.close)
        with override_settings(STATUS_CELERY_WORKERS=(A, B)), self.workers[B].frozen(), ThreadPoolExecutor(100) as pool:
            reports = list(
                pool.map(
                    lambda _: engine.report(registry.select("health", only=("celery",))).document(details=False),
                    range(100),
                )
            )
        self.assertEqual(reports, [{"celery": {A: True, B: False}}] * 100)

    def test_nothing_is_left_behind(self):
        self.ask()
        health.close()
        before, process = self.leftovers(), psutil.Process()
        gc.collect()
        gc.disable()  # nothing waits for it
        self.addCleanup(gc.enable)
        files, threads = process.num_fds(), threading.active_count()
        for _ in range(100):
            self.ask()
        with self.workers[A].frozen(), override_settings(STATUS_TIMEOUT=0.2):
            for _ in range(5):
                health(workers=[A, B])
        self.use(self.url(refused_port()))
        for _ in range(20):
            self.ask()
        health.close()
        self.assertEqual(threading.active_count(), threads)
        self.assertLessEqual(process.num_fds(), files)
        self.assertAliveAgain()
        self.assertEqual(self.leftovers(), before)

    def assertAliveAgain(self) -> None:
        """The workers have dealt with everything they were asked."""
        self.app = self.use(self.broker.url)
        self.assertAlive()
        health.close()

    def test_a_process_killed_in_the_middle_of_a_question_leaves_nothing(self):
        before = self.leftovers()
        with self.workers[A].frozen():
            child = asker(self.broker.url, 30)
            self.wait_for(lambda: self.leftovers() != before)
            child.kill()
            child.wait()
        self.assertEqual(self.ask().value, {A: True, B: True})
        health.close()
        with mock.patch.object(broker_module, "STALE_AFTER", 0):
            time.sleep(1)  # queues tell the second in which they were made
            self.assertAlive()
        health.close()
        # What somebody else pushed after the end of a question (see ``intruder``) belongs to no queue, and is not ours.
        self.wait_for(lambda: set(self.leftovers()) <= set(before))

    def test_a_forked_child_leaves_the_connection_of_its_parent_alone(self):
        self.assertAlive()
        (connection,) = inspection.idle.get()
        for close_first in (False, True):
            pid = os.fork()
            if pid == 0:
                try:
                    if close_first:
                        health.close()
                    alive = health(workers=[A, B]) == {A: True, B: True} and inspection.idle.get()[0] is not connection
                    health.close()
                    os._exit(0 if alive else 1)
                except BaseException:
                    os._exit(2)
            self.assertEqual(os.waitpid(pid, 0)[1], 0)
            self.assertAlive()
            self.assertEqual(inspection.idle.get(), [connection])

    def test_a_reply_of_ten_megabytes_is_not_an_answer(self):
        reply = {"x@test": {**PONG, "x": "x" * 10_000_000}}
        # The intruder writes it in this process, which takes its time.
        with intruder(self.broker.url, reply), override_settings(STATUS_TIMEOUT=4):
            self.assertEqual(self.ask(workers=(A, "x@test")).value, {A: True, "x@test": False})
        self.assertAlive()

    def test_replies_without_end_are_cut_at_the_deadline(self):
        with intruder(self.broker.url, *[{"y@test": PONG}] * 3000):
            self.assertEqual(self.ask(workers=(A, "x@test")).value, {A: True, "x@test": False})
        self.assertAlive()

    def test_what_is_kept_open_is_closed_once_nobody_asks(self):
        before = self.ours()
        self.assertAlive()
        kept = self.ours() - before
        self.assertEqual(len(kept), self.sockets)
        health.close()
        self.wait_for(lambda: not kept & self.clients())

    def ours(self) -> set[int]:
        """The ports from which this process is connected; workers open a connection of theirs with the first answer."""
        sockets = psutil.Process().net_connections(kind="tcp")
        return self.clients() & {each.laddr.port for each in sockets if each.raddr[1:] == (self.broker.port,)}

    def clients(self) -> set[int]:
        """The ports of all who are connected, as the broker sees them."""
        raise NotImplementedError

    def wait_for(self, condition: Any) -> None:
        end = monotonic() + 20
        while not condition():
            self.assertLess(monotonic(), end, self.leftovers())
            time.sleep(0.05)

    def leftovers(self) -> Any:
        """What questions could leave in the broker."""
        raise NotImplementedError


class intruder:
    """Somebody on the broker, in a thread of this process, who answers each request with these replies."""

    def __init__(self, url: str, *replies: Any) -> None:
        self.url, self.replies = url, replies
        self.ready, self.stopped = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.work)

    def __enter__(self) -> None:
        self.thread.start()
        self.ready.wait()

    def __exit__(self, *exc_info: object) -> None:
        self.stopped.set()
        self.thread.join()

    def work(self) -> None:
        with Celery("intruder", set_as_current=False, broker=self.url).connection_for_write() as connection:
            exchange = Exchange("celery.pidbox", "fanout", durable=False)
            queue = Queue("x@test.celery.pidbox", exchange, durable=False, exclusive=True, auto_delete=True)
            with Consumer(connection.channel(), [queue], no_ack=True, callbacks=[self.answer]):
                self.ready.set()
                while not self.stopped.is_set():
                    try:
                        connection.drain_events(timeout=0.1)
                    except TimeoutError:
                        pass

    def answer(self, body: dict[str, Any], message: Any) -> None:
        producer = Producer(message.channel, auto_declare=False)
        for reply in self.replies:
            if self.stopped.is_set():
                break
            producer.publish(reply, headers={"ticket": body["ticket"]}, **body["reply_to"])


def asker(url: str, timeout: float) -> subprocess.Popen[bytes]:
    """A process that asks both workers once."""
    code = (
        "from django.conf import settings\n"
        f"settings.configure(STATUS_TIMEOUT={timeout}, STATUS_CELERY_APP='tests.celery_app:app')\n"
        "from status.providers.celery.health import celery\n"
        f"celery(workers={[A, B]!r})\n"
    )
    env = environment({"CELERY_TEST_BROKER": url})
    return subprocess.Popen([sys.executable, "-c", code], env=env, cwd=ROOT)


@tag("fault")
class RedisFaults(Faults, CeleryTestCase):
    sockets = 2

    @classmethod
    def make_broker(cls) -> Any:
        return services.redis()

    def leftovers(self) -> Any:
        with self.broker.client() as client:
            return sorted(
                (key, client.scard(key) if b".binding." in key else None)
                for key in client.keys("*reply*")
            )  # fmt: skip

    def sockets_of(self, connection: Any) -> list[socket.socket]:
        return [each._sock for each in redis_connections(connection.channel)]

    def test_tasks_that_workers_are_busy_with_are_not_put_back(self):
        # As a task looks that a worker took two hours ago and has not acknowledged.
        with self.broker.client() as client:
            client.zadd("unacked_index", {"tag": time.time() - 7200})
            client.hset("unacked", "tag", '[{"headers": {}, "properties": {}, "body": ""}, "celery", "celery"]')
            try:
                with self.workers[A].frozen(), self.workers[B].frozen(), override_settings(STATUS_TIMEOUT=4):
                    health(workers=[A, B])
                    self.assertTrue(client.hexists("unacked", "tag"))
            finally:
                client.delete("unacked", "unacked_index")

    def clients(self) -> set[int]:
        with self.broker.client() as client:
            own = client.client_id()
            return {int(each["addr"].rpartition(":")[2]) for each in client.client_list() if int(each["id"]) != own}


@tag("fault")
class RabbitMQFaults(Faults, CeleryTestCase):
    sockets = 1

    def test_consumers_are_counted(self):
        """Here alone: no other broker tells."""
        answer = queues.check(queues=["celery"], warn_consumers=3)
        self.assertEqual(answer.value, {"celery": {"ok": True, "messages": 0, "consumers": 2}})
        self.assertEqual(answer.warnings, {"celery": "2 consumers, fewer than 3"})
        answer = queues.check(queues=["celery", "missing"], fail_consumers=3)
        self.assertIs(answer.value["celery"]["ok"], False)
        reasons = {"celery": "2 consumers, fewer than 3", "missing": "there is no such queue"}
        self.assertEqual(answer.reasons, reasons)

    def test_a_queue_that_is_refused_is_no_broken_broker(self):
        with self.app.connection_for_write() as connection:
            connection.channel().queue_declare("mine", exclusive=True)
            long = "x" * 300
            answer = queues.check(queues=["mine", long, "celery", "missing"])
        self.assertEqual(answer.value["celery"], {"ok": True, "messages": 0, "consumers": 2})
        reasons = {
            "mine": "the broker does not tell (ResourceLocked)",
            long: "no queue has such a long name",
            "missing": "there is no such queue",
        }
        self.assertEqual(answer.reasons, reasons)

    @classmethod
    def make_broker(cls) -> Any:
        return services.rabbitmq()

    def leftovers(self) -> Any:
        return sorted(line for line in self.control("list_queues", "name") if "reply" in line)

    def control(self, *arguments: str) -> list[str]:
        program = "/usr/lib/rabbitmq/bin/rabbitmqctl"
        command = [
            program if os.path.exists(program) else "rabbitmqctl",
            "-q",
            "-n",
            self.broker.env["RABBITMQ_NODENAME"],
        ]
        done = subprocess.run([*command, *arguments], env=environment(self.broker.env), capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.splitlines()

    def clients(self) -> set[int]:
        return {int(port) for port in self.control("list_connections", "peer_port") if port.isdigit()}

    def test_a_wrong_password_is_told_by_the_kind_of_error(self):
        self.use(self.broker.url.replace("guest:guest", "guest:wrong"))
        self.assertDead(r"broker connection failed \(AccessRefused\)")

    def test_a_broker_that_is_short_of_memory_is_told_apart_from_workers_that_are_gone(self):
        with self.memory_limit("absolute", "1MB"):
            self.assertDead(r"^broker takes no messages \(memory or disk is short\)$")
            reason = pools.check(workers=["?@test"]).reasons["?@test"]
            self.assertEqual(reason, "0 of at least 1: broker takes no messages (memory or disk is short)")
            self.assertEqual(queues.check(queues=["celery"]).reasons, {})
        self.assertAlive()

    @contextmanager
    def memory_limit(self, *limit: str) -> Iterator[None]:
        """Have the broker block who publishes, as it uses more memory than that."""
        self.control("set_vm_memory_high_watermark", *limit)
        try:
            self.wait_for(lambda: "memory" in "".join(self.control("eval", "rabbit_alarm:get_alarms().")))
            yield
        finally:
            self.control("set_vm_memory_high_watermark", "0.6")
            self.wait_for(lambda: "memory" not in "".join(self.control("eval", "rabbit_alarm:get_alarms().")))

    def test_a_connection_ends_in_time_whatever_is_still_to_be_read(self):
        with Celery("slow", set_as_current=False, broker=self.broker.url).connection_for_write() as sender:
            connection = broker_module.BrokerConnection(self.app, monotonic() + T)
            queue = Queue("slow", exclusive=True, auto_delete=True)(connection.channel)
            queue.declare()
            producer = Producer(sender)
            read = mock.Mock(side_effect=lambda message: time.sleep(0.02))
            Consumer(connection.channel, [queue], no_ack=True, on_message=read).consume()
            for _ in range(500):
                producer.publish("x", routing_key="slow")
            before = monotonic()
            connection.close()
            self.assertLess(monotonic() - before, 0.5)
            self.assertLess(read.call_count, 500)

    def test_the_broker_is_told_of_the_end(self):
        before = self.ours()
        self.assertAlive()
        (port,) = self.ours() - before
        health.close()
        self.wait_for(lambda: port not in self.clients())
        log = self.broker.output.splitlines()
        ended = [number for number, line in enumerate(log) if "closing AMQP" in line and f":{port} ->" in line]
        self.assertNotIn("unexpectedly", "".join(log[number + 1] for number in ended if number + 1 < len(log)))

    def sockets_of(self, connection: Any) -> list[socket.socket]:
        return [connection.raw.sock]
