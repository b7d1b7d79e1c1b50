"""What streams show: nothing of an answer, a call's arguments neither, before the whole was judged."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from crew_harness import redact
from crew_ways import crew
from crewai.events.event_bus import crewai_event_bus
from crewai.events.types.llm_events import LLMCallCompletedEvent, LLMStreamChunkEvent

import jackline_crewai
from jackline.testing.paths import Bodies, Call, Job, Step

if TYPE_CHECKING:
    from crew_harness import Guards

SECRET = "4111 1111"
STEPS = (Step(calls=(Call("find", {"query": SECRET}),)), Step(f"it is {SECRET} indeed"))


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("mode", ["kickoff", "akickoff"])
def test_chunks_and_events_show_what_was_judged(guards: Guards, held: bool, mode: str) -> None:
    guard = guards(*([redact("model.return", old=SECRET)] if held else []))
    jackline_crewai.enable(guard)
    job = Job(guard, Bodies(), STEPS, "please", "job-1")
    told: list[Any] = []
    with crewai_event_bus.scoped_handlers():
        for kind in (LLMStreamChunkEvent, LLMCallCompletedEvent):
            crewai_event_bus.on(kind)(lambda _source, event: told.append(event))
        chunks = streamed(job, mode)
        crewai_event_bus.flush()
    pieces = [chunk.content for chunk in chunks]
    shown = "".join(pieces) + "".join(f"{event}" for event in told)
    assert (SECRET not in shown) == held
    assert ("[gone]" in shown) == held
    assert (len([piece for piece in pieces if piece in STEPS[1].text]) > 1) == (not held)
    assert job.bodies.got == [("find", {"query": "[gone]" if held else SECRET})]


def streamed(job: Job, mode: str) -> list[Any]:
    made = crew(job)
    made.stream = True
    if mode == "kickoff":
        return list(made.kickoff())

    async def consume() -> list[Any]:
        return [chunk async for chunk in await made.akickoff()]

    return asyncio.run(consume())
