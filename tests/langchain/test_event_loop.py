"""On an event loop nothing of ours blocks: checks wait elsewhere, writes are the small ones that are accepted."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import threading
from typing import TYPE_CHECKING, Any

import pytest
from blockbuster import BlockBuster
from desk import Desk
from fakes import MODEL, AsyncStreaming, Bodies, Library, Scripted, Streaming, ai
from harness import TASK, Guards, Policy, acts, assert_accounted, deny, redact
from langchain.agents import create_agent
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

import jackline
from jackline.bundle import Bundle, Entry
from jackline.decision import Verdict
from jackline.events import Usage
from jackline.testing import allow_journal_writes
from jackline_langchain import JacklineCallbackHandler, LangChainAdapter

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Any blocking call on a loop raises."""
    detector = BlockBuster()
    detector.activate()
    allow_journal_writes(detector)
    try:
        yield
    finally:
        detector.deactivate()


def config(guard: Any, **metadata: Any) -> dict[str, Any]:
    return {"callbacks": [JacklineCallbackHandler(guard)], "metadata": metadata}


async def test_a_whole_agent_run_blocks_nothing_p27(guards: Guards) -> None:
    guard, bodies = guards(deny("refund"), redact("tool.call", "tool.return", "model.call", "model.return")), Bodies()
    inner = create_agent(AsyncStreaming(ai("sub done")), [], name="researcher")

    @tool
    async def research(topic: str) -> str:
        """Ask."""
        return (await inner.ainvoke({"messages": [("user", topic)]}))["messages"][-1].content

    script = (
        ai(
            "",
            ("refund", {"order": "o", "amount": 1}, "a"),
            ("search", {"query": "q"}, "b"),
            ("research", {"topic": "t"}, "c"),
        ),
        ai("done"),
    )
    agent = create_agent(AsyncStreaming(*script), [bodies.arefund(), bodies.asearch(), research], name="manager")
    guard.prices.cost(MODEL, "openai", Usage(input=1), guard.clock())  # which keeps what it found in a file, once
    with watched():
        for metadata in ({}, {"session_id": "s"}):
            found = await agent.ainvoke(TASK, config(guard, **metadata))
            assert found["messages"][-1].content == "done"
            async for _ in agent.astream(TASK, config(guard, **metadata), stream_mode=["messages", "updates"]):
                pass
            async for _ in agent.astream_events(TASK, config(guard, **metadata), version="v2"):
                pass
            await agent.abatch([TASK, TASK], config(guard, **metadata))
        await Library().ainvoke("q", config(guard))
    assert bodies.ran == {"search": 10}


async def test_the_detector_does_see_blocking_calls() -> None:
    with watched(), pytest.raises(Exception, match="Blocking call"):
        pathlib.Path("x").exists()  # noqa: ASYNC240 - it is to be caught


class Waiting(Policy):
    """A policy that is not trusted to be quick: it answers when it is let."""

    def __init__(self, *actions: str) -> None:
        self.let = threading.Event()
        self.entered = threading.Event()
        super().__init__(self._wait, *actions)

    def _wait(self, request: Any) -> Verdict:
        self.entered.set()
        self.let.wait(5)
        return Verdict(effect="deny", reason="after a while")


def slow(guards: Guards, policy: Policy) -> Any:
    guard = guards(deadline=10.0)
    entry = Entry("slow", "test", policy, None, trusted=False)  # type: ignore[arg-type]
    guard.reload(Bundle(revision="1" * 64, source="test", entries=(entry,)))
    return guard


async def reached(policy: Waiting, task: asyncio.Future[Any]) -> None:
    """Return when a worker asks the policy."""
    while not policy.entered.is_set() and not task.done():  # noqa: ASYNC110 - another thread sets it
        await asyncio.sleep(0)


ACTS = {
    "tool.call": lambda settings: Bodies().asearch().ainvoke({"query": "q"}, settings),
    "model.call": lambda settings: Scripted(ai("x")).ainvoke("x", settings),
    "model.return": lambda settings: Scripted(ai("x")).ainvoke("x", settings),
    "tool.return": lambda settings: Bodies().asearch().ainvoke({"query": "q"}, settings),
    "retrieval": lambda settings: Library().ainvoke("q", settings),
    "output": lambda settings: create_agent(Streaming(ai("x")), [], name="support").ainvoke(TASK, settings),
}


@pytest.mark.parametrize("action", ACTS)
async def test_a_policy_that_waits_does_not_hold_the_loop_p27(guards: Guards, action: str) -> None:
    policy = Waiting(action)
    guard = slow(guards, policy)
    with watched():
        task = asyncio.ensure_future(ACTS[action](config(guard)))
        await reached(policy, task)
        for _ in range(10):  # the loop turns while the policy waits
            await asyncio.sleep(0)
        assert not task.done()
        policy.let.set()
        with pytest.raises(jackline.Denied, match="after a while"):
            await task
    guard.close()
    assert_accounted(guard)


async def test_a_sub_agent_is_waited_for_without_holding_the_loop(guards: Guards) -> None:
    policy = Waiting("agent.spawn")
    guard = slow(guards, policy)
    model = Scripted(ai("x"))
    inner = create_agent(model, [], name="researcher")

    @tool
    async def research(topic: str) -> str:
        """Ask."""
        return (await inner.ainvoke({"messages": [("user", topic)]}))["messages"][-1].content

    outer = create_agent(Scripted(ai("", ("research", {"topic": "t"}, "c")), ai("done")), [research], name="manager")
    with watched():
        task = asyncio.ensure_future(outer.ainvoke(TASK, config(guard)))
        await reached(policy, task)
        assert not task.done()
        policy.let.set()
        found = await task
    assert found["messages"][-2].content == "Not permitted by policy 'slow': after a while"
    assert model.calls == 0
    guard.close()
    assert_accounted(guard)


async def test_an_asynchronous_decision_comes_before_the_act_p17(guards: Guards) -> None:
    guard, bodies = guards(deny("search", "refund")), Bodies()
    guard.enable(LangChainAdapter())
    calls = [bodies.asearch().ainvoke({"query": "q"}), bodies.arefund().ainvoke({"order": "o", "amount": 1})]
    found = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(item).__name__ for item in found] == ["DeniedTool", "DeniedTool"]
    assert not bodies.ran
    assert {effect for _, _, effect in acts(guard)} == {"deny"}


async def test_the_same_tools_work_in_both_modes_p39(guards: Guards) -> None:
    guard, bodies = guards(), Bodies()
    settings = config(guard)
    assert await bodies.search().ainvoke({"query": "q"}, settings) == "3 results for q"
    assert await bodies.asearch().ainvoke({"query": "q"}, settings) == "3 results for q"
    assert bodies.search().invoke({"query": "q"}, settings) == "3 results for q"
    with pytest.raises(NotImplementedError):
        bodies.asearch().invoke({"query": "q"}, settings)
    guard.close()
    assert_accounted(guard)


@pytest.mark.parametrize("wait", ["tell", "block", "pause"])
async def test_people_are_asked_and_waited_for_without_blocking(tmp_path: pathlib.Path, wait: str) -> None:
    """P26: whoever waits holds up nothing; told, the agent goes on, and paused, it is resumed."""
    desk, bodies = await asyncio.to_thread(Desk, tmp_path, wait), Bodies()
    script = ai("", ("refund", {"order": "o", "amount": 900.0}, "c1")), ai("done")
    agent = create_agent(Scripted(*script), [bodies.arefund()], checkpointer=InMemorySaver(), name="desk")
    desk.guard.prices.cost(MODEL, "openai", Usage(input=1), desk.guard.clock())  # as above
    governed = config(desk.guard, thread_id="t-1") | {"configurable": {"thread_id": "t-1"}}

    async def answered() -> None:
        while not await asyncio.to_thread(desk.asked):  # noqa: ASYNC110 - files
            await asyncio.sleep(0.005)
        await asyncio.to_thread(desk.says, "approve")

    with watched():
        answering = asyncio.create_task(answered())
        await agent.ainvoke(TASK, governed)
        await answering
        if wait != "block":
            again = {"configurable": {"thread_id": "t-2"}} if wait == "tell" else {}
            await agent.ainvoke(None if wait == "pause" else TASK, governed | again)
    assert len(bodies.got) == 1
    desk.close()
