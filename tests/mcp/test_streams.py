"""An end that is a transport of the SDK's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import anyio
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from mcp_types import JSONRPCRequest

from jackline_mcp.streams import Streams


async def test_a_request_of_the_servers_does_not_answer_that_of_the_client_with_its_id() -> None:
    ended: list[int] = []
    asked: Any
    say, asked = anyio.create_memory_object_stream[Any](1)
    told, read = anyio.create_memory_object_stream[Any](3)

    async def end() -> None:
        ended.append(7)

    async with say, asked, told, read:
        streams = Streams(asked, told)
        request = JSONRPCRequest(jsonrpc="2.0", id=7, method="tools/call", params={})
        await say.send(SimpleNamespace(message=request, metadata=SimpleNamespace(on_request_unanswered=end)))
        assert await streams.receive() == {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {}}
        await streams.send({"jsonrpc": "2.0", "id": 7, "method": "roots/list"}, 7)
        await streams.unanswered(7)
        assert ended == [7]

        await say.send(SimpleNamespace(message=request, metadata=SimpleNamespace(on_request_unanswered=end)))
        await streams.receive()
        await streams.send({"jsonrpc": "2.0", "id": 7, "result": {}})
        await streams.unanswered(7)
        first: SessionMessage = await read.receive()

    assert ended == [7]
    assert first.metadata == ServerMessageMetadata(related_request_id=7)
