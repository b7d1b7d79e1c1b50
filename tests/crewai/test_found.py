"""What a review found: ways round an attached object's copies, calls and words outside of an agent's turns."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from typing import TYPE_CHECKING, Any

import pytest
from crew_fakes import Bodies, agent, asking, crew, fake
from crew_harness import Policy, acts, assert_accounted, deny, on_record, refuse
from crewai.flow.flow import Flow, listen, start
from crewai.tools import BaseTool

import jackline_crewai
from jackline.errors import Denied, Halted

if TYPE_CHECKING:
    from crew_harness import Guards

COPIES = {
    "for_each": lambda made: made.kickoff_for_each([{}]),
    "for_each_async": lambda made: asyncio.run(made.kickoff_for_each_async([{}])),
    "akickoff_for_each": lambda made: asyncio.run(made.akickoff_for_each([{}])),
    "copy": lambda made: made.copy().kickoff(),
    "copy of a copy": lambda made: made.copy().copy().kickoff(),
}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("what", ["crew", "agent", "model"])
def test_copies_of_what_is_attached_are_governed(guards: Guards, how: str, what: str) -> None:
    bodies = Bodies()
    guard = guards(deny("send_mail"), refuse("model.call") if what == "model" else Policy(lambda _: None, "output"))
    llm = fake(asking(True, "send_mail", {"to": "x"}))
    made = crew(llm, bodies.mail())
    guard.attach({"crew": made, "agent": made.agents[0], "model": llm}[what])
    if what == "model":
        with pytest.raises(Denied):
            COPIES[how](made)
        assert llm.calls == 0
    else:
        COPIES[how](made)
    assert bodies.ran == {}
    assert_accounted(guard)


def test_an_agents_copy_is_governed_and_a_strangers_is_not(guards: Guards) -> None:
    bodies = Bodies()
    guard = guards(deny("send_mail"))
    mine, other = (agent(fake(asking(True, "send_mail", {"to": "x"})), bodies.mail()) for _ in range(2))
    guard.attach(mine).copy().kickoff("hi")
    assert bodies.ran == {}
    other.copy().kickoff("hi")
    assert bodies.ran == {"send_mail": 1}


def test_what_a_checkpoint_has_of_an_attached_crew_is_governed(guards: Guards, monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = Bodies()
    made, kept = (crew(fake(asking(True, "send_mail", {"to": "x"})), bodies.mail()) for _ in range(2))
    monkeypatch.setattr("crewai.crew.apply_checkpoint", lambda native, asked: kept if native is made else None)
    guard = guards(deny("send_mail"))
    guard.attach(made).kickoff()
    assert bodies.ran == {}
    assert [effect for action, _, effect in acts(guard) if action == "tool.call"] == ["deny"]


def test_a_refusal_is_no_error_in_crewais_log(guards: Guards, caplog: pytest.LogCaptureFixture) -> None:
    bodies = Bodies()
    jackline_crewai.enable(guards(deny("send_mail", effect="halt")))

    class Desk(Flow):
        @start()
        def first(self) -> str:
            return "x"

        @listen(first)
        def go(self) -> Any:
            return crew(fake(asking(True, "send_mail", {"to": "x"})), bodies.mail()).kickoff()

    with caplog.at_level(logging.DEBUG, "crewai"), pytest.raises(Halted):
        Desk().kickoff()
    assert "policy" not in caplog.text


class Idle(BaseTool):
    """Never ends."""

    name: str = "idle"
    description: str = "Waits."

    def _run(self) -> str:
        return ""

    async def _arun(self) -> str:
        await asyncio.sleep(0)
        return ""


def test_what_nobody_awaits_any_more_is_closed(guards: Guards) -> None:
    guard = guards()
    jackline_crewai.enable(guard)
    begun: Any = Idle().arun()
    contextvars.copy_context().run(begun.send, None)
    begun.close()  # in another context, as where it is collected
    assert_accounted(guard)
    (outcome,) = on_record(guard, "failed")
    assert outcome.error == "abandoned"
