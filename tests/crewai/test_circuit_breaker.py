"""P5 on real crews: an agent that calls the same tool for ever, call after call and many at once, however it is called."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from crew_fakes import MODES, Bodies, asking, calling, crew, fake, run
from crew_harness import Guards, assert_accounted
from crewai.tools.tool_failure import ToolExecutionFailedError

import jackline_crewai
from jackline import Denied, Halted
from jackline.testing.policies import Context
from jackline.testing.records import assert_nothing_after_halt
from jackline_circuit_breaker import CircuitBreaker

if TYPE_CHECKING:
    from jackline.guard import Guard

SAME = ("look", {"what": "shoes"})
TIMES = 7
"""CrewAI ends a run itself at the fifth call that gets the same: here three give the result and four are blocked."""
ONE_BY_ONE = [calling(SAME) for _ in range(TIMES)]
AT_ONCE = [calling(*[SAME] * TIMES)]
LOOPS = {"one by one": ONE_BY_ONE, "at once": AT_ONCE}
MODE = pytest.mark.parametrize("mode", MODES)
LOOP = pytest.mark.parametrize("loop", LOOPS)


def breaking(guards: Guards, **options: Any) -> Guard:
    policy = CircuitBreaker.build("p0", CircuitBreaker.Options.model_validate(options), Context())
    guard = guards(policy)  # type: ignore[arg-type]
    jackline_crewai.enable(guard)
    return guard


@MODE
@LOOP
def test_ungoverned_five_calls_run_or_as_many_as_are_made_at_once(mode: str, loop: str) -> None:
    bodies = Bodies()
    with pytest.raises(ToolExecutionFailedError, match="it is not making progress"):
        run(crew(fake(*LOOPS[loop], "done"), bodies.look()), mode)
    assert bodies.ran == {"look": 5 if loop == "one by one" else TIMES}


@MODE
@LOOP
def test_p5_a_loop_stops_at_exactly_the_bound(guards: Guards, mode: str, loop: str) -> None:
    """P5: of seven identical calls three run; the model is told, and goes on to its answer."""
    guard, bodies, llm = breaking(guards, halt_after=None), Bodies(), fake(*LOOPS[loop], "done")
    result = run(crew(llm, bodies.look()), mode)
    assert bodies.ran == {"look": 3}
    assert "gave nothing new" in llm.seen[-1]
    assert str(result) == "done"
    guard.close()
    assert_accounted(guard)


@MODE
def test_an_agent_that_goes_on_is_ended(guards: Guards, mode: str) -> None:
    guard, bodies, llm = breaking(guards, halt_after=2), Bodies(), fake(*ONE_BY_ONE, "done")
    with pytest.raises(Halted, match="2 calls in a row were blocked and the agent goes on"):
        run(crew(llm, bodies.look()), mode)
    assert bodies.ran == {"look": 3}
    assert llm.calls == 6
    guard.close()
    assert_nothing_after_halt(guard)
    assert_accounted(guard)


def test_what_crewais_cache_answers_counts_as_a_call(guards: Guards) -> None:
    """No body runs again, and yet the agent goes round in circles."""
    guard, bodies, llm = breaking(guards, halt_after=2), Bodies(), fake(*ONE_BY_ONE, "done")
    with pytest.raises(Halted, match="2 calls in a row were blocked and the agent goes on"):
        run(crew(llm, bodies.look(), cache=True))
    assert bodies.ran == {"look": 1}
    assert llm.calls == 6
    guard.close()
    assert_accounted(guard)


def test_a_react_agent_that_goes_in_circles_is_ended(guards: Guards) -> None:
    """CrewAI itself notices only the same call twice in a row; here two alternate."""
    calls = [asking(False, "look", {"what": ("shoes", "hats")[turn % 2]}) for turn in range(20)]
    guard, bodies = breaking(guards, halt_after=2), Bodies()
    llm = fake(*calls, native=False)
    with pytest.raises(Halted, match="calls in a row were blocked and the agent goes on"):
        run(crew(llm, bodies.look()))
    assert bodies.ran == {"look": 5}
    guard.close()
    assert_accounted(guard)


@pytest.mark.parametrize("way", ["run", "arun", "arun at once"])
def test_p5_calls_of_a_program_stop_there_too(guards: Guards, way: str) -> None:
    """P5: tools that nobody's model calls."""
    guard, bodies = breaking(guards, halt_after=None), Bodies()
    tool = bodies.amail() if way.startswith("arun") else bodies.mail()
    refused: list[str] = []

    async def call() -> None:
        try:
            await tool.arun(to="x", body="")
        except Denied as denied:
            refused.append(str(denied))

    async def all_of_them() -> None:
        if way == "arun":
            for _ in range(10):
                await call()
        else:
            await asyncio.gather(*(call() for _ in range(10)))

    with guard.session(id="job-1"):
        if way == "run":
            for _ in range(10):
                try:
                    tool.run(to="x", body="")
                except Denied as denied:
                    refused.append(str(denied))
        else:
            asyncio.run(all_of_them())
    assert bodies.ran == {"send_mail": 3}
    assert len(refused) == 7
    assert all("gave nothing new" in text or "not given anything new" in text for text in refused)
    guard.close()
    assert_accounted(guard)
