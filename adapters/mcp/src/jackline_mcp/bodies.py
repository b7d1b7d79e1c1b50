"""A request's body: in time, no longer than it may be, and one message."""

from __future__ import annotations

import asyncio
import re
from collections import Counter, deque
from typing import TYPE_CHECKING

from pydantic_core import from_json

from jackline_mcp.callers import RefusedError
from jackline_mcp.frames import FrameError, decoded

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Message, Receive

NO_SESSION = "Session not found"
SESSION = "mcp-session-id"
_ESCAPED = re.compile(rb"\\u[dD][89a-fA-F]")
_NUMBER = re.compile(rb"NaN|Infinity|[0-9][eE]\+?[0-9]|(?<![0-9])[0-9]{290}")
"""What may be no JSON number, or more than one can be: then the body is looked at closely."""
_FRAMES = 8
"""How many of the largest bodies may be on their way from one caller."""
_LONG = 256 * 1024
"""Bytes from which on a body is looked at in a thread: others have their turn meanwhile."""


class Room:
    """What each caller's bodies take while they come: so many at once and so many bytes, and no more."""

    def __init__(self, bodies: int, most: int) -> None:
        """`bodies`: of one caller at once; `most`: bytes of one body."""
        self._most_bodies, self.most = bodies, most
        self._bodies: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    async def read(self, agent: str, receive: Receive) -> bytes:
        """A body; raises RefusedError where it or all of them together are too much."""
        parts: list[bytes] = []
        size = 0
        self._bodies[agent] += 1
        try:
            while True:
                if self._bodies[agent] > self._most_bodies or self._bytes[agent] > _FRAMES * self.most:
                    raise RefusedError(503, "too-many", "too much of this caller's is on its way at once")
                message = await receive()
                if message["type"] != "http.request":
                    raise ConnectionError("the client has left")
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                self._bytes[agent] += len(parts[-1])
                if size > self.most:
                    raise _too_large(self.most)
                if not message.get("more_body", False):
                    return b"".join(parts)
        finally:
            self._bodies[agent] -= 1
            self._bytes[agent] -= size
            if not self._bodies[agent]:
                del self._bodies[agent], self._bytes[agent]


async def body_of(request: Request, agent: str, room: Room, seconds: float) -> bytes:
    """The body of an agent's POST. Raises RefusedError; ConnectionError where it ends early."""
    try:
        _require_kind(request, room.most)
        async with asyncio.timeout(seconds):
            found = await room.read(agent, request.receive)
        if len(found) > _LONG:
            await asyncio.to_thread(_require_text, found)
        else:
            _require_text(found)
    except TimeoutError:
        raise RefusedError(408, "too-slow", f"the body did not come within {seconds:g} s", agent=agent) from None
    except RefusedError as error:
        error.agent = agent
        raise
    return found


def _require_kind(request: Request, most: int) -> None:
    """What a head says of its body."""
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared[:20]) > most:
        raise _too_large(most)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise RefusedError(415, "content-type", "the body's Content-Type is not application/json")


def _require_text(body: bytes) -> None:
    """Half characters (lone surrogates) are no text: what has one could not be written to anybody.

    And a number that is none (`NaN`, `1e999`) would be judged as one thing and written as another.
    """
    if _ESCAPED.search(body):
        try:
            from_json(body)
        except ValueError as error:
            raise RefusedError(400, "no-message", "the body is no JSON, or has half a character in it") from error
    if _NUMBER.search(body):
        try:
            decoded(body)
        except FrameError as error:
            raise RefusedError(400, "no-message", f"the body is not one JSON-RPC message: {error}") from error


def require_first(request: Request, body: bytes, agent: str) -> None:
    """Only a handshake opens a session: nothing is started for anything else. Raises RefusedError."""
    try:
        first = decoded(body) if request.method == "POST" else {}
    except FrameError as error:
        raise RefusedError(400, "no-message", "the body is not one JSON-RPC message", agent=agent) from error
    if first.get("method") != "initialize" or "id" not in first:
        raise RefusedError(400, "unknown-session", f"no session is named: {SESSION} is missing", agent=agent)


def again(body: bytes, receive: Receive) -> Receive:
    """A body that was read, and what comes after it."""
    kept: deque[Message] = deque([{"type": "http.request", "body": body, "more_body": False}])

    async def received() -> Message:
        return kept.popleft() if kept else await receive()

    return received


def _too_large(most: int) -> RefusedError:
    return RefusedError(413, "too-large", f"the body has more than {most:,} bytes")
