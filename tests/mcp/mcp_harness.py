"""A real client, a real server in a process of its own, and `jackline mcp wrap` between them."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import threading
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client, StdioServerParameters

from jackline.journal import read

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SERVER = Path(__file__).with_name("mcp_server.py")
COMMAND = (sys.executable, "-c", "from jackline.cli import main; main()")
ALLOW = "jackline: 1\npolicies: []\nunregistered: allow\n"


class Wrap:
    """One home, one bundle, and connections through it."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.bundle = folder / "jackline.yaml"
        self.log = folder / "ran"
        self.log.touch()
        self.env: dict[str, str] = {}
        self.options: list[str] = ["--agent", "support"]
        self.server = [sys.executable, str(SERVER)]
        self.policies(ALLOW)

    def policies(self, text: str) -> None:
        self.bundle.write_text(text, encoding="utf-8")

    @property
    def ran(self) -> list[str]:
        """The bodies that ran."""
        return self.log.read_text(encoding="utf-8").splitlines()

    async def lines(self, count: int) -> None:
        """Wait until so many bodies have begun or ended."""
        async with asyncio.timeout(20):
            while len(self.ran) < count:  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.01)

    def command(self) -> list[str]:
        where = ["--home", str(self.home), "mcp", "wrap", "--bundle", str(self.bundle)]
        return [*COMMAND, *where, *self.options, "--", *self.server]

    def parameters(self, *, bare: bool = False) -> StdioServerParameters:
        command = self.server if bare else self.command()
        env = {**os.environ, "RAN": str(self.log), **self.env}
        return StdioServerParameters(command=command[0], args=command[1:], env=env)

    @asynccontextmanager
    async def client(self, *, bare: bool = False, **options: Any) -> AsyncIterator[Client]:
        async with Client(self.parameters(bare=bare), **options) as client:
            yield client

    def on_record(self, *kinds: str) -> list[Any]:
        """The events of these kinds in the home's journals."""
        lines = [line for path in sorted((self.home / "journals").glob("*.jsonl")) for line in read(path)]
        return [line.event for line in lines if line.event is not None and line.kind in kinds]


ERAS = pytest.mark.parametrize("mode", ["legacy", "auto"])
"""With a handshake and a session, and since 2026-07-28 without."""


def reached(port: int) -> None:
    """Return where somebody listens at a port of this machine."""
    for _ in range(1200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        threading.Event().wait(0.05)
    pytest.fail(f"nobody listens at port {port}")


async def everything(client: Client) -> dict[str, Any]:
    """What a client sees of the server, as JSON with every field."""
    found: dict[str, Any] = {
        "server": client.server_info,
        "can": client.server_capabilities,
        "says": client.instructions,
        "tools": await client.list_tools(),
        "templates": await client.list_resource_templates(),
        "prompts": await client.list_prompts(),
        "find": await client.call_tool("find", {"query": "\U0001f600 \u00e9"}),
        "pay": await client.call_tool("pay", {"order": "A1", "amount": 3}),
        "rich": await client.call_tool("rich", {}),
        "fails": await client.call_tool("fails", {}),
        "note": await client.read_resource("note://one"),
        "greet": await client.get_prompt("greet", {"who": "Ana"}),
    }
    return {
        name: json.loads(item.model_dump_json()) if hasattr(item, "model_dump_json") else item
        for name, item in found.items()
    }
