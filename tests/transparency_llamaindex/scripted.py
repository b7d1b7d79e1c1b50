"""What the programs share: a model that follows a list, and tools that add up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.types import ToolCallBlock
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.llms import ChatMessage, ChatResponse, CompletionResponse, CustomLLM, LLMMetadata, TextBlock
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.tools import ToolSelection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

_USAGE = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}

Answer = str | list[tuple[str, dict[str, Any]]]
"""A text, or the calls (tool, arguments) that the model asks for."""


class Scripted(FunctionCallingLLM):
    """Gives one answer after another; `seen` keeps what it was sent."""

    _answers: list[Answer] = PrivateAttr()
    _seen: list[list[str]] = PrivateAttr(default_factory=list)

    def __init__(self, *answers: Answer) -> None:
        super().__init__()
        self._answers = list(answers)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(
            model_name="gpt-4o-mini", is_chat_model=True, is_function_calling_model=True, context_window=100_000
        )

    @property
    def seen(self) -> list[list[str]]:
        """Role and text of each message, a call at a time."""
        return self._seen

    def _next(self, messages: Sequence[ChatMessage]) -> tuple[str, list[ToolCallBlock]]:
        self._seen.append([f"{message.role.value}: {message.content}" for message in messages])
        answer = self._answers.pop(0) if self._answers else "done"
        if isinstance(answer, str):
            return answer, []
        turn = len(self._seen)
        return "", [
            ToolCallBlock(tool_call_id=f"t{turn}-{place}", tool_name=name, tool_kwargs=args)
            for place, (name, args) in enumerate(answer)
        ]

    def _whole(self, messages: Sequence[ChatMessage]) -> ChatResponse:
        text, calls = self._next(messages)
        message = ChatMessage(role="assistant", blocks=[TextBlock(text=text), *calls])
        return ChatResponse(message=message, raw={"usage": dict(_USAGE)})

    def _pieces(self, messages: Sequence[ChatMessage]) -> Iterator[ChatResponse]:
        text, calls = self._next(messages)
        whole = ""
        for letters in text.split(" ") if text else ():
            delta = f" {letters}" if whole else letters
            whole += delta
            yield ChatResponse(message=ChatMessage(role="assistant", content=whole), delta=delta, raw={"usage": None})
        blocks = [call.model_copy(update={"tool_kwargs": json.dumps(call.tool_kwargs)}) for call in calls]
        message = ChatMessage(role="assistant", blocks=[TextBlock(text=whole), *blocks])
        yield ChatResponse(message=message, delta="", raw={"usage": dict(_USAGE)})

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return self._whole(messages)

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return self._whole(messages)

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Iterator[ChatResponse]:
        return self._pieces(messages)

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> AsyncIterator[ChatResponse]:
        async def pieces() -> AsyncIterator[ChatResponse]:
            for piece in self._pieces(messages):
                yield piece

        return pieces()

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self._next([ChatMessage(prompt)])[0], raw={"usage": dict(_USAGE)})

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self._next([ChatMessage(prompt)])[0], raw={"usage": dict(_USAGE)})

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Iterator[CompletionResponse]:
        def pieces() -> Iterator[CompletionResponse]:
            whole = self._next([ChatMessage(prompt)])[0]
            yield CompletionResponse(text=whole, delta=whole)

        return pieces()

    @llm_completion_callback()
    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> AsyncIterator[CompletionResponse]:
        async def pieces() -> AsyncIterator[CompletionResponse]:
            whole = self._next([ChatMessage(prompt)])[0]
            yield CompletionResponse(text=whole, delta=whole)

        return pieces()

    def _prepare_chat_with_tools(
        self, tools: Any, user_msg: Any = None, chat_history: Any = None, **kwargs: Any
    ) -> dict[str, Any]:
        messages = list(chat_history or [])
        if user_msg:
            messages.append(ChatMessage(role="user", content=user_msg) if isinstance(user_msg, str) else user_msg)
        return {"messages": messages, "tools": [tool.metadata.to_openai_tool() for tool in tools]}

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        found = []
        for block in response.message.blocks:
            if isinstance(block, ToolCallBlock):
                args = json.loads(block.tool_kwargs) if isinstance(block.tool_kwargs, str) else block.tool_kwargs
                call = ToolSelection(tool_id=block.tool_call_id or "", tool_name=block.tool_name, tool_kwargs=args)
                found.append(call)
        if not found and error_on_no_tool_call:
            raise ValueError("Expected at least one tool call, but got 0 tool calls.")
        return found


class Words(CustomLLM):
    """A model that completes texts, one answer after another, without any decorator."""

    _answers: list[str] = PrivateAttr()
    _seen: list[str] = PrivateAttr(default_factory=list)

    def __init__(self, *answers: str) -> None:
        super().__init__()
        self._answers = list(answers)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="gpt-4o-mini", context_window=100_000)

    @property
    def seen(self) -> list[str]:
        return self._seen

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        self._seen.append(prompt)
        return CompletionResponse(text=self._answers.pop(0) if self._answers else "done", raw={"usage": dict(_USAGE)})

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Iterator[CompletionResponse]:
        whole = ""
        for word in self.complete(prompt).text.split(" "):
            delta = f" {word}" if whole else word
            whole += delta
            yield CompletionResponse(text=whole, delta=delta, raw={"usage": dict(_USAGE)})


class Letters(BaseEmbedding):
    """Texts as vectors: how often each of five letters stands in them."""

    def _get_query_embedding(self, query: str) -> list[float]:
        return [1.0 + query.count(letter) for letter in "aeiou"]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_query_embedding(text)


def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


async def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


def fail(why: str) -> str:
    """Fail."""
    raise ValueError(why)


def plain(event: Any) -> Any:
    """An event of an agent without what differs between two runs."""
    found: dict[str, Any] = {"event": type(event).__name__}
    for name in ("delta", "tool_name", "tool_kwargs", "tool_id", "current_agent_name", "return_direct", "msg"):
        if hasattr(event, name):
            found[name] = getattr(event, name)
    if len(str(found.get("tool_id", ""))) == 36:  # a new one each time
        found["tool_id"] = "new"
    if hasattr(event, "tool_output"):
        output = event.tool_output
        found["output"] = (output.content, str(output.raw_output), output.is_error, str(output.raw_input))
    if hasattr(event, "response"):
        found["response"] = getattr(event.response, "content", event.response)
    if hasattr(event, "tool_calls"):
        found["calls"] = [(call.tool_name, call.tool_kwargs) for call in event.tool_calls]
    return found


def messages(memory: Any) -> list[Any]:
    """What a memory holds."""
    return [(message.role.value, message.content, str(message.blocks)) for message in memory.get_all()]
