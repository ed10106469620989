"""The test runner: what becomes of a test that hangs, and which tests come first."""

from __future__ import annotations

import subprocess
import sys
import unittest

from django.test import SimpleTestCase, tag

from tests.processes import ROOT, environment
from tests.runner import ParallelSuite


class HangTests(SimpleTestCase):
    def run_tests(self, *words: str) -> str:
        """Return what a run that must fail in time prints about ``tests.hanging``."""
        command = [sys.executable, "runtests.py", "--no-shuffle", *words]
        env = environment({"TEST_TIMEOUT": "1"})
        done = subprocess.run(
            command, env=env, cwd=ROOT, timeout=60, check=False, encoding="utf-8",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("Timeout (0:00:01)!", done.stdout)
        return done.stdout

    def test_test_that_hangs_prints_all_stacks_and_ends(self) -> None:
        stacks = self.run_tests("--parallel", "1", "tests.hanging.HangingTests")
        self.assertIn(" in test_that_hangs", stacks)
        self.assertIn(" in lasts_for_ever", stacks)

    def test_test_that_hangs_beside_others_ends_the_whole_run(self) -> None:
        stacks = self.run_tests("--parallel", "2", "tests.hanging.HangingTests", "tests.hanging.FineTests")
        self.assertIn(" in test_that_hangs", stacks)
        self.assertIn("a test process has ended before its tests", stacks)
        self.assertIn("1 failed", stacks)

    def test_class_that_hangs_between_its_tests_ends_too(self) -> None:
        self.assertIn(" in tearDownClass", self.run_tests("--parallel", "1", "tests.hanging.HangingClassTests"))


class OrderTests(SimpleTestCase):
    def test_classes_that_take_longest_come_first_in_several_processes(self) -> None:
        classes = {name: type(name, (unittest.TestCase,), {"test": lambda self: None}) for name in "abcd"}
        tag("browser")(classes["b"])
        tag("server", "fault")(classes["d"])
        suites = [unittest.TestSuite([made("test")]) for made in classes.values()]
        ordered = [type(next(iter(suite))).__name__ for suite in ParallelSuite(suites, 2).subsuites]
        self.assertEqual(ordered, ["b", "d", "a", "c"])
