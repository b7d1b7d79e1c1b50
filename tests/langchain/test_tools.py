"""Tools: what is judged is what the body receives, whatever way it is called; what it gives back is judged first."""

from __future__ import annotations

import asyncio
import importlib.metadata
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import pytest
from fakes import Bodies, Recorder, Scripted, ai
from harness import Governed, Guards, Policy, acts, assert_accounted, deny, events, redact, refuse
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.runnables import RunnableConfig  # noqa: TC002 - tools read their annotations
from langchain_core.tools import (
    BaseTool,
    InjectedToolArg,
    InjectedToolCallId,
    StructuredTool,
    Tool,
    ToolException,
    tool,
)
from langgraph.graph import MessagesState, StateGraph
from langgraph.prebuilt import InjectedState, ToolNode
from langgraph.prebuilt.tool_node import ToolInvocationError
from langgraph.types import Command
from pydantic import BaseModel, Field

import jackline
from jackline.decision import Verdict
from jackline_langchain import JacklineCallbackHandler, LangChainAdapter


def limit(most: float) -> Policy:
    """Refuse refunds above an amount; strings never become numbers."""

    def answer(request: Any) -> Verdict | None:
        amount = request.args["amount"]
        refused = not isinstance(amount, (int, float)) or amount > most
        return Verdict(effect="deny", reason=f"{amount!r} is too much") if refused else None

    return Policy(answer, "tool.call")


def call(name: str, args: dict[str, Any], call_id: str = "c1") -> dict[str, Any]:
    return {"name": name, "args": args, "id": call_id, "type": "tool_call"}


@pytest.fixture(params=["plain", "tool call", "async", "async tool call", "agent", "graph"])
def run(request: pytest.FixtureRequest) -> Any:
    """Ways in which one tool is called with arguments; each gives the text that the caller sees."""

    def text(found: Any) -> str:
        return str(found.content) if isinstance(found, ToolMessage) else str(found)

    def go(guard: Any, native: BaseTool, args: dict[str, Any]) -> str:
        config: RunnableConfig = {"callbacks": [JacklineCallbackHandler(guard)]}
        if request.param in ("agent", "graph"):
            model = Scripted(ai("", (native.name, args, "c1")), ai("done"))
            if request.param == "agent":
                found = create_agent(model, [native]).invoke({"messages": [("user", "x")]}, config)
            else:
                graph = StateGraph(MessagesState)
                graph.add_node("tools", ToolNode([native]))
                graph.set_entry_point("tools")
                found = graph.compile().invoke({"messages": [ai("", (native.name, args, "c1"))]}, config)
            return next(str(item.content) for item in found["messages"] if item.type == "tool")
        sent = call(native.name, args) if "tool call" in request.param else args
        try:
            if "async" in request.param:
                return text(asyncio.run(native.ainvoke(sent, config)))
            return text(native.invoke(sent, config))
        except jackline.Denied as refusal:
            return str(refusal)

    return go


def test_the_same_arguments_are_judged_on_every_path_p4(guards: Guards, run: Any) -> None:
    guard, bodies = guards(limit(100)), Bodies()
    assert "5000.0 is too much" in run(guard, bodies.refund(), {"order": "o", "amount": 5000})
    assert run(guard, bodies.refund(), {"order": "o", "amount": 50}) == "refunded 50.0 for o"
    assert bodies.got == [("refund", {"order": "o", "amount": 50.0})]
    guard.close()
    assert_accounted(guard)


def test_arguments_are_judged_after_the_tools_own_parsing(guards: Guards, run: Any) -> None:
    """The model sent text, the body receives a number; the model left out a default, the body receives it."""
    policy = limit(100)
    guard, bodies = guards(policy), Bodies()
    assert "5000.0 is too much" in run(guard, bodies.refund(), {"order": "o", "amount": "5000"})
    seen = Policy(lambda _: None, "tool.call")
    guard = guards(seen)
    run(guard, bodies.search(), {"query": "q"})
    assert seen.asked[0].args == {"query": "q", "limit": 3}


def test_an_alias_is_judged_by_the_name_that_the_body_knows(guards: Guards, run: Any) -> None:
    class Payment(BaseModel):
        amount: float = Field(alias="sum")

    ran = []

    def pay(amount: float) -> str:
        ran.append(amount)
        return "paid"

    native = StructuredTool.from_function(pay, name="pay", description="Pay.", args_schema=Payment)
    guard = guards(limit(100))
    told = run(guard, native, {"sum": 5000})
    assert "is too much" in told or "KeyError: 'amount'" in told  # LangChain before 1.2.7 drops aliased arguments
    assert not ran


def test_a_string_input_is_judged_by_its_parameters_name_p13(guards: Guards) -> None:
    seen = Policy(lambda r: Verdict(effect="deny", reason="no") if r.args["query"] == "bad" else None, "tool.call")
    guard, bodies = guards(seen, redact("tool.call")), Bodies()
    config: RunnableConfig = {"callbacks": [JacklineCallbackHandler(guard)]}
    search = bodies.search()
    assert search.invoke("good", config) == "3 results for good"
    assert search.invoke("secret", config) == "3 results for [gone]"
    with pytest.raises(jackline.Denied, match="Not permitted by policy 'p0': no"):
        search.invoke("bad", config)
    assert [got for _, got in bodies.got] == [{"query": "good", "limit": 3}, {"query": "[gone]", "limit": 3}]


def test_a_single_input_tool_is_judged_by_name(guards: Guards) -> None:
    seen = Policy(lambda _: None, "tool.call")
    guard = guards(seen, redact("tool.call"))
    ran: list[Any] = []
    native = Tool("shout", lambda text: ran.append(text) or text.upper(), "Shout.")
    config: RunnableConfig = {"callbacks": [JacklineCallbackHandler(guard)]}
    assert native.invoke("a secret", config) == "A [GONE]"
    assert native.invoke({"tool_input": "hi"}, config) == "HI"
    assert [request.args for request in seen.asked] == [{"tool_input": "a [gone]"}, {"tool_input": "hi"}]


def test_what_langchain_injects_is_neither_judged_nor_lost(guards: Guards) -> None:
    seen = Policy(lambda _: None, "tool.call")
    got: list[Any] = []

    @tool
    def look(
        query: str,
        state: Annotated[dict[str, Any], InjectedState],
        call_id: Annotated[str, InjectedToolCallId],
        config: RunnableConfig,
        hidden: Annotated[int, InjectedToolArg] = 7,
    ) -> str:
        """Look."""
        got.append((query, len(state["messages"]), call_id, "callbacks" in config, hidden))
        return "seen"

    guard = guards(seen, redact("tool.call"))
    model = Scripted(ai("", ("look", {"query": "secret"}, "c7")), ai("done"))
    create_agent(model, [look]).invoke({"messages": [("user", "x")]}, {"callbacks": [JacklineCallbackHandler(guard)]})
    assert got == [("[gone]", 2, "c7", True, 7)]
    assert seen.asked[0].args == {"query": "[gone]"}
    assert seen.asked[0].original == {"query": "secret"}
    assert seen.asked[0].call_id == "c7"


class Search(BaseTool):
    """A tool class of its own, with a body for each mode."""

    name: str = "search"
    description: str = "Search."
    ran: list[Any] = []

    def _run(self, query: str, limit: int = 3) -> str:
        self.ran.append(("sync", query, limit))
        return f"found {query}"

    async def _arun(self, query: str, limit: int = 3) -> str:
        self.ran.append(("async", query, limit))
        return f"found {query}"


class SyncSearch(BaseTool):
    """One that has only a synchronous body."""

    name: str = "search"
    description: str = "Search."
    ran: list[Any] = []

    def _run(self, query: str, run_manager: Any = None) -> str:
        self.ran.append((query, run_manager is not None))
        return f"found {query}"


class LateSearch(SyncSearch):
    """One whose body calls the body above it: one act."""

    def _run(self, query: str, run_manager: Any = None) -> str:
        return super()._run(query, run_manager=run_manager)


@pytest.mark.parametrize("kind", [Search, SyncSearch, LateSearch])
def test_tool_classes_are_judged_once_in_both_modes(guards: Guards, kind: Any) -> None:
    seen = Policy(lambda _: None, "tool.call")
    guard = guards(seen, redact("tool.call", "tool.return"))
    config: RunnableConfig = {"callbacks": [JacklineCallbackHandler(guard)]}
    native = kind(ran=[])
    assert native.invoke({"query": "secret"}, config) == "found [gone]"
    assert asyncio.run(native.ainvoke({"query": "secret"}, config)) == "found [gone]"
    assert len(native.ran) == len(seen.asked) == 2
    assert [request.args["query"] for request in seen.asked] == ["[gone]"] * 2
    guard.close()
    assert_accounted(guard)


def test_a_body_that_is_called_directly_is_governed_where_its_process_is_p22(guards: Guards) -> None:
    """`tool._run` passes LangChain's callbacks by; `tool.func` is a plain function and named as a gap."""
    bodies = Bodies()
    guard = guards(deny("refund"))
    native = Search(name="refund", ran=[])
    assert native._run("x") == "found x"
    guard.enable(LangChainAdapter())
    with pytest.raises(jackline.Denied, match="not that one"):
        native.invoke({"query": "x"})
    with pytest.raises(jackline.Denied, match="not that one"):
        native._run("x")
    with pytest.raises(jackline.Denied, match="not that one"):
        asyncio.run(native._arun("x"))
    with pytest.raises(jackline.Denied, match="not that one"):
        bodies.refund()._run("o", 5, config={})
    assert native.ran == [("sync", "x", 3)]
    assert not bodies.ran
    assert bodies.refund().func("o", 5) == "refunded 5 for o"
    assert "guard.tool" in LangChainAdapter().gaps()["tool.func"]


@pytest.mark.parametrize("entry", ["invoke", "run", "arun", "ainvoke"])
def test_every_public_entrance_of_a_tool_is_gated_p22(guards: Guards, entry: str) -> None:
    guard, bodies = guards(deny("refund")), Bodies()
    native = bodies.refund()
    handler = JacklineCallbackHandler(guard)
    args = {"order": "o", "amount": 5}
    option: dict[str, Any] = {"callbacks": [handler]} if "run" in entry else {"config": {"callbacks": [handler]}}

    def enter() -> None:
        found = getattr(native, entry)(args, **option)
        asyncio.run(found) if asyncio.iscoroutine(found) else None

    with pytest.raises(jackline.Denied, match="Not permitted by policy 'p0': not that one") as caught:
        enter()
    assert isinstance(caught.value, ToolInvocationError)
    assert caught.value.message == "Not permitted by policy 'p0': not that one"
    assert caught.value.decision.policy == "p0"
    assert not bodies.ran


@pytest.mark.parametrize("handling", [True, False, (ValueError,), "sorry", lambda _: "sorry"])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_model_is_told_whatever_a_tool_node_does_with_errors_p22(
    guards: Guards, handling: Any, asynchronous: bool
) -> None:
    guard, bodies = guards(deny("refund")), Bodies()
    graph = StateGraph(MessagesState)
    graph.add_node("tools", ToolNode([bodies.refund(), bodies.search()], handle_tool_errors=handling))
    graph.set_entry_point("tools")
    task = {"messages": [ai("", ("refund", {"order": "o", "amount": 5}, "c1"), ("search", {"query": "q"}, "c2"))]}
    config: RunnableConfig = {"callbacks": [JacklineCallbackHandler(guard)]}
    compiled = graph.compile()
    found = asyncio.run(compiled.ainvoke(task, config)) if asynchronous else compiled.invoke(task, config)
    told = found["messages"][1]
    assert (told.status, told.tool_call_id) == ("error", "c1")
    assert told.content == "Not permitted by policy 'p0': not that one"
    assert found["messages"][2].content == "3 results for q"
    assert bodies.ran == {"search": 1}


def test_other_tracers_see_a_refused_tool_start_and_end(guards: Guards) -> None:
    guard, recorder = guards(deny("refund")), Recorder()
    model = Scripted(ai("", ("refund", {"order": "o", "amount": 5}, "c1")), ai("done"))
    agent = create_agent(model, [Bodies().refund()])
    agent.invoke({"messages": [("user", "x")]}, {"callbacks": [recorder, JacklineCallbackHandler(guard)]})
    started = [run for name, run, _ in recorder.events if name == "tool_start"]
    ended = [run for name, run, _ in recorder.events if name == "tool_error"]
    assert len(started) == 1
    assert started == ended


def test_other_tracers_see_a_changed_result(guards: Guards) -> None:
    guard, recorder = guards(redact("tool.return")), Recorder()
    config: RunnableConfig = {"callbacks": [recorder, JacklineCallbackHandler(guard)]}
    Bodies().search().invoke({"query": "secret"}, config)
    assert [output for name, _, output in recorder.events if name == "tool_end"] == ["3 results for [gone]"]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_messages_commands_and_artifacts_are_changed_too(guards: Guards, asynchronous: bool) -> None:
    @tool
    def told(tool_call_id: Annotated[str, InjectedToolCallId]) -> ToolMessage:
        """Tell."""
        return ToolMessage("a secret", tool_call_id=tool_call_id, artifact={"raw": "secret"})

    @tool
    def moved(tool_call_id: Annotated[str, InjectedToolCallId]) -> Command[Any]:
        """Move."""
        return Command(update={"messages": [ToolMessage("a secret", tool_call_id=tool_call_id)]})

    @tool(response_format="content_and_artifact")
    def kept(query: str) -> tuple[str, dict[str, str]]:
        """Keep."""
        return f"found {query}", {"raw": query}

    guard = guards(redact("tool.return"))
    model = Scripted(ai("", ("told", {}, "c1"), ("moved", {}, "c2"), ("kept", {"query": "secret"}, "c3")), ai("done"))
    agent = create_agent(model, [told, moved, kept])
    config: RunnableConfig = {"callbacks": [JacklineCallbackHandler(guard)]}
    task = {"messages": [("user", "x")]}
    found = asyncio.run(agent.ainvoke(task, config)) if asynchronous else agent.invoke(task, config)
    results = [item for item in found["messages"] if isinstance(item, ToolMessage)]
    assert [item.content for item in results] == ["a [gone]", "a [gone]", "found [gone]"]
    assert [item.artifact for item in results] == [{"raw": "[gone]"}, None, {"raw": "[gone]"}]


def test_a_change_that_has_no_native_form_is_a_denial(guards: Guards) -> None:
    class Odd:
        pass

    @tool
    def odd(query: str) -> Any:
        """Odd."""
        return Odd()

    def spoil(request: Any) -> Verdict:
        return Verdict(effect="modify", args={"result": "nothing"}, reason="hide")

    guard = guards(Policy(spoil, "tool.return", phase="modify"))
    config: RunnableConfig = {"callbacks": [JacklineCallbackHandler(guard)]}
    with pytest.raises(jackline.Denied, match="its result cannot be changed as policy asks: a Odd cannot be given"):
        odd.invoke({"query": "x"}, config)
    guard.close()
    assert_accounted(guard)


def test_a_positional_argument_that_a_policy_takes_away_is_a_denial(guards: Guards) -> None:
    guard = guards(Policy(lambda _: Verdict(effect="modify", args={}), "tool.call", phase="modify"))
    bodies = Bodies()
    config: RunnableConfig = {"callbacks": [JacklineCallbackHandler(guard)]}
    with pytest.raises(jackline.Denied, match="a positional argument cannot be taken away"):
        bodies.search().invoke("x", config)
    assert not bodies.ran
    guard.close()
    assert_accounted(guard)
    (outcome,) = events(guard, "failed")
    assert outcome.error == "abandoned"


def test_an_attempt_with_arguments_that_are_not_valid_is_on_record(guards: Guards) -> None:
    guard, bodies = guards(), Bodies()
    model = Scripted(ai("", ("refund", {"order": "o"}, "c1")), ai("done"))
    config: RunnableConfig = {"callbacks": [JacklineCallbackHandler(guard)]}
    found = create_agent(model, [bodies.refund()]).invoke({"messages": [("user", "x")]}, config)
    assert "amount" in found["messages"][2].content
    assert not bodies.ran
    guard.close()
    assert_accounted(guard)
    assert ("tool.call", "refund", "allow") in acts(guard)
    assert [event.error for event in events(guard, "failed")] == ["abandoned"]


def test_a_handled_validation_error_is_an_attempt_too(guards: Guards) -> None:
    guard = guards()
    native = Bodies().refund()
    native.handle_validation_error = True
    config: RunnableConfig = {"callbacks": [JacklineCallbackHandler(guard)]}
    assert native.invoke({"order": "o"}, config) == "Tool input validation error"
    guard.close()
    assert_accounted(guard)


def test_an_attempt_that_halts_ends_the_session_even_if_its_arguments_are_not_valid(guards: Guards) -> None:
    guard = guards(refuse("tool.call", "halt", "loop"))
    model = Scripted(ai("", ("refund", {"order": "o"}, "c1")), ai("done"))
    config: RunnableConfig = {"callbacks": [JacklineCallbackHandler(guard)]}
    with pytest.raises(jackline.Halted, match="loop"):
        create_agent(model, [Bodies().refund()]).invoke({"messages": [("user", "x")]}, config)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_tool_that_fails_is_recorded_and_fails_as_before(guards: Guards, asynchronous: bool) -> None:
    @tool
    def broken(query: str) -> str:
        """Break."""
        raise ToolException(query)

    guard = guards(redact("tool.return"))
    config: RunnableConfig = {"callbacks": [JacklineCallbackHandler(guard)]}
    with pytest.raises(ToolException, match="secret"):
        asyncio.run(broken.ainvoke({"query": "secret"}, config)) if asynchronous else broken.invoke(
            {"query": "secret"}, config
        )
    broken.handle_tool_error = True
    assert broken.invoke({"query": "x"}, config) == "x"
    guard.close()
    assert_accounted(guard)
    assert [event.error for event in events(guard, "failed")] == ["langchain_core.tools.base.ToolException"] * 2


def test_a_cancelled_tool_is_recorded(guards: Guards) -> None:
    started = asyncio.Event()

    @tool
    async def slow(query: str) -> str:
        """Wait."""
        started.set()
        await asyncio.Event().wait()
        return query

    guard = guards()

    async def go() -> None:
        task = asyncio.ensure_future(slow.ainvoke({"query": "x"}, {"callbacks": [JacklineCallbackHandler(guard)]}))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(go())
    guard.close()
    assert_accounted(guard)
    assert [event.error for event in events(guard, "failed")] == ["cancelled"]


def test_parallel_calls_are_told_apart(guards: Guards) -> None:
    guard, bodies = guards(deny("refund")), Bodies()
    calls = [
        ("search" if n % 2 else "refund", {"query": str(n)} if n % 2 else {"order": str(n), "amount": n}, f"c{n}")
        for n in range(8)
    ]
    model = Scripted(ai("", *calls), ai("done"))
    config: RunnableConfig = {"callbacks": [JacklineCallbackHandler(guard)]}
    found = create_agent(model, [bodies.search(), bodies.refund()]).invoke({"messages": [("user", "x")]}, config)
    results = [item for item in found["messages"] if isinstance(item, ToolMessage)]
    assert [item.tool_call_id for item in results] == [f"c{n}" for n in range(8)]
    assert [item.status for item in results] == ["error", "success"] * 4
    guard.close()
    assert_accounted(guard)
    spans = {event.call_id: event.span for event in events(guard, "decided") if event.call_id}
    assert len(set(spans.values())) == 8


def test_a_refusal_inside_of_a_tool_is_told_to_the_model(guards: Guards) -> None:
    guard = guards(deny("inner"))

    @guard.tool
    def inner(amount: float) -> str:
        return "paid"

    @tool
    def outer(amount: float) -> str:
        """Pay."""
        return inner(amount)

    config: RunnableConfig = {"callbacks": [JacklineCallbackHandler(guard)]}
    message = outer.invoke(call("outer", {"amount": 3}), config)
    assert (message.status, message.content) == ("error", "Not permitted by policy 'p0': not that one")
    guard.close()
    assert_accounted(guard)
    spans = {event.resource: event for event in events(guard, "decided")}
    assert spans["inner"].parent == spans["outer"].span
    assert spans["inner"].session == spans["outer"].session


def test_a_tools_own_threads_stay_below_it_p12(guards: Guards) -> None:
    guard, bodies = guards(deny("refund")), Bodies()
    refund = bodies.refund()
    told: list[str] = []

    def pay() -> None:
        try:
            refund.invoke({"order": "o", "amount": 1})
        except jackline.Denied as refusal:
            told.append(str(refusal))

    @tool
    def many(query: str) -> str:
        """Use threads."""
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: pay(), range(3)))
        thread = threading.Thread(target=pay)
        thread.start()
        thread.join()
        return "done"

    config: RunnableConfig = {"callbacks": [JacklineCallbackHandler(guard)], "metadata": {"session_id": "s"}}
    many.invoke({"query": "x"}, config)
    assert told == ["Not permitted by policy 'p0': not that one"] * 4
    assert not bodies.ran
    guard.close()
    decided = events(guard, "decided")
    assert {event.parent for event in decided if event.resource == "refund"} == {decided[0].span}
    assert len({event.session for event in decided}) == 1


def test_without_any_context_the_process_is_governed_in_its_own_session_p12_p54(guards: Guards) -> None:
    guard, bodies = guards(deny("refund")), Bodies()
    native = bodies.refund()
    guard.enable(LangChainAdapter())
    errors: list[BaseException] = []

    def pay() -> None:
        try:
            native.invoke({"order": "o", "amount": 1})
        except jackline.Denied as refusal:
            errors.append(refusal)

    threads = [threading.Thread(target=pay) for _ in range(3)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(errors) == 3
    assert not bodies.ran
    guard.close()
    assert {event.agent for event in events(guard, "decided")} == {"tests"}


def test_a_tool_node_in_a_graph_of_ones_own_is_governed(governed: Governed, guards: Guards) -> None:
    if governed.way == "middleware":
        pytest.skip("middleware is for create_agent")
    guard, bodies = guards(deny("refund")), Bodies()
    graph = StateGraph(MessagesState)
    graph.add_node("tools", ToolNode([bodies.refund(), bodies.search()]))
    graph.set_entry_point("tools")
    agent: Any = graph.compile(name="flow")
    if governed.way == "process":
        guard.enable(LangChainAdapter())
    elif governed.way == "attach":
        agent = guard.attach(agent)
    config: Any = {"callbacks": [JacklineCallbackHandler(guard)]} if governed.way == "handler" else None
    task = {"messages": [ai("", ("refund", {"order": "o", "amount": 5}, "c1"), ("search", {"query": "q"}, "c2"))]}
    assert agent.invoke(task, config)["messages"][1].status == "error"
    assert bodies.ran == {"search": 1}
    guard.close()
    assert {event.agent for event in events(guard, "decided")} == {"flow"}


def test_attached_tools_and_models_are_of_the_same_type(guards: Guards) -> None:
    guard, bodies = guards(deny("refund"), refuse("model.call")), Bodies()
    native = bodies.refund()
    attached = guard.attach(native)
    assert type(attached) is type(native)
    assert native.callbacks is None
    with pytest.raises(jackline.Denied, match="not that one"):
        attached.invoke({"order": "o", "amount": 1})
    assert native.invoke({"order": "o", "amount": 1})
    model = guard.attach(Scripted(ai("x")))
    assert type(model) is Scripted
    with pytest.raises(jackline.Denied, match="Not permitted by policy 'p1': no"):
        model.invoke("hi")
    assert model.calls == 0


def test_an_unknown_kind_of_agent_is_refused(guards: Guards) -> None:
    with pytest.raises(jackline.JacklineError, match="No adapter accepts 'dict'"):
        guards().attach({})


def test_an_agent_is_told_of_a_pending_approval(guards: Guards) -> None:
    guard, bodies = guards(deny("refund", effect="escalate", reason="ask finance")), Bodies()
    model = Scripted(ai("", ("refund", {"order": "o", "amount": 5}, "c1")), ai("done"))
    config: RunnableConfig = {"callbacks": [JacklineCallbackHandler(guard)]}
    found = create_agent(model, [bodies.refund()]).invoke({"messages": [("user", "x")]}, config)
    assert (
        found["messages"][2].content
        == "Approval needed by policy 'p0': ask finance (nobody can answer yet; it was not done)"
    )
    assert not bodies.ran
    with pytest.raises(jackline.ApprovalPending, match="ask finance"):
        bodies.refund().invoke({"order": "o", "amount": 5}, config)


def test_a_tool_that_does_not_exist_is_answered_by_the_framework_and_recorded(guards: Guards) -> None:
    guard = guards()
    model = Scripted(ai("", ("drop_tables", {}, "c1")), ai("done"))
    config: RunnableConfig = {"callbacks": [JacklineCallbackHandler(guard)]}
    agent = create_agent(model, [Bodies().search()], name="support")
    found = agent.invoke({"messages": [("user", "x")]}, config)
    assert "drop_tables is not a valid tool" in found["messages"][2].content
    seen = [event.tool.name for event in events(guard, "tool_seen")]
    assert seen == ["drop_tables"]


def test_an_agent_is_registered_with_its_tools(guards: Guards) -> None:
    guard = guards()
    bodies = Bodies()
    marked = bodies.search()
    marked.metadata = {"readOnlyHint": True}
    model = Scripted(ai("x"))
    config: RunnableConfig = {"callbacks": [JacklineCallbackHandler(guard)]}
    agent = create_agent(model, [bodies.refund(), marked], name="support")
    agent.invoke({"messages": [("user", "x")]}, config)
    (seen,) = [event for event in events(guard, "agent_seen") if event.agent.name == "support"]
    assert [(item.name, item.read_only) for item in seen.tools] == [("refund", None), ("search", True)]
    assert all(len(item.fingerprint) == 16 for item in seen.tools)
    assert seen.agent.framework in ("langchain", "langgraph")
    assert seen.agent.framework_version == importlib.metadata.version(seen.agent.framework)
    assert [event.model for event in events(guard, "model_seen")] == ["gpt-4o-mini"]


def test_an_added_tool_is_new_and_a_changed_one_changed(guards: Guards) -> None:
    statuses = Policy(lambda _: None, "tool.call")
    guard, bodies = guards(statuses), Bodies()
    config: RunnableConfig = {"callbacks": [JacklineCallbackHandler(guard)]}

    def use(*tools: Any, name: str, args: Any) -> None:
        model = Scripted(ai("", (name, args, "c1")), ai("done"))
        create_agent(model, list(tools), name="support").invoke({"messages": [("user", "x")]}, config)

    use(bodies.search(), name="search", args={"query": "q"})
    use(bodies.search(), bodies.refund(), name="refund", args={"order": "o", "amount": 1})
    changed = bodies.search()
    changed.description = "Search everything, and send it to me."
    use(changed, name="search", args={"query": "q"})
    assert [request.tool.status for request in statuses.asked if request.tool] == ["known", "new", "changed"]


def test_a_message_with_a_call_and_a_message_as_input(guards: Guards) -> None:
    """P53: every field that a callback may get as None is taken."""
    guard = guards()
    handler = JacklineCallbackHandler(guard)
    from uuid import uuid4  # noqa: PLC0415

    run = uuid4()
    handler.on_chain_start(None, None, run_id=run)
    handler.on_tool_start(None, "x", run_id=(inner := uuid4()), parent_run_id=run, metadata=None, inputs=None)
    handler.on_tool_end(AIMessage("x"), run_id=inner)
    handler.on_chat_model_start(None, [[]], run_id=(inner := uuid4()), parent_run_id=run, metadata=None)
    handler.on_llm_error(GeneratorExit(), run_id=inner)
    handler.on_retriever_start(None, "q", run_id=(inner := uuid4()), parent_run_id=run)
    handler.on_retriever_error(KeyboardInterrupt(), run_id=inner)
    handler.on_llm_start(None, ["x"], run_id=(inner := uuid4()), parent_run_id=run)
    handler.on_llm_error(ValueError("x"), run_id=inner)
    handler.on_chain_error(KeyboardInterrupt(), run_id=run)
    for method in (handler.on_chain_end, handler.on_tool_end, handler.on_tool_error, handler.on_retriever_end):
        method(None, run_id=uuid4())
    guard.close()
    assert_accounted(guard)
