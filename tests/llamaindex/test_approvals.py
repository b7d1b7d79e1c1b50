"""LlamaIndex agents whose acts wait for a human: told and waiting, approved, denied, edited, answered and expired."""

from __future__ import annotations

import asyncio
import itertools
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from llama_fakes import Provider, async_tools, tools
from llama_harness import everything, tracer
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.tools import FunctionTool
from llama_index.core.workflow import Context, HumanResponseEvent, InputRequiredEvent
from llama_ways import agent, agent_as_tool, converse, handoff, react
from workflows.errors import WorkflowCancelledByUser

import jackline_llamaindex
from jackline import ApprovalPending, Denied, Halted
from jackline.testing.desk import Desk, Ticks
from jackline.testing.paths import Bodies, Call, Job, Step
from jackline.testing.records import assert_accounted, assert_nothing_after_halt
from jackline.testing.scripted import on_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ARGS = {"order": "A-1", "amount": 900.0}
PAY = Call("pay", ARGS)
LOOK = Call("find", {"query": "shoes"})
STEPS = (Step(calls=(PAY,)), Step("done"))
DEAR = "tool.name == 'pay' && args.amount > 500"
IDS = itertools.count()


class Fresh(Provider):
    """Gives each call an id of its own, as providers do."""

    def answer(self, messages: Any, kwargs: Any) -> Any:
        text, calls = super().answer(messages, kwargs)
        for call in calls:
            call.tool_call_id = f"call-{next(IDS)}"
        return text, calls


def fresh(job: Job, *, tools_of: Any = async_tools, **more: Any) -> Any:
    return FunctionAgent(name="worker", llm=Fresh(job), tools=tools_of(job), **more)


SHAPES: dict[str, Any] = {
    "FunctionAgent": fresh,
    "FunctionAgent, ids that come again": agent,
    "FunctionAgent, not streaming": partial(fresh, streaming=False),
    "FunctionAgent, sync tools": partial(fresh, tools_of=tools),
    "ReActAgent": react,
    "AgentWorkflow": lambda job: AgentWorkflow(agents=[fresh(job)]),
    "hand-off": handoff,
    "agent as tool": agent_as_tool,
}
SHAPE = pytest.mark.parametrize("shape", SHAPES)


class Agents(Desk):
    """The desk, with LlamaIndex under its guards."""

    def restart(self) -> Any:
        guard = super().restart()
        jackline_llamaindex.enable(guard)
        return guard

    def job(self, bodies: Bodies, steps: Any = STEPS) -> Job:
        return Job(self.guards[-1], bodies, steps, "see to it", "job-1")

    def ask(self, bodies: Bodies, shape: str = "FunctionAgent", steps: Any = STEPS) -> list[str]:
        """One agent that pays once, in the one session that all jobs are part of: what its model was told."""
        job = self.job(bodies, steps)
        asyncio.run(converse(job, SHAPES[shape](job)))
        return heard(job)

    def says(self, say: Any, **more: Any) -> None:
        assert self.ana.says(self.guards[-1], say, **more) == 1


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Agents]:
    made = Agents(tmp_path)
    yield made
    made.close()


def heard(job: Job) -> list[str]:
    """What the model was told of its calls, but for the hand-off."""
    return [text for text in job.told if not text.startswith("Agent worker is now handling")]


def pending(text: str) -> bool:
    return text.startswith("Approval needed by policy 'gate'") and text.endswith("is pending; it was not done)")


@SHAPE
def test_an_approved_call_runs_once_with_the_approved_arguments(desk: Agents, shape: str) -> None:
    guard, bodies = desk.guard("tool.call", DEAR), Bodies()
    for _ in range(2):
        assert list(map(pending, desk.ask(bodies, shape))) == [True]
    desk.says("approve")
    assert bodies.ran == {}
    assert desk.ask(bodies, shape) == ["pay is done"]
    (again,) = desk.ask(bodies, shape)
    assert pending(again) or "was used already: a step that is run again does nothing twice" in again
    assert bodies.got == [("pay", ARGS)]
    assert len(on_record(guard, "approval_consumed")) == 1
    guard.close()
    assert_accounted(guard)


@SHAPE
@pytest.mark.parametrize("how", ["deny", "respond", "expire"])
def test_what_nobody_approves_never_runs(desk: Agents, shape: str, how: Any) -> None:
    """P26: a silent approver is a no. The model is told what people said, and goes on."""
    desk.guard("tool.call", DEAR)
    bodies = Bodies()
    desk.ask(bodies, shape)
    if how == "expire":
        desk.ana.late = 601
    else:
        desk.says(how, why="a voucher instead")
    told = {
        "deny": "Not permitted by policy 'gate': ana denied it: a voucher instead",
        "respond": "ana answers: a voucher instead",
        "expire": "nobody approved it in time",
    }[how]
    (heard,) = desk.ask(bodies, shape)
    assert told in heard
    assert bodies.ran == {}


@SHAPE
def test_edited_arguments_are_what_the_body_receives(desk: Agents, shape: str) -> None:
    desk.guard("tool.call", DEAR)
    bodies = Bodies()
    desk.ask(bodies, shape)
    desk.says("edit", args={"order": "A-1", "amount": 450.0})
    assert desk.ask(bodies, shape) == ["pay is done"]
    assert bodies.got == [("pay", {"order": "A-1", "amount": 450.0})]


@SHAPE
def test_edited_arguments_are_judged_again(desk: Agents, shape: str) -> None:
    when = "tool.name == 'pay' && args.amount > 5000"
    cap = f'  - {{name: cap, use: rule, on: tool.call, when: "{when}", effect: deny, reason: over the cap}}\n'
    desk.guard("tool.call", DEAR, more=cap)
    bodies = Bodies()
    desk.ask(bodies, shape)
    desk.says("edit", args={"order": "A-1", "amount": 9000.0})
    assert desk.ask(bodies, shape) == ["Not permitted by policy 'cap': over the cap"]
    assert bodies.ran == {}


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape not in ("agent as tool", "ReActAgent")])
def test_an_agent_that_was_told_uses_the_answer_in_the_same_run(desk: Agents, shape: str) -> None:
    desk.guard("tool.call", DEAR)
    bodies = Bodies()

    def approve(_: str) -> None:
        if len(bodies.sent) == 1:
            desk.says("approve")

    bodies.entering = approve
    told = desk.ask(bodies, shape, (*[Step(calls=(PAY,))] * 3, Step("done")))
    assert list(map(pending, told)) == [True, False, True]
    assert told[1] == "pay is done"
    assert bodies.got == [("pay", ARGS)]


@SHAPE
@pytest.mark.parametrize("say", ["approve", "deny", "edit", "respond"])
def test_a_call_waits_for_its_answer(desk: Agents, shape: str, say: Any) -> None:
    guard, bodies = desk.guard("tool.call", DEAR, wait="block"), Bodies()
    more = {"args": {"order": "A-2", "amount": 450.0}} if say == "edit" else {"why": "so be it"}
    with desk.ana.answering(guard, say, **more) as asked:
        (told,) = desk.ask(bodies, shape)
    assert len(asked) == 1
    expected = {"deny": "ana denied it: so be it", "respond": "ana answers: so be it"}
    assert expected.get(say, "pay is done") in told
    done = {"approve": [("pay", ARGS)], "edit": [("pay", {"order": "A-2", "amount": 450.0})]}
    assert bodies.got == done.get(say, [])
    effects = [event.effect for event in on_record(guard, "decided") if event.resource == "pay"]
    assert effects == [{"approve": "allow", "edit": "modify"}.get(say, "deny")]
    guard.close()
    assert_accounted(guard)


@SHAPE
async def test_an_event_loop_goes_on_while_a_call_waits(desk: Agents, shape: str) -> None:
    """Of two agents on one event loop, one waits for a human: the other, and every other task, goes on to its end."""
    desk.guard("tool.call", DEAR, wait="block")
    waiting, other = desk.job(Bodies()), desk.job(Bodies(), (Step(calls=(LOOK,)), Step("done")))
    held = asyncio.create_task(converse(waiting, SHAPES[shape](waiting)))
    async with Ticks() as ticks:
        await desk.asked()
        await ticks.more()
        await converse(other, agent(other))
        assert other.bodies.ran == {"find": 1}
        assert (waiting.bodies.ran, held.done()) == ({}, False)
        desk.says("approve")
        await asyncio.wait_for(held, 20)
    assert waiting.bodies.got == [("pay", ARGS)]


PARALLEL = [shape for shape in SHAPES if shape != "ReActAgent"]


@pytest.mark.parametrize("shape", PARALLEL)
async def test_calls_of_one_answer_are_answered_each_by_itself(desk: Agents, shape: str) -> None:
    """P59, L14: one approval for each call; a sibling that needs none does not wait, however many others do."""
    desk.guard("tool.call", DEAR, wait="block")
    amounts = (900.0, 901.0, 902.0, 903.0, 904.0, 905.0)
    calls = (*(Call("pay", {"order": "A-1", "amount": amount}) for amount in amounts), LOOK)
    job = desk.job(Bodies(), (Step(calls=calls), Step("done")))
    held = asyncio.create_task(converse(job, SHAPES[shape](job)))
    asked = await desk.asked(len(amounts))
    while not job.bodies.ran:  # noqa: ASYNC110 - a thread may run it
        await asyncio.sleep(0)
    assert job.bodies.ran == {"find": 1}
    for one in asked:
        desk.ana.answer(one, "approve" if one.question.args["amount"] == 904.0 else "deny", why="so be it")
    await asyncio.wait_for(held, 20)
    assert job.bodies.got == [("find", {"query": "shoes"}), ("pay", {"order": "A-1", "amount": 904.0})]
    told = sorted(heard(job))
    assert told == [*["Not permitted by policy 'gate': ana denied it: so be it"] * 5, "find is done", "pay is done"]


async def test_identical_calls_want_an_approval_each(desk: Agents) -> None:
    """P25: an answer is used once, also where the same is asked for twice at the same time."""
    guard = desk.guard("tool.call", DEAR, wait="block")
    job = desk.job(Bodies(), (Step(calls=(PAY, PAY)), Step("done")))
    held = asyncio.create_task(converse(job, fresh(job)))
    first, second = await desk.asked(2)
    desk.ana.answer(first, "approve")
    while not job.bodies.ran:  # noqa: ASYNC110 - it is another task's
        await asyncio.sleep(0)
    assert not held.done()
    desk.ana.answer(second, "deny")
    await asyncio.wait_for(held, 20)
    assert job.bodies.got == [("pay", ARGS)]
    assert len(on_record(guard, "approval_consumed")) == 1


async def test_what_is_shown_of_a_waiting_call_is_what_policies_leave_of_it(desk: Agents) -> None:
    """L7, P56: neither while it waits nor afterwards does anybody see what a policy replaces; then what was approved."""
    pii = "  - {name: no-pii, use: pii, on: [tool.call], with: {entities: [EMAIL], action: redact}}\n"
    desk.guard("tool.call", DEAR, wait="block", more=pii)
    job = desk.job(Bodies(), (Step(calls=(Call("pay", {"order": "ann@example.org", "amount": 900.0}),)), Step("done")))

    def edit(one: Any) -> None:
        assert one.question.args == {"order": "[EMAIL]", "amount": 900.0}
        desk.ana.answer(one, "edit", args={"order": "[EMAIL]", "amount": 450.0})

    made = fresh(job)
    with desk.guards[-1].session(id="job-1"), answering(desk, edit):
        seen, answer = await everything(made)
    assert answer == "done"
    assert job.bodies.got == [("pay", {"order": "[EMAIL]", "amount": 450.0})]
    assert "ann@example.org" not in "\n".join(seen)
    assert any("ToolCall " in text and "450.0" in text and "[EMAIL]" in text for text in seen)


@contextmanager
def answering(desk: Agents, answer: Callable[[Any], None], count: int = 1) -> Iterator[None]:
    """Answer the questions that come meanwhile, in a thread."""

    def look() -> None:
        seen: set[str] = set()
        while len(seen) < count:
            for one in desk.asked_elsewhere():
                if one.question.id not in seen:
                    seen.add(one.question.id)
                    answer(one)

    thread = threading.Thread(target=look)
    thread.start()
    yield
    thread.join()


@SHAPE
def test_an_approval_survives_restarts(desk: Agents, shape: str) -> None:
    """P52: asked under one guard, answered while there is none, used under another, once."""
    desk.guard("tool.call", DEAR)
    bodies = Bodies()
    desk.ask(bodies, shape)
    desk.close()
    desk.says("approve")
    desk.restart()
    assert desk.ask(bodies, shape) == ["pay is done"]
    desk.restart()
    assert desk.ask(bodies, shape) != ["pay is done"]
    assert bodies.ran == {"pay": 1}


def test_a_process_that_is_killed_while_it_waits_leaves_its_question_to_the_next(desk: Agents, tmp_path: Path) -> None:
    """P52: asked by one process, which is killed; answered while there is none; the next does the act, once."""
    guard, effects = desk.guard("tool.call", DEAR, wait="block"), tmp_path / "effects"
    words = [
        sys.executable,
        str(Path(__file__).parent / "waiting_agent.py"),
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


async def test_a_run_that_is_cancelled_while_it_waits_leaves_nothing_open(desk: Agents) -> None:
    guard = desk.guard("tool.call", DEAR, wait="block")
    job = desk.job(Bodies())
    running = fresh(job).run(user_msg="see to it", session_id="job-1")
    await desk.asked()
    await running.cancel_run()
    with pytest.raises(WorkflowCancelledByUser):
        await running
    desk.says("approve")
    guard.close()
    assert job.bodies.ran == {}
    assert_accounted(guard)


async def test_a_stopped_session_stops_waiting(desk: Agents) -> None:
    guard = desk.guard("tool.call", DEAR, wait="block")
    job = desk.job(Bodies())
    running = fresh(job).run(user_msg="see to it", session_id="job-1")
    (asked,) = await desk.asked()
    guard.control.stop(asked.question.session, "ana", "enough")
    with pytest.raises(Halted, match="stopped by ana: enough"):
        await running
    guard.close()
    assert job.bodies.ran == {}
    assert_nothing_after_halt(guard)
    assert_accounted(guard)


# --- tools that a program calls


def test_a_tool_that_a_program_calls_waits_in_its_thread(desk: Agents) -> None:
    guard, bodies = desk.guard("tool.call", DEAR, wait="block"), Bodies()
    pay, _ = tools(desk.job(bodies))
    with guard.session(id="job-1"), desk.ana.answering(guard, "edit", args={**ARGS, "amount": 450.0}) as asked:
        assert pay.call(**ARGS).content == "pay is done"
        assert asyncio.run(pay.acall(**ARGS)).content == "pay is done"
    assert len(asked) == 2
    assert bodies.got == [("pay", {**ARGS, "amount": 450.0})] * 2


async def test_a_plain_call_on_an_event_loop_is_told_instead_of_blocking_it(desk: Agents) -> None:
    guard, bodies = desk.guard("tool.call", DEAR, wait="block"), Bodies()
    pay, _ = tools(desk.job(bodies))
    with guard.session(id="job-1"):
        with pytest.raises(ApprovalPending, match="Approval needed by policy 'gate'"):
            pay.call(**ARGS)
        desk.says("approve")
        assert pay.call(**ARGS).content == "pay is done"
    assert bodies.ran == {"pay": 1}


# --- LlamaIndex's own way to ask people


async def test_a_tool_that_asks_its_user_itself_needs_one_approval(desk: Agents) -> None:
    """L13: its step is entered again once the user has answered; that is the same call."""
    guard, bodies = desk.guard("tool.call", "tool.name == 'pay'", wait="block"), Bodies()

    async def pay(ctx: Context, order: str, amount: float) -> str:
        """Pay a customer back."""
        answer = await ctx.wait_for_event(
            HumanResponseEvent, waiter_id="w", waiter_event=InputRequiredEvent(prefix="sure?")
        )
        return bodies.run("pay", order=order, amount=amount, answer=answer.response)

    pay.__annotations__ = {"ctx": Context, "order": str, "amount": float, "return": str}
    job = desk.job(bodies)
    made = FunctionAgent(name="worker", llm=Fresh(job), tools=[FunctionTool.from_defaults(async_fn=pay)])
    with desk.ana.answering(guard, "approve") as asked:
        running = made.run(user_msg="see to it", session_id="job-1")
        async for event in running.stream_events():
            if isinstance(event, InputRequiredEvent):
                running.ctx.send_event(HumanResponseEvent(response="yes"))
        assert str(await running) == "done"
    assert len(asked) == 1
    assert bodies.got == [("pay", {**ARGS, "answer": "yes"})]
    guard.close()
    assert_accounted(guard)


# --- other acts than tools


@SHAPE
@pytest.mark.parametrize("say", ["approve", "deny"])
def test_a_model_call_waits_before_anything_is_sent(desk: Agents, shape: str, say: Any) -> None:
    guard, bodies = desk.guard("model.call", "agent.name == 'worker'", wait="block"), Bodies()
    early: list[int] = []
    bodies.entering = lambda _: early.append(len(on_record(guard, "approval_consumed")))
    with desk.ana.answering(guard, say, why="too dear"):
        if say == "approve":
            desk.ask(bodies, shape, (Step("the answer"),))
            assert early == [1]
        else:
            try:
                told = desk.ask(bodies, shape, (Step("the answer"),))
            except Denied as refusal:
                told = [str(refusal)]
            assert shape == "agent as tool" or "ana denied it: too dear" in told[0]
            assert bodies.sent == []


@pytest.mark.parametrize("shape", ["hand-off", "agent as tool"])
def test_an_agent_is_started_once_it_is_approved(desk: Agents, shape: str) -> None:
    guard, bodies = desk.guard("agent.spawn", "agent.name == 'boss'", wait="block"), Bodies()
    with desk.ana.answering(guard, "approve") as asked:
        desk.ask(bodies, shape)
    assert (len(asked), bodies.ran) == (1, {"pay": 1})
    sent = len(bodies.sent)
    job = desk.job(bodies)
    with desk.ana.answering(guard, "deny", why="do it yourself"):
        text = asyncio.run(converse(job, SHAPES[shape](job)))
    assert "ana denied it: do it yourself" in str(text)
    assert (bodies.ran, len(bodies.sent)) == ({"pay": 1}, sent)


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "agent as tool"])
@pytest.mark.parametrize("say", ["approve", "deny"])
async def test_an_answer_is_held_until_it_is_approved(desk: Agents, shape: str, say: Any) -> None:
    """Nobody sees it before: neither the caller, nor a stream, nor another tracer."""
    guard = desk.guard("output", "agent.name in ['worker', 'boss']", wait="block")
    job = desk.job(Bodies(), (Step("the secret plan"),))
    early: list[str] = []
    with tracer() as traced:

        def look(one: Any) -> None:
            early.extend(traced)
            early.extend(job.seen)
            desk.ana.answer(one, say, why="so be it")

        speakers = 2 if shape == "hand-off" and say == "approve" else 1
        with answering(desk, look, speakers):
            held = asyncio.create_task(converse(job, SHAPES[shape](job)))
            if say == "approve":
                assert await held == "the secret plan"
            else:
                with pytest.raises(Denied, match="ana denied it: so be it"):
                    await held
    assert early
    assert "secret plan" not in "\n".join(early)
    assert ("secret plan" in "\n".join([*traced, *job.seen])) == (say == "approve")
    guard.close()
    assert_accounted(guard)
