"""The adapter as Jackline's core knows it: attach one agent, or govern the whole process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from langchain_core.language_models.llms import BaseLLM
from langchain_core.runnables import Runnable
from langgraph.pregel import Pregel

from jackline.adapter import CHANGING, refuse
from jackline_langchain import following
from jackline_langchain.handler import JacklineCallbackHandler
from jackline_langchain.patches import PATCHES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jackline.guard import Guard

T = TypeVar("T")

_COMPLETIONS = "prompts and answers of text completion models are judged and refused, never changed"

GAPS: Mapping[str, str] = {
    "tool.func": "the plain function below a tool is called without LangChain; decorate it with guard.tool",
    "completion models": _COMPLETIONS,
    "awaited completions": "on an event loop a completion model that waits for people is refused as pending at once",
    "own words": "what a graph's own code says last is judged before invoke returns, not before a stream",
    "sub-agents in streams": "an agent inside a tool speaks to the tool; what streams show of it is no output",
    "embeddings": "LangChain tells no callback of embeddings: govern the process, or call them in guard.session",
    "own models": "a model class with an invoke, stream or generate of its own that tells no callback is not seen",
    "other contexts": "without `init`, what a tool does in an empty context or a raw `_thread` is not seen",
    "RemoteGraph": "a graph that runs on a server is governed there",
}


class LangChainAdapter:
    """Governs LangChain and LangGraph."""

    name = "langchain"

    def accepts(self, agent: object) -> bool:
        """Agents, graphs, chains, tools, models, retrievers: whatever takes callbacks."""
        return isinstance(agent, Runnable)

    def attach(self, guard: Guard, agent: T) -> T:
        """A governed copy; the object that is given is left alone."""
        native: Any = agent
        if isinstance(native, BaseLLM):
            gaps = dict.fromkeys((f"{CHANGING}model.call", f"{CHANGING}model.return"), _COMPLETIONS)
            refuse(guard.bundle, f"'{type(native).__qualname__}'", gaps)
        handler = JacklineCallbackHandler(guard)
        fields = getattr(type(native), "model_fields", {})
        if "callbacks" in fields:
            callbacks = native.callbacks
            if callbacks is None or isinstance(callbacks, list):
                return cast("T", native.model_copy(update={"callbacks": [*(callbacks or ()), handler]}))
            manager = callbacks.copy()
            manager.add_handler(handler, inherit=True)
            return cast("T", native.model_copy(update={"callbacks": manager}))
        if isinstance(native, Pregel) and PATCHES.on:
            return cast("T", native.with_config({"configurable": {following.ATTACHED: handler}}))
        return cast("T", native.with_config({"callbacks": [handler]}))

    def enable(self, guard: Guard) -> None:
        """Govern every call of this process, of agents built earlier too."""
        handler = JacklineCallbackHandler(guard)
        following.widen(following.join(guard, handler))

    def disable(self, guard: Guard) -> None:
        """Undo `enable`."""
        follower = following.follower_of(guard)
        if follower is not None:
            following.narrow(follower)

    def gaps(self) -> Mapping[str, str]:
        """What cannot be guaranteed, by path."""
        return GAPS


def enable(guard: Guard) -> None:
    """Govern every LangChain agent of this process with `guard`, until it is closed or `disable` is called."""
    guard.enable(LangChainAdapter())


def disable(guard: Guard) -> None:
    """Undo `enable`."""
    LangChainAdapter().disable(guard)
