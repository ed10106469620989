"""The sub-command ``wait``: ask again and again until healthy, for start scripts."""

from __future__ import annotations

from time import monotonic, sleep

from status.cli.arguments import CannotAsk, Options
from status.cli.output import Terminal, human_text
from status.cli.target import Reply, Target
from status.report import summary


class Wait:
    """``wait NAME --for SECONDS --stable SECONDS``.

    default_limit: seconds until it gives up, unless ``--for`` says otherwise.
    interval: seconds from one question to the next.
    trouble: why it cannot be called healthy yet, in half a sentence.
    """

    default_limit = 60.0
    interval = 1.0

    def __init__(self, target: Target, options: Options, terminal: Terminal) -> None:
        """Raises CannotAsk where the options contradict each other."""
        self.target, self.options, self.terminal = target, options, terminal
        self.name = options.name or "everything"
        self.limit = options.wait_for or self.default_limit
        self.stable = options.stable or 0.0
        self.trouble = "no answer yet"
        self.last: Reply | None = None
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
        if self.last is not None and self.last.report is not None and self.last.failing:
            self.terminal.write(human_text(self.last.report, self.terminal.colour, only_trouble=True))
        return 1

    def _until(self, deadline: float) -> bool:
        """Return whether it became healthy, and stayed so, in time."""
        since: float | None = None
        while True:
            trouble = self._ask(max(0.0, deadline - monotonic()))
            now = monotonic()
            if trouble is None:
                since = now if since is None else since
                if now - since >= self.stable:
                    return True
                trouble = f"healthy, but not yet for {self.stable:g} s"
            else:
                since = None
            if trouble != self.trouble and not self.options.quiet and not self.terminal.watched:
                self.terminal.remark(f"waiting for {self.name}: {trouble}")
            self.trouble = trouble
            due = now + self.interval if since is None else min(now + self.interval, since + self.stable)
            if due >= deadline:
                return False
            sleep(max(0.0, due - now))

    def _ask(self, patience: float) -> str | None:
        """Return why it is not healthy now, None where it is. Raises CannotAsk where waiting will not change that."""
        try:
            self.last = self.target.ask(self.options, patience)
        except CannotAsk as error:
            if not error.transient:
                raise
            self.last = None
            return str(error)
        report = self.last.report
        if report is None or not (self.last.failing or any(result.running for result in report.results)):
            return None
        return summary(report)
