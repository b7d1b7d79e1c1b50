"""How messages come in and go out: one JSON object a frame, read once and written anew, never larger than the limit.

The gateway stands between two ends and passes whole messages, with their own ids, tokens and `_meta`: so requests of
both directions, cancellations, progress, and both eras of the protocol (a handshake and a session; requests that
carry all they need) look the same on either side, and fields that nobody here knows stay. The SDK's dispatchers would
give every request a new id and its progress another token; its stdio transports read lines without a limit and
give up unknown fields beside `params`. They are used for HTTP, where the session is theirs.

A frame is never passed on as the bytes that came: two readers may take a key that stands twice differently, so what was
judged is what is written.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Message = dict[str, Any]
MIB = 1024 * 1024
FRAME = 16 * MIB
"""Bytes of a frame, unless it is said otherwise."""
_WRITE = 30.0
"""Seconds that an end may take to read what it was sent before it counts as dead."""
_TURN = 1000
"""Empty lines after which everybody else has a turn."""
_GRACE = 0.8
"""Seconds for a server to end by itself, and again after it was asked to: clients give us two before they kill us."""


class FrameError(Exception):
    """What came is no message; the end may still send others."""


class TooLargeError(FrameError):
    """What came has more bytes than a frame may have; nobody knows what it was about."""


class EndError(Exception):
    """An end is gone: it takes nothing and sends nothing any more."""


class End(Protocol):
    """One of the two ends."""

    async def receive(self) -> Message | None:
        """The next message; None when it is over. Raises FrameError where what came is none."""

    async def send(self, message: Message, about: Any = None) -> None:
        """Send a message; `about` is the id of the request that it belongs to, where it answers none itself."""

    async def unanswered(self, request: Any) -> None:
        """Say that a request will have no answer."""

    async def close(self) -> None:
        """Be done with it."""


def decoded(frame: bytes | str) -> Message:
    """The message in a frame; raises FrameError."""
    try:
        found = json.loads(frame, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"a frame is no JSON: {error}"[:200]) from error
    if not isinstance(found, dict):
        kind = "a batch" if isinstance(found, list) else f"a {type(found).__name__}"
        raise FrameError(f"a frame is {kind}, one JSON-RPC message was expected")
    if found.get("jsonrpc") != "2.0":
        raise FrameError(f"a frame has jsonrpc {str(found.get('jsonrpc'))[:20]!r}, expected '2.0'")
    if type(found.get("method", "")) is not str or type(found.get("params") or {}) is not dict:
        raise FrameError("a frame's method is no text, or its params are no map")
    if "method" in found and "id" in found and type(found["id"]) not in (int, str):
        raise FrameError("a request's id is neither a text nor a whole number")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if number in (inf, -inf):
        raise ValueError(f"{text[:20]} is more than a JSON number can be here")
    return number


def encoded(message: Message) -> bytes:
    """A frame, without its newline."""
    return json.dumps(message, separators=(",", ":")).encode()


class Lines:
    """Frames of a line each, over pipes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: int = FRAME) -> None:
        """`limit`: bytes of a frame; the reader has the same."""
        self._reader = reader
        self._writer = writer
        self._limit = limit
        self._writing = asyncio.Lock()

    async def receive(self) -> Message | None:
        """The next message; empty lines are passed over."""
        empty = 0
        while True:
            try:
                line = await self._reader.readuntil(b"\n")
            except asyncio.IncompleteReadError:
                return None
            except asyncio.LimitOverrunError as error:
                await self._pass_over(error.consumed)
                raise TooLargeError(f"a frame has more than {self._limit:,} bytes") from error
            except OSError:
                return None
            if not line.isspace():
                return decoded(line)
            empty += 1
            if not empty % _TURN:
                await asyncio.sleep(0)

    async def send(self, message: Message, about: Any = None) -> None:
        """Send a message; raises EndError."""
        async with self._writing:
            try:
                self._writer.write(encoded(message) + b"\n")
                await asyncio.wait_for(self._writer.drain(), _WRITE)
            except TimeoutError as error:
                raise EndError(f"it has not read what it was sent for {_WRITE:.0f} s") from error
            except (OSError, RuntimeError) as error:
                raise EndError(f"it cannot be written to: {error}") from error

    async def unanswered(self, request: Any) -> None:
        """Nothing: a request without an answer leaves nothing open."""

    async def close(self) -> None:
        """Close the pipe that is written to."""
        self._writer.close()

    async def _pass_over(self, consumed: int) -> None:
        """Read the rest of a frame that is too large, and keep nothing of it."""
        while True:
            with contextlib.suppress(asyncio.IncompleteReadError):
                await self._reader.readexactly(consumed)
            try:
                await self._reader.readuntil(b"\n")
            except asyncio.LimitOverrunError as error:
                consumed = error.consumed
            except asyncio.IncompleteReadError:
                return
            else:
                return


async def own_lines(limit: int = FRAME) -> Lines:
    """This process's stdin and stdout; what else is printed goes to stderr from now on."""
    loop = asyncio.get_running_loop()
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    reader = asyncio.StreamReader(limit=limit)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, out)
    return Lines(reader, asyncio.StreamWriter(transport, protocol, None, loop), limit)


class Child(Lines):
    """A server that runs as a process of ours, in a process group of its own."""

    def __init__(self, process: asyncio.subprocess.Process, limit: int) -> None:
        assert process.stdout is not None
        assert process.stdin is not None
        super().__init__(process.stdout, process.stdin, limit)
        self.process = process

    @classmethod
    async def start(
        cls, command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: str | None = None, limit: int = FRAME
    ) -> Child:
        """Start a server. Its stderr is ours, its environment too where none is given; raises EndError."""
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=pipe, stdout=pipe, env=env, cwd=cwd, limit=limit, start_new_session=True
            )
        except OSError as error:
            raise EndError(f"'{command[0]}' cannot be started: {error.strerror or error}") from error
        return cls(process, limit)

    async def close(self) -> None:
        """Close its stdin, and end it where it does not end by itself."""
        self._writer.close()
        try:
            await self._end()
        finally:
            # A pipe that nobody reads any more is not seen to be over: it and what was read from it would stay.
            self.process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001

    async def _end(self) -> None:
        for step in (None, signal.SIGTERM, signal.SIGKILL):
            if step is not None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.process.pid, step)
            try:
                await asyncio.wait_for(self.process.wait(), _GRACE)
            except TimeoutError:
                continue
            return
