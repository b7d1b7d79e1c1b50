"""Around a body: the guard is asked with what it receives, then it runs, then what it gives back is judged."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.outputs.chat_generation import merge_chat_generation_chunks

from jackline.errors import Signal
from jackline.session import CURRENT, joined
from jackline_langchain import translate
from jackline_langchain.model_act import ModelAct, with_messages
from jackline_langchain.signals import told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

    from jackline_langchain.enforce import Act, QueryAct, ToolAct
    from jackline_langchain.entrances import ModelEntrance


def _abandon(acts: Sequence[Act], error: BaseException) -> None:
    why = "another guard refused it" if isinstance(error, Signal) else f"{type(error).__name__} came before it started"
    for act in acts:
        act.abandon(why)


@contextlib.contextmanager
def inside(acts: Sequence[Act]) -> Iterator[None]:
    """What is done in a body is done below its acts, one for each guard."""
    if not acts:
        yield
        return
    token = CURRENT.set(joined([act.inner for act in acts]))
    try:
        yield
    finally:
        CURRENT.reset(token)


def run_tool(acts: Sequence[ToolAct], body: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """Run a tool's body under every guard that follows the call."""
    try:
        for act in acts:
            act.check(act.ask(args, kwargs))
            args, kwargs = act.permitted(args, kwargs)
    except BaseException as error:
        _abandon(acts, error)
        raise
    try:
        with inside(acts):
            result = body(*args, **kwargs)
    except BaseException as error:
        _fail(acts, error)
        shown = told(error)
        if shown is error:
            raise
        raise shown from error.__cause__
    for act in reversed(acts):
        plain = translate.value(result)
        act.complete(plain)
        if act.request is not None:
            result = act.released(result, plain, act.guard.returned(act.request, plain))
            for asked in act.outputs(None):
                asked.args = {"result": translate.value(result)}
                if act.guard.judges(asked):
                    result = act.said(result, asked, act.guard.check(asked))
            act.handed_out(result)
    return result


async def arun_tool(
    acts: Sequence[ToolAct], body: Callable[..., Awaitable[Any]], args: Any, kwargs: dict[str, Any]
) -> Any:
    """As `run_tool`, without blocking the event loop."""
    try:
        for act in acts:
            await act.acheck(act.ask(args, kwargs))
            args, kwargs = act.permitted(args, kwargs)
    except BaseException as error:
        _abandon(acts, error)
        raise
    try:
        with inside(acts):
            result = await body(*args, **kwargs)
    except BaseException as error:
        _fail(acts, error)
        shown = told(error)
        if shown is error:
            raise
        raise shown from error.__cause__
    for act in reversed(acts):
        plain = translate.value(result)
        act.complete(plain)
        if act.request is not None:
            result = act.released(result, plain, await act.guard.areturned(act.request, plain))
            for asked in act.outputs(None):
                asked.args = {"result": translate.value(result)}
                if act.guard.judges(asked):
                    result = act.said(result, asked, await act.guard.acheck(asked))
            act.handed_out(result)
    return result


def _fail(acts: Sequence[Act], error: BaseException) -> None:
    for act in acts:
        act.fail(error)


Call = tuple[Any, dict[str, Any], Any]
"""What a model call is made of: messages, keyword arguments, the model."""


def open_model(acts: Sequence[ModelAct], call: Call) -> Call:
    """Ask every guard about a model call; what it is made of then."""
    try:
        for act in acts:
            act.check(act.ask(*call))
            call = act.permitted(*call)
    except BaseException as error:
        _abandon(acts, error)
        raise
    return call


async def aopen_model(acts: Sequence[ModelAct], call: Call) -> Call:
    """As `open_model`, without blocking the event loop."""
    try:
        for act in acts:
            await act.acheck(act.ask(*call))
            call = act.permitted(*call)
    except BaseException as error:
        _abandon(acts, error)
        raise
    return call


def close_model(acts: Sequence[ModelAct], result: ChatResult) -> ChatResult:
    """Record a model's answer, and let through what every guard permits of it."""
    messages = [generation.message for generation in result.generations]
    for act in acts:
        if act.closed:  # its stream was held back, judged and recorded
            continue
        plains = act.finished(messages, result.llm_output)
        messages = [act.returned(message, plain) for message, plain in zip(messages, plains, strict=True)]
    return with_messages(result, messages)


async def aclose_model(acts: Sequence[ModelAct], result: ChatResult) -> ChatResult:
    """As `close_model`, without blocking the event loop."""
    messages = [generation.message for generation in result.generations]
    for act in acts:
        if act.closed:
            continue
        plains = act.finished(messages, result.llm_output)
        messages = [await act.areturned(message, plain) for message, plain in zip(messages, plains, strict=True)]
    return with_messages(result, messages)


def broken(acts: Sequence[ModelAct], error: BaseException) -> None:
    """Record model calls that broke off."""
    for act in acts:
        act.broken(error)


def stream_model(
    entrance: ModelEntrance, body: Callable[..., Iterator[ChatGenerationChunk]], call: Call, manager: Any
) -> Iterator[ChatGenerationChunk]:
    """Stream a model's answer; where a policy looks at answers, nothing leaves before all of it was judged."""
    acts = entrance.all()
    entrance.streaming = True
    try:
        messages, kwargs, model = call if entrance.judged else open_model(acts, call)
        if not any(act.holds for act in acts):
            yield from body(model, messages, **with_manager(kwargs, manager))
            return
        held = list(body(model, messages, **kwargs))
        for chunk in _released(acts, held):
            if manager is not None:
                manager.on_llm_new_token(_text(chunk), chunk=chunk)
            yield chunk
    finally:
        entrance.streaming = False


async def astream_model(
    entrance: ModelEntrance, body: Callable[..., AsyncIterator[ChatGenerationChunk]], call: Call, manager: Any
) -> AsyncIterator[ChatGenerationChunk]:
    """As `stream_model`, without blocking the event loop."""
    acts = entrance.all()
    entrance.streaming = True
    try:
        messages, kwargs, model = call if entrance.judged else await aopen_model(acts, call)
        if not any(act.holds for act in acts):
            async for chunk in body(model, messages, **with_manager(kwargs, manager)):
                yield chunk
            return
        held = [chunk async for chunk in body(model, messages, **kwargs)]
        for chunk in await _areleased(acts, held):
            if manager is not None:
                await manager.on_llm_new_token(_text(chunk), chunk=chunk)
            yield chunk
    finally:
        entrance.streaming = False


def with_manager(kwargs: dict[str, Any], manager: Any) -> dict[str, Any]:
    """A call's arguments with its run manager, where it has one: not every model's stream takes None."""
    return kwargs if manager is None else {**kwargs, "run_manager": manager}


def _text(chunk: ChatGenerationChunk) -> str:
    return chunk.text


def _released(acts: Sequence[ModelAct], held: list[ChatGenerationChunk]) -> list[ChatGenerationChunk]:
    merged = merge_chat_generation_chunks(held)
    if merged is None:
        return held
    message: Any = merged.message
    for act in acts:
        (plain,) = act.finished([message], None)
        message = act.returned(message, plain)
    return _again(merged, message, held)


async def _areleased(acts: Sequence[ModelAct], held: list[ChatGenerationChunk]) -> list[ChatGenerationChunk]:
    merged = merge_chat_generation_chunks(held)
    if merged is None:
        return held
    message: Any = merged.message
    for act in acts:
        (plain,) = act.finished([message], None)
        message = await act.areturned(message, plain)
    return _again(merged, message, held)


def _again(merged: ChatGenerationChunk, message: Any, held: list[ChatGenerationChunk]) -> list[ChatGenerationChunk]:
    if message is merged.message:
        return held
    return [ChatGenerationChunk(message=message, generation_info=merged.generation_info)]


def open_query(acts: Sequence[QueryAct], sent: Any) -> Any:
    """Ask every guard about a query or texts; what is sent then."""
    try:
        for act in acts:
            act.check(act.ask(sent))
            sent = act.permitted(sent)
    except BaseException as error:
        _abandon(acts, error)
        raise
    return sent


async def aopen_query(acts: Sequence[QueryAct], sent: Any) -> Any:
    """As `open_query`, without blocking the event loop."""
    try:
        for act in acts:
            await act.acheck(act.ask(sent))
            sent = act.permitted(sent)
    except BaseException as error:
        _abandon(acts, error)
        raise
    return sent
