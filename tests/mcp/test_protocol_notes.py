"""All that MCP has beside calls goes through as it is, each way and in both eras: pages, notes, levels, subscriptions."""

from __future__ import annotations

import asyncio
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from mcp import MCPError
from mcp.shared.subscriptions import ResourceUpdated, ToolsListChanged
from mcp_harness import ERAS
from mcp_types import ListRootsResult, PromptReference, Root
from mcp_ways import PIPES_AND_HTTP, WAYS
from test_people import Ana

from jackline_mcp.enforce import REFUSED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from mcp import Client
    from mcp_ways import Ways

ALLOWED = "unregistered: allow\n"


class Ear:
    """What a client hears beside answers."""

    def __init__(self) -> None:
        self.notes: list[Any] = []
        self.logs: list[Any] = []
        self.progress: list[tuple[float, float | None, str | None]] = []

    async def note(self, message: Any) -> None:
        self.notes.append(message.method if hasattr(message, "method") else str(message))

    async def log(self, params: Any) -> None:
        self.logs.append((params.level, params.logger, params.data))

    async def step(self, progress: float, total: float | None, message: str | None) -> None:
        self.progress.append((progress, total, message))

    async def roots(self, _context: Any) -> ListRootsResult:
        return ListRootsResult(roots=[Root(uri="file:///srv")])

    def options(self, mode: Any) -> dict[str, Any]:
        known = {"message_handler": self.note, "logging_callback": self.log, "list_roots_callback": self.roots}
        return {**known, "mode": mode, "cache": None, "log_level": "info" if mode == "auto" else None}


async def until(heard: Callable[[], bool], again: Callable[[], Any] | None = None) -> None:
    """Wait for something that is on its way; `again` is what makes it come, as a stream may be open only by now."""
    async with asyncio.timeout(60):
        while not heard():
            if again is not None:
                await again()
            await asyncio.sleep(0.05)


async def pages(ask: Callable[..., Any]) -> AsyncIterator[Any]:
    cursor = None
    while True:
        page = await ask(cursor=cursor)
        yield page.model_dump()
        cursor = page.next_cursor
        if cursor is None:
            return


async def story(client: Client, ear: Ear, mode: str) -> dict[str, Any]:
    """What a client sees and hears of the clinic."""
    lists = (client.list_tools, client.list_resources, client.list_prompts)
    found: dict[str, Any] = {ask.__name__: [page async for page in pages(ask)] for ask in lists}
    assert [len(each) for each in found.values()] == [3, 3, 2]
    about = PromptReference(name="prompt1")
    found["completed"] = (await client.complete(about, {"name": "who", "value": "An"})).model_dump()
    found["read"] = (await client.read_resource("file://3")).model_dump()
    found["got"] = (await client.get_prompt("prompt2", {"who": "Ana"})).model_dump()
    await client.call_tool("wait", {}, progress_callback=ear.step)
    if mode == "legacy":
        await client.set_logging_level("info")
        await client.send_roots_list_changed()
    await client.call_tool("log", {"what": "loud"})
    await until(lambda: bool(ear.logs))
    return {**found, "heard": (ear.progress, ear.logs[:1])}


@ERAS
@WAYS
async def test_it_is_the_same_as_without_a_gateway(ways: Ways, way: str, mode: Any) -> None:
    told = []
    for one in ("bare far" if way == "far" else "bare", way):
        ear = Ear()
        with ways.up(one), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the SDK's own, of what 2026-07-28 has no more
            async with ways.to(one, **ear.options(mode)) as client:
                told.append(await story(client, ear, mode))
                if mode == "legacy":
                    await until(lambda: ways.ran.count("roots changed") == len(told))

    assert told[1] == told[0]
    assert told[1]["heard"] == (
        [(1, 3, "step 1"), (2, 3, "step 2"), (3, 3, "step 3")],
        [("warning", "clinic", {"told": "loud"})],
    )


@WAYS
async def test_a_client_with_a_session_hears_of_what_it_subscribed_to(ways: Ways, way: str) -> None:
    ways.policies(f"jackline: 1\npolicies:\n  - {NOT_FIVE}\n{ALLOWED}")
    ear = Ear()
    with ways.up(way), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        async with ways.to(way, **ear.options("legacy")) as client:
            await client.subscribe_resource("file://3")
            with pytest.raises(MCPError, match="Not permitted by policy 'five': not five"):
                await client.subscribe_resource("file://5")
            touched = "notifications/resources/updated"
            await until(lambda: touched in ear.notes, lambda: client.call_tool("touch", {"what": "file://3"}))
            await client.unsubscribe_resource("file://3")
            changed = "notifications/tools/list_changed"
            await until(lambda: changed in ear.notes, lambda: client.call_tool("grow", {"what": "new"}))

    assert [line for line in ways.ran if line.startswith("subscribed")] == ["subscribed file://3"] * 2


@WAYS
async def test_a_client_without_a_session_listens(ways: Ways, way: str) -> None:
    with ways.up(way):
        async with ways.to(way, mode="auto") as client, asyncio.timeout(60):
            async with client.listen(tools_list_changed=True, resource_subscriptions=["file://3"]) as heard:
                assert heard.honored.tools_list_changed
                # Behind one address all callers have one server; a command is one process for each request at a time.
                if way != "serve":
                    await client.call_tool("touch", {"what": "file://3"})
                    assert await anext(heard) == ResourceUpdated(uri="file://3")
                    await client.call_tool("grow", {"what": "new"})
                    assert await anext(heard) == ToolsListChanged()
            again = await client.call_tool("measure", {"what": "x"})

    assert not again.is_error


NOT_FIVE = (
    "{name: five, use: rule, on: retrieval, effect: deny, reason: not five, "
    "when: \"resource == 'file://5' || resource == 'prompt:prompt5' || resource == 'completion:prompt5'\"}"
)
NO_MAIL = "{name: pii, use: pii, on: [retrieval, tool.return], with: {entities: [EMAIL], action: redact}}"


@PIPES_AND_HTTP
@ERAS
async def test_resources_and_prompts_are_refused_and_changed(ways: Ways, way: str, mode: Any) -> None:
    ways.policies(f"jackline: 1\npolicies:\n  - {NOT_FIVE}\n  - {NO_MAIL}\n{ALLOWED}")
    with ways.up(way):
        async with ways.to(way, mode=mode, cache=None) as client:
            refused = [
                client.read_resource("file://5"),
                client.get_prompt("prompt5", {}),
                client.complete(PromptReference(name="prompt5"), {"name": "who", "value": "x"}),
            ]
            for each in refused:
                with pytest.raises(MCPError, match="Not permitted by policy 'five': not five") as told:
                    await each
                assert told.value.error.code == REFUSED
            read = await client.read_resource("file://3")
            got = await client.get_prompt("prompt3", {"who": "eve@example.com"})
            completed = await client.complete(
                PromptReference(name="prompt3"), {"name": "who", "value": "e@example.com"}
            )

    for answer in (read, got, completed):
        assert "example.com" not in answer.model_dump_json()
    assert read.contents[0].text.startswith("file://3 is of ")
    assert len(completed.completion.values) == 2
    assert not [line for line in ways.ran if "5" in line or "example.com" in line]
    assert len(ways.ran) == 3


@PIPES_AND_HTTP
async def test_the_gateways_own_progress_is_below_the_servers(ways: Ways, way: str) -> None:
    ana = Ana(ways, "block")
    ways.policies(ways.bundle.read_text("utf-8").replace("'delete'", "'clinic.wait'"))
    ear = Ear()
    with ways.up(way):
        async with ways.to(way, **ear.options("legacy")) as client:
            call = asyncio.create_task(client.call_tool("wait", {}, progress_callback=ear.step))
            asked = await ana.asked()
            await until(lambda: bool(ear.progress))
            assert ways.ran == []
            ana.says(asked, "approve")
            await call

    steps = [step for step, _, _ in ear.progress]
    assert steps == sorted(set(steps))
    assert (steps[0], steps[-3:]) == (1e-6, [1, 2, 3])


OBJECTIONS = {
    ("poisoned", "deny"): "its description is poisoned: hidden section, commands other acts, names secrets",
    ("changed", "deny"): "it has changed since it was seen: ",
    ("new", "deny"): "it is new",
}


@pytest.mark.parametrize(("kind", "care"), [*OBJECTIONS, ("poisoned", "alert"), ("changed", "alert"), ("new", "alert")])
@PIPES_AND_HTTP
async def test_a_list_that_changes_within_a_session(ways: Ways, way: str, kind: str, care: str) -> None:
    """It is seen before the next call, whether the client asked for the list again or not."""
    name = "measure" if kind == "changed" else "weigh"
    cares = {"new": "alert", "changed": "deny", "poisoned": "deny", kind: care}
    ways.options += [word for item in cares.items() for word in (f"--{item[0]}", item[1])]
    ways.more += f"tools: {{{', '.join(f'{key}: {value}' for key, value in cares.items())}}}\n"
    with ways.up(way):
        async with ways.to(way, mode="legacy") as client:
            assert not (await client.call_tool("measure", {"what": "before"})).is_error
            await client.call_tool("grow", {"what": kind})
            told = await client.call_tool(name, {"what": "after"})
            shown = [tool["name"] async for page in pages(client.list_tools) for tool in page["tools"]]

    seen = [event for event in ways.on_record("tool_seen") if event.tool.name == f"clinic.{name}"]
    if care == "deny":
        assert told.is_error
        assert f"tool 'clinic.{name}' of agent 'support' is suspended" in told.content[0].text
        assert name not in shown
        [amended] = ways.on_record("agent_amended")
        assert amended.why.startswith(OBJECTIONS[kind, care])
        assert f"{name} after" not in ways.ran
    else:
        assert not told.is_error
        assert name in shown
        assert len(seen) == (2 if kind == "changed" else 1)
        assert f"{name} after" in ways.ran
