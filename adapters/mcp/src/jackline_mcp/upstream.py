"""Connections to the servers behind a gateway: each is one client's alone, and so is what goes wrong with it."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import httpx2
from mcp.client.streamable_http import streamable_http_client

from jackline_mcp.config import filled
from jackline_mcp.frames import Child
from jackline_mcp.streams import Upstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from jackline_mcp.config import ServerEntry
    from jackline_mcp.frames import End

_PASSED_ON = ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "USER")
_CONNECT = 30.0
_READ = 900.0
"""Seconds without a byte; a stream that waits is kept alive by its server."""


class Bounded(httpx2.AsyncByteStream):
    """The body of an answer: not compressed, and where it is one message, not larger than a frame may be.

    The SDK reads a JSON answer whole; what is raised here is the error of the one request that it answers. Of a stream
    of events it bounds each by itself.
    """

    def __init__(self, response: Any, limit: int) -> None:
        self._stream = response.stream
        self._limit = limit
        self._events = response.headers.get("content-type", "").lower().startswith("text/event-stream")
        self._encoding = response.headers.get("content-encoding", "identity").lower()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._encoding not in ("", "identity"):
            raise httpx2.StreamError(f"an answer is compressed ({self._encoding[:20]}), which was not asked for")
        read = 0
        async for part in self._stream:
            read += len(part)
            if read > self._limit and not self._events:
                raise httpx2.StreamError(f"an answer has more than {self._limit:,} bytes")
            yield part

    async def aclose(self) -> None:
        """Close what it is read from."""
        await self._stream.aclose()


@contextlib.asynccontextmanager
async def connected(server: ServerEntry, limit: int) -> AsyncIterator[End]:
    """A connection to a server, as long as the context lasts; raises EndError where there is none."""
    if server.command:
        known = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        child = await Child.start(server.command, env={**known, **filled(server.env)}, cwd=server.cwd, limit=limit)
        try:
            yield child
        finally:
            await child.close()
        return

    async def bounded(response: Any) -> None:
        response.stream = Bounded(response, limit)

    timeout = httpx2.Timeout(_CONNECT, read=_READ)
    hooks = {"response": [bounded]}
    headers = {**filled(server.headers), "Accept-Encoding": "identity"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=timeout, event_hooks=hooks) as client,
        streamable_http_client(server.url, http_client=client, max_sse_event_size=limit) as (read, write),
    ):
        yield Upstream(read, write)
