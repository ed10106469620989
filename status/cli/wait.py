"""The sub-command ``wait``: ask again and again until healthy, for start scripts."""

from __future__ import annotations

from time import monotonic, sleep

from status.cli.arguments import CannotAsk, Options
from status.cli.output import Terminal, human_text
from status.cli.target import Target
from status.report import Report, summary


class Wait:
    """``wait NAME --for SECONDS --stable SECONDS``.

    default_limit: seconds until it gives up, unless ``--for`` says otherwise.
    interval: seconds from one question to the next, at most; shortest: at least.
    trouble: why it cannot be called healthy yet, in half a sentence.
    """

    default_limit = 60.0
    interval = 1.0
    shortest = 0.01

    def __init__(self, target: Target, options: Options, terminal: Terminal) -> None:
        """Raises CannotAsk where the options contradict each other."""
        self.target, self.options, self.terminal = target, options, terminal
        self.name = options.name or "everything"
        self.limit = options.wait_for or self.default_limit
        self.stable = options.stable or 0.0
        self.trouble = "no answer yet"
        self.last: Report | None = None
        if self.stable >= self.limit:
            raise CannotAsk(f"--stable {self.stable:g} never happens within --for {self.limit:g}")

    def run(self) -> int:
        """Return 0 as soon as nothing fails for ``stable`` seconds on end, 1 when ``limit`` seconds are over before."""
        started = monotonic()
        with self.terminal.live_line(lambda waited: f"waiting for {self.name}, {waited:.0f} s: {self.trouble}"):
            healthy = self._until(started + self.limit)
        if healthy:
            if not self.options.quiet:
                self.terminal.write(f"{self.name}: healthy after {monotonic() - started:.1f} s")
            return 0
        self.terminal.remark(f"{self.name}: not healthy within {self.limit:g} s: {self.trouble}")
        if self.last is not None and self.last.failing:
            self.terminal.write(human_text(self.last, self.terminal.colour, only_trouble=True))
        return 1

    def _until(self, deadline: float) -> bool:
        """Return whether it became healthy, and stayed so, in time."""
        since: float | None = None
        asked = False
        while (left := deadline - monotonic()) > 0:
            trouble, report = self._ask(left)
            now = monotonic()
            if trouble is None:
                since = now if since is None else since
                if now - since >= self.stable:
                    return True
                trouble = f"healthy, but not yet for {self.stable:g} s"
            else:
                since = None
                if now >= deadline and asked:
                    return False  # what the deadline cut short says less than the answer before
            if trouble != self.trouble and not self.options.quiet and not self.terminal.watched:
                self.terminal.remark(f"waiting for {self.name}: {trouble}")
            self.trouble, self.last, asked = trouble, report, True
            # Shorter and shorter towards the end, so that no time is left over in which nobody asks.
            pause = max(self.shortest, min(self.interval, (deadline - now) / 2))
            sleep(pause if since is None else max(0.0, min(pause, since + self.stable - now)))
        return False

    def _ask(self, patience: float) -> tuple[str | None, Report | None]:
        """Return why it is not healthy now, None where it is, and the report where one came.

        Raises CannotAsk where waiting changes nothing.
        """
        try:
            report = self.target.report(self.options, patience)
        except CannotAsk as error:
            if not error.transient:
                raise
            return str(error), None
        if not any(result.judged for result in report.results):
            raise CannotAsk(f"nothing of {self.name} is judged, so that it never becomes healthy")
        if report.failing or any(result.running for result in report.results):
            return summary(report), report
        return None, report
