"""Fifty sessions at once on one event loop, agents of every framework in each: nothing is mistaken for another's."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from typing import Any

import pytest
from mixed import FRAMEWORKS, TASK

from jackline import Halted
from jackline.testing.records import assert_accounted
from jackline.testing.scripted import on_record

SESSIONS = 50
ORDERS = list(itertools.islice(itertools.cycle(itertools.permutations(FRAMEWORKS, 3)), SESSIONS))


async def at_once(world: Any, guard: Any) -> list[Any]:
    async def job(number: int) -> Any:
        agent = world.chain(*ORDERS[number], mode="async")
        with guard.session(id=f"job-{number}"):
            return await agent.aask(TASK)

    return await asyncio.gather(*map(job, range(SESSIONS)), return_exceptions=True)


def test_every_event_is_of_its_own_session(world: Any) -> None:
    guard = world.guard()
    answers = asyncio.run(at_once(world, guard))
    assert set(answers) == {"I was told: I was told: I was told: pay is done"}
    names = {event.session: event.external_id for event in on_record(guard, "session_started")}
    assert len(names) == SESSIONS
    acts = Counter((names[event.session], event.action) for event in on_record(guard, "decided"))
    assert set(acts.values()) == {2, 3, 6}
    assert {acts[name, "model.call"] for name in names.values()} == {6}
    frameworks = {}
    for event in on_record(guard, "run_started"):
        frameworks.setdefault(event.run, event.session)
    for event in on_record(guard, "decided", "completed", "run_ended"):
        assert frameworks[event.run] == event.session
    assert_accounted(guard)


@pytest.mark.parametrize("most", [1, 4])
def test_every_ceiling_is_exact(world: Any, most: int) -> None:
    limit = f"{{limit: {most} calls, count: [model.call], per: session, on_exceed: halt}}"
    guard = world.guard(bundle=f"  - {{name: calls, use: budget, with: {limit}}}\n")
    answers = asyncio.run(at_once(world, guard))
    assert {isinstance(answer, Halted) for answer in answers} == {True}
    assert world.counts.asked.total() == SESSIONS * most
    assert len(on_record(guard, "session_halted")) == SESSIONS
    assert_accounted(guard)
