"""What comes of asking: the answer as plain JSON, or the safe sentence that says why there is none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from time import monotonic
from types import MappingProxyType
from typing import Any, NamedTuple

from status.containment import quietly
from status.entries import Check
from status.providers.base import Answer, Part, Unavailable
from status.report import failure
from status.values import JSON, NotPlain, to_plain


class Outcome(NamedTuple):
    """What came of a run; the fields are those of ``Result``."""

    answer: JSON
    public_answer: JSON
    sound: bool
    error: str | None = None
    reasons: Mapping[str, str] = MappingProxyType({})
    cut: int = 0

    @classmethod
    def failed(cls, reason: str) -> Outcome:
        """The provider itself failed, for a reason that is safe to show."""
        answer = failure(reason)
        return cls(answer, answer, sound=False, error=reason)


#: What came of asking a part that is well: always the same one, as whoever composes the answer may notice.
FINE = Outcome(True, True, sound=True)


def contain(check: Check | Part, ask: Callable[[], Outcome]) -> Outcome:
    """What comes of ``ask``, whatever it is. The one place where exceptions become outcomes."""
    try:
        outcome = ask()
        check.logged = None
        return outcome
    except Unavailable as error:
        return _failed(check, error, _text_of(error))
    except NotPlain as error:
        return _failed(check, error, f"answered {error}, which JSON cannot hold")
    except BaseException as error:  # sys.exit() in a check must not end the server it runs in
        return _failed(check, error, f"raised {type(error).__name__}")


def outcome_of(check: Check | Part, value: Any) -> Outcome:
    """The outcome of a check that answered ``value``. Raises ``NotPlain``, and what reading the value raises."""
    if value is True and isinstance(check, Part):
        return FINE
    reasons: Mapping[str, str] = {}
    if isinstance(value, Answer):
        value, reasons = value.value, value.reasons
    plain = to_plain(value)
    public = check.public(plain.value)
    return Outcome(
        answer=plain.value,
        public_answer=plain.value if public is plain.value else to_plain(public).value,
        sound=plain.sound,
        reasons={str(key): str(text) for key, text in reasons.items()},
        cut=plain.cut,
    )


def awaited(value: Any, deadline: float, late: str) -> Any:
    """What an async check answers, on an event loop of its own; cancelled at the deadline, which frees the thread.

    value: what the check returned; if nobody has to wait for it, it is the answer.
    deadline: when it should be over, on the monotonic clock.
    late: what is said of it if it is not.
    """
    if not hasattr(value, "__await__"):
        return value
    # Late: asyncio is slow to import, and most checks are plain functions.
    import asyncio

    async def bounded() -> Any:
        return await asyncio.wait_for(value, max(0.0, deadline - monotonic()))

    coroutine = bounded()
    try:
        return _native(asyncio.run)(coroutine)
    except asyncio.TimeoutError as error:
        if monotonic() >= deadline:
            raise Unavailable(late) from error
        raise
    finally:
        # Where the loop could not start, or ended early, nothing is left that Python warns was never awaited.
        coroutine.close()
        getattr(value, "close", bool)()


def _native(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, under gevent on a thread of the operating system.

    There, every greenlet of a thread would see the event loop that one of them runs, and Django would refuse database
    work in all of them.
    """
    gevent = sys.modules.get("gevent")
    if gevent is None or not sys.modules["gevent.monkey"].is_module_patched("threading"):
        return function
    apply = gevent.get_hub().threadpool.apply
    return lambda *args: apply(function, args)


def _text_of(error: Unavailable) -> str:
    try:
        return str(to_plain(str(error)).value)
    except Exception:  # a subclass with a broken __str__
        return f"raised {type(error).__name__}"


def _failed(check: Check | Part, error: BaseException, reason: str) -> Outcome:
    """The outcome, after a line in the log: once, not at every probe, for as long as the same thing goes wrong."""
    if check.logged != reason:
        check.logged = reason
        # Late: most processes never log a failure, and the standalone command starts without logging.
        from status.logs import log_failure

        quietly(log_failure, check.resource, check.name, reason, error)
    return Outcome.failed(reason)
