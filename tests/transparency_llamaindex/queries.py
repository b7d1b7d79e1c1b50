"""Programs without agents: indexes, retrievers, query and chat engines, plain models, tools, instrumentation."""

from __future__ import annotations

import asyncio
from typing import Any

from llama_index.core import Document, PromptTemplate, SummaryIndex, VectorStoreIndex
from llama_index.core.agent.react.formatter import ReActChatFormatter
from llama_index.core.agent.react.output_parser import ReActOutputParser
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.query_engine import RetrieverQueryEngine, RouterQueryEngine
from llama_index.core.selectors import LLMSingleSelector
from llama_index.core.tools import FunctionTool, QueryEngineTool, RetrieverTool
from llama_index.core.tools.calling import acall_tool, call_tool
from pydantic import BaseModel, PrivateAttr
from scripted import Letters, Scripted, Words, add, fail, multiply

TEXTS = ("aaa the first page", "eee the second page", "iii the third page", "ooo the last page")


def index() -> Any:
    return VectorStoreIndex.from_documents([Document(text=text) for text in TEXTS], embed_model=Letters())


def nodes(found: Any) -> list[Any]:
    return [(item.node.get_content(), round(item.score or 0.0, 6)) for item in found]


async def retriever() -> Any:
    made = index().as_retriever(similarity_top_k=2)
    return nodes(made.retrieve("eee")), nodes(await made.aretrieve("ooo"))


async def query_engine() -> Any:
    """Sync, async and streamed."""
    llm = Scripted("the first", "the second", "the third one")
    made = index().as_query_engine(llm=llm, similarity_top_k=1)
    first, second = made.query("aaa?"), await made.aquery("eee?")
    streamed = index().as_query_engine(llm=llm, streaming=True, similarity_top_k=1).query("iii?")
    pieces = list(streamed.response_gen)
    return str(first), nodes(first.source_nodes), str(second), pieces, llm.seen


async def refining_over_many_pages() -> Any:
    llm = Scripted("one", "two", "three", "four")
    made = SummaryIndex.from_documents([Document(text=text) for text in TEXTS])
    answer = await made.as_query_engine(llm=llm, response_mode="refine").aquery("all?")
    tree = made.as_query_engine(llm=Scripted("a tree"), response_mode="tree_summarize").query("all?")
    return str(answer), str(tree), len(llm.seen)


async def router() -> Any:
    tools = [
        QueryEngineTool.from_defaults(index().as_query_engine(llm=Scripted(name)), name=name, description=name)
        for name in ("pages", "books")
    ]
    selector = LLMSingleSelector.from_defaults(llm=Words('[{"choice": 2, "reason": "it is a book"}]'))
    made = RouterQueryEngine(selector=selector, query_engine_tools=tools, llm=Scripted("x"))
    answer = await made.aquery("a book?")
    return str(answer), str(answer.metadata["selector_result"])


async def tools_of_queries() -> Any:
    """A query engine and a retriever as tools, and what they keep beside their text."""
    asked = QueryEngineTool.from_defaults(index().as_query_engine(llm=Scripted("an answer", "another")), name="ask")
    found = RetrieverTool.from_defaults(index().as_retriever(similarity_top_k=1), name="find", description="Find.")
    outputs = [asked(input="aaa?"), await asked.acall("eee?"), found(input="iii"), await found.acall(input="ooo")]
    return [(output.content, output.raw_input, type(output.raw_output).__name__) for output in outputs]


async def chat_engines() -> Any:
    """A conversation with and without pages, streamed too."""
    llm = Scripted("hello", "I am well", "good bye then")
    plain = SimpleChatEngine.from_defaults(llm=llm, memory=ChatMemoryBuffer.from_defaults())
    answers = [str(plain.chat("hi")), str(await plain.achat("how are you?"))]
    streamed = plain.stream_chat("bye")
    pieces = list(streamed.response_gen)
    context = index().as_chat_engine(chat_mode="context", llm=Scripted("from a page"), similarity_top_k=1)
    answer = await context.achat("aaa?")
    condensed = index().as_chat_engine(chat_mode="condense_question", llm=Scripted("condensed", "answered"))
    condensed_answer = condensed.chat(
        "iii?", chat_history=[ChatMessage("before"), ChatMessage("yes", role="assistant")]
    )
    return answers, pieces, llm.seen, str(answer), nodes(answer.source_nodes), str(condensed_answer)


async def ingestion() -> Any:
    pipeline = IngestionPipeline(transformations=[SentenceSplitter(chunk_size=64, chunk_overlap=0), Letters()])
    found = await pipeline.arun(documents=[Document(text=" ".join(TEXTS))])
    vectors = Letters().get_text_embedding_batch(list(TEXTS))
    more = await asyncio.gather(*map(Letters().aget_query_embedding, TEXTS))
    return [(node.get_content(), node.embedding) for node in found], vectors, more, Letters().similarity([1.0], [2.0])


class Page(BaseModel):
    """A page."""

    title: str
    number: int


async def structured_answers() -> Any:
    llm = Scripted([("Page", {"title": "first", "number": 1})], [("Page", {"title": "second", "number": 2})])
    first = llm.structured_predict(Page, PromptTemplate("a page about {what}"), what="a")
    second = await llm.as_structured_llm(Page).achat([ChatMessage("a page about b")])
    return first.model_dump(), second.message.content, llm.seen


async def plain_models() -> Any:
    """Each of the eight methods, predictions and both kinds of models."""
    task = [ChatMessage("hi")]
    llm = Scripted("one", "two", "three of it", "four of it", "five", "six", "seven", "eight", "nine", "ten")
    found: list[Any] = [str(llm.chat(task)), str(await llm.achat(task))]
    found += [[piece.delta for piece in llm.stream_chat(task)]]
    found += [[piece.delta async for piece in await llm.astream_chat(task)]]
    found += [
        str(llm.complete("hi")),
        str(await llm.acomplete("hi")),
        [str(piece) for piece in llm.stream_complete("hi")],
    ]
    found += [[str(piece) async for piece in await llm.astream_complete("hi")]]
    found += [llm.predict(PromptTemplate("{x}"), x="y"), await llm.apredict(PromptTemplate("{x}"), x="y")]
    words = Words("a b", "c d", "e f", "g h")
    found += [str(words.chat(task)), [piece.delta for piece in words.stream_chat(task)], str(await words.achat(task))]
    found += [[piece.delta async for piece in await words.astream_chat(task)]]
    return found, llm.seen, words.seen


async def tools_without_agents() -> Any:
    """Called directly in every way, with positions, names and defaults; errors too."""
    tool, slow = FunctionTool.from_defaults(add), FunctionTool.from_defaults(async_fn=multiply)
    outputs = [tool(1), tool.call(1, b=5), await tool.acall(a=2, b=2), await slow.acall(3, b=4)]
    outputs += [call_tool(tool, {"a": 7}), await acall_tool(slow, {"a": 2, "b": 8})]
    broken = FunctionTool.from_defaults(fail)
    outputs += [
        call_tool(broken, {"why": "alas"}),
        await acall_tool(broken, {"why": "alas"}),
        call_tool(tool, {"x": 1}),
    ]
    try:
        broken("directly")
    except ValueError as error:
        raised = str(error)
    partial = FunctionTool.from_defaults(add, partial_params={"b": 100})
    return [(o.content, str(o.raw_input), o.raw_output, o.is_error) for o in [*outputs, partial(a=1)]], raised


async def predict_and_call() -> Any:
    llm = Scripted([("add", {"a": 1, "b": 2})], [("add", {"a": 1}), ("multiply", {"a": 2, "b": 3})], "no tool")
    tools = [FunctionTool.from_defaults(add), FunctionTool.from_defaults(async_fn=multiply)]
    first = llm.predict_and_call(tools, user_msg="1+2?")
    second = await llm.apredict_and_call(tools, user_msg="both", allow_parallel_tool_calls=True)
    third = llm.predict_and_call(tools, user_msg="none", error_on_no_tool_call=False)
    react = Words('Thought: x\nAction: add\nAction Input: {"a": 4}', "Thought: y\nAnswer: five")
    parts = {"react_chat_formatter": ReActChatFormatter.from_defaults(), "output_parser": ReActOutputParser()}
    fourth = await react.apredict_and_call(tools, user_msg="4+1?", **parts)
    return str(first), str(second), str(third), str(fourth), [output.content for output in fourth.sources]


class Kept(BaseEventHandler):
    """Keeps the names of events."""

    _names: list[str] = PrivateAttr(default_factory=list)

    @classmethod
    def class_name(cls) -> str:
        return "Kept"

    def handle(self, event: Any, **kwargs: Any) -> None:
        self._names.append(type(event).__name__)


class KeptSpans(SimpleSpanHandler):
    """Keeps of what each span is, with which arguments, and what came of it."""

    _told: list[str] = PrivateAttr(default_factory=list)

    @classmethod
    def class_name(cls) -> str:
        return "KeptSpans"

    def new_span(self, id_: str, bound_args: Any, instance: Any = None, *args: Any, **kwargs: Any) -> Any:
        self._told.append(f"{name_of(id_)} of {type(instance).__name__} with {list(bound_args.arguments)}")
        return super().new_span(id_, bound_args, instance, *args, **kwargs)

    def prepare_to_exit_span(
        self, id_: str, bound_args: Any, instance: Any = None, result: Any = None, **_: Any
    ) -> Any:
        self._told.append(f"{name_of(id_)} of {type(instance).__name__} gave {type(result).__name__}")
        return super().prepare_to_exit_span(id_, bound_args, instance, result)


def name_of(span: str) -> str:
    """A span's name, without the number that is new each time."""
    return span[:-37]


async def instrumentation() -> Any:
    """The events and spans that another tracer sees, and what the old callbacks count."""
    counter = TokenCountingHandler(tokenizer=str.split)
    events, spans, dispatcher = Kept(), KeptSpans(), get_dispatcher()
    dispatcher.add_event_handler(events)
    dispatcher.add_span_handler(spans)
    try:
        llm = Scripted("an answer", "another one")
        llm.callback_manager = CallbackManager([counter])
        engine = RetrieverQueryEngine.from_args(index().as_retriever(similarity_top_k=1), llm=llm)
        answer = await engine.aquery("aaa?")
        output = await FunctionTool.from_defaults(add).acall(1, 2)
        text = llm.complete("hi")
    finally:
        dispatcher.event_handlers.remove(events)
        dispatcher.span_handlers.remove(spans)
    tree = [(name_of(span.id_), name_of(span.parent_id or "-" * 37)) for span in spans.completed_spans]
    counted = counter.prompt_llm_token_count, counter.completion_llm_token_count
    return str(answer), str(output), str(text), events._names, spans._told, tree, len(spans.open_spans), counted


PROGRAMS = (
    retriever,
    query_engine,
    refining_over_many_pages,
    router,
    tools_of_queries,
    chat_engines,
    ingestion,
    structured_answers,
    plain_models,
    tools_without_agents,
    predict_and_call,
    instrumentation,
)
