"""Ways round the guard that a reviewer found in LangChain: each was open once."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from fakes import AsyncStreaming, Scripted, ai
from harness import TASK, Policy, acts, assert_accounted, deny, events, redact, refuse
from langchain.agents import create_agent
from langchain_core.caches import InMemoryCache
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import BaseTool, StructuredTool, ToolException, tool

from jackline import Denied
from jackline.decision import Claim, Verdict
from jackline_langchain import JacklineCallbackHandler, LangChainAdapter, translate
from jackline_langchain.runs import Runs

if TYPE_CHECKING:
    from harness import Guards

    from jackline.guard import Guard
    from jackline.request import Request

CALL = {"name": "refund", "args": {"order": "7"}, "id": "c1", "type": "tool_call"}


def process(guards: Guards, *policies: Policy, **options: Any) -> Guard:
    guard = guards(*policies, **options)
    guard.enable(LangChainAdapter())
    return guard


def refusing(word: str, action: str) -> Policy:
    """Refuses what has a word in it."""
    return Policy(
        lambda request: Verdict(effect="deny", reason="no") if word in str(request.args) else None,
        action,
    )


# --- run ids that a program gives itself


def test_a_second_tool_call_under_the_id_of_a_running_one_is_refused(guards: Guards) -> None:
    ran: list[str] = []

    @tool
    async def refund(order: str) -> str:
        """Give money back."""
        ran.append(order)
        await asyncio.sleep(0)
        return order

    guard = process(guards, refusing("evil", "tool.call"))

    async def both() -> list[Any]:
        config: Any = {"run_id": uuid.uuid4()}
        calls = (refund.ainvoke({"order": order}, dict(config)) for order in ("good", "evil"))
        return await asyncio.gather(*calls, return_exceptions=True)

    good, evil = asyncio.run(both())
    assert (ran, good) == (["good"], "good")
    assert isinstance(evil, Denied)
    assert "leave it to LangChain" in str(evil)
    assert_accounted(guard)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_second_model_call_under_the_id_of_a_running_one_is_refused(guards: Guards, streamed: bool) -> None:
    model = AsyncStreaming(ai("some words"))
    guard = process(guards, refusing("evil", "model.call"))

    async def ask(text: str, config: Any) -> None:
        if streamed:
            async for _ in model.astream(text, config):
                await asyncio.sleep(0)
        else:
            await model.ainvoke(text, config)

    async def both() -> list[Any]:
        config = {"run_id": uuid.uuid4()}
        return await asyncio.gather(ask("good", dict(config)), ask("evil", dict(config)), return_exceptions=True)

    _, evil = asyncio.run(both())
    assert isinstance(evil, Denied)
    assert model.seen == [[("human", "good")]]
    assert_accounted(guard)


@pytest.mark.parametrize("order", ["good", "evil"])
def test_a_call_that_has_its_chains_id_is_judged_and_both_are_closed(guards: Guards, order: str) -> None:
    ran: list[str] = []

    @tool
    def refund(order: str) -> str:
        """Give money back."""
        ran.append(order)
        return order

    guard = process(guards, refusing("evil", "tool.call"))
    run_id = uuid.uuid4()

    def step(_text: str, config: Any) -> str:
        try:
            return str(refund.invoke({"order": order}, {"run_id": run_id, "callbacks": config["callbacks"]}))
        except Denied:
            return "refused"

    RunnableLambda(step).invoke("go", {"run_id": run_id})
    assert ran == (["good"] if order == "good" else [])
    assert len(events(guard, "run_started")) == len(events(guard, "run_ended")) == 1
    assert_accounted(guard)


# --- names


@pytest.mark.parametrize("application", ["another", "support"])
def test_an_agent_with_the_programs_name_is_asked_before_it_starts_another(guards: Guards, application: str) -> None:
    sub = create_agent(Scripted(ai("done")), [], name="helper")

    @tool
    def delegate(task: str) -> str:
        """Hand it on."""
        return str(sub.invoke(TASK)["messages"][-1].content)

    guard = process(guards, refuse("agent.spawn"), application=application)
    agent = create_agent(Scripted(ai("", ("delegate", {"task": "x"}, "c1")), ai("fine")), [delegate], name="support")
    agent.invoke(TASK)
    assert ("agent.spawn", "helper", "deny") in acts(guard)
    assert_accounted(guard)


# --- words and errors of the tool's own


@pytest.mark.parametrize("handling", [True, "All is well, 7 was refunded!", lambda _error: "refunded"])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_model_is_told_of_a_refusal_whatever_the_tool_says_of_errors_p22(
    guards: Guards, handling: Any, asynchronous: bool
) -> None:
    def body(order: str) -> str:
        """Give money back."""
        raise AssertionError(order)

    refund = StructuredTool.from_function(body, name="refund", handle_tool_error=handling)
    process(guards, deny("refund"))
    for asked in (CALL, CALL["args"]):
        told = asyncio.run(refund.ainvoke(asked)) if asynchronous else refund.invoke(asked)  # type: ignore[arg-type]
        assert getattr(told, "content", told) == "Not permitted by policy 'p0': not that one"


def test_what_a_tool_says_of_its_own_errors_is_left_alone(guards: Guards) -> None:
    def body(order: str) -> str:
        """Give money back."""
        raise ToolException(order)

    refund = StructuredTool.from_function(body, name="refund", handle_tool_error="ask again later")
    process(guards, deny("another"))
    assert refund.invoke({"order": "7"}) == "ask again later"


@pytest.mark.parametrize("asynchronous", [False, True])
def test_an_error_of_a_body_is_shown_with_what_led_to_it(guards: Guards, asynchronous: bool) -> None:
    def broken(order: str) -> str:
        """Give money back."""
        try:
            return str(1 // (len(order) - len(order)))
        except ZeroDivisionError:
            raise KeyError(order)  # noqa: B904 - the context is what this is about

    async def also_broken(order: str) -> str:
        return broken(order)

    refund = StructuredTool.from_function(broken, also_broken, name="refund")
    process(guards)
    with pytest.raises(KeyError) as error:
        asyncio.run(refund.ainvoke({"order": "7"})) if asynchronous else refund.invoke({"order": "7"})
    assert isinstance(error.value.__context__, ZeroDivisionError)
    assert not error.value.__suppress_context__


# --- what calls may take


def meter(cap: int) -> Policy:
    """Counts the tokens of answers, and shrinks where the adapter can."""

    def answer(request: Request) -> Verdict:
        assert request.model is not None
        wanted = request.model.max_tokens or 500
        claim = Claim(scope="t", unit="tokens", cap=cap, fixed=0, per_output=request.model.choices * 1_000_000)
        return Verdict(effect="allow", claims=(claim,), output=wanted, shrink=request.model.can_limit)

    return Policy(answer, "model.call", phase="meter")


@pytest.mark.parametrize(
    ("asked", "received"),
    [
        ({"max_tokens": -1}, {"max_tokens": 40}),
        ({"max_tokens": 0}, {"max_tokens": 40}),
        ({"max_tokens": 10, "max_completion_tokens": 9000}, {"max_tokens": 10, "max_completion_tokens": 40}),
        ({"max_tokens": 10, "extra_body": {"max_tokens": 9000}}, None),
        ({"generation_config": {"maxOutputTokens": 9000}}, None),
        ({"max_tokens": 10, "n": 50}, None),
        ({"max_tokens": 10, "n": "50"}, None),
        ({"max_tokens": 10, "best_of": 50}, None),
        ({"max_tokens": 10, "extra_body": {"candidateCount": 50}}, None),
    ],
)
def test_a_ceiling_holds_however_the_limit_is_given(guards: Guards, asked: Any, received: Any) -> None:
    model = Scripted(ai("x"))
    guard = process(guards, meter(40))
    if received is None:
        with pytest.raises(Denied):
            model.invoke("hello", **asked)
        assert model.received == []
    else:
        model.invoke("hello", **asked)
        assert model.received == [received]
    assert_accounted(guard)


def test_a_limit_of_a_field_that_is_no_limit_is_shrunk(guards: Guards) -> None:
    model = Scripted(ai("x"), max_tokens=-1)
    process(guards, meter(40))
    model.invoke("hello")
    assert model.received == [{"max_tokens": 40}]


def test_the_schema_of_the_answer_counts_as_sent(guards: Guards) -> None:
    asked: list[Any] = []
    process(guards, Policy(lambda request: asked.append(request.model), "model.call"))
    Scripted(ai("x")).invoke("hello")
    Scripted(ai("x")).invoke("hello", response_format={"json_schema": {"description": "y" * 5000}})
    assert asked[1].input_bytes - asked[0].input_bytes > 5000


def test_the_model_that_the_call_itself_names_is_the_one_that_is_judged(guards: Guards) -> None:
    asked: list[str] = []
    process(guards, Policy(lambda request: asked.append(request.resource), "model.call"))
    Scripted(ai("x")).invoke("hello", model="gpt-5-pro")
    assert asked == ["gpt-5-pro"]


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0},
        {"input_tokens": -500, "output_tokens": -500, "total_tokens": -1000},
        {"input_tokens": 10, "output_tokens": 500, "total_tokens": 510, "total_cost": 0},
    ],
)
def test_usage_that_cannot_be_does_not_open_a_ceiling_p41(guards: Guards, usage: Any) -> None:
    answer = AIMessage("some words")
    answer.usage_metadata = usage
    model = Scripted(answer)
    claim = Claim(scope="t", unit="tokens", cap=1000, fixed=100, per_output=1_000_000)
    guard = process(
        guards,
        Policy(lambda _request: Verdict(effect="allow", claims=(claim,), output=50), "model.call", phase="meter"),
    )
    with pytest.raises(Denied):
        model.batch(["hello"] * 30, {"max_concurrency": 1})
    assert guard.ledger.balance("t").spent > 800
    assert guard.recorder.lost == 0


def test_only_where_there_is_a_cache_can_an_answer_come_from_one(guards: Guards) -> None:
    process(guards)
    assert not translate.keeps_answers(Scripted(ai("x")))
    assert translate.keeps_answers(Scripted(ai("x"), cache=InMemoryCache()))
    assert not translate.keeps_answers(Scripted(ai("x"), cache=False))


# --- values that are made to break what looks at them


def ring() -> Any:
    found: list[Any] = []
    found.append(found)
    return found


def shared() -> Any:
    found: Any = "a"
    for _ in range(40):
        found = [found, found]
    return found


def abyss() -> Any:
    found: list[Any] = []
    for _ in range(50_000):
        found = [found]
    return found


@pytest.mark.parametrize("make", [ring, shared, abyss])
def test_f09_a_hostile_result_reaches_the_caller_and_is_on_record(guards: Guards, make: Any) -> None:
    value = make()

    def body(order: str) -> Any:
        """Give money back."""
        return value

    guard = process(guards)
    assert StructuredTool.from_function(body, name="refund").invoke({"order": "7"}) is value
    assert_accounted(guard)
    assert guard.recorder.lost == 0


def test_an_error_of_ours_while_the_last_word_is_judged_withholds_it(
    guards: Guards, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = guards(refuse("output"))
    monkeypatch.setattr(translate, "last_word", lambda _outputs: 1 / 0)
    agent = create_agent(Scripted(ai("x")), [])
    monkeypatch.setattr(guard, "judges", lambda request, *_: request.action != "output")
    with pytest.raises(Denied, match="could not be judged: ZeroDivisionError"):
        agent.invoke(TASK, {"callbacks": [JacklineCallbackHandler(guard)]})


def test_an_act_that_a_cancellation_keeps_from_starting_is_given_back(guards: Guards) -> None:
    first, second = guards(), guards(Policy(lambda _request: None, "tool.call"))

    async def waits(_request: Any) -> Any:
        await asyncio.sleep(60)

    second.acheck = waits  # type: ignore[method-assign]
    for guard in (first, second):
        guard.enable(LangChainAdapter())

    @tool
    async def refund(order: str) -> str:
        """Give money back."""
        raise AssertionError(order)

    async def main() -> None:
        task = asyncio.create_task(refund.ainvoke({"order": "7"}))
        while not acts(first):  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert [event.error for event in events(first, "failed")] == ["abandoned"]
    assert_accounted(first)


def test_no_run_is_kept_once_everything_has_ended(guards: Guards, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Runs] = []
    begin = Runs.__init__

    def noted(self: Runs, guard: Guard) -> None:
        begin(self, guard)
        made.append(self)

    monkeypatch.setattr(Runs, "__init__", noted)
    process(guards)
    agent = create_agent(Scripted(ai("", ("refund", {"order": "7"}, "c1")), ai("fine")), [], name="support")
    agent.invoke(TASK)
    assert [runs.nodes for runs in made] == [{}]


# --- classes of tools that do things their own way


class Counted(BaseTool):
    """What every tool here has; `ran` says where something was done."""

    name: str = "refund"
    description: str = "Give money back."
    ran: list[str] = []

    def _run(self, order: str) -> str:
        self.ran.append("_run")
        return order


class OwnInvoke(Counted):
    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:  # noqa: A002 - its name in LangChain
        self.ran.append("invoke")
        return "done"

    async def ainvoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:  # noqa: A002
        self.ran.append("ainvoke")
        return "done"


class OwnRun(Counted):
    def run(self, tool_input: Any, *args: Any, **kwargs: Any) -> Any:
        self.ran.append("run")
        return "done"

    async def arun(self, tool_input: Any, *args: Any, **kwargs: Any) -> Any:
        self.ran.append("arun")
        return "done"


class OwnRunOfBody(Counted):
    def run(self, tool_input: Any, *args: Any, **kwargs: Any) -> Any:
        return self._run(tool_input["order"])


class Mixed:
    def invoke(self, *args: Any, **kwargs: Any) -> Any:
        return "done", args, kwargs


class OwnMixin(Mixed, Counted):
    """Its entrance comes from a class that is no tool."""


class Passing(Counted):
    """Adds something and goes on as LangChain does."""

    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:  # noqa: A002 - its name in LangChain
        return super().invoke(input, config, **kwargs)

    async def ainvoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:  # noqa: A002
        return await super().ainvoke(input, config, **kwargs)

    def run(self, tool_input: Any, *args: Any, **kwargs: Any) -> Any:
        return super().run(tool_input, *args, **kwargs)


class Rewriting(Counted):
    """Asks for something else than it was asked for."""

    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:  # noqa: A002 - its name in LangChain
        return super().invoke({"order": "evil"}, config, **kwargs)


def by_invoke(refund: BaseTool) -> Any:
    return refund.invoke({"order": "7"})


def by_keyword(refund: BaseTool) -> Any:
    return refund.invoke(input={"order": "7"})


def by_run(refund: BaseTool) -> Any:
    return refund.run({"order": "7"})


def by_ainvoke(refund: BaseTool) -> Any:
    return asyncio.run(refund.ainvoke({"order": "7"}))


def by_arun(refund: BaseTool) -> Any:
    return asyncio.run(refund.arun({"order": "7"}))


def by_body(refund: BaseTool) -> Any:
    return refund._run("7")


BY = [by_invoke, by_keyword, by_run, by_ainvoke, by_arun, by_body]
KINDS = [Counted, OwnInvoke, OwnRun, OwnRunOfBody, OwnMixin, Passing, Rewriting]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("by", BY)
def test_no_entrance_of_a_class_leads_round_a_denial_p22(guards: Guards, kind: Any, by: Any) -> None:
    refund = kind(ran=[])
    guard = process(guards, deny("refund"))
    with pytest.raises(Denied):
        by(refund)
    assert refund.ran == []
    told = refund.invoke(CALL)
    assert (told.status, told.content) == ("error", "Not permitted by policy 'p0': not that one")
    assert_accounted(guard)


@pytest.mark.parametrize("kind", [*KINDS[:-1]])
@pytest.mark.parametrize("by", BY)
def test_an_entrance_of_a_class_is_judged_once_and_gives_what_it_gave(guards: Guards, kind: Any, by: Any) -> None:
    expected = by(kind(ran=[]))
    guard = process(guards)
    assert by(kind(ran=[])) == expected
    assert acts(guard) == [("tool.call", "refund", "allow")]
    assert_accounted(guard)


def test_what_an_entrance_of_a_class_asks_for_is_judged_too(guards: Guards) -> None:
    refund = Rewriting(ran=[])
    guard = process(guards, refusing("evil", "tool.call"))
    with pytest.raises(Denied):
        refund.invoke({"order": "7"})
    assert refund.ran == []
    assert [effect for *_, effect in acts(guard)] == ["allow", "deny"]
    assert_accounted(guard)


@pytest.mark.parametrize("kind", [OwnInvoke, Passing])
def test_what_an_entrance_of_a_class_gives_back_is_judged_once(guards: Guards, kind: Any) -> None:
    guard = process(guards, refuse("tool.return"))
    with pytest.raises(Denied):
        kind(ran=[]).invoke({"order": "7"})
    assert [action for action, *_ in acts(guard)] == ["tool.call", "tool.return"]
    assert_accounted(guard)


def test_a_change_of_arguments_that_an_entrance_of_a_class_cannot_take_is_a_denial(guards: Guards) -> None:
    refund = OwnInvoke(ran=[])
    guard = process(guards, redact("tool.call", old="7"))
    with pytest.raises(Denied, match="entrance of its own"):
        refund.invoke({"order": "7"})
    assert refund.ran == []
    assert_accounted(guard)


def test_a_class_that_only_shares_an_entrance_with_a_tool_is_left_alone(guards: Guards) -> None:
    process(guards, deny("refund"))
    assert Mixed().invoke(1, two=2) == ("done", (1,), {"two": 2})


@pytest.mark.parametrize("kind", [OwnInvoke, OwnRun, Passing])
def test_an_agents_tool_with_an_entrance_of_its_own_is_refused_under_a_handler_alone(guards: Guards, kind: Any) -> None:
    refund = kind(ran=[])
    guard = guards(deny("refund"))
    agent = create_agent(Scripted(ai("", ("refund", {"order": "7"}, "c1")), ai("fine")), [refund])
    messages = agent.invoke(TASK, {"callbacks": [JacklineCallbackHandler(guard)]})["messages"]
    assert [message.content for message in messages[-2:]] == ["Not permitted by policy 'p0': not that one", "fine"]
    assert refund.ran == []


def test_off_means_off_for_classes_with_entrances_of_their_own_p67(guards: Guards) -> None:
    before = (OwnInvoke.__dict__["invoke"], Counted.__dict__["_run"], BaseTool.__dict__["__init_subclass__"])
    guard = process(guards, deny("refund"))
    assert OwnInvoke.__dict__["invoke"] is not before[0]
    guard.close()
    assert (OwnInvoke.__dict__["invoke"], Counted.__dict__["_run"], BaseTool.__dict__["__init_subclass__"]) == before
    assert OwnInvoke(ran=[]).invoke({"order": "7"}) == "done"


# --- what LangGraph leaves open


def test_every_run_of_a_cancelled_agent_ends_p72(guards: Guards) -> None:
    guard = process(guards)

    @tool
    async def waits(order: str) -> str:
        """Wait for ever."""
        started.set()
        await asyncio.sleep(60)
        return order

    inner = create_agent(Scripted(ai("", ("waits", {"order": "7"}, "c2"))), [waits], name="inner")

    @tool
    async def delegate(order: str) -> str:
        """Hand it on."""
        return str(await inner.ainvoke(TASK))

    agent = create_agent(Scripted(ai("", ("delegate", {"order": "7"}, "c1"))), [delegate], name="outer")
    started = asyncio.Event()

    async def main() -> None:
        task = asyncio.create_task(agent.ainvoke(TASK))
        await started.wait()
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()  # as a server does that gives up waiting: LangGraph's own clean-up is cancelled, too
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert len(events(guard, "run_started")) == len(events(guard, "run_ended")) == 2
    assert len(events(guard, "session_started")) == len(events(guard, "session_ended")) == 1
    assert_accounted(guard)


def test_a_start_that_was_judged_and_never_came_to_be_is_closed(guards: Guards) -> None:
    inner = create_agent(Scripted(ai("x")), [], name="inner")

    @tool
    async def delegate(order: str) -> str:
        """Hand it on, in a way that LangGraph does not know."""
        try:
            return str([item async for item in inner.astream(TASK, stream_mode="values", interrupt_before=7)])
        except TypeError:
            return order

    guard = process(guards)
    agent = create_agent(Scripted(ai("", ("delegate", {"order": "7"}, "c1")), ai("fine")), [delegate], name="outer")
    asyncio.run(agent.ainvoke(TASK))
    assert ("agent.spawn", "inner", "allow") in acts(guard)
    assert_accounted(guard)


def test_a_handler_given_twice_starts_an_agent_once(guards: Guards) -> None:
    guard = guards()
    handler = JacklineCallbackHandler(guard)
    create_agent(Scripted(ai("x")), []).invoke(TASK, {"callbacks": [handler, handler]})
    assert len(events(guard, "run_started")) == 1


@pytest.mark.parametrize("asynchronous", [False, True])
def test_prompts_that_were_never_sent_are_not_kept(guards: Guards, asynchronous: bool) -> None:
    guard = guards(refuse("model.call"))
    handler = JacklineCallbackHandler(guard)
    prompts: Any = [[HumanMessage("one")], [HumanMessage("two")], [HumanMessage("three")]]
    model = Scripted(ai("x"))

    def ask() -> Any:
        if asynchronous:
            return asyncio.run(model.agenerate(prompts, callbacks=[handler]))
        return model.generate(prompts, callbacks=[handler])

    with pytest.raises(Denied):
        ask()
    assert handler.runs.nodes == {}
    assert model.seen == []


def test_f08_arguments_that_change_while_they_are_judged_are_not_executed(guards: Guards) -> None:
    ran: list[Any] = []
    lines = [1]

    def answer(_request: Request) -> None:
        lines.append(9)

    guard = process(guards, Policy(answer, "tool.call"))

    def body(order: dict[str, Any]) -> str:
        """Pay."""
        ran.append(order)
        return "paid"

    pay = StructuredTool(name="pay", description="Pay.", func=body, args_schema={"properties": {"order": {}}})
    with pytest.raises(Denied, match="changed while they were judged"):
        pay.invoke({"order": {"lines": lines}})
    assert ran == []
    assert_accounted(guard)
