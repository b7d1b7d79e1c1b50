"""What the conformance suite's paths run on: a model, tools, a library and an embedding that end in the suite's bodies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.language_models.llms import BaseLLM
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, Generation, LLMResult
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import tool

from jackline.testing.paths import MODEL, PROVIDER, USAGE, Call, Job, Step

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from langchain_core.tools import BaseTool

_USAGE = {"input_tokens": USAGE[0], "output_tokens": USAGE[1], "total_tokens": sum(USAGE)}


def answer(step: Step, turn: int) -> AIMessage:
    calls = [
        {"name": call.tool, "args": dict(call.args), "id": f"c{turn}-{place}", "type": "tool_call"}
        for place, call in enumerate(step.calls)
    ]
    return AIMessage(
        content=step.text,
        tool_calls=calls,
        usage_metadata=dict(_USAGE),
        response_metadata={"model_name": MODEL},
    )


class Provider(BaseChatModel):
    """Follows the job's script by the number of answers in the conversation; streams word by word."""

    job: Any

    @property
    def _llm_type(self) -> str:
        return "suite"

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        return {**super()._get_ls_params(stop=stop, **kwargs), "ls_model_name": MODEL, "ls_provider": PROVIDER}

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Any:
        offered = [
            {
                "type": "function",
                "function": {"name": item.name, "parameters": item.tool_call_schema.model_json_schema()},
            }
            for item in tools
        ]
        return self.bind(tools=offered, **kwargs)

    def _answer(self, messages: list[BaseMessage]) -> AIMessage:
        self.job.bodies.receive("\n".join(map(_shown, messages)))
        turn = sum(isinstance(message, AIMessage) for message in messages)
        return answer(self.job.step(turn), turn)

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._answer(messages))])

    def _stream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        whole = self._answer(messages)
        for place, word in enumerate(str(whole.content).split(" ") if whole.content else ()):
            yield ChatGenerationChunk(message=AIMessageChunk(content=f"{' ' if place else ''}{word}"))
        calls = [
            {"name": call["name"], "args": json.dumps(call["args"]), "id": call["id"], "index": place}
            for place, call in enumerate(whole.tool_calls)
        ]
        yield ChatGenerationChunk(
            message=AIMessageChunk(
                content="",
                tool_call_chunks=calls,
                usage_metadata=whole.usage_metadata,
                response_metadata=dict(whole.response_metadata),
            )
        )


def _shown(message: BaseMessage) -> str:
    calls = message.tool_calls if isinstance(message, AIMessage) else ""
    return f"{message.content} {calls}"


class Completion(BaseLLM):
    """A text completion model."""

    job: Any

    @property
    def _llm_type(self) -> str:
        return "suite"

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> Any:
        return {**super()._get_ls_params(stop=stop, **kwargs), "ls_model_name": MODEL, "ls_provider": PROVIDER}

    def _generate(self, prompts: list[str], stop: Any = None, run_manager: Any = None, **kwargs: Any) -> LLMResult:
        for prompt in prompts:
            self.job.bodies.receive(prompt)
        usage = {"prompt_tokens": USAGE[0], "completion_tokens": USAGE[1]}
        generations = [[Generation(text=self.job.step(0).text)] for _ in prompts]
        return LLMResult(generations=generations, llm_output={"token_usage": usage, "model_name": MODEL})


class Boss(Provider):
    """Another agent's model: it hands the task on once, then repeats what it was told. It is not counted."""

    def _answer(self, messages: list[BaseMessage]) -> AIMessage:
        last = messages[-1]
        if last.type == "tool":
            return answer(Step(str(last.content)), 1)
        return answer(Step(calls=(Call("delegate", {"task": self.job.prompt}),)), 0)


def tools(job: Job) -> list[BaseTool]:
    @tool
    def pay(order: str, amount: float) -> str:
        """Pay a customer back."""
        return job.bodies.run("pay", order=order, amount=amount)

    @tool
    def find(query: str) -> str:
        """Search the customer base."""
        return job.bodies.run("find", query=query)

    return [pay, find]


def async_tools(job: Job) -> list[BaseTool]:
    @tool
    async def pay(order: str, amount: float) -> str:
        """Pay a customer back."""
        return job.bodies.run("pay", order=order, amount=amount)

    @tool
    async def find(query: str) -> str:
        """Search the customer base."""
        return job.bodies.run("find", query=query)

    return [pay, find]


class Library(BaseRetriever):
    """A retriever."""

    job: Any

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        self.job.bodies.receive(query)
        return [Document("a page")]


class Vectors(Embeddings):
    """An embedding model."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.job.bodies.receive("\n".join(texts))
        return [[1.0] for _ in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]
