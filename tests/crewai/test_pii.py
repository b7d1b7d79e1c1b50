"""Personal data in crews, with the real pack: what leaves is clean, and so is the record and whatever CrewAI shows (P56)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import crew_ways as ways
import pytest
from crew_harness import assert_accounted, left_on
from crewai.events import crewai_event_bus
from crewai.events.base_events import BaseEvent

import jackline
from jackline.testing.paths import Bodies, Call, Job, Step
from jackline.wrapping import family

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROMPT, ARGUMENT, RESULT, ANSWER = "dora@example.org", "4111 1111 1111 1111", "carl@example.net", "bob@example.com"
MADE = (ARGUMENT, RESULT, ANSWER)
"""What the model and the tool bring in; the prompt is the caller's own, who has it anyway."""
STEPS = (Step(calls=(Call("find", {"query": f"who has card {ARGUMENT}"}),)), Step(f"write to {ANSWER} about it"))
BUNDLE = """
jackline: 1
policies:
  - name: no-pii
    use: pii
    with: {entities: [EMAIL, CREDIT_CARD], action: redact}
"""
PATHS = {
    "crew": (ways.crew, ways.kickoff),
    "crew, akickoff": (ways.crew, ways.akickoff),
    "crew, streaming": (ways.crew, ways.stream),
    "crew, streaming, akickoff": (ways.crew, ways.astream),
    "crew, ReAct": (ways.react_crew, ways.kickoff),
    "agent": (ways.alone, ways.ask),
    "agent, kickoff_async": (ways.alone, ways.ask_async),
    "LiteAgent": (ways.lite, ways.ask),
    "flow": (ways.flow_with_crew, ways.kickoff),
    "delegation": (ways.delegation, ways.kickoff),
}


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[jackline.Guard]:
    bundle = tmp_path / "jackline.yaml"
    bundle.write_text(BUNDLE)
    made = jackline.Guard.load(bundle, home=tmp_path / "home", application="tests")
    yield made
    made.close()
    assert left_on() == []


@pytest.fixture
def shown() -> Iterator[list[str]]:
    """All that whoever listens to CrewAI's events is shown."""
    found: list[str] = []

    def keep(source: Any, event: Any) -> None:
        found.append(f"{type(event).__name__} {event!r}")

    with crewai_event_bus.scoped_handlers():
        for kind in family(BaseEvent):
            crewai_event_bus.on(kind)(keep)
        yield found


def on_disk(home: Path) -> str:
    """Everything in a home, its database and what waits to go there among it."""
    return "\n".join(path.read_bytes().decode(errors="replace") for path in home.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", PATHS)
def test_what_leaves_what_is_shown_and_what_is_kept_is_clean(
    guard: jackline.Guard, shown: list[str], path: str
) -> None:
    """P56: model input, arguments, results, answers and streams; each is counted where it arrives."""
    shape, mode = PATHS[path]
    job = Job(guard, Bodies({"find": f"{RESULT} knows"}), STEPS, f"ask {PROMPT}", "job-1")
    text = ways.conversation(shape, ways.enable, mode)(job)
    crewai_event_bus.flush()
    assert job.bodies.got == [("find", {"query": "who has card [CREDIT_CARD]"})]
    assert job.told == ["[EMAIL] knows"]
    assert text == "write to [EMAIL] about it"
    assert len(job.bodies.sent) == 2
    assert all("ask [EMAIL]" in sent for sent in job.bodies.sent)
    everything = "\n".join([*job.bodies.sent, *shown, "".join(job.seen)])
    assert len(shown) > 5
    assert [value for value in MADE if value in everything] == []
    assert PROMPT not in "\n".join(job.bodies.sent)
    guard.close()
    assert_accounted(guard)
    kept = on_disk(guard.home.path)
    assert '"policy":"no-pii"' in kept
    assert [value for value in (PROMPT, *MADE) if value in kept] == []


@pytest.mark.parametrize("path", ["crew", "crew, streaming"])
def test_without_the_policy_all_of_it_is_there_to_be_seen(guard: jackline.Guard, shown: list[str], path: str) -> None:
    """So that the test above can fail."""
    shape, mode = PATHS[path]
    job = Job(guard, Bodies({"find": f"{RESULT} knows"}), STEPS, f"ask {PROMPT}", "job-1")
    text = ways.conversation(shape, lambda _, made: made, mode)(job)
    crewai_event_bus.flush()
    assert text == f"write to {ANSWER} about it"
    everything = "\n".join([*job.bodies.sent, *shown])
    assert [value for value in (PROMPT, *MADE) if value in everything] == [PROMPT, *MADE]
