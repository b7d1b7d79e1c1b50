"""Finds what is new among the approvals and sends it: one worker of a home at a time, outside of every agent."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, NamedTuple

from jackline.approvals import ApprovalError, Approvals
from jackline.notices.courier import Courier, alone
from jackline.notices.notice import told_of
from jackline.notices.outbox import Outbox
from jackline.notices.target import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from jackline.answers import Approvers
    from jackline.home import Home
    from jackline.notices.notice import Notice
    from jackline.notices.target import Target


class Round(NamedTuple):
    """What one round did, and what is left."""

    new: int = 0
    sent: int = 0
    failed: int = 0
    waiting: int = 0
    dead: int = 0
    busy: bool = False
    """Another process is at it: nothing was done here."""


class Sender(Courier):
    """Tells a bundle's targets of what happens to the approvals of a home."""

    def __init__(
        self,
        home: Home,
        targets: Sequence[Target],
        approvers: Approvers,
        *,
        environ: Mapping[str, str],
        capture: str = "redacted",
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`environ` has the secrets that targets refer to; `chance` gives numbers from 0 to 1.

        Raises NoticeError where a secret is missing or unfit, or apprise is wanted and not installed.
        """
        targets = [target for target in targets if not target.on.isdisjoint(KINDS)]
        super().__init__(targets, environ=environ, clock=clock, chance=chance)
        self._home, self._approvers, self._capture = home, approvers, capture
        self._over: set[str] = set()
        """Approvals that have ended and of which all is told."""

    def round(self) -> Round:
        """Take in what is new, then send what is due; a target that fails is left alone until the next round."""
        with alone(self._home.outbox) as free:
            if not free:
                return Round(busy=True)
            outbox = Outbox(self._home.outbox, self._clock())
            try:
                over: dict[str, bool] = {}
                new = outbox.take(self._new(outbox, over), self.targets.values())
                self._over = {name for name, told in over.items() if told}
                outbox.forget(set(over), self.targets.values())
                sent, failed = 0, 0
                for target in self.targets.values():
                    done, broken = self.drain(outbox, target)
                    sent, failed = sent + done, failed + broken
                return Round(new, sent, failed, *outbox.counts())
            finally:
                outbox.close()

    def _new(self, outbox: Outbox, over: dict[str, bool]) -> Iterator[Notice]:
        """What happened to every approval that is not known to be told of; one that cannot be read is passed over.

        `over` gets the name of each that there is, and whether all is told of it with this.
        """
        now = self._clock()
        for asked in Approvals(self._home.approvals).all():
            name = asked.folder.name
            over[name] = name in self._over
            if over[name]:
                continue
            try:
                ended = asked.closing()
                last = ended.at if ended is not None else asked.question.expires
                if last >= outbox.begun:
                    yield from told_of(asked, self._approvers, now, capture=self._capture)
            except ApprovalError:
                continue
            over[name] = ended is not None
