"""Every behaviour on every path: four ways to be governed, nine ways to be called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fakes import AsyncStreaming, Bodies, Scripted, Streaming, ai
from harness import CALLS, TWICE, Policy, acts, assert_accounted, deny, events, redact, refuse

import jackline

if TYPE_CHECKING:
    from harness import Governed, Guards

    from jackline.decision import Verdict

pytestmark = pytest.mark.parametrize("call", CALLS)
MODELS = [Scripted, Streaming, AsyncStreaming]


def script(**refund: Any) -> tuple[Any, ...]:
    return (
        ai("", ("refund", {"order": "o", "amount": 500, **refund}, "c1"), ("search", {"query": "secret"}, "c2")),
        ai("all done"),
    )


@pytest.mark.parametrize("model", MODELS)
def test_a_denied_tool_never_runs_and_the_agent_goes_on_p43_p51_p3(
    call: str, governed: Governed, guards: Guards, model: Any
) -> None:
    guard, bodies = guards(deny("refund")), Bodies()
    agent = governed.agent(guard, model(*script()), [bodies.refund(), bodies.search()], name="support")
    messages = CALLS[call](agent)
    times = 2 if call in TWICE else 1
    assert bodies.ran == {"search": times}
    told = [message for message in messages if message.type == "tool"]
    assert [(message.name, message.status) for message in told] == [("refund", "error"), ("search", "success")]
    assert told[0].content == "Not permitted by policy 'p0': not that one"
    assert messages[-1].content == "all done"
    guard.close()
    assert_accounted(guard)
    assert acts(guard).count(("tool.call", "refund", "deny")) == times
    assert {event.agent for event in events(guard, "decided")} == {"support"}


def test_a_halt_ends_the_session_and_nothing_starts_after_it(call: str, governed: Governed, guards: Guards) -> None:
    guard, bodies, model = guards(deny("refund", effect="halt", reason="enough")), Bodies(), Streaming(*script())
    agent = governed.agent(guard, model, [bodies.refund()], name="support")
    config = {"metadata": {"session_id": "s-1"}}
    with pytest.raises(jackline.Halted, match="Session ended by policy 'p0': enough"):
        CALLS[call](agent, config)
    with pytest.raises(jackline.Halted, match="enough"):
        CALLS[call](agent, config)
    assert not bodies.ran
    assert model.calls <= 2 if call in TWICE else model.calls == 1
    guard.close()
    after = False
    for event in events(guard):
        kind = event.__struct_config__.tag
        assert not (after and kind == "decided" and event.effect in ("allow", "modify"))
        after = after or kind == "session_halted"
    assert after


def test_changed_arguments_are_what_the_tool_receives_and_the_history_is_untouched(
    call: str, governed: Governed, guards: Guards
) -> None:
    guard, bodies = guards(redact("tool.call")), Bodies()
    agent = governed.agent(guard, Streaming(*script()), [bodies.refund(), bodies.search()])
    messages = CALLS[call](agent)
    assert ("search", {"query": "[gone]", "limit": 3}) in bodies.got
    assert "secret" not in str(bodies.got)
    asked = next(message for message in messages if message.type == "ai")
    assert asked.tool_calls[1]["args"] == {"query": "secret"}
    guard.close()
    assert_accounted(guard)


def test_a_tools_result_is_changed_before_anyone_sees_it(call: str, governed: Governed, guards: Guards) -> None:
    guard, bodies, model = guards(redact("tool.return")), Bodies(), Streaming(*script())
    agent = governed.agent(guard, model, [bodies.refund(), bodies.search()])
    messages = CALLS[call](agent)
    assert messages[-2].content == "3 results for [gone]"
    assert "results for secret" not in str(model.seen)
    assert bodies.ran["search"] == (2 if call in TWICE else 1)


def test_a_withheld_result_is_not_seen_and_the_act_stays_on_record(
    call: str, governed: Governed, guards: Guards
) -> None:
    guard, bodies, model = guards(refuse("tool.return", reason="private")), Bodies(), Streaming(*script())
    agent = governed.agent(guard, model, [bodies.refund(), bodies.search()])
    messages = CALLS[call](agent)
    assert {message.content for message in messages if message.type == "tool"} == {
        "Not permitted by policy 'p0': private"
    }
    assert "results for" not in str(model.seen)
    guard.close()
    assert_accounted(guard)
    assert [e.action for e in events(guard, "completed") if e.resource == "search"] == ["tool.call"] * (
        2 if call in TWICE else 1
    )


@pytest.mark.parametrize("model", MODELS)
def test_the_model_sees_changed_messages_and_the_caller_keeps_its_own(
    call: str, governed: Governed, guards: Guards, model: Any
) -> None:
    guard = guards(redact("model.call"))
    asked = model(ai("fine"))
    agent = governed.agent(guard, asked, [])
    task = {"messages": [("user", "my secret")]}
    messages = CALLS[call](agent, None, task)
    assert asked.seen[0] == [("human", "my [gone]")]
    assert messages[0].content == "my secret"


def test_a_denied_model_call_never_reaches_the_provider(call: str, governed: Governed, guards: Guards) -> None:
    guard, model = guards(refuse("model.call", reason="over budget")), Streaming(ai("fine"))
    agent = governed.agent(guard, model, [])
    with pytest.raises(jackline.Denied, match="Not permitted by policy 'p0': over budget"):
        CALLS[call](agent)
    assert model.calls == 0


@pytest.mark.parametrize("action", ["model.return", "output"])
@pytest.mark.parametrize("model", MODELS)
def test_an_answer_is_changed_before_anyone_sees_it(
    call: str, governed: Governed, guards: Guards, model: Any, action: str
) -> None:
    guard = guards(redact(action))
    agent = governed.agent(guard, model(ai("the secret is out")), [])
    messages = CALLS[call](agent)
    assert messages[-1].content == "the [gone] is out"
    guard.close()
    assert_accounted(guard)


@pytest.mark.parametrize("action", ["model.return", "output"])
def test_a_withheld_answer_is_not_seen(call: str, governed: Governed, guards: Guards, action: str) -> None:
    guard = guards(refuse(action, reason="private"))
    agent = governed.agent(guard, Streaming(ai("the secret is out")), [])
    with pytest.raises(jackline.Denied, match="private"):
        CALLS[call](agent)
    guard.close()
    assert_accounted(guard)
    assert [event.usage.output for event in events(guard, "completed")] == [5] * len(events(guard, "completed"))


def test_observing_changes_nothing(call: str, governed: Governed, guards: Guards) -> None:
    policies = [deny("refund", effect="halt"), redact("tool.call"), redact("model.return"), refuse("tool.return")]
    guard, bodies = guards(*policies, mode="observe"), Bodies()
    agent = governed.agent(guard, Streaming(*script()), [bodies.refund(), bodies.search()])
    messages = CALLS[call](agent)
    assert [message.content for message in messages[1:]] == [
        "",
        "refunded 500.0 for o",
        "3 results for secret",
        "all done",
    ]
    guard.close()
    assert_accounted(guard)
    would = [(event.effect, event.would) for event in events(guard, "decided") if event.resource == "refund"]
    assert would[0] == ("allow", "halt")


def test_tokens_are_counted_once_p41(call: str, governed: Governed, guards: Guards) -> None:
    guard = guards()
    agent = governed.agent(guard, Streaming(*script()), [Bodies().refund(), Bodies().search()])
    CALLS[call](agent)
    guard.close()
    assert_accounted(guard)
    done = [event for event in events(guard, "completed") if event.action == "model.call"]
    assert [(e.usage.input, e.usage.output, e.usage.estimated) for e in done] == [(10, 5, False)] * len(done)
    assert len(done) == (4 if call in TWICE else 2)
    assert {event.model for event in done} == {"gpt-4o-mini-2024-07-18"}
    assert all(event.cost is not None and event.cost.micro_usd > 0 for event in done)


def test_a_policy_that_fails_denies(call: str, governed: Governed, guards: Guards) -> None:
    def broken(request: Any) -> Verdict | None:
        raise ZeroDivisionError("oops")

    guard, bodies = guards(Policy(broken, "tool.call")), Bodies()
    agent = governed.agent(guard, Streaming(*script()), [bodies.refund(), bodies.search()])
    messages = CALLS[call](agent)
    assert not bodies.ran
    assert "raised ZeroDivisionError: oops" in messages[2].content


def test_runs_and_sessions_end_with_the_call_p72(call: str, governed: Governed, guards: Guards) -> None:
    guard = guards()
    agent = governed.agent(guard, Streaming(*script()), [Bodies().refund(), Bodies().search()], name="support")
    CALLS[call](agent)
    guard.close()
    started, ended = events(guard, "run_started"), events(guard, "run_ended")
    assert len(started) == len(ended) == (2 if call in TWICE else 1)
    assert {event.run for event in started} == {event.run for event in ended}
    assert all(not event.error and event.agent == "support" for event in ended)
    sessions = events(guard, "session_ended")
    assert [event.how for event in sessions] == ["root"] * len(started)
    decided = events(guard, "decided")
    assert {event.run for event in decided} == {event.run for event in started}
    assert {event.parent for event in decided} == {event.span for event in started}
