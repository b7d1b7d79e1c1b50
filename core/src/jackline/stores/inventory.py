"""What the registry's events tell of agents and their tools, folded when somebody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jackline.journal.line import decode
from jackline.roster import KINDS, Entry, Roster
from jackline.stores.rows import AgentRow, ToolRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

When = tuple[float, float]


def roster(events: Iterable[tuple[str, str]]) -> Roster:
    """Fold the registry's events, (kind, body) in their order, as guards do."""
    found = Roster()
    for kind, body in events:
        event = decode(kind, body.encode())
        if isinstance(event, KINDS):
            found.apply(event)  # type: ignore[arg-type]
    return found


def agent_keys(known: Roster, seen: Iterable[str]) -> list[str]:
    """Every version of every agent: those that were registered, and those that events name."""
    versions = [agent for entry in known.entries.values() for agent in entry.versions.values()]
    named = {agent.name for agent in versions}
    return sorted({agent.key for agent in versions} | set(seen) | (known.entries.keys() - named))


def agent_row(
    key: str,
    known: Roster,
    seen: Mapping[tuple[str, str, str], When],
    counts: Mapping[tuple[str, str], tuple[int, ...]],
) -> AgentRow:
    """Join what is known of an agent with when it, its models and tools were seen, and how often they ran."""
    name, version = known.parts(key)
    first, last = seen.get((key, "agent", ""), (0.0, 0.0))
    entry = known.entries.get(name) or Entry(name=name, first_seen=first)
    agent = entry.facts(version)
    asked = {name for agent, what, name in seen if agent == key and what == "tool"}
    tools = [tool_row(key, name, entry, seen, counts) for name in sorted(asked | entry.tools.keys())]
    models = sorted(name for agent, what, name in seen if agent == key and what == "model")
    return AgentRow(
        agent=key,
        name=name,
        version=version,
        framework=agent.framework,
        framework_version=agent.framework_version,
        team=agent.team,
        environment=agent.environment,
        status=agent.status,
        managed=agent.managed,
        labels=agent.labels,
        revision=entry.revisions.get(version, ""),
        first_seen=first,
        last_seen=last,
        models=tuple(models),
        tools=tuple(tools),
    )


def tool_row(
    key: str,
    name: str,
    entry: Entry,
    seen: Mapping[tuple[str, str, str], When],
    counts: Mapping[tuple[str, str], tuple[int, ...]],
) -> ToolRow:
    """One tool: a name that was asked for and that no registry event knows has no status and is not permitted."""
    known = entry.tools.get(name)
    first, last = seen.get((key, "tool", name), (0.0, 0.0))
    calls, failures, denials = counts.get((key, name), (0, 0, 0))
    status = known.status(known.tool.fingerprint) if known is not None else ""
    return ToolRow(
        agent=key,
        tool=name,
        fingerprint=known.tool.fingerprint if known is not None else "",
        status=status,
        permitted=status == "known",
        read_only=known.tool.read_only if known is not None else None,
        provider=known.tool.provider if known is not None else False,
        first_seen=first,
        last_seen=last,
        calls=calls,
        failures=failures,
        denials=denials,
    )
