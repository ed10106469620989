"""The signal that a check changed its state, for mail, chat and pagers of one's own."""

from __future__ import annotations

from django.dispatch import Signal

#: Sent once when a check starts to fail or warn, and once when it recovers; per process. Receivers get
#:
#: sender: the class ``status.report.Result``.
#: resource, name: what changed.
#: old: its state before, ``"pass"``, ``"warn"`` or ``"fail"``; None where it was never asked before.
#: new: its state now.
#: result: the ``Result``; ``result.error`` and ``result.reasons`` hold no secrets.
#:
#: They run in a thread of their own, after the answer: a slow mail server delays no probe. What they raise is logged.
status_changed = Signal()
