"""On and off: what is wrapped is put back, what fails of ours fails closed or is counted, and nothing is noisy."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import gc
import logging
import os
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from fakes import Bodies, Library, Recorder, Scripted, Streaming, Vectors, ai
from harness import CALLS, OLD, TASK, Guards, Policy, acts, assert_accounted, deny, events, redact, refuse
from langchain.agents import create_agent
from langchain_core.embeddings import Embeddings
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.language_models.llms import BaseLLM
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import BaseTool, StructuredTool, Tool
from langchain_core.tracers import context as tracers
from langgraph.errors import GraphBubbleUp
from langgraph.prebuilt.tool_node import ToolInvocationError
from langgraph.pregel import Pregel

import jackline
import jackline_langchain
from jackline.decision import Decision
from jackline.errors import Denied, Halted
from jackline.session import CURRENT
from jackline_langchain import JacklineCallbackHandler, JacklineMiddleware, LangChainAdapter, handler, runs, signals
from jackline_langchain.patches import PATCHES, SWITCH

if TYPE_CHECKING:
    from collections.abc import Iterator

OWNERS = (
    BaseTool, StructuredTool, Tool, BaseChatModel, BaseLLM, BaseRetriever, Embeddings, Pregel, Scripted, Streaming,
    Library, Vectors,
)  # fmt: skip


def state() -> list[Any]:
    """Every attribute of every class that may be wrapped, and LangChain's hooks."""
    found = [{name: item for name, item in vars(owner).items() if callable(item)} for owner in OWNERS]
    return [*found, "__init_subclass__" in vars(Embeddings), list(tracers._configure_hooks)]


@pytest.fixture
def clean() -> list[Any]:
    """What LangChain is without us."""
    PATCHES._users += 1
    PATCHES.remove()
    return state()


def settings(guard: Any, **metadata: Any) -> dict[str, Any]:
    return {"callbacks": [JacklineCallbackHandler(guard)], "metadata": metadata}


def script() -> tuple[Any, Any]:
    return ai("", ("refund", {"order": "o", "amount": 5}, "c1"), ("search", {"query": "secret"}, "c2")), ai("done")


def test_off_means_off_p50_p67(guards: Guards, clean: list[Any]) -> None:
    first, second, bodies = guards(deny("refund")), guards(), Bodies()
    agent = create_agent(Streaming(*script()), [bodies.refund(), bodies.search()])
    kept = JacklineCallbackHandler(first)
    first.enable(LangChainAdapter())
    jackline_langchain.enable(second)
    agent.invoke(TASK)
    asyncio.run(agent.ainvoke(TASK, {"callbacks": [kept]}))
    Library().invoke("x")
    Vectors().embed_query("x")
    assert bodies.ran == {"search": 2}
    assert state() != clean
    first.close()
    assert PATCHES.on
    assert agent.invoke(TASK, {"callbacks": [kept]})["messages"][2].status == "success"
    second.close()
    assert state() == clean
    before = len(events(second))
    agent.invoke(TASK, {"callbacks": [kept]})
    Vectors().embed_query("x")
    assert len(events(second)) == before
    assert bodies.ran == {"search": 4, "refund": 2}


def test_runs_under_two_guards_leave_no_scope_behind(guards: Guards) -> None:
    """LangChain tells the handlers of an end in the order of the beginning: the first guard's run ends inside the second's."""
    for guard in (guards(), guards()):
        jackline_langchain.enable(guard)
    agent = create_agent(Scripted(*script()), [Bodies().refund(), Bodies().search()])
    agent.invoke(TASK)
    assert CURRENT.get() is None


def test_disable_leaves_explicit_handlers_on(guards: Guards) -> None:
    guard, bodies = guards(deny("refund")), Bodies()
    refund = bodies.refund()
    jackline_langchain.enable(guard)
    with pytest.raises(jackline.Denied):
        refund.invoke({"order": "o", "amount": 1})
    jackline_langchain.disable(guard)
    assert refund.invoke({"order": "o", "amount": 1})
    with pytest.raises(jackline.Denied):
        refund.invoke({"order": "o", "amount": 1}, settings(guard))
    jackline_langchain.disable(guards())


def test_a_wrap_that_somebody_else_wrapped_is_left_and_does_nothing(guards: Guards, clean: list[Any]) -> None:
    guard, bodies = guards(deny("refund")), Bodies()
    JacklineCallbackHandler(guard)
    ours = BaseTool.run

    def theirs(self: Any, *args: Any, **kwargs: Any) -> Any:
        return ours(self, *args, **kwargs)

    BaseTool.run = theirs  # type: ignore[method-assign]
    try:
        guard.close()
        assert BaseTool.run is theirs
        assert bodies.refund().invoke({"order": "o", "amount": 1})
    finally:
        BaseTool.run = ours.__wrapped__  # type: ignore[attr-defined, method-assign]
    assert state() == clean


@pytest.fixture
def unpatched(monkeypatch: pytest.MonkeyPatch, clean: list[Any]) -> Iterator[None]:
    """Everything by callbacks alone."""
    monkeypatch.setenv(SWITCH, "0")
    yield
    gc.collect()  # what was never awaited is said here, not in whichever test the collector runs next


# LangChain makes the coroutines of every handler first: those behind the one that refuses are never awaited.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("unpatched")
class TestWithoutPatches:
    """`JACKLINE_LANGCHAIN_PATCH=0`: acts are refused from the callbacks; what would have to be changed is refused."""

    @pytest.mark.parametrize("call", CALLS)
    def test_deny_and_halt(self, guards: Guards, call: str) -> None:
        guard, bodies = guards(deny("refund")), Bodies()
        agent = create_agent(Streaming(*script()), [bodies.refund(), bodies.search()], name="support")
        messages = CALLS[call](agent, settings(guard))
        assert messages[2].content == "Not permitted by policy 'p0': not that one"
        assert not bodies.ran["refund"]
        guard.close()
        assert_accounted(guard)
        guard = guards(deny("refund", effect="halt", reason="enough"))
        with pytest.raises(jackline.Halted, match="enough"):
            CALLS[call](agent, settings(guard, session_id="s"))
        assert not bodies.ran["refund"]

    def test_all_that_would_have_to_be_changed(self, guards: Guards) -> None:
        bodies, model = Bodies(), Streaming(ai("a secret"))
        search = bodies.search()
        for guard, act, wrong in (
            (guards(redact("tool.call")), lambda s: search.invoke({"query": "secret"}, s), "its arguments cannot"),
            (guards(redact("tool.return")), lambda s: search.invoke({"query": "secret"}, s), "its result cannot"),
            (guards(redact("model.call")), lambda s: model.invoke("secret", s), "its prompt cannot"),
            (guards(redact("model.return")), lambda s: model.invoke("x", s), "its answer cannot"),
            (guards(redact("model.return")), lambda s: list(model.stream("x", s)), "its stream cannot be held"),
            (guards(redact("retrieval")), lambda s: Library().invoke("secret", s), "its query cannot"),
        ):
            with pytest.raises(jackline.Denied, match=wrong):
                act(settings(guard))
            guard.close()
            assert_accounted(guard)
        assert bodies.ran == {"search": 1}

    def test_results_and_answers_are_withheld(self, guards: Guards) -> None:
        guard = guards(refuse("tool.return"), refuse("model.return"))
        with pytest.raises(jackline.Denied):
            Bodies().search().invoke({"query": "q"}, settings(guard))
        with pytest.raises(jackline.Denied):
            Scripted(ai("x")).invoke("x", settings(guard))
        guard = guards(refuse("output"))
        if OLD:
            return  # without patches, no callback says which run is an agent
        with pytest.raises(jackline.Denied):
            create_agent(Scripted(ai("x")), [], name="support").invoke(TASK, settings(guard))

    def test_sub_agents_and_processes(self, guards: Guards) -> None:
        guard = guards(refuse("agent.spawn"))
        inner = create_agent(Scripted(ai("x")), [], name="inner")
        outer = create_agent(Scripted(ai("x")), [], name="outer")
        guard.enable(LangChainAdapter())
        attached = guard.attach(outer)
        attached.invoke(TASK)

        async def nested() -> None:
            from langchain_core.runnables import RunnableLambda  # noqa: PLC0415

            scope = guard.scope()
            assert scope.depth == 0
            await RunnableLambda(lambda _: inner.invoke(TASK)).ainvoke(1)

        asyncio.run(nested())
        guard.close()
        assert_accounted(guard)
        assert "outer" in {event.agent for event in events(guard, "decided")} or OLD

    @pytest.mark.parametrize("call", CALLS)
    def test_middleware_governs_each_call_by_itself(self, guards: Guards, call: str) -> None:
        guard, bodies = guards(deny("refund")), Bodies()
        agent = create_agent(
            Streaming(*script()), [bodies.refund(), bodies.search()], middleware=[JacklineMiddleware(guard)]
        )
        messages = CALLS[call](agent, {"metadata": {"session_id": "s"}})
        assert messages[2].content == "Not permitted by policy 'p0': not that one"
        assert not bodies.ran["refund"]
        refusing = guards(refuse("model.call"))
        model = Streaming(ai("x"))
        with pytest.raises(jackline.Denied):
            CALLS[call](create_agent(model, [], middleware=[JacklineMiddleware(refusing)]))
        assert model.calls == 0
        for item in (guard, refusing):
            item.close()
            assert_accounted(item)
        assert {event.external_id for event in events(guard, "session_started")} == {"s"}

    def test_a_tool_that_fails_and_one_that_is_not_called_right(self, guards: Guards) -> None:
        guard, bodies = guards(), Bodies()
        with pytest.raises(ValueError, match="amount"):
            bodies.refund().invoke({"order": "o"}, settings(guard))
        guard.close()
        assert_accounted(guard)


# --- what fails of ours


def test_an_error_of_ours_before_an_act_is_a_denial(guards: Guards, monkeypatch: pytest.MonkeyPatch) -> None:
    guard, bodies, model = guards(), Bodies(), Scripted(ai("x"))
    config = settings(guard)

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(guard, "request", broken)
    with pytest.raises(jackline.Denied, match="the act could not be judged: ZeroDivisionError: ours"):
        bodies.search().invoke({"query": "q"}, config)
    with pytest.raises(jackline.Denied, match="the act could not be judged: ZeroDivisionError: ours"):
        model.invoke("x", config)
    with pytest.raises(jackline.Denied, match="the act could not be judged"):
        Library().invoke("x", config)
    monkeypatch.setattr(handler.Runs, "leaf", broken)
    for act in (
        lambda: bodies.search().invoke({"query": "q"}, config),
        lambda: model.invoke("x", config),
        lambda: Library().invoke("x", config),
    ):
        with pytest.raises(jackline.Denied, match="could not be judged: ZeroDivisionError: ours"):
            act()
    assert not bodies.ran
    assert model.calls == 0
    assert guard.recorder.lost >= 6


def test_an_error_of_ours_while_a_sub_agent_starts_is_a_denial(guards: Guards, monkeypatch: pytest.MonkeyPatch) -> None:
    guard, model = guards(), Scripted(ai("x"))

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(handler.Runs, "identify", broken)
    with pytest.raises(jackline.Denied, match="_start_agent could not be judged: ZeroDivisionError"):
        create_agent(model, []).invoke(TASK, settings(guard))
    assert model.calls == 0


def test_an_error_of_ours_after_an_act_is_counted_and_never_raised(
    guards: Guards, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard, bodies = guards(), Bodies()

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(handler.Runs, "ended", broken)
    agent = create_agent(Scripted(*script()), [bodies.refund(), bodies.search()])
    lost = guard.recorder.lost
    monkeypatch.setattr(guard.recorder, "note", lambda event: None)
    # In a context of its own: what is broken here is also what would leave the run's scope.
    answer = contextvars.copy_context().run(agent.invoke, TASK, settings(guard))
    assert answer["messages"][-1].content == "done"
    assert guard.recorder.lost > lost
    assert bodies.ran == {"refund": 1, "search": 1}


def test_refusals_are_not_logged_as_errors_and_other_errors_are(
    guards: Guards, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, clean: list[Any]
) -> None:
    class Faulty(Recorder):
        def on_tool_start(self, *args: Any, **kwargs: Any) -> None:
            raise ZeroDivisionError("theirs")

        raise_error = False

    monkeypatch.setenv(SWITCH, "0")
    guard = guards(deny("refund"))
    config = settings(guard)
    with caplog.at_level(logging.WARNING), pytest.raises(jackline.Denied):
        Bodies().refund().invoke({"order": "o", "amount": 1}, {"callbacks": [Faulty(), *config["callbacks"]]})
    assert [record.getMessage() for record in caplog.records] == [
        "Error in Faulty.on_tool_start callback: ZeroDivisionError('theirs')"
    ]
    guard.close()
    assert signals.QUIET not in signals.LOGGER.filters


@pytest.mark.parametrize("kind", signals.SIGNALS)
def test_signals_are_jacklines_and_the_frameworks(kind: Any) -> None:
    decision = Decision(effect="deny", reason="because", policy="p")
    found = kind(decision)
    assert isinstance(found, jackline.JacklineError)
    assert isinstance(found, ToolInvocationError if "Tool" in kind.__name__ else GraphBubbleUp)
    assert str(found) == found.message
    for other in (pickle.loads(pickle.dumps(found)), copy.copy(found)):
        assert type(other) is kind
        assert (other.decision, other.message, other.args) == (decision, found.message, found.args)


def test_a_pause_keeps_what_it_asks_wherever_it_is_sent() -> None:
    decision = Decision(effect="escalate", reason="because", policy="p", approvals=("a" * 64,))
    found = signals.paused(decision, "b" * 32, {"approvals": ["a" * 64]})
    assert str(found).startswith("Approval needed by policy 'p': because (approval aaaaaaaaaaaa is pending;")
    for other in (found, pickle.loads(pickle.dumps(found)), copy.copy(found)):
        ((interrupt,),) = other.args
        assert (interrupt.id, interrupt.value) == ("b" * 32, {"approvals": ["a" * 64]})


def test_signals_of_plain_python_become_the_frameworks_inside_of_a_tool() -> None:
    decision = Decision(effect="deny", reason="because")
    assert isinstance(signals.told(Denied(decision)), signals.DeniedTool)
    assert isinstance(signals.told(jackline.ApprovalPending(decision)), signals.PendingTool)
    assert isinstance(signals.told(Halted(decision)), signals.HaltedRun)
    error = ValueError("x")
    assert signals.told(error) is error


def test_the_package_names_what_it_brings_without_importing_langchain() -> None:
    code = (
        "import sys, jackline_langchain as j; j.jackline_register_adapters(lambda *a, **k: print(a, k));"
        "print([m for m in sys.modules if m.startswith(('langchain_core', 'langgraph'))])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert out.stdout.splitlines()[0].startswith("('langchain', 'jackline_langchain:LangChainAdapter')")
    assert out.stdout.splitlines()[1] == "[]"
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        jackline_langchain.nothing  # noqa: B018


def test_init_governs_agents_that_were_built_before(tmp_path: Any, jackline_home: Any) -> None:
    bodies = Bodies()
    agent = create_agent(Streaming(*script()), [bodies.refund(), bodies.search()], name="support")
    bundle = tmp_path / "jackline.yaml"
    bundle.write_text(
        "jackline: 1\npolicies:\n"
        "  - {name: no-refunds, use: rule, on: tool.call, when: tool.name == 'refund', effect: deny, reason: ask us}\n"
    )
    guard = jackline.init(bundle)
    try:
        assert agent.invoke(TASK)["messages"][2].content == "Not permitted by policy 'no-refunds': ask us"
        assert asyncio.run(agent.ainvoke(TASK))["messages"][2].status == "error"
        assert bodies.ran == {"search": 2}
        assert ("tool.call", "refund", "deny") in acts(guard)
    finally:
        jackline.close()
    assert agent.invoke(TASK)["messages"][2].status == "success"
    assert not PATCHES.on


def test_observe_never_asks_twice(guards: Guards) -> None:
    seen = Policy(lambda _: None)
    guard = guards(seen)
    guard.enable(LangChainAdapter())
    agent = guard.attach(create_agent(Streaming(*script()), [Bodies().refund(), Bodies().search()], name="support"))
    agent.invoke(TASK, settings(guard))
    asked = [(request.action, request.span) for request in seen.asked]
    assert len(asked) == len(set(asked))
    assert sum(action in ("model.call", "tool.call") for action, _ in asked) == 4


def test_runs_that_are_never_ended_are_forgotten(guards: Guards, monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler that raises after ours has a tool started that nobody ends."""

    class Faulty(Recorder):
        def on_tool_start(self, *args: Any, **kwargs: Any) -> None:
            raise ZeroDivisionError("theirs")

    monkeypatch.setattr(runs, "_LIVE", 3)
    guard = guards()
    ours = JacklineCallbackHandler(guard)
    for _ in range(10):
        with pytest.raises(ZeroDivisionError):
            Bodies().search().invoke({"query": "q"}, {"callbacks": [ours, Faulty()]})
    assert len(ours.runs.nodes) == 3
    guard.close()
    assert_accounted(guard)
