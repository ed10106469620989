"""``status.providers.host``: disk, memory, load and files of this machine, and of containers made of files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock, skipUnless

from django.test import override_settings, tag

from status.engine import engine
from status.providers import host
from status.registry import registry
from tests.components import eventually
from tests.measuring import MeasuringTestCase
from tests.processes import ROOT, environment

GIB = 2**30
MEMINFO = f"MemTotal: {16 * GIB // 1024} kB\nMemFree: 100 kB\nMemAvailable: {4 * GIB // 1024} kB\n"
PERCENT = "a number from 0 to 100, or None"
AMOUNT = "a number, 0 or more, or None"


class Usage(NamedTuple):
    total: int
    used: int
    free: int


class DiskTests(MeasuringTestCase):
    """PEERS 13"""

    provider = "status.providers.host.disk"
    subject = "disk"

    def usage(self, total: float, used: float, free: float) -> None:
        usage = Usage(int(total * GIB), int(used * GIB), int(free * GIB))
        self.enter(mock.patch("shutil.disk_usage", lambda path: usage))

    def test_numbers_are_those_of_the_system(self):
        result = self.ask(paths=self.directory, inodes=True, warn_percent=None)
        self.assertPasses(result)
        (answer,) = result.answer.values()
        told, usage = os.statvfs(self.directory), shutil.disk_usage(self.directory)
        self.assertEqual((answer["ok"], answer["total_bytes"]), (True, usage.total))
        self.assertAlmostEqual(answer["free_bytes"], usage.free, delta=GIB)
        self.assertAlmostEqual(answer["free_percent"], 100 * usage.free / (usage.used + usage.free), delta=1)
        self.assertAlmostEqual(answer["free_inodes"], told.f_favail, delta=10_000)

    def test_without_arguments_it_looks_at_the_root(self):
        self.assertEqual(list(self.ask(warn_percent=None).answer), ["/"])

    def test_each_path_is_a_component_and_one_in_trouble_hides_no_other(self):
        missing = self.directory / "missing"
        result = self.ask(paths=[str(self.directory), missing], warn_percent=None)
        self.assertIs(result.answer[str(self.directory)]["ok"], True)
        self.assertFails(result, str(missing), "there is no such path")

    def test_a_file_system_without_a_size_is_not_full(self):
        words = "its file system tells no size: nothing was measured"
        self.usage(0, 0, 0)
        self.assertWarned(self.ask(fail_percent=5), "/", words)

    def test_little_space_warns_in_percent_and_in_bytes(self):
        self.usage(100, 91.5, 8.5)
        self.assertWarned(self.ask(), "/", "8.5 % free, less than 10 %")
        self.assertWarned(self.ask(warn_bytes=10 * GIB, warn_percent=None), "/", "8.5 GiB free, less than 10 GiB")
        self.assertPasses(self.ask(warn_percent=8, warn_bytes=8 * GIB))

    def test_a_number_that_reads_like_its_threshold_is_told_to_be_less(self):
        self.usage(100, 90.04, 9.96)
        self.assertWarned(self.ask(), "/", "10 % free, a little less than 10 %")

    def test_less_fails_where_the_entry_says_so(self):
        self.usage(100, 96, 4)
        self.assertFails(self.ask(fail_percent=5), "/", "4 % free, less than 5 %")
        self.assertFails(self.ask(fail_bytes=5_000_000_000, warn_percent=None), "/", "4 GiB free, less than 4.7 GiB")
        result = self.ask(fail_bytes=4.5 * GIB)
        self.assertEqual(dict(result.warnings), {"/": "4 % free, less than 10 %"})
        self.assertEqual(result.state, "fail")

    def test_percent_leaves_out_what_is_kept_for_root(self):
        self.usage(100, 80, 10)
        self.assertEqual(self.ask().answer["/"]["free_percent"], 11.1)

    def test_a_huge_disk_may_be_judged_by_bytes_alone(self):
        self.usage(4000, 3900, 100)
        self.assertPasses(self.ask(warn_percent=None, warn_bytes=10 * GIB))

    def test_inodes_warn_like_space_where_they_are_counted(self):
        self.usage(100, 0, 100)
        with mock.patch("os.statvfs", lambda path: mock.Mock(f_files=1000, f_favail=20)):
            warning = "2 % of the inodes free, less than 10 %"
            self.assertWarned(self.ask(inodes=True), "/", warning)
            self.assertPasses(self.ask())
        with mock.patch("os.statvfs", lambda path: mock.Mock(f_files=0, f_favail=0)):
            self.assertNotIn("free_inodes", self.ask(inodes=True).answer["/"])

    def test_inodes_where_the_system_has_none(self):
        self.usage(100, 0, 100)
        with mock.patch.object(os, "statvfs"):
            del os.statvfs
            self.assertFails(self.ask(inodes=True), "/", "inodes are not counted on this system")

    def test_what_the_system_refuses_is_told_in_its_words(self):
        error = PermissionError(13, "Permission denied", "/srv/s3cret")
        with mock.patch("shutil.disk_usage", mock.Mock(side_effect=error)):
            self.assertFails(self.ask(), "/", "cannot be looked at: Permission denied")

    def test_wrong_arguments_are_refused(self):
        paths = "an absolute path, or a list of them"
        odd = {"a str": "uploads", "an empty list": [], "None": None, "7": 7, "a bytes": b"/srv", "an empty dict": {}}
        self.assertKind("paths", paths, odd)
        self.assertKind("paths", paths, {"a list": ["/srv", "srv"], "a str": "/srv\0"})
        for name in ("warn_percent", "fail_percent"):
            self.assertKind(name, PERCENT, {"a str": "10", "-1": -1, "101": 101, "True": True, "nan": float("nan")})
        for name in ("warn_bytes", "fail_bytes"):
            self.assertKind(name, AMOUNT, {"a str": "10G", "-1": -1, "inf": float("inf")})
        self.assertKind("inodes", "True or False", {"1": 1, "a str": "yes"})
        takes = "paths, warn_percent, fail_percent, warn_bytes, fail_bytes, inodes"
        self.assertRefused(
            "The arguments of the entry should be those that it takes: got an unexpected keyword argument 'path'. "
            f"It takes {takes}.",
            path="/",
        )

    def test_called_directly_it_refuses_too(self):
        with self.assertRaisesMessage(Exception, "The argument inodes of the entry should be True or False, not 1."):
            host.disk("/", inodes=1)
        self.assertEqual(list(host.disk("/")), ["/"])

    def test_metrics_tell_the_numbers_of_each_path_to_those_who_may_see_them(self):
        self.usage(100, 50, 50)
        sample = 'django_status_check_value{resource="health",check="it",component="/",value="free_percent"} 50\n'
        with self.settings_for({"paths": ["/", "/srv"]}):
            told = self.client.get("/status/api/health/it?format=openmetrics").content.decode()
            self.assertNotIn("check_value", told)
            with override_settings(STATUS_SHOW_DETAILS="always"):
                told = self.client.get("/status/api/health/it?format=openmetrics").content.decode()
        self.assertIn(sample, told)
        self.assertEqual(told.count("django_status_check_value{"), 4)

    def test_strangers_learn_no_path(self):
        self.assertSeenByStrangers(True, paths=["/", self.directory], warn_percent=None)
        self.assertSeenByStrangers(False, paths=self.directory / "missing")


class Tree(MeasuringTestCase):
    """PEERS 13: files of the kernel, made for the test."""

    measure: type[host.OfSystem]

    def setUp(self) -> None:
        super().setUp()
        self.provider = self.measure()
        self.provider.root = self.directory
        self.write("proc/meminfo", MEMINFO)
        self.write("proc/self/cgroup", "0::/\n")
        self.write("proc/loadavg", "7.50 6.00 2.25 3/812 4711\n")
        self.write("proc/stat", "cpu  1 2\ncpu0 1 2\ncpu1 1 2\ncpu2 1 2\ncpu3 1 2\nintr 3\n")

    def write(self, path: str, text: object) -> None:
        (self.directory / path).parent.mkdir(parents=True, exist_ok=True)
        (self.directory / path).write_text(f"{text}")


class MemoryTests(Tree):
    measure = host.MemoryCheck
    subject = "memory"

    def v2(self, limit: object, usage: int, inactive: int = 0, group: str = "", active: int = 0) -> None:
        folder = f"sys/fs/cgroup/{group}"
        self.write(f"{folder}/memory.max", f"{limit}\n")
        self.write(f"{folder}/memory.current", f"{usage}\n")
        self.write(f"{folder}/memory.stat", f"anon 1\ninactive_file {inactive}\nactive_file {active}\n")

    def v1(self, limit: int, usage: int, inactive: int = 0, group: str = "", active: int = 0) -> None:
        folder = f"sys/fs/cgroup/memory/{group}"
        self.write(f"{folder}/memory.limit_in_bytes", f"{limit}\n")
        self.write(f"{folder}/memory.usage_in_bytes", f"{usage}\n")
        told = f"inactive_file 9\nactive_file 9\ntotal_inactive_file {inactive}\ntotal_active_file {active}\n"
        self.write(f"{folder}/memory.stat", told)

    def assertAvailable(self, where: str, available: float, percent: float, total: float) -> None:
        result = self.ask(warn_percent=None)
        answer = {"ok": True, "available_bytes": available, "available_percent": percent, "total_bytes": total}
        self.assertEqual(result.answer, {where: answer})

    def test_this_machine_tells(self):
        (answer,) = self.ask("status.providers.host.memory", warn_percent=None).answer.values()
        self.assertGreater(answer["total_bytes"], answer["available_bytes"])
        self.assertGreater(answer["available_bytes"], 0)

    def test_machine_without_a_limit(self):
        self.assertAvailable("host", 4 * GIB, 25.0, 16 * GIB)

    def test_container_of_v2_comes_before_the_machine(self):
        self.v2(GIB, GIB // 2)
        self.assertAvailable("container", GIB // 2, 50.0, GIB)

    def test_pages_of_files_that_can_be_given_back_are_available(self):
        self.v2(GIB, GIB, GIB // 4)
        self.assertAvailable("container", GIB // 4, 25.0, GIB)
        self.v2(GIB, GIB, GIB // 4, active=GIB // 2)  # which have been read more than once
        self.assertAvailable("container", GIB * 3 // 4, 75.0, GIB)
        self.v2(GIB, GIB // 4, GIB // 4, active=GIB // 4)  # pages went between two looks
        self.assertAvailable("container", GIB, 100.0, GIB)

    def test_no_limit_in_v2_or_one_beyond_the_machine_is_that_of_the_machine(self):
        for limit in ("max", 64 * GIB):
            self.v2(limit, GIB)
            self.assertAvailable("host", 4 * GIB, 25.0, 16 * GIB)

    def test_the_tightest_of_the_groups_counts(self):
        self.write("proc/self/cgroup", "0::/shop.slice/web.service\n")
        self.v2(2 * GIB, GIB, group="shop.slice/web.service")
        self.v2(8 * GIB, 7.5 * GIB // 1, group="shop.slice")
        self.write("sys/fs/cgroup/shop.slice/memory.current", int(7.5 * GIB))
        self.assertAvailable("container", GIB // 2, 6.2, 8 * GIB)

    def test_container_of_v1(self):
        self.write("proc/self/cgroup", "12:cpu,cpuacct:/docker/1\n7:memory:/docker/1\n1:name=systemd:/docker/1\n")
        self.v1(GIB, GIB // 2, GIB // 4)
        self.assertAvailable("container", GIB * 3 // 4, 75.0, GIB)
        self.v1(GIB, GIB, GIB // 4, active=GIB // 4)
        self.assertAvailable("container", GIB // 2, 50.0, GIB)

    def test_no_limit_in_v1(self):
        self.write("proc/self/cgroup", "7:memory:/docker/1\n")
        self.v1(9223372036854771712, GIB)
        self.assertAvailable("host", 4 * GIB, 25.0, 16 * GIB)

    def test_used_up_beyond_the_limit_is_nothing_left(self):
        self.v2(GIB, GIB + 4096)
        self.assertAvailable("container", 0, 0.0, GIB)

    def test_kernel_without_groups(self):
        (self.directory / "proc/self/cgroup").unlink()
        self.assertAvailable("host", 4 * GIB, 25.0, 16 * GIB)

    def test_files_that_hold_something_else_count_as_absent(self):
        self.v2("lots", GIB)
        self.assertAvailable("host", 4 * GIB, 25.0, 16 * GIB)

    def test_little_warns_or_fails(self):
        self.v2(GIB, GIB * 95 // 100)
        self.assertWarned(self.ask(), "container", "5 % available, less than 10 %")
        self.assertFails(self.ask(fail_percent=6), "container", "5 % available, less than 6 %")
        told = "51.2 MiB available, less than 100 MiB"
        self.assertWarned(self.ask(warn_percent=None, warn_bytes=100 * 2**20), "container", told)
        self.assertFails(self.ask(warn_percent=None, fail_bytes=100 * 2**20), "container", told)

    def test_another_system_says_so(self):
        (self.directory / "proc/meminfo").unlink()
        reason = "This system does not tell: /proc/meminfo cannot be read (No such file or directory)."
        self.assertUnavailable(self.ask(), reason)
        self.write("proc/meminfo", "MemTotal: 7 kB\n")
        self.assertUnavailable(self.ask(), "This system does not tell how much memory is available.")

    def test_wrong_arguments_are_refused(self):
        self.assertKind("warn_percent", PERCENT, {"a str": "1 GB"})
        self.assertKind("fail_bytes", AMOUNT, {"a str": "1 GB"})

    def test_strangers_learn_no_number(self):
        self.assertSeenByStrangers(True)
        self.assertSeenByStrangers(False, fail_percent=99)


class LoadTests(Tree):
    measure = host.LoadCheck
    answer = {"ok": True, "load_1": 7.5, "load_5": 6.0, "load_15": 2.25, "cores": 4, "load_per_core": 1.5}

    def group(self, quota: str, waiting: float, group: str = "") -> None:
        self.write(f"sys/fs/cgroup/{group}/cpu.max", f"{quota}\n")
        pressure = f"some avg10=99.00 avg60={waiting} avg300=1.00 total=1\nfull avg10=0.00 avg60=0.00 total=0\n"
        self.write(f"sys/fs/cgroup/{group}/cpu.pressure", pressure)

    def test_this_machine_tells(self):
        answer = self.ask("status.providers.host.load", warn_load=None).answer["host"]
        self.assertEqual(answer["cores"], os.cpu_count())

    def test_load_is_that_of_five_minutes_for_each_core(self):
        result = self.ask()
        self.assertPasses(result)
        self.assertEqual(result.answer, {"host": self.answer})

    def test_much_load_warns_or_fails(self):
        self.assertWarned(self.ask(warn_load=1), "host", "1.50 of load for each core, more than 1.00")
        self.assertFails(self.ask(fail_load=1.2), "host", "1.50 of load for each core, more than 1.20")

    def test_quota_of_a_container_is_judged_by_how_long_it_waits(self):
        """The load of the machine divided by a quota of two cores would say nothing about either."""
        self.group("150000 100000", 12.5)
        result = self.ask()
        self.assertPasses(result)
        container = {"ok": True, "cores": 1.5, "waiting_percent": 12.5}
        self.assertEqual(result.answer, {"host": self.answer, "container": container})

    def test_container_that_waits_warns_or_fails(self):
        self.group("200000 100000", 95.4)
        told = "95.4 % of the time waiting for a processor, more than "
        self.assertWarned(self.ask(), "container", f"{told}90 %")
        self.assertFails(self.ask(fail_waiting=95), "container", f"{told}95 %")
        result = self.ask(fail_waiting=95, fail_load=1)
        self.assertEqual(list(result.reasons), ["host", "container"])

    def test_what_tells_no_quota_or_no_pressure_is_no_container(self):
        for quota in ("max 100000", "800000 100000"):
            self.group(quota, 99)
            self.assertEqual(self.ask().answer, {"host": self.answer})
        self.group("100000 100000", 99)
        self.write("sys/fs/cgroup/cpu.pressure", "")
        self.assertEqual(self.ask().answer, {"host": self.answer})
        (self.directory / "sys/fs/cgroup/cpu.pressure").unlink()
        self.assertEqual(self.ask().answer, {"host": self.answer})

    def test_another_system_says_so(self):
        (self.directory / "proc/loadavg").unlink()
        reason = "This system does not tell: /proc/loadavg cannot be read (No such file or directory)."
        self.assertUnavailable(self.ask(), reason)

    def test_wrong_arguments_are_refused(self):
        self.assertKind("warn_load", AMOUNT, {"a str": "2"})
        self.assertKind("fail_waiting", PERCENT, {"200": 200})


class FilesTests(MeasuringTestCase):
    provider = "status.providers.host.files"
    subject = "files"

    def limits(self, soft: int) -> Any:
        return mock.patch("resource.getrlimit", lambda which: (soft, soft))

    def test_open_files_are_counted_beside_the_soft_limit(self):
        before = self.ask().answer["process"]["open"]
        with open(os.devnull), open(os.devnull):
            after = self.ask().answer["process"]
        self.assertEqual(after["open"], before + 2)

    def test_few_left_warn_or_fail(self):
        with mock.patch("os.listdir", lambda path: [""] * 91), self.limits(100):
            self.assertWarned(self.ask(), "process", "10 % of the file descriptors left, less than 20 %")
            result = self.ask(fail_percent=15)
            self.assertFails(result, "process", "10 % of the file descriptors left, less than 15 %")
            self.assertEqual(result.answer["process"], {"ok": False, "open": 90, "limit": 100, "left_percent": 10.0})

    def test_no_limit_is_no_trouble(self):
        with self.limits(-1):
            self.assertEqual(list(self.ask().answer["process"]), ["ok", "open"])

    def test_when_none_is_left_it_says_so(self):
        """In a process of its own: nothing else works there any more."""
        code = """
            import json, os, resource
            from status.providers.host import files
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (32, hard))
            kept = []
            try:
                while True:
                    kept.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                answer = files.check()
            for one in kept:
                os.close(one)
            print(json.dumps([answer.value, answer.reasons]))
        """
        command = [sys.executable, "-c", textwrap.dedent(code)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        expected = [{"process": {"ok": False}}, {"process": "no file descriptor is left of 32"}]
        self.assertEqual(json.loads(done.stdout), expected)

    def test_another_system_says_so(self):
        with mock.patch.dict(sys.modules, {"resource": None}):
            self.assertUnavailable(self.ask(), "This system does not tell of file descriptors.")
        with mock.patch("os.listdir", mock.Mock(side_effect=FileNotFoundError(2, "No such file or directory"))):
            reason = "This system does not tell: /dev/fd cannot be read (No such file or directory)."
            self.assertUnavailable(self.ask(), reason)

    def test_strangers_learn_no_number(self):
        self.assertSeenByStrangers(True)


#: Under gevent, a look at a path that waits in C; prints whether greenlets went on meanwhile.
WAITING = """
from gevent import monkey
monkey.patch_all()
import ctypes, gevent, shutil
from django.conf import settings
settings.configure()
from status.engine import Engine
from status.entries import Check
from status.providers.host import disk

real, turns = shutil.disk_usage, []

def look(path):
    ctypes.CDLL(None).usleep(500_000)
    return real(path)

def go_on():
    while True:
        gevent.sleep(0.01)
        turns.append(1)

shutil.disk_usage = look
gevent.spawn(go_on)
(result,) = Engine().run([Check("health", "disk", disk, (), {"warn_percent": None})])
print(result.state, len(turns) > 3)
"""


@tag("fault")
class HangingDiskTests(MeasuringTestCase):
    """A network file system whose server is gone: looking at it hangs in the kernel."""

    provider = "status.providers.host.disk"

    def test_hanging_path_costs_its_own_component_and_recovers(self):
        release, real = threading.Event(), shutil.disk_usage

        def look(path: str) -> Any:
            if path == str(self.directory):
                release.wait(30)
            return real(path)

        self.enter(mock.patch("shutil.disk_usage", look))
        with self.settings_for({"paths": ["/", str(self.directory)], "warn_percent": None}, timeout=0.5):
            before = time.monotonic()
            result = engine.report(registry.select("health", "it")).results[0]
            self.assertLess(time.monotonic() - before, 1.0)
            self.assertFails(result, str(self.directory), "timed out after 0.5 s")
            self.assertIs(result.answer["/"]["ok"], True)
            release.set()
            self.assertTrue(eventually(lambda: not engine.busy))
            self.assertPasses(engine.report(registry.select("health", "it")).results[0])

    def test_greenlets_go_on_while_the_kernel_waits_for_a_file_system(self):
        command = [sys.executable, "-c", WAITING]
        done = subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)
        self.assertEqual((done.stdout, done.returncode), ("pass True\n", 0), done.stderr)


@tag("fault")
@skipUnless(sys.platform == "linux" and os.geteuid() == 0, "only root can mount a small file system")
class FullDiskTests(MeasuringTestCase):
    provider = "status.providers.host.disk"

    def setUp(self) -> None:
        super().setUp()
        command = ["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=32", "tmpfs", str(self.directory)]
        subprocess.run(command, check=True)
        self.addCleanup(subprocess.run, ["umount", str(self.directory)], check=True)

    def test_full_file_system_fails_and_recovers_and_nothing_is_written(self):
        path = str(self.directory)
        self.assertPasses(self.ask(paths=path, fail_bytes=4096))
        file = Path(path, "file")
        with self.assertRaises(OSError), open(file, "wb", buffering=0) as filled:
            while True:
                if filled.write(b"x" * 65536) < 65536:
                    raise OSError("no room")
        self.assertFails(
            self.ask(paths=path, fail_bytes=4096, warn_percent=None), path, "0 bytes free, less than 4 KiB"
        )
        self.assertWarned(self.ask(paths=path), path, "0 % free, less than 10 %")
        self.assertEqual(os.listdir(path), ["file"])
        file.unlink()
        self.assertPasses(self.ask(paths=path, fail_bytes=4096))

    def test_file_system_without_inodes_fails(self):
        path = str(self.directory)
        with self.assertRaises(OSError):
            for number in range(64):
                Path(path, str(number)).touch()
        result = self.ask(paths=path, inodes=True, fail_percent=5)
        self.assertFails(result, path, "0 % of the inodes free, less than 5 %")

    def test_served_by_http(self):
        with (
            self.settings_for({"paths": str(self.directory), "fail_bytes": 2**21}),
            override_settings(STATUS_SHOW_DETAILS="always"),
        ):
            answer = self.client.get("/status/api/health/it?format=text")
        self.assertEqual(answer.status_code, 503)
        self.assertIn("1 MiB free, less than 2 MiB", answer.content.decode())
