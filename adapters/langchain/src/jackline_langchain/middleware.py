"""For `create_agent(..., middleware=[JacklineMiddleware(guard)])`: an agent that is governed wherever it is called."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from langchain.agents.middleware import AgentMiddleware
from langgraph.config import get_config

from jackline.session import entered
from jackline_langchain.handler import JacklineCallbackHandler
from jackline_langchain.patches import PATCHES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from jackline.guard import Guard


class JacklineMiddleware(AgentMiddleware[Any, Any]):
    """Governs the agent that it is built into, what its tools call included.

    The graph is found by this object in it when the agent is called, and its whole run is followed. Where nothing may
    be wrapped (`JACKLINE_LANGCHAIN_PATCH=0`), each model and tool call is governed by itself, as this program's.
    """

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self.guard = guard
        self.jackline_handler = JacklineCallbackHandler(guard)
        self.tools = []

    def before_agent(self, state: Any, runtime: Any) -> None:
        """Nothing: the hook makes this object a part of the graph."""

    def wrap_model_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        """Govern the call, where the graph could not be."""
        with self._around():
            return handler(request)

    async def awrap_model_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """Govern the call, where the graph could not be."""
        with self._around():
            return await handler(request)

    def wrap_tool_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        """Govern the call, where the graph could not be."""
        with self._around():
            return handler(request)

    async def awrap_tool_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """Govern the call, where the graph could not be."""
        with self._around():
            return await handler(request)

    def _around(self) -> contextlib.AbstractContextManager[Any]:
        runs = self.jackline_handler.runs
        if PATCHES.on or runs.off:
            return contextlib.nullcontext()
        return entered(runs.bare(get_config().get("metadata") or {}))
