"""Servers that others wrote, through the gateway: what is allowed gives equal JSON, and what is denied does not happen."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from foreign_servers import EVERYTHING, SERVERS, Foreign, filled, furnished, happened
from mcp import Client, MCPError, StdioServerParameters
from mcp_harness import Wrap, reached
from mcp_types import CreateMessageResult, ElicitResult, ListRootsResult, TextContent
from test_serve import Serve

from jackline_mcp.enforce import META

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

DENY = """\
jackline: 1
policies:
  - name: never
    use: rule
    on: tool.call
    when: >-
      tool.name.endsWith('write_query') || tool.name.endsWith('git_commit') || tool.name.endsWith('echo')
      || (tool.name.endsWith('write_file') && args.path.endsWith('denied.txt'))
      || (tool.name.endsWith('create_entities') && args.entities.exists(one, one.name == 'denied'))
      || (tool.name.endsWith('get_current_time') && args.timezone == 'denied')
    effect: deny
    reason: not this
unregistered: allow
"""
SHOWN = ("write_query", "git_commit", "echo")
"""What is denied whatever the arguments are, so not shown either."""
EVERY = pytest.mark.parametrize("name", SERVERS)


async def sample(_context: Any, params: Any) -> CreateMessageResult:
    text = f"heard {params.messages[0].content.text}"
    return CreateMessageResult(role="assistant", content=TextContent(type="text", text=text), model="m")


async def elicit(_context: Any, params: Any) -> ElicitResult:
    assert params.message
    return ElicitResult(action="accept", content={"name": "Ana", "check": True})


async def roots(_context: Any) -> ListRootsResult:
    return ListRootsResult.model_validate({"roots": [{"uri": "file:///srv", "name": "srv"}]})


def answering(server: Foreign) -> dict[str, Any]:
    """What the client can be asked; the files' server would look into its roots, some time later."""
    if server is not EVERYTHING:
        return {}
    return {"sampling_callback": sample, "elicitation_callback": elicit, "list_roots_callback": roots}


async def raw(client: Client, method: str, params: dict[str, Any]) -> Any:
    """What a server answers, as it is on the wire."""
    try:
        return await client.session._dispatcher.send_raw_request(method, params)
    except MCPError as error:
        return {"error": error.error.model_dump()}


async def answers(client: Client, server: Foreign, folder: Path) -> list[Any]:
    about = [client.server_info.model_dump(), client.server_capabilities.model_dump()]
    return [*about, *[await raw(client, *filled(asked, folder)) for asked in server.asked]]


async def refused(client: Client, server: Foreign, folder: Path) -> None:
    """Ask for what is denied; nothing of it happens."""
    told = await raw(client, *filled(server.denied, folder))
    assert told["isError"] is True
    assert told["_meta"][META]["policy"] == "never"
    assert happened(folder) == []


def environment(server: Foreign, folder: Path) -> dict[str, str]:
    return {key: value.format(folder=folder) for key, value in server.env}


@asynccontextmanager
async def direct(server: Foreign, folder: Path, mode: Any = "legacy") -> AsyncIterator[Client]:
    command = server.command(folder)
    env = {**os.environ, **environment(server, folder)}
    async with Client(
        StdioServerParameters(command=command[0], args=command[1:], env=env), mode=mode, **answering(server)
    ) as client:
        yield client


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "work"
    found.mkdir()
    furnished(found)
    return found


@pytest.fixture
def foreign(tmp_path: Path) -> Serve:
    serve = Serve(tmp_path)
    serve.policies(DENY)
    return serve


def without_denied(found: list[Any]) -> list[Any]:
    """Answers, less the tools that are not shown."""
    shown = [tool for tool in found[2]["tools"] if tool["name"] not in SHOWN]
    return [*found[:2], {**found[2], "tools": shown}, *found[3:]]


@EVERY
async def test_a_foreign_server_that_is_wrapped(foreign: Serve, folder: Path, name: str) -> None:
    server = SERVERS[name]
    foreign.server = server.command(folder)
    foreign.env = environment(server, folder)
    async with direct(server, folder) as client:
        bare = await answers(client, server, folder)
    async with Wrap.client(foreign, mode="legacy", **answering(server)) as client:
        governed = await answers(client, server, folder)
        await refused(client, server, folder)

    assert governed == without_denied(bare)
    async with direct(server, folder) as client:
        await raw(client, *filled(server.denied, folder))
    assert happened(folder) == [server.leaves] * bool(server.leaves), "what is denied is something that happens"


async def test_foreign_servers_behind_one_gateway(foreign: Serve, folder: Path) -> None:
    for name, server in SERVERS.items():
        env = {**environment(server, folder), "PATH": os.environ["PATH"]}
        foreign.more += f"  {name}: {{command: {json.dumps(server.command(folder))}, env: {json.dumps(env)}}}\n"
    bare = {}
    for name, server in SERVERS.items():
        async with direct(server, folder) as client:
            bare[name] = without_denied(await answers(client, server, folder))
    governed = {}
    with foreign.running():
        for name, server in SERVERS.items():
            async with foreign.client(server=name, mode="legacy", **answering(server)) as client:
                governed[name] = await answers(client, server, folder)
                await refused(client, server, folder)

    assert governed == bare
    acts = {event.resource.partition(".")[0] for event in foreign.on_record("decided") if event.action == "tool.call"}
    assert acts == set(SERVERS)


async def test_a_foreign_server_of_the_era_without_handshakes(foreign: Serve, folder: Path) -> None:
    server = SERVERS["time"]
    foreign.more = f"  time: {{command: {json.dumps(server.command(folder))}}}\n"
    found = []
    with foreign.running():
        for one in (direct(server, folder, mode="auto"), foreign.client(server="time", mode="auto")):
            async with one as client:
                told = [await client.list_tools(), *[await client.call_tool(**asked[1]) for asked in server.asked[1:]]]
                found.append((client.protocol_version, [each.model_dump() for each in told]))

    assert found[0] == found[1]
    assert found[0][0] == "2026-07-28"


@contextmanager
def listening(server: Foreign, folder: Path) -> Iterator[str]:
    """A foreign server that listens itself."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [*server.command(folder), "streamableHttp"]
    process = subprocess.Popen(command, env={**os.environ, "PORT": str(port)}, stderr=subprocess.DEVNULL)
    try:
        reached(port)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.wait()


async def test_a_foreign_server_behind_an_address(foreign: Serve, folder: Path) -> None:
    with listening(EVERYTHING, folder) as url:
        async with Client(url, mode="legacy", **answering(EVERYTHING)) as client:
            bare = without_denied(await answers(client, EVERYTHING, folder))
        foreign.more = f"  everything: {{url: '{url}'}}\n"
        with foreign.running():
            async with foreign.client(server="everything", mode="legacy", **answering(EVERYTHING)) as client:
                governed = await answers(client, EVERYTHING, folder)
                await refused(client, EVERYTHING, folder)

    assert governed == bare
