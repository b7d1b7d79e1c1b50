"""Which tools an agent has: their identity, found once, and how their bodies take their arguments."""

from __future__ import annotations

import inspect
import threading
import weakref
from typing import TYPE_CHECKING, Any

from langgraph.prebuilt import ToolNode

from jackline.plain import fingerprint
from jackline.request import Agent, Tool
from jackline_langchain import translate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from langchain_core.tools import BaseTool

    from jackline.guard import Guard

_CAPACITY = 4096
"""Tool objects remembered; the memory is emptied when it is full."""

_ADDED = frozenset({"config", "run_manager", "callbacks"})
"""What BaseTool adds to every body's arguments."""


class KnownTool:
    """One tool object: its identity and its parameters."""

    __slots__ = ("_description", "_reference", "_schema", "_visible", "defaults", "names", "tool")

    def __init__(self, native: BaseTool) -> None:
        self._reference = weakref.ref(native)
        self._description = native.description
        self._schema = native.args_schema
        self._visible: dict[tuple[str, ...], tuple[str, ...]] = {}
        self.names = _names(native)
        self.defaults = _defaults(native, self.names)
        declared = translate.schema(native)
        self.tool = Tool(
            name=native.name,
            fingerprint=fingerprint(declared),
            read_only=translate.read_only(native),
            parameters=declared["parameters"],
        )

    def describes(self, native: BaseTool) -> bool:
        """Whether this is still what `native` says of itself."""
        return (
            self._reference() is native
            and self._schema is native.args_schema
            and self._description == native.description
            and self.tool.name == native.name
        )

    def visible(self, kwargs: Mapping[str, Any]) -> tuple[str, ...]:
        """The names of a call's arguments, without what LangChain adds: config, callbacks, injected state."""
        key = tuple(kwargs)
        found = self._visible.get(key)
        if found is None:
            native = self._reference()
            shown = native._filter_injected_args(dict(kwargs)) if native is not None else kwargs  # noqa: SLF001
            found = tuple(name for name in shown if name in self.names or name not in _ADDED)
            self._visible[key] = found
        return found


class NamedTool:
    """A tool of which only the name is known, where a callback tells no more."""

    __slots__ = ("defaults", "names", "tool")

    def __init__(self, tool: Tool) -> None:
        self.tool = tool
        self.names: tuple[str, ...] = ()
        self.defaults: dict[str, Any] = {}

    def visible(self, kwargs: Mapping[str, Any]) -> tuple[str, ...]:
        """Everything: callbacks are given what is left after LangChain took its own."""
        return tuple(kwargs)


def _names(native: BaseTool) -> tuple[str, ...]:
    """The parameters that a positional argument can mean, in order."""
    try:
        return tuple(native.args)
    except Exception:  # noqa: BLE001 - a schema that cannot be made has no names; positional values are numbered
        return ()


def _defaults(native: BaseTool, names: tuple[str, ...]) -> dict[str, Any]:
    """What a body has where it is given nothing; LangChain before 1.2.7 leaves that to the body."""
    body = getattr(native, "func", None) or getattr(native, "coroutine", None) or native._run  # noqa: SLF001
    try:
        parameters = inspect.signature(body).parameters
    except (TypeError, ValueError):
        return {}
    shown = native._filter_injected_args(dict.fromkeys(names))  # noqa: SLF001
    found = {name: parameters[name].default for name in shown if name in parameters}
    return {name: item for name, item in found.items() if item is not inspect.Parameter.empty and not _is_field(item)}


def _is_field(item: Any) -> bool:
    return type(item).__module__.startswith("pydantic")


class Tools:
    """The tools of one guard's agents."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._known: dict[int, KnownTool] = {}
        self._declared: dict[str, dict[str, Tool]] = {}
        self._graphs: dict[int, weakref.ref[Any]] = {}
        self._lock = threading.Lock()

    def known(self, native: BaseTool) -> KnownTool:
        """What is known of a tool object."""
        found = self._known.get(id(native))
        if found is None or not found.describes(native):
            if len(self._known) >= _CAPACITY:
                self._known.clear()
            found = self._known[id(native)] = KnownTool(native)
        return found

    def declared(self, agent: str, graph: Any) -> tuple[Tool, ...] | None:
        """The tools that a graph gives its agent, when the graph is first seen; None where it says nothing new."""
        if graph is None:
            return None
        with self._lock:
            if len(self._graphs) >= _CAPACITY:
                self._graphs.clear()
            seen = self._graphs.get(id(graph))
            if seen is not None and seen() is graph:
                return None
            self._graphs[id(graph)] = weakref.ref(graph)
        tools = {known.tool.name: known.tool for known in map(self.known, _tools_of(graph))}
        if not tools:
            return None
        self._declared.setdefault(agent, {}).update(tools)
        return tuple(tools.values())

    def offered(self, agent: Agent, offers: Iterable[tuple[str, bool]]) -> Iterator[Tool]:
        """The tools that a model call offers. Schemas as providers are sent them vary; the tools' own are compared."""
        declared = self._declared.get(agent.name, {})
        for name, provider in offers:
            if provider:
                yield self._guard.registry.tool(agent, Tool(name=name, provider=True))
            elif name in declared:
                yield self._guard.registry.tool(agent, declared[name])
            else:
                yield Tool(name=name)

    def seen(self, agent: Agent, name: str) -> None:
        """Take note of a tool that a model asked for and that nobody offered."""
        if name not in self._declared.get(agent.name, {}):
            self._guard.registry.tool(agent, Tool(name=name))


def _tools_of(graph: Any) -> Iterator[BaseTool]:
    for node in graph.nodes.values():
        bound = getattr(node, "bound", None)
        if isinstance(bound, ToolNode):
            yield from bound.tools_by_name.values()
