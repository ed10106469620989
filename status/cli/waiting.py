"""Asking again and again until healthy, for start scripts."""

from __future__ import annotations

from time import monotonic, sleep

from status.cli.arguments import CannotAsk, Options
from status.cli.human import render
from status.cli.question import Question, Reply, Source
from status.cli.terminal import Terminal
from status.formats.components import summary

#: Seconds that a project gets to become healthy, and from one question of it to the next.
WAIT_FOR = 60.0
EVERY = 1.0


class Wait:
    """``wait NAME --for SECONDS --stable SECONDS``.

    trouble: why it cannot be called healthy yet, in half a sentence.
    """

    def __init__(self, source: Source, question: Question, options: Options, terminal: Terminal) -> None:
        self.source, self.question, self.terminal = source, question, terminal
        self.quiet = options.quiet
        self.limit = WAIT_FOR if options.wait_for is None else options.wait_for
        self.stable = options.stable or 0.0
        self.trouble = "no answer yet"
        self.last: Reply | None = None
        if self.stable >= self.limit:
            raise CannotAsk(f"--stable {self.stable:g} never happens within --for {self.limit:g}")

    def run(self) -> int:
        """Until nothing fails for ``stable`` seconds on end: 0. When ``limit`` seconds have passed before: 1."""
        name = self.question.name or "everything"
        started = monotonic()
        with self.terminal.live(lambda waited: f"waiting for {name}, {waited:.0f} s: {self.trouble}"):
            healthy = self._until(started + self.limit)
        if healthy:
            if not self.quiet:
                self.terminal.write(f"{name}: healthy after {monotonic() - started:.1f} s")
            return 0
        self.terminal.remark(f"{name}: not healthy within {self.limit:g} s: {self.trouble}")
        if self.last is not None and self.last.report is not None and self.last.failing:
            self.terminal.write(render(self.last.report, self.terminal.colour, only_trouble=True))
        return 1

    def _until(self, deadline: float) -> bool:
        """Whether it became healthy, and stayed so, in time."""
        since: float | None = None
        while True:
            trouble = self._ask(max(0.0, deadline - monotonic()))
            now = monotonic()
            if trouble is not None:
                since = None
                self._tell(trouble)
            else:
                since = now if since is None else since
                if now - since >= self.stable:
                    return True
                self._tell(f"healthy, but not yet for {self.stable:g} s")
            due = now + EVERY if since is None else min(now + EVERY, since + self.stable)
            if due >= deadline:
                return False
            sleep(max(0.0, due - now))

    def _tell(self, trouble: str) -> None:
        """Keep what the live line shows; where there is none, say what is new in a line of its own."""
        if trouble != self.trouble and not self.quiet and not self.terminal.watched:
            self.terminal.remark(f"waiting for {self.question.name or 'everything'}: {trouble}")
        self.trouble = trouble

    def _ask(self, patience: float) -> str | None:
        """Why it is not healthy now, None where it is. Raises ``CannotAsk`` where that will not change by itself."""
        try:
            self.last = self.source.ask(self.question, patience)
        except CannotAsk as error:
            if not error.transient:
                raise
            self.last = None
            return str(error)
        report = self.last.report
        running = report is not None and any(result.running for result in report.results)
        if report is None or not (self.last.failing or running):
            return None
        return summary(report)
