"""Connections that say nothing are closed: whoever opens many and waits keeps nobody else out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

HEAD_S = 15.0
"""How long a request's head may take, and a connection stand open before one."""
MOST = 600
"""Connections at once, streams among them; beyond them the answer is 503. Processes may have 1024 files, often."""


class Connection(H11Protocol):
    """uvicorn's own, which waits for the head of a request for as long as a client likes."""

    head_s = HEAD_S
    _timer: asyncio.TimerHandle | None = None

    @classmethod
    def telling(cls, told: Callable[[str, str, str], object]) -> type[Connection]:
        """Connections that tell what was no request: `too-slow` or `no-http`, why, and from which address."""

        class Telling(cls):  # type: ignore[valid-type, misc]
            def tell(self, kind: str, detail: str) -> None:
                told(kind, detail, self.client[0] if self.client else "")

        return Telling

    def tell(self, kind: str, detail: str) -> None:
        """What was no request; nobody asked to hear of it."""

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

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, or has too large a head."""
        self.tell("no-http", "what came is no HTTP request, or its head is too large")
        super().send_400_response(msg)

    def _look(self) -> None:
        waiting = self.cycle is None or self.cycle.response_complete
        if not waiting:
            self._forget()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.head_s, self._close)

    def _close(self) -> None:
        self._timer = None
        if self.cycle is None or self.cycle.response_complete:
            if self.conn.trailing_data[0]:
                self.tell("too-slow", "the head of a request did not come in time")
            self.transport.close()

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
