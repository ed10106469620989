"""Ask services that may hang: each on a thread of its own, by one thread at a time, and never longer than agreed.

The engine bounds a whole run and knows nothing of its components. Here one component that hangs neither hides the
others nor gathers threads: whoever asks meanwhile shares the question that is under way.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from time import monotonic

#: Seconds a thread waits for the next question before it ends.
IDLE_SECONDS = 60.0
#: Seconds after which a question that is never answered is given up, and asked once more beside it.
REPLACE_SECONDS = 30.0
#: Questions of one line that may be unanswered at a time. With this many, nothing is asked until one of them returns.
MAX_UNANSWERED = 3


class Question:
    """One question to one service, shared by all who ask while it is under way.

    until: how long those who asked it are ready to wait, on the monotonic clock.
    reason: once it is settled, None when all is well, else a safe sentence.
    """

    def __init__(self, until: float) -> None:
        self.started = monotonic()
        self.until = until
        self.reason: str | None = None
        self._settled = threading.Lock()
        self._settled.acquire()

    def settle(self, reason: str | None) -> None:
        self.reason = reason
        self._settled.release()

    def answer(self, until: float) -> str | None:
        """The reason, or another one when there is no answer by ``until``; at once where others have waited in vain."""
        asked = monotonic()
        if self._settled.acquire(timeout=max(0.0, min(until, self.until) - asked)):
            self._settled.release()  # for the next one who waits
            return self.reason
        if asked < self.until:
            return f"timed out after {monotonic() - asked:.1f} s"
        return f"timed out, still without an answer after {asked - self.started:.0f} s"


class Line:
    """The questions to one service.

    name: what its threads are called.
    ask: answers None when all is well, else a safe sentence; never raises. Called in a thread of the line.
    leave: called in such a thread before it ends.
    """

    def __init__(self, name: str, ask: Callable[[], str | None], leave: Callable[[], None]) -> None:
        self.name = name
        self.ask = ask
        self.leave = leave
        self._lock = threading.Lock()
        #: Oldest first; more than one only where earlier ones are never answered.
        self._unanswered: list[Question] = []
        #: The thread that has nothing to do, and how it is told its next question, or None to end.
        self._idle: tuple[threading.Thread, queue.SimpleQueue[Question | None]] | None = None

    def question(self, until: float) -> Question:
        """The question under way, or a new one."""
        with self._lock:
            if self._unanswered:
                newest = self._unanswered[-1]
                now = monotonic()
                if now < newest.until:
                    newest.until = max(newest.until, until)
                    return newest
                if now - newest.started < REPLACE_SECONDS or len(self._unanswered) >= MAX_UNANSWERED:
                    return newest
            question = Question(until)
            self._unanswered.append(question)
            try:
                self._hand_over(question)
            except RuntimeError:  # the process or the machine has no thread left
                self._unanswered.remove(question)
                question.settle("no thread could be started to ask it")
            return question

    def close(self) -> None:
        """End the thread that has nothing to do."""
        with self._lock:
            idle, self._idle = self._idle, None
        if idle is not None:
            thread, questions = idle
            questions.put(None)
            thread.join()

    def _hand_over(self, question: Question) -> None:
        if self._idle is not None:
            (_, questions), self._idle = self._idle, None
            questions.put(question)
        else:
            threading.Thread(target=self._serve, args=(question,), name=self.name, daemon=True).start()

    def _serve(self, first: Question) -> None:
        me = threading.current_thread(), queue.SimpleQueue[Question | None]()
        question: Question | None = first
        while question is not None:
            reason = self.ask()
            with self._lock:
                self._unanswered.remove(question)
                spare = self._idle is not None
                if not spare:
                    # Before the callers wake: the next one may come at once, and is to find this thread warm.
                    self._idle = me
            question.settle(reason)
            question = None if spare else self._next(me)
        self.leave()

    def _next(self, me: tuple[threading.Thread, queue.SimpleQueue[Question | None]]) -> Question | None:
        try:
            return me[1].get(timeout=IDLE_SECONDS)
        except queue.Empty:
            with self._lock:
                if self._idle is me:
                    self._idle = None
                    return None
        return me[1].get()  # handed over at the last moment
