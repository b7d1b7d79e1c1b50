"""CrewAI agents whose acts wait for a human: told and waiting, approved, denied, edited, answered and expired."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from crew_fakes import MODES, Bodies, Scripted, agent, asking, calling, crew, delegating, fake, final, run
from crew_harness import assert_accounted, left_on, on_record
from crewai import Crew, Task
from crewai.events import crewai_event_bus
from crewai.events.types.llm_events import LLMCallCompletedEvent, LLMCallType
from crewai.flow.flow import Flow, listen, start
from crewai.flow.human_feedback import human_feedback
from crewai.llms.base_llm import llm_call_context

import jackline_crewai
from jackline import ApprovalPending, Denied
from jackline.testing.desk import Desk, Ticks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NATIVE = pytest.mark.parametrize("native", [True, False], ids=["native", "ReAct"])
MODE = pytest.mark.parametrize("mode", MODES)
MAIL = {"to": "boss@example.com", "body": "we are closed"}
MAILS = "tool.name == 'send_mail' && args.to != 'me'"


class Agents(Desk):
    """The desk, with CrewAI under its guards."""

    def restart(self) -> Any:
        guard = super().restart()
        jackline_crewai.enable(guard)
        return guard

    def job(self, made: Any, mode: str = "kickoff") -> Any:
        """Kick something off in the one session that all jobs are part of."""
        with self.guards[-1].session(id="job-1", user="u-9"):
            return run(made, mode)

    def ask(self, bodies: Bodies, mode: str = "kickoff", *, native: bool = True) -> Any:
        """One crew that sends one mail; its model, which has what it was told."""
        llm = fake(asking(native, "send_mail", MAIL), native=native)
        self.job(crew(llm, bodies.amail() if mode == "akickoff" else bodies.mail()), mode)
        return llm

    def says(self, say: Any, **more: Any) -> None:
        assert self.ana.says(self.guards[-1], say, **more) == 1


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Agents]:
    made = Agents(tmp_path)
    yield made
    made.close()
    assert left_on() == []


def pending(text: str) -> bool:
    return "Approval needed by policy 'gate'" in text and "is pending; it was not done)" in text


@NATIVE
@MODE
def test_an_approved_call_runs_once_with_the_approved_arguments(desk: Agents, native: bool, mode: str) -> None:
    guard, bodies = desk.guard("tool.call", MAILS), Bodies()
    for _ in range(2):
        llm = desk.ask(bodies, mode, native=native)
        assert pending(llm.seen[-1])
        assert llm.calls == 2
    desk.says("approve")
    assert bodies.ran == {}
    assert "sent to boss@example.com" in desk.ask(bodies, mode, native=native).seen[-1]
    assert pending(desk.ask(bodies, mode, native=native).seen[-1])
    assert bodies.got == [("send_mail", MAIL)]
    assert len(on_record(guard, "approval_consumed")) == 1
    guard.close()
    assert_accounted(guard)


@NATIVE
@MODE
@pytest.mark.parametrize("how", ["deny", "respond", "expire"])
def test_what_nobody_approves_never_runs(desk: Agents, native: bool, mode: str, how: Any) -> None:
    """P26: a silent approver is a no. The model is told what people said, and goes on."""
    desk.guard("tool.call", MAILS)
    bodies = Bodies()
    desk.ask(bodies, mode, native=native)
    if how == "expire":
        desk.ana.late = 601
    else:
        desk.says(how, why="call him instead")
    told = {
        "deny": "Not permitted by policy 'gate': ana denied it: call him instead",
        "respond": "ana answers: call him instead",
        "expire": "nobody approved it in time",
    }[how]
    llm = desk.ask(bodies, mode, native=native)
    assert told in llm.seen[-1]
    assert llm.calls == 2
    assert bodies.ran == {}


@NATIVE
@MODE
def test_edited_arguments_are_what_the_body_receives(desk: Agents, native: bool, mode: str) -> None:
    desk.guard("tool.call", MAILS)
    bodies = Bodies()
    desk.ask(bodies, mode, native=native)
    desk.says("edit", args={"to": "press@example.com", "body": "we are open"})
    assert "sent to press@example.com" in desk.ask(bodies, mode, native=native).seen[-1]
    assert bodies.got == [("send_mail", {"to": "press@example.com", "body": "we are open"})]


@NATIVE
def test_edited_arguments_are_judged_again(desk: Agents, native: bool) -> None:
    cap = "  - {name: cap, use: rule, on: tool.call, when: args.to == 'all', effect: deny, reason: not to all}\n"
    desk.guard("tool.call", MAILS, more=cap)
    bodies = Bodies()
    desk.ask(bodies, native=native)
    desk.says("edit", args={"to": "all", "body": "we are open"})
    assert "Not permitted by policy 'cap': not to all" in desk.ask(bodies, native=native).seen[-1]
    assert bodies.ran == {}


@MODE
@pytest.mark.parametrize("cache", [False, True], ids=["no cache", "cache"])
def test_an_agent_that_was_told_uses_the_answer_in_the_same_run(desk: Agents, mode: str, cache: bool) -> None:
    """Its cache of results has neither a refusal nor, for a third call, what only one approval permitted."""
    desk.guard("tool.call", MAILS)
    bodies = Bodies()
    call = calling(("send_mail", MAIL))

    def once_approved() -> Any:
        desk.says("approve")
        return call

    llm = fake(call, once_approved, call)
    desk.job(crew(llm, bodies.mail(), cache=cache), mode)
    assert bodies.got == [("send_mail", MAIL)]
    results = [text.rpartition('"content": ')[2] for text in llm.seen[1:]]
    assert [pending(text) for text in results] == [True, False, True]
    assert "sent to boss@example.com" in results[1]


@MODE
@NATIVE
def test_crewais_cache_keeps_nothing_that_people_permitted_once(desk: Agents, mode: str, native: bool) -> None:
    """P25: who approves twice gets two mails; what needs no approval is kept as ever."""
    guard, bodies = desk.guard("tool.call", MAILS, wait="block"), Bodies()
    names = ("boss@example.com", "me") * 2
    script = [asking(native, "send_mail", {"to": name, "body": "x"}) for name in names]
    with desk.ana.answering(guard, "approve") as asked:
        desk.job(crew(fake(*script, native=native), bodies.mail(), cache=True), mode)
    assert len(asked) == 2
    assert [got["to"] for _, got in bodies.got] == ["boss@example.com", "me", "boss@example.com"]


@NATIVE
@MODE
@pytest.mark.parametrize("say", ["approve", "deny", "edit", "respond"])
def test_a_call_waits_for_its_answer(desk: Agents, native: bool, mode: str, say: Any) -> None:
    guard, bodies = desk.guard("tool.call", MAILS, wait="block"), Bodies()
    more = {"args": {"to": "press@example.com", "body": ""}} if say == "edit" else {"why": "so be it"}
    with desk.ana.answering(guard, say, **more) as asked:
        told = desk.ask(bodies, mode, native=native).seen[-1]
    assert len(asked) == 1
    expected = {
        "approve": "sent to boss@example.com",
        "deny": "ana denied it: so be it",
        "edit": "sent to press@example.com",
        "respond": "ana answers: so be it",
    }[say]
    assert expected in told
    assert bodies.ran == ({"send_mail": 1} if say in ("approve", "edit") else {})
    assert [event.effect for event in on_record(guard, "decided") if event.action == "tool.call"] == [
        {"approve": "allow", "edit": "modify"}.get(say, "deny")
    ]
    guard.close()
    assert_accounted(guard)


@NATIVE
@pytest.mark.parametrize("mode", MODES[1:])
async def test_an_event_loop_goes_on_while_a_call_waits(desk: Agents, native: bool, mode: str) -> None:
    """Of two crews on one event loop, one waits for a human: the other, and every other task, goes on to its end."""
    guard = desk.guard("tool.call", MAILS, wait="block")
    waiting, other = Bodies(), Bodies()
    mail = waiting.amail() if mode == "akickoff" else waiting.mail()
    with guard.session(id="job-1"):
        held = asyncio.create_task(getattr(crew(fake(asking(native, "send_mail", MAIL), native=native), mail), mode)())
        async with Ticks() as ticks:
            await desk.asked()
            await ticks.more()
            llm = fake(asking(native, "send_mail", {"to": "me"}), native=native)
            await getattr(crew(llm, other.mail()), mode)()
            assert other.ran == {"send_mail": 1}
            assert (waiting.ran, held.done()) == ({}, False)
            desk.says("approve")
            await asyncio.wait_for(held, 20)
    assert waiting.got == [("send_mail", MAIL)]


async def test_calls_of_one_answer_are_answered_each_by_itself(desk: Agents) -> None:
    """P59: one approval for each call; a sibling that needs none does not wait."""
    guard, bodies = desk.guard("tool.call", MAILS, wait="block"), Bodies()
    calls = [("send_mail", {"to": to, "body": "x"}) for to in ("a", "b", "me")]
    llm = fake(calling(*calls))
    with guard.session(id="job-1"):
        held = asyncio.create_task(crew(llm, bodies.mail()).akickoff())
        asked = await desk.asked(2)
        while not bodies.ran:  # noqa: ASYNC110 - a thread runs it
            await asyncio.sleep(0.005)
        assert bodies.got == [("send_mail", {"to": "me", "body": "x"})]
        for one in asked:
            desk.ana.answer(one, "approve" if one.question.args["to"] == "b" else "deny", why="so be it")
        await asyncio.wait_for(held, 20)
    assert sorted(got["to"] for _, got in bodies.got) == ["b", "me"]
    told = llm.seen[-1].partition('"tool_call_id": "c0"')[2]
    assert "ana denied it: so be it" in told.partition('"tool_call_id": "c1"')[0]
    assert "sent to b" in told


def test_identical_calls_want_an_approval_each(desk: Agents) -> None:
    """P25: an answer is used once, also by calls that wait for the same thing at the same time."""
    guard, bodies = desk.guard("tool.call", MAILS, wait="block"), Bodies()
    with desk.ana.answering(guard, "approve") as asked:
        desk.job(crew(fake(calling(("send_mail", MAIL), ("send_mail", MAIL))), bodies.mail()))
    assert (len(asked), bodies.ran) == (2, {"send_mail": 2})
    assert len(on_record(guard, "approval_consumed")) == 2


@NATIVE
def test_a_body_that_fails_is_not_run_again_on_the_same_approval(desk: Agents, native: bool) -> None:
    """P25, C4: CrewAI calls a failing tool several times; each is an act of its own."""
    guard, bodies = desk.guard("tool.call", "tool.name == 'failing'"), Bodies()
    made = [crew(fake(asking(native, "failing", {"what": "x"}), native=native), bodies.failing()) for _ in range(2)]
    desk.job(made[0])
    desk.says("approve")
    desk.job(made[1])
    assert bodies.ran == {"failing": 1}
    assert len(on_record(guard, "approval_consumed")) == 1


@NATIVE
def test_an_approval_survives_restarts(desk: Agents, native: bool) -> None:
    """P52: asked under one guard, answered while there is none, used under another, once."""
    desk.guard("tool.call", MAILS)
    bodies = Bodies()
    desk.ask(bodies, native=native)
    desk.close()
    desk.says("approve")
    desk.restart()
    assert "sent to boss@example.com" in desk.ask(bodies, native=native).seen[-1]
    desk.restart()
    assert pending(desk.ask(bodies, native=native).seen[-1])
    assert bodies.ran == {"send_mail": 1}


def test_a_process_that_is_killed_while_it_waits_leaves_its_question_to_the_next(desk: Agents, tmp_path: Path) -> None:
    """P52: asked by one process, which is killed; answered while there is none; the next does the act, once."""
    guard, effects = desk.guard("tool.call", MAILS, wait="block"), tmp_path / "effects"
    words = [
        sys.executable,
        "-Wignore",
        str(Path(__file__).parent / "waiting_crew.py"),
        str(desk.bundle),
        str(desk.home),
        str(effects),
    ]
    with subprocess.Popen(words) as waiting:
        (asked,) = desk.asked_elsewhere()
        waiting.send_signal(signal.SIGKILL)
    assert effects.read_bytes() == b""
    desk.says("approve")
    subprocess.run(words, check=True, timeout=50)
    assert len(effects.read_bytes()) == 1
    assert asked.ended() == "consumed"
    assert [event.approval for event in on_record(guard, "approval_consumed")] == [asked.question.id]


# --- other acts than tools


@MODE
def test_a_model_call_waits_before_anything_is_sent(desk: Agents, mode: str) -> None:
    guard, llm = desk.guard("model.call", "agent.name == 'worker'", wait="block"), fake("the answer")
    seen: list[int] = []
    with desk.ana.answering(guard, "approve"):
        llm.script.insert(0, lambda: seen.append(len(on_record(guard, "approval_consumed"))) or "the answer")
        assert desk.job(crew(llm), mode).raw == "the answer"
    assert (seen, llm.calls) == ([1], 1)


def test_a_model_call_that_is_denied_is_not_sent(desk: Agents) -> None:
    guard, llm = desk.guard("model.call", "agent.name == 'worker'", wait="block"), fake("the answer")
    with desk.ana.answering(guard, "deny", why="too dear"), pytest.raises(Denied, match="ana denied it: too dear"):
        desk.job(crew(llm))
    assert llm.calls == 0


@NATIVE
@MODE
def test_an_agent_is_started_once_it_is_approved(desk: Agents, native: bool, mode: str) -> None:
    guard, bodies = desk.guard("agent.spawn", "agent.name == 'boss'", wait="block"), Bodies()
    made, _, mailer = delegating(native, bodies.mail())
    with desk.ana.answering(guard, "approve") as asked:
        desk.job(made, mode)
    assert (len(asked), bodies.ran, mailer.calls) == (1, {"send_mail": 1}, 2)
    made, boss, mailer = delegating(native, bodies.mail())
    with desk.ana.answering(guard, "deny", why="do it yourself"):
        desk.job(made, mode)
    assert "ana denied it: do it yourself" in boss.seen[-1]
    assert (bodies.ran, mailer.calls) == ({"send_mail": 1}, 0)


class Telling(Scripted):
    """Announces its answers, as CrewAI's own providers do."""

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        with llm_call_context():
            answer = super().call(messages, *args, **kwargs)
            self._emit_call_completed_event(answer, LLMCallType.LLM_CALL, messages=messages)
            return answer


@NATIVE
@MODE
@pytest.mark.parametrize("say", ["approve", "deny"])
def test_an_answer_is_held_until_it_is_approved(desk: Agents, native: bool, mode: str, say: Any) -> None:
    """Nobody sees it before: neither the caller nor whoever listens to CrewAI's events."""
    guard = desk.guard("output", "agent.name == 'worker'", wait="block")
    seen: list[str] = []
    early: list[str] = []
    words = "the secret plan"
    llm = fake(words if native else final(words), native=native, kind=Telling)
    with crewai_event_bus.scoped_handlers():

        @crewai_event_bus.on(LLMCallCompletedEvent)
        def keep(source: Any, event: Any) -> None:
            seen.append(str(event.response))

        def look(one: Any) -> None:
            early.extend(seen)
            desk.ana.answer(one, say, why="so be it")

        with answering(desk, look):
            if say == "approve":
                assert desk.job(crew(llm), mode).raw == words
            else:
                with pytest.raises(Denied, match="ana denied it: so be it"):
                    desk.job(crew(llm), mode)
        crewai_event_bus.flush()
    assert llm.calls == 1
    assert words not in str(early)
    assert (words in str(seen)) == (say == "approve")
    guard.close()
    assert_accounted(guard)


@contextmanager
def answering(desk: Agents, answer: Callable[[Any], None]) -> Iterator[None]:
    """Answer the one question that comes meanwhile, in a thread."""
    thread = threading.Thread(target=lambda: answer(desk.asked_elsewhere()[0]))
    thread.start()
    yield
    thread.join()


def test_an_answer_that_is_pending_is_raised_and_given_once_approved(desk: Agents) -> None:
    desk.guard("output", "agent.name == 'worker'")
    for _ in range(2):
        with pytest.raises(ApprovalPending, match="Approval needed by policy 'gate'"):
            desk.job(crew(fake("the plan")))
    desk.says("approve")
    assert desk.job(crew(fake("the plan"))).raw == "the plan"


# --- CrewAI's own ways to ask people


class Review(Flow):
    """A crew's mail is asked about; then CrewAI itself asks for feedback, and the mail is tried once more."""

    bodies: Any = None
    told: Any = None

    @start()
    @human_feedback(message="Go on?")
    def draft(self) -> Any:
        return self.send()

    @listen(draft)
    def again(self, _: Any) -> Any:
        return self.send()

    def send(self) -> Any:
        llm = fake(calling(("send_mail", MAIL)))
        made = agent(llm, type(self).bodies.mail())
        Crew(agents=[made], tasks=[Task(description="do it", expected_output="x", agent=made)]).kickoff()
        type(self).told.append(llm.seen[-1])
        return "drafted"


def test_a_flow_that_asks_for_feedback_goes_on_with_the_approval(desk: Agents, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.guard("tool.call", MAILS)
    Review.bodies, Review.told = Bodies(), []

    def feedback(*_: Any, **__: Any) -> str:
        desk.says("approve")
        return "yes"

    monkeypatch.setattr("builtins.input", feedback)
    with desk.guards[-1].session(id="job-1"):
        Review().kickoff()
    assert [pending(text) for text in Review.told] == [True, False]
    assert Review.bodies.got == [("send_mail", MAIL)]
