"""A process of callers: `crowd_client.py URL FIRST COUNT ERA CALLS`. Each has a token of its own; what each was told is JSON."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from mcp import Client
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client


async def caller(url: str, number: int, mode: Any, calls: int) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer token-of-{number}"}
    async with (
        create_mcp_http_client(headers=headers) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        began = time.monotonic()
        finds = [client.call_tool("find", {"query": f"c{number} q{call}"}) for call in range(calls)]
        told = await asyncio.gather(*finds, client.call_tool("delete", {"account": f"c{number}"}))
        took = time.monotonic() - began
    texts = [answer.content[0].text for answer in told]
    return {"number": number, "told": texts[:-1], "denied": texts[-1], "took": took}


async def main(url: str, first: int, count: int, mode: str, calls: int) -> None:
    async with asyncio.timeout(240):
        told = await asyncio.gather(*(caller(url, first + place, mode, calls) for place in range(count)))
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5])))
