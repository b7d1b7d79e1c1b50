"""Graphs: where an agent starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline_langchain import following
from jackline_langchain.entrances import GRAPH, GraphEntrance
from jackline_langchain.wraps.iteration import afirst, first

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


def _graph_stream(original: Callable[..., Any]) -> Callable[..., Any]:
    def stream(self: Any, input: Any, config: Any = None, **kwargs: Any) -> Iterator[Any]:  # noqa: A002
        config = following.with_handlers(self, config)
        entrance = GraphEntrance(self)
        try:
            yield from first(GRAPH, entrance, original(self, input, config, **kwargs))
        finally:
            entrance.left()

    return stream


def _graph_astream(original: Callable[..., Any]) -> Callable[..., Any]:
    async def astream(self: Any, input: Any, config: Any = None, **kwargs: Any) -> AsyncIterator[Any]:  # noqa: A002
        config = following.with_handlers(self, config)
        entrance = GraphEntrance(self)
        try:
            await following.announce(entrance, input, config)
            items = afirst(GRAPH, entrance, original(self, input, config, **kwargs))
            try:
                async for item in items:
                    yield item
            finally:
                await items.aclose()  # type: ignore[attr-defined]
        finally:
            entrance.left()

    return astream


ENTRANCES = {"stream": _graph_stream, "astream": _graph_astream}
