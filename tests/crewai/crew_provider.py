"""What the conformance suite's paths run on: models as CrewAI's own providers are, and tools, ending in the suite's bodies."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

from crewai import BaseLLM
from crewai.events.types.llm_events import LLMCallType
from crewai.llms.base_llm import llm_call_context
from crewai.tools import BaseTool, tool
from pydantic import Field

from jackline.testing.paths import MODEL, PROVIDER, USAGE, Call, Job, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

_REPORTED = {"prompt_tokens": USAGE[0], "completion_tokens": USAGE[1], "total_tokens": sum(USAGE)}
_OBSERVED = re.compile(r"Observation: (.*)", re.DOTALL)


def native(step: Step, turn: int) -> Any:
    """An answer as a provider with function calling gives it: words, or tool calls."""
    return [
        {
            "id": f"c{turn}-{place}",
            "type": "function",
            "function": {"name": call.tool, "arguments": json.dumps(call.args)},
        }
        for place, call in enumerate(step.calls)
    ] or step.text


def react(step: Step) -> str:
    """An answer as text: a thought and an action, or the final answer."""
    if step.calls:
        (call,) = step.calls
        return f"Thought: a tool is needed\nAction: {call.tool}\nAction Input: {json.dumps(call.args)}"
    return f"Thought: I now can give a great answer\nFinal Answer: {step.text}"


def told(messages: list[Any]) -> list[str]:
    """What the model was told of its tool calls, in order."""
    found = []
    for message in messages:
        text = str(message.get("content") or "")
        if message["role"] == "tool":
            found.append(text)
        elif message["role"] == "assistant":
            found += _OBSERVED.findall(text)
    return found


class Provider(BaseLLM):
    """Follows the job's script by the number of answers in the conversation, with events, hooks and usage as OpenAI's."""

    job: Any = Field(default=None, repr=False)
    calls_tools: bool = True
    """Native function calling; else tools are asked for in text."""
    earlier: Any = ()
    """What was told in the conversations before this one, where a crew is kicked off several times."""

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
        with llm_call_context():
            return self._respond(messages, tools, available_functions, from_task, from_agent)

    async def acall(
        self,
        messages: Any,
        tools: Any = None,
        callbacks: Any = None,
        available_functions: Any = None,
        from_task: Any = None,
        from_agent: Any = None,
        response_model: Any = None,
    ) -> Any:
        await asyncio.sleep(0)
        with llm_call_context():
            return self._respond(messages, tools, available_functions, from_task, from_agent)

    def _respond(self, messages: Any, tools: Any, functions: Any, task: Any, agent: Any) -> Any:
        asked = self._format_messages(messages)
        whose = {"from_task": task, "from_agent": agent}
        self._emit_call_started_event(messages=messages, tools=tools, available_functions=functions, **whose)
        self._invoke_before_llm_call_hooks(asked, agent)
        answer = self.answer(asked, functions)
        self._track_token_usage_internal(dict(_REPORTED))
        if self._effective_stream():
            for text, wanted in pieces(answer):
                self._emit_stream_chunk_event(text, tool_call=wanted, response_id="r", **whose)
        if isinstance(answer, list) and functions:
            call = answer[0]["function"]
            return self._handle_tool_execution(call["name"], json.loads(call["arguments"]), functions, task, agent)
        kind = LLMCallType.TOOL_CALL if isinstance(answer, list) else LLMCallType.LLM_CALL
        self._emit_call_completed_event(answer, kind, messages=asked, usage=dict(_REPORTED), **whose)
        return self._invoke_after_llm_call_hooks(asked, answer, agent) if isinstance(answer, str) else answer

    def answer(self, messages: list[Any], functions: Any) -> Any:
        self.job.bodies.receive("\n".join(map(shown, messages)))
        turn = sum(message["role"] == "assistant" for message in messages)
        if turn == 0:
            self.earlier = list(self.job.told)
        self.job.told[:] = [*self.earlier, *told(messages)]
        step = self.job.step(turn)
        return native(step, turn) if self.calls_tools else react(step)


class Custom(Provider):
    """A model of somebody's own: it tells of no call, and counts its tokens in the instance only."""

    def _respond(self, messages: Any, tools: Any, functions: Any, task: Any, agent: Any) -> Any:
        self._track_token_usage_internal(dict(_REPORTED))
        return self.answer(self._format_messages(messages), functions)


class Boss(Provider):
    """Another agent's model: it hands the task on once, then repeats what it was told. It is not counted."""

    coworker: str = "worker"
    repeated: str = ""

    def answer(self, messages: list[Any], functions: Any) -> Any:
        heard = told(messages)
        if heard:
            step = Step(heard[-1])
            return native(step, 1) if self.calls_tools else react(step)
        args = {"task": self.job.prompt, "context": "none", "coworker": self.coworker}
        step = Step(calls=(Call("delegate_work_to_coworker", args),))
        return native(step, 0) if self.calls_tools else react(step)


def model(job: Job, kind: type[Provider] = Provider, **more: Any) -> Any:
    return kind(model=MODEL, provider=PROVIDER, job=job, **more)


def shown(message: Any) -> str:
    return f"{message.get('content')} {message.get('tool_calls', '')}"


def pieces(answer: Any) -> Iterator[tuple[str, Any]]:
    """An answer as a provider streams it: word by word, or the arguments of each call."""
    if isinstance(answer, list):
        for place, call in enumerate(answer):
            yield call["function"]["arguments"], {**call, "index": place}
        return
    for place, word in enumerate(answer.split(" ")):
        yield f"{' ' if place else ''}{word}", None


def tools(job: Job) -> list[Any]:
    """Made by the decorator."""

    @tool("pay")
    def pay(order: str, amount: float) -> str:
        """Pay a customer back."""
        return job.bodies.run("pay", order=order, amount=amount)

    @tool("find")
    def find(query: str) -> str:
        """Search the customer base."""
        return job.bodies.run("find", query=query)

    return [pay, find]


def async_tools(job: Job) -> list[Any]:
    """Made by the decorator, of coroutine functions."""

    @tool("pay")
    async def pay(order: str, amount: float) -> str:
        """Pay a customer back."""
        await asyncio.sleep(0)
        return job.bodies.run("pay", order=order, amount=amount)

    @tool("find")
    async def find(query: str) -> str:
        """Search the customer base."""
        await asyncio.sleep(0)
        return job.bodies.run("find", query=query)

    return [pay, find]


class Pay(BaseTool):
    name: str = "pay"
    description: str = "Pay a customer back."
    job: Any = None

    def _run(self, order: str, amount: float) -> str:
        return self.job.bodies.run("pay", order=order, amount=amount)


class Find(BaseTool):
    name: str = "find"
    description: str = "Search the customer base."
    job: Any = None

    def _run(self, query: str) -> str:
        return self.job.bodies.run("find", query=query)


def class_tools(job: Job) -> list[Any]:
    """Classes of one's own."""
    return [Pay(job=job), Find(job=job)]
