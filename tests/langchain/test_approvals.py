"""LangChain agents whose tool waits for a human: told or blocked, approved, denied, edited and expired."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from desk import TASK, THREAD, Desk
from fakes import Bodies, Scripted, ai
from harness import Governed, assert_accounted
from langchain.agents import create_agent

from jackline_langchain import JacklineCallbackHandler, JacklineMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CALL = ("refund", {"order": "o", "amount": 900})


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


@pytest.fixture
def blocking(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, "block")
    yield made
    made.close()


@pytest.fixture(params=["handler", "middleware"])
def agent(request: pytest.FixtureRequest, desk: Desk) -> Any:
    """Make an agent and ask it once, in one thread of conversation: the text of its tool message."""

    def ask(bodies: Bodies, call_id: str) -> str:
        model = Scripted(ai("", (*CALL, call_id)), ai("done"))
        middleware = [JacklineMiddleware(desk.guard)] if request.param == "middleware" else []
        config: Any = {"configurable": {"thread_id": "t-1"}}
        if request.param == "handler":
            config["callbacks"] = [JacklineCallbackHandler(desk.guard)]
        found = create_agent(model, [bodies.refund()], middleware=middleware).invoke(
            {"messages": [("user", "x")]}, config
        )
        return str(found["messages"][2].content)

    return ask


def test_an_approved_call_runs_once_under_its_next_id(desk: Desk, agent: Any) -> None:
    bodies = Bodies()
    assert "is pending; it was not done)" in agent(bodies, "c1")
    assert "is pending; it was not done)" in agent(bodies, "c2")
    desk.says("approve")
    assert not bodies.ran
    assert "Approval needed" not in agent(bodies, "c3")
    assert len(bodies.got) == 1
    assert "is pending" in agent(bodies, "c4")
    assert len(bodies.got) == 1


def test_a_denied_call_never_runs(desk: Desk, agent: Any) -> None:
    bodies = Bodies()
    agent(bodies, "c1")
    desk.says("deny", why="no receipt")
    for call_id in ("c2", "c3"):
        assert agent(bodies, call_id) == "Not permitted by policy 'refunds': ana denied it: no receipt"
    assert not bodies.ran


def test_an_edited_call_runs_with_the_approved_arguments(desk: Desk, agent: Any) -> None:
    bodies = Bodies()
    agent(bodies, "c1")
    desk.says("edit", args={"order": "o", "amount": 450})
    agent(bodies, "c2")
    assert len(bodies.got) == 1
    assert bodies.got == [("refund", {"order": "o", "amount": 450})]


def test_an_expired_call_never_runs(desk: Desk, agent: Any) -> None:
    """P26: a silent approver denies."""
    bodies = Bodies()
    agent(bodies, "c1")
    desk.says("approve")
    desk.now += 1801
    assert "nobody approved it in time" in agent(bodies, "c1")
    assert not bodies.ran


ANSWERS = {
    "approve": ("refunded 900.0 for o", [900.0]),
    "deny": ("Not permitted by policy 'refunds': ana denied it: so be it", []),
    "respond": ("Answered instead of done by policy 'refunds': ana answers: so be it", []),
    "edit": ("refunded 450.0 for o", [450.0]),
    "expire": ("Not permitted by policy 'refunds': nobody approved it in time (approval {}): ", []),
}


def answer(desk: Desk, say: str) -> str:
    """Say it, or let the time pass; the beginning of the question's id."""
    (asked,) = desk.asked()
    if say == "expire":
        desk.now += 1800
    else:
        desk.says(say, why="so be it", args={"order": "o", "amount": 450.0} if say == "edit" else None)
    return asked.question.id[:12]


@pytest.fixture(params=["handler", "process", "attach", "middleware"])
def way(request: pytest.FixtureRequest) -> Governed:
    return Governed(request.param, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("say", ANSWERS)
def test_a_call_waits_in_its_thread(blocking: Desk, way: Governed, say: str) -> None:
    """P25, P26: the call that waited is done once as it was approved, or never; a silent approver denies."""
    bodies, desk = Bodies(), blocking
    agent = way.agent(desk.guard, Scripted(ai("", (*CALL, "c1")), ai("done")), [bodies.refund()])
    found: list[Any] = []
    asking = threading.Thread(target=lambda: found.append(agent.invoke(TASK, THREAD)))
    asking.start()
    until(lambda: bool(desk.asked()))
    assert bodies.got == []
    name = answer(desk, say)
    asking.join(20)
    words, amounts = ANSWERS[say]
    assert found[0]["messages"][2].content.startswith(words.format(name))
    assert [got["amount"] for _, got in bodies.got] == amounts


@pytest.mark.parametrize("say", ANSWERS)
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_call_waits_and_the_event_loop_goes_on(
    blocking: Desk, way: Governed, say: str, asynchronous: bool
) -> None:
    """P25, P26: on an event loop as well, which does everything else meanwhile."""
    bodies, desk = Bodies(), blocking
    refund = bodies.arefund() if asynchronous else bodies.refund()
    agent = way.agent(desk.guard, Scripted(ai("", (*CALL, "c1")), ai("done")), [refund])
    asking = asyncio.create_task(agent.ainvoke(TASK, THREAD))
    turns = 0
    while not desk.asked():
        await asyncio.sleep(0.005)
        turns += 1
    for _ in range(50):
        await asyncio.sleep(0)
    assert turns
    assert not asking.done()
    name = answer(desk, say)
    found = await asyncio.wait_for(asking, 20)
    words, amounts = ANSWERS[say]
    assert found["messages"][2].content.startswith(words.format(name))
    assert [got["amount"] for _, got in bodies.got] == amounts


async def test_whoever_stops_waiting_leaves_nothing_done(blocking: Desk, way: Governed) -> None:
    """The question stays, and an answer to it that comes too late runs nothing by itself."""
    bodies, desk = Bodies(), blocking
    agent = way.agent(desk.guard, Scripted(ai("", (*CALL, "c1")), ai("done")), [bodies.arefund()])
    asking = asyncio.create_task(agent.ainvoke(TASK, THREAD))
    while not desk.asked():  # noqa: ASYNC110 - files
        await asyncio.sleep(0.005)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    desk.says("approve")
    await asyncio.sleep(0)
    assert bodies.got == []
    desk.close()
    assert_accounted(desk.guard)


def until(reached: Any) -> None:
    over = threading.Event()
    while not reached():
        assert not over.wait(0.005)


async def test_calls_of_one_batch_are_answered_each_by_itself(blocking: Desk) -> None:
    """P59: one approval for each call; a sibling that needs none does not wait."""
    bodies, desk = Bodies(), blocking
    calls = [("refund", {"order": "o", "amount": amount}, f"c{amount}") for amount in (900, 901, 5)]
    model = Scripted(ai("", *calls), ai("done"))
    agent = create_agent(model, [bodies.refund()])
    config: Any = {"callbacks": [JacklineCallbackHandler(desk.guard)], **THREAD}
    asking = asyncio.create_task(agent.ainvoke(TASK, config))
    while len(desk.asked()) < 2 or not bodies.ran:  # noqa: ASYNC110 - files
        await asyncio.sleep(0.01)
    assert len(bodies.got) == 1
    for asked in desk.asked():
        desk.says("approve" if asked.question.args["amount"] == 901 else "deny", asked, why="so be it")
    found = await asyncio.wait_for(asking, 20)
    told = {message.tool_call_id: str(message.content) for message in found["messages"][2:5]}
    assert told["c900"] == "Not permitted by policy 'refunds': ana denied it: so be it"
    assert sorted(got["amount"] for _, got in bodies.got) == [5, 901]
    assert len(bodies.got) == 2
