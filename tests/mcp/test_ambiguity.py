"""What a careless server would take for another call than the one that was judged does not reach it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from test_serve import TOKENS, Serve

if TYPE_CHECKING:
    from mcp_harness import Wrap

SLOPPY = Path(__file__).with_name("sloppy_server.py")
POLICIES = """\
jackline: 1
policies:
  - {name: access, use: tool_access, with: {allow: [pay, accounts.pay]}}
  - {name: small, use: rule, on: tool.call, when: args.amount > 100, effect: deny, reason: too much}
unregistered: allow
"""
SMUGGLED = {
    "a call without an id": {"method": "tools/call", "params": {"name": "delete"}},
    "a call whose id is null": {"id": None, "method": "tools/call", "params": {"name": "delete"}},
    "a method in capitals": {"id": 2, "Method": "tools/call", "params": {"name": "delete"}},
    "two methods": {"id": 2, "method": "ping", "METHOD": "tools/call", "params": {"name": "delete"}},
    "a method with a long s": {"id": 2, "method": "ping", "param\u017f": {"name": "delete"}, "Method": "tools/call"},
    "two names": {"id": 2, "method": "tools/call", "params": {"name": "pay", "Name": "delete"}},
    "a name in capitals": {"id": 2, "method": "tools/call", "params": {"NAME": "delete"}},
    "two params": {"id": 2, "method": "tools/call", "params": {"name": "pay"}, "Params": {"name": "delete"}},
    "two maps of arguments": {
        "id": 2,
        "method": "tools/call",
        "params": {"name": "pay", "arguments": {"amount": 1}, "Arguments": {"amount": 900}},
    },
    "two amounts": {
        "id": 2,
        "method": "tools/call",
        "params": {"name": "pay", "arguments": {"amount": 1, "Amount": 900}},
    },
    "two amounts deep inside": {
        "id": 2,
        "method": "tools/call",
        "params": {"name": "pay", "arguments": {"amount": 1, "orders": [{"id": 1, "ID": 2}]}},
    },
    "an answer with a method": {"id": 2, "method": "tools/call", "params": {"name": "pay"}, "result": {}},
    "an answer to nothing": {"id": 2, "params": {"name": "delete"}},
}
cases = pytest.mark.parametrize("frame", SMUGGLED.values(), ids=SMUGGLED)


def call(number: int, amount: int) -> dict[str, Any]:
    return {"id": number, "method": "tools/call", "params": {"name": "pay", "arguments": {"amount": amount}}}


@cases
async def test_it_does_not_reach_a_server_behind_pipes(wrap: Wrap, frame: dict[str, Any]) -> None:
    wrap.policies(POLICIES)
    wrap.server = [sys.executable, str(SLOPPY)]
    env = {**os.environ, "RAN": str(wrap.log)}
    gateway = await asyncio.create_subprocess_exec(
        *wrap.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
    )
    assert gateway.stdin is not None
    assert gateway.stdout is not None
    for each in (frame, call(3, 5), call(4, 900)):
        gateway.stdin.write(json.dumps({"jsonrpc": "2.0", **each}).encode() + b"\n")
    async with asyncio.timeout(30):
        told = [json.loads(await gateway.stdout.readline()) for _ in range(3)]
    gateway.stdin.close()
    await gateway.wait()

    answers = {each["id"]: each for each in told}
    assert wrap.ran == ["pay 5"]
    assert answers[3]["result"]["content"][0]["text"] == "done"
    assert answers[4]["result"]["isError"]
    refused = next(each for each in told if each["id"] not in (3, 4))
    assert refused["error"]["code"] in (-32600, -32700)


@cases
async def test_it_does_not_reach_a_server_behind_an_address(tmp_path: Path, frame: dict[str, Any]) -> None:
    serve = Serve(tmp_path)
    serve.policies(POLICIES)
    serve.server_file = SLOPPY
    with serve.running():
        headers = {"Authorization": f"Bearer {TOKENS['support']}", "Accept": "application/json, text/event-stream"}
        async with httpx2.AsyncClient(headers=headers, timeout=30) as client:

            async def post(message: dict[str, Any], **more: str) -> httpx2.Response:
                return await client.post(f"{serve.url}accounts", json={"jsonrpc": "2.0", **message}, headers=more)

            who = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
            first = await post({"id": 1, "method": "initialize", "params": who})
            session = {"mcp-session-id": first.headers["mcp-session-id"], "mcp-protocol-version": "2025-06-18"}
            smuggled = await post(frame, **session)
            fine = await post(call(3, 5), **session)

    assert smuggled.status_code < 500
    assert "done" in fine.text
    assert [line for line in serve.ran if line != "pay 5"] in ([], ["pay None"])  # the SDK drops what it does not know
