"""Ways round a guard in LlamaIndex, by their numbers: L1 to L25 were found in LlamaIndex, P1 to P50 in other products."""

from __future__ import annotations

import asyncio
import gc
import json
from typing import TYPE_CHECKING, Any

import pytest
from llama_fakes import Boss, Coder, Own, Plain, Provider, Text, async_tools, functions, raw, tools, words
from llama_harness import acts, agent, everything, job_of, process, run, tracer
from llama_index.core import set_global_tokenizer
from llama_index.core.agent.react.formatter import ReActChatFormatter
from llama_index.core.agent.react.output_parser import ReActOutputParser
from llama_index.core.agent.workflow import AgentWorkflow, CodeActAgent, FunctionAgent, ReActAgent, ToolCall
from llama_index.core.agent.workflow.base_agent import BaseWorkflowAgent
from llama_index.core.base.llms.types import ToolCallBlock
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.llms import ChatMessage, ChatResponse, CompletionResponse, CustomLLM, LLMMetadata, TextBlock
from llama_index.core.tools import FunctionTool, calling
from llama_index.core.tools.types import adapt_to_async_tool
from llama_index.core.workflow import Context, HumanResponseEvent, InputRequiredEvent
from llama_ways import desk, shelf

import jackline
from jackline.errors import ApprovalPending, Denied, Halted, JacklineError
from jackline.testing.paths import MODEL, USAGE, Call, Step
from jackline.testing.records import assert_accounted
from jackline.testing.scripted import Scripted, on_record, refusing, replacing
from jackline.testing.story import FIND, HIDDEN, LEAK, NO, PAY, SECRET, STORY
from jackline_llamaindex import LlamaIndexAdapter
from jackline_llamaindex.runs import AgentRun, Running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jackline.testing.paths import Job
    from jackline.testing.scripted import Guards

TOLD = f"Not permitted by policy 'p0': {NO}"
ONCE = (Step(calls=(FIND,)), Step("all is done"))


def no_find(effect: Any = "deny") -> Scripted:
    return refusing("tool.call", NO, agent="", tool="find", effect=effect)


# --- L1, L2, P2: calls that go past an agent's `_call_tool`

ENTRANCES: dict[str, Callable[[Any], Any]] = {
    "tool()": lambda tool: tool(query="q"),
    "tool(), by position": lambda tool: tool("q"),
    "tool.call": lambda tool: tool.call(query="q"),
    "tool.call, by position": lambda tool: tool.call("q"),
    "tool.acall": lambda tool: asyncio.run(tool.acall(query="q")),
    "tool.acall, by position": lambda tool: asyncio.run(tool.acall("q")),
}


@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.parametrize("make", [tools, async_tools])
def test_a_denied_tool_runs_by_no_entrance_l1_p2(guards: Guards, make: Any, entrance: str) -> None:
    guard = process(guards, no_find())
    job = job_of(guard)
    with pytest.raises(Denied, match=NO):
        ENTRANCES[entrance](make(job)[1])
    assert not job.bodies.ran
    assert acts(guard) == [("tool.call", "find", "deny")]
    (asked,) = on_record(guard, "decided")
    assert asked.agent == guard.application


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_a_permitted_call_is_judged_once_and_gives_what_it_gave_l1(guards: Guards, entrance: str) -> None:
    bare = ENTRANCES[entrance](tools(job_of(guards()))[1])
    guard = process(guards)
    job = job_of(guard)
    output = ENTRANCES[entrance](tools(job)[1])
    assert (output.content, output.raw_input, output.raw_output) == (bare.content, bare.raw_input, bare.raw_output)
    assert job.bodies.ran == {"find": 1}
    assert acts(guard) == [("tool.call", "find", "allow")]
    assert_accounted(guard)


@pytest.mark.parametrize("call", [calling.call_tool, lambda tool, args: asyncio.run(calling.acall_tool(tool, args))])
def test_call_tool_tells_the_refusal_and_runs_nothing_l1(guards: Guards, call: Any) -> None:
    guard = process(guards, no_find())
    job = job_of(guard)
    output = call(tools(job)[1], {"query": "q"})
    assert NO in output.content
    assert output.is_error
    assert not job.bodies.ran


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("kind", [Provider, Text])
def test_predict_and_call_runs_no_denied_tool_l2(guards: Guards, kind: Any, asynchronous: bool) -> None:
    guard = process(guards, no_find())
    job = job_of(guard, ONCE)
    own, llm = tools(job), kind(job)
    options: dict[str, Any] = {"user_msg": "go"}
    if kind is Text:
        options |= {"react_chat_formatter": ReActChatFormatter.from_defaults(), "output_parser": ReActOutputParser()}
    answer = (
        asyncio.run(llm.apredict_and_call(own, **options)) if asynchronous else llm.predict_and_call(own, **options)
    )
    assert not job.bodies.ran
    assert NO in str(answer)
    assert ("tool.call", "find", "deny") in acts(guard)
    guard.close()
    assert_accounted(guard)


@pytest.mark.parametrize("entrance", ["fn", "real_fn"])
def test_what_no_layer_sees_is_listed_l3(guards: Guards, entrance: str) -> None:
    guard = process(guards, no_find())
    job = job_of(guard)
    getattr(tools(job)[1], entrance)(query="q")
    assert job.bodies.ran == {"find": 1}
    assert acts(guard) == []
    assert any("tool.fn" in reason for reason in LlamaIndexAdapter().gaps().values())


# --- L4: code


def code_agent(job: Job, known: list[Any]) -> Any:
    names = {body.__name__: body for body in known}

    def execute(code: str) -> str:
        """Run code."""
        job.bodies.run("execute", code=code)
        return [str(eval(line, {"__builtins__": {}}, names)) for line in code.strip().splitlines()][-1]

    return CodeActAgent(execute, name="worker", llm=Coder(job), tools=known)


def test_code_that_could_reach_ungoverned_functions_is_refused_l4(guards: Guards) -> None:
    guard = process(guards, no_find())
    job = job_of(guard, ONCE)
    assert run(code_agent(job, functions(job))) == "all is done"
    assert not job.bodies.ran
    assert "guard.tool" in job.told[0]
    guard.close()
    assert_accounted(guard)


def test_code_runs_where_no_policy_is_about_what_it_could_reach_l4(guards: Guards) -> None:
    guard = process(guards, refusing("tool.call", NO, agent="", tool="another"))
    guard.reload(guards().bundle)
    job = job_of(guard, ONCE)
    assert run(code_agent(job, functions(job))) == "all is done"
    assert job.bodies.ran == {"execute": 1, "find": 1}


@pytest.mark.parametrize("effect", ["deny", "halt"])
def test_functions_that_code_calls_are_judged_l4(guards: Guards, effect: Any) -> None:
    guard = process(guards, no_find(effect))
    job = job_of(guard, ONCE)
    made = code_agent(job, [guard.tool(body) for body in functions(job)])
    if effect == "halt":
        with pytest.raises(Halted):
            run(made)
    else:
        assert run(made) == "all is done"
        assert job.told == [TOLD]
    assert job.bodies.ran == {"execute": 1}
    assert ("tool.call", "find", effect) in acts(guard)
    guard.close()
    assert_accounted(guard)


def test_code_itself_can_be_denied_l4(guards: Guards) -> None:
    guard = process(guards, refusing("tool.call", NO, agent="", tool="execute"))
    job = job_of(guard, ONCE)
    assert run(code_agent(job, functions(job))) == "all is done"
    assert not job.bodies.ran


# --- L5, L6


def handed_over(job: Job) -> Any:
    boss = FunctionAgent(name="boss", description="Leads.", llm=Boss(job, tool="handoff"), can_handoff_to=["worker"])
    worker = agent(job, description="Works.", can_handoff_to=[])
    worker.llm.ahead = 1
    return AgentWorkflow(agents=[boss, worker], root_agent="boss")


AGENTS: dict[str, Callable[[Job], Any]] = {
    "FunctionAgent": agent,
    "FunctionAgent, not streaming": lambda job: agent(job, streaming=False),
    "ReActAgent": lambda job: ReActAgent(name="worker", llm=Text(job), tools=tools(job)),
    "CodeActAgent": lambda job: code_agent(job, [job.guard.tool(body) for body in functions(job)]),
    "AgentWorkflow": lambda job: AgentWorkflow(agents=[agent(job)]),
    "AgentWorkflow, hand-off": handed_over,
}


@pytest.mark.parametrize("kind", AGENTS)
def test_both_kinds_of_agents_are_governed_l5(guards: Guards, kind: str) -> None:
    guard = process(guards, no_find())
    job = job_of(guard, ONCE)
    assert run(AGENTS[kind](job)) == "all is done"
    assert job.bodies.ran["find"] == 0
    assert job.told[-1] == TOLD


@pytest.mark.parametrize("kind", [BaseWorkflowAgent, AgentWorkflow])
def test_a_version_with_another_call_tool_is_refused_l5(
    guards: Guards, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def other(self: Any, tool: Any) -> None:
        """Another signature."""

    monkeypatch.setattr(kind, "_call_tool", other)
    guard = guards()
    with pytest.raises(JacklineError, match=rf"{kind.__name__}\._call_tool.*Try: pip install 'llama-index-core"):
        guard.enable(LlamaIndexAdapter())


def test_arguments_by_position_are_judged_by_name_l6(guards: Guards) -> None:
    guard = guards(replacing("tool.call", SECRET, HIDDEN))
    guard.enable(LlamaIndexAdapter())
    job = job_of(guard, (Step(calls=(Call("find", {"input": f"who knows {SECRET}"}),)), Step("all is done")))
    assert run(agent(job, [Plain(job)])) == "all is done"
    asyncio.run(adapt_to_async_tool(Plain(job)).acall(f"and {SECRET}?"))
    tools(job)[1](f"position {SECRET}")
    expected = [{"query": f"who knows {HIDDEN}"}, {"query": f"and {HIDDEN}?"}, {"query": f"position {HIDDEN}"}]
    assert [args for _, args in job.bodies.got] == expected
    assert [act for act in acts(guard) if act[0] == "tool.call"] == [("tool.call", "find", "modify")] * 3


# --- L7, L8: what others see


@pytest.mark.parametrize("kind", AGENTS)
def test_raw_arguments_are_in_no_event_span_or_memory_l7(guards: Guards, kind: str) -> None:
    guard = process(guards, replacing("tool.call", SECRET, HIDDEN))
    job = job_of(guard, ONCE)
    seen, answer = asyncio.run(everything(AGENTS[kind](job), "please find it"))
    assert answer == "all is done"
    assert job.bodies.got[-1] == ("find", {"query": f"who knows {HIDDEN}"})
    assert len(seen) > 20
    leaks = [text for text in seen if SECRET in text]
    assert leaks == []


@pytest.mark.parametrize("kind", AGENTS)
def test_refused_arguments_are_shown_as_policy_leaves_them_l7(guards: Guards, kind: str) -> None:
    guard = process(guards, replacing("tool.call", SECRET, HIDDEN), no_find())
    job = job_of(guard, ONCE)
    seen, answer = asyncio.run(everything(AGENTS[kind](job), "please find it"))
    assert answer == "all is done"
    assert job.bodies.ran["find"] == 0
    assert [text for text in seen if SECRET in text] == []


def test_the_event_of_a_call_has_the_judged_arguments_l7(guards: Guards) -> None:
    guard = process(guards, replacing("tool.call", SECRET, HIDDEN))
    for kind in ("FunctionAgent", "AgentWorkflow"):
        made = AGENTS[kind](job_of(guard, ONCE))

        async def calls(made: Any = made) -> list[Any]:
            running = made.run(user_msg="go")
            found = [event.tool_kwargs async for event in running.stream_events() if type(event) is ToolCall]
            await running
            return found

        assert asyncio.run(calls()) == [{"query": f"who knows {HIDDEN}"}]


RESULTS: dict[str, Callable[[Job], Any]] = {
    "FunctionTool": lambda job: async_tools(job)[1],
    "QueryEngineTool": desk,
    "RetrieverTool": shelf,
    "AsyncBaseTool": Own,
    "BaseTool": Plain,
}


@pytest.mark.parametrize("make", RESULTS)
@pytest.mark.parametrize("effect", ["modify", "deny"])
def test_the_raw_output_is_cleaned_with_the_text_l8(guards: Guards, make: str, effect: str) -> None:
    policy = replacing("tool.return", LEAK, HIDDEN) if effect == "modify" else refusing("tool.return", NO, agent="")
    guard = process(guards, policy)
    steps = (Step(calls=(Call("find", {"input" if make == "BaseTool" else "query": "it"}),)), Step("all is done"))
    for kind in (agent, lambda job, own: AgentWorkflow(agents=[agent(job, own)])):
        job = job_of(guard, steps, {"find": f"it is {LEAK} indeed"})
        made = kind(job, [RESULTS[make](job)])
        seen, answer = asyncio.run(everything(made, "please find it"))
        assert answer == "all is done"
        assert job.bodies.ran == {"find": 1}
        assert (HIDDEN if effect == "modify" else NO) in job.told[0]
        outside = [text for text in seen if LEAK in text and not text.startswith("span or event")]
        assert outside == []
        assert LEAK not in "".join(job.bodies.sent)


# --- L9 to L12: ends


def test_a_halt_in_a_tools_own_call_of_a_tool_ends_the_run_l9(guards: Guards) -> None:
    guard = process(guards, no_find("halt"))
    job = job_of(guard, (Step(calls=(Call("outer", {}),)), Step("went on")))
    inner = tools(job)[1]

    def outer() -> str:
        """Call another tool."""
        try:
            return str(inner(query="q"))
        except Exception as error:
            return f"swallowed: {error}"

    with pytest.raises(Halted, match=NO):
        run(agent(job, [FunctionTool.from_defaults(outer)]))
    assert len(job.bodies.sent) == 1
    assert not job.bodies.ran
    guard.close()
    assert_accounted(guard)


class Odd(BaseException):
    """No Exception."""


@pytest.mark.parametrize("error", [Odd, asyncio.CancelledError])
@pytest.mark.parametrize("kind", ["FunctionAgent", "AgentWorkflow"])
def test_what_is_no_exception_hangs_no_run_l10(guards: Guards, kind: str, error: Any) -> None:
    guard = process(guards)
    job = job_of(guard, ONCE)

    async def find(query: str) -> str:
        """Break."""
        raise error("odd")

    made = agent(job, [find])
    assert run(AgentWorkflow(agents=[made]) if kind == "AgentWorkflow" else made) == "all is done"
    assert "odd" in job.told[0]
    guard.close()
    assert_accounted(guard)


@pytest.mark.parametrize("action", ["tool.call", "tool.return", "model.call", "model.return", "output"])
@pytest.mark.parametrize("kind", ["FunctionAgent", "AgentWorkflow", "ReActAgent"])
def test_a_policy_that_raises_no_exception_hangs_no_run_l10(guards: Guards, kind: str, action: Any) -> None:
    def answer(_request: Any) -> None:
        raise Odd("odd")

    guard = process(guards, Scripted(answer, action))
    job = job_of(guard, ONCE)
    try:
        text = run(AGENTS[kind](job))
    except Exception as error:
        text = str(error)
    assert "odd" in text.lower() or any("odd" in told.lower() for told in job.told)
    assert action != "tool.call" or not job.bodies.ran


def test_an_interrupt_leaves_the_loop_and_closes_its_act_l11(guards: Guards) -> None:
    guard = process(guards)
    job = job_of(guard, ONCE)

    async def find(query: str) -> str:
        """Break."""
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(agent(job, [find]))
    guard.close()
    assert_accounted(guard)


@pytest.mark.parametrize("place", ["tool.call", "model.call", "tool.return"])
def test_a_halt_below_an_agent_that_is_a_tool_ends_the_outer_one_l12(guards: Guards, place: Any) -> None:
    guard = process(guards, refusing(place, NO, agent="worker", effect="halt"))
    job = job_of(guard, ONCE)
    worker = agent(job)

    async def delegate(task: str) -> str:
        """Hand it on; errors are swallowed."""
        try:
            return str(await worker.run(user_msg=task))
        except Exception as error:
            return f"swallowed {error}"

    boss = Boss(job)
    with pytest.raises(Halted, match=NO):
        run(FunctionAgent(name="boss", llm=boss, tools=[delegate]), session_id="s")
    assert len(boss.received) == 1
    sent = len(job.bodies.sent)
    with pytest.raises(Halted):
        run(FunctionAgent(name="boss", llm=boss, tools=[delegate]), session_id="s")
    assert (len(boss.received), len(job.bodies.sent)) == (1, sent)
    guard.close()
    assert_accounted(guard)


PLACES = ("tool.call", "tool.return", "model.call", "model.return", "output", "agent.spawn")


@pytest.mark.parametrize("kind", AGENTS)
@pytest.mark.parametrize("place", PLACES)
def test_a_halt_never_hangs(guards: Guards, kind: str, place: Any) -> None:
    guard = process(guards, refusing(place, NO, agent="", effect="halt"))
    job = job_of(guard, (Step(calls=(FIND,)), Step("all is done")))
    made = AGENTS[kind](job)
    if place == "agent.spawn" and "hand-off" not in kind:
        assert run(made) == "all is done"
        return
    with pytest.raises(Halted, match=NO):
        run(made)
    guard.close()
    assert_accounted(guard)


@pytest.mark.parametrize("kind", AGENTS)
def test_a_halt_among_calls_made_at_once_starts_none_after_it(guards: Guards, kind: str) -> None:
    if kind == "ReActAgent":
        pytest.skip("it makes one call at a time")
    guard = process(guards, refusing("tool.call", NO, agent="", tool="pay", effect="halt"))
    job = job_of(guard, (Step(calls=(PAY, FIND, FIND, FIND)), Step("all is done")))
    with pytest.raises(Halted):
        run(AGENTS[kind](job))
    assert job.bodies.ran["find"] == 0
    guard.close()
    assert_accounted(guard)


# --- L13, L14: steps that are run again


def waiting_tool(job: Job) -> Any:
    async def find(ctx: Context, query: str) -> str:
        """Wait for a person."""
        waiter = f"w-{query}"
        answer = await ctx.wait_for_event(
            HumanResponseEvent,
            waiter_id=waiter,
            waiter_event=InputRequiredEvent(prefix=waiter),
            requirements={"waiter_id": waiter},
        )
        job.bodies.run("find", query=query)
        return f"{query}: {answer.response}"

    find.__annotations__ = {"ctx": Context, "query": str, "return": str}
    return FunctionTool.from_defaults(async_fn=find)


async def answered(made: Any) -> tuple[str, int]:
    running, asked = made.run(user_msg="go"), 0
    async for event in running.stream_events():
        if isinstance(event, InputRequiredEvent):
            asked += 1
            running.ctx.send_event(HumanResponseEvent(response="yes", waiter_id=event.prefix))
    return str(await running), asked


@pytest.mark.parametrize("kind", ["FunctionAgent", "AgentWorkflow"])
def test_a_step_that_is_run_again_is_one_call_l13(guards: Guards, kind: str) -> None:
    guard = process(guards)
    job = job_of(guard, ONCE)
    made = agent(job, [waiting_tool(job)])
    found = asyncio.run(answered(AgentWorkflow(agents=[made]) if kind == "AgentWorkflow" else made))
    assert found == ("all is done", 1)
    assert job.bodies.ran == {"find": 1}
    assert [act for act in acts(guard) if act[0] == "tool.call"] == [("tool.call", "find", "allow")]
    assert len([event for event in on_record(guard, "completed") if event.action == "tool.call"]) == 1
    guard.close()
    assert_accounted(guard)


@pytest.mark.parametrize("kind", ["FunctionAgent", "AgentWorkflow"])
def test_calls_that_wait_at_once_each_run_once_l14(guards: Guards, kind: str) -> None:
    guard = process(guards)
    calls = tuple(Call("find", {"query": name}) for name in "abc")
    job = job_of(guard, (Step(calls=calls), Step("all is done")))
    made = agent(job, [waiting_tool(job)])
    found = asyncio.run(answered(AgentWorkflow(agents=[made]) if kind == "AgentWorkflow" else made))
    assert found == ("all is done", 3)
    assert job.bodies.ran == {"find": 3}
    assert len([act for act in acts(guard) if act[0] == "tool.call"]) == 3
    guard.close()
    assert_accounted(guard)


def test_escalated_calls_made_at_once_are_each_told_that_they_wait_l14(guards: Guards) -> None:
    guard = process(guards, no_find("escalate"))
    job = job_of(guard, (Step(calls=(FIND, FIND, FIND)), Step("all is done")))
    assert run(agent(job)) == "all is done"
    assert len(job.told) == 3
    assert all(told.startswith(f"Approval needed by policy 'p0': {NO}") for told in job.told)
    assert not job.bodies.ran
    with pytest.raises(ApprovalPending):
        tools(job)[1](query="q")


# --- L15: ids


@pytest.mark.parametrize("kind", ["FunctionAgent", "AgentWorkflow"])
def test_a_call_has_the_models_id_l15(guards: Guards, kind: str) -> None:
    asked: list[str] = []
    guard = process(guards, Scripted(lambda request: asked.append(request.call_id), "tool.call"))
    job = job_of(guard, (Step(calls=(FIND, FIND)), Step("all is done")))
    run(AGENTS[kind](job))
    assert asked == ["c1-0", "c1-1"]


# --- L16 to L21: tracing


def test_nothing_of_ours_is_in_the_instrumentation_that_swallows_errors_l16(
    guards: Guards, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatcher = get_dispatcher()
    before = list(dispatcher.event_handlers), list(dispatcher.span_handlers)
    guard = process(guards)
    assert (list(dispatcher.event_handlers), list(dispatcher.span_handlers)) == before
    job = job_of(guard, ONCE)
    monkeypatch.setattr("jackline_llamaindex.enforce.converted", lambda *_: 1 / 0)
    assert run(agent(job)) == "all is done"
    assert not job.bodies.ran
    assert "could not be judged: ZeroDivisionError" in job.told[0]
    assert on_record(guard, "events_lost")


def test_changed_arguments_are_in_the_spans_too_l17(guards: Guards) -> None:
    guard = process(guards, replacing("tool.call", SECRET, HIDDEN))
    job = job_of(guard, ONCE)
    with tracer() as seen:
        tools(job)[1](query=f"who knows {SECRET}")
    assert job.bodies.got == [("find", {"query": f"who knows {HIDDEN}"})]
    assert any(HIDDEN in text for text in seen)
    assert not any(SECRET in text for text in seen)


def test_tools_have_spans_of_their_own_on_record_l18(guards: Guards) -> None:
    guard = process(guards)
    run(agent(job_of(guard)))
    guard.close()
    (started,) = on_record(guard, "run_started")
    ran = [event for event in on_record(guard, "decided") if event.action == "tool.call"]
    assert [(event.resource, event.run) for event in ran] == [("pay", started.run), ("find", started.run)]
    assert len({event.span for event in ran}) == 2
    assert all(event.parent for event in ran)


ASKS: dict[str, Callable[[Any], Any]] = {
    "chat": lambda llm: llm.chat([ChatMessage("hi")]),
    "achat": lambda llm: asyncio.run(llm.achat([ChatMessage("hi")])),
    "stream_chat": lambda llm: list(llm.stream_chat([ChatMessage("hi")])),
    "astream_chat": lambda llm: asyncio.run(gathered(llm.astream_chat([ChatMessage("hi")]))),
    "complete": lambda llm: llm.complete("hi"),
    "acomplete": lambda llm: asyncio.run(llm.acomplete("hi")),
    "stream_complete": lambda llm: list(llm.stream_complete("hi")),
    "astream_complete": lambda llm: asyncio.run(gathered(llm.astream_complete("hi"))),
}


async def gathered(stream: Any) -> list[Any]:
    return [piece async for piece in await stream]


@pytest.mark.parametrize("method", ASKS)
def test_a_model_that_asks_itself_is_one_call_l19(guards: Guards, method: str) -> None:
    guard = process(guards)
    job = job_of(guard, (Step("all is done"),))
    ASKS[method](Text(job))
    assert len(job.bodies.sent) == 1
    assert acts(guard) == [("model.call", MODEL, "allow")]
    (done,) = on_record(guard, "completed")
    assert (done.usage.input, done.usage.output) == USAGE
    assert_accounted(guard)


class Bare(CustomLLM):
    """A model without LlamaIndex's decorators, whose provider tells no tokens where it streams."""

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name=MODEL)

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text="some words", raw=raw())

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Iterator[CompletionResponse]:
        whole = ""
        for word in words("some words"):
            whole += word
            yield CompletionResponse(text=whole, delta=word, raw=raw(last=False))


@pytest.mark.parametrize("method", ASKS)
def test_a_model_without_decorators_is_on_record_l20(guards: Guards, method: str) -> None:
    guard = process(guards)
    ASKS[method](Bare())
    (done,) = on_record(guard, "completed")
    assert done.action == "model.call"
    assert done.usage.input > 0
    assert done.usage.estimated == ("stream" in method)


def test_a_stream_is_done_when_it_has_ended_l21(guards: Guards) -> None:
    guard = process(guards)
    job = job_of(guard, (Step("all is done"),))

    async def main() -> None:
        stream = await Provider(job).astream_chat([ChatMessage("hi")])
        assert on_record(guard, "completed") == []
        await anext(stream)
        assert on_record(guard, "completed") == []
        async for _ in stream:
            pass

    asyncio.run(main())
    (done,) = on_record(guard, "completed")
    assert (done.usage.input, done.usage.output) == USAGE
    stream = Provider(job).stream_chat([ChatMessage("hi")])
    assert len(on_record(guard, "completed")) == 1
    list(stream)
    assert len(on_record(guard, "completed")) == 2


# --- L22 to L25


def test_usage_that_a_stream_does_not_tell_is_bounded_and_never_nothing_l22(guards: Guards) -> None:
    guard = process(guards)
    list(Bare().stream_complete("a prompt of some length"))
    (done,) = on_record(guard, "completed")
    assert done.usage.estimated
    assert done.usage.input >= len("a prompt of some length")
    assert done.usage.output >= len("some words")
    assert done.cost.micro_usd > 0


class OpenAI(Provider):
    """As LlamaIndex's own class for OpenAI: it tells a stream's tokens only on request."""

    additional_kwargs: dict[str, Any] = {}


OpenAI.__module__ = "llama_index.llms.openai.base"


@pytest.mark.parametrize("given", [{}, {"stream_options": {"include_usage": True, "other": 1}}])
def test_usage_is_asked_for_where_a_provider_tells_it_on_request_l22(guards: Guards, given: Any) -> None:
    process(guards)
    job = job_of(guards(), (Step("all is done"),))
    llm = OpenAI(job)
    list(llm.stream_chat([ChatMessage("hi")], **given))
    asyncio.run(gathered(llm.astream_chat([ChatMessage("hi")], **given)))
    llm.chat([ChatMessage("hi")])
    asked = {"include_usage": True, **given.get("stream_options", {})}
    assert [item.get("stream_options") for item in llm.received] == [asked, asked, None]
    plain = Provider(job)
    list(plain.stream_chat([ChatMessage("hi")]))
    assert plain.received == [{}]


def live() -> int:
    gc.collect()
    return sum(isinstance(item, (Running, AgentRun)) for item in gc.get_objects())


def test_nothing_is_kept_of_runs_that_have_ended_l23(guards: Guards) -> None:
    guard = process(guards)
    run(agent(job_of(guard)))
    before = live()
    for _ in range(5):
        run(agent(job_of(guard)))
    assert live() <= max(before, 1)
    assert guard.sessions.live() == [] or len(guard.sessions.live()) <= 1


def test_nothing_is_counted_with_a_tokenizer_l24(guards: Guards) -> None:
    asked: list[str] = []

    def counted(text: str) -> list[Any]:
        asked.append(text)
        return []

    guard = process(guards)
    job = job_of(guard, (Step("all is done"),))
    set_global_tokenizer(counted)
    try:
        for ask in ASKS.values():
            ask(Provider(job))
        tools(job)[1](query="q")
    finally:
        set_global_tokenizer(str.split)
    assert asked == []
    assert {event.action for event in on_record(guard, "completed")} >= {"model.call", "tool.call"}


class Changing:
    """Another tool each time that it is asked."""

    def __init__(self, *offers: Any) -> None:
        self.offers = list(offers)

    async def aretrieve(self, _text: str) -> list[Any]:
        return self.offers.pop(0) if len(self.offers) > 1 else self.offers[0]


@pytest.mark.parametrize("effect", ["allow", "deny"])
def test_tools_that_are_found_while_an_agent_runs_are_known_and_judged_l25(guards: Guards, effect: Any) -> None:
    guard = process(guards, *([no_find()] if effect == "deny" else []))
    job = job_of(guard)
    pay, find = async_tools(job)
    made = agent(job, [], tool_retriever=None)
    made.tool_retriever = Changing([pay], [pay], [pay, find], [find], [find])
    assert run(made) == "all is done"
    assert job.bodies.ran == ({"pay": 1, "find": 1} if effect == "allow" else {"pay": 1})
    seen = [event.tool.name for event in on_record(guard, "tool_seen")]
    declared = [tool.name for event in on_record(guard, "agent_seen") for tool in event.tools]
    assert {"pay", "find"} <= {*seen, *declared}


# --- other products' failures


def test_a_denied_tool_runs_in_no_kind_of_agent_p1_p2(guards: Guards) -> None:
    guard = process(guards, no_find())
    for kind, make in AGENTS.items():
        job = job_of(guard, ONCE)
        assert run(make(job)) == "all is done", kind
        assert job.bodies.ran["find"] == 0, kind


def test_an_attached_agent_is_the_same_object_and_its_run_is_governed_p44(guards: Guards) -> None:
    guard = guards(no_find())
    job = job_of(guard, ONCE)
    made = agent(job)
    assert guard.attach(made) is made
    assert run(made) == "all is done"
    assert not job.bodies.ran
    assert job.told == [TOLD]


def test_what_is_not_attached_is_left_alone_p44(guards: Guards) -> None:
    guard = guards(no_find())
    guard.attach(agent(job_of(guard)))
    job = job_of(guard, ONCE)
    assert run(agent(job)) == "all is done"
    assert job.bodies.ran == {"find": 1}
    assert acts(guard) == []


def test_a_chat_engine_is_governed_p44(guards: Guards) -> None:
    guard = process(guards, refusing("model.call", NO, agent=""))
    job = job_of(guard, (Step("all is done"),))
    with pytest.raises(jackline.Denied, match=NO):
        SimpleChatEngine.from_defaults(llm=Provider(job)).chat("hi")
    assert job.bodies.sent == []


class KeepsCallsBeside(Provider):
    """Keeps its calls where older integrations do: beside the message, as its provider sent them."""

    def _beside(self, response: ChatResponse) -> ChatResponse:
        blocks = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
        kept = [
            {"id": block.tool_call_id, "function": {"name": block.tool_name, "arguments": str_of(block.tool_kwargs)}}
            for block in blocks
        ]
        text = [block for block in response.message.blocks if isinstance(block, TextBlock)]
        message = ChatMessage(role="assistant", blocks=text, additional_kwargs={"tool_calls": kept} if kept else {})
        return response.model_copy(update={"message": message})

    async def achat(self, messages: Any, **kwargs: Any) -> ChatResponse:
        return self._beside(await super().achat(messages, **kwargs))

    async def astream_chat(self, messages: Any, **kwargs: Any) -> Any:
        stream = await super().astream_chat(messages, **kwargs)

        async def pieces() -> Any:
            async for piece in stream:
                yield self._beside(piece)

        return pieces()

    def get_tool_calls_from_response(self, response: Any, error_on_no_tool_call: bool = True, **kwargs: Any) -> Any:
        kept = response.message.additional_kwargs.get("tool_calls", [])
        blocks = [
            ToolCallBlock(
                tool_call_id=call["id"],
                tool_name=call["function"]["name"],
                tool_kwargs=json.loads(call["function"]["arguments"]),
            )
            for call in kept
        ]
        message = ChatMessage(role="assistant", blocks=blocks)
        return super().get_tool_calls_from_response(response.model_copy(update={"message": message}))


def str_of(kwargs: Any) -> str:
    return kwargs if isinstance(kwargs, str) else json.dumps(kwargs)


@pytest.mark.parametrize("streaming", [False, True])
def test_calls_that_are_kept_beside_the_message_are_cleaned_too_l7(guards: Guards, streaming: bool) -> None:
    guard = process(guards, replacing("tool.call", SECRET, HIDDEN))
    job = job_of(guard, ONCE)
    made = FunctionAgent(name="worker", llm=KeepsCallsBeside(job), tools=async_tools(job), streaming=streaming)
    seen, answer = asyncio.run(everything(made, "please find it"))
    assert answer == "all is done"
    assert job.bodies.got == [("find", {"query": f"who knows {HIDDEN}"})]
    assert [text for text in seen if SECRET in text] == []
    assert len([act for act in acts(guard) if act[0] == "tool.call"]) == 1


def test_a_story_is_the_same_with_every_model_of_calls(guards: Guards) -> None:
    guard = process(guards)
    job = job_of(guard, STORY)
    assert run(FunctionAgent(name="worker", llm=KeepsCallsBeside(job), tools=async_tools(job))) == "all is done"
    assert job.bodies.ran == {"pay": 1, "find": 1}
    guard.close()
    assert_accounted(guard)
