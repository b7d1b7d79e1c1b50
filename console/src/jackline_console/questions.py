"""What waits for people, as the approvals' folder tells it: read again at most once a second."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from jackline.approvals import ApprovalError, Approvals
from jackline.person import standing

if TYPE_CHECKING:
    from jackline.answers import Approver
    from jackline.approvals import Asked, Standing
    from jackline.home import Home
    from jackline_console.bundles import Bundles

_FRESH_S = 0.5


class Pending(NamedTuple):
    """A question that nobody has ended yet."""

    approval: str
    session: str
    asked: float


class Questions:
    """The approvals of a home. Thread-safe."""

    def __init__(self, home: Home, bundles: Bundles) -> None:
        self.approvals = Approvals(home.approvals)
        self._bundles = bundles
        self._lock = threading.Lock()
        self._pending: tuple[Pending, ...] = ()
        self._read = -_FRESH_S

    def pending(self) -> tuple[Pending, ...]:
        """What waits, the oldest first; as it was half a second ago at most."""
        with self._lock:
            now = time.monotonic()
            if now - self._read >= _FRESH_S:
                self._pending = tuple(sorted(self._open(), key=lambda one: one.asked))
                self._read = now
            return self._pending

    def approvers(self, asked: Asked) -> dict[str, Approver]:
        """Who may answer a question, by the bundle as it is now; never the one for whom the agent acts."""
        question = asked.question
        return self._bundles.approvers().named(question.to, user=question.user)

    def standing(self, asked: Asked, now: float) -> Standing:
        """How a question stands by the answers that count."""
        return asked.standing(self.approvers(asked), asked.question.needed, now)

    def _open(self) -> list[Pending]:
        now, found = time.time(), []
        for asked in self.approvals.all():
            try:
                question = asked.question
                if standing(asked, now) == "pending":
                    found.append(Pending(question.id, question.session, question.asked))
            except ApprovalError:
                continue
        return found
