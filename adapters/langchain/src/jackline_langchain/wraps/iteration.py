"""The first step of an iterator, in which LangChain tells its callbacks that something starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline_langchain import bodies

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from contextvars import ContextVar

    from jackline_langchain.enforce import Act

_END = object()


def first(variable: ContextVar[Any], entrance: Any, iterator: Iterator[Any]) -> Iterator[Any]:
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


async def afirst(variable: ContextVar[Any], entrance: Any, iterator: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """As `first`, for what is awaited."""
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


def below(acts: Sequence[Act], iterator: Iterator[Any]) -> Iterator[Any]:
    """Iterate; what each step does, a request to the model's provider, is done below the acts."""
    try:
        while True:
            with bodies.inside(acts):
                item = next(iterator, _END)
            if item is _END:
                return
            yield item
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()


async def abelow(acts: Sequence[Act], iterator: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """As `below`, for what is awaited."""
    try:
        while True:
            with bodies.inside(acts):
                item = await anext(iterator, _END)
            if item is _END:
                return
            yield item
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()
