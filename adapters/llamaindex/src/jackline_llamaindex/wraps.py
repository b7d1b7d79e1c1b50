"""What of LlamaIndex is wrapped while a guard follows it, and put back when the last one is closed.

A wrap changes nothing by itself: it asks the guards that follow the object, its surroundings or the whole process.
"""

from __future__ import annotations

import functools
import types
from typing import TYPE_CHECKING, Any

from llama_index.core.agent.workflow import AgentWorkflow
from llama_index.core.agent.workflow.base_agent import BaseWorkflowAgent
from llama_index.core.base.base_query_engine import BaseQueryEngine
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.embeddings.base_sparse import BaseSparseEmbedding
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.callbacks import CallbackManager
from llama_index.core.image_retriever import BaseImageRetriever
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index.core.multi_modal_llms.base import MultiModalLLM
from llama_index.core.tools import FunctionTool, QueryEngineTool, RetrieverTool, calling
from llama_index.core.tools.types import BaseTool, BaseToolAsyncAdapter
from llama_index.core.workflow import Workflow
from llama_index_instrumentation.dispatcher import Dispatcher

from jackline.wrapping import Wraps
from jackline_llamaindex import agents, tracing
from jackline_llamaindex.entrances import async_tool_entrance, atelling, telling, tool_entrance
from jackline_llamaindex.models import MODELS
from jackline_llamaindex.queries import EMBEDDINGS, ENGINES, RETRIEVERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jackline.wrapping import Wrapper

_LEAVES = (FunctionTool, QueryEngineTool, RetrieverTool)
"""Tools whose `call` and `acall` are the body itself."""

_ROOTS = (
    BaseEmbedding,
    BaseImageRetriever,
    BaseLLM,
    BaseQueryEngine,
    BaseRetriever,
    BaseSparseEmbedding,
    BaseTool,
    MultiModalLLM,
    Workflow,
)
"""What has entrances; a class may be one of them and have its entrance from elsewhere."""

_AGENT = {
    "_call_tool": agents.execute_tool,
    "_generate_early_stopping_response": agents.early_stopping,
    "call_tool": agents.call_tool,
    "get_tools": agents.get_tools,
    "init_run": agents.init_run,
    "run": agents.run,
    "take_step": agents.take_step,
}


class LlamaIndexWraps(Wraps):
    """The entrances of LlamaIndex, on the classes that are there and those that come later."""

    def put_on(self) -> None:
        """Wrap agents, tools, models, retrievers and embeddings; raises JacklineError where agents are others."""
        for cls in (BaseWorkflowAgent, AgentWorkflow):
            agents.checked(cls)
        self.wrap(Workflow, "run", agents.run)
        self.wrap(Dispatcher, "event", tracing.event)
        self.wrap(Dispatcher, "span_exit", tracing.span_exit)
        self.wrap(CallbackManager, "on_event_end", tracing.on_event_end)
        self.wrap(calling, "call_tool", telling)
        self.wrap(calling, "acall_tool", atelling)
        self.cover_family(BaseWorkflowAgent, self._cover_agent)
        self.cover_family(AgentWorkflow, self._cover_agent)
        self.cover_family(BaseTool, self._cover_tool)
        for model in (BaseLLM, MultiModalLLM):
            self.cover_family(model, self._cover_model)
        for library in (BaseRetriever, BaseImageRetriever):
            self.cover_family(library, lambda cls: self.cover(cls, RETRIEVERS))
        self.cover_family(BaseQueryEngine, lambda cls: self.cover(cls, ENGINES))
        for embedding in (BaseEmbedding, BaseSparseEmbedding):
            self.cover_family(embedding, lambda cls: self.cover(cls, EMBEDDINGS))

    def cover(self, kind: type, wrappers: Mapping[str, Wrapper]) -> None:
        """As any wraps do; what LlamaIndex has decorated is called as a method, as tracers are told of it.

        An entrance that comes from a class beside LlamaIndex's is wrapped there, for the objects of LlamaIndex's alone.
        """
        own = {name: functools.partial(_around, wrapper) for name, wrapper in wrappers.items()}
        super().cover(kind, own)
        for name, wrapper in own.items():
            giver = next((each for each in kind.__mro__ if name in vars(each)), kind)
            if not issubclass(giver, _ROOTS):
                super().cover(giver, {name: functools.partial(_of_llamaindex, wrapper)})

    def _cover_agent(self, cls: type) -> None:
        self.cover(cls, _AGENT)

    def _cover_tool(self, cls: type) -> None:
        if cls is BaseToolAsyncAdapter:  # it passes a call on to the tool that it holds
            return
        leaf = cls in _LEAVES
        wrappers: dict[str, Any] = {
            "__call__": tool_entrance(leaf=False),
            "call": tool_entrance(leaf=leaf),
            "acall": async_tool_entrance(leaf=leaf),
        }
        self.cover(cls, wrappers)

    def _cover_model(self, cls: type) -> None:
        if cls is not StructuredLLM:  # it asks the model that it holds
            self.cover(cls, MODELS)


def _around(wrapper: Wrapper, body: Callable[..., Any]) -> Callable[..., Any]:
    if type(body) is types.FunctionType:  # a decorated one says that it is a function, too
        return wrapper(body)

    @functools.wraps(body)
    def bound(self: Any, *args: Any, **kwargs: Any) -> Any:
        return body.__get__(self, type(self))(*args, **kwargs)

    return wrapper(bound)


def _of_llamaindex(wrapper: Wrapper, body: Callable[..., Any]) -> Callable[..., Any]:
    wrapped = wrapper(body)

    def chosen(self: Any, *args: Any, **kwargs: Any) -> Any:
        return (wrapped if isinstance(self, _ROOTS) else body)(self, *args, **kwargs)

    return chosen


WRAPS = LlamaIndexWraps()
