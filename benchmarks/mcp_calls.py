"""A `tools/call` through the gateway, beside a bare gateway that passes calls on with the same SDK, and without one.

One process holds the official client and asks all of them in turn, over pipes and over HTTP on loopback. The bare
gateway is the SDK's own server with the SDK's own client inside, and judges nothing.

`python benchmarks/mcp_calls.py [CALLS]` prints the rows of this file alone.
"""

# ruff: noqa: PLC0415 - the SDK is imported in the processes that use it

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from contextlib import AsyncExitStack, ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bundles
from calls import folder
from timing import Async, Case, Served, Server, quantile, serve

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from timing import Timed

GOAL = 300
CALLS = 600
"""Calls for the rows of CPU time."""
TOKEN = "bench"
JACKLINE = [sys.executable, "-c", "from jackline.cli import main; main()"]
WAYS = {"pipes": "MCP tools/call, stdio", "http": "MCP tools/call, HTTP with sessions"}


def cases(stack: ExitStack) -> list[Case]:
    """Every case of this file; none where the gateway is not installed."""
    if find_spec("jackline_mcp") is None:
        print("skipped: the rows of the MCP gateway, since jackline-mcp is not installed")
        return []
    client = Server("mcp_calls.py", "client", str(folder(stack)))
    stack.callback(client.close)
    found = []
    for way, what in WAYS.items():
        direct, bare, governed = (Served(client, f"{kind}-{way}") for kind in ("direct", "bare", "governed"))
        found += [
            Case(f"{what}: server alone, in all", direct),
            Case(f"{what}: bare gateway, in all", bare),
            Case(f"{what}: gateway, over the bare one", governed, bare, GOAL),
        ]
    return found


def rows(calls: int = CALLS) -> list[dict[str, Any]]:
    """What a call costs each gateway's process in CPU time, which other processes do not disturb."""
    if find_spec("jackline_mcp") is None:
        return []
    with ExitStack() as stack:
        client = Server("mcp_calls.py", "client", str(folder(stack)))
        stack.callback(client.close)
        pids = dict(word.split("=") for word in client.ready.split() if "=" in word)
        return [_cpu_row(client, way, what, pids, calls) for way, what in WAYS.items()]


def _cpu_row(client: Server, way: str, what: str, pids: dict[str, str], calls: int) -> dict[str, Any]:
    took: dict[str, list[float]] = {"bare": [], "governed": []}
    size = max(1, calls // 10)
    for name in took:
        client.ask(f"{name}-{way} {calls // 5}")
    for _ in range(10):
        for name, each in took.items():
            before = _cpu_us(pids[f"{name}-{way}"])
            client.ask(f"{name}-{way} {size}")
            asked = size + size // 5 + 1  # those that the batch does not count are asked as well
            each.append((_cpu_us(pids[f"{name}-{way}"]) - before) / asked)
    median, p10 = (quantile(took["governed"], at) - quantile(took["bare"], at) for at in (0.5, 0.1))
    row = {"what": f"{what}: gateway's process, CPU", "unit": "us", "goal": GOAL, "median": median, "p10": p10}
    bare = quantile(took["bare"], 0.5)
    return {**row, "bare": bare, "times_bare": quantile(took["governed"], 0.5) / bare}


def _cpu_us(pid: str) -> float:
    """Microseconds of CPU that a process has taken, all its threads."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text(encoding="utf-8").split()[0]) for task in tasks) / 1000


def servers(place: Path) -> Iterator[tuple[str, list[str]]]:
    """The programs that are asked over pipes, by name."""
    here = [sys.executable, __file__]
    bundle = place / "jackline.yaml"
    bundle.write_text(bundles.ten_rules_and_a_budget() + "unregistered: allow\n", encoding="utf-8")
    home = ["--home", str(place / "home")]
    yield "direct-pipes", [*here, "tool"]
    yield "bare-pipes", [*here, "bare"]
    wrap = ["mcp", "wrap", "--bundle", str(bundle), "--agent", "bench"]
    yield "governed-pipes", [*JACKLINE, *home, *wrap, "--", *here, "tool"]


def listeners(place: Path) -> Iterator[tuple[str, list[str]]]:
    """The programs that listen, by name; each says its URL on stderr."""
    import hashlib

    here = [sys.executable, __file__]
    yield "direct-http", [*here, "tool", "http"]
    yield "bare-http", [*here, "bare", "http"]
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    file = place / "jackline-mcp.yaml"
    file.write_text(
        f"jackline_mcp: 1\nport: 0\nservers: {{tool: {{command: {[*here, 'tool']}}}}}\n"
        f"callers: {{bench: {{token_sha256: {digest}}}}}\n",
        encoding="utf-8",
    )
    yield "governed-http", [*JACKLINE, "--home", str(place / "home-http"), "mcp", "serve", str(file)]


class Asking:
    """The clients of all that is measured, in one process and on one loop."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.loop = asyncio.new_event_loop()
        self.calls: dict[str, Callable[[], Awaitable[object]]] = {}
        self.pids: dict[str, int] = {}
        self._opened: asyncio.Future[None] = self.loop.create_future()
        self._over = asyncio.Event()
        self._texts = bundles.texts(200, 5_000)

    def offers(self) -> Mapping[str, Timed]:
        holding = self.loop.create_task(self._hold())
        self.loop.run_until_complete(asyncio.wait({holding, self._opened}, return_when=asyncio.FIRST_COMPLETED))
        if holding.done():
            holding.result()
        found: dict[str, Timed] = {name: Async(call, self.loop) for name, call in self.calls.items()}
        told: dict[str, Timed] = {f"{name}={pid}": found[name] for name, pid in self.pids.items()}
        self.close = lambda: (self._over.set(), self.loop.run_until_complete(holding))
        return {**found, **told}

    async def _hold(self) -> None:
        """Keep every client open until it is over: what an exit stack opened is left in the task that entered it."""
        from mcp import Client, StdioServerParameters
        from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

        async with AsyncExitStack() as stack:
            for name, command in servers(self.place):
                before = _children()
                parameters = StdioServerParameters(command=command[0], args=command[1:], env=dict(os.environ))
                self._add(name, await stack.enter_async_context(Client(parameters, mode="legacy")))
                [self.pids[name]] = _children() - before
            for name, command in listeners(self.place):
                process = _started(command)
                stack.callback(process.wait, 30)
                stack.callback(process.terminate)
                url = _url(process)
                http = create_mcp_http_client(headers={"Authorization": f"Bearer {TOKEN}"})
                await stack.enter_async_context(http)
                transport = streamable_http_client(url, http_client=http)
                self._add(name, await stack.enter_async_context(Client(transport, mode="legacy")))
                self.pids[name] = process.pid
            self._opened.set_result(None)
            await self._over.wait()

    def _add(self, name: str, client: Any) -> None:
        count = 0

        async def call() -> None:
            nonlocal count
            count += 1
            text = self._texts[count % len(self._texts)]
            answer = await client.call_tool("search", {"query": text, "limit": 5, "region": "emea"})
            assert not answer.is_error, answer

        self.calls[name] = call


def _started(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def _children() -> set[int]:
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        found.update(map(int, (task / "children").read_text(encoding="utf-8").split()))
    return found


def _url(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        found = re.search(r"http://\S+", line)
        if found:
            return found[0]
    raise RuntimeError(f"{process.args} did not start")


def tool() -> Any:
    """The server that is asked: its work is nothing."""
    import mcp_types as types
    from mcp.server.lowlevel import Server as McpServer

    words = {"query": {"type": "string"}, "limit": {"type": "integer"}, "region": {"type": "string"}}
    listed = types.Tool(name="search", description="Search.", input_schema={"type": "object", "properties": words})

    async def list_tools(_context: Any, _params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[listed])

    async def call_tool(_context: Any, _params: Any) -> types.CallToolResult:
        return types.CallToolResult(content=[types.TextContent(type="text", text="3 results")])

    return McpServer("tool", on_list_tools=list_tools, on_call_tool=call_tool)


def bare(client: Any) -> Any:
    """A gateway that passes on and does nothing else."""
    from mcp.server.lowlevel import Server as McpServer

    async def list_tools(_context: Any, params: Any) -> Any:
        return await client.session.list_tools(params=params)

    async def call_tool(_context: Any, params: Any) -> Any:
        return await client.session.call_tool(params.name, params.arguments)

    return McpServer("bare", on_list_tools=list_tools, on_call_tool=call_tool)


async def run(kind: str, way: str) -> None:
    from mcp import Client, StdioServerParameters

    if kind == "tool":
        await _run(tool(), way)
        return
    parameters = StdioServerParameters(command=sys.executable, args=[__file__, "tool"], env=dict(os.environ))
    async with Client(parameters, mode="legacy") as client:
        await client.list_tools()
        await _run(bare(client), way)


async def _run(server: Any, way: str) -> None:
    import uvicorn
    from mcp.server.stdio import stdio_server

    if way == "pipes":
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())
        return
    settings = uvicorn.Config(server.streamable_http_app(), host="127.0.0.1", port=0, log_level="error")
    sock = settings.bind_socket()
    sock.listen(settings.backlog)
    print(f"http://127.0.0.1:{sock.getsockname()[1]}/mcp", file=sys.stderr, flush=True)
    await uvicorn.Server(settings).serve(sockets=[sock])


if __name__ == "__main__":
    words = sys.argv[1:]
    if words[:1] == ["client"]:
        asking = Asking(Path(words[1]))
        serve(asking.offers())
        asking.close()
    elif words and words[0] in ("tool", "bare"):
        asyncio.run(run(words[0], words[1] if words[1:] else "pipes"))
    else:
        import timing

        with ExitStack() as opened:
            measured = timing.run(cases(opened), 150)
        for row in [*measured, *rows(*map(int, words[:1]))]:
            beside = f", bare {row['bare']:,.0f}" if "bare" in row else ""
            print(f"{row['what']}: {row['median']:,.0f} us (p10 {row['p10']:,.0f}){beside}")
