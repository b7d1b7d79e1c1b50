"""Ways round a guard to a tool's body in CrewAI: each runs without a gate there, and is judged here once a run (C, P)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from crew_fakes import MODES, Bodies, agent, asking, calling, crew, delegating, fake, run
from crew_harness import Policy, acts, assert_accounted, deny, on_record, redact
from crewai.flow.flow import Flow, start
from crewai.flow.flow_definition import FlowToolActionDefinition
from crewai.flow.runtime._actions import ToolAction
from crewai.hooks import clear_all_hooks
from crewai.tools import BaseTool

import jackline_crewai
from jackline import Denied, Halted
from jackline.decision import Verdict

if TYPE_CHECKING:
    from crew_harness import Guards

    from jackline.guard import Guard
    from jackline.request import Request

NO = "Not permitted by policy 'p0': not that one"
NATIVE = pytest.mark.parametrize("native", [True, False], ids=["native", "ReAct"])
MODE = pytest.mark.parametrize("mode", MODES)


def governing(guards: Guards, *policies: Policy, **options: Any) -> Guard:
    guard = guards(*policies, **options)
    jackline_crewai.enable(guard)
    return guard


DIRECT = {
    "run": lambda item: item.run(to="d"),
    "run by position": lambda item: item.run("d"),
    "structured invoke": lambda item: item.to_structured_tool().invoke({"to": "d"}),
    "structured invoke of text": lambda item: item.to_structured_tool().invoke('{"to": "d"}'),
    "arun": lambda item: asyncio.run(item.arun(to="d")),
    "structured ainvoke": lambda item: asyncio.run(item.to_structured_tool().ainvoke({"to": "d"})),
}


@pytest.mark.parametrize("way", DIRECT)
def test_c1_a_denied_tool_that_is_called_directly_runs_0_times(guards: Guards, way: str) -> None:
    bodies = Bodies()
    guard = governing(guards, deny("send_mail"))
    item = bodies.amail() if way == "arun" else bodies.mail()
    with pytest.raises(Denied, match="not that one"):
        DIRECT[way](item)
    assert bodies.ran == {}
    assert acts(guard) == [("tool.call", "send_mail", "deny")]


@pytest.mark.parametrize("way", DIRECT)
def test_c1_a_tool_that_is_called_directly_is_judged_once_and_runs_once(guards: Guards, way: str) -> None:
    bodies = Bodies()
    guard = governing(guards)
    result = DIRECT[way](bodies.amail() if way == "arun" else bodies.mail())
    assert result == "sent to d, KEY=abc"
    assert bodies.got == [("send_mail", {"to": "d", "body": ""})]
    assert acts(guard) == [("tool.call", "send_mail", "allow")]
    assert_accounted(guard)


@NATIVE
@MODE
def test_p1_a_denied_tool_of_a_crew_runs_0_times_the_model_is_told_and_goes_on(
    guards: Guards, native: bool, mode: str
) -> None:
    bodies = Bodies()
    guard = governing(guards, deny("send_mail"))
    llm = fake(asking(native, "send_mail", {"to": "x"}), native=native)
    assert run(crew(llm, bodies.mail()), mode).raw == "done"
    assert bodies.ran == {}
    assert NO in llm.seen[-1]
    assert ("tool.call", "send_mail", "deny") in acts(guard)
    assert_accounted(guard)


class MailTool(BaseTool):
    name: str = "send_mail"
    description: str = "Send a mail."

    def _run(self, to: str) -> str:
        SENT.append(to)
        return "sent"


SENT: list[str] = []


@pytest.mark.parametrize("permitted", [True, False])
def test_c2_a_tool_that_a_method_of_a_flow_runs_is_judged(guards: Guards, permitted: bool) -> None:
    bodies = Bodies()
    guard = governing(guards, *([] if permitted else [deny("send_mail")]))

    class Desk(Flow):
        @start()
        def go(self) -> Any:
            return bodies.mail().run(to="flow")

    if permitted:
        assert Desk().kickoff() == "sent to flow, KEY=abc"
    else:
        with pytest.raises(Denied):
            Desk().kickoff()
    assert bodies.ran["send_mail"] == permitted
    assert [effect for action, _, effect in acts(guard) if action == "tool.call"] == ["allow" if permitted else "deny"]


@pytest.mark.parametrize("permitted", [True, False])
def test_c2_the_tool_action_of_a_declared_flow_is_judged(guards: Guards, permitted: bool) -> None:
    SENT.clear()
    governing(guards, *([] if permitted else [deny("send_mail")]))
    declared = FlowToolActionDefinition.model_validate(
        {"call": "tool", "ref": f"{MailTool.__module__}:MailTool", "with": {"to": "action"}}
    )
    action = ToolAction(Flow(), declared)
    if permitted:
        assert action.run() == "sent"
    else:
        with pytest.raises(Denied):
            action.run()
    assert len(SENT) == permitted


@pytest.mark.parametrize("inside", [True, False], ids=["native model", "asynchronously"])
def test_c3_a_tool_that_a_model_call_runs_itself_is_judged(guards: Guards, inside: bool) -> None:
    bodies = Bodies()
    guard = governing(guards, deny("send_mail"))
    llm = fake(calling(("send_mail", {"to": "llm"})))
    functions = {"send_mail": bodies.mail().run}
    messages = [{"role": "user", "content": "hi"}]
    if inside:
        told = llm.call(messages, available_functions=functions)
    else:
        told = asyncio.run(llm.acall(messages, available_functions=functions))
    assert bodies.ran == {}
    assert NO in str(told)
    assert ("tool.call", "send_mail", "deny") in acts(guard)
    assert_accounted(guard)


@pytest.mark.parametrize("permitted", [True, False])
def test_c4_each_retry_of_a_tool_that_fails_is_judged_and_counted(guards: Guards, permitted: bool) -> None:
    bodies = Bodies()
    policy = deny("failing") if not permitted else Policy(lambda request: None, "tool.call")
    guard = governing(guards, policy)
    llm = fake(asking(False, "failing", {"what": "1"}), native=False)
    run(crew(llm, bodies.failing()))
    decided = [effect for action, name, effect in acts(guard) if name == "failing"]
    if permitted:
        assert bodies.ran["failing"] == 6
        assert decided == ["allow"] * 6
        assert len(on_record(guard, "failed")) == 6
    else:
        assert bodies.ran == {}
        assert decided == ["deny"]
    assert_accounted(guard)


def test_c4_of_retries_no_more_run_than_the_ceiling_lets_through(guards: Guards) -> None:
    bodies, permitted = Bodies(), []

    def twice(request: Request) -> Verdict | None:
        permitted.append(request)
        return Verdict(effect="deny", reason="twice is enough") if len(permitted) > 2 else None

    governing(guards, Policy(twice, "tool.call"))
    llm = fake(asking(False, "failing", {"what": "1"}), native=False)
    run(crew(llm, bodies.failing()))
    assert bodies.ran["failing"] == 2
    assert "twice is enough" in llm.seen[-1]


@NATIVE
@MODE
def test_c5_a_result_that_is_the_answer_is_redacted(guards: Guards, native: bool, mode: str) -> None:
    bodies = Bodies()
    guard = governing(guards, redact("tool.return"))
    llm = fake(asking(native, "send_mail", {"to": "x"}), native=native)
    out = run(crew(llm, bodies.mail(result_as_answer=True)), mode)
    assert out.raw == "sent to x, KEY=[gone]"
    assert "=abc" not in out.model_dump_json()
    assert bodies.ran["send_mail"] == 1
    assert_accounted(guard)


@NATIVE
def test_c5_a_result_that_is_withheld_is_no_answer(guards: Guards, native: bool) -> None:
    bodies = Bodies()
    governing(guards, Policy(lambda _request: Verdict(effect="deny", reason="no keys"), "tool.return"))
    llm = fake(asking(native, "send_mail", {"to": "x"}), native=native)
    out = run(crew(llm, bodies.mail(result_as_answer=True)))
    assert "=abc" not in out.model_dump_json()
    assert "abc" not in "".join(llm.seen)


def test_c8_a_denied_tool_runs_0_times_after_every_hook_was_cleared(guards: Guards) -> None:
    bodies = Bodies()
    governing(guards, deny("send_mail"))
    clear_all_hooks()
    for native in (True, False):
        llm = fake(asking(native, "send_mail", {"to": "x"}), native=native)
        run(crew(llm, bodies.mail()))
        clear_all_hooks()
        assert NO in llm.seen[-1]
    assert bodies.ran == {}


def test_c8_a_halt_ends_a_crew_whose_hooks_were_cleared(guards: Guards) -> None:
    bodies = Bodies()
    governing(guards, deny("send_mail", effect="halt"))
    clear_all_hooks()
    made, boss, _ = delegating(True, bodies.mail())
    with pytest.raises(Halted):
        made.kickoff()
    assert bodies.ran == {}
    assert boss.calls == 1


def test_c9_what_is_beneath_every_layer_is_named_as_a_gap(guards: Guards) -> None:
    bodies = Bodies()
    guard = governing(guards, deny("send_mail"))
    assert bodies.mail().func(to="x") == "sent to x, KEY=abc"
    assert bodies.mail()._run(to="x") == "sent to x, KEY=abc"
    assert acts(guard) == []
    gaps = str(jackline_crewai.CrewAIAdapter().gaps())
    assert "_run" in gaps
    assert "func" in gaps


class Both(BaseTool):
    name: str = "both"
    description: str = "Has both bodies."
    ran: Any = None

    def _run(self, to: str) -> str:
        self.ran.append(("run", to))
        return "sent"

    async def _arun(self, to: str) -> str:
        self.ran.append(("arun", to))
        return "sent"


@MODE
def test_p2_both_entrances_are_gated_and_so_is_a_real_agents_run(guards: Guards, mode: str) -> None:
    ran: list[Any] = []
    guard = governing(guards, deny("both"))
    item = Both(ran=ran)
    for call in (lambda: item.run(to="x"), lambda: asyncio.run(item.arun(to="x"))):
        with pytest.raises(Denied):
            call()
    llm = fake(calling(("both", {"to": "x"})))
    assert run(crew(llm, item), mode).raw == "done"
    assert ran == []
    assert [effect for action, _, effect in acts(guard) if action == "tool.call"] == ["deny"] * 3


@pytest.mark.parametrize("mode", ["kickoff", "kickoff_async"])
def test_p44_tools_inside_of_what_is_attached_are_gated_whoever_holds_it(guards: Guards, mode: str) -> None:
    """No proxy stands for the agent: the object itself is governed, also where the program kept the one it had."""
    bodies = Bodies()
    guard = guards(deny("send_mail"))
    llm = fake(*[calling(("send_mail", {"to": "x"})), "done"] * 2)
    made = agent(llm, bodies.mail())
    attached = guard.attach(made)
    for each in (made, attached):
        each.kickoff("go") if mode == "kickoff" else asyncio.run(each.kickoff_async("go"))
    assert bodies.ran == {}
    assert [effect for action, _, effect in acts(guard) if action == "tool.call"] == ["deny"] * 2
