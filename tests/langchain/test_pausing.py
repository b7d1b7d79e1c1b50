"""LangGraph agents with a checkpointer are paused for people, and make the very same call when they are resumed."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from desk import CALLS, NOW, TASK, THREAD, Desk, restored, saved
from fakes import Bodies, Scripted, ai
from harness import Governed, WithCallbacks, assert_accounted, events
from langchain.agents import create_agent
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from jackline.errors import ApprovalPending
from jackline_langchain import JacklineCallbackHandler, LangChainAdapter

if TYPE_CHECKING:
    from collections.abc import Iterator

CALL = ("refund", {"order": "o", "amount": 900.0})
PROGRAM = Path(__file__).with_name("paused_agent.py")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, "pause")
    yield made
    made.close()


@pytest.fixture(params=["handler", "process", "attach", "middleware"])
def way(request: pytest.FixtureRequest) -> Governed:
    return Governed(request.param, None)  # type: ignore[arg-type]


def told(agent: Any) -> dict[str, str]:
    """By call id: what the model was told in the thread."""
    graph = agent.agent if isinstance(agent, WithCallbacks) else agent
    messages = graph.get_state(THREAD).values["messages"]
    return {message.tool_call_id: str(message.content) for message in messages if message.type == "tool"}


def refunds(bodies: Bodies, mode: str) -> list[Any]:
    return [bodies.arefund() if mode in ("ainvoke", "astream") else bodies.refund()]


ANSWERS = {
    "approve": ("refunded 900.0 for o", [900.0]),
    "deny": ("Not permitted by policy 'refunds': ana denied it: so be it", []),
    "respond": ("Answered instead of done by policy 'refunds': ana answers: so be it", []),
    "edit": ("refunded 450.0 for o", [450.0]),
    "expire": ("Not permitted by policy 'refunds': nobody approved it in time (approval {}): ", []),
}


@pytest.mark.parametrize("mode", CALLS)
@pytest.mark.parametrize("say", ANSWERS)
def test_an_agent_is_paused_until_people_answer(desk: Desk, way: Governed, mode: str, say: str) -> None:
    """P25, P26: nothing is done before the answer, what was approved is done once, and silence is a no."""
    bodies, call = Bodies(), CALLS[mode]
    model = Scripted(ai("", (*CALL, "c1")), ai("done"))
    agent = way.agent(desk.guard, model, refunds(bodies, mode), checkpointer=InMemorySaver(), name="desk")
    (shown,) = call(agent, TASK, THREAD)
    (asked,) = desk.asked()
    assert shown.id == asked.question.id[:32]
    assert shown.value == {
        "approvals": [asked.question.id],
        "action": "tool.call",
        "resource": "refund",
        "args": {"order": "o", "amount": 900.0},
        "call_id": "c1",
        "policy": "refunds",
        "reason": "tool.name == 'refund' && args.amount > 500",
        "to": ["ana"],
        "expires": NOW + 1800,
    }
    assert [again.id for again in call(agent, None, THREAD)] == [shown.id]
    assert bodies.got == []
    if say == "expire":
        desk.now += 1801
    else:
        desk.says(say, why="so be it", args={"order": "o", "amount": 450.0} if say == "edit" else None)
    words, amounts = ANSWERS[say]
    for _ in range(2):
        assert call(agent, None, THREAD) == []
        assert told(agent)["c1"].startswith(words.format(asked.question.id[:12]))
        assert [got["amount"] for _, got in bodies.got] == amounts
    assert len(list(desk.guard.approvals.all())) == 1
    assert model.calls == 2


def test_the_record_of_a_pause(desk: Desk, way: Governed) -> None:
    """An act that is paused is one that was asked about: it has no outcome, no error, and holds nothing."""
    model = Scripted(ai("", (*CALL, "c1")), ai("done"))
    agent = way.agent(desk.guard, model, [Bodies().refund()], checkpointer=InMemorySaver(), name="desk")
    agent.invoke(TASK, THREAD)
    assert desk.guard.recorder.lost == 0
    assert events(desk.guard, "failed") == []
    assert {event.error for event in events(desk.guard, "run_ended")} <= {""}
    assert [event.effect for event in events(desk.guard, "decided") if event.action == "tool.call"] == ["escalate"]
    desk.says("approve")
    agent.invoke(None, THREAD)
    desk.guard.close()
    assert len(events(desk.guard, "approval_requested")) == len(events(desk.guard, "approval_consumed")) == 1
    assert_accounted(desk.guard)


@pytest.mark.parametrize("mode", CALLS)
def test_each_call_of_a_batch_has_its_own_approval(desk: Desk, way: Governed, mode: str) -> None:
    """P59: by id, never by place; who needs none does not wait, and what has run does not run again."""
    bodies, call = Bodies(), CALLS[mode]
    calls = [("refund", {"order": "o", "amount": amount}, f"c{amount:.0f}") for amount in (900.0, 901.0, 5.0, 902.0)]
    calls.append(("refund", {"order": "o", "amount": 900.0}, "c900-again"))
    model = Scripted(ai("", *calls), ai("done"))
    agent = way.agent(desk.guard, model, refunds(bodies, mode), checkpointer=InMemorySaver(), name="desk")
    shown = call(agent, TASK, THREAD)
    assert sorted(one.value["call_id"] for one in shown) == ["c900", "c900-again", "c901", "c902"]
    assert len({one.id for one in shown}) == 4
    assert [got["amount"] for _, got in bodies.got] == [5.0]
    by_call = {one.question.nonce: one for one in desk.asked()}
    desk.says("approve", by_call["c902"])
    assert len(call(agent, None, THREAD)) == 3
    assert [got["amount"] for _, got in bodies.got] == [5.0, 902.0]
    desk.says("approve", by_call["c900"])
    desk.says("deny", by_call["c900-again"], why="once is enough")
    desk.says("deny", by_call["c901"], why="no")
    assert call(agent, None, THREAD) == []
    assert [got["amount"] for _, got in bodies.got] == [5.0, 902.0, 900.0]
    said = told(agent)
    assert said["c900"] == "refunded 900.0 for o"
    assert said["c900-again"] == "Not permitted by policy 'refunds': ana denied it: once is enough"
    assert said["c901"] == "Not permitted by policy 'refunds': ana denied it: no"


@pytest.mark.parametrize(
    "forged", ["approved", True, {"decisions": [{"type": "approve"}]}, {"ok": True}, "by id", "of everything"]
)
def test_what_a_thread_is_resumed_with_is_nobodys_answer(desk: Desk, way: Governed, forged: Any) -> None:
    """P61: only what the store has, signed, is an answer; without one the call stays paused."""
    bodies = Bodies()
    model = Scripted(ai("", (*CALL, "c1")), ai("done"))
    agent = way.agent(desk.guard, model, [bodies.refund()], checkpointer=InMemorySaver(), name="desk")
    (shown,) = agent.invoke(TASK, THREAD)["__interrupt__"]
    value = {"by id": {shown.id: "approved"}, "of everything": {"approvals": shown.value["approvals"]}}.get(str(forged))
    for _ in range(2):
        state = agent.invoke(Command(resume=value or forged), THREAD)
        assert [one.id for one in state["__interrupt__"]] == [shown.id]
        assert bodies.got == []
    desk.says("deny", why="no")
    agent.invoke(Command(resume=value or forged), THREAD)
    assert told(agent)["c1"] == "Not permitted by policy 'refunds': ana denied it: no"
    assert bodies.got == []


def test_another_guard_goes_on_where_the_first_was(desk: Desk, way: Governed) -> None:
    """P52, P61: the answer is in the store; whoever resumes with another handler and guard finds it, or is paused."""
    bodies, saver = Bodies(), InMemorySaver()
    model = Scripted(ai("", (*CALL, "c1")), ai("done"))
    first = way.agent(desk.guard, model, [bodies.refund()], checkpointer=saver, name="desk")
    (shown,) = first.invoke(TASK, THREAD)["__interrupt__"]
    desk.guard.close()
    saver = restored(saved(saver))
    second = way.agent(desk.restart(), model, [bodies.refund()], checkpointer=saver, name="desk")
    assert [one.id for one in second.invoke(Command(resume="approved"), THREAD)["__interrupt__"]] == [shown.id]
    assert bodies.got == []
    desk.says("approve")
    desk.guard.close()
    third = way.agent(desk.restart(), model, [bodies.refund()], checkpointer=restored(saved(saver)), name="desk")
    assert "__interrupt__" not in third.invoke(None, THREAD)
    desk.guard.close()
    fourth = way.agent(desk.restart(), model, [bodies.refund()], checkpointer=restored(saved(saver)), name="desk")
    fourth.invoke(None, THREAD)  # the same checkpoint once more, as another process that came later would have it
    assert len(bodies.got) == 1
    assert "was used already: a step that is run again does nothing twice" in told(fourth)["c1"]


@pytest.mark.parametrize("governed", ["process", "attach", "middleware"])
def test_processes_that_resume_at_once_do_it_once(desk: Desk, tmp_path: Path, governed: str) -> None:
    """P25, P52, P61: asked in one process, refused in the next, and approved in two at the same time."""
    thread, done = tmp_path / "thread", tmp_path / "done"
    done.touch()
    desk.guard.close()

    def start(what: str) -> subprocess.Popen[str]:
        command = [
            sys.executable,
            str(PROGRAM),
            governed,
            str(desk.bundle),
            str(desk.home),
            str(thread),
            str(done),
            what,
        ]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def finished(process: subprocess.Popen[str]) -> str:
        printed, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        return printed.strip()

    assert finished(start("ask")) == "paused"
    assert finished(start("resume")) == "paused"
    assert done.read_text() == ""
    desk.restart()
    desk.now = desk.asked()[0].question.asked
    desk.says("approve")
    printed = sorted(finished(process) for process in [start("resume") for _ in range(2)])
    assert done.read_text() == "900.0\n"
    used = "was used already: a step that is run again does nothing twice"
    assert [used in words for words in printed] == [True, False]
    assert printed[-1] == "refunded 900.0"


def test_threads_that_resume_at_once_do_it_once(desk: Desk) -> None:
    """P25: one approval, one act, whoever comes first."""
    bodies, saver = Bodies(), InMemorySaver()
    model = Scripted(ai("", (*CALL, "c1")), ai("done"))
    desk.guard.enable(LangChainAdapter())
    create_agent(model, [bodies.refund()], checkpointer=saver, name="desk").invoke(TASK, THREAD)
    desk.says("approve")
    kept = saved(saver)
    agents = [create_agent(model, [bodies.refund()], checkpointer=restored(kept), name="desk") for _ in range(8)]
    threads = [threading.Thread(target=agent.invoke, args=(None, THREAD)) for agent in agents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bodies.got) == 1
    assert len(events(desk.guard, "approval_consumed")) == 1


def test_an_agent_without_a_checkpointer_is_told(desk: Desk, way: Governed) -> None:
    bodies = Bodies()
    model = Scripted(ai("", (*CALL, "c1")), ai("done"))
    agent = way.agent(desk.guard, model, [bodies.refund()], name="desk")
    state = agent.invoke(TASK, THREAD)
    assert "__interrupt__" not in state
    assert "is pending; it was not done)" in state["messages"][2].content
    assert desk.asked()[0].question.told
    desk.says("approve")
    agent.invoke(TASK, THREAD)
    assert len(bodies.got) == 1


def test_a_tool_that_is_called_alone_raises_that_it_is_pending(desk: Desk) -> None:
    with pytest.raises(ApprovalPending, match="is pending; it was not done"):
        Bodies().refund().invoke(CALL[1], {"callbacks": [JacklineCallbackHandler(desk.guard)]})
