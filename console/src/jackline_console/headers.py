"""What every request must have and every answer carries: a known `Host`, a bounded body, headers against others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jackline_console.problems import ProblemError, rendered

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from jackline_console.settings import Settings

MOST_BYTES = 2 * 1024 * 1024
"""Of a request's body."""
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
_PORT = re.compile(r":[0-9]{1,5}$")


class _TooLargeError(Exception):
    """A body goes on beyond what is read."""


class Headers:
    """Wraps the application, beneath everything else."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._hosts = settings.hosts
        self._secure = settings.secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message = {**message, "headers": self._told(scope, message)}
            await send(message)

        refused = self._refused(dict(scope["headers"]))
        if refused is not None:
            await _refuse(refused, scope, receive, guarded)
            return
        read = 0

        async def bounded() -> Message:
            nonlocal read
            message = await receive()
            if message["type"] == "http.request":
                read += len(message.get("body", b""))
                if read > MOST_BYTES:
                    raise _TooLargeError
            return message

        try:
            await self._app(scope, bounded, guarded)
        except _TooLargeError:
            if not started:
                await _refuse(_too_large(), scope, receive, guarded)

    def _refused(self, headers: dict[bytes, bytes]) -> ProblemError | None:
        """Why a request is not looked at, by its headers alone."""
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if _PORT.sub("", host) not in self._hosts:
            return _unknown_host(host)
        length = headers.get(b"content-length", b"0")
        return None if length.isdigit() and int(length) <= MOST_BYTES else _too_large()

    def _told(self, scope: Scope, message: Message) -> list[tuple[bytes, bytes]]:
        headers = [*message.get("headers", ()), *_ALWAYS]
        if scope["path"].startswith("/api/") or scope["path"] in ("/metrics", "/login"):
            headers.append((b"cache-control", b"no-store"))
        if self._secure:
            headers.append((b"strict-transport-security", b"max-age=31536000"))
        return headers


async def _refuse(error: ProblemError, scope: Scope, receive: Receive, send: Send) -> None:
    await rendered(error)(scope, receive, send)


def _unknown_host(host: str) -> ProblemError:
    return ProblemError(
        400,
        "host",
        "this console is not called by that name",
        what="Host",
        value=host,
        expected="the name or address that it was started with",
        hint="start it with --name NAME to serve another one",
    )


def _too_large() -> ProblemError:
    return ProblemError(413, "too-large", "the body is too large", what="body", expected=f"at most {MOST_BYTES} bytes")
