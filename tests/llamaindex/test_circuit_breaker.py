"""P5 on real agents: one that calls the same tool for ever, call after call and many at once, however it is called."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from llama_fakes import async_tools, tools
from llama_harness import job_of, process
from llama_ways import agent, agent_as_tool, converse, handoff, react, single_workflow

from jackline import Denied, Halted
from jackline.testing.paths import Call, Step
from jackline.testing.policies import Context
from jackline.testing.records import assert_accounted, assert_nothing_after_halt
from jackline_circuit_breaker import CircuitBreaker

if TYPE_CHECKING:
    from jackline.guard import Guard
    from jackline.testing.scripted import Guards

SAME = Call("find", {"query": "shoes"})
DONE = Step("done")
ONE_BY_ONE = (*[Step(calls=(SAME,))] * 10, DONE)
AT_ONCE = (Step(calls=(SAME,) * 10), DONE)
SERIAL: dict[str, Any] = {
    "FunctionAgent": agent,
    "FunctionAgent, not streaming": partial(agent, streaming=False),
    "FunctionAgent, sync tools": partial(agent, tools_of=tools),
    "AgentWorkflow": single_workflow,
    "hand-off": handoff,
    "agent as tool": agent_as_tool,
}
SHAPES = {**SERIAL, "ReActAgent": react}
LOOPS = [
    *(pytest.param(shape, ONE_BY_ONE, id=f"{shape}-one by one") for shape in SHAPES),
    *(pytest.param(shape, AT_ONCE, id=f"{shape}-at once") for shape in SERIAL),
]


def breaking(guards: Guards, **options: Any) -> Guard:
    policy = CircuitBreaker.build("p0", CircuitBreaker.Options.model_validate(options), Context())
    return process(guards, policy)  # type: ignore[arg-type]


@pytest.mark.parametrize(("shape", "loop"), LOOPS)
def test_ungoverned_every_call_runs(guards: Guards, shape: str, loop: Any) -> None:
    job = job_of(guards(), loop)
    asyncio.run(converse(job, SHAPES[shape](job)))
    assert job.bodies.ran == {"find": 10}


@pytest.mark.parametrize(("shape", "loop"), LOOPS)
def test_p5_a_loop_stops_at_exactly_the_bound(guards: Guards, shape: str, loop: Any) -> None:
    """P5: of ten identical calls three run; the model is told, and goes on to its answer."""
    guard = breaking(guards, halt_after=None)
    job = job_of(guard, loop)
    text = asyncio.run(converse(job, SHAPES[shape](job)))
    assert job.bodies.ran == {"find": 3}
    assert sum("gave nothing new" in told or "under way" in told for told in job.told) == 7
    assert text == "done"
    guard.close()
    assert_accounted(guard)


@pytest.mark.parametrize("shape", SHAPES)
def test_an_agent_that_goes_on_is_ended(guards: Guards, shape: str) -> None:
    guard = breaking(guards, halt_after=2)
    job = job_of(guard, ONE_BY_ONE)
    with pytest.raises(Halted, match="2 calls in a row were blocked and the agent goes on"):
        asyncio.run(converse(job, SHAPES[shape](job)))
    assert job.bodies.ran == {"find": 3}
    assert len(job.bodies.sent) == 6
    guard.close()
    assert_nothing_after_halt(guard)
    assert_accounted(guard)


@pytest.mark.parametrize("way", ["call", "acall", "acall at once"])
def test_p5_calls_of_a_program_stop_there_too(guards: Guards, way: str) -> None:
    """P5: tools that nobody's model calls."""
    guard = breaking(guards, halt_after=None)
    job = job_of(guard)
    _, find = async_tools(job) if way.startswith("acall") else tools(job)
    refused: list[str] = []

    async def call() -> None:
        try:
            await find.acall(query="shoes")
        except Denied as denied:
            refused.append(str(denied))

    async def all_of_them() -> None:
        if way == "acall":
            for _ in range(10):
                await call()
        else:
            await asyncio.gather(*(call() for _ in range(10)))

    with guard.session(id="job-1"):
        if way == "call":
            for _ in range(10):
                try:
                    find.call(query="shoes")
                except Denied as denied:
                    refused.append(str(denied))
        else:
            asyncio.run(all_of_them())
    assert job.bodies.ran == {"find": 3}
    assert len(refused) == 7
    guard.close()
    assert_accounted(guard)
