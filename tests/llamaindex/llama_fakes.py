"""What the tests run on: scripted models with honest usage, tools, a library and an embedding that end in `Bodies`."""

from __future__ import annotations

import ast
import json
from typing import TYPE_CHECKING, Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.types import ToolCallBlock
from llama_index.core.base.response.schema import Response
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.llms import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    CustomLLM,
    LLMMetadata,
    MessageRole,
    TextBlock,
)
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.query_engine import CustomQueryEngine
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.tools import AsyncBaseTool, BaseTool, FunctionTool, ToolMetadata, ToolOutput, ToolSelection
from pydantic import BaseModel

from jackline.testing.paths import MODEL, USAGE, Call, Job, Step

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

_COUNTS = {"prompt_tokens": USAGE[0], "completion_tokens": USAGE[1], "total_tokens": sum(USAGE)}
_FACTS = LLMMetadata(model_name=MODEL, is_chat_model=True, is_function_calling_model=True, context_window=128_000)


def raw(*, last: bool = True) -> dict[str, Any]:
    """What a provider's own answer says; while it streams, usage comes with the last piece."""
    return {"model": MODEL, "usage": dict(_COUNTS) if last else None}


def words(text: str) -> list[str]:
    """A text in pieces, as providers stream it."""
    return [f"{' ' if place else ''}{word}" for place, word in enumerate(text.split(" "))] if text else []


def said(messages: Sequence[ChatMessage]) -> str:
    """Everything that a model was sent."""
    return "\n".join(f"{message.content} {message.blocks} {message.additional_kwargs}" for message in messages)


class Provider(FunctionCallingLLM):
    """Follows the job's script by the number of answers in the conversation; streams word by word.

    Like LlamaIndex's own integrations it announces its calls through the decorators, and keeps tool calls in blocks.
    """

    model: str = MODEL
    max_tokens: int | None = None
    ahead: int = 0
    """Answers in the conversation that are another agent's."""
    _job: Any = PrivateAttr()
    _received: list[dict[str, Any]] = PrivateAttr(default_factory=list)

    def __init__(self, job: Any, **fields: Any) -> None:
        super().__init__(**fields)
        self._job = job

    @classmethod
    def class_name(cls) -> str:
        return "openai_llm"

    @property
    def metadata(self) -> LLMMetadata:
        return _FACTS.model_copy(update={"model_name": self.model, "num_output": self.max_tokens or 256})

    @property
    def received(self) -> list[dict[str, Any]]:
        """The further arguments of each call."""
        return self._received

    def step(self, messages: Sequence[ChatMessage]) -> Step:
        """What comes next in the script."""
        self._job.bodies.receive(said(messages))
        self._job.told[:] = [message.content or "" for message in messages if message.role == MessageRole.TOOL]
        own = [message for message in messages if message.role == MessageRole.ASSISTANT]
        results = sum("tool_call_id" in message.additional_kwargs for message in own)  # those that went out directly
        return self._job.step(len(own) - results - self.ahead)

    def answer(self, messages: Sequence[ChatMessage], kwargs: dict[str, Any]) -> tuple[str, list[ToolCallBlock]]:
        """The text and the calls of the next answer."""
        self._received.append(kwargs)
        step = self.step(messages)
        turn = len(messages)
        calls = [
            ToolCallBlock(tool_call_id=f"c{turn}-{place}", tool_name=call.tool, tool_kwargs=dict(call.args))
            for place, call in enumerate(step.calls)
        ]
        return step.text, calls

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        text, calls = self.answer(messages, kwargs)
        message = ChatMessage(role="assistant", blocks=[TextBlock(text=text), *calls])
        return ChatResponse(message=message, raw=raw(), additional_kwargs=dict(_COUNTS))

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        text, calls = self.answer(messages, kwargs)
        message = ChatMessage(role="assistant", blocks=[TextBlock(text=text), *calls])
        return ChatResponse(message=message, raw=raw(), additional_kwargs=dict(_COUNTS))

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Iterator[ChatResponse]:
        def pieces() -> Iterator[ChatResponse]:
            yield from streamed(*self.answer(messages, kwargs))

        return pieces()

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> AsyncIterator[ChatResponse]:
        async def pieces() -> AsyncIterator[ChatResponse]:
            for piece in streamed(*self.answer(messages, kwargs)):
                yield piece

        return pieces()

    def _complete(self, prompt: str, kwargs: dict[str, Any]) -> str:
        self._received.append(kwargs)
        self._job.bodies.receive(prompt)
        return self._job.step(0).text

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self._complete(prompt, kwargs), raw=raw(), additional_kwargs=dict(_COUNTS))

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self._complete(prompt, kwargs), raw=raw(), additional_kwargs=dict(_COUNTS))

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Iterator[CompletionResponse]:
        def pieces() -> Iterator[CompletionResponse]:
            yield from completed(self._complete(prompt, kwargs))

        return pieces()

    @llm_completion_callback()
    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> AsyncIterator[CompletionResponse]:
        async def pieces() -> AsyncIterator[CompletionResponse]:
            for piece in completed(self._complete(prompt, kwargs)):
                yield piece

        return pieces()

    def _prepare_chat_with_tools(
        self, tools: Any, user_msg: Any = None, chat_history: Any = None, verbose: bool = False, **kwargs: Any
    ) -> dict[str, Any]:
        messages = list(chat_history or [])
        if user_msg:
            messages.append(ChatMessage(role="user", content=user_msg) if isinstance(user_msg, str) else user_msg)
        return {"messages": messages, "tools": [tool.metadata.to_openai_tool() for tool in tools]}

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        calls = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
        return [
            ToolSelection(
                tool_id=block.tool_call_id or "",
                tool_name=block.tool_name,
                tool_kwargs=json.loads(block.tool_kwargs) if isinstance(block.tool_kwargs, str) else block.tool_kwargs,
            )
            for block in calls
        ]


def streamed(text: str, calls: list[ToolCallBlock]) -> Iterator[ChatResponse]:
    """An answer as OpenAI's is streamed: each piece holds all so far; calls are JSON; usage comes in the end."""
    whole = ""
    for word in words(text):
        whole += word
        message = ChatMessage(role="assistant", blocks=[TextBlock(text=whole)])
        yield ChatResponse(message=message, delta=word, raw=raw(last=False))
    blocks = [call.model_copy(update={"tool_kwargs": json.dumps(call.tool_kwargs)}) for call in calls]
    message = ChatMessage(role="assistant", blocks=[TextBlock(text=whole), *blocks])
    yield ChatResponse(message=message, delta="", raw=raw(), additional_kwargs=dict(_COUNTS))


def completed(text: str) -> Iterator[CompletionResponse]:
    """The same of a completion."""
    whole = ""
    for word in words(text):
        whole += word
        yield CompletionResponse(text=whole, delta=word, raw=raw(last=False))
    yield CompletionResponse(text=whole, delta="", raw=raw(), additional_kwargs=dict(_COUNTS))


class Boss(Provider):
    """Another agent's model: it hands the task on once, then repeats what it was told. It is not counted."""

    tool: str = "delegate"

    def step(self, messages: Sequence[ChatMessage]) -> Step:
        if messages[-1].role == MessageRole.TOOL:
            return Step(messages[-1].content or "")
        args = {"to_agent": "worker", "reason": self._job.prompt} if self.tool == "handoff" else {}
        return Step(calls=(Call(self.tool, args or {"task": self._job.prompt}),))


class Text(CustomLLM):
    """A model that only completes texts, for agents that read its words: ReAct's."""

    _job: Any = PrivateAttr()

    def __init__(self, job: Any, **fields: Any) -> None:
        super().__init__(**fields)
        self._job = job

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name=MODEL, context_window=128_000)

    def words_of(self, step: Step) -> str:
        """A step as ReAct's prompt asks for it."""
        if not step.calls:
            return f"Thought: I can answer without using any more tools.\nAnswer: {step.text}"
        call = step.calls[0]
        return f"Thought: I need a tool.\nAction: {call.tool}\nAction Input: {json.dumps(call.args)}"

    def told(self, prompt: str) -> list[str]:
        """What the model was told of its calls."""
        return [
            part.partition("\nassistant:")[0].partition("\nuser:")[0].strip()
            for part in prompt.split("\nuser: Observation: ")[1:]
        ]

    def turn(self, prompt: str) -> int:
        """How many answers there are in the conversation."""
        return prompt.count("\nassistant: Thought:")

    def _next(self, prompt: str) -> str:
        self._job.bodies.receive(prompt)
        self._job.told[:] = self.told(prompt)
        return self.words_of(self._job.step(self.turn(prompt)))

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self._next(prompt), raw=raw())

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Iterator[CompletionResponse]:
        yield from completed(self._next(prompt))


def written(arg: tuple[str, Any]) -> str:
    """An argument in code; a text is put together there, so that only the function sees the whole of it."""
    name, value = arg
    return f"{name}={' + '.join(map(repr, words(value))) if isinstance(value, str) else repr(value)}"


_RESULT = "Result of executing the code given:\n\n"


class Coder(Text):
    """The same for CodeActAgent: its calls are code."""

    def words_of(self, step: Step) -> str:
        if not step.calls:
            return step.text
        lines = [f"{call.tool}({', '.join(map(written, call.args.items()))})" for call in step.calls]
        return "<execute>\n" + "\n".join(lines) + "\n</execute>"

    def told(self, prompt: str) -> list[str]:
        return [part.partition("\nassistant:")[0].strip() for part in prompt.split(_RESULT)[1:]]

    def turn(self, prompt: str) -> int:
        return prompt.count("\nassistant: <execute>")


# --- tools


def functions(job: Job) -> list[Any]:
    """The bodies, as somebody writes functions."""

    def pay(order: str, amount: float) -> str:
        """Pay a customer back."""
        return job.bodies.run("pay", order=order, amount=amount)

    def find(query: str) -> str:
        """Search the customer base."""
        return job.bodies.run("find", query=query)

    return [pay, find]


def coroutines(job: Job) -> list[Any]:
    async def pay(order: str, amount: float) -> str:
        """Pay a customer back."""
        return job.bodies.run("pay", order=order, amount=amount)

    async def find(query: str) -> str:
        """Search the customer base."""
        return job.bodies.run("find", query=query)

    return [pay, find]


def tools(job: Job) -> list[Any]:
    return [FunctionTool.from_defaults(body) for body in functions(job)]


def async_tools(job: Job) -> list[Any]:
    return [FunctionTool.from_defaults(async_fn=body) for body in coroutines(job)]


def direct_tools(job: Job) -> list[Any]:
    pay, find = functions(job)
    return [FunctionTool.from_defaults(pay), FunctionTool.from_defaults(find, return_direct=True)]


class Query(BaseModel):
    """What the tool `find` takes."""

    query: str


class Own(AsyncBaseTool):
    """A tool of somebody's own, sync and async."""

    def __init__(self, job: Job) -> None:
        self._job = job

    @property
    def metadata(self) -> ToolMetadata:
        return ToolMetadata(name="find", description="Search the customer base.", fn_schema=Query)

    def call(self, query: str) -> ToolOutput:
        found = self._job.bodies.run("find", query=query)
        return ToolOutput(content=found, tool_name="find", raw_input={"query": query}, raw_output=found)

    async def acall(self, query: str) -> ToolOutput:
        return self.call(query)


class Plain(BaseTool):
    """A tool of somebody's own, with nothing but `__call__`: agents put an adapter around it."""

    def __init__(self, job: Job) -> None:
        self._job = job

    @property
    def metadata(self) -> ToolMetadata:
        return ToolMetadata(name="find", description="Search the customer base.")

    def __call__(self, input: Any) -> ToolOutput:  # noqa: A002 - LlamaIndex's name
        found = self._job.bodies.run("find", query=input)
        return ToolOutput(content=found, tool_name="find", raw_input={"input": input}, raw_output=found)


class Desk(CustomQueryEngine):
    """A query engine."""

    job: Any

    def custom_query(self, query_str: str) -> Response:
        found = self.job.bodies.run("find", query=ast.literal_eval(query_str)["query"])  # as LlamaIndex gives it
        return Response(found, source_nodes=[NodeWithScore(node=TextNode(text=found), score=1.0)])


class Shelf(BaseRetriever):
    """A retriever that is a tool's body."""

    def __init__(self, job: Job) -> None:
        self._job = job
        super().__init__()

    def _retrieve(self, query_bundle: Any) -> list[NodeWithScore]:
        query = query_bundle.query_str.strip().removeprefix("query is ")
        return [NodeWithScore(node=TextNode(text=self._job.bodies.run("find", query=query)), score=1.0)]


class Library(BaseRetriever):
    """A retriever that is asked directly."""

    def __init__(self, job: Job) -> None:
        self._job = job
        super().__init__()

    def _retrieve(self, query_bundle: Any) -> list[NodeWithScore]:
        self._job.bodies.receive(query_bundle.query_str)
        return [NodeWithScore(node=TextNode(text="a page"), score=1.0)]


class Vectors(BaseEmbedding):
    """An embedding model."""

    model_name: str = "text-embedding-3-small"
    _job: Any = PrivateAttr()

    def __init__(self, job: Any, **fields: Any) -> None:
        super().__init__(**fields)
        self._job = job

    def _get_query_embedding(self, query: str) -> list[float]:
        self._job.bodies.receive(query)
        return [1.0, 0.0]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)

    def _get_text_embedding(self, text: str) -> list[float]:
        self._job.bodies.receive(text)
        return [1.0, 0.0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        self._job.bodies.receive("\n".join(texts))
        return [[1.0, 0.0] for _ in texts]
