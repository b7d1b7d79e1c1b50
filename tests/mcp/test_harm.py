"""Servers that die, hang, flood or send without end: their own client is answered, nobody else notices, memory is bounded."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mcp import Client, MCPError
from mcp_ways import listening
from test_serve import Serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HARM = Path(__file__).with_name("harm_server.py")
MIB = 1024
"""In units of /proc: KiB."""
ROOM = 130 * MIB
"""What a gateway with frames of 4 MiB at most may take more than before; what is sent has 100 MB, or no end."""
PROC = Path("/proc/self/status").exists()
GONE = "error: "
OPEN = 4
"""Calls that are open at the same time at the server that does harm."""


def gateway_process() -> int:
    """The gateway that this process started last."""
    tasks = Path("/proc/self/task").iterdir()
    children = {int(pid) for task in tasks for pid in (task / "children").read_text(encoding="utf-8").split()}
    found = [pid for pid in children if b"jackline-mcp.yaml" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return max(found)


def peak(pid: int) -> int:
    """The most memory that a process ever had, in KiB."""
    [line] = [one for one in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines() if one.startswith("VmHWM")]
    return int(line.split()[1])


@asynccontextmanager
async def undisturbed(serve: Serve) -> AsyncIterator[list[float]]:
    """Another caller of another server, who calls all the time; the seconds that each call took."""
    took: list[float] = []

    async def calling(client: Client) -> None:
        while True:
            began = time.monotonic()
            assert not (await client.call_tool("find", {"query": "x"})).is_error
            took.append(time.monotonic() - began)

    async with serve.client(mode="legacy", caller="sales") as client:
        calls = asyncio.create_task(calling(client))
        try:
            yield took
            before = len(took)
            async with asyncio.timeout(30):
                while len(took) < before + 2:  # noqa: ASYNC110 - it goes on after the harm as before
                    await asyncio.sleep(0.01)
        finally:
            calls.cancel()
            done = (await asyncio.gather(calls, return_exceptions=True))[0]
            assert isinstance(done, asyncio.CancelledError), done


async def harmed(serve: Serve, how: str) -> list[str]:
    """What the open calls of the client of such a server are told."""

    async def told(client: Client, each: str) -> str:
        try:
            answer = await client.call_tool("harm", {"how": each})
        except MCPError as error:
            return f"{GONE}{error}"
        return answer.content[0].text  # type: ignore[union-attr]

    async with asyncio.timeout(120), serve.client(mode="legacy", server="harm") as client:
        assert await told(client, "fine") == "fine"
        return list(await asyncio.gather(*(told(client, how) for _ in range(OPEN))))


async def seen(serve: Serve, kinds: dict[str, str]) -> None:
    """Each harm in turn, behind one gateway, with another caller at work beside it."""
    with serve.running():
        async with serve.client(mode="legacy") as client:
            await client.call_tool("find", {"query": "warm"})
        pid = gateway_process() if PROC else 0
        before = peak(pid) if PROC else 0
        async with undisturbed(serve) as took:
            for how, expected in kinds.items():
                told = await harmed(serve, how)
                assert all(expected in each for each in told), (how, told)
        grown = peak(pid) - before if PROC else 0

    assert max(took) < 20, sorted(took)[-5:]
    assert grown < ROOM, f"{grown / MIB:.0f} MiB more"
    assert "Traceback" not in serve.stderr
    acts = serve.on_record("decided")
    ended = serve.on_record("completed", "failed")
    harms = {event.span for event in acts if event.resource == "harm.harm"}
    # A call that comes after the connection has ended is answered without a decision.
    assert 2 * len(kinds) <= len(harms) <= len(kinds) * (OPEN + 1)
    assert sorted(event.span for event in ended if event.span in harms) == sorted(harms)


async def test_servers_behind_pipes(tmp_path: Path) -> None:
    serve = Serve(tmp_path)
    serve.limits = "frame_mib: 4, silence: 4"
    serve.more = f"  harm: {{command: [{sys.executable}, {HARM}]}}\n"
    kinds = {
        "dies": GONE,
        "hangs": "the server has said nothing of it for 4 s",
        "huge": GONE,
        "junk": "junk",
        "both": "what the server has answered is neither a result nor an error",
        "neither": "what the server has answered is neither a result nor an error",
        "flood": GONE,
        "blank": "the server has said nothing of it for 4 s",
        "asks": "asked",
    }
    await seen(serve, kinds)


async def test_servers_behind_an_address(tmp_path: Path) -> None:
    serve = Serve(tmp_path)
    serve.limits = "frame_mib: 4, silence: 4"
    with listening(HARM, {}) as url:
        serve.more = f"  harm: {{url: '{url}'}}\n"
        kinds = {
            "dies": GONE,
            "hangs": "the server has said nothing of it for 4 s",
            "huge": "an answer has more than 4,194,304 bytes",
            "endless": "an answer has more than 4,194,304 bytes",
            "bomb": "an answer is compressed (gzip), which was not asked for",
            "junk": GONE,
            "one event": GONE,
            "flood": GONE,
        }
        await seen(serve, kinds)
