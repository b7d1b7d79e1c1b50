"""The cost spiral: a session that would cost $4.70 stops before any call that could pass $0.50, however it runs."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from langchain.agents import create_agent
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import tool

import jackline
from jackline.events import Decided
from jackline.guard import Guard
from jackline.ingest import ingest
from jackline.journal import verify
from jackline.stores.sqlite import SQLiteStore
from jackline.testing.records import assert_accounted, assert_nothing_after_halt
from jackline.testing.scripted import on_record
from jackline_langchain import JacklineCallbackHandler, JacklineMiddleware, LangChainAdapter

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


class Dear(BaseChatModel):
    """Asks for what `plan` says after so many answers; reports 16,000 tokens in and as many out as it may."""

    plan: Any
    max_tokens: int = 700
    asked: Any

    @property
    def _llm_type(self) -> str:
        return "dear"

    def _get_ls_params(self, stop: Any = None, **kwargs: Any) -> Any:
        return {**super()._get_ls_params(stop=stop, **kwargs), "ls_model_name": "gpt-4o", "ls_provider": "openai"}

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self.bind(tools=[{"type": "function", "function": {"name": item.name}} for item in tools], **kwargs)

    def _answer(self, messages: list[Any], kwargs: dict[str, Any]) -> AIMessage:
        turn = sum(message.type == "ai" for message in messages)
        output = kwargs.get("max_tokens", self.max_tokens)
        self.asked.append(output)
        calls = [
            {"name": name, "args": {"task_name": task}, "id": f"{turn}-{place}", "type": "tool_call"}
            for place, (name, task) in enumerate(self.plan(turn))
        ]
        usage = {"input_tokens": 16_000, "output_tokens": output, "total_tokens": 16_000 + output}
        facts = {"model_name": "gpt-4o"}
        return AIMessage("" if calls else "done", tool_calls=calls, usage_metadata=usage, response_metadata=facts)

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._answer(messages, kwargs))])

    def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Iterator[Any]:
        whole = self._answer(messages, kwargs)
        calls = [
            {"name": call["name"], "args": json.dumps(call["args"]), "id": call["id"], "index": place}
            for place, call in enumerate(whole.tool_calls)
        ]
        facts = {"usage_metadata": whole.usage_metadata, "response_metadata": whole.response_metadata}
        chunk = AIMessageChunk(whole.content, tool_call_chunks=calls, **facts)
        yield ChatGenerationChunk(message=chunk)


LONG = {"recursion_limit": 1000}


class Spiral:
    """Agents that go on until somebody stops them, and what they did."""

    def __init__(self, mode: str) -> None:
        self.asked: list[int] = []
        self.ran: list[str] = []
        self._async = mode == "ainvoke"

    def alone(self, middleware: Any) -> Any:
        """100 model calls, one after another."""
        return self._agent("researcher", looking("researcher", 99), [self._look()], middleware)

    def eight(self, middleware: Any) -> Any:
        """An agent that starts eight others at once: 4 + 8 * 12 model calls."""
        worker = self._agent("worker", looking("worker", 11), [self._look()], ())
        task = {"messages": [("user", PROMPT)]}

        @tool
        def delegate(task_name: str) -> str:
            """Let another agent look."""
            return worker.invoke(task, LONG)["messages"][-1].content

        @tool("delegate")
        async def adelegate(task_name: str) -> str:
            """Let another agent look."""
            return (await worker.ainvoke(task, LONG))["messages"][-1].content

        def plan(turn: int) -> list[tuple[str, str]]:
            return [("delegate", f"w{number}") for number in range(8)] if turn == 0 else looking("boss", 3)(turn)

        return self._agent("boss", plan, [adelegate if self._async else delegate, self._look()], middleware)

    def _look(self) -> Any:
        @tool
        def look(task_name: str) -> str:
            """Look again."""
            self.ran.append(task_name)
            return "nothing yet"

        @tool("look")
        async def alook(task_name: str) -> str:
            """Look again."""
            self.ran.append(task_name)
            return "nothing yet"

        return alook if self._async else look

    def _agent(self, name: str, plan: Any, tools: list[Any], middleware: Any) -> Any:
        return create_agent(Dear(plan=plan, asked=self.asked), tools, name=name, middleware=middleware)


def looking(name: str, turns: int) -> Any:
    """A model that looks so often, and then is done."""
    return lambda turn: [("look", f"{name}-{turn}")] * (turn < turns)


def run(agent: Any, mode: str, config: dict[str, Any]) -> None:
    task = {"messages": [("user", PROMPT)]}
    config = {**LONG, "metadata": {"session_id": "spiral"}, **config}
    if mode == "ainvoke":
        asyncio.run(agent.ainvoke(task, config))
    elif mode == "stream":
        list(agent.stream(task, config, stream_mode="messages"))
    else:
        agent.invoke(task, config)


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


SHAPES = [("alone", "invoke"), ("alone", "ainvoke"), ("alone", "stream"), ("eight", "invoke"), ("eight", "ainvoke")]


@pytest.mark.parametrize(("shape", "mode"), SHAPES)
def test_ungoverned_the_session_costs_four_dollars_and_seventy_cents(shape: str, mode: str, make: Any) -> None:
    guard, spiral = make(FREE), Spiral(mode)
    run(getattr(spiral, shape)(()), mode, {"callbacks": [JacklineCallbackHandler(guard)]})
    assert len(spiral.asked) == 100
    assert sum(event.cost.micro_usd for event in on_record(guard, "completed") if event.cost) == SPIRAL


@pytest.mark.parametrize("way", ["callback", "init", "middleware", "attach"])
@pytest.mark.parametrize(("shape", "mode"), SHAPES)
def test_governed_it_stops_before_any_call_that_could_pass_fifty_cents(
    shape: str, mode: str, way: str, make: Any
) -> None:
    guard, spiral, config = make(BUNDLE), Spiral(mode), {}
    agent = getattr(spiral, shape)([JacklineMiddleware(guard)] if way == "middleware" else ())
    if way == "attach":
        agent = guard.attach(agent)
    elif way == "init":
        guard.enable(LangChainAdapter())
    elif way == "callback":
        config = {"callbacks": [JacklineCallbackHandler(guard)]}
    with pytest.raises(jackline.Halted, match="Session ended by policy 'session-ceiling'"):
        run(agent, mode, config)
    asked, ran = len(spiral.asked), len(spiral.ran)
    assert CALL <= asked * CALL <= CEILING
    with pytest.raises(jackline.Halted):
        run(agent, mode, config)
    assert (len(spiral.asked), len(spiral.ran)) == (asked, ran)
    guard.close()
    assert_nothing_after_halt(guard)
    assert_accounted(guard)
    assert_cost_is_the_same_everywhere(guard, asked)


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
