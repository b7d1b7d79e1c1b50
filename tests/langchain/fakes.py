"""Scripted models with honest usage, real tools that count what they did, and a recorder: the bodies under test."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import BaseCallbackHandler, CallbackManagerForLLMRun
from langchain_core.embeddings import Embeddings
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import tool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from langchain_core.documents import Document
    from langchain_core.tools import BaseTool

MODEL = "gpt-4o-mini"


def ai(
    content: Any = "", *calls: tuple[str, dict[str, Any], str], usage: tuple[int, int] | None = (10, 5)
) -> AIMessage:
    """An answer with tool calls (name, args, id) and the usage (input, output) that a provider would report."""
    return AIMessage(
        content=content,
        tool_calls=[{"name": name, "args": args, "id": call_id, "type": "tool_call"} for name, args, call_id in calls],
        usage_metadata=(
            {"input_tokens": usage[0], "output_tokens": usage[1], "total_tokens": sum(usage)} if usage else None
        ),
        response_metadata={"model_name": f"{MODEL}-2024-07-18"},
    )


class Scripted(BaseChatModel):
    """Answers from a script, by the number of answers already in the conversation; stateless but for its counters."""

    script: list[AIMessage] = []
    max_tokens: int | None = None
    seen: list[list[tuple[str, Any]]] = []
    """What the provider received, a call at a time: (type, content) of each message."""
    received: list[dict[str, Any]] = []
    """The keyword arguments of each call."""

    def __init__(self, *script: AIMessage, **fields: Any) -> None:
        super().__init__(script=list(script), seen=[], received=[], **fields)

    @property
    def calls(self) -> int:
        return len(self.seen)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        return {
            **super()._get_ls_params(stop=stop, **kwargs),
            "ls_model_name": MODEL,
            "ls_provider": "openai",
        }

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        return self.bind(tools=[offer(item) for item in tools], **kwargs)

    def _answer(self, messages: list[BaseMessage], kwargs: dict[str, Any]) -> AIMessage:
        self.seen.append([(message.type, message.content) for message in messages])
        self.received.append(kwargs)
        given = sum(isinstance(message, AIMessage) for message in messages)
        answer = self.script[min(given, len(self.script) - 1)]
        return answer.model_copy(deep=True, update={"id": None})

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        answer = self._answer(messages, kwargs)
        return ChatResult(generations=[ChatGeneration(message=answer)], llm_output={"model_name": MODEL})


def offer(item: Any) -> Any:
    """What a provider is sent for a tool."""
    if isinstance(item, dict):
        return item
    schema = item.tool_call_schema
    parameters = schema if isinstance(schema, dict) else schema.model_json_schema()
    return {
        "type": "function",
        "function": {"name": item.name, "description": item.description, "parameters": parameters},
    }


def chunks(answer: AIMessage) -> Iterator[ChatGenerationChunk]:
    """An answer as a provider streams it: word by word, then the tool calls and the usage."""
    words = str(answer.content).split(" ") if answer.content else []
    for place, word in enumerate(words):
        yield ChatGenerationChunk(message=AIMessageChunk(content=f"{' ' if place else ''}{word}"))
    yield ChatGenerationChunk(
        message=AIMessageChunk(
            content="",
            tool_call_chunks=[
                {"name": call["name"], "args": json.dumps(call["args"]), "id": call["id"], "index": place}
                for place, call in enumerate(answer.tool_calls)
            ],
            usage_metadata=answer.usage_metadata,
            response_metadata=dict(answer.response_metadata),
        )
    )


class Streaming(Scripted):
    """The same, streamed; it reports tokens from inside `_stream`, as older provider packages do."""

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in chunks(self._answer(messages, kwargs)):
            if run_manager:
                run_manager.on_llm_new_token(str(chunk.message.content), chunk=chunk)
            yield chunk


class AsyncStreaming(Streaming):
    """The same, with an asynchronous stream of its own."""

    async def _astream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in chunks(self._answer(messages, kwargs)):
            await asyncio.sleep(0)
            if run_manager:
                await run_manager.on_llm_new_token(str(chunk.message.content), chunk=chunk)
            yield chunk


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

    def search(self) -> BaseTool:
        @tool
        def search(query: str, limit: int = 3) -> str:
            """Search the customer base."""
            self.enter("search", query=query, limit=limit)
            return f"{limit} results for {query}"

        return search

    def refund(self) -> BaseTool:
        @tool
        def refund(order: str, amount: float) -> str:
            """Pay a customer back."""
            self.enter("refund", order=order, amount=amount)
            return f"refunded {amount} for {order}"

        return refund

    def asearch(self) -> BaseTool:
        @tool
        async def search(query: str, limit: int = 3) -> str:
            """Search the customer base."""
            self.enter("search", query=query, limit=limit)
            return f"{limit} results for {query}"

        return search

    def arefund(self) -> BaseTool:
        @tool
        async def refund(order: str, amount: float) -> str:
            """Pay a customer back."""
            self.enter("refund", order=order, amount=amount)
            return f"refunded {amount} for {order}"

        return refund


class Recorder(BaseCallbackHandler):
    """What another tracer sees: (event, run id, detail)."""

    run_inline = True
    raise_error = True

    def __init__(self) -> None:
        self.events: list[tuple[str, Any, Any]] = []

    def names(self) -> list[str]:
        return [name for name, _, _ in self.events]

    def on_chain_start(self, serialized: Any, inputs: Any, *, run_id: Any, **kwargs: Any) -> None:
        self.events.append(("chain_start", run_id, kwargs.get("name")))

    def on_chain_end(self, outputs: Any, *, run_id: Any, **kwargs: Any) -> None:
        self.events.append(("chain_end", run_id, outputs))

    def on_chain_error(self, error: BaseException, *, run_id: Any, **kwargs: Any) -> None:
        self.events.append(("chain_error", run_id, error))

    def on_chat_model_start(self, serialized: Any, messages: Any, *, run_id: Any, **kwargs: Any) -> None:
        self.events.append(("model_start", run_id, messages))

    def on_llm_new_token(self, token: str, *, run_id: Any, **kwargs: Any) -> None:
        self.events.append(("token", run_id, token))

    def on_llm_end(self, response: Any, *, run_id: Any, **kwargs: Any) -> None:
        self.events.append(("model_end", run_id, response))

    def on_llm_error(self, error: BaseException, *, run_id: Any, **kwargs: Any) -> None:
        self.events.append(("model_error", run_id, error))

    def on_tool_start(self, serialized: Any, input_str: str, *, run_id: Any, **kwargs: Any) -> None:
        self.events.append(("tool_start", run_id, kwargs.get("inputs")))

    def on_tool_end(self, output: Any, *, run_id: Any, **kwargs: Any) -> None:
        self.events.append(("tool_end", run_id, output))

    def on_tool_error(self, error: BaseException, *, run_id: Any, **kwargs: Any) -> None:
        self.events.append(("tool_error", run_id, error))


class Library(BaseRetriever):
    """A retriever that keeps its queries."""

    documents: list[Any] = []
    queries: list[str] = []

    def __init__(self, *documents: Document) -> None:
        super().__init__(documents=list(documents), queries=[])

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        self.queries.append(query)
        return list(self.documents)


class Vectors(Embeddings):
    """An embedding model that keeps its texts."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.texts.extend(texts)
        return [[float(len(text))] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]
