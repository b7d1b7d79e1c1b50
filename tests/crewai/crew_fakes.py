"""Scripted models and real tools that count what they did: what the tests of this folder have under a guard."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from typing import Any

from crewai import Agent, BaseLLM, Crew, Task
from crewai.llms.base_llm import llm_call_context
from crewai.tools import BaseTool, tool

MODEL = "gpt-4o-mini"


class Scripted(BaseLLM):
    """Answers from its script, an item a call: text, tool calls, an exception to raise, or what makes one of them."""

    calls_tools: bool = True
    script: Any = None
    seen: Any = None
    """What each call received: the messages, as text."""
    limits: Any = None
    """`max_tokens` as it was in each call."""
    usage: Any = (10, 5)

    def supports_function_calling(self) -> bool:
        return self.calls_tools

    def get_context_window_size(self) -> int:
        return 1_000_000

    def get_input_tokens_count(self, messages: Any, tools: Any = None, response_model: Any = None) -> int:
        return len(str(messages)) // 4

    def call(
        self,
        messages: Any,
        tools: Any = None,
        callbacks: Any = None,
        available_functions: Any = None,
        from_task: Any = None,
        from_agent: Any = None,
        response_model: Any = None,
    ) -> Any:
        asked = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
        self.seen.append(json.dumps(asked, default=str))
        self.limits.append(self.max_tokens)
        if self.usage is not None:
            self._track_token_usage_internal({"prompt_tokens": self.usage[0], "completion_tokens": self.usage[1]})
        answer = self.script.pop(0) if self.script else ("done" if self.calls_tools else final("done"))
        answer = answer() if callable(answer) else answer
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, list) and available_functions:
            wanted = answer[0]["function"]
            with llm_call_context():
                return self._handle_tool_execution(
                    wanted["name"], json.loads(wanted["arguments"]), available_functions, from_task, from_agent
                )
        return answer

    async def acall(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(0)
        return type(self).call(self, messages, *args, **kwargs)

    @property
    def calls(self) -> int:
        return len(self.seen)


def fake(*script: Any, native: bool = True, kind: type[Scripted] = Scripted, **fields: Any) -> Any:
    return kind(model=MODEL, calls_tools=native, script=list(script), seen=[], limits=[], **fields)


def calling(*pairs: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Tool calls as a provider with function calling gives them."""
    return [
        {"id": f"c{place}", "type": "function", "function": {"name": name, "arguments": json.dumps(args)}}
        for place, (name, args) in enumerate(pairs)
    ]


def final(text: str) -> str:
    return f"Thought: I now can give a great answer\nFinal Answer: {text}"


def asking(native: bool, name: str, args: dict[str, Any]) -> Any:
    """The same tool call, native or in text."""
    return calling((name, args)) if native else f"Thought: a tool\nAction: {name}\nAction Input: {json.dumps(args)}"


class Bodies:
    """Real tools; `ran` counts how often each body was entered, `got` keeps what it received."""

    def __init__(self) -> None:
        self.ran: Counter[str] = Counter()
        self.got: list[tuple[str, dict[str, Any]]] = []
        self._lock = threading.Lock()

    def enter(self, name: str, **got: Any) -> None:
        with self._lock:
            self.ran[name] += 1
            self.got.append((name, got))

    def mail(self, **more: Any) -> Any:
        """Its result holds a key."""

        @tool("send_mail", **more)
        def send_mail(to: str, body: str = "") -> str:
            """Send a mail."""
            self.enter("send_mail", to=to, body=body)
            return f"sent to {to}, KEY=abc"

        return send_mail

    def amail(self) -> Any:
        @tool("send_mail")
        async def send_mail(to: str, body: str = "") -> str:
            """Send a mail."""
            await asyncio.sleep(0)
            self.enter("send_mail", to=to, body=body)
            return f"sent to {to}, KEY=abc"

        return send_mail

    def look(self) -> Any:
        @tool("look")
        def look(what: str) -> str:
            """Look something up."""
            self.enter("look", what=what)
            return f"{what} it is"

        return look

    def failing(self) -> Any:
        @tool("failing")
        def failing(what: str) -> str:
            """Always fails."""
            self.enter("failing", what=what)
            raise RuntimeError("no luck")

        return failing


class OwnRun(BaseTool):
    """A tool with a `run` of its own, which never comes to that of CrewAI's."""

    name: str = "own_run"
    description: str = "Overrides run."
    bodies: Any = None

    def _run(self, to: str) -> str:
        self.bodies.enter("own_run", to=to)
        return "KEY=abc"

    def run(self, *args: Any, **kwargs: Any) -> Any:
        self.bodies.enter("own_run", **kwargs)
        return "KEY=abc"


def agent(llm: Any, *tools: Any, role: str = "worker", **more: Any) -> Agent:
    return Agent(role=role, goal="g", backstory="b", llm=llm, tools=list(tools), **more)


def crew(llm: Any, *tools: Any, **more: Any) -> Crew:
    made = agent(llm, *tools, **more)
    return Crew(agents=[made], tasks=[Task(description="do it", expected_output="x", agent=made)])


def delegating(native: bool, *tools: Any, mailer: Any = None, boss: Any = ()) -> tuple[Crew, Any, Any]:
    """A boss that delegates to a mailer, which sends a mail; the crew and both models."""
    order = {"task": "mail it", "context": "ctx", "coworker": "mailer"}
    boss_llm = fake(asking(native, "delegate_work_to_coworker", order), *boss, native=native)
    mailer_llm = mailer or fake(asking(native, "send_mail", {"to": "sub"}), native=native)
    chief = agent(boss_llm, role="boss", allow_delegation=True)
    below = agent(mailer_llm, *tools, role="mailer")
    made = Crew(agents=[chief, below], tasks=[Task(description="do", expected_output="x", agent=chief)])
    return made, boss_llm, mailer_llm


MODES = ("kickoff", "kickoff_async", "akickoff")


def run(made: Any, mode: str = "kickoff") -> Any:
    """Kick a crew off in one of the three ways."""
    return made.kickoff() if mode == "kickoff" else asyncio.run(getattr(made, mode)())
