"""Ways round the end of a session in CrewAI, which makes text of what a tool raises (C17 to C19)."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest
from crew_fakes import MODES, Bodies, agent, asking, calling, crew, delegating, fake, run
from crew_harness import Policy, acts, assert_accounted, deny, on_record, refuse
from crewai import Crew, Task
from crewai.events import event_context
from crewai.flow.flow import Flow, listen, start
from crewai.tools import tool

import jackline_crewai
from jackline import Halted
from jackline.decision import Verdict
from jackline.testing.records import assert_nothing_after_halt

if TYPE_CHECKING:
    from crew_harness import Guards

    from jackline.guard import Guard

NATIVE = pytest.mark.parametrize("native", [True, False], ids=["native", "ReAct"])
MODE = pytest.mark.parametrize("mode", MODES)


def governing(guards: Guards, *policies: Policy, **options: Any) -> Guard:
    guard = guards(*policies, **options)
    jackline_crewai.enable(guard)
    return guard


@NATIVE
@MODE
def test_c17_a_halt_in_a_delegated_child_ends_the_whole_crew(guards: Guards, native: bool, mode: str) -> None:
    bodies = Bodies()
    guard = governing(guards, deny("send_mail", effect="halt", reason="enough"))
    made, boss, mailer = delegating(native, bodies.mail())
    with pytest.raises(Halted, match="enough"):
        run(made, mode)
    assert bodies.ran == {}
    assert (boss.calls, mailer.calls) == (1, 1)
    guard.close()
    assert_nothing_after_halt(guard)
    assert_accounted(guard)


@NATIVE
@MODE
def test_c17_a_halt_of_the_childs_model_ends_the_whole_crew(guards: Guards, native: bool, mode: str) -> None:
    bodies = Bodies()
    governing(
        guards,
        Policy(
            lambda request: Verdict(effect="halt", reason="enough") if request.agent.name == "mailer" else None,
            "model.call",
        ),
    )
    made, boss, mailer = delegating(native, bodies.mail())
    with pytest.raises(Halted, match="enough"):
        run(made, mode)
    assert (boss.calls, mailer.calls) == (1, 0)


@NATIVE
@MODE
def test_c18_a_halt_by_a_tool_of_the_crew_is_no_text_for_its_model(guards: Guards, native: bool, mode: str) -> None:
    bodies = Bodies()
    governing(guards, deny("send_mail", effect="halt"))
    llm = fake(asking(native, "send_mail", {"to": "x"}), native=native)
    with pytest.raises(Halted):
        run(crew(llm, bodies.mail()), mode)
    assert llm.calls == 1


@NATIVE
def test_c18_a_halt_of_a_result_ends_the_crew(guards: Guards, native: bool) -> None:
    bodies = Bodies()
    governing(guards, refuse("tool.return", effect="halt", reason="what was that"))
    llm = fake(asking(native, "send_mail", {"to": "x"}), native=native)
    with pytest.raises(Halted, match="what was that"):
        run(crew(llm, bodies.mail()))
    assert bodies.ran["send_mail"] == 1
    assert llm.calls == 1


@NATIVE
def test_c18_a_halt_by_a_tool_that_a_tool_calls_is_not_caught(guards: Guards, native: bool) -> None:
    bodies = Bodies()
    mail = bodies.mail()

    @tool("careless")
    def careless(to: str) -> str:
        """Catches everything."""
        try:
            return str(mail.run(to=to))
        except Exception:
            return "never mind"

    governing(guards, deny("send_mail", effect="halt"))
    llm = fake(asking(native, "careless", {"to": "x"}), native=native)
    with pytest.raises(Halted):
        run(crew(llm, careless))
    assert bodies.ran == {}
    assert llm.calls == 1


@MODE
def test_c19_after_a_halt_no_sibling_starts(guards: Guards, mode: str) -> None:
    ran: list[str] = []
    halted = threading.Event()

    @tool("wait_then_mail")
    def wait_then_mail(to: str) -> str:
        """Wait for the halt, then send."""
        halted.wait(20)
        try:
            return str(mail.run(to=to))
        finally:
            ran.append(to)

    bodies = Bodies()
    mail = bodies.mail()

    def answer(request: Any) -> Verdict | None:
        if request.resource == "stop":
            halted.set()
            return Verdict(effect="halt", reason="stop")
        return None

    @tool("stop")
    def stop(why: str) -> str:
        """Stop."""
        raise AssertionError(why)

    guard = governing(guards, Policy(answer, "tool.call"))
    llm = fake(calling(("wait_then_mail", {"to": "a"}), ("wait_then_mail", {"to": "b"}), ("stop", {"why": "c"})))
    with pytest.raises(Halted):
        run(crew(llm, wait_then_mail, stop), mode)
    assert len(ran) <= 2  # those that had started have ended
    guard.close()
    assert_nothing_after_halt(guard)
    assert_accounted(guard)
    after = [event for event in on_record(guard, "decided") if event.resource == "send_mail"]
    assert len(bodies.got) == sum(event.effect == "allow" for event in after)


def test_a_halt_holds_for_every_later_call_of_the_session(guards: Guards) -> None:
    bodies = Bodies()
    guard = governing(guards, deny("send_mail", effect="halt"))
    with guard.session(id="job"):
        with pytest.raises(Halted):
            crew(fake(calling(("send_mail", {"to": "x"}))), bodies.mail()).kickoff()
        later = fake()
        for again in (
            lambda: crew(later, bodies.look()).kickoff(),
            lambda: agent(later, bodies.look()).kickoff("go"),
            lambda: bodies.look().run(what="x"),
            lambda: bodies.look().to_structured_tool().invoke({"what": "x"}),
            lambda: later.call("hi"),
            lambda: asyncio.run(later.acall("hi")),
        ):
            with pytest.raises(Halted):
                again()
    assert later.calls == 0
    assert bodies.ran == {}


def test_a_halt_ends_the_tasks_of_a_crew_that_come_next(guards: Guards) -> None:
    bodies = Bodies()
    governing(guards, deny("send_mail", effect="halt"))
    first, second = fake(calling(("send_mail", {"to": "x"}))), fake()
    agents = [agent(first, bodies.mail(), role="first"), agent(second, role="second")]
    tasks = [Task(description=item.role, expected_output="x", agent=item) for item in agents]
    with pytest.raises(Halted):
        Crew(agents=agents, tasks=tasks).kickoff()
    assert second.calls == 0


@pytest.mark.parametrize("mode", ["kickoff", "kickoff_async"])
def test_a_halt_ends_a_flow(guards: Guards, mode: str) -> None:
    bodies = Bodies()
    governing(guards, deny("send_mail", effect="halt"))
    later: list[str] = []

    class Desk(Flow):
        @start()
        async def first(self) -> Any:
            return await crew(fake(calling(("send_mail", {"to": "x"}))), bodies.mail()).akickoff()

        @listen(first)
        def second(self, _output: Any) -> None:
            later.append("second")

    with pytest.raises(Halted):
        run(Desk(), mode)
    assert later == []


def test_c3_a_halt_by_a_tool_that_a_model_call_runs_ends_the_call(guards: Guards) -> None:
    """CrewAI swallows every exception there and answers None."""
    bodies = Bodies()
    governing(guards, deny("send_mail", effect="halt"))
    llm = fake(calling(("send_mail", {"to": "llm"})))
    with pytest.raises(Halted):
        llm.call([{"role": "user", "content": "hi"}], available_functions={"send_mail": bodies.mail().run})
    assert bodies.ran == {}


@NATIVE
def test_a_child_that_may_not_be_started_asks_no_model_and_its_boss_goes_on(guards: Guards, native: bool) -> None:
    bodies = Bodies()
    guard = governing(guards, refuse("agent.spawn", reason="alone"))
    made, boss, mailer = delegating(native, bodies.mail())
    run(made)
    assert (boss.calls, mailer.calls) == (2, 0)
    assert "alone" in boss.seen[-1]
    assert ("agent.spawn", "mailer", "deny") in acts(guard)
    assert_accounted(guard)


def test_a_denied_model_call_of_a_child_asks_no_provider(guards: Guards) -> None:
    guard = governing(
        guards,
        Policy(
            lambda request: Verdict(effect="deny", reason="not you") if request.agent.name == "mailer" else None,
            "model.call",
        ),
    )
    made, boss, mailer = delegating(True, Bodies().mail())
    run(made)
    assert "not you" in boss.seen[-1]
    assert mailer.calls == 0
    assert_accounted(guard)


@NATIVE
def test_sessions_that_ended_leave_nothing_open_in_crewai(guards: Guards, native: bool) -> None:
    """CrewAI refuses to go on where 100 events are open in a context; each stop leaves one."""
    guard = governing(guards, deny("send_mail", effect="halt"))
    before = event_context._event_id_stack.get()
    for number in range(3):
        made, _, _ = delegating(native, Bodies().mail())
        with guard.session(id=f"job-{number}"), pytest.raises(Halted):
            made.kickoff()
        with guard.session(id=f"alone-{number}"), pytest.raises(Halted):
            agent(fake(asking(native, "send_mail", {"to": "x"}), native=native), Bodies().mail()).kickoff("go")
    assert event_context._event_id_stack.get() == before
