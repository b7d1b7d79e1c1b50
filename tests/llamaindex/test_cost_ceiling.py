"""The cost spiral: a session that would cost $4.70 stops before any call that could pass $0.50, however it runs."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from llama_fakes import Provider
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import ToolCallBlock
from llama_index.core.llms import ChatMessage, ChatResponse, MessageRole, TextBlock
from typer.testing import CliRunner

import jackline
from jackline.cli.application import application
from jackline.events import Decided
from jackline.guard import Guard
from jackline.ingest import ingest
from jackline.journal import verify
from jackline.stores.sqlite import SQLiteStore
from jackline.testing.records import assert_accounted, assert_nothing_after_halt
from jackline.testing.scripted import on_record
from jackline_llamaindex import LlamaIndexAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
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


class Dear(Provider):
    """Asks for what `plan` says after so many answers; reports 16,000 tokens in and as many out as it may."""

    plan: Any
    asked: Any
    model: str = "gpt-4o"
    max_tokens: int | None = 700
    reasoning: bool = False
    """Whether its answers are text for ReAct."""

    def _answer(self, messages: Any, kwargs: dict[str, Any]) -> ChatResponse:
        turn = sum(message.role == MessageRole.ASSISTANT for message in messages)
        output = kwargs.get("max_tokens", self.max_tokens)
        self.asked.append(output)
        calls = self.plan(turn)
        usage = {"prompt_tokens": 16_000, "completion_tokens": output, "total_tokens": 16_000 + output}
        blocks: list[Any] = [TextBlock(text=self._text(calls))]
        if not self.reasoning:
            blocks += [
                ToolCallBlock(tool_call_id=f"{turn}-{place}", tool_name=name, tool_kwargs={"task_name": task})
                for place, (name, task) in enumerate(calls)
            ]
        message = ChatMessage(role="assistant", blocks=blocks)
        return ChatResponse(message=message, raw={"model": "gpt-4o", "usage": usage}, delta=blocks[0].text)

    def _text(self, calls: list[tuple[str, str]]) -> str:
        if not self.reasoning:
            return "" if calls else "done"
        if not calls:
            return "Thought: I can answer without using any more tools.\nAnswer: done"
        name, task = calls[0]
        return f"Thought: I look.\nAction: {name}\nAction Input: {json.dumps({'task_name': task})}"

    async def achat(self, messages: Any, **kwargs: Any) -> ChatResponse:
        return self._answer(messages, kwargs)

    async def astream_chat(self, messages: Any, **kwargs: Any) -> AsyncIterator[ChatResponse]:
        async def pieces() -> AsyncIterator[ChatResponse]:
            yield self._answer(messages, kwargs)

        return pieces()


class Spiral:
    """Agents that go on until somebody stops them, and what they did."""

    def __init__(self, job: Any = None) -> None:
        self.asked: list[int] = []
        self.ran: list[str] = []

    def alone(self) -> Any:
        """100 model calls, one after another."""
        return self._agent("researcher", looking("researcher", 99), [self.look])

    def whole(self) -> Any:
        """The same, not streamed."""
        return self._agent("researcher", looking("researcher", 99), [self.look], streaming=False)

    def react(self) -> Any:
        """The same by reasoning."""
        llm = Dear(None, plan=looking("researcher", 99), asked=self.asked, reasoning=True)
        return ReActAgent(name="researcher", llm=llm, tools=[self.look])

    def eight(self) -> Any:
        """An agent that starts eight others at once: 4 + 8 * 12 model calls."""
        worker = self._agent("worker", looking("worker", 11), [self.look])

        async def delegate(task_name: str) -> str:
            """Let another agent look."""
            return str(await worker.run(user_msg=PROMPT, max_iterations=1000))

        return self._agent("boss", self._boss, [delegate, self.look])

    def team(self) -> Any:
        """A workflow whose second agent goes on."""
        first = self._agent("boss", lambda _turn: [("look", "boss")], [self.look], description="Leads.")
        first.can_handoff_to = []
        return AgentWorkflow(agents=[first])

    @staticmethod
    def _boss(turn: int) -> list[tuple[str, str]]:
        return [("delegate", f"w{number}") for number in range(8)] if turn == 0 else looking("boss", 3)(turn)

    async def look(self, task_name: str) -> str:
        """Look again."""
        self.ran.append(task_name)
        return "nothing yet"

    def _agent(self, name: str, plan: Any, tools: list[Any], **more: Any) -> Any:
        return FunctionAgent(name=name, llm=Dear(None, plan=plan, asked=self.asked), tools=tools, **more)


def looking(name: str, turns: int) -> Any:
    """A model that looks so often, and then is done."""
    return lambda turn: [("look", f"{name}-{turn}")] * (turn < turns)


def run(agent: Any) -> str:
    async def main() -> str:
        return str(await agent.run(user_msg=PROMPT, max_iterations=1000, session_id="spiral"))

    return asyncio.run(main())


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Any]:
    made: list[Guard] = []

    def guard(bundle: str) -> Guard:
        file = tmp_path / f"jackline{len(made)}.yaml"
        file.write_text(bundle)
        made.append(Guard.load(file, home=tmp_path / f"home{len(made)}", application="tests"))
        made[-1].prices.warm(wait=30)  # on an event loop a price is unknown until the table is there
        return made[-1]

    yield guard
    for item in made:
        item.close()


@pytest.mark.parametrize("shape", ["alone", "whole", "react", "eight"])
def test_ungoverned_the_session_costs_four_dollars_and_seventy_cents(shape: str, make: Any) -> None:
    guard, spiral = make(FREE), Spiral()
    guard.enable(LlamaIndexAdapter())
    assert run(getattr(spiral, shape)()) == "done"
    assert len(spiral.asked) == 100
    assert sum(event.cost.micro_usd for event in on_record(guard, "completed") if event.cost) == SPIRAL


@pytest.mark.parametrize("way", ["enable", "attach"])
@pytest.mark.parametrize("shape", ["alone", "whole", "react", "eight", "team"])
def test_governed_it_stops_before_any_call_that_could_pass_fifty_cents(shape: str, way: str, make: Any) -> None:
    guard, spiral = make(BUNDLE), Spiral()
    agent = getattr(spiral, shape)()
    if way == "attach":
        assert guard.attach(agent) is agent
    else:
        guard.enable(LlamaIndexAdapter())
    with pytest.raises(jackline.Halted, match="Session ended by policy 'session-ceiling'"):
        run(agent)
    asked, ran = len(spiral.asked), len(spiral.ran)
    assert CALL <= asked * CALL <= CEILING
    with pytest.raises(jackline.Halted):
        run(agent)
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


@pytest.mark.parametrize("shape", ["alone", "whole", "react"])
def test_a_top_up_reopens_the_session_and_the_agent_goes_on(
    shape: str, make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard, spiral = make(BUNDLE), Spiral()
    guard.enable(LlamaIndexAdapter())
    agent = getattr(spiral, shape)()
    with pytest.raises(jackline.Halted, match="Session ended by policy 'session-ceiling'"):
        run(agent)
    asked = len(spiral.asked)
    told = topped_up(tmp_path, monkeypatch, "10 USD")
    assert len(told["reopened"]) == 1
    assert run(agent) == "done"
    assert len(spiral.asked) == asked + 100
    (entry,) = guard.ledger.balances()
    assert CEILING < entry.spent <= CEILING + 10_000_000
    assert entry.held == 0
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
