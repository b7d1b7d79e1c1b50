"""Ways round a guard to a model in CrewAI: direct calls, own classes, limits that are given elsewhere (C6, C23, C25)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from crew_fakes import MODES, Bodies, Scripted, agent, asking, calling, crew, fake, final, run
from crew_harness import Policy, acts, assert_accounted, on_record, redact, refuse
from crewai import BaseLLM

import jackline_crewai
from jackline import Denied
from jackline.decision import Claim, Verdict
from jackline.testing.paths import MODEL

if TYPE_CHECKING:
    from crew_harness import Guards

    from jackline.guard import Guard
    from jackline.request import Request

NATIVE = pytest.mark.parametrize("native", [True, False], ids=["native", "ReAct"])
MODE = pytest.mark.parametrize("mode", MODES)
HI = [{"role": "user", "content": "hi abc"}]


def governing(guards: Guards, *policies: Policy, **options: Any) -> Guard:
    guard = guards(*policies, **options)
    jackline_crewai.enable(guard)
    return guard


DIRECT = {
    "call": lambda llm: llm.call(HI),
    "call with a text": lambda llm: llm.call("hi abc"),
    "acall": lambda llm: asyncio.run(llm.acall(HI)),
    "a call by keyword": lambda llm: llm.call(messages=HI),
    "stream_events": lambda llm: list(llm.stream_events(HI)),
}


@pytest.mark.parametrize("way", DIRECT)
def test_c6_a_model_that_is_called_directly_is_refused(guards: Guards, way: str) -> None:
    guard = governing(guards, refuse("model.call"))
    llm = fake("hello")
    with pytest.raises(Denied):
        DIRECT[way](llm)
    assert llm.calls == 0
    assert acts(guard) == [("model.call", MODEL, "deny")]


@pytest.mark.parametrize("way", DIRECT)
def test_c6_a_model_that_is_called_directly_is_judged_and_recorded_once(guards: Guards, way: str) -> None:
    guard = governing(guards, redact("model.call"))
    llm = fake("hello")
    DIRECT[way](llm)
    assert llm.calls == 1
    assert "abc" not in llm.seen[0]
    assert "hi abc" in HI[0]["content"]
    assert acts(guard) == [("model.call", MODEL, "modify")]
    assert_accounted(guard)


@pytest.mark.parametrize("base", [BaseLLM, Scripted], ids=["of CrewAI's own base", "of a class that has a call"])
def test_c6_a_class_that_is_defined_later_is_governed(guards: Guards, base: Any) -> None:
    sent: list[Any] = []
    governing(guards, refuse("model.call"))

    class Late(base):  # type: ignore[misc]
        def call(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
            sent.append(messages)
            return "hello"

    with pytest.raises(Denied):
        Late(model=MODEL).call("hi")
    assert sent == []


def test_c6_a_call_that_goes_on_to_its_base_is_judged_once(guards: Guards) -> None:
    guard = governing(guards)

    class Louder(Scripted):
        def call(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
            return super().call(messages, *args, **kwargs).upper()

    assert fake("hello", kind=Louder).call(HI) == "HELLO"
    assert acts(guard) == [("model.call", MODEL, "allow")]
    assert_accounted(guard)


def test_c6_a_model_that_asks_another_is_two_calls(guards: Guards) -> None:
    inner = fake("inner")

    class Router(Scripted):
        def call(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
            return f"outer {inner.call(messages)}"

    guard = governing(guards)
    assert fake(kind=Router).call(HI) == "outer inner"
    assert acts(guard) == [("model.call", MODEL, "allow")] * 2
    assert_accounted(guard)


@NATIVE
@MODE
def test_an_answer_is_changed_before_anyone_sees_it(guards: Guards, native: bool, mode: str) -> None:
    steps: list[Any] = []
    governing(guards, redact("model.return"))
    text = "the key is abc"
    llm = fake(asking(native, "look", {"what": "x"}), text if native else final(text), native=native)
    made = crew(llm, Bodies().look())
    made.agents[0].step_callback = steps.append
    made.tasks[0].callback = steps.append
    out = run(made, mode)
    assert out.raw == "the key is [gone]"
    assert "is abc" not in out.model_dump_json()
    assert "is abc" not in str(steps)


@NATIVE
def test_the_arguments_that_a_model_asks_for_are_judged_as_its_answer_too(guards: Guards, native: bool) -> None:
    bodies = Bodies()
    governing(guards, redact("model.return"))
    run(crew(fake(asking(native, "look", {"what": "abc"}), native=native), bodies.look()))
    assert bodies.got == [("look", {"what": "[gone]"})]


@NATIVE
@MODE
def test_the_last_word_is_changed_before_it_goes_outside(guards: Guards, native: bool, mode: str) -> None:
    guard = governing(guards, redact("output"))
    text = "the key is abc"
    out = run(crew(fake(text if native else final(text), native=native), Bodies().look()), mode)
    assert out.raw == "the key is [gone]"
    assert "is abc" not in out.model_dump_json()
    assert [name for action, name, _ in acts(guard) if action == "output"][-1] == "worker"


def meter(cap: int, **more: Any) -> Policy:
    """Counts the tokens of answers, and shrinks where the adapter can."""

    def answer(request: Request) -> Verdict:
        assert request.model is not None
        wanted = request.model.max_tokens or 500
        claim = Claim(scope="t", unit="tokens", cap=cap, fixed=0, per_output=request.model.choices * 1_000_000)
        return Verdict(effect="allow", claims=(claim,), output=wanted, shrink=request.model.can_limit)

    return Policy(answer, "model.call", phase="meter")


@pytest.mark.parametrize("given", [None, 10_000, 20])
def test_a_limit_that_shrinks_is_what_the_model_goes_by_and_is_gone_afterwards(guards: Guards, given: Any) -> None:
    guard = governing(guards, meter(40))
    llm = fake("hello", max_tokens=given)
    llm.call(HI)
    assert llm.limits == [20 if given == 20 else 40]
    assert llm.max_tokens == given
    assert_accounted(guard)


def test_calls_of_one_model_at_once_have_each_its_own_limit(guards: Guards) -> None:
    governing(guards, meter(40))

    async def both() -> None:
        llm = fake("one", "two", max_tokens=20)
        await asyncio.gather(llm.acall(HI), llm.acall(HI))
        assert sorted(llm.limits) == [20, 20]
        assert llm.max_tokens == 20

    asyncio.run(both())


def test_usage_that_a_model_does_not_tell_does_not_open_a_ceiling(guards: Guards) -> None:
    claim = Claim(scope="t", unit="tokens", cap=1000, fixed=100, per_output=1_000_000)
    guard = governing(
        guards,
        Policy(lambda _request: Verdict(effect="allow", claims=(claim,), output=50), "model.call", phase="meter"),
    )
    llm = fake(*["hello"] * 30, usage=None)
    with pytest.raises(Denied):
        list(map(llm.call, [HI] * 30))
    assert llm.calls < 20
    assert guard.ledger.balance("t").spent > 800
    assert all(event.usage.estimated for event in on_record(guard, "completed"))


@NATIVE
def test_an_error_of_the_provider_is_on_record_and_reaches_the_caller(guards: Guards, native: bool) -> None:
    guard = governing(guards)
    llm = fake(*[RuntimeError("provider down")] * 5, native=native)
    with pytest.raises(RuntimeError, match="provider down"):
        run(crew(llm, Bodies().look()))
    failed = on_record(guard, "failed")
    assert len(failed) == llm.calls
    assert {event.error for event in failed} == {"RuntimeError"}
    assert_accounted(guard)


def test_a_model_call_that_is_cancelled_is_closed(guards: Guards) -> None:
    guard = governing(guards)

    class Slow(Scripted):
        async def acall(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
            await asyncio.sleep(30)

    async def cancel() -> None:
        task = asyncio.create_task(fake(kind=Slow).acall(HI))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert [event.error for event in on_record(guard, "failed")] == ["cancelled"]
    assert_accounted(guard)


@pytest.mark.parametrize("mode", ["kickoff", "kickoff_async"])
def test_an_agent_by_itself_is_refused_its_model(guards: Guards, mode: str) -> None:
    governing(guards, refuse("model.call", reason="not now"))
    llm = fake()
    made = agent(llm, Bodies().look())
    with pytest.raises(Denied, match="not now"):
        made.kickoff("go") if mode == "kickoff" else asyncio.run(made.kickoff_async("go"))
    assert llm.calls == 0


def test_what_a_model_is_offered_is_what_policies_see(guards: Guards) -> None:
    policy = Policy(lambda _request: None, "model.call")
    governing(guards, policy)
    bodies = Bodies()
    run(crew(fake(calling(("look", {"what": "x"}))), bodies.look(), bodies.mail()))
    (first, second) = policy.asked
    assert first.model is not None
    assert [tool.name for tool in first.model.tools] == ["look", "send_mail"]
    assert (first.model.name, first.model.provider) == (MODEL, "openai")
    assert second.model is not None
    assert second.model.input_bytes > first.model.input_bytes > 100
    roles = [message["role"] for message in second.args["messages"]]
    assert {"system", "user", "assistant", "tool"} == set(roles)
