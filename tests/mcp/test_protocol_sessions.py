"""Sessions over HTTP end when they are idle, deleted or too many; what was open then is on record with its outcome."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from mcp import MCPError
from mcp_harness import ERAS
from test_serve import TOKENS, Serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mcp import Client

ACCEPT = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {TOKENS['support']}"}
INITIALIZE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
HANGING = """\
import asyncio, sys
from mcp import Client
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

async def main():
    async with create_mcp_http_client(headers={"Authorization": "Bearer " + sys.argv[2]}) as http:
        async with Client(streamable_http_client(sys.argv[1], http_client=http), mode=sys.argv[3]) as client:
            await client.call_tool("hangs", {})

asyncio.run(main())
"""
"""A client, in a process that is to be killed."""


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    return Serve(tmp_path)


async def until(seen: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not seen():  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.05)


def message(method: str, params: dict[str, Any], number: int = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


async def opened(http: httpx2.AsyncClient, url: str) -> dict[str, str]:
    """The headers of a session that was opened."""
    answer = await http.post(url, json=message("initialize", INITIALIZE), headers=ACCEPT)
    return {**ACCEPT, "Mcp-Session-Id": answer.headers["mcp-session-id"]}


async def room(http: httpx2.AsyncClient, url: str) -> None:
    """Wait until a further session can be opened, so one has ended; none that is there is touched."""
    async with asyncio.timeout(60):
        while (await http.post(url, json=message("initialize", INITIALIZE), headers=ACCEPT)).status_code != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_a_session_that_nobody_uses_ends_with_its_server(serve: Serve) -> None:
    serve.limits = "idle: 1, sessions_per_caller: 1"
    with serve.running():
        async with httpx2.AsyncClient(timeout=60) as http:
            url = f"{serve.url}accounts"
            session = await opened(http, url)
            await room(http, url)
            after = await http.post(url, json=message("tools/list", {}, 2), headers=session)

    assert after.status_code == 404
    assert after.json()["error"]["message"] == "Session not found"


async def test_a_session_that_is_used_or_listened_to_does_not_end(serve: Serve) -> None:
    serve.limits = "idle: 2, sessions_per_caller: 2"
    with serve.running():
        async with httpx2.AsyncClient(timeout=60) as http:
            url = f"{serve.url}accounts"
            used = await opened(http, url)
            call = message("tools/call", {"name": "hangs", "arguments": {}}, 2)
            hanging = asyncio.create_task(http.post(url, json=call, headers=used))
            await serve.lines(1)
            idle = await opened(http, url)
            await room(http, url)
            gone = await http.post(url, json=message("ping", {}, 3), headers=idle)
            there = await http.post(url, json=message("ping", {}, 3), headers=used)
            await http.delete(url, headers=used)
            await hanging

    assert (gone.status_code, there.status_code) == (404, 200)


async def test_a_session_that_is_deleted_answers_what_is_open(serve: Serve) -> None:
    with serve.running():
        async with httpx2.AsyncClient(timeout=60) as http:
            url = f"{serve.url}accounts"
            session = await opened(http, url)
            call = message("tools/call", {"name": "hangs", "arguments": {}}, 2)
            hanging = asyncio.create_task(http.post(url, json=call, headers=session))
            await serve.lines(1)
            deleted = await http.delete(url, headers=session)
            told = await hanging
            await until(lambda: serve.on_record("failed"))
            after = await http.post(url, json=message("ping", {}, 3), headers=session)

    assert (deleted.status_code, told.status_code, after.status_code) == (200, 200, 404)
    assert len(serve.on_record("failed")) == 1
    assert not serve.on_record("completed")


async def test_no_more_sessions_are_opened_than_a_caller_may_have(serve: Serve) -> None:
    serve.limits = "sessions: 3, sessions_per_caller: 2"
    with serve.running():
        async with httpx2.AsyncClient(timeout=60) as http:
            url = f"{serve.url}accounts"
            first, _ = await opened(http, url), await opened(http, url)
            body = message("initialize", INITIALIZE)
            third = await http.post(url, json=body, headers=ACCEPT)
            sales = {**ACCEPT, "Authorization": f"Bearer {TOKENS['sales']}"}
            other = await http.post(url, json=body, headers=sales)
            fourth = await http.post(url, json=body, headers=sales)
            await http.delete(url, headers=first)
            await room(http, url)

    assert [each.status_code for each in (third, other, fourth)] == [503, 200, 503]
    assert third.json()["error"]["message"] == "too many sessions are open"


async def too_many(client: Client) -> bool:
    try:
        return bool((await client.call_tool("find", {"query": "x"})).is_error)
    except MCPError as error:
        return str(error) == "too many requests are open"


async def test_no_more_requests_are_open_than_a_caller_may_have(serve: Serve) -> None:
    serve.limits = "sessions_per_caller: 2"
    with serve.running():
        async with serve.client(mode="auto") as client:
            calls = [asyncio.create_task(client.call_tool("hangs", {})) for _ in range(2)]
            await serve.lines(2)
            with pytest.raises(MCPError, match="too many requests are open"):
                await client.call_tool("find", {"query": "x"})
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            await serve.lines(4)
            await until(lambda: len(serve.on_record("failed")) == len(calls))
            async with asyncio.timeout(60):
                while await too_many(client):  # noqa: ASYNC110 - connections end one by one
                    await asyncio.sleep(0.1)

    assert {event.error for event in serve.on_record("failed")} == {"cancelled"}


@ERAS
async def test_a_client_that_is_killed_in_a_call_leaves_it_on_record_with_its_outcome(serve: Serve, mode: str) -> None:
    serve.limits = "idle: 1"
    with serve.running():
        words = ["-c", HANGING, f"{serve.url}accounts", TOKENS["support"], mode]
        killed = await asyncio.create_subprocess_exec(sys.executable, *words)
        await serve.lines(1)
        os.kill(killed.pid, signal.SIGKILL)
        await killed.wait()
        await until(lambda: serve.on_record("failed"))
        async with serve.client(mode=mode) as client:
            assert not (await client.call_tool("find", {"query": "x"})).is_error

    [decided, _] = serve.on_record("decided")
    [failed] = serve.on_record("failed")
    assert failed.span == decided.span
    assert serve.ran[0] == "hangs"
