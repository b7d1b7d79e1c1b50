"""Agents as the registry knows them, joined with what the index counted of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from jackline.cli import state
from jackline.errors import JacklineError
from jackline.request import REPORTED
from jackline.wording import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jackline.home import Home
    from jackline.request import Agent
    from jackline.roster import Entry, ToolEntry
    from jackline.stores import AgentRow, Store, ToolRow, UsageRow


class ToolView(NamedTuple):
    """One tool of an agent, over its versions. Times are Unix seconds."""

    name: str
    fingerprint: str
    status: str
    """`known`, `new`, `changed` or `suspended`: what policies see."""
    permitted: bool
    permitted_fingerprint: str | None
    """What somebody permitted; None where nobody has."""
    not_permitted_since: float | None
    read_only: bool | None
    provider: bool
    first_seen: float
    last_seen: float | None
    calls: int
    failures: int
    denials: int


class AgentView(NamedTuple):
    """One agent, over its versions."""

    name: str
    versions: Sequence[Agent]
    """As policies see them, by version; one without facts where the agent was only declared."""
    first_seen: float
    last_seen: float | None
    models: Sequence[str]
    tools: Sequence[ToolView]
    cost_micro_usd: int
    unpriced: int
    declared: Mapping[str, Any]
    """What a manifest says: `tools` and `models`; empty where none does."""

    def plain(self) -> dict[str, Any]:
        """The agent as JSON."""
        import msgspec  # noqa: PLC0415 - as JSON only

        told = self._asdict()
        told["versions"] = [{**msgspec.structs.asdict(version), "key": version.key} for version in self.versions]
        told["tools"] = [tool._asdict() for tool in self.tools]
        told["status"] = self.versions[-1].status
        return told


def agents(home: Home, store: Store | None, rows: Sequence[AgentRow] = ()) -> list[AgentView]:
    """Every agent by name; without a store nothing is counted. `rows` are the store's, where they are known already."""
    entries = state.registry(home).entries
    by_name: dict[str, list[AgentRow]] = {}
    for row in rows or (store.agents() if store is not None else ()):
        by_name.setdefault(row.name, []).append(row)
    usage = {row.agent: row for row in (store.usage(by=("agent",)) if store is not None else ())}
    return [_view(entries[name], by_name.get(name, []), usage) for name in sorted(entries)]


def named(found: Sequence[AgentView], name: str) -> AgentView:
    """The agent of this name (`name@version` names it as well); raises JacklineError with what was probably meant."""
    for agent in found:
        if name == agent.name or name in (version.key for version in agent.versions):
            return agent
    hint = nearest(name, [agent.name for agent in found]) or "no agent was seen yet"
    raise JacklineError(f"unknown agent '{name}'; {hint}")


def managed_text(agent: Agent) -> str:
    """Whether an agent is managed, for people."""
    if agent.managed:
        return "yes"
    return "no: it only reports" if agent.labels.get("source") == REPORTED else "no: nobody vouches that it always asks"


def require_asking(entry: Entry | None) -> None:
    """Raises JacklineError where an agent only reports: no word of a person's makes it ask."""
    versions = entry.versions.values() if entry is not None else ()
    if entry and versions and all(not one.managed and one.labels.get("source") == REPORTED for one in versions):
        raise JacklineError(
            f"agent '{entry.name}' only reports, over OTLP: nothing of Jackline's stands before its acts, so it is "
            "not managed; jackline.init() in its process, the gateway for its tools or the Decision API would "
            "stand before them"
        )


def _view(entry: Entry, rows: Sequence[AgentRow], usage: Mapping[str, UsageRow]) -> AgentView:
    versions = [entry.facts(version) for version in sorted(entry.versions)] or [entry.facts("")]
    keys = {entry.name, *(version.key for version in versions)}
    spent = [usage[key] for key in keys if key in usage]
    counted: dict[str, list[ToolRow]] = {}
    for row in rows:
        for tool in row.tools:
            counted.setdefault(tool.tool, []).append(tool)
    return AgentView(
        name=entry.name,
        versions=versions,
        first_seen=entry.first_seen,
        last_seen=max((row.last_seen for row in rows), default=None),
        models=sorted({*entry.models, *(model for row in rows for model in row.models)}),
        tools=list(_tools(entry, counted)),
        cost_micro_usd=sum(row.cost_micro_usd for row in spent),
        unpriced=sum(row.unpriced for row in spent),
        declared=entry.amended.get("declared") or {},
    )


def _tools(entry: Entry, counted: Mapping[str, Sequence[ToolRow]]) -> Iterator[ToolView]:
    for name in sorted(entry.tools):
        yield _tool(name, entry.tools[name], counted.get(name, ()))


def _tool(name: str, known: ToolEntry, rows: Sequence[ToolRow]) -> ToolView:
    tool = known.tool
    status = known.status(tool.fingerprint)
    return ToolView(
        name=name,
        fingerprint=tool.fingerprint,
        status=status,
        permitted=status == "known",
        permitted_fingerprint=known.permitted,
        not_permitted_since=None if status == "known" else known.since,
        read_only=tool.read_only,
        provider=tool.provider,
        first_seen=known.first_seen,
        last_seen=max((row.last_seen for row in rows), default=None),
        calls=sum(row.calls for row in rows),
        failures=sum(row.failures for row in rows),
        denials=sum(row.denials for row in rows),
    )
