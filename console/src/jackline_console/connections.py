"""Connections that say nothing are closed: whoever opens many and waits keeps nobody else out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

HEAD_S = 15.0
"""How long a request's head may take, and a connection stand open before one."""
MOST = 600
"""Connections at once, streams among them; beyond them the answer is 503. Processes may have 1024 files, often."""


class Connection(H11Protocol):
    """uvicorn's own, which waits for the head of a request for as long as a client likes."""

    head_s = HEAD_S
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._look()

    def data_received(self, data: bytes) -> None:
        """Take a part of a request; what is still part of a head gets no more time by that."""
        super().data_received(data)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._forget()
        super().connection_lost(exc)

    def _look(self) -> None:
        waiting = self.cycle is None or self.cycle.response_complete
        if not waiting:
            self._forget()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.head_s, self._close)

    def _close(self) -> None:
        self._timer = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
