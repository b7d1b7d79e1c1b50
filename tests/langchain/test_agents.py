"""Agents, sub-agents, sessions: who acts, for whom, below whom; what has ended stays ended."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fakes import Bodies, Library, Recorder, Scripted, Streaming, Vectors, ai
from harness import CALLS, OLD, TASK, Governed, Guards, Policy, acts, assert_accounted, deny, events, redact, refuse
from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    ModelFallbackMiddleware,
    ModelRetryMiddleware,
    ToolCallLimitMiddleware,
    ToolRetryMiddleware,
)
from langchain_core.documents import Document
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import MessagesState, StateGraph
from langgraph.types import Command, interrupt

import jackline
from jackline.bundle import Bundle, Entry
from jackline.decision import Claim, Verdict
from jackline.guard import Guard
from jackline.plain import new_run_id
from jackline_langchain import JacklineCallbackHandler, LangChainAdapter

SCRIPT = (ai("", ("search", {"query": "q"}, "s1")), ai("sub done"))


def config(guard: Any, **metadata: Any) -> dict[str, Any]:
    return {"callbacks": [JacklineCallbackHandler(guard)], "metadata": metadata}


def nested(bodies: Bodies, *, model: Any = None, **options: Any) -> tuple[Any, Any]:
    """An agent whose tool is an agent: (outer tools, the inner agent)."""
    inner = create_agent(model or Scripted(*SCRIPT), [bodies.search()], name="researcher", **options)

    @tool
    def research(topic: str) -> str:
        """Ask the researcher."""
        return inner.invoke({"messages": [("user", topic)]})["messages"][-1].content

    @tool
    async def aresearch(topic: str) -> str:
        """Ask the researcher."""
        found = await inner.ainvoke({"messages": [("user", topic)]})
        return found["messages"][-1].content

    return {"sync": research, "async": aresearch}, inner


def manager(bodies: Bodies, kind: str, calls: int = 1, **options: Any) -> tuple[Any, list[Any]]:
    tools, _ = nested(bodies, **options)
    native = tools[kind]
    asked = [(native.name, {"topic": f"t{n}"}, f"m{n}") for n in range(calls)]
    return Scripted(ai("", *asked), ai("done")), [native]


def go(agent: Any, kind: str, settings: Any) -> list[Any]:
    if kind == "async":
        return asyncio.run(agent.ainvoke(TASK, settings))["messages"]
    return agent.invoke(TASK, settings)["messages"]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_sub_agent_is_asked_for_and_stands_below_its_caller_p23(
    guards: Guards, governed: Governed, kind: str
) -> None:
    guard, bodies = guards(), Bodies()
    model, tools = manager(bodies, kind)
    go(governed.agent(guard, model, tools, name="manager"), kind, {"metadata": {"session_id": "job-1"}})
    guard.close()
    assert_accounted(guard)
    decided = {(event.agent, event.action): event for event in events(guard, "decided")}
    spawn = decided["manager", "agent.spawn"]
    assert spawn.resource == "researcher"
    assert spawn.parent == decided["manager", "tool.call"].span
    runs = {event.agent: event for event in events(guard, "run_started")}
    assert runs["researcher"].span == spawn.span
    assert runs["researcher"].parent_run == runs["manager"].run
    assert (runs["manager"].depth, runs["researcher"].depth) == (0, 1)
    assert decided["researcher", "tool.call"].parent == spawn.span
    assert len({event.session for event in events(guard, "decided")}) == 1
    assert len(events(guard, "session_started")) == 1


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_sub_agent_that_is_refused_never_starts_and_its_caller_is_told(guards: Guards, kind: str) -> None:
    guard, bodies = guards(refuse("agent.spawn", reason="alone, please")), Bodies()
    inner = Scripted(*SCRIPT)
    model, tools = manager(bodies, kind, model=inner)
    messages = go(create_agent(model, tools, name="manager"), kind, config(guard))
    assert messages[-2].content == "Not permitted by policy 'p0': alone, please"
    assert messages[-2].status == "error"
    assert messages[-1].content == "done"
    assert inner.calls == 0
    guard.close()
    assert_accounted(guard)
    assert [event.agent for event in events(guard, "run_started")] == ["manager"]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_denied_model_call_of_a_sub_agent_is_told_to_its_caller(guards: Guards, kind: str) -> None:
    broke = Policy(lambda request: Verdict(effect="deny", reason="no money") if request.depth else None, "model.call")
    guard, bodies = guards(broke), Bodies()
    model, tools = manager(bodies, kind)
    messages = go(create_agent(model, tools, name="manager"), kind, config(guard))
    assert messages[-2].content == "Not permitted by policy 'p0': no money"
    assert messages[-1].content == "done"
    guard.close()
    assert_accounted(guard)
    assert sorted((event.agent, event.error) for event in events(guard, "run_ended")) == [
        ("manager", ""),
        ("researcher", "DeniedCall"),
    ]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_halt_in_a_sub_agent_ends_everything(guards: Guards, kind: str) -> None:
    guard, bodies = guards(deny("search", effect="halt", reason="enough")), Bodies()
    model, tools = manager(bodies, kind, calls=3)
    with pytest.raises(jackline.Halted, match="enough"):
        go(create_agent(model, tools, name="manager"), kind, config(guard))
    assert not bodies.ran
    assert model.calls == 1
    guard.close()
    assert_accounted(guard)
    tags = [event.__struct_config__.tag for event in events(guard)]
    after = events(guard)[tags.index("session_halted") :]
    assert not [event for event in after if getattr(event, "effect", "") in ("allow", "modify")]


def test_a_sub_agent_as_a_node_is_followed(guards: Guards, governed: Governed) -> None:
    if governed.way == "middleware":
        pytest.skip("middleware is for create_agent")
    guard, bodies = guards(), Bodies()
    inner = create_agent(Scripted(*SCRIPT), [bodies.search()], name="researcher")
    graph = StateGraph(MessagesState)
    graph.add_node("research", inner)
    graph.set_entry_point("research")
    agent: Any = graph.compile(name="flow")
    settings: Any = config(guard) if governed.way == "handler" else None
    if governed.way == "process":
        guard.enable(LangChainAdapter())
    elif governed.way == "attach":
        agent = guard.attach(agent)
    agent.invoke(TASK, settings)
    guard.close()
    assert_accounted(guard)
    runs = {event.agent: event for event in events(guard, "run_started")}
    assert runs["researcher"].parent_run == runs["flow"].run
    assert ("agent.spawn", "researcher", "allow") in acts(guard)


def test_an_attached_sub_agent_under_a_governed_one_is_one_tree(guards: Guards) -> None:
    guard, bodies = guards(), Bodies()
    inner = guard.attach(create_agent(Scripted(*SCRIPT), [bodies.search()], name="researcher"))

    @tool
    def research(topic: str) -> str:
        """Ask the researcher."""
        found = inner.invoke({"messages": [("user", topic)]}, {"callbacks": [Recorder()]})
        return found["messages"][-1].content

    model = Scripted(ai("", ("research", {"topic": "t"}, "m")), ai("done"))
    guard.attach(create_agent(model, [research], name="manager")).invoke(TASK, {"callbacks": [Recorder()]})
    guard.close()
    assert_accounted(guard)
    runs = {event.agent: event for event in events(guard, "run_started")}
    assert runs["researcher"].parent_run == runs["manager"].run
    assert len({event.session for event in events(guard, "decided")}) == 1


@pytest.mark.parametrize("asynchronous", [False, True])
def test_one_handler_keeps_parallel_runs_apart_p72(guards: Guards, asynchronous: bool) -> None:
    guard, bodies = guards(), Bodies()
    agents = {name: create_agent(Streaming(*SCRIPT), [bodies.search()], name=name) for name in ("a", "b", "c")}
    handler = JacklineCallbackHandler(guard)

    def settings(name: str) -> Any:
        return {"callbacks": [handler], "metadata": {"session_id": name}}

    if asynchronous:

        async def all_of_them() -> None:
            await asyncio.gather(*(agents[name].ainvoke(TASK, settings(name)) for _ in range(3) for name in agents))

        asyncio.run(all_of_them())
    else:
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda name: agents[name].invoke(TASK, settings(name)), list(agents) * 3))
    guard.close()
    assert_accounted(guard)
    names = {event.run: event.agent for event in events(guard, "run_started")}
    spans = {event.run: event.span for event in events(guard, "run_started")}
    sessions = {event.session: event.external_id for event in events(guard, "session_started")}
    decided = events(guard, "decided")
    assert len(decided) == 9 * 3
    for event in decided:
        assert names[event.run] == event.agent == sessions[event.session]
        assert event.parent == spans[event.run]


@pytest.mark.parametrize(
    ("metadata", "configurable", "expected"),
    [
        ({"jackline_session_id": "j", "session_id": "s"}, {"thread_id": "t"}, "j"),
        ({"session_id": "s"}, {"thread_id": "t"}, "s"),
        ({}, {"thread_id": "t"}, "t"),
        ({"conversation_id": "c"}, {}, "c"),
        ({}, {}, ""),
    ],
)
def test_the_session_is_the_one_that_the_caller_names(
    guards: Guards, metadata: Any, configurable: Any, expected: str
) -> None:
    guard = guards()
    agent = create_agent(Scripted(ai("x")), [], name="support")
    for _ in range(2):
        agent.invoke(TASK, {**config(guard, **metadata, user_id="u-9"), "configurable": configurable})
    started = events(guard, "session_started")
    assert [event.external_id for event in started] == ([expected] if expected else ["", ""])
    assert {event.user for event in started} == {"u-9"}
    assert len({event.session for event in events(guard, "decided")}) == len(started)
    assert len(events(guard, "session_ended")) == (0 if expected else 2)


def test_an_agent_within_a_session_of_plain_python_is_its(guards: Guards) -> None:
    seen = Policy(lambda _: None, "model.call")
    guard = guards(seen, refuse("agent.spawn"))
    agent = create_agent(Scripted(ai("x")), [], name="support")
    with guard.session("job", user="u", labels={"purpose": "test"}) as session:
        agent.invoke(TASK, {**config(guard), "configurable": {"thread_id": "other"}})
        assert session.model_calls == 1
        assert session.cost_usd > 0
    (request,) = seen.asked
    assert (request.subject.external_id, request.subject.user) == ("job", "u")
    assert request.subject.labels == {"purpose": "test"}
    assert (request.agent.name, request.depth, request.ancestors) == ("support", 0, ())
    runs = {event.agent: event for event in events(guard, "run_started")}
    assert runs["support"].parent == runs["tests"].span


def test_inside_a_governed_body_the_session_cannot_be_left_p57(guards: Guards) -> None:
    """A sub-agent that names another thread spends in its caller's session."""
    guard, bodies = guards(), Bodies()
    inner = create_agent(Scripted(*SCRIPT), [bodies.search()], name="researcher", checkpointer=InMemorySaver())

    @tool
    def research(topic: str) -> str:
        """Ask the researcher."""
        found = inner.invoke(
            {"messages": [("user", topic)]},
            {"configurable": {"thread_id": new_run_id()}, "metadata": {"session_id": "free"}, "callbacks": []},
        )
        return found["messages"][-1].content

    model = Scripted(ai("", ("research", {"topic": "t"}, "m")), ai("done"))
    create_agent(model, [research], name="manager").invoke(TASK, config(guard, session_id="job"))
    guard.close()
    assert [event.external_id for event in events(guard, "session_started")] == ["job"]
    assert len(events(guard, "decided")) == 7


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_limits_cover_the_whole_session_tree_p57_p40(guards: Guards, kind: str) -> None:
    """Eight parallel sub-agents spend from one session: the ceiling of three model calls holds."""

    def once(request: Any) -> Verdict | None:
        claim = Claim(scope=f"calls/{request.subject.session}", unit="calls", cap=3, fixed=1, on_exceed="halt")
        return Verdict(effect="allow", claims=(claim,))

    guard, bodies = guards(Policy(once, "model.call", phase="meter")), Bodies()
    inner = Scripted(*SCRIPT)
    model, tools = manager(bodies, kind, calls=8, model=inner)
    with pytest.raises(jackline.Halted, match="3 calls"):
        go(create_agent(model, tools, name="manager"), kind, config(guard))
    assert model.calls + inner.calls == 3
    guard.close()
    assert_accounted(guard)


def test_langchains_own_limit_does_not_cover_sub_agents_p57(guards: Guards) -> None:
    """Why limits belong to the session: the framework's middleware lets the sub-agent's calls through."""
    guard, bodies = guards(), Bodies()
    model, tools = manager(bodies, "sync", calls=1)
    limit = ToolCallLimitMiddleware(run_limit=1)
    create_agent(model, tools, name="manager", middleware=[limit]).invoke(TASK, config(guard))
    assert bodies.ran["search"] == 1
    assert sum(event.action == "tool.call" for event in events(guard, "decided")) == 2


# --- what has ended stays ended


class Swallowing(AgentMiddleware[Any, Any]):
    """Turns whatever a model call raises into an answer."""

    def wrap_model_call(self, request: Any, handler: Any) -> Any:
        try:
            return handler(request)
        except Exception as error:
            return ai(f"swallowed {type(error).__name__}", ("search", {"query": "again"}, "z"))


def test_a_halt_that_is_swallowed_still_ends_the_session_p60(guards: Guards) -> None:
    guard, bodies = guards(refuse("model.call", "halt", "enough")), Bodies()
    model = Scripted(*SCRIPT)
    agent = create_agent(model, [bodies.search()], name="support", middleware=[Swallowing()])
    with pytest.raises(jackline.Halted, match="enough"):
        agent.invoke(TASK, config(guard))
    assert model.calls == 0
    assert not bodies.ran
    guard.close()
    assert_accounted(guard)


RETRIES = {
    "model retry": lambda: ModelRetryMiddleware(max_retries=2, initial_delay=0.0, backoff_factor=0.0),
    "fallback": lambda: ModelFallbackMiddleware(Scripted(ai("from another model"))),
    "tool retry": lambda: ToolRetryMiddleware(max_retries=2, initial_delay=0.0, backoff_factor=0.0),
}


@pytest.mark.parametrize("retry", RETRIES)
@pytest.mark.parametrize("effect", ["deny", "halt"])
def test_a_refused_call_is_decided_once_and_is_no_normal_answer_p60(guards: Guards, retry: str, effect: str) -> None:
    action = "tool.call" if retry == "tool retry" else "model.call"
    guard, bodies, model = guards(refuse(action, effect)), Bodies(), Scripted(*SCRIPT)
    agent = create_agent(model, [bodies.search()], middleware=[RETRIES[retry]()])
    if (action, effect) == ("tool.call", "deny"):
        assert agent.invoke(TASK, config(guard))["messages"][-2].status == "error"
    else:
        kind = jackline.Halted if effect == "halt" else jackline.Denied
        if OLD and (retry, effect) == ("model retry", "deny"):
            pytest.skip("this LangChain's retries swallow even GraphBubbleUp")
        with pytest.raises(kind):
            agent.invoke(TASK, config(guard))
    refused = [event for event in events(guard, "decided") if event.effect == effect]
    assert len(refused) == 1 or OLD
    assert model.calls <= 2
    assert not bodies.ran


def test_a_halted_session_stays_halted_for_other_handlers_and_threads(guards: Guards) -> None:
    guard, bodies = guards(deny("refund", effect="halt", reason="enough")), Bodies()
    refund, search = bodies.refund(), bodies.search()
    settings = config(guard, session_id="s")
    with pytest.raises(jackline.Halted):
        refund.invoke({"order": "o", "amount": 1}, settings)

    def again(_: int) -> str:
        with pytest.raises(jackline.Halted, match="enough"):
            search.invoke({"query": "q"}, config(guard, session_id="s"))
        return "ended"

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(again, range(4))) == ["ended"] * 4
    with pytest.raises(jackline.Halted, match="enough"):
        asyncio.run(search.ainvoke({"query": "q"}, settings))
    with pytest.raises(jackline.Halted, match="enough"):
        create_agent(Scripted(ai("x")), []).invoke(TASK, settings)
    assert search.invoke({"query": "q"}, config(guard, session_id="another"))
    assert bodies.ran == {"search": 1}


# --- what agents do beside tools and models


@pytest.mark.parametrize("asynchronous", [False, True])
def test_retrievals_are_judged_and_changed(guards: Guards, asynchronous: bool) -> None:
    library = Library(Document("found"))
    guard = guards(redact("retrieval"))

    def ask(query: str, settings: Any) -> Any:
        return asyncio.run(library.ainvoke(query, settings)) if asynchronous else library.invoke(query, settings)

    assert ask("my secret", config(guard))[0].page_content == "found"
    assert library.queries == ["my [gone]"]
    refusing = guards(refuse("retrieval"))
    with pytest.raises(jackline.Denied, match="Not permitted by policy 'p0': no"):
        ask("x", config(refusing))
    assert len(library.queries) == 1
    for item in (guard, refusing):
        item.close()
        assert_accounted(item)
    assert acts(guard) == [("retrieval", "Library", "modify")]


def test_a_retriever_that_fails_is_recorded(guards: Guards) -> None:
    class Broken(Library):
        def _get_relevant_documents(self, query: str, *, run_manager: Any) -> Any:
            raise ConnectionError("gone")

    guard = guards()
    with pytest.raises(ConnectionError):
        Broken().invoke("x", config(guard))
    guard.close()
    assert_accounted(guard)


EMBED = {
    "embed_query": lambda model, text: model.embed_query(text),
    "embed_documents": lambda model, text: model.embed_documents([text])[0],
    "by name": lambda model, text: model.embed_documents(texts=[text])[0],
    "aembed_query": lambda model, text: asyncio.run(model.aembed_query(text)),
    "aembed_documents": lambda model, text: asyncio.run(model.aembed_documents([text]))[0],
}


@pytest.mark.parametrize("way", EMBED)
def test_embeddings_are_judged_once_and_changed(guards: Guards, way: str) -> None:
    class Late(Vectors):
        """One that is defined after everything was wrapped."""

    for kind in (Vectors, Late):
        model = kind()
        guard = guards(redact("embedding"))
        guard.enable(LangChainAdapter())
        assert EMBED[way](model, "a secret") == [float(len("a [gone]"))]
        assert model.texts == ["a [gone]"]
        guard.close()
        assert_accounted(guard)
        assert acts(guard) == [("embedding", kind.__name__, "modify")]
        assert EMBED[way](model, "a secret") == [float(len("a secret"))]


@pytest.mark.parametrize("way", EMBED)
def test_an_embedding_that_is_refused_or_fails(guards: Guards, way: str) -> None:
    class Broken(Vectors):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            raise ConnectionError("gone")

    guard = guards(refuse("embedding"))
    guard.enable(LangChainAdapter())
    model = Vectors()
    with pytest.raises(jackline.Denied):
        EMBED[way](model, "x")
    assert not model.texts
    guard.close()
    guard = guards()
    guard.enable(LangChainAdapter())
    with pytest.raises(ConnectionError):
        EMBED[way](Broken(), "x")
    guard.close()
    assert_accounted(guard)


def test_an_embedding_inside_of_a_governed_body_is_its_childs_child(guards: Guards) -> None:
    guard, vectors = guards(), Vectors()

    class Index(Library):
        def _get_relevant_documents(self, query: str, *, run_manager: Any) -> Any:
            vectors.embed_query(query)
            return []

    index = Index()

    @tool
    def look(query: str) -> str:
        """Look it up."""
        return str(index.invoke(query))

    look.invoke({"query": "x"}, config(guard))
    guard.close()
    assert_accounted(guard)
    spans = {event.action: event for event in events(guard, "decided")}
    assert spans["retrieval"].parent == spans["tool.call"].span
    assert spans["embedding"].parent == spans["retrieval"].span


def test_plain_python_in_a_node_is_in_the_agents_scope(guards: Guards) -> None:
    guard = guards()

    @guard.tool
    def pay(amount: float) -> str:
        return "paid"

    def node(state: Any) -> Any:
        return {"messages": [("ai", pay(3))]}

    graph = StateGraph(MessagesState)
    graph.add_node("pay", node)
    graph.set_entry_point("pay")
    compiled = graph.compile(name="flow")
    compiled.invoke(TASK, config(guard))
    asyncio.run(compiled.ainvoke(TASK, config(guard)))
    pay(3)
    guard.close()
    assert_accounted(guard)
    assert [event.agent for event in events(guard, "decided")] == ["flow", "flow", "tests"]
    spans = {event.run: event.span for event in events(guard, "run_started")}
    assert [event.parent == spans[event.run] for event in events(guard, "decided")[:2]] == [True, True]


def test_a_chain_at_the_root_is_this_programs(guards: Guards) -> None:
    guard, bodies = guards(), Bodies()
    search = bodies.search()
    chain = RunnableLambda(lambda text: {"query": text}) | search | RunnableLambda(str)
    assert chain.invoke("q", config(guard)) == "3 results for q"
    assert asyncio.run(chain.ainvoke("q", config(guard))) == "3 results for q"
    assert "".join(chain.stream("q", config(guard))) == "3 results for q"
    guard.close()
    assert_accounted(guard)
    assert {event.agent for event in events(guard, "decided")} == {"tests"}
    assert len({event.session for event in events(guard, "decided")}) == 3
    assert len(events(guard, "session_ended")) == 3


def test_an_agent_that_fails_is_closed_p72(guards: Guards) -> None:
    class Broken(Scripted):
        def _generate(self, *args: Any, **kwargs: Any) -> Any:
            raise ConnectionError("gone")

    guard = guards()
    with pytest.raises(ConnectionError):
        create_agent(Broken(ai("x")), [], name="support").invoke(TASK, config(guard))
    guard.close()
    assert_accounted(guard)
    assert [event.error for event in events(guard, "run_ended")] == ["ConnectionError"]
    assert [event.how for event in events(guard, "session_ended")] == ["error"]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_stream_of_an_agent_that_is_left_is_closed(guards: Guards, asynchronous: bool) -> None:
    guard, bodies = guards(), Bodies()
    agent = create_agent(Streaming(*SCRIPT), [bodies.search()], name="support")
    if asynchronous:

        async def leave() -> None:
            items = agent.astream(TASK, config(guard), stream_mode="messages")
            await anext(items)
            await items.aclose()

        asyncio.run(leave())
    else:
        items = agent.stream(TASK, config(guard), stream_mode="updates")
        next(items)
        items.close()
    runs = len(events(guard, "run_started")), len(events(guard, "run_ended"))
    guard.close()
    assert_accounted(guard)
    assert runs == (1, 1)


def test_an_interrupt_pauses_and_is_asked_for_again(guards: Guards) -> None:
    seen = Policy(lambda _: None, "tool.call")
    guard, ran = guards(seen), []

    @tool
    def pay(amount: float) -> str:
        """Pay."""
        if interrupt("really?") == "yes":
            ran.append(amount)
        return "paid"

    model = Scripted(ai("", ("pay", {"amount": 3}, "c1")), ai("done"))
    agent = create_agent(model, [pay], name="support", checkpointer=InMemorySaver())
    settings = {**config(guard), "configurable": {"thread_id": "t"}}
    assert agent.invoke(TASK, settings)["__interrupt__"]
    assert agent.invoke(Command(resume="yes"), settings)["messages"][-1].content == "done"
    assert ran == [3.0]
    guard.close()
    assert_accounted(guard)
    assert [event.error for event in events(guard, "failed")] == ["interrupted"]
    assert [request.call_id for request in seen.asked] == ["c1", "c1"]


def test_what_a_tool_returns_as_the_last_word_is_an_output(guards: Guards) -> None:
    bodies = Bodies()
    search = bodies.search()
    search.return_direct = True

    def agent() -> Any:
        return create_agent(Scripted(*SCRIPT), [search], name="support")

    guard = guards(refuse("output", reason="private"))
    with pytest.raises(jackline.Denied, match="private"):
        agent().invoke(TASK, config(guard))
    guard.close()
    assert_accounted(guard)
    guard = guards(redact("output", old="results"))
    settings: Any = config(guard)
    streamed = list(agent().stream(TASK, settings, stream_mode=["values", "messages"]))
    assert "results for" not in str(streamed)
    assert "[gone]" in str(streamed[-1])
    guard.close()
    assert_accounted(guard)


def test_what_a_graphs_own_code_says_last_is_refused_and_never_changed(guards: Guards) -> None:
    made = StateGraph(MessagesState)
    made.add_node("say", lambda state: {"messages": [("ai", "the results are in")]})
    made.set_entry_point("say")
    guard = guards(redact("output", old="results"))
    with pytest.raises(jackline.Denied, match="an output that no model wrote cannot be changed"):
        made.compile(name="speaker").invoke(TASK, config(guard))
    guard.close()
    assert [event.error for event in events(guard, "run_ended")] == ["DeniedCall"]
    assert "own words" in LangChainAdapter().gaps()


def test_only_the_outermost_agents_answer_is_an_output(guards: Guards) -> None:
    seen = Policy(lambda _: None, "output")
    guard, bodies = guards(seen), Bodies()
    model, tools = manager(bodies, "sync")
    create_agent(model, tools, name="manager").invoke(TASK, config(guard))
    assert [(request.resource, request.args) for request in seen.asked] == [("manager", {"result": "done"})]


def test_an_agent_without_a_name_has_the_graphs(guards: Guards) -> None:
    guard = guards()
    create_agent(Scripted(ai("x")), []).invoke(TASK, config(guard))
    assert {event.agent for event in events(guard, "decided")} == {"LangGraph"}


@pytest.mark.filterwarnings("ignore:.*experimental")
def test_events_of_an_agent_version_3(guards: Guards) -> None:
    guard = guards(redact("model.call", "model.return"))
    agent = create_agent(Streaming(ai("the secret is out")), [], name="support")
    if not hasattr(agent, "stream_events"):
        pytest.skip("this LangGraph has no stream_events")
    try:
        found = agent.stream_events(TASK, config(guard), version="v3")
    except TypeError:
        pytest.skip("this LangGraph has no stream_events version 3")
    assert "secret" not in "".join(str(item) for item in found)
    guard.close()
    assert_accounted(guard)


def test_a_ceiling_survives_a_restart_p42(tmp_path: Any) -> None:
    """Another process (here: another guard of the same home) goes on counting in the same session."""

    def once(request: Any) -> Verdict:
        claim = Claim(scope=f"calls/{request.subject.session}", unit="calls", cap=3, fixed=1)
        return Verdict(effect="allow", claims=(claim,))

    model = Scripted(ai("x"))
    refused = 0
    for _ in range(4):
        entry = Entry("ceiling", "test", Policy(once, "model.call", phase="meter"), None)  # type: ignore[arg-type]
        bundle = Bundle(revision="0" * 64, source="test", entries=(entry,))
        with Guard(bundle, home=tmp_path / "home", application="tests") as guard:
            try:
                create_agent(model, [], name="support").invoke(TASK, config(guard, session_id="s"))
            except jackline.Denied:
                refused += 1
    assert (model.calls, refused) == (3, 1)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_functions_as_graphs_are_followed(guards: Guards, asynchronous: bool) -> None:
    bodies = Bodies()
    search, refund = bodies.search(), bodies.refund()

    @task
    def pay(amount: float) -> str:
        return str(refund.invoke({"order": "o", "amount": amount}))

    @entrypoint()
    def flow(query: str) -> str:
        return f"{search.invoke({'query': query})}, {pay(3).result()}"

    @entrypoint()
    async def aflow(query: str) -> str:
        return f"{await search.ainvoke({'query': query})}, {await pay(3)}"

    guard = guards()
    said = asyncio.run(aflow.ainvoke("q", config(guard))) if asynchronous else flow.invoke("q", config(guard))
    assert said == "3 results for q, refunded 3.0 for o"
    guard.close()
    assert_accounted(guard)
    assert {event.agent for event in events(guard, "decided")} == {aflow.name if asynchronous else flow.name}
    assert len({event.run for event in events(guard, "decided")}) == 1


def test_every_call_is_listed() -> None:
    assert len(CALLS) == 9
