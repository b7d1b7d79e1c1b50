"""Tells one channel of alerts; what is wrong with it, a missing secret among it, is an error of this channel alone."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import msgspec

from jackline.notices import chat, webhook
from jackline.notices.courier import Courier, secret_of, tell
from jackline.notices.target import NoticeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jackline.notices.target import Target
    from jackline_console.alerts.delivery_message import AlertNotice

_PATH = "/api/v2/alerts"


class AlertCourier(Courier):
    """The courier of every channel: secrets are looked up when something is sent."""

    def __init__(
        self, environ: Mapping[str, str], clock: Callable[[], float], chance: Callable[[], float] | None = None
    ) -> None:
        more = {"chance": chance} if chance is not None else {}
        super().__init__((), environ=environ, clock=clock, **more)
        self._environ = environ

    def prepare(self, target: Target) -> None:
        """Load what telling a channel takes: the first alert does not wait for it. What is wrong is told with that."""
        with contextlib.suppress(Exception):
            ready = target.resolved(self._environ)
            if ready.apprise:
                chat.prepared(ready.apprise, ready.name)

    def deliver(self, message: Any, target: Target) -> None:
        """Tell one channel of one edge. Raises NoticeError, whatever went wrong, which never says a secret."""
        try:
            ready = target.resolved(self._environ)
            if ready.alertmanager:
                post(ready, [message], self._clock())
            else:
                tell(ready, message, secret_of(ready) if ready.webhook else None, self._clock())
        except NoticeError:
            raise
        except Exception as error:
            raise NoticeError(f"it cannot be told: {type(error).__name__}") from error

    def repeat(self, messages: Sequence[AlertNotice], target: Target) -> None:
        """Tell an Alertmanager again what fires: it forgets what it is not told again. Raises NoticeError."""
        post(target.resolved(self._environ), messages, self._clock())


def post(target: Target, messages: Sequence[AlertNotice], now: float) -> None:
    """Post alerts to an Alertmanager. Raises NoticeError."""
    body = msgspec.json.encode([message.posted(now) for message in messages])
    told = {"content-type": "application/json", "user-agent": "jackline"}
    if target.secret:
        told["authorization"] = f"Bearer {target.secret}"
    webhook.post(target.alertmanager.rstrip("/") + _PATH, body, told)
