"""CrewAI calls, served by two processes: one governed, one that never imports Jackline's adapter.

The adapter wraps CrewAI's classes for the whole process, so the bare call is timed where nothing was wrapped. The bare
process has what any observer there has at least: hooks that do nothing around tools and models.
"""

# ruff: noqa: PLC0415 - frameworks are imported in the process that serves them

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from contextlib import ExitStack
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import bundles
from calls import SMALL, guarded, search
from timing import Async, Case, Local, Served, Server, serve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from timing import Timed

PROMPT = 2_000
NAMES = {
    "tool": ("CrewAI tool.run, 10 rules + budget, 200 B", 60),
    "structured": ("CrewAI structured tool.invoke, 200 B", None),
    "atool": ("CrewAI tool.arun, 200 B", None),
    "executor": ("CrewAI native tool executor with no-op hooks, 200 B", None),
    "model": ("CrewAI fake-LLM call, 2 kB prompt", 80),
    "amodel": ("CrewAI fake-LLM acall, 2 kB prompt", None),
}


def cases(stack: ExitStack) -> list[Case]:
    """Every case of this file; none where CrewAI is not installed."""
    if find_spec("crewai") is None or find_spec("jackline_crewai") is None:
        print("skipped: the CrewAI rows, since crewai or jackline-crewai is not installed")
        return []
    governed, bare = (Server("crewai_calls.py", kind) for kind in ("governed", "bare"))
    stack.callback(governed.close)
    stack.callback(bare.close)
    return [Case(what, Served(governed, name), Served(bare, name), goal) for name, (what, goal) in NAMES.items()]


def tools() -> tuple[Any, Any]:
    """A tool as users write it, and one that is asynchronous."""
    from crewai.tools import BaseTool, tool

    class Search(BaseTool):
        name: str = "asearch"
        description: str = "Search the customers."

        def _run(self, query: str, limit: int = 5, region: str = "emea") -> str:
            return search(query, limit, region)

        async def _arun(self, query: str, limit: int = 5, region: str = "emea") -> str:
            return search(query, limit, region)

    @tool("search")
    def decorated(query: str, limit: int = 5, region: str = "emea") -> str:
        """Search the customers."""
        return search(query, limit, region)

    return decorated, Search()


def model() -> Any:
    """An LLM that answers at once and says what it used."""
    from crewai import BaseLLM

    class Fake(BaseLLM):
        def supports_function_calling(self) -> bool:
            return True

        def call(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
            self._track_token_usage_internal({"prompt_tokens": 520, "completion_tokens": 12})
            return "done"

        async def acall(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
            self._track_token_usage_internal({"prompt_tokens": 520, "completion_tokens": 12})
            return "done"

    return Fake(model="gpt-4o-mini")


def executor(item: Any) -> Any:
    """What runs the tool calls of an agent's model, with hooks that do nothing."""
    from crewai import Agent, Task
    from crewai.hooks import register_after_tool_call_hook, register_before_tool_call_hook

    register_before_tool_call_hook(lambda _context: None)
    register_after_tool_call_hook(lambda _context: None)
    agent = Agent(role="bench", goal="g", backstory="b", llm=model(), tools=[item])
    agent.create_agent_executor(task=Task(description="d", expected_output="x", agent=agent))
    agent.agent_executor._setup_native_tools()
    return agent.agent_executor


def offers(kind: str, stack: ExitStack) -> Mapping[str, Timed]:
    os.environ.update(CREWAI_DISABLE_TELEMETRY="true", CREWAI_TRACING_ENABLED="false", CREWAI_TESTING="true")
    from crewai.events.utils.console_formatter import set_suppress_console_output

    set_suppress_console_output(True)
    decorated, own = tools()
    fake = model()
    structured = decorated.to_structured_tool()
    loop = asyncio.new_event_loop()
    stack.callback(loop.close)
    if kind == "governed":
        import jackline_crewai

        guard = guarded(stack, bundles.ten_rules_and_a_budget())
        jackline_crewai.enable(guard)
        stack.enter_context(guard.session(id="bench"))
    runs = executor(decorated)
    small = itertools.cycle(bundles.texts(SMALL, 5_000))
    system = {"role": "system", "content": "You help customers. " * 25}
    length = PROMPT - len(system["content"])
    prompts = itertools.cycle([f"{place:06d}".ljust(length, "x") for place in range(500)])

    def asked() -> list[Any]:
        return [system, {"role": "user", "content": next(prompts)}]

    def wanted() -> dict[str, Any]:
        return {"id": "c1", "function": {"name": "search", "arguments": json.dumps({"query": next(small)})}}

    return {
        "tool": Local(lambda: decorated.run(query=next(small))),
        "structured": Local(lambda: structured.invoke({"query": next(small)})),
        "atool": Async(lambda: own.arun(query=next(small)), loop),
        "executor": Local(lambda: (runs._tool_call_counts.clear(), runs._execute_single_native_tool_call(wanted()))),
        "model": Local(lambda: fake.call(asked())),
        "amodel": Async(lambda: fake.acall(asked()), loop),
    }


if __name__ == "__main__":
    with ExitStack() as opened:
        serve(offers(sys.argv[1], opened))
