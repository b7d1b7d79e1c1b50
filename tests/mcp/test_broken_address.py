"""A server behind an address that is down, or breaks off: its client is told at once."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from test_serve import TOKENS, Serve

from jackline_mcp.enforce import GONE

if TYPE_CHECKING:
    from pathlib import Path

WHO = {"name": "c", "version": "1"}
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": WHO,
    "io.modelcontextprotocol/clientCapabilities": {},
}
INITIALIZE = {
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": WHO},
}
DISCOVER = {"method": "server/discover", "params": {"_meta": META}}
CALL = {"method": "tools/call", "params": {"name": "read", "arguments": {}, "_meta": META}}
MODERN = {"mcp-protocol-version": "2026-07-28"}
CASES = [
    pytest.param(INITIALIZE, {}, id="initialize"),
    pytest.param(DISCOVER, {**MODERN, "mcp-method": "server/discover"}, id="discover"),
    pytest.param(CALL, {**MODERN, "mcp-method": "tools/call", "mcp-name": "read"}, id="call"),
]


@pytest.mark.parametrize(("message", "headers"), CASES)
async def test_nobody_listens_at_the_address(tmp_path: Path, message: dict[str, Any], headers: dict[str, str]) -> None:
    with socket.socket() as closed:  # bound, so that nobody else has it, and not listened on
        closed.bind(("127.0.0.1", 0))
        serve = Serve(tmp_path)
        serve.more = f"  far: {{url: 'http://127.0.0.1:{closed.getsockname()[1]}/mcp'}}\n"
        who = {"Authorization": f"Bearer {TOKENS['support']}", "Accept": "application/json, text/event-stream"}
        with serve.running():
            async with httpx2.AsyncClient(headers={**who, **headers}, timeout=20) as client:
                told = [
                    await client.post(f"{serve.url}far", json={"jsonrpc": "2.0", "id": number, **message})
                    for number in (1, 2)
                ]

    for number, answer in enumerate(told, 1):
        assert f'"code":{GONE}' in answer.text
        assert f'"id":{number}' in answer.text
    assert "Traceback" not in serve.stderr
