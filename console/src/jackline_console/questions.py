"""What waits for people, as the approvals' folder tells it: read again at most once a second."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from jackline.approvals import Approvals
from jackline.cli.live import pending

if TYPE_CHECKING:
    from jackline.answers import Approver
    from jackline.approvals import Asked, Standing
    from jackline.cli.live import Pending
    from jackline.home import Home
    from jackline_console.bundles import Bundles

_FRESH_S = 0.5
_MOST = 10_000
"""Refused attempts that are remembered."""


class Questions:
    """The approvals of a home. Thread-safe."""

    def __init__(self, home: Home, bundles: Bundles) -> None:
        self.approvals = Approvals(home.approvals)
        self._bundles = bundles
        self._lock = threading.Lock()
        self._pending: tuple[Pending, ...] = ()
        self._read = -_FRESH_S
        self._refused: OrderedDict[tuple[str, str], None] = OrderedDict()

    def pending(self) -> tuple[Pending, ...]:
        """What waits, the oldest first; as it was half a second ago at most."""
        with self._lock:
            now = time.monotonic()
            if now - self._read >= _FRESH_S:
                self._pending = pending(self.approvals, time.time())
                self._read = now
            return self._pending

    def approvers(self, asked: Asked) -> dict[str, Approver]:
        """Who may answer a question, by the bundle as it is now; never the one for whom the agent acts."""
        question = asked.question
        return self._bundles.approvers().named(question.to, user=question.user)

    def standing(self, asked: Asked, now: float) -> Standing:
        """How a question stands by the answers that count."""
        return asked.standing(self.approvers(asked), asked.question.needed, now)

    def first_refused(self, approval: str, who: str) -> bool:
        """Whether a user's attempt at a question is the first that is refused: one is on record, and no flood."""
        with self._lock:
            first = (approval, who) not in self._refused
            self._refused[approval, who] = None
            while len(self._refused) > _MOST:
                self._refused.popitem(last=False)
            return first
