"""What of a connection the application is told: whose certificate it has; and how long it may say nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

CERTIFICATE = "jackline.certificate"
"""Where in the `state` of a request the client's certificate is, as DER; no header can put anything there."""
HEAD_S = 15.0
"""How long a request's head may take, and a connection stand open before one."""


class Connection(H11Protocol):
    """uvicorn's own, which waits for the head of a request for as long as a client likes."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take note of who it is, and begin to wait for a head."""
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        der = tls.getpeercert(binary_form=True) if tls is not None else None
        if der:
            self.app_state = {**self.app_state, CERTIFICATE: der}
        self._look()

    def data_received(self, data: bytes) -> None:
        """Take a part of a request; what is still part of a head gets no more time by that."""
        super().data_received(data)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._forget()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP; it is on record too."""
        told = getattr(self.config.app, "unreadable", None)
        if told is not None:
            told(self.client[0] if self.client else "")
        super().send_400_response(msg)

    def _look(self) -> None:
        if not self._waiting():
            self._forget()
        elif self._timer is None:
            self._timer = self.loop.call_later(HEAD_S, self._close)

    def _waiting(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _close(self) -> None:
        self._timer = None
        if self._waiting():
            self.transport.close()

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
