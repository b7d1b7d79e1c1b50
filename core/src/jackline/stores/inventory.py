"""What the registry's events tell of agents and their tools, folded when somebody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from jackline.events import AgentAmended, AgentSeen, ToolSeen
from jackline.journal.line import decode
from jackline.request import Agent, Tool
from jackline.stores.rows import AgentRow, ToolRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_AMENDED = frozenset({"status", "team", "labels", "environment", "managed"})
When = tuple[float, float]


class Known:
    """One agent while its events are folded, the oldest first."""

    def __init__(self, key: str) -> None:
        name, _, version = key.partition("@")
        self.agent = Agent(name=name, version=version)
        self.revision = ""
        self.tools: dict[str, Tool] = {}
        self.permits: dict[str, str] = {}

    def see(self, event: AgentSeen) -> None:
        """The agent as a process registered it: tools that it has from the beginning are known."""
        self.agent, self.revision = event.agent, event.revision or self.revision
        for tool in event.tools:
            self.tools.setdefault(tool.name, tool)

    def amend(self, changes: Mapping[str, Any]) -> None:
        """What a human changed; a change of another form than the registry's is left out."""
        told = msgspec.structs.asdict(self.agent) | {name: changes[name] for name in _AMENDED & changes.keys()}
        try:
            self.agent = msgspec.convert(told, Agent)
        except msgspec.ValidationError:
            return
        permit = changes.get("permit")
        if isinstance(permit, dict):
            self.permits |= {str(tool): str(fingerprint) for tool, fingerprint in permit.items()}

    def permitted(self, tool: Tool) -> bool:
        """Whether this fingerprint was there from the beginning, or was permitted since."""
        if tool.name in self.permits:
            return self.permits[tool.name] == tool.fingerprint
        return tool.status == "known"


def known_agents(events: Iterable[tuple[str, str]]) -> dict[str, Known]:
    """Fold the registry's events, (kind, body) in their order, to what is known of each agent by its key."""
    known: dict[str, Known] = {}
    for kind, body in events:
        event = decode(kind, body.encode())
        if isinstance(event, AgentSeen):
            known.setdefault(event.agent.key, Known(event.agent.key)).see(event)
        elif isinstance(event, ToolSeen):
            known.setdefault(event.agent, Known(event.agent)).tools[event.tool.name] = event.tool
        elif isinstance(event, AgentAmended):
            # A change that names no version is meant for all of them.
            keys = [key for key in known if key == event.agent or known[key].agent.name == event.agent]
            for key in keys or [event.agent]:
                known.setdefault(key, Known(key)).amend(event.changes)
    return known


def agent_row(
    key: str, known: Known, seen: Mapping[tuple[str, str, str], When], counts: Mapping[tuple[str, str], tuple[int, ...]]
) -> AgentRow:
    """Join what is known of an agent with when it, its models and tools were seen, and how often they ran."""
    first, last = seen.get((key, "agent", ""), (0.0, 0.0))
    asked = {name for agent, what, name in seen if agent == key and what == "tool"}
    tools = [tool_row(key, name, known, seen, counts) for name in sorted(asked | known.tools.keys())]
    models = sorted(name for agent, what, name in seen if agent == key and what == "model")
    agent = known.agent
    return AgentRow(
        agent=key,
        name=agent.name,
        version=agent.version,
        framework=agent.framework,
        framework_version=agent.framework_version,
        team=agent.team,
        environment=agent.environment,
        status=agent.status,
        managed=agent.managed,
        labels=agent.labels,
        revision=known.revision,
        first_seen=first,
        last_seen=last,
        models=tuple(models),
        tools=tuple(tools),
    )


def tool_row(
    key: str,
    name: str,
    known: Known,
    seen: Mapping[tuple[str, str, str], When],
    counts: Mapping[tuple[str, str], tuple[int, ...]],
) -> ToolRow:
    """One tool: a name that was asked for and that no registry event knows has no status and is not permitted."""
    tool = known.tools.get(name)
    first, last = seen.get((key, "tool", name), (0.0, 0.0))
    calls, failures, denials = counts.get((key, name), (0, 0, 0))
    return ToolRow(
        agent=key,
        tool=name,
        fingerprint=tool.fingerprint if tool else "",
        status=tool.status if tool else "",
        permitted=known.permitted(tool) if tool else False,
        read_only=tool.read_only if tool else None,
        provider=tool.provider if tool else False,
        first_seen=first,
        last_seen=last,
        calls=calls,
        failures=failures,
        denials=denials,
    )
