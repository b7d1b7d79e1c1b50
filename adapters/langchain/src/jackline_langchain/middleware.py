"""For `create_agent(..., middleware=[JacklineMiddleware(guard)])`: an agent that is governed wherever it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain.agents.middleware import AgentMiddleware

from jackline_langchain.handler import JacklineCallbackHandler

if TYPE_CHECKING:
    from jackline.guard import Guard


class JacklineMiddleware(AgentMiddleware[Any, Any]):
    """Governs the agent that it is built into, what its tools call included.

    The graph is found by this object in it when the agent is called, and its whole run is followed.
    """

    def __init__(self, guard: Guard) -> None:
        super().__init__()
        self.guard = guard
        self.jackline_handler = JacklineCallbackHandler(guard)
        self.tools = []

    def before_agent(self, state: Any, runtime: Any) -> None:
        """Nothing: the hook makes this object a part of the graph."""
