"""The wraps themselves: one function for each attribute of LangChain's that patches.py replaces."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.language_models.llms import BaseLLM
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables.config import ensure_config
from langchain_core.tools import BaseTool
from langgraph.pregel import Pregel

from jackline_langchain import bodies, following
from jackline_langchain.enforce import message_of
from jackline_langchain.entrances import EMBEDDING as EMBEDDING_NOW
from jackline_langchain.entrances import (
    EXPECTED,
    GRAPH,
    MODEL,
    QUERY,
    TEXT,
    TOOL,
    GraphEntrance,
    ModelEntrance,
    QueryEntrance,
    ToolEntrance,
)
from jackline_langchain.signals import DeniedTool, PendingTool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextvars import ContextVar

_END = object()


def _first(variable: ContextVar[Any], entrance: Any, iterator: Iterator[Any]) -> Iterator[Any]:
    """Iterate; the entrance is open for the first step, in which callbacks are told of the start."""
    try:
        token = variable.set(entrance)
        try:
            item = next(iterator, _END)
        finally:
            variable.reset(token)
        if item is not _END:
            yield item
            yield from iterator
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()


async def _afirst(variable: ContextVar[Any], entrance: Any, iterator: AsyncIterator[Any]) -> AsyncIterator[Any]:
    try:
        token = variable.set(entrance)
        try:
            item = await anext(iterator, _END)
        finally:
            variable.reset(token)
        if item is not _END:
            yield item
            async for item in iterator:
                yield item
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()


# --- tools


def _tool_run(original: Callable[..., Any]) -> Callable[..., Any]:
    def run(self: BaseTool, tool_input: Any, *args: Any, **kwargs: Any) -> Any:
        following.cover(type(self), BaseTool, TOOL_BODIES)
        entrance = ToolEntrance(self, tool_input)
        token = TOOL.set(entrance)
        try:
            return original(self, tool_input, *args, **kwargs)
        except (DeniedTool, PendingTool) as refusal:
            call_id = kwargs.get("tool_call_id")
            if not entrance.acts or call_id is None:
                raise
            return message_of(refusal, self.name, call_id)
        finally:
            TOOL.reset(token)

    return run


def _tool_arun(original: Callable[..., Any]) -> Callable[..., Any]:
    async def arun(self: BaseTool, tool_input: Any, *args: Any, **kwargs: Any) -> Any:
        following.cover(type(self), BaseTool, TOOL_BODIES)
        entrance = ToolEntrance(self, tool_input)
        token = TOOL.set(entrance)
        try:
            return await original(self, tool_input, *args, **kwargs)
        except (DeniedTool, PendingTool) as refusal:
            call_id = kwargs.get("tool_call_id")
            if not entrance.acts or call_id is None:
                raise
            return message_of(refusal, self.name, call_id)
        finally:
            TOOL.reset(token)

    return arun


def _tool_body(original: Callable[..., Any]) -> Callable[..., Any]:
    def _run(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        acts, token = _entered(self)
        try:
            if not acts:
                return original(self, *args, **kwargs)
            return bodies.run_tool(acts, functools.partial(original, self), args, kwargs)
        finally:
            if token is not None:
                TOOL.reset(token)

    return _run


def _tool_abody(original: Callable[..., Any]) -> Callable[..., Any]:
    async def _arun(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        acts, token = _entered(self)
        try:
            if not acts:
                return await original(self, *args, **kwargs)
            return await bodies.arun_tool(acts, functools.partial(original, self), args, kwargs)
        finally:
            if token is not None:
                TOOL.reset(token)

    return _arun


def _entered(tool: BaseTool) -> tuple[Any, Any]:
    """The acts of the call that reaches a body; a body that is called directly is an act of its own."""
    entrance = TOOL.get()
    if entrance is not None and entrance.native is tool:
        if entrance.entered:
            return (), None
        entrance.entered = True
        return entrance.acts, None
    acts = following.tool_acts(tool)
    if not acts:
        return (), None
    entrance = ToolEntrance(tool, None)
    entrance.entered = True
    return acts, TOOL.set(entrance)


# --- models


def _generate(original: Callable[..., Any]) -> Callable[..., Any]:
    def generate(self: BaseChatModel, *args: Any, **kwargs: Any) -> Any:
        following.cover(type(self), BaseChatModel, MODEL_BODIES)
        token = MODEL.set(ModelEntrance(self))
        try:
            return original(self, *args, **kwargs)
        finally:
            MODEL.reset(token)

    return generate


def _agenerate(original: Callable[..., Any]) -> Callable[..., Any]:
    async def agenerate(self: BaseChatModel, *args: Any, **kwargs: Any) -> Any:
        following.cover(type(self), BaseChatModel, MODEL_BODIES)
        token = MODEL.set(ModelEntrance(self))
        try:
            return await original(self, *args, **kwargs)
        finally:
            MODEL.reset(token)

    return agenerate


def _stream(original: Callable[..., Any]) -> Callable[..., Any]:
    def stream(self: BaseChatModel, *args: Any, **kwargs: Any) -> Iterator[Any]:
        following.cover(type(self), BaseChatModel, MODEL_BODIES)
        yield from _first(MODEL, ModelEntrance(self), original(self, *args, **kwargs))

    return stream


def _astream(original: Callable[..., Any]) -> Callable[..., Any]:
    async def astream(self: BaseChatModel, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        following.cover(type(self), BaseChatModel, MODEL_BODIES)
        items = _afirst(MODEL, ModelEntrance(self), original(self, *args, **kwargs))
        try:
            async for item in items:
                yield item
        finally:
            await items.aclose()  # type: ignore[attr-defined]

    return astream


def _text_stream(original: Callable[..., Any]) -> Callable[..., Any]:
    def stream(self: BaseLLM, *args: Any, **kwargs: Any) -> Iterator[Any]:
        streams = type(self)._stream is not BaseLLM._stream  # noqa: SLF001 - as LangChain asks
        yield from _first(TEXT, streams, original(self, *args, **kwargs))

    return stream


def _text_astream(original: Callable[..., Any]) -> Callable[..., Any]:
    async def astream(self: BaseLLM, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        own = type(self)._astream is not BaseLLM._astream  # noqa: SLF001 - as LangChain asks
        streams = own or type(self)._stream is not BaseLLM._stream  # noqa: SLF001
        items = _afirst(TEXT, streams, original(self, *args, **kwargs))
        try:
            async for item in items:
                yield item
        finally:
            await items.aclose()  # type: ignore[attr-defined]

    return astream


def _stream_v3(original: Callable[..., Any]) -> Callable[..., Any]:
    """The stream object starts the model only when it is read, in whatever context: the run's id leads to the entrance."""

    def start(self: BaseChatModel, input: Any, config: Any = None, **kwargs: Any) -> Any:  # noqa: A002
        following.cover(type(self), BaseChatModel, MODEL_BODIES)
        config = ensure_config(config)
        if config.get("run_id") is None:
            config["run_id"] = following.new_id()
        entrance = EXPECTED[config["run_id"]] = ModelEntrance(self)
        stream = original(self, input, config, **kwargs)
        following.keep(stream, entrance)
        return stream

    return start


def _astream_v3(original: Callable[..., Any]) -> Callable[..., Any]:
    async def start(self: BaseChatModel, input: Any, config: Any = None, **kwargs: Any) -> Any:  # noqa: A002
        following.cover(type(self), BaseChatModel, MODEL_BODIES)
        config = ensure_config(config)
        if config.get("run_id") is None:
            config["run_id"] = following.new_id()
        entrance = EXPECTED[config["run_id"]] = ModelEntrance(self)
        stream = await original(self, input, config, **kwargs)
        following.keep(stream, entrance)
        return stream

    return start


def _below(run_manager: Any) -> list[Any]:
    """The acts of one prompt, found by its run."""
    if run_manager is None:
        return []
    entrance = MODEL.get() or EXPECTED.get(run_manager.run_id)
    if entrance is None or entrance.judged:
        return []
    return entrance.acts.get(run_manager.run_id, [])


def _judged(model: Any, run_manager: Any, acts: list[Any]) -> ModelEntrance:
    entrance = ModelEntrance(model)
    entrance.acts[run_manager.run_id] = acts
    entrance.judged = True
    return entrance


def _generate_with_cache(original: Callable[..., Any]) -> Callable[..., Any]:
    def generate(self: BaseChatModel, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> Any:
        acts = _below(run_manager)
        if not acts:
            return original(self, messages, stop=stop, run_manager=run_manager, **kwargs)
        messages, kwargs, model = bodies.open_model(acts, (messages, kwargs, self))
        token = MODEL.set(_judged(model, run_manager, acts))
        try:
            result = original(model, messages, stop=stop, run_manager=run_manager, **kwargs)
        except BaseException as error:
            bodies.broken(acts, error)
            raise
        finally:
            MODEL.reset(token)
        return bodies.close_model(acts, result)

    return generate


def _agenerate_with_cache(original: Callable[..., Any]) -> Callable[..., Any]:
    async def agenerate(
        self: BaseChatModel, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Any:
        acts = _below(run_manager)
        if not acts:
            return await original(self, messages, stop=stop, run_manager=run_manager, **kwargs)
        messages, kwargs, model = await bodies.aopen_model(acts, (messages, kwargs, self))
        token = MODEL.set(_judged(model, run_manager, acts))
        try:
            result = await original(model, messages, stop=stop, run_manager=run_manager, **kwargs)
        except BaseException as error:
            bodies.broken(acts, error)
            raise
        finally:
            MODEL.reset(token)
        return await bodies.aclose_model(acts, result)

    return agenerate


def _iter_events(original: Callable[..., Any]) -> Callable[..., Any]:
    def events(self: BaseChatModel, messages: Any, *, run_manager: Any, **kwargs: Any) -> Iterator[Any]:
        acts = _below(run_manager)
        model = self
        if acts:
            stop, stream = kwargs.pop("stop", None), kwargs.pop("stream")
            messages, kwargs, model = bodies.open_model(acts, (messages, kwargs, self))
            kwargs |= {"stop": stop, "stream": stream}
            model = following.bridged(model, acts, "_stream_chat_model_events", "_stream")
            entrance = _judged(model, run_manager, acts)
        else:
            entrance = MODEL.get()
            if entrance is not None and entrance.judged:
                model = following.bridged(model, entrance.all(), "_stream_chat_model_events", "_stream")
        yield from _first(MODEL, entrance, original(model, messages, run_manager=run_manager, **kwargs))

    return events


def _aiter_events(original: Callable[..., Any]) -> Callable[..., Any]:
    async def events(self: BaseChatModel, messages: Any, *, run_manager: Any, **kwargs: Any) -> AsyncIterator[Any]:
        acts = _below(run_manager)
        model = self
        if acts:
            stop, stream = kwargs.pop("stop", None), kwargs.pop("stream")
            messages, kwargs, model = await bodies.aopen_model(acts, (messages, kwargs, self))
            kwargs |= {"stop": stop, "stream": stream}
            model = following.bridged(model, acts, "_astream_chat_model_events", "_astream", "_stream")
            entrance = _judged(model, run_manager, acts)
        else:
            entrance = MODEL.get()
            if entrance is not None and entrance.judged:
                model = following.bridged(
                    model, entrance.all(), "_astream_chat_model_events", "_astream", "_stream"
                )
        items = _afirst(MODEL, entrance, original(model, messages, run_manager=run_manager, **kwargs))
        async for item in items:
            yield item

    return events


def _stream_body(original: Callable[..., Any]) -> Callable[..., Any]:
    def _stream(
        self: BaseChatModel, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        entrance = MODEL.get()
        kwargs["stop"] = stop
        if entrance is None or entrance.streaming or not entrance.acts:
            yield from original(self, messages, **bodies.with_manager(kwargs, run_manager))
        else:
            yield from bodies.stream_model(entrance, original, (messages, kwargs, self), run_manager)

    return _stream


def _astream_body(original: Callable[..., Any]) -> Callable[..., Any]:
    async def _astream(
        self: BaseChatModel, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        entrance = MODEL.get()
        kwargs["stop"] = stop
        if entrance is None or entrance.streaming or not entrance.acts:
            items = original(self, messages, **bodies.with_manager(kwargs, run_manager))
        else:
            items = bodies.astream_model(entrance, original, (messages, kwargs, self), run_manager)
        async for item in items:
            yield item

    return _astream


# --- retrievers


def _retriever_invoke(original: Callable[..., Any]) -> Callable[..., Any]:
    def invoke(self: BaseRetriever, *args: Any, **kwargs: Any) -> Any:
        following.cover(type(self), BaseRetriever, RETRIEVER_BODIES)
        token = QUERY.set(QueryEntrance(self))
        try:
            return original(self, *args, **kwargs)
        finally:
            QUERY.reset(token)

    return invoke


def _retriever_ainvoke(original: Callable[..., Any]) -> Callable[..., Any]:
    async def ainvoke(self: BaseRetriever, *args: Any, **kwargs: Any) -> Any:
        following.cover(type(self), BaseRetriever, RETRIEVER_BODIES)
        token = QUERY.set(QueryEntrance(self))
        try:
            return await original(self, *args, **kwargs)
        finally:
            QUERY.reset(token)

    return ainvoke


def _search(original: Callable[..., Any]) -> Callable[..., Any]:
    def _get_relevant_documents(self: BaseRetriever, query: str, *args: Any, **kwargs: Any) -> Any:
        acts = following.search_acts(self)
        query = bodies.open_query(acts, query)
        with bodies.inside(acts):
            return original(self, query, *args, **kwargs)

    return _get_relevant_documents


def _asearch(original: Callable[..., Any]) -> Callable[..., Any]:
    async def _aget_relevant_documents(self: BaseRetriever, query: str, *args: Any, **kwargs: Any) -> Any:
        acts = following.search_acts(self)
        query = await bodies.aopen_query(acts, query)
        with bodies.inside(acts):
            return await original(self, query, *args, **kwargs)

    return _aget_relevant_documents


# --- embeddings


def _texts(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, tuple[Any, ...]]:
    if args:
        return args[0], args[1:]
    return kwargs.pop(next((name for name in ("texts", "text") if name in kwargs), next(iter(kwargs)))), ()


def _embed(original: Callable[..., Any]) -> Callable[..., Any]:
    def embed(self: Any, *args: Any, **kwargs: Any) -> Any:
        acts = following.embedding_acts(self)
        if not acts:
            return original(self, *args, **kwargs)
        texts, args = _texts(args, kwargs)
        sent = bodies.open_query(acts, [texts] if isinstance(texts, str) else texts)
        token = EMBEDDING_NOW.set(True)
        try:
            found = original(self, sent[0] if isinstance(texts, str) else sent, *args, **kwargs)
        except BaseException as error:
            following.failed(acts, error)
            raise
        finally:
            EMBEDDING_NOW.reset(token)
        following.embedded(acts, sent)
        return found

    return embed


def _aembed(original: Callable[..., Any]) -> Callable[..., Any]:
    async def embed(self: Any, *args: Any, **kwargs: Any) -> Any:
        acts = following.embedding_acts(self)
        if not acts:
            return await original(self, *args, **kwargs)
        texts, args = _texts(args, kwargs)
        sent = await bodies.aopen_query(acts, [texts] if isinstance(texts, str) else texts)
        token = EMBEDDING_NOW.set(True)
        try:
            found = await original(self, sent[0] if isinstance(texts, str) else sent, *args, **kwargs)
        except BaseException as error:
            following.failed(acts, error)
            raise
        finally:
            EMBEDDING_NOW.reset(token)
        following.embedded(acts, sent)
        return found

    return embed


# --- graphs


def _graph_stream(original: Callable[..., Any]) -> Callable[..., Any]:
    def stream(self: Any, input: Any, config: Any = None, **kwargs: Any) -> Iterator[Any]:  # noqa: A002
        config = following.with_handlers(self, config)
        yield from _first(GRAPH, GraphEntrance(self), original(self, input, config, **kwargs))

    return stream


def _graph_astream(original: Callable[..., Any]) -> Callable[..., Any]:
    async def astream(self: Any, input: Any, config: Any = None, **kwargs: Any) -> AsyncIterator[Any]:  # noqa: A002
        config = following.with_handlers(self, config)
        entrance = GraphEntrance(self)
        await following.announce(entrance, input, config)
        items = _afirst(GRAPH, entrance, original(self, input, config, **kwargs))
        try:
            async for item in items:
                yield item
        finally:
            await items.aclose()  # type: ignore[attr-defined]

    return astream


TOOL_ENTRANCES = {"run": _tool_run, "arun": _tool_arun, "_arun": _tool_abody}
TOOL_BODIES = {"_run": _tool_body, "_arun": _tool_abody}
MODEL_ENTRANCES = {
    "generate": _generate,
    "agenerate": _agenerate,
    "stream": _stream,
    "astream": _astream,
    "_chat_model_stream_v3": _stream_v3,
    "_achat_model_stream_v3": _astream_v3,
    "_generate_with_cache": _generate_with_cache,
    "_agenerate_with_cache": _agenerate_with_cache,
    "_iter_v2_events": _iter_events,
    "_aiter_v2_events": _aiter_events,
}
MODEL_BODIES = {"_stream": _stream_body, "_astream": _astream_body}
RETRIEVER_ENTRANCES = {"invoke": _retriever_invoke, "ainvoke": _retriever_ainvoke, "_aget_relevant_documents": _asearch}
RETRIEVER_BODIES = {"_get_relevant_documents": _search, "_aget_relevant_documents": _asearch}
ENTRANCES: tuple[tuple[type, dict[str, Any]], ...] = (
    (BaseTool, TOOL_ENTRANCES),
    (BaseChatModel, MODEL_ENTRANCES),
    (BaseLLM, {"stream": _text_stream, "astream": _text_astream}),
    (BaseRetriever, RETRIEVER_ENTRANCES),
    (Pregel, {"stream": _graph_stream, "astream": _graph_astream}),
)
EMBEDDING = {
    "embed_documents": _embed,
    "embed_query": _embed,
    "aembed_documents": _aembed,
    "aembed_query": _aembed,
}
