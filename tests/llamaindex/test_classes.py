"""Classes that do things their own way: entrances from mixins, own steps, other kinds of models and embeddings."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest
from llama_fakes import Library, Plain, Provider, Vectors, async_tools, completed, raw, streamed, tools
from llama_harness import acts, agent, job_of, process, run
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.base.embeddings.base_sparse import BaseSparseEmbedding
from llama_index.core.base.llms.types import ImageBlock
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.embeddings.multi_modal_base import MultiModalEmbedding
from llama_index.core.image_retriever import BaseImageRetriever
from llama_index.core.llms import ChatMessage, ChatResponse, CompletionResponse, CustomLLM, LLMMetadata
from llama_index.core.multi_modal_llms.base import MultiModalLLM, MultiModalLLMMetadata
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.tools import FunctionTool, QueryEngineTool, ToolMetadata, ToolOutput
from llama_index.core.tools.types import AsyncBaseTool

from jackline.errors import Denied, Halted
from jackline.testing.paths import MODEL, Call, Step
from jackline.testing.records import assert_accounted
from jackline.testing.scripted import Scripted, at_most, on_record, refusing
from jackline.testing.story import FIND, NO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jackline.testing.paths import Job
    from jackline.testing.scripted import Guards

ONCE = (Step(calls=(FIND,)), Step("all is done"))
TOLD = f"Not permitted by policy 'p0': {NO}"


def no_find(effect: Any = "deny") -> Scripted:
    return refusing("tool.call", NO, agent="", tool="find", effect=effect)


# --- tools


class Entrances:
    """No tool, but what a tool is called by."""

    ran: list[str]

    def __call__(self, query: str) -> ToolOutput:
        return self.call(query)

    def call(self, query: str) -> ToolOutput:
        self.ran.append(query)
        return ToolOutput(content="found", tool_name="find", raw_input={"query": query}, raw_output="found")

    async def acall(self, query: str) -> ToolOutput:
        return self.call(query)


class Mixed(Entrances, AsyncBaseTool):
    """Its entrances come from a class that is no tool."""

    def __init__(self) -> None:
        self.ran = []

    @property
    def metadata(self) -> ToolMetadata:
        return ToolMetadata(name="find", description="Search.")


class Passing(FunctionTool):
    """Adds something and goes on as LlamaIndex does."""

    def __call__(self, *args: Any, **kwargs: Any) -> ToolOutput:
        return super().__call__(*args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> ToolOutput:
        return super().call(*args, **kwargs)

    async def acall(self, *args: Any, **kwargs: Any) -> ToolOutput:
        return await super().acall(*args, **kwargs)


class Rewriting(FunctionTool):
    """Asks for something else than it was asked for."""

    async def acall(self, *args: Any, **kwargs: Any) -> ToolOutput:
        return await super().acall(query="evil")


BY = {
    "tool()": lambda tool: tool("q"),
    "call": lambda tool: tool.call("q"),
    "acall": lambda tool: asyncio.run(tool.acall("q")),
}


@pytest.mark.parametrize("by", BY)
def test_entrances_from_a_class_that_is_no_tool_are_judged(guards: Guards, by: str) -> None:
    process(guards, no_find())
    tool = Mixed()
    with pytest.raises(Denied, match=NO):
        BY[by](tool)
    assert tool.ran == []


def test_a_class_that_only_shares_an_entrance_with_a_tool_is_left_alone(guards: Guards) -> None:
    guard = process(guards, no_find())
    other = Entrances()
    other.ran = []
    assert other.call("q").content == "found"
    guard.close()
    tool = Mixed()
    assert tool("q").content == "found"
    assert "call" not in vars(Mixed)


@pytest.mark.parametrize("by", BY)
def test_a_class_that_passes_a_call_on_is_judged_once(guards: Guards, by: str) -> None:
    guard = process(guards)
    job = job_of(guard)
    assert BY[by](Passing.from_defaults(tools(job)[1].fn)).content == "find is done"
    assert acts(guard) == [("tool.call", "find", "allow")]
    assert_accounted(guard)


def test_what_a_class_asks_for_instead_is_judged_too(guards: Guards) -> None:
    def evil(request: Any) -> Any:
        return no_find().evaluate(request, None) if "evil" in str(request.args) else None  # type: ignore[arg-type]

    guard = process(guards, Scripted(evil, "tool.call"))
    job = job_of(guard, ONCE)
    tool = Rewriting.from_defaults(tools(job)[1].fn)
    with pytest.raises(Denied):
        asyncio.run(tool.acall(query="good"))
    assert run(agent(job, [tool])) == "all is done"
    assert not job.bodies.ran
    guard.close()
    assert_accounted(guard)


def test_a_tool_that_calls_another_one_does_not_lend_it_its_permission(guards: Guards) -> None:
    guard = process(guards, no_find())
    job = job_of(guard, (Step(calls=(Call("outer", {"query": "q"}),)), Step("all is done")))
    inner = tools(job)[1]

    class Outer(AsyncBaseTool):
        @property
        def metadata(self) -> ToolMetadata:
            return ToolMetadata(name="outer", description="Calls another tool.")

        def call(self, query: str) -> ToolOutput:
            return inner.call(query=query)

        async def acall(self, query: str) -> ToolOutput:
            return await inner.acall(query=query)

    with pytest.raises(Denied):
        Outer()("q")
    assert run(agent(job, [Outer()])) == "all is done"
    assert not job.bodies.ran
    assert NO in job.told[0]


def test_a_tool_that_calls_itself_is_judged_each_time(guards: Guards) -> None:
    guard = process(guards, at_most(3, "tool.call", "count"))
    ran: list[int] = []

    def count(left: int) -> str:
        """Count down."""
        ran.append(left)
        return tool(left=left - 1).content if left else "zero"

    tool = FunctionTool.from_defaults(count)
    with pytest.raises(Denied, match="3 calls per session"):
        tool(left=9)
    assert ran == [9, 8, 7]
    assert len(acts(guard)) == 4


@pytest.mark.parametrize("ids", [True, False])
def test_equal_calls_are_several_calls(guards: Guards, ids: bool) -> None:
    guard = process(guards, at_most(2, "tool.call", "find"))
    job = job_of(guard, (Step(calls=(FIND, FIND, FIND)), Step("all is done")))

    class WithoutIds(Provider):
        def answer(self, messages: Any, kwargs: Any) -> Any:
            text, calls = super().answer(messages, kwargs)
            return text, [call.model_copy(update={"tool_call_id": "" if not ids else "the same"}) for call in calls]

    made = FunctionAgent(name="worker", llm=WithoutIds(job), tools=async_tools(job))
    assert run(made) == "all is done"
    assert job.bodies.ran == {"find": 2}
    assert len([act for act in acts(guard) if act[0] == "tool.call"]) == 3
    guard.close()
    assert_accounted(guard)


def test_f08_arguments_that_change_while_they_are_judged_are_not_executed(guards: Guards) -> None:
    ran: list[Any] = []
    lines = [1]

    def answer(_request: Any) -> None:
        lines.append(9)

    process(guards, Scripted(answer, "tool.call"))

    def pay(order: list) -> str:  # type: ignore[type-arg]
        """Pay."""
        ran.append(order)
        return "paid"

    with pytest.raises(Denied, match="changed while they were judged"):
        FunctionTool.from_defaults(pay)(order=lines)
    assert ran == []


# --- agents


class OwnCalls(FunctionAgent):
    """Calls its tools in a way of its own."""

    async def _call_tool(self, ctx: Any, tool: Any, tool_input: Any) -> ToolOutput:
        return await tool.acall(**tool_input)


class OwnSteps(FunctionAgent):
    """Adds something to each step."""

    async def take_step(self, *args: Any, **kwargs: Any) -> Any:
        return await super().take_step(*args, **kwargs)


class Meddling(FunctionAgent):
    """Changes what its model asked for."""

    async def take_step(self, *args: Any, **kwargs: Any) -> Any:
        output = await super().take_step(*args, **kwargs)
        for call in output.tool_calls:
            call.tool_kwargs = {"query": "evil"}
        return output


@pytest.mark.parametrize("kind", [OwnCalls, OwnSteps, Meddling])
@pytest.mark.parametrize("within", [False, True])
def test_agents_of_ones_own_are_governed(guards: Guards, kind: Any, within: bool) -> None:
    guard = process(guards, no_find())
    job = job_of(guard, ONCE)
    made = kind(name="worker", llm=Provider(job), tools=async_tools(job))
    assert run(AgentWorkflow(agents=[made]) if within else made) == "all is done"
    assert not job.bodies.ran
    assert TOLD in job.told[0]
    guard.close()
    assert_accounted(guard)


def test_calls_that_an_agent_makes_up_are_judged_as_they_are_made(guards: Guards) -> None:
    asked: list[Any] = []
    guard = process(guards, Scripted(lambda request: asked.append(request.args), "tool.call"))
    job = job_of(guard, ONCE)
    assert run(Meddling(name="worker", llm=Provider(job), tools=async_tools(job))) == "all is done"
    assert job.bodies.got == [("find", {"query": "evil"})]
    assert asked[-1] == {"query": "evil"}
    guard.close()
    assert_accounted(guard)


@pytest.mark.parametrize("action", ["retrieval", "model.call"])
@pytest.mark.parametrize("effect", ["deny", "halt"])
def test_what_a_query_engine_that_is_a_tool_does_inside_is_judged(guards: Guards, action: Any, effect: Any) -> None:
    def answer(request: Any) -> Any:
        inside = request.model is None or request.resource == "another"
        return refusing(action, NO, agent="", effect=effect).evaluate(request, None) if inside else None  # type: ignore[arg-type]

    guard = process(guards, Scripted(answer, action))
    job = job_of(guard, (Step(calls=(Call("ask", {"input": "q"}),)), Step("all is done")))
    inner = job_of(guard, (Step("inside"),))
    engine = RetrieverQueryEngine.from_args(Library(inner), llm=Provider(inner, model="another"))
    made = agent(job, [QueryEngineTool.from_defaults(engine, name="ask", description="Ask.")])
    if effect == "halt":
        with pytest.raises(Halted):
            run(made)
    else:
        assert run(made) == "all is done"
        assert NO in job.told[0]
    assert len(inner.bodies.sent) == (action == "model.call")
    guard.close()
    assert_accounted(guard)


# --- models, libraries, embeddings


class Chats:
    """No model, but what a model is asked by."""

    def chat(self, messages: Any, **kwargs: Any) -> ChatResponse:
        self._sent.append(messages)  # type: ignore[attr-defined]
        return ChatResponse(message=ChatMessage("hello", role="assistant"), raw=raw())


class MixedModel(Chats, CustomLLM):
    """Its entrance comes from a class that is no model."""

    _sent: list[Any] = []

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name=MODEL)

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text="x", raw=raw())

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Iterator[CompletionResponse]:
        yield self.complete(prompt)


def test_an_entrance_from_a_class_that_is_no_model_is_judged(guards: Guards) -> None:
    guard = process(guards, refusing("model.call", NO, agent=""))
    llm = MixedModel()
    with pytest.raises(Denied):
        llm.chat([ChatMessage("hi")])
    assert llm._sent == []
    assert acts(guard) == [("model.call", MODEL, "deny")]


def test_streams_that_nobody_takes_are_closed_on_record(guards: Guards) -> None:
    guard = process(guards)
    job = job_of(guard, (Step("all is done"),))
    llm = Provider(job)
    llm.stream_chat([ChatMessage("hi")])
    left = llm.stream_chat([ChatMessage("hi")])
    next(left)
    del left

    async def main() -> None:
        await llm.astream_chat([ChatMessage("hi")])
        stream = await llm.astream_chat([ChatMessage("hi")])
        await anext(stream)
        await stream.aclose()

    asyncio.run(main())
    gc.collect()
    guard.close()
    assert len(on_record(guard, "decided")) == 4
    assert_accounted(guard)


class Seeing(MultiModalLLM):
    """A model of the older class for images."""

    _job: Any = PrivateAttr()

    def __init__(self, job: Job) -> None:
        super().__init__()
        self._job = job

    @property
    def metadata(self) -> MultiModalLLMMetadata:
        return MultiModalLLMMetadata(model_name=MODEL)

    rate_limiter: Any = None

    def to_payload(self) -> dict[str, Any]:
        """What LlamaIndex's own wraps ask for, and its class lacks since 0.14.2x."""
        return {}

    def _text(self, sent: Any) -> str:
        self._job.bodies.receive(str(sent))
        return "a picture"

    def complete(self, prompt: str, image_documents: Any, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self._text(prompt), raw=raw())

    async def acomplete(self, prompt: str, image_documents: Any, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self._text(prompt), raw=raw())

    def stream_complete(self, prompt: str, image_documents: Any, **kwargs: Any) -> Any:
        return completed(self._text(prompt))

    async def astream_complete(self, prompt: str, image_documents: Any, **kwargs: Any) -> Any:
        async def pieces() -> Any:
            for piece in completed(self._text(prompt)):
                yield piece

        return pieces()

    def chat(self, messages: Any, **kwargs: Any) -> ChatResponse:
        return list(streamed(self._text(messages), []))[-1]

    async def achat(self, messages: Any, **kwargs: Any) -> ChatResponse:
        return self.chat(messages)

    def stream_chat(self, messages: Any, **kwargs: Any) -> Any:
        return streamed(self._text(messages), [])

    async def astream_chat(self, messages: Any, **kwargs: Any) -> Any:
        async def pieces() -> Any:
            for piece in streamed(self._text(messages), []):
                yield piece

        return pieces()


async def gathered(stream: Any) -> list[Any]:
    return [piece async for piece in await stream]


IMAGES: Any = [ImageBlock(url="http://localhost/x.png")]
SEES: dict[str, Any] = {
    "complete": lambda llm: llm.complete("what?", IMAGES),
    "complete, by name": lambda llm: llm.complete(prompt="what?", image_documents=IMAGES),
    "acomplete": lambda llm: asyncio.run(llm.acomplete("what?", IMAGES)),
    "stream_complete": lambda llm: list(llm.stream_complete("what?", IMAGES)),
    "astream_complete": lambda llm: asyncio.run(gathered(llm.astream_complete("what?", IMAGES))),
    "chat": lambda llm: llm.chat([ChatMessage("what?")]),
    "achat": lambda llm: asyncio.run(llm.achat([ChatMessage("what?")])),
    "stream_chat": lambda llm: list(llm.stream_chat([ChatMessage("what?")])),
    "astream_chat": lambda llm: asyncio.run(gathered(llm.astream_chat([ChatMessage("what?")]))),
}


@pytest.mark.parametrize("method", SEES)
def test_models_for_images_are_judged(guards: Guards, method: str) -> None:
    guard = process(guards, refusing("model.call", NO, agent=""))
    job = job_of(guard)
    with pytest.raises(Denied):
        SEES[method](Seeing(job))
    assert job.bodies.sent == []
    asked: list[Any] = []
    free = process(guards, Scripted(lambda request: asked.append(request.model), "model.call"))
    guard.close()
    SEES[method](Seeing(job))
    assert len(job.bodies.sent) == 1
    assert acts(free) == [("model.call", MODEL, "allow")]
    assert asked[0].opaque_input
    assert_accounted(free)


class Sparse(BaseSparseEmbedding):
    """An embedding of another class."""

    sent: list[str] = []
    model_name: str = "sparse"

    def _get_query_embedding(self, query: str) -> Any:
        self.sent.append(query)
        return {1: 1.0}

    async def _aget_query_embedding(self, query: str) -> Any:
        return self._get_query_embedding(query)

    def _get_text_embedding(self, text: str) -> Any:
        return self._get_query_embedding(text)

    async def _aget_text_embedding(self, text: str) -> Any:
        return self._get_query_embedding(text)


class Pictures(MultiModalEmbedding):
    """An embedding for images."""

    sent: list[str] = []
    model_name: str = "pictures"

    def _get_image_embedding(self, img_file_path: Any) -> Any:
        self.sent.append(img_file_path)
        return [1.0]

    async def _aget_image_embedding(self, img_file_path: Any) -> Any:
        return self._get_image_embedding(img_file_path)

    def _get_query_embedding(self, query: str) -> Any:
        return self._get_image_embedding(query)

    async def _aget_query_embedding(self, query: str) -> Any:
        return self._get_image_embedding(query)

    def _get_text_embedding(self, text: str) -> Any:
        return self._get_image_embedding(text)


EMBEDS: dict[str, tuple[Any, Any]] = {
    "sparse query": (Sparse, lambda made: made.get_query_embedding("x")),
    "sparse query, async": (Sparse, lambda made: asyncio.run(made.aget_query_embedding("x"))),
    "sparse text": (Sparse, lambda made: made.get_text_embedding("x")),
    "sparse batch": (Sparse, lambda made: made.get_text_embedding_batch(["x"])),
    "sparse batch, async": (Sparse, lambda made: asyncio.run(made.aget_text_embedding_batch(["x"]))),
    "image": (Pictures, lambda made: made.get_image_embedding("x")),
    "image, async": (Pictures, lambda made: asyncio.run(made.aget_image_embedding("x"))),
    "images": (Pictures, lambda made: made.get_image_embedding_batch(["x"])),
    "images, async": (Pictures, lambda made: asyncio.run(made.aget_image_embedding_batch(["x"]))),
    "aggregated queries": (Vectors, lambda made: made.get_agg_embedding_from_queries(["x"])),
}


@pytest.mark.parametrize("what", EMBEDS)
def test_embeddings_of_other_classes_are_judged(guards: Guards, what: str) -> None:
    kind, call = EMBEDS[what]
    guard = process(guards, refusing("embedding", NO, agent=""))
    job = job_of(guard)
    made = kind(job) if kind is Vectors else kind(sent=[])
    with pytest.raises(Denied):
        call(made)
    assert (job.bodies.sent if kind is Vectors else made.sent) == []
    assert [action for action, *_ in acts(guard)] == ["embedding"]
    guard.close()
    assert_accounted(guard)
    assert call(made)


class Gallery(BaseImageRetriever):
    """A library of images."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def _text_to_image_retrieve(self, query_bundle: Any) -> Any:
        self.asked.append(query_bundle.query_str)
        return ["an image"]

    def _image_to_image_retrieve(self, query_bundle: Any) -> Any:
        self.asked.append(query_bundle.image_path)
        return ["an image"]

    async def _atext_to_image_retrieve(self, query_bundle: Any) -> Any:
        return self._text_to_image_retrieve(query_bundle)

    async def _aimage_to_image_retrieve(self, query_bundle: Any) -> Any:
        return self._image_to_image_retrieve(query_bundle)

    def _get_prompts(self) -> Any:
        return {}

    def _get_prompt_modules(self) -> Any:
        return {}

    def _update_prompts(self, prompts: Any) -> None:
        """None."""


@pytest.mark.parametrize("method", ["text_to_image_retrieve", "image_to_image_retrieve"])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_libraries_of_images_are_judged(guards: Guards, method: str, asynchronous: bool) -> None:
    asked: list[Any] = []
    guard = process(guards, Scripted(lambda request: asked.append(request.args["query"]), "retrieval"))
    made = Gallery()

    def call() -> Any:
        return asyncio.run(getattr(made, f"a{method}")("x.png")) if asynchronous else getattr(made, method)("x.png")

    assert call() == ["an image"]
    assert made.asked == ["x.png"]
    assert asked == ["x.png"]
    guard.close()
    assert_accounted(guard)
    process(guards, refusing("retrieval", NO, agent=""))
    with pytest.raises(Denied):
        call()
    assert made.asked == ["x.png"]


def test_the_adapter_around_a_sync_tool_is_judged_once(guards: Guards) -> None:
    guard = process(guards)
    job = job_of(guard, (Step(calls=(Call("find", {"input": "q"}),)), Step("all is done")))
    assert run(agent(job, [Plain(job)])) == "all is done"
    assert job.bodies.ran == {"find": 1}
    assert len([act for act in acts(guard) if act[0] == "tool.call"]) == 1
