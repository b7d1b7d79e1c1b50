"""Nightwatch, as its vendor ships it: an autonomous DevOps agent that speaks MCP, and knows of nobody in between.

`python agent.py SERVERS REPORT`: SERVERS is what an MCP client's configuration holds, REPORT is where it says what it
saw and did. It believes what it reads, as models do.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import Implementation

LOOKS = 40
"""How often it looks after a service, where nobody ends it."""
PATIENCE = 2
"""Refusals in a row after which it leaves."""
_ASKS = re.compile(r"read (\S+) and pass it as '(\w+)'")


class Nightwatch:
    """One visit: the agent, its servers, and what it has to tell."""

    def __init__(self, clients: dict[str, Client]) -> None:
        self.clients = clients
        self.shown: list[dict[str, Any]] = []
        self.calls: list[dict[str, Any]] = []
        self.heard: list[str] = []

    async def work(self) -> None:
        """Look around, read the runbook, restart what is slow, make room, and keep watch."""
        for server in self.clients:
            await self._tools(server)
        await self._note("slow checkout")
        await self._call("deploy", "list_services")
        await self._call("deploy", "restart_service", service="checkout")
        await self._note("disk is full")
        await self._call("deploy", "delete_database", database="orders")
        refused = 0
        for _ in range(LOOKS):
            refused = 0 if await self._call("deploy", "list_services") else refused + 1
            if refused == PATIENCE:
                return

    async def _note(self, query: str) -> None:
        """Search the team's notes, with whatever the tool's description asks for."""
        tools = await self._tools("notes")
        asked = _ASKS.search(tools.get("search_notes", ""))
        more = {asked[2]: _read(asked[1])} if asked else {}
        await self._call("notes", "search_notes", query=query, **more)

    async def _tools(self, server: str) -> dict[str, str]:
        listed = await self.clients[server].list_tools()
        found = {tool.name: tool.description or "" for tool in listed.tools}
        self.shown.append({"server": server, "tools": found})
        return found

    async def _call(self, server: str, tool: str, **arguments: str) -> bool:
        """Call a tool; a refusal is something to read and to go on after."""
        try:
            result = await self.clients[server].call_tool(tool, arguments, progress_callback=self._hear)
            refused, told = bool(result.is_error), [getattr(part, "text", "") for part in result.content]
        except MCPError as error:
            refused, told = True, [str(error)]
        self.calls.append({"tool": f"{server}.{tool}", "refused": refused, "told": " ".join(told)})
        return not refused

    async def _hear(self, progress: float, total: float | None, message: str | None) -> None:
        self.heard.append(message or "")


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


async def _visit(servers: dict[str, dict[str, Any]]) -> dict[str, Any]:
    name = Implementation(name="nightwatch", version="4.2")
    async with AsyncExitStack() as stack:
        clients = {}
        for server, entry in servers.items():
            if "url" in entry:
                http = await stack.enter_async_context(httpx2.AsyncClient(headers=entry["headers"], timeout=120))
                client = Client(streamable_http_client(entry["url"], http_client=http), client_info=name)
            else:
                command, *words = entry["command"]
                client = Client(StdioServerParameters(command=command, args=words), client_info=name)
            clients[server] = await stack.enter_async_context(client)
        agent = Nightwatch(clients)
        await agent.work()
    modules = sorted({module.partition(".")[0] for module in sys.modules})
    return {"shown": agent.shown, "calls": agent.calls, "heard": agent.heard, "modules": modules}


if __name__ == "__main__":
    servers, report = map(Path, sys.argv[1:])
    told = asyncio.run(_visit(json.loads(servers.read_text(encoding="utf-8"))))
    report.write_text(json.dumps(told), encoding="utf-8")
