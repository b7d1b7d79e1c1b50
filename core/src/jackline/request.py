"""The question asked before an act: may this agent do this, on that, with these arguments?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

Action = Literal[
    "model.call",
    "model.return",
    "tool.call",
    "tool.return",
    "agent.spawn",
    "retrieval",
    "embedding",
    "http.request",
    "output",
]
ACTIONS: tuple[Action, ...] = get_args(Action)

RETURNS: Mapping[Action, Action] = {"tool.call": "tool.return", "model.call": "model.return"}
"""The action that judges what an act gave back; every other act gives back nothing that is judged."""

REPORTED = "otlp"
"""The namespace of sessions that others only reported, and the label `source` of agents that are: no guard has it."""

AgentStatus = Literal["seen", "active", "suspended", "retired"]
ToolStatus = Literal["known", "new", "changed", "suspended"]


class Agent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A registered identity, as the registry knew it when the request was made."""

    name: str
    version: str = ""
    framework: str = ""
    framework_version: str = ""
    team: str = ""
    labels: dict[str, str] = {}
    environment: str = ""
    status: AgentStatus = "seen"
    managed: bool = True
    """False for an agent that can act without Jackline: its own client asks (gateway, Decision API), or it only reports
    (OTLP). A person may vouch for one that asks."""

    @property
    def key(self) -> str:
        """What names this agent in events: `name` or `name@version`."""
        return f"{self.name}@{self.version}" if self.version else self.name


class Tool(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tool's identity is its exact name plus a fingerprint of its schema."""

    name: str
    fingerprint: str = ""
    """First 16 hex digits of the SHA-256 of the canonical JSON schema of its arguments and description."""
    status: ToolStatus = "known"
    """`new`: appeared after its agent was first seen; `changed`: another fingerprint than the permitted one;
    `suspended`: a person said that this agent may not use it."""
    read_only: bool | None = None
    """What the tool declares about itself; None where it declares nothing."""
    parameters: dict[str, Any] = {}
    """The JSON Schema of its arguments, where the adapter knows it: conditions on `args` are checked against it."""
    provider: bool = False
    """True for a tool that runs at the model's provider (web search, code interpreter): judged inside `model.call`."""
    labels: dict[str, str] = {}


class Model(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The model that is asked, and what the call offers it."""

    name: str
    provider: str = ""
    max_tokens: int | None = None
    """The output limit that the call declares, in tokens."""
    choices: int = 1
    tools: tuple[Tool, ...] = ()
    """The tools offered in this call, those that run at the provider among them."""
    input_bytes: int = 0
    """UTF-8 bytes of the rendered request (messages and tool schemas): an upper bound of its tokens."""
    opaque_input: bool = False
    """True where images, audio or files are sent, whose tokens the bytes do not bound."""
    can_limit: bool = False
    """True where the adapter can pass a smaller `max_tokens` on."""


class Subject(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """For whom the agent acts: one session's identity, the same in every sub-agent."""

    session: str
    """32 hex digits."""
    external_id: str = ""
    user: str = ""
    labels: dict[str, str] = {}
    application: str = ""
    namespace: str = ""


class Request(msgspec.Struct, kw_only=True, omit_defaults=True):
    """May *subject* (through *agent*) do *action* on *resource* with *args*?

    `args` is what the body will receive: for `tool.call` the bound arguments by name; for `model.call`
    `{"messages": [...]}`; for `tool.return`, `model.return` and `output` `{"result": ...}`; for `retrieval`
    `{"query": ...}`; for `embedding` `{"texts": [...]}`; for `agent.spawn` `{"input": ...}`. It is plain data
    (see `jackline.plain`). `at` is Unix time in seconds; policies know no other clock.
    """

    action: Action
    resource: str
    """The tool's, model's, agent's, retriever's or host's name."""
    at: float
    agent: Agent
    subject: Subject
    run: str
    """32 hex digits: one invocation of one agent."""
    span: str
    """16 hex digits: the step that is judged; its return is judged under the same span."""
    parent: str = ""
    """The span that this one is a child of; empty at a root."""
    ancestors: tuple[Agent, ...] = ()
    """The agents that spawned this one, outermost first."""
    depth: int = 0
    args: dict[str, Any] = {}
    original: dict[str, Any] | None = None
    """`args` before any policy changed them; kept in memory only. None while nothing has changed them."""
    tool: Tool | None = None
    model: Model | None = None
    call_id: str = ""
    """The framework's own id of the call, the same when the framework replays the step."""
    pausable: bool = False
    """The framework can stop here, and make the same call again under the same id once people have answered."""
    facts: dict[str, Any] = {}
    """What else is known, by root name (`http`, ...): further data that conditions may name."""
    session: dict[str, Any] = {}
    """The session so far, as conditions see it: `cost_usd`, `calls`, `model_calls`, `tool_calls`, `started`."""
    origins: Any = None
    """Where the values in it come from, for conditions that ask; set by the engine where a bundle has such."""
    view: dict[str, Any] | None = None
    """What conditions see, kept by `jackline.facts` once it was made."""
    epoch: int | None = None
    """Up to which change by people (see `jackline.control`) the registry was asked about agents and tools; None where
    it was not asked."""
