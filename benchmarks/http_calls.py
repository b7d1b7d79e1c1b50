"""Outgoing requests over loopback, sent by two processes: one governed, one that never imports Jackline's adapter.

The server is a third process, which answers at once. Beneath: what the audit hook costs any other event.
"""

# ruff: noqa: PLC0415 - libraries are imported in the process that uses them

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bundles
from calls import guarded
from timing import Async, Case, Local, Served, Server, serve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from timing import Timed

GOAL = 50
NAMES = {
    "urllib3": ("outgoing request, urllib3, kept connection", GOAL),
    "requests": ("outgoing request, requests, kept connection", GOAL),
    "httpx": ("outgoing request, httpx, kept connection", GOAL),
    "ahttpx": ("outgoing request, httpx async, kept connection", GOAL),
    "aiohttp": ("outgoing request, aiohttp, kept connection", GOAL),
    "audit": ("audit event that is no connection", None),
}
OFF = "audit event, after disable"
EGRESS = (
    '  - {name: out, use: tool_access, with: {egress: {allow: ["*.internal", "10.0.0.0/8", "127.0.0.1:*"], '
    'deny: ["169.254.0.0/16"]}}}'
)
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello"


def cases(stack: ExitStack) -> list[Case]:
    """Every case of this file; none where the libraries are not installed."""
    if any(find_spec(name) is None for name in ("httpx", "requests", "urllib3", "aiohttp", "jackline_http")):
        print("skipped: the rows of outgoing requests, since a library of theirs or jackline-http is not installed")
        return []
    answering = subprocess.Popen(
        [sys.executable, str(Path(__file__)), "answers"], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    stack.callback(answering.wait, 30)
    stack.callback(answering.communicate)
    assert answering.stdout is not None
    port = answering.stdout.readline().strip()
    governed, bare, off = (Server("http_calls.py", kind, port) for kind in ("governed", "bare", "off"))
    for server in (governed, bare, off):
        stack.callback(server.close)
    found = [Case(what, Served(governed, name), Served(bare, name), goal) for name, (what, goal) in NAMES.items()]
    return [*found, Case(OFF, Served(off, "audit"), Served(bare, "audit"))]


def offers(kind: str, port: str, stack: ExitStack) -> Mapping[str, Timed]:
    import aiohttp
    import httpx
    import requests
    import urllib3

    url = f"http://127.0.0.1:{port}/customers/7?fields=name"
    if kind != "bare":
        import jackline_http

        guard = guarded(stack, bundles.bundle(EGRESS))
        jackline_http.enable(guard)
        if kind == "off":
            jackline_http.disable(guard)
    loop = asyncio.new_event_loop()
    stack.callback(loop.close)
    client, session = stack.enter_context(httpx.Client(trust_env=False)), stack.enter_context(requests.Session())
    session.trust_env = False
    pool = stack.enter_context(urllib3.PoolManager())
    asynchronous = httpx.AsyncClient(trust_env=False)
    stack.callback(lambda: loop.run_until_complete(asynchronous.aclose()))
    other = loop.run_until_complete(_session(aiohttp))
    stack.callback(lambda: loop.run_until_complete(other.close()))

    async def asked() -> None:
        async with other.get(url) as response:
            await response.read()

    audit = sys.audit
    return {
        "urllib3": Local(lambda: pool.request("GET", url)),
        "requests": Local(lambda: session.get(url)),
        "httpx": Local(lambda: client.get(url)),
        "ahttpx": Async(lambda: asynchronous.get(url), loop),
        "aiohttp": Async(asked, loop),
        "audit": Local(lambda: audit("benchmark.event", url)),
    }


async def _session(aiohttp: Any) -> Any:
    return aiohttp.ClientSession()


class Answering(asyncio.Protocol):
    """Answers each request the same, as soon as it is there."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(ANSWER * data.count(b"\r\n\r\n"))


async def answer() -> None:
    """Say the port, and answer until nobody is left to be answered."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Answering, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    if sys.argv[1] == "answers":
        asyncio.run(answer())
    else:
        with ExitStack() as opened:
            serve(offers(sys.argv[1], sys.argv[2], opened))
