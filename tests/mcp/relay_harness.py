"""A relay between two ends that a test holds in its hands."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from jackline.guard import Guard
from jackline_mcp.relay import Client, Options, Relay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ALLOW = "jackline: 1\npolicies: []\nunregistered: allow\n"


class Held:
    """An end: what it says is said by the test, and what it is told the test reads."""

    def __init__(self) -> None:
        self._says: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.given_up: list[Any] = []

    def say(self, **message: Any) -> None:
        self._says.put_nowait({"jsonrpc": "2.0", **message})

    async def told(self) -> dict[str, Any]:
        async with asyncio.timeout(20):
            return await self._told.get()

    async def receive(self) -> dict[str, Any] | None:
        return await self._says.get()

    async def send(self, message: dict[str, Any], about: Any = None) -> None:
        self._told.put_nowait(message)

    async def unanswered(self, request: Any) -> None:
        self.given_up.append(request)

    async def close(self) -> None:
        self._says.put_nowait(None)


class Between(Relay):
    """A relay whose ends are the test's."""

    front: Held
    back: Held

    def asks(self, number: Any, method: str, **params: Any) -> None:
        """Have the client ask."""
        self.front.say(id=number, method=method, params=params)

    def kept(self) -> list[Any]:
        """What is kept of tokens and of what was heard of requests."""
        return [self._tokens, self._token_of, *self._heard]

    async def pinged(self, number: Any) -> None:
        """Return where all that the client has said before was heard."""
        self.asks(number, "ping")
        while (await self.back.told()).get("id") != number:
            pass
        self.back.say(id=number, result={})
        assert await self.front.told() == {"jsonrpc": "2.0", "id": number, "result": {}}


@asynccontextmanager
async def between(folder: Path, policies: str = ALLOW, **options: Any) -> AsyncIterator[Between]:
    """A relay at work; its server has listed one tool, `read`."""
    bundle = folder / "jackline.yaml"
    bundle.write_text(policies, encoding="utf-8")
    with Guard.load(bundle, home=folder / "home") as guard:
        relay = Between(guard, Held(), Held(), server="files")
        running = asyncio.create_task(relay.run(Client("support")))
        relay.asks("first", "tools/list")
        await relay.back.told()
        tools = [{"name": "read", "inputSchema": {"type": "object"}}]
        relay.back.say(id="first", result={"tools": tools})
        await relay.front.told()
        relay.options = Options(**options)
        try:
            yield relay
        finally:
            await relay.front.close()
            await running
