"""Which tools an agent has: their identity, found once, and how their bodies take their arguments."""

from __future__ import annotations

import weakref
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from crewai.tools.structured_tool import CrewStructuredTool, strip_composite_description_prefix
from crewai.utilities.string_utils import sanitize_tool_name

from jackline.binding import Binding
from jackline.plain import fingerprint
from jackline.request import Agent, Tool
from jackline_crewai.references import OURS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from jackline.guard import Guard

_CLOSE = 0.85
"""How much alike two names are that CrewAI takes for the same where a model asks for tools in its text."""

_CAPACITY = 4096
"""Tool objects, and agents with theirs, that are remembered; the memory of objects is emptied when it is full."""


def original(native: Any) -> Any:
    """The tool that a structured form was made of; CrewAI makes a new form for every run."""
    if not isinstance(native, CrewStructuredTool):
        return native
    return (native.__pydantic_private__ or {}).get("_original_tool") or native


class KnownTool:
    """One tool object: its identity, and the names of its arguments."""

    __slots__ = ("_description", "_name", "_reference", "_schema", "binding", "speaks", "tool")

    def __init__(self, native: Any) -> None:
        self._reference: weakref.ref[Any] = weakref.ref(native)
        self._name = native.name
        self._description = native.description
        self._schema = native.args_schema
        self.binding = _binding(native)
        self.speaks = bool(native.result_as_answer)
        """Whether its result is its agent's answer."""
        parameters = _parameters(native.args_schema)
        declared = {
            "description": strip_composite_description_prefix(native.description),
            "parameters": parameters,
        }
        self.tool = Tool(
            name=native.name,
            fingerprint=fingerprint(declared),
            read_only=_read_only(native),
            parameters=parameters,
        )

    def describes(self, native: Any) -> bool:
        """Whether this is still what `native` says of itself."""
        mine = self._reference()
        return (
            mine is not None
            and mine is native
            and self._schema is mine.args_schema
            and bool(self._description == mine.description and self._name == mine.name)
        )

    def completed(self, given: dict[str, Any]) -> dict[str, Any]:
        """Arguments as the tool's own parsing leaves them; as they are where that says no."""
        native = self._reference()
        token = OURS.set(True)
        try:
            found = native._validate_kwargs(given) if native is not None else given  # noqa: SLF001
        except Exception:  # noqa: BLE001 - what is not valid is judged as it is
            return given
        finally:
            OURS.reset(token)
        return found if isinstance(found, dict) else given

    def by_name(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a positional call by name, defaults applied, as the body would receive them."""
        if self.binding is not None:
            try:
                return self.binding.bind(args, kwargs)
            except TypeError:
                pass
        return {**{f"arg{place}": item for place, item in enumerate(args)}, **kwargs}

    def positional(
        self, bound: Mapping[str, Any], changed: Mapping[str, Any], args: tuple[Any, ...]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The call with a policy's arguments; raises TypeError where it has no such form."""
        if self.binding is not None and bound.keys() == changed.keys() and "arg0" not in bound:
            return self.binding.changed(changed, {}, {})
        names = [f"arg{place}" for place in range(len(args))]
        if any(name not in changed for name in names):
            raise TypeError("a positional argument cannot be taken away")
        return tuple(changed[name] for name in names), {k: v for k, v in changed.items() if k not in names}


def _binding(native: Any) -> Binding | None:
    body = getattr(native, "func", None) or getattr(native, "_run", None)
    try:
        return Binding(body) if body is not None else None
    except (TypeError, ValueError):
        return None


def _parameters(schema: Any) -> dict[str, Any]:
    """The JSON Schema of a tool's arguments; empty where it cannot be made."""
    try:
        found = schema.model_json_schema()
    except Exception:  # noqa: BLE001 - a schema that JSON cannot say is no reason to refuse the tool
        return {}
    return found if isinstance(found, dict) else {}


def _read_only(native: Any) -> bool | None:
    """What a tool declares about itself: a field `read_only`, or MCP's `readOnlyHint` in its annotations."""
    hints = getattr(native, "annotations", None)
    for found in (getattr(native, "read_only", None), getattr(hints, "readOnlyHint", None)):
        if isinstance(found, bool):
            return found
    return None


class Tools:
    """The tools of one guard's agents."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._known: dict[int, KnownTool] = {}
        self._named: dict[str, dict[str, KnownTool]] = {}
        """By agent, its tools as models name them."""

    def known(self, native: Any) -> KnownTool:
        """What is known of a tool object."""
        found = self._known.get(id(native))
        if found is None or not found.describes(native):
            if len(self._known) >= _CAPACITY:
                self._known.clear()
            found = self._known[id(native)] = KnownTool(native)
        return found

    def declare(self, agent: Agent, natives: Iterable[Any]) -> None:
        """Take note of the tools that an agent has."""
        tools = [self.known(original(native)) for native in natives if hasattr(native, "args_schema")]
        mine = self._named.pop(agent.name, {})
        while len(self._named) >= _CAPACITY:
            del self._named[next(iter(self._named))]  # the agent that was last seen longest ago
        self._named[agent.name] = {**mine, **{sanitize_tool_name(known.tool.name): known for known in tools}}
        self._guard.registry.declare(agent, [known.tool for known in tools])

    def named(self, agent: Agent, name: str) -> KnownTool | None:
        """The agent's tool that a model names so; models are told CrewAI's spelling of names."""
        return self._named.get(agent.name, {}).get(name)

    def offered(self, agent: Agent, offers: Iterable[tuple[str, bool]]) -> Iterator[Tool]:
        """The tools that a model call offers. Schemas as providers are sent them vary; the tools' own are compared."""
        for name, provider in offers:
            known = self.named(agent, name)
            if provider:
                yield self._guard.registry.tool(agent, Tool(name=name, provider=True))
            elif known is not None:
                yield self._guard.registry.tool(agent, known.tool)
            else:
                yield Tool(name=name)

    def has(self, agent: Agent, name: str, *, loosely: bool) -> bool:
        """Whether an agent has the tool that its model asks for; `loosely`: a name that is close to one will do."""
        mine = self._named.get(agent.name, {})
        if name in mine or not loosely:
            return name in mine
        return any(SequenceMatcher(None, known, name).ratio() > _CLOSE for known in mine)
