"""The entrances of CrewAI that are wrapped while a guard is open, and put back when the last one is closed.

A wrap changes nothing by itself: it asks the guards that follow the call, and where none does it calls what it wraps.
"""

from __future__ import annotations

import functools
import inspect
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from chromadb.api.types import EmbeddingFunction as ChromaEmbeddingFunction
from crewai import Crew, Task
from crewai.agent.core import Agent
from crewai.agents.agent_builder.base_agent import BaseAgent
from crewai.agents.agent_executor import AgentExecutor
from crewai.agents.cache.cache_handler import CacheHandler
from crewai.events.event_bus import CrewAIEventsBus
from crewai.flow.runtime import Flow
from crewai.knowledge.knowledge import Knowledge
from crewai.lite_agent import LiteAgent
from crewai.llms.base_llm import BaseLLM
from crewai.memory import types as memory_types
from crewai.memory.unified_memory import Memory
from crewai.rag.core.base_embeddings_callable import EmbeddingFunction
from crewai.tools.base_tool import BaseTool
from crewai.tools.structured_tool import CrewStructuredTool
from crewai.utilities.agent_utils import is_inside_event_loop
from crewai.utilities.exceptions.context_window_exceeding_exception import LLMContextLengthExceededError
from crewai.utilities.internal_instructor import InternalInstructor

from jackline.errors import Signal
from jackline.wrapping import Wraps
from jackline_crewai import bodies, entrances, models, queries, references, structured
from jackline_crewai.following import FOLLOWING
from jackline_crewai.tools import original

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Body = Callable[..., Any]

_FRAMEWORK = ("crewai.tools.base_tool", "crewai.tools.structured_tool")
_RESTORING = tuple(import_module(name) for name in ("crewai.agent.core", "crewai.crew", "crewai.flow.runtime"))
"""The modules that took CrewAI's way to what a checkpoint has."""

_EXECUTING = tuple(import_module(name) for name in ("crewai.agents.agent_executor", "crewai.lite_agent"))
"""The modules that ask for a last word."""

active = FOLLOWING.active


def _tool(body: Body) -> Body:
    own = body.__module__ not in _FRAMEWORK
    if inspect.iscoroutinefunction(body):
        return _atool(body, own=own)

    def entrance(self: Any, *args: Any, **kwargs: Any) -> Any:
        followers = active(original(self))
        if not followers:
            return body(self, *args, **kwargs)
        call = bodies.ToolCall(body, self, args, kwargs, own=own)
        if call.continues():
            return body(self, *args, **kwargs)
        return bodies.run_tool(followers, call, body)

    return entrance


def _atool(body: Body, *, own: bool) -> Body:
    async def entrance(self: Any, *args: Any, **kwargs: Any) -> Any:
        followers = active(original(self))
        if not followers:
            return await body(self, *args, **kwargs)
        call = bodies.ToolCall(body, self, args, kwargs, own=own)
        if call.continues():
            return await body(self, *args, **kwargs)
        return await bodies.arun_tool(followers, call, body)

    return entrance


def _parsing(body: Body) -> Body:
    def parse(self: Any, *args: Any, **kwargs: Any) -> Any:
        found = bodies.parsed(self)
        if found is not None:
            return found
        found = body(self, *args, **kwargs)
        followers = _unjudged(self)
        return references.parsed(followers, original(self), found) if followers else found

    return parse


def _claiming(body: Body) -> Body:
    def claim(self: Any) -> Any:
        followers = _unjudged(self)
        refused = references.counted(followers, self) if followers else None
        return body(self) if refused is None else refused

    return claim


def _unjudged(native: Any) -> Sequence[Any]:
    """The guards that follow a call which came to no entrance."""
    return () if references.OURS.get() or bodies.judged(original(native)) else active(original(native))


def _cache(body: Body) -> Body:
    def read(self: Any, tool: str, input: str) -> Any:  # noqa: A002 - CrewAI's name
        found = body(self, tool, input)
        followers = active(self) if found is not None else ()
        return bodies.cached(followers, tool, input, found) if followers else found

    return read


def _keeping(body: Body) -> Body:
    def add(self: Any, *args: Any, **kwargs: Any) -> Any:
        once = bodies.ONCE.get()
        bodies.ONCE.set(False)
        return None if once else body(self, *args, **kwargs)

    return add


def _call(body: Body) -> Body:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        followers = active(self)
        if not followers or models.continues(self):
            return body(self, *args, **kwargs)
        return models.call_model(followers, body, self, args, kwargs)

    return call


def _acall(body: Body) -> Body:
    async def acall(self: Any, *args: Any, **kwargs: Any) -> Any:
        followers = active(self)
        if not followers or models.continues(self):
            return await body(self, *args, **kwargs)
        return await models.acall_model(followers, body, self, args, kwargs)

    return acall


def _usage(body: Body) -> Body:
    def track(self: Any, usage_data: Any) -> Any:
        models.told(usage_data)
        return body(self, usage_data)

    return track


def _context_length(body: Body) -> Body:
    def exceeded(error: Any) -> Any:  # CrewAI goes by words such as "too many tokens", which a reason may have
        return not isinstance(error, Signal) and body(error)

    return exceeded


def _emit(body: Body) -> Body:
    def emit(self: Any, source: Any, event: Any) -> Any:
        return None if models.withheld(self, source, event) else body(self, source, event)

    return emit


def _aemit(body: Body) -> Body:
    async def aemit(self: Any, source: Any, event: Any) -> Any:
        return None if models.withheld(self, source, event) else await body(self, source, event)

    return aemit


def _copying(body: Body) -> Body:
    def copy(self: Any) -> Any:
        made = body(self)
        FOLLOWING.inherit(self, made)
        for name in ("llm", "function_calling_llm", "manager_llm"):  # models are copied with what has them
            FOLLOWING.inherit(getattr(self, name, None), getattr(made, name, None))
        return made

    return copy


def _restoring(body: Body) -> Body:
    def restored(instance: Any, from_checkpoint: Any) -> Any:
        made = body(instance, from_checkpoint)
        FOLLOWING.inherit(instance, made)
        return made

    return restored


_TOOL = {"run": _tool, "arun": _tool, "_validate_kwargs": _parsing, "_claim_usage": _claiming}
_STRUCTURED = {"invoke": _tool, "ainvoke": _tool, "_parse_args": _parsing}
_MODEL = {"call": _call, "acall": _acall, "_track_token_usage_internal": _usage}
_EMBEDDER = {"__call__": queries.embedder, "embed_query": queries.embedder}
_KNOWLEDGE = {"query": queries.knowledge, "aquery": queries.knowledge}
_EXECUTOR = {"invoke": entrances.executor, "invoke_async": entrances.aexecutor}
_AGENT = {"execute_task": entrances.task, "aexecute_task": entrances.atask, "copy": _copying}


def _embedding() -> Iterator[tuple[Any, str]]:
    """Where memory's functions that embed stand: modules take them from each other, some only when memory is used."""
    for place in ("types", "unified_memory", "recall_flow", "encoding_flow"):
        module = sys.modules.get(f"crewai.memory.{place}")
        for name in ("embed_text", "embed_texts"):
            if module is not None and name in module.__dict__:
                yield module, name


class CrewWraps(Wraps):
    """Every wrapped entrance of CrewAI."""

    def remove(self) -> None:
        """As always; also where a module that was loaded meanwhile took what was wrapped."""
        with self.lock:
            taken = {name: getattr(memory_types, name) for name in ("embed_text", "embed_texts")}
            super().remove()
            for module, name in _embedding() if not self.on else ():
                if module.__dict__[name] is taken[name]:
                    setattr(module, name, getattr(memory_types, name))

    def _cover_model(self, kind: type) -> None:
        """A class of models; the base's own `acall` only says that there is none, which is no call."""
        wrappers = {"_track_token_usage_internal": _usage} if kind is BaseLLM else _MODEL
        self.cover(kind, wrappers)

    def put_on(self) -> None:
        """Wrap tools, models, the cache of results, crews, flows and agents, and what shows a model's answer."""
        self.cover_family(BaseTool, functools.partial(self.cover, wrappers=_TOOL))
        self.cover_family(CrewStructuredTool, functools.partial(self.cover, wrappers=_STRUCTURED))
        self.cover_family(BaseLLM, self._cover_model)
        self.cover_family(BaseAgent, functools.partial(self.cover, wrappers=_AGENT))
        for base in (EmbeddingFunction, ChromaEmbeddingFunction):
            self.cover_family(base, functools.partial(self.cover, wrappers=_EMBEDDER))
        for module, name in _embedding():
            self.wrap(module, name, queries.embed_with)
        self.cover_family(Knowledge, functools.partial(self.cover, wrappers=_KNOWLEDGE))
        self.cover_family(Memory, functools.partial(self.cover, wrappers={"recall": queries.memory}))
        self.wrap(CacheHandler, "read", _cache)
        self.wrap(CacheHandler, "add", _keeping)
        self.wrap(LLMContextLengthExceededError, "_is_context_length_exceeded_error", _context_length)
        self.wrap(InternalInstructor, "to_pydantic", structured.instructed)
        self.wrap(CrewAIEventsBus, "emit", _emit)
        self.wrap(CrewAIEventsBus, "aemit", _aemit)
        self.wrap(Task, "_execute_core", entrances.task_core)
        self.wrap(Task, "_aexecute_core", entrances.atask_core)
        self.wrap(Task, "_export_output", entrances.exported)
        self.wrap(Task, "_aexport_output", entrances.aexported)
        self.wrap(Crew, "kickoff", entrances.crew)
        self.wrap(Crew, "akickoff", entrances.acrew)
        self.wrap(Crew, "replay", entrances.replay)
        self.wrap(Crew, "copy", _copying)
        for module in _RESTORING:
            self.wrap(module, "apply_checkpoint", _restoring)
        self.wrap(Flow, "kickoff_async", entrances.flow)
        self.wrap(Flow, "resume_async", entrances.resume)
        self.wrap(Agent, "kickoff", functools.partial(entrances.kickoff, elsewhere=is_inside_event_loop))
        self.wrap(Agent, "kickoff_async", entrances.akickoff)
        self.wrap(LiteAgent, "kickoff", functools.partial(entrances.kickoff, elsewhere=lambda: False))
        self.wrap(AgentExecutor, "_synthesize_final_answer_from_todos", entrances.last_word)
        for module in _EXECUTING:
            self.wrap(module, "handle_max_iterations_exceeded", entrances.last_word)
        self.cover_family(AgentExecutor, functools.partial(self.cover, wrappers=_EXECUTOR))


WRAPS = CrewWraps()
