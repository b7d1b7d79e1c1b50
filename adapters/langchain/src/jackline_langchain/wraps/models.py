"""Chat and completion models: the public entrances, the calls below them, and the streams of each class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.language_models.llms import BaseLLM
from langchain_core.runnables.config import ensure_config

from jackline_langchain import bodies, following
from jackline_langchain.entrances import EXPECTED, MODEL, TEXT, ModelEntrance
from jackline_langchain.wraps.iteration import abelow, afirst, below, first

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


def _generate(original: Callable[..., Any]) -> Callable[..., Any]:
    def generate(self: BaseChatModel, *args: Any, **kwargs: Any) -> Any:
        following.reach(type(self), BaseChatModel, BODIES)
        entrance = ModelEntrance(self)
        token = MODEL.set(entrance)
        try:
            return original(self, *args, **kwargs)
        finally:
            MODEL.reset(token)
            entrance.left()

    return generate


def _agenerate(original: Callable[..., Any]) -> Callable[..., Any]:
    async def agenerate(self: BaseChatModel, *args: Any, **kwargs: Any) -> Any:
        following.reach(type(self), BaseChatModel, BODIES)
        entrance = ModelEntrance(self)
        token = MODEL.set(entrance)
        try:
            return await original(self, *args, **kwargs)
        finally:
            MODEL.reset(token)
            entrance.left()

    return agenerate


def _stream(original: Callable[..., Any]) -> Callable[..., Any]:
    def stream(self: BaseChatModel, *args: Any, **kwargs: Any) -> Iterator[Any]:
        following.reach(type(self), BaseChatModel, BODIES)
        yield from first(MODEL, ModelEntrance(self), original(self, *args, **kwargs))

    return stream


def _astream(original: Callable[..., Any]) -> Callable[..., Any]:
    async def astream(self: BaseChatModel, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        following.reach(type(self), BaseChatModel, BODIES)
        items = afirst(MODEL, ModelEntrance(self), original(self, *args, **kwargs))
        try:
            async for item in items:
                yield item
        finally:
            await items.aclose()  # type: ignore[attr-defined]

    return astream


def _text_stream(original: Callable[..., Any]) -> Callable[..., Any]:
    def stream(self: BaseLLM, *args: Any, **kwargs: Any) -> Iterator[Any]:
        streams = type(self)._stream is not BaseLLM._stream  # noqa: SLF001 - as LangChain asks
        yield from first(TEXT, streams, original(self, *args, **kwargs))

    return stream


def _text_astream(original: Callable[..., Any]) -> Callable[..., Any]:
    async def astream(self: BaseLLM, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        own = type(self)._astream is not BaseLLM._astream  # noqa: SLF001 - as LangChain asks
        streams = own or type(self)._stream is not BaseLLM._stream  # noqa: SLF001
        items = afirst(TEXT, streams, original(self, *args, **kwargs))
        try:
            async for item in items:
                yield item
        finally:
            await items.aclose()  # type: ignore[attr-defined]

    return astream


def _stream_v3(original: Callable[..., Any]) -> Callable[..., Any]:
    """The stream starts the model only when it is read, in whatever context: the run's id leads to the entrance."""

    def start(self: BaseChatModel, input: Any, config: Any = None, **kwargs: Any) -> Any:  # noqa: A002
        following.reach(type(self), BaseChatModel, BODIES)
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
        following.reach(type(self), BaseChatModel, BODIES)
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
            with bodies.inside(acts):
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
            with bodies.inside(acts):
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
            entrance: ModelEntrance | None = _judged(model, run_manager, acts)
        else:
            entrance = MODEL.get()
            if entrance is not None and entrance.judged:
                model = following.bridged(model, entrance.all(), "_stream_chat_model_events", "_stream")
        yield from first(MODEL, entrance, original(model, messages, run_manager=run_manager, **kwargs))

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
            entrance: ModelEntrance | None = _judged(model, run_manager, acts)
        else:
            entrance = MODEL.get()
            if entrance is not None and entrance.judged:
                model = following.bridged(model, entrance.all(), "_astream_chat_model_events", "_astream", "_stream")
        items = afirst(MODEL, entrance, original(model, messages, run_manager=run_manager, **kwargs))
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
            acts = entrance.all()

            def body(*args: Any, **more: Any) -> Iterator[Any]:
                return below(acts, original(*args, **more))

            yield from bodies.stream_model(entrance, body, (messages, kwargs, self), run_manager)

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
            acts = entrance.all()

            def body(*args: Any, **more: Any) -> AsyncIterator[Any]:
                return abelow(acts, original(*args, **more))

            items = bodies.astream_model(entrance, body, (messages, kwargs, self), run_manager)
        async for item in items:
            yield item

    return _astream


BODIES = {"_stream": _stream_body, "_astream": _astream_body}
ENTRANCES = {
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
TEXT_ENTRANCES = {"stream": _text_stream, "astream": _text_astream}
