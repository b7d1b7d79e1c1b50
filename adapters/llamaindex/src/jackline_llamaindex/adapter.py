"""The adapter as Jackline's core knows it: attach one agent, or govern the whole process."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from llama_index.core.agent.workflow import AgentWorkflow
from llama_index.core.agent.workflow.base_agent import BaseWorkflowAgent
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.embeddings.base_sparse import BaseSparseEmbedding
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.image_retriever import BaseImageRetriever
from llama_index.core.multi_modal_llms.base import MultiModalLLM
from llama_index.core.tools.types import BaseTool
from llama_index.core.workflow import Workflow

from jackline_llamaindex.following import FOLLOWERS

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    BaseSparseEmbedding,
    BaseImageRetriever,
    MultiModalLLM,
)

GAPS: Mapping[str, str] = {
    "tool.fn": "tool.fn, tool.real_fn, tool.async_fn: the plain function is called without LlamaIndex; use guard.tool",
    "code": "what executed code does without the agent's own functions is not seen; `execute` is judged with its code",
    "private methods": "a model's, retriever's or embedding's `_` methods, called as such, are not seen",
    "inside of tools": "tracers see what a tool does inside (its own queries, models), not only its judged result",
    "ReAct's text": "arguments in a ReAct or CodeAct answer are text until they are judged as the call of a tool",
    "structured output": "what `output_cls` makes of an answer is judged as `model.return`, not as `output`",
    "own workflows": "a workflow of one's own that an agent starts is asked for without awaiting, before it starts",
    "calls of one answer": "they are judged when the model asks for them; a stop from another process comes after them",
    "other runtimes": "steps that a server (DBOS and the like) runs in another process are governed there",
}


class LlamaIndexAdapter:
    """Governs LlamaIndex."""

    name = "llamaindex"

    def accepts(self, agent: object) -> bool:
        """Agents, workflows, tools, models, retrievers, query engines, embeddings."""
        return isinstance(agent, _ACCEPTED)

    def attach(self, guard: Guard, agent: T) -> T:
        """Govern this object from now on; it is the same object that is returned."""
        FOLLOWERS.bind(agent, FOLLOWERS.join(guard))
        return agent

    def enable(self, guard: Guard) -> None:
        """Govern every call of this process, of agents built earlier too."""
        FOLLOWERS.widen(FOLLOWERS.join(guard))

    def disable(self, guard: Guard) -> None:
        """Undo `enable`, and every `attach` of this guard."""
        follower = FOLLOWERS.of(guard)
        if follower is not None:
            follower.end()

    def gaps(self) -> Mapping[str, str]:
        """What cannot be guaranteed, by path."""
        return GAPS


def enable(guard: Guard) -> None:
    """Govern every LlamaIndex agent of this process with `guard`, until it is closed or `disable` is called."""
    guard.enable(LlamaIndexAdapter())


def disable(guard: Guard | None = None) -> None:
    """Undo `enable` of this guard, or of every guard."""
    for follower in FOLLOWERS.all() if guard is None else [FOLLOWERS.of(guard)]:
        if follower is not None:
            follower.end()
