"""Agents of three frameworks that are built and asked alike, on scripted models with the same honest usage."""

from __future__ import annotations

import asyncio
import contextvars
import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crewai import Agent, BaseLLM, Crew, Task
from crewai.tools import tool as crew_tool
from langchain.agents import create_agent
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import StructuredTool
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ToolCallBlock
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.llms import ChatMessage, ChatResponse, LLMMetadata, MessageRole, TextBlock
from llama_index.core.llms.callbacks import llm_chat_callback
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.tools import FunctionTool, ToolSelection

from jackline.bundle import Bundle, Entry, load_bundle
from jackline.guard import Guard
from jackline.home import Home
from jackline.opening import load_prices
from jackline.testing.paths import MODEL, PROVIDER, USAGE, Call, Step
from jackline_crewai import CrewAIAdapter
from jackline_langchain import LangChainAdapter
from jackline_llamaindex import LlamaIndexAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
    from pathlib import Path

PRICES = f"prices: [{{model: {MODEL}, input: 1, output: 5}}]"
MICRO_USD = USAGE[0] * 1 + USAGE[1] * 5
"""What one call of a scripted model costs at these prices."""
TASK = "please see to it"


class Counts:
    """What really happened: model calls by agent, tools' bodies by name, what each model was told."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.ran: Counter[str] = Counter()
        self.told: dict[str, list[str]] = {}
        self._lock = threading.Lock()

    def ask(self, agent: str, told: list[str]) -> None:
        with self._lock:
            self.asked[agent] += 1
            self.told[agent] = told

    def run(self, tool: str) -> str:
        with self._lock:
            self.ran[tool] += 1
        return f"{tool} is done"


@dataclass
class Script:
    """What one agent's model answers: by how many of its answers are in the conversation already."""

    agent: str
    steps: Sequence[Step]
    counts: Counts

    def next(self, answers: int, told: list[str]) -> Step:
        self.counts.ask(self.agent, told)
        step = self.steps[min(answers, len(self.steps) - 1)]
        return Step(step.text.replace("{told}", told[-1] if told else "nothing"), step.calls)


# --- LangChain


class LangChainModel(BaseChatModel):
    script: Any

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        return {**super()._get_ls_params(stop=stop, **kwargs), "ls_model_name": MODEL, "ls_provider": PROVIDER}

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        return self.bind(tools=[{"type": "function", "function": {"name": item.name}} for item in tools], **kwargs)

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        turn = sum(isinstance(message, AIMessage) for message in messages)
        step = self.script.next(turn, [str(item.content) for item in messages if item.type == "tool"])
        answer = AIMessage(
            content=step.text,
            tool_calls=[
                {"name": call.tool, "args": call.args, "id": f"c{turn}-{place}", "type": "tool_call"}
                for place, call in enumerate(step.calls)
            ],
            usage_metadata={"input_tokens": USAGE[0], "output_tokens": USAGE[1], "total_tokens": sum(USAGE)},
            response_metadata={"model_name": MODEL},
        )
        return ChatResult(generations=[ChatGeneration(message=answer)])


class LangChain:
    """Agents made with `create_agent`."""

    framework = "langchain"

    def __init__(self, script: Script, tools: Sequence[Callable[..., Any]]) -> None:
        self.made: Any = create_agent(
            LangChainModel(script=script), [self.tool(each) for each in tools], name=script.agent
        )

    @staticmethod
    def tool(body: Callable[..., Any]) -> Any:
        if asyncio.iscoroutinefunction(body):
            return StructuredTool.from_function(coroutine=body)
        return StructuredTool.from_function(body)

    def ask(self, text: str) -> str:
        return str(self.made.invoke({"messages": [("user", text)]})["messages"][-1].content)

    async def aask(self, text: str) -> str:
        return str((await self.made.ainvoke({"messages": [("user", text)]}))["messages"][-1].content)


# --- CrewAI


class CrewModel(BaseLLM):
    script: Any = None

    def supports_function_calling(self) -> bool:
        return True

    def get_context_window_size(self) -> int:
        return 1_000_000

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        turn = sum(message["role"] == "assistant" for message in messages)
        told = [str(message.get("content")) for message in messages if message["role"] == "tool"]
        step = self.script.next(turn, told)
        self._track_token_usage_internal({"prompt_tokens": USAGE[0], "completion_tokens": USAGE[1]})
        return [
            {
                "id": f"c{turn}-{place}",
                "type": "function",
                "function": {"name": call.tool, "arguments": json.dumps(call.args)},
            }
            for place, call in enumerate(step.calls)
        ] or step.text

    async def acall(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(0)
        return self.call(messages, *args, **kwargs)


class CrewAI:
    """Crews of one agent."""

    framework = "crewai"

    def __init__(self, script: Script, tools: Sequence[Callable[..., Any]]) -> None:
        self.script = script
        self.tools = [crew_tool(body.__name__)(body) for body in tools]

    def crew(self, text: str) -> Crew:
        llm = CrewModel(model=MODEL, provider=PROVIDER, script=self.script)
        agent = Agent(role=self.script.agent, goal="do it", backstory="none", llm=llm, tools=self.tools)
        return Crew(agents=[agent], tasks=[Task(description=text, expected_output="a report", agent=agent)])

    def ask(self, text: str) -> str:
        return str(self.crew(text).kickoff().raw)

    async def aask(self, text: str) -> str:
        return str((await self.crew(text).akickoff()).raw)


# --- LlamaIndex


class LlamaModel(FunctionCallingLLM):
    _script: Any = PrivateAttr()

    def __init__(self, script: Script) -> None:
        super().__init__()
        self._script = script

    @classmethod
    def class_name(cls) -> str:
        return "openai_llm"

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name=MODEL, is_chat_model=True, is_function_calling_model=True, context_window=128_000)

    def _answer(self, messages: Sequence[ChatMessage]) -> ChatResponse:
        turn = sum(message.role == MessageRole.ASSISTANT for message in messages)
        told = [message.content or "" for message in messages if message.role == MessageRole.TOOL]
        step = self._script.next(turn, told)
        calls = [
            ToolCallBlock(tool_call_id=f"c{turn}-{place}", tool_name=call.tool, tool_kwargs=call.args)
            for place, call in enumerate(step.calls)
        ]
        usage = {"prompt_tokens": USAGE[0], "completion_tokens": USAGE[1], "total_tokens": sum(USAGE)}
        message = ChatMessage(role="assistant", blocks=[TextBlock(text=step.text), *calls])
        return ChatResponse(message=message, delta=step.text, raw={"model": MODEL, "usage": usage})

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return self._answer(messages)

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return self._answer(messages)

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> AsyncIterator[ChatResponse]:
        async def pieces() -> AsyncIterator[ChatResponse]:
            yield self._answer(messages)

        return pieces()

    def stream_chat(self, messages: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        raise NotImplementedError

    acomplete = stream_complete = astream_complete = complete

    def _prepare_chat_with_tools(
        self, tools: Any, user_msg: Any = None, chat_history: Any = None, verbose: bool = False, **kwargs: Any
    ) -> dict[str, Any]:
        messages = [*(chat_history or []), *([user_msg] if user_msg else [])]
        return {"messages": messages, "tools": [item.metadata.to_openai_tool() for item in tools]}

    def get_tool_calls_from_response(self, response: ChatResponse, **kwargs: Any) -> list[ToolSelection]:
        calls = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
        return [
            ToolSelection(tool_id=call.tool_call_id or "", tool_name=call.tool_name, tool_kwargs=dict(call.tool_kwargs))
            for call in calls
        ]


class LlamaIndex:
    """Function agents."""

    framework = "llamaindex"

    def __init__(self, script: Script, tools: Sequence[Callable[..., Any]]) -> None:
        made = [
            FunctionTool.from_defaults(async_fn=body)
            if asyncio.iscoroutinefunction(body)
            else FunctionTool.from_defaults(body)
            for body in tools
        ]
        self.made = FunctionAgent(name=script.agent, description="Works.", llm=LlamaModel(script), tools=made)

    def ask(self, text: str) -> str:
        return waited(lambda: self.aask(text))

    async def aask(self, text: str) -> str:
        return str(await self.made.run(user_msg=text))


def waited(make: Callable[[], Coroutine[Any, Any, str]], *, bare: bool = False) -> str:
    """Run a coroutine to its end; in a thread of its own where a loop runs here (or always, in a `bare` one)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        if not bare:
            return asyncio.run(make())
    around = contextvars.Context() if bare else contextvars.copy_context()
    with ThreadPoolExecutor(1) as pool:
        if bare:
            return pool.submit(lambda: asyncio.run(make())).result()
        return pool.submit(around.run, lambda: asyncio.run(make())).result()


FRAMEWORKS: dict[str, Any] = {kind.framework: kind for kind in (LangChain, CrewAI, LlamaIndex)}


class World:
    """Makes guards and agents for one test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.counts = Counts()
        self.made: list[Guard] = []

    def guard(self, *policies: Any, bundle: str = "", **options: Any) -> Guard:
        """A guard that governs every framework of the process, of `policies` and of a bundle in YAML."""
        home = Home(self.folder / f"home{len(self.made)}").make()
        (home.path / "prices.yaml").write_text(PRICES, encoding="utf-8")
        entries = tuple(Entry(f"p{place}", "test", policy, None) for place, policy in enumerate(policies))
        prices = load_prices(home)
        if bundle:
            entries += load_bundle(f"jackline: 1\npolicies:\n{bundle}".encode(), prices=lambda: prices).entries
        made = Guard(
            Bundle(revision="0" * 64, source="test", entries=entries),
            home=home.path,
            prices=prices,
            **{"application": "tests", **options},
        )
        self.made.append(made)
        for adapter in (LangChainAdapter, CrewAIAdapter, LlamaIndexAdapter):
            made.enable(adapter())
        return made

    def agent(self, framework: str, name: str, steps: Sequence[Step], *tools: Callable[..., Any]) -> Any:
        """An agent that follows a script."""
        return FRAMEWORKS[framework](Script(name, steps, self.counts), tools)

    def chain(self, *frameworks: str, mode: str = "sync", leaf: Callable[..., Any] | None = None) -> Any:
        """Agents `a0`, `a1`, ... each of which asks the next one by a tool of its own; the last one has the tool `pay`.

        Each repeats what it was told by its tool.
        """
        below = leaf or self.pay(mode)
        made: Any = None
        for place, framework in reversed(list(enumerate(frameworks))):
            steps = (Step(calls=(Call(below.__name__, {"text": TASK}),)), Step("I was told: {told}"))
            made = self.agent(framework, f"a{place}", steps, below)
            below = asking(made, f"a{place}", mode)
        return made

    def pay(self, mode: str = "sync") -> Callable[..., Any]:
        """The tool of the innermost agent."""

        def pay(text: str) -> str:
            """Pay a customer back."""
            return self.counts.run("pay")

        async def apay(text: str) -> str:
            """Pay a customer back."""
            return self.counts.run("pay")

        apay.__name__ = "pay"
        return apay if mode == "async" else pay

    def close(self) -> None:
        for guard in self.made:
            guard.close()


def asking(agent: Any, name: str, mode: str) -> Callable[..., Any]:
    """A tool that asks another agent: in the caller's thread, awaited, or in a thread without the caller's context."""

    def ask(text: str) -> str:
        """Let another agent do it."""
        if mode == "thread":
            return waited(lambda: agent.aask(text), bare=True)
        return str(agent.ask(text))

    async def aask(text: str) -> str:
        """Let another agent do it."""
        return str(await agent.aask(text))

    found = aask if mode == "async" else ask
    found.__name__ = f"ask_{name}"
    return found


def run(agent: Any, mode: str = "sync") -> str:
    """Ask the outermost agent."""
    return str(asyncio.run(agent.aask(TASK)) if mode == "async" else agent.ask(TASK))
