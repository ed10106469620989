"""The benchmarks: that the command still works. How fast anything is, no test can tell on a busy machine."""

from __future__ import annotations

import importlib.util
import pathlib
import subprocess
import sys
import tempfile

from django.test import SimpleTestCase, tag

from tests.benchmarks.contest import Figure, Measure, Size, figure_of, hold
from tests.benchmarks.contest import Row as ContestRow
from tests.benchmarks.report import BEGIN, END, cell
from tests.processes import ROOT, environment


@tag("benchmark")  # with the extra bench: the peers do not run on every Django that the app runs on
class CommandTests(SimpleTestCase):
    def setUp(self) -> None:
        # Not everywhere, even in continuous integration: the peers do not run on every Django that the app runs on.
        for module in ("health_check", "watchman", "matplotlib", "aiohttp"):
            if importlib.util.find_spec(module) is None:
                self.skipTest(f'the Python package {module} is missing (pip install -e ".[bench]")')

    def test_quick_run_of_a_cheap_row_writes_table_and_plot(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            document, plot = pathlib.Path(folder, "table.rst"), pathlib.Path(folder, "plot.svg")
            document.write_text(f"Before\n\n{BEGIN}yesterday\n{END}\nAfter\n")
            command = [sys.executable, "-m", "tests.benchmarks", "--quick", "15"]
            command += ["--document", str(document), "--plot", str(plot)]
            done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=120, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            text = document.read_text()
            self.assertIn("django_status ping from cron", text)
            self.assertNotIn("yesterday", text)
            self.assertTrue(text.startswith("Before") and text.endswith("After\n"))
            self.assertIn("django_status ping", plot.read_text())


class ContestTests(SimpleTestCase):
    def test_contenders_take_turns_and_are_compared_within_a_round(self) -> None:
        calls: list[str] = []
        values = {"reference": iter((10.0, 20.0, 40.0)), "django-status": iter((5.0, 10.0, 20.0))}

        def turn(name: str) -> dict[str, float]:
            calls.append(name)
            return {"time": next(values[name])}

        class Ready:
            def __enter__(self):
                calls.append("start")
                return {name: lambda name=name: turn(name) for name in values}

            def __exit__(self, *exc_info: object) -> None:
                pass

        row = ContestRow(1, "", "", (Measure("time", "time", 1.0),), lambda size: Ready(), anew=2)
        outcome = hold(row, Size(3, 1, quick=False), lambda text: None)
        one, other = "reference", "django-status"
        self.assertEqual(calls, ["start", one, other, other, one, "start", one, other])
        self.assertEqual(outcome.figures["time"]["django-status"], Figure(0.5, 0.5, 0.5, 3))

    def test_figure_is_the_median_and_the_middle_half(self) -> None:
        self.assertEqual(figure_of([5.0, 1.0, 2.0, 4.0, 3.0]), Figure(3.0, 2.0, 4.0, 5))
        self.assertEqual(cell(figure_of([5.0, 1.0, 2.0, 4.0, 3.0]), Measure("", "", unit=" ms")), "3 ms (2 to 4)")

    def test_target_is_reached_from_the_right_side(self) -> None:
        self.assertTrue(Measure("", "", 1.2).reached(1.1))
        self.assertFalse(Measure("", "", 1.2).reached(1.3))
        self.assertFalse(Measure("", "", 1.2, more=True).reached(1.1))
        self.assertTrue(Measure("", "", 1.2, more=True).reached(1.3))


class DocumentTests(SimpleTestCase):
    def test_document_shows_a_plot_and_the_table_of_all_rows(self) -> None:
        text = (ROOT / "docs/benchmarks.rst").read_text()
        table = text.partition(BEGIN)[2].partition(END)[0]
        for number in range(1, 17):
            self.assertIn(f"   * - {number}\n", table)
        self.assertTrue((ROOT / "docs/benchmarks.svg").exists())
