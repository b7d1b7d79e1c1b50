"""An end that is a transport of the SDK's: streamable HTTP, towards clients and towards servers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import anyio
from mcp.shared.inbound import (
    MCP_METHOD_HEADER,
    MCP_NAME_HEADER,
    MCP_PROTOCOL_VERSION_HEADER,
    encode_header_value,
)
from mcp.shared.message import ClientMessageMetadata, ServerMessageMetadata, SessionMessage
from mcp_types import jsonrpc_message_adapter

from jackline_mcp.frames import EndError, FrameError
from jackline_mcp.translate import VERSION

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp.shared.message import MessageMetadata

    from jackline_mcp.frames import Message

_OVER = (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError)
_NAMES = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""What of its params a request since 2026-07-28 says in a header too."""


def _without_content(record: logging.LogRecord) -> bool:
    """What others said is no part of the gateway's own log, and who said it is told what was wrong with it."""
    record.exc_info = record.exc_text = None
    return True


for _logger in ("mcp.client.streamable_http", "mcp.server.streamable_http"):
    logging.getLogger(_logger).addFilter(_without_content)


class Streams:
    """Messages over a pair of the SDK's streams. Its models keep what stands in params, results and error data."""

    def __init__(self, read: Any, write: Any) -> None:
        self._read = read
        self._write = write
        self._unanswered: dict[Any, Callable[[], Awaitable[None]]] = {}

    async def receive(self) -> Message | None:
        """The next message."""
        try:
            found = await self._read.receive()
        except _OVER:
            return None
        if isinstance(found, Exception):
            raise FrameError(f"what came is no message: {found}"[:200])
        self._note(found)
        message: Message = found.message.model_dump(by_alias=True, exclude_unset=True)
        return message

    async def send(self, message: Message, about: Any = None) -> None:
        """Send a message; raises EndError."""
        if "method" not in message:  # a request of the server's may have the same id
            self._unanswered.pop(message.get("id"), None)
        try:
            made = jsonrpc_message_adapter.validate_python(message, by_name=False)
            await self._write.send(SessionMessage(made, self._metadata(message, about)))
        except _OVER as error:
            raise EndError("it is closed") from error
        except ValueError as error:
            raise EndError(f"it cannot be sent what the other has said: {error}"[:200]) from error

    async def unanswered(self, request: Any) -> None:
        """Let the transport end the response of a request that has no answer."""
        end = self._unanswered.pop(request, None)
        if end is not None:
            await end()

    async def close(self) -> None:
        """Close what is written to."""
        await self._write.aclose()

    def _note(self, found: Any) -> None:
        end = getattr(found.metadata, "on_request_unanswered", None)
        if end is not None:
            self._unanswered[found.message.id] = end

    def _metadata(self, message: Message, about: Any) -> MessageMetadata:
        return None if about is None else ServerMessageMetadata(related_request_id=about)


class Upstream(Streams):
    """The end of a server behind an address: what a client says in headers is said again."""

    def __init__(self, read: Any, write: Any) -> None:
        super().__init__(read, write)
        self._version = ""
        self._initialize: Any = None

    def _note(self, found: Any) -> None:
        result = getattr(found.message, "result", None)
        if result is not None and self._initialize is not None and found.message.id == self._initialize:
            self._version, self._initialize = str(result.get("protocolVersion", "")), None

    def _metadata(self, message: Message, about: Any) -> MessageMetadata:
        params = message.get("params") or {}
        method = message.get("method", "")
        if method == "initialize":
            self._initialize = message.get("id")
            return None
        meta = params.get("_meta")
        modern = meta.get(VERSION) if isinstance(meta, dict) else None
        headers = {MCP_PROTOCOL_VERSION_HEADER: str(modern or self._version)} if modern or self._version else {}
        if modern:
            headers[MCP_METHOD_HEADER] = method
            if method in _NAMES:
                headers[MCP_NAME_HEADER] = encode_header_value(str(params.get(_NAMES[method], "")))
        return ClientMessageMetadata(headers=headers)
