"""Ways round a guard to a tool's body in CrewAI: each runs without a gate there, and is judged here once a run (C, P)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from crew_fakes import MODES, Bodies, OwnRun, asking, calling, crew, delegating, fake, final, run
from crew_harness import Policy, acts, assert_accounted, deny, on_record, redact
from crewai.flow.flow import Flow, start
from crewai.flow.flow_definition import FlowToolActionDefinition
from crewai.flow.runtime._actions import ToolAction
from crewai.hooks import clear_all_hooks
from crewai.tools import BaseTool, tool
from crewai.tools.structured_tool import CrewStructuredTool

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
    "structured ainvoke": lambda item: asyncio.run(item.to_structured_tool().ainvoke({"to": "d"})),
}


@pytest.mark.parametrize("way", [*DIRECT, "arun"])
def test_c1_a_denied_tool_that_is_called_directly_runs_0_times(guards: Guards, way: str) -> None:
    bodies = Bodies()
    guard = governing(guards, deny("send_mail"))
    with pytest.raises(Denied, match="not that one"):
        if way == "arun":
            asyncio.run(bodies.amail().arun(to="d"))
        else:
            DIRECT[way](bodies.mail())
    assert bodies.ran == {}
    assert acts(guard) == [("tool.call", "send_mail", "deny")]


@pytest.mark.parametrize("way", [*DIRECT, "arun"])
def test_c1_a_tool_that_is_called_directly_is_judged_once_and_runs_once(guards: Guards, way: str) -> None:
    bodies = Bodies()
    guard = governing(guards)
    result = asyncio.run(bodies.amail().arun(to="d")) if way == "arun" else DIRECT[way](bodies.mail())
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
    assert SENT == ["action"] * permitted


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
    assert "abc" not in out.model_dump_json()
    assert bodies.ran["send_mail"] == 1
    assert_accounted(guard)


@NATIVE
def test_c5_a_result_that_is_withheld_is_no_answer(guards: Guards, native: bool) -> None:
    bodies = Bodies()
    governing(guards, Policy(lambda _request: Verdict(effect="deny", reason="no keys"), "tool.return"))
    llm = fake(asking(native, "send_mail", {"to": "x"}), native=native)
    out = run(crew(llm, bodies.mail(result_as_answer=True)))
    assert "abc" not in out.model_dump_json()
    assert "abc" not in "".join(llm.seen)


@NATIVE
@MODE
@pytest.mark.parametrize("late", [True, False], ids=["defined later", "defined before"])
def test_c10_a_subclass_with_a_run_of_its_own_is_judged(guards: Guards, native: bool, mode: str, late: bool) -> None:
    bodies = Bodies()
    guard = governing(guards, deny("own_run"))
    kind = OwnRun
    if late:

        class LateRun(BaseTool):
            name: str = "own_run"
            description: str = "Overrides run."
            bodies: Any = None

            def _run(self, to: str) -> str:
                self.bodies.enter("own_run", to=to)
                return "KEY=abc"

            def run(self, *args: Any, **kwargs: Any) -> Any:
                self.bodies.enter("own_run", **kwargs)
                return "KEY=abc"

        kind = LateRun
    llm = fake(asking(native, "own_run", {"to": "x"}), native=native)
    run(crew(llm, kind(bodies=bodies)), mode)
    assert bodies.ran == {}
    assert NO in llm.seen[-1]
    with pytest.raises(Denied):
        kind(bodies=bodies).run(to="x")
    assert bodies.ran == {}
    assert [effect for _, name, effect in acts(guard) if name == "own_run"] == ["deny", "deny"]


def test_c10_a_run_that_comes_to_its_base_is_judged_once(guards: Guards) -> None:
    bodies = Bodies()

    class Louder(BaseTool):
        name: str = "louder"
        description: str = "Goes on to the base."

        def _run(self, to: str) -> str:
            bodies.enter("louder", to=to)
            return to

        def run(self, *args: Any, **kwargs: Any) -> Any:
            return super().run(*args, **kwargs).upper()

    guard = governing(guards)
    assert Louder().run(to="x") == "X"
    assert acts(guard) == [("tool.call", "louder", "allow")]
    assert_accounted(guard)


def test_c11_arguments_by_position_are_the_same_action(guards: Guards) -> None:
    bodies, policy = Bodies(), deny("nothing")
    governing(guards, policy)
    mail = bodies.mail()
    mail.run("x")
    mail.run(to="x")
    mail.run("x", "")
    mail.to_structured_tool().invoke({"to": "x"})
    assert [request.args for request in policy.asked] == [{"to": "x", "body": ""}] * 4


@NATIVE
@MODE
def test_c14_changed_arguments_are_what_the_body_receives(guards: Guards, native: bool, mode: str) -> None:
    bodies = Bodies()
    governing(guards, redact("tool.call", old="x", new="nobody"))
    llm = fake(asking(native, "send_mail", {"to": "x"}), native=native)
    run(crew(llm, bodies.mail()), mode)
    assert bodies.got == [("send_mail", {"to": "nobody", "body": ""})]


@NATIVE
def test_c14_arguments_can_be_added_where_the_model_gave_none(guards: Guards, native: bool) -> None:
    got: list[str] = []

    @tool("note")
    def note(text: str = "") -> str:
        """Take a note."""
        got.append(text)
        return "noted"

    governing(
        guards,
        Policy(lambda _request: Verdict(effect="modify", args={"text": "as told"}, reason="so"), "tool.call", phase="modify"),
    )
    run(crew(fake(asking(native, "note", {}), native=native), note))
    assert got == ["as told"]


@NATIVE
@pytest.mark.parametrize("error", [RuntimeError, ValueError])
def test_c18_what_a_body_raises_is_told_to_the_model_and_on_record(guards: Guards, native: bool, error: Any) -> None:
    @tool("breaks")
    def breaks(what: str) -> str:
        """Breaks."""
        raise error("it broke")

    guard = governing(guards)
    llm = fake(asking(native, "breaks", {"what": "x"}), native=native)
    assert run(crew(llm, breaks)).raw == "done"
    assert "it broke" in llm.seen[-1]
    assert {event.error for event in on_record(guard, "failed")} == {error.__qualname__}
    assert_accounted(guard)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_c18_what_ends_the_process_closes_its_act(guards: Guards, error: Any) -> None:
    @tool("ends")
    def ends(what: str) -> str:
        """Ends everything."""
        raise error

    guard = governing(guards)
    with pytest.raises(error):
        run(crew(fake(calling(("ends", {"what": "x"}))), ends))
    guard.close()
    assert_accounted(guard)


@pytest.mark.parametrize("halts", [True, False])
def test_c27_a_tool_that_calls_itself_is_judged_each_time(guards: Guards, halts: bool) -> None:
    ran: list[int] = []

    @tool("again")
    def again(n: int) -> str:
        """Call itself."""
        ran.append(n)
        return str(again.run(n=n - 1)) if n else "end"

    policy = Policy(
        lambda request: Verdict(effect="deny", reason="deep enough") if halts and request.args["n"] < 2 else None,
        "tool.call",
    )
    guard = governing(guards, policy)
    if halts:
        with pytest.raises(Denied, match="deep enough"):
            again.run(n=3)
    else:
        assert again.run(n=3) == "end"
    assert ran == ([3, 2] if halts else [3, 2, 1, 0])
    assert [request.args["n"] for request in policy.asked] == ([3, 2, 1] if halts else [3, 2, 1, 0])
    assert_accounted(guard)


@NATIVE
def test_c28_a_tool_that_is_not_there_is_on_record_alike(guards: Guards, native: bool) -> None:
    bodies = Bodies()
    guard = governing(guards)
    llm = fake(asking(native, "rm_rf", {"path": "/"}), native=native)
    run(crew(llm, bodies.mail()))
    assert bodies.ran == {}
    named = [event for event in on_record(guard, "decided") if event.resource == "rm_rf"]
    assert [event.action for event in named] == ["tool.call"]
    assert_accounted(guard)


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


def test_a_structured_tool_without_a_tool_behind_it_is_judged(guards: Guards) -> None:
    ran: list[str] = []

    def shout(text: str) -> str:
        """Shout."""
        ran.append(text)
        return text.upper()

    guard = governing(guards, deny("shout"))
    with pytest.raises(Denied):
        CrewStructuredTool.from_function(shout).invoke({"text": "x"})
    assert ran == []
    assert acts(guard) == [("tool.call", "shout", "deny")]


@NATIVE
def test_a_result_from_the_cache_runs_no_body_and_is_redacted(guards: Guards, native: bool) -> None:
    bodies = Bodies()
    guard = governing(guards, redact("tool.return"))
    same = asking(native, "send_mail", {"to": "x"})
    other = asking(native, "look", {"what": "y"})
    llm = fake(same, other, same, "done" if native else final("done"), native=native)
    made = crew(llm, bodies.mail(), bodies.look())
    made.cache = True
    run(made)
    assert bodies.ran["send_mail"] <= 2
    assert "abc" not in "".join(llm.seen)
    assert_accounted(guard)
