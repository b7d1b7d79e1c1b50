"""`jackline mcp wrap`: what is allowed is the same as without it, and what is not does not run."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from mcp import MCPError
from mcp_harness import ERAS, everything
from mcp_types import CreateMessageResult, ElicitResult, TextContent

from jackline_mcp.enforce import META, REFUSED

if TYPE_CHECKING:
    from mcp_harness import Wrap

DENY = """\
jackline: 1
policies:
  - {name: access, use: tool_access, with: {allow: [find, pay, rich, slow, dies, shouts, hangs, fails]}}
  - {name: small, use: rule, on: tool.call, when: tool.name == 'pay' && args.amount > 100.0, effect: deny,
     reason: too much}
unregistered: allow
"""


@ERAS
async def test_what_is_allowed_is_equal_with_fields_that_nobody_knows(wrap: Wrap, mode: Any) -> None:
    async with wrap.client(bare=True, mode=mode) as client:
        bare = await everything(client)
    ran = wrap.ran
    async with wrap.client(mode=mode) as client:
        governed = await everything(client)

    assert governed == bare
    assert governed["rich"]["meta"]["big"] == 10**30
    assert wrap.ran == ran * 2
    assert len(wrap.on_record("decided")) == 6
    assert len(wrap.on_record("completed")) == 5
    assert [event.error for event in wrap.on_record("failed")] == ["tool error"]


@ERAS
async def test_a_denied_body_never_runs_and_the_model_is_told_why(wrap: Wrap, mode: Any) -> None:
    wrap.policies(DENY)
    async with wrap.client(mode=mode) as client:
        shown = {tool.name for tool in (await client.list_tools()).tools}
        gone = await client.call_tool("delete", {"account": "a"})
        large = await client.call_tool("pay", {"order": "A1", "amount": 500})
        fine = await client.call_tool("pay", {"order": "A1", "amount": 50})

    assert shown == {"find", "pay", "rich", "slow", "dies", "shouts", "hangs", "fails"}
    assert gone.is_error
    assert gone.content[0].text == (
        "Not permitted by policy 'access': no policy permits tool.call 'delete' for agent 'support'"
    )
    assert large.content[0].text == "Not permitted by policy 'small': too much"
    assert large.meta is not None
    assert large.meta[META]["policy"] == "small"
    assert not fine.is_error
    assert wrap.ran == ["pay A1 50.0"]


@ERAS
async def test_unmanaged_agents_may_do_nothing_unless_the_bundle_says_so(wrap: Wrap, mode: Any) -> None:
    wrap.policies("jackline: 1\npolicies: []\n")
    async with wrap.client(mode=mode) as client:
        assert (await client.list_tools()).tools == []
        refused = await client.call_tool("find", {"query": "x"})
        with pytest.raises(MCPError, match="agent 'support' is unregistered") as note:
            await client.read_resource("note://one")
        with pytest.raises(MCPError, match="agent 'support' is unregistered"):
            await client.get_prompt("greet", {"who": "Ana"})

    assert refused.is_error
    assert "jackline agents set support --status active" in refused.content[0].text
    assert note.value.error.code == REFUSED
    assert note.value.error.data["policy"] == "registry"
    assert wrap.ran == []
    seen = {event.agent.name: event.agent for event in wrap.on_record("agent_seen")}
    assert (seen["support"].framework, seen["support"].managed) == ("mcp", False)


async def test_a_client_without_a_name_from_us_is_not_who_it_says(wrap: Wrap) -> None:
    wrap.options = []
    async with wrap.client() as client:
        await client.call_tool("find", {"query": "x"})

    assert [event.agent for event in wrap.on_record("decided")] == ["mcp/mcp@0.1.0"]


async def test_a_halt_is_sticky(wrap: Wrap) -> None:
    rule = "{name: end, use: rule, on: tool.call, when: tool.name == 'delete', effect: halt, reason: enough}"
    wrap.policies(f"jackline: 1\npolicies:\n  - {rule}\nunregistered: allow\n")
    async with wrap.client() as client:
        first = await client.call_tool("delete", {"account": "a"})
        second = await client.call_tool("find", {"query": "x"})

    assert first.content[0].text == "Session ended by policy 'end': enough"
    assert second.content[0].text == "Session ended by policy 'end': enough"
    assert wrap.ran == []


async def test_arguments_and_results_are_changed_in_both_directions(wrap: Wrap) -> None:
    wrap.policies(
        "jackline: 1\npolicies:\n"
        "  - {name: pii, use: pii, on: [tool.call, tool.return, retrieval], with: {entities: [EMAIL], action: redact}}\n"
        "unregistered: allow\n"
    )
    async with wrap.client() as client:
        found = await client.call_tool("find", {"query": "eve@example.com"})
        note = await client.read_resource("note://one")

    assert "example.com" not in wrap.ran[0]
    assert "example.com" not in found.model_dump_json()
    assert found.content[0].text.startswith("found ")
    assert "example.com" not in note.model_dump_json()


@ERAS
async def test_progress_goes_through(wrap: Wrap, mode: Any) -> None:
    heard: list[tuple[float, float | None, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total, message))

    async with wrap.client(mode=mode) as client:
        answer = await client.call_tool("slow", {"steps": 3}, progress_callback=hear)

    assert answer.content[0].text == "slow is done"
    assert heard == [(1, 3, "step 1"), (2, 3, "step 2"), (3, 3, "step 3")]


async def test_sampling_and_elicitation_go_through(wrap: Wrap) -> None:
    async def sample(_context: Any, params: Any) -> CreateMessageResult:
        assert params.messages[0].content.text == "2+2"
        return CreateMessageResult(role="assistant", content=TextContent(type="text", text="4"), model="m")

    async def elicit(_context: Any, params: Any) -> ElicitResult:
        assert params.message == "Sure?"
        return ElicitResult(action="accept", content={"sure": True})

    async with wrap.client(mode="legacy", sampling_callback=sample, elicitation_callback=elicit) as client:
        asked = await client.call_tool("asks", {})
        elicited = await client.call_tool("elicits", {})

    assert asked.content[0].text == "m said 4"
    assert elicited.content[0].text == "accept True"


async def test_a_call_that_is_given_up_ends_at_the_server_and_on_record(wrap: Wrap) -> None:
    async with wrap.client(mode="legacy") as client:
        call = asyncio.create_task(client.call_tool("hangs", {}))
        await wrap.lines(1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await wrap.lines(2)
        again = await client.call_tool("find", {"query": "x"})

    assert not again.is_error
    assert wrap.ran[:2] == ["hangs", "hangs was cancelled"]
    assert [event.error for event in wrap.on_record("failed")] == ["cancelled"]


async def test_poisoned_tools_are_hidden_and_do_not_run(wrap: Wrap) -> None:
    wrap.env = {"POISON": "1"}
    async with wrap.client() as client:
        shown = {tool.name for tool in (await client.list_tools()).tools}
        refused = await client.call_tool("add", {"a": 1, "b": 2})

    assert "add" not in shown
    assert "find" in shown
    assert refused.is_error
    assert "tool 'add' of agent 'support' is suspended" in refused.content[0].text
    assert wrap.ran == []
    [amended] = wrap.on_record("agent_amended")
    assert amended.who == "jackline-mcp"
    assert amended.why == "its description is poisoned: hidden section, commands other acts, names secrets"


async def test_poisoned_tools_are_shown_where_that_is_wanted_and_say_so(wrap: Wrap) -> None:
    wrap.env = {"POISON": "1"}
    wrap.options += ["--poisoned", "alert"]
    async with wrap.client() as client:
        answer = await client.call_tool("add", {"a": 1, "b": 2})

    assert not answer.is_error
    [tool] = [event.tool for event in wrap.on_record("tool_seen") if event.tool.name == "add"]
    assert "hidden section" in tool.labels["findings"]


async def test_a_tool_that_changes_is_stopped(wrap: Wrap) -> None:
    async with wrap.client() as client:
        before = await client.call_tool("find", {"query": "x"})
    wrap.env = {"CHANGED": "1"}
    async with wrap.client() as client:
        shown = {tool.name for tool in (await client.list_tools()).tools}
        after = await client.call_tool("find", {"query": "x"})

    assert not before.is_error
    assert "find" not in shown
    assert "tool 'find' of agent 'support' is suspended" in after.content[0].text
    assert wrap.ran == ["find x"]
    [amended] = wrap.on_record("agent_amended")
    assert amended.why.startswith("it has changed since it was seen: ")


async def test_a_server_that_dies_is_an_error_for_its_own_client(wrap: Wrap) -> None:
    async with wrap.client(mode="legacy") as client:
        with pytest.raises(MCPError, match="the server has ended"):
            await client.call_tool("dies", {})

    assert [event.error for event in wrap.on_record("failed")] == ["jackline_mcp.frames.EndError"]


async def test_a_frame_that_is_too_large_ends_the_connection(wrap: Wrap) -> None:
    async with wrap.client(mode="legacy") as client:
        with pytest.raises(MCPError, match="a frame has more than 16,777,216 bytes"):
            await client.call_tool("shouts", {"kind": "large"})


async def test_frames_that_are_no_messages_are_passed_over(wrap: Wrap) -> None:
    async with wrap.client(mode="legacy") as client:
        answer = await client.call_tool("shouts", {"kind": "junk"})

    assert answer.content[0].text == "shouted"


async def test_a_server_that_says_nothing_is_given_up(wrap: Wrap) -> None:
    wrap.options += ["--silence", "0.5"]
    async with wrap.client(mode="legacy") as client:
        with pytest.raises(MCPError, match="the server has said nothing of it for"):
            await client.call_tool("hangs", {})

    assert wrap.ran[0] == "hangs"


async def test_a_method_that_nobody_knows_cannot_be_judged(wrap: Wrap) -> None:
    async with wrap.client(mode="legacy") as client:
        with pytest.raises(MCPError, match="'vendor/delete' is not known to this gateway") as refused:
            await client.session.send_raw_request("vendor/delete", {}) if hasattr(
                client.session, "send_raw_request"
            ) else await client.session._dispatcher.send_raw_request("vendor/delete", {})

    assert refused.value.error.code == -32601


async def test_a_server_that_does_not_want_to_end_is_ended_with_the_gateway(wrap: Wrap) -> None:
    body = "import os, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(os.getpid(), "
    body += f"file=open({str(wrap.log)!r}, 'a'), flush=True); signal.pause()"
    wrap.server = [sys.executable, "-c", body]
    pipe = subprocess.PIPE
    gateway = await asyncio.create_subprocess_exec(*wrap.command(), stdin=pipe, stdout=pipe, stderr=pipe)
    await wrap.lines(1)
    gateway.terminate()
    _, told = await asyncio.wait_for(gateway.communicate(), 20)

    assert gateway.returncode == 1
    assert "it was told to end" in told.decode()
    with pytest.raises(ProcessLookupError):
        os.kill(int(wrap.ran[0]), 0)


async def test_a_command_that_cannot_be_started_is_said(wrap: Wrap) -> None:
    wrap.server = ["no-such-command"]
    gateway = await asyncio.create_subprocess_exec(*wrap.command(), stderr=subprocess.PIPE)
    _, told = await asyncio.wait_for(gateway.communicate(), 20)

    assert gateway.returncode == 1
    assert "'no-such-command' cannot be started: No such file or directory" in " ".join(told.decode().split())


async def test_junk_of_a_client_is_answered_and_it_goes_on(wrap: Wrap) -> None:
    frames = [
        b"junk",
        b"[]",
        b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":7,"method":"ping"}',
    ]
    env = {**os.environ, "RAN": str(wrap.log)}
    pipe = subprocess.PIPE
    gateway = await asyncio.create_subprocess_exec(*wrap.command(), stdin=pipe, stdout=pipe, env=env)
    assert gateway.stdin is not None
    assert gateway.stdout is not None
    gateway.stdin.write(b"\n".join(frames) + b"\n")
    async with asyncio.timeout(20):
        told = [json.loads(await gateway.stdout.readline()) for _ in frames]
    gateway.stdin.close()
    await gateway.wait()

    assert [each.get("error", {}).get("code") for each in told[:3]] == [-32700] * 3
    assert told[1]["error"]["message"] == "a frame is a batch, one JSON-RPC message was expected"
    assert told[2]["error"]["message"] == "a request's id is neither a text nor a whole number"
    assert told[3]["id"] == 7
