"""Runs checks and reports: within a deadline, one run at a time, side by side, each on its own. Knows no HTTP."""

from __future__ import annotations

import copy
import math
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from time import monotonic
from typing import NamedTuple
from weakref import WeakKeyDictionary, ref

from status.conf import conf
from status.engine.execution import (
    UNKNOWN,
    Execution,
    Outcome,
    SingleFlight,
    contain,
    execute,
    outcome_of,
    plain_seconds,
    timed_out,
)
from status.engine.loading import NO_THREAD, Loader
from status.entries import Check
from status.logs import call_safely
from status.providers.base import Finding, Part, Provider, Unavailable
from status.registry import Selection
from status.report import Report, Result, iso
from status.serialization import to_plain
from status.threads import Call, Latch, PerProcess, await_future, call_here, close_old_connections, wait

#: Threads that are woken before they get to run. One that waits for the interpreter wakes up every 5 ms to ask for it:
#: a thousand that wait together cost twice as much a piece, and more, as a hundred.
CROWD = 25
#: Seconds to wait for code that could not be loaded before. What is still being loaded then is told as before.
RELOAD_SECONDS = 0.1
#: Seconds for which who does not wait is told the answer before, with its age: a page asks again every five.
RECENT_SECONDS = 6.0

Observer = Callable[[Check, Result], None]


class Task(NamedTuple):
    """One execution to be done: of a check, or of one part of it."""

    check: Check
    one: Check | Part
    provider: Provider
    flight: SingleFlight
    execution: Execution


class Asked(NamedTuple):
    """A check of one question, with what answers it.

    executions: that of the check under None or, where its answer is composed, that of each part under its name.
    asked: when the question was asked (monotonic).
    timeout: seconds that the caller gives it. What takes longer has failed for this caller, and for nobody else.
    give_up: when the caller waits no more for what still has time (monotonic).
    """

    check: Check
    executions: Mapping[str | None, Execution]
    asked: float
    timeout: float = math.inf
    give_up: float = math.inf

    def waits(self) -> Iterator[tuple[Latch, float]]:
        """Yield what to wait for, and how many seconds: until a deadline or ``give_up``."""
        for one in self.executions.values():
            now, before = monotonic(), -math.inf
            # A deadline may move: see ``Execution.start``. A clock may stand, where tests of a project freeze the time.
            while one.outcome is None and before < now < (until := min(self._deadline(one), self.give_up)):
                yield one.returned, until - now
                now, before = monotonic(), now

    def is_over(self) -> bool:
        """Return whether each execution has returned or missed its own deadline, and not only that of this caller."""
        now = monotonic()
        return all(
            one.outcome is not None or (self._deadline(one) <= now and one.timeout <= self.timeout)
            for one in self.executions.values()
        )

    def result(self) -> Result:
        """Return what the caller is told now."""
        now = monotonic()
        running, age, started_at = False, 0.0, math.inf
        durations: dict[str | None, float] = {}  # of what was run
        told = {name: self._told(one, now) for name, one in self.executions.items()}
        for name, one in told.items():
            started_at = min(started_at, one.started_at)
            if (seconds := one.seconds(now)) is not None:
                durations[name] = seconds
            if one.outcome is None:
                running = running or self._is_given_up(one, now)
            elif one.finished < self.asked:  # it was over before the caller asked: its answer is reused
                age = max(age, now - one.finished)
        outcome = UNKNOWN if running else self._outcome(told)
        return Result(
            resource=self.check.resource,
            name=self.check.name,
            answer=outcome.answer,
            public_answer=outcome.public_answer,
            sound=outcome.sound,
            judged=self.check.judged,
            critical=self.check.critical,
            error=outcome.error,
            reasons=outcome.reasons,
            warnings=outcome.warnings,
            ages={name: seconds + age for name, seconds in outcome.ages.items()},
            duration=max(durations.values(), default=None),
            durations=plain_seconds({name: seconds for name, seconds in durations.items() if name is not None}),
            started_at=started_at if told else time.time(),
            age=age,
            cut=outcome.cut,
            metrics=self.check.metrics,
            impact=str(to_plain(self.check.impact).value) if self.check.impact else "",
            running=running,
            renewing=not running and any(one is not self.executions[name] for name, one in told.items()),
        )

    def _deadline(self, one: Execution) -> float:
        """Return when the caller waits no longer: at the end of his own time where the run has more."""
        return one.deadline if one.timeout <= self.timeout else min(one.deadline, self.asked + self.timeout)

    def _is_given_up(self, one: Execution, now: float) -> bool:
        """Return whether it still runs and has time, and the caller does not wait for it."""
        return one.outcome is None and now < self._deadline(one) > self.give_up

    def _told(self, one: Execution, now: float) -> Execution:
        """Return the execution to tell of: the one before, as long as that is recent, where this one is given up.

        Else who asks again and again, and never waits for the end, would never be told of it.
        """
        before = one.before
        if before is None or not self._is_given_up(one, now) or self.asked - before.finished > RECENT_SECONDS:
            return one
        return before.as_it_was_told()

    def _outcome(self, told: Mapping[str | None, Execution]) -> Outcome:
        whole = told.get(None)
        if whole is not None:
            return whole.outcome or Outcome.failed(self._late(whole))
        check, provider = self.check, self.check.provider
        findings = {str(name): self._finding(one) for name, one in told.items()}
        # An alarm is meant for the caller.
        return contain(check, lambda: outcome_of(check, provider.compose(findings)), (Exception, SystemExit))  # type: ignore[union-attr]

    def _finding(self, one: Execution) -> Finding:
        """Return what a part contributes to the composed answer."""
        if one.outcome is None:
            return Finding(reason=self._late(one))
        if one.outcome.error:
            return Finding(reason=one.outcome.error)
        # A copy, as others may get the same answer, and a provider may change what it gets.
        return Finding.of(copy.deepcopy(one.outcome.answer), one.outcome.reasons, one.outcome.warnings)

    def _late(self, one: Execution) -> str:
        """Return why there is no answer yet, as a safe sentence."""
        if self.asked >= one.deadline:
            return f"{timed_out(one.timeout)}, still running since {iso(one.trouble_since)}"
        return timed_out(one.timeout if one.deadline <= self._deadline(one) else self.timeout)


class EngineState:
    """What an engine knows of one process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.flights: WeakKeyDictionary[Check | Part, SingleFlight] = WeakKeyDictionary()
        self.loader = Loader()

    def all(self) -> list[SingleFlight]:
        with self.lock:
            return list(self.flights.values())

    def flight(self, check: Check | Part) -> SingleFlight:
        flight = self.flights.get(check)
        if flight is None:
            with self.lock:
                flight = self.flights.setdefault(check, SingleFlight(f"status-{check.resource}-{check.name}"))
        return flight


class Engine:
    """Runs checks, and knows what runs in this process.

    observers: called with a check and its result, once for each run, in whatever thread notices its end or its missed
        deadline. They must return fast.
    is_shared: whether several callers ask, as in a server, so that the short time of one is not the deadline of a run.
    """

    def __init__(self) -> None:
        self.observers: list[Observer] = []
        self.is_shared = True
        self._state = PerProcess(EngineState)

    def report(self, selection: Selection, timeout: float | None = None, patience: float | None = None) -> Report:
        """Run the checks that ``registry.select()`` chose. The arguments are those of ``run``."""
        results = self.run(selection.checks, timeout, patience)
        return Report(results, selection.resources, selection.resource, selection.provider)

    async def areport(self, selection: Selection, timeout: float | None = None) -> Report:
        """Do the same as ``report`` on an event loop, without blocking it."""
        results = await self.arun(selection.checks, timeout)
        return Report(results, selection.resources, selection.resource, selection.provider)

    def run(
        self, checks: Iterable[Check], timeout: float | None = None, patience: float | None = None
    ) -> tuple[Result, ...]:
        """Run ``checks`` side by side and return their results in the same order.

        timeout: seconds that this caller gives each check instead of its own. Where the engine is shared, what he
            starts may take as long as the check allows as well: others may join it, and give it that.
        patience: seconds this caller waits; what takes longer is answered as running, and goes on.
        """
        checks, asked = tuple(checks), monotonic()
        give_up = math.inf if patience is None else asked + patience
        loads = self._begin_to_load(checks)
        for check, load in loads.items():
            wait(load, _left_to_load(check, asked, give_up))
        loading = {check for check, load in loads.items() if not load.done() and check.load_error is None}
        started = self._start(checks, timeout, give_up, loading, lambda check: not check.may_block())
        for one in started:
            for returned, left in one.waits():
                returned.wait(left)
        return tuple(map(self._note, started))

    async def arun(self, checks: Iterable[Check], timeout: float | None = None) -> tuple[Result, ...]:
        """Do the same as ``run`` on an event loop, without blocking it: callers wait without a thread each."""
        if conf.synchronous:
            # Late, as is asyncio in ``threads``.
            from asgiref.sync import sync_to_async

            return await sync_to_async(self.run)(checks, timeout)
        checks, asked = tuple(checks), monotonic()
        for check, load in self._begin_to_load(checks).items():
            await await_future(load, _left_to_load(check, asked, math.inf))
        # Django refuses database work on the loop's own thread, so only what promises to do none runs there.
        started = self._start(
            checks, timeout, math.inf, (), lambda check: not getattr(check.provider, "blocking", True)
        )
        for one in started:
            for returned, left in one.waits():
                await await_future(returned.future(), left)
        return tuple(map(self._note, started))

    def load(self, checks: Iterable[Check]) -> bool:
        """Load the code of ``checks`` and wait until it is there, or overstays. Return whether all is there."""
        checks = tuple(checks)
        for load in self._begin_to_load(checks).values():
            wait(load, None)
        return all(check.provider is not None for check in checks)

    def _begin_to_load(self, checks: Iterable[Check]) -> dict[Check, Future[None]]:
        """Return what to wait for before the code of ``checks`` is there: those that are not, each with its future."""
        missing = [check for check in checks if check.provider is None]
        if conf.synchronous:
            for check in missing:
                check.try_to_load()
            return {}
        return {check: self._state.get().loader.load(check) for check in missing}

    def _start(
        self,
        checks: Iterable[Check],
        timeout: float | None,
        give_up: float,
        loading: Collection[Check],
        in_place: Callable[[Check | Part], bool],
    ) -> list[Asked]:
        """Start what is not under way or reusable: in threads, or in this one where ``in_place`` says so.

        timeout, give_up: what the caller gives each check, see ``Asked``.
        loading: those for whose code the caller would not wait.
        """
        new: list[Task] = []
        here: list[Task] = []
        started: list[Asked] = []
        synchronous, asked = conf.synchronous, monotonic()
        try:
            for check in checks:
                own = check.timeout
                limit = max(timeout or own, own) if self.is_shared else timeout or own
                # His own time also where he joins a run that another caller gives more.
                given = timeout or (math.inf if check in loading else own)
                started.append(Asked(check, self._join(check, asked, limit, loading, new), asked, given, give_up))
            for number, task in enumerate(new, 1):
                if synchronous or in_place(task.one):
                    here.append(task)
                    continue
                if (number - len(here)) % CROWD == 0:
                    time.sleep(0)  # the others run
                self._submit(task)
            for task in here:
                self._work_here(task)
        except BaseException:
            # What is raised into this thread is meant for the caller. Nobody else ends what no worker has begun.
            for task in new:
                if task.flight.begin(task.execution) or task in here:
                    task.flight.end(task.execution, Outcome.failed("was interrupted"), reusable=False)
            raise
        return started

    def _join(
        self, check: Check, asked: float, limit: float, loading: Collection[Check], new: list[Task]
    ) -> dict[str | None, Execution]:
        """Return what answers ``check``, and append to ``new`` what the caller has to start for that.

        limit: seconds that a run may take which he starts.
        """
        state = self._state.get()
        if check.provider is None:
            return {None: Execution(math.inf) if check in loading else unloaded(check)}
        max_age, parts = check.max_age, check.parts()
        targets = {None: check} if parts is None else {part.name: part for part in parts}
        executions: dict[str | None, Execution] = {}
        for name, one in targets.items():
            task = Task(check, one, check.provider, state.flight(one), Execution(limit))
            new.append(task)  # before it counts: an alarm may strike
            executions[name] = task.flight.join(task.execution, asked, max_age)
            if executions[name] is not task.execution:
                new.pop()
        return executions

    def _submit(self, task: Task) -> None:
        """Have a worker thread execute, as far as there is one to be had."""
        at_end: Callable[[], object] = task.provider.close
        if task.one is not task.check:
            # A provider holds its parts, and a thread that holds it would keep both.
            at_end = partial(_close_provider, ref(task.provider))
        try:
            task.flight.submit(task.execution, partial(self._work, task), at_end)
        except RuntimeError:
            task.flight.end(task.execution, Outcome.failed(NO_THREAD), reusable=False)

    def _work(self, task: Task, call: Call) -> None:
        """Execute in a worker thread. Its database connections live by Django's rules for a request."""
        if task.flight.begin(task.execution):
            try:
                renew = partial(call if task.one.native else call_here, close_old_connections)
                renew()
                outcome = execute(task.one, task.execution, call=call)
                renew()
            except BaseException as error:  # of what the provider says of itself, which may be code as well
                outcome = Outcome.failed(f"raised {type(error).__name__}")
            task.flight.end(task.execution, outcome)
            self._returned(task)

    def _work_here(self, task: Task) -> None:
        """Execute in the caller's thread: what the check sets in its context (language, tracing) ends with it."""
        task.flight.begin(task.execution)
        task.execution.start()
        # An alarm or a server's own limit is meant for the caller.
        outcome = copy_context().run(execute, task.one, task.execution, contained=(Exception, SystemExit))
        task.flight.end(task.execution, outcome)
        if conf.synchronous:
            call_safely(task.provider.close)  # no idle worker will come to do it
        self._returned(task)

    def _returned(self, task: Task) -> None:
        """Tell the observers, as perhaps nobody waits any more. What has parts is told as a whole, by who asks."""
        if task.one is task.check:
            self._note(Asked(task.check, {None: task.execution}, task.execution.started))

    def _note(self, one: Asked) -> Result:
        """Return the result, after the observers were told of it, once for each run."""
        is_over = one.is_over()
        result = one.result()
        if is_over and self._state.get().flight(one.check).is_news(one.executions.values()):
            for observer in self.observers:
                call_safely(observer, one.check, result)
        return result

    @property
    def busy(self) -> bool:
        """Whether a run has not returned. Whoever ends the process had better not wait for it."""
        return any(flight.unfinished for flight in self._state.get().all())

    def close(self) -> None:
        """End the threads that have nothing to do, and wait for them. Tests call it; a server need not."""
        state = self._state.get()
        workers: list[SingleFlight | Loader] = [*state.all(), state.loader]
        idle = [thread for one in workers if (thread := one.stop()) is not None]
        for thread in idle:
            thread.join()


def _left_to_load(check: Check, asked: float, give_up: float) -> float | None:
    """Return the seconds for which a caller who asked then waits for the code of ``check``; None means for ever."""
    until = give_up if check.load_error is None else min(give_up, asked + RELOAD_SECONDS)
    return None if until == math.inf else max(0.0, until - monotonic())


def unloaded(check: Check) -> Execution:
    """Return what stands for a run of a check whose code cannot be loaded, or takes too long to load."""
    error = check.load_error or Unavailable("still loading its code")

    def fail() -> Outcome:
        raise error

    execution = Execution(0)
    execution.finish(contain(check, fail))
    return execution


def _close_provider(provider: ref[Provider]) -> None:
    if (alive := provider()) is not None:
        alive.close()


engine = Engine()
