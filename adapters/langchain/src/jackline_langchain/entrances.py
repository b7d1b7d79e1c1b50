"""What the patched entrances of LangChain know of a call, handed to the callbacks and the bodies below them.

A callback gets a copy of a call's input and no object; the entrance has the object. A callback that finds an entrance
adds its act there, and the body asks the guard with what it really receives. A callback that finds none asks itself.
"""

from __future__ import annotations

import sys
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uuid import UUID

    from jackline_langchain.enforce import QueryAct, ToolAct
    from jackline_langchain.model_act import ModelAct
    from jackline_langchain.runs import Runs


class GraphEntrance:
    """A graph that is about to start; each guard takes it once."""

    __slots__ = ("judged", "native", "started")

    def __init__(self, native: Any) -> None:
        self.native = native
        self.started: dict[Runs, UUID] = {}
        """By guard: the run that it is."""
        self.judged: dict[int, Any] = {}
        """By guard: the act of a start that was already decided, where that had to be awaited."""

    def take(self, runs: Runs, run_id: UUID) -> bool:
        """Whether `runs` had not taken it before."""
        if runs in self.started:
            return False
        self.started[runs] = run_id
        return True

    def left(self) -> None:
        """Close what LangGraph leaves open where a run is cancelled, and a start that never came to be."""
        error = sys.exception()
        for runs, run_id in self.started.items():
            try:
                runs.ended(run_id, error)
            except Exception as ours:  # noqa: BLE001 - counted, and never raised into the agent
                runs.guard.recorder.lose(ours)
        for act in self.judged.values():
            act.abandon("the graph did not start")


class ToolEntrance:
    """A tool's run, from its public entrance to its body."""

    __slots__ = ("above", "acts", "entered", "native", "outer", "raw")

    def __init__(self, native: Any, raw: Any, above: ToolEntrance | None = None) -> None:
        self.native = native
        self.above = above
        """The entrance of the tool's own that leads to this one."""
        self.outer = False
        """Of the tool's own: what stands in place of LangChain's entrance may do everything by itself."""
        self.raw = raw
        self.acts: list[ToolAct] = []
        self.entered = False
        """The body was reached: what starts from now on is another call."""

    def asked_above(self, guard: Any) -> Any:
        """A guard's act of the tool's own entrance above this one."""
        acts = self.above.acts if self.above is not None else ()
        return next((act for act in acts if act.guard is guard), None)


class ModelEntrance:
    """One call of a model, which may carry several prompts."""

    __slots__ = ("__weakref__", "acts", "judged", "native", "streaming")

    def __init__(self, native: Any) -> None:
        self.native = native
        self.acts: dict[UUID, list[ModelAct]] = {}
        self.judged = False
        """The acts were permitted above; below, only the answer is looked at."""
        self.streaming = False
        """A stream of this call is being watched: a stream inside of it is part of it."""

    def all(self) -> list[ModelAct]:
        """The acts of every prompt."""
        return [act for acts in self.acts.values() for act in acts]

    def left(self) -> None:
        """Take out prompts that were never sent, since one before them failed: LangChain tells nobody of their end."""
        for act in self.all():
            if act.request is None and act.node is not None:
                act.node.leave()


class QueryEntrance:
    """A retriever's call."""

    __slots__ = ("acts", "entered", "native")

    def __init__(self, native: Any) -> None:
        self.native = native
        self.acts: list[QueryAct] = []
        self.entered = False


GRAPH: ContextVar[GraphEntrance | None] = ContextVar("jackline_graph", default=None)
TOOL: ContextVar[ToolEntrance | None] = ContextVar("jackline_tool", default=None)
MODEL: ContextVar[ModelEntrance | None] = ContextVar("jackline_model", default=None)
QUERY: ContextVar[QueryEntrance | None] = ContextVar("jackline_query", default=None)
EMBEDDING: ContextVar[bool] = ContextVar("jackline_embedding", default=False)
"""Within an embedding: what an implementation calls of its own is part of it."""
TEXT: ContextVar[bool] = ContextVar("jackline_text", default=False)
"""A completion model is about to stream its answer."""
EXPECTED: weakref.WeakValueDictionary[UUID, ModelEntrance] = weakref.WeakValueDictionary()
"""By run id: entrances of streams that start when they are read, in whatever context that is."""
