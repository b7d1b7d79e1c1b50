"""Carries what an outbox holds to targets: each in its way, again and again with growing pauses."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from jackline.locks import only_one
from jackline.notices import chat, webhook
from jackline.notices.target import NoticeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from jackline.notices.message import Delivery, Message
    from jackline.notices.outbox import Outbox
    from jackline.notices.target import Target

_FIRST_S = 5.0
_LONGEST_S = 3600.0


class Courier:
    """Knows the targets' secrets, and how each is told."""

    def __init__(
        self,
        targets: Sequence[Target],
        *,
        environ: Mapping[str, str],
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`environ` has the secrets that targets refer to; `chance` gives numbers from 0 to 1.

        Raises NoticeError where a secret is missing or unfit, or apprise is wanted and not installed.
        """
        self._clock, self._chance = clock, chance
        self.targets = {target.name: target.resolved(environ) for target in targets}
        self._secrets = {name: secret_of(target) for name, target in self.targets.items() if target.webhook}
        for name, target in self.targets.items():
            if target.apprise:
                chat.required(name)

    def drain(self, outbox: Outbox, target: Target) -> tuple[int, int]:
        """Send what is due to a target, up to the first that it does not take; how many it took, and whether not."""
        sent = 0
        while (delivery := outbox.due(target.name, self._clock())) is not None:
            try:
                self.deliver(delivery.notice, target)
            except NoticeError as error:
                outbox.failed(delivery, str(error), self.due(delivery, target), self._clock())
                return sent, 1
            outbox.sent(delivery, self._clock())
            sent += 1
        return sent, 0

    def deliver(self, message: Message, target: Target) -> None:
        """Tell one target of one thing. Raises NoticeError, which never says a secret."""
        tell(target, message, self._secrets.get(target.name), self._clock())

    def due(self, delivery: Delivery, target: Target) -> float | None:
        """When to try again: the pauses double, each by a part that chance shortens; None after the last try."""
        tried = delivery.attempts + 1
        if tried >= target.attempts:
            return None
        pause = min(_LONGEST_S, _FIRST_S * 2.0 ** min(tried - 1, 20))
        return self._clock() + pause * (0.5 + 0.5 * self._chance())


def tell(target: Target, message: Message, secret: webhook.Secret | None, now: float) -> None:
    """Tell a target, whose secrets are resolved, by apprise or a signed webhook. Raises NoticeError."""
    if target.apprise:
        chat.send(target.apprise, message, target.name)
        return
    assert secret is not None, "a webhook has one"
    body = message.body
    webhook.post(target.webhook, body, webhook.headers(secret, message.id, int(now), body))


def secret_of(target: Target) -> webhook.Secret:
    """What signs for a target. Raises NoticeError where it is unfit."""
    try:
        return webhook.Secret(target.secret)
    except NoticeError as error:
        raise NoticeError(f"notify '{target.name}': {error}") from None


def alone(outbox: Path) -> AbstractContextManager[bool]:
    """The lock of an outbox: whether nobody else sends what it holds. Raises NoticeError."""
    path = outbox.with_suffix(".lock")

    def refused(error: OSError) -> NoticeError:
        return NoticeError(f"{path} cannot be opened: {error.strerror}; mend its rights")

    return only_one(path, refused)
