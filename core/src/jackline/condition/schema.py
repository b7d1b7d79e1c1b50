"""What conditions may name: the roots, their fields and types. Completion, docs and the checker read the same table."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from jackline.condition import types as t
from jackline.condition.json_schema import from_json_schema
from jackline.condition.types import Field, Type, or_null
from jackline.request import ACTIONS, AgentStatus, ToolStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LABELS = t.map_of(t.STRING)

TOOL = t.record(
    "tool",
    {
        "name": Field(t.STRING, "its exact name"),
        "fingerprint": Field(t.STRING, "16 hex digits of its schema's SHA-256"),
        "status": Field(t.one_of(*get_args(ToolStatus)), f"in the registry: {', '.join(get_args(ToolStatus))}"),
        "read_only": Field(or_null(t.BOOL), "what it declares about itself; null where it declares nothing"),
        "provider": Field(t.BOOL, "it runs at the model's provider"),
        "labels": Field(_LABELS, "labels given in the registry"),
    },
)
MODEL = t.record(
    "model",
    {
        "name": Field(t.STRING, "as the call names it"),
        "provider": Field(t.STRING, "who serves it"),
        "max_tokens": Field(or_null(t.INT), "the output limit that the call declares; null where there is none"),
        "choices": Field(t.INT, "how many answers the call asks for"),
        "input_bytes": Field(t.INT, "UTF-8 bytes of the request"),
        "opaque_input": Field(t.BOOL, "images, audio or files are sent, whose size the bytes do not tell"),
        "tools": Field(t.list_of(TOOL), "the tools that the call offers"),
    },
)
AGENT = t.record(
    "agent",
    {
        "name": Field(t.STRING, "its registered name"),
        "version": Field(t.STRING, "empty where it has none"),
        "framework": Field(t.STRING, "langchain, crewai, ..."),
        "framework_version": Field(t.STRING, "of the framework"),
        "team": Field(t.STRING, "who answers for it"),
        "environment": Field(t.STRING, "where it runs"),
        "status": Field(t.one_of(*get_args(AgentStatus)), f"in the registry: {', '.join(get_args(AgentStatus))}"),
        "key": Field(t.STRING, "name, or name@version"),
        "managed": Field(t.BOOL, "false for an agent that could act without asking, or that only reports"),
        "labels": Field(_LABELS, "labels given in the registry"),
    },
)
SESSION = t.record(
    "session",
    {
        "id": Field(t.STRING, "32 hex digits"),
        "external_id": Field(t.STRING, "the framework's own id of it"),
        "user": Field(t.STRING, "for whom the agent acts"),
        "application": Field(t.STRING, "the root application"),
        "namespace": Field(t.STRING, "the installation's namespace"),
        "labels": Field(_LABELS, "labels given when it began"),
        "cost_usd": Field(t.DOUBLE, "US dollars spent so far"),
        "calls": Field(t.INT, "model and tool calls so far"),
        "model_calls": Field(t.INT, "model calls so far"),
        "tool_calls": Field(t.INT, "tool calls so far"),
        "started": Field(t.DOUBLE, "Unix seconds"),
    },
)
HTTP = t.record(
    "http",
    {
        "host": Field(t.STRING, "lower case, without the port; `unix:/path` for a socket file"),
        "method": Field(t.STRING, "GET, POST, ..."),
        "scheme": Field(t.STRING, "http, https, ws or wss; tcp or udp for a connection that no library of ours made"),
        "path": Field(t.STRING, "without the query"),
        "port": Field(t.INT, "as connected to"),
        "proxy": Field(t.STRING, "the proxy that it goes through, as host:port; empty where there is none"),
        "inside": Field(t.STRING, "the action that it is sent from: tool.call, model.call, embedding, ..., or empty"),
    },
)
_ROOTS = {
    "action": Field(t.one_of(*ACTIONS), f"what is asked for: {', '.join(ACTIONS)}"),
    "resource": Field(t.STRING, "the tool's, model's, agent's, retriever's or host's name"),
    "args": Field(t.MAP, "what the body will receive, by name"),
    "original": Field(t.MAP, "args before any policy changed them"),
    "tool": Field(TOOL, "the tool; for tool.call and tool.return"),
    "model": Field(MODEL, "the model; for model.call and model.return"),
    "agent": Field(AGENT, "who acts"),
    "session": Field(SESSION, "the session so far"),
    "ancestors": Field(t.list_of(AGENT), "the agents that spawned this one, outermost first"),
    "depth": Field(t.INT, "how many agents are above this one"),
    "http": Field(HTTP, "the outgoing request; for http.request"),
    "run": Field(t.STRING, "32 hex digits: one invocation of one agent"),
    "at": Field(t.DOUBLE, "Unix seconds of the request; timestamp(at) for the calendar"),
}


class Entry(NamedTuple):
    """One line of the table of roots and fields."""

    path: str
    type: Type
    summary: str


class Schema:
    """The names that conditions may use; immutable."""

    __slots__ = ("roots",)

    def __init__(self, roots: Mapping[str, Field]) -> None:
        self.roots: Mapping[str, Field] = roots

    @classmethod
    def default(cls) -> Schema:
        """The roots that every request has or may have."""
        return _default()

    def with_args(self, json_schema: Mapping[str, Any]) -> Schema:
        """Narrow `args` (and `original`) to a tool's JSON Schema; parts it does not settle stay unchecked."""
        narrowed = from_json_schema(json_schema, "args")
        roots = dict(self.roots)
        roots["args"] = Field(narrowed, self.roots["args"].summary)
        roots["original"] = Field(narrowed, self.roots["original"].summary)
        return Schema(roots)

    def with_root(self, name: str, type: Type | str, summary: str = "") -> Schema:  # noqa: A002 - what it is
        """Add a root, or give another type to one. Simple types may be given by name (`string`, `dyn`, `map`)."""
        if isinstance(type, str):
            if type not in t.NAMED:
                raise ValueError(f"{type!r} names no type; one of {', '.join(t.NAMED)}")
            type = t.NAMED[type]  # noqa: A001 - the same
        return Schema({**self.roots, name: Field(type, summary)})

    def only(self, *names: str) -> Schema:
        """Keep these roots alone: what an agent query may name, say."""
        return Schema({name: self.roots[name] for name in names})

    def entries(self) -> Iterator[Entry]:
        """List every root and field, depth first, in the order of the table."""
        yield from _entries("", self.roots)


@lru_cache(maxsize=1)
def _default() -> Schema:
    return Schema(_ROOTS)


def _entries(prefix: str, fields: Mapping[str, Field]) -> Iterator[Entry]:
    for name, field in fields.items():
        yield Entry(prefix + name, field.type, field.summary)
        if field.type.kind == "record":
            yield from _entries(f"{prefix}{name}.", field.type.fields)
