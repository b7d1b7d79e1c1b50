"""50 asynchronous sessions in one process: no event under a wrong session, and every ceiling is exact."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from crew_fakes import Bodies, agent, calling, crew, fake
from crew_harness import Policy, assert_accounted, on_record
from crewai.tools import tool

import jackline_crewai
from jackline import Halted
from jackline.decision import Claim, Verdict

if TYPE_CHECKING:
    from crew_harness import Guards

    from jackline.guard import Guard
    from jackline.request import Request

SESSIONS = 50
LOOKS = 4
CEILING = 3


def ceiling(effect: Any = "deny") -> Policy:
    """Three looks a session, reserved one at a time."""

    def answer(request: Request) -> Verdict | None:
        if request.resource != "look":
            return None
        scope = f"looks/{request.subject.session}"
        claim = Claim(scope=scope, unit="calls", cap=CEILING, fixed=1, label="3 looks per session", on_exceed=effect)
        return Verdict(effect="allow", claims=(claim,))

    return Policy(answer, "tool.call", phase="meter")


def looking(name: str, *, at_once: bool) -> list[Any]:
    """A model's script: looks one after another, or all at once."""
    wanted = [("look", {"what": f"{name}-{number}"}) for number in range(LOOKS)]
    return [calling(*wanted)] if at_once else [calling(item) for item in wanted]


async def session(guard: Guard, bodies: Bodies, number: int, shape: str) -> None:
    name = f"s{number}"
    llm = fake(*looking(name, at_once=bool(number % 2)))
    with guard.session(id=name):
        if shape == "crew":
            await crew(llm, bodies.look()).akickoff()
        elif shape == "crew in a thread":
            await crew(llm, bodies.look()).kickoff_async()
        else:
            await agent(llm, bodies.look()).kickoff_async("go")


@pytest.mark.parametrize("shape", ["crew", "crew in a thread", "agent"])
def test_fifty_sessions_at_once_are_kept_apart_and_within_their_ceilings(guards: Guards, shape: str) -> None:
    bodies = Bodies()
    guard = guards(ceiling())
    jackline_crewai.enable(guard)

    async def everybody() -> None:
        await asyncio.gather(*(session(guard, bodies, number, shape) for number in range(SESSIONS)))

    asyncio.run(everybody())
    assert [(entry.spent, entry.held) for entry in guard.ledger.balances()] == [(CEILING, 0)] * SESSIONS
    guard.close()
    ran = Counter(got["what"].partition("-")[0] for _, got in bodies.got)
    assert ran == {f"s{number}": CEILING for number in range(SESSIONS)}
    assert_kept_apart(guard)
    assert_accounted(guard)


def assert_kept_apart(guard: Guard) -> None:
    """Every event of a span, run and session belongs together."""
    names = {event.session: event.external_id for event in on_record(guard, "session_started")}
    assert sorted(name for name in names.values() if name.startswith("s")) == sorted(f"s{n}" for n in range(SESSIONS))
    runs = {event.run: event.session for event in on_record(guard, "run_started")}
    decided = on_record(guard, "decided")
    spans = {event.span: event.session for event in decided}
    assert all(runs[event.run] == event.session for event in decided)
    assert all(spans[event.span] == event.session for event in on_record(guard, "completed", "failed"))
    looks = Counter((names[event.session], event.effect) for event in decided if event.resource == "look")
    for number in range(SESSIONS):
        assert looks[f"s{number}", "allow"] == CEILING
        assert looks[f"s{number}", "deny"] == LOOKS - CEILING
    calls = Counter(names[event.session] for event in decided if event.action == "model.call")
    assert all(calls[f"s{number}"] == (2 if number % 2 else LOOKS + 1) for number in range(SESSIONS))


def test_a_halt_of_one_session_ends_no_other(guards: Guards) -> None:
    ran: Counter[str] = Counter()

    @tool("look")
    def look(what: str) -> str:
        """Look something up."""
        ran[what] += 1
        return "it is"

    def answer(request: Request) -> Verdict | None:
        ends = request.args["what"] in ("s0", "s7")
        return Verdict(effect="halt", reason="enough") if ends else None

    guard = guards(Policy(answer, "tool.call"))
    jackline_crewai.enable(guard)

    async def one(number: int) -> Any:
        name = f"s{number}"
        with guard.session(id=name):
            return await crew(fake(calling(("look", {"what": name}))), look).akickoff()

    async def everybody() -> list[Any]:
        return await asyncio.gather(*(one(number) for number in range(10)), return_exceptions=True)

    ended = asyncio.run(everybody())
    assert [number for number, result in enumerate(ended) if isinstance(result, Halted)] == [0, 7]
    assert ran == {f"s{number}": 1 for number in range(10) if number not in (0, 7)}
    assert len(on_record(guard, "session_halted")) == 2
