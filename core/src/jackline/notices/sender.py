"""Finds what is new among the approvals and sends it: one worker of a home at a time, outside of every agent."""

from __future__ import annotations

import fcntl
import os
import random
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from jackline.approvals import ApprovalError, Approvals
from jackline.notices import chat, webhook
from jackline.notices.notice import told_of
from jackline.notices.outbox import Outbox
from jackline.notices.target import NoticeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from jackline.answers import Approvers
    from jackline.home import Home
    from jackline.notices.notice import Notice
    from jackline.notices.outbox import Delivery
    from jackline.notices.target import Target

_FIRST_S = 5.0
_LONGEST_S = 3600.0


class Round(NamedTuple):
    """What one round did, and what is left."""

    new: int = 0
    sent: int = 0
    failed: int = 0
    waiting: int = 0
    dead: int = 0
    busy: bool = False
    """Another process is at it: nothing was done here."""


class Sender:
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
        self._home, self._approvers, self._capture = home, approvers, capture
        self._clock, self._chance = clock, chance
        self.targets = {target.name: target.resolved(environ) for target in targets}
        self._secrets = {name: _secret(target) for name, target in self.targets.items() if target.webhook}
        for name, target in self.targets.items():
            if target.apprise:
                chat.required(name)
        self._over: set[str] = set()
        """Approvals that have ended and of which all is told."""

    def round(self) -> Round:
        """Take in what is new, then send what is due; a target that fails is left alone until the next round."""
        with _only_one(self._home) as alone:
            if not alone:
                return Round(busy=True)
            outbox = Outbox(self._home.outbox, self._clock())
            try:
                over: dict[str, bool] = {}
                new = outbox.take(self._new(outbox, over), self.targets.values())
                self._over = {name for name, told in over.items() if told}
                outbox.forget(set(over), self.targets.values())
                sent, failed = 0, 0
                for target in self.targets.values():
                    done, broken = self._send(outbox, target)
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

    def _send(self, outbox: Outbox, target: Target) -> tuple[int, int]:
        sent = 0
        while (delivery := outbox.due(target.name, self._clock())) is not None:
            try:
                self._deliver(delivery, target)
            except NoticeError as error:
                outbox.failed(delivery, str(error), self._due(delivery, target))
                return sent, 1
            outbox.sent(delivery)
            sent += 1
        return sent, 0

    def _deliver(self, delivery: Delivery, target: Target) -> None:
        notice = delivery.notice
        if target.apprise:
            chat.send(target.apprise, notice, target.name)
            return
        body = msgspec.json.encode({"type": f"approval.{notice.kind}", **msgspec.to_builtins(notice)})
        told = webhook.headers(self._secrets[target.name], notice.id, int(self._clock()), body)
        webhook.post(target.webhook, body, told)

    def _due(self, delivery: Delivery, target: Target) -> float | None:
        """When to try again: the pauses double, each by a part that chance shortens; None after the last try."""
        tried = delivery.attempts + 1
        if tried >= target.attempts:
            return None
        pause = min(_LONGEST_S, _FIRST_S * 2.0 ** min(tried - 1, 20))
        return self._clock() + pause * (0.5 + 0.5 * self._chance())


def _secret(target: Target) -> webhook.Secret:
    try:
        return webhook.Secret(target.secret)
    except NoticeError as error:
        raise NoticeError(f"notify '{target.name}': {error}") from None


@contextmanager
def _only_one(home: Home) -> Iterator[bool]:
    """Hold the lock of this home's outbox, or say that another holds it; the system frees it when its holder dies."""
    path = home.outbox.with_suffix(".lock")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise NoticeError(f"{path} cannot be opened: {error.strerror}; mend its rights") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
