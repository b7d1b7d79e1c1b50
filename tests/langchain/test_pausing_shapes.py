"""Where agents are paused: sub-agents, graphs of one's own, models, other middleware; and where they cannot be."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from desk import CALLS, TASK, THREAD, Desk, restored, saved
from fakes import Bodies, Library, Scripted, ai
from harness import OLD, assert_accounted, events
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ModelRetryMiddleware, ToolRetryMiddleware, hook_config
from langchain_core.documents import Document
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import Command, interrupt

from jackline.errors import ApprovalPending
from jackline_langchain import JacklineCallbackHandler, LangChainAdapter
from jackline_langchain.patches import SWITCH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from jackline.guard import Guard

CALL = ("refund", {"order": "o", "amount": 900.0})


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    """A desk whose guard governs the process."""
    made: list[Desk] = []

    def make(**terms: Any) -> Desk:
        made.append(Desk(tmp_path, "pause", **terms))
        made[-1].guard.enable(LangChainAdapter())
        return made[-1]

    yield make
    for one in made:
        one.close()


def told(agent: Any) -> list[str]:
    messages = agent.get_state(THREAD).values["messages"]
    return [str(message.content) for message in messages if message.type == "tool"]


def closed(guard: Guard) -> None:
    guard.close()
    assert guard.recorder.lost == 0
    assert_accounted(guard)


@pytest.mark.parametrize("mode", CALLS)
def test_the_tool_of_a_sub_agent(desk: Any, mode: str) -> None:
    """The agent above is paused with it; both go on, and the call above is no failure."""
    ana, bodies, call = desk(), Bodies(), CALLS[mode]
    worker = create_agent(Scripted(ai("", (*CALL, "w1")), ai("paid")), [bodies.refund()], name="worker")
    entered = []

    if mode in ("ainvoke", "astream"):

        @tool
        async def delegate(task: str) -> str:
            """Let the worker do it."""
            entered.append(task)
            return str((await worker.ainvoke({"messages": [("user", task)]}))["messages"][-1].content)

    else:

        @tool
        def delegate(task: str) -> str:
            """Let the worker do it."""
            entered.append(task)
            return str(worker.invoke({"messages": [("user", task)]})["messages"][-1].content)

    boss = create_agent(
        Scripted(ai("", ("delegate", {"task": "pay"}, "b1")), ai("done")),
        [delegate],
        checkpointer=InMemorySaver(),
        name="boss",
    )
    (shown,) = call(boss, TASK, THREAD)
    assert shown.value["call_id"] == "w1"
    (failed,) = {event.error for event in events(ana.guard, "failed")}
    assert failed == "interrupted"
    assert {event.error for event in events(ana.guard, "run_ended")} == {"", "interrupted"}
    assert [again.id for again in call(boss, None, THREAD)] == [shown.id]
    ana.says("approve")
    assert call(boss, None, THREAD) == []
    assert told(boss) == ["paid"]
    assert len(bodies.got) == 1
    assert len(entered) == 3
    assert [asked.question.agent for asked in ana.guard.approvals.all()] == ["worker"]
    closed(ana.guard)


@pytest.mark.parametrize("mode", CALLS)
def test_an_approved_call_that_is_paused_within_goes_on(desk: Any, mode: str) -> None:
    """P25: what was approved above is not asked about again when what is below was answered, and is no second act."""
    ana, bodies, call = desk(when="tool.name in ['refund', 'delegate']"), Bodies(), CALLS[mode]
    worker = create_agent(Scripted(ai("", (*CALL, "w1")), ai("paid")), [bodies.refund()], name="worker")

    @tool
    async def delegate(task: str) -> str:
        """Let the worker do it."""
        return str((await worker.ainvoke({"messages": [("user", task)]}))["messages"][-1].content)

    model = Scripted(ai("", ("delegate", {"task": "pay"}, "b1")), ai("done"))
    above = [delegate] if mode in ("ainvoke", "astream") else [worker_tool(worker)]
    boss = create_agent(model, above, checkpointer=InMemorySaver(), name="boss")
    for resource in ("delegate", "refund"):
        (shown,) = call(boss, TASK if resource == "delegate" else None, THREAD)
        assert shown.value["resource"] == resource
        ana.says("approve")
    assert call(boss, None, THREAD) == []
    assert told(boss) == ["paid"]
    assert len(bodies.got) == 1
    assert len(events(ana.guard, "approval_consumed")) == 2
    assert call(boss, None, THREAD) == []
    assert len(bodies.got) == 1
    closed(ana.guard)


def worker_tool(worker: Any) -> Any:
    @tool
    def delegate(task: str) -> str:
        """Let the worker do it."""
        return str(worker.invoke({"messages": [("user", task)]})["messages"][-1].content)

    return delegate


def test_an_approved_call_goes_on_after_an_interrupt_of_its_own(desk: Any) -> None:
    """One approval, one run to its end; a second one that resumes the same checkpoint does nothing."""
    ana, done = desk(), []

    @tool
    def refund(order: str, amount: float) -> str:
        """Pay a customer back, once somebody has confirmed."""
        sure = interrupt("sure?")
        done.append(amount)
        return f"refunded {amount}: {sure}"

    saver = InMemorySaver()
    model = Scripted(ai("", (*CALL, "c1")), ai("done"))
    agent = create_agent(model, [refund], checkpointer=saver, name="desk")
    agent.invoke(TASK, THREAD)
    ana.says("approve")
    (shown,) = agent.invoke(None, THREAD)["__interrupt__"]
    assert shown.value == "sure?"
    late = create_agent(model, [refund], checkpointer=restored(saved(saver)), name="desk")
    ana.now += 1801  # it was used in time
    agent.invoke(Command(resume="yes"), THREAD)
    assert told(agent) == ["refunded 900.0: yes"]
    late.invoke(Command(resume="yes"), THREAD)
    assert "was used already" in told(late)[0]
    assert done == [900.0]
    closed(ana.guard)


def graph_of(node: Any, *, saver: Any = None) -> Any:
    made = StateGraph(MessagesState)
    made.add_node("tools", node)
    made.add_edge(START, "tools")
    made.add_edge("tools", END)
    return made.compile(checkpointer=saver or InMemorySaver(), name="desk")


@pytest.mark.parametrize("mode", CALLS)
def test_a_node_that_runs_many_calls(desk: Any, mode: str) -> None:
    """LangGraph runs the whole node again; what was approved is done once all the same, and each call has its own."""
    ana, bodies, call = desk(), Bodies(), CALLS[mode]
    graph = graph_of(ToolNode([bodies.refund()]))
    calls = ai("", (*CALL, "c1"), ("refund", {"order": "o", "amount": 901.0}, "c2"))
    assert len(call(graph, {"messages": [calls]}, THREAD)) >= 1
    ana.says("approve", next(one for one in ana.asked() if one.question.nonce == "c1"))
    (shown,) = call(graph, None, THREAD)
    assert shown.value["call_id"] == "c2"
    assert [got["amount"] for _, got in bodies.got] == [900.0]
    ana.says("approve")
    assert call(graph, None, THREAD) == []
    assert [got["amount"] for _, got in bodies.got] == [900.0, 901.0]
    assert "was used already: a step that is run again does nothing twice" in told(graph)[0]
    assert told(graph)[1] == "refunded 901.0 for o"
    closed(ana.guard)


def test_calls_without_an_id_are_named_by_their_place_in_the_step(desk: Any) -> None:
    """P25: the step runs again and again, and each of its acts is asked about once and done once."""
    ana, bodies = desk(), Bodies()
    refund = bodies.refund()
    ends: list[str] = []

    def node(state: Any) -> Any:
        for amount in (900.0, 900.0, 901.0):
            try:
                ends.append(refund.invoke({"order": "o", "amount": amount}))
            except Exception as error:
                ends.append(type(error).__name__)
                if not str(error).startswith("Not permitted"):
                    raise
        return {"messages": [("ai", "done")]}

    graph = graph_of(node)
    seen = []
    for _ in range(3):
        graph.invoke(TASK if not seen else None, THREAD)
        (asked,) = ana.asked()
        seen.append(asked.question.id)
        ana.says("approve")
    assert "__interrupt__" not in graph.invoke(None, THREAD)
    assert len(set(seen)) == 3
    assert [got["amount"] for _, got in bodies.got] == [900.0, 900.0, 901.0]
    assert ends[-3:] == ["DeniedTool", "DeniedTool", "refunded 901.0 for o"]


@pytest.mark.parametrize("mode", CALLS)
def test_the_call_of_a_model(desk: Any, mode: str) -> None:
    ana, call = desk(on="model.call", when="true"), CALLS[mode]
    model = Scripted(ai("done"))
    agent = create_agent(model, [], checkpointer=InMemorySaver(), name="desk")
    (shown,) = call(agent, TASK, THREAD)
    assert (shown.value["action"], model.calls) == ("model.call", 0)
    assert [again.id for again in call(agent, None, THREAD)] == [shown.id]
    ana.says("approve")
    assert call(agent, None, THREAD) == []
    assert model.calls == 1
    closed(ana.guard)


@pytest.mark.parametrize("mode", CALLS)
def test_the_start_of_a_sub_agent(desk: Any, mode: str) -> None:
    ana, call = desk(on="agent.spawn", when="true"), CALLS[mode]
    model = Scripted(ai("paid"))
    worker = create_agent(model, [], name="worker")
    made = StateGraph(MessagesState)
    made.add_node("work", worker)
    made.add_edge(START, "work")
    boss = made.compile(checkpointer=InMemorySaver(), name="boss")
    (shown,) = call(boss, TASK, THREAD)
    assert (shown.value["action"], shown.value["resource"], model.calls) == ("agent.spawn", "worker", 0)
    ana.says("approve")
    assert call(boss, None, THREAD) == []
    assert model.calls == 1
    closed(ana.guard)


@pytest.mark.parametrize("mode", CALLS)
def test_a_search(desk: Any, mode: str) -> None:
    ana, call = desk(on="retrieval", when="true"), CALLS[mode]
    library = Library(Document("found"))

    def node(state: Any) -> Any:
        return {"messages": [("ai", library.invoke("who")[0].page_content)]}

    graph = graph_of(node)
    (shown,) = call(graph, TASK, THREAD)
    assert (shown.value["action"], library.queries) == ("retrieval", [])
    ana.says("approve")
    assert call(graph, None, THREAD) == []
    assert library.queries == ["who"]
    closed(ana.guard)


@pytest.mark.parametrize("action", ["tool.return", "model.return", "output"])
def test_what_was_done_is_held_and_not_done_again(desk: Any, action: str) -> None:
    """A result cannot be made again: it is withheld, and whoever asked for it is told that it is pending."""
    ana, bodies = desk(on=action, when="true"), Bodies()
    model = Scripted(ai("", (*CALL, "c1")), ai("done"))
    agent = create_agent(model, [bodies.refund()], checkpointer=InMemorySaver(), name="desk")
    words = "is pending; it was not done"
    if action == "tool.return":
        state = agent.invoke(TASK, THREAD)
        assert words in state["messages"][2].content
        assert "__interrupt__" not in state
    else:
        with pytest.raises(ApprovalPending, match=words):
            agent.invoke(TASK, THREAD)
    assert len(bodies.got) == (action != "model.return")
    assert all(asked.question.told for asked in ana.asked())


@pytest.mark.skipif(OLD, reason="retries of this version swallow LangGraph's own interrupts")
@pytest.mark.parametrize("mode", ["invoke", "ainvoke"])
def test_retries_let_a_pause_through(desk: Any, mode: str) -> None:
    ana, bodies, call = desk(), Bodies(), CALLS[mode]
    model = Scripted(ai("", (*CALL, "c1")), ai("done"))
    around: Any = [ToolRetryMiddleware(max_retries=3, initial_delay=0), ModelRetryMiddleware(initial_delay=0)]
    agent = create_agent(model, [bodies.refund()], middleware=around, checkpointer=InMemorySaver(), name="desk")
    assert len(call(agent, TASK, THREAD)) == 1
    assert len(events(ana.guard, "approval_requested")) == 1
    ana.says("approve")
    assert call(agent, None, THREAD) == []
    assert len(bodies.got) == 1


class Jumping(AgentMiddleware[Any, Any]):
    """Sends the agent back to the calls that were refused, once."""

    def __init__(self) -> None:
        self.jumped = 0

    @hook_config(can_jump_to=["tools"])
    def after_model(self, state: Any, runtime: Any) -> Any:
        if self.jumped or not any(message.type == "tool" for message in state["messages"]):
            return None
        self.jumped += 1
        call = {"name": CALL[0], "args": CALL[1], "id": "c1", "type": "tool_call"}
        return {"jump_to": "tools", "messages": [ai("", (call["name"], call["args"], "c1"))]}


@pytest.mark.parametrize("mode", ["invoke", "ainvoke"])
def test_a_denied_call_is_denied_again_wherever_it_comes_from(desk: Any, mode: str) -> None:
    """P58: another middleware jumps to the tools with the call that a human rejected; the tool itself asks again."""
    ana, bodies, call = desk(), Bodies(), CALLS[mode]
    model = Scripted(ai("", (*CALL, "c1")), ai("done"))
    jumping = Jumping()
    agent = create_agent(model, [bodies.refund()], middleware=[jumping], checkpointer=InMemorySaver(), name="desk")
    call(agent, TASK, THREAD)
    ana.says("deny", why="no")
    assert call(agent, None, THREAD) == []
    assert jumping.jumped == 1
    assert told(agent) == ["Not permitted by policy 'refunds': ana denied it: no"] * 2
    assert bodies.got == []


def test_an_interrupt_of_the_tools_own_keeps_its_answer(desk: Any) -> None:
    """What a thread is resumed with belongs to whoever asked for it: nothing of it is taken for the approval."""
    ana, bodies = desk(), Bodies()

    @tool
    def confirm(question: str) -> str:
        """Ask whoever sits there."""
        return str(interrupt({"question": question}))

    model = Scripted(ai("", (*CALL, "c1"), ("confirm", {"question": "sure?"}, "c2")), ai("done"))
    agent = create_agent(model, [bodies.refund(), confirm], checkpointer=InMemorySaver(), name="desk")
    shown = {one.value.get("question", "ours"): one.id for one in agent.invoke(TASK, THREAD)["__interrupt__"]}
    state = agent.invoke(Command(resume={shown["sure?"]: "yes"}), THREAD)
    assert [one.id for one in state["__interrupt__"]] == [shown["ours"]]
    assert bodies.got == []
    ana.says("approve")
    agent.invoke(None, THREAD)
    assert told(agent) == ["refunded 900.0 for o", "yes"]


def test_nothing_is_wrapped_and_it_is_paused_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the callbacks alone."""
    monkeypatch.setenv(SWITCH, "0")
    ana, bodies = Desk(tmp_path, "pause"), Bodies()
    model = Scripted(ai("", (*CALL, "c1")), ai("done"))
    agent = create_agent(model, [bodies.refund()], checkpointer=InMemorySaver(), name="desk")
    config: Any = {**THREAD, "callbacks": [JacklineCallbackHandler(ana.guard)]}
    assert len(agent.invoke(TASK, config)["__interrupt__"]) == 1
    assert bodies.got == []
    ana.says("approve")
    assert "__interrupt__" not in asyncio.run(agent.ainvoke(None, config))
    assert len(bodies.got) == 1
    ana.close()


def test_the_value_of_a_resume_goes_to_whoever_asks_for_one(desk: Any) -> None:
    """Said in the documentation: resume a pause without a value, or name the interrupt that it is for."""
    ana, done = desk(), []

    @tool
    def refund(order: str, amount: float) -> str:
        """Pay a customer back, once somebody has confirmed."""
        done.append(interrupt("sure?"))
        return "refunded"

    model = Scripted(ai("", (*CALL, "c1")), ai("done"))
    for thread, given, expected in (("t-1", "x", ["x"]), ("t-2", None, ["x"])):
        agent = create_agent(model, [refund], checkpointer=InMemorySaver(), name="desk")
        config = {"configurable": {"thread_id": thread}}
        (shown,) = agent.invoke(TASK, config)["__interrupt__"]
        ana.says("approve")
        agent.invoke(Command(resume=given if given is not None else {shown.id: "x"}), config)
        assert done == expected


def test_a_sub_graph_without_memory_is_asked_about_anew(desk: Any) -> None:
    """Said in the documentation: it begins again, so its call is another one; nothing runs that was not approved."""
    ana, bodies = desk(), Bodies()
    names = iter("abcdefgh")
    worker = create_agent(
        Renamed(ai("", (*CALL, "w")), ai("paid"), names=names), [bodies.refund()], checkpointer=False, name="worker"
    )
    made = StateGraph(MessagesState)
    made.add_node("work", worker)
    made.add_edge(START, "work")
    boss = made.compile(checkpointer=InMemorySaver(), name="boss")
    for _ in range(3):
        assert len(boss.invoke(TASK if not ana.asked() else None, THREAD)["__interrupt__"]) == 1
    assert len({asked.question.nonce for asked in ana.asked()}) == 3
    assert bodies.got == []


class Renamed(Scripted):
    """A provider that gives each call an id of its own."""

    names: Any = None

    def _answer(self, messages: Any, kwargs: Any) -> Any:
        answer = super()._answer(messages, kwargs)
        for call in answer.tool_calls:
            call["id"] += next(self.names)
        return answer


def test_a_thread_that_is_resumed_past_its_handler_is_not_governed(tmp_path: Path) -> None:
    """P61, as far as it goes: a handler governs the call that it is given to; `init`, middleware and attach the rest."""
    ana, bodies = Desk(tmp_path, "pause"), Bodies()
    model = Scripted(ai("", (*CALL, "c1")), ai("done"))
    agent = create_agent(model, [bodies.refund()], checkpointer=InMemorySaver(), name="desk")
    config: Any = {**THREAD, "callbacks": [JacklineCallbackHandler(ana.guard)]}
    assert len(agent.invoke(TASK, config)["__interrupt__"]) == 1
    ana.guard.enable(LangChainAdapter())
    assert len(agent.invoke(None, THREAD)["__interrupt__"]) == 1
    assert bodies.got == []
    ana.close()
    agent.invoke(None, THREAD)
    assert len(bodies.got) == 1
