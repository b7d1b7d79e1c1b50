"""Programs with several agents, people, and workflows of somebody's own."""

from __future__ import annotations

import asyncio
from typing import Any

from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.workflow import (
    Context,
    Event,
    HumanResponseEvent,
    InputRequiredEvent,
    StartEvent,
    StopEvent,
    Workflow,
    step,
)
from scripted import Scripted, add, multiply, plain


def team(*answers: Any, worker: Any = ("I did it",)) -> tuple[Any, Any, Any]:
    boss, hand = Scripted(*answers), Scripted(*worker)
    agents = [
        FunctionAgent(name="boss", description="Leads.", llm=boss, tools=[add], can_handoff_to=["worker"]),
        FunctionAgent(name="worker", description="Works.", llm=hand, tools=[multiply], can_handoff_to=["boss"]),
    ]
    return AgentWorkflow(agents=agents, root_agent="boss", initial_state={"n": 1}), boss, hand


async def handoff() -> Any:
    workflow, boss, hand = team(
        [("handoff", {"to_agent": "worker", "reason": "yours"})], worker=([("multiply", {"a": 6, "b": 7})], "42")
    )
    running = workflow.run(user_msg="6*7?")
    found = [plain(event) async for event in running.stream_events()]
    return str(await running), found, boss.seen, hand.seen


async def handoff_and_back() -> Any:
    workflow, boss, hand = team(
        [("handoff", {"to_agent": "worker", "reason": "yours"})],
        "all done",
        worker=([("handoff", {"to_agent": "boss", "reason": "finished"})],),
    )
    result = await workflow.run(user_msg="go")
    return str(result), result.current_agent_name, boss.seen, hand.seen


async def handoff_to_nobody() -> Any:
    workflow, boss, hand = team([("handoff", {"to_agent": "nobody", "reason": "yours"})], "then I do it")
    return str(await workflow.run(user_msg="go")), boss.seen, hand.seen


async def agent_as_tool() -> Any:
    inner = FunctionAgent(name="inner", llm=Scripted([("add", {"a": 1, "b": 1})], "two"), tools=[add])

    async def ask(question: str) -> str:
        """Ask the other agent."""
        return str(await inner.run(user_msg=question))

    llm = Scripted([("ask", {"question": "1+1?"})], "it says two")
    running = FunctionAgent(name="outer", llm=llm, tools=[ask]).run(user_msg="go")
    found = [plain(event) async for event in running.stream_events()]
    return str(await running), found, llm.seen


async def human_in_the_loop() -> Any:
    """A tool waits for a person; the step is run again when the answer comes."""
    asked: list[str] = []

    async def delete(ctx: Context, what: str) -> str:
        """Delete something."""
        question = InputRequiredEvent(prefix=f"delete {what}?")
        answer = await ctx.wait_for_event(HumanResponseEvent, waiter_id=f"w-{what}", waiter_event=question)
        return f"{what}: {answer.response}"

    delete.__annotations__ = {"ctx": Context, "what": str, "return": str}
    llm = Scripted([("delete", {"what": "a.txt"})], "asked and done")
    running = FunctionAgent(llm=llm, tools=[delete]).run(user_msg="delete a.txt")
    async for event in running.stream_events():
        if isinstance(event, InputRequiredEvent):
            asked.append(event.prefix)
            running.ctx.send_event(HumanResponseEvent(response="yes"))
    return str(await running), asked, llm.seen


async def cancellation() -> Any:
    """A run that is cancelled while a tool waits."""
    started, ended = asyncio.Event(), []

    async def wait(seconds: int) -> str:
        """Wait."""
        started.set()
        try:
            await asyncio.sleep(seconds)
        finally:
            ended.append("tool")
        return "waited"

    running = FunctionAgent(llm=Scripted([("wait", {"seconds": 30})]), tools=[wait]).run(user_msg="wait")
    await started.wait()
    await running.cancel_run()
    try:
        await running
    except Exception as error:
        return type(error).__name__, ended
    return "no error", ended


async def time_is_up() -> Any:
    async def wait(seconds: int) -> str:
        """Wait."""
        await asyncio.sleep(seconds)
        return "waited"

    agent = FunctionAgent(llm=Scripted([("wait", {"seconds": 30})]), tools=[wait], timeout=0.3)
    try:
        await agent.run(user_msg="wait")
    except Exception as error:
        return type(error).__name__
    return "no error"


class Halves(Event):
    """What is left to do."""

    left: int


class Halving(Workflow):
    """A workflow of somebody's own, with a model in it."""

    def __init__(self, llm: Any) -> None:
        super().__init__(timeout=10)
        self.llm = llm

    @step
    async def begin(self, ctx: Context, ev: StartEvent) -> Halves:
        await ctx.store.set("steps", 0)
        return Halves(left=ev.number)

    @step
    async def halve(self, ctx: Context, ev: Halves) -> Halves | StopEvent:
        await ctx.store.set("steps", await ctx.store.get("steps") + 1)
        ctx.write_event_to_stream(ev)
        if ev.left > 1:
            return Halves(left=ev.left // 2)
        words = await self.llm.acomplete("how was it?")
        return StopEvent(result=f"{await ctx.store.get('steps')} steps, {words.text}")


async def own_workflow() -> Any:
    running = Halving(Scripted("easy")).run(number=40)
    found = [getattr(event, "left", None) async for event in running.stream_events()]
    return await running, found


PROGRAMS = (
    handoff,
    handoff_and_back,
    handoff_to_nobody,
    agent_as_tool,
    human_in_the_loop,
    cancellation,
    time_is_up,
    own_workflow,
)
