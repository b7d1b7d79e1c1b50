"""The demo's agents: CrewAI agents with a scripted LLM that counts its usage from what it really received."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

from jackline.demo.agents import BYTES_PER_TOKEN, MODEL, PROVIDER, Job, Ran, Turn, tokens
from jackline.errors import Halted

for _switch in ("CREWAI_DISABLE_TELEMETRY", "CREWAI_DISABLE_TRACKING", "CREWAI_DISABLE_VERSION_CHECK"):
    os.environ.setdefault(_switch, "true")
os.environ.setdefault("CREWAI_TRACING_ENABLED", "false")

from crewai import Agent, BaseLLM  # noqa: E402 - CrewAI reads its switches when it is imported: the demo sends nothing
from crewai.events.utils.console_formatter import set_suppress_console_output  # noqa: E402
from crewai.tools import tool  # noqa: E402

from jackline_crewai.adapter import CrewAIAdapter  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackline.adapter import Adapter
    from jackline.guard import Guard

_TURNS = 1000


class _OurGuard(CrewAIAdapter):
    """Remembers the guard: it names the session of each job, which CrewAI has no name for."""

    guard: Guard | None = None

    def enable(self, guard: Guard) -> None:
        """Govern the process."""
        super().enable(guard)
        self.guard = guard

    def disable(self, guard: Guard) -> None:
        """Govern it no longer."""
        self.guard = None
        super().disable(guard)


class ScriptedLLM(BaseLLM):
    """Answers by the number of answers in the conversation; usage is honest: bytes received and written, by four."""

    script: Any = None
    used: Any = None
    """Input and output tokens of each call."""

    def supports_function_calling(self) -> bool:
        """Tools are asked for as providers do, not in text."""
        return True

    def get_context_window_size(self) -> int:
        """No conversation of the demo is shortened."""
        return 10_000_000

    def get_input_tokens_count(self, messages: Any, tools: Any = None, response_model: Any = None) -> int:
        """Every text counts as the usage counts it."""
        return tokens(sum(map(_size, messages)))

    def call(self, messages: Any, tools: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Answer a conversation."""
        asked = self._format_messages(messages)
        number = sum(message["role"] == "assistant" for message in asked)
        turn: Turn = self.script(number)
        limit = self.max_tokens
        text = turn.text if limit is None else turn.text[: int(limit) * BYTES_PER_TOKEN]
        entering = tokens(sum(map(_size, asked)) + len(json.dumps(tools or [])))
        leaving = max(1, tokens(len(text.encode()) + len(json.dumps(turn.calls))))
        self.used.append((entering, leaving))
        self._track_token_usage_internal({"prompt_tokens": entering, "completion_tokens": leaving})
        calls = [
            {
                "id": f"call-{number}-{place}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(args)},
            }
            for place, (name, args) in enumerate(turn.calls)
        ]
        return calls or text

    async def acall(self, messages: Any, tools: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As `call`."""
        return self.call(messages, tools, *args, **kwargs)


class Agents:
    """CrewAI's agents for the demo."""

    def __init__(self) -> None:
        self._adapter = _OurGuard()

    def adapter(self) -> Adapter:
        """The adapter that governs them."""
        return self._adapter

    def run(self, job: Job) -> Ran:
        """Run one session of a real agent; CrewAI's panels stay off the console."""
        set_suppress_console_output(True)
        llm = ScriptedLLM(model=MODEL, provider=PROVIDER, script=job.script, used=[])
        agent = Agent(
            role=job.agent,
            goal="Help with what you are asked.",
            backstory=job.system,
            llm=llm,
            tools=[_tool(body) for body in job.tools],
            max_iter=_TURNS,
        )
        guard = self._adapter.guard
        with guard.session(id=job.session) if guard is not None else contextlib.nullcontext():
            try:
                answer: Any = agent.kickoff(job.task)
            except Halted as halted:
                return Ran("", llm.used, str(halted))
        return Ran(str(answer.raw), llm.used)


def _tool(body: Callable[..., Any]) -> Any:
    return tool(body.__name__)(body)


def _size(message: Any) -> int:
    if isinstance(message, str):
        return len(message.encode())
    calls = message.get("tool_calls")
    return len(str(message.get("content") or "").encode()) + (len(json.dumps(calls)) if calls else 0)
