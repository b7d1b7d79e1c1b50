"""Which agents there are, with which tools and models, and what people say of them."""

from __future__ import annotations

from typing import Any

from jackline.events.record import Event
from jackline.request import Agent, Tool  # noqa: TC001 - msgspec reads them


class AgentSeen(Event, frozen=True, kw_only=True, omit_defaults=True, tag="agent_seen"):
    """An agent, or a version of it, was seen for the first time."""

    agent: Agent
    models: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    revision: str = ""


class ToolSeen(Event, frozen=True, kw_only=True, omit_defaults=True, tag="tool_seen"):
    """A known agent has a tool that it had not, or one whose fingerprint is another."""

    agent: str
    tool: Tool
    previous: str = ""
    """The fingerprint before the change."""
    baseline: bool = False
    """True for one of the tools that the agent had when it was first seen: it counts as permitted."""


class ModelSeen(Event, frozen=True, kw_only=True, omit_defaults=True, tag="model_seen"):
    """A known agent uses a model that it had not used."""

    agent: str
    model: str


class AgentAmended(Event, frozen=True, kw_only=True, omit_defaults=True, tag="agent_amended"):
    """A human (or a manifest) changed what the registry says of an agent."""

    agent: str
    who: str
    why: str = ""
    changes: dict[str, Any] = {}  # noqa: RUF012 - msgspec copies it
    """`status`, `team`, `labels`, `environment`, `permit` (tool name -> fingerprint or `*`), `forbid` (tool names),
    `tools` (tool name -> `suspended` or `active`), `declared` (what a manifest says)."""
