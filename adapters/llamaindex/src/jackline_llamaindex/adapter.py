"""The adapter as Jackline's core knows it: attach one agent, or govern the whole process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from llama_index.core.agent.workflow import AgentWorkflow
from llama_index.core.agent.workflow.base_agent import BaseWorkflowAgent
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.tools.types import BaseTool
from llama_index.core.workflow import Workflow

from jackline_llamaindex.following import FOLLOWERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jackline.guard import Guard

T = TypeVar("T")

_ACCEPTED = (
    BaseWorkflowAgent,
    AgentWorkflow,
    Workflow,
    BaseTool,
    BaseLLM,
    BaseRetriever,
    BaseQueryEngine,
    BaseEmbedding,
)

GAPS: Mapping[str, str] = {
    "tool.fn": "tool.fn, tool.real_fn, tool.async_fn: the plain function is called without LlamaIndex; use guard.tool",
}


class LlamaIndexAdapter:
    """Governs LlamaIndex."""

    name = "llamaindex"

    def accepts(self, agent: object) -> bool:
        """Agents, workflows, tools, models, retrievers, query engines, embeddings."""
        return isinstance(agent, _ACCEPTED)

    def attach(self, guard: Guard, agent: T) -> T:
        """Govern this object from now on; it is the same object that is returned."""
        follower = FOLLOWERS.join(guard)
        for native in _parts(agent):
            FOLLOWERS.bind(native, follower)
        return agent

    def enable(self, guard: Guard) -> None:
        """Govern every call of this process, of agents built earlier too."""
        FOLLOWERS.join(guard).process = True

    def disable(self, guard: Guard) -> None:
        """Undo `enable`, and every `attach` of this guard."""
        follower = FOLLOWERS.of(guard)
        if follower is not None:
            follower.disable(guard)

    def gaps(self) -> Mapping[str, str]:
        """What cannot be guaranteed, by path."""
        return GAPS


def _parts(native: Any) -> Iterator[Any]:
    """What is attached with an object: the agents of a workflow, and what a query engine asks."""
    yield native
    agents = getattr(native, "agents", None)
    if isinstance(native, AgentWorkflow) and isinstance(agents, dict):
        yield from agents.values()


def enable(guard: Guard) -> None:
    """Govern every LlamaIndex agent of this process with `guard`, until it is closed or `disable` is called."""
    guard.enable(LlamaIndexAdapter())


def disable(guard: Guard | None = None) -> None:
    """Undo `enable` of this guard, or of every guard."""
    for follower in FOLLOWERS.all() if guard is None else [FOLLOWERS.of(guard)]:
        if follower is not None:
            follower.disable(follower.guard)
