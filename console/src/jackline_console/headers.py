"""What every request must have and every answer carries: a known `Host`, a bounded body, headers against others."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING

from jackline.journal.line import LINE_LIMIT
from jackline_console.problems import ProblemError, rendered

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from jackline_console.settings import Settings

MOST_BYTES = 2 * 1024 * 1024
"""Of a request's body."""
_LONGER = {"/v1/logs": LINE_LIMIT + 1024 * 1024}
"""Where more is taken: a line of another home comes as one record, however long it is."""
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_ALWAYS = (
    (b"content-security-policy", _CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_log = logging.getLogger(__name__)
_PORT = re.compile(r":[0-9]{1,5}$")


class _RefusedError(Exception):
    """A body is not read any further."""


class Headers:
    """Wraps the application, beneath everything else."""

    def __init__(
        self, app: ASGIApp, settings: Settings, refused: Callable[[ProblemError, Scope], object] | None = None
    ) -> None:
        """`refused` is told what was not let through to `app`."""
        self._app = app
        self._tell_refused = refused
        self._hosts = settings.hosts
        self._secure = settings.secure
        self._body_s = settings.body_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = _LONGER.get(scope["path"], MOST_BYTES)
        exchange = _Exchange(receive, send, self._told(scope), self._body_s, most)
        exchange.refused = self._refused(dict(scope["headers"]), exchange.most)
        try:
            if exchange.refused is None:
                await self._app(scope, exchange.receive, exchange.send)
        except _RefusedError:
            pass
        except Exception:
            _log.exception("%s %s was not answered", scope["method"], scope["path"][:200])
            if exchange.started:
                raise
            exchange.refused = _internal()
        if exchange.refused is not None and self._tell_refused is not None:
            self._tell_refused(exchange.refused, scope)
        if exchange.refused is not None and not exchange.started:
            await rendered(exchange.refused)(scope, receive, exchange.tell)

    def _refused(self, headers: dict[bytes, bytes], most: int) -> ProblemError | None:
        """Why a request is not looked at, by its headers alone."""
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if _PORT.sub("", host) not in self._hosts:
            return _unknown_host(host)
        length = headers.get(b"content-length", b"0")
        return None if length.isdigit() and int(length) <= most else _too_large(most)

    def _told(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        headers = list(_ALWAYS)
        if scope["path"].startswith("/api/") or scope["path"] in ("/metrics", "/login"):
            headers.append((b"cache-control", b"no-store"))
        if self._secure:
            headers.append((b"strict-transport-security", b"max-age=31536000"))
        return headers


class _Exchange:
    """A request's body, no longer than it may be and in time; and its answer, with what every answer carries."""

    def __init__(
        self, receive: Receive, send: Send, told: list[tuple[bytes, bytes]], patience_s: float, most: int
    ) -> None:
        self._receive, self._send, self._told = receive, send, told
        self._until = asyncio.get_running_loop().time() + patience_s
        self._read, self.most = 0, most
        self._whole = False
        self.started = False
        self.refused: ProblemError | None = None
        """Why it is not read any further."""

    async def receive(self) -> Message:
        """The next message. Raises _RefusedError."""
        if self._whole:
            return await self._receive()  # whether the client is still there: that may take as long as it likes
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            self.refused = _too_slow()
            raise _RefusedError from None
        if message["type"] == "http.request":
            self._whole = not message.get("more_body", False)
            self._read += len(message.get("body", b""))
            if self._read > self.most:
                self.refused = _too_large(self.most)
                raise _RefusedError
        return message

    async def send(self, message: Message) -> None:
        """Send what the application answers, but not what it says of a body that was kept from it."""
        if self.refused is None or self.started:
            await self.tell(message)

    async def tell(self, message: Message) -> None:
        """Send a part of the answer."""
        if message["type"] == "http.response.start":
            self.started = True
            message = {**message, "headers": [*message.get("headers", ()), *self._told]}
        await self._send(message)


def _unknown_host(host: str) -> ProblemError:
    return ProblemError(
        400,
        "host",
        "this server is not called by that name",
        what="Host",
        value=host,
        expected="the name or address that it was started with",
        hint="start it with --name NAME to serve another one",
    )


def _too_slow() -> ProblemError:
    detail = "the body did not come in time"
    return ProblemError(408, "too-slow", detail, what="body", headers={"Connection": "close"})


def _internal() -> ProblemError:
    return ProblemError(500, "internal", "this could not be answered", hint="the server's log says why")


def _too_large(most: int) -> ProblemError:
    return ProblemError(413, "too-large", "the body is too large", what="body", expected=f"at most {most} bytes")
