"""`jackline mcp serve`: many servers behind one address, callers by token, both eras of the protocol."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import socket
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_harness import COMMAND, ERAS, SERVER, Wrap, everything, reached
from mcp_types import CreateMessageResult, ElicitResult, TextContent

from jackline.errors import BundleError
from jackline_mcp.config import Limits, load
from jackline_mcp.relay import Options

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

TOKENS = {"support": "token-of-support", "sales": "token-of-sales"}


class Serve(Wrap):
    """A gateway that runs, and connections to it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.file = folder / "jackline-mcp.yaml"
        self.limits = ""
        self.url = ""
        self.more = ""
        self.stderr = ""
        self.server_file = SERVER

    def configuration(self) -> str:
        command = f"[{sys.executable}, {self.server_file}]"
        env = f"{{RAN: {self.log}, PYTHONPATH: {os.environ.get('PYTHONPATH', '')!r}}}"
        callers = "".join(
            f"  {name}: {{token_sha256: {hashlib.sha256(token.encode()).hexdigest()}, user: u-{name}{servers}}}\n"
            for (name, token), servers in zip(TOKENS.items(), ("", ", servers: [accounts]"), strict=True)
        )
        return (
            f"jackline_mcp: 1\nport: 0\nservers:\n  accounts: {{command: {command}, env: {env}}}\n"
            f"  other: {{command: {command}, env: {env}}}\n{self.more}callers:\n{callers}limits: {{{self.limits}}}\n"
        )

    @contextmanager
    def running(self) -> Iterator[Serve]:
        self.file.write_text(self.configuration(), encoding="utf-8")
        command = [*COMMAND, "--home", str(self.home), "mcp", "serve", str(self.file)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        try:
            for line in process.stderr:
                found = re.search(r"accounts: (http://\S+/mcp/)accounts", line)
                if found:
                    self.url = found[1]
                if "other: http" in line:
                    break
            else:
                pytest.fail("it did not start")
            yield self
        finally:
            process.terminate()
            self.stderr = process.communicate(timeout=30)[1]

    @asynccontextmanager
    async def client(
        self, *, bare: bool = False, caller: str = "support", server: str = "accounts", **options: Any
    ) -> AsyncIterator[Client]:
        if bare:
            async with super().client(bare=True, **options) as client:
                yield client
            return
        headers = {"Authorization": f"Bearer {TOKENS.get(caller, caller)}"}
        async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
            transport = streamable_http_client(f"{self.url}{server}", http_client=http)
            async with Client(transport, **options) as client:
                yield client


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    return Serve(tmp_path)


@ERAS
async def test_what_is_allowed_is_equal_with_fields_that_nobody_knows(serve: Serve, mode: Any) -> None:
    async with serve.client(bare=True, mode=mode) as client:
        bare, version = await everything(client), client.protocol_version
    with serve.running():
        async with serve.client(mode=mode) as client:
            governed = await everything(client)
            assert client.protocol_version == version

    assert governed == bare
    assert {event.agent for event in serve.on_record("decided")} == {"support"}
    assert {event.user for event in serve.on_record("session_started") if event.user} == {"u-support"}
    assert "accounts.find" in [event.resource for event in serve.on_record("decided")]


@ERAS
async def test_each_caller_has_its_own_rights_and_sessions(serve: Serve, mode: Any) -> None:
    serve.policies(
        "jackline: 1\npolicies:\n"
        "  - {name: s, use: tool_access, agents: agent.name == 'support', with: {allow: ['accounts.*']}}\n"
        "  - {name: t, use: tool_access, agents: agent.name == 'sales', with: {allow: [accounts.find]}}\n"
        "unregistered: allow\n"
    )
    with serve.running():
        async with serve.client(mode=mode) as support, serve.client(mode=mode, caller="sales") as sales:
            assert len((await support.list_tools()).tools) > 5
            assert [tool.name for tool in (await sales.list_tools()).tools] == ["find"]
            assert not (await support.call_tool("delete", {"account": "1"})).is_error
            refused = await sales.call_tool("delete", {"account": "2"})

    assert refused.content[0].text == (
        "Not permitted by policy 't': no policy permits tool.call 'accounts.delete' for agent 'sales'"
    )
    assert serve.ran == ["delete 1"]
    assert len({event.session for event in serve.on_record("decided")}) == 2


async def test_nobody_gets_in_without_a_token_or_to_a_server_that_is_not_theirs(serve: Serve) -> None:
    with serve.running():
        async with httpx2.AsyncClient() as http:
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
            accept = {"Accept": "application/json, text/event-stream"}
            none = await http.post(f"{serve.url}accounts", json=body, headers=accept)
            sales = {**accept, "Authorization": f"Bearer {TOKENS['sales']}"}
            other = await http.post(f"{serve.url}other", json=body, headers=sales)
            wrong = await http.post(f"{serve.url}accounts", json=body, headers={**sales, "Authorization": "Bearer x"})
            led = await http.post(f"{serve.url}accounts", json=body, headers={**sales, "Host": "evil.example"})
            large = await http.post(f"{serve.url}accounts", content=b"x" * (17 * 1024 * 1024), headers=sales)
            junk = await http.post(
                f"{serve.url}accounts", content=b"[", headers={**sales, "Content-Type": "application/json"}
            )

    assert (none.status_code, wrong.status_code, other.status_code) == (401, 401, 404)
    assert none.json()["error"]["message"] == "a token is needed: Authorization: Bearer TOKEN"
    assert (led.status_code, large.status_code, junk.status_code) == (421, 413, 400)
    assert serve.ran == []


async def test_a_session_belongs_to_its_caller(serve: Serve) -> None:
    with serve.running():
        async with httpx2.AsyncClient() as http:
            accept = {"Accept": "application/json, text/event-stream"}
            support = {**accept, "Authorization": f"Bearer {TOKENS['support']}"}
            params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
            body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
            opened = await http.post(f"{serve.url}accounts", json=body, headers=support)
            session = {"mcp-session-id": opened.headers["mcp-session-id"]}
            ask = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
            sales = {**accept, **session, "Authorization": f"Bearer {TOKENS['sales']}"}
            stolen = await http.post(f"{serve.url}accounts", json=ask, headers=sales)
            moved = await http.post(f"{serve.url}other", json=ask, headers={**support, **session})
            own = await http.post(f"{serve.url}accounts", json=ask, headers={**support, **session})
            await http.delete(f"{serve.url}accounts", headers={**support, **session})
            after = await http.post(f"{serve.url}accounts", json=ask, headers={**support, **session})

    assert (opened.status_code, stolen.status_code, moved.status_code, own.status_code) == (200, 404, 404, 200)
    assert after.status_code == 404


@ERAS
async def test_progress_goes_through(serve: Serve, mode: Any) -> None:
    heard: list[tuple[float, float | None, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total, message))

    with serve.running():
        async with serve.client(mode=mode) as client:
            answer = await client.call_tool("slow", {"steps": 2}, progress_callback=hear)

    assert answer.content[0].text == "slow is done"
    assert heard == [(1, 2, "step 1"), (2, 2, "step 2")]


async def test_sampling_and_elicitation_go_through(serve: Serve) -> None:
    async def sample(_context: Any, _params: Any) -> CreateMessageResult:
        return CreateMessageResult(role="assistant", content=TextContent(type="text", text="4"), model="m")

    async def elicit(_context: Any, _params: Any) -> ElicitResult:
        return ElicitResult(action="accept", content={"sure": True})

    with serve.running():
        async with serve.client(mode="legacy", sampling_callback=sample, elicitation_callback=elicit) as client:
            asked = await client.call_tool("asks", {})
            elicited = await client.call_tool("elicits", {})

    assert asked.content[0].text == "m said 4"
    assert elicited.content[0].text == "accept True"


@ERAS
async def test_a_call_that_is_given_up_ends_at_the_server(serve: Serve, mode: Any) -> None:
    with serve.running():
        async with serve.client(mode=mode) as client:
            call = asyncio.create_task(client.call_tool("hangs", {}))
            await serve.lines(1)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await serve.lines(2)
            assert not (await client.call_tool("find", {"query": "x"})).is_error

    assert serve.ran[:2] == ["hangs", "hangs was cancelled"]


@ERAS
async def test_a_server_that_dies_or_floods_harms_nobody_else(serve: Serve, mode: Any) -> None:
    with serve.running():
        async with serve.client(mode=mode) as well, serve.client(mode=mode, caller="sales") as other:
            assert not (await well.call_tool("find", {"query": "1"})).is_error
            with pytest.raises(MCPError):
                await other.call_tool("dies", {})
            async with serve.client(mode=mode, caller="sales") as flooded:
                with pytest.raises(MCPError):
                    await flooded.call_tool("shouts", {"kind": "large"})
            assert not (await well.call_tool("find", {"query": "2"})).is_error

    assert [line for line in serve.ran if line.startswith("find")] == ["find 1", "find 2"]


@ERAS
async def test_told_to_end_it_closes_what_is_on_record(serve: Serve, mode: Any) -> None:
    with serve.running() as gateway:
        async with gateway.client(mode=mode) as client:
            assert not (await client.call_tool("find", {"query": "x"})).is_error

    assert len(gateway.on_record("journal_closed")) == 1
    assert len(gateway.on_record("run_ended")) == len(gateway.on_record("run_started")) == 1


async def test_callers_at_the_same_time_get_their_own_answers(serve: Serve) -> None:
    count = 100
    serve.more = "anonymous: ''\n"
    with serve.running():
        async with serve.client(mode="legacy") as client, serve.client(mode="legacy", caller="sales") as other:
            ends = (client, other)
            answers = await asyncio.gather(
                *(ends[number % 2].call_tool("find", {"query": f"q{number}"}) for number in range(count))
            )

    assert [answer.content[0].text.split(":")[0] for answer in answers] == [f"found q{n}" for n in range(count)]
    assert len(serve.ran) == count
    assert len(serve.on_record("completed")) == count


def test_a_configuration_says_what_is_wrong_with_it(serve: Serve) -> None:
    serve.file.write_text("jackline_mcp: 1\nserver: {}\nservers: {a: {url: x, command: [y]}}\n", encoding="utf-8")
    command = [*COMMAND, "--home", str(serve.home), "mcp", "serve", str(serve.file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    told = " ".join(done.stderr.split())
    assert "jackline-mcp.yaml:2:1: unknown key `server`; did you mean 'servers'?" in told
    assert "jackline-mcp.yaml:3:14: `servers.a`: a server has either `command` or `url`" in told


@contextmanager
def listening(serve: Serve) -> Iterator[str]:
    """The server behind an address; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    env = {**os.environ, "RAN": str(serve.log)}
    process = subprocess.Popen([sys.executable, str(SERVER), str(port)], env=env, stderr=subprocess.DEVNULL)
    try:
        reached(port)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.wait()


@ERAS
async def test_a_server_behind_an_address_is_equal_too(serve: Serve, mode: Any) -> None:
    heard: list[str | None] = []

    async def hear(_progress: float, _total: float | None, message: str | None) -> None:
        heard.append(message)

    async def elicit(_context: Any, _params: Any) -> ElicitResult:
        return ElicitResult(action="accept", content={"sure": True})

    with listening(serve) as url:
        async with Client(url, mode=mode) as client:
            bare = await everything(client)
        serve.more = f"  far: {{url: '{url}'}}\n"
        with serve.running():
            async with serve.client(server="far", mode=mode, elicitation_callback=elicit) as client:
                governed = await everything(client)
                slow = await client.call_tool("slow", {"steps": 2}, progress_callback=hear)
                if mode == "legacy":
                    assert (await client.call_tool("elicits", {})).content[0].text == "accept True"
            serve.policies("jackline: 1\npolicies: [{name: no, use: rule, on: tool.call, effect: deny}]\n")
        serve.policies(serve.bundle.read_text(encoding="utf-8") + "unregistered: allow\n")
        with serve.running():
            async with serve.client(server="far", mode=mode) as client:
                assert (await client.call_tool("delete", {"account": "a"})).is_error

    assert governed == bare
    assert slow.content[0].text == "slow is done"
    assert heard == ["step 1", "step 2"]
    assert "delete a" not in serve.ran


@ERAS
async def test_a_server_that_is_not_there_is_an_error(serve: Serve, mode: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    serve.more = f"  far: {{url: 'http://127.0.0.1:{port}/mcp'}}\n  none: {{command: [no-such-command]}}\n"
    with serve.running():
        for name in ("far", "none"):
            async with asyncio.timeout(20):
                with pytest.raises((MCPError, ExceptionGroup)):
                    async with serve.client(server=name, mode=mode):
                        pytest.fail("it connected")
        async with serve.client(mode=mode) as client:
            assert not (await client.call_tool("find", {"query": "x"})).is_error

    assert "Traceback" not in serve.stderr


def test_the_documented_configuration_is_sound(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "mcp.md").read_text(encoding="utf-8")
    file = tmp_path / "jackline-mcp.yaml"
    file.write_text(page.partition("```yaml\n# jackline-mcp.yaml\n")[2].partition("```")[0], encoding="utf-8")

    found = load(file)
    assert list(found.servers) == ["files", "crm"]
    assert found.options() == Options()
    assert found.limits == Limits()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("anonymous: a\nhost: 0.0.0.0\n", "`anonymous` beyond this machine: it listens on 0.0.0.0"),
        ("", "nobody may call it; add `callers:`, see: jackline mcp token"),
    ],
)
def test_a_configuration_that_lets_in_anybody_or_nobody_is_refused(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "jackline-mcp.yaml"
    file.write_text(f"jackline_mcp: 1\nservers: {{a: {{url: 'http://127.0.0.1'}}}}\n{text}", encoding="utf-8")
    with pytest.raises(BundleError, match=re.escape(told)):
        load(file)
