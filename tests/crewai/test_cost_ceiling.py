"""The cost spiral: a session that would cost $4.70 stops before any call that could pass $0.50, however it runs."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from crew_fakes import Scripted, calling, fake
from crewai import Agent, Crew, Task
from crewai.tools import tool
from typer.testing import CliRunner

import jackline
import jackline_crewai
from jackline.cli.application import application
from jackline.events import Decided
from jackline.guard import Guard
from jackline.ingest import ingest
from jackline.journal import verify
from jackline.stores.sqlite import SQLiteStore
from jackline.testing.records import assert_accounted, assert_nothing_after_halt
from jackline.testing.scripted import on_record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CALL = 47_000
"""Micro-dollars of one model call: 16,000 tokens in at $2.50 and 700 out at $10 for a million."""
SPIRAL = 4_700_000
CEILING = 500_000
PROMPT = "x" * 16_000
"""As many tokens as bytes: the dearest text there can be, so that the bound before the call is a bound."""
BUNDLE = """
jackline: 1
policies:
  - name: session-ceiling
    use: budget
    with: {limit: 0.50 USD, per: session, on_exceed: halt}
"""
FREE = "jackline: 1\npolicies: []\n"


class Dear(Scripted):
    """Asks for what its script says; tells of 16,000 tokens in and as many out as it may."""

    asked: Any = None

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        self.asked.append(self.max_tokens)
        self.usage = (16_000, self.max_tokens)
        return super().call(messages, *args, **kwargs)


class Spiral:
    """Crews that go on until somebody stops them, and what they did."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.ran: list[str] = []

    def alone(self) -> Any:
        """100 model calls, one after another."""
        agent = self._agent("researcher", looking("researcher", 99))
        return Crew(agents=[agent], tasks=[Task(description=PROMPT, expected_output="x", agent=agent)])

    def eight(self) -> Any:
        """An agent that starts eight others at once: 4 + 8 * 12 model calls."""

        @tool("delegate")
        def delegate(name: str) -> str:
            """Let another agent look."""
            worker = self._agent(name, looking(name, 11))
            return str(worker.kickoff(PROMPT).raw)

        script = [calling(*(("delegate", {"name": f"w{number}"}) for number in range(8))), *looking("boss", 2)]
        boss = self._agent("boss", script, delegate)
        return Crew(agents=[boss], tasks=[Task(description=PROMPT, expected_output="x", agent=boss)])

    def _agent(self, name: str, script: list[Any], *more: Any) -> Agent:
        @tool("look")
        def look(task: str) -> str:
            """Look again."""
            self.ran.append(task)
            return "nothing yet"

        llm = fake(*script, kind=Dear, asked=self.asked, max_tokens=700)
        llm.model = "gpt-4o"
        return Agent(role=name, goal="g", backstory="b", llm=llm, tools=[*more, look], max_iter=1000)


def looking(name: str, turns: int) -> list[Any]:
    """A model that looks so often, and then is done."""
    return [calling(("look", {"task": f"{name}-{turn}"})) for turn in range(turns)]


def run(made: Any, mode: str) -> Any:
    inputs = {"session_id": "spiral"}
    if mode == "kickoff":
        return made.kickoff(inputs=inputs)
    return asyncio.run(getattr(made, mode)(inputs=inputs))


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Any]:
    made: list[Guard] = []

    def guard(bundle: str) -> Guard:
        file = tmp_path / f"jackline{len(made)}.yaml"
        file.write_text(bundle)
        made.append(Guard.load(file, home=tmp_path / f"home{len(made)}", application="tests"))
        return made[-1]

    yield guard
    for item in made:
        item.close()


SHAPES = [("alone", "kickoff"), ("alone", "akickoff"), ("eight", "kickoff"), ("eight", "kickoff_async")]


@pytest.mark.parametrize(("shape", "mode"), SHAPES)
def test_ungoverned_the_session_costs_four_dollars_and_seventy_cents(shape: str, mode: str, make: Any) -> None:
    guard, spiral = make(FREE), Spiral()
    jackline_crewai.enable(guard)
    run(getattr(spiral, shape)(), mode)
    guard.close()
    assert len(spiral.asked) == 100
    assert sum(event.cost.micro_usd for event in on_record(guard, "completed") if event.cost) == SPIRAL


@pytest.mark.parametrize("way", ["enable", "attach"])
@pytest.mark.parametrize(("shape", "mode"), SHAPES)
def test_governed_it_stops_before_any_call_that_could_pass_fifty_cents(
    shape: str, mode: str, way: str, make: Any
) -> None:
    guard, spiral = make(BUNDLE), Spiral()
    made = getattr(spiral, shape)()
    if way == "attach":
        made = guard.attach(made)
    else:
        jackline_crewai.enable(guard)
    with pytest.raises(jackline.Halted, match="Session ended by policy 'session-ceiling'"):
        run(made, mode)
    asked, ran = len(spiral.asked), len(spiral.ran)
    assert CALL <= asked * CALL <= CEILING
    with pytest.raises(jackline.Halted):
        run(made, mode)
    assert (len(spiral.asked), len(spiral.ran)) == (asked, ran)
    guard.close()
    assert_nothing_after_halt(guard)
    assert_accounted(guard)
    assert_cost_is_the_same_everywhere(guard, asked)


def topped_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, amount: str) -> dict[str, Any]:
    """What a person types, and what it answers."""
    (tmp_path / "jackline.yaml").write_text(BUNDLE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JACKLINE_HOME", str(tmp_path / "home0"))
    typed = ["budget", "top-up", "session-ceiling/session/", amount, "--why", "ticket 12", "--json"]
    answer: dict[str, Any] = json.loads(CliRunner().invoke(application(), typed).stdout)
    return answer


@pytest.mark.parametrize("mode", ["kickoff", "akickoff"])
def test_a_top_up_reopens_the_session_and_the_crew_goes_on(
    mode: str, make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard, spiral = make(BUNDLE), Spiral()
    jackline_crewai.enable(guard)
    made = spiral.alone()
    with pytest.raises(jackline.Halted, match="Session ended by policy 'session-ceiling'"):
        run(made, mode)
    asked = len(spiral.asked)
    told = topped_up(tmp_path, monkeypatch, "10 USD")
    assert len(told["reopened"]) == 1
    assert str(run(made, mode)) == "done"
    assert asked < len(spiral.asked) == 100
    assert len(spiral.ran) == len(set(spiral.ran))
    (entry,) = guard.ledger.balances()
    assert (entry.spent, entry.held) == (SPIRAL, 0)
    guard.close()
    assert_accounted(guard)


def assert_cost_is_the_same_everywhere(guard: Guard, asked: int) -> None:
    """Journal, ledger, store and trace, to the micro-dollar; and the ceiling held at every reservation."""
    outcomes = on_record(guard, "completed", "failed")
    spent = sum(event.cost.micro_usd for event in outcomes if event.cost is not None)
    assert 0 < spent <= CEILING
    assert sum(event.action == "model.call" for event in outcomes) == asked
    (entry,) = guard.ledger.balances()
    assert (entry.spent, entry.held) == (spent, 0)
    for event in on_record(guard, "decided"):
        if isinstance(event, Decided) and event.reservation is not None:
            for hold in event.reservation.holds:
                assert hold.spent + hold.outstanding + hold.held <= hold.cap == CEILING
    assert len(on_record(guard, "session_halted")) == 1
    store = SQLiteStore(guard.home.index)
    try:
        ingest(guard.home.path, store)
        row = store.session("spiral")
        assert row is not None
        assert row.cost_micro_usd == spent
        assert row.cost_micro_usd == sum(span.cost_micro_usd or 0 for span in store.spans(row.session))
        assert row.state == "halted"
    finally:
        store.close()
    assert all(report.ok for report in verify(guard.home.journals))
