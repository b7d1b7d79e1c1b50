"""Ways round a guard by what a tool's body receives, raises and calls in CrewAI (C10 to C28)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from crew_fakes import MODES, Bodies, OwnRun, asking, calling, crew, fake, final, run
from crew_harness import Policy, acts, assert_accounted, deny, on_record, redact
from crewai.tools import BaseTool, tool
from crewai.tools.structured_tool import CrewStructuredTool

import jackline_crewai
from jackline import Denied
from jackline.decision import Verdict
from jackline.errors import Signal

if TYPE_CHECKING:
    from crew_harness import Guards

    from jackline.guard import Guard

NO = "Not permitted by policy 'p0': not that one"
NATIVE = pytest.mark.parametrize("native", [True, False], ids=["native", "ReAct"])
MODE = pytest.mark.parametrize("mode", MODES)


def governing(guards: Guards, *policies: Policy, **options: Any) -> Guard:
    guard = guards(*policies, **options)
    jackline_crewai.enable(guard)
    return guard


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
        Policy(
            lambda _request: Verdict(effect="modify", args={"text": "as told"}, reason="so"),
            "tool.call",
            phase="modify",
        ),
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


@pytest.mark.parametrize("effect", ["deny", "halt", "escalate"])
def test_a_run_that_was_taken_before_the_guard_was_on_is_judged(guards: Guards, effect: str) -> None:
    bodies = Bodies()
    item = bodies.mail()
    run_, invoke = item.run, item.to_structured_tool().invoke
    guard = governing(guards, deny("send_mail", effect=effect))
    for call in (lambda: run_(to="x"), lambda: invoke({"to": "x"})):
        with pytest.raises(Signal):
            call()
    assert "not that one" in str(run_("x"))
    assert bodies.ran == {}
    assert [action for action, *_ in acts(guard)] == ["tool.call"] * 3
    assert_accounted(guard)


def test_a_run_that_was_taken_before_runs_with_changed_arguments_and_its_outcome_is_unknown(guards: Guards) -> None:
    bodies = Bodies()
    taken = bodies.mail().run
    guard = governing(guards, redact("tool.call", old="x", new="nobody"))
    assert taken(to="x") == "sent to nobody, KEY=abc"
    assert taken("y") == "sent to y, KEY=abc"
    assert [event.error for event in on_record(guard, "failed")] == ["outcome unknown"] * 2
    assert_accounted(guard)


def test_a_run_that_was_taken_before_is_refused_where_its_result_must_be_judged(guards: Guards) -> None:
    bodies = Bodies()
    taken = bodies.mail().run
    governing(guards, redact("tool.return"))
    with pytest.raises(Denied, match="its result cannot be judged"):
        taken(to="x")
    assert bodies.ran == {}


def test_a_tool_of_a_run_that_goes_on_is_judged_when_a_guard_comes(guards: Guards) -> None:
    bodies = Bodies()
    guard = guards(deny("send_mail"))

    @tool("switch")
    def switch(what: str) -> str:
        """Bring the guard."""
        jackline_crewai.enable(guard)
        return "on"

    llm = fake(calling(("switch", {"what": "x"})), calling(("send_mail", {"to": "x"})))
    run(crew(llm, switch, bodies.mail()))
    assert bodies.ran == {}
    assert NO in llm.seen[-1]


@NATIVE
def test_functions_that_were_taken_before_are_judged_in_a_model_call(guards: Guards, native: bool) -> None:
    bodies = Bodies()
    functions = {"send_mail": bodies.mail().run}
    governing(guards, deny("send_mail"))
    llm = fake(calling(("send_mail", {"to": "llm"})))
    llm.call("hi", available_functions=functions) if native else asyncio.run(
        llm.acall("hi", available_functions=functions)
    )
    assert bodies.ran == {}
