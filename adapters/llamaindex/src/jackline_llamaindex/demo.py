"""The demo's agents: `FunctionAgent` with a scripted model that counts its usage from what it really received."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ToolCallBlock
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.llms import ChatMessage, ChatResponse, CompletionResponse, LLMMetadata, MessageRole, TextBlock
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools import FunctionTool, ToolSelection

from jackline.demo.agents import MODEL, PROVIDER, Job, Ran, Turn, tokens
from jackline.errors import Halted
from jackline_llamaindex.adapter import LlamaIndexAdapter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Sequence

    from llama_index.core.tools import BaseTool

    from jackline.adapter import Adapter

_ITERATIONS = 1000


class ScriptedModel(FunctionCallingLLM):
    """Answers by the number of answers in the conversation; usage is honest: bytes received and written, by four."""

    max_tokens: int | None = None
    provider: str = PROVIDER
    _script: Callable[[int], Turn] = PrivateAttr()
    _usage: list[tuple[int, int]] = PrivateAttr(default_factory=list)

    def __init__(self, script: Callable[[int], Turn]) -> None:
        super().__init__()
        self._script = script

    @property
    def metadata(self) -> LLMMetadata:
        """What agents ask of a model."""
        return LLMMetadata(model_name=MODEL, is_chat_model=True, is_function_calling_model=True, context_window=128_000)

    @property
    def usage(self) -> list[tuple[int, int]]:
        """Input and output tokens of each call."""
        return self._usage

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Answer."""
        number = sum(message.role == MessageRole.ASSISTANT for message in messages)
        turn = self._script(number)
        received = sum(map(_size, messages)) + len(json.dumps(kwargs.get("tools") or []))
        limit = kwargs.get("max_tokens") or self.max_tokens
        text = turn.text if limit is None else turn.text[: limit * 4]
        used = tokens(received), max(1, tokens(len(text.encode()) + len(json.dumps(turn.calls))))
        self._usage.append(used)
        calls = [
            ToolCallBlock(tool_call_id=f"call-{number}-{place}", tool_name=name, tool_kwargs=args)
            for place, (name, args) in enumerate(turn.calls)
        ]
        message = ChatMessage(role=MessageRole.ASSISTANT, blocks=[TextBlock(text=text), *calls])
        counted = {"prompt_tokens": used[0], "completion_tokens": used[1], "total_tokens": sum(used)}
        return ChatResponse(message=message, delta=text, raw={"model": MODEL, "usage": counted})

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Answer."""
        return self.chat(messages, **kwargs)

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Generator[ChatResponse, None, None]:
        """Answer in one piece."""
        yield self.chat(messages, **kwargs)

    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> AsyncGenerator[ChatResponse, None]:
        """Answer in one piece, as agents ask."""

        async def pieces() -> AsyncGenerator[ChatResponse, None]:
            yield self.chat(messages, **kwargs)

        return pieces()

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Answer a text."""
        response = self.chat([ChatMessage(prompt)], **kwargs)
        return CompletionResponse(text=response.message.content or "", raw=response.raw)

    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Answer a text."""
        return self.complete(prompt, formatted, **kwargs)

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> Generator[CompletionResponse, None, None]:
        """Answer a text in one piece."""
        yield self.complete(prompt, formatted, **kwargs)

    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> AsyncGenerator[CompletionResponse, None]:
        """Answer a text in one piece."""

        async def pieces() -> AsyncGenerator[CompletionResponse, None]:
            yield self.complete(prompt, formatted, **kwargs)

        return pieces()

    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        messages = list(chat_history or [])
        if user_msg is not None:
            messages.append(user_msg if isinstance(user_msg, ChatMessage) else ChatMessage(user_msg))
        return {"messages": messages, "tools": [tool.metadata.to_openai_tool() for tool in tools]}

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        """The calls that an answer asks for."""
        return [
            ToolSelection(tool_id=block.tool_call_id or "", tool_name=block.tool_name, tool_kwargs=block.tool_kwargs)
            for block in response.message.blocks
            if isinstance(block, ToolCallBlock) and isinstance(block.tool_kwargs, dict)
        ]


class Agents:
    """LlamaIndex's agents for the demo."""

    def adapter(self) -> Adapter:
        """The adapter that governs them."""
        return LlamaIndexAdapter()

    def run(self, job: Job) -> Ran:
        """Run one session of a real agent."""
        return asyncio.run(_run(job))


async def _run(job: Job) -> Ran:
    model = ScriptedModel(job.script)
    own: list[BaseTool | Callable[..., Any]] = [FunctionTool.from_defaults(body) for body in job.tools]
    agent = FunctionAgent(name=job.agent, llm=model, tools=own, system_prompt=job.system)
    memory = ChatMemoryBuffer.from_defaults(tokenizer_fn=str.split)  # the default one wants a download
    try:
        answer = await agent.run(user_msg=job.task, memory=memory, max_iterations=_ITERATIONS, session_id=job.session)
    except Halted as halted:
        return Ran("", model.usage, str(halted))
    return Ran(str(answer), model.usage)


def _size(message: ChatMessage) -> int:
    calls = [(block.tool_name, block.tool_kwargs) for block in message.blocks if isinstance(block, ToolCallBlock)]
    return len((message.content or "").encode()) + (len(json.dumps(calls)) if calls else 0)
