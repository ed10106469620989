"""The signal that a check changed its state, for mail, chat and pagers."""

from __future__ import annotations

from django.dispatch import Signal

#: Sent when a check changes its state, for one check at most once a minute: in each process that sees it, or with a
#: store (``STATUS_STORE``) in one of them. Receivers get
#:
#: sender: the class ``status.report.Result``.
#: resource, name: the check.
#: old: the state told before, ``"pass"``, ``"warn"`` or ``"fail"``; None where the check was never seen before.
#: new: its state now.
#: result: the ``Result``; ``result.error`` and ``result.reasons`` hold no secrets.
#:
#: They run in a thread of their own, after the answer: a slow mail server delays no probe. What they raise is logged.
status_changed = Signal()
